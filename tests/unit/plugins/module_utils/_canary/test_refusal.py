# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A write that the API server refuses in the middle of a run strands no traffic."""

from __future__ import annotations

from typing import Any, cast

import pytest
from ansible_collections.servicemesh.platform.plugins.module_utils._apply.applier import ApplyError
from ansible_collections.servicemesh.platform.plugins.module_utils._canary import executor as executors
from ansible_collections.servicemesh.platform.plugins.module_utils._canary import plan as plans
from ansible_collections.servicemesh.platform.plugins.module_utils._canary import refusal, transitions
from ansible_collections.servicemesh.platform.plugins.module_utils._canary import rollout as rollouts
from ansible_collections.servicemesh.platform.plugins.module_utils._canary import state as states
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.cluster_writer import ClusterWriter
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.context import Context
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.decide import (
    Action,
    ActionKind,
    ObservedState,
    Workload,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.observe import Observation
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.operations import Operation
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.plan import BeforeStep
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.record import Record
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.result import shown
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.state import Phase, Stage, State, digest
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.watchdog.job import Watch
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.client import Client
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import (
    ApiError,
    ConflictError,
    KubeError,
    UnreachableError,
)

from tests.unit.plugins.module_utils._canary.test_executor import DEPLOYMENT, STATE
from tests.unit.plugins.module_utils._canary.test_parts import AIM, params
from tests.unit.plugins.module_utils._canary.test_unexpected import Recording, live, recorded, step

Obj = dict[str, Any]
NOW = 1000.0


def api(status: int, message: str = "not here") -> ApiError:
    return ApiError("PATCH", "/x", status, {"message": message})


@pytest.mark.parametrize(
    ("error", "refused"),
    [
        *((api(status), True) for status in (400, 403, 404, 405, 409, 413, 422)),
        *((api(status), False) for status in (401, 408, 429, 500, 502, 503, 504)),
        (ConflictError("x"), True),
        (ApplyError("x", [api(503), api(422)]), True),
        (ApplyError("x", [api(503)]), False),
        (ApplyError("the definitions do not fit"), True),
        (UnreachableError("x"), False),
        (KubeError("x"), False),
    ],
)
def test_only_what_would_be_refused_again_is_a_refusal(error: KubeError, refused: bool) -> None:
    assert refusal.is_refused(error) is refused


@pytest.mark.parametrize("stage", list(Stage))
@pytest.mark.parametrize("phase", list(Phase))
def test_where_a_refusal_leads(phase: Phase, stage: Stage) -> None:
    state = executed(phase, stage)
    moving = phase in (Phase.RESETTING, Phase.PREPARING, Phase.SHIFTING, Phase.ANALYSING)
    early = phase is Phase.PROMOTING and stage in (Stage.COVER, Stage.SWITCH, Stage.UPDATE)
    after = transitions.refused(state, "no", NOW, unchanged=False)
    if moving or early:
        assert after is not None
        assert (after.phase, after.stage) == (Phase.ROLLING_BACK, Stage.RESTORE if state.touched else Stage.CAPACITY)
    else:
        assert after is None
    back = transitions.refused(state, "no", NOW, unchanged=True)
    if phase is Phase.ROLLING_BACK and stage is Stage.RESTORE:
        assert back is not None
        assert (back.phase, back.stage) == (Phase.ROLLING_BACK, Stage.CAPACITY)
    elif not moving and not early:
        assert back is None


def executed(phase: Phase, stage: Stage) -> Any:
    return STATE.replace(phase=phase, stage=stage, touched=stage in (Stage.UPDATE, Stage.RESTORE), weight=50)


class Weighted(Recording):
    """The server of the record, and the canary's weight in the routes."""

    weights = frozenset({50})


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Weighted:
    server = Weighted()

    def observe(*_args: Any) -> Observation:
        stable = Workload(2, 2, template=digest({}))
        return Observation(AIM, [], [], None, DEPLOYMENT, DEPLOYMENT, [], ObservedState(server.weights, stable, stable))

    def set_weight(*args: Any) -> None:
        server.weights = frozenset({args[3]})

    monkeypatch.setattr(rollouts, "observe", observe)
    monkeypatch.setattr(ClusterWriter, "check_annotation", lambda *_args: True)
    monkeypatch.setattr(ClusterWriter, "set_weight", set_weight)
    return server


def once(monkeypatch: pytest.MonkeyPatch, action: Action, error: KubeError) -> None:
    """One action that is refused; nothing is due after it."""
    due = [action]

    def decide(*_args: Any) -> Action:
        return due.pop() if due else Action(ActionKind.WAIT, seconds=1)

    def refused(*_args: Any) -> Any:
        raise error

    monkeypatch.setattr(rollouts, "decide", decide)
    monkeypatch.setattr(executors.Executor, "execute", refused)


def result_of(server: Weighted, operation: Operation = Operation.STEP, **given: Any) -> Any:
    options = params(service="web", namespace="shop", holder="me", lease_duration=30, **given)
    return rollouts.Rollout(Context(cast(Client, server), options)).run(operation)


WRITES = (
    ActionKind.SET_WEIGHT, ActionKind.APPLY_CANARY, ActionKind.SCALE_CANARY, ActionKind.SCALE_STABLE, ActionKind.APPLY_STABLE,
)  # fmt: skip


@pytest.mark.parametrize("error", [api(403), api(409), api(422), ConflictError("belongs to helm")], ids=str)
@pytest.mark.parametrize("kind", WRITES)
def test_a_refused_write_rolls_back_with_its_reason(
    kind: ActionKind, error: KubeError, server: Weighted, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded(server, phase=Phase.PROMOTING, stage=Stage.UPDATE, touched=True)
    once(monkeypatch, Action(kind, weight=50, pods=2, milestone=BeforeStep(50)), error)
    result = result_of(server)
    state = live(server)
    assert (result.stopped, state.phase, state.stage) == ("", Phase.ROLLING_BACK, Stage.RESTORE)
    assert state.reason == f"{kind} was refused: {error}"
    assert [event["reason"] for event in server.events] == ["CanaryRollingBack"]
    assert str(error) in server.events[0]["message"]


OUTAGES = [
    api(503),
    api(500),
    api(429),
    UnreachableError("x"),
    ApplyError("x", [api(500, 'failed calling webhook "validation.istio.io"')]),
]


@pytest.mark.parametrize("error", OUTAGES, ids=str)
def test_an_outage_leaves_the_run_where_it_is_and_another_call_goes_on(
    error: KubeError, server: Weighted, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = recorded(server, phase=Phase.PROMOTING, stage=Stage.UPDATE, touched=True)
    once(monkeypatch, Action(ActionKind.APPLY_STABLE), error)
    result = result_of(server)
    assert live(server) == before
    assert (result.state, result.done, result.stopped, result.notes) == (before, False, "", [])
    assert str(error) in result.outage
    assert result.next_in > 0
    assert result_of(server).outage == ""


def test_what_was_recorded_before_an_outage_is_told(server: Weighted, monkeypatch: pytest.MonkeyPatch) -> None:
    before = recorded(server)
    after = transitions.rolling_back(before, "bad", NOW)
    once(monkeypatch, Action(ActionKind.SET_WEIGHT, after, weight=0), api(503))
    result = result_of(server)
    assert (result.state, live(server).phase) == (live(server), Phase.ROLLING_BACK)
    assert [note["message"] for note in result.notes] == ["bad"]


def test_without_a_state_an_outage_says_nothing_of_the_rollout(
    server: Weighted, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded(server)

    def unreachable(*_args: Any) -> Any:
        raise UnreachableError("no answer")

    monkeypatch.setattr(Context, "acquire", unreachable)
    told = shown(result_of(server, fencing_token=7), diff=True)
    assert (told["outage"], told["done"], told["changed"]) == ("no answer", False, False)
    assert (told["holder"], told["fencing_token"]) == ("me", 7), "for the next call"
    assert "phase" not in told


def test_a_full_history_hides_no_news() -> None:
    before = State("run", "web", "shop", plans.Plan((50,)))
    for number in range(states.HISTORY_LIMIT):
        before = before.noted(number, "window", "x")
    after = before.noted(1, "window", "x").noted(1, "window", "x")
    assert states.added_entries(before, after) == after.history[-2:]
    assert states.added_entries(before, before) == ()
    first = State("run", "web", "shop", plans.Plan((50,)))
    assert states.added_entries(first, first.noted(1, "a", "b")) == first.noted(1, "a", "b").history


@pytest.mark.parametrize(
    ("phase", "stage", "weights", "where"),
    [
        (Phase.ROLLING_BACK, Stage.CAPACITY, {50}, "50 % of the requests go to the canary"),
        (Phase.ROLLING_BACK, Stage.REMOVE, {0}, "All requests go to stable"),
        (Phase.PROMOTING, Stage.RETURN, {100}, "All requests go to the canary"),
        (Phase.PROMOTING, Stage.REMOVE, {0}, "All requests go to stable"),
    ],
)
def test_where_going_back_is_refused_too_the_run_says_where_the_traffic_is(
    phase: Phase, stage: Stage, weights: set[int], where: str, server: Weighted, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded(server, phase=phase, stage=stage)
    server.weights = frozenset(weights)
    once(monkeypatch, Action(ActionKind.SET_WEIGHT, weight=0), api(403))
    stopped = result_of(server).stopped
    assert where in stopped
    assert "ready pods: 2 of stable" in stopped
    state = live(server)
    assert (state.phase, state.stage) == (phase, stage)
    assert state.history[-1]["event"] == "error"
    assert where in server.events[-1]["message"]


def test_a_record_that_cannot_be_written_gives_the_requests_back(
    server: Weighted, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = recorded(server, baseline=2)
    monkeypatch.setattr(
        rollouts, "decide", lambda *_args: Action(ActionKind.TRANSITION, transitions.promoting(before, NOW))
    )

    def refused(*_args: Any, **_more: Any) -> Any:
        raise api(403, "no right to configmaps")

    monkeypatch.setattr(Record, "write", refused)
    text = step(server)
    assert server.weights == {0}
    assert "no right to configmaps" in text
    assert "All requests go to stable" in text


def test_without_the_right_to_look_the_recorded_weight_is_told(
    server: Weighted, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded(server)

    def refused(*_args: Any) -> Any:
        raise api(403, "no right to pods")

    monkeypatch.setattr(rollouts, "observe", refused)
    assert "no right to pods. Nothing more was done. By the record, 50 % of the requests go to the canary" in step(
        server
    )


def test_a_watchdog_that_was_lost_is_told_once(server: Weighted, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = [Watch(Workload(1, 1)), Watch(Workload(1, 0, complete=False), "its Job was gone")]
    monkeypatch.setattr(rollouts.watchdog, "ensure", lambda *_args: seen.pop())
    monkeypatch.setattr(rollouts, "decide", lambda *_args: Action(ActionKind.WAIT, seconds=1))
    recorded(server)
    told, later = result_of(server), result_of(server)
    message = "the watchdog was lost and is made again: its Job was gone"
    assert [(note["event"], note["message"]) for note in told.notes] == [("note", message)]
    assert told.changed
    assert not later.notes
    assert [entry["message"] for entry in live(server).history] == [message]
    assert [event["reason"] for event in server.events] == ["CanaryWatchdogLost"]


@pytest.mark.parametrize(("phase", "made"), [(Phase.PROMOTED, 1), (Phase.PAUSED, 0), (Phase.ANALYSING, 0)])
def test_a_rollback_of_what_had_ended_has_a_watchdog_from_the_beginning(
    phase: Phase, made: int, server: Weighted, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Phase] = []
    monkeypatch.setattr(rollouts.watchdog, "ensure", lambda _client, state: seen.append(state.phase))
    before = recorded(server)
    recorded(server, phase=phase, settings={**before.settings, "watchdog": {"image": "python:3"}})
    assert result_of(server, Operation.ROLLBACK).changed
    assert seen == [Phase.ROLLING_BACK] * made
