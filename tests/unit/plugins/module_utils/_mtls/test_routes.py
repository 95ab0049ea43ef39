# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VirtualServices: where calls to a service really go."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.engine import Engine

from tests.unit.plugins.module_utils._mtls.mtls_objects import (
    calls,
    destination_rule,
    mesh,
    namespace,
    obj,
    peer_authentication,
    pick,
    pod,
    service,
)

WEB, OLD = pod("a", "web", ip="10.0.0.1"), pod("a", "old", sidecar=False, ip="10.0.0.2")
FAR = pod("b", "far", labels={"team": "x"})
MESH = [
    *(WEB, OLD, FAR, pod("b", "near")),
    service("a", "web", [WEB], {80: 8080, 81: 8081}),
    service("a", "old", [OLD]),
    service("a", "empty", []),
    service("a", "two", [OLD], {82: 8082, 83: 8083}),
    peer_authentication("istio-system"),
]


def to(host: str, weight: int | None = None, port: int = 0, subset: str = "") -> dict[str, Any]:
    destination: dict[str, Any] = {"host": host}
    if port:
        destination["port"] = {"number": port}
    if subset:
        destination["subset"] = subset
    return {"destination": destination, **({} if weight is None else {"weight": weight})}


def http(*routes: dict[str, Any], match: list[dict[str, Any]] | None = None, **more: Any) -> dict[str, Any]:
    return {"route": list(routes), **({} if match is None else {"match": match}), **more}


def virtual_service(*http_routes: dict[str, Any], where: str = "a", name: str = "vs", **spec: Any) -> dict[str, Any]:
    age = spec.pop("age", 1)
    return obj("VirtualService", where, name, {"hosts": ["web"], "http": list(http_routes), **spec}, age)


def verdict(*objects: Any, client: str = "*", port: int = 80, spoken: str = "http", **more: Any) -> str:
    made = service("a", "web", [WEB], {80: 8080, 81: 8081})
    for offered, own in zip(made[0]["spec"]["ports"], made[1]["ports"], strict=True):
        offered["name"] = own["name"] = f"{spoken}-{offered['port']}" if spoken else own["name"]
    rest = [entry for entry in MESH if entry is not MESH[4]]
    return str(pick(calls([*rest, made, *objects], **more), "a/web", client, port).verdict)


OLD_ONLY = http(to("old"))
WEB_ONLY = http(to("web"))
SCOPE = {"egress": [{"hosts": ["a/web.a.svc.cluster.local"]}]}


# What a VirtualService of the service's namespace makes of the calls of everybody.
@pytest.mark.parametrize(
    ("routes", "expected"),
    [
        ([], "strict"),
        ([WEB_ONLY], "strict"),
        ([OLD_ONLY], "plaintext"),
        ([http(to("old.a.svc.cluster.local"))], "plaintext"),
        ([http(to("web", 99), to("old", 1))], "plaintext"),
        ([http(to("web", 100), to("old", 0))], "strict"),
        ([http(to("web", 100), to("old"))], "strict"),  # no weight is 0
        ([http(to("old", 0))], "plaintext"),  # a single one counts whatever its weight
        ([http(to("web"), mirror={"host": "old"})], "plaintext"),
        ([http(to("web"), mirror={"host": "old"}, mirrorPercentage={"value": 0})], "strict"),
        ([http(to("web"), mirror={"host": "old"}, mirror_percent=0)], "strict"),
        ([http(to("web"), mirror={"host": "old"}, mirrorPercent=0)], "strict"),
        ([http(to("web"), mirror={"host": "old"}, mirror_percent=1)], "plaintext"),
        ([http(to("web"), mirrors=[to("old")])], "plaintext"),
        ([http(to("web"), mirrors=[{**to("old"), "percentage": {"value": 0.0}}])], "strict"),
        ([http(to("web"), match=[{"uri": {"prefix": "/old"}}]), OLD_ONLY], "plaintext"),
        ([http(to("old"), match=[{"uri": {"prefix": "/old"}}]), WEB_ONLY], "plaintext"),
        ([WEB_ONLY, OLD_ONLY], "strict"),  # what comes after a route for everything is never reached
        ([http(to("web"), match=[{"uri": {"prefix": "/"}}]), OLD_ONLY], "strict"),
        ([http(to("web"), match=[{"uri": {"prefix": "/"}, "headers": {"x": {"exact": "1"}}}]), OLD_ONLY], "plaintext"),
        ([http(to("web"), match=[{"method": {"exact": "GET"}}]), OLD_ONLY], "plaintext"),
        ([http(to("old"), match=[{"port": 81}]), WEB_ONLY], "strict"),
        ([http(to("old"), match=[{"gateways": ["a/gate"]}]), WEB_ONLY], "strict"),
        ([http(to("old"), match=[{"gateways": ["mesh"]}]), WEB_ONLY], "plaintext"),
        ([http(to("nobody"))], "unknown"),
        ([http(to("empty"))], "unknown"),
        ([http(to("web", port=99))], "unknown"),
        ([http(to("web", subset="none"))], "unknown"),
        ([{"redirect": {"uri": "/x"}}], "unknown"),
        ([{"directResponse": {"status": 403}}], "unknown"),
        ([{"redirect": {"uri": "/x"}, "match": [{"uri": {"exact": "/"}}]}, WEB_ONLY], "strict"),
        ([http(to("two", port=82))], "plaintext"),
        ([http(to("two"))], "unknown"),  # port 80, which it does not have
    ],
)
def test_http_routes(routes: list[dict[str, Any]], expected: str) -> None:
    assert verdict(virtual_service(*routes)) == expected


