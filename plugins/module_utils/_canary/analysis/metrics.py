# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a canary measures: the user's metrics, checked, and the built-in metrics as PromQL. Pure.

Built-in queries take the difference of raw counters over the window instead of `increase`. A counter that appears inside the window,
as for the first error of a new version, then counts from zero, and the counter of a restarted pod counts from its restart.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from string import Template
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.verdict import (
    NO_NUMBER,
    Limits,
    Status,
    Verdict,
)

Options = Mapping[str, Any]

REQUESTS, SUCCESS = "requests", "success_rate"
QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
BUILT_IN = (SUCCESS, *QUANTILES)
TELEMETRY = ("istio", "envoy")
REPORTERS = ("destination", "source")
MAX_AGE = 90.0  # seconds; six of the default scrape intervals

_BOUNDS = ("min", "max", "min_ratio", "max_ratio", "min_difference", "max_difference")
_SOURCES = ("metric", "query", "url", "job")  # options that say what is measured; an entry has one of them
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./-]{0,62}")


class Kind(StrEnum):
    """How a metric is measured."""

    BUILT_IN = "built_in"
    QUERY = "query"
    HTTP = "http"
    JOB = "job"


_KINDS = {"metric": Kind.BUILT_IN, "query": Kind.QUERY, "url": Kind.HTTP, "job": Kind.JOB}


@dataclass(frozen=True, slots=True)
class Subject:
    """One of the two versions, as metrics select it: `workload` is its Deployment, `subset` its name in the DestinationRule."""

    service: str
    namespace: str
    subset: str
    workload: str


@dataclass(frozen=True, slots=True)
class Metric:
    """One thing to measure. `source` is the name of a built-in metric, PromQL, a URL or a Job, by `kind`."""

    name: str
    kind: Kind
    source: Any
    limits: Limits
    reporter: str = ""
    path: str = ""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    freshness: str = ""
    max_age: float = MAX_AGE
    timeout: float = 60.0
    critical: bool = False
    dry_run: bool = False


def findings(analysis: Sequence[Options], *, prometheus: bool) -> list[str]:
    """Everything that is wrong with the user's metrics. `prometheus`: whether the address of Prometheus is given."""
    found: list[str] = []
    if not any(not entry.get("dry_run") for entry in analysis):
        found.append("analysis: no metric counts; expected at least one metric without dry_run")
    seen: set[str] = set()
    for index, entry in enumerate(analysis):
        name = str(entry.get("name") or entry.get("metric") or "")
        where = f"analysis[{index}]" + (f" ({name})" if name else "")
        if not _NAME.fullmatch(name):
            found.append(f"{where}: name is {name!r}; expected a name of letters, digits and _ . / -")
        elif name in seen:
            found.append(f"{where}: the name is used twice; expected a different name for each metric")
        seen.add(name)
        found += [f"{where}: {finding}" for finding in _findings_of(entry, prometheus)]
    return found


def _findings_of(entry: Options, prometheus: bool) -> list[str]:
    sources = [key for key in _SOURCES if entry.get(key)]
    if len(sources) != 1:
        return [f"has {' and '.join(sources) or 'nothing to measure'}; expected one of {', '.join(_SOURCES)}"]
    found = []
    kind = sources[0]
    if kind == "metric" and entry["metric"] not in BUILT_IN:
        found.append(f"metric is {entry['metric']!r}; expected one of {', '.join(BUILT_IN)}")
    if kind in ("metric", "query") and not prometheus:
        found.append("needs Prometheus; expected prometheus.url or prometheus.service")
    if kind == "url":
        if not str(entry["url"]).startswith(("http://", "https://")):
            found.append(f"url is {entry['url']!r}; expected a URL that begins with http:// or https://")
        if not entry.get("value"):
            found.append("value is missing; expected a JMESPath expression that finds the number in the answer")
    if kind == "job":
        found += _job_findings(entry)
    bounds = [name for name in _BOUNDS if entry.get(name) is not None]
    if kind != "job" and not bounds:
        found.append(f"has no limit, so it can never fail; expected one of {', '.join(_BOUNDS)}")
    if entry.get("min_requests") and not prometheus:
        found.append("min_requests needs Prometheus; expected prometheus.url or prometheus.service")
    if (
        kind in ("url", "job")
        and any(name.endswith(("ratio", "difference")) for name in bounds)
        and "$" not in str(entry)
    ):
        found.append("is compared with stable, but measures the same for both; expected $subset or $workload in it")
    for low, high in (("min", "max"), ("min_ratio", "max_ratio"), ("min_difference", "max_difference")):
        least, most = entry.get(low), entry.get(high)
        if least is not None and most is not None and least > most:
            found.append(f"{low} is {least:g}, above {high}, which is {most:g}")
    for key, value in (entry.get("otherwise") or {}).items():
        if key not in NO_NUMBER:
            found.append(f"otherwise.{key}: expected one of {', '.join(NO_NUMBER)}")
        if value not in tuple(Verdict):
            found.append(f"otherwise.{key} is {value!r}; expected one of {', '.join(Verdict)}")
    return found


