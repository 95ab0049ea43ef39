# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a canary measures, and the built-in metrics as PromQL. Pure.

Built-in queries take the difference of raw counters over the window instead of `increase`. A counter that appears inside the window,
as for the first error of a new version, then counts from zero, and the counter of a restarted pod counts from its restart.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from string import Template
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.verdict import Limits

REQUESTS, SUCCESS = "requests", "success_rate"
QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
BUILT_IN = (SUCCESS, *QUANTILES)
REPORTERS = ("destination", "source")
MAX_AGE = 90.0  # seconds; six of the default scrape intervals


@dataclass(frozen=True, slots=True)
class Subject:
    """One of the two versions, as metrics select it: `workload` is its Deployment, `subset` its name in the DestinationRule.

    `pods`: expression (RE2) of its pods' names, those of its newest ReplicaSet (`queries.pod_regex`); empty: of any.
    """

    service: str
    namespace: str
    subset: str
    workload: str
    pods: str = ""


@dataclass(frozen=True, slots=True)
class Metric:
    """One thing to measure.

    `provider` is the option that says what is measured (`providers/registry.py`), `options` are those of the user's entry that the
    provider knows. `reporter` is that of a built-in metric, empty for others.
    """

    name: str
    provider: str
    options: Mapping[str, Any] = field(repr=False)  # they may be secret
    limits: Limits
    reporter: str = ""
    critical: bool = False
    dry_run: bool = False

    @property
    def source(self) -> Any:
        """What is measured: the name of a built-in metric, PromQL, a URL or a Job."""
        return self.options[self.provider]


def filled(text: str, subject: Subject, window: float) -> str:
    """A user's query or URL with `$service $namespace $subset $workload $window` replaced; other dollar signs stay (`$1`)."""
    return Template(text).safe_substitute(
        service=subject.service,
        namespace=subject.namespace,
        subset=subject.subset,
        workload=subject.workload,
        window=seconds(window),
    )


def seconds(window: float) -> str:
    """A duration in PromQL, in milliseconds."""
    return f"{round(window * 1000)}ms"


# Built-in queries --------------------------------------------------------------------------------------------------------


def promql(metric: str, subject: Subject, window: float, reporter: str = "destination") -> str:
    """Query of a built-in metric over the last `window` seconds: requests (count), success_rate (0 to 1), percentiles (ms)."""
    whole = _counter(subject, reporter)
    if metric == REQUESTS:
        return f"sum({_grown(whole, window)})"
    if metric == SUCCESS:
        bad = _grown(_counter(subject, reporter, failed=True), window)
        return f"1 - (sum({bad}) or vector(0)) / sum({_grown(whole, window)})"
    buckets = _grown(_buckets(subject, reporter), window)
    return f"histogram_quantile({QUANTILES[metric]}, sum by (le) ({buckets}))"


def freshness(subject: Subject, reporter: str = "destination") -> str:
    """Query of the Unix time of the newest sample behind the built-in metrics."""
    return f"max(timestamp({_counter(subject, reporter)}))"


def _grown(selector: str, window: float) -> str:
    """Increase of each counter. A counter without a sample at the start of the window, or after a reset, counts from 0.

    A scrape that fails makes all series of its target stale (prometheus scrape/scrape.go). Without `last_over_time`, a failure at the
    start of the window would count everything since the counter's beginning, and one at the end would count nothing.
    """
    now, then = (
        f"last_over_time({selector}[{seconds(MAX_AGE)}]{offset})" for offset in ("", f" offset {seconds(window)}")
    )
    return f"({now} - {then} >= 0) or {now}"


def _counter(subject: Subject, reporter: str, *, failed: bool = False) -> str:
    matcher = ',response_code=~"5..|0"' if failed else ""
    return f"istio_requests_total{{{_istio(subject, reporter)}{matcher}}}"


def _buckets(subject: Subject, reporter: str) -> str:
    return f"istio_request_duration_milliseconds_bucket{{{_istio(subject, reporter)}}}"


def _istio(subject: Subject, reporter: str) -> str:
    return (
        f'reporter="{reporter}",destination_service_namespace="{subject.namespace}",'
        f'destination_service_name="{subject.service}",destination_workload="{subject.workload}"'
    )
