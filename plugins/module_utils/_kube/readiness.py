# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether an object is ready, still on its way, or cannot get ready any more. No I/O, no clock."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._kube import route_status as _routing
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.objects import group_of

READY = "ready"
WAITING = "waiting"
FAILED = "failed"

Obj = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Verdict:
    """`state` is ready, waiting or failed; `reason` says why it is not ready."""

    state: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Problem:
    """What keeps a pod from getting ready. `patience`: seconds it may last before it counts as final."""

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
    """When a problem counts as final: seconds that it lasted, and restarts of a container."""

    pull: float = 10.0
    config: float = 15.0
    create: float = 10.0
    unschedulable: float = 120.0
    restarts: int = 3
    # A pod from before may be about to try again: what it lacked can be there by now.
    old_pull: float = 60.0


_READY = Verdict(READY)
_LIMITS = Limits()

# Custom resources whose controller has a say, so that no condition yet means "not seen yet".
_CONDITION_OF = {
    ("apiregistration.k8s.io", "APIService"): "Available",
    ("cert-manager.io", "Certificate"): "Ready",
    ("cert-manager.io", "ClusterIssuer"): "Ready",
    ("cert-manager.io", "Issuer"): "Ready",
    ("gateway.networking.k8s.io", "Gateway"): "Programmed",
    ("gateway.networking.k8s.io", "GatewayClass"): "Accepted",
    ("monitoring.coreos.com", "Alertmanager"): "Available",
    ("monitoring.coreos.com", "Prometheus"): "Available",
}


def verdict(obj: Obj, late_binding: frozenset[str] = frozenset()) -> Verdict:
    """Readiness of one live object.

    `late_binding`: names of the storage classes whose volumes are made when a pod asks for them
    (`volumeBindingMode: WaitForFirstConsumer`); a claim on one is as ready as it gets alone.
    """
    if obj["metadata"].get("deletionTimestamp"):
        return Verdict(WAITING, "is being deleted")
    group, kind = group_of(obj["apiVersion"]), obj["kind"]
    if kind == "PersistentVolumeClaim" and group == "":
        return _claim(obj, late_binding)
    rule = _RULES.get((group, kind))
    if rule is not None:
        return rule(obj)
    return _by_condition(obj, _CONDITION_OF.get((group, kind)))


def has_pods(obj: Obj) -> bool:
    """Whether pods decide about the readiness of this object."""
    return (group_of(obj["apiVersion"]), obj["kind"]) in _WORKLOADS


def condition(obj: Obj, kind: str) -> Mapping[str, Any]:
    """One condition of an object's status, empty when it is not there."""
    for entry in (obj.get("status") or {}).get("conditions") or []:
        if entry.get("type") == kind:
            return dict(entry)
    return {}


def _explained(entry: Mapping[str, Any]) -> str:
    parts = [str(entry[key]) for key in ("reason", "message") if entry.get(key)]
    return ": ".join(parts) or f"{entry.get('type')} is {entry.get('status')}"


def _unobserved(obj: Obj) -> Verdict | None:
    generation = obj["metadata"].get("generation")
    observed = (obj.get("status") or {}).get("observedGeneration")
    if generation is not None and (observed is None or observed < generation):
        return Verdict(WAITING, "its controller has not seen the change yet")
    return None


def _deployment(obj: Obj) -> Verdict:
    if waiting := _unobserved(obj):
        return waiting
    status = obj.get("status") or {}
    wanted = obj["spec"].get("replicas", 1)
    updated, available = status.get("updatedReplicas", 0), status.get("availableReplicas", 0)
    progressing = condition(obj, "Progressing")
    if updated >= wanted and status.get("replicas", 0) <= updated and available >= updated:
        return _READY
    if progressing.get("reason") == "ProgressDeadlineExceeded":
        return Verdict(FAILED, "ProgressDeadlineExceeded: " + str(progressing.get("message", "")))
    reason = f"{available} of {wanted} replicas are available, {updated} updated"
    if status.get("replicas", 0) > updated:
        reason += f", {status['replicas'] - updated} old ones left"
    return Verdict(WAITING, reason)


def create_failure(obj: Obj) -> str:
    """Why a Deployment's ReplicaSet cannot make pods (quota, Pod Security), as its own condition says."""
    entry = condition(obj, "ReplicaFailure")
    return _explained(entry) if entry.get("status") == "True" else ""


