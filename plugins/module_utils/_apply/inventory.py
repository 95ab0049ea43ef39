# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a set once applied, and what of it may be deleted now. Pure: objects in, decisions out.

A set that is pruned has a ConfigMap that lists its members. Names and labels are those of ApplySets (KEP-3659, and kubectl's
pkg/cmd/apply/applyset.go), so that other tools see whose the objects are and leave them alone. One thing is added: the list itself, because
an ApplySet knows only kinds and namespaces, and would have to list all of them to find its members. With the list, a call that has nothing
to delete costs one request.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._apply.replicas import AUTOSCALING_MANAGER
from ansible_collections.servicemesh.platform.plugins.module_utils._kube import objects as _objects
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.objects import Ref

ID_LABEL = "applyset.kubernetes.io/id"
_TOOLING = "applyset.kubernetes.io/tooling"
_KINDS = "applyset.kubernetes.io/contains-group-kinds"
_NAMESPACES = "applyset.kubernetes.io/additional-namespaces"
_TOOL = "servicemesh-platform"
_FIELD = "members"
# A ConfigMap holds 1 MiB at most (pkg/apis/core/validation: MaxSecretSize); the rest is for its metadata.
_MOST_BYTES = 1_000_000
# What takes data or other people's objects along when it goes.
_PROTECTED = frozenset(
    {("", "Namespace"), ("", "PersistentVolumeClaim"), ("apiextensions.k8s.io", "CustomResourceDefinition")}
)
_FRIENDS = frozenset({_objects.CANARY_MANAGER, AUTOSCALING_MANAGER})

Key = tuple[str, str, str, str]
Members = dict[Key, Ref]
Obj = dict[str, Any]


def name_of(set_name: str) -> str:
    """Name of the ConfigMap of a set."""
    return f"applyset-{set_name}"


def id_of(set_name: str, namespace: str) -> str:
    """What tells a set from all others: value of the label on its members (applyset.go, `V1ApplySetIdFormat`)."""
    text = f"{name_of(set_name)}.{namespace}.ConfigMap."
    digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")
    return f"applyset-{digest}-v1"


def members(refs: Iterable[Ref]) -> Members:
    """References by what makes an object the same object."""
    return {ref.key: ref for ref in refs}


def document(set_name: str, namespace: str, listed: Members) -> Obj:
    """The ConfigMap of a set. Raises ValueError when so many members do not fit into one."""
    grouped: dict[str, dict[str, list[str]]] = {}
    for ref in sorted(listed.values()):
        grouped.setdefault(f"{ref.api_version} {ref.kind}", {}).setdefault(ref.namespace, []).append(ref.name)
    text = json.dumps(grouped, separators=(",", ":"), sort_keys=True)
    if len(text) > _MOST_BYTES:
        raise ValueError(f"set '{set_name}' has {len(listed)} objects, too many for one inventory; split the set")
    namespaces = sorted({ref.namespace for ref in listed.values()} - {"", namespace})
    kinds = sorted({f"{ref.kind}.{ref.group}".rstrip(".") for ref in listed.values()})
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": name_of(set_name),
            "namespace": namespace,
            "labels": {
                ID_LABEL: id_of(set_name, namespace),
                _objects.MANAGED_BY_LABEL: _objects.FIELD_MANAGER,
                _objects.PART_OF_LABEL: set_name,
            },
            "annotations": {_TOOLING: f"{_TOOL}/v1", _KINDS: ",".join(kinds), _NAMESPACES: ",".join(namespaces)},
        },
        "data": {_FIELD: text},
    }


def read(live: Mapping[str, Any], set_name: str, namespace: str) -> Members:
    """Members that a set's ConfigMap lists. Raises ValueError when it is not one of ours or cannot be understood."""
    meta = live["metadata"]
    tool = str((meta.get("annotations") or {}).get(_TOOLING, ""))
    if (
        tool.partition("/")[0] != _TOOL
        or (meta.get("labels") or {}).get(ID_LABEL) != id_of(set_name, namespace)
        or not _objects.is_ours(live)
    ):
        raise ValueError(
            f"ConfigMap {namespace}/{meta['name']} is there and is no inventory of this collection (annotation {_TOOLING} is "
            f"{tool!r}, expected {_TOOL!r}); use another name or inventory_namespace, or delete it"
        )
    try:
        grouped = json.loads((live.get("data") or {})[_FIELD])
        found = [
            Ref(api_version, kind, space, name)
            for shown, spaces in grouped.items()
            for api_version, kind in [shown.split(" ", 1)]
            for space, names in spaces.items()
            for name in names
        ]
    except (KeyError, ValueError, AttributeError, TypeError):
        raise ValueError(
            f"ConfigMap {namespace}/{meta['name']}, the inventory of set '{set_name}', cannot be read: data.{_FIELD} was "
            "changed by somebody. Nothing is pruned; restore it, or delete the ConfigMap to begin anew without pruning"
        ) from None
    return members(found)


