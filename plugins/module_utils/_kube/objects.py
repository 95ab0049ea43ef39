# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Objects: their identity, whether they may be sent, and how they are marked as ours."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

FIELD_MANAGER = "servicemesh-platform"
CANARY_MANAGER = "servicemesh-canary"
MANAGED_BY_LABEL = "app.kubernetes.io/managed-by"
PART_OF_LABEL = "app.kubernetes.io/part-of"
# The set whose inventory lists the object; the label is that of ApplySets (KEP-3659).
SET_LABEL = "applyset.kubernetes.io/part-of"
CREATE_ONLY_ANNOTATION = "servicemesh.platform/create-only"

# Deleted in the foreground: their pods first.
_FOREGROUND = frozenset({"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job"})

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?\Z")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\Z")
_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?\Z")
_API_VERSION = re.compile(r"([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?v[a-z0-9]+\Z")

# Kubernetes validates these names only as a path segment (pkg/apis/rbac/validation/validation.go).
_PATH_SEGMENT_KINDS = frozenset({"Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"})
# These names become a DNS label (pkg/apis/core/validation/validation.go).
_LABEL_KINDS = frozenset({"Namespace", "Service"})


@dataclass(frozen=True, order=True, slots=True)
class Ref:
    """Identifies one object: enough to address it and to name it in a message."""

    api_version: str
    kind: str
    namespace: str
    name: str

    @property
    def group(self) -> str:
        """API group, empty for the core one."""
        return group_of(self.api_version)

    @property
    def key(self) -> tuple[str, str, str, str]:
        """Identity of the object in all versions of its API."""
        return (self.group, self.kind, self.namespace, self.name)

    def __str__(self) -> str:
        where = f"{self.namespace}/{self.name}" if self.namespace else self.name
        return f"{self.kind} {where}"


def group_of(api_version: str) -> str:
    """Group of an `apiVersion`: `apps/v1` gives `apps`, `v1` gives the empty string."""
    return api_version.rpartition("/")[0]


def ref_of(obj: Mapping[str, Any]) -> Ref:
    """Reference of a valid object."""
    meta = obj["metadata"]
    return Ref(obj["apiVersion"], obj["kind"], meta.get("namespace") or "", meta["name"])


def flatten(definitions: Any) -> Iterator[Any]:
    """All objects in nested lists and `kind: List` objects; None and empty documents are left out."""
    if definitions is None or definitions == {} or definitions == "":
        return
    if isinstance(definitions, Mapping):
        if definitions.get("kind") == "List" and isinstance(definitions.get("items"), list):
            yield from flatten(definitions["items"])
        else:
            yield definitions
    elif isinstance(definitions, Iterable) and not isinstance(definitions, (str, bytes)):
        for item in definitions:
            yield from flatten(item)
    else:
        yield definitions


def expected_name(kind: str, name: str) -> str:
    """What Kubernetes expects of a name instead of this one; empty when the name is valid."""
    if kind in _PATH_SEGMENT_KINDS:
        if name in (".", "..") or "/" in name or "%" in name or not name:
            return "a name without '/' and '%'"
        return ""
    if kind in _LABEL_KINDS:
        if len(name) > 63 or not _LABEL.match(name):
            return "an RFC 1123 label: at most 63 lower case letters, digits and '-', a letter or digit at both ends"
        return ""
    if len(name) > 253 or not _SUBDOMAIN.match(name):
        return "an RFC 1123 subdomain: lower case letters, digits, '-' and '.', a letter or digit at both ends of each part"
    return ""


def expected_label_value(value: str) -> str:
    """What Kubernetes expects of a label's value instead of this one; empty when the value is valid."""
    if len(value) > 63 or not _LABEL_VALUE.match(value):
        return "at most 63 letters, digits, '-', '_' and '.', a letter or digit at both ends"
    return ""


def findings_of(objects: Iterable[Any]) -> list[str]:
    """Everything that is wrong with a set, found without a request; empty when the set may be sent."""
    findings: list[str] = []
    seen: dict[tuple[str, str, str, str], int] = {}
    for index, obj in enumerate(objects):
        found = _findings_of_one(index, obj)
        findings += found
        if found:
            continue
        ref = ref_of(obj)
        if ref.key in seen:
            findings.append(
                f"{ref} is defined twice (definitions[{seen[ref.key]}] and definitions[{index}]); remove one"
            )
        seen.setdefault(ref.key, index)
    return findings


