# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan of a canary: its weights, its times, and how many windows of a verdict decide. Pure: no I/O, no clock."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeAlias

FULL = 100  # percent
BLIND_INTERVALS = 3  # intervals without a usable sample, after which a run ends by default
BLIND_LEAST = 30.0  # seconds, because proofs and scrapes do not become faster with a shorter interval


class OnFailure(StrEnum):
    """What a failed run does."""

    ROLLBACK = "rollback"
    FREEZE = "freeze"


@dataclass(frozen=True, slots=True)
class BeforeStep:
    """A point of the plan: before the step with this weight (percent)."""

    weight: int

    def __str__(self) -> str:
        return str(self.weight)


@dataclass(frozen=True, slots=True)
class BeforePromotion:
    """A point of the plan: before the promotion."""

    def __str__(self) -> str:
        return "promotion"


# Where a plan can require approvals. Its text is what the option `before` of an approval says.
Milestone: TypeAlias = "BeforeStep | BeforePromotion"


@dataclass(frozen=True, slots=True)
class Plan:
    """Weights and times of a run. Weights are percent of the requests, times seconds.

    `steps` rise strictly and end at 100 or below; whatever the last one is, promotion comes after it.
    `pause_at`: weight after whose window the run pauses until `resume` or `promote` is called; 0 pauses nowhere.
    `failures`, `inconclusives`: this many windows in a row with that verdict end the run. `passes`: this many are required for each step.
    `blind_limit`: seconds without a usable sample that end the run; None is the default, see `blind_seconds`.
    """

    steps: tuple[int, ...]
    interval: float = 60.0
    warmup: float = 0.0
    max_duration: float = 3600.0
    progress_deadline: float = 300.0
    drain: float = 10.0
    pause_at: int = 0
    on_failure: OnFailure = OnFailure.ROLLBACK
    failures: int = 1
    inconclusives: int = 3
    passes: int = 1
    blind_limit: float | None = None

    @property
    def blind_seconds(self) -> float:
        """Seconds since the last usable sample after which the run ends.

        The default is three intervals, and not less than 30 s. More inconclusive windows than three are allowed by `inconclusives` alone,
        so it follows them.
        """
        if self.blind_limit is not None:
            return self.blind_limit
        return max(BLIND_LEAST, max(BLIND_INTERVALS, self.inconclusives) * self.interval)

    def as_dict(self) -> dict[str, Any]:
        """For the record in the cluster; `plan_of` reads it back."""
        values = {name: getattr(self, name) for name in Plan.__slots__}
        return {**values, "steps": list(self.steps), "on_failure": self.on_failure.value}


def plan_of(stored: Mapping[str, Any]) -> Plan:
    """The plan that `as_dict` wrote. Keys that this version of the collection does not know are ignored."""
    known = {key: value for key, value in stored.items() if key in Plan.__slots__}
    known["on_failure"] = OnFailure(known.get("on_failure", OnFailure.ROLLBACK))
    return Plan(**{**known, "steps": tuple(known.get("steps") or ())})


def findings(options: Mapping[str, Any]) -> list[str]:
    """Everything that is wrong with the options of a plan. Each line names the option, its value and what was expected."""
    return [*_step_findings(options.get("steps")), *_number_findings(options), *_relation_findings(options)]


def _step_findings(steps: Any) -> list[str]:
    if not isinstance(steps, Sequence) or isinstance(steps, str) or not steps:
        return [f"steps: {steps!r} is not a list of weights; expected for example [5, 20, 50]"]
    found = []
    for index, step in enumerate(steps):
        if isinstance(step, bool) or not isinstance(step, int) or not 1 <= step <= FULL:
            found.append(f"steps[{index}]: {step!r} is not a weight; expected a whole number from 1 to 100 (percent)")
    if found:
        return found
    return [
        f"steps[{index + 1}]: {after} is not above {before}; expected increasing weights such as [5, 20, 50]"
        for index, (before, after) in enumerate(itertools.pairwise(steps))
        if after <= before
    ]


