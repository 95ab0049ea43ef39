# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""apply with faults between it and a real API server."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.servicemesh.platform.plugins.module_utils._kube import watch as _watch
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.client import Client

from tests.integration.conftest import actions, config_map, deployment, run_module
from tests.integration.fault_proxy import Fault, FaultProxy, Request

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("cluster")]

SIXTY = 60
SCALE_PATCH = "application/merge-patch+json"


def many(namespace: str, number: int = SIXTY, **data: str) -> list[dict[str, Any]]:
    return [config_map(namespace, f"c{index}", **data) for index in range(number)]


def through(proxy: FaultProxy, *definitions: Any, **options: Any) -> dict[str, Any]:
    return run_module("apply", definitions=list(definitions), **proxy.connection, **options)


def first_try(**fault: Any) -> Callable[[Request], Fault | None]:
    """This fault for the first try of every request."""
    return lambda request: Fault(**fault) if request.attempt == 1 else None


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 429, "headers": {"Retry-After": "1"}},
        {"status": 503},
        {"status": 500},
        {"cut": "before"},
        {"cut": "after"},
    ],
)
def test_every_request_fails_once(client: Client, namespace: str, fault: dict[str, Any]) -> None:
    with FaultProxy(first_try(**fault)) as proxy:
        result = through(proxy, *many(namespace, 20, a="1"))
        assert not result.get("failed"), result["msg"]
        assert proxy.faults >= 23
    # An answer that was lost after the server had done it does not make the result wrong.
    assert set(actions(result).values()) == {"created"}
    # Of a request on a connection that is cut, the proxy may see nothing.
    assert result["requests"] >= len(proxy.seen) if "cut" in fault else result["requests"] == len(proxy.seen)
    again = run_module("apply", definitions=many(namespace, 20, a="1"))
    assert not again["changed"]
    with FaultProxy(first_try(**fault)) as proxy:
        gone = through(proxy, *many(namespace, 20), state="absent")
    assert not gone.get("failed"), gone
    left = client.list_all(f"/api/v1/namespaces/{namespace}/configmaps")[0]
    assert not [item for item in left if item["metadata"]["name"].startswith("c")]


