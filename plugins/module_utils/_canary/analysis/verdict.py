# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verdicts on measurements: pass, fail or inconclusive. Pure: samples in, decisions with their reasons out.

Only a number within its limits passes. Each reason for which a measurement has no number has a verdict of its own, which is inconclusive
unless the user sets another one.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Verdict(StrEnum):
    """What a metric or a window is judged to be."""

    PASS = "pass"  # noqa: S105  # not a password
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"


class Status(StrEnum):
    """Whether a sample is a number, or why it is not."""

    OK = "ok"
    MISSING = "missing"
    NAN = "nan"
    INFINITE = "infinite"
    SEVERAL = "several"
    STALE = "stale"
    PARTIAL = "partial"
    ERROR = "error"


NO_NUMBER = tuple(status for status in Status if status is not Status.OK)
# Names of limits, as in `Limits` and in the options.
COMPARING = ("min_ratio", "max_ratio", "min_difference", "max_difference")
BOUNDS = ("min", "max", *COMPARING)
# What Prometheus and JSON write as a number. Python's `float` takes more: 1_000, digits of other scripts, spaces.
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*([eE][+-]?\d+)?|\.\d+([eE][+-]?\d+)?|inf|infinity|nan)", re.ASCII | re.IGNORECASE)


class Pending(Exception):  # noqa: N818  # not an error: a Job has not finished
    """The measurement takes longer than this call, so there is no verdict yet."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One measurement. `status` is Status.OK, or why there is no number; then `value` is None and `detail` is the explanation."""

    status: Status
    value: float | None = None
    detail: str = ""

    def __str__(self) -> str:
        return (
            number(self.value)
            if self.status == Status.OK and self.value is not None
            else self.detail or self.status.value
        )


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of a metric; None is no limit. Differences and ratios compare the canary with stable in the same window."""

    min: float | None = None
    max: float | None = None
    min_ratio: float | None = None
    max_ratio: float | None = None
    min_difference: float | None = None
    max_difference: float | None = None
    min_requests: int = 0
    otherwise: Mapping[Status, Verdict] = field(default_factory=dict)

    @property
    def compares(self) -> bool:
        """Whether the stable subset has to be measured too."""
        return any(getattr(self, name) is not None for name in COMPARING)


@dataclass(frozen=True, slots=True)
class Check:
    """Result of one metric in one window.

    `value` is the canary's number and `stable` that of the stable version where it was compared, both in the metric's own unit.
    `requests` are those of the canary in the window, where they were counted. `reporter` is that of a built-in metric. `query` is the
    PromQL, or the URL.
    """

    name: str
    verdict: Verdict
    reason: str
    value: float | None = None
    stable: float | None = None
    requests: float | None = None
    query: str = ""
    critical: bool = False
    dry_run: bool = False
    reporter: str = ""

    def as_dict(self) -> dict[str, Any]:
        """For the history and the result, as plain JSON values; unknown values are left out."""
        values = {name: getattr(self, name) for name in Check.__slots__}
        # A number that is 0 is known, although it equals False.
        found = {
            name: value for name, value in values.items() if value is not None and value is not False and value != ""
        }
        return {**found, "verdict": self.verdict.value}


@dataclass(frozen=True, slots=True)
class Window:
    """Verdict on all metrics of a window, with the reasons of the metrics that decided. `critical`: one such window ends the run."""

    verdict: Verdict
    reason: str
    critical: bool = False


def number(value: float) -> str:
    """A measurement for people: four significant digits."""
    return f"{value:.4g}" if abs(value) < 10000 else f"{value:.0f}"


def span(seconds: float) -> str:
    """A window for people: 60 s, 2.5 s."""
    return f"{seconds:g} s"


def sample_of_series(series: Sequence[Mapping[str, Any]], newest: float | None, now: float, max_age: float) -> Sample:
    """Sample of an instant query's series (`{"metric": …, "value": [seconds, "1.5"]}`).

    `newest`: Unix time of the newest raw sample behind it, None when it was not queried. `max_age` in seconds.
    """
    if not series:
        return Sample(Status.MISSING, detail="the query returned no series")
    if len(series) > 1:
        shown = ", ".join(str(dict(entry.get("metric") or {})) for entry in series[:3])
        return Sample(Status.SEVERAL, detail=f"the query returned {len(series)} series ({shown}); expected one")
    pair = series[0].get("value")
    if not isinstance(pair, (list, tuple)) or len(pair) != 2:
        return Sample(Status.MISSING, detail="the series has no single value")
    sample = sample_of_value(pair[1])
    if sample.status == Status.OK and newest is not None and now - newest > max_age:
        return Sample(
            Status.STALE, detail=f"the newest sample is {now - newest:.0f} s old; expected at most {max_age:g} s"
        )
    return sample


def sample_of_value(value: Any) -> Sample:
    """Sample of a value from JSON or Prometheus: a number, or the text of a number."""
    if value is None or value == "":
        return Sample(Status.MISSING, detail="the answer has no value")
    if isinstance(value, bool):
        return Sample(Status.OK, float(value))
    if not isinstance(value, (int, float, str)):
        return Sample(Status.ERROR, detail=f"{_shown(value)} is a {type(value).__name__}; expected a number")
    if isinstance(value, str) and not _NUMBER.fullmatch(value):
        return Sample(Status.ERROR, detail=f"{_shown(value)} is not a number")
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return Sample(Status.ERROR, detail=f"{_shown(value)} is too large for a number")
    if math.isnan(found):
        return Sample(Status.NAN, detail="the value is NaN")
    if math.isinf(found):
        return Sample(Status.INFINITE, detail=f"the value is {found}")
    return Sample(Status.OK, found)


def _shown(value: Any) -> str:
    """The beginning of a value. A number with thousands of digits cannot be written as text."""
    try:
        return repr(str(value)[:60])
    except (ValueError, RecursionError):
        return "the value"


def judge(
    limits: Limits,
    canary: Sample,
    stable: Sample | None = None,
    requests: Sample | None = None,
    window: float = 0.0,
) -> tuple[Verdict, str]:
    """(verdict, reason) of one metric. `stable` is needed when limits compare, `requests` when `min_requests` is set.

    `window`: its length in seconds, for the reason.
    """
    if limits.min_requests > 0:
        if requests is None or requests.status != Status.OK or requests.value is None:
            shown = "not measured" if requests is None else str(requests)
            return _otherwise(limits, requests.status if requests else Status.MISSING, f"number of requests: {shown}")
        if requests.value < limits.min_requests:
            return Verdict.INCONCLUSIVE, too_few(requests.value, limits.min_requests, window)
    if canary.status != Status.OK or canary.value is None:
        return _otherwise(limits, canary.status, str(canary))
    broken = _absolute(limits, canary.value)
    if broken:
        return Verdict.FAIL, broken
    if not limits.compares:
        return Verdict.PASS, _kept(limits, canary.value)
    if stable is None or stable.status != Status.OK or stable.value is None:
        shown = "not measured" if stable is None else str(stable)
        return _otherwise(limits, stable.status if stable else Status.MISSING, f"stable: {shown}")
    return _relative(limits, canary.value, stable.value)


# Nobody judges a version that nobody calls. The demo brings load of its own.
WITHOUT_TRAFFIC = (
    "to see a canary on a platform without traffic, run playbooks/demo.yml (docs/canary.md, Without traffic)"
)


def too_few(requests: float, least: int, window: float) -> str:
    """In words that there was too little traffic, and what to do. `window` in seconds."""
    count = "1 request" if requests == 1 else f"{number(requests)} requests" if requests else "no requests"
    time = f" in {span(window)}" if window else ""
    more = "" if requests else f"; {WITHOUT_TRAFFIC}"
    return f"{count}{time}; expected at least {least}: send more traffic, use a longer interval, or lower min_requests{more}"


def _otherwise(limits: Limits, status: Status, reason: str) -> tuple[Verdict, str]:
    return limits.otherwise.get(status, Verdict.INCONCLUSIVE), reason


def _absolute(limits: Limits, value: float) -> str:
    if limits.min is not None and not value >= limits.min:
        return f"{number(value)} is below {number(limits.min)}"
    if limits.max is not None and not value <= limits.max:
        return f"{number(value)} is above {number(limits.max)}"
    return ""


def _kept(limits: Limits, value: float) -> str:
    bounds = [f"at least {number(limits.min)}"] if limits.min is not None else []
    bounds += [f"at most {number(limits.max)}"] if limits.max is not None else []
    return f"{number(value)}, expected {' and '.join(bounds)}" if bounds else number(value)


def _relative(limits: Limits, value: float, stable: float) -> tuple[Verdict, str]:
    both = f"{number(value)} against {number(stable)} for stable"
    difference = value - stable
    if limits.max_difference is not None and not difference <= limits.max_difference:
        return Verdict.FAIL, f"{both}: {number(difference)} more; expected at most {number(limits.max_difference)}"
    if limits.min_difference is not None and not difference >= limits.min_difference:
        return (
            Verdict.FAIL,
            f"{both}: a difference of {number(difference)}; expected at least {number(limits.min_difference)}",
        )
    if limits.min_ratio is not None or limits.max_ratio is not None:
        if stable == 0:
            if value == 0:
                return Verdict.PASS, f"{both}: both are 0"
            return Verdict.INCONCLUSIVE, f"{both}: a ratio to 0 is not defined"
        ratio = value / stable
        if limits.max_ratio is not None and not ratio <= limits.max_ratio:
            return Verdict.FAIL, f"{both}: {number(ratio)} times as much; expected at most {number(limits.max_ratio)}"
        if limits.min_ratio is not None and not ratio >= limits.min_ratio:
            return Verdict.FAIL, f"{both}: {number(ratio)} times as much; expected at least {number(limits.min_ratio)}"
    return Verdict.PASS, both


def combine(checks: Iterable[Check]) -> Window:
    """Verdict on a window: one failed metric fails it, otherwise one inconclusive metric makes it inconclusive. Dry runs do not count."""
    counted = [check for check in checks if not check.dry_run]
    if not counted:
        return Window(Verdict.INCONCLUSIVE, "no metric counts: all metrics are dry runs")
    for verdict in (Verdict.FAIL, Verdict.INCONCLUSIVE):
        found = [check for check in counted if check.verdict == verdict]
        if found:
            first = sorted(found, key=lambda check: not check.critical)[0]
            reason = "; ".join(f"{check.name}: {check.reason}" for check in found)
            return Window(verdict, reason, verdict == Verdict.FAIL and first.critical)
    return Window(Verdict.PASS, "; ".join(f"{check.name}: {check.reason}" for check in counted))
