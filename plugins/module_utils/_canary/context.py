# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every operation on a canary uses: client, parameters, lease, record, and the result that it fills."""

from __future__ import annotations

import functools
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._canary.clock import ServerClock
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.lease import Lease, LeaseHolder
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.lease_keeper import LeaseKeeper, boot_seconds
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.record import Record
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.state import FINAL, RUNS_LIMIT, State
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.client import Client
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import KubeError


@dataclass(slots=True)
class Result:
    """What a call did. `next_in`: seconds until another call is useful. `done`: no other call is needed. `before`: the weight before it.
    `push_error`: why its metrics were not pushed. `outage`: what the API server could not do, for which nothing else was done.
    """

    state: State | None = None
    changed: bool = False
    done: bool = False
    next_in: float = 0.0
    waiting: str = ""
    stopped: str = ""
    notes: list[Mapping[str, Any]] = field(default_factory=list)
    seconds: float = 0.0
    lease_holder: LeaseHolder | None = None
    before: int | None = None
    push_error: str = ""
    outage: str = ""


class Context:
    """What the operations of one call of the module share. `connect` makes another client, for the thread that renews the lease.

    `alone`: the call runs in a process of its own, so that it has to clean up itself when its driver ends.
    """

    def __init__(
        self,
        client: Client,
        params: Mapping[str, Any],
        *,
        check: bool = False,
        alone: bool = False,
        connect: Callable[[], Client] | None = None,
    ) -> None:
        self.client, self.params, self.check, self.alone = client, params, check, alone
        self._connect = connect or functools.partial(Client, params, concurrency=1)
        self._keeper: LeaseKeeper | None = None
        self.namespace, self.service = str(params["namespace"]), str(params["service"])
        self.clock = ServerClock(client)
        self.lease = Lease(client, self.clock, self.namespace, self.service)
        self.record = Record(client, self.clock, self.namespace, self.service)
        self.result = Result()
        self._start = time.monotonic()

    @property
    def seconds(self) -> float:
        """How long the call has taken until now."""
        return time.monotonic() - self._start

    def given_holder(self) -> LeaseHolder | None:
        """The lease that an earlier call of the same run returned."""
        name, token = self.params.get("holder"), self.params.get("fencing_token")
        return LeaseHolder(str(name), int(token)) if name and token else None

    def acquire(self) -> None:
        """Takes the lease, or renews the one of an earlier call, and keeps it until `close`. Raises OtherRunError."""
        duration = float(self.params["lease_duration"])
        self.close()
        begin = boot_seconds()
        if (holder := self.given_holder()) is not None:
            self.lease.renew(holder, duration)
        else:
            name = str(self.params.get("holder") or f"call-{uuid.uuid4().hex[:12]}")
            holder = self.lease.acquire(name, duration)
        self.result.lease_holder = holder
        self._keeper = LeaseKeeper(self.lease, holder, duration, begin, self._other_lease)
        self.client.before_write = self._keeper.check

    def _other_lease(self) -> Lease:
        """The same Lease over a connection of its own."""
        client = self._connect()
        return Lease(client, ServerClock(client), self.namespace, self.service)

    def close(self) -> None:
        """Ends the renewals of the lease, at the end of the call. The lease stays."""
        if self._keeper is not None:
            self._keeper.close()
            self._keeper = None
            self.client.before_write = None

    def leased_state(self) -> State:
        """Takes the lease and reads the recorded state under it. Raises KubeError when there is none."""
        self.acquire()
        state = self.record.read()
        if state is None:
            raise KubeError(f"There is no canary of {self.namespace}/{self.service}; start one (canary.yml)")
        self.result.before = state.weight
        return state

    def annotation(self, state: State) -> str:
        """Run and fencing token, as the VirtualServices carry them."""
        if self.result.lease_holder is None:
            raise AssertionError("a fencing token needs a lease")
        return self.result.lease_holder.annotation(state.run)

    def runs(self, state: State | None) -> list[Any]:
        """Summaries of earlier runs, newest last."""
        runs = list(self.record.data("runs") or [])
        if state is not None and state.phase in FINAL and (not runs or runs[-1].get("run") != state.run):
            runs.append(
                {
                    "run": state.run,
                    "version": state.version,
                    "started": round(state.started),
                    "ended": round(state.since),
                    "phase": state.phase,
                    "reason": state.reason,
                }
            )
        return runs[-RUNS_LIMIT:]

    def ended(self) -> Result:
        """The result. A call without a holder's name gives the lease up; a driver keeps it for its next call."""
        if self.result.lease_holder is not None and not self.params.get("holder"):
            self.lease.give_up(self.result.lease_holder)
        self.result.seconds = self.seconds
        return self.result
