# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies of routes for the option `match`, and why there can be none; and what delegation makes of them and of mirrors. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._canary.delegation import merged, resolved, roots_of
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.route_match import InexpressibleError, both
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
    above = [resolved(match, root["metadata"].get("namespace") or "") for match in root_route.get("match") or []]
    rewritten = bool((route.get("rewrite") or root_route.get("rewrite") or {}).get("uri"))
    conflict = "whose match Istio cannot combine with that of the copy"
    before = merged(above, [resolved(match, namespace) for match in route.get("match") or []])
    try:
        wanted = [both(match, extra, namespace, rewritten=rewritten) for match in before]
    except InexpressibleError as error:
        return f"and then {error}"
    below = [resolved(match, namespace) for match in (copy or {}).get("match") or []]
    after = merged(above, below) if below else []
    left = [_bare(resolved(match, namespace)) for match in wanted if match is not None]
    return "" if left == [_bare(match) for match in after] else conflict


def _bare(match: Obj) -> dict[str, Any]:
    return {key: value for key, value in match.items() if value}
