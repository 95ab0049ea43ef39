# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gateway of Istio's API. Pure."""

from __future__ import annotations

from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.model import GatewayServer
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parse.metadata import (
    Obj,
    identity,
    texts,
)


def gateway_servers(obj: Obj) -> list[GatewayServer]:
    """Servers of a Gateway. `tls: {}` is mode PASSTHROUGH, the enum's zero."""
    namespace, name, _created = identity(obj)
    spec = obj.get("spec") or {}
    return [
        GatewayServer(
            f"{namespace}/{name}",
            texts(spec.get("selector")),
            int((part.get("port") or {}).get("number") or 0),
            "" if part.get("tls") is None else str(part["tls"].get("mode") or "PASSTHROUGH"),
            tuple(part.get("hosts") or ()),
        )
        for part in spec.get("servers") or []
    ]
