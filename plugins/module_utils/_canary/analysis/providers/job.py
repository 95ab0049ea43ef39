# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Provider `job`: a Job that runs once in each window, and has to complete."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.metrics import (
    Metric,
    Subject,
    filled,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.providers.base import (
    Outcome,
    Request,
    Servers,
    Trial,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.providers.known import Known
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.providers.provider import (
    Options,
    Provider,
    Row,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.verdict import (
    Pending,
    Status,
    Verdict,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import ApiError, KubeError
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.objects import FIELD_MANAGER, MANAGED_BY_LABEL

TIMEOUT = 60.0  # seconds
MEASUREMENT_ANNOTATION = "servicemesh.platform/measurement"
_NAME_LENGTH, _DIGEST_LENGTH = 63, 8
_BUDGET = 4.0  # seconds that a request is retried for
_NOT_IN_NAMES = re.compile(r"[^a-z0-9-]+")


class KubernetesJob(Provider):
    """A verdict: the Job completes, or it fails."""

    option = "job"
    options = {
        "job": {
            "type": "dict",
            "description": "A Job (its C(spec) is enough) that runs once in each window and must complete. A start is refused when the API "
            "server does not accept it, which a dry run finds out.",
            "approval_description": "A Job that must complete.",
        },
        "timeout": {
            "type": "float",
            "description": "Seconds within which O(analysis[].job) must complete. The default is 60.",
            "approval_description": "Seconds within which the approval must be given.",
        },
    }
    row = Row(
        measures="a verdict: the Job completes within `timeout` (60 s), or it fails",
        limits="4 s a request",
        at_start="a dry run of the API server",
    )
    approval_options = ("job", "timeout")
    has_number = False
    tells_versions_apart = False
    failure_is_final = True  # a Job runs once

    def findings(self, entry: Options) -> list[str]:
        job = entry["job"]
        spec = job.get("spec") if isinstance(job, Mapping) else None
        if not isinstance(spec, Mapping) or not isinstance(spec.get("template"), Mapping):
            return ["job is not a Job; expected a spec with a template"]
        meta = job.get("metadata") or {}
        if not isinstance(meta, Mapping) or any(
            not isinstance(meta.get(name) or {}, Mapping) for name in ("labels", "annotations")
        ):
            return ["job.metadata is not that of a Job; expected labels and annotations as mappings"]
        return []

    def tried(self, servers: Servers, metric: Metric, subject: Subject, _known: Known | None) -> Trial:
        """Whether the API server would take the Job (a dry run, which writes nothing)."""
        body = job_body(metric, subject, 60.0, "canary-dry-run")
        try:
            servers.client.request("POST", _path(subject), query={"dryRun": "All"}, body=body, budget=_BUDGET)
        except ApiError as error:
            if error.by_dry_run:
                return Trial(not_tried=(f"analysis {metric.name}: the Job was not tried: {error}",))
            if error.status == 409 or error.by_outage or error.by_webhook:
                return Trial(not_tried=(f"analysis {metric.name}: the Job was not tried: {error}",))
            return Trial((f"analysis {metric.name}: the API server refuses the Job: {error}",))
        return Trial()

    def judged(self, servers: Servers, request: Request, _stable: Subject) -> Outcome:
        name = job_name(request.job, request.metric.name)
        body = job_body(request.metric, request.subject, request.window, name)
        path = _path(request.subject)
        try:
            job = servers.client.get(f"{path}/{name}", budget=_BUDGET)
            if job is None and request.waited <= _timeout(request.metric):
                servers.client.request("POST", path, body=body, budget=_BUDGET)
                raise Pending
        except ApiError as error:
            if error.status == 409 and error.reason == "AlreadyExists":
                raise Pending from None  # since a moment ago; the next look says whose it is
            return self._without_verdict(request.metric, Status.ERROR, f"Job {name}: {error}")
        except KubeError as error:
            return self._without_verdict(request.metric, Status.ERROR, f"Job {name}: {error}")
        if job is None:
            why = (
                f"Job {name} does not exist after {request.waited:.0f} s; it was deleted while it ran, or never created"
            )
            return self._without_verdict(request.metric, Status.MISSING, why)
        if not _is_ours(job, body):
            why = f"Job {name} exists and is not that of this measurement; delete it"
            return self._without_verdict(request.metric, Status.ERROR, why)
        return self._by_conditions(job, name, request)

    def _by_conditions(self, job: Mapping[str, Any], name: str, request: Request) -> Outcome:
        conditions = conditions_of(job)
        if "Complete" in conditions and "Failed" in conditions:
            why = f"Job {name} has both conditions, Complete and Failed"
            return self._without_verdict(request.metric, Status.ERROR, why)
        if "Complete" in conditions:
            return Outcome(Verdict.PASS, f"Job {name} completed")
        if "Failed" in conditions:
            return Outcome(Verdict.FAIL, f"Job {name} failed: {str(conditions['Failed'].get('message') or '')[:300]}")
        if request.waited <= _timeout(request.metric):
            raise Pending
        suspended = ", it is suspended" if "Suspended" in conditions else ""
        why = f"Job {name} has not finished after {request.waited:.0f} s{suspended}"
        return self._without_verdict(request.metric, Status.MISSING, why)

    @staticmethod
    def _without_verdict(metric: Metric, status: Status, why: str) -> Outcome:
        return Outcome(metric.limits.otherwise.get(status, Verdict.INCONCLUSIVE), why)


def _timeout(metric: Metric) -> float:
    return float(metric.options.get("timeout") or TIMEOUT)


def _path(subject: Subject) -> str:
    return f"/apis/batch/v1/namespaces/{subject.namespace}/jobs"


def job_name(prefix: str, metric: str) -> str:
    """Name of the Job of a metric in a window. Names that are shortened, or differ in letters that a Job's name has not, stay different."""
    digest = hashlib.sha256(f"{prefix}/{metric}".encode()).hexdigest()[:_DIGEST_LENGTH]
    text = _NOT_IN_NAMES.sub("-", f"{prefix}-{metric}".lower()).strip("-")
    return f"{text[: _NAME_LENGTH - _DIGEST_LENGTH - 1].rstrip('-')}-{digest}"


def job_body(metric: Metric, subject: Subject, window: float, name: str) -> dict[str, Any]:
    """The Job to create."""
    body: dict[str, Any] = json.loads(filled(json.dumps(metric.source), subject, window))
    given = body.get("metadata") or {}
    spec = {"ttlSecondsAfterFinished": 3600, "backoffLimit": 0, **body["spec"]}
    measurement = hashlib.sha256(json.dumps([name, metric.name, spec], sort_keys=True).encode()).hexdigest()[:16]
    meta = {
        **given,
        "name": name,
        "namespace": subject.namespace,
        "labels": {**(given.get("labels") or {}), MANAGED_BY_LABEL: FIELD_MANAGER, "app": subject.service},
        "annotations": {**(given.get("annotations") or {}), MEASUREMENT_ANNOTATION: measurement},
    }
    meta.pop("generateName", None)
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": meta, "spec": spec}


def _is_ours(job: Mapping[str, Any], body: Mapping[str, Any]) -> bool:
    meta = job.get("metadata")
    annotations = meta.get("annotations") if isinstance(meta, Mapping) else None
    wanted = body["metadata"]["annotations"][MEASUREMENT_ANNOTATION]
    return isinstance(annotations, Mapping) and annotations.get(MEASUREMENT_ANNOTATION) == wanted


def conditions_of(job: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Conditions that are true, by type. What has another shape than that of a condition is left out."""
    status = job.get("status")
    found = status.get("conditions") if isinstance(status, Mapping) else None
    return {
        str(entry.get("type")): entry
        for entry in (found if isinstance(found, list) else [])
        if isinstance(entry, Mapping) and entry.get("status") == "True"
    }