_NUMBERS = (
    ("interval", 1, 86400, "seconds"),
    ("warmup", 0, 86400, "seconds"),
    ("max_duration", 1, 30 * 86400, "seconds"),
    ("progress_deadline", 1, 86400, "seconds"),
    ("drain", 0, 3600, "seconds"),
    ("failures", 1, 1000, "windows"),
    ("inconclusives", 1, 1000, "windows"),
    ("passes", 1, 1000, "windows"),
    ("blind_limit", 1, 30 * 86400, "seconds"),
)


def _number_findings(options: Mapping[str, Any]) -> list[str]:
    found = []
    for name, low, high, unit in _NUMBERS:
        value = options.get(name)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
            found.append(f"{name}: {value!r} is not a number of {unit} from {low} to {high}")
    return found


def _relation_findings(options: Mapping[str, Any]) -> list[str]:
    found = []
    pause_at, steps = options.get("pause_at") or 0, options.get("steps")
    if pause_at and isinstance(steps, Sequence) and pause_at not in steps:
        found.append(f"pause_at: {pause_at!r} is not one of the steps {list(steps)}; expected one of them, or 0")
    on_failure = options.get("on_failure", OnFailure.ROLLBACK)
    if on_failure not in tuple(OnFailure):
        found.append(f"on_failure: {on_failure!r} is neither rollback nor freeze")
    if blind := _blind_finding(options):
        found.append(blind)
    interval, passes, warmup, longest = (options.get(name) for name in ("interval", "passes", "warmup", "max_duration"))
    numbers = all(isinstance(value, (int, float)) for value in (interval, passes, warmup, longest))
    if isinstance(steps, Sequence) and numbers:
        least = float(warmup or 0) + len(steps) * int(passes or 1) * float(interval or 0)
        if least > float(longest or 0):
            found.append(
                f"max_duration: {longest} seconds is less than the windows of all steps take; expected at least {least:g} seconds"
            )
    return found


def _blind_finding(options: Mapping[str, Any]) -> str:
    """Why `blind_limit` ends every run: the weight has to be proved and scraped before the window of an interval begins."""
    limit, interval = options.get("blind_limit"), options.get("interval")
    if not isinstance(limit, (int, float)) or not isinstance(interval, (int, float)) or limit >= 2 * interval:
        return ""
    return (
        f"blind_limit: {limit:g} seconds is less than two intervals, in which the first window of a step may end; "
        f"expected at least {2 * interval:g} seconds"
    )


def make(options: Mapping[str, Any]) -> Plan:
    """The plan of valid options; options that are None take their defaults."""
    return plan_of({key: value for key, value in options.items() if value is not None})


def next_index(plan: Plan, index: int) -> int | None:
    """Index of the step after `index` (-1 before the first), or None when the promotion comes next."""
    return index + 1 if index + 1 < len(plan.steps) else None


def weight_at(plan: Plan, index: int) -> int:
    """Weight of a step; 0 before the first."""
    return plan.steps[index] if 0 <= index < len(plan.steps) else 0


def pods_needed(weight: int, baseline: int) -> int:
    """Number of pods that carry `weight` percent of what `baseline` pods carry; at least one when the weight is not 0."""
    return max(1, math.ceil(max(baseline, 1) * weight / FULL)) if weight > 0 else 0


def carried(ready: int, baseline: int) -> int:
    """Percent of the whole load that `ready` of `baseline` pods carry; 100 when the number of pods that is needed is not known."""
    return FULL if baseline <= 0 else min(FULL, FULL * max(ready, 0) // baseline)


def step_back(current: int, ready: int, baseline: int) -> int:
    """Weight that the canary keeps while stable has too few pods for all requests; never above `current`."""
    return min(current, FULL - carried(ready, baseline))
