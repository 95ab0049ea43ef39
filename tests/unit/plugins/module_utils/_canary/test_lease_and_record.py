# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lease and record against an API server of dicts, whose clock is not the controller's."""

from __future__ import annotations

import copy
import time
from email.utils import formatdate
from typing import Any, cast

import pytest
from ansible_collections.servicemesh.platform.plugins.module_utils._canary import plan as plans
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.clock import ServerClock
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.lease import Lease, LeaseHolder
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.objects import LeaseHeldError, OtherRunError
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.record import Record
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.state import State
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.client import Client
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import ApiError, KubeError

Obj = dict[str, Any]
AHEAD = 3600.0  # seconds that the server's clock is ahead of the controller's


class Server:
    """GET, POST and PUT with resourceVersions; `race`: an object that somebody else writes before the next write."""

    def __init__(self) -> None:
        self.objects: dict[str, Obj] = {}
        self.version = 0
        self.offset = AHEAD
        self.race: tuple[str, Obj] | None = None

    def get(self, path: str, *, headers_to: dict[str, str] | None = None) -> Obj | None:
        if headers_to is not None:
            headers_to["Date"] = formatdate(time.time() + self.offset, usegmt=True)
        return copy.deepcopy(self.objects.get(path))

    def put(self, path: str, body: Obj) -> Obj:
        self.version += 1
        self.objects[path] = {**body, "metadata": {**body["metadata"], "resourceVersion": str(self.version)}}
        return copy.deepcopy(self.objects[path])

    def request(self, method: str, path: str, *, body: Obj, **_more: Any) -> tuple[int, Obj]:
        if "/events" in path:
            raise KubeError("no right to create events")
        full = path if method == "PUT" else f"{path}/{body['metadata']['name']}"
        if self.race is not None:
            self.put(*self.race)
            self.race = None
        live = self.objects.get(full)
        given = body["metadata"].get("resourceVersion")
        if (live is None) != (method == "POST") or (live is not None and given != live["metadata"]["resourceVersion"]):
            raise ApiError(method, path, 409, {})
        return 200, self.put(full, body)


def parts(server: Server) -> tuple[ServerClock, Lease, Record]:
    client = cast(Client, server)
    clock = ServerClock(client)
    return clock, Lease(client, clock, "shop", "web"), Record(client, clock, "shop", "web")


LEASE = "/apis/coordination.k8s.io/v1/namespaces/shop/leases/canary-web"
CONFIG = "/api/v1/namespaces/shop/configmaps/canary-web"
STATE = State("run", "web", "shop", plans.Plan((50,)))


def test_lease_and_record_use_one_clock_that_each_answer_corrects() -> None:
    server = Server()
    clock, lease, record = parts(server)
    assert abs(clock.now() - time.time()) < 2
    assert record.read() is None
    assert abs(clock.now() - time.time() - AHEAD) < 2
    server.offset = -AHEAD
    assert lease.present() is None
    assert abs(clock.now() - time.time() + AHEAD) < 2


def test_the_fencing_token_increases_with_every_holder_and_a_late_one_is_refused() -> None:
    server = Server()
    clock, lease, _record = parts(server)
    first = lease.acquire("a", 30)
    assert first.annotation("run") == f"run/{first.fencing_token}"
    with pytest.raises(OtherRunError, match="a has held its lease for 0 s"):
        lease.acquire("b", 30)
    present = lease.present()
    assert present is not None
    assert present["holder"] == "a"
    lease.renew(first, 30)
    assert server.objects[LEASE]["spec"]["leaseTransitions"] == first.fencing_token
    server.offset += 31
    assert lease.present() is None
    lease.renew(first, 30)
    assert lease.present() is not None, "nobody has had it since it expired"
    server.offset += 31
    second = lease.acquire("b", 30)
    assert (second.fencing_token, second.after) == (first.fencing_token + 1, "a")
    with pytest.raises(OtherRunError, match="its holder is b"):
        lease.renew(first, 30)
    lease.give_up(first)
    assert server.objects[LEASE]["spec"]["holderIdentity"] == "b", "only the holder gives the lease up"
    lease.give_up(second)
    assert lease.acquire("c", 30).fencing_token == second.fencing_token + 1
    del server.objects[LEASE]
    server.offset += 60
    clock.get(CONFIG)
    assert lease.acquire("d", 30).fencing_token > second.fencing_token + 1, "a deleted Lease does not start again"


