# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Operations on the rollout of one service: take the lease, observe, do what is due, record it.

A call is short. A driver calls `step` again and again, and sleeps in between for the seconds that the result says.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable
from typing import Any, assert_never

from ansible_collections.servicemesh.platform.plugins.module_utils import _parent
from ansible_collections.servicemesh.platform.plugins.module_utils._canary import push, transitions
from ansible_collections.servicemesh.platform.plugins.module_utils._canary import settings as run_settings
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.cluster_writer import ClusterWriter
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.context import Context, Result
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.decide import Action, ActionKind, decide
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.definitions_writer import DefinitionsWriter
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.executor import Executor, Outcome
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.observe import Observation, observe
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.operations import Operation
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.pushgateway import Pushgateway
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.refusal import (
    given_back,
    in_words,
    is_outage,
    is_refused,
    recorded,
    traffic,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.start import start
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.state import (
    FINAL,
    WAITING,
    Phase,
    State,
    added_entries,
    digest,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.unexpected import after_error
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.watchdog import job as watchdog
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import KubeError, StoppedError

# Seconds after which a call returns, so that its driver can print lines and renew the lease.
_BUDGET = 15.0
_ACTIONS = 60
_OUTAGE = 2.0  # seconds until the next try in an outage
_CLEAN_UP = 15.0  # seconds that a call may take to leave things as the next run expects them, after it was stopped


class Rollout:
    """Operations on the rollout of one service. One instance serves one call."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._client, self._params = context.client, context.params
        self._record, self._clock, self._result = context.record, context.clock, context.result

    def run(self, operation: Operation) -> Result:
        """Does one operation. Raises KubeError, with the lease given up when nobody else can do it."""
        try:
            result = self._run(operation)
            self._push(operation, result)
            return result
        except StoppedError as error:
            # Else the driver does it: it has the fencing token, and knows why it stops.
            if self._context.alone or not self._params.get("fencing_token"):
                self._take_back(str(error))
            raise
        except KubeError:
            # A caller that has the fencing token of an earlier call gives the lease up itself, or goes on.
            if not self._params.get("fencing_token"):
                self._let_go()
            raise
        except Exception as error:
            raise after_error(self._context, operation, error) from error
        finally:
            self._context.close()

    def _push(self, operation: Operation, result: Result) -> None:
        """Pushes what the record says. What goes wrong is told and changes nothing else: metrics must not end a rollout."""
        due = push.due(operation, result.state, written=self._record.written)
        if self._context.check or due is None or result.state is None:
            return
        where = run_settings.push_endpoint(run_settings.with_secrets(result.state.settings, self._params))
        if where is None:
            return
        try:
            Pushgateway(where, self._client).push(due)
        except Exception as error:  # whatever it is
            why = str(error) if isinstance(error, KubeError) else f"{type(error).__name__}: {error}"
            result.push_error = f"{push.OPTION} ({where}): {why}"

    def _take_back(self, why: str) -> None:
        """Takes back a step without a verdict and gives the lease up; the error that ends the call is more important than one of this."""
        if self._result.lease_holder is None:
            return
        with contextlib.suppress(Exception), _parent.cleaning_up(_CLEAN_UP):
            if (state := self._record.read()) is not None:
                self._write_interruption(state, transitions.interrupted(state, self._clock.now(), why))
        with _parent.cleaning_up(_CLEAN_UP):
            self._let_go()

    def _let_go(self) -> None:
        """Gives up the lease that this call took; the error that ends the call is more important than one of this."""
        if self._result.lease_holder is not None:
            with contextlib.suppress(KubeError):
                self._context.lease.give_up(self._result.lease_holder)

    def _run(self, operation: Operation) -> Result:
        match operation:
            case Operation.RUN | Operation.START:
                return start(self._context)
            case Operation.STEP:
                return self._status() if self._context.check else self._step()
            case Operation.STATUS:
                return self._status()
            case Operation.PAUSE:
                return self._by_hand(operation, transitions.paused)
            case Operation.FREEZE:
                return self._by_hand(operation, transitions.frozen)
            case Operation.RESUME:
                return self._by_hand(operation, transitions.resumed)
            case Operation.PROMOTE:
                return self._by_hand(operation, self._promoted)
            case Operation.ROLLBACK:
                return self._by_hand(operation, self._rolled_back)
            case Operation.INTERRUPT:
                return self._by_hand(operation, self._interruption)
            case Operation.GIVE_UP_LEASE:
                return self._give_up_lease()
            case Operation.FORGET_PROMOTION:
                return self._forget_promotion()
            case _:
                assert_never(operation)

    def _status(self) -> Result:
        self._result.state, self._result.done = self._record.read(), True
        return self._context.ended()

    # Steps ---------------------------------------------------------------------------------------------------------

    def _step(self) -> Result:
        """Does everything that is due now. In an outage nothing is, until a later call."""
        try:
            return self._all_due()
        except KubeError as error:
            if not is_outage(error):
                raise
            self._result.outage, self._result.next_in = in_words(error), _OUTAGE
            # Whether or not it could be renewed: the next call needs it.
            self._result.lease_holder = self._result.lease_holder or self._context.given_holder()
        with contextlib.suppress(KubeError):  # a lease that nobody keeps expires
            return self._context.ended()
        return self._result

    def _all_due(self) -> Result:
        state = self._result.state = self._leased()
        if not state.active:
            self._result.done = True
            return self._context.ended()
        settings = run_settings.with_secrets(state.settings, self._params)
        writer = DefinitionsWriter(self._client, settings, self._context.annotation(state))
        executor = Executor(self._context, settings, writer)
        for _turn in range(_ACTIONS):
            try:
                observation = observe(self._client, settings, self._clock.now())
                if not writer.check_annotation(observation.virtual_services):
                    writer.put_annotation(observation.virtual_services)
                    continue
            except KubeError as error:
                raise _placed(error, state) from None
            watch = watchdog.ensure(self._client, state)
            if watch is not None and watch.lost:
                state = self._tell_of_lost_watchdog(state, watch.lost, observation)
            observed = dataclasses.replace(observation.observed, watchdog=watch.pod if watch else None)
            action = decide(state, observed, self._clock.now())
            match action.kind:
                case ActionKind.STOP:
                    self._result.stopped = action.why
                    break
                case ActionKind.DONE:
                    self._result.done = True
                    break
                case ActionKind.WAIT:
                    self._result.next_in, self._result.waiting = action.seconds, action.why
                    break
            try:
                outcome = self._advance(state, executor, action, observation)
            except KubeError as error:
                if not is_refused(error):
                    raise
                raise self._unrecorded(state, writer, observation, error) from None
            state = outcome.state
            if self._result.stopped:
                break
            if outcome.retry_in:
                self._result.next_in, self._result.waiting = outcome.retry_in, outcome.waiting
                break
            if not state.active or state.phase in WAITING:
                self._result.done = True
                break
            if self._context.seconds > _BUDGET:
                break
        return self._context.ended()

    def _advance(self, state: State, executor: Executor, action: Action, observation: Observation) -> Outcome:
        """Records the intent, executes the action, records the outcome."""
        if action.state is not None and action.state != state:
            state = self._noted(state, self._saved(state, action.state, observation))
        try:
            outcome = executor.execute(action, state, observation)
        except KubeError as error:
            if not is_refused(error):
                raise
            outcome = self._refused(state, action, error)
        self._result.changed = self._result.changed or outcome.changed
        if outcome.state != state:
            after = self._noted(state, self._saved(state, outcome.state, observation))
            outcome = dataclasses.replace(outcome, state=after)
        return outcome

    def _noted(self, before: State, after: State) -> State:
        """The state that was recorded, with its news in the result: a call that ends in an outage tells what it did before."""
        self._result.state = after
        self._result.notes += added_entries(before, after)
        return after

    def _tell_of_lost_watchdog(self, state: State, lost: str, observation: Observation) -> State:
        """Records that nobody watched over the run for some time, and that somebody does again."""
        message = f"the watchdog was lost and is made again: {lost}"
        self._record.event("CanaryWatchdogLost", message, observation.stable, warning=True)
        self._result.changed = True
        return self._noted(state, self._saved(state, state.noted(self._clock.now(), "note", message), observation))

    def _leased(self) -> State:
        """The recorded state, under the lease. Where the lease cannot be had, the error says where the traffic is."""
        try:
            return self._context.leased_state()
        except KubeError as error:
            if not is_refused(error):
                raise
            state = self._record.read()
            raise _placed(error, state) if state is not None and state.active else error from None

    def _refused(self, state: State, action: Action, error: KubeError) -> Outcome:
        """After a write that the API server refused: back to what runs. Where that does not help, the run stops and says where it is."""
        now, reason = self._clock.now(), f"{action.kind} was refused: {str(error)[:700]}"
        observation = observe(self._client, state.settings, now)
        stable = observation.observed.stable
        old = digest((state.restore or {}).get("template") or {})
        unchanged = stable is not None and stable.complete and stable.template == old
        after = transitions.refused(state, reason, now, unchanged=unchanged)
        if after is not None:
            return Outcome(after.noted(now, "error", reason) if after.phase is state.phase else after, changed=True)
        where = traffic(observation, state)
        self._result.stopped = f"{reason}. {where} Remove what refuses it and run again to continue"
        self._record.event("CanaryRefused", f"{reason}. {where}", observation.stable, warning=True)
        return Outcome(state.noted(now, "error", f"{reason}. {where}"))

    def _unrecorded(self, state: State, writer: ClusterWriter, seen: Observation, error: KubeError) -> KubeError:
        """The run cannot go on, mostly without a record: stable gets back the requests that its pods carry."""
        try:
            given_back(writer, seen, state)
        except KubeError as second:
            return KubeError(
                f"The run cannot go on ({error}), and the weights cannot be written either ({second}). {traffic(seen, state)}"
            )
        where = traffic(observe(self._client, state.settings, self._clock.now()), state)
        return KubeError(
            f"The run cannot go on ({error}); the requests that stable carries were given back to it. {where} "
            "Remove what refuses it, then roll back (rollback.yml) and start again"
        )

    def _saved(self, before: State, after: State, observation: Observation) -> State:
        """Records a state. A change of phase or weight is added to the history and becomes an Event."""
        if note := _change(before, after):
            event, message = note
            after = after.noted(self._clock.now(), event, message)
            bad = after.phase in (Phase.ROLLING_BACK, Phase.FROZEN, Phase.ROLLED_BACK)
            reason = f"Canary{event.title().replace('_', '')}"
            self._record.event(reason, message, observation.stable, warning=bad)
        more: dict[str, Any] = {}
        if after.phase in FINAL and after.phase != before.phase:
            more = {"record": self._promotion_record(before, after), "runs": self._context.runs(after)}
        self._record.write(after, **more)
        return after

    # Operations of people and drivers ------------------------------------------------------------------------------

    def _by_hand(self, operation: Operation, transition: Callable[[State, float], State]) -> Result:
        """Changes the recorded state; `step` does the rest."""
        state = self._record.read()
        if state is None:
            if operation in (Operation.PAUSE, Operation.FREEZE, Operation.INTERRUPT):
                self._result.done = True
                return self._context.ended()
            raise KubeError(
                f"There is no canary of {self._context.namespace}/{self._context.service} to {operation}; start one (canary.yml)"
            )
        after = transition(state, self._clock.now())
        self._result.state, self._result.done = after, not after.active or after.phase in WAITING
        if after == state:
            return self._context.ended()
        self._result.changed = True
        if not self._context.check:
            state = self._context.leased_state()
            if operation is Operation.INTERRUPT:
                self._write_interruption(state, self._interruption(state, self._clock.now()))
                return self._context.ended()
            after = transition(state, self._clock.now())
            observation = observe(self._client, state.settings, self._clock.now())
            after = self._noted(state, self._saved(state, after, observation))
            if not state.active:  # its watchdog ended with it: the next step must not take it for a lost one
                with contextlib.suppress(KubeError):
                    watchdog.ensure(self._client, after)
        return self._context.ended()

    def _interruption(self, state: State, now: float) -> State:
        why = self._params.get("reason")
        return transitions.interrupted(state, now, why) if why else transitions.interrupted(state, now)

    def _write_interruption(self, state: State, after: State) -> None:
        """Records why a driver stops, takes back a step that has no verdict, and tells it by an Event. The state is written first."""
        if after == state:
            return
        self._record.write(after)
        observation = observe(self._client, state.settings, self._clock.now())
        if after.weight != state.weight:
            writer = ClusterWriter(self._client, state.settings, self._context.annotation(state))
            try:
                writer.set_weight(observation.virtual_services, observation.aim, after.weight)
            except KubeError as error:
                if not is_refused(error):
                    raise
                raise KubeError(f"{error}. The step could not be taken back. {traffic(observation, state)}") from None
        message = str(after.history[-1]["message"])
        self._record.event("CanaryInterrupted", message, observation.stable, warning=True)
        self._result.changed = True
        self._noted(state, after)

    def _promoted(self, state: State, now: float) -> State:
        return transitions.promoted_by_hand(state, now, full=bool(self._params.get("full")))

    def _rolled_back(self, state: State, now: float) -> State:
        if state.phase in (Phase.ROLLING_BACK, Phase.ROLLED_BACK):
            return state
        reason = self._params.get("reason") or "rolled back by hand"
        if state.phase is Phase.PROMOTED:
            if not state.restore:
                raise KubeError(
                    f"The former pod template of {state.namespace}/{state.service} is not recorded. Nothing was done; "
                    "set the old version in the inventory and run site.yml"
                )
            return transitions.rolling_back(state.replace(touched=True), reason, now)
        return transitions.rolling_back(state, reason, now)

    def _give_up_lease(self) -> Result:
        holder = self._context.given_holder()
        if holder is not None and not self._context.check:
            self._context.lease.give_up(holder)
        return self._status()

    def _forget_promotion(self) -> Result:
        """Removes the record of a promotion: the inventory states that version, or supersedes it."""
        state = self._record.read()
        if self._record.data("record") is not None and not self._context.check:
            self._record.write_data(record=None)
        self._result.state, self._result.done = state, True
        return self._context.ended()

    def _promotion_record(self, before: State, after: State) -> Any:
        """The release that is live by a canary and not by the inventory, for the roles; None when it is the inventory's."""
        release = self._params.get("release") or self._record.data("release")
        if after.phase is Phase.PROMOTED:
            return release
        if not before.touched:
            return self._record.data("record")
        # Stable has its old version back. When the inventory states the new version, the old one is recorded against it.
        stated = (release or {}).get("inventory")
        template = ((before.restore or {}).get("template") or {}).get("spec") or {}
        images = [
            entry.get("image") for entry in template.get("containers") or [] if entry.get("name") == before.service
        ]
        if not stated or stated.get("version") == before.old_version or not images:
            return None
        return {"image": images[0], "version": before.old_version, "inventory": stated}


def _placed(error: KubeError, state: State) -> KubeError:
    """An error of a call that could not read or annotate the routes; a refusal says where the traffic is by the record."""
    return KubeError(f"{error}. Nothing more was done. {recorded(state)}") if is_refused(error) else error


def _change(before: State, after: State) -> tuple[str, str] | None:
    """(event, message) of a transition that is shown to people."""
    moved = after.phase != before.phase or (after.index != before.index and after.phase is Phase.SHIFTING)
    if not moved:
        if after.stage != before.stage:
            return "stage", f"{after.phase}: {after.stage or ''}"
        return None
    match after.phase:
        case Phase.SHIFTING:
            return "step", f"weight {before.weight} % -> {after.weight} %"
        case Phase.ANALYSING:
            if before.phase is not Phase.SHIFTING:
                return None
            return "proved", f"{after.weight} % is proved in {len(after.proof.get('proxies') or [])} proxies"
        case Phase.PREPARING:
            message = f"{after.version or 'the new version'} becomes ready"
        case Phase.PROMOTING:
            message = f"{after.version or 'the new version'} takes over"
        case Phase.PROMOTED:
            message = f"{after.version or 'the new version'} is live"
        case Phase.RESETTING | Phase.PAUSED | Phase.ROLLING_BACK | Phase.FROZEN | Phase.ROLLED_BACK:
            message = f"{before.phase} -> {after.phase}"
        case _:
            assert_never(after.phase)
    return after.phase.value, after.reason or message
