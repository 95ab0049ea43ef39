# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure what a canary is judged by: ask Prometheus, an HTTP endpoint or a Job, and hand over samples."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from ansible.module_utils.urls import open_url
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis import metrics as metrics
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis import verdict as verdicts
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.metrics import Metric, Subject
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.verdict import Check, Sample
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.client import Client
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.objects import FIELD_MANAGER, MANAGED_BY_LABEL
from ansible_collections.servicemesh.platform.plugins.module_utils._prometheus import Prometheus, PrometheusError

try:
    import jmespath  # type: ignore[import-untyped]
except ImportError:  # told by `problems`
    jmespath = None

# Seconds that one question may take, tries included: a check is as long as its slowest question.
_PATIENCE = 4.0
_FIRST_PATIENCE = 15.0  # before the start nobody waits for anything else
SHOWN = (metrics.REQUESTS, metrics.SUCCESS, "p99")


class Pending(Exception):  # noqa: N818  # no error: the Job of a metric has not ended
    """A measurement that takes longer than this call; the window's verdict has to wait for it."""


class Measurer:
    """Measurements of both versions over one window of `window` seconds that ends now."""

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

    def problems(self, wanted: Sequence[Metric]) -> list[str]:
        """What would keep the metrics from ever being measured: a query that does not parse, nobody who answers."""
        found: dict[str, None] = {}
        for answer in self._client.each(self._problem, wanted):
            if answer:
                found[answer] = None
        return list(found)

    def _problem(self, metric: Metric) -> str:
        if metric.kind == "http":
            if jmespath is None:
                return "the Python package jmespath is missing; install it to read values from HTTP answers"
            try:
                jmespath.compile(metric.path)
            except jmespath.exceptions.JMESPathError as error:
                return f"analysis {metric.name}: value is {metric.path!r}; expected a JMESPath expression ({error})"
            return ""
        if metric.kind == "job" or self._prometheus is None:
            return ""
        for query in (self._query(metric, self.canary, 60.0), metrics.filled(metric.freshness, self.canary, 60.0)):
            try:
                if query:
                    self._prometheus.query(query, timeout=_FIRST_PATIENCE, budget=_FIRST_PATIENCE)
            except PrometheusError as error:
                if error.kind == "query":
                    return f"analysis {metric.name}: Prometheus does not understand the query: {error}"
                return f"analysis: {error}"
        return ""

    def measure(self, wanted: Sequence[Metric], window: float, name: str) -> list[Check]:
        """A check of each metric. `name` is what Jobs of this window are called. Raises Pending."""

        def check(metric: Metric) -> Check:
            return self._check(metric, window, name)

        return self._client.each(check, wanted)

    def shown(self, window: float) -> dict[str, dict[str, float]]:
        """Requests, success rate and p99 (ms) of both versions, for people; what cannot be had is left out."""
        if self._prometheus is None:
            return {}
        asked = [(who, what) for who in (self.canary, self.stable) for what in SHOWN]

        def ask(pair: tuple[Subject, str]) -> Sample:
            return self._ask(metrics.promql(pair[1], self._telemetry, pair[0], window), None, 0.0)

        values = self._client.each(ask, asked)
        result: dict[str, dict[str, float]] = {"canary": {}, "stable": {}}
        for (who, what), sample in zip(asked, values, strict=True):
            if sample.value is not None:
                result["canary" if who is self.canary else "stable"][what] = round(sample.value, 5)
        return result

    def requests(self, who: Subject, window: float, reporter: str = "destination") -> Sample:
        """Number of requests that a version got in the window."""
        return self._ask(metrics.promql(metrics.REQUESTS, self._telemetry, who, window, reporter), None, 0.0)

    def _check(self, metric: Metric, window: float, name: str) -> Check:
        if metric.kind == "job":
            verdict, reason = self._job(metric, window, name)
            return Check(metric.name, verdict, reason, critical=metric.critical, dry_run=metric.dry_run)
        canary = self._sample(metric, self.canary, window)
        stable = self._sample(metric, self.stable, window) if metric.limits.compares else None
        requests = None
        if metric.limits.min_requests:
            requests = self.requests(self.canary, window, metric.reporter or "destination")
        verdict, reason = verdicts.judge(metric.limits, canary, stable, requests)
        return Check(
            metric.name,
            verdict,
            reason,
            value=canary.value,
            stable=stable.value if stable else None,
            requests=requests.value if requests else None,
            asked=self._query(metric, self.canary, window),
            critical=metric.critical,
            dry_run=metric.dry_run,
        )

    def _query(self, metric: Metric, who: Subject, window: float) -> str:
        if metric.kind == "built_in":
            return metrics.promql(metric.source, self._telemetry, who, window, metric.reporter)
        return metrics.filled(str(metric.source), who, window)

    def _sample(self, metric: Metric, who: Subject, window: float) -> Sample:
        if metric.kind == "http":
            return self._http(metric, who, window)
        newest = metrics.filled(metric.freshness, who, window)
        if metric.kind == "built_in":
            newest = metrics.freshness(self._telemetry, who, metric.reporter)
        return self._ask(self._query(metric, who, window), newest or None, metric.max_age)

    def _ask(self, query: str, newest: str | None, max_age: float) -> Sample:
        """Sample of one query; `newest` asks for the time of the newest sample behind it."""
        if self._prometheus is None:
            return Sample(verdicts.ERROR, detail="nobody said where Prometheus is")
        try:
            answer = self._prometheus.query(query, timeout=_PATIENCE, budget=_PATIENCE)
            sample = verdicts.sample_of_series(answer.series, None, 0.0, 0.0)
            if newest is None or sample.status != verdicts.OK:
                return sample
            age = self._prometheus.query(newest, timeout=_PATIENCE, budget=_PATIENCE)
        except PrometheusError as error:
            return Sample(verdicts.ERROR, detail=str(error))
        seen = verdicts.sample_of_series(age.series, None, 0.0, 0.0)
        if seen.value is None:
            return Sample(verdicts.STALE, detail=f"how old the newest sample is cannot be told: {seen}")
        now = float(answer.series[0]["value"][0])  # Prometheus' own clock
        return verdicts.sample_of_series(answer.series, seen.value, now, max_age)

    def _http(self, metric: Metric, who: Subject, window: float) -> Sample:
        url = metrics.filled(str(metric.source), who, window)
        try:
            answer = open_url(url, headers=dict(metric.headers), timeout=_PATIENCE, http_agent="servicemesh-platform")
            document = json.loads(answer.read())
        except (OSError, ValueError) as error:  # HTTPError and URLError are OSErrors
            return Sample(verdicts.ERROR, detail=f"{url.partition('?')[0]}: {getattr(error, 'reason', error)}")
        return verdicts.sample_of_value(jmespath.search(metric.path, document))

    def _job(self, metric: Metric, window: float, name: str) -> tuple[str, str]:
        """Verdict of a Job: it has to complete. It is made once a window, under a name that says which."""
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
            return verdicts.PASS, f"Job {full} completed"
        if "Failed" in conditions:
            return verdicts.FAIL, f"Job {full} failed: {conditions['Failed'].get('message', '')}"
        age = self._age(job)
        if age < metric.timeout:
            raise Pending
        return (
            metric.limits.otherwise.get(verdicts.MISSING, verdicts.INCONCLUSIVE),
            f"Job {full} has not ended after {age:.0f} s",
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
