# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every action is carried out, every operation is dispatched, and an approval says what it waits for."""

from __future__ import annotations

from typing import Any, cast
from unittest.mock import MagicMock

import pytest
from ansible_collections.servicemesh.platform.plugins.module_utils._canary import executor as executors
from ansible_collections.servicemesh.platform.plugins.module_utils._canary import plan as plans
from ansible_collections.servicemesh.platform.plugins.module_utils._canary import settings as run_settings
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis import approvals
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.approvals import OnTimeout
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.metrics import Metric
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.scrapes import Scrapes
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.verdict import (
    Check,
    Pending,
    Sample,
    Status,
    Verdict,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.context import Context
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.decide import (
    Action,
    ActionKind,
    ObservedState,
    Workload,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.executor import Executor
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.observe import Observation
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.operations import Operation
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.plan import BeforePromotion, BeforeStep
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.proxy_check import Proof
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.rollout import Rollout
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.state import Phase, Stage, State
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.client import Client
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import KubeError

from tests.unit.plugins.module_utils._canary.test_parts import AIM, params

Obj = dict[str, Any]
DEPLOYMENT = {"metadata": {"name": "web", "namespace": "shop"}, "spec": {"template": {}}}
OBSERVATION = Observation(
    AIM, [], [], None, DEPLOYMENT, DEPLOYMENT, [], ObservedState(frozenset({0}), Workload(1, 1), Workload(1, 1))
)
STATE = State("run", "web", "shop", plans.Plan((50,)), phase=Phase.ROLLING_BACK, restore={"template": {}})
ENDING = (ActionKind.WAIT, ActionKind.STOP, ActionKind.DONE)
READING = (
    ActionKind.PROVE,
    ActionKind.CHECK_APPROVALS,
    ActionKind.OPEN_WINDOW,
    ActionKind.JUDGE,
    ActionKind.WATCH,
)


def executor(annotations: Obj | None = None, **options: Any) -> tuple[Executor, MagicMock]:
    writer = MagicMock()
    given = params(proof_samples=0, **options)
    context = Context(cast(Client, MagicMock()), given)
    context.client.each.side_effect = lambda work, items: [work(item) for item in items]  # type: ignore[attr-defined]
    return Executor(context, run_settings.settings_of(given, ["shop/web"]), writer), writer


@pytest.mark.parametrize("kind", list(ActionKind))
def test_every_kind_of_action_is_carried_out_or_refused(kind: ActionKind) -> None:
    acting, writer = executor()
    action = Action(kind, weight=50, pods=2, milestone=BeforeStep(50))
    if kind in ENDING:
        with pytest.raises(ValueError, match="ends a call"):
            acting.execute(action, STATE, OBSERVATION)
        return
    outcome = acting.execute(action, STATE, OBSERVATION)
    assert outcome.changed == (kind not in READING)
    assert outcome.retry_in == 0
    written = {
        ActionKind.SET_WEIGHT: "set_weight",
        ActionKind.SCALE_CANARY: "scale",
        ActionKind.SCALE_STABLE: "scale",
        ActionKind.REMOVE_CANARY: "remove",
        ActionKind.APPLY_STABLE: "copy_template",
        ActionKind.RESTORE_STABLE: "restore",
        ActionKind.CLEAN_UP: "clean_up",
    }
    assert [call[0] for call in writer.method_calls] == ([written[kind]] if kind in written else [])


def test_the_end_of_a_promotion_and_of_a_rollback_differ() -> None:
    acting, _writer = executor()
    for phase, end in ((Phase.PROMOTING, Phase.PROMOTED), (Phase.ROLLING_BACK, Phase.ROLLED_BACK)):
        state = STATE.replace(phase=phase, stage=Stage.FINISH)
        after = acting.execute(Action(ActionKind.CLEAN_UP), state, OBSERVATION).state
        assert (after.phase, after.stage) == (end, None)


@pytest.mark.parametrize("operation", list(Operation))
def test_every_operation_is_dispatched(operation: Operation) -> None:
    client = MagicMock()
    client.get.return_value = None
    rollout = Rollout(Context(cast(Client, client), params(service="Not a name"), check=True))
    if operation in (Operation.RUN, Operation.START):
        with pytest.raises(KubeError, match="cannot start"):
            rollout.run(operation)
    elif operation in (Operation.RESUME, Operation.PROMOTE, Operation.ROLLBACK):
        with pytest.raises(KubeError, match=f"to {operation.value}; start one"):
            rollout.run(operation)
    else:
        result = rollout.run(operation)
        assert (result.done, result.changed, result.state) == (True, False, None)


def test_no_two_windows_of_a_step_have_the_same_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    acting, _writer = executor(interval=60)
    state = State("run", "web", "shop", plans.Plan((50,), passes=2), phase=Phase.ANALYSING, index=0, weight=50)
    names, waits = [], []
    verdicts = (Verdict.INCONCLUSIVE, Verdict.PASS, Verdict.PASS)

    def measure(_wanted: Any, _window: float, name: str, waited: float) -> list[Check]:
        names.append(name)
        waits.append(waited)
        return [Check("x", verdicts[len(names) - 1], "why")]

    monkeypatch.setattr(acting._measurer, "measure", measure)
    for number in range(len(verdicts)):
        monkeypatch.setattr(acting._clock, "now", lambda number=number: 1000.0 + 65 * (number + 1))
        state = acting.execute(Action(ActionKind.JUDGE), state.replace(since=1000.0 + 65 * number), OBSERVATION).state
    assert len(set(names)) == 3
    assert waits == [5.0, 5.0, 5.0], "seconds since the end of the window"


# Approvals -----------------------------------------------------------------------------------------------------------

PROMOTION = [{"before": "promotion", "annotation": "a/b"}, {"before": "100", "annotation": "c/d"}]


def test_the_promotion_and_a_step_of_100_percent_have_their_own_approvals() -> None:
    given = approvals.approvals_of(PROMOTION)
    assert [entry.annotation for entry in approvals.before(given, BeforePromotion())] == ["a/b"]
    assert [entry.annotation for entry in approvals.before(given, BeforeStep(100))] == ["c/d"]
    assert approvals.before(given, BeforeStep(50)) == []


@pytest.mark.parametrize(("value", "verdict"), [("true", Verdict.PASS), ("no", Verdict.INCONCLUSIVE)])
def test_an_annotation_approves_by_its_value(value: str, verdict: Verdict) -> None:
    approval = approvals.approvals_of(PROMOTION)[0]
    found, reason = approvals.check(approval, {"a/b": value}, lambda _metric: pytest.fail("nothing is measured"))
    assert found is verdict
    assert bool(reason) == (verdict is not Verdict.PASS)


@pytest.mark.parametrize("verdict", list(Verdict))
@pytest.mark.parametrize("source", [{"query": "up", "min": 1}, {"job": {"spec": {"template": {}}}}])
def test_only_a_failed_job_is_an_answer_that_waiting_cannot_change(verdict: Verdict, source: Obj) -> None:
    (approval,) = approvals.approvals_of([{"before": "promotion", **source}])

    def measure(metric: Metric) -> Check:
        return Check(metric.name, verdict, "why")

    def pending(_metric: Metric) -> Check:
        raise Pending

    final = verdict is not Verdict.FAIL or "job" in source
    assert approvals.check(approval, {}, measure)[0] is (verdict if final else Verdict.INCONCLUSIVE)
    assert approvals.check(approval, {}, pending)[0] is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(
    ("on_timeout", "phase"),
    [
        (OnTimeout.ROLLBACK, Phase.ROLLING_BACK),
        (OnTimeout.FREEZE, Phase.FROZEN),
        (OnTimeout.CONTINUE, Phase.SHIFTING),
    ],
)
def test_an_approval_that_is_not_given_in_time_does_what_was_declared(on_timeout: OnTimeout, phase: Phase) -> None:
    entry = {"before": "50", "annotation": "a/b", "timeout": 60, "on_timeout": on_timeout.value}
    acting, _writer = executor(steps=[50], approvals=[entry])
    state = State("run", "web", "shop", plans.Plan((50,)), phase=Phase.SHIFTING, index=0, weight=50)
    action = Action(ActionKind.CHECK_APPROVALS, milestone=BeforeStep(50))
    early = acting.execute(action, state.replace(since=acting._clock.now() - 5), OBSERVATION)
    assert (early.state.phase, early.state.approved, early.retry_in > 0) == (Phase.SHIFTING, False, True)
    late = acting.execute(action, state.replace(since=acting._clock.now() - 61), OBSERVATION)
    assert (late.state.phase, late.state.approved) == (phase, on_timeout is OnTimeout.CONTINUE)
    promotion = acting.execute(Action(ActionKind.CHECK_APPROVALS, milestone=BeforePromotion()), state, OBSERVATION)
    assert promotion.state.approved, "no approval stands before the promotion"


# Scrapes -------------------------------------------------------------------------------------------------------------


class Measured:
    """Answers of Prometheus: ages of the scrapes (newest, oldest) and requests since the proof."""

    def __init__(self, age: float | None, requests: Sample) -> None:
        sample = Sample(Status.OK, age) if age is not None else Sample(Status.ERROR, detail="it is gone")
        self.canary, self.ages, self.inside, self.windows = "canary", Scrapes(sample, sample), requests, [0.0]

    def scrapes(self, _who: Any, reporters: list[str], _interval: float) -> list[Scrapes]:
        return [self.ages for _reporter in reporters]

    def requests_inside(self, _who: Any, window: float) -> Sample:
        self.windows.append(window)
        return self.inside

    def shown(self, _window: float) -> Obj:
        return {}


NOTHING = Sample(Status.MISSING, detail="the query returned no series")
SEEN = {"time": 1.0, "event": "window", "shown": {"canary": {"requests": 5.0}}}


def judging(age: float | None, requests: Sample = NOTHING) -> tuple[Executor, Measured]:
    acting, _writer = executor(prometheus={"service": "a/b:1"})
    measured = Measured(age, requests)
    acting._measurer = cast(Any, measured)
    acting._clock = cast(Any, MagicMock(now=lambda: 1000.0))
    return acting, measured


@pytest.mark.parametrize(
    ("age", "since", "opened", "inconclusives", "waits"),
    [
        (2.0, 995.0, True, 0, False),
        (7.0, 995.0, False, 0, True),  # it is older than the proof
        (None, 995.0, False, 0, True),
        (None, 989.0, False, 1, False),  # an interval without a scrape is a window without an answer
    ],
)
def test_a_step_begins_its_window_with_the_first_scrape_after_the_proof(
    age: float | None, since: float, opened: bool, inconclusives: int, waits: bool
) -> None:
    acting, _measured = judging(age)
    plan = plans.Plan((10, 50), interval=10.0, blind_limit=100.0)
    state = State(
        "run", "web", "shop", plan, phase=Phase.ANALYSING, index=1, before=10, weight=50, since=since, proved=since
    )
    outcome = acting.execute(Action(ActionKind.OPEN_WINDOW), state.replace(blind_since=since), OBSERVATION)
    assert (outcome.state.opened, outcome.state.inconclusives, outcome.retry_in > 0) == (opened, inconclusives, waits)
    assert outcome.state.since == (1000.0 if opened else 999.0 if inconclusives else since)


@pytest.mark.parametrize(
    ("age", "requests", "history", "proved", "words"),
    [
        (1.0, Sample(Status.OK, 0.0), (SEEN,), True, "0 requests to"),
        (1.0, Sample(Status.OK, 4.0), (SEEN,), False, "4 requests to"),
        (1.0, NOTHING, (), True, "no requests to"),
        (1.0, NOTHING, (SEEN,), False, "unknown: the query returned no series"),  # Prometheus lost what it had
        (1.0, Sample(Status.ERROR, detail="it is gone"), (), False, "unknown: it is gone"),
        (9.0, Sample(Status.OK, 0.0), (SEEN,), None, "the last scrape was 9 s ago"),
        (90.0, Sample(Status.OK, 0.0), (SEEN,), False, "unknown: the last scrape was 90 s ago"),
    ],
)
def test_a_rollback_is_proved_by_what_was_counted_between_two_scrapes_after_the_proof(
    age: float, requests: Sample, history: tuple[Obj, ...], proved: bool | None, words: str
) -> None:
    acting, measured = judging(age, requests)
    since = 985.0 if age > 50 else 994.0
    state = STATE.replace(
        plan=plans.Plan((50,), interval=10.0), stage=Stage.WATCH, since=since, proved=since - 3, opened=True, history=history,
        proof={"proved": True},
    )  # fmt: skip
    outcome = acting.execute(Action(ActionKind.WATCH), state, OBSERVATION)
    if proved is None:
        assert (outcome.state, outcome.retry_in > 0) == (state, True)
        assert words in outcome.waiting
        return
    assert (outcome.state.stage, outcome.state.proof["proved"]) == (Stage.DRAIN, proved)
    assert words in outcome.state.proof["errors"]
    assert measured.windows[-1] == 1000.0 - state.proved, "nothing from before the proof is counted"


def test_without_a_scrape_a_rollback_is_not_proved_and_ends() -> None:
    acting, _measured = judging(None)
    state = STATE.replace(plan=plans.Plan((50,), interval=10.0), stage=Stage.WATCH, since=990.0, proved=989.0)
    outcome = acting.execute(Action(ActionKind.OPEN_WINDOW), state.replace(proof={"proved": True}), OBSERVATION)
    assert (outcome.state.stage, outcome.state.proof["proved"]) == (Stage.DRAIN, False)
    assert "unknown" in outcome.state.proof["errors"]


def test_a_proof_does_not_take_longer_than_the_run_may_be_blind(monkeypatch: pytest.MonkeyPatch) -> None:
    acting, _measured = judging(1.0)
    timeouts: list[float] = []

    class Prover:
        def __init__(self, _client: Any, _samples: int, timeout: float) -> None:
            timeouts.append(timeout)

        def prove(self, *_args: Any) -> Proof:
            return Proof(True)

    monkeypatch.setattr(executors, "Prover", Prover)
    plan = plans.Plan((10, 50), interval=10.0)
    state = State("run", "web", "shop", plan, phase=Phase.SHIFTING, index=1, before=10, weight=50, blind_since=980.0)
    after = acting.execute(Action(ActionKind.PROVE, weight=50), state, OBSERVATION).state
    assert (timeouts, after.phase, after.opened) == ([10.0], Phase.ANALYSING, False)
    first = acting.execute(Action(ActionKind.PROVE, weight=50), state.replace(before=0), OBSERVATION).state
    assert first.opened, "there was no other weight whose requests could be counted"
