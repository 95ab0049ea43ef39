# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a request from outside, and one in the mesh, goes by the routes that Istio's own code makes of the platform's VirtualServices."""

from __future__ import annotations

from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._canary.proof_scope import scopes
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.routes import Aim
from ansible_collections.servicemesh.platform.plugins.plugin_utils._service.definition import covers
from ansible_collections.servicemesh.platform.plugins.plugin_utils._service.ingress import roots
from ansible_collections.servicemesh.platform.plugins.plugin_utils._service.traffic import traffic_manifests
from ansible_collections.servicemesh.platform.plugins.plugin_utils._service.workload import service_manifests

from tests.ingress_routes import ingress_routes
from tests.ingress_routes import takes as ingress_takes
from tests.judge.access import Request, takes
from tests.judge.istio import Istio
from tests.judge.meshes import ROOT, networking, obj, pod, stamp
from tests.virtual_services import Seeded

Obj = dict[str, Any]
HOST, SPACE = "shop.example.com", "a"
SEGMENTS = ["/", "/a", "/a/b", "/a/b/c", "/a-b", "/b", "/b/a"]
# What a server may read as one of them.
SPELLINGS = [
    "/a;x", "/a/%2Fb", "/a/;x/b", "/A/b", "/a/B", "/a/b/%63", "/a/b/C/x", "/a/b;x/c", "/a/..;/b", "/b/%2e%2e;/a", "/x/..%2Fa"
]  # fmt: skip
SEEDS = 25


def definitions(draw: Seeded) -> list[Obj]:
    """Services with prefixes of their own, deeper ones of one service below those of another."""
    free, found = list(SEGMENTS), []
    for number in range(draw.pick([1, 2, 3])):
        mine = sorted(
            {draw.pick(free) for _ in range(draw.pick([1, 2, 3])) if free},
            key=lambda path: -path.count("/") * 10 - len(path),
        )
        mine.sort(key=lambda path: path == "/")
        free = [path for path in free if path not in mine]
        if mine:
            routes = [{"prefix": path, "ingress": draw.pick([True, True, False])} for path in mine]
            found.append({"name": f"s{number}", "namespace": SPACE, "image": "x/y:1", "routes": routes})
    return found


def mesh(manifests: list[Obj], entry: Obj) -> list[Obj]:
    """The services' objects, a caller, a gateway, and the ServiceEntry that leads to it."""
    found = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": {"tier": "x"}}}
        for name in (ROOT, SPACE)
    ]
    found += [
        pod(SPACE, "caller", "10.0.0.1", {"app": "caller"}),
        pod(ROOT, "gateway", "10.0.0.2", {"app": "gw"}, role="router"),
    ]
    servers = [{"port": {"number": 80, "name": "http", "protocol": "HTTP"}, "hosts": [HOST, f"*.{HOST}"]}]
    found += [networking("Gateway", ROOT, "gw", {"selector": {"app": "gw"}, "servers": servers}, 1), entry]
    for number, item in enumerate(manifests):
        if item["kind"] == "Service":
            address = f"10.96.0.{number + 1}"
            item["spec"] |= {"clusterIP": address, "clusterIPs": [address]}
        item["metadata"] |= {"creationTimestamp": stamp(1)}
    return [*found, *manifests]


def routes_of(proxy: Obj, host: str) -> list[Obj]:
    """The routes of a host, those of port 80 for sidecars."""
    for name, hosts in (proxy.get("routes") or {}).items():
        for entry in hosts:
            if host in entry["domains"] and (name in ("80", "http.80") or name.endswith(".80")):
                return list(entry.get("routes") or [])
    return []


def target(found: list[Obj], path: str) -> tuple[str, str]:
    """(cluster, name of the route) of the first route that takes a path. A route that answers itself has no cluster."""
    request = Request(HOST, path, "GET")
    for route in found:
        if takes(route["match"], request):
            if "directResponse" in route:
                return "", str(route["name"])
            action = route.get("route") or {}
            clusters = [entry["name"] for entry in (action.get("weightedClusters") or {}).get("clusters") or []]
            return action.get("cluster") or clusters[0], str(route.get("name") or "")
    return "", ""


def expected(services: list[Obj], path: str) -> str:
    """The service with the longest prefix for callers outside."""
    owners = {route["prefix"]: one["name"] for one in services for route in one["routes"] if route["ingress"]}
    fitting = [prefix for prefix in owners if covers(prefix, path)]
    return owners[max(fitting, key=lambda prefix: (prefix != "/", len(prefix)))] if fitting else ""


def check(istio: Istio, seed: int) -> None:
    services = definitions(Seeded(seed))
    rules = [manifest for one in services for manifest in traffic_manifests(one, HOST, f"{ROOT}/gw")]
    above, _gone = roots(rules)
    kube = [manifest for one in services for manifest in service_manifests(one) if manifest["kind"] == "Service"]
    entry = obj(
        "networking.istio.io/v1", "ServiceEntry", ROOT, "gw", {
            "hosts": [HOST], "location": "MESH_EXTERNAL", "resolution": "DNS",
            "ports": [{"name": "http", "number": 80, "protocol": "HTTP"}],
            "endpoints": [{"address": "192.0.2.1"}],
        },
    )  # fmt: skip
    config = {"rootNamespace": ROOT, "outboundTrafficPolicy": {"mode": "REGISTRY_ONLY"}}
    proxies = istio.proxies(mesh([*kube, *rules, *above], entry), config, routes=True)
    outside = routes_of(next(proxy for name, proxy in proxies.items() if name.startswith(f"{ROOT}/")), HOST)
    caller = next(proxy for name, proxy in proxies.items() if name.startswith(f"{SPACE}/"))
    for path in [*SEGMENTS, "/a/x", "/a/b/c/d", "/a-bc", "/c"]:
        wanted = expected(services, path)
        cluster, _name = target(outside, path)
        assert cluster == (f"outbound|80|stable|{wanted}.{SPACE}.svc.cluster.local" if wanted else ""), (seed, path)
        # In the mesh, the host is the gateway's, and each service has all its paths under its own name.
        assert target(routes_of(caller, HOST), path)[0] == f"outbound|80||{HOST}"
        for one in services:
            own = f"{one['name']}.{SPACE}.svc.cluster.local"
            assert target(routes_of(caller, own), path)[0] == f"outbound|80|stable|{own}", (seed, path)
    for path in SPELLINGS:
        model = next(
            (route for root in above for route in ingress_routes(root, rules) if ingress_takes(route, path)), None
        )
        assert target(outside, path)[1] == (model["name"] if model else ""), (seed, path)
    for one in services:
        aim = Aim(one["name"], SPACE)
        mine = [
            rule
            for rule in rules
            if rule["kind"] == "VirtualService" and rule["metadata"]["labels"]["app"] == one["name"]
        ]
        for scope in scopes(mine, above, aim):
            found = outside if scope.gateway != "mesh" else routes_of(caller, aim.host)
            there = {str(route.get("name")) for route in found if aim.host in str(route.get("route"))}
            assert there, "Istio keeps no route after one for everything, but that one"
            assert there <= scope.names, "a proof would not find the routes"


def test_a_request_reaches_the_service_with_the_longest_prefix() -> None:
    with Istio() as istio:
        for seed in range(SEEDS):
            check(istio, seed)


def test_the_order_in_which_services_come_does_not_matter() -> None:
    rules = [
        m
        for n, p in (("x", "/a"), ("y", "/a/b"), ("z", "/"))
        for m in traffic_manifests({"name": n, "image": "x/y:1", "routes": [{"prefix": p}]})
    ]
    assert roots(rules) == roots(rules[::-1])
