# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All questions about traffic to Prometheus, at once. What has no answer is unknown by its name, and ends nothing.

PRIVATE: may change at any time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._mesh import alerts, traffic
from ansible_collections.servicemesh.platform.plugins.module_utils._mesh.traffic import STEP, WINDOW, Part
from ansible_collections.servicemesh.platform.plugins.module_utils._prometheus import Prometheus, PrometheusError

# Between two looks for a workload's requests (seconds); they come with a scrape, which is each 15 s by default.
_PAUSE = 2.0
# A function for all items, at once, in their order.
Each = Callable[[Callable[[Part], Any], Iterable[Part]], list[Any]]


@dataclass(slots=True)
class Findings:
    """What was read. `unknown`: what was not, or not completely."""

    workloads: list[dict[str, Any]] = field(default_factory=list)
    calls: list[dict[str, Any]] = field(default_factory=list)
    scrapes: list[dict[str, Any]] = field(default_factory=list)
    alerts: list[dict[str, Any]] = field(default_factory=list)
    alert_rules: int = 0
    budgets: list[dict[str, Any]] = field(default_factory=list)
    unknown: list[dict[str, str]] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """For the module's result."""
        return asdict(self)


def await_requests(
    prometheus: Prometheus, namespaces: Sequence[str], wanted: Collection[str], seconds: float, timeout: float
) -> list[str]:
    """Workloads of `wanted` (`namespace/name`) that have no requests now, after `seconds` at most; empty as soon as all have some.

    A Prometheus that does not answer meanwhile may be about to start: what it says at the end is what `read` tells.
    """
    query, deadline = traffic.range_queries(namespaces)[Part.REQUESTS], time.monotonic() + seconds
    missing = sorted(set(wanted))
    while missing:
        now = time.time()
        try:
            answer = prometheus.query_range(query, start=now - STEP, end=now, step=STEP, timeout=timeout, budget=0.0)
        except PrometheusError:
            pass
        else:
            seen = {entry["workload"] for entry in traffic.workloads(answer.series, [])}
            missing = [name for name in missing if name not in seen]
        if not missing or time.monotonic() + _PAUSE > deadline:
            break
        time.sleep(_PAUSE)
    return missing


def read(
    prometheus: Prometheus, each: Each, namespaces: Sequence[str], rule_groups: str, now: float, timeout: float
) -> Findings:
    """Everything, each question once. `now`: end of the window, Unix time; `timeout`: seconds for each answer."""
    ranges, instants = traffic.range_queries(namespaces), traffic.instant_queries(namespaces)
    found = Findings()

    def ask(part: Part) -> tuple[list[dict[str, Any]], str]:
        try:
            if part is Part.ALERTS:
                return prometheus.alerting_rules(timeout=timeout, budget=0.0), ""
            if part in ranges:
                span = {"start": now - WINDOW, "end": now, "step": STEP}
                answer = prometheus.query_range(ranges[part], **span, timeout=timeout, budget=0.0)
            else:
                answer = prometheus.query(instants[part], timeout=timeout, budget=0.0)
        except PrometheusError as error:
            return [], str(error)
        return (
            answer.series,
            f"Prometheus answers with warnings: {'; '.join(answer.warnings)}" if answer.warnings else "",
        )

    parts = list(Part)
    answers = dict(zip(parts, each(ask, parts), strict=True))
    series = {part: rows for part, (rows, _why) in answers.items()}
    found.unknown = [{"part": part.value, "why": why} for part, (_rows, why) in answers.items() if why]
    found.workloads = traffic.workloads(series[Part.REQUESTS], series[Part.DURATIONS])
    found.calls = traffic.calls(series[Part.CALLS], series[Part.CONNECTIONS])
    found.scrapes = traffic.scrapes(series[Part.SCRAPES])
    found.budgets = traffic.budgets(series[Part.BUDGETS])
    _add_alerts(found, series[Part.ALERTS], rule_groups, known=not answers[Part.ALERTS][1])
    return found


def _add_alerts(found: Findings, groups: list[dict[str, Any]], rule_groups: str, *, known: bool) -> None:
    """The alerts. Silence means something only where the platform's rules are loaded and evaluated."""
    told = alerts.alerts(groups, rule_groups)
    found.alerts, found.alert_rules = told["alerts"], told["rules"]
    if not known:
        return
    if not told["rules"]:
        why = f"Prometheus has no alerting rule in a group whose name begins with {rule_groups}"
        found.unknown.append({"part": Part.ALERTS.value, "why": why})
    if told["broken"]:
        why = f"Prometheus does not evaluate {len(told['broken'])} of {told['rules']} rules: {'; '.join(told['broken'][:3])}"
        # Without an objective, it may be that those that record them are not evaluated yet either.
        parts = [Part.ALERTS] if found.budgets else [Part.ALERTS, Part.BUDGETS]
        found.unknown += [{"part": part.value, "why": why} for part in parts]
