# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Wait until objects are ready, or gone, by watch; stop early when waiting cannot help, and say why."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._kube import readiness as _readiness
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.client import Client
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.discovery import Resource
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import (
    ApiError,
    KubeError,
    UnreachableError,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.objects import Ref
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.readiness import Limits, Problem
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.watch import Change, Topic, Watcher

Obj = dict[str, Any]
_EVENTS_SHOWN = 3
_LIMITS = Limits()
# Events of a refused pod count when they are not older than this at the first look (seconds).
_EVENT_AGE = 5.0


class NotReadyError(KubeError):
    """Waiting ended without success."""


@dataclass(frozen=True, slots=True)
class Target:
    """An object that is waited for."""

    ref: Ref
    resource: Resource


@dataclass(frozen=True, slots=True)
class _Failure:
    ref: Ref
    reason: str
    problem: Problem | None = None


def topics_of(targets: Iterable[Target]) -> dict[Topic, list[Target]]:
    """One topic for each kind and namespace; a single object of it is followed alone."""
    grouped: dict[str, list[Target]] = {}
    for target in targets:
        grouped.setdefault(target.resource.collection(target.ref.namespace), []).append(target)
    return {
        # Pods are followed as a whole anyway, as evidence.
        Topic(
            path, f"metadata.name={members[0].ref.name}" if len(members) == 1 and not _is_side_topic(path) else ""
        ): members
        for path, members in grouped.items()
    }


class Waiter:
    """Waits for one call of a module."""

    def __init__(
        self, client: Client, deadline: float, *, limits: Limits = _LIMITS, event_age: float = _EVENT_AGE
    ) -> None:
        self._client, self._deadline, self._limits, self._event_age = client, deadline, limits, event_age
        self._store: dict[str, dict[str, Obj]] = {}  # path of a collection: objects by namespace/name
        self._synced: set[str] = set()
        self._restarts: dict[tuple[str, str], int] = {}  # pod, container: restarts when it was first seen
        self._since: dict[tuple[str, str, str], float] = {}  # problem: when it was first seen, monotonic seconds
        self._newest: dict[tuple[str, int], str] = {}
        self._late_binding: frozenset[str] | None = None
        self._horizon: datetime | None = None
        self._next_look = deadline

    def gone(self, targets: list[Target]) -> None:
        """Returns when none of the objects is there any more; raises NotReadyError with what holds them."""
        if not targets:
            return
        with Watcher(self._client) as watcher:
            topics = topics_of(targets)
            for topic in topics:
                watcher.follow(topic)
            self._loop(watcher, lambda: self._left(topics), self._still_there)

    def pods_left(self, namespace: str, patience: float) -> list[str]:
        """Names of pods that still run in a namespace after `patience` seconds. Those that were told to stop do not count."""
        topic = Topic(f"/api/v1/namespaces/{namespace}/pods")
        until = min(self._deadline, time.monotonic() + patience)
        left: list[str] = []
        with Watcher(self._client) as watcher:
            watcher.follow(topic)
            while True:
                for change in watcher.news(until - time.monotonic()):
                    self._take(change)
                pods = self._store.get(topic.path, {}).values()
                left = sorted(pod["metadata"]["name"] for pod in pods if _readiness.runs(pod))
                if time.monotonic() >= until or (topic.path in self._synced and not left):
                    return left

    def ready(self, targets: list[Target]) -> None:
        """Returns when all objects are ready; raises NotReadyError as soon as one cannot get ready, or at the deadline."""
        if not targets:
            return
        with Watcher(self._client) as watcher:
            topics = topics_of(targets)
            pending = {target.ref: target for target in targets}
            for topic in topics:
                watcher.follow(topic)
            self._loop(watcher, lambda: self._evaluate(watcher, topics, pending), self._too_late)

    def _loop(
        self, watcher: Watcher, look: Callable[[], list[Target]], give_up: Callable[[list[Target]], NotReadyError]
    ) -> None:
        pending: list[Target] | None = None
        while True:
            now = time.monotonic()
            if now >= self._deadline:
                raise give_up(pending or [])
            for change in watcher.news(min(self._deadline, self._next_look) - now):
                self._take(change)
            self._next_look = self._deadline
            pending = look()
            if not pending:
                return

    def _take(self, change: Change) -> None:
        path = change.topic.path
        if change.objects is not None:
            if path.endswith("/pods"):
                for pod in change.objects.values():
                    for container, restarts in _readiness.restarts_of(pod).items():
                        self._restarts.setdefault((pod["metadata"]["name"], container), restarts)
            self._store[path] = change.objects
            self._synced.add(path)
            if change.server_date and self._horizon is None:
                self._horizon = parsedate_to_datetime(change.server_date)
        elif isinstance(change.error, UnreachableError) or not _is_side_topic(path):
            raise change.error or KubeError(f"{path} cannot be watched")
        else:
            self._synced.add(path)  # no right to see pods or events: the wait goes on, with less to tell

    def _left(self, topics: Mapping[Topic, list[Target]]) -> list[Target]:
        return [
            target
            for topic, members in topics.items()
            for target in members
            if topic.path not in self._synced or self._object(topic.path, target.ref) is not None
        ]

    def _object(self, path: str, ref: Ref) -> Obj | None:
        return self._store.get(path, {}).get(f"{ref.namespace}/{ref.name}")

    def _still_there(self, pending: list[Target]) -> NotReadyError:
        lines = []
        for target in pending:
            obj = self._object(target.resource.collection(target.ref.namespace), target.ref) or {}
            held = (obj.get("metadata") or {}).get("finalizers") or (obj.get("spec") or {}).get("finalizers") or []
            text = f"{target.ref} is still being deleted"
            if held:
                text += f"; finalizers: {', '.join(held)}"
            for entry in (obj.get("status") or {}).get("conditions") or []:
                if entry.get("status") == "True" and target.ref.kind == "Namespace":
                    text += f"; {entry.get('message')}"
            lines.append(text)
        return NotReadyError("Not gone before the timeout. " + "; ".join(lines))

    def _evaluate(
        self, watcher: Watcher, topics: Mapping[Topic, list[Target]], pending: dict[Ref, Target]
    ) -> list[Target]:
        failures = []
        for topic, members in topics.items():
            if topic.path not in self._synced:
                continue
            for target in members:
                if target.ref not in pending:
                    continue
                obj = self._object(topic.path, target.ref)
                verdict = self._verdict(obj)
                if verdict.state == _readiness.READY:
                    del pending[target.ref]
                elif verdict.state == _readiness.FAILED:
                    failures.append(self._failure(target, obj, verdict.reason))
                elif obj is not None and _readiness.has_pods(obj):
                    watcher.follow(Topic(_pods(target.ref)))
                    watcher.follow(_events(target.ref))
                    failure = self._hopeless(target, obj)
                    if failure:
                        failures.append(failure)
        if failures:
            raise self._failed(failures, pending)
        return list(pending.values())

    def _verdict(self, obj: Obj | None) -> _readiness.Verdict:
        if obj is None:
            return _readiness.Verdict(_readiness.WAITING, "does not exist")
        if obj["kind"] == "PersistentVolumeClaim" and self._late_binding is None:
            self._late_binding = late_binding_classes(self._client)
        return _readiness.verdict(obj, self._late_binding or frozenset())

    def _hopeless(self, target: Target, obj: Obj) -> _Failure | None:
        """Whether a workload that is on its way cannot get there; plans the next look when patience runs."""
        refused = _readiness.create_failure(obj) or self._refused_by_event(target.ref)
        if refused and _readiness.is_final_create_failure(refused):
            if self._lasted((str(target.ref), "", refused[:40]), self._limits.create):
                return _Failure(target.ref, f"its pods are refused: {refused}")
        elif not refused:
            self._since = {key: since for key, since in self._since.items() if key[0] != str(target.ref)}
        for problem in self._problems(target, obj):
            # A container that crashed before this began to look gets one more try: what it lacked may be there by now.
            if problem.restarts and problem.restarts <= self._restarts.get((problem.pod, problem.container), 0):
                continue
            patience = self._limits.old_pull if self._waits_to_pull(target, problem) else problem.patience
            if self._lasted((problem.pod, problem.container, problem.reason), patience):
                return _Failure(target.ref, str(problem), problem)
        return None

    def _waits_to_pull(self, target: Target, problem: Problem) -> bool:
        """Whether a pod from before waits for its next try to pull, rather than having just failed."""
        pods = self._store.get(_pods(target.ref), {})
        pod = pods.get(f"{target.ref.namespace}/{problem.pod}")
        if problem.reason != "ImagePullBackOff" or pod is None or self._horizon is None:
            return False
        return (self._horizon - _created(pod)).total_seconds() > self._event_age

    def _lasted(self, key: tuple[str, str, str], patience: float) -> bool:
        now = time.monotonic()
        due = self._since.setdefault(key, now) + patience
        if now >= due:
            return True
        self._next_look = min(self._next_look, due)
        return False

    def _problems(self, target: Target, obj: Obj) -> list[Problem]:
        pods = list(self._store.get(_pods(target.ref), {}).values())
        found = []
        newest = None
        for pod in _readiness.owned_pods(obj, pods):
            problem = _readiness.pod_problem(pod, self._limits)
            if problem is None:
                continue
            if obj["kind"] == "Deployment":
                newest = self._newest_replica_set(obj) if newest is None else newest
                if not _readiness.owned_pods(obj, [pod], newest):
                    continue
            found.append(problem)
        return found

    def _newest_replica_set(self, obj: Obj) -> str:
        """Name of a Deployment's newest ReplicaSet: a pod of an older one says nothing about this roll-out."""
        meta = obj["metadata"]
        key = (meta["uid"], meta.get("generation", 0))
        if key not in self._newest:
            path = f"/apis/apps/v1/namespaces/{meta['namespace']}/replicasets"
            labels = (obj["spec"].get("selector") or {}).get("matchLabels") or {}
            try:
                items, _version = self._client.list_all(
                    path, {"labelSelector": ",".join(f"{k}={v}" for k, v in labels.items())}
                )
            except ApiError:
                items = []
            mine = [
                rs
                for rs in items
                if any(o.get("uid") == meta["uid"] for o in rs["metadata"].get("ownerReferences") or [])
            ]
            self._newest[key] = max(mine, key=_revision)["metadata"]["name"] if mine else ""
        return self._newest[key]

    def _refused_by_event(self, ref: Ref) -> str:
        """What the newest FailedCreate event of a StatefulSet, DaemonSet or Job says."""
        for event in reversed(self._events_about(ref)):
            if event.get("reason") != "FailedCreate" or event["involvedObject"].get("name") != ref.name:
                continue
            if self._horizon is None or (self._horizon - _when(event)).total_seconds() <= self._event_age:
                return str(event.get("message", ""))
        return ""

    def _events_about(self, ref: Ref) -> list[Obj]:
        """Warning events of an object and of what it made (its name is the beginning of theirs), oldest first."""
        events = [
            event
            for event in self._store.get(_events(ref).path, {}).values()
            if (name := str((event.get("involvedObject") or {}).get("name", ""))) == ref.name
            or name.startswith(ref.name + "-")
        ]
        return sorted(events, key=_when)

    def _failure(self, target: Target, obj: Obj | None, reason: str) -> _Failure:
        problems = self._problems(target, obj) if obj is not None and _readiness.has_pods(obj) else []
        if problems:
            return _Failure(target.ref, f"{reason}; {problems[0]}", problems[0])
        return _Failure(target.ref, reason)

    def _failed(self, failures: list[_Failure], pending: Mapping[Ref, Target]) -> NotReadyError:
        lines = [
            f"{failure.ref} cannot get ready: {failure.reason}{self._evidence(failure.ref, failure.problem)}"
            for failure in failures
        ]
        others = sorted(str(ref) for ref in pending if ref not in {failure.ref for failure in failures})
        if others:
            lines.append(f"Not ready yet when this stopped: {', '.join(others)}")
        return NotReadyError("\n".join(lines))

    def _too_late(self, pending: list[Target]) -> NotReadyError:
        lines = []
        for target in pending:
            obj = self._object(target.resource.collection(target.ref.namespace), target.ref)
            reason = self._verdict(obj).reason
            problems: list[Problem] = []
            if obj is not None and _readiness.has_pods(obj):
                problems = self._problems(target, obj)
                refused = _readiness.create_failure(obj)
                reason += f"; its pods are refused: {refused}" if refused else ""
            if problems:
                reason += f"; {problems[0]}"
            lines.append(f"{target.ref}: {reason}{self._evidence(target.ref, problems[0] if problems else None)}")
        return NotReadyError("Not ready before the timeout.\n" + "\n".join(lines))

    def _evidence(self, ref: Ref, problem: Problem | None) -> str:
        text = ""
        if problem is not None and problem.restarts:
            line = self._last_log_line(ref.namespace, problem)
            text += f"\n  last log line: {line}" if line else ""
        events = self._events_about(ref)
        if not events:  # asked for now: the watch may not have begun
            try:
                items, _version = self._client.list_all(_events(ref).path, {"fieldSelector": "type=Warning"})
                self._store[_events(ref).path] = {item["metadata"]["uid"]: item for item in items}
                events = self._events_about(ref)
            except KubeError:
                pass
        for event in events[-_EVENTS_SHOWN:]:
            about = event["involvedObject"]
            text += (
                f"\n  event {event.get('reason')} of {about.get('kind')} {about.get('name')}: "
                f"{str(event.get('message', '')).strip()[:400]}"
            )
        return text

    def _last_log_line(self, namespace: str, problem: Problem) -> str:
        path = f"/api/v1/namespaces/{namespace}/pods/{problem.pod}/log"
        query = {"container": problem.container, "previous": "true", "tailLines": 1, "limitBytes": 2000}
        try:
            body = self._client.request("GET", path, query=query, accept="*/*", budget=2.0)[1]
        except KubeError:
            return ""
        return str(body.get("text") or "").strip()[:300]


def late_binding_classes(client: Client) -> frozenset[str]:
    """Storage classes whose volumes are made only when a pod asks for them."""
    try:
        items, _version = client.list_all("/apis/storage.k8s.io/v1/storageclasses")
    except ApiError:
        return frozenset()
    return frozenset(i["metadata"]["name"] for i in items if i.get("volumeBindingMode") == "WaitForFirstConsumer")


def _is_side_topic(path: str) -> bool:
    return path.startswith("/api/v1/") and path.endswith(("/pods", "/events"))


def _pods(ref: Ref) -> str:
    return f"/api/v1/namespaces/{ref.namespace}/pods"


def _events(ref: Ref) -> Topic:
    return Topic(f"/api/v1/namespaces/{ref.namespace}/events", "type=Warning")


def _revision(replica_set: Mapping[str, Any]) -> int:
    text = (replica_set["metadata"].get("annotations") or {}).get("deployment.kubernetes.io/revision", "0")
    return int(text) if text.isdigit() else 0


def _created(obj: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(str(obj["metadata"]["creationTimestamp"]).replace("Z", "+00:00"))


def _when(event: Mapping[str, Any]) -> datetime:
    series = event.get("series") or {}
    text = (
        event.get("lastTimestamp")
        or series.get("lastObservedTime")
        or event.get("eventTime")
        or event["metadata"].get("creationTimestamp")
        or "1970-01-01T00:00:00Z"
    )
    try:
        return datetime.fromisoformat(str(text).replace("Z", "+00:00"))
    except ValueError:
        return datetime.fromtimestamp(0, UTC)
