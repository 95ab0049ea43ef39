# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sidecar. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.model import (
    SidecarScope,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parse.metadata import (
    Obj,
    identity,
    texts,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parse.protocol import spoken
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parts import (
    EgressHost,
    EgressListener,
    IngressListener,
)


def sidecar(obj: Obj) -> SidecarScope:
    """A Sidecar object."""
    namespace, name, created = identity(obj)
    spec = obj.get("spec") or {}
    chosen = spec.get("workloadSelector")
    ingress = {
        int(part["port"]["number"]): IngressListener(
            bool(part.get("tls")), spoken(str(part["port"].get("protocol") or ""))
        )
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


def _egress(spec: Obj) -> tuple[EgressListener, ...]:
    """The egress listeners (istio pilot/pkg/model/sidecar.go, convertIstioListenerToWrapper). `~/*` excludes everything.

    The port of a listener for HTTP_PROXY is that of the proxy, and not one of a service (needsPortMatch).
    """
    listeners = []
    for part in spec["egress"]:
        port = part.get("port") or {}
        proxy = str(port.get("protocol") or "").upper() == "HTTP_PROXY"
        listeners.append(EgressListener(0 if proxy else int(port.get("number") or 0), tuple(_hosts(part))))
    return tuple(listeners)


def _hosts(listener: Obj) -> Iterator[EgressHost]:
    for text in listener.get("hosts") or []:
        where, _slash, host = str(text).partition("/")
        excluded = where.startswith("~")
        yield EgressHost((where[1:] or "*") if excluded else where, host, excluded)
