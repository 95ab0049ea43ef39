# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure the metrics of a canary by their providers, and judge the samples. Writes only Jobs."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._canary import settings as run_settings
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis import counts, metrics, queries
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.faults import DESTINATION
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.metrics import Metric, Subject
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.providers.asking import (
    asked,
    read,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.providers.base import (
    Request,
    Servers,
    Trial,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.providers.known import Known
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.providers.registry import PROVIDERS
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.scrapes import Scrapes
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.verdict import (
    Check,
    Pending,
    Sample,
    Status,
    Verdict,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.client import Client
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import KubeError
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.evidence import newest_replica_set_of
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.http import Deadline
from ansible_collections.servicemesh.platform.plugins.module_utils._prometheus import Prometheus

CHECK_SECONDS = 10.0  # that all requests of one metric may take, in one window
_SHARE = 4  # and at most this part of the window (but 2 s), so that the decision comes in time
SHOWN = (metrics.SUCCESS, "p99")


class Measurer:
    """Measurements of both versions over a window (in seconds) that ends now.

    Whatever servers answer, its methods raise nothing but Pending: an error is the reason of an inconclusive check.
    """

    def __init__(self, client: Client, prometheus: Prometheus | None, canary: Subject, stable: Subject) -> None:
        self._client, self._prometheus = client, prometheus
        self._servers = Servers(client, prometheus)
        self.canary, self.stable = canary, stable
        self._pods: dict[str, str] = {}

    @classmethod
    def of(cls, client: Client, settings: Mapping[str, Any]) -> Measurer:
        """The measurer of a run. `settings` are those of the run, with their secrets."""
        endpoint = run_settings.endpoint(settings)
        prometheus = Prometheus(endpoint, client) if endpoint else None
        return cls(client, prometheus, *run_settings.subjects(settings))

    def tried(self, wanted: Sequence[Metric]) -> Trial:
        """What a start finds out about metrics: which can never be measured, and which have no samples yet. Writes nothing."""
        known = Known(self._prometheus) if self._prometheus else None

        def tried(metric: Metric) -> Trial:
            try:
                return PROVIDERS[metric.provider].tried(self._servers, metric, self.canary, known)
            except Exception as error:  # what a server answered that nobody foresaw
                return Trial(not_tried=(f"analysis {metric.name}: it was not tried: {_in_words(error)}",))

        trial = Trial()
        for found in self._client.each(tried, wanted):
            trial += found
        return trial

    def measure(self, wanted: Sequence[Metric], window: float, name: str, waited: float = 0.0) -> list[Check]:
        """A check of each metric. Raises Pending while a Job runs.

        `name`: prefix of the names of this window's Jobs, which no other window has. `waited`: seconds since the window ended.
        """

        def check(metric: Metric) -> Check:
            deadline = _deadline(window)
            try:
                request = Request(metric, self._with_pods(self.canary), window, deadline, job=name, waited=waited)
                return self._check(request)
            except Pending:
                raise
            except Exception as error:  # the last guard: an analysis that raises would leave the canary its traffic
                reason = f"the measurement failed: {_in_words(error)}"
                return _labelled(metric, Check(metric.name, Verdict.INCONCLUSIVE, reason))

        return self._client.each(check, wanted)

    def shown(self, window: float) -> dict[str, dict[str, float]]:
        """Requests, success rate and p99 (ms) of both versions, for people; values that are not available are left out."""
        if self._prometheus is None:
            return {}
        wanted = [(who, what) for who in (self.canary, self.stable) for what in SHOWN]

        def ask(pair: tuple[Subject, str]) -> counts.Reading:
            who, what = pair
            try:
                deadline = _deadline(window)
                return read(self._servers, what, self._with_pods(who), window, DESTINATION, deadline, checked=False)
            except Exception as error:  # as in `measure`
                return counts.unmeasured(Sample(Status.ERROR, detail=_in_words(error)))

        result: dict[str, dict[str, float]] = {"canary": {}, "stable": {}}
        for (who, what), found in zip(wanted, self._client.each(ask, wanted), strict=True):
            numbers = result["canary" if who is self.canary else "stable"]
            if what == metrics.SUCCESS and found.value.status in (Status.OK, Status.MISSING):
                numbers[metrics.REQUESTS] = round(found.requests_low, 5)
            if found.value.value is not None:
                numbers[what] = round(found.value.value, 5)
        return result

    def requests_inside(self, who: Subject, window: float) -> Sample:
        """Number of requests to a version that were counted between two scrapes of the window."""
        return self._asked(queries.inside(self._if_known(who), window), window)

    def scrapes(self, who: Subject, reporters: Sequence[str], interval: float) -> list[Scrapes]:
        """How long ago the proxies were scraped, by reporter. `interval`: of the windows, in seconds."""
        subject = self._if_known(who)

        def age(query: str) -> Sample:
            return self._asked(f"time() - {query}", interval)

        wanted = [query(subject, reporter) for reporter in reporters for query in (queries.freshness, queries.oldest)]
        ages = self._client.each(age, wanted)
        return [Scrapes(*pair) for pair in zip(ages[::2], ages[1::2], strict=True)]

    def _if_known(self, who: Subject) -> Subject:
        try:
            return self._with_pods(who)
        except KubeError:  # with any pods, more requests and older scrapes count
            return who

    def _asked(self, query: str, window: float) -> Sample:
        try:
            return asked(self._servers, query, "", 0.0, _deadline(window))
        except Exception as error:  # as in `measure`
            return Sample(Status.ERROR, detail=f"the measurement failed: {_in_words(error)}")

    def _with_pods(self, who: Subject) -> Subject:
        """The version with the names of its present pods: those of the version before have the same labels otherwise.

        Any pods when the Deployment or its ReplicaSets cannot be read. Each is read once: a measurer is made for one call of the module.
        """
        if self._prometheus is None:
            return who
        if who.workload not in self._pods:
            path = f"/apis/apps/v1/namespaces/{who.namespace}/deployments/{who.workload}"
            deployment = self._client.get(path)
            replica_set = newest_replica_set_of(self._client, deployment) if deployment else ""
            self._pods[who.workload] = queries.pod_regex(replica_set)
        return dataclasses.replace(who, pods=self._pods[who.workload])

    def _check(self, request: Request) -> Check:
        metric = request.metric
        provider = PROVIDERS[metric.provider]
        stable = self._with_pods(self.stable) if metric.limits.compares else self.stable
        found = provider.judged(self._servers, request, stable)
        query = provider.query(metric, request.subject, request.window)
        check = Check(metric.name, found.verdict, found.reason, found.value, found.stable, found.requests, query)
        return _labelled(metric, check)


def _deadline(window: float) -> Deadline:
    return Deadline(min(CHECK_SECONDS, max(2.0, window / _SHARE)))


def _labelled(metric: Metric, check: Check) -> Check:
    return dataclasses.replace(check, critical=metric.critical, dry_run=metric.dry_run, reporter=metric.reporter)


def _in_words(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error)[:200]}".rstrip(": ")
