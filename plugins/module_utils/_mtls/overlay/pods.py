# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pods of a state under an overlay: those that stay, those that a changed workload makes, and those that restart. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import KubeError
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.model import (
    Labels,
    Proxy,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.overlay.endpoints import (
    NamedPorts,
    named_ports,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.overlay.entries import Entry
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.overlay.injection import (
    ENABLED,
    SHAPES,
    Decision,
    Injectors,
    enrols,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.overlay.remake import (
    Examples,
    made,
    traffic,
    unknown,
    without_sidecar,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parse.metadata import Obj
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parse.pod import Pod
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.pods import (
    INJECT,
    Bare,
    Capture,
    Redirection,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.source import REVISION, Workload

_Place = tuple[str, str]  # namespace and name
_Seen = tuple[Labels, NamedPorts]  # what Services see of a pod
Wish = tuple[Any, ...]


def _wish(labels: Mapping[str, Any], annotations: Mapping[str, Any], spec: Obj) -> Wish:
    """What the injector reads of a pod."""
    return labels.get(INJECT), annotations.get(INJECT), labels.get(REVISION), bool(spec.get("hostNetwork"))


@dataclass(frozen=True, slots=True)
class KeptPod:
    """A pod and what an overlay needs of it besides: its controller, its named ports, and the object where it may restart.

    `reduced` is a Misread for a pod that is not understood. `made` pods are those of the overlay.
    """

    namespace: str
    name: str
    reduced: Any
    owner: tuple[str, str] = ("", "")
    wish: Wish = ()
    ports: NamedPorts = frozenset()
    raw: Obj | None = None
    made: bool = False

    @classmethod
    def of(cls, obj: Obj, reduced: Pod, raw: Obj | None, *, is_made: bool = False) -> KeptPod:
        """A pod out of its object."""
        meta, spec = obj["metadata"], obj.get("spec") or {}
        owners = [part for part in meta.get("ownerReferences") or [] if part.get("controller")]
        owner: Obj = owners[0] if owners else {}
        return cls(
            reduced.group.namespace,
            reduced.name,
            reduced,
            (str(owner.get("kind") or ""), str(owner.get("name") or "")),
            _wish(meta.get("labels") or {}, meta.get("annotations") or {}, spec),
            named_ports(spec),
            raw,
            is_made,
        )

    @property
    def place(self) -> _Place:
        """Namespace and name."""
        return self.namespace, self.name

    @property
    def seen(self) -> _Seen | None:
        """What Services see of it, None for what is no pod."""
        return (self.reduced.group.labels, self.ports) if isinstance(self.reduced, Pod) else None


@dataclass(frozen=True, slots=True)
class Context:
    """What decides on how pods are made: labels of namespaces and the injectors, each before the overlay and with it.

    `injector_changes` is whether the overlay changes an injector itself.
    """

    labels_before: Mapping[str, Mapping[str, str]]
    labels: Mapping[str, Mapping[str, str]]
    injectors_before: Injectors
    injectors: Injectors
    examples: Examples
    reduce: Callable[[Obj], Any]
    injector_changes: bool

    @property
    def relabelled(self) -> set[str]:
        """Namespaces whose labels the overlay changes."""
        names = {*self.labels_before, *self.labels}
        return {name for name in names if self.labels_before.get(name) != self.labels.get(name)}

    def decide(self, raw: Obj, *, before: bool = False) -> Decision:
        """Whether the injector takes a pod."""
        meta, spec = raw["metadata"], raw.get("spec") or {}
        injectors, labels = (self.injectors_before, self.labels_before) if before else (self.injectors, self.labels)
        namespace = str(meta.get("namespace") or "")
        return injectors.decide(
            namespace,
            labels.get(namespace),
            meta.get("labels") or {},
            meta.get("annotations") or {},
            host_network=bool(spec.get("hostNetwork")),
        )


class PodSet:
    """Pods that an overlay changes step by step."""

    def __init__(self, pods: Iterable[KeptPod], context: Context, deleted: set[str]) -> None:
        self._was = {kept.place: kept for kept in pods}
        self._pods = {place: kept for place, kept in self._was.items() if place[0] not in deleted}
        self._context = context

    def reduced(self) -> list[Any]:
        """The pods as their reducer would give them."""
        return [kept.reduced for kept in self._pods.values()]

    def ports(self) -> dict[_Place, _Seen]:
        """What Services see of each pod."""
        return {place: kept.seen for place, kept in self._pods.items() if kept.seen}

    def changes(self) -> dict[str, list[tuple[_Seen | None, _Seen | None]]]:
        """What Services see of the pods that are changed, before and after, by namespace."""
        found: dict[str, list[tuple[_Seen | None, _Seen | None]]] = {}
        for place in {*self._was, *self._pods}:
            old, new = self._was.get(place), self._pods.get(place)
            if old is not new:
                pair = (old.seen if old else None, new.seen if new else None)
                found.setdefault(place[0], []).append(pair)
        return found

    def there(self, entry: Entry) -> bool:
        """Whether a workload has pods."""
        return any(_owns(entry, kept) for kept in self._pods.values())

    def has(self, place: _Place) -> bool:
        """Whether there is a pod of this name."""
        return place in self._pods

    def remove(self, place: _Place) -> bool:
        """Removes a pod; whether there was one."""
        return self._pods.pop(place, None) is not None

    def remove_workload(self, entry: Entry) -> bool:
        """Removes the pods of a workload; whether there were any."""
        mine = [place for place, kept in self._pods.items() if _owns(entry, kept)]
        for place in mine:
            del self._pods[place]
        return bool(mine)

    def put_pod(self, entry: Entry) -> bool:
        """Adds or replaces a pod; whether it differs from the one that is there."""
        raw = {**entry.obj, "metadata": {**entry.obj["metadata"], "namespace": entry.namespace}}
        ports = named_ports(raw.get("spec") or {})
        plain, old = self._understood(entry, self._context.reduce(raw)), self._pods.get(entry.where)
        if old is not None and old.seen == (plain.group.labels, ports) and old.reduced.group == plain.group:
            return False
        pod = self._understood(
            entry, made(raw, self._context.decide(raw), self._context.examples, self._context.reduce)
        )
        if old is not None and isinstance(old.reduced, Pod) and not pod.ips:
            pod = replace(pod, ips=old.reduced.ips)
        self._put(KeptPod.of(raw, self._ambient(pod), None, is_made=True))
        return True

    def put_workload(self, entry: Entry, known: Obj | None) -> None:
        """Replaces the pods of a workload by those that its template makes. `known` is the workload of the state, if it could be read."""
        template, spec = _template(entry.workload, entry.obj), entry.obj.get("spec") or {}
        if not isinstance(template, Mapping) or not isinstance(template.get("spec"), Mapping):
            raise KubeError(f"overlay: {entry.told} has no pod template. Expected a whole object.")
        mine = [kept for kept in self._pods.values() if _owns(entry, kept)]
        if spec.get("replicas") == 0:
            self.remove_workload(entry)
            return
        was = _template(entry.workload, known) if known is not None else None
        if mine and was == template:
            return
        raw = _of_template(entry, template)
        decision = self._decided(raw, mine)
        capture = self._captured(decision, mine, was, template)
        pod = self._understood(entry, made(raw, decision, self._context.examples, self._context.reduce, capture))
        pod = self._ambient(pod)
        if not mine:
            self._put(KeptPod.of(raw, pod, None, is_made=True))
        for kept in mine:
            if not isinstance(kept.reduced, Pod):
                raise KubeError(f"overlay: pod {'/'.join(kept.place)} of {entry.told} in the state is not understood.")
            group = replace(pod.group, workload=kept.reduced.group.workload)
            if capture is not None:
                group = replace(group, hbone=kept.reduced.group.hbone)
            one = replace(pod, name=kept.name, ips=kept.reduced.ips, group=group)
            self._put(replace(KeptPod.of(raw, one, None, is_made=True), owner=kept.owner))

    def _decided(self, raw: Obj, mine: list[KeptPod]) -> Decision:
        """Whether the injector takes the pods of a workload. If that is not known and nothing that it reads changes, it does as before."""
        decision, context = self._context.decide(raw), self._context
        same = not context.injector_changes and raw["metadata"]["namespace"] not in context.relabelled
        if decision.injected is not None or not mine or not same:
            return decision
        meta = raw["metadata"]
        wish = _wish(meta["labels"], meta["annotations"], raw["spec"])
        facts = {
            (kept.reduced.group.kind, kept.reduced.group.revision, kept.reduced.group.why)
            for kept in mine
            if isinstance(kept.reduced, Pod)
        }
        if len(facts) != 1 or any(kept.wish != wish for kept in mine):
            return decision
        kind, revision, why = facts.pop()
        match kind:
            case Proxy.SIDECAR | Proxy.GATEWAY:
                return Decision(True, revision)
            case Proxy.NONE | Proxy.AMBIENT:
                return Decision(False, why=why)
            case _:
                return decision

    def _captured(self, decision: Decision, mine: list[KeptPod], was: Any, template: Obj) -> Capture | None:
        """What the workload's pods capture already, if the template changes nothing of that."""
        if not decision.injected or self._context.injector_changes or not isinstance(was, Mapping):
            return None
        if _traffic(was) != _traffic(template):
            return None
        found = {
            replace(kept.reduced.group.capture, as_proxy="")
            for kept in mine
            if isinstance(kept.reduced, Pod)
            and kept.reduced.group.kind is Proxy.SIDECAR
            and kept.reduced.group.revision == decision.revision
        }
        return found.pop() if len(found) == 1 else None

    def enrol(self) -> None:
        """Takes pods into ambient mode and out of it, where the label of their namespace changes: istio-cni needs no restart for it."""
        for place, kept in list(self._pods.items()):
            if place[0] in self._context.relabelled and isinstance(kept.reduced, Pod):
                pod = self._ambient(kept.reduced)
                if pod is not kept.reduced:
                    self._put(replace(kept, reduced=pod))

    def _ambient(self, pod: Pod) -> Pod:
        """A pod as istio-cni treats it under the labels of its namespace."""
        group = pod.group
        wanted = enrols(self._context.labels.get(group.namespace) or {}, group.labels, host_network=group.host_network)
        if group.kind is Proxy.NONE and wanted:
            if not self._context.examples.ambient:
                return unknown(pod, "whether ambient mode is installed is not known: no pod of the mesh is in it")
            return replace(pod, group=replace(group, kind=Proxy.AMBIENT, hbone=True, why=Bare.NO))
        if group.kind is Proxy.AMBIENT and not wanted:
            return replace(pod, group=replace(group, kind=Proxy.NONE, hbone=False, why=Bare.NOT_ASKED))
        return pod

    def restart(self) -> None:
        """Makes the pods again for which the injector decides differently than before the overlay."""
        context = self._context
        for kept in list(self._pods.values()):
            if kept.raw is None or kept.made or not isinstance(kept.reduced, Pod):
                continue
            if context.injector_changes or kept.namespace in context.relabelled:
                try:
                    pod = self._restarted(kept.raw, kept.reduced)
                except SHAPES:
                    pod = unknown(kept.reduced, "what the injector makes of it cannot be understood")
                if pod is not kept.reduced and isinstance(pod, Pod):
                    self._put(replace(kept, reduced=self._ambient(pod)))

    def _restarted(self, raw: Obj, pod: Pod) -> Any:
        context, group = self._context, pod.group
        if group.kind is Proxy.WAYPOINT:
            return pod
        has = group.kind in (Proxy.SIDECAR, Proxy.GATEWAY)
        bare = without_sidecar(raw) if group.kind is Proxy.SIDECAR else raw
        old, new = context.decide(bare, before=True), context.decide(bare)
        if new.injected is None:
            return unknown(pod, new.why) if self._asked_otherwise(group.namespace) else pod
        as_it_is = old == new or (has and group.revision == new.revision if new.injected else not has)
        if as_it_is and not context.examples.replaced:
            return pod
        if group.kind is Proxy.GATEWAY:
            if not new.injected:
                return unknown(pod, f"it is a gateway that is injected, and {new.why}")
            return replace(pod, group=replace(group, revision=new.revision))
        if new.injected and group.capture.by is Redirection.CNI and has and group.revision != new.revision:
            examples = [context.examples.of(revision) for revision in (group.revision, new.revision)]
            if isinstance(examples[0], str) or examples[0] != examples[1]:
                return unknown(pod, f"which traffic passes a sidecar of revision {new.revision} is not known")
        return made(bare, new, context.examples, context.reduce)

    def _asked_otherwise(self, namespace: str) -> bool:
        """Whether anything that an injector reads by its usual selectors is changed for a namespace."""
        before, after = (labels.get(namespace) or {} for labels in (self._context.labels_before, self._context.labels))
        return self._context.injector_changes or any(before.get(key) != after.get(key) for key in (ENABLED, REVISION))

    def _put(self, kept: KeptPod) -> None:
        self._pods[kept.place] = kept

    @staticmethod
    def _understood(entry: Entry, pod: Any) -> Pod:
        if not isinstance(pod, Pod):
            raise KubeError(
                f"overlay: the pods of {entry.told} cannot be understood. Expected an object that the API server takes."
            )
        return pod


def _owns(entry: Entry, kept: KeptPod) -> bool:
    """Whether a pod is of a workload. A Deployment's pods belong to its ReplicaSets, those of a CronJob to its Jobs."""
    kind, name = kept.owner
    if kept.namespace != entry.namespace:
        return False
    match entry.kind:
        case "Deployment":
            return kind == "ReplicaSet" and name.rpartition("-")[0] == entry.name
        case "CronJob":
            return kind == "Job" and name.rpartition("-")[0] == entry.name
        case _:
            return (kind, name) == (entry.kind, entry.name)


def _template(workload: Workload, obj: Obj) -> Any:
    node: Any = obj
    for key in workload.template:
        node = node.get(key) if isinstance(node, Mapping) else None
    return node


def _traffic(template: Obj) -> dict[str, str]:
    return traffic((template.get("metadata") or {}).get("annotations") or {})


def _of_template(entry: Entry, template: Obj) -> Obj:
    """A pod of a template before it is injected."""
    meta = template.get("metadata") or {}
    return {
        "kind": "Pod",
        "metadata": {
            "namespace": entry.namespace,
            "name": f"{entry.name}-overlay",
            "labels": dict(meta.get("labels") or {}),
            "annotations": dict(meta.get("annotations") or {}),
            "ownerReferences": [{"kind": entry.kind, "name": entry.name, "controller": True}],
        },
        "spec": template["spec"],
    }
