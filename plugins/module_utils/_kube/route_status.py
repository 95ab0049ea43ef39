# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What keeps an Ingress or a route of the Gateway API from being in service. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

GATEWAY_API = "gateway.networking.k8s.io"
ROUTES = frozenset({"HTTPRoute", "GRPCRoute", "TLSRoute", "TCPRoute", "UDPRoute"})

Obj = Mapping[str, Any]


def without_address(ingress: Obj) -> str:
    """Why an Ingress is not in service; empty when a load balancer has given it an address."""
    balancer = (ingress.get("status") or {}).get("loadBalancer") or {}
    if any(entry.get("ip") or entry.get("hostname") for entry in balancer.get("ingress") or []):
        return ""
    return "no load balancer has given it an address"


def not_accepted(route: Obj) -> str:
    """Which parent of a route has not accepted it, and why; empty when all have.

    Each parent in the spec gets an entry with its own conditions in the status (gateway-api, apis/v1/shared_types.go: RouteStatus).
    """
    meta = route["metadata"]
    entries = (route.get("status") or {}).get("parents") or []
    for parent in (route.get("spec") or {}).get("parentRefs") or []:
        shown = f"{parent.get('kind', 'Gateway')} {parent.get('name')}"
        mine = [e for e in entries if _parent(e.get("parentRef") or {}, meta) == _parent(parent, meta)]
        if not mine:
            return f"{shown} has not reported on it yet"
        # Several controllers may report on one parent; it is enough that one has accepted the route.
        reasons = [_refusal(entry, meta.get("generation")) for entry in mine]
        if "" not in reasons:
            return f"{shown}: {reasons[0]}"
    return ""


def _parent(ref: Mapping[str, Any], meta: Mapping[str, Any]) -> tuple[Any, ...]:
    """The fields that identify a parent, with their defaults (gateway-api, apis/v1/shared_types.go: ParentReference)."""
    return (
        ref.get("group", GATEWAY_API),
        ref.get("kind", "Gateway"),
        ref.get("namespace") or meta.get("namespace"),
        ref.get("name"),
        ref.get("sectionName"),
        ref.get("port"),
    )


def _refusal(entry: Mapping[str, Any], generation: Any) -> str:
    found = next((c for c in entry.get("conditions") or [] if c.get("type") == "Accepted"), None)
    if found is None:
        return "no condition Accepted yet"
    observed = found.get("observedGeneration")
    if generation is not None and observed is not None and observed < generation:
        return "its controller has not observed the change yet"
    if found.get("status") == "True":
        return ""
    return ": ".join(str(found[key]) for key in ("reason", "message") if found.get(key)) or "not accepted"
