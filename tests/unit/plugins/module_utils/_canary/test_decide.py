# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rollout's decisions in a cluster of dicts, with a run that is killed before or after any of its writes."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from ansible_collections.servicemesh.platform.plugins.module_utils._canary import decide as machine
from ansible_collections.servicemesh.platform.plugins.module_utils._canary import plan as plans
from ansible_collections.servicemesh.platform.plugins.module_utils._canary import state as states
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.verdict import Window
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.decide import Workload, World
from hypothesis import given, settings
from hypothesis import strategies as st


class KilledError(Exception):
    """kill -9."""


class Cluster:
    """What a rollout sees and writes. `kill_at`: the write, from 0, that kills the run; `after`: it is done nevertheless."""

    def __init__(self, replicas: int = 2, kill_at: int = -1, after: bool = False) -> None:
        self.stored = ""
        self.weight, self.replicas = 0, replicas
        self.stable_version, self.canary_version = "old", ""
        self.canary_pods = 0
        self.stable_pods = replicas
        self.writes, self.kill_at, self.after = 0, kill_at, after
        self.now = 1000.0
        self.record = ""
        self.worst = 100  # least share of the load that ready pods of the right kind could carry while they had to

    def write(self, change: dict[str, Any]) -> None:
        number, self.writes = self.writes, self.writes + 1
        if number == self.kill_at and not self.after:
            raise KilledError
        for name, value in change.items():
            setattr(self, name, value)
        self.worst = min(self.worst, plans.carried(self.canary_pods, plans.pods_needed(self.weight, self.replicas)))
        if number == self.kill_at:
            raise KilledError

    def world(self) -> World:
        canary = (
            Workload(self.canary_pods, self.canary_pods, template=self.canary_version) if self.canary_version else None
        )
        return World(
            frozenset({self.weight}), Workload(self.stable_pods, self.stable_pods, template=self.stable_version), canary
        )


def begin(cluster: Cluster, plan: plans.Plan) -> None:
    state = states.State(
        "r",
        "s",
        "n",
        plan,
        started=cluster.now,
        since=cluster.now,
        deadline=cluster.now + 1e6,
        baseline=cluster.replicas,
    )
    cluster.stored = states.to_json(state)


def run(cluster: Cluster, verdicts: list[str], limit: int = 400) -> states.State:
    """Goes on until the rollout ends or waits for a person; verdicts come in turn, the last one for ever."""
    for _turn in range(limit):
        state = states.from_json(cluster.stored)
        action = machine.decide(state, cluster.world(), cluster.now)
        if action.state is not None and action.state != state:
            cluster.write({"stored": states.to_json(action.state)})
            state = action.state
        cluster.now += 0.1
        kind = action.kind
        if kind in (machine.DONE, machine.STOP):
            return state
        if kind == machine.WAIT:
            cluster.now += action.seconds
        elif kind == machine.SET_WEIGHT:
            cluster.write({"weight": action.number})
        elif kind == machine.APPLY_CANARY:
            assert cluster.weight == 0, "a subset with traffic was re-pointed"
            cluster.write({"canary_version": "new", "canary_pods": max(1, cluster.canary_pods)})
            if state.phase == states.RESETTING:
                cluster.write(
                    {"stored": states.to_json(state.entered(states.PREPARING, cluster.now, proved=0.0, before=0))}
                )
        elif kind == machine.SCALE_CANARY:
            cluster.write({"canary_pods": action.number})
        elif kind == machine.SCALE_STABLE:
            cluster.write({"stable_pods": action.number})
        elif kind == machine.REMOVE_CANARY:
            assert cluster.weight == 0, "pods with traffic were removed"
            cluster.write({"canary_version": "", "canary_pods": 0})
            cluster.write({"stored": states.to_json(states.staged(state, states.FINISH, cluster.now))})
        elif kind == machine.APPLY_STABLE:
            assert cluster.weight == 100, "stable took a new version while it had traffic"
            cluster.write({"stable_version": "new"})
            cluster.write({"stored": states.to_json(state.replace(applied=True))})
        elif kind == machine.RESTORE_STABLE:
            cluster.write({"stable_version": "old"})
            cluster.write({"stored": states.to_json(state.replace(applied=True))})
        elif kind == machine.RELEASE:
            ended = states.PROMOTED if state.phase == states.PROMOTING else states.ROLLED_BACK
            cluster.write({"stored": states.to_json(state.entered(ended, cluster.now))})
        else:
            following = {
                machine.PROVE: lambda s: s.replace(proved=cluster.now),
                machine.GATE: lambda s: s.replace(approved=True),
                machine.WATCH: lambda s: states.staged(s, states.DRAIN, cluster.now),
                machine.JUDGE: lambda s: states.judged(
                    s, Window(verdicts.pop(0) if len(verdicts) > 1 else verdicts[0], "why"), cluster.now
                ),
                machine.BECOME: lambda s: s,
            }[kind](state)
            if following != state:
                cluster.write({"stored": states.to_json(following)})
    raise AssertionError("it does not end")


