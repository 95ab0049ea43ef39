# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Provider `query`: PromQL of the user."""

from __future__ import annotations

from collections.abc import Sequence

from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis import selectors
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.metrics import (
    MAX_AGE,
    Metric,
    Subject,
    filled,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.providers.asking import (
    NUMBERS,
    asked,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.providers.base import (
    Request,
    Servers,
    Trial,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.providers.known import Known
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.providers.provider import (
    NumberProvider,
    Row,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.selectors import Selector
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.verdict import Sample
from ansible_collections.servicemesh.platform.plugins.module_utils._prometheus import (
    Failure,
    Prometheus,
    PrometheusError,
)

MAX_AGE_OPTION = {
    "type": "float",
    "description": f"Maximum age of the newest sample in seconds; an older one is stale. The default is {MAX_AGE:g}.",
}
START_SECONDS = 15.0  # that one query may take at a start, where a slow answer delays nothing else


class PrometheusQuery(NumberProvider):
    """One number from PromQL."""

    option = "query"
    options = {
        "query": {
            "type": "str",
            "description": [
                "PromQL that returns one series. C($service), C($namespace), C($subset), C($workload) and C($window) are replaced.",
                "A start is refused when Prometheus cannot parse it, or has not the metrics and labels that it names. For a metric with "
                "O(analysis[].dry_run), that is a note. The answer may take 4 seconds and have 4 MiB.",
            ],
            "approval_description": "PromQL that must return a number within O(approvals[].min) and O(approvals[].max).",
        },
        "freshness": {
            "type": "str",
            "description": "PromQL of the Unix time of the newest sample behind O(analysis[].query). It is tried at the start as well.",
        },
        "max_age": MAX_AGE_OPTION,
    }
    row = Row("one number from PromQL", limits="4 s, 4 MiB", at_start="syntax, names of metrics and labels")
    approval_options = ("query",)
    needs_prometheus = True

    def query(self, metric: Metric, subject: Subject, window: float) -> str:
        return filled(str(metric.source), subject, window)

    def measure(self, servers: Servers, request: Request) -> Sample:
        metric = request.metric
        newest = filled(str(metric.options.get("freshness") or ""), request.subject, request.window)
        query = self.query(metric, request.subject, request.window)
        return asked(servers, query, newest, max_age(metric), request.deadline)

    def tried(self, servers: Servers, metric: Metric, subject: Subject, known: Known | None) -> Trial:
        if servers.prometheus is None or known is None:
            return Trial()
        trial = Trial()
        for text in (metric.source, metric.options.get("freshness")):
            if text:
                query = filled(str(text), subject, 60.0)
                found = tried_query(servers.prometheus, metric.name, query, one=True)
                trial += found
                if not found.findings:
                    trial += _tried_names(servers.prometheus, metric, query, known)
        return trial


def max_age(metric: Metric) -> float:
    """Seconds after which the newest sample is stale."""
    return float(metric.options.get("max_age") or MAX_AGE)


# At the start ------------------------------------------------------------------------------------------------------------


def tried_query(prometheus: Prometheus, name: str, query: str, *, one: bool) -> Trial:
    """Whether Prometheus answers a query with numbers. `one`: several series cannot be judged."""
    try:
        answer = prometheus.query(query, timeout=START_SECONDS, budget=START_SECONDS)
    except PrometheusError as error:
        if error.kind is Failure.QUERY:
            return Trial((f"analysis {name}: Prometheus cannot parse the query: {error}",))
        if error.kind is Failure.EXECUTION:
            return Trial((f"analysis {name}: Prometheus cannot answer the query: {error}",))
        return Trial((f"analysis: {error}",))
    if answer.kind not in NUMBERS:
        return Trial((f"analysis {name}: the query returns a {answer.kind}; expected one number",))
    told = []
    if answer.warnings:
        told.append(
            f"analysis {name}: Prometheus answers with warnings now, and windows are inconclusive while it does: "
            f"{'; '.join(answer.warnings)[:300]}"
        )
    if one and len(answer.series) > 1:
        told.append(
            f"analysis {name}: the query returns {len(answer.series)} series now; windows with more than one are inconclusive"
        )
    return Trial(not_tried=tuple(told))


def _tried_names(prometheus: Prometheus, metric: Metric, query: str, known: Known) -> Trial:
    """Whether Prometheus has the metrics and labels that a query names."""
    where = f"analysis {metric.name}"
    found = selectors_of(prometheus, query)
    if found is None:
        return Trial(
            not_tried=(f"{where}: the names in the query were not checked, because it is not understood here",)
        )
    try:
        missing = _missing(found, known)
    except PrometheusError as error:
        return Trial(not_tried=(f"{where}: the names in the query were not checked: {error}",))
    nameless = [selector for selector in found if not selector.name]
    told = (
        (f"{where}: the query selects series without the name of a metric, which was not checked",) if nameless else ()
    )
    lines = tuple(
        f"{where}: {text}. Correct the query, or set dry_run for the metric until there are samples" for text in missing
    )
    return Trial(no_samples=lines, not_tried=told) if metric.dry_run else Trial(lines, not_tried=told)


def _missing(found: Sequence[Selector], known: Known) -> list[str]:
    names = known.names()
    unknown = [text for selector in found if (text := selectors.unknown_name(selector, names))]
    for selector in found:
        if selector.name in names:
            unknown += selectors.unknown_labels(selector, lambda name: known.labels(by_name(name)))
    return list(dict.fromkeys(unknown))


def by_name(name: str) -> str:
    """Selector of all series of a metric, whatever characters its name has."""
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'{{__name__="{escaped}"}}'


def selectors_of(prometheus: Prometheus, query: str) -> list[Selector] | None:
    """The selectors of a query, by Prometheus itself where it can do that (Prometheus 3)."""
    try:
        found = selectors.selectors_of_tree(prometheus.parsed(query))
    except PrometheusError:
        found = None
    return selectors.selectors_of_text(query) if found is None else found
