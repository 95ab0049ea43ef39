# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An error that nobody expected, in any part of a step: the lease is given up and the record says how to go on."""

from __future__ import annotations

import copy
import json
from typing import Any, cast

import pytest
from ansible_collections.servicemesh.platform.plugins.module_utils._canary import executor as executors
from ansible_collections.servicemesh.platform.plugins.module_utils._canary import plan as plans
from ansible_collections.servicemesh.platform.plugins.module_utils._canary import rollout as rollouts
from ansible_collections.servicemesh.platform.plugins.module_utils._canary import settings as run_settings
from ansible_collections.servicemesh.platform.plugins.module_utils._canary import state as states
from ansible_collections.servicemesh.platform.plugins.module_utils._canary import transitions, unexpected
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.cluster_writer import ClusterWriter
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.context import Context
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.decide import (
    Action,
    ActionKind,
    ObservedState,
    Workload,
    decide,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.observe import Observation
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.operations import Operation
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.plan import BeforeStep
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.record import Record
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.state import PauseCause, Phase, Stage, State
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.client import Client
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import KubeError, StoppedError

from tests.unit.plugins.module_utils._canary.test_executor import OBSERVATION
from tests.unit.plugins.module_utils._canary.test_lease_and_record import CONFIG, LEASE, Server
from tests.unit.plugins.module_utils._canary.test_parts import params

Obj = dict[str, Any]
SECRET = "Bearer abc"  # what an error's text may contain
ENDING = (ActionKind.WAIT, ActionKind.STOP, ActionKind.DONE)


class Recording(Server):
    """The server of the record, which keeps Events."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[Obj] = []

    def request(self, method: str, path: str, *, body: Obj, **more: Any) -> tuple[int, Obj]:
        if "/events" in path:
            self.events.append(body)
            return 201, body
        return super().request(method, path, body=body, **more)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Recording:
    def observe(_client: Client, _settings: Obj, _now: float) -> Observation:
        return OBSERVATION

    for module in (rollouts, unexpected):
        monkeypatch.setattr(module, "observe", observe)
    monkeypatch.setattr(ClusterWriter, "check_annotation", lambda *_args: True)
    return Recording()


def recorded(server: Recording, **changes: Any) -> State:
    """A state in the cluster: the second step, whose window has no verdict yet."""
    given = params(service="web", namespace="shop", analysis=[{"name": "x", "url": "http://x", "value": "a", "min": 1}])
    state = State(
        "run", "web", "shop", plans.Plan((10, 50)), phase=Phase.ANALYSING, index=1, before=10, weight=50, deadline=9e9,
        settings=run_settings.settings_of(given, ["shop/web"]), restore={"template": {}},
    ).replace(**changes)  # fmt: skip
    server.put(CONFIG, {"metadata": {"name": "canary-web"}, "data": {"state": states.to_json(state)}})
    return state


def step(server: Recording, operation: Operation = Operation.STEP) -> str:
    """The error that a call ends with."""
    context = Context(cast(Client, server), params(service="web", namespace="shop", holder="me", lease_duration=30))
    with pytest.raises(KubeError) as error:
        rollouts.Rollout(context).run(operation)
    return str(error.value)


def live(server: Recording) -> State:
    return states.from_json(server.objects[CONFIG]["data"]["state"])


def broken(*_args: Any, **_more: Any) -> Any:
    raise TypeError(SECRET)


@pytest.mark.parametrize("kind", [kind for kind in ActionKind if kind not in ENDING])
def test_an_error_in_any_action_takes_the_step_back_and_gives_the_lease_up(
    kind: ActionKind, server: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded(server)
    weights: list[int] = []
    action = Action(kind, weight=50, pods=2, milestone=BeforeStep(50))
    monkeypatch.setattr(rollouts, "decide", lambda *_args: action)
    monkeypatch.setattr(executors.Executor, "execute", broken)
    monkeypatch.setattr(ClusterWriter, "set_weight", lambda *args, **_more: weights.append(args[3]))
    text = step(server)
    state = live(server)
    assert (state.phase, state.weight, state.before, state.index) == (Phase.PAUSED, 10, 50, 0)
    assert state.pause_cause is PauseCause.INTERRUPTED, "the next run resumes it"
    assert weights == [10]
    assert server.objects[LEASE]["spec"]["holderIdentity"] == ""
    assert "TypeError in test_unexpected.py" in text
    assert "The step to 50 % was taken back: the weight is 10 %" in text
    assert state.history[-1]["event"] == "error"
    assert [event["reason"] for event in server.events] == ["CanaryError"]
    # The text of an error may contain a header; the module's result hides it, the record and Events cannot.
    assert SECRET not in json.dumps([server.objects, server.events])


@pytest.mark.parametrize("weights", [{10}, {50}, {10, 50}])
def test_the_next_run_continues_whichever_weights_the_routes_have(weights: set[int], server: Recording) -> None:
    back = transitions.stopped_by_error(recorded(server), 5.0, "TypeError")
    resumed = transitions.resumed(back, 6.0)
    action = decide(resumed, ObservedState(frozenset(weights), Workload(2, 2), Workload(2, 2)), 7.0)
    assert (action.kind, action.weight) == (ActionKind.PROVE if weights == {10} else ActionKind.SET_WEIGHT, 10)
    gone = transitions.rolling_back(back, "by hand", 6.0)
    assert (
        decide(gone, ObservedState(frozenset(weights), Workload(2, 2), Workload(2, 2)), 7.0).kind
        is ActionKind.TRANSITION
    )


@pytest.mark.parametrize(
    "where",
    [(rollouts, "observe"), (rollouts, "decide"), (rollouts, "DefinitionsWriter"), (executors.Measurer, "of")],
    ids=lambda where: str(where[1]),
)
def test_an_error_outside_of_the_actions_is_one_of_the_step(
    where: tuple[Any, str], server: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded(server)
    monkeypatch.setattr(*where, broken)
    monkeypatch.setattr(ClusterWriter, "set_weight", lambda *_args, **_more: None)
    step(server)
    assert live(server).phase is Phase.PAUSED
    assert server.objects[LEASE]["spec"]["holderIdentity"] == ""


def test_an_error_that_comes_again_while_it_is_handled_still_gives_the_lease_up(
    server: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded(server)
    monkeypatch.setattr(rollouts, "observe", broken)
    monkeypatch.setattr(unexpected, "observe", broken)
    text = step(server)
    state = live(server)
    # The recorded weight is the one that the next run writes; both weights are those of the run.
    assert (state.phase, state.weight, state.before) == (Phase.PAUSED, 10, 50)
    assert "The next run sets the weight back to 10 %" in text
    assert server.objects[LEASE]["spec"]["holderIdentity"] == ""
    assert [event["involvedObject"]["name"] for event in server.events] == ["web"]


def test_an_error_in_recording_leaves_the_state_as_it_was(server: Recording, monkeypatch: pytest.MonkeyPatch) -> None:
    before = recorded(server, phase=Phase.PREPARING, index=-1, before=0, weight=0)
    action = Action(ActionKind.TRANSITION, transitions.shift_to(before, 0, 5.0))
    monkeypatch.setattr(rollouts, "decide", lambda *_args: action)
    monkeypatch.setattr(Record, "write", broken)
    text = step(server)
    assert live(server) == before
    assert "The reason could not be recorded" in text
    assert server.objects[LEASE]["spec"]["holderIdentity"] == ""


@pytest.mark.parametrize(
    ("phase", "stage"),
    [
        (Phase.PREPARING, None),
        (Phase.PROMOTING, Stage.UPDATE),
        (Phase.ROLLING_BACK, Stage.CAPACITY),
        (Phase.RESETTING, None),
    ],
)
def test_what_cannot_be_taken_back_stays_where_it_is(
    phase: Phase, stage: Stage | None, server: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = recorded(server, phase=phase, stage=stage)
    monkeypatch.setattr(rollouts, "decide", broken)
    monkeypatch.setattr(ClusterWriter, "set_weight", lambda *_args, **_more: pytest.fail("a weight was written"))
    text = step(server)
    after = live(server)
    assert (after.phase, after.stage, after.weight) == (phase, stage, before.weight)
    assert f"It is at 50 % ({phase})" in text
    assert after.history[-1]["event"] == "error"


def test_a_step_with_a_verdict_is_not_taken_back(server: Recording, monkeypatch: pytest.MonkeyPatch) -> None:
    recorded(server, passes=1)
    monkeypatch.setattr(rollouts, "decide", broken)
    step(server)
    assert (live(server).phase, live(server).weight) == (Phase.ANALYSING, 50)


def test_an_expected_error_of_a_first_call_gives_the_lease_up_too(
    server: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded(server)

    def refused(*_args: Any) -> Any:
        raise KubeError("no right")

    monkeypatch.setattr(rollouts, "observe", refused)
    before = copy.deepcopy(server.objects[CONFIG])
    assert step(server) == "no right"
    assert server.objects[CONFIG] == before
    assert server.objects[LEASE]["spec"]["holderIdentity"] == ""


def test_an_error_of_another_operation_changes_no_state(server: Recording, monkeypatch: pytest.MonkeyPatch) -> None:
    before = recorded(server)
    monkeypatch.setattr(rollouts, "observe", broken)
    text = step(server, Operation.PAUSE)
    assert live(server) == before
    assert "pause of the canary of shop/web stopped at an unexpected error" in text
    assert server.objects[LEASE]["spec"]["holderIdentity"] == ""


@pytest.mark.parametrize(("alone", "token", "takes_back"), [(True, 7, True), (False, 7, False), (False, None, True)])
def test_a_call_that_is_stopped_leaves_the_clean_up_to_its_driver_if_that_can_do_it(
    server: Recording, monkeypatch: pytest.MonkeyPatch, alone: bool, token: int | None, takes_back: bool
) -> None:
    """`alone`: the module's own process, whose worker has ended."""
    state = recorded(server)
    written: list[int] = []
    monkeypatch.setattr(ClusterWriter, "set_weight", lambda _self, _items, _aim, weight: written.append(weight))
    monkeypatch.setattr(executors.Executor, "execute", lambda *_args: (_ for _ in ()).throw(StoppedError("killed")))
    monkeypatch.setattr(rollouts, "decide", lambda *_args: Action(ActionKind.JUDGE))
    given = params(service="web", namespace="shop", holder="me", lease_duration=15)
    if token:
        first = Context(cast(Client, server), given)
        first.acquire()
        first.close()
        assert first.result.lease_holder is not None
        given["fencing_token"] = first.result.lease_holder.fencing_token
    with pytest.raises(StoppedError, match="killed"):
        rollouts.Rollout(Context(cast(Client, server), given, alone=alone)).run(Operation.STEP)
    after = states.from_json(server.objects[CONFIG]["data"]["state"])
    holder = server.objects[LEASE]["spec"]["holderIdentity"]
    if not takes_back:
        assert (after, written, holder) == (state, [], "me")
        return
    assert (after.phase, after.weight, written, holder) == (Phase.PAUSED, 10, [10], "")
    assert after.history[-1]["event"] == "interrupted"
    assert [event["reason"] for event in server.events] == ["CanaryInterrupted"]
