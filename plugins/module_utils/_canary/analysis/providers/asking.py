# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Queries to Prometheus as samples, and the two queries of a built-in metric as a reading."""

from __future__ import annotations

from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis import (
    counts,
    metrics,
    queries,
    verdict,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.counts import Reading
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.metrics import Subject
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.providers.base import Servers
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.verdict import (
    WITHOUT_TRAFFIC,
    Sample,
    Status,
    span,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.http import Deadline
from ansible_collections.servicemesh.platform.plugins.module_utils._prometheus import (
    Answer,
    Prometheus,
    PrometheusError,
)

QUERY_SECONDS = 4.0  # that one query may take, retries included
MOST = 4 * 1024 * 1024  # bytes of one answer
NUMBERS = ("vector", "scalar")  # types of results that have numbers


def asked(servers: Servers, query: str, newest: str, most: float, deadline: Deadline) -> Sample:
    """Sample of one query. `newest`: query of the time of the newest sample behind it, empty for none; `most`: its maximum age."""
    answer = _whole(servers, query, deadline)
    sample = answer if isinstance(answer, Sample) else sample_of(answer)
    if isinstance(answer, Sample) or not newest or sample.status is not Status.OK:
        return sample
    later = _whole(servers, newest, deadline)
    age = later if isinstance(later, Sample) else sample_of(later)
    if age.status is Status.ERROR:
        return age
    if age.value is None:
        return Sample(Status.STALE, detail=f"the age of the newest sample is unknown: {age}")
    now = float(answer.series[0]["value"][0])  # Prometheus' own clock
    return verdict.sample_of_series(answer.series, age.value, now, most)


def answered(prometheus: Prometheus, query: str, deadline: Deadline) -> Answer:
    """Prometheus' answer within the time that is left. Raises PrometheusError, and TimeoutError when no time is left."""
    seconds = min(QUERY_SECONDS, deadline.left())
    return prometheus.query(query, timeout=seconds, budget=seconds, most=MOST)


def _partial(answer: Answer) -> Sample | None:
    """Warnings mean that data was left out, so that there is no number that can be trusted."""
    if not answer.warnings:
        return None
    return Sample(Status.PARTIAL, detail=f"the answer is partial: {'; '.join(answer.warnings)[:300]}")


def sample_of(answer: Answer) -> Sample:
    """Sample of an answer with one number."""
    if partial := _partial(answer):
        return partial
    if answer.kind not in NUMBERS:
        return Sample(Status.ERROR, detail=f"the query returns a {answer.kind}; expected one number")
    return verdict.sample_of_series(answer.series, None, 0.0, 0.0)


def _whole(servers: Servers, query: str, deadline: Deadline) -> Answer | Sample:
    """An answer with any number of series, or the sample that says why there is none."""
    if servers.prometheus is None:
        return Sample(Status.ERROR, detail="the address of Prometheus is not given (option prometheus)")
    try:
        return answered(servers.prometheus, query, deadline)
    except PrometheusError as error:
        return Sample(Status.ERROR, detail=str(error))
    except TimeoutError:
        return Sample(
            Status.ERROR, detail=f"Prometheus took more than {deadline.seconds:g} s for all queries of the metric"
        )


def read(
    servers: Servers, metric: str, subject: Subject, window: float, reporter: str, deadline: Deadline, **more: Any
) -> Reading:
    """The reading of a built-in metric. `more`: see `counts.reading`. Errors are readings without a number."""
    asked_for = [queries.promql(metric, subject, window, reporter)]
    if more.get("checked", True):
        asked_for.append(queries.trust(metric, subject, window, reporter))
    series: list[dict[str, Any]] = []
    for query in asked_for:
        answer = _whole(servers, query, deadline)
        if isinstance(answer, Sample):
            return counts.unmeasured(answer)
        if partial := _partial(answer):
            return counts.unmeasured(partial)
        series += answer.series
    return counts.reading(metric, series, reporter, **more)


def requests(servers: Servers, subject: Subject, window: float, reporter: str, deadline: Deadline) -> Sample:
    """Number of requests to a version in the window: the most that it can be."""
    found = read(servers, metrics.REQUESTS, subject, window, reporter, deadline)
    if found.broken:
        return Sample(Status.ERROR, detail="; ".join(found.broken))
    if found.high.status is Status.MISSING:
        return Sample(Status.MISSING, detail=no_requests(subject, window, reporter))
    return found.high


def no_requests(subject: Subject, window: float, reporter: str) -> str:
    """In words that there was no traffic, and what to do."""
    return (
        f"no requests to {subject.workload} in {span(window)} (reporter {reporter}): send traffic to the service, use a longer interval, "
        f"or check that Prometheus scrapes the proxies; {WITHOUT_TRAFFIC}"
    )
