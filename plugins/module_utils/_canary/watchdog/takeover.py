# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Take a rollout over from a driver that died: weight 0 by the rules of `decide`, then leave the rest to the next run."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, assert_never

from ansible_collections.servicemesh.platform.plugins.module_utils._canary.clock import ServerClock
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.cluster_writer import ClusterWriter
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.decide import (
    POLL,
    Action,
    ActionKind,
    decide,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.lease import Lease, LeaseHolder
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.objects import OtherRunError
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.observe import Observation, observe
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.record import Record
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.state import Phase, State
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.watchdog.duty import (
    nothing_to_do,
    taken_over,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.api import Api
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import KubeError

LEASE = 15.0  # seconds that the watchdog's own lease lasts
_EVENT = "CanaryWatchdog"
_REPEAT = 60.0  # seconds between two lines about the same wait


class Takeover:
    """One rollout, driven by the watchdog `name` until its weight is 0. `say` takes lines for the log."""

    def __init__(self, api: Api, run: str, names: tuple[str, str, str], say: Callable[[str], None]) -> None:
        self._name, namespace, service = names
        self._api, self._run, self._say = api, run, say
        self._clock = ServerClock(api)
        self.lease = Lease(api, self._clock, namespace, service)
        self.record = Record(api, self._clock, namespace, service)
        self._renewed = 0.0
        self._recorded = False  # whether it is in the record that this watchdog took over
        self._refusals: set[str] = set()  # each is told once, however often `take` is called
        self._stable: Mapping[str, Any] | None = None

    def attempt(self, why: str) -> bool:
        """Whether `take` came to its end. What it ended at else is told, once for each error. Raises OtherRunError."""
        try:
            self.take(why)
        except OtherRunError:
            raise
        except KubeError as error:  # a webhook or a rule refuses a write, or the API server cannot be reached
            text = f"the watchdog is not done: {type(error).__name__}: {error}. It tries again"
            if text not in self._refusals:
                self._refusals.add(text)
                self._tell(text)
            return False
        return True

    def take(self, why: str) -> None:
        """Takes the lease and drives the rollout to weight 0. Raises KubeError, with the lease kept: the next try continues."""
        holder = self.lease.acquire(self._name, LEASE)
        self._renewed = time.monotonic()
        state = self.record.read()  # again, under the lease
        if state is None or state.run != self._run or nothing_to_do(state):
            self.lease.give_up(holder)
            return
        writer = ClusterWriter(self._api, state.settings, holder.annotation(state.run))
        observation = observe(self._api, state.settings, self._clock.now())
        self._stable = observation.stable
        # From now on, the API server refuses what the former holder has still on its way.
        if not writer.check_annotation(observation.virtual_services):
            writer.put_annotation(observation.virtual_services)
            observation = observe(self._api, state.settings, self._clock.now())
        state = self._begun(state, observation, why)
        if state.phase in (Phase.PROMOTING, Phase.ROLLING_BACK):
            state, observation = self._driven(state, writer, holder)
        self._ended(state, observation)
        self.lease.give_up(holder)

    def _begun(self, state: State, observation: Observation, why: str) -> State:
        """Records why, before anything else is written."""
        now = self._clock.now()
        after = taken_over(state, observation.observed.weights, now, f"the watchdog took over: {why}")
        text = f"the watchdog took over: {why}. {state.phase} at {state.weight} %"
        if self._recorded:
            self.record.write(after)
            return after
        after = after.noted(now, "watchdog", text)
        self.record.write(after)
        self._recorded = True
        self._tell(text)
        return after

    def _tell(self, text: str) -> None:
        """In the log and as an Event."""
        self._say(text)
        self.record.event(_EVENT, text, self._stable, warning=True)

    def _ended(self, state: State, observation: Observation) -> None:
        weights = observation.observed.weights
        if weights <= {0}:
            text = "the weight is 0 %, all requests go to stable. Run again to continue, or roll back (rollback.yml)"
        else:
            text = f"the weight stays at {max(weights)} %. Run again to continue, or roll back (rollback.yml)"
        self.record.write(state.noted(self._clock.now(), "watchdog", text))
        self._tell(text)

    def _driven(self, state: State, writer: ClusterWriter, holder: LeaseHolder) -> tuple[State, Observation]:
        """Does what `decide` says until the weight is 0, or until only a person can go on."""
        told: tuple[str, float] = ("", 0.0)
        while True:
            self._renew(holder)
            observation = observe(self._api, state.settings, self._clock.now())
            action = decide(state, observation.observed, self._clock.now())
            if action.state is not None and action.state != state:
                state = action.state
                self.record.write(state)
            match action.kind:
                case ActionKind.TRANSITION:
                    pass
                case ActionKind.SET_WEIGHT:
                    writer.set_weight(observation.virtual_services, observation.aim, action.weight)
                case ActionKind.SCALE_STABLE:
                    writer.scale(state.settings["stable_deployment"], action.pods)
                case ActionKind.RESTORE_STABLE:
                    state = self._restored(state, writer, observation)
                case ActionKind.WAIT | ActionKind.STOP:
                    if action.kind is ActionKind.STOP and state.phase is Phase.PROMOTING:
                        self._say(action.why)
                        return state, observation
                    told = self._waited(action, observation, told)
                case (
                    ActionKind.DONE | ActionKind.PROVE | ActionKind.CHECK_APPROVALS | ActionKind.OPEN_WINDOW | ActionKind.JUDGE
                    | ActionKind.WATCH | ActionKind.DRAIN | ActionKind.APPLY_CANARY | ActionKind.SCALE_CANARY | ActionKind.REMOVE_CANARY
                    | ActionKind.APPLY_STABLE | ActionKind.CLEAN_UP
                ):  # fmt: skip
                    return state, observation  # the next run does this
                case _:
                    assert_never(action.kind)

    def _renew(self, holder: LeaseHolder) -> None:
        if time.monotonic() - self._renewed > LEASE / 3:
            self.lease.renew(holder, LEASE)
            self._renewed = time.monotonic()

    def _restored(self, state: State, writer: ClusterWriter, observation: Observation) -> State:
        if observation.stable is None or not state.restore:
            raise KubeError(
                f"Deployment {state.namespace}/{state.service}: it or its former pod template does not exist"
            )
        writer.restore(observation.stable, state.restore)
        after = state.replace(applied=True, since=self._clock.now())
        self.record.write(after)
        return after

    def _waited(self, action: Action, observation: Observation, told: tuple[str, float]) -> tuple[str, float]:
        """Waits for pods of stable, for as long as it takes. A wait that is late becomes an Event."""
        now = time.monotonic()
        if action.why != told[0] and action.kind is ActionKind.STOP:
            self.record.event(_EVENT, action.why, observation.stable, warning=True)
        if action.why != told[0] or now - told[1] > _REPEAT:
            self._say(action.why)
            told = action.why, now
        time.sleep(POLL)
        return told