def _stateful_set(obj: Obj) -> Verdict:
    if waiting := _unobserved(obj):
        return waiting
    spec, status = obj["spec"], obj.get("status") or {}
    wanted, ready = spec.get("replicas", 1), status.get("readyReplicas", 0)
    if ready < wanted or status.get("replicas", 0) != wanted:
        return Verdict(WAITING, f"{ready} of {wanted} replicas are ready")
    strategy = spec.get("updateStrategy") or {}
    if strategy.get("type") == "OnDelete":
        return _READY
    to_update = wanted - ((strategy.get("rollingUpdate") or {}).get("partition") or 0)
    updated = status.get("updatedReplicas", 0)
    if status.get("updateRevision") != status.get("currentRevision") and updated < to_update:
        return Verdict(WAITING, f"{updated} of {to_update} replicas are updated")
    return _READY


def _daemon_set(obj: Obj) -> Verdict:
    if waiting := _unobserved(obj):
        return waiting
    status = obj.get("status") or {}
    wanted, available = status.get("desiredNumberScheduled", 0), status.get("numberAvailable", 0)
    updated = status.get("updatedNumberScheduled", 0)
    if (obj["spec"].get("updateStrategy") or {}).get("type") == "OnDelete":
        updated = wanted
    if available >= wanted and updated >= wanted:
        return _READY
    return Verdict(WAITING, f"{available} of {wanted} pods are available, {updated} updated")


def _replica_set(obj: Obj) -> Verdict:
    if waiting := _unobserved(obj):
        return waiting
    wanted, available = obj["spec"].get("replicas", 1), (obj.get("status") or {}).get("availableReplicas", 0)
    return _READY if available >= wanted else Verdict(WAITING, f"{available} of {wanted} replicas are available")


def _job(obj: Obj) -> Verdict:
    if condition(obj, "Complete").get("status") == "True" or obj["spec"].get("suspend"):
        return _READY
    for kind in ("Failed", "FailureTarget"):
        failed = condition(obj, kind)
        if failed.get("status") == "True":
            return Verdict(FAILED, _explained(failed))
    status = obj.get("status") or {}
    return Verdict(
        WAITING,
        f"{status.get('succeeded', 0)} pods succeeded, {status.get('active', 0)} run, {status.get('failed', 0)} failed",
    )


def _pod(obj: Obj) -> Verdict:
    status = obj.get("status") or {}
    phase = status.get("phase", "Pending")
    if phase == "Succeeded" or condition(obj, "Ready").get("status") == "True":
        return _READY
    if phase == "Failed":
        return Verdict(FAILED, ": ".join(filter(None, ["phase Failed", status.get("reason"), status.get("message")])))
    ready = condition(obj, "Ready")
    return Verdict(WAITING, f"phase {phase}" + (f", {ready['message']}" if ready.get("message") else ""))


def _claim(obj: Obj, late_binding: frozenset[str]) -> Verdict:
    phase = (obj.get("status") or {}).get("phase", "Pending")
    if phase == "Bound":
        return _READY
    if phase == "Lost":
        return Verdict(FAILED, "its volume is lost")
    storage_class = obj["spec"].get("storageClassName")
    if storage_class in late_binding:
        return _READY
    return Verdict(WAITING, f"phase {phase}, storage class {storage_class or 'none given and no default'}")


def _namespace(obj: Obj) -> Verdict:
    phase = (obj.get("status") or {}).get("phase", "")
    return _READY if phase == "Active" else Verdict(WAITING, f"phase {phase or 'unknown'}")


def _crd(obj: Obj) -> Verdict:
    names = condition(obj, "NamesAccepted")
    if names.get("status") == "False":
        return Verdict(FAILED, _explained(names))
    established = condition(obj, "Established")
    if established.get("status") == "True":
        return _READY
    return Verdict(WAITING, _explained(established) if established else "not established yet")


def _served(reason: Callable[[Obj], str]) -> Callable[[Obj], Verdict]:
    return lambda obj: Verdict(WAITING, found) if (found := reason(obj)) else _READY


