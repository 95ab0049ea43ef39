# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ServiceEntry, with the pods and WorkloadEntries that it chooses. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.model import (
    Endpoint,
    Group,
    Port,
    Service,
    ServiceKind,
    matches,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parse.metadata import (
    Obj,
    identity,
    texts,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parse.protocol import spoken
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parse.workload_entry import (
    chosen,
    workload_entry,
)

# istio pilot/pkg/networking/core/cluster.go (convertResolution: ORIGINAL_DST): neither a selector nor endpoints say where calls go.
_ANYWHERE = "with resolution NONE a call goes to the address that the application connected to, which is not known"


def selector_of(obj: Obj) -> Mapping[str, str]:
    """The labels of a ServiceEntry's workloadSelector, empty without one."""
    return texts(((obj.get("spec") or {}).get("workloadSelector") or {}).get("labels"))


def service_entry(
    obj: Obj,
    groups: Sequence[Group],
    workload_entries: Iterable[Obj],
    by_ip: Mapping[str, int],
    by_host: Mapping[str, Service],
) -> list[Service]:
    """One service for each host of a ServiceEntry. Its endpoints are of `groups`, of `workload_entries`, and its own.

    What has an endpoint's address is found by IP address and, for the DNS name of a Service, in `by_host`.
    """
    namespace, name, _created = identity(obj)
    spec = obj.get("spec") or {}
    resolution = str(spec.get("resolution") or "NONE")
    external = str(spec.get("location") or "MESH_EXTERNAL") == "MESH_EXTERNAL"
    behind = _chosen_groups(obj, namespace, groups)
    entries: list[Obj] = [
        {"metadata": {"namespace": namespace}, "spec": entry} for entry in spec.get("endpoints") or []
    ]
    entries += chosen(selector_of(obj), namespace, workload_entries)
    ports = []
    for part in spec.get("ports") or []:
        number = int(part.get("number") or 0)
        target = int(part.get("targetPort") or number)
        found = [Endpoint(target, index) for index in behind]
        for entry in entries:
            own = (entry["spec"].get("ports") or {}).get(part.get("name"))
            found += _at(
                workload_entry(entry, int(own or target), by_ip), str(entry["spec"].get("address") or ""), by_host
            )
        if resolution == "NONE":
            found = [] if external else [Endpoint(target, unread=_ANYWHERE)]
        chooses = bool(selector_of(obj))
        if (
            not found and resolution.startswith("DNS") and not chooses
        ):  # the host itself, which never accepts the mesh's TLS
            found = [Endpoint(target, what="the host that DNS names")]
        protocol = str(part.get("protocol") or "TCP")
        ports.append(Port(number, str(part.get("name") or ""), protocol, tuple(found), spoken(protocol)))
    return [
        Service(
            namespace,
            str(host),
            str(host),
            tuple(ports),
            ServiceKind.ENTRY,
            external=external,
            passthrough=resolution == "NONE",
            target=name,
            export_to=tuple(spec.get("exportTo") or ()),
            addresses=tuple(spec.get("addresses") or ()),
        )
        for host in spec.get("hosts") or []
    ]


def _at(endpoint: Endpoint, address: str, by_host: Mapping[str, Service]) -> list[Endpoint]:
    """An endpoint, once for each group behind the Service that its address is the DNS name of.

    Who connects to the Service's own address does not get to what only istiod adds to it.
    """
    named = by_host.get(address)
    if named is None:
        return [endpoint]
    ports = [port for port in named.ports if port.number == endpoint.port]
    reached = [point for port in ports for point in port.endpoints if not point.by_istio]
    if not reached:
        return [replace(endpoint, unread=f"nothing is known behind port {endpoint.port} of {named.key}")]
    return [replace(endpoint, port=point.port, behind=point.pods) for point in reached]


def _chosen_groups(obj: Obj, namespace: str, groups: Sequence[Group]) -> list[int]:
    """Indices of the groups of pods that the workloadSelector chooses."""
    selector = selector_of(obj)
    return [
        index
        for index, group in enumerate(groups)
        if selector and group.namespace == namespace and matches(selector, group.labels)
    ]
