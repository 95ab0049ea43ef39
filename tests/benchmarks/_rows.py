# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows of a benchmark, with verdict and raw figures, and their table. No I/O."""

from __future__ import annotations

import dataclasses
import math
import statistics
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

Figures = Sequence[float]


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    """One line of the table.

    `raw` is name -> one figure of each round, in `unit`; ours stands first. `ratio` is theirs / ours of a comparison, else None.
    `limit` is the target: a ratio, or the highest allowed figure in `unit`. `value` is compared with it.
    `cells` is name -> text, for rows that have a column for each contestant.
    """

    what: str
    target: str
    measured: str
    ratio: float | None
    raw: Mapping[str, list[float]]
    reached: bool
    reason: str = ""
    unit: str = "s"
    value: float = 0.0
    limit: float = 0.0
    cells: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def verdict(self) -> str:
        """Verdict for the table."""
        return "reached" if self.reached else "not reached"

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**dataclasses.asdict(self), "raw": {name: list(figures) for name, figures in self.raw.items()}}


def row_of(stored: Mapping[str, Any]) -> Row:
    """The row of the result of `as_dict`."""
    return Row(**stored)


def percentile(figures: Figures, share: float) -> float:
    """The smallest figure that at least `share` (0..1) of all figures do not exceed (nearest rank)."""
    if not figures:
        raise ValueError("no figures")
    ordered = sorted(figures)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def ratio(ours: Figures, theirs: Figures) -> float:
    """How many times faster ours is: median of theirs / median of ours."""
    return statistics.median(theirs) / statistics.median(ours)


def number(value: float) -> str:
    """A figure with three significant digits: 0.0123, 1.23, 12.3, 123."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:.{digits}f}"


def quantity(value: float, unit: str) -> str:
    """A figure with its unit."""
    return f"{number(value)} {unit}".strip()


def times(value: float) -> str:
    """A ratio, never rounded up to the next step: 3.999 is shown as 3.99x, not as 4.00x."""
    step = 100 if value < 10 else 10 if value < 100 else 1
    digits = {100: 2, 10: 1, 1: 0}[step]
    return f"{math.floor(value * step) / step:.{digits}f}x"


def faster(
    what: str,
    ours: tuple[str, Figures],
    theirs: tuple[str, Figures],
    *,
    least: float,
    reason: str = "",
    unit: str = "s",
) -> Row:
    """A comparison: the medians' ratio must be `least` or more. `reason` explains a missed target; otherwise it is dropped."""
    found = ratio(ours[1], theirs[1])
    reached = found >= least
    middle = [quantity(statistics.median(figures), unit) for _name, figures in (ours, theirs)]
    return Row(
        what=what,
        target="no slower" if least == 1 else f"{least:g}x faster",
        measured=f"{middle[0]} against {middle[1]}",
        ratio=found,
        raw={name: list(figures) for name, figures in (ours, theirs)},
        reached=reached,
        reason="" if reached else reason or "no reason known yet",
        unit=unit,
        value=found,
        limit=least,
    )


def at_most(
    what: str,
    raw: Mapping[str, Figures],
    *,
    limit: float,
    unit: str,
    value: float | None = None,
    measured: str = "",
    also: bool = True,
    target: str = "",
    reason: str = "",
) -> Row:
    """A figure (by default the median of the first series) that must not exceed `limit`.

    `also` is a second condition, worded in `target` by the caller.
    """
    first = next(iter(raw.values()))
    found = statistics.median(first) if value is None else value
    reached = found <= limit and also
    return Row(
        what=what,
        target=target or f"{limit:g} {unit}".strip() + " at most",
        measured=measured or quantity(found, unit),
        ratio=None,
        raw={name: list(figures) for name, figures in raw.items()},
        reached=reached,
        reason="" if reached else reason or "no reason known yet",
        unit=unit,
        value=found,
        limit=limit,
    )


def failed(what: str, error: str) -> Row:
    """A benchmark without a figure."""
    return Row(what, "a figure", "none", None, {}, False, f"it failed: {error}", "")


def raw_text(row: Row) -> list[str]:
    """`name: figure figure ... unit` of each series. Long series show minimum, median and maximum."""
    lines = []
    for name, figures in row.raw.items():
        if len(figures) > 12:
            shown = (
                f"{len(figures)} figures, least {number(min(figures))}, "
                f"median {number(statistics.median(figures))}, most {number(max(figures))}"
            )
        else:
            shown = " ".join(number(figure) for figure in figures)
        lines.append(f"{name}: {shown} {row.unit}".rstrip())
    return lines


def table(rows: Sequence[Row], width: int = 110) -> str:
    """The rows for a terminal: verdict, target and figure, below them the raw figures and the reason."""
    lines = []
    for row in rows:
        verdict = "ok " if row.reached else "NOT"
        lines.append(f"{verdict} {row.what}")
        ratio_text = "" if row.ratio is None else f"  = {times(row.ratio)}"
        lines.append(f"      target {row.target}; measured {row.measured}{ratio_text}")
        lines += [f"      {text}" for text in raw_text(row)]
        if row.reason:
            lines += textwrap.wrap(
                f"reason: {row.reason}", width, initial_indent="      ", subsequent_indent="        "
            )
    return "\n".join(lines)
