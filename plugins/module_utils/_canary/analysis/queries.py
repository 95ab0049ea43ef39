# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All PromQL of the built-in metrics, on Istio's standard metrics. Pure; `counts` reads the answers.

A count of requests by outcome is one query, so that it is one snapshot of one server: two Prometheus replicas behind one address differ
by a scrape, or by hours when one of them has just started. Series have the label `part` (see `Part`), and those of counts the labels that
tell who failed. `trust` asks beside it for what makes the counters worthless.

How much a counter grew is the difference of two samples: the last one in the window, and the last one before it, at most `LOOKBACK`
seconds older. Both are found with `last_over_time`, because a failed scrape makes all series of its target stale (Prometheus'
scrape/scrape.go), and `increase` neither sees the first sample of a new series nor stays whole: it extrapolates.

A counter without a sample before the window counts from 0 when its own target (job, instance, pod) was scraped there: all series of a
target come with each scrape, so the counter began later. That is as sure at the source as at the destination, and nothing else is: without
such a scrape it may have its value since yesterday (a Prometheus that lost its data, a previous canary with the same labels). Then only
its growth between two samples of the window is sure, and the rest is a doubt.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum

from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis import faults
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.metrics import (
    CONNECTIONS,
    QUANTILES,
    REQUESTS,
    SUCCESS,
    TCP_SUCCESS,
    Subject,
    seconds,
)

LOOKBACK = 90.0  # seconds; six of the default scrape intervals
UNKNOWN = "unknown"  # Istio's value of a label whose value it does not know

# Labels of a target. Prometheus replicas differ in the last ones, which the Operator and Thanos add.
REPLICAS = ("prometheus", "prometheus_replica", "replica")
_TARGET = ",".join(("namespace", "pod", "job", "instance", *REPLICAS))
_OUTCOME_LABELS = "request_protocol,response_flags,response_code,grpc_response_status,destination_workload"
# `generateName` keeps this many characters of a name, and adds five (k8s.io/apiserver pkg/storage/names/generate.go).
_GENERATED, _RANDOM = 58, 5


class Part(StrEnum):
    """What a series of an answer is; its value counts requests, connections, or for the last ones series and targets."""

    SURE = "sure"  # grew in the window
    DOUBT = "doubt"  # may have grown in the window: 0 up to this
    NEWEST = "newest"  # Unix time of the newest sample
    ASKED = "asked"  # that `trust` was asked
    RESTARTED = "restarted"  # by pod: counters began again in the window, or in `LOOKBACK` before it
    UNSCRAPED = "unscraped"  # by pod: no scrape succeeded in the window
    TWICE = "twice"  # by job: targets that several servers scrape, told apart by a label that is not one of `REPLICAS`
    PODLESS = "podless"  # series that do not say which pod they are from


def promql(metric: str, subject: Subject, window: float, reporter: str = faults.DESTINATION) -> str:
    """Query of a built-in metric over the last `window` seconds. `counts.reading` makes a number of its answer and of that to `trust`."""
    keys = "le" if metric in QUANTILES else _OUTCOME_LABELS
    counter = f"{_name(metric)}{{{_selector(subject, reporter, nowhere=metric in (SUCCESS, TCP_SUCCESS))}}}"
    grown = _counts(counter, _up(subject, reporter), keys, window)
    return _joined({**grown, Part.NEWEST: f"max(timestamp({counter}))"})


def trust(metric: str, subject: Subject, window: float, reporter: str = faults.DESTINATION) -> str:
    """Query of what makes the counters of a window worthless. It is the same for all metrics of requests, percentiles included."""
    name = "istio_requests_total" if metric in QUANTILES else _name(metric)
    counter, up, duration = f"{name}{{{_selector(subject, reporter)}}}", _up(subject, reporter), seconds(window)
    whole = f"{counter}[{seconds(window + LOOKBACK)}]"
    restarted = (
        f"resets({whole})>0"
        # Series of a live target that are gone: its process began again, or its labels changed.
        f" or count by({_TARGET})(last_over_time({whole}))>count by({_TARGET})({counter})"
    )
    # Targets without a scrape: at the destination all pods of the version, at the source those that called it before.
    seen = f"on(job){counter}" if reporter == faults.DESTINATION else f"on({_TARGET})last_over_time({whole})"
    parts = {
        Part.ASKED: "vector(1)",
        Part.RESTARTED: f"count by(pod)({restarted})",
        Part.UNSCRAPED: f"count by(pod)(max by({_TARGET})(max_over_time({up}[{duration}]))==0 and {seen})",
        Part.TWICE: f"count by(job)(count by({_TARGET})({up})>1 and on({_TARGET}){counter})",
        Part.PODLESS: f"count({name}{{{_selector(subject, reporter, pod=False)}}})",
    }
    return _joined(parts)


def _name(metric: str) -> str:
    """Name of Istio's metric. Raises ValueError for a name that is not that of a built-in metric."""
    if metric in QUANTILES:
        return "istio_request_duration_milliseconds_bucket"
    names = {
        SUCCESS: "istio_requests_total",
        REQUESTS: "istio_requests_total",
        TCP_SUCCESS: "istio_tcp_connections_closed_total",
        CONNECTIONS: "istio_tcp_connections_opened_total",
    }
    if metric not in names:
        raise ValueError(f"{metric!r} is not a built-in metric; expected one of {', '.join((*names, *QUANTILES))}")
    return names[metric]


