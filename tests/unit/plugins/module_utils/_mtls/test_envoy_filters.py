# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""EnvoyFilters: what may change TLS leaves the calls in its scope unknown, and what cannot changes nothing."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.compliance import Level, Wanted, violations
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.engine import Engine

from tests.unit.plugins.module_utils._mtls.mtls_objects import (
    ROOT,
    calls,
    mesh,
    obj,
    peer_authentication,
    pick,
    pod,
    service,
)

WEB = pod("a", "web", ip="10.0.0.1")
MESH = [WEB, pod("b", "far"), pod("a", "near"), service("a", "web", [WEB]), peer_authentication(ROOT)]
HCM = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
TCP = "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy"
LOG = [{"name": "envoy.access_loggers.file"}]


def patch(where: str, how: str, value: Any = None, context: str = "", **match: Any) -> dict[str, Any]:
    found = {**({"context": context} if context else {}), **match}
    return {"applyTo": where, "match": found, "patch": {"operation": how, "value": value or {}}}


def typed(name: str, **config: Any) -> dict[str, Any]:
    return {"typed_config": {"@type": name, **config}}


def envoy_filter(*patches: dict[str, Any], where: str = "a", **spec: Any) -> dict[str, Any]:
    return obj("EnvoyFilter", where, "ef", {"configPatches": list(patches), **spec})


def verdicts(*objects: Any, client: str = "*") -> tuple[str, str]:
    """The calls of a meshed client, and of a caller without a sidecar."""
    found = calls([*MESH, *objects])
    return str(pick(found, "a/web", client).verdict), str(pick(found, "a/web", "plaintext").verdict)


SAFE = ("strict", "broken")
SERVER, CLIENT = ("unknown", "unknown"), ("unknown", "broken")
ROUTER = {"listener": {"filterChain": {"filter": {"name": "x", "subFilter": {"name": "envoy.filters.http.router"}}}}}
OTHER = {"listener": {"filterChain": {"filter": {"name": "x", "subFilter": {"name": "envoy.filters.http.cors"}}}}}
DYNAMIC = "type.googleapis.com/envoy.extensions.filters.http.dynamic_forward_proxy.v3.FilterConfig"


