# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Panels and variables in, Grafana's dashboard JSON out (schemaVersion 39, Grafana 10.4 and newer). Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

WIDTH = 24  # columns of a dashboard
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel. `queries` are pairs of PromQL and legend; `width` in columns of 24, `height` in Grafana's rows.

    `unit` is one of Grafana's; `limits` are values from which the colour is green, orange, red, or the other way round with `low_is_bad`.
    """

    title: str
    text: str
    queries: Sequence[tuple[str, str]]
    unit: str = "short"
    kind: str = "timeseries"
    width: int = 8
    height: int = 8
    least: float | None = 0
    limits: tuple[float, float] | None = None
    low_is_bad: bool = False
    instant: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """A heading and the panels below it."""

    title: str
    panels: Sequence[Panel]


@dataclass(frozen=True, slots=True)
class Variable:
    """A choice above the dashboard: the values of a label of a series."""

    name: str
    label: str
    query: str
    several: bool = True


@dataclass(frozen=True, slots=True)
class Board:
    """One dashboard. `uid` is its address in Grafana and the name of its file."""

    uid: str
    title: str
    rows: Sequence[Row]
    variables: Sequence[Variable] = ()
    links: bool = True
    tags: Sequence[str] = field(default=("istio", "ecommerce"))


# Marks in the graphs: a step of a canary, and an alert that begins to fire.
_ANNOTATIONS = (
    ("Canary", "purple", "max by (namespace, service, version) (changes(servicemesh_canary_weight[1m])) > 0"),
    ("Alerts", "red", 'ALERTS{alertstate="firing", severity="critical"}'),
)


def text(board: Board) -> str:
    """The content of the dashboard's file."""
    return json.dumps(_board(board), indent=1, ensure_ascii=False) + "\n"


def _board(board: Board) -> Json:
    return {
        "uid": board.uid,
        "title": board.title,
        "tags": list(board.tags),
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "timezone": "browser",
        "time": {"from": "now-1h", "to": "now"},
        "links": [_links()] if board.links else [],
        "templating": {"list": [_datasource(), *(_variable(one) for one in board.variables)]},
        "annotations": {"list": [_annotation(*one) for one in _ANNOTATIONS]},
        "panels": _placed(board.rows),
    }


def _links() -> Json:
    """A menu with the other dashboards of the platform."""
    return {
        "type": "dashboards",
        "title": "Platform",
        "tags": ["ecommerce"],
        "asDropdown": True,
        "includeVars": True,
        "keepTime": True,
    }


def _datasource() -> Json:
    return {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus", "current": {}}


def _variable(one: Variable) -> Json:
    everything = {"text": "All", "value": "$__all"}
    return {
        "name": one.name,
        "label": one.label,
        "type": "query",
        "datasource": SOURCE,
        "definition": one.query,
        "query": {"query": one.query, "refId": one.name},
        "refresh": 2,
        "sort": 1,
        "multi": one.several,
        "includeAll": one.several,
        **({"allValue": ".+", "current": everything} if one.several else {"current": {}}),
    }


def _annotation(name: str, colour: str, query: str) -> Json:
    return {
        "name": name,
        "datasource": SOURCE,
        "enable": True,
        "hide": False,
        "iconColor": colour,
        "expr": query,
        "step": "30s",
        "titleFormat": f"{name} {{{{alertname}}}}{{{{service}}}}",
        "textFormat": "{{version}} {{app}} {{pod}} {{destination_service_name}}",
        "useValueForTime": False,
    }


def _placed(rows: Sequence[Row]) -> list[Json]:
    """Panels from left to right; a panel that does not fit begins below the highest of its line."""
    found: list[Json] = []
    top = 0
    for row in rows:
        found.append(
            {
                "id": len(found) + 1,
                "type": "row",
                "title": row.title,
                "collapsed": False,
                "gridPos": {"h": 1, "w": WIDTH, "x": 0, "y": top},
                "panels": [],
            }
        )
        top += 1
        left, line = 0, 0
        for panel in row.panels:
            if left + panel.width > WIDTH:
                top, left, line = top + line, 0, 0
            found.append(_panel(panel, len(found) + 1, {"h": panel.height, "w": panel.width, "x": left, "y": top}))
            left, line = left + panel.width, max(line, panel.height)
        top += line
    return found


def _panel(panel: Panel, number: int, place: Json) -> Json:
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.text,
        "datasource": SOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": _defaults(panel), "overrides": []},
        "options": _options(panel.kind),
        "targets": [_target(panel, *query, chr(ord("A") + index)) for index, query in enumerate(panel.queries)],
    }


def _defaults(panel: Panel) -> Json:
    found: Json = {"unit": panel.unit}
    if panel.least is not None:
        found["min"] = panel.least
    if panel.kind == "timeseries":
        found["custom"] = {"lineWidth": 1, "fillOpacity": 10, "showPoints": "never", "spanNulls": False}
    if panel.limits:
        first, second = panel.limits
        colours = ("red", "orange", "green") if panel.low_is_bad else ("green", "orange", "red")
        steps = zip((None, first, second), colours, strict=True)
        found["thresholds"] = {
            "mode": "absolute",
            "steps": [{"value": value, "color": colour} for value, colour in steps],
        }
        found["color"] = {"mode": "thresholds" if panel.kind in ("stat", "bargauge") else "palette-classic"}
    return found


def _options(kind: str) -> Json:
    last = {"values": False, "calcs": ["lastNotNull"], "fields": ""}
    match kind:
        case "timeseries":
            legend = {
                "displayMode": "table",
                "placement": "bottom",
                "showLegend": True,
                "calcs": ["lastNotNull", "max"],
            }
            return {"legend": legend, "tooltip": {"mode": "multi", "sort": "desc"}}
        case "stat":
            return {
                "reduceOptions": last,
                "orientation": "auto",
                "textMode": "value_and_name",
                "colorMode": "value",
                "graphMode": "area",
            }
        case "bargauge":
            return {"reduceOptions": last, "orientation": "horizontal", "displayMode": "gradient", "showUnfilled": True}
        case "table":
            return {"showHeader": True, "cellHeight": "sm"}
        case _:
            raise ValueError(f"{kind} is no kind of panel that is used here")


def _target(panel: Panel, query: str, legend: str, name: str) -> Json:
    instant = panel.instant or panel.kind in ("table", "stat", "bargauge")
    return {
        "refId": name,
        "datasource": SOURCE,
        "expr": query,
        "legendFormat": legend,
        **({"instant": True, "range": False} if instant else {}),
        **({"format": "table"} if panel.kind == "table" else {}),
    }
