# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: may change at any time without notice; only this collection may import it.
"""The report of a rollout: weight and metrics over time, all decisions, and the objects. How it looks is in templates/canary.*."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.metrics import QUANTILES
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.verdict import Verdict
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.state import Phase
from ansible_collections.servicemesh.platform.plugins.plugin_utils._canary_lines import (
    duration,
    metric_of,
    summary,
    value_of,
    versions,
)
from ansible_collections.servicemesh.platform.plugins.plugin_utils._reports.charts import (
    Chart,
    Line,
    Point,
    chart,
    clock,
    metric_chart,
)
from ansible_collections.servicemesh.platform.plugins.plugin_utils._reports.page import page

# Metrics that every window has numbers of: title, factor and unit of the chart.
_ALWAYS = {"success_rate": ("Success rate", 100, "%"), "p99": ("99th percentile of the duration", 1, " ms")}
_NEW, _OLD, _WEIGHT = "new", "old", "weight"  # classes of lines
# What the sign of the answer says; a run that has not ended, or waits, is open.
_ANSWERS = {Phase.PROMOTED: "yes", Phase.ROLLED_BACK: "no", Phase.FROZEN: "no"}

Entry = Mapping[str, t.Any]


@dataclass(frozen=True, slots=True)
class Judged:
    """A value that a window was judged by. Time and weight stand in a window's first row only."""

    time: str
    weight: str
    metric: str
    reporter: str
    value: str
    stable: str
    verdict: str


@dataclass(frozen=True, slots=True)
class Check:
    """A check of a decision."""

    verdict: str
    name: str
    reason: str
    query: str


@dataclass(frozen=True, slots=True)
class Decision:
    """An entry of the history."""

    time: str
    weight: str
    event: str
    verdict: str
    message: str
    checks: tuple[Check, ...]


def html(result: Mapping[str, t.Any], service: str, namespace: str) -> str:
    """The page for a module's result."""
    history: Sequence[Entry] = result.get("history") or []
    new, old = versions(result)
    weights = Line("weight", _WEIGHT, _weights(history), dots=False)
    return page(
        "canary.html.j2",
        title=f"Canary of {service}: {old} → {new}",
        answer=_ANSWERS.get(t.cast(Phase, result.get("phase")), "unknown"),
        text=summary(result, service),
        facts=_facts(result, service, namespace, history),
        new=new,
        old=old,
        charts=[
            (f"Weight of {new}", chart([weights], 0, 100, "%", _span(history))),
            *_metric_charts(history, new, old),
        ],
        judged=[row for entry in history for row in _judged(entry)],
        decisions=[_decision(entry) for entry in history],
        commands=_commands(result, service, namespace),
    )


def _facts(
    result: Mapping[str, t.Any], service: str, namespace: str, history: Sequence[Entry]
) -> list[tuple[str, str]]:
    begin, end = float(result.get("started") or 0), float(history[-1]["time"]) if history else 0.0
    windows = [entry for entry in history if entry.get("event") == "window"]
    counts = ", ".join(f"{sum(entry.get('verdict') == verdict for entry in windows)} {verdict}" for verdict in Verdict)
    proof = result.get("proof") or {}
    proved = (
        f"{'yes' if proof.get('proved') else 'no'} ({', '.join(proof.get('proxies') or []) or proof.get('why', '')})"
    )
    steps = " → ".join(f"{step} %" for step in result.get("steps") or [])
    return [
        ("Service", f"{namespace}/{service}"),
        ("Run", str(result.get("run") or "")),
        ("Started", datetime.fromtimestamp(begin, UTC).strftime("%Y-%m-%d %H:%M:%S UTC") if begin else ""),
        ("Took", duration(end - begin) if begin else ""),
        ("Steps", f"{steps}, windows of {duration(result.get('interval') or 0)}"),
        ("Windows", counts),
        ("Last weight proved", proved),
    ]


# Charts ----------------------------------------------------------------------------------------------------------------


def _weights(history: Sequence[Entry]) -> list[Point]:
    """Weight over time. A second point at each change makes it a step instead of a slope."""
    points: list[Point] = []
    for entry in history:
        now, weight = float(entry["time"]), float(entry.get("weight") or 0)
        if points and points[-1][1] != weight:
            points.append((now, points[-1][1]))
        points.append((now, weight))
    return points


