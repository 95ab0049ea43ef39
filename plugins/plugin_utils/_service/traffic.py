# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: may change at any time without notice; only this collection may import it.
"""Service definition -> DestinationRule and VirtualService."""

from __future__ import annotations

import re
from typing import Any

from ansible_collections.servicemesh.platform.plugins.plugin_utils._service.definition import load
from ansible_collections.servicemesh.platform.plugins.plugin_utils._service.workload import Manifest, labels

API_VERSION = "networking.istio.io/v1"
STABLE, CANARY = "stable", "canary"
MESH = "mesh"


def traffic_manifests(
    definition: Any,
    host: str = "ecommerce.example.com",
    gateway: str = "istio-system/ecommerce-gateway",
    cluster_domain: str = "cluster.local",
) -> list[Manifest]:
    """Return the DestinationRule and the VirtualService of a service.

    ``host`` is the name that clients outside use, ``gateway`` the Gateway that serves it (namespace/name).
    """
    spec = load(definition)
    service = f"{spec['name']}.{spec['namespace']}.svc.{cluster_domain}"
    return [_destination_rule(spec, service), _virtual_service(spec, service, host, gateway)]


def _metadata(spec: Manifest) -> Manifest:
    return {"name": spec["name"], "namespace": spec["namespace"], "labels": labels(spec)}


def _destination_rule(spec: Manifest, service: str) -> Manifest:
    traffic = spec["traffic"]
    return {
        "apiVersion": API_VERSION,
        "kind": "DestinationRule",
        "metadata": _metadata(spec),
        "spec": {
            "host": service,
            # No `tls` here: without it Istio uses mutual TLS to every endpoint that has a sidecar and follows
            # PeerAuthentication; a mode given here would override both (pilot/pkg/networking/core/cluster_tls.go).
            "trafficPolicy": {
                "loadBalancer": {"simple": traffic["load_balancer"]},
                "connectionPool": {
                    "tcp": {"maxConnections": traffic["max_connections"]},
                    "http": {
                        "http1MaxPendingRequests": traffic["http1_max_pending_requests"],
                        "maxRequestsPerConnection": traffic["max_requests_per_connection"],
                    },
                },
                "outlierDetection": {
                    "consecutive5xxErrors": traffic["consecutive_5xx_errors"],
                    "interval": traffic["interval"],
                    "baseEjectionTime": traffic["base_ejection_time"],
                    "maxEjectionPercent": traffic["max_ejection_percent"],
                },
            },
            "subsets": [{"name": track, "labels": {"track": track}} for track in (STABLE, CANARY)],
        },
    }


def _virtual_service(spec: Manifest, service: str, host: str, gateway: str) -> Manifest:
    ingress = any(route["ingress"] for route in spec["routes"])
    hosts = [service, host] if ingress else [service]
    inside = _inside_match(host if ingress else "")
    routes = [_route(spec, service, route, gateway, inside) for route in spec["routes"]]
    # Requests of the mesh that match no route still reach the service: /health, /metrics, paths without a route.
    rest: Manifest = {"name": "mesh", "match": [inside], "route": _destinations(spec, service)}
    return {
        "apiVersion": API_VERSION,
        "kind": "VirtualService",
        "metadata": _metadata(spec),
        "spec": {
            "hosts": hosts,
            # One object for gateway and mesh, so that a change of weights shifts all callers at once.
            "gateways": [gateway, MESH] if ingress else [MESH],
            "http": [*routes, rest],
        },
    }


def _inside_match(host: str) -> Manifest:
    """Return the match of requests from the mesh to the service itself.

    Gateways merge the routes of all VirtualServices of a host (pilot/pkg/networking/core/gateway.go, vHostDedupMap).
    Sidecars do not: the oldest VirtualService takes the host and the others lose it (core/httproute.go, buildVirtualHost).
    A pod that calls the ingress host would reach the service of that VirtualService. These matches therefore exclude the host:
    such a call finds no route (404) instead of a wrong service.
    """
    match: Manifest = {"gateways": [MESH]}
    if host:
        match["withoutHeaders"] = {":authority": {"regex": f"(?i){re.escape(host)}(:[0-9]+)?".replace("\\-", "-")}}
    return match


def _route(spec: Manifest, service: str, route: Manifest, gateway: str, inside: Manifest) -> Manifest:
    outside: Manifest = {"gateways": [gateway]}
    binds = [outside, inside] if route["ingress"] else [inside]
    result: Manifest = {
        # The name does not depend on the order; the canary finds its routes by it.
        "name": route_name(route["prefix"]),
        "match": [{**bind, "uri": uri} for bind in binds for uri in _uris(route["prefix"])],
        "route": _destinations(spec, service),
    }
    if route["timeout"]:
        result["timeout"] = route["timeout"]
    if route["retries"]:
        result["retries"] = _retries(route["retries"])
    if route["cors"]:
        result["corsPolicy"] = _cors(route["cors"])
    return result


def route_name(prefix: str) -> str:
    """Name of the route of a prefix: ``/api/users`` is ``api-users``, ``/`` is ``root``."""
    return re.sub(r"[^A-Za-z0-9_.~]+", "-", prefix).strip("-") or "root"


def _uris(prefix: str) -> list[Manifest]:
    # The prefix /api/users alone would match /api/users-export too.
    return [{"prefix": "/"}] if prefix == "/" else [{"exact": prefix}, {"prefix": f"{prefix}/"}]


def _destinations(spec: Manifest, service: str) -> list[Manifest]:
    port = {"number": spec["service_port"]}
    return [
        {"destination": {"host": service, "subset": track, "port": port}, "weight": weight}
        for track, weight in ((STABLE, 100), (CANARY, 0))
    ]


def _retries(retries: Manifest) -> Manifest:
    result: Manifest = {"attempts": retries["attempts"]}
    if retries["attempts"]:
        if retries["per_try_timeout"]:
            result["perTryTimeout"] = retries["per_try_timeout"]
        result["retryOn"] = retries["retry_on"]
    return result


def _cors(cors: Manifest) -> Manifest:
    result: Manifest = {
        "allowOrigins": [{"regex": ".*"} if origin == "*" else {"exact": origin} for origin in cors["allow_origins"]],
        "allowMethods": cors["allow_methods"],
        "maxAge": cors["max_age"],
    }
    for key, name in (("allow_headers", "allowHeaders"), ("expose_headers", "exposeHeaders")):
        if cors[key]:
            result[name] = cors[key]
    if cors["allow_credentials"]:
        result["allowCredentials"] = True
    return result
