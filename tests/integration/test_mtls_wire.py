# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every way of breaking mutual TLS on the cluster: what mtls_info computes, against an actual call, plain and meshed."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import ApiError

from tests.integration.conftest import run_module
from tests.integration.mtls_bed import Bed, Heard, calls_of, steady
from tests.support import ansible_playbook

# The bed is made for each group, because each case waits until istiod has pushed its policies.
pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("cluster"), pytest.mark.xdist_group("mtls, playbook")]


@pytest.fixture(scope="module")
def bed(cluster: None) -> Iterator[Bed]:
    with Bed.standing() as made:
        yield made


def foreseen(call: dict[str, Any]) -> Heard:
    """How a call must end by its verdict and modes. Only a sidecar before the server adds the certificate header."""
    through = call["verdict"] in ("strict", "encrypted_not_enforced", "plaintext_allowed", "plaintext")
    mutual = through and call["client_mode"] == "mtls" and call["server_mode"] in ("STRICT", "PERMISSIVE")
    return Heard(200, mutual) if through else Heard(0, False)


def same(heard: Heard, expected: Heard) -> bool:
    """A broken call is a closed connection, or the caller's sidecar's own 503; an answer must be of the foreseen kind."""
    return heard == expected if expected.came_through else heard.status in (0, 502, 503)


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


@pytest.mark.parametrize(
    "case",
    [pytest.param(case, marks=pytest.mark.xdist_group(f"mtls, wire {i % 2}")) for i, case in enumerate(CASES)],
)
def test_the_wire_does_what_was_computed(bed: Bed, case: str) -> None:
    make, service, port, star, plain, rule = CASES[case]
    bed.policies(*make(bed))
    result = bed.judged()
    calls = calls_of(result)
    meshed, outside = calls[("*", service, port)], calls[("plaintext", service, port)]
    assert (meshed["verdict"], outside["verdict"], meshed["rule"]) == (star, plain, rule), meshed["reason"]
    about = f"Service {bed.namespace}/{service} port {port}"
    not_as_demanded = {finding["object"] for finding in result["violations"]}
    assert (about in not_as_demanded) == ((star, plain) != ("strict", "broken")), "STRICT is demanded"
    if rule:
        assert (about, rule) in {(finding["object"], finding["code"]) for finding in result["findings"]}
    if service in ("web-headless", "mixed"):  # the pod that the verdict is about, by its address, as DNS would give it
        url, host = f"http://{bed.ip('web')}:8080/", bed.host(service)
        direct = f"http://{bed.ip('bare' if service == 'mixed' else 'web')}:8080/"
    else:
        url, host = f"http://{bed.host(service)}:{port}/", ""
        direct = url
    wanted = (foreseen(meshed), foreseen(outside))
    heard = steady(
        lambda: (bed.call("meshed", url, host), bed.call("outside", direct)),
        lambda pair: all(same(have, want) for have, want in zip(pair, wanted, strict=True)),
    )
    assert same(heard[0], wanted[0]), (heard[0], meshed)
    assert same(heard[1], wanted[1]), (heard[1], outside)


def test_a_rule_of_its_own_is_told_for_each_client(bed: Bed) -> None:
    """A DestinationRule for one workload of the namespace: its calls break, the others' do not."""
    rule = bed.destination_rule("web", "DISABLE")
    rule["spec"]["workloadSelector"] = {"matchLabels": {"app": "meshed"}}
    bed.policies(bed.peer(), rule)
    calls = bed.calls()
    own = calls[(f"{bed.namespace}/meshed", "web", 80)]
    assert (own["verdict"], calls[("*", "web", 80)]["verdict"]) == ("broken", "strict")
    url = f"http://{bed.host('web')}:80/"
    for caller, call in (("meshed", own), ("aside", calls[("*", "web", 80)])):
        heard = steady(lambda caller=caller: bed.call(caller, url), lambda h, call=call: same(h, foreseen(call)))
        assert same(heard, foreseen(call)), (caller, heard)


def test_a_call_that_leaves_the_sidecar_out(bed: Bed) -> None:
    bed.policies(bed.peer())
    call = bed.calls()[(f"{bed.namespace}/aloof", "web", 82)]
    assert (call["verdict"], call["rule"]) == ("broken", "client_not_captured")
    url = f"http://{bed.host('web')}:82/"
    heard = steady(lambda: bed.call("aloof", url), lambda h: same(h, foreseen(call)))
    assert same(heard, foreseen(call)), heard


