# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A mesh out of objects that were given instead of a cluster: files with what `kubectl get -A -o yaml` writes. Pure."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import KubeError
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.objects import group_of
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
        self._listed: set[_Key] = set()  # kinds of which the files have a list, an empty one as well
        for document in documents:
            for obj in flattened(document, "src", self._listed):
                self._add(obj)

    def _add(self, obj: Obj) -> None:
        checked(obj, "src")
        key, meta = (group_of(str(obj.get("apiVersion") or "")), str(obj["kind"])), obj["metadata"]
        name = (str(meta.get("namespace") or ""), str(meta["name"]))
        if name in self._objects.setdefault(key, {}) and self._objects[key][name] != obj:
            where = "/".join(part for part in name if part)
            raise KubeError(f"src has {obj['kind']} {where} twice, with different content. Expected each object once.")
        self._objects[key][name] = obj

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


def flattened(document: Any, where: str, listed: set[_Key] | None = None) -> Iterator[Obj]:
    """The objects of a document: itself, those of a List, and those of a typed list, whose items may state no kind.

    `where` names the option in errors; `listed` gets the kinds of typed lists.
    """
    if document is None:
        return
    if not isinstance(document, Mapping) or not isinstance(document.get("kind"), str):
        text = str(document)
        raise KubeError(f"{where} has '{text[:60]}', which is no object. Expected apiVersion, kind and metadata.")
    kind, version = document["kind"], str(document.get("apiVersion") or "")
    items = document.get("items")
    if not kind.endswith("List") or not isinstance(items, list):
        yield document
        return
    inner = kind.removesuffix("List")
    if inner and listed is not None:
        listed.add((group_of(version), inner))
    for item in items:
        known = {"apiVersion": version, "kind": inner} if inner else {}
        yield from flattened({**known, **item} if isinstance(item, Mapping) else item, where, listed)


def checked(obj: Obj, where: str) -> None:
    """Raises KubeError for an object that has not the shape that all objects have. `where` names the option."""
    meta = obj.get("metadata")
    if not isinstance(meta, Mapping) or not meta.get("name"):
        raise KubeError(f"{where} has an object of kind {obj['kind']} without metadata.name. Expected whole objects.")
    for field in ("name", "namespace", "creationTimestamp"):
        if meta.get(field) is not None and not isinstance(meta[field], (str, datetime.datetime)):
            raise _wrong(where, obj, field, meta[field], "a text")
    for field in ("spec", "status", "data"):
        if obj.get(field) is not None and not isinstance(obj[field], Mapping):
            raise _wrong(where, obj, field, obj[field], "a mapping")
    for field, node in (("labels", meta), ("annotations", meta), ("data", obj)):
        try:
            texts(node.get(field))
        except TypeError:
            raise _wrong(where, obj, field, node[field], "a mapping of texts") from None


def _wrong(where: str, obj: Obj, field: str, value: Any, expected: str) -> KubeError:
    return KubeError(
        f"{where} has {obj['kind']} {obj['metadata']['name']} with {field}: {value!r}. Expected {expected}."
    )