# In the root namespace, so that all clients and servers have it.
@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (patch("LISTENER", "MERGE", {"access_log": LOG}), SAFE),
        (patch("LISTENER", "MERGE", {"accessLog": LOG, "perConnectionBufferLimitBytes": 1}), SAFE),
        (patch("LISTENER", "MERGE", {"access_log": LOG, "filter_chains": []}), SERVER),
        (patch("LISTENER", "MERGE", {"default_filter_chain": {}}), SERVER),
        (patch("LISTENER", "ADD", {"access_log": LOG}), SERVER),
        (patch("LISTENER", "REMOVE"), SERVER),
        (patch("FILTER_CHAIN", "MERGE", {"transport_socket": {}}), SERVER),
        (patch("FILTER_CHAIN", "REMOVE"), SERVER),
        (patch("LISTENER_FILTER", "INSERT_FIRST", {"name": "x"}), SERVER),
        (patch("NETWORK_FILTER", "MERGE", typed(HCM, access_log=LOG)), SAFE),
        (patch("NETWORK_FILTER", "MERGE", {"name": "x", **typed(HCM, streamIdleTimeout="1s")}), SAFE),
        (patch("NETWORK_FILTER", "MERGE", typed(TCP, idle_timeout="1s")), SAFE),
        (patch("NETWORK_FILTER", "MERGE", typed(TCP, cluster="other")), SERVER),
        (patch("NETWORK_FILTER", "MERGE", typed(HCM, route_config={})), SERVER),
        (patch("NETWORK_FILTER", "MERGE", {"name": "x"}), SERVER),
        (patch("NETWORK_FILTER", "REPLACE", typed(HCM, access_log=LOG)), SERVER),
        (patch("NETWORK_FILTER", "REMOVE"), SERVER),
        (
            patch(
                "NETWORK_FILTER",
                "INSERT_BEFORE",
                typed("type.googleapis.com/udpa.type.v1.TypedStruct", type_url="x.local_ratelimit.v3.L"),
            ),
            SAFE,
        ),
        (patch("NETWORK_FILTER", "INSERT_FIRST", typed("x.filters.network.rbac.v3.RBAC")), SAFE),
        (patch("NETWORK_FILTER", "INSERT_FIRST", typed(TCP, cluster="x")), SERVER),
        (patch("HTTP_FILTER", "INSERT_BEFORE", {"name": "envoy.filters.http.lua"}), SAFE),
        (patch("HTTP_FILTER", "INSERT_FIRST", {"name": "x", **typed(DYNAMIC)}), CLIENT),
        (patch("HTTP_FILTER", "ADD", {"name": "envoy.filters.http.router"}), CLIENT),
        (patch("HTTP_FILTER", "MERGE", {"name": "x"}, **OTHER), SAFE),
        (patch("HTTP_FILTER", "REMOVE", **OTHER), SAFE),
        (patch("HTTP_FILTER", "REMOVE", **ROUTER), CLIENT),
        (patch("HTTP_FILTER", "REMOVE"), CLIENT),
        (patch("HTTP_ROUTE", "MERGE", {"route": {"timeout": "1s"}}), SAFE),
        (patch("HTTP_ROUTE", "MERGE", {"route": {"cluster": "other"}}), CLIENT),
        (patch("HTTP_ROUTE", "MERGE", {"route": {"weightedClusters": {}}}), CLIENT),
        (patch("HTTP_ROUTE", "MERGE", {"route": {"request_mirror_policies": []}}), CLIENT),
        (patch("HTTP_ROUTE", "MERGE", {"typed_per_filter_config": {"x": {"cluster": "own"}}}), SAFE),
        (patch("HTTP_ROUTE", "INSERT_FIRST", {"name": "x"}), CLIENT),
        (patch("VIRTUAL_HOST", "MERGE", {"rate_limits": [{"actions": [{"source_cluster": {}}]}]}), SAFE),
        (patch("VIRTUAL_HOST", "ADD", {"name": "x"}), CLIENT),
        (patch("ROUTE_CONFIGURATION", "MERGE", {"request_headers_to_add": []}), SAFE),
        (patch("ROUTE_CONFIGURATION", "MERGE", {"virtual_hosts": []}), CLIENT),
        (patch("CLUSTER", "MERGE", {"circuit_breakers": {}, "connectTimeout": "1s"}), SAFE),
        (patch("CLUSTER", "MERGE", {"transport_socket": {}}), CLIENT),
        (patch("CLUSTER", "MERGE", {"load_assignment": {}}), CLIENT),
        (patch("CLUSTER", "ADD", {"name": "rate_limit"}), SAFE),
        (patch("CLUSTER", "REMOVE"), CLIENT),
        (patch("CLUSTER", "MERGE", {"transport_socket": {}}, "SIDECAR_INBOUND"), SAFE),
        (patch("EXTENSION_CONFIG", "ADD", {"name": "x"}), SAFE),
        (patch("BOOTSTRAP", "MERGE", {"stats_config": {}, "stats_sinks": []}), SAFE),
        (patch("BOOTSTRAP", "MERGE", {"static_resources": {"listeners": []}}), SERVER),
        (patch("NOT_KNOWN", "MERGE", {}), SERVER),
        (patch("", ""), SERVER),
        # Contexts
        (patch("LISTENER", "REMOVE", context="SIDECAR_INBOUND"), SERVER),
        (patch("LISTENER", "REMOVE", context="SIDECAR_OUTBOUND"), CLIENT),
        (patch("LISTENER", "REMOVE", context="GATEWAY"), SAFE),
        (patch("LISTENER", "REMOVE", context="WAYPOINT"), SAFE),
        (patch("LISTENER", "REMOVE", context="ANY"), SERVER),
        (patch("HTTP_FILTER", "REMOVE", context="SIDECAR_INBOUND"), SAFE),
        ({"applyTo": "LISTENER"}, SAFE),  # istiod drops what has no patch
    ],
)
def test_what_a_patch_may_change(given: dict[str, Any], expected: tuple[str, str]) -> None:
    assert verdicts(envoy_filter(given, where=ROOT)) == expected
    assert verdicts(envoy_filter(patch("EXTENSION_CONFIG", "ADD"), given, where=ROOT)) == expected


