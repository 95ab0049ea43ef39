# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run records of its routes before it writes any: how they are, and the copies and mirrors that it will add. Pure.

What is in the record is the run's own, and is removed at the end; everything else in a VirtualService is somebody else's. Nothing is
recognised by a pattern of its name.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._canary.routes import (
    Aim,
    Place,
    find,
    leads_to_canary,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.state import digest

Obj = Mapping[str, Any]

# `mirror_percent` is another spelling that the CRD accepts.
MIRROR_KEYS = ("mirror", "mirrors", "mirrorPercentage", "mirrorPercent", "mirror_percent")


@dataclass(frozen=True, slots=True)
class Original:
    """A route to shift, as it was at the start. `digest`: its content without the two weights.

    `weight`: the key `weight` of its canary destination and its value (absent, None or 0), which the end puts back.
    `copy`: the route that this run puts before it. `mirror`: the keys and values that this run adds to it.
    """

    protocol: str
    name: str
    digest: str
    weight: Mapping[str, Any] = field(default_factory=dict)
    copy: Mapping[str, Any] | None = None
    mirror: Mapping[str, Any] | None = None

    def __str__(self) -> str:
        return f"{self.protocol} route {self.name or '(without a name)'}"


@dataclass(frozen=True, slots=True)
class RouteRecord:
    """One VirtualService. `empty_annotations`: it had annotations without any entry.

    `others`: digests of routes that lead to the canary subset by the user's wish. `former_copies`, `former_mirrors`: those of the run
    that this one replaces, which are this run's to remove.
    """

    places: tuple[Original, ...] = ()
    empty_annotations: bool = False
    others: frozenset[str] = frozenset()
    former_copies: frozenset[str] = frozenset()
    former_mirrors: tuple[Mapping[str, Any], ...] = ()

    @property
    def copies(self) -> frozenset[str]:
        """Names of the routes that are this run's own."""
        return self.former_copies | {str(place.copy["name"]) for place in self.places if place.copy}

    @property
    def mirrors(self) -> tuple[Mapping[str, Any], ...]:
        """All mirrors that are this run's own."""
        return (*self.former_mirrors, *(place.mirror for place in self.places if place.mirror))

    def as_dict(self) -> dict[str, Any]:
        """For the record in the cluster; `record_of` reads it back."""
        places = [
            {name: value for name in Original.__slots__ if (value := getattr(place, name)) not in (None, {})}
            for place in self.places
        ]
        return {
            "places": places,
            "empty_annotations": self.empty_annotations,
            "others": sorted(self.others),
            "former_copies": sorted(self.former_copies),
            "former_mirrors": list(self.former_mirrors),
        }


EMPTY = RouteRecord()


def record_of(stored: Mapping[str, Any]) -> RouteRecord:
    """The record that `as_dict` wrote. Keys that this version of the collection does not know are ignored."""
    places = (
        Original(**{key: value for key, value in entry.items() if key in Original.__slots__})
        for entry in stored.get("places") or []
    )
    return RouteRecord(
        tuple(places),
        bool(stored.get("empty_annotations")),
        frozenset(stored.get("others") or ()),
        frozenset(stored.get("former_copies") or ()),
        tuple(stored.get("former_mirrors") or ()),
    )


def key_of(virtual_service: Obj) -> str:
    """namespace/name, the key of a VirtualService among the records of a run."""
    meta = virtual_service["metadata"]
    return f"{meta.get('namespace', '')}/{meta['name']}"


def record_for(settings: Mapping[str, Any], virtual_service: Obj) -> RouteRecord:
    """What a run (its recorded settings) recorded of a VirtualService; the empty record when it recorded nothing."""
    stored = (settings.get("route_records") or {}).get(key_of(virtual_service))
    return record_of(stored) if stored else EMPTY


def mirror_of(route: Obj) -> dict[str, Any]:
    """What a route says about mirrors."""
    return {key: route[key] for key in MIRROR_KEYS if key in route}


def original_digest(route: Obj, place: Place, *, mirrored: bool = True) -> str:
    """Digest of a route without the weights of its two destinations, and without its mirror when not `mirrored`."""
    bare = dict(route) if mirrored else {key: value for key, value in route.items() if key not in MIRROR_KEYS}
    entries = [dict(entry) for entry in route["route"]]
    for position in (place.stable, place.canary):
        entries[position].pop("weight", None)
    return digest({**bare, "route": entries})


@dataclass(frozen=True, slots=True)
class Pair:
    """A route of a live VirtualService, and how it was at the start (None: it was not there).

    `same`: nothing but weights and this run's mirror differs. `mirrored`: its mirror is this run's.
    """

    place: Place
    original: Original | None
    same: bool
    mirrored: bool


def pairs(virtual_service: Obj, aim: Aim, record: RouteRecord) -> list[Pair]:
    """The routes to shift, each with what was recorded of it.

    By content, so that routes may have been added and moved; a route whose content was changed by its name, when no other has it.
    """
    places = find(virtual_service, aim, record.copies).places
    left = list(record.places)
    found: dict[Place, Pair] = {}
    for place in places:
        route = virtual_service["spec"][place.protocol][place.index]
        for mirrored in (False, True):
            own = mirrored and mirror_of(route) in record.mirrors
            if mirrored and not own:
                continue
            wanted = original_digest(route, place, mirrored=not own)
            match = next((one for one in left if (one.protocol, one.digest) == (place.protocol, wanted)), None)
            if match is not None:
                left.remove(match)
                found[place] = Pair(place, match, True, own)
                break
    names = [place.name for place in places]
    for place in places:
        if place in found:
            continue
        route = virtual_service["spec"][place.protocol][place.index]
        named = [one for one in left if place.name and (one.protocol, one.name) == (place.protocol, place.name)]
        unique = len(named) == 1 and names.count(place.name) == 1
        if unique:
            left.remove(named[0])
        own = bool(mirror_of(route)) and unique and mirror_of(route) in (named[0].mirror, *record.former_mirrors)
        found[place] = Pair(place, named[0] if unique else None, False, own)
    return [found[place] for place in places]


def recorded(
    virtual_service: Obj, aim: Aim, copies: Mapping[int, Obj], mirror: float, replaced: RouteRecord = EMPTY
) -> RouteRecord:
    """What a new run records of a VirtualService that has no routes and mirrors of another run (`route_patch.restored`).

    `copies`: of http routes, by their index. `mirror`: percent. `replaced`: the record of the run that this one replaces.
    """
    spec, namespace = virtual_service["spec"], virtual_service["metadata"].get("namespace") or ""
    places = []
    found = find(virtual_service, aim)
    for place in found.places:
        route = spec[place.protocol][place.index]
        target = route["route"][place.canary]
        http = place.protocol == "http"
        added = {"mirror": target["destination"], "mirrorPercentage": {"value": mirror}} if mirror and http else None
        places.append(
            Original(
                place.protocol,
                place.name,
                original_digest(route, place),
                {key: target[key] for key in ("weight",) if key in target},
                copies.get(place.index) if http else None,
                copy.deepcopy(added),
            )
        )
    shifted = {(place.protocol, place.index) for place in found.places}
    others = {digest(route) for where, route in _to_canary(virtual_service, aim, namespace) if where not in shifted}
    return RouteRecord(
        tuple(places),
        virtual_service["metadata"].get("annotations") == {} or replaced.empty_annotations,
        frozenset(others),
        replaced.copies,
        replaced.mirrors,
    )


def _to_canary(virtual_service: Obj, aim: Aim, namespace: str) -> Iterable[tuple[tuple[str, int], Obj]]:
    spec = virtual_service.get("spec") or {}
    for protocol in ("http", "tls", "tcp"):
        for index, route in enumerate(spec.get(protocol) or []):
            if leads_to_canary(route, aim, namespace):
                yield (protocol, index), route


def elsewhere(virtual_service: Obj, aim: Aim, record: RouteRecord) -> list[str]:
    """Routes that lead to the canary subset, and that are neither shifted nor this run's nor from before it."""
    namespace = virtual_service["metadata"].get("namespace") or ""
    found = find(virtual_service, aim, record.copies)
    mine: Collection[tuple[str, int]] = {
        *((place.protocol, place.index) for place in found.places),
        *(("http", index) for index in found.copies),
    }
    return [
        f"{where[0]} route {route.get('name') or f'[{where[1]}]'}"
        for where, route in _to_canary(virtual_service, aim, namespace)
        if where not in mine and digest(route) not in record.others
    ]
