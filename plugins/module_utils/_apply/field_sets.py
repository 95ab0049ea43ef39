# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sets of fields, as `metadata.managedFields` has them. No I/O.

They are written as the server writes them (sigs.k8s.io/structured-merge-diff, fieldpath/serialize.go): `f:` a field, `k:` an item of a list
by its keys, `v:` a value of a set, `i:` an index, `.` the node itself; a leaf is `{}`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

Fields = dict[str, Any]
# Keys of items that a definition may omit, with the server's default: the ports of containers and Services
# (api/core/v1/types.go, `+listMapKey=protocol`). A key of a custom resource that is omitted fits any value.
KEY_DEFAULTS: Mapping[str, Any] = {"protocol": "TCP"}


def union(left: Fields, right: Fields) -> Fields:
    """Both sets of fields together."""
    result = dict(left)
    for key, below in right.items():
        if key not in result:
            result[key] = below
        elif below != result[key]:
            a, b = result[key] or {".": {}}, below or {".": {}}
            result[key] = union(a, b)
    return result


def restricted(fields: Fields, value: Any) -> Fields:
    """The part of a set of fields that exists in `value`."""
    found: Fields = {}
    for key, below in fields.items():
        if key == ".":
            found[key] = below
            continue
        there, child = child_of(value, key)
        if not there:
            continue
        if not below:
            found[key] = below
        elif inner := restricted(below, child):
            found[key] = inner
    return found


def child_of(value: Any, key: str) -> tuple[bool, Any]:
    """The child of a node at a path element: whether it exists, and its value."""
    kind, _colon, rest = key.partition(":")
    if kind == "f":
        return (True, value[rest]) if isinstance(value, Mapping) and rest in value else (False, None)
    if not isinstance(value, list):
        return False, None
    if kind == "i":
        return (True, value[int(rest)]) if int(rest) < len(value) else (False, None)
    wanted = json.loads(rest)
    if kind == "v":
        return (True, wanted) if wanted in value else (False, None)
    for item in value:
        if isinstance(item, Mapping) and _fits(item, wanted):
            return True, item
    return False, None


def _fits(item: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether these are an item's keys."""
    return any(key in item for key in wanted) and all(
        item.get(key, KEY_DEFAULTS.get(key, value)) == value for key, value in wanted.items()
    )


def holds(fields: Fields, key: str) -> bool:
    """Whether a set of fields holds the child itself, and not only something below it.

    A field with a name of its own belongs to who has anything below it (fieldpath/set.go, EnsureNamedFieldsAreMembers). Entries of maps are
    written with `.` by whoever applies them, so every `f:` may be taken for a field with a name.
    """
    if key not in fields:
        return False
    below = fields[key]
    return not below or "." in below or key.startswith("f:")
