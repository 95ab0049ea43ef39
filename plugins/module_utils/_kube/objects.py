# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Objects: their identity, whether they may be sent, and how they are marked as ours."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._kube.documents import Document, Origin

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
    """All objects in nested lists and in lists of Kubernetes; None and empty definitions are left out."""
    for obj, _origin in _located(definitions, None):
        yield obj


def located(option: str, definitions: Any) -> list[tuple[Any, Origin]]:
    """As `flatten`, each object with its origin. Documents of a text count as they are, empty mappings as well, as with kubectl.

    `option`: the option that has the definitions; its entries are numbered as they come out.
    """
    found: list[tuple[Any, Origin]] = []
    for obj, origin in _located(definitions, None):
        found.append((obj, origin or Origin(f"{option}[{len(found)}]")))
    return found


def _located(definitions: Any, origin: Origin | None) -> Iterator[tuple[Any, Origin | None]]:
    if isinstance(definitions, Document):
        yield from _located(definitions.value, Origin(definitions.name, definitions))
    elif isinstance(definitions, Mapping):
        items = items_of(definitions)
        if items is not None:
            for index, item in enumerate(items):
                yield from _located(item, origin and origin.item("items", index))
        elif definitions or origin:
            yield definitions, origin
    elif isinstance(definitions, Iterable) and not isinstance(definitions, (str, bytes)):
        for index, item in enumerate(definitions):
            yield from _located(item, origin and origin.item(index))
    elif definitions is not None and (definitions != "" or origin):
        yield definitions, origin


def items_of(obj: Mapping[str, Any]) -> list[Any] | None:
    """The items of a `List`, or of a list of one kind (`ConfigMapList`), whose items may leave the kind to it; None for another object.

    As apimachinery's pkg/apis/meta/v1/unstructured/helpers.go, decodeToList.
    """
    kind, items = obj.get("kind"), obj.get("items", "")
    if not isinstance(kind, str) or not kind.endswith("List") or not (items is None or isinstance(items, list)):
        return None
    inner = kind.removesuffix("List")
    known = {"apiVersion": obj.get("apiVersion"), "kind": inner}
    return [
        {**item, **known}
        if inner and isinstance(item, Mapping) and not (item.get("kind") or item.get("apiVersion"))
        else item
        for item in items or []
    ]


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


def findings_of(objects: Iterable[Any], origins: Sequence[Origin] = (), *, names_only: bool = False) -> list[str]:
    """Everything that is wrong with a set, found without a request; empty when the set may be sent.

    `origins`: of the objects, in their order; without them they are entries of `definitions`. `names_only`: for objects to delete, whose
    content does not count.
    """
    findings: list[str] = []
    seen: dict[tuple[str, str, str, str], Origin] = {}
    for index, obj in enumerate(objects):
        origin = origins[index] if origins else Origin(f"definitions[{index}]")
        found = _findings_of_one(origin, obj, names_only=names_only)
        findings += found
        if found:
            continue
        ref = ref_of(obj)
        if ref.key in seen:
            findings.append(f"{ref} is defined twice ({seen[ref.key]} and {origin}); remove one")
        seen.setdefault(ref.key, origin)
    return findings


def _findings_of_one(origin: Origin, obj: Any, *, names_only: bool) -> list[str]:
    if not isinstance(obj, Mapping):
        return [f"{origin} is a {type(obj).__name__}; expected an object with apiVersion, kind and metadata.name"]
    kind, api_version, meta = obj.get("kind"), obj.get("apiVersion"), obj.get("metadata")
    known = isinstance(kind, str) and kind
    hint = f" ({kind}{_name_hint(meta)})" if known else _name_hint(meta)
    found: list[tuple[tuple[str | int, ...], str]] = []
    if not known:
        found.append((("kind",), "kind is missing or not a string"))
    if not isinstance(api_version, str) or not _API_VERSION.match(api_version):
        found.append((("apiVersion",), f"apiVersion is {api_version!r}; expected <group>/<version> or v1"))
    if isinstance(meta, Mapping):
        found += _metadata_findings(str(kind), meta)
    else:
        found.append((("metadata",), "metadata is missing"))
    if not names_only:
        found += _data_findings(obj)
    return [f"{origin.at(*path)}{hint}: {text}" for path, text in found]


def _metadata_findings(kind: str, meta: Mapping[str, Any]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """What is wrong with an object's metadata: the path of the field, and the finding."""
    name, namespace = meta.get("name"), meta.get("namespace")
    if not isinstance(name, str) or not name:
        text = f"metadata.name is {name!r}; expected a name (generateName cannot be applied twice)"
        yield ("metadata", "name"), text
    elif expected := expected_name(kind, name):
        yield ("metadata", "name"), f"metadata.name is {name!r}; expected {expected}"
    if namespace is not None and (
        not isinstance(namespace, str) or (namespace and expected_name("Namespace", namespace))
    ):
        text = f"metadata.namespace is {namespace!r}; expected {expected_name('Namespace', '')}"
        yield ("metadata", "namespace"), text
    for field in ("labels", "annotations"):
        for path, text in _text_findings(f"metadata.{field}", meta.get(field)):
            yield ("metadata", field, *path), text


def _data_findings(obj: Mapping[str, Any]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Values of a ConfigMap or a Secret that are no texts. The server takes None for an empty one (`encoded` writes it so)."""
    for field in data_fields(obj):
        values = obj.get(field)
        texts = (
            {key: "" if value is None else value for key, value in values.items()}
            if isinstance(values, Mapping)
            else values
        )
        for path, text in _text_findings(field, texts):
            yield (field, *path), text


def _text_findings(field: str, entries: Any) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Entries of a field that is a mapping of texts, except those that are texts. Values are not told: they may be secret."""
    if entries is None:
        return
    if not isinstance(entries, Mapping):
        yield (), f"{field} is a {type(entries).__name__}; expected a mapping of strings"
        return
    for key, value in entries.items():
        if not isinstance(value, str):
            yield (str(key),), f"{field}[{key!r}] is a {type(value).__name__}; expected a string (quote it)"


def data_fields(obj: Mapping[str, Any]) -> tuple[str, ...]:
    """Fields of an object that are mappings of texts by its kind: those of a ConfigMap and of a Secret."""
    if obj.get("apiVersion") != "v1":
        return ()
    return {"ConfigMap": ("data", "binaryData"), "Secret": ("data", "stringData")}.get(str(obj.get("kind")), ())


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
