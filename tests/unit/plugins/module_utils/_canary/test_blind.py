# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a run goes on without evidence, where its windows begin and end, and which scrapes they need."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TypeVar

import pytest
from ansible_collections.servicemesh.platform.plugins.module_utils._canary import plan as plans
from ansible_collections.servicemesh.platform.plugins.module_utils._canary import transitions
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis import runner
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.scrapes import (
    Scrapes,
    why_not_since,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.verdict import (
    Sample,
    Status,
    Verdict,
    Window,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.decide import (
    ActionKind,
    ObservedState,
    Workload,
    decide,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.plan import OnFailure
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.state import Phase, Stage, State
from hypothesis import given
from hypothesis import strategies as st

T = TypeVar("T")
PASS, FAIL, INCONCLUSIVE = Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE
ENOUGH = Workload(100, 100, template="t")


@dataclass
class Drive:
    """A driver with a clock of its own. Each list says what happens one time after the other, its last value from then on."""

    plan: plans.Plan
    verdicts: list[Verdict]
    scraped: list[bool] = field(default_factory=lambda: [True])
    queries: list[float] = field(default_factory=lambda: [0.1])  # seconds that the queries of a window take
    proofs: list[float] = field(default_factory=lambda: [1.0])
    approvals: list[float] = field(default_factory=lambda: [0.0])
    now: float = 1000.0
    weight: int = 0
    changed: float = 0.0  # time of the last change of the weight
    blind: float = 0.0  # seconds without a usable sample, pauses and approvals apart
    longest: float = 0.0
    last_usable: float = 0.0
    windows: list[tuple[float, float]] = field(default_factory=list)

    def run(self, phase: Phase = Phase.PREPARING) -> State:
        """Until the run promotes, rolls back or freezes."""
        state = State("r", "s", "n", self.plan, phase=phase, since=self.now, deadline=1e9, exposed=False)
        for _turn in range(2000):
            begin, was = self.now, state
            action = decide(state, ObservedState(frozenset({self.weight}), ENOUGH, ENOUGH), self.now)
            state = action.state or state
            self.now += 0.05
            if state.phase in (Phase.PROMOTING, Phase.ROLLING_BACK, Phase.FROZEN):
                return state
            match action.kind:
                case ActionKind.WAIT:
                    self.now += action.seconds
                case ActionKind.SET_WEIGHT:
                    self.weight, self.changed = action.weight, self.now
                case ActionKind.CHECK_APPROVALS:
                    self.now += _next(self.approvals)
                    state = state.replace(approved=True)
                    begin = self.now
                case ActionKind.PROVE:
                    self.now += min(_next(self.proofs), max(0.0, transitions.blind_end(state) - self.now))
                    state = transitions.proved(state, self.now, scraped=not state.before)
                case ActionKind.OPEN_WINDOW:
                    state = self._open(state)
                case ActionKind.JUDGE:
                    end = transitions.window_end(state, self.now)
                    self.now += _next(self.queries)
                    state = self._judged(state, _next(self.verdicts), end)
                case _:
                    assert action.kind is ActionKind.TRANSITION, action
            self._count(begin, was)
            if state.phase in (Phase.PROMOTING, Phase.ROLLING_BACK, Phase.FROZEN):
                return state
        raise AssertionError("it does not end")

    def _count(self, begin: float, was: State) -> None:
        if self.weight and was.phase in (Phase.SHIFTING, Phase.ANALYSING):
            self.blind += self.now - begin
            self.longest = max(self.longest, self.blind)
        self.blind = min(self.blind, self.now - self.last_usable) if self.last_usable else self.blind

    def _open(self, state: State) -> State:
        if _next(self.scraped):
            return transitions.opened(state, self.now)
        if self.now < state.since + self.plan.interval:
            self.now += 1.0
            return state
        window = Window(INCONCLUSIVE, "no scrape")
        return transitions.judged(state, window, transitions.window_end(state, self.now), self.now)

    def _judged(self, state: State, verdict: Verdict, end: float) -> State:
        start = end - self.plan.interval
        assert start >= max(self.changed, state.proved) - 1e-6, "the window has traffic of another weight"
        assert not self.windows or start >= self.windows[-1][1] - 1e-6, "two windows have the same traffic"
        self.windows.append((start, end))
        if verdict is not INCONCLUSIVE:
            self.last_usable = end
        noted = state.noted(self.now, "window", f"it was {verdict}", verdict=verdict.value)
        return transitions.judged(noted, Window(verdict, "why"), end, self.now)


def _next(values: list[T]) -> T:
    return values.pop(0) if len(values) > 1 else values[0]


def lists(values: st.SearchStrategy[T]) -> st.SearchStrategy[list[T]]:
    return st.lists(values, min_size=1, max_size=8)


plan_of_some = st.builds(
    plans.Plan,
    st.lists(st.integers(1, 100), min_size=1, max_size=4, unique=True).map(lambda steps: tuple(sorted(steps))),
    interval=st.sampled_from([4.0, 10.0, 60.0]),
    passes=st.integers(1, 3),
    failures=st.integers(1, 3),
    inconclusives=st.integers(1, 30),
    on_failure=st.sampled_from(OnFailure),
    blind_limit=st.sampled_from([None, 20.0, 150.0]),
)


@given(
    plan_of_some,
    lists(st.sampled_from([PASS, PASS, FAIL, INCONCLUSIVE])),
    lists(st.booleans()),
    lists(st.floats(0, 0.5)),
    lists(st.floats(0, 40)),
    lists(st.floats(0, 500)),
)
def test_no_weight_stays_longer_than_the_limit_and_a_window_without_a_usable_sample(
    plan: plans.Plan,
    verdicts: list[Verdict],
    scraped: list[bool],
    queries: list[float],
    proofs: list[float],
    approvals: list[float],
) -> None:
    """Whatever Prometheus, proxies and approvals do. `_judged` holds that no window spans a change of the weight."""
    queries = [share * plan.interval for share in queries]
    drive = Drive(plan, verdicts, scraped, queries, proofs, approvals)
    state = drive.run()
    assert drive.longest <= plan.blind_seconds + plan.interval + 1
    assert state.phase is not Phase.PROMOTING or drive.last_usable >= drive.changed


@pytest.mark.parametrize("scraped", [True, False], ids=["answers without numbers", "no scrape"])
@pytest.mark.parametrize("before", [[], [PASS]], ids=["first step", "second step"])
@pytest.mark.parametrize(("limit", "most"), [(None, 30.0), (20.0, 20.0)])
def test_without_evidence_a_run_is_rolled_back_after_the_limit_and_one_poll(
    limit: float | None, most: float, before: list[Verdict], scraped: bool
) -> None:
    plan = plans.Plan((10, 50), interval=10.0, blind_limit=limit)
    drive = Drive(plan, [*before, INCONCLUSIVE], scraped=[scraped], queries=[0.1] * len(before) + [2.5])
    state = drive.run()
    assert state.phase is Phase.ROLLING_BACK
    assert drive.now - (drive.last_usable or drive.changed) <= most + 1
    assert re.search(r"blind_limit\): (it was inconclusive|no window has ended)$", state.reason)


def test_inconclusive_windows_still_end_a_run_before_the_limit() -> None:
    drive = Drive(plans.Plan((50,), interval=10.0, inconclusives=2, blind_limit=300.0), [INCONCLUSIVE])
    state = drive.run()
    assert "2 windows in a row were inconclusive" in state.reason
    assert len(drive.windows) == 2


def test_as_many_inconclusive_windows_as_are_allowed_fit_into_the_default_limit() -> None:
    assert plans.Plan((50,), interval=10.0).blind_seconds == 30.0
    assert plans.Plan((50,), interval=10.0, inconclusives=1).blind_seconds == 30.0
    assert plans.Plan((50,), interval=1.0).blind_seconds == 30.0, "proofs and scrapes take their time"
    assert plans.Plan((50,), interval=60.0).blind_seconds == 180.0
    assert plans.Plan((50,), interval=10.0, inconclusives=12).blind_seconds == 120.0
    assert plans.Plan((50,), interval=10.0, inconclusives=12, blind_limit=25.0).blind_seconds == 25.0


def test_slow_queries_do_not_move_the_windows() -> None:
    drive = Drive(plans.Plan((50,), interval=10.0, passes=4), [PASS], queries=[4.0])
    assert drive.run().phase is Phase.PROMOTING
    starts = [start for start, _end in drive.windows]
    assert [round(start - starts[0], 6) for start in starts] == [0.0, 10.0, 20.0, 30.0]


@pytest.mark.parametrize(("interval", "seconds"), [(4.0, 2.0), (10.0, 2.5), (30.0, 7.5), (3600.0, 10.0)])
def test_the_requests_of_a_check_take_a_part_of_the_interval(interval: float, seconds: float) -> None:
    assert runner._deadline(interval).seconds == seconds


def test_a_late_driver_judges_the_last_interval_before_it_gives_up() -> None:
    plan = plans.Plan((10, 50), interval=10.0)
    state = State(
        "r", "s", "n", plan, phase=Phase.ANALYSING, index=0, weight=10, since=100.0, opened=True, deadline=1e9
    )
    observed = ObservedState(frozenset({10}), ENOUGH, ENOUGH)
    assert decide(state.replace(blind_since=99.0), observed, 500.0).kind is ActionKind.JUDGE
    assert transitions.window_end(state, 119.0) == 110.0
    assert transitions.window_end(state, 500.0) == 500.0
    after = transitions.judged(state.replace(blind_since=99.0), Window(INCONCLUSIVE, "why"), 500.0, 500.5)
    assert after.phase is Phase.ROLLING_BACK


@pytest.mark.parametrize("phase", [phase for phase in Phase if phase not in (Phase.SHIFTING, Phase.ANALYSING)])
def test_a_pause_is_no_time_without_evidence(phase: Phase) -> None:
    state = State("r", "s", "n", plans.Plan((10,)), phase=phase, index=0, weight=10, blind_since=1.0)
    assert transitions.blind_end(state) == float("inf")


@pytest.mark.parametrize(
    ("phase", "proved", "kind"),
    [(Phase.SHIFTING, 0.0, ActionKind.PROVE), (Phase.ANALYSING, 101.0, ActionKind.JUDGE)],
)
def test_a_killed_run_is_continued_though_nobody_judged_for_an_hour(
    phase: Phase, proved: float, kind: ActionKind
) -> None:
    plan = plans.Plan((50,), interval=10.0)
    state = State(
        "r", "s", "n", plan, phase=phase, index=0, weight=50, blind_since=100.0, since=101.0, proved=proved, approved=True,
        opened=True, deadline=1e9,
    )  # fmt: skip
    observed = ObservedState(frozenset({50}), ENOUGH, ENOUGH)
    continued = transitions.continued(state, 3700.0)
    assert decide(continued, observed, 3700.0).kind is kind
    assert transitions.blind_end(continued) == 3730.0
    assert transitions.continued(state.replace(blind_since=0.0), 3700.0).blind_since == 0.0


def test_a_resumed_run_begins_to_count_again() -> None:
    plan = plans.Plan((10, 50), interval=10.0)
    state = State(
        "r", "s", "n", plan, phase=Phase.ANALYSING, index=1, before=10, weight=50, blind_since=100.0, opened=True
    )
    resumed = transitions.resumed(transitions.paused(state, 110.0), 9000.0)
    assert (resumed.phase, resumed.blind_since, resumed.opened) == (Phase.SHIFTING, 0.0, False)
    action = decide(resumed, ObservedState(frozenset({50}), ENOUGH, ENOUGH), 9001.0)
    assert action.kind is ActionKind.PROVE
    assert action.state is not None
    assert transitions.blind_end(action.state) == 9031.0


# Scrapes -------------------------------------------------------------------------------------------------------------


def ages(newest: float | None, oldest: float | None, status: Status = Status.MISSING) -> Scrapes:
    pair = [Sample(Status.OK, age) if age is not None else Sample(status, detail="gone") for age in (newest, oldest)]
    return Scrapes(*pair)


@pytest.mark.parametrize(
    ("found", "elapsed", "why"),
    [
        ([ages(1, 2)], 3.0, ""),
        ([ages(1, 4)], 3.0, "not all proxies have been scraped"),
        ([ages(1, 200)], 30.0, ""),  # a proxy that is gone
        ([ages(4, 5)], 3.0, "the last scrape was 4 s ago"),
        ([ages(40, 50)], 30.0, "the last scrape was 40 s ago"),
        ([ages(1, 2), ages(9, 9)], 5.0, "the last scrape was 9 s ago"),
        ([ages(None, None)], 3.0, ""),  # no request yet
        ([ages(None, None, Status.ERROR)], 300.0, "unknown: gone"),
        ([ages(None, None, Status.NAN)], 300.0, "unknown: gone"),
        ([], 0.0, ""),
    ],
)
def test_a_window_begins_after_a_scrape_of_every_proxy_that_is_still_there(
    found: list[Scrapes], elapsed: float, why: str
) -> None:
    said = why_not_since(found, elapsed, patience=10.0)
    assert why in said
    assert bool(why) == bool(said)


@pytest.mark.parametrize(
    ("exposed", "canary", "said"),
    [
        (False, ENOUGH, "never had a weight"),
        (True, None, "has no pods"),
        (True, Workload(0, 0), "has no pods"),
        (True, Workload(0, 0, ending=1), ""),
        (True, ENOUGH, ""),
    ],
)
def test_a_rollback_waits_only_for_requests_that_there_may_be(
    exposed: bool, canary: Workload | None, said: str
) -> None:
    state = State(
        "r", "s", "n", plans.Plan((10,), interval=10.0), phase=Phase.ROLLING_BACK, stage=Stage.WATCH, since=100.0, proved=99.0,
        exposed=exposed, proof={"proved": True},
    )  # fmt: skip
    action = decide(state, ObservedState(frozenset({0}), ENOUGH, canary), 100.0)
    if not said:
        assert action.kind is ActionKind.OPEN_WINDOW
        opened = transitions.opened(state, 103.0)
        assert decide(opened, ObservedState(frozenset({0}), ENOUGH, canary), 104.0).kind is ActionKind.WAIT
        assert decide(opened, ObservedState(frozenset({0}), ENOUGH, canary), 108.0).kind is ActionKind.WATCH
        return
    assert action.state is not None
    assert (action.state.stage, action.state.proof["proved"]) == (Stage.DRAIN, True)
    assert said in action.state.proof["errors"]
