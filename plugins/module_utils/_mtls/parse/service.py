# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kubernetes Service. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.model import (
    Endpoint,
    Port,
    Service,
    ServiceKind,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parse.metadata import (
    Obj,
    identity,
    texts,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parse.protocol import of_service_port
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parse.workload_entry import workload_entry


def selector_of(obj: Obj) -> Mapping[str, str]:
    """The labels of a Service's selector, empty without one."""
    return texts((obj.get("spec") or {}).get("selector"))


def service(
    obj: Obj,
    domain: str,
    endpoints: Mapping[str, Iterable[Endpoint]],
    entries: Sequence[Obj] = (),
    by_ip: Mapping[str, int] | None = None,
) -> Service:
    """A Service (istio pilot/pkg/serviceregistry/kube/conversion.go). `endpoints` are by the port's name, `entries` the WorkloadEntries.

    Its selector chooses WorkloadEntries as well, but not for a headless Service (kube/controller/controller.go,
    collectWorkloadInstanceEndpoints).
    """
    namespace, name, _created = identity(obj)
    spec = obj.get("spec") or {}
    external_name = str(spec.get("externalName") or "") if spec.get("type") == "ExternalName" else ""
    headless = spec.get("clusterIP") == "None"
    entries = () if headless or external_name else entries
    exported = ((obj.get("metadata") or {}).get("annotations") or {}).get("networking.istio.io/exportTo") or ""
    ports = tuple(
        Port(
            int(part["port"]),
            str(part.get("name") or ""),
            str(part.get("protocol") or "TCP"),
            (*endpoints.get(str(part.get("name") or ""), ()), *_of_entries(part, entries, by_ip or {})),
            of_service_port(int(part["port"]), str(part.get("name") or ""), part.get("appProtocol")),
        )
        for part in spec.get("ports") or []
    )
    return Service(
        namespace,
        name,
        f"{name}.{namespace}.svc.{domain}",
        ports,
        ServiceKind.ALIAS if external_name else ServiceKind.HEADLESS if headless else ServiceKind.SERVICE,
        external=bool(external_name),
        target=external_name,
        export_to=tuple(part.strip() for part in exported.split(",") if part.strip()),
        addresses=tuple(a for a in spec.get("clusterIPs") or [spec.get("clusterIP")] if a and a != "None"),
        entrance=spec.get("type") in ("LoadBalancer", "NodePort") or bool(spec.get("externalIPs")),
    )


def _of_entries(port: Obj, entries: Sequence[Obj], by_ip: Mapping[str, int]) -> Iterator[Endpoint]:
    """A port at each WorkloadEntry: a named targetPort is looked up there, and one that is not there offers nothing."""
    target: Any = port.get("targetPort") or port["port"]
    for entry in entries:
        number = target if isinstance(target, int) else ((entry.get("spec") or {}).get("ports") or {}).get(target)
        if number:
            yield replace(workload_entry(entry, int(number), by_ip), by_istio=True)
