# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is not understood makes the calls in its scope unknown, by object and field: not fewer of them, and not more."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.engine import Engine
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.fields.kinds import TABLES, doubt
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parse.mesh_config import mesh_config
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.verdict import Call, Verdict
from ansible_collections.servicemesh.platform.plugins.plugin_utils._service.ingress import roots
from ansible_collections.servicemesh.platform.plugins.plugin_utils._service.traffic import traffic_manifests
from ansible_collections.servicemesh.platform.plugins.plugin_utils._service.workload import service_manifests

from tests.role_values import value
from tests.unit.plugins.module_utils._mtls.mtls_objects import (
    ROOT,
    destination_rule,
    mesh,
    namespace,
    obj,
    peer_authentication,
    pick,
    pod,
    service,
)

PODS = {
    name: pod(space, name, ip=f"10.0.0.{number}")
    for number, (space, name) in enumerate([("a", "front"), ("a", "cart"), ("b", "shop"), ("b", "stock")])
}
GATEWAY = pod("b", "gate", role="router", labels={"security.istio.io/tlsMode": "istio"})
BASE: list[Any] = [
    *(namespace(name) for name in ("a", "b", ROOT)),
    *PODS.values(),
    GATEWAY,
    *(service(entry["metadata"]["namespace"], name, [entry]) for name, entry in PODS.items()),
    service("b", "gate", [GATEWAY], {443: 8443}),
    obj("Gateway", "b", "gate", {"selector": {"app": "gate"}, "servers": [
        {"port": {"number": 443, "protocol": "TLS"}, "tls": {"mode": "ISTIO_MUTUAL"}, "hosts": ["*"]},
    ]}),
    peer_authentication(ROOT),
]  # fmt: skip
ALL = {("a/front", 80), ("a/cart", 80), ("b/shop", 80), ("b/stock", 80), ("b/gate", 443)}
OF_A, OF_B = {call for call in ALL if call[0].startswith("a/")}, {call for call in ALL if call[0].startswith("b/")}
WORKLOADS = ALL - {("b/gate", 443)}
UNKNOWN = {"shinyNew": {"mode": "ON"}}


def made(*more: Any, config: dict[str, Any] | None = None, **fields: Any) -> list[Call]:
    """Calls of the mesh with more objects, those of the clients a/front and b/shop by name."""
    engine = Engine(mesh([*BASE, *more], config, **fields))
    names = ["*", "plaintext", "a/front", "a/cart", "b/shop", "b/stock"]
    return engine.calls(clients=names)


def unknown(found: list[Call], client: str) -> set[tuple[str, int]]:
    """(service, port) of a client's unknown calls."""
    return {(s, p) for s, p in ALL if pick(found, s, client, p).verdict is Verdict.UNKNOWN}


def with_spec(entry: dict[str, Any], **spec: Any) -> dict[str, Any]:
    changed = copy.deepcopy(entry)
    changed["spec"] |= spec
    return changed


def with_key(entry: dict[str, Any], key: str = "shiny.istio.io/new", value: str = "x") -> dict[str, Any]:
    changed = copy.deepcopy(entry)
    changed["metadata"]["annotations"] = {**(changed["metadata"].get("annotations") or {}), key: value}
    return changed


def test_without_a_doubt_nothing_is_unknown() -> None:
    found = made()
    assert {call.verdict for call in found if call.client == "*"} == {Verdict.STRICT}
    assert {call.verdict for call in found if call.client == "plaintext"} == {Verdict.BROKEN}


CART = peer_authentication("a", "cart", "STRICT", selector={"app": "cart"})
SHOP = "shop.b.svc.cluster.local"
TO_SHOP: dict[str, Any] = {"route": [{"destination": {"host": SHOP}}]}
ITS_CALLS: dict[str, set[tuple[str, int]]] = {"*": {("b/shop", 80)}, "plaintext": set()}


def virtual_service(where: str = "a", name: str = "vs", age: int = 1, **spec: Any) -> dict[str, Any]:
    """A VirtualService that sends calls to b/shop where they went before."""
    return obj("VirtualService", where, name, {"hosts": [SHOP], "http": [TO_SHOP], **spec}, age)


