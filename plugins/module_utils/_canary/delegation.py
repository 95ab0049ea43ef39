# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VirtualServices that delegate routes to others: who delegates to whom, and what Istio makes of both. Pure.

Rules: istio pilot/pkg/model/virtualservice_controller.go (mergeVirtualServices), pilot/pkg/model/virtualservice.go (mergeHTTPRoute,
mergeHTTPMatchRequests, hasConflict).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._canary.route_match import gateway

Obj = Mapping[str, Any]
MESH = "mesh"


def is_delegate(virtual_service: Obj) -> bool:
    """Whether a VirtualService has routes only for those that delegate to it: it has no hosts."""
    return not (virtual_service.get("spec") or {}).get("hosts")


def roots_of(virtual_service: Obj, others: Iterable[Obj]) -> Iterator[tuple[Obj, Obj]]:
    """(VirtualService, its route) of each route that delegates to a VirtualService."""
    meta = virtual_service["metadata"]
    for other in others:
        for route in (other.get("spec") or {}).get("http") or []:
            target = route.get("delegate") or {}
            where = target.get("namespace") or other["metadata"].get("namespace")
            if target and (target.get("name"), where) == (meta["name"], meta.get("namespace")):
                yield other, route


def delegates_of(virtual_service: Obj) -> list[str]:
    """namespace/name of the VirtualServices that a VirtualService delegates to, each once."""
    namespace = virtual_service["metadata"].get("namespace") or ""
    found: dict[str, None] = {}
    for route in (virtual_service.get("spec") or {}).get("http") or []:
        if target := route.get("delegate"):
            found[f"{target.get('namespace') or namespace}/{target.get('name')}"] = None
    return list(found)


def gateways_of(virtual_service: Obj) -> list[str]:
    """namespace/name of the Gateways that a VirtualService is bound to, and `mesh` for sidecars; nothing for a delegate."""
    if is_delegate(virtual_service):
        return []
    namespace = virtual_service["metadata"].get("namespace") or ""
    names = (virtual_service.get("spec") or {}).get("gateways") or [MESH]
    return list(dict.fromkeys(gateway(str(name), namespace) for name in names))


def resolved(match: Obj, namespace: str) -> dict[str, Any]:
    """A match of a VirtualService of `namespace`, its gateways as namespace/name."""
    if not match.get("gateways"):
        return dict(match)
    return {**match, "gateways": [gateway(name, namespace) for name in match["gateways"]]}


def merged(roots: Sequence[Obj], leaves: Sequence[Obj]) -> list[dict[str, Any]]:
    """Matches of a delegate's route below a root's; empty when Istio drops the route. A route without a match has one empty match."""
    if not roots or not leaves:
        return [dict(match) for match in (*roots, *leaves)] or [{}]
    found = []
    for leaf in leaves:
        fitting = [root for root in roots if not _conflicts(root, leaf)]
        if not fitting:
            return []
        found += [_below(root, leaf) for root in fitting]
    return found


def _below(root: Obj, leaf: Obj) -> dict[str, Any]:
    result = dict(leaf)
    for key in ("uri", "scheme", "method", "authority"):
        if leaf.get(key) is None and root.get(key) is not None:
            result[key] = root[key]
    for key in ("port", "sourceNamespace", "gateways", "statPrefix"):
        result[key] = leaf.get(key) or root.get(key)
    for key in ("headers", "withoutHeaders", "queryParams", "sourceLabels"):
        result[key] = {**(root.get(key) or {}), **(leaf.get(key) or {})}
    names = [text for text in (root.get("name"), leaf.get("name")) if text]
    result["name"] = "-".join(names)
    return result


def _conflicts(root: Obj, leaf: Obj) -> bool:
    if any(_text_conflict(root.get(key), leaf.get(key)) for key in ("uri", "scheme", "method", "authority")):
        return True
    for key in ("headers", "withoutHeaders", "queryParams"):
        above = root.get(key) or {}
        if any(_text_conflict(above.get(name), entry) for name, entry in (leaf.get(key) or {}).items()):
            return True
    if bool(root.get("ignoreUriCase")) != bool(leaf.get("ignoreUriCase")):
        return True
    if root.get("port") and leaf.get("port") and root["port"] != leaf["port"]:
        return True
    if root.get("sourceNamespace") and root["sourceNamespace"] != leaf.get("sourceNamespace"):
        return True
    labels = root.get("sourceLabels") or {}
    if any(name in labels and labels[name] != text for name, text in (leaf.get("sourceLabels") or {}).items()):
        return True
    mine, theirs = root.get("gateways") or [], leaf.get("gateways") or []
    return bool(mine and theirs) and (len(mine) < len(theirs) or not set(theirs) <= set(mine))


def _text_conflict(root: Obj | None, leaf: Obj | None) -> bool:
    if root is None or leaf is None:
        return False
    if root.get("regex") or leaf.get("regex"):
        return True
    if root.get("exact"):
        return bool(leaf.get("prefix")) or leaf.get("exact") != root["exact"]
    if root.get("prefix"):
        text = leaf.get("prefix") or leaf.get("exact") or ""
        return not text.startswith(root["prefix"])
    return True