@pytest.mark.parametrize(
    ("make", "near", "far"),
    [
        (lambda b: [b.destination_rule("web", "DISABLE", namespace=b.far)], "strict", "broken"),
        (lambda b: [b.destination_rule("web", "DISABLE", exported=".")], "broken", "strict"),
        (
            lambda b: [
                b.destination_rule("web", "DISABLE"),
                b.destination_rule("web", "ISTIO_MUTUAL", namespace=b.far),
            ],
            "broken",
            "strict",
        ),
        (lambda b: [b.sidecar("./*")], "strict", "broken"),
    ],
    ids=[
        "the client's namespace",
        "private to the service's",
        "the client's before the service's",
        "a Sidecar object hides it",
    ],
)
def test_each_namespace_has_its_own_rules(bed: Bed, make: Any, near: str, far: str) -> None:
    bed.policies(bed.peer(), *make(bed))
    client = f"{bed.far}/far"
    calls = bed.calls(clients=["*", f"{bed.namespace}/meshed", client], services=[f"{bed.namespace}/web"])
    url = f"http://{bed.host('web')}:80/"
    verdicts = {}
    for caller, name in (("meshed", f"{bed.namespace}/meshed"), ("far", client)):
        call = calls.get((name, "web", 80)) or calls[("*", "web", 80)]
        verdicts[caller] = call["verdict"]
        heard = steady(lambda caller=caller: bed.call(caller, url), lambda h, call=call: same(h, foreseen(call)))
        assert same(heard, foreseen(call)), (caller, heard, call)
    assert verdicts == {"meshed": near, "far": far}


def test_what_if_foresees_what_breaks(bed: Bed) -> None:
    bed.policies(bed.destination_rule("web", "DISABLE"))
    told = run_module("mtls_info", what_if={"namespaces": [bed.namespace]}, namespaces=[bed.namespace])["what_if"]
    broken = {(entry["client"], entry["service"], entry["port"]) for entry in told["breaks"]}
    # The headless service breaks too: one of its pods has no sidecar, so all of them get plain text.
    web, space = f"{bed.namespace}/web", bed.namespace
    for port in (80, 81, 82):
        assert ("*", web, port) in broken
    assert {("*", f"{space}/mixed", 8080), ("*", f"{space}/shy", 80), (f"{space}/aloof", web, 82)} <= broken
    assert {service for _client, service, _port in broken} == {web, f"{space}/mixed", f"{space}/shy"}
    assert f"{bed.namespace}/outside" in told["callers"]
    url = f"http://{bed.host('web')}:80/"
    assert steady(lambda: bed.call("meshed", url), lambda h: h.came_through).came_through, "now it works"
    bed.policies(bed.destination_rule("web", "DISABLE"), bed.peer())
    heard = steady(lambda: bed.call("meshed", url), lambda h: not h.came_through)
    assert not heard.came_through, "and then it does not"


# Cases above that break a demand of STRICT, and cases that meet it.
BROKEN = (
    "permissive",
    "disable",
    "port exception",
    "namespace DISABLE, workload STRICT",
    "DestinationRule DISABLE against STRICT",
    "the older of two workload policies",
    "un-injected pod",
    "headless with a pod without sidecar",
)
WHOLE = ("strict", "UNSET inherits", "the older of two policies", "headless")


