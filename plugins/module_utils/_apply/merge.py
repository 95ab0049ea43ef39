# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What server-side apply makes of an object, where the server cannot do a dry run: with an ownership that is not stored. No I/O.

The rules are those of sigs.k8s.io/structured-merge-diff (typed/merge.go, merge/update.go): the definition is merged into the object, then
what the manager applied before and does not apply any more is removed, unless somebody else has it. Whether a list is merged by keys, as
a set or replaced is read from the fields that managers own, which are written in that form.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._apply.field_sets import (
    KEY_DEFAULTS,
    Fields,
    child_of,
    holds,
    union,
)

Obj = dict[str, Any]
# What an update of the object itself may change of its metadata.
_METADATA = ("labels", "annotations", "finalizers", "ownerReferences")
# Maps of every object, whoever owns anything in them.
_MAPS: Fields = {
    "f:metadata": {".": {}, "f:labels": {".": {}}, "f:annotations": {".": {}}},
    "f:spec": {".": {}},
}


def shape_of(live: Mapping[str, Any]) -> Fields:
    """The fields of all managers in the version of the object: they show the kinds of its lists and maps."""
    shape: Fields = _MAPS
    for entry in live["metadata"].get("managedFields") or []:
        if entry.get("apiVersion") == live.get("apiVersion"):
            shape = union(shape, entry.get("fieldsV1") or {})
    return shape


@dataclass(slots=True)
class Merge:
    """`result`: an object with a definition merged into it. `guessed`: where no manager owns a list or map that both have."""

    result: Any
    guessed: bool = False


def merged(live: Mapping[str, Any], wanted: Mapping[str, Any], shape: Fields) -> Merge:
    """An object with a definition merged into it."""
    done = Merge(None)
    done.result = _merged(live, wanted, shape, done)
    return done


def _merged(live: Any, wanted: Any, shape: Fields | None, done: Merge) -> Any:
    """`shape`: fields at this node; `{}` for a leaf; None where nobody owns anything."""
    atomic = shape == {}
    if wanted is None and live and isinstance(live, (dict, list)) and not atomic:
        return live
    if isinstance(wanted, dict) and isinstance(live, dict):
        return wanted if atomic and live else _merged_maps(live, wanted, shape, done)
    if isinstance(wanted, list) and isinstance(live, list):
        return wanted if atomic or not live else _merged_lists(live, wanted, shape, done)
    return wanted


def _merged_maps(live: Obj, wanted: Obj, shape: Fields | None, done: Merge) -> Obj:
    if shape is None and set(live) - set(wanted):
        done.guessed = True  # it may be an atomic map
    return {
        key: (
            live[key]
            if key not in wanted
            else wanted[key]
            if key not in live
            else _merged(live[key], wanted[key], None if shape is None else shape.get(f"f:{key}"), done)
        )
        for key in [*live, *(key for key in wanted if key not in live)]
    }


def _merged_lists(live: list[Any], wanted: list[Any], shape: Fields | None, done: Merge) -> list[Any]:
    if shape is None:
        done.guessed = True
        if not all(isinstance(item, Mapping) and "name" in item for item in [*live, *wanted]):
            return wanted
        names: tuple[str, ...] = ("name",)
    elif any(key[:2] in ("k:", "v:") for key in shape):
        names = _keys_in(shape)
    else:
        return wanted
    ours, theirs = ([_identity(item, names) for item in items] for items in (wanted, live))
    if None in ours or None in theirs:
        return wanted  # the server refuses it, or the list is not of this kind
    by_key, before = dict(zip(ours, wanted, strict=True)), dict(zip(theirs, live, strict=True))
    result = []
    for key in ordered(theirs, ours):
        if key in by_key and key in before:
            below = None if shape is None else _below(shape, before[key])
            result.append(_merged(before[key], by_key[key], below, done))
        else:
            result.append(by_key[key] if key in by_key else before[key])
    return result


def _keys_in(shape: Fields) -> tuple[str, ...]:
    """Names of the keys that identify an item; empty for a set of values."""
    return next((tuple(json.loads(key[2:])) for key in shape if key.startswith("k:")), ())


def _identity(item: Any, names: tuple[str, ...]) -> str | None:
    if not names:
        return json.dumps(item, sort_keys=True)
    if not isinstance(item, Mapping):
        return None
    return json.dumps([item.get(name, KEY_DEFAULTS.get(name)) for name in names])


def _below(shape: Fields, item: Any) -> Fields | None:
    return next(
        (below for key, below in shape.items() if key.startswith("k:") and child_of([item], key)[0]),
        None,
    )


def ordered(live: Sequence[Any], wanted: Sequence[Any]) -> list[Any]:
    """The order of two lists of keys that are merged: what `wanted` omits stays where it is (typed/merge.go, visitListItems)."""
    theirs, ours = set(live), set(wanted)
    shared = [key for key in wanted if key in theirs]
    result: list[Any] = []
    done: set[Any] = set()
    left = right = 0

    def take() -> None:
        nonlocal right
        key = wanted[right]
        result.append(key)
        done.add(key)
        right += 1
        if shared and shared[0] == key:
            shared.pop(0)

    while left < len(live) or right < len(wanted):
        if left < len(live) and right < len(wanted):
            if live[left] == wanted[right]:
                left += 1
                take()
                continue
            if live[left] in ours and shared and shared[0] != live[left]:
                left += 1  # a shared item, but not the next one
                continue
        if left < len(live):
            if live[left] not in ours:
                result.append(live[left])
                left += 1
                continue
            if live[left] in done:
                left += 1
        if right < len(wanted):
            take()
    return result


def pruned(obj: Mapping[str, Any], owned: Fields, others: Iterable[Fields], wanted: Mapping[str, Any]) -> Obj:
    """An object that `wanted` was merged into, without what only we own and `wanted` omits.

    `owned`: what we applied before; `others`: what each other manager owns.
    """
    result: Obj = copy.deepcopy(dict(obj))
    _drop(result, owned, wanted, list(others))
    return result


def _drop(node: Any, owned: Fields, wanted: Any, others: list[Fields]) -> None:
    for key, below in owned.items():
        there, child = (False, None) if key == "." else child_of(node, key)
        if not there:
            continue
        kept, inner = child_of(wanted, key)
        if not kept and holds(owned, key) and not any(holds(other, key) for other in others):
            _remove(node, key, child)
        elif below and isinstance(child, (dict, list)) and child:
            _drop(child, below, inner, [other[key] for other in others if key in other])
            if len(child) == 0 and isinstance(node, dict):
                node[key.partition(":")[2]] = None  # a map or list that became empty goes


def _remove(node: Any, key: str, child: Any) -> None:
    if isinstance(node, dict):
        del node[key.partition(":")[2]]
    else:
        node.remove(child)


def content_patch(live: Mapping[str, Any], target: Mapping[str, Any]) -> list[Obj]:
    """JSON Patch that gives an object the content of `target`: all but its status and the server's metadata."""
    steps = _steps(live, target, "", [k for k in {**live, **target} if k not in ("metadata", "status")])
    return [*steps, *_steps(live["metadata"], target["metadata"], "/metadata", _METADATA)]


def _steps(live: Mapping[str, Any], target: Mapping[str, Any], path: str, keys: Iterable[str]) -> list[Obj]:
    steps: list[Obj] = []
    for key in keys:
        before, after = live.get(key), target.get(key)
        if before == after:
            continue
        place = f"{path}/{key.replace('~', '~0').replace('/', '~1')}"
        steps.append({"op": "remove", "path": place} if after is None else {"op": "add", "path": place, "value": after})
    return steps