def test_the_reason_names_the_virtual_service_and_where_it_sends_the_call() -> None:
    call = pick(calls([*MESH, virtual_service(OLD_ONLY)]), "a/web")
    assert call.reason.startswith("VirtualService a/vs sends calls to old.a.svc.cluster.local port 80: ")
    assert (call.rule, call.backends) == ("routed_elsewhere", ("a/old", "a/web"))
    assert pick(calls([*MESH, virtual_service(OLD_ONLY)]), "a/web", "plaintext").verdict == "broken"


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"hosts": ["web.a.svc.cluster.local"]}, "plaintext"),
        ({"hosts": ["other", "*.a.svc.cluster.local"]}, "plaintext"),
        ({"hosts": ["*"]}, "plaintext"),
        ({"hosts": ["other"]}, "strict"),
        ({"hosts": ["*.b.svc.cluster.local"]}, "strict"),
        ({"gateways": ["mesh"]}, "plaintext"),
        ({"gateways": ["a/gate", "mesh"]}, "plaintext"),
        ({"gateways": ["a/gate"]}, "strict"),
        ({"exportTo": ["*"]}, "plaintext"),
        ({"exportTo": ["~"]}, "strict"),
    ],
)
def test_whom_a_virtual_service_concerns(spec: dict[str, Any], expected: str) -> None:
    assert verdict(virtual_service(OLD_ONLY, **spec)) == expected


@pytest.mark.parametrize(
    ("client", "spec", "config", "expected"),
    [
        ("b/far", {"exportTo": ["."]}, {}, "strict"),
        ("b/far", {"exportTo": ["b"]}, {}, "plaintext"),
        ("b/far", {}, {"defaultVirtualServiceExportTo": ["."]}, "strict"),
        ("a/web", {}, {"defaultVirtualServiceExportTo": ["."]}, "plaintext"),
        ("a/web", {"exportTo": ["."]}, {}, "plaintext"),
        ("a/web", {"exportTo": ["b"]}, {}, "strict"),
    ],
)
def test_who_sees_a_virtual_service(client: str, spec: dict[str, Any], config: dict[str, Any], expected: str) -> None:
    assert verdict(virtual_service(OLD_ONLY, **spec), client=client, config=config) == expected


@pytest.mark.parametrize(
    ("match", "client", "expected"),
    [
        ({"sourceNamespace": "b"}, "b/far", "plaintext"),
        ({"sourceNamespace": "b"}, "a/web", "strict"),
        ({"sourceNamespace": "b"}, "*", "strict"),
        ({"sourceLabels": {"team": "x"}}, "b/far", "plaintext"),
        ({"sourceLabels": {"team": "x"}}, "b/near", "strict"),
        ({"sourceLabels": {"team": "x"}, "sourceNamespace": "a"}, "b/far", "strict"),
        # With gateways, the labels and the namespace are not looked at.
        ({"sourceNamespace": "b", "gateways": ["mesh"]}, "a/web", "plaintext"),
    ],
)
def test_matches_of_the_client(match: dict[str, Any], client: str, expected: str) -> None:
    assert verdict(virtual_service(http(to("old"), match=[match]), WEB_ONLY), client=client) == expected


