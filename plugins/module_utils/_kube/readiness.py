# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether an object is ready, on its way, or cannot get ready any more. No I/O, no clock."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._kube.objects import group_of
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.route_status import (
    GATEWAY_API,
    ROUTES,
    not_accepted,
    without_address,
)

Obj = Mapping[str, Any]


class State(StrEnum):
    """Where an object is on its way."""

    READY = "ready"
    WAITING = "waiting"
    FAILED = "failed"  # waiting does not help


@dataclass(frozen=True, slots=True)
class Verdict:
    """The state of one object; `reason` says why it is not ready."""

    state: State
    reason: str = ""


_READY = Verdict(State.READY)

# Custom resources that are ready by this condition of their controller; without it they are not ready yet.
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


def verdict(obj: Obj, late_binding: frozenset[str] = frozenset(), *, started: bool = False) -> Verdict:
    """Readiness of one live object. `started`: a Job is ready with its first pod that is ready, and not only when it has completed.

    `late_binding`: names of the storage classes that provision a volume when a pod uses it (`volumeBindingMode: WaitForFirstConsumer`);
    a claim of such a class counts as ready, because it stays Pending until then.
    """
    if obj["metadata"].get("deletionTimestamp"):
        return Verdict(State.WAITING, "is being deleted")
    group, kind = group_of(obj["apiVersion"]), obj["kind"]
    if kind == "PersistentVolumeClaim" and group == "":
        return _claim(obj, late_binding)
    if started and (group, kind) == ("batch", "Job"):
        return _started_job(obj)
    rule = _RULES.get((group, kind))
    if rule is not None:
        return rule(obj)
    return _by_condition(obj, _CONDITION_OF.get((group, kind)))


def has_pods(obj: Obj) -> bool:
    """Whether the readiness of this object depends on its pods."""
    return (group_of(obj["apiVersion"]), obj["kind"]) in _WORKLOADS


def condition(obj: Obj, kind: str) -> Mapping[str, Any]:
    """One condition of an object's status, empty when the object does not have it."""
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
        return Verdict(State.WAITING, "its controller has not observed the change yet")
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
        return Verdict(State.FAILED, "ProgressDeadlineExceeded: " + str(progressing.get("message", "")))
    reason = f"{available} of {wanted} replicas are available, {updated} updated"
    if status.get("replicas", 0) > updated:
        reason += f", {status['replicas'] - updated} old ones are left"
    return Verdict(State.WAITING, reason)


def create_failure(obj: Obj) -> str:
    """Why a Deployment's ReplicaSet cannot create pods (quota, Pod Security): its condition ReplicaFailure."""
    entry = condition(obj, "ReplicaFailure")
    return _explained(entry) if entry.get("status") == "True" else ""


def _stateful_set(obj: Obj) -> Verdict:
    if waiting := _unobserved(obj):
        return waiting
    spec, status = obj["spec"], obj.get("status") or {}
    wanted, ready = spec.get("replicas", 1), status.get("readyReplicas", 0)
    if ready < wanted or status.get("replicas", 0) != wanted:
        return Verdict(State.WAITING, f"{ready} of {wanted} replicas are ready")
    strategy = spec.get("updateStrategy") or {}
    if strategy.get("type") == "OnDelete":
        return _READY
    to_update = wanted - ((strategy.get("rollingUpdate") or {}).get("partition") or 0)
    updated = status.get("updatedReplicas", 0)
    if status.get("updateRevision") != status.get("currentRevision") and updated < to_update:
        return Verdict(State.WAITING, f"{updated} of {to_update} replicas are updated")
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
    return Verdict(State.WAITING, f"{available} of {wanted} pods are available, {updated} updated")


def _replica_set(obj: Obj) -> Verdict:
    if waiting := _unobserved(obj):
        return waiting
    wanted, available = obj["spec"].get("replicas", 1), (obj.get("status") or {}).get("availableReplicas", 0)
    return _READY if available >= wanted else Verdict(State.WAITING, f"{available} of {wanted} replicas are available")


