# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is pushed when, and that the real Pushgateway takes it: a rollout's life, a Pushgateway that dies, and what is none."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from typing import Any, cast

import pytest
from ansible_collections.servicemesh.platform.plugins.module_utils._canary import plan as plans
from ansible_collections.servicemesh.platform.plugins.module_utils._canary import push, series
from ansible_collections.servicemesh.platform.plugins.module_utils._canary import settings as run_settings
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.operations import Operation
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.pushgateway import (
    Pushgateway,
    PushgatewayError,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.state import FINAL, Phase, State
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.client import Client
from ansible_collections.servicemesh.platform.plugins.module_utils._prometheus import Endpoint
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.pushgateway.server import Server
from tests.rules import tools
from tests.unit.plugins.module_utils._canary.test_parts import params
from tests.unit.plugins.module_utils.conftest import FaultyServer, RawServer

WHERE = {"service": "monitoring/pushgateway:9091"}
STATE = State("r1", "web", "shop", plans.Plan((50,)), version="v2", since=1000.0, settings={push.OPTION: WHERE})
READS = {Operation.STATUS, Operation.FORGET_PROMOTION}
KUBE = cast("Client", None)  # nothing of it is used for a URL


# What is due ---------------------------------------------------------------------------------------------------------


@given(st.sampled_from(Operation), st.sampled_from(Phase), st.integers(0, 100), st.booleans())
def test_the_record_alone_says_what_is_pushed(operation: Operation, phase: Phase, weight: int, written: bool) -> None:
    state = STATE.replace(phase=phase, weight=weight)
    due = push.due(operation, state, written=written)
    if operation in READS or (operation is Operation.STEP and not written):
        assert due is None
        return
    assert due == push.Push(
        {"job": "servicemesh_canary", "namespace": "shop", "service": "web"},
        "" if phase in FINAL else series.page(state, namespaced=False),
    )
    assert push.due(operation, state.replace(settings={push.OPTION: None}), written=written) is None
    assert push.due(operation, None, written=written) is None


# What is wrong with an address, what is recorded of it -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("where", "words"),
    [
        ({}, "metrics_push: neither a url nor a service is given; expected one of them, such as service: monitoring/p"),
        ({"url": "http://x", "service": "a/b:1"}, "metrics_push: both a url and a service"),
        ({"service": "pushgateway:9091"}, "metrics_push: service is 'pushgateway:9091'; expected namespace/name:port"),
        ({"url": "pushgateway:9091"}, "expected http:// or https:// and a host"),
        ({"url": "http://user:secret@push"}, "metrics_push: url contains a user or password"),
        ({"service": "a/b:1", "password": "secret"}, "are for a url"),
    ],
)
def test_an_address_that_is_none_is_refused(where: dict[str, Any], words: str) -> None:
    (finding,) = (text for text in run_settings.findings(params(metrics_push=where)) if "metrics_push" in text)
    assert words in finding
    assert "secret" not in finding


def test_secrets_are_not_recorded_and_come_from_the_call() -> None:
    given = params(metrics_push={"url": "http://push", "username": "u", "password": "p", "headers": {"x": "h"}})
    recorded = run_settings.settings_of(given, [])
    assert recorded[push.OPTION] == {"url": "http://push", "username": "u", "validate_certs": True}
    end = run_settings.push_endpoint(run_settings.with_secrets(recorded, given))
    assert end == Endpoint(url="http://push", username="u", password="p", headers={"x": "h"})
    assert run_settings.push_endpoint(run_settings.settings_of(params(), [])) is None


# The real one --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("pushgateway") / "log") as one:
        yield one


def gateway(url: str, **more: Any) -> Pushgateway:
    return Pushgateway(Endpoint(url=url, **more), KUBE)


def sent_by(operation: Operation, state: State, *, written: bool) -> push.Push:
    """What a call pushes that has something to push."""
    due = push.due(operation, state, written=written)
    assert due is not None
    return due


def lines(page: str) -> dict[str, str]:
    """{series: value} of a page, with the labels in their order, as a Pushgateway shows it."""
    found = {}
    for line in page.splitlines():
        if not line.startswith("#"):
            name, _brace, rest = line.partition("{")
            inner, _brace, value = rest.rpartition("} ")
            labels = sorted([*inner.split(","), 'instance=""', 'job="servicemesh_canary"'])
            found[f"{name}{{{','.join(labels)}}}"] = value.removesuffix(".0")
    return found


