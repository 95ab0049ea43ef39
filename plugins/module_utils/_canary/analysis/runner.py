# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure the metrics of a canary: query Prometheus, request an HTTP endpoint or run a Job, and judge the samples. Writes only Jobs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, assert_never

from ansible.module_utils.urls import open_url
from ansible_collections.servicemesh.platform.plugins.module_utils._canary import settings as run_settings
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis import metrics, verdict
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.metrics import Kind, Metric, Subject
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.verdict import (
    Check,
    Pending,
    Sample,
    Status,
    Verdict,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.client import Client
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.objects import FIELD_MANAGER, MANAGED_BY_LABEL
from ansible_collections.servicemesh.platform.plugins.module_utils._prometheus import Prometheus, PrometheusError

try:
    import jmespath  # type: ignore[import-untyped]
except ImportError:  # reported by `findings`
    jmespath = None

# Seconds that one request may take, retries included: a check takes as long as its slowest request.
_TIMEOUT = 4.0
_START_TIMEOUT = 15.0  # for the checks of a start, where a slow answer delays nothing else
SHOWN = (metrics.REQUESTS, metrics.SUCCESS, "p99")


class Measurer:
    """Measurements of both versions over a window (in seconds) that ends now."""

    def __init__(
        self,
        client: Client,
        prometheus: Prometheus | None,
        telemetry: str,
        canary: Subject,
        stable: Subject,
    ) -> None:
        self._client, self._prometheus, self._telemetry = client, prometheus, telemetry
        self.canary, self.stable = canary, stable

    @classmethod
    def of(cls, client: Client, settings: Mapping[str, Any]) -> Measurer:
        """The measurer of a run. `settings` are those of the run, with their secrets."""
        endpoint = run_settings.endpoint(settings)
        prometheus = Prometheus(endpoint, client) if endpoint else None
        return cls(client, prometheus, settings["telemetry"], *run_settings.subjects(settings))

    def findings(self, wanted: Sequence[Metric]) -> list[str]:
        """Why metrics can never be measured: a query that Prometheus cannot parse, a server that does not answer. Writes nothing."""
        return list(dict.fromkeys(found for found in self._client.each(self._finding, wanted) if found))

    def _finding(self, metric: Metric) -> str:
        match metric.kind:
            case Kind.HTTP:
                return _path_finding(metric)
            case Kind.JOB:
                return ""
            case Kind.BUILT_IN | Kind.QUERY:
                return self._query_finding(metric)
            case _:
                assert_never(metric.kind)

    def _query_finding(self, metric: Metric) -> str:
        if self._prometheus is None:
            return ""
        for query in (self._query(metric, self.canary, 60.0), metrics.filled(metric.freshness, self.canary, 60.0)):
            try:
                if query:
                    self._prometheus.query(query, timeout=_START_TIMEOUT, budget=_START_TIMEOUT)
            except PrometheusError as error:
                if error.kind == "query":
                    return f"analysis {metric.name}: Prometheus cannot parse the query: {error}"
                return f"analysis: {error}"
        return ""

    def measure(self, wanted: Sequence[Metric], window: float, name: str) -> list[Check]:
        """A check of each metric. `name` is the prefix of the names of this window's Jobs. Raises Pending while a Job runs."""

        def check(metric: Metric) -> Check:
            return self._check(metric, window, name)

        return self._client.each(check, wanted)

    def shown(self, window: float) -> dict[str, dict[str, float]]:
        """Requests, success rate and p99 (ms) of both versions, for people; values that are not available are left out."""
        if self._prometheus is None:
            return {}
        wanted = [(who, what) for who in (self.canary, self.stable) for what in SHOWN]

        def ask(pair: tuple[Subject, str]) -> Sample:
            return self._ask(metrics.promql(pair[1], self._telemetry, pair[0], window), None, 0.0)

        values = self._client.each(ask, wanted)
        result: dict[str, dict[str, float]] = {"canary": {}, "stable": {}}
        for (who, what), sample in zip(wanted, values, strict=True):
            if sample.value is not None:
                result["canary" if who is self.canary else "stable"][what] = round(sample.value, 5)
        return result

    def requests(self, who: Subject, window: float, reporter: str = "destination") -> Sample:
        """Number of requests to a version in the window."""
        return self._ask(metrics.promql(metrics.REQUESTS, self._telemetry, who, window, reporter), None, 0.0)

    def _check(self, metric: Metric, window: float, name: str) -> Check:
        if metric.kind is Kind.JOB:
            outcome, reason = self._job(metric, window, name)
            return Check(metric.name, outcome, reason, critical=metric.critical, dry_run=metric.dry_run)
        canary = self._sample(metric, self.canary, window)
        stable = self._sample(metric, self.stable, window) if metric.limits.compares else None
        requests = None
        if metric.limits.min_requests:
            requests = self.requests(self.canary, window, metric.reporter or "destination")
        outcome, reason = verdict.judge(metric.limits, canary, stable, requests)
        return Check(
            metric.name,
            outcome,
            reason,
            value=canary.value,
            stable=stable.value if stable else None,
            requests=requests.value if requests else None,
            query=self._query(metric, self.canary, window),
            critical=metric.critical,
            dry_run=metric.dry_run,
        )

    def _query(self, metric: Metric, who: Subject, window: float) -> str:
        if metric.kind is Kind.BUILT_IN:
            return metrics.promql(metric.source, self._telemetry, who, window, metric.reporter)
        return metrics.filled(str(metric.source), who, window)

    def _sample(self, metric: Metric, who: Subject, window: float) -> Sample:
        if metric.kind is Kind.HTTP:
            return self._http(metric, who, window)
        newest = metrics.filled(metric.freshness, who, window)
        if metric.kind is Kind.BUILT_IN:
            newest = metrics.freshness(self._telemetry, who, metric.reporter)
        return self._ask(self._query(metric, who, window), newest or None, metric.max_age)

    def _ask(self, query: str, newest: str | None, max_age: float) -> Sample:
        """Sample of one query; `newest` is the query of the time of the newest sample behind it."""
        if self._prometheus is None:
            return Sample(Status.ERROR, detail="the address of Prometheus is not given (option prometheus)")
        try:
            answer = self._prometheus.query(query, timeout=_TIMEOUT, budget=_TIMEOUT)
            sample = verdict.sample_of_series(answer.series, None, 0.0, 0.0)
            if newest is None or sample.status is not Status.OK:
                return sample
            age = self._prometheus.query(newest, timeout=_TIMEOUT, budget=_TIMEOUT)
        except PrometheusError as error:
            return Sample(Status.ERROR, detail=str(error))
        newest_sample = verdict.sample_of_series(age.series, None, 0.0, 0.0)
        if newest_sample.value is None:
            return Sample(Status.STALE, detail=f"the age of the newest sample is unknown: {newest_sample}")
        now = float(answer.series[0]["value"][0])  # Prometheus' own clock
        return verdict.sample_of_series(answer.series, newest_sample.value, now, max_age)

    def _http(self, metric: Metric, who: Subject, window: float) -> Sample:
        url = metrics.filled(str(metric.source), who, window)
        try:
            answer = open_url(url, headers=dict(metric.headers), timeout=_TIMEOUT, http_agent="servicemesh-platform")
            document = json.loads(answer.read())
        except (OSError, ValueError) as error:  # HTTPError and URLError are OSErrors
            return Sample(Status.ERROR, detail=f"{url.partition('?')[0]}: {getattr(error, 'reason', error)}")
        return verdict.sample_of_value(jmespath.search(metric.path, document))

    def _job(self, metric: Metric, window: float, name: str) -> tuple[Verdict, str]:
        """Verdict of a Job, which has to complete. Its name contains the window, so that each window creates it once."""
        full = f"{name}-{metric.name}".lower().replace("_", "-").replace("/", "-").replace(".", "-")[:63].rstrip("-")
        path = f"/apis/batch/v1/namespaces/{self.canary.namespace}/jobs"
        job = self._client.get(f"{path}/{full}")
        if job is None:
            self._client.request("POST", path, body=self._job_body(metric, window, full))
            raise Pending
        conditions = {
            c["type"]: c for c in (job.get("status") or {}).get("conditions") or [] if c.get("status") == "True"
        }
        if "Complete" in conditions:
            return Verdict.PASS, f"Job {full} completed"
        if "Failed" in conditions:
            return Verdict.FAIL, f"Job {full} failed: {conditions['Failed'].get('message', '')}"
        age = self._age(job)
        if age < metric.timeout:
            raise Pending
        return (
            metric.limits.otherwise.get(Status.MISSING, Verdict.INCONCLUSIVE),
            f"Job {full} has not finished after {age:.0f} s",
        )

    def _age(self, job: Mapping[str, Any]) -> float:
        made = datetime.fromisoformat(job["metadata"]["creationTimestamp"].replace("Z", "+00:00"))
        return (datetime.now(UTC) - made).total_seconds()

    def _job_body(self, metric: Metric, window: float, name: str) -> dict[str, Any]:
        body: dict[str, Any] = json.loads(metrics.filled(json.dumps(metric.source), self.canary, window))
        meta = {**(body.get("metadata") or {}), "name": name}
        meta["labels"] = {**(meta.get("labels") or {}), MANAGED_BY_LABEL: FIELD_MANAGER, "app": self.canary.service}
        spec = {"ttlSecondsAfterFinished": 3600, "backoffLimit": 0, **body["spec"]}
        return {"apiVersion": "batch/v1", "kind": "Job", "metadata": meta, "spec": spec}


def _path_finding(metric: Metric) -> str:
    if jmespath is None:
        return "the Python package jmespath is missing; install it to read values from HTTP responses"
    try:
        jmespath.compile(metric.path)
    except jmespath.exceptions.JMESPathError as error:
        return f"analysis {metric.name}: value is {metric.path!r}; expected a JMESPath expression ({error})"
    return ""
