# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a set once applied, and what of it may be deleted now. No I/O.

A set that is pruned has a ConfigMap that lists its members. Names and labels are those of ApplySets (KEP-3659, and kubectl's
pkg/cmd/apply/applyset.go), so that other tools see who owns the objects and leave them alone. The list itself is an addition: an ApplySet
knows only kinds and namespaces, and has to list all of them to find its members. With the list, a call that has nothing to delete costs
one request.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._apply.replicas import AUTOSCALING_MANAGER
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.objects import (
    CANARY_MANAGER,
    FIELD_MANAGER,
    MANAGED_BY_LABEL,
    PART_OF_LABEL,
    SET_LABEL,
    Ref,
    is_ours,
)

ID_LABEL = "applyset.kubernetes.io/id"
_TOOLING = "applyset.kubernetes.io/tooling"
_KINDS = "applyset.kubernetes.io/contains-group-kinds"
_NAMESPACES = "applyset.kubernetes.io/additional-namespaces"
_TOOL = "servicemesh-platform"
_FIELD = "members"
# A ConfigMap holds 1 MiB at most (pkg/apis/core/validation: MaxSecretSize); the rest is for its metadata.
_MOST_BYTES = 1_000_000
# Kinds whose deletion also deletes data or objects of others.
_PROTECTED = frozenset(
    {("", "Namespace"), ("", "PersistentVolumeClaim"), ("apiextensions.k8s.io", "CustomResourceDefinition")}
)
# Managers of this collection that apply single fields of an object.
_OWN_MANAGERS = frozenset({CANARY_MANAGER, AUTOSCALING_MANAGER})

Key = tuple[str, str, str, str]
Members = dict[Key, Ref]
Obj = dict[str, Any]


def name_of(set_name: str) -> str:
    """Name of the ConfigMap of a set."""
    return f"applyset-{set_name}"


def id_of(set_name: str, namespace: str) -> str:
    """Identity of a set: value of the label on its members (applyset.go, `V1ApplySetIdFormat`)."""
    text = f"{name_of(set_name)}.{namespace}.ConfigMap."
    digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")
    return f"applyset-{digest}-v1"


def members(refs: Iterable[Ref]) -> Members:
    """References by their identity."""
    return {ref.key: ref for ref in refs}


def document(set_name: str, namespace: str, listed: Members) -> Obj:
    """The ConfigMap of a set. Raises ValueError when its members do not fit into one."""
    grouped: dict[str, dict[str, list[str]]] = {}
    for ref in sorted(listed.values()):
        grouped.setdefault(f"{ref.api_version} {ref.kind}", {}).setdefault(ref.namespace, []).append(ref.name)
    text = json.dumps(grouped, separators=(",", ":"), sort_keys=True)
    if len(text) > _MOST_BYTES:
        raise ValueError(
            f"set '{set_name}' has {len(listed)} objects, which do not fit into one ConfigMap; split the set"
        )
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
                MANAGED_BY_LABEL: FIELD_MANAGER,
                PART_OF_LABEL: set_name,
            },
            "annotations": {_TOOLING: f"{_TOOL}/v1", _KINDS: ",".join(kinds), _NAMESPACES: ",".join(namespaces)},
        },
        "data": {_FIELD: text},
    }


def read(live: Mapping[str, Any], set_name: str, namespace: str) -> Members:
    """Members that a set's ConfigMap lists. Raises ValueError when it is not an inventory of ours or cannot be read."""
    meta = live["metadata"]
    tool = str((meta.get("annotations") or {}).get(_TOOLING, ""))
    if (
        tool.partition("/")[0] != _TOOL
        or (meta.get("labels") or {}).get(ID_LABEL) != id_of(set_name, namespace)
        or not is_ours(live)
    ):
        raise ValueError(
            f"ConfigMap {namespace}/{meta['name']} exists and is not an inventory of this collection (annotation {_TOOLING} is "
            f"{tool!r}, expected {_TOOL!r}); use another name or inventory_namespace, or delete the ConfigMap"
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
            f"ConfigMap {namespace}/{meta['name']}, the inventory of set '{set_name}', cannot be read: another client "
            f"changed data.{_FIELD}. Nothing is pruned; restore the field, or delete the ConfigMap to start with an empty inventory"
        ) from None
    return members(found)


@dataclass(slots=True)
class Plan:
    """What is done with the objects that a set does not contain any more, in the order of their keys."""

    delete: list[Ref] = field(default_factory=list)
    keep: list[tuple[Ref, str]] = field(default_factory=list)  # with the reason
    forget: list[Ref] = field(default_factory=list)  # gone, or not part of the set any more: removed from the inventory


def plan(listed: Members, wanted: Collection[Key], live: Mapping[Key, Obj], set_id: str, manager: str) -> Plan:
    """What to delete of the members that are listed and not wanted.

    `live`: those of them that exist. An object is deleted only when it is still marked as ours and as this set's, has fields of
    `manager`, and no other manager applies it.
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
    return is_ours(obj) and (obj["metadata"].get("labels") or {}).get(SET_LABEL) == set_id


def reason_to_keep(obj: Mapping[str, Any], set_id: str, manager: str) -> str:
    """Why this set must not delete a live object; empty when it may."""
    meta = obj["metadata"]
    if not is_ours(obj):
        return f"another owner created it or took it over: no label {MANAGED_BY_LABEL}={FIELD_MANAGER}"
    if not _is_member(obj, set_id):
        return f"it is not part of this set any more: label {SET_LABEL} has another value"
    for owner in meta.get("ownerReferences") or []:
        if owner.get("controller"):
            return f"it belongs to {owner.get('kind')} {owner.get('name')}, which controls it"
    entries = [entry for entry in meta.get("managedFields") or [] if not entry.get("subresource")]
    if manager not in {entry.get("manager") for entry in entries}:
        return f"another owner took it over: manager '{manager}' owns none of its fields"
    others = {str(entry.get("manager")) for entry in entries if entry.get("operation") == "Apply"}
    if others := others - _OWN_MANAGERS - {manager}:
        return f"other managers apply it too: {', '.join(sorted(others))}"
    return ""


def refusals(found: Plan, listed: Members, set_name: str, allowed: Collection[str], *, whole: bool) -> list[str]:
    """Why a plan is refused until `prune_allow` names what it deletes; empty when it is not refused.

    `allowed`: names of objects as messages show them, and the set's own name for deleting more than half of it.
    `whole`: the whole set is to be deleted, so its size is no reason to refuse.
    """
    unnamed = [ref for ref in found.delete if str(ref) not in allowed]
    findings = [
        f"{ref} would be deleted with everything in it; allow it with prune_allow: ['{ref}']"
        for ref in unnamed
        if (ref.group, ref.kind) in _PROTECTED
    ]
    there = len(listed) - len([ref for ref in found.forget if ref.key in listed])
    if not whole and set_name not in allowed and 2 * len(unnamed) > there:
        names = ", ".join(map(str, found.delete[:5])) + (", ..." if len(found.delete) > 5 else "")
        findings.append(
            f"{len(found.delete)} of {there} objects would be deleted, more than half of the set ({names}); "
            f"allow it with prune_allow: ['{set_name}']"
        )
    return findings


def ahead(listed: Members, wanted: Members) -> Members:
    """What the inventory lists before anything is written: everything that may exist when the call is killed."""
    return {**listed, **wanted}


def after(listed: Members, wanted: Members, gone: Collection[Key]) -> Members:
    """What the inventory lists after the call. `listed`: what it lists now."""
    return {**{key: ref for key, ref in listed.items() if key not in gone}, **wanted}
