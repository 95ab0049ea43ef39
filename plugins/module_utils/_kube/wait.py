# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Waits by watch until objects are ready or gone, stops early when waiting cannot help, and says why."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any, assert_never

from ansible_collections.servicemesh.platform.plugins.module_utils._kube.client import Client
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.diagnosis import (
    Finding,
    Limits,
    event_lines,
    event_time,
    events_about,
    is_final_create_failure,
    owned_pods,
    pod_finding,
    restarts_of,
    runs,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.discovery import Resource
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import KubeError, UnreachableError
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.evidence import (
    events_path,
    last_log_line,
    late_binding_classes,
    newest_replica_set_of,
    pods_path,
    warning_events,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.objects import Ref
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.readiness import (
    State,
    Verdict,
    create_failure,
    has_pods,
    verdict,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.watch import Change, Topic, Watcher

Obj = dict[str, Any]
_LIMITS = Limits()
# Events of a refused pod count unless they were older than this when the wait began (seconds).
_EVENT_AGE = 5.0


class NotReadyError(KubeError):
    """Waiting ended without success."""


@dataclass(frozen=True, slots=True)
class Target:
    """An object that is waited for. `started`: of a Job, only until a pod of it is ready."""

    ref: Ref
    resource: Resource
    started: bool = False


@dataclass(frozen=True, slots=True)
class _Failure:
    ref: Ref
    reason: str
    finding: Finding | None = None


def topics_of(targets: Iterable[Target]) -> dict[Topic, list[Target]]:
    """One topic for each kind and namespace; where only one object of them is waited for, only that object is watched."""
    grouped: dict[str, list[Target]] = {}
    for target in targets:
        grouped.setdefault(target.resource.collection(target.ref.namespace), []).append(target)
    return {
        # All pods of the namespace are watched anyway, because they explain what is not ready.
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
        self._since: dict[tuple[str, str, str], float] = {}  # finding: when it was first seen, monotonic seconds
        self._newest: dict[tuple[str, int], str] = {}
        self._late_binding: frozenset[str] | None = None
        self._began: datetime | None = None  # by the server's clock
        self._next_look = deadline

    def gone(self, targets: list[Target]) -> None:
        """Returns when none of the objects exists any more; raises NotReadyError with what keeps them."""
        if not targets:
            return
        with Watcher(self._client) as watcher:
            topics = topics_of(targets)
            for topic in topics:
                watcher.follow(topic)
            self._loop(watcher, lambda: self._left(topics), self._still_there)

    def pods_left(self, namespace: str, patience: float) -> list[str]:
        """Names of pods that run in a namespace after `patience` seconds. Pods that are being deleted do not count."""
        topic = Topic(f"/api/v1/namespaces/{namespace}/pods")
        until = min(self._deadline, time.monotonic() + patience)
        left: list[str] = []
        with Watcher(self._client) as watcher:
            watcher.follow(topic)
            while True:
                for change in watcher.news(until - time.monotonic()):
                    self._take(change)
                pods = self._store.get(topic.path, {}).values()
                left = sorted(pod["metadata"]["name"] for pod in pods if runs(pod))
                if time.monotonic() >= until or (topic.path in self._synced and not left):
                    return left

    def ready(self, targets: list[Target]) -> None:
        """Returns when all objects are ready; raises NotReadyError when one cannot get ready, or at the deadline."""
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
                    for container, restarts in restarts_of(pod).items():
                        self._restarts.setdefault((pod["metadata"]["name"], container), restarts)
            self._store[path] = change.objects
            self._synced.add(path)
            if change.server_date and self._began is None:
                self._began = parsedate_to_datetime(change.server_date)
        elif isinstance(change.error, UnreachableError) or not _is_side_topic(path):
            raise change.error or KubeError(f"{path} cannot be watched")
        else:
            self._synced.add(path)  # no right to read pods or events: the wait goes on, and its message says less

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
            finalizers = (
                (obj.get("metadata") or {}).get("finalizers") or (obj.get("spec") or {}).get("finalizers") or []
            )
            text = f"{target.ref} is still being deleted"
            if finalizers:
                text += f"; finalizers: {', '.join(finalizers)}"
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
                found = self._verdict(obj, started=target.started)
                match found.state:
                    case State.READY:
                        del pending[target.ref]
                    case State.FAILED:
                        failures.append(self._failure(target, obj, found.reason))
                    case State.WAITING:
                        failures += self._hopeless(watcher, target, obj)
                    case _:
                        assert_never(found.state)
        if failures:
            raise self._failed(failures, pending)
        return list(pending.values())

    def _verdict(self, obj: Obj | None, *, started: bool) -> Verdict:
        if obj is None:
            return Verdict(State.WAITING, "does not exist")
        if obj["kind"] == "PersistentVolumeClaim" and self._late_binding is None:
            self._late_binding = late_binding_classes(self._client)
        return verdict(obj, self._late_binding or frozenset(), started=started)

    def _hopeless(self, watcher: Watcher, target: Target, obj: Obj | None) -> list[_Failure]:
        """Why a workload that is on its way cannot get ready, empty when it may; plans the next look for when patience ends."""
        if obj is None or not has_pods(obj):
            return []
        watcher.follow(Topic(pods_path(target.ref)))
        watcher.follow(_warnings(target.ref))
        refused = create_failure(obj) or self._refused_by_event(target.ref)
        if refused and is_final_create_failure(refused):
            if self._lasted((str(target.ref), "", refused[:40]), self._limits.create):
                return [_Failure(target.ref, f"its pods are refused: {refused}")]
        elif not refused:
            self._since = {key: since for key, since in self._since.items() if key[0] != str(target.ref)}
        for finding in self._findings(target, obj):
            # A container that crashed before the wait began gets one more try: what it lacked may exist by now.
            if finding.restarts and finding.restarts <= self._restarts.get((finding.pod, finding.container), 0):
                continue
            patience = self._limits.old_pull if self._waits_to_pull(target, finding) else finding.patience
            if self._lasted((finding.pod, finding.container, finding.reason), patience):
                return [_Failure(target.ref, str(finding), finding)]
        return []

    def _waits_to_pull(self, target: Target, finding: Finding) -> bool:
        """Whether a pod that is older than the wait is between two tries to pull its image."""
        pod = self._store.get(pods_path(target.ref), {}).get(f"{target.ref.namespace}/{finding.pod}")
        if finding.reason != "ImagePullBackOff" or pod is None or self._began is None:
            return False
        return (self._began - _created(pod)).total_seconds() > self._event_age

    def _lasted(self, key: tuple[str, str, str], patience: float) -> bool:
        now = time.monotonic()
        due = self._since.setdefault(key, now) + patience
        if now >= due:
            return True
        self._next_look = min(self._next_look, due)
        return False

    def _findings(self, target: Target, obj: Obj) -> list[Finding]:
        """What keeps the pods of a workload from getting ready; of a Deployment those of its newest ReplicaSet."""
        found = []
        newest = None
        for pod in owned_pods(obj, self._store.get(pods_path(target.ref), {}).values()):
            finding = pod_finding(pod, self._limits)
            if finding is None:
                continue
            if obj["kind"] == "Deployment":
                newest = self._newest_replica_set(obj) if newest is None else newest
                if not owned_pods(obj, [pod], newest):
                    continue
            found.append(finding)
        return found

    def _newest_replica_set(self, obj: Obj) -> str:
        key = (obj["metadata"]["uid"], obj["metadata"].get("generation", 0))
        if key not in self._newest:
            self._newest[key] = newest_replica_set_of(self._client, obj)
        return self._newest[key]

    def _refused_by_event(self, ref: Ref) -> str:
        """Message of the newest FailedCreate event of a StatefulSet, DaemonSet or Job."""
        for event in reversed(self._events_about(ref)):
            if event.get("reason") != "FailedCreate" or event["involvedObject"].get("name") != ref.name:
                continue
            if self._began is None or (self._began - event_time(event)).total_seconds() <= self._event_age:
                return str(event.get("message", ""))
        return ""

    def _events_about(self, ref: Ref) -> list[Mapping[str, Any]]:
        return events_about(ref, self._store.get(events_path(ref), {}).values())

    def _failure(self, target: Target, obj: Obj | None, reason: str) -> _Failure:
        findings = self._findings(target, obj) if obj is not None and has_pods(obj) else []
        if findings:
            return _Failure(target.ref, f"{reason}; {findings[0]}", findings[0])
        return _Failure(target.ref, reason)

    def _failed(self, failures: list[_Failure], pending: Mapping[Ref, Target]) -> NotReadyError:
        lines = [
            f"{failure.ref} cannot get ready: {failure.reason}{self._evidence(failure.ref, failure.finding)}"
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
            reason = self._verdict(obj, started=target.started).reason
            findings: list[Finding] = []
            if obj is not None and has_pods(obj):
                findings = self._findings(target, obj)
                refused = create_failure(obj)
                reason += f"; its pods are refused: {refused}" if refused else ""
            if findings:
                reason += f"; {findings[0]}"
            lines.append(f"{target.ref}: {reason}{self._evidence(target.ref, findings[0] if findings else None)}")
        return NotReadyError("Not ready before the timeout.\n" + "\n".join(lines))

    def _evidence(self, ref: Ref, finding: Finding | None) -> str:
        """Lines below a message: the last log line of a crashed container, and the last warning events."""
        text = ""
        if finding is not None and finding.restarts:
            line = last_log_line(self._client, ref.namespace, finding)
            text += f"\n  last log line: {line}" if line else ""
        events = self._events_about(ref)
        # Read now where none were seen: the watch may not have started yet.
        if not events and (read := warning_events(self._client, ref)):
            self._store[events_path(ref)] = {event["metadata"]["uid"]: event for event in read}
            events = self._events_about(ref)
        return text + event_lines(events)


def _is_side_topic(path: str) -> bool:
    return path.startswith("/api/v1/") and path.endswith(("/pods", "/events"))


def _warnings(ref: Ref) -> Topic:
    return Topic(events_path(ref), "type=Warning")


def _created(obj: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(str(obj["metadata"]["creationTimestamp"]).replace("Z", "+00:00"))
