# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every verb of a canary needs: the record, and the lease under which it may be changed."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._canary import state as states
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.record import Hold, Store
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.state import State
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.client import Client
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import KubeError


@dataclass(slots=True)
class Result:
    """What a call came to. `next_in`: seconds until another call is of use; `done`: nobody needs to call again."""

    state: State | None = None
    changed: bool = False
    done: bool = False
    next_in: float = 0.0
    waiting: str = ""
    stopped: str = ""
    notes: list[Mapping[str, Any]] = field(default_factory=list)
    seconds: float = 0.0
    hold: Hold | None = None
    before: int | None = None


class Held:
    """What every verb needs: the recorded state, and the lease under which it may be changed."""

    def __init__(self, client: Client, params: Mapping[str, Any], *, check: bool = False) -> None:
        self._client, self._params, self._check = client, params, check
        self._store = Store(client, params["namespace"], params["service"])
        self._begin = time.monotonic()
        self.result = Result()

    def _runs(self, state: State | None) -> list[Any]:
        """Earlier runs in short, newest last."""
        runs = list(self._store.data("runs") or [])
        if state is not None and state.phase in states.FINAL and (not runs or runs[-1].get("run") != state.run):
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
        return runs[-states.RUNS_LIMIT :]

    # Lease ---------------------------------------------------------------------------------------------------------

    def _given_hold(self) -> Hold | None:
        holder, fence = self._params.get("holder"), self._params.get("fence")
        return Hold(str(holder), int(fence)) if holder and fence else None

    def _acquire(self) -> None:
        if (hold := self._given_hold()) is not None:
            self._store.renew(hold, self._params["lease_duration"])
        else:
            holder = str(self._params.get("holder") or f"call-{uuid.uuid4().hex[:12]}")
            hold = self._store.acquire(holder, self._params["lease_duration"])
        self.result.hold = hold

    def _held_state(self) -> State:
        """The state, read under the lease."""
        self._acquire()
        state = self._store.read()
        if state is None:
            raise KubeError(
                f"There is no canary of {self._params['namespace']}/{self._params['service']}; begin one with verb start"
            )
        self.result.before = state.weight
        return state

    def _mark(self, state: State) -> str:
        if self.result.hold is None:
            raise AssertionError("a mark needs a lease")
        return self.result.hold.mark(state.run)

    def _ended(self) -> Result:
        """A call without a holder's name gives the lease back; a driver keeps it over its calls."""
        if self.result.hold is not None and not self._params.get("holder"):
            self._store.release(self.result.hold)
        self.result.seconds = time.monotonic() - self._begin
        return self.result