def test_a_rollouts_life(server: Server) -> None:
    """Another service's group is left alone, and a deleted group leaves nothing that somebody could read."""
    gateway(server.url).look()
    send = gateway(server.url + "/").push
    other = STATE.replace(service="cart", phase=Phase.PAUSED)
    due = sent_by(Operation.PAUSE, other, written=True)
    send(due)
    kept = lines(series.page(other, namespaced=True))
    state = STATE
    for phase, weight, verdict in (
        (Phase.RESETTING, 0, ""),
        (Phase.ANALYSING, 50, "pass"),
        (Phase.PAUSED, 50, ""),
        (Phase.ROLLING_BACK, 50, "fail"),
    ):
        state = state.entered(phase, state.since + 60, weight=weight)
        state = state.noted(state.since, "window", "", verdict=verdict) if verdict else state
        due = sent_by(Operation.STEP, state, written=True)
        send(due)
        assert server.series() == {**kept, **lines(series.page(state, namespaced=True))}
    done = subprocess.run(
        [tools.find("promtool"), "check", "metrics"], input=due.text, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    ended = state.entered(Phase.ROLLED_BACK, state.since + 60, weight=0)
    for _twice in range(2):
        due = sent_by(Operation.GIVE_UP_LEASE, ended, written=False)
        send(due)
    assert server.series() == kept
    assert 'push_time_seconds{instance="",job="servicemesh_canary",namespace="shop",service="web"}' not in server.page()
    send(push.Push(push.group_of(other)))


NAMES = st.text(st.characters(codec="utf-8", exclude_categories=("Cs",), exclude_characters="\0"), max_size=12)


@given(NAMES)
@settings(max_examples=60, deadline=None)
def test_any_name_of_a_group_arrives_as_it_is(server: Server, name: str) -> None:
    one = push.Push({"job": "x", "of": name}, "a 1\n")
    gateway(server.url).push(one)
    (line,) = server.series("a{")
    shown = name.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    assert line == f'a{{instance="",job="x"{f",of={chr(34)}{shown}{chr(34)}"}}}'
    gateway(server.url).push(push.Push(one.group))


def test_a_pushgateway_that_dies_has_everything_with_the_next_push(server: Server) -> None:
    state = STATE.replace(phase=Phase.PAUSED, weight=50)
    due = sent_by(Operation.STEP, state, written=True)
    gateway(server.url).push(due)
    server.stop()
    for request in (gateway(server.url).look, lambda: gateway(server.url).push(due)):
        with pytest.raises(PushgatewayError, match="Connection refused"):
            request()
    server.start()
    assert server.series() == {}
    due = sent_by(Operation.GIVE_UP_LEASE, state, written=False)
    gateway(server.url).push(due)
    assert server.series() == lines(series.page(state, namespaced=True))


def test_what_the_pushgateway_refuses_is_told_in_its_words(server: Server) -> None:
    with pytest.raises(PushgatewayError, match=r"HTTP 400: text format parsing error"):
        gateway(server.url).push(push.Push({"job": "x"}, "no series\n"))


# Others that answer --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nyes", "not JSON: 'yes', and so no Pushgateway"),
        (b'HTTP/1.1 200 OK\r\nContent-Length: 35\r\n\r\n{"status":"success","data":{"a":1}}', "is no Pushgateway"),
        (b"HTTP/1.1 401 X\r\nContent-Length: 12\r\n\r\nUnauthorized", "^HTTP 401: Unauthorized$"),
    ],
)
def test_what_is_no_pushgateway_is_refused_at_the_start(raw: RawServer, answer: bytes, words: str) -> None:
    raw.says(answer)
    with pytest.raises(PushgatewayError, match=words):
        gateway(raw.url).look()


def test_a_push_has_its_login_and_one_address(raw: RawServer) -> None:
    raw.says(b"HTTP/1.1 307 Moved\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n")
    login = gateway(raw.url + "/prefix", username="u", password="p", headers={"X-Scope": "a"})
    with pytest.raises(PushgatewayError, match=r"^HTTP 307$"):
        login.push(push.Push(push.group_of(STATE), "a 1\n"))
    head, _end, body = raw.seen[0].partition(b"\r\n\r\n")
    assert head.startswith(b"PUT /prefix/metrics/job/servicemesh_canary/namespace/shop/service/web HTTP/1.1\r\n")
    assert b"Authorization: Basic dTpw" in head
    assert b"X-Scope: a" in head
    assert f"Content-Type: {series.CONTENT_TYPE}".encode() in head
    assert body in (b"", b"a 1\n"), "the head may arrive alone"


def test_a_pushgateway_that_is_silent_costs_a_push_two_seconds(raw: RawServer) -> None:
    raw.talk = lambda _connection: time.sleep(20)
    begin = time.monotonic()
    with pytest.raises(PushgatewayError, match="no complete answer within 2 s"):
        gateway(raw.url).push(push.Push(push.group_of(STATE), "a 1\n"))
    assert 1.9 < time.monotonic() - begin < 4


def test_through_the_api_server(faulty: FaultyServer) -> None:
    """With the group's path behind the Service's, one try, and the rights that are missing."""
    forbidden = {"kind": "Status", "status": "Failure", "reason": "Forbidden", "message": "no", "code": 403}
    faulty.answers = [(200, {}, {}), (202, {}, {}), (503, {}, {}), (403, forbidden, {})]
    client = Client({"host": faulty.url, "api_key": "t"}, concurrency=1, environ={})
    through = Pushgateway(Endpoint(service="https:monitoring/pushgateway:9091"), client)
    through.push(push.Push(push.group_of(STATE), "a 1\n"))
    through.push(push.Push(push.group_of(STATE)))
    with pytest.raises(PushgatewayError, match="503"):
        through.look()
    with pytest.raises(PushgatewayError, match="rights to get, update and delete services/proxy"):
        through.look()
    root = "/api/v1/namespaces/monitoring/services/https:pushgateway:9091/proxy"
    group = "/metrics/job/servicemesh_canary/namespace/shop/service/web"
    assert [(method, path.removeprefix(root)) for method, path, _headers in faulty.seen] == [
        ("PUT", group),
        ("DELETE", group),
        ("GET", "/api/v1/status"),
        ("GET", "/api/v1/status"),
    ]
    assert faulty.seen[0][2]["Content-Type"] == series.CONTENT_TYPE