def counters(metric: str, subject: Subject, reporter: str = faults.DESTINATION) -> str:
    """Selector of the counters behind a built-in metric, for people and records: the whole query is ten times as long."""
    return f"{_name(metric)}{{{_selector(subject, reporter)}}}"


def freshness(subject: Subject, reporter: str = faults.DESTINATION) -> str:
    """Query of the Unix time of the newest sample of the counters of requests or connections."""
    return f"max(timestamp({_traffic(subject, reporter)}))"


def oldest(subject: Subject, reporter: str = faults.DESTINATION) -> str:
    """Query of the Unix time of the oldest present sample of these counters: that of the proxy which was scraped longest ago."""
    return f"min(timestamp({_traffic(subject, reporter)}))"


def inside(subject: Subject, window: float, reporter: str = faults.DESTINATION) -> str:
    """Query of the requests or connections that were counted between two scrapes of the window, and so surely came after its beginning.

    No series when no proxy was scraped in the window. It proves that requests have ended; a verdict counts from the scrape before.
    """
    counter, duration = _traffic(subject, reporter), seconds(window)
    grown = f"last_over_time({counter}[{duration}]) - min_over_time({counter}[{duration}])"
    return f"sum(max by(namespace,pod,{_OUTCOME_LABELS})(sum by({_TARGET},{_OUTCOME_LABELS})({grown})))"


def pod_regex(replica_set: str) -> str:
    """RE2 expression of the names of a ReplicaSet's pods; empty when it has no name.

    A longer name than 58 characters is cut before the hash that tells ReplicaSets apart, so that it selects those of the others too.
    """
    if not replica_set:
        return ""
    return f"{_literal(f'{replica_set}-'[:_GENERATED])}[a-z0-9]{{{_RANDOM}}}"


def _counts(counter: str, up: str, keys: str, window: float) -> dict[Part, str]:
    """How much the counters grew, summed by labels. Of several scrapes of one pod (servers, jobs) the largest growth is taken."""
    now, before = f"[{seconds(window)}]", f"[{seconds(LOOKBACK)}] offset {seconds(window)}"
    last, then = f"last_over_time({counter}{now})", f"last_over_time({counter}{before})"
    first = f"min_over_time({counter}{now})"
    scraped = f"on({_TARGET})(max by({_TARGET})(max_over_time({up}{before}))==1)"
    grown = {
        Part.SURE: f"{last}-({then} or 0*{first} and {scraped} or {first})",
        Part.DOUBT: f"{first} unless {then} unless {scraped}",
    }
    return {
        part: f"sum by({keys})(max by(namespace,pod,{keys})(sum by({_TARGET},{keys})({query})))"
        for part, query in grown.items()
    }


def _joined(parts: Mapping[Part, str]) -> str:
    return " or ".join(f'label_replace({query},"part","{part}","","")' for part, query in parts.items())


def _traffic(subject: Subject, reporter: str) -> str:
    """Selector of what counts requests or connections, whichever the service has. Labels tell the two apart."""
    return f'{{__name__=~"istio_requests_total|istio_tcp_connections_opened_total",{_selector(subject, reporter)}}}'


def _selector(subject: Subject, reporter: str, *, pod: bool = True, nowhere: bool = False) -> str:
    """Matchers of a version's series.

    `nowhere`: at the source also calls for which no pod was chosen (flag UH). They have the Service alone: the other labels are unknown,
    because the filter takes the namespace and the workload from the chosen endpoint (istio_stats.cc, populatePeerInfo).
    """
    service, namespace = _literal(subject.service), _literal(subject.namespace)
    if nowhere and reporter == faults.SOURCE:
        own = (
            f'destination_service=~"{service}[.]{namespace}([.].+)?",'
            f'destination_workload=~"{_literal(subject.workload)}|{UNKNOWN}",'
            f'destination_service_namespace=~"{namespace}|{UNKNOWN}"'
        )
    else:
        own = f'destination_workload="{subject.workload}",destination_service_namespace="{subject.namespace}"'
    pods = 'pod!=""' if pod else 'pod=""'
    if pod and reporter == faults.DESTINATION and subject.pods:
        pods = f'pod=~"{subject.pods}"'
    return f'reporter="{reporter}",destination_service_name="{subject.service}",{own},{pods}'


def _up(subject: Subject, reporter: str) -> str:
    """Selector of the targets that have a version's series: its own pods at the destination, any pod at the source."""
    if reporter == faults.SOURCE:
        return 'up{pod!=""}'
    pods = f'=~"{subject.pods}"' if subject.pods else '!=""'
    return f'up{{namespace="{subject.namespace}",pod{pods}}}'


def _literal(text: str) -> str:
    """A name of Kubernetes in RE2: of its characters only the dot has a meaning there."""
    return re.sub(r"\.", "[.]", text)
