# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What keeps a workload from getting ready: its pods, the events about them, and its newest ReplicaSet. No I/O, no clock."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._kube.objects import Ref
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.readiness import condition

Obj = Mapping[str, Any]

_EVENTS_SHOWN = 3
# Reasons of a container's `state.waiting` (pkg/kubelet/kuberuntime, pkg/kubelet/images/types.go).
_FINAL = frozenset({"ErrImageNeverPull", "InvalidImageName"})
_PULL = frozenset(
    {"ImagePullBackOff", "ErrImagePull", "ImageInspectError", "RegistryUnavailable", "SignatureValidationFailed"}
)
_CONFIG = frozenset(
    {
        "CreateContainerConfigError",
        "CreateContainerError",
        "RunContainerError",
        "PreStartHookError",
        "PostStartHookError",
    }
)
# The reason tells only that a pull failed; whether the image exists is in the registry's text
# (pkg/kubelet/images/image_manager.go; containerd, core/remotes/docker; error codes of the OCI distribution specification).
_NO_IMAGE = ("not found", "manifest unknown", "does not exist", "no such host", "access denied", "unauthorized")
# Only the text of an event or a condition tells why a pod is refused: quota, limits, Pod Security or validation
# (apiserver, pkg/admission/plugin/resourcequota; plugin/pkg/admission/limitranger; pod-security-admission).
_FINAL_CREATE = (
    "exceeded quota",
    "violates podsecurity",
    "must specify limits",
    "must specify requests",
    "maximum cpu",
    "maximum memory",
    "minimum cpu",
    "minimum memory",
    "is invalid",
)


@dataclass(frozen=True, slots=True)
class Finding:
    """What keeps a pod from getting ready. `patience`: seconds that it may last before it counts as final."""

    pod: str
    container: str
    reason: str
    message: str
    patience: float
    restarts: int = 0  # of the container, when it is a crash

    def __str__(self) -> str:
        where = f"pod {self.pod}" + (f", container {self.container}" if self.container else "")
        return f"{where}: {self.reason}" + (f": {self.message}" if self.message else "")


@dataclass(frozen=True, slots=True)
class Limits:
    """When a finding counts as final: seconds that it lasts, and restarts of a container."""

    pull: float = 10.0
    config: float = 15.0
    create: float = 10.0
    unschedulable: float = 120.0
    restarts: int = 3
    # For a pod that is older than the wait: its next try may find an image that was missing at the last one.
    old_pull: float = 60.0


_LIMITS = Limits()


def pod_finding(pod: Obj, limits: Limits = _LIMITS) -> Finding | None:
    """What keeps this pod from getting ready, the most final first; None when it may be on its way."""
    status, name = pod.get("status") or {}, pod["metadata"]["name"]
    if pod["metadata"].get("deletionTimestamp") or status.get("phase") == "Succeeded":
        return None
    scheduled = condition(pod, "PodScheduled")
    if scheduled.get("status") == "False" and scheduled.get("reason") == "Unschedulable":
        return Finding(name, "", "Unschedulable", str(scheduled.get("message", "")), limits.unschedulable)
    found = [
        finding
        for field in ("initContainerStatuses", "containerStatuses")
        for entry in status.get(field) or []
        if (finding := _container_finding(name, entry, limits)) is not None
    ]
    return min(found, key=lambda finding: finding.patience) if found else None


def restarts_of(pod: Obj) -> dict[str, int]:
    """Restarts of each container."""
    status = pod.get("status") or {}
    entries = [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]
    return {entry.get("name", ""): entry.get("restartCount", 0) for entry in entries}


def _container_finding(pod: str, entry: Mapping[str, Any], limits: Limits) -> Finding | None:
    waiting = (entry.get("state") or {}).get("waiting") or {}
    reason, message = waiting.get("reason", ""), waiting.get("message") or ""
    container = entry.get("name", "")
    if reason in _FINAL:
        return Finding(pod, container, reason, message, 0.0)
    if reason in _PULL:
        final = any(hint in message.lower() for hint in _NO_IMAGE)
        return Finding(
            pod, container, reason, message or f"image {entry.get('image', '')}", 0.0 if final else limits.pull
        )
    if reason in _CONFIG:
        return Finding(pod, container, reason, message, limits.config)
    restarts = entry.get("restartCount", 0)
    if reason == "CrashLoopBackOff" and restarts >= limits.restarts:
        return Finding(pod, container, reason, f"{restarts} restarts, {_last_end(entry)}", 0.0, restarts)
    return None


