# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Endpoints as the controllers of Kubernetes would make them: of a Service's selector and the pods. Pure.

Source: kubernetes staging/src/k8s.io/endpointslice/utils.go (getEndpointPorts), pkg/api/v1/pod/util.go (FindPort).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.model import Labels, matches
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parse.endpoint_slice import Slice
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parse.metadata import Obj, identity
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parse.service import selector_of

NamedPorts = frozenset[tuple[str, str, int]]  # name, protocol and number of container ports


def named_ports(spec: Obj) -> NamedPorts:
    """The ports of a pod that have a name."""
    native = [part for part in spec.get("initContainers") or [] if part.get("restartPolicy") == "Always"]
    return frozenset(
        (str(port["name"]), str(port.get("protocol") or "TCP"), int(port["containerPort"]))
        for container in [*(spec.get("containers") or []), *native]
        for port in container.get("ports") or []
        if port.get("name")
    )


def offered(obj: Obj) -> tuple[Any, ...]:
    """What of a Service decides on its endpoints."""
    spec = obj.get("spec") or {}
    ports = tuple(sorted((name, protocol, str(target)) for name, protocol, target in _ports(spec)))
    return tuple(sorted(selector_of(obj).items())), ports, spec.get("type") == "ExternalName"


def _ports(spec: Obj) -> Iterable[tuple[str, str, Any]]:
    """Name, protocol and target of each port."""
    for port in spec.get("ports") or []:
        yield str(port.get("name") or ""), str(port.get("protocol") or "TCP"), port.get("targetPort") or port["port"]


def selects(obj: Obj, labels: Labels) -> bool:
    """Whether a Service selects pods with these labels."""
    selector = selector_of(obj)
    return bool(selector) and matches(selector, labels)


def named_targets(obj: Obj, ports: NamedPorts) -> frozenset[tuple[str, str, int]]:
    """Which ports of a pod a Service asks for by name."""
    asked = {(target, protocol) for _name, protocol, target in _ports(obj.get("spec") or {}) if isinstance(target, str)}
    return frozenset(port for port in ports if port[:2] in asked)


def slices(obj: Obj, pods: Mapping[tuple[str, str], tuple[Labels, NamedPorts]]) -> list[Slice]:
    """The EndpointSlices of a Service over the pods, (namespace, name), of its namespace. All pods count as ready."""
    namespace, name, _created = identity(obj)
    found: dict[tuple[str, int], list[tuple[str, str]]] = {}
    for place, (labels, ports) in pods.items():
        if place[0] != namespace or not selects(obj, labels):
            continue
        for port, protocol, target in _ports(obj.get("spec") or {}):
            number = target if isinstance(target, int) else _number(ports, target, protocol)
            if number:
                found.setdefault((port, number), []).append(place)
    return [
        Slice(namespace, name, (port,), tuple((*place, True) for place in places), ()) for port, places in found.items()
    ]


def _number(ports: NamedPorts, name: str, protocol: str) -> int:
    return next((number for own, by, number in sorted(ports) if (own, by) == (name, protocol)), 0)
