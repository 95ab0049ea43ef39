# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The chart: one SVG file, readable on light and dark pages. No I/O."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from xml.sax.saxutils import escape

from tests.benchmarks._rows import Row, number, quantity, times

WIDTH = 860
_LEFT, _RIGHT = 260, 560  # start of all bars and end of the longest one; the space behind is for its figure
_BAR, _STEP, _HEAD, _TITLE, _GAP = 18, 26, 30, 52, 22  # pixels
_STYLE = """
  .page { fill: #ffffff } .text { fill: #1f2328 } .quiet { fill: #59636e } .line { stroke: #d1d9e0 }
  .ours { fill: #0969da } .theirs { fill: #8c959f } .bad { fill: #cf222e } .limit { stroke: #1f2328 }
  @media (prefers-color-scheme: dark) {
    .page { fill: #0d1117 } .text { fill: #f0f6fc } .quiet { fill: #9198a1 } .line { stroke: #3d444d }
    .ours { fill: #4493f8 } .theirs { fill: #6e7681 } .bad { fill: #f85149 } .limit { stroke: #f0f6fc }
  }
  text { font-size: 13px; font-family: system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif }
  .title { font-size: 17px; font-weight: 600 } .head { font-weight: 600 }
"""


class _Drawing:
    """Collects elements from top to bottom."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self.y = 0.0

    def text(self, x: float, content: str, kind: str, *, anchor: str = "start") -> None:
        self.parts.append(
            f'<text x="{x:g}" y="{self.y:g}" class="{kind}" text-anchor="{anchor}">{escape(content)}</text>'
        )

    def line(self, x: float, top: float, bottom: float, kind: str, dashes: str = "") -> None:
        dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
        self.parts.append(f'<line x1="{x:g}" y1="{top:g}" x2="{x:g}" y2="{bottom:g}" class="{kind}"{dashed}/>')

    def row(self, label: str, length: float, kind: str, value: str) -> None:
        """One bar with its name on the left and its figure behind it."""
        middle = self.y + _BAR / 2
        self.parts.append(
            f'<rect x="{_LEFT}" y="{self.y:g}" width="{max(length, 2):g}" height="{_BAR}" rx="2" class="{kind}"/>'
        )
        self.y = middle + 4.5
        self.text(_LEFT - 10, label, "text", anchor="end")
        self.text(_LEFT + max(length, 2) + 8, value, "text")
        self.y = middle - _BAR / 2 + _STEP


def chart(rows: Sequence[Row]) -> str:
    """The whole file: comparisons as seconds on a logarithmic scale, other rows as share of their limit."""
    drawing = _Drawing()
    races = [
        row for row in rows if row.ratio is not None and row.unit == "s" and row.raw and all(map(min, row.raw.values()))
    ]
    # What is compared with others has columns on the page, and no limit of its own.
    limits = [row for row in rows if row.ratio is None and row.raw and row.limit > 0 and not row.cells]
    if races:
        _races(drawing, races)
    if limits:
        _limits(drawing, limits)
    height = drawing.y + 12
    summary = "; ".join(f"{row.what}: {row.measured}" for row in [*races, *limits])
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:g}" width="{WIDTH}" height="{height:g}" '
            'role="img" aria-labelledby="title desc">',
            '<title id="title">Time and resources that the collection takes</title>',
            f'<desc id="desc">{escape(summary)}</desc>',
            f"<style>{_STYLE}</style>",
            f'<rect width="{WIDTH}" height="{height:g}" class="page"/>',
            *drawing.parts,
            "</svg>",
            "",
        ]
    )


def _groups(rows: Sequence[Row]) -> dict[tuple[str, tuple[float, ...]], list[Row]]:
    """Rows with the same measurement of ours, which then needs only one bar."""
    grouped: dict[tuple[str, tuple[float, ...]], list[Row]] = {}
    for row in rows:
        first = next(iter(row.raw))
        grouped.setdefault((row.unit, tuple(row.raw[first])), []).append(row)
    return grouped


def decades(figures: Sequence[float]) -> tuple[int, int]:
    """Powers of ten around all figures, with space below the smallest one so that its bar is visible."""
    low = math.floor(math.log10(min(figures) / 3))
    return low, max(math.ceil(math.log10(max(figures))), low + 1)


def _races(drawing: _Drawing, rows: Sequence[Row]) -> None:
    middles = [statistics.median(figures) for row in rows for figures in row.raw.values()]
    low, high = decades(middles)

    def place(value: float) -> float:
        return (math.log10(value) - low) / (high - low) * (_RIGHT - _LEFT)

    drawing.y = 30
    drawing.text(16, "How long it takes", "text title")
    drawing.y += 18
    drawing.text(
        16, "seconds, medians of whole commands; logarithmic scale: each line is ten times the one before", "quiet"
    )
    drawing.y += 20
    ruler, top = drawing.y, drawing.y + 6
    step = math.ceil((high - low) / 7)  # more labels would overlap
    for power in range(high, low - 1, -step):
        drawing.text(_LEFT + place(10.0**power), f"{10.0**power:g}", "quiet", anchor="middle")
    grid_at = len(drawing.parts)
    drawing.y = ruler + _GAP
    for members in _groups(rows).values():
        drawing.y += 4
        drawing.text(16, members[0].what.partition(", against ")[0], "text head")
        drawing.y += 8
        ours = next(iter(members[0].raw))
        mine = statistics.median(members[0].raw[ours])
        drawing.row(ours, place(mine), "ours", quantity(mine, members[0].unit))
        for row in members:
            other = list(row.raw)[-1]
            value = statistics.median(row.raw[other])
            target = f"target {row.limit:g}x: {row.verdict}"
            drawing.row(
                other, place(value), "theirs", f"{quantity(value, row.unit)}, {times(row.value)} as long ({target})"
            )
        drawing.y += _GAP
    grid = _Drawing()
    for power in range(low, high + 1):
        grid.line(_LEFT + place(10.0**power), top, drawing.y - _GAP, "line")
    drawing.parts[grid_at:grid_at] = grid.parts


def _limits(drawing: _Drawing, rows: Sequence[Row]) -> None:
    most = max(1.25, *(row.value / row.limit * 1.05 for row in rows))
    drawing.y += 26
    drawing.text(16, "Against what is allowed", "text title")
    drawing.y += 18
    drawing.text(16, "share of the limit, linear; the dashed line is the limit, and shorter is better", "quiet")
    drawing.y += 16
    top = drawing.y
    for row in rows:
        drawing.y += 14
        drawing.text(16, row.what, "text head")
        drawing.y += 8
        share = row.value / row.limit
        unit = "" if row.unit == "requests" else f" {row.unit}"
        label = f"{number(row.value)}{unit} of {row.limit:g}{unit}"
        shown = f"{share * 100:.0f} %: {row.verdict}"
        drawing.row(label, share / most * (_RIGHT - _LEFT), "ours" if row.reached else "bad", shown)
        drawing.y += 4
    drawing.line(_LEFT + (_RIGHT - _LEFT) / most, top, drawing.y - 6, "limit", "4 3")