def test_of_two_for_one_host_the_first_takes_it() -> None:
    old, new = virtual_service(WEB_ONLY, name="z"), virtual_service(OLD_ONLY, name="a", age=2)
    assert verdict(old, new) == "strict"
    assert verdict(old, virtual_service(OLD_ONLY, name="a", age=2, exportTo=["a"]), client="a/web") == "plaintext"
    wild = virtual_service(OLD_ONLY, name="wild", hosts=["*.a.svc.cluster.local"])
    longer = virtual_service(WEB_ONLY, name="longer", hosts=["*b.a.svc.cluster.local"], age=2)
    assert verdict(wild, new) == "plaintext"
    assert verdict(wild, old) == "strict"
    assert verdict(wild, longer) == "strict", "the longest wildcard"
    for_others = virtual_service(http(to("old"), match=[{"port": 81}]), name="b")
    assert verdict(for_others, wild) == "strict", "the host itself keeps wildcards away, even without a route"
    assert verdict(for_others, new) == "plaintext"


NEW = {"shinyNew": 1}
DOUBTED = virtual_service({**WEB_ONLY, **NEW}, name="a", age=2)


@pytest.mark.parametrize(
    ("others", "spoken", "expected"),
    [
        ([], "http", "unknown"),
        ([], "tcp", "unknown"),
        ([virtual_service(WEB_ONLY, name="old")], "http", "strict"),
        ([virtual_service(WEB_ONLY, name="old")], "tcp", "unknown"),  # it has no TCP routes, so the next one counts
        ([virtual_service(WEB_ONLY, name="new", age=3)], "http", "unknown"),
        ([virtual_service(OLD_ONLY, name="new", age=3)], "http", "unknown"),
        ([virtual_service(WEB_ONLY, name="wild", hosts=["*"])], "http", "unknown"),
    ],
)
def test_a_virtual_service_that_is_not_understood_counts_where_its_turn_is(
    others: list[Any], spoken: str, expected: str
) -> None:
    assert verdict(DOUBTED, *others, spoken=spoken) == expected


def test_a_virtual_service_whose_hosts_are_not_known_may_have_a_host_before_others() -> None:
    unclear = obj("VirtualService", "a", "unclear", {"http": [OLD_ONLY], "names": ["web"]}, age=2)
    assert verdict(unclear, virtual_service(WEB_ONLY, age=3)) == "unknown"
    assert verdict(unclear, virtual_service(WEB_ONLY, age=1)) == "strict"


def test_what_is_not_understood_is_no_call_that_goes_elsewhere() -> None:
    call = pick(calls([*MESH, DOUBTED]), "a/web")
    assert call.rule is None
    assert "VirtualService a/a: spec.http[].shinyNew is not known here" in call.reason
    assert call.client_mode == "UNKNOWN"


def test_a_doubt_about_the_route_of_an_outside_host_is_unknown() -> None:
    """It may lead into the mesh."""
    ports = [{"number": 80, "name": "http", "protocol": "HTTP"}]
    spec = {"hosts": ["out.example"], "location": "MESH_EXTERNAL", "resolution": "DNS", "ports": ports}
    outside = obj("ServiceEntry", "a", "out", spec)
    doubted = virtual_service({**WEB_ONLY, **NEW}, hosts=["out.example"])
    assert pick(calls([*MESH, outside]), "a/out.example").verdict == "not_enforced"
    assert pick(calls([*MESH, outside, doubted]), "a/out.example").verdict == "unknown"


TCP = [{"match": [{"port": 80}], "route": [to("old")]}]