@dataclass(slots=True)
class Plan:
    """What becomes of the objects that a set no longer holds. All in the order of their keys."""

    delete: list[Ref] = field(default_factory=list)
    keep: list[tuple[Ref, str]] = field(default_factory=list)  # and why
    forget: list[Ref] = field(default_factory=list)  # gone, or not the set's any more: leave the inventory


def plan(listed: Members, wanted: Collection[Key], live: Mapping[Key, Obj], set_id: str, manager: str) -> Plan:
    """What to delete of the members that are listed and not wanted.

    `live`: those of them that are there. An object is deleted only when it still is what the set made of it: marked as
    ours and as this set's, with fields of `manager`, and applied by nobody else.
    """
    result = Plan()
    for key in sorted(set(listed) - set(wanted)):
        ref, obj = listed[key], live.get(key)
        if obj is None or obj["metadata"].get("deletionTimestamp"):
            result.forget.append(ref)
        elif reason := reason_to_keep(obj, set_id, manager):
            result.keep.append((ref, reason))
            if not _is_member(obj, set_id):
                result.forget.append(ref)
        else:
            result.delete.append(ref)
    return result


def _is_member(obj: Mapping[str, Any], set_id: str) -> bool:
    return _objects.is_ours(obj) and (obj["metadata"].get("labels") or {}).get(_objects.SET_LABEL) == set_id


def reason_to_keep(obj: Mapping[str, Any], set_id: str, manager: str) -> str:
    """Why a live object is not this set's to delete; empty when it is."""
    meta = obj["metadata"]
    if not _objects.is_ours(obj):
        return (
            f"somebody else made it or has taken it over: no label {_objects.MANAGED_BY_LABEL}={_objects.FIELD_MANAGER}"
        )
    if not _is_member(obj, set_id):
        return f"it is not part of this set any more: label {_objects.SET_LABEL} is another"
    for owner in meta.get("ownerReferences") or []:
        if owner.get("controller"):
            return f"it belongs to {owner.get('kind')} {owner.get('name')}, which controls it"
    entries = [entry for entry in meta.get("managedFields") or [] if not entry.get("subresource")]
    if manager not in {entry.get("manager") for entry in entries}:
        return f"somebody else has taken it over: manager '{manager}' owns no field of it"
    others = {str(entry.get("manager")) for entry in entries if entry.get("operation") == "Apply"}
    if others := others - _FRIENDS - {manager}:
        return f"somebody else applies it too: {', '.join(sorted(others))}"
    return ""


def refusals(found: Plan, listed: Members, set_name: str, allowed: Collection[str], *, whole: bool) -> list[str]:
    """Why a plan is not carried out unless it is allowed by name; empty when it may be.

    `allowed`: names of objects as messages show them, and the set's own name for deleting more than half of it.
    `whole`: the whole set is to go, so its size is no reason.
    """
    unnamed = [ref for ref in found.delete if str(ref) not in allowed]
    problems = [
        f"{ref} would be deleted with all that is in it; allow it with prune_allow: ['{ref}']"
        for ref in unnamed
        if (ref.group, ref.kind) in _PROTECTED
    ]
    there = len(listed) - len([ref for ref in found.forget if ref.key in listed])
    if not whole and set_name not in allowed and 2 * len(unnamed) > there:
        names = ", ".join(map(str, found.delete[:5])) + (", ..." if len(found.delete) > 5 else "")
        problems.append(
            f"{len(found.delete)} of {there} objects would be deleted, more than half of the set ({names}); "
            f"allow it with prune_allow: ['{set_name}']"
        )
    return problems


def ahead(listed: Members, wanted: Members) -> Members:
    """What the inventory lists before anything is written: all that may be there when the call is killed."""
    return {**listed, **wanted}


def after(listed: Members, wanted: Members, gone: Collection[Key]) -> Members:
    """What the inventory lists when the call is done. `listed`: what it lists by now."""
    return {**{key: ref for key, ref in listed.items() if key not in gone}, **wanted}