@pytest.mark.xdist_group("mtls, playbook")
@pytest.mark.parametrize("case", [*BROKEN, *WHOLE])
def test_the_playbook_fails_with_the_finding_where_there_is_one(bed: Bed, tmp_path: Path, case: str) -> None:
    make, service, port, *_verdicts = CASES[case]
    bed.policies(*make(bed))
    # All other deviations of this namespace are excepted, without those of the service in question.
    others = {"bare", "aside", "web-headless", "mixed", "liar", "shy", "web"} - {service}
    workloads = {"bare", "outside", "meshed", "aside", "liar", "shy", "aloof"} - {service}
    named = {service, "bare"} if service == "mixed" else {service}  # a pod of it, which is not excepted then
    workloads -= named
    exceptions = [{"service": f"{bed.namespace}/{name}"} for name in sorted(others)]
    exceptions += [{"workload": f"{bed.namespace}/{name}"} for name in sorted(workloads)]
    if case in WHOLE:  # a call that does not pass its caller's sidecar is a deviation in each case
        exceptions.append({"service": f"{bed.namespace}/web", "port": 82, "client": f"{bed.namespace}/aloof"})
    options = {
        "verify_mtls_want": {bed.namespace: "strict"},
        "verify_mtls_exceptions": exceptions,
        "verify_mtls_namespaces": [bed.namespace],
        "verify_mtls_probes": ["listener"],
        "verify_mtls_report_directory": str(tmp_path),
    }
    run = ansible_playbook("verify_mtls.yml", "-i", "inventories/local", "-e", json.dumps(options))
    report = json.loads((tmp_path / "mtls-local.json").read_text())
    junit = (tmp_path / "mtls-local.xml").read_text().splitlines()[1]
    if case in WHOLE:
        assert run.returncode == 0, run.told
        assert report["compliant"] is True
        assert 'failures="0"' in junit
        return
    assert run.returncode == 2, run.told
    about = f"Service {bed.namespace}/{service} port {port}"
    findings = [f for f in report["findings"] if (f["object"], f["severity"]) == (about, "error")]
    assert findings, report["findings"]
    shown = " ".join(run.text.split())
    for finding in findings:
        assert f"{about}: {' '.join(finding['message'].split())}" in shown, finding
    assert report["compliant"] is False
    told = {f["object"].split()[1] for f in report["violations"]}
    assert told == {f"{bed.namespace}/{name}" for name in named}, "what is excepted is not reported"
    assert 'failures="0"' not in junit


def test_missing_rights_are_named_and_nothing_is_called_strict(bed: Bed) -> None:
    """An identity that may list everything except PeerAuthentications, and may not forward a port."""
    name = bed.namespace
    listed = [
        *(([""], ["pods", "services", "namespaces", "configmaps"]), (["discovery.k8s.io"], ["endpointslices"])),
        *((["networking.istio.io"], ["*"]), (["apps"], ["deployments"])),
    ]
    rules = [{"apiGroups": groups, "resources": resources, "verbs": ["get", "list"]} for groups, resources in listed]
    role = {"metadata": {"name": name}, "rules": rules}
    subject = {"kind": "User", "name": name, "apiGroup": "rbac.authorization.k8s.io"}
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name}
    binding = {"metadata": {"name": name}, "subjects": [subject], "roleRef": reference}
    rbac = "/apis/rbac.authorization.k8s.io/v1"
    bed.policies(bed.peer())
    try:
        bed.client.request("POST", f"{rbac}/clusterroles", body=role)
        bed.client.request("POST", f"{rbac}/clusterrolebindings", body=binding)
        result = bed.judged(impersonate_user=name)
        assert calls_of(result)[("*", "web", 80)]["verdict"] == "unknown"
        assert "strict" not in {call["verdict"] for call in result["calls"]}
        assert result["compliant"] is False
        (finding,) = [f for f in result["findings"] if f["code"] == "incomplete"]
        assert "verb list on peerauthentications.security.istio.io in all namespaces is missing" in finding["message"]
        rules.append({"apiGroups": ["security.istio.io"], "resources": ["*"], "verbs": ["list"]})
        bed.client.request("PUT", f"{rbac}/clusterroles/{name}", body=role)
        asked = steady(
            lambda: run_module("mtls_probe", namespaces=[name], probes=["listener"], impersonate_user=name),
            lambda told: calls_of(told)[("*", "web", 80)]["verdict"] == "strict",
            still=0,
        )
        assert calls_of(asked)[("*", "web", 80)]["verdict"] == "strict"
        assert {call["proof"] for call in asked["calls"]} == {"unproved"}
        (finding,) = [f for f in asked["findings"] if f["code"] == "unproved"]
        assert finding["change"] == "Grant the right to create pods/portforward."
    finally:
        for plural in ("clusterrolebindings", "clusterroles"):
            with contextlib.suppress(ApiError):
                bed.client.request("DELETE", f"{rbac}/{plural}/{name}")
