# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: may change at any time without notice; only this collection may import it.
"""A line of a few minutes beside a number: where everything is. Pure; templates/platform.html.j2 draws it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

WIDTH, HEIGHT, _MARGIN = 132, 34, 3  # pixels
_BREAK = 1.5  # steps without a point after which a line is broken

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Spark:
    """A line in pixels, in as many parts as it has gaps between. `limit`: height of the limit, empty when it is out of sight."""

    lines: tuple[str, ...]
    dots: tuple[tuple[str, str], ...]
    limit: str
    label: str
    width: int = WIDTH
    height: int = HEIGHT


def spark(
    points: Sequence[Point],
    span: Point,
    step: float,
    label: Callable[[float], str],
    limit: float | None = None,
    least: float = 0.0,
) -> Spark | None:
    """Points (Unix seconds, value) as a line; None without a point. `label`: a value for people.

    The height is from 0 to the largest value, to the limit where that is near, and to `least` at least.
    """
    inside = [point for point in points if span[0] <= point[0] <= span[1]]
    if not inside:
        return None
    most = max(value for _time, value in inside)
    top = max(most, least, limit if limit is not None and most > limit / 2 else 0.0) or 1.0
    width, height = WIDTH - 2 * _MARGIN, HEIGHT - 2 * _MARGIN

    def place(point: Point) -> tuple[str, str]:
        x = _MARGIN + width * (point[0] - span[0]) / ((span[1] - span[0]) or 1.0)
        return f"{x:.1f}", f"{_MARGIN + height * (1 - point[1] / top):.1f}"

    runs: list[list[Point]] = []
    for point in inside:
        if not runs or point[0] - runs[-1][-1][0] > _BREAK * step:
            runs.append([])
        runs[-1].append(point)
    return Spark(
        lines=tuple(" ".join(",".join(place(point)) for point in run) for run in runs if len(run) > 1),
        dots=tuple(place(run[0]) for run in runs if len(run) == 1),
        limit=place((span[0], limit))[1] if limit is not None and limit <= top else "",
        label=f"largest in 30 minutes: {label(most)}",
    )


def latest(points: Sequence[Point], end: float, step: float) -> float | None:
    """The value at the end; None when the last point is older than two steps."""
    return points[-1][1] if points and end - points[-1][0] <= 2 * step else None
