# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A mesh out of what was read: pods into groups, slices onto services. Pure."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._mtls import parse as _mtls_parse
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls import pods as _mtls_pods
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.model import (
    Endpoint,
    GatewayServer,
    Mesh,
    MeshConfig,
    Service,
    matches,
)

Obj = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Slice:
    """What of an EndpointSlice is kept: `ports` by name, `pods` as (namespace, name), `addresses` without a pod."""

    namespace: str
    service: str
    ports: tuple[tuple[str, int], ...]
    pods: tuple[tuple[str, str], ...]
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A mesh as it was read. `notes` are oddities in words (object, text); `stats` are numbers for the result.

    `pods` is the group of each pod that can be asked, by (namespace, name), `addresses` its first address: a pod that starts or
    ends can not.
    """

    mesh: Mesh
    namespace_labels: Mapping[str, Mapping[str, str]]
    terminating: tuple[str, ...]
    notes: tuple[tuple[str, str], ...]
    stats: Mapping[str, Any]
    pods: Mapping[tuple[str, str], int]
    addresses: Mapping[tuple[str, str], str] = field(default_factory=dict)


def reducers(domain: str) -> dict[str, Callable[[Obj], Any]]:
    """What is kept of one object, by kind; `domain` is the cluster's DNS domain."""
    return {
        "Pod": _mtls_pods.pod,
        "EndpointSlice": endpoint_slice,
        "Service": _same,
        "Namespace": _namespace,
        "PeerAuthentication": _mtls_parse.policy,
        "DestinationRule": functools.partial(_mtls_parse.destination_rule, domain=domain),
        "Sidecar": _mtls_parse.sidecar,
        "ServiceEntry": _same,
        "WorkloadEntry": _same,
        "Gateway": _mtls_parse.gateway_servers,
    }


def _same(obj: Obj) -> Obj:
    return obj


def _namespace(obj: Obj) -> tuple[Obj, str]:
    return obj["metadata"], str((obj.get("status") or {}).get("phase") or "")


def endpoint_slice(obj: Obj) -> Slice:
    """An EndpointSlice, without what is going away and not ready."""
    meta = obj["metadata"]
    pods: list[tuple[str, str]] = []
    addresses: list[str] = []
    for endpoint in obj.get("endpoints") or []:
        conditions = endpoint.get("conditions") or {}
        if conditions.get("terminating") and conditions.get("ready") is False:
            continue
        ref = endpoint.get("targetRef") or {}
        if ref.get("kind") == "Pod":
            pods.append((str(ref.get("namespace") or meta.get("namespace")), str(ref.get("name"))))
        elif obj.get("addressType") != "FQDN":
            addresses += endpoint.get("addresses") or []
    ports = tuple((str(p.get("name") or ""), int(p["port"])) for p in obj.get("ports") or [] if p.get("port"))
    service = str((meta.get("labels") or {}).get("kubernetes.io/service-name") or "")
    return Slice(str(meta.get("namespace")), service, ports, tuple(pods), tuple(addresses))


def assembled(
    found: Mapping[str, list[Any]],
    missing: Mapping[str, str],
    config: MeshConfig,
    configs: Mapping[str, MeshConfig],
    domain: str,
) -> Snapshot:
    """The mesh out of its parts: reduced objects by kind, all kinds of `reducers` present."""
    servers: list[GatewayServer] = [server for servers in found["Gateway"] for server in servers]
    chosen = [
        ((obj.get("spec") or {}).get("workloadSelector") or {}).get("labels") or {} for obj in found["ServiceEntry"]
    ]
    kept = _mtls_pods.selected_labels(
        found["PeerAuthentication"],
        found["DestinationRule"],
        found["Sidecar"],
        [*chosen, *(s.selector for s in servers)],
    )
    labels = {meta["name"]: meta.get("labels") or {} for meta, _phase in found["Namespace"]}
    groups, by_name, by_ip = _mtls_pods.grouped(found["Pod"], kept, labels)
    mesh = Mesh(
        config,
        configs,
        tuple(found["PeerAuthentication"]),
        tuple(found["DestinationRule"]),
        tuple(found["Sidecar"]),
        tuple(servers),
        (),
        tuple(groups),
        tuple(sorted(labels)),
        dict(missing),
    )
    services = _services(found, mesh, by_name, by_ip, domain)
    going = tuple(sorted(meta["name"] for meta, phase in found["Namespace"] if phase == "Terminating"))
    up = {(pod.group.namespace, pod.name): pod for pod in found["Pod"] if pod.up}
    pods = {key: by_name[key] for key in up}
    addresses = {key: pod.ips[0] for key, pod in up.items() if pod.ips}
    return Snapshot(replace(mesh, services=tuple(services)), labels, going, (), {}, pods, addresses)


def _services(
    found: Mapping[str, list[Any]],
    mesh: Mesh,
    by_name: Mapping[tuple[str, str], int],
    by_ip: Mapping[str, int],
    domain: str,
) -> list[Service]:
    """Services and ServiceEntries with what stands behind their ports."""
    behind: dict[
        tuple[str, str], dict[str, set[tuple[int, int, str]]]
    ] = {}  # service -> port -> (number, group or -1, words)
    for part in found["EndpointSlice"]:
        points = {(by_name[pod], "") for pod in part.pods if pod in by_name}
        points |= {(by_ip[a], "") if a in by_ip else (-1, f"address {a}") for a in part.addresses}
        ports = behind.setdefault((part.namespace, part.service), {})
        for name, number in part.ports:
            ports.setdefault(name, set()).update((number, group, words) for group, words in points)
    services = []
    for obj in found["Service"]:
        meta = obj["metadata"]
        ports = behind.get((meta["namespace"], meta["name"]), {})
        endpoints = {
            name: [Endpoint(n, None if group < 0 else group, what=words) for n, group, words in sorted(found_there)]
            for name, found_there in ports.items()
        }
        services.append(_mtls_parse.service(obj, domain, endpoints))
    for obj in found["ServiceEntry"]:
        selector = ((obj.get("spec") or {}).get("workloadSelector") or {}).get("labels")
        namespace = obj["metadata"]["namespace"]
        pods = [
            Endpoint(0, index)
            for index, group in enumerate(mesh.groups)
            if selector and group.namespace == namespace and matches(selector, group.labels)
        ]
        entries = [
            entry
            for entry in found["WorkloadEntry"]
            if selector and entry["metadata"]["namespace"] == namespace and _entry_matches(selector, entry)
        ]
        services += _mtls_parse.service_entry(obj, pods, entries)
    return services


def _entry_matches(selector: Mapping[str, str], entry: Obj) -> bool:
    labels = {**((entry.get("spec") or {}).get("labels") or {}), **(entry["metadata"].get("labels") or {})}
    return matches(selector, labels)