plan_of_some = st.builds(
    plans.Plan,
    st.lists(st.integers(1, 100), min_size=1, max_size=5, unique=True).map(lambda steps: tuple(sorted(steps))),
    interval=st.just(10.0),
    passes=st.integers(1, 2),
    failures=st.integers(1, 2),
)


def ended(cluster: Cluster, state: states.State) -> None:
    """Old or new, never between."""
    assert state.phase in states.FINAL
    assert (cluster.weight, cluster.canary_pods, cluster.canary_version) == (0, 0, "")
    assert cluster.stable_version == ("new" if state.phase == states.PROMOTED else "old")
    assert cluster.stable_pods >= cluster.replicas


@given(plan_of_some, st.integers(1, 6))
def test_a_good_version_always_gets_promoted(plan: plans.Plan, replicas: int) -> None:
    cluster = Cluster(replicas)
    begin(cluster, plan)
    state = run(cluster, ["pass"])
    assert state.phase == states.PROMOTED
    ended(cluster, state)
    assert cluster.worst == 100


@given(
    plan_of_some, st.integers(1, 6), st.lists(st.sampled_from(["pass", "fail", "inconclusive"]), min_size=1, max_size=8)
)
def test_every_row_of_verdicts_ends_in_old_or_new(plan: plans.Plan, replicas: int, verdicts: list[str]) -> None:
    cluster = Cluster(replicas)
    begin(cluster, plan)
    ended(cluster, run(cluster, list(verdicts)))


@settings(max_examples=300)
@given(
    plan_of_some,
    st.integers(1, 3),
    st.lists(st.sampled_from(["pass", "pass", "fail", "inconclusive"]), min_size=1, max_size=5),
    st.lists(st.tuples(st.integers(0, 40), st.booleans()), min_size=1, max_size=3),
)
def test_killed_at_any_writes_it_ends_in_old_or_new(
    plan: plans.Plan, replicas: int, verdicts: list[str], kills: list[tuple[int, bool]]
) -> None:
    cluster = Cluster(replicas)
    begin(cluster, plan)
    verdicts = list(verdicts)
    for number, after in kills:
        cluster.writes, cluster.kill_at, cluster.after = 0, number, after
        try:
            run(cluster, verdicts)
            break
        except KilledError:
            cluster.now += 60
    cluster.kill_at = -1
    ended(cluster, run(cluster, verdicts))
    assert cluster.worst == 100


@given(plan_of_some, st.integers(0, 40))
def test_past_its_deadline_a_killed_run_is_rolled_back(plan: plans.Plan, number: int) -> None:
    cluster = Cluster(2, number)
    begin(cluster, plan)
    try:
        state = run(cluster, ["pass"])
    except KilledError:
        was = states.from_json(cluster.stored)
        cluster.kill_at, cluster.now = -1, 1e7
        state = run(cluster, ["pass"])
        if was.phase in (states.RESETTING, states.PREPARING, states.SHIFTING, states.ANALYSING):
            assert state.phase == states.ROLLED_BACK
            assert "max_duration" in state.reason
    ended(cluster, state)


@given(plan_of_some, st.integers(0, 40), st.integers(0, 100))
def test_a_weight_of_somebody_else_stops_the_run_and_a_rollback_still_works(
    plan: plans.Plan, number: int, strange: int
) -> None:
    cluster = Cluster(2, number)
    begin(cluster, plan)
    try:
        run(cluster, ["pass"])
        return
    except KilledError:
        cluster.kill_at = -1
    state = states.from_json(cluster.stored)
    planned = {state.weight} if state.phase == states.ANALYSING else {state.weight, state.before}
    if strange in planned or state.phase in (states.ROLLING_BACK, *states.FINAL):
        return
    if state.phase == states.PROMOTING and state.stage not in (states.COVER, states.SWITCH, states.UPDATE):
        return
    cluster.weight = strange
    writes = cluster.writes
    if state.phase in (states.RESETTING, states.PREPARING) and state.weight == state.before == strange:
        return
    assert machine.decide(state, cluster.world(), cluster.now).kind == machine.STOP
    assert cluster.writes == writes
    cluster.stored = states.to_json(states.rolling_back(state, "by hand", cluster.now))
    ended(cluster, run(cluster, ["pass"]))


def test_a_rollback_waits_for_pods_and_gives_stable_no_more_than_it_carries() -> None:
    plan = plans.Plan((50, 100), interval=10)
    state = states.State(
        "r", "s", "n", plan, phase=states.ROLLING_BACK, stage=states.CAPACITY, weight=100, baseline=4, deadline=9e9
    )
    few = World(frozenset({100}), Workload(1, 1), Workload(4, 4))
    first = machine.decide(state, few, 0.0)
    assert first.state is not None
    assert first.state.weight == 75, "one of four pods carries a quarter"
    assert machine.decide(first.state, few, 0.0).kind == machine.SET_WEIGHT
    there = dataclasses.replace(few, weights=frozenset({75}))
    assert machine.decide(first.state, there, 0.0) == machine.Action(machine.SCALE_STABLE, number=4)
    late = machine.decide(first.state, dataclasses.replace(there, stable=Workload(4, 1)), 1e6)
    assert late.kind == machine.STOP
    assert "keeps 75 %" in late.why
    enough = machine.decide(first.state, dataclasses.replace(there, stable=Workload(4, 4)), 0.0)
    assert enough.state is not None
    assert enough.state.weight == 0


