# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The mesh as it was read, put together: reduced objects of each kind in, a Snapshot out. Pure."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.callers import CALLERS, Callers, callers_of
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.fields.kinds import TABLES, doubt
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.groups import grouped, selected_labels
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.model import (
    DestinationRule,
    Endpoint,
    GatewayServer,
    Group,
    Mesh,
    MeshConfig,
    Missing,
    Policy,
    Proxy,
    Service,
    ServiceKind,
    SidecarScope,
    in_mesh,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parse.destination_rule import destination_rule
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parse.endpoint_slice import (
    Slice,
    endpoint_slice,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parse.envoy_filter import envoy_filter
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parse.gateway import (
    gateway_servers,
    nothing_of_gateway,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parse.gateway_api import (
    as_destination_rules,
    backend_tls,
    mesh_route,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parse.metadata import Obj, revision_of
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
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parse.virtual_service import virtual_service
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parse.workload_entry import (
    chosen,
    workload_entry,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parts import (
    BackendTls,
    Doubt,
    EnvoyFilter,
    MeshRoute,
    VirtualService,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.source import CALLER_KINDS, MESH_ROUTES

_NO_POD = -1  # in place of a group's index, because sets of endpoints are sorted


@dataclass(frozen=True, slots=True)
class Located:
    """Where a pod is: its group, its addresses (one of each family), and the UID that tells it from a later pod of the same name."""

    group: int
    addresses: tuple[str, ...]
    uid: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A mesh as it was read. `missing_configs` are MeshConfigs that could not be read; `stats` are numbers for the result.

    `pods` maps each pod that can be asked, (namespace, name), to its group; a pod that starts or ends is not there. `located` says of all
    pods where they are. `callers` are those that are no workloads, None when they were not asked for.
    """

    mesh: Mesh
    namespace_labels: Mapping[str, Mapping[str, str]]
    terminating: tuple[str, ...]
    missing_configs: tuple[Missing, ...]
    stats: Mapping[str, Any]
    pods: Mapping[tuple[str, str], int]
    located: Mapping[tuple[str, str], Located] = field(default_factory=dict)
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
        "VirtualService": functools.partial(virtual_service, domain=domain),
        "EnvoyFilter": envoy_filter,
        "BackendTLSPolicy": backend_tls,
        **{kind: functools.partial(_of_kind, kind) for kind in MESH_ROUTES},
    }
    if callers:
        found |= {"Pod": calling_pod, **CALLERS}
    return {
        kind: functools.partial(_guarded, functools.partial(_doubting, kind, reduce)) for kind, reduce in found.items()
    }


# Kinds that are kept as they are, because what they mean depends on others; what is not understood of them is looked for then.
_WHOLE = frozenset({"Service", "ServiceEntry", "WorkloadEntry"})


def _doubting(kind: str, reduce: Callable[[Obj], Any], obj: Obj) -> Any:
    """A reduced object, with what of the object is not understood, and the revision that it is for."""
    found = reduce(obj)
    if kind in _WHOLE or kind == "EndpointSlice" or kind not in TABLES:
        return found
    if isinstance(found, Pod):  # pods of a workload are one group, if they do not differ
        what = doubt(kind, obj, f"pods of {found.group.key}")
        return replace(found, group=replace(found.group, doubt=what.words)) if what else found
    what = doubt(kind, obj)
    match found:
        case None:
            return None
        case BackendTls():
            return replace(found, doubt=what)
        case Policy() | DestinationRule() | SidecarScope() | VirtualService() | EnvoyFilter():
            revision = revision_of(obj)
            return replace(found, revision=revision, doubt=what) if revision or what else found
        case [*servers] if kind == "Gateway":
            if what and not servers:  # it may have servers in a form that is not known
                servers = [nothing_of_gateway(obj)]
            return [replace(server, revision=revision_of(obj), doubt=what) for server in servers]
    return (*found, what)


def _guarded(reduce: Callable[[Obj], Any], obj: Obj) -> Any:
    try:
        return reduce(obj)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):
        meta = obj.get("metadata") if isinstance(obj.get("metadata"), Mapping) else {}
        return Misread("/".join(str(meta[key]) for key in ("namespace", "name") if meta and meta.get(key)))


def _of_kind(kind: str, obj: Obj) -> MeshRoute | None:
    return mesh_route({**obj, "kind": kind})  # items of a list may state no kind


def _tried(parse: Callable[[Obj], Any], obj: Obj) -> Obj:
    """The object itself, if it can be parsed."""
    parse(obj)
    return obj


def _namespace(obj: Obj) -> tuple[Obj, str]:
    """Metadata and phase; `_doubting` adds what is not understood."""
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
    more = [selector_of(obj) for obj in found["ServiceEntry"]] + [server.selector for server in servers]
    more += [
        labels for kind in ("VirtualService", "EnvoyFilter") for entry in found[kind] for labels in entry.selectors
    ]
    kept = selected_labels(found["PeerAuthentication"], found["DestinationRule"], found["Sidecar"], more)
    labels = {meta["name"]: meta.get("labels") or {} for meta, _phase, _doubt in found["Namespace"]}
    doubts: dict[str, Doubt] = {meta["name"]: what for meta, _phase, what in found["Namespace"] if what}
    unread = "Namespace" in missing
    config = _discovering(config, labels, unread)
    configs = {revision: _discovering(one, labels, unread) for revision, one in configs.items()}
    groups, by_name, by_ip = grouped(found["Pod"], kept, labels)
    if doubts:
        wide = {name: what.words for name, what in doubts.items() if what.wide}
        groups = [replace(g, doubt=g.doubt or wide.get(g.namespace, "")) for g in groups]
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
        tuple(found["VirtualService"]),
        tuple(entry for entry in found["EnvoyFilter"] if entry.patches or entry.doubt),
        tuple(entry for kind in MESH_ROUTES for entry in found[kind] if entry is not None),
    )
    network = (labels.get(config.root_namespace) or {}).get("topology.istio.io/network") or ""
    mesh = _with_services(
        found, mesh, (by_name, by_ip), network, {name: what.words for name, what in doubts.items()}, domain
    )
    going = tuple(sorted(meta["name"] for meta, phase, _doubt in found["Namespace"] if phase == "Terminating"))
    every: dict[tuple[str, str], Pod] = {(entry.group.namespace, entry.name): entry for entry in found["Pod"]}
    pods = {key: by_name[key] for key, entry in every.items() if entry.up}
    located = {key: Located(by_name[key], entry.ips, entry.uid) for key, entry in every.items()}
    asked = CALLERS.keys() <= found.keys()
    callers = callers_of(found, unread_callers, mesh, by_name, labels) if asked else None
    return Snapshot(mesh, labels, going, (), {}, pods, located, callers)


def _with_services(
    found: Mapping[str, list[Any]],
    mesh: Mesh,
    groups: tuple[Mapping[tuple[str, str], int], Mapping[str, int]],
    network: str,
    doubts: Mapping[str, str],
    domain: str,
) -> Mesh:
    """The mesh with its services, and with what BackendTLSPolicies make of them.

    `groups` are those of pods by name and by address, `network` the mesh's own, `doubts` what of a namespace is not understood.
    """
    by_name, by_ip = groups
    services = [_of_one_network(entry, network) for entry in _services(found, mesh, by_name, by_ip, domain)]
    policies = [entry for entry in found["BackendTLSPolicy"] if entry is not None]
    rules = (*mesh.destination_rules, *as_destination_rules(policies, services))
    if doubts:
        services = [replace(entry, doubt=entry.doubt or doubts.get(entry.namespace, "")) for entry in services]
    entries = (str((obj.get("spec") or {}).get("address") or "") for obj in found["WorkloadEntry"])
    claimed = frozenset(by_ip[address] for address in entries if address in by_ip)
    return replace(mesh, services=tuple(services), destination_rules=rules, claimed=claimed)


def _services(
    found: Mapping[str, list[Any]],
    mesh: Mesh,
    by_name: Mapping[tuple[str, str], int],
    by_ip: Mapping[str, int],
    domain: str,
) -> list[Service]:
    """Services and hosts of ServiceEntries, with what stands behind them: pods by name and by address, and WorkloadEntries."""
    pods = mesh.missing.get("Pod")
    why = f"its endpoints are unknown: {pods.text}" if pods else ""
    endpoints = _endpoints(found["EndpointSlice"], mesh.groups, by_name, by_ip, why)
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
            obj,
            selecting=bool(selector_of_service(obj)),
        )
        for obj in found["Service"]
    ]
    by_host = {entry.host: entry for entry in services}
    for obj in found["ServiceEntry"]:
        services += [
            _also_unread(entry, mesh, obj, selecting=bool(selector_of(obj)))
            for entry in service_entry(obj, mesh.groups, found["WorkloadEntry"], by_ip, by_host)
        ]
    return services


def _name(obj: Obj) -> tuple[str, str]:
    return obj["metadata"]["namespace"], obj["metadata"]["name"]


def _also_unread(entry: Service, mesh: Mesh, obj: Obj, *, selecting: bool) -> Service:
    """A service with what is not understood of its object.

    It has an endpoint that nobody knows, if its selector may choose WorkloadEntries and these could not be read.
    """
    is_entry = entry.kind is ServiceKind.ENTRY
    what, revision = doubt("ServiceEntry" if is_entry else "Service", obj), revision_of(obj) if is_entry else ""
    if what or revision:
        entry = replace(entry, doubt=what.words if what else "", revision=revision)
    unread = mesh.unread("WorkloadEntry")
    if unread is None or not selecting or entry.kind in (ServiceKind.HEADLESS, ServiceKind.ALIAS):
        return entry
    why = f"WorkloadEntries that the selector may choose are not known: {unread.text}"
    return replace(
        entry,
        ports=tuple(
            replace(p, endpoints=(*p.endpoints, Endpoint(p.number, unread=why, by_istio=True))) for p in entry.ports
        ),
    )


def _of_one_network(entry: Service, local: str) -> Service:
    """A service with what another network's gateway may stand before marked as not known (istio pilot/pkg/xds/endpoints/ep_filters.go)."""
    if not any(point.network not in ("", local) for port in entry.ports for point in port.endpoints):
        return entry

    def known(point: Endpoint) -> Endpoint:
        if point.network in ("", local):
            return point
        return replace(point, unread=f"{point.what} is in network {point.network}, whose gateway is not known here")

    ports = (replace(port, endpoints=tuple(known(point) for point in port.endpoints)) for port in entry.ports)
    return replace(entry, ports=tuple(ports))


def _discovering(config: MeshConfig, labels: Mapping[str, Mapping[str, str]], unread: bool) -> MeshConfig:
    """A MeshConfig with the namespaces that its discoverySelectors select. Without the namespaces nobody knows which ones."""
    if not config.discovery:
        return config
    if unread:
        return replace(config, known=False)
    selected = (name for name, own in labels.items() if any(selector.matches(own) for selector in config.discovery))
    return replace(config, discovered=frozenset(selected))


def _endpoints(
    slices: list[Slice],
    groups: Sequence[Group],
    by_name: Mapping[tuple[str, str], int],
    by_ip: Mapping[str, int],
    why: str,
) -> dict[tuple[str, str], dict[str, list[Endpoint]]]:
    """Endpoints of each Service, (namespace, name), by the port's name. Pods of one group are one endpoint.

    `why` says why pods are not known, empty when they were read.
    """
    behind: dict[tuple[str, str], dict[str, set[tuple[int, _Point]]]] = {}
    for part in slices:
        points = set(_points(part, groups, by_name, by_ip, why))
        ports = behind.setdefault((part.namespace, part.service), {})
        for name, number in part.ports:
            ports.setdefault(name, set()).update((number, point) for point in points)
    return {
        key: {name: [_endpoint(*entry) for entry in sorted(points)] for name, points in ports.items()}
        for key, ports in behind.items()
    }


# Group, group behind an address (both may be _NO_POD), the address without a pod's name, what could not be read.
_Point = tuple[int, int, str, str]


def _points(
    part: Slice, groups: Sequence[Group], by_name: Mapping[tuple[str, str], int], by_ip: Mapping[str, int], why: str
) -> Iterator[_Point]:
    """What a slice leads to. An address without a pod is a pod's for istiod only in the slice's namespace (endpointslice.go, getPod)."""
    for namespace, name, ready in part.pods:
        if (namespace, name) in by_name:
            yield by_name[(namespace, name)], _NO_POD, "", ""
        elif ready:
            yield _NO_POD, _NO_POD, "", why or f"pod {namespace}/{name}, which an EndpointSlice names, was not read"
    for address in part.addresses:
        index = by_ip.get(address, _NO_POD)
        if index != _NO_POD and groups[index].namespace == part.namespace:
            yield index, _NO_POD, "", ""
        else:
            yield _NO_POD, index, address, ""


def _endpoint(number: int, point: _Point) -> Endpoint:
    group, behind, address, unread = point
    return Endpoint(
        number,
        None if group == _NO_POD else group,
        what=f"address {address}" if address else "",
        behind=None if behind == _NO_POD else behind,
        unread=unread,
        address=address,
    )
