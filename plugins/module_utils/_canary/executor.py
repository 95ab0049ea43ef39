# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Carry out one action of a rollout, and return the state after it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, assert_never

from ansible_collections.servicemesh.platform.plugins.module_utils._canary import route_patch, route_record, transitions
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis import (
    approvals,
    entries,
    scrapes,
    verdict,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.approvals import OnTimeout
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.metrics import Metric
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.runner import Measurer
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.verdict import (
    Check,
    Pending,
    Status,
    Verdict,
    Window,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.context import Context
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.decide import Action, ActionKind
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.definitions_writer import DefinitionsWriter
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.drain import Drain
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.objects import object_name
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.observe import Observation
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.proxy_check import Prover
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.state import Phase, Stage, State
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.watchdog import job as watchdog
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.diagnosis import has_ended, owned_pods
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import KubeError

_LOOK = 5.0  # seconds that a call looks for open requests at most
_PENDING = 1.0  # seconds between two looks at a Job, an approval or a scrape
_WATCHED = "destination"  # the reporter of requests that a version got


@dataclass(frozen=True, slots=True)
class Outcome:
    """State after an action. `changed`: something was written.

    `retry_in`: seconds until it is tried again, 0 when it is complete. `waiting`: for what, until then.
    """

    state: State
    changed: bool = False
    retry_in: float = 0.0
    waiting: str = "a check has not finished"


class Executor:
    """Actions of one call. `settings` are those of the run, with their secrets."""

    def __init__(self, context: Context, settings: Mapping[str, Any], writer: DefinitionsWriter) -> None:
        self._client, self._params = context.client, context.params
        self._clock, self._record = context.clock, context.record
        self._settings, self._writer = settings, writer
        self._measurer = Measurer.of(context.client, settings)

    def execute(self, action: Action, state: State, observation: Observation) -> Outcome:
        """Carries an action out."""
        match action.kind:
            case ActionKind.PROVE:
                return Outcome(self._prove(action.weight, state, observation))
            case ActionKind.CHECK_APPROVALS:
                return self._check_approvals(action, state, observation)
            case ActionKind.OPEN_WINDOW:
                return self._open_window(state, observation)
            case ActionKind.JUDGE:
                return self._judge(state, observation)
            case ActionKind.WATCH:
                return self._watch(state)
            case ActionKind.DRAIN:
                return self._drain(action.seconds, state, observation)
            case ActionKind.TRANSITION:
                return Outcome(state, changed=True)
            case ActionKind.SET_WEIGHT:
                self._writer.set_weight(observation.virtual_services, observation.aim, action.weight)
                return Outcome(state, changed=True)
            case ActionKind.APPLY_CANARY:
                return self._apply_canary(state, observation)
            case ActionKind.SCALE_CANARY:
                self._writer.scale(self._settings["canary_deployment"], action.pods)
                return Outcome(state, changed=True)
            case ActionKind.SCALE_STABLE:
                self._writer.scale(self._settings["stable_deployment"], action.pods)
                return Outcome(state, changed=True)
            case ActionKind.REMOVE_CANARY:
                self._writer.remove(observation.canary)
                return Outcome(transitions.staged(state, Stage.FINISH, self._clock.now()), changed=True)
            case ActionKind.APPLY_STABLE:
                return Outcome(self._apply_stable(state, observation), changed=True)
            case ActionKind.RESTORE_STABLE:
                return Outcome(self._restore_stable(state, observation), changed=True)
            case ActionKind.CLEAN_UP:
                return Outcome(self._clean_up(state, observation), changed=True)
            case ActionKind.WAIT | ActionKind.STOP | ActionKind.DONE:
                raise ValueError(f"action {action.kind} ends a call; there is nothing to execute")
            case _:
                assert_never(action.kind)

    # Weights -------------------------------------------------------------------------------------------------------

    def _prove(self, weight: int, state: State, observation: Observation) -> State:
        samples = int(self._settings["proof_samples"])
        timeout = float(self._settings["proof_timeout"])
        if state.phase is Phase.SHIFTING:  # a proof must not take longer than the run may be without a usable sample
            timeout = max(0.0, min(timeout, transitions.blind_end(state) - self._clock.now()))
        prover = Prover(self._client, samples, timeout)
        roots = self._settings.get(
            "roots"
        )  # a run that an earlier version of the collection started has not recorded them
        proof = prover.prove(observation.virtual_services, observation.aim, weight, observation.copies, roots)
        now = self._clock.now()
        after = state.replace(proved=now, proof=proof.as_dict())
        if state.phase is not Phase.SHIFTING:
            return after
        if not proof.proved and samples > 0:
            why = "; ".join(proof.missing) or proof.why
            return transitions.failed(after, f"weight {weight} % is not in the proxies: {why}", now)
        return transitions.proved(after, now, scraped=not state.before or not self._reporters())

    def _drain(self, seconds: float, state: State, observation: Observation) -> Outcome:
        """The canary's open requests complete, for at most `seconds`; it ends earlier when its proxies show that there are none."""
        canary = observation.canary
        owned = owned_pods({**canary, "kind": "Deployment"}, observation.pods) if canary is not None else []
        pods = [pod for pod in owned if not has_ended(pod)]
        # Where the weight 0 is not proved, proxies may still send requests.
        known = bool(state.proof.get("proved")) and int(self._settings["proof_samples"]) > 0
        if pods and not (known and Drain(self._client).quiet(pods, min(seconds, _LOOK))):
            return Outcome(state, retry_in=min(seconds, _PENDING), waiting="open requests complete")
        return Outcome(transitions.staged(state, Stage.REMOVE, self._clock.now()), changed=True)

    # Verdicts ------------------------------------------------------------------------------------------------------

    def _wanted(self) -> list[Metric]:
        return entries.metrics_of(self._settings["analysis"])

    def _reporters(self) -> list[str]:
        """The reporters whose scrapes a window needs: those of the built-in metrics."""
        return sorted({metric.reporter for metric in self._wanted() if metric.reporter})

    def _open_window(self, state: State, observation: Observation) -> Outcome:
        """Begins the window when a scrape since the proof is in: the increase of a counter begins at the last scrape before the window."""
        watching = state.phase is Phase.ROLLING_BACK
        now = self._clock.now()
        found = self._measurer.scrapes(
            self._measurer.canary, [_WATCHED] if watching else self._reporters(), state.plan.interval
        )
        why = scrapes.why_not_since(found, now - state.proved, state.plan.interval / 2)
        if not why:
            return Outcome(transitions.opened(state, self._clock.now()))
        waiting = f"no scrape since the weight was proved: {why}"
        if now < state.since + state.plan.interval:
            return Outcome(state, retry_in=_PENDING, waiting=waiting)
        if watching:
            return Outcome(
                self._watched(state, ended=False, said=f"the number of requests to the canary is unknown: {waiting}")
            )
        return self._decided(
            state, observation, Window(Verdict.INCONCLUSIVE, waiting), [], transitions.window_end(state, now)
        )

    def _judge(self, state: State, observation: Observation) -> Outcome:
        now, interval = self._clock.now(), state.plan.interval
        # `since` is the start of this window, which no other window of the run has.
        name = f"{self._job_prefix(state)}-{state.index}-{state.since:.0f}"
        waited = max(0.0, now - state.since - interval)
        try:
            checks = self._measurer.measure(self._wanted(), interval, name, waited)
        except Pending:
            return Outcome(state, retry_in=_PENDING)
        return self._decided(state, observation, verdict.combine(checks), checks, transitions.window_end(state, now))

    def _decided(
        self, state: State, observation: Observation, window: Window, checks: Sequence[Check], end: float
    ) -> Outcome:
        """The verdict on a window that ended at `end`, in the history and as an Event."""
        # Numbers for people. A Prometheus that has just not answered is not asked again: that would delay the decision.
        answered = any(check.value is not None or check.requests is not None for check in checks)
        shown = self._measurer.shown(state.plan.interval) if answered else {}
        now = self._clock.now()
        noted = state.noted(
            now,
            "window",
            window.reason,
            verdict=window.verdict.value,
            step=state.index,
            checks=[check.as_dict() for check in checks],
            shown=shown,
        )
        self._record.event(
            f"Canary{window.verdict.title()}",
            f"{state.weight} %: {window.reason}",
            observation.stable,
            warning=window.verdict is not Verdict.PASS,
        )
        return Outcome(transitions.judged(noted, window, end, now))

    def _check_approvals(self, action: Action, state: State, observation: Observation) -> Outcome:
        if action.milestone is None:
            raise ValueError("action check_approvals needs a milestone")
        annotations = ((observation.stable or {}).get("metadata") or {}).get("annotations") or {}

        def measure(metric: Metric) -> Check:
            return self._measurer.measure([metric], state.plan.interval, self._job_prefix(state))[0]

        now = self._clock.now()
        given = approvals.approvals_of(self._settings["approvals"])
        for approval in approvals.before(given, action.milestone):
            outcome, reason = approvals.check(approval, annotations, measure)
            match outcome:
                case Verdict.PASS:
                    continue
                case Verdict.FAIL:
                    return Outcome(transitions.failed(state, f"approval before {approval.before}: {reason}", now))
                case Verdict.INCONCLUSIVE:
                    pass
                case _:
                    assert_never(outcome)
            if now - state.since <= approval.timeout:
                return Outcome(state, retry_in=_PENDING)
            why = f"the approval before {approval.before} was not given within {approval.timeout:g} s: {reason}"
            match approval.on_timeout:
                case OnTimeout.FREEZE:
                    return Outcome(transitions.frozen(state, now, why))
                case OnTimeout.ROLLBACK:
                    return Outcome(transitions.rolling_back(state, why, now))
                case OnTimeout.CONTINUE:
                    continue
                case _:
                    assert_never(approval.on_timeout)
        return Outcome(state.replace(approved=True, since=now))

    def _job_prefix(self, state: State) -> str:
        return f"{object_name(state.service)}-{state.run[:6]}"

    def _watch(self, state: State) -> Outcome:
        """In a rollback: whether requests to the canary have ended. Counts what came between two scrapes after the proof of weight 0."""
        now, canary = self._clock.now(), self._measurer.canary
        late = scrapes.why_not_since(
            self._measurer.scrapes(canary, [_WATCHED], state.plan.interval), now - state.since, 0.0
        )
        if late and now < state.since + state.plan.interval:
            return Outcome(state, retry_in=_PENDING, waiting=f"requests to the canary must end: {late}")
        sample = self._measurer.requests_inside(canary, now - state.proved)
        requests = f"requests to {state.version or 'the canary'}"
        unknown = f"the number of {requests} is unknown"
        if late:
            ended, said = False, f"{unknown}: {late}"
        elif sample.status is Status.OK and sample.value is not None:
            ended, said = sample.value == 0, f"{verdict.number(sample.value)} {requests}"
        elif sample.status is Status.MISSING and not transitions.had_requests(state):
            ended, said = True, f"no {requests}"
        else:
            ended, said = False, f"{unknown}: {sample}"
        return Outcome(self._watched(state, ended=ended, said=said))

    def _watched(self, state: State, *, ended: bool, said: str) -> State:
        now = self._clock.now()
        shown = self._measurer.shown(now - state.proved) if ended else {}
        noted = state.noted(now, "watch", f"after the rollback: {said}", shown=shown)
        return transitions.watched(noted, now, ended=ended, said=said)

    # Workloads -----------------------------------------------------------------------------------------------------

    def _definitions(self, name: str) -> list[dict[str, Any]]:
        given = list(self._params.get(name) or [])
        if not given and self._settings["defined"]:
            raise KubeError(
                f"{name} is missing; this run was started with definitions and needs them to continue. Use canary.yml or promote.yml"
            )
        return given

    def _apply_canary(self, state: State, observation: Observation) -> Outcome:
        definitions = self._definitions("canary_definitions")
        canary = observation.canary
        if definitions and canary is not None and canary["metadata"].get("deletionTimestamp"):
            # The Deployment of an earlier canary is gone when its pods have terminated.
            return Outcome(state, changed=True, retry_in=_PENDING)
        if definitions:
            self._writer.apply(definitions)
        elif canary is None:
            name = f"{state.namespace}/{self._settings['canary_deployment']}"
            raise KubeError(f"Deployment {name} does not exist any more; create it again, or roll back (rollback.yml)")
        if state.phase is Phase.RESETTING:
            state = state.entered(Phase.PREPARING, self._clock.now(), proved=0.0, before=0)
        return Outcome(state, changed=True)

    def _apply_stable(self, state: State, observation: Observation) -> State:
        definitions = self._definitions("stable_definitions")
        if definitions:
            self._writer.apply(definitions)
        elif observation.stable is not None and observation.canary is not None:
            self._writer.copy_template(observation.stable, observation.canary)
        return state.replace(applied=True, since=self._clock.now())

    def _restore_stable(self, state: State, observation: Observation) -> State:
        if observation.stable is None or not state.restore:
            raise KubeError(
                f"Deployment {state.namespace}/{self._settings['stable_deployment']} does not exist, or its former pod template is not "
                "recorded; set the old version in the inventory and run site.yml"
            )
        self._writer.restore(observation.stable, state.restore)
        return state.replace(applied=True, since=self._clock.now())

    def _clean_up(self, state: State, observation: Observation) -> State:
        others = None if self._settings["defined"] else observation.canary
        self._writer.clean_up(observation.virtual_services, [observation.stable, others])
        watchdog.remove(self._client, state)
        ended = Phase.PROMOTED if state.phase is Phase.PROMOTING else Phase.ROLLED_BACK
        for item in observation.virtual_services:
            record = route_record.record_for(self._settings, item)
            for text in route_patch.left_behind(item, observation.aim, record):
                state = state.noted(self._clock.now(), "note", text)
        stable = observation.observed.stable
        template = stable.template if stable else ""
        return state.entered(ended, self._clock.now(), template=template, stage=None, touched=False, applied=False)
