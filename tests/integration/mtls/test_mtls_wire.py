# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every way of breaking mutual TLS on the cluster: what mtls_info computes, against an actual call, plain and meshed."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import ApiError

from tests.integration.conftest import run_module
from tests.integration.mtls.bed import Bed, Heard, calls_of, steady
from tests.integration.mtls.cases import CASES, SAME

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("cluster")]


def foreseen(call: dict[str, Any]) -> Heard:
    """How a call must end by its verdict and modes. Only a sidecar before the server adds the certificate header."""
    through = call["verdict"] in ("strict", "encrypted_not_enforced", "plaintext_allowed", "plaintext")
    mutual = through and call["client_mode"] == "mtls" and call["server_mode"] in ("STRICT", "PERMISSIVE")
    return Heard(200, mutual) if through else Heard(0, False)


def same(heard: Heard, expected: Heard) -> bool:
    """A broken call is a closed connection, or the caller's sidecar's own 503; an answer must be of the foreseen kind."""
    return heard == expected if expected.came_through else heard.status in (0, 502, 503)


@pytest.mark.parametrize("names", SAME, ids=" / ".join)
def test_the_wire_does_what_was_computed(bed: Bed, names: list[str]) -> None:
    bed.policies(*CASES[names[0]][0](bed))
    result = bed.judged()
    calls = calls_of(result)
    not_as_demanded = {finding["object"] for finding in result["violations"]}
    by_mesh, by_outside, wanted = [], [], []
    for name in names:
        _make, service, port, star, plain, rule = CASES[name]
        meshed, outside = calls[("*", service, port)], calls[("plaintext", service, port)]
        assert (meshed["verdict"], outside["verdict"], meshed["rule"]) == (star, plain, rule), (name, meshed["reason"])
        about = f"Service {bed.namespace}/{service} port {port}"
        assert (about in not_as_demanded) == ((star, plain) != ("strict", "broken")), (name, "STRICT is demanded")
        if rule:
            assert (about, rule) in {(finding["object"], finding["code"]) for finding in result["findings"]}, name
        wanted.append((foreseen(meshed), foreseen(outside)))
        if service in (
            "web-headless",
            "mixed",
        ):  # the pod that the verdict is about, by its address, as DNS would give it
            by_mesh.append((f"http://{bed.ip('web')}:8080/", {"Host": bed.host(service)}))
            by_outside.append((f"http://{bed.ip('bare' if service == 'mixed' else 'web')}:8080/", {}))
        else:
            by_mesh.append((f"http://{bed.host(service)}:{port}/", {}))
            by_outside.append(by_mesh[-1])

    def right(heard: list[tuple[Heard, Heard]]) -> list[bool]:
        return [same(have[0], want[0]) and same(have[1], want[1]) for have, want in zip(heard, wanted, strict=True)]

    heard = steady(
        lambda: list(zip(bed.calls_by("meshed", by_mesh), bed.calls_by("outside", by_outside), strict=True)),
        lambda found: all(right(found)),
    )
    for name, good, have, want in zip(names, right(heard), heard, wanted, strict=True):
        assert good, (name, have, want)


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
    call = bed.calls()[(f"{bed.namespace}/aloof", "web", bed.kept)]
    assert (call["verdict"], call["rule"]) == ("broken", "client_not_captured")
    url = f"http://{bed.host('web')}:{bed.kept}/"
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


def test_a_copy_of_a_call_that_leaves_the_mesh_is_told(bed: Bed) -> None:
    """The call itself is mutual TLS."""
    bed.policies(bed.peer(), bed.route("web", copies_to="bare"))
    call = bed.calls()[("*", "web", 80)]
    assert (call["verdict"], call["rule"]) == ("plaintext", "routed_elsewhere"), call["reason"]
    url = f"http://{bed.host('web')}:80/"

    def copies() -> set[str]:
        assert bed.call("meshed", url) == Heard(200, True)
        return {certificate for host, certificate in bed.heard("bare") if host == bed.host("web")}

    assert steady(copies, lambda found: found == {"plain"}, still=0) == {"plain"}


def test_what_if_foresees_what_breaks(bed: Bed) -> None:
    bed.policies(bed.destination_rule("web", "DISABLE"))
    told = run_module("mtls_info", what_if={"namespaces": [bed.namespace]}, namespaces=[bed.namespace])["what_if"]
    broken = {(entry["client"], entry["service"], entry["port"]) for entry in told["breaks"]}
    # The headless service breaks too: one of its pods has no sidecar, so all of them get plain text.
    web, space = f"{bed.namespace}/web", bed.namespace
    for port in (80, 81, bed.kept):
        assert ("*", web, port) in broken
    assert {("*", f"{space}/mixed", 8080), ("*", f"{space}/shy", 80), (f"{space}/aloof", web, bed.kept)} <= broken
    assert {service for _client, service, _port in broken} == {web, f"{space}/mixed", f"{space}/shy"}
    assert f"{bed.namespace}/outside" in told["callers"]
    url = f"http://{bed.host('web')}:80/"
    assert steady(lambda: bed.call("meshed", url), lambda h: h.came_through).came_through, "now it works"
    bed.policies(bed.destination_rule("web", "DISABLE"), bed.peer())
    heard = steady(lambda: bed.call("meshed", url), lambda h: not h.came_through)
    assert not heard.came_through, "and then it does not"


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