def test_pods_of_an_earlier_canary_have_to_be_gone_before_the_first_step() -> None:
    state = states.State("r", "s", "n", plans.Plan((50,)), phase=states.PREPARING, deadline=9e9)
    world = World(frozenset({0}), Workload(1, 1), Workload(1, 1, template="t", ending=1))
    assert machine.decide(state, world, 1.0).kind == machine.WAIT
    gone = dataclasses.replace(world, canary=Workload(1, 1, template="t"))
    assert machine.decide(state, gone, 1.0).kind == machine.BECOME


def test_a_canary_without_ready_pods_is_not_watched_any_longer() -> None:
    state = states.State(
        "r", "s", "n", plans.Plan((50,)), phase=states.ANALYSING, weight=50, template="t", deadline=9e9
    )
    world = World(frozenset({50}), Workload(1, 1), Workload(1, 0, template="t", failure="CrashLoopBackOff"))
    action = machine.decide(state, world, 0.0)
    assert action.state is not None
    assert (action.state.phase, action.state.stage) == (states.ROLLING_BACK, states.CAPACITY)
    assert "CrashLoopBackOff" in action.state.reason


def test_stable_that_does_not_take_the_new_version_gets_its_old_one_before_it_gets_traffic() -> None:
    plan = plans.Plan((50,), progress_deadline=5)
    state = states.State("r", "s", "n", plan, phase=states.PROMOTING, stage=states.UPDATE, weight=100, baseline=1)
    state = state.replace(touched=True, applied=True)
    ill = World(frozenset({100}), Workload(1, 0, complete=False, waiting="starts"), Workload(1, 1))
    assert machine.decide(state, ill, 1.0).kind == machine.WAIT
    late = machine.decide(state, ill, 10.0).state
    assert late is not None
    assert (late.phase, late.stage, late.weight) == (states.ROLLING_BACK, states.RESTORE, 100)
    assert machine.decide(late, ill, 10.0).kind == machine.RESTORE_STABLE
    assert machine.decide(late.replace(applied=True), ill, 11.0).kind == machine.WAIT, "traffic stays on the canary"


@pytest.mark.parametrize("phase", states.PHASES)
def test_verbs_are_idempotent_in_every_phase(phase: str) -> None:
    state = states.State(
        "r", "s", "n", plans.Plan((10, 50), hold_at=10), phase=phase, stage=states.COVER, index=0, weight=10, passes=1
    )
    for verb in (states.paused, states.frozen, states.interrupted):
        once = verb(state, 5.0)
        assert verb(once, 5.0) == once
    if phase in states.FINAL:
        assert states.resumed(state, 5.0) == states.paused(state, 5.0) == states.frozen(state, 5.0) == state


def test_held_then_promoted_goes_on_with_the_steps_unless_full() -> None:
    held = states.State(
        "r", "s", "n", plans.Plan((10, 50), hold_at=10), phase=states.HOLDING, index=0, weight=10, passes=1
    )
    on = states.promoted_by_hand(held, 5.0, full=False)
    assert (on.phase, on.index, on.weight) == (states.SHIFTING, 1, 50)
    full = states.promoted_by_hand(held, 5.0, full=True)
    assert (full.phase, full.stage, full.weight) == (states.PROMOTING, states.COVER, 10)


def test_a_signal_takes_back_the_step_that_was_not_judged() -> None:
    state = states.State("r", "s", "n", plans.Plan((10, 50)), phase=states.ANALYSING, index=1, before=10, weight=50)
    back = states.interrupted(state, 5.0)
    assert (back.phase, back.index, back.weight, back.before) == (states.HOLDING, 0, 10, 50)
    first = states.interrupted(state.replace(index=0, before=0, weight=10), 5.0)
    assert (first.phase, first.weight, first.before) == (states.HOLDING, 0, 10)


def test_a_long_history_fits_into_a_config_map() -> None:
    state = states.State("r", "s", "n", plans.Plan((1, 2)))
    for number in range(states.HISTORY_LIMIT + 50):
        state = state.noted(float(number), "window", "x" * 5000)
    assert len(state.history) == states.HISTORY_LIMIT
    text = states.to_json(state)
    assert len(text) <= states.SIZE_LIMIT
    kept = states.from_json(text).history
    assert kept[-1] == state.history[-1]
    assert len(kept) > 50


def test_a_state_survives_its_json_and_other_text_is_refused() -> None:
    state = states.State("r", "s", "n", plans.Plan((1, 2)), proof={"envoys": 2}).noted(5.0, "step", "x", checks=[])
    assert states.from_json(states.to_json(state)) == state
    for text in ("", "[]", "{}", '{"plan": 1}', states.to_json(state).replace('"resetting"', '"flying"')):
        with pytest.raises(ValueError, match=r"state|phase"):
            states.from_json(text)
