# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A driver's side of the watchdog: create its Job, look whether it runs, remove it."""

from __future__ import annotations

import dataclasses
import time
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._canary.decide import Workload
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.state import Phase, State
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.watchdog import manifests
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.watchdog.bundle import archive
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.watchdog.duty import nothing_to_do
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.api import Api
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.diagnosis import Limits, pod_finding
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import ApiError, KubeError
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.objects import is_ours
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.readiness import condition

Obj = dict[str, Any]
_LIMITS = Limits(restarts=1)
_EARLY = (Phase.RESETTING, Phase.PREPARING)
_TRIES, _PAUSE = 20, 0.25  # of the creation of an object whose former one is still there; seconds
_PLURALS = {
    "Job": "/apis/batch/v1/namespaces/{}/jobs",
    "ConfigMap": "/api/v1/namespaces/{}/configmaps",
    "ServiceAccount": "/api/v1/namespaces/{}/serviceaccounts",
    "Role": "/apis/rbac.authorization.k8s.io/v1/namespaces/{}/roles",
    "RoleBinding": "/apis/rbac.authorization.k8s.io/v1/namespaces/{}/rolebindings",
}


def wanted(state: State) -> bool:
    """Whether a watchdog has to run now: the run has the option, and its requests may be where nobody drives them back."""
    return bool(state.settings.get("watchdog")) and not nothing_to_do(state)


@dataclasses.dataclass(frozen=True, slots=True)
class Watch:
    """How the watchdog's pod is. `lost`: what became of the one before, which this call has replaced after the run's beginning."""

    pod: Workload
    lost: str = ""


def ensure(api: Api, state: State) -> Watch | None:
    """Creates the watchdog's objects where they are missing, and tells how its pod is. None: no watchdog is wanted."""
    if not wanted(state):
        return None
    try:
        return _ensured(api, state)
    except KubeError as error:
        early = state.phase in _EARLY
        if early and not (isinstance(error, ApiError) and error.status < 429):
            raise
        # What was refused fails the run before its first step. Later, no rollback waits for a watchdog.
        return Watch(Workload(1, 0, complete=False, failure=str(error)))


def _ensured(api: Api, state: State) -> Watch:
    path = _path("Job", state.namespace, manifests.name_of(state))
    job = api.get(path)
    lost = "its Job was gone" if job is None else ""
    if job is not None and _is_over(job, state):
        lost = _end_of(job)
        _delete(api, path)
        job = None
    if job is None:
        job = _created(api, manifests.job(state))
    if job["spec"].get("suspend"):
        for obj in manifests.owned(state, job, archive()):
            _created(api, obj)
        job = api.request(
            "PATCH", path, body={"spec": {"suspend": False}}, content_type="application/merge-patch+json"
        )[1]
    return Watch(_seen(api, state, job), "" if state.phase in _EARLY else lost)


def _end_of(job: Obj) -> str:
    if job["metadata"].get("deletionTimestamp"):
        return "its Job was deleted"
    failed = condition(job, "Failed")
    if failed.get("status") != "True":
        return "its Job had ended"
    return f"its Job had failed: {failed.get('message') or failed.get('reason') or 'without a reason'}"


def _is_over(job: Obj, state: State) -> bool:
    """Whether a Job has ended in a way that a new one goes on from: it did its work, or its time is over."""
    if job["metadata"].get("deletionTimestamp") or condition(job, "Complete").get("status") == "True":
        return True
    failed = condition(job, "Failed")
    if failed.get("status") != "True":
        return False
    # One that cannot run fails the run before its first step. Later it is tried again with each call.
    return failed.get("reason") == "DeadlineExceeded" or state.phase not in _EARLY


def _seen(api: Api, state: State, job: Obj) -> Workload:
    ready = int((job.get("status") or {}).get("ready") or 0)
    if ready:
        return Workload(1, ready)
    failed = condition(job, "Failed")
    failure = str(failed.get("message") or "its Job failed") if failed.get("status") == "True" else ""
    query = {"labelSelector": f"batch.kubernetes.io/job-name={manifests.name_of(state)}"}
    pods = api.list_all(f"/api/v1/namespaces/{state.namespace}/pods", query)[0]
    findings = [finding for pod in pods if (finding := pod_finding(pod, _LIMITS)) is not None]
    final = [str(finding) for finding in findings if finding.patience == 0]
    waiting = str(findings[0]) if findings else "its pod starts" if pods else "its Job has no pod yet"
    return Workload(1, 0, complete=False, failure=final[0] if final else failure, waiting=waiting)


def tried(api: Api, state: State) -> None:
    """Creates all objects of the watchdog with a client that only tries, whose answers are as if they were stored."""
    job = manifests.job(state)
    stored = api.request("POST", _PLURALS["Job"].format(state.namespace), body=job)[1]
    objects = manifests.owned(
        state, {**job, "metadata": {**job["metadata"], "uid": stored["metadata"].get("uid", "")}}, archive()
    )

    def create(obj: Obj) -> None:
        api.request("POST", _PLURALS[obj["kind"]].format(obj["metadata"]["namespace"]), body=obj)

    api.each(create, objects)


def remove(api: Api, state: State) -> None:
    """Removes the watchdog of a run, also one of which only parts are there."""
    if not state.settings.get("watchdog"):
        return
    name = manifests.name_of(state)
    _delete(api, _path("Job", state.namespace, name))
    for kind in ("ConfigMap", "ServiceAccount"):
        _delete(api, _path(kind, state.namespace, name))
    for namespace in manifests.namespaces_of(state):
        for kind in ("RoleBinding", "Role"):
            _delete(api, _path(kind, namespace, name))


def _path(kind: str, namespace: str, name: str) -> str:
    return f"{_PLURALS[kind].format(namespace)}/{name}"


def _delete(api: Api, path: str) -> None:
    live = api.get(path)
    if live is None or not is_ours(live):
        return
    body = {"preconditions": {"uid": live["metadata"]["uid"]}, "propagationPolicy": "Background"}
    try:
        api.request("DELETE", path, body=body)
    except ApiError as error:
        if error.status not in (404, 409):
            raise


def _created(api: Api, obj: Obj) -> Obj:
    """Creates an object. One of an earlier Job of the run is removed first: it would be removed with that Job soon."""
    meta = obj["metadata"]
    collection, path = (
        _PLURALS[obj["kind"]].format(meta["namespace"]),
        _path(obj["kind"], meta["namespace"], meta["name"]),
    )
    for _attempt in range(_TRIES):
        try:
            return api.request("POST", collection, body=obj)[1]
        except ApiError as error:
            if error.status != 409:
                raise
        live = api.get(path)
        if live is None:
            continue
        if _same_owner(live, obj):
            return live
        _delete(api, path)
        time.sleep(_PAUSE)
    raise KubeError(
        f"{obj['kind']} {meta['namespace']}/{meta['name']} of the canary's watchdog exists and is not removed. Delete it, then run again"
    )


def _same_owner(live: Obj, obj: Obj) -> bool:
    """Whether an object is that of the same Job: created by a call whose answer was lost, or that was killed."""
    uids = [{entry.get("uid") for entry in one["metadata"].get("ownerReferences") or []} for one in (live, obj)]
    return uids[0] == uids[1] and not live["metadata"].get("deletionTimestamp")
