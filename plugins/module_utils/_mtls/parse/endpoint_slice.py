# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""EndpointSlice. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parse.metadata import Obj


@dataclass(frozen=True, slots=True)
class Slice:
    """The parts of an EndpointSlice that are kept: `ports` by name, `pods` as (namespace, name, ready), `addresses` without a pod."""

    namespace: str
    service: str
    ports: tuple[tuple[str, int], ...]
    pods: tuple[tuple[str, str, bool], ...]
    addresses: tuple[str, ...]


def endpoint_slice(obj: Obj) -> Slice:
    """An EndpointSlice without the endpoints that end and are not ready."""
    meta = obj["metadata"]
    pods: list[tuple[str, str, bool]] = []
    addresses: list[str] = []
    for endpoint in obj.get("endpoints") or []:
        conditions = endpoint.get("conditions") or {}
        if conditions.get("terminating") and conditions.get("ready") is False:
            continue
        ref = endpoint.get("targetRef") or {}
        if ref.get("kind") == "Pod":
            ready = conditions.get("ready") is not False
            pods.append((str(ref.get("namespace") or meta.get("namespace")), str(ref.get("name")), ready))
        elif obj.get("addressType") != "FQDN":
            addresses += endpoint.get("addresses") or []
    ports = tuple((str(p.get("name") or ""), int(p["port"])) for p in obj.get("ports") or [] if p.get("port"))
    service = str((meta.get("labels") or {}).get("kubernetes.io/service-name") or "")
    return Slice(str(meta.get("namespace")), service, ports, tuple(pods), tuple(addresses))
