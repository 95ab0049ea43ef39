# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: may change at any time without notice; only this collection may import it.
"""The report of a rollout: one HTML page without external files, with weight and metrics over time, all decisions, and the objects."""

from __future__ import annotations

import html
import typing as t
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.metrics import QUANTILES
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.verdict import Verdict
from ansible_collections.servicemesh.platform.plugins.plugin_utils._canary_lines import (
    duration,
    metric_of,
    summary,
    value_of,
    versions,
)

WIDTH, HEIGHT, LEFT, BOTTOM = 860, 150, 66, 22  # pixels of a chart and of its margins
_STYLE = """
body{font:15px/1.45 system-ui,sans-serif;color:#1c2733;background:#fff;max-width:60rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem;margin:0 0 .3rem}h2{font-size:1.05rem;margin:1.8rem 0 .4rem}
.end{padding:.6rem .9rem;border-radius:6px;border-left:5px solid #8795a1;background:#f2f5f7}
.promoted{border-color:#1f8a4c;background:#eaf6ef}.rolled_back,.frozen{border-color:#c0392b;background:#fbeceb}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.1rem 1rem}dt{color:#5b6b79}dd{margin:0}
table{border-collapse:collapse;width:100%;font-size:13px}
td,th{text-align:left;padding:.3rem .5rem;border-bottom:1px solid #e1e7ec;vertical-align:top}
.n{text-align:right!important;white-space:nowrap}code{font-size:12px;color:#44525f;overflow-wrap:anywhere}
.pass{color:#1f8a4c}.fail{color:#c0392b;font-weight:600}.inconclusive{color:#a66a00}
svg text{font:11px system-ui,sans-serif;fill:#5b6b79}details{margin:.1rem 0}
"""
_NEW, _OLD, _WEIGHT = "#d9730d", "#3b6fb6", "#5b4bb5"  # colours of lines
# Metrics that every window has numbers of: title, factor and unit of the chart.
_ALWAYS = {"success_rate": ("Success rate", 100, "%"), "p99": ("99th percentile of the duration", 1, " ms")}

Point = tuple[float, float]
Entry = Mapping[str, t.Any]


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a chart: its name in the legend, and its points (Unix seconds, value). `dots`: each point is marked."""

    name: str
    colour: str
    points: Sequence[Point]
    dots: bool = True
    dashed: bool = False


def page(result: Mapping[str, t.Any], service: str, namespace: str) -> str:
    """The report for a module's result."""
    history: Sequence[Entry] = result.get("history") or []
    new, old = versions(result)
    title = f"Canary of {service}: {old} → {new}"
    phase = str(result.get("phase") or "")
    parts = [
        f"<h1>{_text(title)}</h1>",
        f'<p class="end {_text(phase)}">{_text(summary(result, service))}</p>',
        _facts(result, service, namespace, history),
        f"<h2>Weight of {_text(new)}</h2>",
        chart([Line("weight", _WEIGHT, _weights(history), dots=False)], 0, 100, "%", _span(history)),
        *_metric_charts(history, new, old),
        "<h2>What was judged</h2>",
        _values(history, new, old),
        "<h2>Decisions</h2>",
        _decisions(history),
        "<h2>Where the objects are</h2>",
        _objects(result, service, namespace),
    ]
    head = f'<meta charset="utf-8"><title>{_text(title)}</title><style>{_STYLE}</style>'
    return f'<!doctype html>\n<html lang="en"><head>{head}</head><body>\n' + "\n".join(parts) + "\n</body></html>\n"


def _text(value: t.Any) -> str:
    return html.escape(str(value))


