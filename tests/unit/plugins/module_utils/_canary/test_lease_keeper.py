# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lease during a call: renewed while the call is long, and looked at before each write."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, cast

import pytest
from ansible_collections.servicemesh.platform.plugins.module_utils import _parent
from ansible_collections.servicemesh.platform.plugins.module_utils._canary import lease_keeper
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.clock import ServerClock
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.lease import Lease, LeaseHolder
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.lease_keeper import LeaseKeeper, boot_seconds
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.objects import OtherRunError
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.client import Client
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import UnreachableError

from tests.unit.plugins.module_utils._canary.test_lease_and_record import LEASE, Server

WRITE = "/apis/apps/v1/namespaces/shop/deployments/web/scale"


class Flaky(Server):
    """Counts the renewals; `down`: cannot be reached."""

    down = False
    renewals = 0

    def request(self, method: str, path: str, **more: Any) -> Any:
        if self.down:
            raise UnreachableError("down")
        self.renewals += method == "PUT"
        return super().request(method, path, **more)


def lease_on(server: Server) -> Lease:
    client = cast(Client, server)
    return Lease(client, ServerClock(client), "shop", "web")


class Call:
    """A call with the lease; `passed`: seconds that its process was frozen."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, duration: float) -> None:
        self.server, self.frozen = Flaky(), 0.0
        monkeypatch.setattr(lease_keeper, "boot_seconds", lambda: boot_seconds() + self.frozen)
        self.lease = lease_on(self.server)
        self.holder = self.lease.acquire("a", 30)
        begin = lease_keeper.boot_seconds()
        self.keeper = LeaseKeeper(self.lease, self.holder, duration, begin, lambda: lease_on(self.server))

    def taken(self) -> LeaseHolder:
        """Another run takes the lease when it has expired."""
        self.server.offset += 100
        return lease_on(self.server).acquire("b", 30)


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[Call]:
    made = Call(monkeypatch, getattr(request, "param", 60.0))
    yield made
    made.keeper.close()


def wait_for(condition: Any) -> None:
    end = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.parametrize("call", [0.3], indirect=True)
def test_a_long_call_renews_the_lease_every_third_of_its_duration(call: Call) -> None:
    wait_for(lambda: call.server.renewals >= 3)
    call.keeper.close()
    time.sleep(0.15)
    renewals = call.server.renewals
    time.sleep(0.3)
    assert call.server.renewals == renewals, "the call has ended"


@pytest.mark.parametrize("call", [0.3], indirect=True)
def test_an_outage_ends_no_renewals(call: Call) -> None:
    call.server.down = True
    time.sleep(0.3)
    call.server.down = False
    renewals = call.server.renewals
    wait_for(lambda: call.server.renewals > renewals)


@pytest.mark.parametrize("call", [0.3], indirect=True)
def test_a_call_whose_run_has_ended_renews_nothing(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_parent, "why_stop", lambda: "ended")
    time.sleep(0.15)
    renewals = call.server.renewals
    time.sleep(0.3)
    assert call.server.renewals == renewals


def test_a_write_of_a_fresh_lease_asks_nobody(call: Call) -> None:
    call.server.down = True
    call.keeper.check(WRITE)


def test_a_process_that_was_frozen_looks_at_its_lease_before_it_writes(call: Call) -> None:
    call.frozen = 50.0
    call.keeper.check(WRITE)
    assert call.server.renewals == 1, "nobody has had it: it is renewed"
    call.keeper.check(WRITE)
    assert call.server.renewals == 1


def test_a_process_that_was_frozen_writes_nothing_when_another_run_has_the_lease(call: Call) -> None:
    call.taken()
    call.frozen = 50.0
    for _write in range(2):
        with pytest.raises(OtherRunError, match="its holder is b"):
            call.keeper.check(WRITE)
    call.keeper.check(LEASE)  # which fails at the API server's own check


@pytest.mark.parametrize("call", [0.3], indirect=True)
def test_a_loss_that_the_renewals_notice_ends_the_writes(call: Call) -> None:
    call.taken()

    def refused() -> bool:
        try:
            call.keeper.check(WRITE)
        except OtherRunError:
            return True
        return False

    wait_for(refused)


def test_without_an_answer_nothing_is_written(call: Call) -> None:
    call.frozen = 50.0
    call.server.down = True
    call.server.get = lambda *_args, **_more: (_ for _ in ()).throw(UnreachableError("down"))  # type: ignore[method-assign]
    with pytest.raises(UnreachableError):
        call.keeper.check(WRITE)
