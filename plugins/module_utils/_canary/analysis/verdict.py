# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verdicts on measurements: pass, fail or inconclusive. Pure: samples in, decisions with their reasons out.

Nothing that is not a number within its limits ever passes by accident: each way in which a measurement can be none has a verdict of
its own, inconclusive unless the user says otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

PASS, FAIL, INCONCLUSIVE = "pass", "fail", "inconclusive"
VERDICTS = (PASS, FAIL, INCONCLUSIVE)
OK, MISSING, NAN, INFINITE, SEVERAL, STALE, ERROR = "ok", "missing", "nan", "infinite", "several", "stale", "error"
NO_NUMBER = (MISSING, NAN, INFINITE, SEVERAL, STALE, ERROR)


@dataclass(frozen=True, slots=True)
class Sample:
    """One measurement. `status` is `ok`, or why there is no number; then `value` is null and `detail` says more."""

    status: str
    value: float | None = None
    detail: str = ""

    def __str__(self) -> str:
        return number(self.value) if self.status == OK and self.value is not None else self.detail or self.status


@dataclass(frozen=True, slots=True)
class Limits:
    """What a metric must keep to; null is no limit. Differences and ratios are canary against stable in the same window."""

    min: float | None = None
    max: float | None = None
    min_ratio: float | None = None
    max_ratio: float | None = None
    min_difference: float | None = None
    max_difference: float | None = None
    min_requests: int = 0
    otherwise: Mapping[str, str] = field(default_factory=dict)

    @property
    def compares(self) -> bool:
        """Whether the stable subset has to be measured too."""
        return any(
            limit is not None for limit in (self.min_ratio, self.max_ratio, self.min_difference, self.max_difference)
        )


@dataclass(frozen=True, slots=True)
class Check:
    """What one metric of one window said. `asked` is the query or address, `got` and `limit` are for reading."""

    name: str
    verdict: str
    reason: str
    value: float | None = None
    stable: float | None = None
    requests: float | None = None
    asked: str = ""
    critical: bool = False
    dry_run: bool = False

    def as_dict(self) -> dict[str, Any]:
        """For the history and the result; what is not known is left out."""
        return {name: value for name in Check.__slots__ if (value := getattr(self, name)) not in (None, "", False)}


@dataclass(frozen=True, slots=True)
class Window:
    """Verdict on all metrics of a window, with the reason of the metric that decided. `critical`: one is enough."""

    verdict: str
    reason: str
    critical: bool = False


def number(value: float) -> str:
    """A measurement for reading: at most four digits that matter."""
    return f"{value:.4g}" if abs(value) < 10000 else f"{value:.0f}"


def sample_of_series(series: Sequence[Mapping[str, Any]], newest: float | None, now: float, max_age: float) -> Sample:
    """Sample of an instant query's series (`{"metric": …, "value": [seconds, "1.5"]}`).

    `newest`: Unix time of the newest raw sample behind it, null when nobody asked. `max_age` in seconds.
    """
    if not series:
        return Sample(MISSING, detail="the query found no series")
    if len(series) > 1:
        shown = ", ".join(str(dict(entry.get("metric") or {})) for entry in series[:3])
        return Sample(SEVERAL, detail=f"the query found {len(series)} series ({shown}); expected one")
    pair = series[0].get("value")
    if not isinstance(pair, (list, tuple)) or len(pair) != 2:
        return Sample(MISSING, detail="the series has no single value")
    sample = sample_of_value(pair[1])
    if sample.status == OK and newest is not None and now - newest > max_age:
        return Sample(STALE, detail=f"the newest sample is {now - newest:.0f} s old; expected at most {max_age:g} s")
    return sample


def sample_of_value(value: Any) -> Sample:
    """Sample of a value as JSON or Prometheus give it: a number, or text that is one."""
    if value is None or value == "":
        return Sample(MISSING, detail="there is no value")
    if isinstance(value, bool):
        return Sample(OK, float(value))
    if not isinstance(value, (int, float, str)):
        return Sample(ERROR, detail=f"{str(value)[:60]!r} is a {type(value).__name__}; expected a number")
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return Sample(ERROR, detail=f"{str(value)[:60]!r} is not a number")
    if math.isnan(found):
        return Sample(NAN, detail="the value is NaN")
    if math.isinf(found):
        return Sample(INFINITE, detail=f"the value is {found}")
    return Sample(OK, found)


def judge(
    limits: Limits, canary: Sample, stable: Sample | None = None, requests: Sample | None = None
) -> tuple[str, str]:
    """(verdict, reason) of one metric. `stable` is needed when limits compare, `requests` when `min_requests` is set."""
    if limits.min_requests > 0:
        if requests is None or requests.status != OK or requests.value is None:
            shown = "not measured" if requests is None else str(requests)
            return _otherwise(limits, requests.status if requests else MISSING, f"number of requests: {shown}")
        if requests.value < limits.min_requests:
            return INCONCLUSIVE, f"{number(requests.value)} requests; expected at least {limits.min_requests}"
    if canary.status != OK or canary.value is None:
        return _otherwise(limits, canary.status, str(canary))
    broken = _absolute(limits, canary.value)
    if broken:
        return FAIL, broken
    if not limits.compares:
        return PASS, _kept(limits, canary.value)
    if stable is None or stable.status != OK or stable.value is None:
        shown = "not measured" if stable is None else str(stable)
        return _otherwise(limits, stable.status if stable else MISSING, f"stable: {shown}")
    return _relative(limits, canary.value, stable.value)


def _otherwise(limits: Limits, status: str, reason: str) -> tuple[str, str]:
    return limits.otherwise.get(status, INCONCLUSIVE), reason


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


def _relative(limits: Limits, value: float, stable: float) -> tuple[str, str]:
    both = f"{number(value)} against {number(stable)} of stable"
    difference = value - stable
    if limits.max_difference is not None and not difference <= limits.max_difference:
        return FAIL, f"{both}: {number(difference)} more; expected at most {number(limits.max_difference)}"
    if limits.min_difference is not None and not difference >= limits.min_difference:
        return FAIL, f"{both}: a difference of {number(difference)}; expected at least {number(limits.min_difference)}"
    if limits.min_ratio is not None or limits.max_ratio is not None:
        if stable == 0:
            if value == 0:
                return PASS, f"{both}: both are 0"
            return INCONCLUSIVE, f"{both}: there is no ratio to 0"
        ratio = value / stable
        if limits.max_ratio is not None and not ratio <= limits.max_ratio:
            return FAIL, f"{both}: {number(ratio)} times as much; expected at most {number(limits.max_ratio)}"
        if limits.min_ratio is not None and not ratio >= limits.min_ratio:
            return FAIL, f"{both}: {number(ratio)} times as much; expected at least {number(limits.min_ratio)}"
    return PASS, both


def combine(checks: Iterable[Check]) -> Window:
    """Verdict on a window: one fail fails it, else one inconclusive leaves it open. Dry runs only tell."""
    counted = [check for check in checks if not check.dry_run]
    if not counted:
        return Window(INCONCLUSIVE, "no metric counts: all of them are dry runs")
    for verdict in (FAIL, INCONCLUSIVE):
        found = [check for check in counted if check.verdict == verdict]
        if found:
            first = sorted(found, key=lambda check: not check.critical)[0]
            reason = "; ".join(f"{check.name}: {check.reason}" for check in found)
            return Window(verdict, reason, verdict == FAIL and first.critical)
    return Window(PASS, "; ".join(f"{check.name}: {check.reason}" for check in counted))
