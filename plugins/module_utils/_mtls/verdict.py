# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of a call: what the client sends against what the server accepts. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.model import (
    BLOCKED,
    DISABLE,
    MTLS,
    NOT_ENFORCED,
    PERMISSIVE,
    PLAINTEXT,
    STRICT,
    TLS,
    Lost,
)

ANYBODY, WITHOUT_SIDECAR = "*", "plaintext"

# Verdicts.
OK_STRICT = "strict"
NOT_REQUIRED = "encrypted_not_enforced"
ALLOWED = "plaintext_allowed"
PLAIN = "plaintext"
BROKEN = "broken"
NO_MESH = "not_enforced"
NOT_KNOWN = "unknown"
VERDICTS = (OK_STRICT, NOT_REQUIRED, ALLOWED, PLAIN, BROKEN, NO_MESH, NOT_KNOWN)

# Which of several backends' verdicts stands for the call. A caller without sidecar is best refused by all of them.
_WORST = {BROKEN: 6, PLAIN: 5, ALLOWED: 4, NOT_KNOWN: 3, NO_MESH: 2, NOT_REQUIRED: 1, OK_STRICT: 0}
_WORST_PLAIN = {PLAIN: 6, ALLOWED: 5, NOT_KNOWN: 4, NO_MESH: 3, NOT_REQUIRED: 2, OK_STRICT: 1, BROKEN: 0}

_TABLE = {
    (MTLS, STRICT): OK_STRICT,
    (MTLS, PERMISSIVE): NOT_REQUIRED,
    (MTLS, DISABLE): BROKEN,
    (MTLS, NOT_ENFORCED): BROKEN,
    (PLAINTEXT, STRICT): BROKEN,
    (PLAINTEXT, PERMISSIVE): ALLOWED,
    (PLAINTEXT, DISABLE): PLAIN,
    (PLAINTEXT, NOT_ENFORCED): PLAIN,
    # TLS that a rule sets up with certificates of its own: a STRICT server refuses it, others hand it to the application.
    (TLS, STRICT): BROKEN,
    (TLS, PERMISSIVE): NO_MESH,
    (TLS, DISABLE): NO_MESH,
    (TLS, NOT_ENFORCED): NO_MESH,
}

_WORDS = {
    (MTLS, DISABLE): "the server does not understand TLS here",
    (MTLS, NOT_ENFORCED): "nothing there terminates the mesh's TLS",
    (PLAINTEXT, STRICT): "plain text is refused: the connection is reset",
    (TLS, STRICT): "a certificate of the mesh is missing",
}


def verdict(sends: str, accepts: str) -> str:
    """One cell of the table (research notes, 3.4). What is unknown on either side stays unknown."""
    if sends == BLOCKED:
        return BROKEN
    return _TABLE.get((sends, accepts), NOT_KNOWN)


def consequence(sends: str, accepts: str) -> str:
    """Why a verdict is `broken`, in words."""
    return _WORDS.get((sends, accepts), "")


def badness(found: str, client: str) -> int:
    """Sorts verdicts of the backends of one call, the worst highest."""
    return (_WORST_PLAIN if client == WITHOUT_SIDECAR else _WORST)[found]


@dataclass(frozen=True, slots=True)
class Call:
    """One row of the report: a client, a service port, and what becomes of calls. `port` is the service's."""

    client: str
    service: str
    port: int
    target_port: int
    server_mode: str
    client_mode: str
    verdict: str
    reason: str
    rule: str = ""
    server_policy: str = ""
    client_policy: str = ""
    backends: tuple[str, ...] = ()
    subset: str = ""
    overridden: tuple[Lost, ...] = ()
    proof: str = "unproved"
    evidence: str = ""

    @property
    def id(self) -> tuple[str, str, int]:
        """What a call is about."""
        return self.client, self.service, self.port

    def as_dict(self) -> dict[str, Any]:
        """The call as modules return it."""
        return {
            "client": self.client,
            "service": self.service,
            "port": self.port,
            "target_port": self.target_port,
            "server_mode": self.server_mode,
            "client_mode": self.client_mode,
            "verdict": self.verdict,
            "proof": self.proof,
            "evidence": self.evidence,
            "reason": self.reason,
            "rule": self.rule,
            "server_policy": self.server_policy,
            "client_policy": self.client_policy,
            "backends": list(self.backends),
            "subset": self.subset,
            "overridden": [{"object": entry.object, "why": entry.why} for entry in self.overridden],
        }


# Known rules: what each is, for whoever reads a report.
RULES: Mapping[str, str] = {
    "auto_mtls_off": "enableAutoMtls is false: without a DestinationRule clients send plain text.",
    "client_not_captured": "The call leaves the client's pod without passing its sidecar.",
    "destination_rule_disable": "A DestinationRule turns TLS off for its clients.",
    "destination_rule_without_tls": (
        "A DestinationRule without tls hides one with tls of a wider level; nothing is inherited (istio#7590)."
    ),
    "excluded_port": "An annotation keeps the port from the sidecar, so no policy counts there.",
    "external": "The host is outside of the mesh.",
    "gateway": "Gateways do not read PeerAuthentication; the servers of the Gateway object decide.",
    "headless_mixed": "A headless service with one endpoint without sidecar gets plain text everywhere (istio#27376).",
    "host_network": "Pods with hostNetwork have no sidecar.",
    "ambient_unset_namespace": "An UNSET namespace policy under a STRICT mesh drops a workload's converted port exceptions.",
    "istio_mutual_without_sidecar": "ISTIO_MUTUAL in a DestinationRule holds for endpoints without sidecar too, and fails there.",
    "mixed_backends": "The service's backends accept different things.",
    "namespace_disable": (
        "Clients read namespace and mesh policies only: DISABLE there makes them send plain text to a STRICT workload (istio#56084)."
    ),
    "no_endpoints": "Nothing stands behind the service.",
    "no_sidecar": "The pods have no sidecar.",
    "not_captured": "interceptionMode NONE: the sidecar sees no inbound traffic.",
    "not_visible": "The client's proxy does not know the service.",
    "oldest_wins": "Of two policies of the same scope the oldest counts; the younger one is ignored as a whole.",
    "port_exception": "portLevelMtls makes an exception for this port.",
    "port_level_tls_not_inherited": "portLevelSettings of a DestinationRule replace the whole block, tls too (istio#12144).",
    "root_namespace_selector": "A PeerAuthentication with a selector in the root namespace is ignored.",
    "service_port_in_port_level_mtls": "portLevelMtls names the service's port; it counts container ports (istio#49098).",
    "tls_mode_label": "The label security.istio.io/tlsMode does not say what the pod really has.",
    "tls_origination": "A DestinationRule sets up TLS with certificates of its own.",
    "udp": "UDP does not pass the mesh.",
}
