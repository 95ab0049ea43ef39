# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: may change at any time without notice; only this collection may import it.
"""Service definition -> DestinationRule and VirtualServices."""

from __future__ import annotations

import re
from typing import Any

from ansible_collections.servicemesh.platform.plugins.plugin_utils._service import closed, ingress
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
    """Return the DestinationRule of a service and its VirtualServices: for callers in the mesh, and with such routes for those outside.

    ``host`` is the name that clients outside use, ``gateway`` the Gateway that serves it (namespace/name). Callers outside reach the
    second one by the VirtualService of the host (``ingress.roots``), which delegates to it.
    """
    spec = load(definition)
    service = f"{spec['name']}.{spec['namespace']}.svc.{cluster_domain}"
    result = [_destination_rule(spec, service), _mesh(spec, service)]
    if any(route["ingress"] for route in spec["routes"]):
        result.append(_ingress(spec, service, host, gateway))
    return result


def _metadata(spec: Manifest) -> Manifest:
    return {"name": spec["name"], "namespace": spec["namespace"], "labels": labels(spec)}


def _destination_rule(spec: Manifest, service: str) -> Manifest:
    traffic = spec["traffic"]
    return {
        "apiVersion": API_VERSION,
        "kind": "DestinationRule",
        # Without a canary, no pod has the labels of its subset: IST0173, of which Istio's analyzer says nothing for this object
        # (pkg/config/analysis/local/istiod_analyze.go, filterMessages). No route gives the subset a weight then.
        "metadata": {**_metadata(spec), "annotations": {"galley.istio.io/analyze-suppress": "IST0173"}},
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


def _mesh(spec: Manifest, service: str) -> Manifest:
    """The routes of callers in the mesh. Of the VirtualServices with a host, a sidecar uses the oldest only, so this one has no other host.

    istio pilot/pkg/networking/core/httproute.go (buildVirtualHost), pkg/config/analysis/analyzers/virtualservice (IST0109).
    """
    routes = [_route(spec, service, route) for route in spec["routes"]]
    # Requests that match no route still reach the service: /health, /metrics, paths without a route.
    rest: Manifest = {"name": "mesh", "route": _destinations(spec, service)}
    return {
        "apiVersion": API_VERSION,
        "kind": "VirtualService",
        "metadata": _metadata(spec),
        "spec": {"hosts": [service], "gateways": [MESH], "http": [*routes, rest]},
    }


def _ingress(spec: Manifest, service: str, host: str, gateway: str) -> Manifest:
    """The routes of callers outside: a VirtualService without hosts and gateways, to which that of the host delegates."""
    metadata = _metadata(spec)
    return {
        "apiVersion": API_VERSION,
        "kind": "VirtualService",
        "metadata": {
            **metadata,
            "name": ingress.delegate_name(spec["name"]),
            "labels": {**metadata["labels"], ingress.LABEL: ingress.DELEGATE},
            "annotations": {ingress.HOST: host, ingress.GATEWAY: gateway},
        },
        "spec": {
            "http": [entry for route in spec["routes"] if route["ingress"] for entry in _outside(spec, service, route)]
        },
    }


def _outside(spec: Manifest, service: str, route: Manifest) -> list[Manifest]:
    return [*closed.before(spec, route, route_name(route["prefix"])), _route(spec, service, route)]


def _route(spec: Manifest, service: str, route: Manifest) -> Manifest:
    result: Manifest = {
        # The name does not depend on the order; the canary finds its routes by it.
        "name": route_name(route["prefix"]),
        "match": [{"uri": uri} for uri in _uris(route["prefix"])],
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