def _findings_of_one(index: int, obj: Any) -> list[str]:
    where = f"definitions[{index}]"
    if not isinstance(obj, Mapping):
        return [f"{where} is a {type(obj).__name__}; expected an object with apiVersion, kind and metadata.name"]
    findings = []
    kind, api_version, meta = obj.get("kind"), obj.get("apiVersion"), obj.get("metadata")
    if isinstance(kind, str) and kind:
        where += f" ({kind}{_name_hint(meta)})"
    else:
        findings.append(f"{where}{_name_hint(meta)}: kind is missing or not a string")
    if not isinstance(api_version, str) or not _API_VERSION.match(api_version):
        findings.append(f"{where}: apiVersion is {api_version!r}; expected <group>/<version> or v1")
    if not isinstance(meta, Mapping):
        return [*findings, f"{where}: metadata is missing"]
    name, namespace = meta.get("name"), meta.get("namespace")
    if not isinstance(name, str) or not name:
        findings.append(f"{where}: metadata.name is {name!r}; expected a name (generateName cannot be applied twice)")
    elif expected := expected_name(str(kind), name):
        findings.append(f"{where}: metadata.name is {name!r}; expected {expected}")
    if namespace is not None and (
        not isinstance(namespace, str) or (namespace and expected_name("Namespace", namespace))
    ):
        findings.append(f"{where}: metadata.namespace is {namespace!r}; expected {expected_name('Namespace', '')}")
    for field in ("labels", "annotations"):
        entries = meta.get(field)
        if entries is None:
            continue
        if not isinstance(entries, Mapping):
            findings.append(f"{where}: metadata.{field} is a {type(entries).__name__}; expected a mapping")
            continue
        findings += [
            f"{where}: metadata.{field}[{key!r}] is a {type(value).__name__}; expected a string (quote it)"
            for key, value in entries.items()
            if not isinstance(value, str)
        ]
    return findings


def _name_hint(meta: Any) -> str:
    if isinstance(meta, Mapping) and isinstance(meta.get("name"), str):
        return f" {meta['name']}"
    return ""


def prepared(obj: Mapping[str, Any], set_name: str, *, ours: bool, set_id: str = "") -> dict[str, Any]:
    """Copy of an object as it is sent: without the fields that only the server writes, and marked as ours.

    An object that another owner created (`ours` false) is not marked, so that a teardown never deletes it. One that says itself what it is
    part of keeps that: several sets may write it.
    `set_id`: the set that prunes it; empty for none.
    """
    meta = {
        key: value
        for key, value in obj["metadata"].items()
        if value is not None
        and key not in ("managedFields", "resourceVersion", "uid", "generation", "creationTimestamp")
    }
    labels = dict(meta.get("labels") or {})
    if ours:
        labels[MANAGED_BY_LABEL] = FIELD_MANAGER
        if set_name:
            labels.setdefault(PART_OF_LABEL, set_name)
        if set_id:
            labels[SET_LABEL] = set_id
    elif labels.get(MANAGED_BY_LABEL) == FIELD_MANAGER:
        del labels[MANAGED_BY_LABEL]
        labels.pop(PART_OF_LABEL, None)
    meta.pop("labels", None)
    if labels:
        meta["labels"] = labels
    return {**{key: value for key, value in obj.items() if key not in ("metadata", "status")}, "metadata": meta}


def is_ours(live: Mapping[str, Any]) -> bool:
    """Whether this collection created the object, so that it may delete it."""
    return (live["metadata"].get("labels") or {}).get(MANAGED_BY_LABEL) == FIELD_MANAGER


def is_create_only(obj: Mapping[str, Any]) -> bool:
    """Whether the object is created and never changed (for example a generated password)."""
    return (obj["metadata"].get("annotations") or {}).get(CREATE_ONLY_ANNOTATION) == "true"


def is_secret(obj: Mapping[str, Any]) -> bool:
    """Whether `data` and `stringData` of this object must never be shown."""
    return obj.get("kind") == "Secret" and group_of(str(obj.get("apiVersion", ""))) == ""


def delete_options(live: Mapping[str, Any]) -> dict[str, Any]:
    """Body of the request that deletes exactly this object, and not a later one of the same name."""
    return {
        "apiVersion": "v1",
        "kind": "DeleteOptions",
        "preconditions": {"uid": live["metadata"]["uid"]},
        "propagationPolicy": "Foreground" if live["kind"] in _FOREGROUND else "Background",
    }
