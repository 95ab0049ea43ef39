# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rollout's decisions in a cluster of dicts, with a run that is killed before or after any of its writes."""

from __future__ import annotations

import dataclasses
from typing import Any, assert_never

import pytest
from ansible_collections.servicemesh.platform.plugins.module_utils._canary import plan as plans
from ansible_collections.servicemesh.platform.plugins.module_utils._canary import state as states
from ansible_collections.servicemesh.platform.plugins.module_utils._canary import transitions
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.verdict import Verdict, Window
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.decide import (
    Action,
    ActionKind,
    ObservedState,
    Workload,
    decide,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.plan import BeforePromotion, BeforeStep
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.state import Phase, Stage
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

    def observed(self) -> ObservedState:
        canary = (
            Workload(self.canary_pods, self.canary_pods, template=self.canary_version) if self.canary_version else None
        )
        return ObservedState(
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
        action = decide(state, cluster.observed(), cluster.now)
        if action.state is not None and action.state != state:
            cluster.write({"stored": states.to_json(action.state)})
            state = action.state
        cluster.now += 0.1
        following = state
        match action.kind:
            case ActionKind.DONE | ActionKind.STOP:
                return state
            case ActionKind.WAIT:
                cluster.now += action.seconds
            case ActionKind.TRANSITION:
                pass
            case ActionKind.SET_WEIGHT:
                cluster.write({"weight": action.weight})
            case ActionKind.APPLY_CANARY:
                assert cluster.weight == 0, "a subset with traffic was re-pointed"
                cluster.write({"canary_version": "new", "canary_pods": max(1, cluster.canary_pods)})
                if state.phase is Phase.RESETTING:
                    following = state.entered(Phase.PREPARING, cluster.now, proved=0.0, before=0)
            case ActionKind.SCALE_CANARY:
                assert action.pods > cluster.canary_pods, "a canary lost pods while it had traffic"
                cluster.write({"canary_pods": action.pods})
            case ActionKind.SCALE_STABLE:
                cluster.write({"stable_pods": action.pods})
            case ActionKind.REMOVE_CANARY:
                assert cluster.weight == 0, "pods with traffic were removed"
                cluster.write({"canary_version": "", "canary_pods": 0})
                following = transitions.staged(state, Stage.FINISH, cluster.now)
            case ActionKind.APPLY_STABLE:
                assert cluster.weight == 100, "stable took a new version while it had traffic"
                cluster.write({"stable_version": "new"})
                following = state.replace(applied=True)
            case ActionKind.RESTORE_STABLE:
                cluster.write({"stable_version": "old"})
                following = state.replace(applied=True)
            case ActionKind.CLEAN_UP:
                ended = Phase.PROMOTED if state.phase is Phase.PROMOTING else Phase.ROLLED_BACK
                following = state.entered(ended, cluster.now)
            case ActionKind.PROVE:
                following = state.replace(proved=cluster.now)
                if state.phase is Phase.SHIFTING:
                    following = transitions.proved(following, cluster.now, scraped=not state.before)
            case ActionKind.OPEN_WINDOW:
                following = transitions.opened(state, cluster.now)
            case ActionKind.CHECK_APPROVALS:
                expected = BeforePromotion() if state.phase is Phase.PROMOTING else BeforeStep(state.weight)
                assert action.milestone == expected
                following = state.replace(approved=True)
            case ActionKind.DRAIN:
                assert cluster.weight == 0, "pods with traffic were looked at"
                cluster.now += action.seconds / 2  # they are quiet, or it is decided again
                if int(cluster.now) % 2:
                    following = transitions.staged(state, Stage.REMOVE, cluster.now)
            case ActionKind.WATCH:
                following = transitions.watched(state, cluster.now, ended=True, said="")
            case ActionKind.JUDGE:
                verdict = verdicts.pop(0) if len(verdicts) > 1 else verdicts[0]
                end = transitions.window_end(state, cluster.now)
                following = transitions.judged(state, Window(Verdict(verdict), "why"), end, cluster.now)
            case _:
                assert_never(action.kind)
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
    assert cluster.stable_version == ("new" if state.phase == Phase.PROMOTED else "old")
    assert cluster.stable_pods >= cluster.replicas


@given(plan_of_some, st.integers(1, 6))
def test_a_good_version_always_gets_promoted(plan: plans.Plan, replicas: int) -> None:
    cluster = Cluster(replicas)
    begin(cluster, plan)
    state = run(cluster, ["pass"])
    assert state.phase == Phase.PROMOTED
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
        if was.phase in (Phase.RESETTING, Phase.PREPARING, Phase.SHIFTING, Phase.ANALYSING):
            assert state.phase == Phase.ROLLED_BACK
            assert "max_duration" in state.reason
    ended(cluster, state)


@given(plan_of_some, st.integers(0, 40), st.integers(0, 100))
def test_a_weight_of_somebody_else_stops_the_run_and_a_rollback_still_works(
    plan: plans.Plan, number: int, foreign: int
) -> None:
    cluster = Cluster(2, number)
    begin(cluster, plan)
    try:
        run(cluster, ["pass"])
        return
    except KilledError:
        cluster.kill_at = -1
    state = states.from_json(cluster.stored)
    planned = {state.weight} if state.phase == Phase.ANALYSING else {state.weight, state.before}
    if foreign in planned or state.phase in (Phase.ROLLING_BACK, *states.FINAL):
        return
    if state.phase == Phase.PROMOTING and state.stage not in (Stage.COVER, Stage.SWITCH, Stage.UPDATE):
        return
    cluster.weight = foreign
    writes = cluster.writes
    if state.phase in (Phase.RESETTING, Phase.PREPARING) and state.weight == state.before == foreign:
        return
    assert decide(state, cluster.observed(), cluster.now).kind == ActionKind.STOP
    assert cluster.writes == writes
    cluster.stored = states.to_json(transitions.rolling_back(state, "by hand", cluster.now))
    ended(cluster, run(cluster, ["pass"]))


def test_a_rollback_waits_for_pods_and_gives_stable_no_more_than_it_carries() -> None:
    plan = plans.Plan((50, 100), interval=10)
    state = states.State(
        "r", "s", "n", plan, phase=Phase.ROLLING_BACK, stage=Stage.CAPACITY, weight=100, baseline=4, deadline=9e9
    )
    few = ObservedState(frozenset({100}), Workload(1, 1), Workload(4, 4))
    first = decide(state, few, 0.0)
    assert first.state is not None
    assert first.state.weight == 75, "one of four pods carries a quarter"
    assert decide(first.state, few, 0.0).kind == ActionKind.SET_WEIGHT
    there = dataclasses.replace(few, weights=frozenset({75}))
    assert decide(first.state, there, 0.0) == Action(ActionKind.SCALE_STABLE, pods=4)
    late = decide(first.state, dataclasses.replace(there, stable=Workload(4, 1)), 1e6)
    assert late.kind == ActionKind.STOP
    assert "keeps 75 %" in late.why
    enough = decide(first.state, dataclasses.replace(there, stable=Workload(4, 4)), 0.0)
    assert enough.state is not None
    assert enough.state.weight == 0


@pytest.mark.parametrize(
    ("phase", "stage", "who"),
    [
        (Phase.PREPARING, None, "canary"),
        (Phase.SHIFTING, None, "canary"),
        (Phase.PROMOTING, Stage.COVER, "canary"),
        (Phase.PROMOTING, Stage.UPDATE, "stable"),
    ],
)
def test_a_version_gets_requests_when_they_can_reach_its_pods(phase: Phase, stage: Stage | None, who: str) -> None:
    plan = plans.Plan((100,), progress_deadline=30)
    state = states.State("r", "s", "n", plan, phase=phase, stage=stage, weight=100, baseline=2, deadline=9e9)
    state = state.replace(index=0, template="t", approved=True, applied=True, touched=stage is Stage.UPDATE)
    known = Workload(2, 2, template="t", endpoints=2)
    observed = ObservedState(frozenset({100}), known, known)

    def with_endpoints(number: int | None) -> ObservedState:
        return dataclasses.replace(observed, **{who: dataclasses.replace(known, endpoints=number)})

    assert decide(state, with_endpoints(1), 1.0).why == "2 of 2 pods are ready, 1 in the Service's EndpointSlices"
    late = decide(state, with_endpoints(1), 31.0).state
    assert late is not None
    assert late.phase is Phase.ROLLING_BACK
    assert "1 in the Service's EndpointSlices after 30 s" in late.reason
    for number in (2, None):
        assert decide(state, with_endpoints(number), 1.0).kind is not ActionKind.WAIT


def test_stable_that_was_touched_takes_requests_back_when_they_can_reach_its_pods() -> None:
    state = states.State(
        "r", "s", "n", plans.Plan((50,)), phase=Phase.ROLLING_BACK, stage=Stage.CAPACITY, weight=100, baseline=2, touched=True,
    )  # fmt: skip
    observed = ObservedState(frozenset({100}), Workload(2, 2, endpoints=0), Workload(2, 2))
    assert decide(state, observed, 1.0).kind is ActionKind.WAIT
    half = decide(state, dataclasses.replace(observed, stable=Workload(2, 2, endpoints=1)), 1.0).state
    assert half is not None
    assert half.weight == 50
    untouched = decide(state.replace(touched=False), observed, 1.0).state
    assert untouched is not None
    assert untouched.weight == 0, "it has had its requests all the time"


def test_pods_of_an_earlier_canary_have_to_be_gone_before_the_first_step() -> None:
    state = states.State("r", "s", "n", plans.Plan((50,)), phase=Phase.PREPARING, deadline=9e9)
    observed = ObservedState(frozenset({0}), Workload(1, 1), Workload(1, 1, template="t", ending=1))
    assert decide(state, observed, 1.0).kind == ActionKind.WAIT
    gone = dataclasses.replace(observed, canary=Workload(1, 1, template="t"))
    assert decide(state, gone, 1.0).kind == ActionKind.TRANSITION


def test_a_canary_without_ready_pods_is_not_watched_any_longer() -> None:
    state = states.State("r", "s", "n", plans.Plan((50,)), phase=Phase.ANALYSING, weight=50, template="t", deadline=9e9)
    observed = ObservedState(frozenset({50}), Workload(1, 1), Workload(1, 0, template="t", failure="CrashLoopBackOff"))
    action = decide(state, observed, 0.0)
    assert action.state is not None
    assert (action.state.phase, action.state.stage) == (Phase.ROLLING_BACK, Stage.CAPACITY)
    assert "CrashLoopBackOff" in action.state.reason


def test_stable_that_does_not_take_the_new_version_gets_its_old_one_before_it_gets_traffic() -> None:
    plan = plans.Plan((50,), progress_deadline=5)
    state = states.State("r", "s", "n", plan, phase=Phase.PROMOTING, stage=Stage.UPDATE, weight=100, baseline=1)
    state = state.replace(touched=True, applied=True)
    ill = ObservedState(frozenset({100}), Workload(1, 0, complete=False, waiting="starts"), Workload(1, 1))
    assert decide(state, ill, 1.0).kind == ActionKind.WAIT
    late = decide(state, ill, 10.0).state
    assert late is not None
    assert (late.phase, late.stage, late.weight) == (Phase.ROLLING_BACK, Stage.RESTORE, 100)
    assert decide(late, ill, 10.0).kind == ActionKind.RESTORE_STABLE
    assert decide(late.replace(applied=True), ill, 11.0).kind == ActionKind.WAIT, "traffic stays on the canary"


@pytest.mark.parametrize("phase", list(Phase))
@pytest.mark.parametrize("stage", [None, *Stage])
def test_every_phase_is_decided_and_a_stage_of_another_phase_is_an_error(phase: Phase, stage: Stage | None) -> None:
    state = states.State("r", "s", "n", plans.Plan((50,)), phase=phase, stage=stage, weight=50, before=50, deadline=9e9)
    observed = ObservedState(frozenset({50}), Workload(1, 1), Workload(1, 1))
    both = {Stage.DRAIN, Stage.REMOVE, Stage.FINISH}
    own = {
        Phase.PROMOTING: both | {Stage.COVER, Stage.SWITCH, Stage.UPDATE, Stage.RETURN},
        Phase.ROLLING_BACK: both | {Stage.RESTORE, Stage.CAPACITY, Stage.WATCH},
    }
    if phase in own and stage not in own[phase]:
        with pytest.raises(ValueError, match="has no stage"):
            decide(state, observed, 1.0)
    else:
        assert decide(state, observed, 1.0).kind in tuple(ActionKind)


def test_a_step_and_the_promotion_ask_for_their_own_approvals() -> None:
    plan = plans.Plan((100,))
    observed = ObservedState(frozenset({0}), Workload(1, 1), Workload(1, 1))
    step = states.State("r", "s", "n", plan, phase=Phase.SHIFTING, index=0, weight=100, deadline=9e9)
    assert decide(step, observed, 1.0) == Action(ActionKind.CHECK_APPROVALS, milestone=BeforeStep(100))
    promotion = transitions.promoting(step, 1.0)
    assert decide(promotion, observed, 1.0) == Action(ActionKind.CHECK_APPROVALS, milestone=BeforePromotion())
    assert [str(BeforeStep(100)), str(BeforePromotion())] == ["100", "promotion"]


@pytest.mark.parametrize(
    ("index", "passes", "pause_at", "ahead"),
    [
        (1, 1, 0, True),  # the last window before the promotion
        (1, 0, 0, False),  # another window of the last step comes first
        (0, 1, 0, False),
        (1, 1, 50, False),  # a person may take hours
    ],
)
def test_the_last_window_brings_the_pods_that_the_promotion_needs(
    index: int, passes: int, pause_at: int, ahead: bool
) -> None:
    plan = plans.Plan((10, 50), interval=10.0, passes=2, pause_at=pause_at)
    state = states.State(
        "run", "web", "shop", plan, phase=Phase.ANALYSING, index=index, weight=plan.steps[index], passes=passes, since=100.0, proved=99.0,
        opened=True, baseline=4, deadline=1000.0,
    )  # fmt: skip
    few, enough = Workload(2, 2), Workload(4, 2)
    observed = ObservedState(frozenset({state.weight}), Workload(4, 4), few)
    action = decide(state, observed, 101.0)
    assert (action.kind, action.pods) == ((ActionKind.SCALE_CANARY, 4) if ahead else (ActionKind.WAIT, 0))
    assert decide(state, dataclasses.replace(observed, canary=enough), 101.0).kind is ActionKind.WAIT


@pytest.mark.parametrize("exposed", [True, False])
def test_only_a_version_that_had_traffic_drains(exposed: bool) -> None:
    plan = plans.Plan((50,), drain=10.0)
    state = states.State(
        "run",
        "web",
        "shop",
        plan,
        phase=Phase.ROLLING_BACK,
        stage=Stage.DRAIN,
        since=100.0,
        proved=98.0,
        exposed=exposed,
    )
    action = decide(state, ObservedState(frozenset({0}), Workload(1, 1), Workload(1, 1)), 104.0)
    if exposed:
        assert (action.kind, action.seconds) == (ActionKind.DRAIN, 6.0)
    else:
        assert action.state is not None
        assert action.state.stage is Stage.REMOVE


@pytest.mark.parametrize(
    ("phase", "stage", "stops"),
    [
        (Phase.SHIFTING, None, True),
        (Phase.ANALYSING, None, True),
        (Phase.PROMOTING, Stage.COVER, True),
        (Phase.PROMOTING, Stage.SWITCH, True),
        (Phase.PROMOTING, Stage.RETURN, False),
        (Phase.ROLLING_BACK, Stage.CAPACITY, False),
    ],
)
def test_routes_that_somebody_changed_get_no_more_weight_but_give_it_back(
    phase: Phase, stage: Stage | None, stops: bool
) -> None:
    target = 0 if phase is Phase.ROLLING_BACK or stage is Stage.RETURN else 50
    state = states.State(
        "r", "s", "n", plans.Plan((10, 50)), phase=phase, stage=stage, index=1, before=10, weight=target, deadline=1e9, since=1.0,
        baseline=1, approved=True,
    )  # fmt: skip
    pods = Workload(2, 2)
    action = decide(state, ObservedState(frozenset({10}), pods, pods, changed=("route api: was moved",)), 2.0)
    if phase is Phase.ANALYSING:
        assert action.kind is ActionKind.STOP
    elif stops:
        assert (action.kind, "route api: was moved" in action.why) == (ActionKind.STOP, True)
    else:
        assert (action.kind, action.weight) == (ActionKind.SET_WEIGHT, 0)


@pytest.mark.parametrize("phase", [Phase.PROMOTING, Phase.ROLLING_BACK])
def test_the_canary_is_not_removed_while_somebodys_route_leads_to_it(phase: Phase) -> None:
    state = states.State("r", "s", "n", plans.Plan((10,)), phase=phase, stage=Stage.REMOVE, proved=1.0)
    pods = Workload(1, 1)
    observed = ObservedState(frozenset({0}), pods, pods, elsewhere=("VirtualService n/v, http route beta",))
    action = decide(state, observed, 1e6)
    assert action.kind is ActionKind.STOP
    assert "http route beta" in action.why
    assert decide(state, dataclasses.replace(observed, elsewhere=()), 1e6).kind is ActionKind.REMOVE_CANARY
