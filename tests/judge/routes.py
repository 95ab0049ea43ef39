# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What proxies get of a VirtualService before, during and after a canary, by Istio's own code."""

from __future__ import annotations

import copy
import json
from collections.abc import Collection
from typing import Any

from tests.judge.istio import Istio
from tests.judge.meshes import ROOT, Draw, namespaces, networking, obj, pod
from tests.virtual_services import HOST, NAMESPACE, OTHER, SERVICE

Obj = dict[str, Any]
CONFIG = {"rootNamespace": ROOT}


def mesh(virtual_service: Obj) -> list[Obj]:
    """The service with both versions, another service, a caller in the mesh and a gateway."""
    objects = [entry for entry in namespaces(Draw(1)) if entry["metadata"]["name"] == ROOT]
    objects.append({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": {"tier": "x"}}})
    objects.append(pod(NAMESPACE, "caller", "10.0.0.1", {"app": "caller", "x-a": "2s"}))
    objects.append(pod(NAMESPACE, "gateway", "10.0.0.2", {"app": "gateway"}, role="router"))
    for number, host in enumerate((HOST, OTHER)):
        name, address = host.partition(".")[0], f"10.96.0.{number + 1}"
        ports = [
            {"name": "http-80", "port": 80, "targetPort": 8080},
            {"name": "tcp-90", "port": 90, "targetPort": 9090},
        ]
        spec = {
            "clusterIP": address,
            "clusterIPs": [address],
            "ports": ports,
            "type": "ClusterIP",
            "selector": {"app": name},
        }
        objects.append(obj("v1", "Service", NAMESPACE, name, spec))
    subsets = [{"name": track, "labels": {"track": track}} for track in ("stable", "canary")]
    objects.append(networking("DestinationRule", NAMESPACE, SERVICE, {"host": HOST, "subsets": subsets}, 1))
    servers = [{"port": {"number": 80, "name": "http", "protocol": "HTTP"}, "hosts": ["*"]}]
    objects.append(networking("Gateway", NAMESPACE, "gw", {"selector": {"app": "gateway"}, "servers": servers}, 1))
    # The test server has no domain to complete a short name with.
    live = json.loads(json.dumps(virtual_service).replace(f'"{SERVICE}"', f'"{HOST}"'))
    live["metadata"] |= {"creationTimestamp": "2026-01-01T00:00:00Z"}
    return [*objects, live]


def sent(istio: Istio, virtual_service: Obj) -> dict[str, Any]:
    """All routes of all proxies, in order, and their TCP proxies with the weights."""
    found = {}
    for proxy, parts in istio.proxies(mesh(virtual_service), CONFIG, routes=True).items():
        for name, hosts in (parts.get("routes") or {}).items():
            for host in hosts:
                found[f"{proxy} {name} {host['domains'][0]}"] = host.get("routes") or []
        for listener in parts["listeners"]:
            chains = [*listener["chains"], *([listener["default"]] if listener.get("default") else [])]
            found[f"{proxy} {listener['name']}"] = [
                {key: chain.get(key) for key in ("name", "names", "prefixes", "clusters", "weights", "route")}
                for chain in chains
            ]
    return found


def without_what_is_meant(found: dict[str, Any], copies: Collection[str], mirrored: bool) -> dict[str, Any]:
    """Routes without the run's copies, the weights of both subsets and, when `mirrored`, mirrors to the canary."""
    return {
        name: [_bare(route, mirrored) for route in routes if not any(text in str(route.get("name")) for text in copies)]
        for name, routes in found.items()
    }


def _bare(route: Obj, mirrored: bool) -> Obj:
    result = copy.deepcopy(route)
    result.pop("decorator", None)  # a trace's name, which names the cluster or, with several, the VirtualService
    if result.get("clusters"):
        result["clusters"] = sorted({_split(name) for name in result["clusters"]})
        result.pop("weights", None)
    action = result.get("route")
    if not isinstance(action, dict):
        return result
    weighted = (action.get("weightedClusters") or {}).get("clusters") or []
    if any(_split(entry["name"]) != entry["name"] for entry in weighted):
        # Envoy's settings of the subset that has a weight; the other one's come with its weight.
        action["weightedClusters"] = "both subsets"
    if mirrored:
        action["requestMirrorPolicies"] = [
            entry for entry in action.get("requestMirrorPolicies") or [] if "|canary|" not in entry["cluster"]
        ]
    return result


def _split(cluster: str) -> str:
    return cluster.replace("|stable|", "|both|").replace("|canary|", "|both|") if cluster.endswith(HOST) else cluster


def shares(route: Obj) -> dict[str, int]:
    """Weight by cluster of a route."""
    action = route.get("route") or {}
    if action.get("cluster"):
        return {action["cluster"]: 100}
    return {
        entry["name"]: entry.get("weight", 0) for entry in (action.get("weightedClusters") or {}).get("clusters") or []
    }
