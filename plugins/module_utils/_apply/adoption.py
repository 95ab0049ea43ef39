# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes an object over from client-side apply, so that a field that leaves the definition is removed from the object. No I/O.

What `kubectl apply` wrote belongs to the manager `kubectl-client-side-apply` (operation Update). Server-side apply alone would add a
second owner, and a field that the definition omits would stay. So the ownership moves, in one request, as client-go does it
(util/csaupgrade/upgrade.go), with one difference: only fields that the annotation with the last applied configuration names move.
Defaults of the server or of a webhook then have no owner and stay, as with client-side apply; otherwise an immutable default (for example
a claim's storage class) would be removed, which the server refuses.

Sets of fields are written as the server writes them (sigs.k8s.io/structured-merge-diff, fieldpath/serialize.go): `f:` a field, `k:` an item
of a list by its keys, `v:` a value of a set, `i:` an index, `.` the node itself; a leaf is `{}`.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
KUBECTL = "kubectl-client-side-apply"
# Manager of all fields that an object had before the server tracked ownership (fieldmanager.go).
BEFORE = "before-first-apply"

Obj = dict[str, Any]
Fields = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Adoption:
    """How an object is taken over.

    `managers`: the previous owners; `entries`: `metadata.managedFields` afterwards; `fields`: what the new manager owns then;
    `others`: what each other manager owns; `patch`: the JSON Patch that does it.
    """

    managers: tuple[str, ...]
    entries: list[Obj]
    fields: Fields
    others: list[Fields]
    patch: list[Obj]

    @property
    def note(self) -> str:
        """For the result of the module."""
        return f"taken over from {' and '.join(self.managers)}"


def adoption(live: Mapping[str, Any], manager: str) -> Adoption | None:
    """How `manager` takes a live object over from client-side apply; None when there is nothing to take over."""
    meta = live["metadata"]
    entries: list[Obj] = meta.get("managedFields") or []
    text = (meta.get("annotations") or {}).get(LAST_APPLIED)
    taken = [
        entry
        for entry in entries
        if entry.get("operation") == "Update"
        and not entry.get("subresource")
        and (entry.get("manager") == KUBECTL or (entry.get("manager") == BEFORE and text))
    ]
    if not taken:
        return None
    ours = next((e for e in entries if _is_applied_by(e, manager)), None)
    version = (ours or taken[0]).get("apiVersion")
    fields: Fields = (ours or {}).get("fieldsV1") or {}
    for entry in taken:
        if entry.get("apiVersion") == version:  # a path may mean another field in another version
            fields = union(fields, _named(entry, text))
    target = {**(ours or taken[0]), "manager": manager, "operation": "Apply", "fieldsV1": fields}
    kept = [entry for entry in entries if entry not in taken and entry is not ours]
    patch: list[Obj] = [{"op": "replace", "path": "/metadata/managedFields", "value": [target, *kept]}]
    if text is not None:
        patch.append({"op": "remove", "path": "/metadata/annotations/" + LAST_APPLIED.replace("/", "~1")})
    # Replaced by the same value: the server answers 409 when the object has changed.
    patch.append({"op": "replace", "path": "/metadata/resourceVersion", "value": meta.get("resourceVersion")})
    names = tuple(dict.fromkeys(str(entry["manager"]) for entry in taken))
    return Adoption(names, [target, *kept], fields, [e.get("fieldsV1") or {} for e in kept], patch)


def is_untracked(live: Mapping[str, Any]) -> bool:
    """Whether an object comes from client-side apply and the server does not track the ownership of its fields yet."""
    meta = live["metadata"]
    return not meta.get("managedFields") and LAST_APPLIED in (meta.get("annotations") or {})


def _is_applied_by(entry: Mapping[str, Any], manager: str) -> bool:
    return entry.get("manager") == manager and entry.get("operation") == "Apply" and not entry.get("subresource")


def _named(entry: Mapping[str, Any], text: str | None) -> Fields:
    """The fields of an entry that the last applied configuration names; all fields when it cannot be read."""
    fields: Fields = copy.deepcopy(entry.get("fieldsV1") or {})
    try:
        applied = json.loads(text) if text else None
    except ValueError:
        applied = None
    if isinstance(applied, dict) and applied.get("apiVersion") == entry.get("apiVersion"):
        if isinstance(applied.get("stringData"), dict):  # of a Secret: the server stores it as data
            applied["data"] = {**(applied.get("data") or {}), **applied["stringData"]}
        fields = restricted(fields, applied)
    elif entry.get("manager") == BEFORE:
        return {}  # the entry has the fields of all owners
    meta = fields.get("f:metadata", {})
    annotations = meta.get("f:annotations", {})
    annotations.pop(f"f:{LAST_APPLIED}", None)
    if set(annotations) <= {"."}:  # kubectl owns the mapping only because of that annotation
        meta.pop("f:annotations", None)
    if not meta:
        fields.pop("f:metadata", None)
    return fields


def restricted(fields: Fields, value: Any) -> Fields:
    """The part of a set of fields that exists in `value`."""
    found: Fields = {}
    for key, below in fields.items():
        if key == ".":
            found[key] = below
            continue
        there, child = _child(value, key)
        if not there:
            continue
        if not below:
            found[key] = below
        elif inner := restricted(below, child):
            found[key] = inner
    return found


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


def _child(value: Any, key: str) -> tuple[bool, Any]:
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
    """Whether these are an item's keys; a key that is omitted gets its default on the server (ports: protocol TCP)."""
    return all(item[k] == v for k, v in wanted.items() if k in item) and any(k in item for k in wanted)


def pruned(obj: Mapping[str, Any], adopted: Adoption, wanted: Mapping[str, Any]) -> Obj:
    """An object after it was taken over and `wanted` was applied: without fields that only we own and `wanted` omits."""
    result: Obj = copy.deepcopy(dict(obj))
    _drop(result, adopted.fields, wanted, adopted.others)
    return result


def _drop(node: Any, fields: Fields, wanted: Any, others: Iterable[Fields]) -> None:
    for key, below in fields.items():
        if key == ".":
            continue
        there, child = _child(node, key)
        if not there:
            continue
        kept, inner = _child(wanted, key)
        owners = [other[key] for other in others if key in other]
        if not kept and not owners and (not below or "." in below):
            _remove(node, key, child)
        elif below and isinstance(child, (dict, list)):
            _drop(child, below, inner, owners)


def _remove(node: Any, key: str, child: Any) -> None:
    if isinstance(node, dict):
        del node[key.partition(":")[2]]
    else:
        node.remove(child)
