# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a server-side apply is a no-op, decided from the live object. No I/O.

An apply changes an object when a field of the definition has another value there, when the manager comes to own a field, or when it
owned one that the definition no longer has (sigs.k8s.io/structured-merge-diff, merge/update.go). The live object shows all three: its
values, and in `metadata.managedFields` the fields that the manager applied last. In doubt (a quantity in another notation, a value that
the server stores in another field) it is not a no-op, and the server decides.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

# Metadata that identifies the object: no manager owns it.
_NAMING = frozenset({"name", "namespace", "uid"})


def is_noop(body: Mapping[str, Any], live: Mapping[str, Any], manager: str) -> bool:
    """Whether `manager` applied this definition before and nothing of it has changed since.

    False does not mean that an apply changes something, only that the server has to decide it.
    """
    entries = [
        entry
        for entry in live["metadata"].get("managedFields") or []
        if entry.get("manager") == manager and entry.get("operation") == "Apply" and not entry.get("subresource")
    ]
    if len(entries) != 1 or entries[0].get("apiVersion") != body.get("apiVersion"):
        return False
    if body.get("apiVersion") != live.get("apiVersion") or "status" in body or "stringData" in body:
        return False
    wanted = {key: value for key, value in body.items() if key not in ("apiVersion", "kind", "metadata")}
    metadata = {key: value for key, value in body["metadata"].items() if key not in _NAMING}
    if metadata:
        wanted["metadata"] = metadata
    return _owned(entries[0].get("fieldsV1") or {}, wanted, live)


def _owned(node: Mapping[str, Any], wanted: Any, live: Any) -> bool:
    """Whether the fields below `node` are those of `wanted`, with the same values in `live`."""
    if not node:
        return wanted is not None and _same(wanted, live)
    if isinstance(wanted, dict) and isinstance(live, dict):
        return _owned_map(node, wanted, live, frozenset())
    if isinstance(wanted, list) and isinstance(live, list):
        kinds = {key[:2] for key in node}
        if kinds == {"k:"}:
            return _owned_items(node, wanted, live)
        return kinds == {"v:"} and _owned_set(node, wanted, live)
    return False


def _owned_map(node: Mapping[str, Any], wanted: dict[str, Any], live: dict[str, Any], keys: frozenset[str]) -> bool:
    """As `_owned`, of a map. `keys` identify it in its list; the definition may omit them, so that they get their defaults."""
    names = {key[2:] for key in node if key.startswith("f:")}
    if any(key != "." and not key.startswith("f:") for key in node):
        return False
    if not set(wanted) <= names or not names - set(wanted) <= keys:
        return False
    return all(
        _owned(node[f"f:{key}"], value, live[key]) if key in live else _is_nothing(node[f"f:{key}"], value)
        for key, value in wanted.items()
    )


def _is_nothing(node: Mapping[str, Any], wanted: Any) -> bool:
    """Whether a field that the object does not have was applied empty before: the server does not store every empty map or list."""
    return not node and (wanted is None or wanted in ({}, []))


def _owned_items(node: Mapping[str, Any], wanted: list[Any], live: list[Any]) -> bool:
    """As `_owned`, of a list whose items are identified by keys."""
    if len(node) != len(wanted):
        return False
    places: dict[int, int] = {}
    for entry, below in node.items():
        keys = json.loads(entry[2:])
        here = [i for i, item in enumerate(wanted) if _fits(keys, item, whole=False)]
        there = [i for i, item in enumerate(live) if _fits(keys, item, whole=True)]
        if len(here) != 1 or len(there) != 1 or here[0] in places:
            return False
        places[here[0]] = there[0]
        if not _owned_map(below, wanted[here[0]], live[there[0]], frozenset(keys)):
            return False
    order = [places[index] for index in sorted(places)]
    return order == sorted(order)


def _fits(keys: Mapping[str, Any], item: Any, *, whole: bool) -> bool:
    if not isinstance(item, dict) or not any(key in item for key in keys):
        return False
    return all(_same(item[key], value) if key in item else not whole for key, value in keys.items())


def _owned_set(node: Mapping[str, Any], wanted: list[Any], live: list[Any]) -> bool:
    """As `_owned`, of a list that is a set of values."""
    owned = [json.loads(entry[2:]) for entry in node]
    shared = [value for value in live if any(_same(value, other) for other in wanted)]
    return (
        len(owned) == len(wanted)
        and all(any(_same(value, other) for other in owned) for value in wanted)
        and _same(shared, wanted)
    )


def _same(one: Any, other: Any) -> bool:
    """Whether two values are the same JSON: 1 differs from 1.0 and from true."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
