# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The workloads of the platform and their health, one row each. No I/O.

PRIVATE: may change at any time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._kube.diagnosis import (
    Limits,
    owned_pods,
    pod_finding,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.readiness import State, verdict

Obj = Mapping[str, Any]

# Default ports of the two schemes: left out of a URL.
_DEFAULT_PORTS = {"http": 80, "https": 443}
_PROXY = "istio-proxy"
_NO_PATIENCE = Limits(pull=0, config=0, create=0, unschedulable=0, restarts=1)


def ingress_address(ingresses: Iterable[Obj]) -> str:
    """First address that a controller has published on an Ingress, empty when none has."""
    for ingress in ingresses:
        balancer = (ingress.get("status") or {}).get("loadBalancer") or {}
        for entry in balancer.get("ingress") or []:
            if address := entry.get("ip") or entry.get("hostname"):
                return str(address)
    return ""


def ingress_host(ingresses: Iterable[Obj]) -> str:
    """First host of an Ingress, empty when none names one."""
    for ingress in ingresses:
        for rule in ingress["spec"].get("rules") or []:
            if rule.get("host"):
                return str(rule["host"])
    return ""


def node_address(nodes: Iterable[Obj]) -> str:
    """Address of a node for clients: its external one, else its internal one."""
    found: dict[str, str] = {}
    for node in nodes:
        for entry in (node.get("status") or {}).get("addresses") or []:
            found.setdefault(str(entry.get("type")), str(entry.get("address", "")))
    return found.get("ExternalIP") or found.get("InternalIP") or ""


def _scheme(ingresses: Iterable[Obj]) -> str:
    """``https`` when there is a certificate and plain HTTP is redirected to it."""
    for ingress in ingresses:
        annotations = ingress["metadata"].get("annotations") or {}
        plain = any(name.endswith("/ssl-redirect") and value == "false" for name, value in annotations.items())
        if ingress["spec"].get("tls") and not plain:
            return "https"
    return "http"


def base_url(ingresses: Sequence[Obj], services: Iterable[Obj], nodes: Iterable[Obj]) -> str:
    """URL of the ingress for clients: ``http://192.0.2.1:30080``; empty when it is unknown.

    ``services``: the controller's Services. For one of type NodePort, the Ingress publishes the address of the Service, which clients
    outside of the cluster cannot reach. Then a node's address and port are used.
    """
    scheme, address = _scheme(ingresses), ingress_address(ingresses)
    number = _DEFAULT_PORTS[scheme]
    for service in services:
        ports = {p.get("name"): p.get("nodePort") for p in service["spec"].get("ports") or []}
        if ingresses and service["spec"].get("type") == "NodePort" and ports.get(scheme):
            address, number = node_address(nodes), int(ports[scheme])
            break
    if not address:
        return ""
    host = f"[{address}]" if ":" in address else address
    return f"{scheme}://{host}" + ("" if number == _DEFAULT_PORTS[scheme] else f":{number}")


def first_prefixes(virtual_services: Iterable[Obj]) -> dict[tuple[str, str], str]:
    """(namespace, name of the service) -> first path that leads to it from outside of the mesh."""
    items = {(item["metadata"]["namespace"], item["metadata"]["name"]): item for item in virtual_services}
    found: dict[tuple[str, str], str] = {}
    for (namespace, name), item in items.items():
        if not set(item["spec"].get("gateways") or []) - {"mesh"}:
            continue
        for route in item["spec"].get("http") or []:
            target = route.get("delegate")
            key = (target.get("namespace") or namespace, target.get("name")) if target else (namespace, name)
            below = items.get(key, {}).get("spec", {}).get("http") or [] if target else [route]
            for part in below:
                if part.get("directResponse") is None and (path := _path(part)):
                    found.setdefault(_service(part, key) if target else key, path)
    return found


def _path(route: Obj) -> str:
    """The first path that a route matches."""
    uris = ((match.get("uri") or {}) for match in route.get("match") or [])
    return next((str(path) for uri in uris if (path := uri.get("prefix") or uri.get("exact"))), "")


def _service(route: Obj, otherwise: tuple[str, str]) -> tuple[str, str]:
    """(namespace, name) of the service that a route of a delegate leads to."""
    entries = route.get("route") or []
    name, _dot, rest = str(entries[0]["destination"]["host"] if entries else "").partition(".")
    return (rest.partition(".")[0] or otherwise[0], name) if name else otherwise


def _tag(containers: Sequence[Mapping[str, Any]]) -> str:
    """Tag of the first container's image, empty for one without."""
    image = str(containers[0].get("image", "")).partition("@")[0] if containers else ""
    return image.rpartition(":")[2] if ":" in image.rpartition("/")[2] else ""


def _version(workload: Obj, pods: Sequence[Obj]) -> str:
    """Label ``version`` of the pods, the first image's tag, or the chart's version.

    A gateway's template has ``image: auto``; its pods have the image that was injected.
    """
    template = workload["spec"]["template"]
    if found := ((template.get("metadata") or {}).get("labels") or {}).get("version"):
        return str(found)
    specs = [template["spec"], *(pod.get("spec") or {} for pod in owned_pods(workload, pods))]
    tags = [tag for spec in specs if (tag := _tag(spec.get("containers") or []))]
    label = (workload["metadata"].get("labels") or {}).get("app.kubernetes.io/version", "")
    return tags[0] if tags else str(label)


def _health(workload: Obj, pods: Sequence[Obj]) -> tuple[bool, str]:
    """(healthy, why not or ``healthy``)."""
    found = verdict(workload)
    if found.state == State.READY:
        return True, "healthy" if workload["spec"].get("replicas", 1) else "scaled to 0"
    findings = [f for pod in owned_pods(workload, pods) if (f := pod_finding(pod, _NO_PATIENCE)) is not None]
    return False, str(findings[0]) if findings else found.reason


def _proxies(workload: Obj, pods: Sequence[Obj]) -> Iterator[str]:
    """Names of its pods that run a proxy of Istio: a sidecar, native ones included, or a gateway."""
    for pod in owned_pods(workload, pods):
        spec = pod.get("spec") or {}
        containers = [*(spec.get("containers") or []), *(spec.get("initContainers") or [])]
        ended = (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed") or pod["metadata"].get(
            "deletionTimestamp"
        )
        if not ended and any(container.get("name") == _PROXY for container in containers):
            yield str(pod["metadata"]["name"])


def canary_weights(virtual_services: Iterable[Obj]) -> dict[str, int]:
    """`namespace/service` -> share of the requests in percent that its routes send to the subset `canary`: the largest of its routes."""
    found: dict[str, int] = {}
    for item in virtual_services:
        for route in item["spec"].get("http") or []:
            for entry in route.get("route") or []:
                target = entry.get("destination") or {}
                if target.get("subset") != "canary":
                    continue
                name, _dot, rest = str(target.get("host") or "").partition(".")
                key = f"{rest.partition('.')[0] or item['metadata']['namespace']}/{name}"
                found[key] = max(found.get(key, 0), int(entry.get("weight") or 0))
    return found


def service_rows(
    workloads: Iterable[Obj], pods: Sequence[Obj], prefixes: Mapping[tuple[str, str], str], url: str
) -> list[dict[str, Any]]:
    """One dict for each Deployment and StatefulSet, by namespace and name."""
    rows = []
    for workload in workloads:
        meta = workload["metadata"]
        desired = workload["spec"].get("replicas", 1)
        ready = (workload.get("status") or {}).get("readyReplicas", 0)
        healthy, health = _health(workload, pods)
        path = prefixes.get((meta["namespace"], meta["name"]), "")
        rows.append(
            {
                "name": meta["name"],
                "namespace": meta["namespace"],
                "kind": workload["kind"],
                "version": _version(workload, pods),
                "desired": desired,
                "replicas": f"{ready}/{desired}",
                "ready": ready,
                "healthy": healthy,
                "health": health,
                "deleted": "deletionTimestamp" in meta,
                "proxies": sorted(_proxies(workload, pods)),
                "path": path,
                "url": f"{url}{path}" if url and path else "",
            }
        )
    return sorted(rows, key=lambda row: (row["namespace"], row["name"]))


def summary(rows: Sequence[Mapping[str, Any]], empty: Sequence[str] = (), missing: Sequence[str] = ()) -> str:
    """One sentence on all rows, and one on the namespaces without a workload. ``missing``: those of ``empty`` that do not exist."""
    there = [namespace for namespace in empty if namespace not in missing]
    parts = [
        _health_of_all(rows),
        f"There is no namespace {', '.join(missing)}." if missing else "",
        f"No workload of this platform is in namespace {', '.join(there)}." if rows and there else "",
    ]
    return " ".join(part for part in parts if part)


def _health_of_all(rows: Sequence[Mapping[str, Any]]) -> str:
    if not rows:
        return "No workload of this platform exists here."
    unhealthy = [row["name"] for row in rows if not row["healthy"]]
    if not unhealthy:
        return f"All {len(rows)} workloads are healthy."
    return f"{len(unhealthy)} of {len(rows)} workloads are not healthy: {', '.join(unhealthy)}."
