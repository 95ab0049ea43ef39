# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sidecar. Pure."""

from __future__ import annotations

from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.model import EgressHost, SidecarScope
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parse.metadata import (
    Obj,
    identity,
    texts,
)


def sidecar(obj: Obj) -> SidecarScope:
    """A Sidecar object."""
    namespace, name, created = identity(obj)
    spec = obj.get("spec") or {}
    chosen = spec.get("workloadSelector")
    ingress = {
        int(part["port"]["number"]): bool(part.get("tls"))
        for part in spec.get("ingress") or []
        if (part.get("port") or {}).get("number")
    }
    return SidecarScope(
        namespace,
        name,
        created,
        None if chosen is None else texts((chosen or {}).get("labels")),
        _egress(spec) if spec.get("egress") else None,
        ingress,
        str((spec.get("outboundTrafficPolicy") or {}).get("mode") or ""),
    )


def _egress(spec: Obj) -> tuple[EgressHost, ...]:
    """All hosts of all egress listeners. `~/*` is nothing at all (istio pilot/pkg/model/sidecar.go)."""
    hosts = []
    for listener in spec["egress"]:
        port = int((listener.get("port") or {}).get("number") or 0)
        for text in listener.get("hosts") or []:
            where, _slash, host = str(text).partition("/")
            excluded = where.startswith("~")
            where = (where[1:] or "*") if excluded else where
            hosts.append(EgressHost(where, host, port, excluded))
    return tuple(hosts)
