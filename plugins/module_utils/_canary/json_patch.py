# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""JSON Patches (RFC 6902) as this collection writes them. Pure."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any

Obj = Mapping[str, Any]
Op = dict[str, Any]


def escaped(key: str) -> str:
    """A key in a JSON Pointer (RFC 6901)."""
    return key.replace("~", "~0").replace("/", "~1")


def version_test(obj: Obj) -> Op:
    """The operation that makes the API server refuse a patch when somebody else wrote after the object was read."""
    return {"op": "test", "path": "/metadata/resourceVersion", "value": obj["metadata"]["resourceVersion"]}


def applied(obj: Obj, ops: Iterable[Op]) -> dict[str, Any]:
    """What a patch makes of an object that it was computed from: `test` operations hold, all paths exist."""
    result: dict[str, Any] = copy.deepcopy(dict(obj))
    for op in ops:
        if op["op"] == "test":
            continue
        *way, last = (part.replace("~1", "/").replace("~0", "~") for part in op["path"].split("/")[1:])
        node: Any = result
        for part in way:
            node = node[int(part)] if isinstance(node, list) else node[part]
        if isinstance(node, list):
            _in_list(node, int(last), op)
        elif op["op"] == "remove":
            del node[last]
        else:
            node[last] = copy.deepcopy(op["value"])
    return result


def _in_list(node: list[Any], index: int, op: Op) -> None:
    if op["op"] == "remove":
        del node[index]
    elif op["op"] == "add":
        node.insert(index, copy.deepcopy(op["value"]))
    else:
        node[index] = copy.deepcopy(op["value"])
