# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a rollout does next. Pure: the recorded state and what is seen in the cluster go in, one action comes out.

Every decision is made anew from what is seen, never from what an earlier call meant to do: a run that was killed between any two
writes goes on as if nothing had happened. State is written before the action that it announces.
"""

from __future__ import annotations

from dataclasses import dataclass

from ansible_collections.servicemesh.platform.plugins.module_utils._canary import plan as plans
from ansible_collections.servicemesh.platform.plugins.module_utils._canary import state as states
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.state import State

# Kinds of actions.
WAIT, BECOME, STOP, DONE = "wait", "become", "stop", "done"
SET_WEIGHT, PROVE, GATE, JUDGE, WATCH = "set_weight", "prove", "gate", "judge", "watch"
APPLY_CANARY, SCALE_CANARY, REMOVE_CANARY = "apply_canary", "scale_canary", "remove_canary"
APPLY_STABLE, SCALE_STABLE, RESTORE_STABLE = "apply_stable", "scale_stable", "restore_stable"
RELEASE = "release"

PROMOTION_GATE = 101  # stands for a weight: the gate before the promotion
POLL = 1.0  # seconds between two looks at pods that are to get ready
_MOVING = frozenset({states.RESETTING, states.PREPARING, states.SHIFTING, states.ANALYSING})


@dataclass(frozen=True, slots=True)
class Workload:
    """A Deployment as it is. `ready`: pods that take traffic; `complete`: all that is wanted runs, in its newest form.

    `template`: digest of its pod template. `failure`: why it will never get ready, empty while it may. `ending`: pods on their way out.
    """

    desired: int
    ready: int
    complete: bool = True
    template: str = ""
    failure: str = ""
    waiting: str = ""
    ending: int = 0


@dataclass(frozen=True, slots=True)
class World:
    """What is seen: the canary's weights in all routes, and both Deployments; null is not there."""

    weights: frozenset[int]
    stable: Workload | None
    canary: Workload | None


@dataclass(frozen=True, slots=True)
class Action:
    """What to do now. `state` is written first when it is not null; then comes `kind`, with `number` (weight, pods) or `seconds`."""

    kind: str
    state: State | None = None
    number: int = 0
    seconds: float = 0.0
    why: str = ""


def decide(state: State, world: World, now: float) -> Action:
    """The next action. Repeating it without a change of state or world gives the same one."""
    if state.phase in states.FINAL:
        return Action(DONE)
    if state.phase in states.WAITING:
        return Action(DONE, why=state.reason)
    if state.phase in _MOVING and now > state.deadline:
        return Action(BECOME, states.failed(state, "it did not end within max_duration", now))
    if state.phase == states.ROLLING_BACK:
        return _roll_back(state, world, now)
    if state.phase == states.PROMOTING:
        return _promote(state, world, now)
    if strange := _off_plan(state, world):
        return Action(STOP, why=strange)
    steps = {
        states.RESETTING: _reset,
        states.PREPARING: _prepare,
        states.SHIFTING: _shift,
        states.ANALYSING: _analyse,
    }
    return steps[state.phase](state, world, now)


def _off_plan(state: State, world: World) -> str:
    """What is not as this run left it. While weights are on their way, some routes may have the old and some the new one."""
    planned = {state.weight} if state.phase == states.ANALYSING else {state.weight, state.before}
    strange = sorted(world.weights - planned)
    if strange:
        meant = " or ".join(f"{weight} %" for weight in sorted(planned))
        return (
            f"the canary's weight is {strange[0]} %, but this run had set {meant}: somebody else changed the routes. "
            f"Nothing was done. Set the weight back to {state.weight} % and run again, or roll back (rollback.yml)"
        )
    if not state.template or state.phase in (states.RESETTING, states.PREPARING) or world.canary is None:
        return ""
    if world.canary.template != state.template:
        return (
            "the canary's Deployment has another pod template than the one that this run began with: somebody else changed it. "
            "Nothing was done. Start anew with that version (on_new_version: restart), or roll back (rollback.yml)"
        )
    return ""


def _weigh(state: State, world: World) -> Action | None:
    """Writes the weight that is meant, then proves it; null when both are done."""
    if world.weights != frozenset({state.weight}):
        return Action(SET_WEIGHT, state, number=state.weight)
    if not state.proved:
        return Action(PROVE, number=state.weight)
    return None


