# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Field ownership of server-side apply: reads conflicts, leaves single fields out of a patch. No I/O.

Paths are written as the API server writes them (sigs.k8s.io/structured-merge-diff, fieldpath/element.go):
`.spec.template.spec.containers[name="app"].image`, `.spec.http`, `.metadata.finalizers[="x"]`.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

# The manager of a conflict is told in the cause's message only (apimachinery, managedfields/internal/conflict.go, NewConflictError).
_MANAGER = re.compile(r'conflict with "((?:[^"\\]|\\.)*)"')
_KEY = re.compile(r'([A-Za-z0-9_.\-/$]+)=("(?:[^"\\]|\\.)*"|[^,\]]+)(,|\Z)')


@dataclass(frozen=True, order=True, slots=True)
class Conflict:
    """A field that another manager owns with another value."""

    manager: str
    field: str


def conflicts_of(status: Mapping[str, Any]) -> list[Conflict]:
    """Conflicts in the `Status` of an answer 409; empty when the 409 has another cause."""
    causes = (status.get("details") or {}).get("causes") or []
    found = set()
    for cause in causes:
        if cause.get("reason") != "FieldManagerConflict":
            continue
        match = _MANAGER.search(cause.get("message", ""))
        found.add(Conflict(match.group(1) if match else "unknown", cause.get("field", "")))
    return sorted(found)


def by_command(obj: Mapping[str, Any], manager: str) -> bool:
    """Whether a manager of an object is a single command of kubectl (create, edit, patch, scale), which does not come back.

    Each command is its own manager, `kubectl-create` for example, and `kubectl scale` is `kubectl` (kubectl, pkg/cmd/*, --field-manager);
    so is `kubectl apply --server-side`, whose operation is Apply: it owns its fields until it is called again.
    """
    if manager != "kubectl" and not manager.startswith("kubectl-"):
        return False
    entries = [
        entry for entry in (obj.get("metadata") or {}).get("managedFields") or [] if entry.get("manager") == manager
    ]
    return bool(entries) and all(entry.get("operation") == "Update" for entry in entries)


def covers(allowed: str, field: str) -> bool:
    """Whether a path that a user gave covers a field: the same field, or one below it."""
    allowed = allowed if allowed.startswith(".") else "." + allowed
    return field == allowed or (field.startswith(allowed) and field[len(allowed)] in ".[")


def without(obj: Mapping[str, Any], fields: Iterable[str]) -> dict[str, Any]:
    """Copy of an object without these fields. A path that is not in the object changes nothing."""
    result = copy.deepcopy(dict(obj))
    for field in fields:
        _drop(result, field)
    return result


def _drop(node: Any, path: str) -> None:
    """Removes one path below a node. Names may contain dots, so they are compared with the keys of the node."""
    if path.startswith(".") and isinstance(node, dict):
        rest = path[1:]
        for key in sorted(node, key=lambda k: len(str(k)), reverse=True):
            if not isinstance(key, str) or not rest.startswith(key):
                continue
            tail = rest[len(key) :]
            if tail == "":
                del node[key]
                return
            if tail[0] in ".[":
                _drop(node[key], tail)
                return
    elif path.startswith("[") and isinstance(node, list):
        selector, tail = _split_selector(path)
        fitting = [index for index, item in enumerate(node) if _selects(selector, index, item)]
        if not fitting:
            return
        # An item that has all keys fits better than one that omits some.
        index = max(fitting, key=lambda position: sum(key in selector for key in _keys(node[position])))
        if tail == "":
            del node[index]
        else:
            _drop(node[index], tail)


def _split_selector(path: str) -> tuple[str, str]:
    quoted = False
    position = 1
    while position < len(path):
        char = path[position]
        if char == "\\" and quoted:
            position += 1
        elif char == '"':
            quoted = not quoted
        elif char == "]" and not quoted:
            return path[1:position], path[position + 1 :]
        position += 1
    return path[1:], ""


def _selects(selector: str, index: int, item: Any) -> bool:
    if selector.startswith("="):
        return bool(_value(selector[1:]) == item)
    if selector.isdigit():
        return int(selector) == index
    wanted = {match.group(1): _value(match.group(2)) for match in _KEY.finditer(selector)}
    if not wanted or not isinstance(item, Mapping):
        return False
    # A key that the definition omits gets its default on the server (ports: protocol TCP).
    return all(item[key] == value for key, value in wanted.items() if key in item) and any(k in item for k in wanted)


def _keys(item: Any) -> list[str]:
    return [f"{key}=" for key in item] if isinstance(item, Mapping) else []


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
