# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ways of breaking mutual TLS and of keeping it, as policies of a bed, with the verdicts that they must get."""

from __future__ import annotations

import itertools
import json
from typing import Any

from tests.integration.mtls.bed import Bed

# name: policies (as functions of the bed), service, port -> (verdict of *, verdict of plaintext, rule of *)
CASES: dict[str, tuple[Any, str, int, str, str, str]] = {
    "strict": (lambda b: [b.peer()], "web", 80, "strict", "broken", ""),
    "permissive": (lambda b: [b.peer(mode="PERMISSIVE")], "web", 80, "encrypted_not_enforced", "plaintext_allowed", ""),
    "disable": (lambda b: [b.peer(mode="DISABLE")], "web", 80, "plaintext", "plaintext", ""),
    "no policy": (lambda _b: [], "web", 80, "encrypted_not_enforced", "plaintext_allowed", ""),
    "port exception": (
        lambda b: [b.peer(), b.peer("wl", app="web", ports={9090: "DISABLE"})],
        "web", 81, "plaintext", "plaintext", "port_exception",
    ),
    "port exception leaves the other port": (
        lambda b: [b.peer(), b.peer("wl", app="web", ports={9090: "DISABLE"})],
        "web", 80, "strict", "broken", "",
    ),
    "port exception on the service's port": (
        lambda b: [b.peer(), b.peer("wl", app="web", ports={81: "DISABLE"})],
        "web", 81, "strict", "broken", "service_port_in_port_level_mtls",
    ),
    "namespace DISABLE, workload STRICT": (
        lambda b: [b.peer(mode="DISABLE"), b.peer("wl", app="web")],
        "web", 80, "broken", "broken", "namespace_disable",
    ),
    "workload DISABLE": (
        lambda b: [b.peer(), b.peer("wl", "DISABLE", app="web")],
        "web", 80, "plaintext", "plaintext", "",
    ),
    "DestinationRule DISABLE against STRICT": (
        lambda b: [b.peer(), b.destination_rule("web", "DISABLE")],
        "web", 80, "broken", "broken", "destination_rule_disable",
    ),
    "DestinationRule ISTIO_MUTUAL against DISABLE": (
        lambda b: [b.peer(mode="DISABLE"), b.destination_rule("web", "ISTIO_MUTUAL")],
        "web", 80, "broken", "plaintext", "",
    ),
    "DestinationRule SIMPLE against STRICT": (
        lambda b: [b.peer(), b.destination_rule("web", "SIMPLE")],
        "web", 80, "broken", "broken", "tls_origination",
    ),
    "port settings of a rule that is DISABLE": (
        lambda b: [b.peer(), b.destination_rule("web", "DISABLE", portLevelSettings=[b.port_setting(80, "ISTIO_MUTUAL")])],
        "web", 80, "strict", "broken", "",
    ),
    "port settings leave the other port DISABLE": (
        lambda b: [b.peer(), b.destination_rule("web", "DISABLE", portLevelSettings=[b.port_setting(80, "ISTIO_MUTUAL")])],
        "web", 81, "broken", "broken", "destination_rule_disable",
    ),
    "port settings without tls": (
        lambda b: [b.peer(), b.destination_rule("web", "DISABLE", portLevelSettings=[b.port_setting(80)])],
        "web", 80, "broken", "broken", "port_level_tls_not_inherited",
    ),
    "port settings without tls, to an un-injected pod": (
        lambda b: [b.destination_rule("bare", "ISTIO_MUTUAL", portLevelSettings=[b.port_setting(80)])],
        "bare", 80, "plaintext", "plaintext", "port_level_tls_not_inherited",
    ),
    "port settings without tls under ISTIO_MUTUAL, workload DISABLE": (
        lambda b: [
            b.peer(), b.peer("wl", "DISABLE", app="web"), b.destination_rule("web", "ISTIO_MUTUAL", portLevelSettings=[b.port_setting(80)]),
        ],
        "web", 80, "broken", "plaintext", "port_level_tls_not_inherited",
    ),
    "a load balancer that passes through": (
        lambda b: [b.peer(), b.destination_rule("web", "", loadBalancer={"simple": "PASSTHROUGH"})],
        "web", 80, "strict", "broken", "",
    ),
    "an un-injected pod that is labelled as injected": (
        lambda _b: [], "liar", 80, "broken", "plaintext", "tls_mode_label",
    ),
    "an injected pod that is labelled as not": (
        lambda b: [b.peer()], "shy", 80, "broken", "broken", "tls_mode_label",
    ),
    "a subset's TLS": (
        lambda b: [b.peer(), b.subset_rule("web", "DISABLE"), b.route("web", "all")],
        "web", 80, "broken", "broken", "destination_rule_disable",
    ),
    "a VirtualService that leads to an un-injected pod": (
        lambda b: [b.peer(), b.route("web", to="bare")],
        "web", 80, "plaintext", "broken", "routed_elsewhere",
    ),
    "a VirtualService that leads to a pod that refuses plain text": (
        lambda b: [b.peer("wl", app="web"), b.route("bare", to="web")],
        "bare", 80, "strict", "plaintext", "",
    ),
    "two rules for one host": (
        lambda b: [b.peer(), b.destination_rule("web", "DISABLE"), b.renamed("younger", b.destination_rule("web", "ISTIO_MUTUAL"))],
        "web", 80, "broken", "broken", "destination_rule_disable",
    ),
    "an older rule without a policy leaves it to the younger": (
        lambda b: [b.peer(), b.bare_rule("web"), b.renamed("younger", b.destination_rule("web", "DISABLE"))],
        "web", 80, "broken", "broken", "destination_rule_disable",
    ),
    "the older of two policies": (
        lambda b: [b.peer("older"), b.peer("younger", "DISABLE")],
        "web", 80, "strict", "broken", "oldest_wins",
    ),
    "the older of two workload policies": (
        lambda b: [b.peer("older", "DISABLE", app="web"), b.peer("younger", "STRICT", app="web")],
        "web", 80, "plaintext", "plaintext", "oldest_wins",
    ),
    "UNSET inherits": (lambda b: [b.peer(), b.peer("wl", "UNSET", app="web")], "web", 80, "strict", "broken", ""),
    "un-injected pod": (lambda b: [b.peer()], "bare", 80, "plaintext", "plaintext", "no_sidecar"),
    "ISTIO_MUTUAL to an un-injected pod": (
        lambda b: [b.destination_rule("bare", "ISTIO_MUTUAL")],
        "bare", 80, "broken", "plaintext", "istio_mutual_without_sidecar",
    ),
    "port kept from the sidecar": (lambda b: [b.peer()], "aside", 80, "broken", "plaintext", "excluded_port"),
    "its other port": (lambda b: [b.peer()], "aside", 81, "strict", "broken", ""),
    "headless": (lambda b: [b.peer()], "web-headless", 8080, "strict", "broken", ""),
    "headless, workload DISABLE": (
        lambda b: [b.peer(), b.peer("wl", "DISABLE", app="web")],
        "web-headless", 8080, "broken", "plaintext", "",
    ),
    "headless with a pod without sidecar": (lambda b: [b.peer()], "mixed", 8080, "broken", "plaintext", "headless_mixed"),
}  # fmt: skip


def _policies(name: str) -> str:
    """The policies of a case, for comparison: as those of a bed that nobody makes."""
    bed = Bed.__new__(Bed)
    bed.namespace, bed.far = "near", "far"
    return json.dumps(CASES[name][0](bed))


# Names of the cases that have the same policies, which are brought and judged once for all of them.
SAME = [list(names) for _policies, names in itertools.groupby(sorted(CASES, key=_policies), key=_policies)]
