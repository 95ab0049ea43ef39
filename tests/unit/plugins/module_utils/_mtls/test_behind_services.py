# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands behind a service: slices without pods, other networks, resolution NONE, and what the Kubernetes Gateway API says of it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.plugins.module_utils._mtls.mtls_objects import (
    ROOT,
    calls,
    destination_rule,
    namespace,
    obj,
    peer_authentication,
    pick,
    pod,
    service,
)

WEB = pod("a", "web", ip="10.0.0.1")
FAR = pod("b", "far", ip="10.0.0.2")
STRICT = peer_authentication(ROOT)


def verdicts(*objects: Any, where: str = "a/web", client: str = "*", port: int = 80, **more: Any) -> tuple[str, str]:
    found = calls([WEB, FAR, STRICT, *objects], **more)
    return str(pick(found, where, client, port).verdict), str(pick(found, where, "plaintext", port).verdict)


# EndpointSlices --------------------------------------------------------------------------------------------------------


def sliced(*endpoints: dict[str, Any], **fields: Any) -> list[dict[str, Any]]:
    made = service("a", "web", [WEB])
    made[1]["endpoints"] += endpoints
    return [made[0], {**made[1], **fields}]


@pytest.mark.parametrize(
    ("endpoints", "fields", "expected"),
    [
        ([], {}, ("strict", "broken")),
        ([{"addresses": ["10.0.0.1"]}], {}, ("strict", "broken")),
        # For istiod an address is a pod's only in the slice's own namespace: it sends plain text there.
        ([{"addresses": ["10.0.0.2"]}], {}, ("broken", "broken")),
        ([{"addresses": ["192.0.2.1"]}], {}, ("plaintext", "plaintext")),
        ([{"addresses": ["192.0.2.1"], "targetRef": {"kind": "Node", "name": "n"}}], {}, ("plaintext", "plaintext")),
        ([{"addresses": ["out.example"]}], {"addressType": "FQDN"}, ("strict", "broken")),  # istiod skips them
        (
            [{"addresses": [], "targetRef": {"kind": "Pod", "namespace": "a", "name": "gone"}}],
            {},
            ("unknown", "unknown"),
        ),
        (
            [
                {
                    "addresses": [],
                    "conditions": {"ready": False},
                    "targetRef": {"kind": "Pod", "namespace": "a", "name": "gone"},
                }
            ],
            *({}, ("strict", "broken")),
        ),
    ],
)
def test_slices(endpoints: list[dict[str, Any]], fields: dict[str, Any], expected: tuple[str, str]) -> None:
    assert verdicts(*sliced(*endpoints, **fields)) == expected


# ServiceEntries and WorkloadEntries ------------------------------------------------------------------------------------


def service_entry(**spec: Any) -> dict[str, Any]:
    ports = [{"number": 80, "name": "http", "protocol": "HTTP", "targetPort": 8080}]
    return obj("ServiceEntry", "a", "se", {"hosts": ["se.global"], "ports": ports, **spec})


SELECTOR = {"workloadSelector": {"labels": {"app": "web"}}}
ENDPOINTS = {"endpoints": [{"address": "10.0.0.1", "serviceAccount": "x"}]}


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"location": "MESH_INTERNAL", "resolution": "STATIC", **SELECTOR}, ("strict", "broken")),
        # Neither a selector nor endpoints say where a call goes.
        ({"location": "MESH_INTERNAL", "resolution": "NONE", **SELECTOR}, ("unknown", "unknown")),
        ({"location": "MESH_INTERNAL", "resolution": "NONE", **ENDPOINTS}, ("unknown", "unknown")),
        ({"location": "MESH_INTERNAL", "resolution": "NONE"}, ("unknown", "unknown")),
        ({"location": "MESH_INTERNAL", **SELECTOR}, ("unknown", "unknown")),  # NONE is the default
        ({"location": "MESH_EXTERNAL", "resolution": "NONE", **ENDPOINTS}, ("not_enforced", "not_enforced")),
        ({"resolution": "NONE"}, ("not_enforced", "not_enforced")),
    ],
)
def test_resolution_none(spec: dict[str, Any], expected: tuple[str, str]) -> None:
    assert verdicts(service_entry(**spec), where="a/se.global") == expected