REMOVE = patch("LISTENER", "REMOVE")


@pytest.mark.parametrize(
    ("where", "spec", "far", "near", "plain"),
    [
        (ROOT, {}, "unknown", "unknown", "unknown"),
        ("a", {}, "unknown", "unknown", "unknown"),
        ("b", {}, "unknown", "strict", "broken"),
        ("c", {}, "strict", "strict", "broken"),
        ("a", {"workloadSelector": {"labels": {"app": "web"}}}, "unknown", "unknown", "unknown"),
        ("a", {"workloadSelector": {"labels": {"app": "near"}}}, "strict", "unknown", "broken"),
        (ROOT, {"workloadSelector": {"labels": {"app": "far"}}}, "unknown", "strict", "broken"),
        ("a", {"workloadSelector": {}}, "unknown", "unknown", "unknown"),
        # A targetRef is for gateways and waypoints only.
        ("a", {"targetRefs": [{"kind": "Gateway", "name": "g"}]}, "strict", "strict", "broken"),
        ("a", {"targetRefs": [{"kind": "Service", "name": "web"}]}, "strict", "strict", "broken"),
    ],
)
def test_which_workloads_have_it(where: str, spec: dict[str, Any], far: str, near: str, plain: str) -> None:
    entry = envoy_filter(REMOVE, where=where, **spec)
    assert verdicts(entry, client="b/far") == (far, plain)
    assert verdicts(entry, client="a/near") == (near, plain)


def test_a_patch_of_a_services_clusters_concerns_its_callers_only() -> None:
    other = pod("a", "other")
    whole = [*MESH, other, service("a", "other", [other])]
    for cluster in ({"service": "web.a.svc.cluster.local"}, {"name": "outbound|80||web.a.svc.cluster.local"}):
        entry = envoy_filter(patch("CLUSTER", "MERGE", {"transport_socket": {}}, cluster=cluster), where=ROOT)
        found = calls([*whole, entry])
        assert (pick(found, "a/web").verdict, pick(found, "a/other").verdict) == ("unknown", "strict")


def test_gateways() -> None:
    gate = pod("a", "web", role="router", ip="10.0.0.1")
    server = {"port": {"number": 80}, "hosts": ["*"], "tls": {"mode": "ISTIO_MUTUAL"}}
    gateway = obj("Gateway", "a", "g", {"selector": {"app": "web"}, "servers": [server]})
    whole = [gate, service("a", "web", [gate]), gateway]
    assert pick(calls(whole), "a/web", "plaintext").verdict == "broken"
    entry = envoy_filter(patch("LISTENER", "REMOVE", context="GATEWAY"))
    assert pick(calls([*whole, entry]), "a/web", "plaintext").verdict == "unknown"
    inbound = envoy_filter(patch("LISTENER", "REMOVE", context="SIDECAR_INBOUND"))
    assert pick(calls([*whole, inbound]), "a/web", "plaintext").verdict == "broken"


def test_the_reason_names_the_envoy_filter() -> None:
    call = pick(calls([*MESH, envoy_filter(REMOVE)]), "a/web", "plaintext")
    assert "EnvoyFilter a/ef patches LISTENER (REMOVE), which is not computed" in call.reason


def test_ports_of_no_service_are_not_known_either() -> None:
    wanted = Wanted({"a": Level.STRICT})
    for objects, expected in ((MESH, []), ([*MESH, envoy_filter(REMOVE)], ["Workload a/near", "Workload a/web"])):
        engine = Engine(mesh(objects))
        assert sorted(entry.object for entry in violations(engine, [], wanted)) == expected


def test_envoy_filters_that_could_not_be_read_leave_it_open() -> None:
    found = calls(MESH, missing={"EnvoyFilter": "no"})
    assert {str(call.verdict) for call in found if call.service == "a/web"} == {"unknown"}