def _last_end(entry: Mapping[str, Any]) -> str:
    ended = (entry.get("lastState") or {}).get("terminated") or {}
    text = f"last exit code {ended.get('exitCode', 'unknown')}"
    if ended.get("reason") and ended["reason"] != "Error":
        text += f" ({ended['reason']})"
    if ended.get("message"):
        text += f": {str(ended['message']).strip()[-300:]}"
    return text


def runs(pod: Obj) -> bool:
    """Whether a pod runs on: it has not ended and is not being deleted."""
    return not has_ended(pod) and not pod["metadata"].get("deletionTimestamp")


def has_ended(pod: Obj) -> bool:
    """Whether all containers of a pod have ended for good; one that is being deleted may still serve."""
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")


def is_final_create_failure(message: str) -> bool:
    """Whether a refused pod stays refused: by quota, limits or Pod Security, not by a webhook that may start soon."""
    text = message.lower()
    return any(hint in text for hint in _FINAL_CREATE)


def owned_pods(obj: Obj, pods: Iterable[Obj], newest_replica_set: str = "") -> list[Obj]:
    """Pods that a workload's selector matches; of a Deployment only those of its newest ReplicaSet, when that is given."""
    if obj["kind"] == "Pod":
        return [pod for pod in pods if pod["metadata"]["name"] == obj["metadata"]["name"]]
    selector = obj["spec"].get("selector") or {}
    owner = newest_replica_set if obj["kind"] == "Deployment" else obj["metadata"]["name"]
    found = []
    for pod in pods:
        owners = {entry.get("name") for entry in pod["metadata"].get("ownerReferences") or []}
        if selects(selector, pod["metadata"].get("labels") or {}) and (not owner or owner in owners):
            found.append(pod)
    return found


def selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Whether a label selector (matchLabels, matchExpressions) matches these labels; an empty one matches nothing here."""
    wanted, expressions = selector.get("matchLabels") or {}, selector.get("matchExpressions") or []
    if not wanted and not expressions:
        return False
    if any(labels.get(key) != value for key, value in wanted.items()):
        return False
    for entry in expressions:
        key, operator, values = entry.get("key"), entry.get("operator"), entry.get("values") or []
        fits = {
            "In": labels.get(key) in values,
            "NotIn": labels.get(key) not in values,
            "Exists": key in labels,
            "DoesNotExist": key not in labels,
        }.get(operator, False)
        if not fits:
            return False
    return True


def event_time(event: Mapping[str, Any]) -> datetime:
    """When an event was last seen; 1970 when it does not say."""
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


def events_about(ref: Ref, events: Iterable[Obj]) -> list[Obj]:
    """Events of an object and of what it created (whose names begin with its name), oldest first."""
    found = [
        event
        for event in events
        if (name := str((event.get("involvedObject") or {}).get("name", ""))) == ref.name
        or name.startswith(ref.name + "-")
    ]
    return sorted(found, key=event_time)


def event_lines(events: Sequence[Obj]) -> str:
    """The last events as lines of a message."""
    text = ""
    for event in events[-_EVENTS_SHOWN:]:
        about = event["involvedObject"]
        text += (
            f"\n  event {event.get('reason')} of {about.get('kind')} {about.get('name')}: "
            f"{str(event.get('message', '')).strip()[:400]}"
        )
    return text


def newest_replica_set(deployment: Obj, replica_sets: Iterable[Obj]) -> str:
    """Name of a Deployment's newest ReplicaSet, empty when it has none: a pod of an older one says nothing about this rollout."""
    uid = deployment["metadata"]["uid"]
    mine = [rs for rs in replica_sets if any(o.get("uid") == uid for o in rs["metadata"].get("ownerReferences") or [])]
    return str(max(mine, key=_revision)["metadata"]["name"]) if mine else ""


def _revision(replica_set: Obj) -> int:
    text = (replica_set["metadata"].get("annotations") or {}).get("deployment.kubernetes.io/revision", "0")
    return int(text) if text.isdigit() else 0