def _metric_charts(history: Sequence[Entry], new: str, old: str) -> list[tuple[str, Chart | None]]:
    """A chart for each metric: those that every window has numbers of, then all others that were judged."""
    judged, span = _lines(history, new, old), _span(history)
    charts = []
    for name, (title, factor, unit) in _ALWAYS.items():
        both = [(old, _OLD, "stable"), (new, _NEW, "canary")]
        rows = [Line(label, colour, _points(history, who, name, factor)) for label, colour, who in both]
        rows += [_scaled(line, factor) for line in judged.pop(name, []) if line.dashed]
        charts.append((title, metric_chart(rows, unit, span)))
    for name, rows in judged.items():
        charts.append((name, metric_chart(rows, " ms" if name in QUANTILES else "", span)))
    return charts


def _scaled(line: Line, factor: float) -> Line:
    return replace(line, points=[(time, factor * value) for time, value in line.points])


def _lines(history: Sequence[Entry], new: str, old: str) -> dict[str, list[Line]]:
    """Values that were judged, as lines by metric. What the source reported is a line of its own where it differs."""
    found: dict[str, dict[str, list[Point]]] = {}
    for entry in history:
        for check in entry.get("checks") or []:
            name, reporter = metric_of(check)
            who = "source" if reporter == "source" else "canary"
            for key, field in ((who, "value"), ("stable", "stable")):
                if check.get(field) is not None and (key != "stable" or reporter != "source"):
                    points = found.setdefault(name, {}).setdefault(key, [])
                    points.append((float(entry["time"]), float(check[field])))
    lines: dict[str, list[Line]] = {}
    for name, series in found.items():
        rows = [Line(old, _OLD, series.get("stable", [])), Line(new, _NEW, series.get("canary", []))]
        if series.get("source") != series.get("canary"):
            rows.append(Line(f"{new} at the callers", _NEW, series.get("source", []), dashed=True))
        lines[name] = rows
    return lines


def _points(history: Sequence[Entry], who: str, name: str, factor: float) -> list[Point]:
    measured = [(entry, (entry.get("shown") or {}).get(who) or {}) for entry in history]
    return [(float(entry["time"]), factor * float(shown[name])) for entry, shown in measured if name in shown]


def _span(history: Sequence[Entry]) -> Point:
    """Start and end of a rollout: the time axis of all charts."""
    times = [float(entry["time"]) for entry in history] or [0.0]
    return min(times), max(times)


# Tables ----------------------------------------------------------------------------------------------------------------


def _weight_of(entry: Entry) -> str:
    return f"{entry.get('weight') or 0} %"


def _judged(entry: Entry) -> list[Judged]:
    """The values that a window was judged by."""
    rows: list[Judged] = []
    for check in entry.get("checks") or []:
        name, reporter = metric_of(check)
        first = not rows
        rows.append(
            Judged(
                time=clock(float(entry["time"])) if first else "",
                weight=_weight_of(entry) if first else "",
                metric=name + _dry(check),
                reporter=reporter,
                value=value_of(check),
                stable=value_of(check, "stable"),
                verdict=str(check.get("verdict") or ""),
            )
        )
    return rows


def _decision(entry: Entry) -> Decision:
    checks = [
        Check(
            str(check.get("verdict") or ""),
            f"{check.get('name')}{_dry(check)}",
            str(check.get("reason") or ""),
            str(check.get("query") or ""),
        )
        for check in entry.get("checks") or []
    ]
    return Decision(
        time=clock(float(entry["time"])),
        weight=_weight_of(entry),
        event=str(entry.get("event")).replace("_", " "),
        verdict=str(entry.get("verdict") or ""),
        message=str(entry.get("message") or ""),
        checks=tuple(checks),
    )


def _dry(check: Entry) -> str:
    return " (dry run)" if check.get("dry_run") else ""


def _commands(result: Mapping[str, t.Any], service: str, namespace: str) -> list[str]:
    """Commands that show the objects of the rollout."""
    routes = [name.partition("/") for name in result.get("virtual_services") or []]
    return [
        *(f"kubectl -n {where} get virtualservice {name} -o yaml" for where, _slash, name in routes),
        f"kubectl -n {namespace} get destinationrule,deployment,pods -l app={service}",
        f"kubectl -n {namespace} get configmap,lease canary-{service} -o yaml",
        f"kubectl -n {namespace} get events --field-selector source=servicemesh-canary",
    ]