def _job(obj: Obj) -> Verdict:
    if condition(obj, "Complete").get("status") == "True" or obj["spec"].get("suspend"):
        return _READY
    for kind in ("Failed", "FailureTarget"):
        failed = condition(obj, kind)
        if failed.get("status") == "True":
            return Verdict(State.FAILED, _explained(failed))
    status = obj.get("status") or {}
    return Verdict(
        State.WAITING,
        f"{status.get('succeeded', 0)} pods succeeded, {status.get('active', 0)} are running, {status.get('failed', 0)} failed",
    )


def _started_job(obj: Obj) -> Verdict:
    """`status.ready`: pods with the condition Ready (pkg/controller/job/job_controller.go of Kubernetes)."""
    found = _job(obj)
    if found.state is State.WAITING and (obj.get("status") or {}).get("ready", 0):
        return _READY
    return found


def _pod(obj: Obj) -> Verdict:
    status = obj.get("status") or {}
    phase = status.get("phase", "Pending")
    if phase == "Succeeded" or condition(obj, "Ready").get("status") == "True":
        return _READY
    if phase == "Failed":
        return Verdict(
            State.FAILED, ": ".join(filter(None, ["phase Failed", status.get("reason"), status.get("message")]))
        )
    ready = condition(obj, "Ready")
    return Verdict(State.WAITING, f"phase {phase}" + (f", {ready['message']}" if ready.get("message") else ""))


def _claim(obj: Obj, late_binding: frozenset[str]) -> Verdict:
    phase = (obj.get("status") or {}).get("phase", "Pending")
    if phase == "Bound":
        return _READY
    if phase == "Lost":
        return Verdict(State.FAILED, "its volume is lost")
    storage_class = obj["spec"].get("storageClassName")
    if storage_class in late_binding:
        return _READY
    return Verdict(State.WAITING, f"phase {phase}, storage class {storage_class or 'none given and no default'}")


def _namespace(obj: Obj) -> Verdict:
    phase = (obj.get("status") or {}).get("phase", "")
    return _READY if phase == "Active" else Verdict(State.WAITING, f"phase {phase or 'unknown'}")


def _crd(obj: Obj) -> Verdict:
    names = condition(obj, "NamesAccepted")
    if names.get("status") == "False":
        return Verdict(State.FAILED, _explained(names))
    established = condition(obj, "Established")
    if established.get("status") == "True":
        return _READY
    return Verdict(State.WAITING, _explained(established) if established else "not established yet")


def _served(reason: Callable[[Obj], str]) -> Callable[[Obj], Verdict]:
    return lambda obj: Verdict(State.WAITING, found) if (found := reason(obj)) else _READY


def _by_condition(obj: Obj, required: str | None) -> Verdict:
    """By condition Ready or Available; an object without conditions is ready when it exists."""
    entries = {entry.get("type"): entry for entry in (obj.get("status") or {}).get("conditions") or []}
    names = [required] if required else [name for name in ("Ready", "Available") if name in entries][:1]
    if not names:
        return _READY
    entry = entries.get(names[0])
    if entry is None:
        return Verdict(State.WAITING, f"no condition {names[0]} yet")
    generation, observed = obj["metadata"].get("generation"), entry.get("observedGeneration")
    if observed is None:
        observed = (obj.get("status") or {}).get("observedGeneration")
    if generation is not None and observed is not None and observed < generation:
        return Verdict(State.WAITING, "its controller has not observed the change yet")
    return _READY if entry.get("status") == "True" else Verdict(State.WAITING, _explained(entry))


_RULES: dict[tuple[str, str], Callable[[Obj], Verdict]] = {
    ("apps", "Deployment"): _deployment,
    ("apps", "StatefulSet"): _stateful_set,
    ("apps", "DaemonSet"): _daemon_set,
    ("apps", "ReplicaSet"): _replica_set,
    ("batch", "Job"): _job,
    ("", "Pod"): _pod,
    ("", "Namespace"): _namespace,
    ("apiextensions.k8s.io", "CustomResourceDefinition"): _crd,
    ("networking.k8s.io", "Ingress"): _served(without_address),
    **{(GATEWAY_API, kind): _served(not_accepted) for kind in ROUTES},
}
_WORKLOADS = frozenset(key for key in _RULES if key[0] in ("apps", "batch") or key == ("", "Pod"))
