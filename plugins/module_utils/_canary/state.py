# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known about a rollout: the state that is written before each step, and what a verb or a verdict makes of it. Pure.

Phases:

    resetting -> preparing -> shifting -> analysing -> shifting ... -> promoting -> promoted
                                          |      \\-> holding -> shifting, promoting
                                          \\-> rolling_back -> rolled_back
    frozen: nothing moves until a person says resume, promote or rollback.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._canary import plan as plans
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.verdict import (
    FAIL,
    PASS,
    Window,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.plan import Plan

RESETTING, PREPARING, SHIFTING, ANALYSING = "resetting", "preparing", "shifting", "analysing"
HOLDING, PROMOTING, ROLLING_BACK, FROZEN = "holding", "promoting", "rolling_back", "frozen"
PROMOTED, ROLLED_BACK = "promoted", "rolled_back"
FINAL = frozenset({PROMOTED, ROLLED_BACK})
WAITING = frozenset({HOLDING, FROZEN})
PHASES = (
    RESETTING, PREPARING, SHIFTING, ANALYSING, HOLDING, PROMOTING, ROLLING_BACK, FROZEN, PROMOTED, ROLLED_BACK,
)  # fmt: skip

# Stages of promotion and rollback, in their order.
COVER, SWITCH, UPDATE, RETURN, DRAIN, REMOVE, FINISH = (
    "cover",
    "switch",
    "update",
    "return",
    "drain",
    "remove",
    "finish",
)
PROMOTION = (COVER, SWITCH, UPDATE, RETURN, DRAIN, REMOVE, FINISH)
RESTORE, CAPACITY, WATCH = "restore", "capacity", "watch"
ROLLBACK = (RESTORE, CAPACITY, WATCH, DRAIN, REMOVE, FINISH)

TAKEN_BACK = "the step was taken back after a signal"
HISTORY_LIMIT = 300  # entries
RUNS_LIMIT = 20
SIZE_LIMIT = 700_000  # characters; a ConfigMap holds 1 MiB


@dataclass(frozen=True, slots=True)
class State:
    """One rollout. Times are Unix seconds of the API server's clock, weights percent of the requests.

    `weight` is where the weights are meant to be; `before` where they were. Anything else in a route is off plan.
    `since`: when the present phase or stage began; `proved`: when the weight was seen in the proxies, 0 when it was not yet.
    `baseline`: pods that stable had at the begin, so many carry everything. `template`: digest of the canary's pod template.
    `touched`: stable has begun to take the new version; `applied`: what the stage writes to stable is written.
    `approved`: gates before the present step are open. `restore`: what stable had (`template`, `configs`), to go back to.
    `settings`: names and options of the run, without secrets.
    """

    run: str
    service: str
    namespace: str
    plan: Plan
    wanted: str = ""
    version: str = ""
    old_version: str = ""
    phase: str = RESETTING
    stage: str = ""
    index: int = -1
    before: int = 0
    weight: int = 0
    started: float = 0.0
    since: float = 0.0
    proved: float = 0.0
    deadline: float = 0.0
    baseline: int = 0
    template: str = ""
    touched: bool = False
    applied: bool = False
    passes: int = 0
    failures: int = 0
    inconclusives: int = 0
    approved: bool = False
    reason: str = ""
    proof: Mapping[str, Any] = field(default_factory=dict)
    restore: Mapping[str, Any] | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    history: tuple[Mapping[str, Any], ...] = ()

    @property
    def active(self) -> bool:
        """Whether something is under way, be it that it waits for a person."""
        return self.phase not in FINAL

    def replace(self, **changes: Any) -> State:
        """Copy with other values."""
        return dataclasses.replace(self, **changes)

    def entered(self, phase: str, now: float, **changes: Any) -> State:
        """Copy in another phase, whose clock starts now."""
        return self.replace(phase=phase, since=now, **changes)

    def noted(self, now: float, event: str, message: str, **more: Any) -> State:
        """Copy with one more entry in its history."""
        entry = {"time": round(now, 1), "event": event, "message": message, "weight": self.weight, **more}
        return self.replace(history=(*self.history, entry)[-HISTORY_LIMIT:])


def to_json(state: State) -> str:
    """For the ConfigMap, whose size is limited: the oldest entries of a long history are left out."""
    values = {item.name: getattr(state, item.name) for item in dataclasses.fields(state)}
    history = list(state.history)
    while True:
        text = json.dumps({**values, "plan": state.plan.as_dict(), "history": history}, sort_keys=True)
        if len(text) <= SIZE_LIMIT or not history:
            return text
        history = history[max(1, len(history) // 4) :]


def from_json(text: str) -> State:
    """What `to_json` wrote. Raises ValueError when it is not that."""
    try:
        values = json.loads(text)
        known = {item.name for item in dataclasses.fields(State)}
        kept = {key: value for key, value in values.items() if key in known}
        kept["plan"], kept["history"] = plans.plan_of(kept["plan"]), tuple(kept.get("history") or ())
        state = State(**kept)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"it is not a rollout's state: {error}") from None
    if state.phase not in PHASES:
        raise ValueError(f"its phase is {state.phase!r}; expected one of {', '.join(PHASES)}")
    return state


def digest(content: Any) -> str:
    """Short name of a pod template or of definitions: the same content has the same name."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()[:16]


# Transitions -----------------------------------------------------------------------------------------------------------


def shift_to(state: State, index: int, now: float) -> State:
    """On to a step; the weights are still to be written."""
    weight = plans.weight_at(state.plan, index)
    return state.entered(
        SHIFTING, now, index=index, before=state.weight, weight=weight, proved=0.0, passes=0, failures=0, inconclusives=0,
        approved=False,
    )  # fmt: skip


def judged(state: State, window: Window, now: float) -> State:
    """What the verdict on a window leads to: another window, the next step, a hold, promotion, rollback or a freeze."""
    plan = state.plan
    again = state.entered(ANALYSING, now)
    if window.verdict == PASS:
        counted = again.replace(passes=state.passes + 1, failures=0, inconclusives=0)
        if counted.passes < plan.passes:
            return counted
        return _after_step(counted, now)
    if window.verdict == FAIL:
        counted = again.replace(failures=state.failures + 1, passes=0, inconclusives=0)
        if window.critical or counted.failures >= plan.failures:
            return failed(counted, window.reason, now)
        return counted
    counted = again.replace(inconclusives=state.inconclusives + 1, passes=0)
    if counted.inconclusives >= plan.inconclusives:
        return failed(counted, f"{counted.inconclusives} windows in a row told nothing: {window.reason}", now)
    return counted


def _after_step(state: State, now: float) -> State:
    if state.plan.hold_at and state.weight == state.plan.hold_at:
        return state.entered(HOLDING, now, reason=f"held at {state.weight} % as asked (hold_at)")
    return advanced(state, now)


def advanced(state: State, now: float) -> State:
    """On from a step that is done: to the next one, or to promotion after the last."""
    index = plans.next_index(state.plan, state.index)
    return promoting(state, now) if index is None else shift_to(state, index, now)


def promoting(state: State, now: float) -> State:
    """Into promotion, whatever step the run is at."""
    return state.entered(PROMOTING, now, stage=COVER, reason="", applied=False, approved=False)


def failed(state: State, reason: str, now: float) -> State:
    """What a failure leads to, as the plan says."""
    if state.plan.on_failure == "freeze":
        return state.entered(FROZEN, now, reason=reason)
    return rolling_back(state, reason, now)


def rolling_back(state: State, reason: str, now: float) -> State:
    """Into rollback. Where stable has begun to take the new version, it gets its old one back first."""
    stage = RESTORE if state.touched else CAPACITY
    return state.entered(ROLLING_BACK, now, stage=stage, reason=reason, proved=0.0, applied=False)


def staged(state: State, stage: str, now: float, **changes: Any) -> State:
    """On to another stage of promotion or rollback."""
    return state.replace(stage=stage, since=now, **changes)


def aimed(state: State, weight: int) -> State:
    """With another weight to reach; nothing changes when it is the same one."""
    return state if weight == state.weight else state.replace(before=state.weight, weight=weight, proved=0.0)


# Verbs of people -------------------------------------------------------------------------------------------------------


def paused(state: State, now: float) -> State:
    """Stops where it is; the weights stay."""
    if not state.active or state.phase in (HOLDING, FROZEN, PROMOTING, ROLLING_BACK):
        return state
    return state.entered(HOLDING, now, reason="paused by hand")


def frozen(state: State, now: float, reason: str = "frozen by hand") -> State:
    """Stops everything, promotion and rollback too."""
    return state if not state.active or state.phase == FROZEN else state.entered(FROZEN, now, reason=reason)


def resumed(state: State, now: float) -> State:
    """On from a hold or a freeze."""
    if state.phase not in WAITING:
        return state
    state = state.replace(reason="", deadline=now + state.plan.max_duration)
    if state.touched:
        return state.entered(PROMOTING, now, stage=UPDATE, applied=False)
    if state.index < 0:
        return state.entered(PREPARING, now, proved=0.0)
    if state.phase == HOLDING and state.passes >= state.plan.passes:
        return advanced(state, now)
    return shift_to(state, state.index, now).replace(before=state.before, approved=True)


def promoted_by_hand(state: State, now: float, *, full: bool) -> State:
    """`promote`: on from a hold, without another one; `full` leaves out the steps and windows that are to come."""
    if state.phase in FINAL or state.phase == PROMOTING:
        return state
    state = state.replace(plan=dataclasses.replace(state.plan, hold_at=0))
    if full and not state.touched:
        return promoting(state, now).replace(approved=True)
    return resumed(state, now)


def interrupted(state: State, now: float) -> State:
    """After SIGTERM: holds, and takes back the step that no verdict was given on."""
    if state.phase not in (SHIFTING, ANALYSING) or state.index < 0 or state.passes:
        return state
    index = state.index - 1
    weight = plans.weight_at(state.plan, index)
    return state.entered(HOLDING, now, index=index, before=state.weight, weight=weight, proved=0.0, reason=TAKEN_BACK)