def _enough(state: State, workload: Workload | None, needed: int, now: float, scale: str) -> Action | None:
    """Scales a Deployment up and waits for its pods; null when so many are ready. Too late is a STOP, which callers reword."""
    if workload is None:
        return Action(STOP, why="the Deployment is not there")
    if workload.ready >= needed:
        return None
    if workload.failure:
        return Action(STOP, why=workload.failure)
    if now - state.since > state.plan.progress_deadline:
        return Action(
            STOP,
            why=f"{workload.ready} of {needed} pods are ready after {state.plan.progress_deadline:g} s"
            + (f" ({workload.waiting})" if workload.waiting else ""),
        )
    if workload.desired < needed:
        return Action(scale, number=needed)
    return Action(WAIT, seconds=POLL, why=f"{workload.ready} of {needed} pods are ready")


def _reset(state: State, world: World, _now: float) -> Action:
    """No weight first, then the new version: a subset that has traffic is never re-pointed."""
    if state.before and (action := _weigh(state, world)):
        return action
    return Action(APPLY_CANARY)


def _prepare(state: State, world: World, now: float) -> Action:
    if world.weights != frozenset({state.weight}):
        return Action(SET_WEIGHT, state, number=state.weight)
    if world.canary is None:
        return Action(APPLY_CANARY)
    first = plans.weight_at(state.plan, 0)
    short = _enough(state, world.canary, plans.pods_needed(first, state.baseline), now, SCALE_CANARY)
    if short is not None:
        return _or_fail(state, short, "canary", now)
    if not world.canary.complete and now - state.since <= state.plan.progress_deadline:
        return Action(WAIT, seconds=POLL, why=world.canary.waiting or "the canary is on its way")
    if world.canary.ending and now - state.since <= state.plan.progress_deadline:
        # Proxies may know them still: a request of the first step would reach a pod of an earlier version that is about to go.
        return Action(WAIT, seconds=POLL, why=f"{world.canary.ending} pods of an earlier canary end")
    if not state.proved:
        return Action(BECOME, state.replace(proved=now, template=world.canary.template))
    left = state.proved + state.plan.warmup - now
    if left > 0:
        return Action(WAIT, seconds=left, why="the canary warms up")
    return Action(BECOME, states.shift_to(state, 0, now).replace(before=0))


def _or_fail(state: State, action: Action, who: str, now: float) -> Action:
    return Action(BECOME, states.failed(state, f"{who}: {action.why}", now)) if action.kind == STOP else action


def _shift(state: State, world: World, now: float) -> Action:
    if not state.approved:
        return Action(GATE, number=state.weight)
    needed = plans.pods_needed(state.weight, state.baseline)
    if short := _enough(state, world.canary, needed, now, SCALE_CANARY):
        return _or_fail(state, short, "canary", now)
    return _weigh(state, world) or Action(BECOME, state.entered(states.ANALYSING, now))


def _analyse(state: State, world: World, now: float) -> Action:
    if world.canary is None or world.canary.ready == 0:
        why = world.canary.failure or world.canary.waiting if world.canary else "its Deployment is gone"
        return Action(BECOME, states.failed(state, f"canary: no pod is ready ({why or 'no reason known'})", now))
    left = state.since + state.plan.interval - now
    if left > 0:
        return Action(WAIT, seconds=left, why="the window is open")
    return Action(JUDGE)


# Promotion -------------------------------------------------------------------------------------------------------------


def _promote(state: State, world: World, now: float) -> Action:
    strange = sorted(world.weights - {state.weight, state.before})
    if strange and state.stage in (states.COVER, states.SWITCH, states.UPDATE):
        return Action(
            STOP,
            why=f"the canary's weight is {strange[0]} %, but the promotion had set {state.weight} %: somebody else changed the "
            "routes. Nothing was done. Set it back and run again, or roll back (rollback.yml)",
        )
    stages = {
        states.COVER: _cover,
        states.SWITCH: _switch,
        states.UPDATE: _update,
        states.RETURN: _return,
        states.DRAIN: _drain,
        states.REMOVE: _remove,
        states.FINISH: _finish,
    }
    return stages[state.stage](state, world, now)


def _full_load(state: State, world: World) -> int:
    """Pods that carry everything: as many as stable had at the begin, or has now."""
    return max(1, state.baseline, world.stable.ready if world.stable and not state.touched else 0)


