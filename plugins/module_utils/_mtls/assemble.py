# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The mesh as it was read, put together: reduced objects of each kind in, a Snapshot out. Pure."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.callers import CALLERS, Callers, callers_of
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.groups import grouped, selected_labels
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.model import (
    Endpoint,
    GatewayServer,
    Mesh,
    MeshConfig,
    Missing,
    Proxy,
    Service,
    ServiceKind,
    in_mesh,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parse.destination_rule import destination_rule
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parse.endpoint_slice import (
    Slice,
    endpoint_slice,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parse.gateway import gateway_servers
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parse.metadata import Obj
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parse.peer_authentication import (
    peer_authentication,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parse.pod import Pod, pod
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parse.pod_calls import calling_pod
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parse.service import (
    selector_of as selector_of_service,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parse.service import service
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parse.service_entry import (
    selector_of,
    service_entry,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parse.sidecar import sidecar
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parse.workload_entry import (
    chosen,
    workload_entry,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.source import CALLER_KINDS

_NO_POD = -1  # in place of a group's index, because sets of endpoints are sorted


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A mesh as it was read. `missing_configs` are MeshConfigs that could not be read; `stats` are numbers for the result.

    `pods` maps each pod that can be asked, (namespace, name), to its group, and `addresses` to its first address. A pod that starts or
    ends is in neither. `callers` are those that are no workloads, None when they were not asked for.
    """

    mesh: Mesh
    namespace_labels: Mapping[str, Mapping[str, str]]
    terminating: tuple[str, ...]
    missing_configs: tuple[Missing, ...]
    stats: Mapping[str, Any]
    pods: Mapping[tuple[str, str], int]
    addresses: Mapping[tuple[str, str], str] = field(default_factory=dict)
    callers: Callers | None = None


@dataclass(frozen=True, slots=True)
class Misread:
    """In place of an object that has not the shape of its kind. `object` is its namespace and name."""

    object: str


def reducers(domain: str, *, callers: bool = False) -> dict[str, Callable[[Obj], Any]]:
    """What is kept of one object, by kind, or a Misread; `domain` is the cluster's DNS domain.

    With `callers`, more of a pod is kept, and something of the kinds that are read only to know who calls.
    """
    found: dict[str, Callable[[Obj], Any]] = {
        "Pod": pod,
        "EndpointSlice": endpoint_slice,
        "Service": functools.partial(_tried, lambda obj: (selector_of_service(obj), service(obj, domain, {}))),
        "Namespace": _namespace,
        "PeerAuthentication": peer_authentication,
        "DestinationRule": functools.partial(destination_rule, domain=domain),
        "Sidecar": sidecar,
        "ServiceEntry": functools.partial(_tried, lambda obj: (selector_of(obj), service_entry(obj, (), (), {}, {}))),
        "WorkloadEntry": functools.partial(_tried, lambda obj: workload_entry(obj, 0, {})),
        "Gateway": gateway_servers,
    }
    if callers:
        found |= {"Pod": calling_pod, **CALLERS}
    return {kind: functools.partial(_guarded, reduce) for kind, reduce in found.items()}


def _guarded(reduce: Callable[[Obj], Any], obj: Obj) -> Any:
    try:
        return reduce(obj)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):
        meta = obj.get("metadata") if isinstance(obj.get("metadata"), Mapping) else {}
        return Misread("/".join(str(meta[key]) for key in ("namespace", "name") if meta and meta.get(key)))


def _tried(parse: Callable[[Obj], Any], obj: Obj) -> Obj:
    """The object itself, if it can be parsed."""
    parse(obj)
    return obj


def _namespace(obj: Obj) -> tuple[Obj, str]:
    return obj["metadata"], str((obj.get("status") or {}).get("phase") or "")


def assembled(
    found: Mapping[str, list[Any]],
    missing: Mapping[str, Missing],
    config: MeshConfig,
    configs: Mapping[str, MeshConfig],
    domain: str,
) -> Snapshot:
    """The mesh out of its parts: reduced objects by kind, all kinds of `reducers` present; and its callers, if their kinds are present."""
    unread_callers = {kind.name: missing[kind.name] for kind in CALLER_KINDS if kind.name in missing}
    missing = {kind: why for kind, why in missing.items() if kind not in unread_callers}
    servers: list[GatewayServer] = [server for servers in found["Gateway"] for server in servers]
    kept = selected_labels(
        found["PeerAuthentication"],
        found["DestinationRule"],
        found["Sidecar"],
        [*(selector_of(obj) for obj in found["ServiceEntry"]), *(server.selector for server in servers)],
    )
    labels = {meta["name"]: meta.get("labels") or {} for meta, _phase in found["Namespace"]}
    unread = "Namespace" in missing
    config = _discovering(config, labels, unread)
    configs = {revision: _discovering(one, labels, unread) for revision, one in configs.items()}
    groups, by_name, by_ip = grouped(found["Pod"], kept, labels)
    groups = [
        replace(group, capture=in_mesh(group.capture, configs.get(group.revision, config)))
        if group.kind is Proxy.SIDECAR
        else group
        for group in groups
    ]
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
    up: dict[tuple[str, str], Pod] = {(entry.group.namespace, entry.name): entry for entry in found["Pod"] if entry.up}
    pods = {key: by_name[key] for key in up}
    addresses = {key: entry.ips[0] for key, entry in up.items() if entry.ips}
    mesh = replace(mesh, services=tuple[Service, ...](services))
    asked = CALLERS.keys() <= found.keys()
    callers = callers_of(found, unread_callers, mesh, by_name, labels) if asked else None
    return Snapshot(mesh, labels, going, (), {}, pods, addresses, callers)


def _services(
    found: Mapping[str, list[Any]],
    mesh: Mesh,
    by_name: Mapping[tuple[str, str], int],
    by_ip: Mapping[str, int],
    domain: str,
) -> list[Service]:
    """Services and hosts of ServiceEntries, with what stands behind them: pods by name and by address, and WorkloadEntries."""
    endpoints = _endpoints(found["EndpointSlice"], by_name, by_ip)
    selecting = any(config.selects_entries for config in (mesh.config, *mesh.configs.values()))
    entries = found["WorkloadEntry"] if selecting else []
    services = [
        _also_unread(
            service(
                obj,
                domain,
                endpoints.get(_name(obj), {}),
                chosen(selector_of_service(obj), _name(obj)[0], entries),
                by_ip,
            ),
            mesh,
            selecting=bool(selector_of_service(obj)),
        )
        for obj in found["Service"]
    ]
    by_host = {entry.host: entry for entry in services}
    for obj in found["ServiceEntry"]:
        services += [
            _also_unread(entry, mesh, selecting=bool(selector_of(obj)))
            for entry in service_entry(obj, mesh.groups, found["WorkloadEntry"], by_ip, by_host)
        ]
    return services


def _name(obj: Obj) -> tuple[str, str]:
    return obj["metadata"]["namespace"], obj["metadata"]["name"]


def _also_unread(entry: Service, mesh: Mesh, *, selecting: bool) -> Service:
    """A service with an endpoint that nobody knows, if its selector may choose WorkloadEntries and these could not be read."""
    unread = mesh.unread("WorkloadEntry")
    if unread is None or not selecting or entry.kind in (ServiceKind.HEADLESS, ServiceKind.ALIAS):
        return entry
    why = f"WorkloadEntries that the selector may choose are not known: {unread.text}"
    return replace(
        entry,
        ports=tuple(replace(p, endpoints=(*p.endpoints, Endpoint(p.number, unread=why))) for p in entry.ports),
    )


def _discovering(config: MeshConfig, labels: Mapping[str, Mapping[str, str]], unread: bool) -> MeshConfig:
    """A MeshConfig with the namespaces that its discoverySelectors select. Without the namespaces nobody knows which ones."""
    if not config.discovery:
        return config
    if unread:
        return replace(config, known=False)
    selected = (name for name, own in labels.items() if any(selector.matches(own) for selector in config.discovery))
    return replace(config, discovered=frozenset(selected))


def _endpoints(
    slices: list[Slice], by_name: Mapping[tuple[str, str], int], by_ip: Mapping[str, int]
) -> dict[tuple[str, str], dict[str, list[Endpoint]]]:
    """Endpoints of each Service, (namespace, name), by the port's name. Pods of one group are one endpoint."""
    behind: dict[
        tuple[str, str], dict[str, set[tuple[int, int, str]]]
    ] = {}  # port -> (number, group or _NO_POD, words)
    for part in slices:
        points = {(by_name[name], "") for name in part.pods if name in by_name}
        points |= {(by_ip[a], "") if a in by_ip else (_NO_POD, f"address {a}") for a in part.addresses}
        ports = behind.setdefault((part.namespace, part.service), {})
        for name, number in part.ports:
            ports.setdefault(name, set()).update((number, group, words) for group, words in points)
    return {
        key: {
            name: [Endpoint(n, None if group == _NO_POD else group, what=words) for n, group, words in sorted(points)]
            for name, points in ports.items()
        }
        for key, ports in behind.items()
    }
