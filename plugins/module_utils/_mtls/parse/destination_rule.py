# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""DestinationRule. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.model import (
    DestinationRule,
    Subset,
    TlsMode,
    Traffic,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parse.metadata import (
    Obj,
    full_host,
    identity,
    texts,
)

_TLS_MODES = {mode.value: mode for mode in TlsMode}


def destination_rule(obj: Obj, domain: str) -> DestinationRule:
    """A DestinationRule. One with a workloadSelector is private (istio push_context.go, setDestinationRules)."""
    namespace, name, created = identity(obj)
    spec = obj.get("spec") or {}
    chosen = spec.get("workloadSelector")
    subsets = tuple(
        Subset(str(part.get("name") or ""), texts(part.get("labels")), _traffic(part.get("trafficPolicy")))
        for part in spec.get("subsets") or []
    )
    return DestinationRule(
        namespace,
        name,
        full_host(str(spec.get("host") or ""), namespace, domain),
        created,
        (".",) if chosen is not None else tuple(spec.get("exportTo") or ()),
        None if chosen is None else texts((chosen or {}).get("matchLabels")),
        _traffic(spec.get("trafficPolicy")),
        subsets,
    )


def _traffic(node: Any) -> Traffic | None:
    """A trafficPolicy. Of two portLevelSettings for one port the first applies."""
    if not isinstance(node, Mapping):
        return None
    ports: dict[int, Traffic] = {}
    for part in node.get("portLevelSettings") or []:
        number = (part.get("port") or {}).get("number")
        if number is not None:
            ports.setdefault(int(number), _block(part, {}))
    return _block(node, ports)


def _block(part: Obj, ports: Mapping[int, Traffic]) -> Traffic:
    """`tls: {}` is mode DISABLE, the enum's zero (istio.io/api networking/v1alpha3, ClientTLSSettings)."""
    tls = part.get("tls")
    simple = ((part.get("loadBalancer") or {}).get("simple")) or ""
    mode = None if tls is None else _TLS_MODES.get(str(tls.get("mode") or "DISABLE"), TlsMode.UNKNOWN)
    return Traffic(mode, simple == "PASSTHROUGH", ports)
