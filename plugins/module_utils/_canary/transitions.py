# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an operation or a verdict makes of a rollout's state. Pure: each function returns the next state."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, assert_never

from ansible_collections.servicemesh.platform.plugins.module_utils._canary import plan as plans
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.verdict import Verdict, Window
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.plan import OnFailure
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.state import (
    FINAL,
    WAITING,
    PauseCause,
    Phase,
    Stage,
    State,
)


def shift_to(state: State, index: int, now: float) -> State:
    """To a step of the plan, before its weight is written."""
    weight = plans.weight_at(state.plan, index)
    return state.entered(
        Phase.SHIFTING, now, index=index, before=state.weight, weight=weight, proved=0.0, passes=0, failures=0,
        inconclusives=0, approved=False, blind_since=0.0, opened=False,
    )  # fmt: skip


def exposed(state: State, now: float) -> State:
    """Before a step's weight is written: from now on the canary gets its requests, and samples are due."""
    return state if state.blind_since else state.replace(blind_since=now, exposed=True)


def proved(state: State, now: float, *, scraped: bool) -> State:
    """A step's weight is in the proxies. `scraped`: the window begins now, and not with the next scrape."""
    return state.entered(Phase.ANALYSING, now, proved=now, opened=scraped)


def opened(state: State, now: float) -> State:
    """A window begins now."""
    return state.replace(since=now, opened=True)


def window_end(state: State, now: float) -> float:
    """Time at which the window that is judged now ends; the next one begins then.

    Windows follow each other without gaps, however long their queries take. One that is judged an interval late or more (the run was
    killed, or a Job took longer) is the last interval before now.
    """
    end = state.since + state.plan.interval
    return end if now - end < state.plan.interval else now


def blind_end(state: State) -> float:
    """Time at which the run has had no usable sample for `blind_limit`; infinite while none is due."""
    match state.phase:
        case Phase.SHIFTING:
            since = state.blind_since
        case Phase.ANALYSING:
            since = state.blind_since or state.since
        case (
            Phase.RESETTING | Phase.PREPARING | Phase.PAUSED | Phase.PROMOTING | Phase.ROLLING_BACK | Phase.FROZEN
            | Phase.PROMOTED | Phase.ROLLED_BACK
        ):  # fmt: skip
            since = 0.0
        case _:
            assert_never(state.phase)
    return since + state.plan.blind_seconds if since else math.inf


def blind(state: State, now: float) -> State:
    """After `blind_limit` without a usable sample."""
    reasons = [
        str(entry.get("message"))
        for entry in state.history
        if entry.get("verdict") == Verdict.INCONCLUSIVE and entry["time"] >= state.blind_since
    ]
    why = reasons[-1] if reasons else "no window has ended"
    return failed(state, f"no usable sample for {state.plan.blind_seconds:g} s (blind_limit): {why}", now)


def judged(state: State, window: Window, end: float, now: float) -> State:
    """After the verdict on a window that ended at `end`: another window, the next step, a pause, promotion, rollback or freeze."""
    plan = state.plan
    again = state.entered(Phase.ANALYSING, end)
    match window.verdict:
        case Verdict.PASS:
            counted = again.replace(passes=state.passes + 1, failures=0, inconclusives=0, blind_since=end)
            return counted if counted.passes < plan.passes else _after_step(counted, now)
        case Verdict.FAIL:
            counted = again.replace(failures=state.failures + 1, passes=0, inconclusives=0, blind_since=end)
            if window.critical or counted.failures >= plan.failures:
                return failed(counted, window.reason, now)
            return counted
        case Verdict.INCONCLUSIVE:
            counted = again.replace(inconclusives=state.inconclusives + 1, passes=0)
            if counted.inconclusives >= plan.inconclusives:
                why = f"{counted.inconclusives} windows in a row were inconclusive: {window.reason}"
                return failed(counted, why, now)
            return blind(counted, now) if now >= blind_end(counted) else counted
        case _:
            assert_never(window.verdict)


def _after_step(state: State, now: float) -> State:
    if state.plan.pause_at and state.weight == state.plan.pause_at:
        why = f"paused at {state.weight} % as planned (pause_at)"
        return state.entered(Phase.PAUSED, now, reason=why, pause_cause=PauseCause.PLANNED)
    return advanced(state, now)


def advanced(state: State, now: float) -> State:
    """From a completed step to the next one, or to the promotion after the last step."""
    index = plans.next_index(state.plan, state.index)
    return promoting(state, now) if index is None else shift_to(state, index, now)


def promoting(state: State, now: float) -> State:
    """To the promotion, from any step."""
    return state.entered(Phase.PROMOTING, now, stage=Stage.COVER, reason="", applied=False, approved=False)


def failed(state: State, reason: str, now: float) -> State:
    """After a failure: what the plan's `on_failure` says."""
    match state.plan.on_failure:
        case OnFailure.FREEZE:
            return frozen(state, now, reason)
        case OnFailure.ROLLBACK:
            return rolling_back(state, reason, now)
        case _:
            assert_never(state.plan.on_failure)


def rolling_back(state: State, reason: str, now: float) -> State:
    """To the rollback. Where stable has begun to take the new version, it gets its old version back first."""
    stage = Stage.RESTORE if state.touched else Stage.CAPACITY
    return state.entered(Phase.ROLLING_BACK, now, stage=stage, reason=reason, proved=0.0, applied=False, opened=False)


