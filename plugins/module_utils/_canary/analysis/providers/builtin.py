# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Provider `metric`: the built-in metrics, from Istio's standard metrics in Prometheus."""

from __future__ import annotations

import dataclasses

from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis import (
    counts,
    metrics,
    queries,
    selectors,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.counts import Reading
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.faults import (
    GRPC_FAILURES,
    GRPC_STATUSES,
    Failures,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.metrics import Metric, Subject
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.providers import prometheus
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.providers.asking import (
    no_requests,
    read,
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
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.selectors import Selector
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.verdict import (
    WITHOUT_TRAFFIC,
    Sample,
    Status,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._prometheus import PrometheusError

# What the series of Istio's standard metrics are found by (https://istio.io/latest/docs/reference/config/metrics/). Labels that
# Istio leaves empty are none in Prometheus, so that only those are here which always have a value.
LABELS = (
    "reporter",
    "request_protocol",
    "destination_service_name",
    "destination_service_namespace",
    "destination_workload",
    "response_flags",
)
HTTP_LABELS = ("response_code",)
SCRAPE_LABELS = ("pod", "namespace", "job", "instance")  # of the scrape; they tell pods and their targets apart
_ISTIO, _ISTIO_HTTP = "istio_", "istio_request"


class BuiltIn(Provider):
    """Success rate and percentiles, without PromQL of the user."""

    option = "metric"
    options = {
        "metric": {
            "type": "str",
            "choices": list(metrics.BUILT_IN),
            "description": [
                "A built-in metric, from Istio's standard metrics in Prometheus. V(success_rate) is the share of the requests that the "
                "version did not fail, V(tcp_success_rate) that of TCP connections that were closed without its failure. The percentiles "
                "of the duration are in milliseconds. Which request counts as failed is in docs/canary.md.",
                "A start is refused when the series of the service have not the labels that the queries need. A service without samples "
                "may start; a note says so.",
            ],
        },
        "reporter": {
            "type": "str",
            "choices": list(metrics.REPORTERS),
            "description": "Reporter of Istio's metrics, for O(analysis[].metric). The default is both, as two metrics.",
        },
        "grpc_failures": {
            "type": "list",
            "elements": "int",
            "description": [
                "Statuses of gRPC that count as failures of the version, for V(success_rate) of O(analysis[].metric).",
                "The default is 2, 4, 12, 13, 14 and 15 (UNKNOWN, DEADLINE_EXCEEDED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE, DATA_LOSS).",
            ],
        },
        "max_age": prometheus.MAX_AGE_OPTION,
    }
    row = Row(
        measures="`success_rate` and `tcp_success_rate` (0 to 1), `p50`, `p95`, `p99` (ms) of Istio's standard metrics, as two metrics "
        "(`/destination` and `/source`: calls that never reached a pod are only counted at the source)",
        limits="4 s, 4 MiB",
        at_start="labels",
    )
    needs_prometheus = True

    def findings(self, entry: Options) -> list[str]:
        if entry["metric"] not in metrics.BUILT_IN:
            return [f"metric is {entry['metric']!r}; expected one of {', '.join(metrics.BUILT_IN)}"]
        unknown = sorted(set(entry.get("grpc_failures") or ()) - set(GRPC_STATUSES))
        return (
            [f"grpc_failures has {', '.join(map(str, unknown))}; expected statuses of gRPC, 0 to 16"] if unknown else []
        )

    def reporters(self, entry: Options) -> tuple[str, ...]:
        """Both when none is given: calls that never reached a pod are only counted at the source."""
        return (str(entry["reporter"]),) if entry.get("reporter") else metrics.REPORTERS

    def query(self, metric: Metric, subject: Subject, window: float) -> str:
        """The counters that are read; the whole queries are too long for a record of each window."""
        return f"{queries.counters(str(metric.source), subject, metric.reporter)}[{metrics.seconds(window)}]"

    def judged(self, servers: Servers, request: Request, stable: Subject) -> Outcome:
        limits = request.metric.limits
        canary = self._read(servers, request)
        other = self._read(servers, dataclasses.replace(request, subject=stable)) if limits.compares else None
        found, reason = counts.judge(limits, canary, other, request.window)
        return Outcome(
            found,
            reason,
            value=canary.value.value,
            stable=other.value.value if other else None,
            requests=canary.requests_low,
        )

    def _read(self, servers: Servers, request: Request) -> Reading:
        metric, window = request.metric, request.window
        own = metric.options.get("grpc_failures")
        found = read(
            servers,
            str(metric.source),
            request.subject,
            window,
            metric.reporter,
            request.deadline,
            failures=Failures(grpc=GRPC_FAILURES if own is None else frozenset(own)),
            max_age=prometheus.max_age(metric),
        )
        if found.value.status is not Status.MISSING or found.requests_high > 0:
            return found
        why = Sample(Status.MISSING, detail=no_requests(request.subject, window, metric.reporter))
        return dataclasses.replace(found, value=why, low=why, high=why) if found.low.value is None else found

    def tried(self, servers: Servers, metric: Metric, subject: Subject, known: Known | None) -> Trial:
        if servers.prometheus is None or known is None:
            return Trial()
        trial = Trial()
        asked = (str(metric.source), subject, 60.0, metric.reporter)
        for query in (queries.promql(*asked), queries.trust(*asked)):
            trial += prometheus.tried_query(servers.prometheus, metric.name, query, one=False)
            if trial.findings:
                return trial
            for selector in selectors.selectors_of_text(query) or []:
                if selector.name.startswith(_ISTIO):
                    trial += _tried_series(selector, metric, subject, known)
        return trial


def _tried_series(selector: Selector, metric: Metric, subject: Subject, known: Known) -> Trial:
    """Whether the series of one of Istio's metrics have the labels that the built-in queries need."""
    where = f"analysis {metric.name}"
    name = selector.name
    of_service = (
        f'{name}{{reporter="{metric.reporter}",destination_service_name="{subject.service}",'
        f'destination_service_namespace="{subject.namespace}"}}'
    )
    try:
        have = known.labels(of_service)
        unseen = not have
        have = have or known.labels(prometheus.by_name(name))
    except PrometheusError as error:
        return Trial(not_tried=(f"{where}: the labels of {name} were not checked: {error}",))
    if not have:
        return Trial(no_samples=(
            f"Prometheus has no {name} yet, of any service. Windows without enough requests are inconclusive. If the mesh has traffic, "
            f"check that its telemetry is on (Istio's standard metrics), and that Prometheus scrapes the proxies; {WITHOUT_TRAFFIC}",
        ))  # fmt: skip
    wanted = (*LABELS, *(HTTP_LABELS if name.startswith(_ISTIO_HTTP) else ()))
    missing = [label for label in (*wanted, *SCRAPE_LABELS) if label not in have]
    if missing:
        return Trial((
            f"{where}: {name} in Prometheus has no label {', '.join(missing)}, which the built-in metrics need. "
            "Expected Istio's own labels: remove what drops or renames them (Telemetry tagOverrides, metric_relabel_configs), or use "
            "metrics of your own (query)",
        ))  # fmt: skip
    if unseen:
        return Trial(no_samples=(
            f"Prometheus has no {name} of {subject.namespace}/{subject.service} yet (reporter {metric.reporter}). Windows without enough "
            f"requests are inconclusive, and inconclusive windows end in a rollback: send traffic to the service; {WITHOUT_TRAFFIC}",
        ))  # fmt: skip
    return Trial()