def test_of_two_runs_that_read_the_same_lease_one_wins() -> None:
    server = Server()
    _clock, lease, _record = parts(server)
    holder = lease.acquire("a", 30)
    lease.give_up(holder)
    server.race = (LEASE, server.objects[LEASE])
    with pytest.raises(OtherRunError, match="at the same moment"):
        lease.acquire("b", 30)
    with pytest.raises(OtherRunError):
        lease.renew(LeaseHolder("a", 1), 30)


def test_two_calls_of_one_run_may_renew_at_the_same_moment_and_give_up_after_that() -> None:
    server = Server()
    _clock, lease, _record = parts(server)
    holder = lease.acquire("a", 30)
    server.race = (LEASE, server.objects[LEASE])
    lease.renew(holder, 30)
    server.race = (LEASE, server.objects[LEASE])
    lease.give_up(holder)
    assert server.objects[LEASE]["spec"]["holderIdentity"] == ""


def test_who_has_the_lease_is_told_with_the_time_of_the_last_renewal() -> None:
    server = Server()
    _clock, lease, _record = parts(server)
    lease.acquire("a", 30)
    with pytest.raises(LeaseHeldError) as raised:
        lease.acquire("b", 30)
    present = raised.value.present
    assert (present["holder"], present["renewed"]) == ("a", server.objects[LEASE]["spec"]["renewTime"])
    assert 28 < present["expires_in"] <= 30


def test_a_lease_whose_answer_was_lost_is_taken() -> None:
    server = Server()
    _clock, lease, _record = parts(server)
    lease.give_up(lease.acquire("a", 30))
    put = server.request

    def twice(method: str, path: str, **more: Any) -> tuple[int, Obj]:
        put(method, path, **more)
        return put(method, path, **more)

    server.request = twice  # type: ignore[method-assign]
    assert lease.acquire("b", 30).name == "b"


def test_a_record_gives_back_what_was_written_and_is_never_overwritten() -> None:
    server = Server()
    _clock, _lease, record = parts(server)
    assert record.read() is None
    assert record.data("runs") is None
    record.write(STATE, runs=[{"run": "old"}], release={"image": "a"})
    assert record.read() == STATE
    assert record.data("runs") == [{"run": "old"}]
    record.write_data(release=None)
    assert record.data("release") is None
    _clock, _lease, other = parts(server)
    other.read()
    other.write(STATE.replace(weight=50))
    with pytest.raises(OtherRunError, match="Somebody else wrote the record"):
        record.write(STATE)
    record.read()
    record.write(STATE)


def test_a_write_whose_answer_was_lost_is_no_conflict_with_itself() -> None:
    server = Server()
    _clock, _lease, record = parts(server)
    record.read()
    record.write(STATE)
    after = STATE.replace(weight=50)
    _clock, _lease, same = parts(server)
    same.read()
    same.write(after)
    record.write(after)
    assert record.read() == after


def test_a_record_that_cannot_be_read_says_what_to_do() -> None:
    server = Server()
    server.put(CONFIG, {"metadata": {"name": "canary-web"}, "data": {"state": "[]"}})
    _clock, _lease, record = parts(server)
    with pytest.raises(KubeError, match="delete the ConfigMap, then start again"):
        record.read()


def test_an_event_that_cannot_be_written_stops_nothing() -> None:
    _clock, _lease, record = parts(Server())
    record.event("CanaryStep", "weight", None)
