# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a rollout does next. Pure: the recorded state and the observed state of the cluster go in, one action comes out.

Every decision is made from what is observed now, not from what an earlier call intended: a run that was killed between any two writes
continues correctly. The state is written before the action that it announces.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, assert_never

from ansible_collections.servicemesh.platform.plugins.module_utils._canary import plan as plans
from ansible_collections.servicemesh.platform.plugins.module_utils._canary import transitions
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.plan import (
    BeforePromotion,
    BeforeStep,
    Milestone,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.state import Phase, Stage, State

POLL = 1.0  # seconds between two looks at pods that become ready
QUICK = 0.4  # the same in a promotion, in which the new version has all requests and stable has none
_MOVING = frozenset({Phase.RESETTING, Phase.PREPARING, Phase.SHIFTING, Phase.ANALYSING})


class ActionKind(StrEnum):
    """What a call does next. WAIT, STOP and DONE end the call; the executor carries the others out."""

    WAIT = "wait"
    STOP = "stop"
    DONE = "done"
    TRANSITION = "transition"
    SET_WEIGHT = "set_weight"
    PROVE = "prove"
    CHECK_APPROVALS = "check_approvals"
    OPEN_WINDOW = "open_window"
    JUDGE = "judge"
    WATCH = "watch"
    DRAIN = "drain"
    APPLY_CANARY = "apply_canary"
    SCALE_CANARY = "scale_canary"
    REMOVE_CANARY = "remove_canary"
    APPLY_STABLE = "apply_stable"
    SCALE_STABLE = "scale_stable"
    RESTORE_STABLE = "restore_stable"
    CLEAN_UP = "clean_up"


@dataclass(frozen=True, slots=True)
class Workload:
    """A Deployment as observed. `ready`: pods that may get traffic. `complete`: all wanted pods run, with its newest pod template.

    `template`: digest of its pod template. `failure`: why it will never become ready, empty while it may. `ending`: pods that terminate.
    `endpoints`: ready pods that are endpoints of the Service already, which is what proxies know; None: not known.
    """

    desired: int
    ready: int
    complete: bool = True
    template: str = ""
    failure: str = ""
    waiting: str = ""
    ending: int = 0
    endpoints: int | None = None

    @property
    def reachable(self) -> int:
        """Ready pods that requests can reach, as far as it is known."""
        return self.ready if self.endpoints is None else self.endpoints

    def ready_of(self, needed: int) -> str:
        """In words how many pods are ready, of those that are needed."""
        text = f"{self.ready} of {needed} pods are ready"
        return text if self.reachable == self.ready else f"{text}, {self.reachable} in the Service's EndpointSlices"


@dataclass(frozen=True, slots=True)
class ObservedState:
    """What is observed in the cluster: the canary's weights in all routes, and both Deployments (None: it does not exist).

    `changed`: what somebody else changed in the routes since the start, so that no weight can be given to the canary. `elsewhere`: routes
    that somebody else has added and that lead to the canary.
    `watchdog`: the pod that watches over the run; None when none is wanted.
    """

    weights: frozenset[int]
    stable: Workload | None
    canary: Workload | None
    changed: tuple[str, ...] = ()
    elsewhere: tuple[str, ...] = ()
    watchdog: Workload | None = None


@dataclass(frozen=True, slots=True)
class Action:
    """What to do now. `state`, when it is not None, is written before that.

    `weight`: percent, for SET_WEIGHT and PROVE. `pods`: for SCALE_CANARY and SCALE_STABLE. `milestone`: for CHECK_APPROVALS.
    `seconds`: until the next look, for WAIT; at most, for DRAIN. `why`: for WAIT, STOP and DONE.
    """

    kind: ActionKind
    state: State | None = None
    weight: int = 0
    pods: int = 0
    milestone: Milestone | None = None
    seconds: float = 0.0
    why: str = ""


def decide(state: State, observed: ObservedState, now: float) -> Action:
    """The next action. The same state and observed state give the same action."""
    if state.phase in _MOVING:
        if now > state.deadline:
            return _transition(transitions.failed(state, "it did not end within max_duration", now))
        if why := _off_plan(state, observed):
            return Action(ActionKind.STOP, why=why)
    if state.phase is Phase.SHIFTING and now >= transitions.blind_end(state):
        return _transition(transitions.blind(state, now))
    match state.phase:
        case Phase.RESETTING:
            return _reset(state, observed)
        case Phase.PREPARING:
            return _prepare(state, observed, now)
        case Phase.SHIFTING:
            return _shift(state, observed, now)
        case Phase.ANALYSING:
            return _analyse(state, observed, now)
        case Phase.PROMOTING:
            return _promote(state, observed, now)
        case Phase.ROLLING_BACK:
            return _roll_back(state, observed, now)
        case Phase.PAUSED | Phase.FROZEN:
            return Action(ActionKind.DONE, why=state.reason)
        case Phase.PROMOTED | Phase.ROLLED_BACK:
            return Action(ActionKind.DONE)
        case _:
            assert_never(state.phase)


def _transition(state: State) -> Action:
    return Action(ActionKind.TRANSITION, state)


def _wait(seconds: float, why: str) -> Action:
    return Action(ActionKind.WAIT, seconds=seconds, why=why)


def _off_plan(state: State, observed: ObservedState) -> str:
    """What differs from what this run wrote. While a weight is being written, some routes may have the old and some the new one."""
    planned = {state.weight} if state.phase is Phase.ANALYSING else {state.weight, state.before}
    unexpected = sorted(observed.weights - planned)
    if unexpected:
        expected = " or ".join(f"{weight} %" for weight in sorted(planned))
        return (
            f"the canary's weight is {unexpected[0]} %, but this run had set {expected}: somebody else changed the routes. "
            f"Nothing was done. Set the weight back to {state.weight} % and run again, or roll back (rollback.yml)"
        )
    if observed.changed:
        return _changed(observed)
    if not state.template or state.phase in (Phase.RESETTING, Phase.PREPARING) or observed.canary is None:
        return ""
    if observed.canary.template != state.template:
        return (
            "the canary's Deployment has another pod template than at the start of this run: somebody else changed it. "
            "Nothing was done. Start again with that version (on_new_version: restart), or roll back (rollback.yml)"
        )
    return ""


def _changed(observed: ObservedState) -> str:
    return (
        f"the routes changed since the start: {'; '.join(observed.changed)}. Nothing was done. Set them back and run again, "
        "or roll back (rollback.yml)"
    )


def _weigh(state: State, observed: ObservedState) -> Action | None:
    """Writes the planned weight, then proves it; None when both are done."""
    if observed.weights != frozenset({state.weight}):
        return Action(ActionKind.SET_WEIGHT, state, weight=state.weight)
    if not state.proved:
        return Action(ActionKind.PROVE, state, weight=state.weight)
    return None


def _enough(state: State, workload: Workload | None, needed: int, now: float, scale: ActionKind) -> Action | None:
    """Scales a Deployment up and waits for its pods; None when enough are ready. STOP when it fails or is late: callers handle it."""
    if workload is None:
        return Action(ActionKind.STOP, why="the Deployment does not exist")
    if workload.reachable >= needed:
        return None
    if workload.failure:
        return Action(ActionKind.STOP, why=workload.failure)
    if now - state.since > state.plan.progress_deadline:
        return Action(
            ActionKind.STOP,
            why=f"{workload.ready_of(needed)} after {state.plan.progress_deadline:g} s"
            + (f" ({workload.waiting})" if workload.waiting else ""),
        )
    if workload.desired < needed:
        return Action(scale, pods=needed)
    return _wait(POLL, workload.ready_of(needed))


def _or_fail(state: State, action: Action, who: str, now: float) -> Action:
    if action.kind is ActionKind.STOP:
        return _transition(transitions.failed(state, f"{who}: {action.why}", now))
    return action


def _reset(state: State, observed: ObservedState) -> Action:
    """Weight 0 first, then the new version: the pods behind a subset are replaced only while it has no traffic."""
    if state.before and (action := _weigh(state, observed)):
        return action
    return Action(ActionKind.APPLY_CANARY)


def _prepare(state: State, observed: ObservedState, now: float) -> Action:
    if observed.weights != frozenset({state.weight}):
        return Action(ActionKind.SET_WEIGHT, state, weight=state.weight)
    if observed.canary is None:
        return Action(ActionKind.APPLY_CANARY)
    first = plans.weight_at(state.plan, 0)
    needed = plans.pods_needed(first, state.baseline)
    if short := _enough(state, observed.canary, needed, now, ActionKind.SCALE_CANARY):
        return _or_fail(state, short, "canary", now)
    in_time = now - state.since <= state.plan.progress_deadline
    if not observed.canary.complete and in_time:
        return _wait(POLL, observed.canary.waiting or "the canary becomes ready")
    if observed.canary.ending and in_time:
        # Proxies may still have them as endpoints: a request of the first step would reach a terminating pod of an earlier version.
        return _wait(POLL, f"{observed.canary.ending} pods of an earlier canary terminate")
    if observed.watchdog and (late := _enough(state, observed.watchdog, 1, now, ActionKind.WAIT)):
        return _or_fail(state, late, "watchdog", now)  # nothing is shifted before it runs
    if not state.proved:
        return _transition(state.replace(proved=now, template=observed.canary.template))
    left = state.proved + state.plan.warmup - now
    if left > 0:
        return _wait(left, "the canary warms up")
    return _transition(transitions.shift_to(state, 0, now).replace(before=0))


def _shift(state: State, observed: ObservedState, now: float) -> Action:
    if not state.approved:
        return Action(ActionKind.CHECK_APPROVALS, milestone=BeforeStep(state.weight))
    needed = plans.pods_needed(state.weight, state.baseline)
    if short := _enough(state, observed.canary, needed, now, ActionKind.SCALE_CANARY):
        return _or_fail(state, short, "canary", now)
    return _weigh(transitions.exposed(state, now), observed) or _transition(
        transitions.proved(state, now, scraped=False)
    )


def _analyse(state: State, observed: ObservedState, now: float) -> Action:
    if observed.canary is None or observed.canary.ready == 0:
        why = observed.canary.failure or observed.canary.waiting if observed.canary else "its Deployment does not exist"
        return _transition(transitions.failed(state, f"canary: no pod is ready ({why or 'reason unknown'})", now))
    # A window that is due is judged first: its sample may be usable, also when a driver calls late.
    due, blind = state.since + state.plan.interval, transitions.blind_end(state)
    if state.opened and now >= due:
        return Action(ActionKind.JUDGE)
    if now >= blind:
        return _transition(transitions.blind(state, now))
    if not state.opened:
        return Action(ActionKind.OPEN_WINDOW)
    return _ahead(state, observed) or _wait(min(due, blind) - now, "the window is open")


def _ahead(state: State, observed: ObservedState) -> Action | None:
    """In the last window of the last step, the canary gets the pods that the promotion needs: it then waits for none of them."""
    canary, needed = observed.canary, _full_load(state, observed)
    last = plans.next_index(state.plan, state.index) is None and state.passes + 1 >= state.plan.passes
    if not last or state.plan.pause_at == state.weight or canary is None or canary.desired >= needed:
        return None
    return Action(ActionKind.SCALE_CANARY, pods=needed)


# Promotion -------------------------------------------------------------------------------------------------------------


def _promote(state: State, observed: ObservedState, now: float) -> Action:
    unexpected = sorted(observed.weights - {state.weight, state.before})
    if unexpected and state.stage in (Stage.COVER, Stage.SWITCH, Stage.UPDATE):
        return Action(
            ActionKind.STOP,
            why=f"the canary's weight is {unexpected[0]} %, but the promotion had set {state.weight} %: somebody else changed the "
            f"routes. Nothing was done. Set the weight back to {state.weight} % and run again, or roll back (rollback.yml)",
        )
    if observed.changed and state.stage in (Stage.COVER, Stage.SWITCH):
        return Action(ActionKind.STOP, why=_changed(observed))
    match state.stage:
        case Stage.COVER:
            return _cover(state, observed, now)
        case Stage.SWITCH:
            return _weigh(state, observed) or _transition(
                transitions.staged(state, Stage.UPDATE, now, touched=True, applied=False)
            )
        case Stage.UPDATE:
            return _update(state, observed, now)
        case Stage.RETURN:
            return _weigh(state, observed) or _transition(transitions.staged(state, Stage.DRAIN, now))
        case Stage.DRAIN | Stage.REMOVE | Stage.FINISH:
            return _end(state, state.stage, observed, now)
        case Stage.RESTORE | Stage.CAPACITY | Stage.WATCH | None:
            raise ValueError(f"a promotion has no stage {state.stage}")
        case _:
            assert_never(state.stage)


def _full_load(state: State, observed: ObservedState) -> int:
    """Number of pods that carry all requests: as many as stable had at the start, or has now."""
    return max(1, state.baseline, observed.stable.ready if observed.stable and not state.touched else 0)


def _cover(state: State, observed: ObservedState, now: float) -> Action:
    """The canary gets as many pods as stable has, because it is about to get all requests."""
    if not state.approved:
        return Action(ActionKind.CHECK_APPROVALS, milestone=BeforePromotion())
    if short := _enough(state, observed.canary, _full_load(state, observed), now, ActionKind.SCALE_CANARY):
        return _or_fail(state, short, "canary", now)
    return _transition(transitions.staged(transitions.aimed(state, plans.FULL), Stage.SWITCH, now))


def _update(state: State, observed: ObservedState, now: float) -> Action:
    """Stable takes the new version while it has no traffic."""
    if not state.applied:
        return Action(ActionKind.APPLY_STABLE)
    if observed.stable is None or observed.stable.failure:
        why = observed.stable.failure if observed.stable else "its Deployment does not exist"
        return _transition(transitions.failed(state, f"stable: {why}", now))
    if not observed.stable.complete:
        if now - state.since <= state.plan.progress_deadline:
            return _wait(QUICK, observed.stable.waiting or "stable takes the new version")
        late = f"stable: not ready with the new version after {state.plan.progress_deadline:g} s ({observed.stable.waiting})"
        return _transition(transitions.failed(state, late, now))
    if short := _enough(state, observed.stable, max(1, state.baseline), now, ActionKind.SCALE_STABLE):
        return _or_fail(state, short, "stable", now)
    return _transition(transitions.staged(transitions.aimed(state, 0), Stage.RETURN, now))


def _end(
    state: State, stage: Literal[Stage.DRAIN, Stage.REMOVE, Stage.FINISH], observed: ObservedState, now: float
) -> Action:
    """The last stages of a promotion and of a rollback. The canary's pods stay while a route that somebody else added leads to them."""
    match stage:
        case Stage.DRAIN:
            left = max(state.since, state.proved) + state.plan.drain - now
            if left > 0 and state.exposed:
                return Action(ActionKind.DRAIN, seconds=left)
            return _transition(transitions.staged(state, Stage.REMOVE, now))
        case Stage.REMOVE:
            if observed.elsewhere:
                why = (
                    f"{'; '.join(observed.elsewhere)}: somebody else added this route, which leads to the canary. The canary's pods stay. "
                    "Remove the route or let it lead to another subset, and run again"
                )
                return Action(ActionKind.STOP, why=why)
            return Action(ActionKind.REMOVE_CANARY)
        case Stage.FINISH:
            return Action(ActionKind.CLEAN_UP)
        case _:
            assert_never(stage)


# Rollback --------------------------------------------------------------------------------------------------------------


def _roll_back(state: State, observed: ObservedState, now: float) -> Action:
    match state.stage:
        case Stage.RESTORE:
            return _restore(state, observed, now)
        case Stage.CAPACITY:
            return _give_back(state, observed, now)
        case Stage.WATCH:
            return _watch(state, observed, now)
        case Stage.DRAIN | Stage.REMOVE | Stage.FINISH:
            return _end(state, state.stage, observed, now)
        case Stage.COVER | Stage.SWITCH | Stage.UPDATE | Stage.RETURN | None:
            raise ValueError(f"a rollback has no stage {state.stage}")
        case _:
            assert_never(state.stage)


def _restore(state: State, observed: ObservedState, now: float) -> Action:
    """Stable gets its old version back. The weights stay, so that the traffic stays on pods that are ready."""
    if not state.applied:
        return Action(ActionKind.RESTORE_STABLE)
    if observed.stable is None or not observed.stable.complete:
        gone = "its Deployment does not exist"
        waiting = observed.stable.failure or observed.stable.waiting if observed.stable else gone
        if now - state.since > state.plan.progress_deadline:
            why = f"stable: not ready with its old version ({waiting}); the weights stay as they are"
            return Action(ActionKind.STOP, why=why)
        return _wait(POLL, waiting or "stable takes its old version back")
    return _transition(transitions.staged(state, Stage.CAPACITY, now))


def _give_back(state: State, observed: ObservedState, now: float) -> Action:
    """Weight 0, as far as stable has the pods for it; stable is scaled up to what it lacks."""
    ready = _able(state, observed.stable)
    present = max(observed.weights, default=0)
    target = plans.step_back(max(state.weight, present), ready, max(1, state.baseline))
    if target != state.weight:
        return _transition(transitions.aimed(state, target))
    if observed.weights != frozenset({state.weight}):
        return Action(ActionKind.SET_WEIGHT, state, weight=state.weight)
    if target:
        short = _enough(state, observed.stable, max(1, state.baseline), now, ActionKind.SCALE_STABLE)
        if short is None:
            return Action(ActionKind.WAIT, seconds=POLL)
        if short.kind is ActionKind.STOP:
            why = f"stable: {short.why}; the canary keeps {target} % until stable can carry all requests"
            return Action(ActionKind.STOP, why=why)
        return short
    if not state.proved:
        return Action(ActionKind.PROVE, weight=0)
    return _transition(transitions.staged(state, Stage.WATCH, now, opened=False))


def _able(state: State, stable: Workload | None) -> int:
    """Pods of stable that can take requests back. Where it was not touched, it has had requests all the time, whatever is seen now."""
    if stable is None:
        return 0
    return stable.reachable if state.touched else stable.ready


def _watch(state: State, observed: ObservedState, now: float) -> Action:
    """Requests to the canary have to end. They are counted from the first scrape after the proof of weight 0."""
    if not state.exposed:
        return _transition(transitions.watched(state, now, ended=True, said="the canary never had a weight above 0 %"))
    canary = observed.canary
    if canary is None or not (canary.desired or canary.ready or canary.ending):
        return _transition(transitions.watched(state, now, ended=True, said="the canary has no pods"))
    if not state.opened:
        return Action(ActionKind.OPEN_WINDOW)
    # Half an interval has at least one scrape: an interval has two.
    left = state.since + state.plan.interval / 2 - now
    return _wait(left, "requests to the canary must end") if left > 0 else Action(ActionKind.WATCH)
