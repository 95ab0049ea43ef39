# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies of routes for the option `match`, and why there can be none; and what delegation makes of them and of mirrors. Pure.

Rules of delegation: istio pilot/pkg/model/virtualservice.go (mergeHTTPRoute, mergeHTTPMatchRequests, hasConflict).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._canary.route_match import (
    InexpressibleError,
    both,
    gateway,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.route_record import mirror_of
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.routes import Aim, Place, find, named

Obj = Mapping[str, Any]


def copies_of(virtual_service: Obj, aim: Aim, extra: Obj, run: str) -> tuple[dict[int, dict[str, Any]], list[str]]:
    """(copies of the http routes to shift by their index, findings).

    A copy has all settings of its route, and takes those of its requests that also match `extra`; all of them go to the canary. A route
    has no copy when it takes no such request. `run`: is part of the names, so that no other route has them.
    """
    http = (virtual_service.get("spec") or {}).get("http") or []
    namespace = virtual_service["metadata"].get("namespace") or ""
    names = {str(route.get("name") or "") for route in http}
    copies: dict[int, dict[str, Any]] = {}
    findings = []
    for place in find(virtual_service, aim).places:
        if place.protocol != "http":
            continue
        route = http[place.index]
        try:
            matches = _matches(route, extra, namespace)
        except InexpressibleError as error:
            findings.append(_refused(virtual_service, place, str(error)))
            continue
        if matches:
            name = _free_name(place, run, names)
            names.add(name)
            copies[place.index] = _copy(route, place, matches, name)
    return copies, findings


def _refused(virtual_service: Obj, place: Place, why: str) -> str:
    return (
        f"{named(virtual_service)}, {place}: no copy of it can take the requests of the option match: {why}. "
        "Use another match, or exclude this route with the option routes"
    )


def _matches(route: Obj, extra: Obj, namespace: str) -> list[dict[str, Any]]:
    rewritten = bool((route.get("rewrite") or {}).get("uri"))
    found = (both(match or {}, extra, namespace, rewritten=rewritten) for match in route.get("match") or [{}])
    return [match for match in found if match is not None]


def _free_name(place: Place, run: str, taken: set[str]) -> str:
    wanted = f"{place.name or f'route-{place.index}'}-canary-match-{run}"
    number = 1
    while (name := wanted if number == 1 else f"{wanted}-{number}") in taken:
        number += 1
    return name


def _copy(route: Obj, place: Place, matches: Sequence[Obj], name: str) -> dict[str, Any]:
    target = {key: value for key, value in route["route"][place.canary].items() if key != "weight"}
    kept = {key: value for key, value in route.items() if key not in ("match", "route", "name")}
    return {"name": name, "match": list(matches), "route": [target], **kept}


# Delegation -------------------------------------------------------------------------------------------------------------------


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


def root_findings(
    virtual_service: Obj, aim: Aim, others: Iterable[Obj], copies: Mapping[int, Obj], extra: Obj | None, mirror: float
) -> list[str]:
    """Why copies or mirrors in a delegate do something else below the routes that delegate to it.

    Istio drops a route whose match conflicts with that of the root, and a mirror of a delegate replaces that of the root.
    """
    findings = []
    http = (virtual_service.get("spec") or {}).get("http") or []
    for root, root_route in roots_of(virtual_service, others):
        who = f"{named(root)} delegates to it in http route {root_route.get('name') or '(without a name)'}"
        if mirror and mirror_of(root_route):
            findings.append(
                f"{named(virtual_service)}: {who} with a mirror of its own. Remove it, or omit the option mirror"
            )
        if not extra:
            continue
        for place in find(virtual_service, aim).places:
            if place.protocol != "http":
                continue
            why = _root_conflict(root, root_route, virtual_service, http[place.index], copies.get(place.index), extra)
            if why:
                findings.append(_refused(virtual_service, place, f"{who}, {why}"))
    return findings


def _root_conflict(root: Obj, root_route: Obj, leaf: Obj, route: Obj, copy: Obj | None, extra: Obj) -> str:
    """What Istio makes of the copy has to be what the option makes of that which Istio makes of the route."""
    namespace = leaf["metadata"].get("namespace") or ""
    above = [_resolved(match, root["metadata"].get("namespace") or "") for match in root_route.get("match") or []]
    rewritten = bool((route.get("rewrite") or root_route.get("rewrite") or {}).get("uri"))
    conflict = "whose match Istio cannot combine with that of the copy"
    before = _merged(above, [_resolved(match, namespace) for match in route.get("match") or []])
    try:
        wanted = [both(match, extra, namespace, rewritten=rewritten) for match in before]
    except InexpressibleError as error:
        return f"and then {error}"
    below = [_resolved(match, namespace) for match in (copy or {}).get("match") or []]
    after = _merged(above, below) if below else []
    left = [_bare(_resolved(match, namespace)) for match in wanted if match is not None]
    return "" if left == [_bare(match) for match in after] else conflict


def _resolved(match: Obj, namespace: str) -> dict[str, Any]:
    if not match.get("gateways"):
        return dict(match)
    return {**match, "gateways": [gateway(name, namespace) for name in match["gateways"]]}


def _bare(match: Obj) -> dict[str, Any]:
    return {key: value for key, value in match.items() if value}


def _merged(roots: Sequence[Obj], leaves: Sequence[Obj]) -> list[dict[str, Any]]:
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
