# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pods that do not start, restart, run out of memory or are not ready, and those without the proxy that they should have. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._kube.diagnosis import (
    Limits,
    has_ended,
    pod_finding,
    restarts_of,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.readiness import condition
from ansible_collections.servicemesh.platform.plugins.module_utils._mesh.diagnose.codes import DiagnosisCode
from ansible_collections.servicemesh.platform.plugins.module_utils._mesh.diagnose.findings import Finding, Obj, finding
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.model import Proxy
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parse.pod import pod as parsed_pod

_NO_PATIENCE = Limits(pull=0.0, config=0.0, create=0.0, unschedulable=0.0, restarts=1)
_STARTING = 60.0  # seconds that a pod may take to be scheduled and to be ready
_INJECTED = ("istio-injection", "istio.io/rev")  # labels of a namespace (istio pkg/kube/inject/inject.go)
_INJECT = "sidecar.istio.io/inject"
_STATUSES = ("initContainerStatuses", "containerStatuses")
_STATUS_FIELDS = ("phase", "reason", "message", "conditions", "startTime", *_STATUSES)
_ENVOY = (Proxy.SIDECAR, Proxy.GATEWAY, Proxy.WAYPOINT)


@dataclass(frozen=True, slots=True)
class Pod:
    """The parts of a pod that a diagnosis keeps. `obj` has its metadata and status alone. `proxy` and `workload` are as _mtls has them.

    `up`: whether its proxy can be asked. `excluded`: whether it says itself that it wants no proxy, or can have none.
    """

    namespace: str
    name: str
    workload: str
    proxy: Proxy
    up: bool
    obj: Obj
    labels: Mapping[str, str]
    excluded: bool

    @property
    def has_envoy(self) -> bool:
        """Whether an Envoy that istiod configures runs in it."""
        return self.proxy in _ENVOY


def reduced(obj: Obj) -> Pod:
    """One pod, without its spec and most of its metadata."""
    meta, status = obj["metadata"], obj.get("status") or {}
    labels, annotations = meta.get("labels") or {}, meta.get("annotations") or {}
    found = parsed_pod(obj)
    excluded = found.group.host_network or "false" in (labels.get(_INJECT), annotations.get(_INJECT))
    kept = {
        "metadata": {
            key: meta[key] for key in ("name", "namespace", "creationTimestamp", "deletionTimestamp") if key in meta
        },
        "status": {key: status[key] for key in _STATUS_FIELDS if key in status},
    }
    return Pod(
        *(found.group.namespace, found.name, found.group.workload, found.group.kind, found.up, kept, labels, excluded)
    )


def pods_findings(
    pods: Iterable[Pod], namespaces: Mapping[str, Mapping[str, str]], now: float, window: float
) -> list[Finding]:
    """All findings of pods. `namespaces`: labels of each. `now` in Unix seconds; `window` in seconds before it."""
    return [entry for pod in pods for entry in _of_pod(pod, namespaces.get(pod.namespace) or {}, now, window)]


def _of_pod(pod: Pod, namespace_labels: Mapping[str, str], now: float, window: float) -> list[Finding]:
    subject, found = f"Pod {pod.namespace}/{pod.name}", []

    def add(code: DiagnosisCode, message: str) -> None:
        found.append(finding(code, subject, message, namespace=pod.namespace))

    status = pod.obj.get("status") or {}
    if pod.obj["metadata"].get("deletionTimestamp") or status.get("phase") == "Succeeded":
        return []
    if has_ended(pod.obj):
        why = ": ".join(str(status[key]) for key in ("reason", "message") if status.get(key))
        add(DiagnosisCode.POD_FAILED, why or "its containers have ended with an error")
        return found
    stuck = pod_finding(pod.obj, _NO_PATIENCE)
    age = now - _time(pod.obj["metadata"].get("creationTimestamp"), now)
    if stuck is not None:
        where = f"container {stuck.container}: " if stuck.container else ""
        code = DiagnosisCode.CRASH_LOOP if stuck.restarts else DiagnosisCode.POD_PENDING
        add(code, f"{where}{stuck.reason}" + (f": {stuck.message}" if stuck.message else ""))
    elif status.get("phase") == "Pending" and age > _STARTING:
        add(DiagnosisCode.POD_PENDING, f"pending for {age:.0f} s, and Kubernetes tells no reason")
    elif status.get("phase") == "Running" and (since := _not_ready(pod.obj, now)) > _STARTING:
        add(DiagnosisCode.NOT_READY, f"not ready for {since:.0f} s: {_unready(pod.obj)}")
    for field in _STATUSES:
        for entry in status.get(field) or []:
            _ended(entry, now, window, add)
    if pod.proxy is Proxy.NONE and not pod.excluded and _injected(namespace_labels):
        add(DiagnosisCode.PROXY_MISSING, "it has no container istio-proxy")
    return found


def _ended(entry: Obj, now: float, window: float, add: Any) -> None:
    """What the last end of a container says, if it is of the window."""
    for key in ("state", "lastState"):
        ended = (entry.get(key) or {}).get("terminated")
        if not ended:
            continue
        ago = now - _time(ended.get("finishedAt"), now)
        if ago > window:
            return
        what, count = f"container {entry.get('name')}", entry.get("restartCount", 0)
        code = ended.get("exitCode")
        if ended.get("reason") == "OOMKilled":
            add(
                DiagnosisCode.OOM_KILLED,
                f"{what} was ended for lack of memory {ago:.0f} s ago, {count} restarts in all",
            )
        elif key == "lastState" and count:
            add(DiagnosisCode.RESTARTED, f"{what} ended with exit code {code} {ago:.0f} s ago, {count} restarts in all")
        return


def _not_ready(obj: Obj, now: float) -> float:
    """Seconds that a pod has not been ready, 0 for one that is."""
    ready = condition(obj, "Ready")
    return 0.0 if ready.get("status") == "True" else now - _time(ready.get("lastTransitionTime"), now)


def _unready(obj: Obj) -> str:
    status = obj.get("status") or {}
    names = [str(e.get("name")) for e in status.get("containerStatuses") or [] if not e.get("ready")]
    return ", ".join(names) or str(condition(obj, "Ready").get("reason") or "Kubernetes tells no reason")


def _injected(labels: Mapping[str, str]) -> bool:
    return labels.get(_INJECTED[0]) == "enabled" or (
        labels.get(_INJECTED[0]) != "disabled" and bool(labels.get(_INJECTED[1]))
    )


def _time(text: Any, otherwise: float) -> float:
    try:
        return datetime.fromisoformat(str(text)).timestamp()
    except ValueError:
        return otherwise


def rows(pods: Sequence[Pod]) -> list[dict[str, Any]]:
    """Pods as modules return them: those that restarted or are not ready."""
    made = []
    for pod in pods:
        restarts = sum(restarts_of(pod.obj).values())
        phase = str((pod.obj.get("status") or {}).get("phase") or "")
        ready = condition(pod.obj, "Ready").get("status") == "True"
        if restarts or (not ready and phase != "Succeeded"):
            made.append(
                {
                    "pod": pod.name,
                    "namespace": pod.namespace,
                    "workload": pod.workload,
                    "phase": phase,
                    "ready": ready,
                    "restarts": restarts,
                }
            )
    return sorted(made, key=lambda row: (-row["restarts"], row["namespace"], row["pod"]))
