# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The JSON Patch that gives a VirtualService a weight, and changes nothing else of the user's. Pure: dicts in, operations out.

Only weights, the annotation and what the run recorded as its own (`route_record`) change. With weight 0 the routes are as recorded.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._canary.json_patch import (
    Obj,
    Op,
    applied,
    escaped,
    version_test,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.plan import FULL
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.route_record import (
    EMPTY,
    Pair,
    RouteRecord,
    mirror_of,
    pairs,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.routes import (
    ANNOTATION,
    Aim,
    find,
    named,
)


def patch(virtual_service: Obj, aim: Aim, weight: int, record: RouteRecord, *, annotation: str | None) -> list[Op]:
    """Operations that give the canary `weight` percent in all its routes; empty when nothing is to change.

    Unless the weight is 0, the recorded copies and mirrors are added; otherwise they are removed. What somebody else changed so that
    this is not possible stays as it is (`changed` names it).

    `test` operations guard the resourceVersion, the destinations and their weights: the API server refuses the whole patch when
    somebody else wrote after the object was read. `annotation`: its wanted value; empty removes it, None leaves it.
    """
    changes: list[Op] = []
    found = pairs(virtual_service, aim, record)
    for pair in found:
        changes += _weight_ops(virtual_service, pair, weight)
        changes += _mirror_ops(virtual_service, pair, wanted=weight > 0)
    if weight:
        changes += _copies_added(virtual_service, found)
    else:
        changes += _copies_removed(virtual_service, aim, record)
    changes += _annotation_ops(virtual_service, annotation, record)
    if not changes:
        return []
    return [version_test(virtual_service), *changes]


def restored(virtual_service: Obj, aim: Aim, record: RouteRecord) -> dict[str, Any]:
    """A VirtualService without anything that a run wrote, except its annotation."""
    return applied(virtual_service, patch(virtual_service, aim, 0, record, annotation=None))


def changed(virtual_service: Obj, aim: Aim, record: RouteRecord) -> list[str]:
    """What somebody else changed since the start, so that another weight would not mean what it meant then."""
    who = named(virtual_service)
    found = list(find(virtual_service, aim, record.copies).findings)
    http = (virtual_service.get("spec") or {}).get("http") or []
    now = pairs(virtual_service, aim, record)
    sources = [pair.original for pair in now if pair.same]
    if any(place.copy for place in record.places):
        found += [f"{who}, {pair.place}: was added or changed since the start" for pair in now if not pair.same]
        found += [
            f"{who}, {place}: was changed or removed since the start, when this run copied it for the option match"
            for place in record.places
            if place.copy and not any(place is source for source in sources)
        ]
    for pair in now:
        own = pair.original.copy if pair.original else None
        if own and pair.same:
            there = [index for index, route in enumerate(http) if route.get("name") == own["name"]]
            if there and (there != [pair.place.index - 1] or http[there[0]] != own):
                found.append(f"{who}: route {own['name']}, which is this run's, was changed or moved")
        if pair.original and pair.original.mirror and not pair.mirrored and mirror_of(http[pair.place.index]):
            found.append(f"{who}, {pair.place}: has another mirror than this run's")
    return list(dict.fromkeys(found))


def left_behind(virtual_service: Obj, aim: Aim, record: RouteRecord) -> list[str]:
    """Routes of this run that stay after its end, because somebody else changed them and they lead elsewhere now."""
    http = (virtual_service.get("spec") or {}).get("http") or []
    return [
        f"{named(virtual_service)}: route {http[index]['name']} of this run was changed by somebody else and does not lead to "
        f"subset {aim.canary}; it stays"
        for index in find(virtual_service, aim, record.copies).copies
        if not _to_canary(virtual_service, aim, http[index])
    ]


def annotated(virtual_service: Obj, annotation: str, record: RouteRecord = EMPTY) -> list[Op]:
    """Operations that change the annotation alone; the empty value removes it."""
    changes = _annotation_ops(virtual_service, annotation, record)
    return [version_test(virtual_service), *changes] if changes else []


def disown(obj: Obj, manager: str) -> list[Op]:
    """Operations that remove the entries of `manager` from an object's managedFields; empty when it has none.

    An entry that stays keeps GitOps tools and roles from writing the fields after the canary has ended.
    """
    entries: Sequence[Obj] = obj["metadata"].get("managedFields") or []
    ops: list[Op] = [
        {"op": "remove", "path": f"/metadata/managedFields/{index}"}
        for index in reversed(range(len(entries)))
        if entries[index].get("manager") == manager
    ]
    return [version_test(obj), *ops] if ops else []


# Parts ------------------------------------------------------------------------------------------------------------------------


def _weight_ops(virtual_service: Obj, pair: Pair, weight: int) -> list[Op]:
    place = pair.place
    if place.canary_weight == weight:
        return []
    entries = virtual_service["spec"][place.protocol][place.index]["route"]
    base = f"/spec/{place.protocol}/{place.index}/route"
    # The key `weight` of the canary's destination may be absent at weight 0, and is again at the end.
    canary = {"weight": weight} if weight or pair.original is None else pair.original.weight
    ops: list[Op] = []
    for position, wanted in ((place.stable, {"weight": FULL - weight}), (place.canary, canary)):
        entry, path = entries[position], f"{base}/{position}"
        ops.append({"op": "test", "path": f"{path}/destination", "value": entry["destination"]})
        if "weight" in entry:
            ops.append({"op": "test", "path": f"{path}/weight", "value": entry["weight"]})
        if "weight" in wanted:
            word = "replace" if "weight" in entry else "add"
            ops.append({"op": word, "path": f"{path}/weight", "value": wanted["weight"]})
        elif "weight" in entry:
            ops.append({"op": "remove", "path": f"{path}/weight"})
    return ops


def _mirror_ops(virtual_service: Obj, pair: Pair, *, wanted: bool) -> list[Op]:
    place, own = pair.place, pair.original.mirror if pair.original else None
    if place.protocol != "http":
        return []
    route, path = virtual_service["spec"]["http"][place.index], f"/spec/http/{place.index}"
    there = mirror_of(route)
    if wanted and own and not there:
        return [{"op": "add", "path": f"{path}/{key}", "value": value} for key, value in own.items()]
    if pair.mirrored and not (wanted and there == own):
        ops: list[Op] = []
        for key, value in there.items():
            ops.append({"op": "test", "path": f"{path}/{key}", "value": value})
            ops.append({"op": "remove", "path": f"{path}/{key}"})
        return ops
    return []


def _copies_added(virtual_service: Obj, found: Sequence[Pair]) -> list[Op]:
    """Each copy stands directly before its route, so that it takes no request that another route takes now."""
    names = {route.get("name") for route in (virtual_service.get("spec") or {}).get("http") or []}
    missing = [
        (pair.place.index, pair.original.copy)
        for pair in found
        if pair.same and pair.original and pair.original.copy and pair.original.copy["name"] not in names
    ]
    # From the last to the first, so that the indexes before are right.
    return [
        {"op": "add", "path": f"/spec/http/{index}", "value": route}
        for index, route in sorted(missing, key=_first, reverse=True)
    ]


def _first(entry: tuple[int, Any]) -> int:
    return entry[0]


def _copies_removed(virtual_service: Obj, aim: Aim, record: RouteRecord) -> list[Op]:
    """Also one that somebody else changed, as long as it leads to the canary, whose pods are about to end."""
    http = (virtual_service.get("spec") or {}).get("http") or []
    ops: list[Op] = []
    for index in reversed(find(virtual_service, aim, record.copies).copies):
        if _to_canary(virtual_service, aim, http[index]):
            ops += [
                {"op": "test", "path": f"/spec/http/{index}/name", "value": http[index]["name"]},
                {"op": "remove", "path": f"/spec/http/{index}"},
            ]
    return ops


def _to_canary(virtual_service: Obj, aim: Aim, route: Obj) -> bool:
    namespace = virtual_service["metadata"].get("namespace") or ""
    targets = [entry.get("destination") or {} for entry in route.get("route") or []]
    return any(
        target.get("subset") == aim.canary and aim.means(str(target.get("host") or ""), namespace) for target in targets
    )


def _annotation_ops(virtual_service: Obj, value: str | None, record: RouteRecord) -> list[Op]:
    annotations = virtual_service["metadata"].get("annotations") or {}
    path = f"/metadata/annotations/{escaped(ANNOTATION)}"
    if value is None or annotations.get(ANNOTATION, "") == value:
        return []
    if value:
        if not annotations:
            return [{"op": "add", "path": "/metadata/annotations", "value": {ANNOTATION: value}}]
        return [{"op": "add", "path": path, "value": value}]
    if len(annotations) == 1 and not record.empty_annotations:
        # The test keeps an annotation that somebody else adds at the same time.
        return [
            {"op": "test", "path": "/metadata/annotations", "value": annotations},
            {"op": "remove", "path": "/metadata/annotations"},
        ]
    return [{"op": "remove", "path": path}]