def _job_findings(entry: Options) -> list[str]:
    job = entry["job"]
    spec = job.get("spec") if isinstance(job, Mapping) else None
    if not isinstance(spec, Mapping) or not isinstance(spec.get("template"), Mapping):
        return ["job is not a Job; expected a spec with a template"]
    return []


def metrics_of(analysis: Sequence[Options], telemetry: str) -> list[Metric]:
    """The metrics of valid options. Istio's metrics are measured at both ends when no reporter is given."""
    found = []
    for entry in analysis:
        source = next(key for key in _SOURCES if entry.get(key))
        limits = Limits(
            **{name: entry.get(name) for name in _BOUNDS},
            min_requests=int(entry.get("min_requests") or 0),
            otherwise={Status(key): Verdict(value) for key, value in (entry.get("otherwise") or {}).items()},
        )
        common: dict[str, Any] = {
            "limits": limits,
            "critical": bool(entry.get("critical")),
            "dry_run": bool(entry.get("dry_run")),
            "max_age": float(entry.get("max_age") or MAX_AGE),
            "timeout": float(entry.get("timeout") or 60.0),
            "freshness": str(entry.get("freshness") or ""),
        }
        name = str(entry.get("name") or entry.get("metric"))
        if source == "metric":
            both = telemetry == "istio" and not entry.get("reporter")
            for reporter in REPORTERS if both else (str(entry.get("reporter") or "destination"),):
                shown = f"{name}/{reporter}" if both else name
                found.append(Metric(shown, Kind.BUILT_IN, entry["metric"], reporter=reporter, **common))
        else:
            found.append(
                Metric(
                    name,
                    _KINDS[source],
                    entry[source],
                    path=str(entry.get("value") or ""),
                    headers=dict(entry.get("headers") or {}),
                    **common,
                )
            )
    return found


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


def promql(metric: str, telemetry: str, subject: Subject, window: float, reporter: str = "destination") -> str:
    """Query of a built-in metric over the last `window` seconds: requests (count), success_rate (0 to 1), percentiles (ms)."""
    whole = _counter(telemetry, subject, reporter)
    if metric == REQUESTS:
        return f"sum({_grown(whole, window)})"
    if metric == SUCCESS:
        bad = _grown(_counter(telemetry, subject, reporter, failed=True), window)
        return f"1 - (sum({bad}) or vector(0)) / sum({_grown(whole, window)})"
    buckets = _grown(_buckets(telemetry, subject, reporter), window)
    return f"histogram_quantile({QUANTILES[metric]}, sum by (le) ({buckets}))"


def freshness(telemetry: str, subject: Subject, reporter: str = "destination") -> str:
    """Query of the Unix time of the newest sample behind the built-in metrics."""
    return f"max(timestamp({_counter(telemetry, subject, reporter)}))"


def _grown(selector: str, window: float) -> str:
    """Increase of each counter. A counter without a sample at the start of the window, or after a reset, counts from 0.

    A scrape that fails makes all series of its target stale (prometheus scrape/scrape.go). Without `last_over_time`, a failure at the
    start of the window would count everything since the counter's beginning, and one at the end would count nothing.
    """
    now, then = (
        f"last_over_time({selector}[{seconds(MAX_AGE)}]{offset})" for offset in ("", f" offset {seconds(window)}")
    )
    return f"({now} - {then} >= 0) or {now}"


def _counter(telemetry: str, subject: Subject, reporter: str, *, failed: bool = False) -> str:
    if telemetry == "envoy":
        # Envoy reports classes of codes: 0xx or 5xx when there was no response (docs/observability.md).
        matcher = 'response_code_class=~"5xx|0xx"' if failed else 'response_code_class!=""'
        return f"envoy_cluster_upstream_rq{{{_envoy(subject)},{matcher}}}"
    matcher = ',response_code=~"5..|0"' if failed else ""
    return f"istio_requests_total{{{_istio(subject, reporter)}{matcher}}}"


def _buckets(telemetry: str, subject: Subject, reporter: str) -> str:
    if telemetry == "envoy":
        return f"envoy_cluster_upstream_rq_time_bucket{{{_envoy(subject)}}}"
    return f"istio_request_duration_milliseconds_bucket{{{_istio(subject, reporter)}}}"


def _envoy(subject: Subject) -> str:
    return (
        f'direction="outbound",destination_service_namespace="{subject.namespace}",'
        f'destination_service_name="{subject.service}",subset="{subject.subset}"'
    )


def _istio(subject: Subject, reporter: str) -> str:
    return (
        f'reporter="{reporter}",destination_service_namespace="{subject.namespace}",'
        f'destination_service_name="{subject.service}",destination_workload="{subject.workload}"'
    )