def _by_condition(obj: Obj, required: str | None) -> Verdict:
    """Ready or Available where an object has it; objects without conditions are ready when they are there."""
    entries = {entry.get("type"): entry for entry in (obj.get("status") or {}).get("conditions") or []}
    names = [required] if required else [name for name in ("Ready", "Available") if name in entries][:1]
    if not names:
        return _READY
    entry = entries.get(names[0])
    if entry is None:
        return Verdict(WAITING, f"no condition {names[0]} yet")
    generation, observed = obj["metadata"].get("generation"), entry.get("observedGeneration")
    if observed is None:
        observed = (obj.get("status") or {}).get("observedGeneration")
    if generation is not None and observed is not None and observed < generation:
        return Verdict(WAITING, "its controller has not seen the change yet")
    return _READY if entry.get("status") == "True" else Verdict(WAITING, _explained(entry))


_RULES: dict[tuple[str, str], Callable[[Obj], Verdict]] = {
    ("apps", "Deployment"): _deployment,
    ("apps", "StatefulSet"): _stateful_set,
    ("apps", "DaemonSet"): _daemon_set,
    ("apps", "ReplicaSet"): _replica_set,
    ("batch", "Job"): _job,
    ("", "Pod"): _pod,
    ("", "Namespace"): _namespace,
    ("apiextensions.k8s.io", "CustomResourceDefinition"): _crd,
    ("networking.k8s.io", "Ingress"): _served(_routing.without_address),
    **{(_routing.GATEWAY_API, kind): _served(_routing.not_accepted) for kind in _routing.ROUTES},
}
_WORKLOADS = frozenset(key for key in _RULES if key[0] in ("apps", "batch") or key == ("", "Pod"))

# Reasons of a container's `state.waiting` (pkg/kubelet/kuberuntime, pkg/kubelet/images/types.go).
_HOPELESS = frozenset({"ErrImageNeverPull", "InvalidImageName"})
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
_NOT_THERE = ("not found", "manifest unknown", "does not exist", "no such host", "access denied", "unauthorized")


def pod_problem(pod: Obj, limits: Limits = _LIMITS) -> Problem | None:
    """The worst thing that keeps this pod from getting ready, or null when it may still be on its way."""
    status, name = pod.get("status") or {}, pod["metadata"]["name"]
    if pod["metadata"].get("deletionTimestamp") or status.get("phase") == "Succeeded":
        return None
    scheduled = condition(pod, "PodScheduled")
    if scheduled.get("status") == "False" and scheduled.get("reason") == "Unschedulable":
        return Problem(name, "", "Unschedulable", str(scheduled.get("message", "")), limits.unschedulable)
    found = [
        problem
        for field in ("initContainerStatuses", "containerStatuses")
        for entry in status.get(field) or []
        if (problem := _container_problem(name, entry, limits)) is not None
    ]
    return min(found, key=lambda problem: problem.patience) if found else None


def restarts_of(pod: Obj) -> dict[str, int]:
    """Restarts of each container."""
    status = pod.get("status") or {}
    entries = [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]
    return {entry.get("name", ""): entry.get("restartCount", 0) for entry in entries}


def _container_problem(pod: str, entry: Mapping[str, Any], limits: Limits) -> Problem | None:
    waiting = (entry.get("state") or {}).get("waiting") or {}
    reason, message = waiting.get("reason", ""), waiting.get("message") or ""
    container = entry.get("name", "")
    if reason in _HOPELESS:
        return Problem(pod, container, reason, message, 0.0)
    if reason in _PULL:
        final = any(hint in message.lower() for hint in _NOT_THERE)
        return Problem(
            pod, container, reason, message or f"image {entry.get('image', '')}", 0.0 if final else limits.pull
        )
    if reason in _CONFIG:
        return Problem(pod, container, reason, message, limits.config)
    restarts = entry.get("restartCount", 0)
    if reason == "CrashLoopBackOff" and restarts >= limits.restarts:
        return Problem(pod, container, reason, f"{restarts} restarts, {_last_end(entry)}", 0.0, restarts)
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
    """Whether a pod is there to stay: not ended, and not told to stop."""
    ended = (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")
    return not ended and not pod["metadata"].get("deletionTimestamp")


# Messages of FailedCreate events that waiting does not mend.
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


def is_final_create_failure(message: str) -> bool:
    """Whether a refused pod stays refused: by quota, limits or Pod Security, not by a webhook that is about to come."""
    text = message.lower()
    return any(hint in text for hint in _FINAL_CREATE)


def owned_pods(obj: Obj, pods: Iterable[Obj], newest_replica_set: str = "") -> list[Obj]:
    """The pods that speak for a workload: those its selector takes, and of a Deployment those of its newest ReplicaSet."""
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
    """Whether a label selector (matchLabels, matchExpressions) takes these labels; an empty one takes nothing here."""
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