def refused(state: State, reason: str, now: float, *, unchanged: bool) -> State | None:
    """After the API server refused a write of the rollout; None when only a person can help.

    `unchanged`: stable has its old pod template. Until the new version is live on stable, the run ends as `on_failure` says. After that,
    and while a rollback is under way, nothing is won by going back: the same right or rule would refuse it.
    """
    match state.phase:
        case Phase.RESETTING | Phase.PREPARING | Phase.SHIFTING | Phase.ANALYSING:
            return failed(state, reason, now)
        case Phase.PROMOTING:
            before = state.stage in (Stage.COVER, Stage.SWITCH, Stage.UPDATE)
            return failed(state, reason, now) if before else None
        case Phase.ROLLING_BACK:
            # What cannot be written need not be: stable runs its old version, and can take its requests back.
            return staged(state, Stage.CAPACITY, now) if state.stage is Stage.RESTORE and unchanged else None
        case Phase.PAUSED | Phase.FROZEN | Phase.PROMOTED | Phase.ROLLED_BACK:
            return None
        case _:
            assert_never(state.phase)


def staged(state: State, stage: Stage, now: float, **changes: Any) -> State:
    """To another stage of a promotion or rollback."""
    return state.replace(stage=stage, since=now, **changes)


def aimed(state: State, weight: int) -> State:
    """With another planned weight; unchanged when it is the same weight."""
    if weight == state.weight:
        return state
    return state.replace(before=state.weight, weight=weight, proved=0.0, exposed=state.exposed or weight > 0)


def watched(state: State, now: float, *, ended: bool, said: str) -> State:
    """After the look for requests that the canary still gets in a rollback. `said`: what was found."""
    proof = {**state.proof, "errors_ended": ended, "errors": said, "proved": bool(state.proof.get("proved")) and ended}
    return staged(state.replace(proof=proof), Stage.DRAIN, now)


def had_requests(state: State) -> bool:
    """Whether a window of this run has counted requests to the canary."""
    return any(((entry.get("shown") or {}).get("canary") or {}).get("requests") for entry in state.history)


# Operations ------------------------------------------------------------------------------------------------------------


def paused(state: State, now: float) -> State:
    """`pause`: stops at the present weight."""
    if not state.active or state.phase in (Phase.PAUSED, Phase.FROZEN, Phase.PROMOTING, Phase.ROLLING_BACK):
        return state
    return state.entered(Phase.PAUSED, now, reason="paused by hand", pause_cause=PauseCause.BY_HAND)


def frozen(state: State, now: float, reason: str = "frozen by hand") -> State:
    """`freeze`: stops everything, also a promotion or a rollback."""
    if not state.active or state.phase is Phase.FROZEN:
        return state
    return state.entered(Phase.FROZEN, now, reason=reason)


def continued(state: State, now: float) -> State:
    """Another run continues this one. Nobody could judge while none drove it, so that `blind_limit` begins again."""
    return state.replace(blind_since=now) if state.blind_since else state


def resumed(state: State, now: float) -> State:
    """`resume`: continues after a pause or a freeze."""
    if state.phase not in WAITING:
        return state
    after = state.replace(reason="", deadline=now + state.plan.max_duration)
    if state.touched:
        return after.entered(Phase.PROMOTING, now, stage=Stage.UPDATE, applied=False)
    if state.index < 0:
        return after.entered(Phase.PREPARING, now, proved=0.0)
    if state.phase is Phase.PAUSED and state.passes >= state.plan.passes:
        return advanced(after, now)
    return shift_to(after, state.index, now).replace(before=state.before, approved=True)


def promoted_by_hand(state: State, now: float, *, full: bool) -> State:
    """`promote`: continues after a pause, without another planned pause. `full` skips the steps and windows that are left."""
    if state.phase in FINAL or state.phase is Phase.PROMOTING:
        return state
    state = state.replace(plan=dataclasses.replace(state.plan, pause_at=0))
    if full and not state.touched:
        return promoting(state, now).replace(approved=True)
    return resumed(state, now)


def interrupted(state: State, now: float, reason: str = "its driver was stopped") -> State:
    """`interrupt`: the driver stops. Notes why; takes back a step that has no verdict yet, and pauses."""
    noted = state.history[-1].get("event") == "interrupted" if state.history else False
    if not state.active or state.phase in WAITING or noted:
        return state
    after = taken_back(state, now, reason)
    said = f"the step to {state.weight} % was taken back" if after.weight != state.weight else "nothing was taken back"
    return after.noted(now, "interrupted", f"{reason}: {said}; {after.phase} at {after.weight} %")


def taken_back(state: State, now: float, reason: str) -> State:
    """Pauses, and takes back a step that has no verdict yet; unchanged without such a step."""
    if state.phase not in (Phase.SHIFTING, Phase.ANALYSING) or state.index < 0 or state.passes:
        return state
    index = state.index - 1
    return state.entered(
        Phase.PAUSED, now, index=index, before=state.weight, weight=plans.weight_at(state.plan, index), proved=0.0,
        reason=reason, pause_cause=PauseCause.INTERRUPTED,
    )  # fmt: skip


def stopped_by_error(state: State, now: float, error: str) -> State:
    """After an error that this collection did not expect: takes back a step without a verdict, and says why."""
    return taken_back(state, now, f"the step was taken back after {error}").noted(now, "error", f"stopped by {error}")