@pytest.mark.parametrize(
    ("network", "label", "expected"), [("", "", "broken"), ("far", "", "unknown"), ("n1", "n1", "broken")]
)
def test_another_networks_gateway_is_not_known(network: str, label: str, expected: str) -> None:
    places = [namespace(ROOT, **({"topology.istio.io/network": label} if label else {})), namespace("a")]
    entry = {"address": "10.0.0.1", "network": network}
    inside = {"location": "MESH_INTERNAL", "resolution": "STATIC"}
    assert verdicts(service_entry(endpoints=[entry], **inside), *places, where="a/se.global")[0] == expected
    vm = obj("WorkloadEntry", "a", "vm", {**entry, "labels": {"app": "web"}})
    assert verdicts(service("a", "web", [WEB], selector={"app": "web"}), vm, *places)[0] == expected


# BackendTLSPolicies ----------------------------------------------------------------------------------------------------


def policy(*refs: dict[str, Any], where: str = "a", **meta: Any) -> dict[str, Any]:
    return obj("BackendTLSPolicy", where, "tls", {"targetRefs": list(refs), "validation": {"hostname": "x"}}, **meta)


REF = {"group": "", "kind": "Service", "name": "web"}
HTTP = service("a", "web", [WEB], {80: 8080, 81: 8081})


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (policy(REF), ("broken", "broken")),
        (policy(REF, where="b"), ("strict", "strict")),
        (policy({**REF, "name": "other"}), ("strict", "strict")),
        (policy({**REF, "kind": "ServiceEntry"}), ("strict", "strict")),
        (policy({**REF, "sectionName": "p80"}), ("broken", "strict")),
        (policy({**REF, "sectionName": "none"}), ("strict", "strict")),
        (policy({**REF, "sectionName": "p81"}, {**REF, "sectionName": "p80"}), ("broken", "broken")),
        (policy(REF, annotations={"istio.io/ignore-policy-attachment": "True"}), ("strict", "strict")),
    ],
)
def test_a_backend_tls_policy_sets_tls_that_is_not_the_meshs(given: dict[str, Any], expected: tuple[str, str]) -> None:
    assert (verdicts(HTTP, given)[0], verdicts(HTTP, given, port=81)[0]) == expected


def test_it_is_older_than_all_destination_rules_and_of_the_services_namespace() -> None:
    mine = destination_rule("a", "web.a.svc.cluster.local", "ISTIO_MUTUAL")
    assert verdicts(HTTP, policy(REF), mine)[0] == "broken"
    theirs = destination_rule("b", "web.a.svc.cluster.local", "ISTIO_MUTUAL")
    assert verdicts(HTTP, policy(REF), theirs, client="b/far")[0] == "strict"
    call = pick(calls([WEB, HTTP, STRICT, policy(REF)]), "a/web")
    assert "DestinationRule a/tls (BackendTLSPolicy)" in call.reason


def test_of_a_service_entry() -> None:
    entry = service_entry(location="MESH_INTERNAL", resolution="STATIC", **SELECTOR)
    ref = {"group": "networking.istio.io", "kind": "ServiceEntry", "name": "se"}
    assert verdicts(entry, policy(ref), where="a/se.global")[0] == "broken"


# Routes for services ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["HTTPRoute", "GRPCRoute", "TCPRoute", "TLSRoute"])
@pytest.mark.parametrize(
    ("where", "parent", "client", "expected"),
    [
        ("a", REF, "*", "unknown"),
        ("a", {**REF, "port": 80}, "*", "unknown"),
        ("a", {**REF, "port": 81}, "*", "strict"),
        ("a", {"kind": "Gateway", "name": "web"}, "*", "strict"),
        ("a", {"name": "web"}, "*", "strict"),  # a Gateway
        ("a", {**REF, "name": "other"}, "*", "strict"),
        ("b", {**REF, "namespace": "a"}, "b/far", "unknown"),
        ("b", {**REF, "namespace": "a"}, "*", "strict"),
        ("b", REF, "b/far", "strict"),
        ("a", {"kind": "Hostname", "name": "web.a.svc.cluster.local"}, "*", "unknown"),
    ],
)
def test_routes_of_the_gateway_api(kind: str, where: str, parent: dict[str, Any], client: str, expected: str) -> None:
    route = obj(kind, where, "r", {"parentRefs": [parent], "rules": []})
    assert verdicts(HTTP, route, client=client) == (expected, "broken")


def test_the_reason_names_the_route() -> None:
    route = obj("HTTPRoute", "a", "r", {"parentRefs": [REF]})
    call = pick(calls([WEB, HTTP, STRICT, route]), "a/web")
    assert "HTTPRoute a/r routes the calls, which is not computed" in call.reason


@pytest.mark.parametrize("kind", ["BackendTLSPolicy", "HTTPRoute", "GRPCRoute", "TCPRoute", "TLSRoute"])
def test_kinds_that_could_not_be_read_leave_it_open(kind: str) -> None:
    assert verdicts(HTTP, missing={kind: "no"}) == ("unknown", "broken")
