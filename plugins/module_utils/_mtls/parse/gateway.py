# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gateway of Istio's API. Pure."""

from __future__ import annotations

from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.model import (
    GatewayServer,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parse.metadata import (
    Obj,
    identity,
    texts,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parse.protocol import spoken
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parts import (
    Spoken,
)


def nothing_of_gateway(obj: Obj) -> GatewayServer:
    """In place of the servers of a Gateway that has none in a form that is known here."""
    namespace, name, _created = identity(obj)
    return GatewayServer(f"{namespace}/{name}", texts((obj.get("spec") or {}).get("selector")), 0)


def gateway_servers(obj: Obj) -> list[GatewayServer]:
    """Servers of a Gateway."""
    namespace, name, _created = identity(obj)
    spec = obj.get("spec") or {}
    return [
        GatewayServer(
            f"{namespace}/{name}",
            texts(spec.get("selector")),
            int((part.get("port") or {}).get("number") or 0),
            _tls(part),
            tuple(part.get("hosts") or ()),
        )
        for part in spec.get("servers") or []
    ]


def _tls(server: Obj) -> str:
    """TLS mode of a server, empty for plain text. `tls: {}` is mode PASSTHROUGH, the enum's zero.

    A server of protocol HTTP has no TLS, whatever its `tls` says (istio pkg/config/gateway/gateway.go, IsTLSServer).
    """
    tls = server.get("tls")
    if tls is None or spoken(str((server.get("port") or {}).get("protocol") or "")) is Spoken.HTTP:
        return ""
    return str(tls.get("mode") or "PASSTHROUGH")