def envoy_filter(where: str = "a", **spec: Any) -> dict[str, Any]:
    """An EnvoyFilter of the workload cart, with a patch that changes no TLS."""
    patch = {"operation": "MERGE", "value": {"connect_timeout": "1s"}}
    patches = [{"applyTo": "CLUSTER", "match": {"context": "ANY"}, "patch": patch}]
    selector = {"labels": {"app": "cart"}}
    return obj("EnvoyFilter", where, "ef", {"workloadSelector": selector, "configPatches": patches, **spec})


def backend_tls(**spec: Any) -> dict[str, Any]:
    """A BackendTLSPolicy of b/shop."""
    refs = [{"group": "", "kind": "Service", "name": "shop"}]
    return obj("BackendTLSPolicy", "b", "tls", {"targetRefs": refs, "validation": {"hostname": "x"}, **spec})


# The doubt, what it names, and the unknown calls of `*`, `plaintext` and named clients. A client that is not named has those of `*`.
SCOPES: dict[str, tuple[list[Any], str, dict[str, set[tuple[str, int]]]]] = {
    "policy of a workload: its calls only": (
        [with_spec(CART, mtls={"mode": "STRICT", **UNKNOWN})],
        "PeerAuthentication a/cart: spec.mtls.shinyNew",
        {"*": {("a/cart", 80)}, "plaintext": {("a/cart", 80)}},
    ),
    "a value that Istio does not have": (
        [with_spec(CART, mtls={"mode": "VERY_STRICT"})],
        "PeerAuthentication a/cart: spec.mtls.mode",
        {"*": {("a/cart", 80)}, "plaintext": {("a/cart", 80)}},
    ),
    "policy that may choose others as well": (
        [with_spec(CART, selector={"matchLabels": {"app": "cart"}, "matchExpressions": [{"key": "x"}]})],
        "PeerAuthentication a/cart: spec.selector.matchExpressions",
        {"*": OF_A, "plaintext": OF_A},
    ),
    "a field beside the selector": (
        [with_spec(CART, targetRefs=[{"kind": "Service", "name": "front"}])],
        "PeerAuthentication a/cart: spec.targetRefs",
        {"*": OF_A, "plaintext": OF_A},
    ),
    "policy of a namespace, which clients read": (
        [with_spec(peer_authentication("b"), **UNKNOWN)],
        "PeerAuthentication b/default: spec.shinyNew",
        {"*": OF_B, "plaintext": OF_B - {("b/gate", 443)}},
    ),
    "policy of the mesh, whatever the namespaces say": (
        [peer_authentication("a"), with_spec(peer_authentication(ROOT, "other", age=0), **UNKNOWN)],
        "PeerAuthentication istio-system/other: spec.shinyNew",
        {"*": ALL, "plaintext": WORKLOADS},
    ),
    "DestinationRule of a namespace: its clients only": (
        [destination_rule("a", "shop.b.svc.cluster.local", "ISTIO_MUTUAL", tunnel={"targetHost": "x", "targetPort": 1})],
        "DestinationRule a/rule: spec.trafficPolicy.tunnel",
        {"*": set(), "plaintext": set(), "a/front": {("b/shop", 80)}, "a/cart": {("b/shop", 80)}, "b/shop": set()},
    ),
    "DestinationRule that everybody reads: its host only": (
        [destination_rule("b", "shop", "ISTIO_MUTUAL", proxyProtocol={"version": "V1"})],
        "DestinationRule b/rule: spec.trafficPolicy.proxyProtocol",
        {"*": {("b/shop", 80)}, "plaintext": set()},
    ),
    "DestinationRule with a selector: its workloads only": (
        [with_spec(destination_rule("a", "shop.b.svc.cluster.local", selector={"app": "cart"}), trafficPolicy=UNKNOWN)],
        "DestinationRule a/rule: spec.trafficPolicy.shinyNew",
        {"*": set(), "a/cart": {("b/shop", 80)}, "a/front": set(), "b/shop": set()},
    ),
    "DestinationRule whose selector is not understood": (
        [with_spec(destination_rule("a", "shop.b.svc.cluster.local"), workloadSelector={"matchLabels": {"app": "cart"}, **UNKNOWN})],
        "DestinationRule a/rule: spec.workloadSelector.shinyNew",
        {"*": set(), "a/cart": {("b/shop", 80)}, "a/front": {("b/shop", 80)}, "b/shop": set()},
    ),
    "DestinationRule that is merged into another": (
        [
            destination_rule("b", "shop", "ISTIO_MUTUAL", name="old", age=1),
            with_spec(destination_rule("b", "shop", name="young", policy=False, age=2), **UNKNOWN),
        ],
        "DestinationRule b/young: spec.shinyNew",
        {"*": {("b/shop", 80)}, "plaintext": set()},
    ),
    "DestinationRule of a further level": (
        [
            destination_rule("a", "shop.b.svc.cluster.local", "ISTIO_MUTUAL"),
            with_spec(destination_rule("b", "shop", "ISTIO_MUTUAL"), **UNKNOWN),
        ],
        "DestinationRule b/rule: spec.shinyNew",
        {"*": {("b/shop", 80)}, "a/front": set(), "a/cart": set(), "plaintext": set()},
    ),
    "Sidecar object: calls to and from its workload": (
        [obj("Sidecar", "a", "cart", {"workloadSelector": {"labels": {"app": "cart"}}, "egress": [
            {"hosts": ["*/*"], "captureMode": "NONE"},
        ]})],
        "Sidecar a/cart: spec.egress[].captureMode",
        {"*": {("a/cart", 80)}, "plaintext": {("a/cart", 80)}, "a/cart": ALL, "a/front": {("a/cart", 80)}},
    ),
    "Sidecar object whose selector is not understood": (
        [obj("Sidecar", "a", "cart", {"workloadSelector": {"labels": {"app": "cart"}, **UNKNOWN}})],
        "Sidecar a/cart: spec.workloadSelector.shinyNew",
        {"*": OF_A, "plaintext": OF_A, "a/cart": ALL, "a/front": ALL, "b/shop": OF_A},
    ),
    "Sidecar object of the mesh": (
        [obj("Sidecar", ROOT, "default", UNKNOWN)],
        "Sidecar istio-system/default: spec.shinyNew",
        {"*": ALL, "plaintext": WORKLOADS},
    ),
    "Gateway: its own workload": (
        [obj("Gateway", "b", "more", {"selector": {"app": "gate"}, "servers": [
            {"port": {"number": 9, "protocol": "TLS"}, "hosts": ["*"], "tls": {"mode": "SHINY"}},
        ]})],
        "Gateway b/more: spec.servers[].tls.mode",
        {"*": {("b/gate", 443)}, "plaintext": {("b/gate", 443)}},
    ),
    "Gateway without a server that is known": (
        [obj("Gateway", "b", "more", {"selector": {"app": "gate"}, "listeners": [{"port": 443}]})],
        "Gateway b/more: spec.listeners",
        {"*": {("b/gate", 443)}, "plaintext": {("b/gate", 443)}},
    ),
    "Gateway of another workload": (
        [obj("Gateway", "b", "more", {"selector": {"app": "other"}, "servers": [{"shinyNew": 1}]})],
        "",
        {"*": set(), "plaintext": set()},
    ),
    "pod: calls to and from it": (
        [with_key(pod("a", "cart", suffix="1")), ],
        "pods of a/cart: annotations has shiny.istio.io/new",
        {"*": set(), "plaintext": set(), "a/cart": ALL, "a/front": set()},
    ),
    "ProxyConfig of a pod": (
        [with_key(pod("a", "cart", suffix="1"), "proxy.istio.io/config", "shinyNew: 1")],
        "pods of a/cart: proxy.istio.io/config: defaultConfig.shinyNew",
        {"*": set(), "plaintext": set(), "a/cart": ALL, "a/front": set()},
    ),
    "namespace: its workloads and services": (
        [with_key(namespace("a"))],
        "Namespace a: annotations has shiny.istio.io/new",
        {"*": OF_A, "plaintext": OF_A, "a/front": ALL, "a/cart": ALL},
    ),
    "waypoint of a namespace: its services": (
        [with_key(namespace("a"), "istio.io/use-waypoint", "way")],
        "Namespace a: annotations has istio.io/use-waypoint",
        {"*": OF_A, "plaintext": OF_A},
    ),
    "unknown key of an object": (
        [with_key(CART)],
        "PeerAuthentication a/cart: annotations has shiny.istio.io/new",
        {"*": {("a/cart", 80)}, "plaintext": {("a/cart", 80)}},
    ),
    "VirtualService of a namespace: calls of its clients to its host": (
        [virtual_service(exportTo=["."], http=[{**TO_SHOP, **UNKNOWN}])],
        "VirtualService a/vs: spec.http[].shinyNew",
        {"*": set(), "plaintext": set(), "a/front": {("b/shop", 80)}, "a/cart": {("b/shop", 80)}},
    ),
    "VirtualService that everybody sees: its host only": (
        [virtual_service(http=[{**TO_SHOP, "match": [{"uri": {"shinyNew": "/"}}]}])],
        "VirtualService a/vs: spec.http[].match[].uri.shinyNew",
        ITS_CALLS,
    ),
    "VirtualService with a wildcard": (
        [virtual_service(hosts=["*.b.svc.cluster.local"], tcp=[{**TO_SHOP, **UNKNOWN}])],
        "VirtualService a/vs: spec.tcp[].shinyNew",
        {"*": OF_B, "plaintext": set()},
    ),
    "VirtualService of gateways only": (
        [virtual_service(gateways=["b/gate"], http=[{**TO_SHOP, **UNKNOWN}])],
        "",
        {"*": set(), "plaintext": set()},
    ),
    "VirtualService with a field that may say who gets it": (
        [virtual_service(gateways=["b/gate"], **UNKNOWN)],
        "VirtualService a/vs: spec.shinyNew",
        ITS_CALLS,
    ),
    "delegate of a VirtualService: the hosts of that": (
        [
            virtual_service(http=[{"delegate": {"name": "own", "namespace": "b"}}]),
            virtual_service("b", "own", hosts=[], http=[{**TO_SHOP, **UNKNOWN}]),
        ],
        "VirtualService b/own: spec.http[].shinyNew",
        ITS_CALLS,
    ),
    "delegate of a VirtualService, of which nothing is known": (
        [
            virtual_service(http=[{"delegate": {"name": "own", "namespace": "b"}}]),
            obj("VirtualService", "b", "own", UNKNOWN),
        ],
        "VirtualService b/own: spec.shinyNew",
        ITS_CALLS,
    ),
    "delegate of no VirtualService": (
        [virtual_service("b", "own", hosts=[], http=[{**TO_SHOP, **UNKNOWN}])],
        "",
        {"*": set(), "plaintext": set()},
    ),
    "VirtualService whose hosts may be in a field that is not known": (
        [obj("VirtualService", "a", "vs", {"hostnames": [SHOP], "http": [TO_SHOP]})],
        "VirtualService a/vs: spec.hostnames",
        {"*": ALL, "plaintext": set()},
    ),
    "key of a VirtualService": (
        [with_key(virtual_service())],
        "VirtualService a/vs: annotations has shiny.istio.io/new",
        ITS_CALLS,
    ),
    "VirtualService with a key that istiod gives to its own": (
        [with_key(virtual_service(), "internal.istio.io/route-semantics", "gateway")],
        "VirtualService a/vs: annotations has internal.istio.io/route-semantics",
        ITS_CALLS,
    ),
    "EnvoyFilter of a workload: calls to and from it": (
        [envoy_filter(configPatches=[{"applyTo": "CLUSTER", "match": UNKNOWN, "patch": {"operation": "ADD"}}])],
        "EnvoyFilter a/ef: spec.configPatches[].match.shinyNew",
        {"*": {("a/cart", 80)}, "plaintext": {("a/cart", 80)}, "a/cart": ALL},
    ),
    "EnvoyFilter without a patch that is known": (
        [envoy_filter(configPatches=[UNKNOWN])],
        "EnvoyFilter a/ef: spec.configPatches[].shinyNew",
        {"*": {("a/cart", 80)}, "plaintext": {("a/cart", 80)}, "a/cart": ALL},
    ),
    "EnvoyFilter that may choose others as well": (
        [envoy_filter(**UNKNOWN)],
        "EnvoyFilter a/ef: spec.shinyNew",
        {"*": OF_A, "plaintext": OF_A, "a/front": ALL, "a/cart": ALL},
    ),
    "EnvoyFilter whose targets are not understood": (
        [envoy_filter("b", targetRefs=[{"kind": "Gateway", "name": "x", **UNKNOWN}])],
        "EnvoyFilter b/ef: spec.targetRefs[].shinyNew",
        {"*": OF_B, "plaintext": OF_B, "b/shop": ALL, "b/stock": ALL},
    ),
    "EnvoyFilter of the root namespace": (
        [envoy_filter(ROOT, **UNKNOWN)],
        "EnvoyFilter istio-system/ef: spec.shinyNew",
        {"*": ALL, "plaintext": ALL},
    ),
    "EnvoyFilter of another workload": (
        [envoy_filter(workloadSelector={"labels": {"app": "other"}}, configPatches=[UNKNOWN])],
        "",
        {"*": set(), "plaintext": set()},
    ),
    "BackendTLSPolicy: calls to its services": (
        [backend_tls(validation=UNKNOWN)],
        "BackendTLSPolicy b/tls: spec.validation.shinyNew",
        ITS_CALLS,
    ),
    "BackendTLSPolicy of a part of a service that is not there": (
        [backend_tls(targetRefs=[{"kind": "Service", "name": "shop", "sectionName": "none"}], validation=UNKNOWN)],
        "BackendTLSPolicy b/tls: spec.validation.shinyNew",
        ITS_CALLS,
    ),
    "BackendTLSPolicy that may be for others as well": (
        [backend_tls(targetRefs=[{"kind": "Service", "name": "shop", **UNKNOWN}])],
        "BackendTLSPolicy b/tls: spec.targetRefs[].shinyNew",
        {"*": OF_B, "plaintext": set()},
    ),
    "BackendTLSPolicy without targets that are known": (
        [backend_tls(targetRefs=None, targets=["shop"])],
        "BackendTLSPolicy b/tls: spec.targets",
        {"*": OF_B, "plaintext": set()},
    ),
    "BackendTLSPolicy that istiod ignores": (
        [with_key(backend_tls(**UNKNOWN), "istio.io/ignore-policy-attachment", "true")],
        "",
        {"*": set(), "plaintext": set()},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SCOPES)
def test_a_doubt_concerns_its_scope(name: str) -> None:
    more, named, expected = SCOPES[name]
    found = made(*more)
    for client in ("*", "plaintext", "a/front", "a/cart", "b/shop", "b/stock"):
        assert unknown(found, client) == expected.get(client, expected["*"]), client
    doubted = [call for call in found if call.verdict is Verdict.UNKNOWN]
    assert all(named in call.reason for call in doubted)
    assert bool(doubted) == bool(named)


HTTP = [{"number": 80, "name": "http", "protocol": "HTTP"}]
SE = {"hosts": ["ext.example"], "location": "MESH_INTERNAL", "resolution": "STATIC", "ports": HTTP}
# Kinds that make services of their own: the objects, and what the unknown call of each client names.
SERVICES: dict[str, tuple[list[Any], tuple[str, int], str]] = {
    "ServiceEntry": (
        [obj("ServiceEntry", "a", "ext", {**SE, **UNKNOWN})],
        ("a/ext.example", 80),
        "ServiceEntry a/ext: spec.shinyNew",
    ),
    "ServiceEntry of the outside": (
        [obj("ServiceEntry", "a", "ext", {**SE, "location": "MESH_EXTERNAL", "resolution": "DYNAMIC_DNS"})],
        *(("a/ext.example", 80), "ServiceEntry a/ext: spec.resolution"),
    ),
    "inline endpoint": (
        [obj("ServiceEntry", "a", "ext", {**SE, "endpoints": [{"address": "10.0.0.1", "future": "far"}]})],
        *(("a/ext.example", 80), "ServiceEntry a/ext: spec.endpoints[].future"),
    ),
    "WorkloadEntry": (
        [
            obj("ServiceEntry", "a", "ext", {**SE, "workloadSelector": {"labels": {"app": "vm"}}}),
            obj("WorkloadEntry", "a", "vm", {"address": "10.0.0.1", "labels": {"app": "vm"}, "future": "far"}),
        ],
        *(("a/ext.example", 80), "WorkloadEntry a/vm: spec.future"),
    ),
    "Service": (
        [service("a", "twin", [PODS["cart"]])[1], with_key(service("a", "twin", [])[0])],
        *(("a/twin", 80), "Service a/twin: annotations has shiny.istio.io/new"),
    ),
    "waypoint of a Service": (
        [
            service("a", "twin", [PODS["cart"]])[1],
            with_key(service("a", "twin", [])[0], "istio.io/use-waypoint", "way"),
        ],
        *(("a/twin", 80), "Service a/twin: annotations has istio.io/use-waypoint"),
    ),
    "alias": (
        [with_key(service("a", "twin", [], type="ExternalName", externalName="cart.a.svc.cluster.local")[0])],
        *(("a/twin", 80), "Service a/twin: annotations has shiny.istio.io/new"),
    ),
}


@pytest.mark.parametrize("name", SERVICES)
def test_a_doubt_about_a_service_concerns_calls_to_it(name: str) -> None:
    more, (key, port), named = SERVICES[name]
    found = made(*more)
    for client in ("*", "plaintext", "b/shop"):
        call = pick(found, key, client, port)
        assert call.verdict is Verdict.UNKNOWN, call
        assert named in call.reason
        assert unknown(found, client) == set()


@pytest.mark.parametrize(
    ("config", "environment", "named"),
    [
        ({"shinyNew": True}, {}, "MeshConfig of revision default: shinyNew"),
        ({"configSources": [{"address": "xds://x"}]}, {}, "MeshConfig of revision default: configSources"),
        ({"outboundTrafficPolicy": {"mode": "ALLOW_ANY_DYNAMIC_DNS"}}, {}, "outboundTrafficPolicy.mode"),
        ({"defaultConfig": {"shinyNew": 1}}, {}, "MeshConfig of revision default: defaultConfig.shinyNew"),
        ({}, {"SHARED_MESH_CONFIG": "more"}, "istiod of revision default: SHARED_MESH_CONFIG"),
        ({}, {"PILOT_ENABLE_SERVICEENTRY_SELECT_PODS": "false"}, "PILOT_ENABLE_SERVICEENTRY_SELECT_PODS"),
    ],
)
def test_a_doubt_about_the_mesh_config_concerns_all(
    config: dict[str, Any], environment: dict[str, str], named: str
) -> None:
    found = made(config=config, environment=environment)
    assert unknown(found, "*") == ALL
    assert unknown(found, "plaintext") == WORKLOADS
    assert all(named in call.reason for call in found if call.verdict is Verdict.UNKNOWN)


@pytest.mark.parametrize(
    ("config", "environment"),
    [
        ({"extensionProviders": [{"name": "x", "envoyFileAccessLog": {"path": "/dev/stdout"}}]}, {}),
        ({"configSources": []}, {"PILOT_ENABLE_SERVICEENTRY_SELECT_PODS": "true", "POD_NAME": "istiod-1"}),
        ({"defaultConfig": {"proxyMetadata": {"ISTIO_META_DNS_CAPTURE": "true"}}}, {"SHARED_MESH_CONFIG": ""}),
    ],
)
def test_what_is_set_to_no_effect_is_no_doubt(config: dict[str, Any], environment: dict[str, str]) -> None:
    assert unknown(made(config=config, environment=environment), "*") == set()


def test_an_object_of_another_revision_does_not_exist() -> None:
    """A policy that says PERMISSIVE to revision canary only, which serves no pod here."""
    labelled = obj("PeerAuthentication", "a", "cart", {"mtls": {"mode": "DISABLE"}}, labels={"istio.io/rev": "canary"})
    assert pick(made(labelled), "a/cart").verdict is Verdict.STRICT
    labelled["metadata"]["labels"]["istio.io/rev"] = "default"
    assert pick(made(labelled), "a/cart").verdict is Verdict.PLAINTEXT


@pytest.mark.parametrize(
    "made_for",
    [
        virtual_service(http=[{"redirect": {"uri": "/"}}], tcp=[{"route": [{"destination": {"host": "x.y"}}]}]),
        virtual_service(**UNKNOWN),
        envoy_filter(ROOT, **UNKNOWN),
        envoy_filter("b", workloadSelector=None, configPatches=[{"applyTo": "LISTENER", "patch": {"operation": "REMOVE"}}]),
    ],
    ids=["route", "doubt about a route", "doubt about a patch", "patch"],
)  # fmt: skip
def test_what_is_for_another_revision_changes_nothing(made_for: dict[str, Any]) -> None:
    labelled = copy.deepcopy(made_for)
    labelled["metadata"]["labels"] = {"istio.io/rev": "canary"}
    assert pick(made(labelled), "b/shop").verdict is Verdict.STRICT
    labelled["metadata"]["labels"]["istio.io/rev"] = "default"
    assert pick(made(labelled), "b/shop").verdict is Verdict.UNKNOWN


def test_a_delegate_of_another_revision_is_not_there() -> None:
    root = virtual_service(http=[{"delegate": {"name": "own"}}, TO_SHOP])
    own = virtual_service(name="own", hosts=[], http=[{"redirect": {"uri": "/"}}])
    assert pick(made(root, own), "b/shop").verdict is Verdict.UNKNOWN
    own["metadata"]["labels"] = {"istio.io/rev": "canary"}
    assert pick(made(root, own), "b/shop").verdict is Verdict.STRICT


def test_a_server_of_protocol_http_is_plain_text_whatever_its_tls() -> None:
    plain = {"port": {"number": 443, "protocol": "HTTP"}, "tls": {"mode": "ISTIO_MUTUAL"}, "hosts": ["*"]}
    more = obj("Gateway", "b", "plain", {"selector": {"app": "gate"}, "servers": [plain]})
    assert pick(made(more), "b/gate", "plaintext", 443).verdict is Verdict.PLAINTEXT


def test_pods_with_the_same_doubt_are_one_group() -> None:
    pods = [with_key(pod("a", "many", suffix=str(number))) for number in range(3)]
    assert [group.count for group in mesh(pods).groups] == [3]


def manifests() -> list[dict[str, Any]]:
    """What the platform's roles write of the kinds that are read."""
    definition = value("user_service", "__user_service_definition", platform_image_registry="registry.example.com/shop")
    made = [
        *(
            value("mesh_traffic", "__mesh_traffic_gateway"),
            value("mesh_traffic", "__mesh_traffic_inside"),
            value("mesh_security", "__mesh_security_peer_authentication"),
        ),
        *(*traffic_manifests(definition), *roots(traffic_manifests(definition))[0], *service_manifests(definition)),
    ]
    return [entry for entry in made if entry["kind"] in TABLES]


def test_the_manifests_of_the_platform_are_understood() -> None:
    """Our own platform has nothing that is not understood."""
    made = manifests()
    assert {entry["kind"] for entry in made} == {
        *("Gateway", "ServiceEntry", "PeerAuthentication", "DestinationRule", "Service", "VirtualService"),
    }
    assert [doubt(entry["kind"], entry) for entry in made] == [None] * len(made)
    document = value("istio", "__istio_mesh_config", istio_tracing_service="otel.a")
    assert mesh_config(document).doubt == ""