def _cover(state: State, world: World, now: float) -> Action:
    """The canary gets as many pods as stable has, because it is about to carry everything."""
    if not state.approved:
        return Action(GATE, number=PROMOTION_GATE)
    if short := _enough(state, world.canary, _full_load(state, world), now, SCALE_CANARY):
        return _or_fail(state, short, "canary", now)
    return Action(BECOME, states.staged(states.aimed(state, plans.FULL), states.SWITCH, now))


def _switch(state: State, world: World, now: float) -> Action:
    return _weigh(state, world) or Action(BECOME, states.staged(state, states.UPDATE, now, touched=True, applied=False))


def _update(state: State, world: World, now: float) -> Action:
    """Stable takes the new version while nobody calls it."""
    if not state.applied:
        return Action(APPLY_STABLE)
    if world.stable is None or world.stable.failure:
        why = world.stable.failure if world.stable else "its Deployment is gone"
        return Action(BECOME, states.failed(state, f"stable: {why}", now))
    if not world.stable.complete:
        if now - state.since <= state.plan.progress_deadline:
            return Action(WAIT, seconds=POLL, why=world.stable.waiting or "stable takes the new version")
        late = (
            f"stable: not ready with the new version after {state.plan.progress_deadline:g} s ({world.stable.waiting})"
        )
        return Action(BECOME, states.failed(state, late, now))
    if short := _enough(state, world.stable, max(1, state.baseline), now, SCALE_STABLE):
        return _or_fail(state, short, "stable", now)
    return Action(BECOME, states.staged(states.aimed(state, 0), states.RETURN, now))


def _return(state: State, world: World, now: float) -> Action:
    return _weigh(state, world) or Action(BECOME, states.staged(state, states.DRAIN, now))


def _drain(state: State, _world: World, now: float) -> Action:
    left = max(state.since, state.proved) + state.plan.drain - now
    if left > 0:
        return Action(WAIT, seconds=left, why="requests that are under way end")
    return Action(BECOME, states.staged(state, states.REMOVE, now))


def _remove(_state: State, _world: World, _now: float) -> Action:
    return Action(REMOVE_CANARY)


def _finish(_state: State, _world: World, _now: float) -> Action:
    return Action(RELEASE)


# Rollback --------------------------------------------------------------------------------------------------------------


def _roll_back(state: State, world: World, now: float) -> Action:
    stages = {
        states.RESTORE: _restore,
        states.CAPACITY: _back,
        states.WATCH: _watch,
        states.DRAIN: _drain,
        states.REMOVE: _remove,
        states.FINISH: _finish,
    }
    return stages[state.stage](state, world, now)


def _restore(state: State, world: World, now: float) -> Action:
    """Stable gets its old version back while traffic stays where it is, on the copy that is ready."""
    if not state.applied:
        return Action(RESTORE_STABLE)
    if world.stable is None or not world.stable.complete:
        waiting = world.stable.failure or world.stable.waiting if world.stable else "its Deployment is gone"
        if now - state.since > state.plan.progress_deadline:
            why = f"stable: not ready with its old version ({waiting}); the weights stay as they are"
            return Action(STOP, why=why)
        return Action(WAIT, seconds=POLL, why=waiting or "stable takes its old version back")
    return Action(BECOME, states.staged(state, states.CAPACITY, now))


def _back(state: State, world: World, now: float) -> Action:
    """Weights to 0 as far as stable has the pods for it; what is missing is scaled up."""
    ready = world.stable.ready if world.stable else 0
    now_at = max(world.weights, default=0)
    target = plans.step_back(max(state.weight, now_at), ready, max(1, state.baseline))
    if target != state.weight:
        return Action(BECOME, states.aimed(state, target))
    if world.weights != frozenset({state.weight}):
        return Action(SET_WEIGHT, state, number=state.weight)
    if target:
        short = _enough(state, world.stable, max(1, state.baseline), now, SCALE_STABLE)
        if short is None:
            return Action(WAIT, seconds=POLL)
        if short.kind == STOP:
            return Action(
                STOP, why=f"stable: {short.why}; the canary keeps {target} % until stable can carry everything"
            )
        return short
    if not state.proved:
        return Action(PROVE, number=0)
    return Action(BECOME, states.staged(state, states.WATCH, now))


def _watch(state: State, _world: World, now: float) -> Action:
    left = state.since + state.plan.interval - now
    return Action(WAIT, seconds=left, why="errors have to fall") if left > 0 else Action(WATCH)
