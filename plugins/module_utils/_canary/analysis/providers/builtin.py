# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Provider `metric`: the built-in metrics, from Istio's standard metrics in Prometheus."""

from __future__ import annotations

from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis import metrics, selectors
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.metrics import Metric, Subject
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.providers import prometheus
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.providers.asking import (
    asked,
    no_requests,
    requests,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.providers.base import (
    Request,
    Servers,
    Trial,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.providers.known import Known
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.providers.provider import (
    NumberProvider,
    Options,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.selectors import Selector
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.verdict import Sample, Status
from ansible_collections.servicemesh.platform.plugins.module_utils._prometheus import PrometheusError

# What the series of Istio's standard metrics are found by (https://istio.io/latest/docs/reference/config/metrics/). Labels that
# Istio leaves empty are none in Prometheus, so that only those are here which always have a value.
LABELS = (
    "reporter",
    "destination_service_name",
    "destination_service_namespace",
    "destination_workload",
    "response_flags",
)
HTTP_LABELS = ("response_code",)
SCRAPE_LABELS = ("pod", "instance")  # of the scrape; one of them tells the pods apart
_ISTIO, _ISTIO_HTTP = "istio_", "istio_request"


class BuiltIn(NumberProvider):
    """Success rate and percentiles, without PromQL of the user."""

    option = "metric"
    options = {
        "metric": {"type": "str", "choices": list(metrics.BUILT_IN)},
        "reporter": {"type": "str", "choices": list(metrics.REPORTERS)},
        "max_age": {"type": "float"},
    }
    needs_prometheus = True

    def findings(self, entry: Options) -> list[str]:
        if entry["metric"] not in metrics.BUILT_IN:
            return [f"metric is {entry['metric']!r}; expected one of {', '.join(metrics.BUILT_IN)}"]
        return []

    def reporters(self, entry: Options) -> tuple[str, ...]:
        """Both when none is given: calls that never reached a pod are only counted at the source."""
        return (str(entry["reporter"]),) if entry.get("reporter") else metrics.REPORTERS

    def query(self, metric: Metric, subject: Subject, window: float) -> str:
        return metrics.promql(str(metric.source), subject, window, metric.reporter)

    def measure(self, servers: Servers, request: Request) -> Sample:
        metric, subject, window = request.metric, request.subject, request.window
        newest = metrics.freshness(subject, metric.reporter)
        query = self.query(metric, subject, window)
        sample = asked(servers, query, newest, prometheus.max_age(metric), request.deadline)
        if sample.status not in (Status.MISSING, Status.NAN):
            return sample
        counted = requests(servers, subject, window, metric.reporter, request.deadline)
        if counted.status is Status.MISSING or counted.value == 0:
            return Sample(sample.status, detail=no_requests(subject, window, metric.reporter))
        return sample

    def tried(self, servers: Servers, metric: Metric, subject: Subject, known: Known | None) -> Trial:
        if servers.prometheus is None or known is None:
            return Trial()
        trial = Trial()
        for query in (self.query(metric, subject, 60.0), metrics.freshness(subject, metric.reporter)):
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
            "check that its telemetry is on (Istio's standard metrics), and that Prometheus scrapes the proxies",
        ))  # fmt: skip
    wanted = (*LABELS, *(HTTP_LABELS if name.startswith(_ISTIO_HTTP) else ()))
    missing = [label for label in wanted if label not in have]
    if not set(SCRAPE_LABELS) & set(have):
        missing.append(" or ".join(SCRAPE_LABELS))
    if missing:
        return Trial((
            f"{where}: {name} in Prometheus has no label {', '.join(missing)}, which the built-in metrics need. "
            "Expected Istio's own labels: remove what drops or renames them (Telemetry tagOverrides, metric_relabel_configs), or use "
            "metrics of your own (query)",
        ))  # fmt: skip
    if unseen:
        return Trial(no_samples=(
            f"Prometheus has no {name} of {subject.namespace}/{subject.service} yet (reporter {metric.reporter}). Windows without enough "
            "requests are inconclusive: send traffic to the service",
        ))  # fmt: skip
    return Trial()
