# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One call of the module `canary`: take the lease, look, do what is due, write down what was done.

A call is short. Whoever drives a rollout calls `step` again and again and sleeps in between for as long as the result says.
"""

from __future__ import annotations

import time
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._canary import decide as machine
from ansible_collections.servicemesh.platform.plugins.module_utils._canary import observe as world_
from ansible_collections.servicemesh.platform.plugins.module_utils._canary import settings as settings_
from ansible_collections.servicemesh.platform.plugins.module_utils._canary import state as states
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.call import Result
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.cluster_writer import Writer
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.executor import Performer
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.start import Beginning
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.state import State
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import KubeError

# Seconds after which a call hands back, so that its driver can show a line and renew the lease.
_BUDGET = 15.0
_ACTIONS = 60


class Rollout(Beginning):
    """Verbs on the rollout of one service."""

    def status(self) -> Result:
        """What is recorded; changes nothing."""
        self.result.state = self._store.read()
        self.result.done = True
        return self._ended()

    def step(self) -> Result:
        """Does all that is due now."""
        state = self._held_state()
        if not state.active:
            self.result.state, self.result.done = state, True
            return self._ended()
        settings = settings_.with_secrets(state.settings, self._params)
        writer = Writer(self._client, settings, self._mark(state))
        performer = Performer(self._client, self._params, settings, writer, self._store)
        for _turn in range(_ACTIONS):
            seen = world_.observe(self._client, settings)
            if not writer.check_marks(seen.virtual_services):
                writer.put_marks(seen.virtual_services)
                continue
            now = self._store.now()
            action = machine.decide(state, seen.world, now)
            if action.kind == machine.STOP:
                self.result.stopped = action.why
                break
            if action.kind == machine.DONE:
                self.result.done = True
                break
            if action.kind == machine.WAIT:
                self.result.next_in, self.result.waiting = action.seconds, action.why
                break
            state = self._advance(state, performer, action, seen)
            if performer.wait:
                self.result.next_in, self.result.waiting = performer.wait, "a check has not ended"
                break
            if not state.active or state.phase in states.WAITING:
                self.result.done = True
                break
            if time.monotonic() - self._begin > _BUDGET:
                break
        self.result.state = state
        return self._ended()

    def _advance(self, state: State, performer: Performer, action: machine.Action, seen: world_.Seen) -> State:
        """Writes the intent, acts, writes the outcome."""
        noted = len(state.history)
        if action.state is not None and action.state != state:
            state = self._saved(state, action.state, seen)
        after = performer.perform(action, state, seen)
        self.result.changed = self.result.changed or performer.changed
        if after != state:
            state = self._saved(state, after, seen)
        self.result.notes += state.history[noted:]
        return state

    def _saved(self, before: State, after: State, seen: world_.Seen) -> State:
        """Records a state; a change of phase or weight goes into the history and becomes an Event."""
        now = self._store.now()
        note = _change(before, after)
        if note:
            event, message = note
            after = after.noted(now, event, message)
            bad = after.phase in (states.ROLLING_BACK, states.FROZEN, states.ROLLED_BACK)
            self._store.event(f"Canary{event.title().replace('_', '')}", message, seen.stable, warning=bad)
        more: dict[str, Any] = {}
        if after.phase in states.FINAL and after.phase != before.phase:
            more = {"record": self._record(before, after), "runs": self._runs(after)}
        self._store.write(after, **more)
        return after

    def by_hand(self, verb: str) -> Result:
        """`pause`, `resume`, `promote`, `rollback`, `freeze`, `interrupt`: changes what is recorded; `step` does the rest."""
        state = self._store.read()
        if state is None:
            if verb in ("pause", "freeze", "interrupt"):
                self.result.done = True
                return self._ended()
            raise KubeError(
                f"There is no canary of {self._params['namespace']}/{self._params['service']} to {verb}; begin one (canary.yml)"
            )
        now = self._store.now()
        after = self._changed(verb, state, now)
        self.result.state, self.result.done = after, not after.active or after.phase in states.WAITING
        if after == state:
            return self._ended()
        self.result.changed = True
        if not self._check:
            state = self._held_state()
            after = self._changed(verb, state, self._store.now())
            seen = world_.observe(self._client, state.settings)
            noted = len(state.history)
            self.result.state = self._saved(state, after, seen)
            if verb == "interrupt" and after.weight != state.weight:
                writer = Writer(self._client, state.settings, self._mark(state))
                writer.set_weight(seen.virtual_services, seen.aim, after.weight, extra=None)
            self.result.notes = list(self.result.state.history[noted:])
        return self._ended()

    def release(self) -> Result:
        """Gives the lease up."""
        hold = self._given_hold()
        if hold is not None and not self._check:
            self._store.release(hold)
        self.result.state, self.result.done = self._store.read(), True
        return self._ended()

    def settle(self) -> Result:
        """Forgets a promoted release that the inventory has caught up with, or that it overrules."""
        state, record = self._store.read(), self._store.data("record")
        if record is not None and not self._check:
            self._store.write_data(record=None)
        self.result.state, self.result.done = state, True
        return self._ended()

    # Parts ---------------------------------------------------------------------------------------------------------

    def _changed(self, verb: str, state: State, now: float) -> State:
        if verb == "pause":
            return states.paused(state, now)
        if verb == "freeze":
            return states.frozen(state, now)
        if verb == "resume":
            return states.resumed(state, now)
        if verb == "promote":
            return states.promoted_by_hand(state, now, full=bool(self._params.get("full")))
        if verb == "interrupt":
            return states.interrupted(state, now)
        return self._rolled_back(state, now)

    def _rolled_back(self, state: State, now: float) -> State:
        if state.phase in (states.ROLLING_BACK, states.ROLLED_BACK):
            return state
        reason = self._params.get("reason") or "rolled back by hand"
        if state.phase == states.PROMOTED:
            if not state.restore:
                raise KubeError("What stable had before is not recorded; roll the old version out (site.yml)")
            return states.rolling_back(state.replace(touched=True), reason, now)
        return states.rolling_back(state, reason, now)

    def _record(self, before: State, after: State) -> Any:
        """The release that is live by a canary and not by the inventory, for the roles; null when the inventory's is."""
        release = self._params.get("release") or self._store.data("release")
        if after.phase == states.PROMOTED:
            return release
        if not before.touched:
            return self._store.data("record")
        # Stable has its old version back. Where the inventory asks for the new one, that is remembered as overruled.
        asked = (release or {}).get("inventory")
        template = ((before.restore or {}).get("template") or {}).get("spec") or {}
        images = [
            entry.get("image") for entry in template.get("containers") or [] if entry.get("name") == before.service
        ]
        if not asked or asked.get("version") == before.old_version or not images:
            return None
        return {"image": images[0], "version": before.old_version, "inventory": asked}


def _change(before: State, after: State) -> tuple[str, str] | None:
    """(event, message) of a transition that people want to hear of."""
    if after.phase != before.phase or (after.index != before.index and after.phase == states.SHIFTING):
        if after.phase == states.SHIFTING:
            return "step", f"weight {before.weight} % -> {after.weight} %"
        if after.phase == states.ANALYSING:
            return (
                ("proved", f"{after.weight} % is proved in {len(after.proof.get('proxies') or [])} proxies")
                if (before.phase == states.SHIFTING)
                else None
            )
        said = {
            states.PREPARING: "the new version gets ready",
            states.PROMOTING: "the new version takes over",
            states.PROMOTED: f"{after.version or 'the new version'} is live",
        }
        return after.phase, after.reason or said.get(after.phase, f"{before.phase} -> {after.phase}")
    if after.stage != before.stage:
        return "stage", f"{after.phase}: {after.stage}"
    return None
