# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A mesh out of objects that were given instead of a cluster: files with what `kubectl get -A -o yaml` writes. Pure."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._kube.documents import Document, Origin
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import KubeError
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.objects import group_of, is_secret
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.model import Missing, MissingCause
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parse.metadata import Obj, texts
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.source import (
    ENDED,
    KINDS,
    TAGS,
    WEBHOOKS,
    Everything,
    Kind,
    Reducers,
    Workload,
    tag_of,
)

_Key = tuple[str, str]  # API group and kind


class Given:
    """Objects in place of a cluster. With `complete`, a kind without an object does not exist in the cluster; else it was not read."""

    requests = 0

    def __init__(self, documents: Iterable[Any], *, complete: bool) -> None:
        self._complete = complete
        self._objects: dict[_Key, dict[tuple[str, str], Obj]] = {}
        self._origins: dict[tuple[_Key, tuple[str, str]], Origin] = {}
        self._listed: set[_Key] = set()  # kinds of which the files have a list, an empty one as well
        for document in documents:
            for obj, origin in flattened(document, "src", self._listed):
                self._add(obj, origin)

    def _add(self, obj: Obj, origin: Origin) -> None:
        checked(obj, origin)
        key, meta = (group_of(str(obj.get("apiVersion") or "")), str(obj["kind"])), obj["metadata"]
        name = (str(meta.get("namespace") or ""), str(meta["name"]))
        if name in self._objects.setdefault(key, {}) and self._objects[key][name] != obj:
            where = "/".join(part for part in name if part)
            first = self._origins[key, name]
            place = f" (first in {first})" if first.document is not None else ""
            text = (
                f"{origin} has {obj['kind']} {where} twice{place}, with different content. Expected each object once."
            )
            raise KubeError(text)
        self._objects[key][name] = obj
        self._origins[key, name] = origin

    def _of(self, group: str, kind: str) -> list[Obj]:
        return list(self._objects.get((group, kind), {}).values())

    def everything(self, reducers: Reducers, istio_namespace: str, kinds: Sequence[Kind] = KINDS) -> Everything:
        """All objects that decide, reduced. Pods that have ended do not count."""
        found: dict[str, list[Any]] = {}
        missing: dict[str, Missing] = {}
        for kind in kinds:
            group = group_of(kind.versions[0])
            objects = self._of(group, kind.name)
            if not objects and not self._complete and (group, kind.name) not in self._listed:
                text = f"src has no {kind.plural}, so they were not read"
                missing[kind.name] = Missing(kind.name, MissingCause.NOT_GIVEN, text)
            if kind.name == "Pod":
                objects = [obj for obj in objects if (obj.get("status") or {}).get("phase") not in ENDED]
            found[kind.name] = [reducers[kind.name](obj) for obj in objects]
        return Everything(found, missing, self._istiods(istio_namespace))

    def _istiods(self, namespace: str) -> list[Obj] | None:
        return [
            obj
            for obj in self._of("apps", "Deployment")
            if obj["metadata"].get("namespace") == namespace
            and (obj["metadata"].get("labels") or {}).get("app") == "istiod"
        ] or None

    def revision_tags(self) -> Mapping[str, str] | Missing:
        """Revision tags and the revisions that they stand for, or why they cannot be read."""
        key = (group_of(TAGS.versions[0]), TAGS.name)
        if key not in self._objects and not self._complete and key not in self._listed:
            text = f"src has no {TAGS.plural}, so revision tags were not read"
            return Missing(TAGS.name, MissingCause.NOT_GIVEN, text)
        return dict(tag_of(obj) for obj in self._of(*key))

    def config_map(self, namespace: str, name: str) -> Obj | Missing:
        """One ConfigMap, or why it is not there."""
        return self._one("", "ConfigMap", namespace, name)

    def workload(self, workload: Workload, namespace: str, name: str) -> Obj | Missing:
        """One Deployment, or another object that has pods made, or why it is not there."""
        return self._one(group_of(workload.version), workload.name, namespace, name)

    def webhooks(self) -> list[Obj] | Missing:
        """All MutatingWebhookConfigurations, or why they are not known."""
        key = (group_of(WEBHOOKS.versions[0]), WEBHOOKS.name)
        found = self._of(*key)
        if found or self._complete or key in self._listed:
            return found
        text = f"src has no {WEBHOOKS.plural}, so they were not read"
        return Missing(WEBHOOKS.name, MissingCause.NOT_GIVEN, text)

    def _one(self, group: str, kind: str, namespace: str, name: str) -> Obj | Missing:
        found = self._objects.get((group, kind), {}).get((namespace, name))
        if found is not None:
            return found
        cause = MissingCause.NOT_INSTALLED if self._complete else MissingCause.NOT_GIVEN
        return Missing(f"{kind} {namespace}/{name}", cause, "it is not in src")


def flattened(
    document: Any, option: str, listed: set[_Key] | None = None, origin: Origin | None = None
) -> Iterator[tuple[Obj, Origin]]:
    """The objects of a document, each with its origin: itself, those of a List, and those of a typed list, whose items may state no kind.

    `option` names what has the document; `listed` gets the kinds of typed lists.
    """
    if isinstance(document, Document):
        yield from flattened(document.value, option, listed, Origin(document.name, document))
        return
    origin = origin or Origin(option)
    if document is None:
        return
    if not isinstance(document, Mapping) or not isinstance(document.get("kind"), str):
        text = str(document)
        raise KubeError(f"{origin} has '{text[:60]}', which is no object. Expected apiVersion, kind and metadata.")
    kind, version = document["kind"], str(document.get("apiVersion") or "")
    items = document.get("items")
    if not kind.endswith("List") or not isinstance(items, list):
        yield document, origin
        return
    inner = kind.removesuffix("List")
    if inner and listed is not None:
        listed.add((group_of(version), inner))
    for index, item in enumerate(items):
        known = {"apiVersion": version, "kind": inner} if inner else {}
        place = origin.item("items", index)
        yield from flattened({**known, **item} if isinstance(item, Mapping) else item, option, listed, place)


def checked(obj: Obj, origin: Origin) -> None:
    """Raises KubeError for an object that has not the shape that all objects have."""
    meta = obj.get("metadata")
    if not isinstance(meta, Mapping) or not meta.get("name"):
        raise KubeError(f"{origin} has an object of kind {obj['kind']} without metadata.name. Expected whole objects.")
    for field in ("name", "namespace", "creationTimestamp"):
        if meta.get(field) is not None and not isinstance(meta[field], (str, datetime.datetime)):
            raise _wrong(origin, obj, ("metadata", field), meta[field], "a text")
    for field in ("spec", "status", "data"):
        if obj.get(field) is not None and not isinstance(obj[field], Mapping):
            raise _wrong(origin, obj, (field,), obj[field], "a mapping")
    for path, node in ((("metadata", "labels"), meta), (("metadata", "annotations"), meta), (("data",), obj)):
        try:
            texts(node.get(path[-1]))
        except TypeError:
            raise _wrong(origin, obj, path, node[path[-1]], "a mapping of texts") from None


def _wrong(origin: Origin, obj: Obj, path: tuple[str, ...], value: Any, expected: str) -> KubeError:
    name = f"{obj['kind']} {obj['metadata']['name']}"
    shown = "a value that is not shown" if is_secret(obj) else repr(value)
    return KubeError(f"{origin.at(*path)} has {name} with {path[-1]}: {shown}. Expected {expected}.")
