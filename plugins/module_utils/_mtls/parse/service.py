# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kubernetes Service. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.model import (
    Endpoint,
    Port,
    Service,
    ServiceKind,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parse.metadata import Obj, identity


def service(obj: Obj, domain: str, endpoints: Mapping[str, Iterable[Endpoint]]) -> Service:
    """A Service (istio pilot/pkg/serviceregistry/kube/conversion.go). `endpoints` are by the port's name."""
    namespace, name, _created = identity(obj)
    spec = obj.get("spec") or {}
    external_name = str(spec.get("externalName") or "") if spec.get("type") == "ExternalName" else ""
    headless = spec.get("clusterIP") == "None"
    exported = ((obj.get("metadata") or {}).get("annotations") or {}).get("networking.istio.io/exportTo") or ""
    ports = tuple(
        Port(
            int(part["port"]),
            str(part.get("name") or ""),
            str(part.get("protocol") or "TCP"),
            tuple(endpoints.get(str(part.get("name") or ""), ())),
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
    )
