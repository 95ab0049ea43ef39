# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A mesh that is read once, and looked at before an overlay, with it, and with it once pods have restarted."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._kube import kubectl_yaml
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import KubeError
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.assemble import Misread, reducers
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.model import Missing, MissingCause
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.overlay.endpoints import (
    named_targets,
    offered,
    selects,
    slices,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.overlay.entries import (
    Concerns,
    Entry,
    Presence,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.overlay.injection import (
    SHAPES,
    Injectors,
    is_injector,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.overlay.pods import Context, KeptPod, PodSet
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.overlay.remake import Examples
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parse.endpoint_slice import Slice
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parse.metadata import Obj, identity
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.source import (
    ENDED,
    KINDS,
    Everything,
    Kind,
    Reducers,
    Source,
    State,
    tag_of,
)

_YOUNGEST = "9999-12-31T23:59:59Z"  # of an object that is not there yet; several of them are in the order of their names, as in Istio
_ASSIGNED = ("clusterIP", "clusterIPs")  # fields that a file leaves out and that the API server keeps
_NAME_LABEL = "kubernetes.io/metadata.name"


@dataclass(frozen=True, slots=True)
class _Kept:
    """An object as it was read: its names, its time of creation, and what its reducer made of it."""

    namespace: str
    name: str
    created: str
    reduced: Any


class Effect(StrEnum):
    """What an entry did."""

    ADDED = "added"
    REPLACED = "replaced"
    DELETED = "deleted"
    UNCHANGED = "unchanged"  # it was like this already
    NOTHING = "nothing"  # the kind does not decide on mutual TLS
    UNKNOWN = "unknown"


class _View:
    """One of the looks at a state, in the form of a source."""

    def __init__(
        self,
        state: Overlaid,
        everything: Everything,
        changed: Mapping[tuple[str, str], Obj | None],
        tags: Callable[[], Mapping[str, str] | Missing],
    ) -> None:
        self._state = state
        self._everything = everything
        self._changed = changed
        self._tags = tags

    @property
    def requests(self) -> int:
        """Requests to an API server so far."""
        return self._state.requests

    def everything(
        self,
        reducers: Reducers,  # noqa: ARG002  # as all sources
        istio_namespace: str,  # noqa: ARG002
        kinds: Sequence[Kind] = KINDS,  # noqa: ARG002
    ) -> Everything:
        """All objects that decide, as they were read and changed."""
        return self._everything

    def revision_tags(self) -> Mapping[str, str] | Missing:
        """Revision tags and the revisions that they stand for, or why they cannot be read."""
        return self._tags()

    def config_map(self, namespace: str, name: str) -> Obj | Missing:
        """One ConfigMap, or why it is not there."""
        if (namespace, name) not in self._changed:
            return self._state.config_map(namespace, name)
        found = self._changed[(namespace, name)]
        if found is None:
            return Missing(f"ConfigMap {namespace}/{name}", MissingCause.NOT_INSTALLED, "the overlay deletes it")
        return found


class Overlaid:
    """A state with an overlay. Everything is read when it is made, and only once.

    `before`, `after` and `restarted` are sources; `restarted` is None when nothing that the injector reads is changed. `effects` says of
    each entry what it did, and `unclear` what else may change and is not known. Raises KubeError for an entry that cannot be applied.
    """

    def __init__(self, source: State, entries: Sequence[Entry], istio_namespace: str, domain: str) -> None:
        self._source = source
        self._istio_namespace = istio_namespace
        self._entries = entries
        self._config_maps: dict[tuple[str, str], Obj | Missing] = {}
        self._reducers = reducers(domain)
        self._examples = Examples()
        self._keep_raw = {entry.name for entry in entries if entry.kind == "Namespace" and not entry.group}
        self._keep_all = any(entry.concerns in (Concerns.WEBHOOK, Concerns.INJECTOR) for entry in entries)
        self.effects: dict[tuple[str, str, str, str], Effect] = {}
        self.unclear: list[str] = []
        self._tags: Callable[[], Mapping[str, str] | Missing] = source.revision_tags
        self._read()
        self._apply()

    @property
    def requests(self) -> int:
        """Requests to an API server so far."""
        return self._source.requests

    def config_map(self, namespace: str, name: str) -> Obj | Missing:
        """A ConfigMap of the state, read once."""
        place = (namespace, name)
        if place not in self._config_maps:
            self._config_maps[place] = self._source.config_map(namespace, name)
        return self._config_maps[place]

    def _read(self) -> None:
        """Reads the state. What is kept of an object is what its reducer keeps, and its names."""
        keeping: dict[str, Callable[[Obj], Any]] = {
            kind: functools.partial(self._keep, reduce) for kind, reduce in self._reducers.items()
        }
        keeping["Pod"] = self._keep_pod
        everything = self._source.everything(keeping, self._istio_namespace)
        self._kept: dict[str, list[_Kept]] = {kind: items for kind, items in everything.found.items() if kind != "Pod"}
        self._pods: list[KeptPod] = everything.found["Pod"]
        self._missing = everything.missing
        self._istiods = everything.istiods
        found = {kind: [kept.reduced for kept in items] for kind, items in self._kept.items()}
        found["Pod"] = [kept.reduced for kept in self._pods]
        self.before: Source = _View(
            self, Everything(found, self._missing, self._istiods), {}, self._source.revision_tags
        )

    @staticmethod
    def _keep(reduce: Any, obj: Obj) -> _Kept:
        return _Kept(*_identity(obj), reduce(obj))

    def _keep_pod(self, obj: Obj) -> KeptPod:
        reduced = self._reducers["Pod"](obj)
        namespace, name, _created = _identity(obj)
        if isinstance(reduced, Misread):
            return KeptPod(namespace, name, reduced)
        try:
            self._examples.see(obj, reduced)
            raw = obj if self._keep_all or reduced.group.namespace in self._keep_raw else None
            return KeptPod.of(obj, reduced, raw)
        except SHAPES:
            return KeptPod(namespace, name, Misread(f"{namespace}/{name}"))

    def _apply(self) -> None:
        deleted = {
            e.name for e in self._entries if e.kind == "Namespace" and not e.group and e.presence is Presence.ABSENT
        }
        found = {kind: self._changed(kind, deleted) for kind in self._kept}
        changed = {entry.where: self._config_of(entry) for entry in self._entries if entry.concerns in _CONFIG_MAPS}
        for entry in self._entries:
            if entry.concerns is Concerns.NOTHING:
                self.effects[entry.key] = Effect.NOTHING
            elif entry.concerns is Concerns.UNKNOWN:
                self.effects[entry.key] = Effect.UNKNOWN
        context = self._context(found["Namespace"], changed)
        pods = PodSet(self._pods, context, deleted)
        for entry in self._entries:
            if entry.namespace in deleted and entry.concerns in (Concerns.READ, Concerns.WORKLOAD):
                self.effects[entry.key] = Effect.DELETED
                continue
            try:
                if entry.concerns is Concerns.WORKLOAD:
                    self.effects[entry.key] = self._workload(entry, pods)
                elif entry.kind == "Pod" and entry.concerns is Concerns.READ:
                    self.effects[entry.key] = self._pod(entry, pods)
            except SHAPES:
                raise _not_understood(entry) from None
        pods.enrol()
        istiods = self._istiods_after(deleted)
        self.after: Source = self._view(found, pods, istiods, changed)
        self.restarted: Source | None = None
        if context.relabelled or context.injector_changes:
            pods.restart()
            self.restarted = self._view(found, pods, istiods, changed)

    def _changed(self, kind: str, deleted: set[str]) -> list[Any]:
        """The objects of a kind, other than Pod, with the entries of the overlay."""
        kept = {(one.namespace, one.name): one for one in self._kept[kind] if one.namespace not in deleted}
        found = {place: one.reduced for place, one in kept.items()}
        for entry in self._entries:
            if entry.kind != kind or entry.concerns is not Concerns.READ:
                continue
            old = kept.get(entry.where)
            if entry.presence is Presence.ABSENT:
                self.effects[entry.key] = self._deleted(entry, old is not None or entry.namespace in deleted)
                found.pop(entry.where, None)
                continue
            new = self._reduced(entry, old)
            same = old is not None and _alike(kind, old.reduced, new)
            self.effects[entry.key] = Effect.UNCHANGED if same else Effect.REPLACED if old else Effect.ADDED
            if not same:
                found[entry.where] = new
        return list(found.values())

    def _deleted(self, entry: Entry, there: bool) -> Effect:
        """The effect of an absent object. Raises KubeError when it is known not to be there, because its name may be misspelt."""
        if there:
            return Effect.DELETED
        if entry.kind in self._missing:
            return Effect.UNKNOWN
        raise KubeError(
            f"overlay: {entry.told} is to be absent, and is not there. Expected an object of the state, or the entry left out."
        )

    def _reduced(self, entry: Entry, old: _Kept | None) -> Any:
        """An object of the overlay in its reduced form, with the age that it will have and with what the API server keeps."""
        obj = dict(entry.obj)
        meta = {**obj["metadata"], "creationTimestamp": old.created if old else _YOUNGEST}
        if entry.kind == "Namespace":
            meta["labels"] = {**(meta.get("labels") or {}), _NAME_LABEL: entry.name}
        if entry.kind == "Service" and old is not None and not isinstance(old.reduced, Misread):
            had = old.reduced.get("spec") or {}
            spec = dict(obj.get("spec") or {})
            if spec.get("type") != "ExternalName" and not any(spec.get(field) for field in _ASSIGNED):
                spec |= {field: had[field] for field in _ASSIGNED if had.get(field)}
            obj["spec"] = spec
        obj["metadata"] = meta
        return self._understood(entry, self._reducers[entry.kind](obj))

    @staticmethod
    def _understood(entry: Entry, reduced: Any) -> Any:
        if isinstance(reduced, Misread):
            raise _not_understood(entry)
        return reduced

    def _config_of(self, entry: Entry) -> Obj | None:
        """A ConfigMap as it will be."""
        old = self.config_map(*entry.where)
        there = not isinstance(old, Missing)
        if entry.presence is Presence.ABSENT:
            if not there and old.cause is MissingCause.NOT_INSTALLED:  # type: ignore[union-attr]
                self._deleted(entry, there=False)
            self.effects[entry.key] = Effect.DELETED if there else Effect.UNKNOWN
            return None
        data = {} if isinstance(old, Missing) else old.get("data") or {}
        same = there and data == (entry.obj.get("data") or {})
        if entry.concerns is Concerns.MESH_CONFIG and _for_pods(data) != _for_pods(entry.obj.get("data") or {}):
            self.unclear.append(
                f"{entry.told}: its defaultConfig differs, and what pods get of it with a restart is not computed"
            )
        self.effects[entry.key] = Effect.UNCHANGED if same else Effect.REPLACED if there else Effect.ADDED
        return entry.obj

    def _context(self, namespaces: list[Any], changed: Mapping[tuple[str, str], Obj | None]) -> Context:
        """What decides on how pods are made, before the overlay and with it."""
        labels = [_labels_of(items) for items in ([kept.reduced for kept in self._kept["Namespace"]], namespaces)]
        hooks = [entry for entry in self._entries if entry.concerns is Concerns.WEBHOOK]
        makes_pods = any(entry.concerns is Concerns.WORKLOAD or entry.kind == "Pod" for entry in self._entries)
        relabelled = labels[0] != labels[1]
        webhooks: list[Obj] | Missing = []
        if hooks or makes_pods or relabelled or self._keep_all:
            webhooks = self._source.webhooks()
        after = webhooks if isinstance(webhooks, Missing) else self._webhooks(webhooks, hooks)
        if hooks:
            self._tags = functools.partial(_tags, after)
        if isinstance(webhooks, Missing):
            self.effects |= {entry.key: Effect.UNKNOWN for entry in hooks}
        injector = [entry for entry in self._entries if entry.concerns is Concerns.INJECTOR]
        changes = [entry for entry in injector if self.effects[entry.key] is not Effect.UNCHANGED]
        self._examples.replaced = bool(changes)
        view = _View(self, Everything({}, {}, None), changed, self._tags)
        served = {kept.reduced.group.revision for kept in self._pods if not isinstance(kept.reduced, Misread)}
        istiods = {
            (istiod["metadata"].get("labels") or {}).get("istio.io/rev") or "default" for istiod in self._istiods or []
        }
        revisions = frozenset((served | istiods) - {""})
        usual = not isinstance(webhooks, Missing) and bool(revisions) and not any(is_injector(one) for one in webhooks)
        was = functools.partial(_injector_config, self.config_map, self._istio_namespace)
        will_be = functools.partial(_injector_config, view.config_map, self._istio_namespace)
        return Context(
            labels[0],
            labels[1],
            Injectors(webhooks, was, revisions, usual=usual),
            Injectors(after, will_be, revisions, usual=usual),
            self._examples,
            self._reducers["Pod"],
            bool(changes) or after != webhooks,
        )

    def _webhooks(self, webhooks: list[Obj], entries: Iterable[Entry]) -> list[Obj]:
        found = {str(obj["metadata"].get("name")): obj for obj in webhooks}
        for entry in entries:
            old = found.get(entry.name)
            if entry.presence is Presence.ABSENT:
                self.effects[entry.key] = self._deleted(entry, old is not None)
                found.pop(entry.name, None)
                continue
            same = old is not None and (_spec(old), _meta(old)) == (_spec(entry.obj), _meta(entry.obj))
            self.effects[entry.key] = Effect.UNCHANGED if same else Effect.REPLACED if old else Effect.ADDED
            if not same:
                found[entry.name] = entry.obj
        return list(found.values())

    def _workload(self, entry: Entry, pods: PodSet) -> Effect:
        """Applies a workload to its pods."""
        old = self._source.workload(entry.workload, *entry.where)
        if entry.presence is Presence.ABSENT:
            if pods.remove_workload(entry):
                return Effect.DELETED
            if not isinstance(old, Missing):
                return Effect.DELETED
            return Effect.UNKNOWN if "Pod" in self._missing else self._deleted(entry, there=False)
        known = None if isinstance(old, Missing) else old
        there = pods.there(entry) or known is not None
        if known is not None and (known.get("spec") or {}) == (entry.obj.get("spec") or {}):
            return Effect.UNCHANGED
        pods.put_workload(entry, known)
        return Effect.REPLACED if there else Effect.ADDED

    def _pod(self, entry: Entry, pods: PodSet) -> Effect:
        if entry.presence is Presence.ABSENT:
            return self._deleted(entry, pods.remove(entry.where))
        if (entry.obj.get("status") or {}).get("phase") in ENDED:
            return Effect.UNCHANGED
        there = pods.has(entry.where)
        if not pods.put_pod(entry):
            return Effect.UNCHANGED
        return Effect.REPLACED if there else Effect.ADDED

    def _istiods_after(self, deleted: set[str]) -> list[Obj] | None:
        """The Deployments of istiod, with those of the overlay."""
        mine = [
            entry
            for entry in self._entries
            if entry.kind == "Deployment"
            and entry.namespace == self._istio_namespace
            and entry.concerns is Concerns.WORKLOAD
        ]
        if self._istiods is None and not any(_is_istiod(entry) for entry in mine):
            return None
        found = {
            str(obj["metadata"].get("name")): obj for obj in self._istiods or [] if self._istio_namespace not in deleted
        }
        for entry in mine:
            found.pop(entry.name, None)
            if entry.presence is Presence.PRESENT and _is_istiod(entry):
                found[entry.name] = entry.obj
        return list(found.values()) or None

    def _view(
        self,
        found: Mapping[str, list[Any]],
        pods: PodSet,
        istiods: list[Obj] | None,
        changed: Mapping[tuple[str, str], Obj | None],
    ) -> Source:
        """The state as it is with these pods; endpoints are worked out again where something that decides on them is changed."""
        services = {
            (obj["metadata"]["namespace"], obj["metadata"]["name"]): obj
            for obj in found["Service"]
            if isinstance(obj, Mapping)
        }
        again = self._touched(services, pods)
        kept = [part for part in found["EndpointSlice"] if not _replaced(part, again)]
        by_namespace: dict[str, dict[tuple[str, str], Any]] = {}
        for place, (labels, ports) in pods.ports().items() if again else ():
            by_namespace.setdefault(place[0], {})[place] = (labels, ports)
        for place in sorted(again):
            kept += slices(services[place], by_namespace.get(place[0], {}))
        whole = {**found, "EndpointSlice": kept, "Pod": pods.reduced()}
        return _View(self, Everything(whole, self._missing, istiods), changed, self._tags)

    def _touched(self, services: Mapping[tuple[str, str], Obj], pods: PodSet) -> set[tuple[str, str]]:
        """Services whose endpoints the overlay may change: their selector or ports, or the labels and ports of pods."""
        was = {(kept.namespace, kept.name): kept.reduced for kept in self._kept["Service"]}
        again = set()
        for place, obj in services.items():
            old = was.get(place)
            if obj is not old and (not isinstance(old, Mapping) or offered(old) != offered(obj)) and _selecting(obj):
                again.add(place)
        for namespace, changes in pods.changes().items():
            for place, obj in services.items():
                if place[0] == namespace and any(_moves(obj, old, new) for old, new in changes):
                    again.add(place)
        return again


_CONFIG_MAPS = (Concerns.MESH_CONFIG, Concerns.INJECTOR)


def _identity(obj: Obj) -> tuple[str, str, str]:
    meta = obj.get("metadata")
    return identity(obj) if isinstance(meta, Mapping) else ("", "", "")


def _for_pods(data: Obj) -> Any:
    """What of a MeshConfig the injector gives to pods."""
    try:
        document = kubectl_yaml.value(data.get("mesh") or "")
    except (KubeError, *SHAPES):
        return data.get("mesh")
    return (document.get("defaultConfig") or {}) if isinstance(document, Mapping) else document


def _not_understood(entry: Entry) -> KubeError:
    text = f"overlay: {entry.told} cannot be understood as {entry.kind}. Expected an object that the API server takes."
    return KubeError(text)


def _alike(kind: str, old: Any, new: Any) -> bool:
    """Whether an object is as it was, in what is kept of it. Of kinds that are kept as they are, metadata and status do not count."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        return _spec(old) == _spec(new) and _meta(old) == _meta(new)
    if kind == "Namespace" and isinstance(old, tuple):
        same = _meta({"metadata": old[0]}) == _meta({"metadata": new[0]}) and old[2:] == new[2:]
        return same and (old[1] in ("", "Active") or old[1] == new[1])
    return bool(old == new)


def _spec(obj: Obj) -> dict[str, Any]:
    return {key: value for key, value in obj.items() if key not in ("metadata", "status", "apiVersion", "kind")}


def _meta(obj: Obj) -> tuple[Any, Any]:
    meta = obj.get("metadata") or {}
    labels = {key: value for key, value in (meta.get("labels") or {}).items() if key != _NAME_LABEL}
    return labels, meta.get("annotations") or {}


def _labels_of(namespaces: Iterable[Any]) -> dict[str, dict[str, str]]:
    return {
        str(item[0]["name"]): {**(item[0].get("labels") or {}), _NAME_LABEL: str(item[0]["name"])}
        for item in namespaces
        if not isinstance(item, Misread)
    }


def _tags(webhooks: list[Obj] | Missing) -> Mapping[str, str] | Missing:
    """Revision tags as webhooks have them."""
    return webhooks if isinstance(webhooks, Missing) else dict(tag_of(obj) for obj in webhooks if tag_of(obj)[0])


def _is_istiod(entry: Entry) -> bool:
    return (entry.obj["metadata"].get("labels") or {}).get("app") == "istiod"


def _injector_config(config_map: Callable[[str, str], Obj | Missing], namespace: str, revision: str) -> Obj | Missing:
    return config_map(
        namespace, "istio-sidecar-injector" if revision == "default" else f"istio-sidecar-injector-{revision}"
    )


def _selecting(obj: Obj) -> bool:
    return bool((obj.get("spec") or {}).get("selector"))


def _replaced(part: Any, again: set[tuple[str, str]]) -> bool:
    return isinstance(part, Slice) and (part.namespace, part.service) in again


def _moves(obj: Obj, old: Any, new: Any) -> bool:
    """Whether a pod, as (labels, ports) or None, comes to a Service, leaves it, or offers another port to it."""
    was, now = (one is not None and selects(obj, one[0]) for one in (old, new))
    if was != now:
        return True
    return was and named_targets(obj, old[1]) != named_targets(obj, new[1])
