# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: may change at any time without notice; only this collection may import it.
"""Lines over time: where everything is in a chart. Pure; templates/charts.html.j2 draws it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

WIDTH, HEIGHT, LEFT, BOTTOM = 860, 150, 66, 22  # pixels of a chart and of its margins
_TOP, _RIGHT = 8, 10

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a chart: its name in the legend, its class in the style sheet, and its points (Unix seconds, value).

    `dots`: each point is marked, and the line is in the legend.
    """

    name: str
    colour: str
    points: Sequence[Point]
    dots: bool = True
    dashed: bool = False


@dataclass(frozen=True, slots=True)
class Drawn:
    """A line in pixels."""

    line: Line
    places: tuple[tuple[str, str], ...]

    @property
    def path(self) -> str:
        """Attribute `points` of a polyline."""
        return " ".join(f"{x},{y}" for x, y in self.places)

    @property
    def sign(self) -> str:
        """What marks its points in the legend."""
        return "○" if self.line.dashed else "●"


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart in pixels: lines, marks of the values (height, text), and of the times (place, anchor, text)."""

    lines: tuple[Drawn, ...]
    values: tuple[tuple[str, str], ...]
    times: tuple[tuple[str, str, str], ...]
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - _RIGHT
    bottom: int = HEIGHT - 6


def clock(seconds: float) -> str:
    """Time of day, UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%H:%M:%S")


def chart(rows: Iterable[Line], low: float, high: float, unit: str, span: Point) -> Chart | None:
    """Lines as a chart, None without a point. `low` and `high` limit the values, `span` the times."""
    rows = [line for line in rows if line.points]
    if not rows:
        return None
    begin, end = span[0], max(span[1], span[0] + 1)
    inner_w, inner_h = WIDTH - LEFT - _RIGHT, HEIGHT - BOTTOM - _TOP
    height = (high - low) or 1.0

    def place(point: Point) -> tuple[str, str]:
        x = LEFT + inner_w * (point[0] - begin) / (end - begin)
        y = _TOP + inner_h * (1 - (min(max(point[1], low), high) - low) / height)
        return f"{x:.1f}", f"{y:.1f}"

    return Chart(
        lines=tuple(Drawn(line, tuple(map(place, line.points))) for line in rows),
        values=tuple(
            (f"{_TOP + inner_h * (1 - share):.1f}", f"{low + share * height:.4g}{unit}") for share in (0.0, 0.5, 1.0)
        ),
        times=tuple(
            (f"{LEFT + inner_w * share:.1f}", anchor, clock(begin + share * (end - begin)))
            for share, anchor in ((0.0, "start"), (1.0, "end"))
        ),
    )


def metric_chart(rows: Sequence[Line], unit: str, span: Point) -> Chart | None:
    """A chart with limits that suit its values; a percentage ends at 100."""
    values = [value for line in rows for _time, value in line.points]
    if not values:
        return None
    if unit == "%":
        return chart(rows, min(99.0, *values), 100.0, unit, span)
    return chart(rows, min(0.0, *values), max(0.0, *values) * 1.1 or 1.0, unit, span)