@pytest.mark.parametrize(
    ("spoken", "spec", "expected"),
    [
        ("tcp", {"tcp": TCP}, "plaintext"),
        ("tcp", {"tcp": [{"route": [to("web", port=80)]}, *TCP]}, "strict"),
        ("tcp", {"tcp": [{"match": [{"destinationSubnets": ["10.0.0.0/8"]}], "route": [to("web")]}]}, "strict"),
        ("tcp", {"tcp": [{"match": [{"destinationSubnets": ["10.0.0.0/8"]}], "route": [to("old")]}]}, "plaintext"),
        ("tcp", {"tcp": [{"match": [{"port": 81}], "route": [to("old")]}]}, "strict"),
        ("tcp", {"tcp": [{"route": [to("web", 1), to("old", 0)]}]}, "strict"),
        ("tcp", {"tcp": [{"route": [to("two", port=82)]}]}, "plaintext"),
        ("tcp", {"http": [OLD_ONLY]}, "strict"),  # no HTTP there
        ("http", {"tcp": TCP}, "strict"),
        ("", {"http": [OLD_ONLY]}, "plaintext"),
        ("", {"tcp": TCP, "http": [WEB_ONLY]}, "plaintext"),
        ("", {"tcp": TCP}, "plaintext"),
        ("https", {"tcp": TCP}, "strict"),
        ("https", {"tls": [{"match": [{"sniHosts": ["web"]}], "route": [to("old")]}]}, "plaintext"),
        ("https", {"tls": [{"match": [{"sniHosts": ["web"], "port": 81}], "route": [to("old")]}]}, "strict"),
        (
            "https",
            {
                "tls": [
                    {"match": [{"sniHosts": ["web"]}], "route": [to("web", port=80)]},
                    {"match": [{"sniHosts": ["web"]}], "route": [to("old")]},
                ]
            },
            "strict",
        ),
        ("tcp", {"tls": [{"match": [{"sniHosts": ["web"]}], "route": [to("old")]}]}, "strict"),
    ],
)
def test_connections(spoken: str, spec: dict[str, Any], expected: str) -> None:
    assert verdict(virtual_service(**{"http": [], **spec}), spoken=spoken) == expected


def test_subsets_count_as_the_routes_name_them() -> None:
    """A subset that gets no calls does not count once a VirtualService says who gets them."""
    subsets = [
        {"name": "good", "labels": {}},
        {"name": "bad", "labels": {}, "trafficPolicy": {"tls": {"mode": "DISABLE"}}},
    ]
    rule = destination_rule("a", "web.a.svc.cluster.local", policy=False, subsets=subsets)
    assert verdict(rule) == "broken"
    assert verdict(rule, virtual_service(http(to("web", 1, subset="good"), to("web", 0, subset="bad")))) == "strict"
    assert verdict(rule, virtual_service(http(to("web", 1, subset="good"), to("web", 1, subset="bad")))) == "broken"


ROOT = {"match": [{"uri": {"prefix": "/a"}}], "delegate": {"name": "part"}}


@pytest.mark.parametrize(
    ("root", "delegate", "expected"),
    [
        (ROOT, [OLD_ONLY], "plaintext"),
        ({"delegate": {"name": "part"}}, [OLD_ONLY], "plaintext"),
        (ROOT, [http(to("old"), match=[{"uri": {"prefix": "/a/b"}}])], "plaintext"),
        (ROOT, [http(to("old"), match=[{"uri": {"prefix": "/b"}}])], "strict"),  # contradicts its root
        (ROOT, [http(to("old"), match=[{"uri": {"exact": "/a"}}, {"uri": {"regex": "/a"}}])], "strict"),
        ({**ROOT, "match": [{"port": 80}]}, [http(to("old"), match=[{"port": 81}])], "strict"),
        ({**ROOT, "match": [{"sourceNamespace": "a"}]}, [OLD_ONLY], "strict"),
        ({**ROOT, "delegate": {"name": "nobody"}}, [OLD_ONLY], "strict"),
        ({**ROOT, "delegate": {"name": "part", "namespace": "b"}}, [OLD_ONLY], "strict"),
        ({**ROOT, "mirror": {"host": "old"}}, [WEB_ONLY], "plaintext"),
    ],
)
def test_delegates(root: dict[str, Any], delegate: list[dict[str, Any]], expected: str) -> None:
    part = virtual_service(*delegate, name="part", hosts=[])
    assert verdict(virtual_service(root, WEB_ONLY), part) == expected


