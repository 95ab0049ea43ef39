# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kinds of meshes on which the engine once differed from what Istio's own code sends (tests/judge), each as small as it can be."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.engine import Engine

from tests.unit.plugins.module_utils._mtls.mtls_objects import (
    ROOT,
    calls,
    destination_rule,
    mesh,
    namespace,
    obj,
    peer_authentication,
    pick,
    pod,
    port_tls,
    service,
)

WEB = pod("a", "web", ip="10.0.0.1", labels={"app": "web"})
FAR = pod("b", "far", ip="10.0.0.2", labels={"app": "far"})
WEB_SERVICE = service("a", "web", [WEB], selector={"app": "web"})
STRICT = peer_authentication(ROOT)
HOST, OLD = "web.a.svc.cluster.local", "old.a.svc.cluster.local"
REFUSING = {"outboundTrafficPolicy": {"mode": "REGISTRY_ONLY"}}
OUTSIDE, EXT = "192.0.2.1", "ext.example"


def sidecar(*listeners: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return obj("Sidecar", "b", "default", {"egress": list(listeners), **spec})


def entry(host: str = "ext.example", namespace: str = "b", **spec: Any) -> dict[str, Any]:
    ports = [{"number": 80, "name": "http", "protocol": "HTTP"}]
    return obj("ServiceEntry", namespace, "ext", {"hosts": [host], "ports": ports, "location": "MESH_INTERNAL", **spec})


def workload_entry(address: str, namespace: str = "a", **spec: Any) -> dict[str, Any]:
    return obj("WorkloadEntry", namespace, "vm", {"address": address, "labels": {"app": "web"}, **spec})


def as_http(objects: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A Service whose port is declared as HTTP."""
    made = copy.deepcopy(objects)
    made[0]["spec"]["ports"][0]["appProtocol"] = "http"
    return made


def route(*hosts: str, to: str, namespace: str = "b") -> dict[str, Any]:
    spec = {"hosts": list(hosts), "http": [{"route": [{"destination": {"host": to}}]}]}
    return obj("VirtualService", namespace, "vs", spec)


PORT_LISTENER = {"port": {"number": 80, "protocol": "HTTP", "name": "h"}, "hosts": ["*/*"]}
V2 = [{"name": "v2", "labels": {"v": "2"}, "trafficPolicy": {"tls": {"mode": "DISABLE"}}}]
SIMPLE_AT_80 = {"portLevelSettings": [port_tls(80, "SIMPLE")]}
TO_WEB = {"resolution": "STATIC", "endpoints": [{"address": "10.0.0.1"}]}
TCP_PORT = [{"number": 8080, "name": "t", "protocol": "TCP"}]
INGRESS = {"ingress": [{"port": {"number": 8080, "protocol": "TCP", "name": "i"}, "defaultEndpoint": "127.0.0.1:9"}]}

CASES: dict[str, tuple[list[Any], dict[str, Any], str, str, str]] = {
    # Sidecar objects: `~/*` of one listener hides nothing of another, and a listener for HTTP_PROXY has no port of a service.
    "an exclusion is its listener's": ([WEB_SERVICE, sidecar(PORT_LISTENER, {"hosts": ["~/*"]})], REFUSING, "a/web", "b/far", "strict"),
    "an exclusion in the same listener": ([WEB_SERVICE, sidecar({"hosts": ["*/*", "~/*"]})], REFUSING, "a/web", "b/far", "broken"),
    # A VirtualService makes the proxy know what it leads to, which is not computed for each port.
    "hidden, and a route leads there": (
        [WEB_SERVICE, sidecar({"hosts": ["./*"]}), *service("b", "own", [FAR]), route("own.b.svc.cluster.local", to=HOST)],
        *(REFUSING, "a/web", "b/far", "unknown"),
    ),
    "hidden, and a route leads to a ServiceEntry with its host": (
        [service("a", "web", [WEB], selector={"app": "web"}, export_to="a"), entry(HOST, exportTo=["a"]), route("x.example", to=HOST)],
        *({}, "a/web", "b/far", "unknown"),
    ),
    "a route leads to a host that two have": (
        [WEB_SERVICE, service("a", "old", [WEB]), entry(OLD, "a"), route(HOST, to=OLD, namespace="a")],
        *({}, "a/web", "b/far", "unknown"),
    ),
    "a route leads to a ServiceEntry without endpoints": (
        [WEB_SERVICE, entry(EXT, "a", location="MESH_EXTERNAL", resolution="STATIC"), route(HOST, to=EXT, namespace="a")],
        *({}, "a/web", "b/far", "unknown"),
    ),
    "the DNS name of a Service that only istiod has endpoints for": (
        [service("a", "vm", [], selector={"app": "web"}), workload_entry(OUTSIDE), service("b", "far", [FAR]),
         entry(EXT, resolution="DNS", endpoints=[{"address": "vm.a.svc.cluster.local"}])],
        *({}, "b/ext.example", "b/far", "unknown"),
    ),
    # A port's protocol is declared by services that istiod reads.
    "an unread service declares nothing": (
        [as_http(WEB_SERVICE), namespace("a"), namespace("b", tier="x"), service("b", "web", [WEB]),
         destination_rule("b", "web", "SIMPLE")],
        *({"discoverySelectors": [{"matchLabels": {"tier": "x"}}]}, "b/web", "b/far", "not_enforced"),
    ),
    # EndpointSlices and WorkloadEntries.
    "a WorkloadEntry is for istiod's clients": ([WEB_SERVICE, workload_entry(OUTSIDE)], {}, "a/web", "plaintext", "broken"),
    "mutual TLS to an address of nobody": (
        [*service("a", "bare", []), destination_rule("a", "bare", "ISTIO_MUTUAL"), entry("bare.example"), workload_entry(OUTSIDE),
         service("a", "vm", [], selector={"app": "web"}), destination_rule("a", "vm", "ISTIO_MUTUAL", name="vm")],
        *({}, "a/vm", "b/far", "unknown"),
    ),
    # Clusters of subsets.
    "a subset of a headless service leads anywhere": (
        [service("a", "web", [WEB], headless=True), destination_rule("a", "web", subsets=V2)],
        *({}, "a/web", "b/far", "broken"),
    ),
    "a subset keeps the type of the whole cluster": (
        [WEB_SERVICE, destination_rule(
            "a", "web", ports=[{"port": {"number": 80}, "loadBalancer": {"simple": "PASSTHROUGH"}}],
            subsets=[{"name": "v2", "labels": {"v": "2"}, "trafficPolicy": SIMPLE_AT_80}],
        )],
        *({}, "a/web", "b/far", "broken"),
    ),
    "PASSTHROUGH does not get to a WorkloadEntry": (
        [WEB_SERVICE, workload_entry(OUTSIDE, serviceAccount="vm"), destination_rule("a", "web", loadBalancer={"simple": "PASSTHROUGH"})],
        *({}, "a/web", "b/far", "strict"),
    ),
    # Hosts of ServiceEntries.
    "REGISTRY_ONLY refuses a hidden host": ([entry(resolution="STATIC", exportTo=["."])], REFUSING, "b/ext.example", "a/web", "broken"),
    "a hidden host is where its DNS leads": ([entry(**TO_WEB, exportTo=["."])], {}, "b/ext.example", "a/web", "unknown"),
    "a selector that chooses nobody": (
        [entry(resolution="DNS", workloadSelector={"labels": {"app": "none"}})], {}, "b/ext.example", "b/far", "unknown",
    ),
    "PASSTHROUGH goes where the application connects to": (
        [entry(**TO_WEB), destination_rule("b", "ext.example", "ISTIO_MUTUAL", loadBalancer={"simple": "PASSTHROUGH"})],
        *({}, "b/ext.example", "b/far", "unknown"),
    ),
    "an external host that is a pod": ([entry(**{**TO_WEB, "location": "MESH_EXTERNAL"})], {}, "b/ext.example", "b/far", "broken"),
    # A host that two objects declare.
    "a Service and a ServiceEntry": ([WEB_SERVICE, entry(HOST, **TO_WEB)], {}, "a/web", "b/far", "unknown"),
    "the other one is not for the client": ([WEB_SERVICE, entry(HOST, "c", **TO_WEB, exportTo=["."])], {}, "a/web", "b/far", "strict"),
    "in one namespace it is for everybody": ([WEB_SERVICE, entry(HOST, "a", **TO_WEB, exportTo=["."])], {}, "a/web", "b/far", "unknown"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_the_verdict_is_istios(name: str) -> None:
    objects, config, where, client, expected = CASES[name]
    found = Engine(mesh([WEB, FAR, STRICT, *objects], config)).calls(clients=[client, "*", "plaintext"])
    assert pick(found, where, client).verdict == expected


def foreign(*objects: Any) -> str:
    """The verdict on TLS that is not the mesh's, sent to a port that is declared as HTTP, of a server that takes plain text."""
    declared = service("a", "web", [WEB], selector={"app": "web"})
    declared[0]["spec"]["ports"][0]["name"] = declared[1]["ports"][0]["name"] = "http"
    sent = destination_rule("a", "web", "SIMPLE")
    return str(pick(calls([WEB, FAR, declared, sent, *objects]), "a/web", "b/far").verdict)


@pytest.mark.parametrize(
    ("objects", "expected"),
    [
        ([], "broken"),
        ([obj("Sidecar", "a", "default", INGRESS)], "not_enforced"),
        ([workload_entry("10.0.0.1", "c")], "unknown"),
        ([entry(**{**TO_WEB, "endpoints": [{"address": "10.0.0.1", "ports": {"http": 8080}}]})], "broken"),
        ([entry(ports=TCP_PORT, **TO_WEB)], "broken"),
        ([entry("ext.example", "a", ports=TCP_PORT, **TO_WEB)], "unknown"),
    ],
)
def test_who_declares_the_protocol_of_a_pods_port(objects: list[Any], expected: str) -> None:
    assert foreign(*objects) == expected