def _clock(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%H:%M:%S")


def _facts(result: Mapping[str, t.Any], service: str, namespace: str, history: Sequence[Entry]) -> str:
    begin, end = float(result.get("started") or 0), float(history[-1]["time"]) if history else 0.0
    windows = [entry for entry in history if entry.get("event") == "window"]
    counts = ", ".join(f"{sum(entry.get('verdict') == verdict for entry in windows)} {verdict}" for verdict in Verdict)
    proof = result.get("proof") or {}
    proved = (
        f"{'yes' if proof.get('proved') else 'no'} ({', '.join(proof.get('proxies') or []) or proof.get('why', '')})"
    )
    rows = {
        "Service": f"{namespace}/{service}",
        "Run": result.get("run", ""),
        "Started": datetime.fromtimestamp(begin, UTC).strftime("%Y-%m-%d %H:%M:%S UTC") if begin else "",
        "Took": duration(end - begin) if begin else "",
        "Steps": " → ".join(f"{step} %" for step in result.get("steps") or [])
        + f", windows of {duration(result.get('interval') or 0)}",
        "Windows": counts,
        "Last weight proved": proved,
    }
    return "<dl>" + "".join(f"<dt>{_text(key)}</dt><dd>{_text(value)}</dd>" for key, value in rows.items()) + "</dl>"


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


def _metric_charts(history: Sequence[Entry], new: str, old: str) -> list[str]:
    """A chart for each metric: those that every window has numbers of, then all others that were judged."""
    judged, span = _judged(history, new, old), _span(history)
    parts = []
    for name, (title, factor, unit) in _ALWAYS.items():
        both = [(old, _OLD, "stable"), (new, _NEW, "canary")]
        rows = [Line(label, colour, _points(history, who, name, factor)) for label, colour, who in both]
        rows += [_scaled(line, factor) for line in judged.pop(name, []) if line.dashed]
        parts += [f"<h2>{title}</h2>", _metric_chart(rows, unit, span)]
    for name, rows in judged.items():
        unit = " ms" if name in QUANTILES else ""
        parts += [f"<h2>{_text(name)}</h2>", _metric_chart(rows, unit, span)]
    return parts


def _scaled(line: Line, factor: float) -> Line:
    return replace(line, points=[(time, factor * value) for time, value in line.points])


def _judged(history: Sequence[Entry], new: str, old: str) -> dict[str, list[Line]]:
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


def _metric_chart(rows: Sequence[Line], unit: str, span: Point) -> str:
    values = [value for line in rows for _time, value in line.points]
    if not values:
        return "<p>Nothing was measured.</p>"
    if unit == "%":
        low, high = min(99.0, *values), 100.0
    else:
        low, high = min(0.0, *values), max(0.0, *values) * 1.1 or 1.0
    return chart(rows, low, high, unit, span)


def _points(history: Sequence[Entry], who: str, name: str, factor: float) -> list[Point]:
    measured = [(entry, (entry.get("shown") or {}).get(who) or {}) for entry in history]
    return [(float(entry["time"]), factor * float(shown[name])) for entry, shown in measured if name in shown]


def _span(history: Sequence[Entry]) -> Point:
    """Start and end of a rollout: the time axis of all charts."""
    times = [float(entry["time"]) for entry in history] or [0.0]
    return min(times), max(times)


def chart(rows: Iterable[Line], low: float, high: float, unit: str, span: Point) -> str:
    """Lines over time as SVG. `low` and `high` limit the values, `span` the times."""
    rows = [line for line in rows if line.points]
    if not rows:
        return "<p>Nothing was recorded.</p>"
    begin, end = span[0], max(span[1], span[0] + 1)
    inner_w, inner_h = WIDTH - LEFT - 10, HEIGHT - BOTTOM - 8
    height = (high - low) or 1.0

    def place(point: Point) -> str:
        x = LEFT + inner_w * (point[0] - begin) / (end - begin)
        y = 8 + inner_h * (1 - (min(max(point[1], low), high) - low) / height)
        return f"{x:.1f},{y:.1f}"

    marks = []
    for share in (0.0, 0.5, 1.0):
        y = 8 + inner_h * (1 - share)
        marks.append(f'<line x1="{LEFT}" x2="{WIDTH - 10}" y1="{y:.1f}" y2="{y:.1f}" stroke="#e1e7ec"/>')
        marks.append(
            f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{low + share * height:.4g}{_text(unit)}</text>'
        )
    for share, anchor in ((0.0, "start"), (1.0, "end")):
        x = LEFT + inner_w * share
        marks.append(
            f'<text x="{x:.1f}" y="{HEIGHT - 6}" text-anchor="{anchor}">{_clock(begin + share * (end - begin))}</text>'
        )
    lines, left = [], LEFT + 80
    for line in rows:
        path = " ".join(place(point) for point in line.points)
        dashes = ' stroke-dasharray="5 4"' if line.dashed else ""
        lines.append(f'<polyline fill="none" stroke="{line.colour}" stroke-width="2"{dashes} points="{path}"/>')
        if line.dots:
            places = [place(point).split(",") for point in line.points]
            lines += [f'<circle cx="{x}" cy="{y}" r="3" fill="{line.colour}"/>' for x, y in places]
            sign = "○" if line.dashed else "●"
            lines.append(
                f'<text x="{left}" y="{HEIGHT - 6}" style="fill:{line.colour}">{sign} {_text(line.name)}</text>'
            )
            left += 30 + 7 * len(line.name)
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" width="100%">{"".join(marks)}{"".join(lines)}</svg>'


# Tables ----------------------------------------------------------------------------------------------------------------


def _values(history: Sequence[Entry], new: str, old: str) -> str:
    """The values that each window was judged by."""
    rows = []
    for entry in history:
        for number, check in enumerate(entry.get("checks") or []):
            name, reporter = metric_of(check)
            verdict, dry = _text(check.get("verdict") or ""), " (dry run)" if check.get("dry_run") else ""
            when = f"<td>{_clock(float(entry['time']))}</td>" if not number else "<td></td>"
            weight = f"{_text(entry.get('weight') or 0)} %" if not number else ""
            numbers = "".join(f'<td class="n">{_text(value_of(check, field))}</td>' for field in ("value", "stable"))
            rows.append(
                f'<tr>{when}<td class="n">{weight}</td><td>{_text(name)}{dry}</td><td>{_text(reporter)}</td>{numbers}'
                f'<td class="{verdict}">{verdict}</td></tr>'
            )
    if not rows:
        return "<p>Nothing was judged.</p>"
    heads = '<th>UTC</th><th class="n">weight</th><th>metric</th><th>reporter</th>'
    heads += "".join(f'<th class="n">{_text(name)}</th>' for name in (new, old)) + "<th>verdict</th>"
    return f"<table><tr>{heads}</tr>{''.join(rows)}</table>"


def _decisions(history: Sequence[Entry]) -> str:
    rows = []
    for entry in history:
        verdict = str(entry.get("verdict") or "")
        checks = "".join(_check(check) for check in entry.get("checks") or [])
        what = f'<span class="{_text(verdict)}">{_text(verdict)}</span> ' if verdict else ""
        rows.append(
            f'<tr><td>{_clock(float(entry["time"]))}</td><td class="n">{_text(entry.get("weight") or 0)} %</td>'
            f"<td>{_text(str(entry.get('event')).replace('_', ' '))}</td><td>{what}{_text(entry.get('message') or '')}{checks}</td></tr>"
        )
    return (
        "<table><tr><th>UTC</th><th>weight</th><th>event</th><th>findings and decision</th></tr>"
        + "".join(rows)
        + "</table>"
    )


def _check(check: Mapping[str, t.Any]) -> str:
    verdict = _text(check.get("verdict") or "")
    dry = " (dry run)" if check.get("dry_run") else ""
    head = (
        f'<span class="{verdict}">{verdict}</span> {_text(check.get("name"))}{dry}: {_text(check.get("reason") or "")}'
    )
    query = f"<br><code>{_text(check['query'])}</code>" if check.get("query") else ""
    return f"<details><summary>{head}</summary>{query}</details>"


def _objects(result: Mapping[str, t.Any], service: str, namespace: str) -> str:
    routes = [name.partition("/") for name in result.get("virtual_services") or []]
    names = [f"kubectl -n {where} get virtualservice {name} -o yaml" for where, _slash, name in routes]
    names += [
        f"kubectl -n {namespace} get destinationrule,deployment,pods -l app={service}",
        f"kubectl -n {namespace} get configmap,lease canary-{service} -o yaml",
        f"kubectl -n {namespace} get events --field-selector source=servicemesh-canary",
    ]
    return "<ul>" + "".join(f"<li><code>{_text(name)}</code></li>" for name in names) + "</ul>"