def test_a_delegate_that_is_not_exported_to_its_root_is_left_out() -> None:
    part = virtual_service(http(to("old.a.svc.cluster.local")), name="part", where="b", hosts=[], exportTo=["."])
    root = virtual_service({"delegate": {"name": "part", "namespace": "b"}}, WEB_ONLY)
    assert verdict(root, part) == "strict"


@pytest.mark.parametrize(
    ("egress", "where", "expected"),
    [
        ("a/web.a.svc.cluster.local", "a", "plaintext"),  # what it routes to is imported with it
        ("a/*", "a", "plaintext"),
        ("*/*", "a", "plaintext"),
        ("a/*", "c", "strict"),
        ("*/web.a.svc.cluster.local", "c", "plaintext"),
    ],
)
def test_a_sidecar_object_imports_virtual_services(egress: str, where: str, expected: str) -> None:
    route = http(to("old.a.svc.cluster.local"))
    entry = virtual_service(route, where=where, hosts=["web.a.svc.cluster.local"])
    scope = obj("Sidecar", "b", "default", {"egress": [{"hosts": [egress]}]})
    assert verdict(entry, scope, client="b/far") == expected


def test_a_host_that_only_a_virtual_service_imports_is_not_known() -> None:
    """Port 80 has all hosts of VirtualServices, and what they lead to is imported for all its ports."""
    entry = virtual_service(http(to("web.a.svc.cluster.local")), where="b", hosts=["web.a.svc.cluster.local"])
    scope = obj("Sidecar", "b", "default", {"egress": [{"hosts": ["b/*"]}]})
    whole = [*MESH, entry, scope]
    found = {call.port: call.verdict for call in calls(whole) if (call.client, call.service) == ("b/far", "a/web")}
    assert found == {80: "unknown", 81: "unknown"}
    assert verdict(scope, client="b/far") == "strict", "hidden, so it has no row of its own"


def test_what_istiod_does_not_read_routes_nothing() -> None:
    config = {"discoverySelectors": [{"matchLabels": {"kubernetes.io/metadata.name": name}} for name in ("a", "x")]}
    places = [namespace(name, **{"kubernetes.io/metadata.name": name}) for name in ("a", "b", "istio-system")]
    entry = virtual_service(http(to("old.a.svc.cluster.local")), where="b", hosts=["web.a.svc.cluster.local"])
    own = peer_authentication("a")
    assert verdict(entry, own, *places) == "plaintext"
    assert verdict(entry, own, *places, config=config) == "strict"


def test_an_outside_destination_is_not_the_mesh() -> None:
    spec = {"hosts": ["old.example"], "location": "MESH_EXTERNAL", "resolution": "DNS", "ports": [{"number": 80}]}
    entry = virtual_service(http(to("old.example")))
    call = pick(calls([*MESH, obj("ServiceEntry", "a", "out", spec), entry]), "a/web")
    assert (call.verdict, call.rule) == ("not_enforced", "routed_elsewhere")


@pytest.mark.parametrize("client", ["gateway", "ambient"])
def test_only_sidecars_have_routes_of_the_mesh(client: str) -> None:
    ambient = pod("c", "it", sidecar=False, annotations={"ambient.istio.io/redirection": "enabled"})
    it = pod("c", "it", role="router") if client == "gateway" else ambient
    found = calls([*MESH, it, virtual_service(OLD_ONLY)])
    assert pick(found, "a/web", "c/it").rule != "routed_elsewhere"
    assert pick(found, "a/web").rule == "routed_elsewhere"


@pytest.mark.parametrize(("routes", "expected"), [([WEB_ONLY], False), ([OLD_ONLY], True), ([], False)])
def test_the_probe_counts_nothing_for_calls_that_go_elsewhere(routes: list[dict[str, Any]], expected: bool) -> None:
    """Its counters are those of the service that it calls."""
    engine = Engine(mesh([*MESH, virtual_service(*routes)]))
    web = next(entry for entry in engine.mesh.services if entry.key == "a/web")
    assert engine.cells.elsewhere(engine.anybody, web, web.ports[0]) is expected


def test_virtual_services_that_could_not_be_read_leave_it_open() -> None:
    assert verdict(missing={"VirtualService": "no"}) == "unknown"
    assert pick(calls(MESH, missing={"VirtualService": "no"}), "a/web", "plaintext").verdict == "broken"