def test_what_another_client_created_again_meanwhile_is_not_deleted(client: Client, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    run_module("apply", definitions=[config_map(namespace, "c"), config_map(namespace, "d")])

    def before_it_is_deleted(request: Request) -> None:
        if request.method == "DELETE" and request.path == f"{path}/c":
            client.request("DELETE", f"{path}/c")
            client.request("POST", path, body=config_map(namespace, "c", theirs="1"))

    with FaultProxy(before_it_is_deleted) as proxy:
        result = through(proxy, config_map(namespace, "c"), config_map(namespace, "d"), state="absent")
    assert not result.get("failed"), result["msg"]
    assert actions(result) == {"ConfigMap/c": "kept", "ConfigMap/d": "deleted"}
    assert "created it again" in next(entry["note"] for entry in result["objects"] if entry["name"] == "c")
    assert (client.get(f"{path}/c") or {})["data"] == {"theirs": "1"}
    assert client.get(f"{path}/d") is None


@pytest.mark.parametrize("seed", range(3))
def test_faults_of_all_sorts(namespace: str, seed: int) -> None:
    dice = random.Random(seed)  # noqa: S311
    faults = [Fault(status=429), Fault(status=503), Fault(cut="before"), Fault(cut="after"), Fault(delay=0.2)]
    with FaultProxy(lambda _request: dice.choice(faults) if dice.random() < 0.3 else None) as proxy:
        first = through(proxy, *many(namespace, a=str(seed)))
        second = through(proxy, *many(namespace, a=str(seed)))
        third = through(proxy, *many(namespace, a="changed"))
    for result, action in ((first, "created"), (second, "unchanged"), (third, "changed")):
        assert not result.get("failed"), result["msg"]
        assert {entry["action"] for entry in result["objects"]} == {action}


@pytest.mark.parametrize("status", [400, 401, 403, 422])
def test_what_does_not_pass_is_not_tried_again(namespace: str, status: int) -> None:
    with FaultProxy(lambda request: Fault(status=status) if request.method == "PATCH" else None) as proxy:
        result = through(proxy, config_map(namespace))
    assert result["failed"]
    assert len([request for request in proxy.seen if request.method == "PATCH"]) == 1


def test_requests_at_once_halve_while_the_server_has_too_much_to_do(namespace: str) -> None:
    """No request is lost to it, and the server gets fewer at once as long as it says so."""

    def script(request: Request) -> Fault | None:
        if request.method != "PATCH":
            return None
        return Fault(status=429, together=16) if request.number <= 3 + 16 else Fault(delay=0.05)

    with FaultProxy(script) as proxy:
        result = through(proxy, *many(namespace), concurrency=16)
        burst = proxy.most
        assert not result.get("failed"), result["msg"]
        assert burst == 16

    peak = [0]

    def measured(request: Request) -> Fault | None:
        if request.number > 3 + 16:
            peak[0] = max(peak[0], slow.running + 1)
        return script(request)

    with FaultProxy(measured) as slow:
        assert not through(slow, *many(namespace, a="1"), concurrency=16).get("failed")
    assert peak[0] <= 16 / 2 + 2, "one burst of refusals halves it once; good answers give it back slowly"


def test_retry_after_is_obeyed(namespace: str) -> None:
    times: dict[str, list[float]] = {}

    def script(request: Request) -> Fault | None:
        if request.method == "PATCH" and not request.dry:
            times.setdefault(request.path, []).append(time.monotonic())
            if request.attempt == 1:
                return Fault(status=429, headers={"Retry-After": "2"})
        return None

    with FaultProxy(script) as proxy:
        assert not through(proxy, *many(namespace, 8)).get("failed")
    pauses = [second - first for first, second in times.values()]
    assert min(pauses) >= 2.0
    assert max(pauses) < 6.0  # that they are spread: tests/unit/plugins/module_utils/_kube/test_retry.py


def written(request: Request) -> bool:
    return request.method == "PATCH" and not request.dry


def test_an_outage_while_the_set_is_tried_leaves_nothing(
    client: Client, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(Client.request.__kwdefaults__, "budget", 0.0)  # instead of 30
    with FaultProxy(lambda request: Fault(status=503) if request.dry else None) as proxy:
        result = through(proxy, *many(namespace, 20))
        assert not [request for request in proxy.seen if written(request)]
    assert result["failed"]
    assert result["objects"] == []
    there = {item["metadata"]["name"] for item in client.list_all(f"/api/v1/namespaces/{namespace}/configmaps")[0]}
    assert not there & {one["metadata"]["name"] for one in many(namespace, 20)}, "others are the control planes'"


@pytest.mark.parametrize("fault", [{"status": 503}, {"cut": "before"}, {"status": 429}])
def test_an_outage_ends_the_call_once(namespace: str, monkeypatch: pytest.MonkeyPatch, fault: dict[str, Any]) -> None:
    monkeypatch.setitem(Client.request.__kwdefaults__, "budget", 3.0)  # instead of 30
    begun: list[float] = []

    def script(request: Request) -> Fault | None:
        if not written(request) or len([s for s in proxy.seen if written(s)]) <= 5:
            return None
        begun.append(time.monotonic())
        return Fault(**fault)

    with FaultProxy(script) as proxy:
        result = through(proxy, *many(namespace), concurrency=4)
    assert result["failed"]
    assert time.monotonic() - begun[0] < 3.0 + 5.0, "55 objects, 4 at a time, but one outage"
    assert "no later wave was started" in result["msg"]
    assert "55 of 60 objects of the wave are not done" in result["msg"]
    assert "findings" not in result["msg"], "one outage is one finding"
    assert sum(entry["action"] == "created" for entry in result["objects"]) == 5, "what was done is told"


def test_distance_costs_waves_and_not_objects(namespace: str) -> None:
    run_module("apply", definitions=many(namespace))
    with FaultProxy(lambda _request: Fault(delay=0.1)) as proxy:
        result = through(proxy, *many(namespace))
    assert not result["changed"]
    assert result["seconds"]["apply"] < 60 * 0.1 / 3, "60 objects, 16 at a time"


# Watches -------------------------------------------------------------------------------------------------------------


def waiting(namespace: str) -> dict[str, Any]:
    """A Deployment that gets ready when the test scales it to 0: no pod can run where it wants to."""
    return deployment(namespace, pod={"nodeSelector": {"never": "here"}})


def becomes_ready(client: Client, namespace: str, proxy: FaultProxy, watches: int) -> float:
    """Makes it ready once so many watches were begun; the time at which that was done."""
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments/d"
    deadline = time.monotonic() + 40
    while len(watches_of(proxy)) < watches:
        assert time.monotonic() < deadline, watches_of(proxy)
        time.sleep(0.02)
    client.request("PATCH", f"{path}/scale", body={"spec": {"replicas": 0}}, content_type=SCALE_PATCH)
    return time.monotonic()


def watches_of(proxy: FaultProxy) -> list[Request]:
    return [request for request in proxy.seen if request.watch and request.path.endswith("/deployments")]


def lists_of(proxy: FaultProxy) -> list[Request]:
    return [
        request
        for request in proxy.seen
        if request.method == "GET" and not request.watch and request.path.endswith("/deployments")
    ]


def wait_through(client: Client, namespace: str, proxy: FaultProxy, watches: int) -> float:
    """Seconds between readiness and the module's end, with a wait that begins with faults."""
    ended: list[tuple[dict[str, Any], float]] = []

    def work() -> None:
        ended.append((through(proxy, waiting(namespace), wait_timeout=60), time.monotonic()))

    thread = threading.Thread(target=work)
    thread.start()
    try:
        ready = becomes_ready(client, namespace, proxy, watches)
    finally:
        thread.join(90)
    ((result, end),) = ended
    assert not result.get("failed"), result["msg"]
    return end - ready


def on_watch(*faults: Fault) -> Callable[[Request], Fault | None]:
    """These faults for the first watches of Deployments, one after another."""
    left = list(faults)

    def script(request: Request) -> Fault | None:
        return left.pop(0) if left and request.watch and request.path.endswith("/deployments") else None

    return script


GONE = {"type": "ERROR", "object": {"kind": "Status", "code": 410, "reason": "Expired"}}


@pytest.mark.parametrize("fault", [Fault(events=(GONE,)), Fault(status=410)])
def test_a_version_that_is_too_old_is_listed_again(client: Client, namespace: str, fault: Fault) -> None:
    with FaultProxy(on_watch(fault)) as proxy:
        assert wait_through(client, namespace, proxy, 2) < 5.0
        assert len(lists_of(proxy)) == 2


@pytest.mark.parametrize("fault", [Fault(cut="stream"), Fault(cut="before"), Fault(status=503), Fault(status=429)])
def test_a_watch_that_breaks_goes_on_where_it_was(client: Client, namespace: str, fault: Fault) -> None:
    with FaultProxy(on_watch(fault, fault)) as proxy:
        assert wait_through(client, namespace, proxy, 3) < 5.0
        assert len(lists_of(proxy)) == 1
        assert len({request.query["resourceVersion"] for request in watches_of(proxy)[:3]}) == 1


def test_a_bookmark_moves_a_watch_on(client: Client, namespace: str) -> None:
    now = client.list_all(f"/apis/apps/v1/namespaces/{namespace}/deployments")[1]
    later = str(int(now) + 1)
    bookmark = {"type": "BOOKMARK", "object": {"kind": "Deployment", "metadata": {"resourceVersion": later}}}
    with FaultProxy(on_watch(Fault(events=(bookmark,), cut="stream"))) as proxy:
        assert wait_through(client, namespace, proxy, 2) < 5.0
        assert watches_of(proxy)[0].query["allowWatchBookmarks"] == "true"
        assert watches_of(proxy)[1].query["resourceVersion"] == later
        assert len(lists_of(proxy)) == 1


def test_a_silent_connection_is_given_up(client: Client, namespace: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_watch, "_IDLE_TIMEOUT", 2.0)  # instead of 90
    with FaultProxy(on_watch(Fault(silent=True))) as proxy:
        assert wait_through(client, namespace, proxy, 2) < 5.0
        assert len(lists_of(proxy)) == 1
