# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ingress and IngressClass. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parse.metadata import Obj, identity

_CLASS = "kubernetes.io/ingress.class"
_DEFAULT = "ingressclass.kubernetes.io/is-default-class"


@dataclass(frozen=True, slots=True)
class Ingress:
    """An Ingress: the class that it names, empty for the default one, and its backends as (service, port's number or name)."""

    namespace: str
    name: str
    class_name: str
    backends: tuple[tuple[str, int | str], ...]


@dataclass(frozen=True, slots=True)
class IngressClass:
    """An IngressClass. `controller` is what its controller calls itself, no object of the cluster."""

    name: str
    controller: str
    default: bool


def ingress(obj: Obj) -> Ingress:
    """One Ingress, reduced. A backend that is a resource of another kind is no service."""
    namespace, name, _created = identity(obj)
    spec = obj.get("spec") or {}
    annotation = ((obj.get("metadata") or {}).get("annotations") or {}).get(_CLASS)
    backends = tuple(dict.fromkeys(_backends(spec)))
    return Ingress(namespace, name, str(spec.get("ingressClassName") or annotation or ""), backends)


def _backends(spec: Obj) -> Iterator[tuple[str, int | str]]:
    paths = [path for rule in spec.get("rules") or [] for path in (rule.get("http") or {}).get("paths") or []]
    for backend in [spec.get("defaultBackend") or {}, *(path.get("backend") or {} for path in paths)]:
        service = backend.get("service")
        if service:
            port = service.get("port") or {}
            yield str(service["name"]), int(port.get("number") or 0) or str(port.get("name") or "")


def ingress_class(obj: Obj) -> IngressClass:
    """One IngressClass, reduced."""
    annotations = (obj.get("metadata") or {}).get("annotations") or {}
    controller = str((obj.get("spec") or {}).get("controller") or "")
    return IngressClass(identity(obj)[1], controller, annotations.get(_DEFAULT) == "true")
