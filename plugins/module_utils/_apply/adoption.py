# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes an object over from client-side apply, so that a field that leaves the definition is removed from the object. No I/O.

What `kubectl apply` wrote belongs to the manager `kubectl-client-side-apply` (operation Update). Server-side apply alone would add a
second owner, and a field that the definition omits would stay. So the ownership moves, in one request, as client-go does it
(util/csaupgrade/upgrade.go), with one difference: only fields that the annotation with the last applied configuration names move.
Defaults of the server or of a webhook then have no owner and stay, as with client-side apply; otherwise an immutable default (for example
a claim's storage class) would be removed, which the server refuses.

What this manager wrote by create, update or patch (operation Update) is another owner too, in spite of the name. It is taken over in the
same way, so that it is no conflict with oneself.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._apply.field_sets import Fields, restricted, union

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
KUBECTL = "kubectl-client-side-apply"
# Manager of all fields that an object had before the server tracked ownership (fieldmanager.go).
BEFORE = "before-first-apply"
_ANNOTATION = "/metadata/annotations/" + LAST_APPLIED.replace("/", "~1")

Obj = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Adoption:
    """How an object is taken over.

    `manager`: the new owner; `managers`: the previous ones; `entries`: `metadata.managedFields` afterwards; `fields`: what the new owner
    owns then; `others`: what each other manager owns; `patch`: the JSON Patch that does it; `by_kubectl`: whether kubectl is among the
    previous owners, so that its annotation goes.
    """

    manager: str
    managers: tuple[str, ...]
    entries: list[Obj]
    fields: Fields
    others: list[Fields]
    patch: list[Obj]
    by_kubectl: bool

    @property
    def from_others(self) -> tuple[str, ...]:
        """The previous owners with another name."""
        return tuple(name for name in self.managers if name != self.manager)

    @property
    def note(self) -> str:
        """For the result of the module; empty when the object had no other owner."""
        return f"taken over from {' and '.join(self.from_others)}" if self.from_others else ""


def adoption(live: Mapping[str, Any], manager: str) -> Adoption | None:
    """How `manager` takes a live object over from client-side apply, and from its own updates; None when there is nothing to take over."""
    meta = live["metadata"]
    entries: list[Obj] = meta.get("managedFields") or []
    text = (meta.get("annotations") or {}).get(LAST_APPLIED)
    taken = [
        entry
        for entry in entries
        if entry.get("operation") == "Update"
        and not entry.get("subresource")
        and (entry.get("manager") in (KUBECTL, manager) or (entry.get("manager") == BEFORE and text))
    ]
    if not taken:
        return None
    by_kubectl = any(entry.get("manager") != manager for entry in taken)
    ours = next((e for e in entries if _is_applied_by(e, manager)), None)
    version = (ours or taken[0]).get("apiVersion")
    fields: Fields = (ours or {}).get("fieldsV1") or {}
    for entry in taken:
        if entry.get("apiVersion") == version:  # a path may mean another field in another version
            fields = union(fields, _named(entry, None if entry.get("manager") == manager else text))
    target = {**(ours or taken[0]), "manager": manager, "operation": "Apply", "fieldsV1": fields}
    kept = [entry for entry in entries if entry not in taken and entry is not ours]
    patch: list[Obj] = [{"op": "replace", "path": "/metadata/managedFields", "value": [target, *kept]}]
    if text is not None and by_kubectl:
        patch.append({"op": "remove", "path": _ANNOTATION})
    # Replaced by the same value: the server answers 409 when the object has changed.
    patch.append({"op": "replace", "path": "/metadata/resourceVersion", "value": meta.get("resourceVersion")})
    names = tuple(dict.fromkeys(str(entry["manager"]) for entry in taken))
    others = [entry.get("fieldsV1") or {} for entry in kept]
    return Adoption(manager, names, [target, *kept], fields, others, patch, by_kubectl)


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


def given_back(now: Mapping[str, Any], before: Mapping[str, Any], managers: Collection[str]) -> list[Obj]:
    """JSON Patch that gives the ownership of an object back, as it was `before` these managers changed it; what others own now stays.

    It fails when the object has changed since `now`.
    """
    meta, old = now["metadata"], before["metadata"]
    kept = [entry for entry in meta.get("managedFields") or [] if not _is_of(entry, managers)]
    back = [entry for entry in old.get("managedFields") or [] if _is_of(entry, managers)]
    # An empty list makes the server forget who owns what, as before it tracked ownership.
    patch: list[Obj] = [{"op": "add", "path": "/metadata/managedFields", "value": [*back, *kept]}]
    text = (old.get("annotations") or {}).get(LAST_APPLIED)
    if text is not None and LAST_APPLIED not in (meta.get("annotations") or {}):
        if not meta.get("annotations"):
            patch.append({"op": "add", "path": "/metadata/annotations", "value": {}})
        patch.append({"op": "add", "path": _ANNOTATION, "value": text})
    patch.append({"op": "replace", "path": "/metadata/resourceVersion", "value": meta.get("resourceVersion")})
    return patch


def _is_of(entry: Mapping[str, Any], managers: Collection[str]) -> bool:
    return entry.get("manager") in managers and not entry.get("subresource")
