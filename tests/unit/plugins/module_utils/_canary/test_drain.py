# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A canary drains until its own proxies show that it has no requests, and as long as the plan says where they cannot."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable
from typing import Any, cast
from unittest.mock import MagicMock

import pytest
from ansible_collections.servicemesh.platform.plugins.module_utils._canary import drain
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.decide import Action, ActionKind
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.state import Phase, Stage
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.pods import PodError

from tests.unit.plugins.module_utils._canary.test_executor import OBSERVATION, STATE, executor

Obj = dict[str, Any]
READY = {"conditions": [{"type": "Ready", "status": "True"}]}
POD: Obj = {
    "metadata": {"name": "web-1", "namespace": "shop", "labels": {"track": "canary"}},
    "spec": {"containers": [{"name": "istio-proxy"}]},
    "status": READY,
}
CANARY: Obj = {"metadata": {"name": "web-canary"}, "spec": {"selector": {"matchLabels": {"track": "canary"}}}}


def clusters(name: str = "inbound|8080||", **stats: int) -> Obj:
    found = [{"name": key, "value": str(value)} for key, value in stats.items()]
    return {"cluster_statuses": [{"name": name, "host_statuses": [{"stats": found}]}]}


def more() -> Callable[[], Obj]:
    number = itertools.count()
    return lambda: clusters(rq_total=next(number))


def no_answer() -> Obj:
    raise PodError("no right", "create pods/portforward")


@pytest.mark.parametrize(
    ("answer", "pod", "proved", "samples", "quiet"),
    [
        (lambda: clusters(rq_total=3), {}, True, 3, True),
        (clusters, {}, True, 3, True),  # it never had a request
        (lambda: clusters(rq_total=3, rq_active=1), {}, True, 3, False),
        (more(), {}, True, 3, False),  # it is called directly, or by a proxy that has not heard of weight 0
        (lambda: clusters(rq_total=3), {}, False, 3, False),  # proxies may still send requests
        (lambda: clusters(rq_total=3), {}, True, 0, False),  # no proxy may be read
        (lambda: clusters("outbound|80||web"), {}, True, 3, False),  # nothing is known of its application
        (no_answer, {}, True, 3, False),
        (lambda: clusters(rq_total=3), {"spec": {"containers": [{"name": "web"}]}}, True, 3, False),
        (lambda: clusters(rq_total=3), {"status": {}}, True, 3, False),  # it may have requests that began before
        (no_answer, {"status": {"phase": "Failed"}}, True, 3, True),  # it has ended
    ],
)
def test_a_canary_drains_until_its_own_proxies_are_quiet(
    monkeypatch: pytest.MonkeyPatch, answer: Callable[[], Obj], pod: Obj, proved: bool, samples: int, quiet: bool
) -> None:
    monkeypatch.setattr(drain, "admin_json", lambda *_args: answer())
    acting, _writer = executor()
    acting._settings = {**acting._settings, "proof_samples": samples}
    acting._clock = cast(Any, MagicMock(now=lambda: 1000.0))
    state = STATE.replace(phase=Phase.PROMOTING, stage=Stage.DRAIN, proof={"proved": proved})
    observation = dataclasses.replace(OBSERVATION, canary=CANARY, pods=[{**POD, **pod}])
    outcome = acting.execute(Action(ActionKind.DRAIN, seconds=1.6), state, observation)
    assert (outcome.state.stage is Stage.REMOVE, outcome.retry_in > 0) == (quiet, not quiet)


def test_one_busy_pod_of_several_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    busy = {"web-1": 0, "web-2": 1}
    monkeypatch.setattr(drain, "admin_json", lambda _client, _namespace, name, _path: clusters(rq_active=busy[name]))
    client = cast(Any, MagicMock())
    client.each.side_effect = lambda work, items: [work(item) for item in items]
    pods = [{**POD, "metadata": {"name": name, "namespace": "shop"}} for name in busy]
    assert not drain.Drain(client).quiet(pods, 1.6)
    busy["web-2"] = 0
    assert drain.Drain(client).quiet(pods, 1.6)
