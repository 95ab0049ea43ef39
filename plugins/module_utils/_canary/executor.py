# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Do one action of a rollout, and say what the state is after it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._canary import decide as machine
from ansible_collections.servicemesh.platform.plugins.module_utils._canary import settings as settings_
from ansible_collections.servicemesh.platform.plugins.module_utils._canary import state as states
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis import metrics as metrics
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis import verdict as verdicts
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.runner import Measurer, Pending
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.verdict import Check
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.cluster_writer import Writer
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.decide import Action
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.observe import Seen
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.proxy_check import Prover
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.record import Store, object_name
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.state import State
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.client import Client
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import KubeError
from ansible_collections.servicemesh.platform.plugins.module_utils._prometheus import Prometheus

_PENDING = 1.0  # seconds between two looks at a Job or a gate


class Performer:
    """Actions of one call. `wait` is set when an action needs another call, `changed` when something was written."""

    def __init__(
        self,
        client: Client,
        params: Mapping[str, Any],
        settings: Mapping[str, Any],
        writer: Writer | None,
        store: Store,
    ) -> None:
        self._client, self._params, self._settings, self._store = client, params, settings, store
        self._writer_or_none = writer
        self.wait = 0.0
        self.changed = False
        endpoint = settings_.endpoint(settings)
        prometheus = Prometheus(endpoint, client) if endpoint else None
        canary, stable = settings_.subjects(settings)
        self._measurer = Measurer(client, prometheus, settings["telemetry"], canary, stable)
        self._metrics = metrics.metrics_of(settings["analysis"], settings["telemetry"])

    def measurer_problems(self) -> list[str]:
        """What keeps the metrics and gates from being measured."""
        gates = [entry for gate in self._settings["gates"] if (entry := _gate_metric(gate)) is not None]
        return self._measurer.problems([*self._metrics, *metrics.metrics_of(gates, self._settings["telemetry"])])

    @property
    def _writer(self) -> Writer:
        if self._writer_or_none is None:
            raise AssertionError("checks write nothing")
        return self._writer_or_none

    def perform(self, action: Action, state: State, seen: Seen) -> State:
        """Does it, and returns the state that is to be recorded then."""
        self.wait = 0.0
        work = {
            machine.SET_WEIGHT: self._set_weight,
            machine.PROVE: self._prove,
            machine.GATE: self._gate,
            machine.JUDGE: self._judge,
            machine.WATCH: self._watch,
            machine.APPLY_CANARY: self._apply_canary,
            machine.SCALE_CANARY: self._scale_canary,
            machine.SCALE_STABLE: self._scale_stable,
            machine.REMOVE_CANARY: self._remove_canary,
            machine.APPLY_STABLE: self._apply_stable,
            machine.RESTORE_STABLE: self._restore_stable,
            machine.RELEASE: self._release,
        }.get(action.kind)
        if work is None:  # become
            self.changed = True
            return state
        if action.kind not in (machine.PROVE, machine.GATE, machine.JUDGE, machine.WATCH):
            self.changed = True
        return work(action, state, seen)

    # Weights -------------------------------------------------------------------------------------------------------

    def _set_weight(self, action: Action, state: State, seen: Seen) -> State:
        extra = self._settings.get("match") if action.number else None
        mirror = float(self._settings.get("mirror") or 0) if action.number else 0.0
        self._writer.set_weight(seen.virtual_services, seen.aim, action.number, extra=extra, mirror=mirror)
        return state

    def _prove(self, action: Action, state: State, seen: Seen) -> State:
        samples = int(self._settings["proof_samples"])
        prover = Prover(self._client, samples, float(self._settings["proof_timeout"]))
        proof = prover.prove(seen.virtual_services, seen.aim, action.number)
        now = self._store.now()
        after = state.replace(proved=now, proof=proof.as_dict())
        if state.phase == states.SHIFTING:
            if not proof.proved and samples > 0:
                why = "; ".join(proof.missing) or proof.why
                return states.failed(after, f"weight {action.number} % is not in the proxies: {why}", now)
            return after.entered(states.ANALYSING, now)
        return after

    # Verdicts ------------------------------------------------------------------------------------------------------

    def _judge(self, _action: Action, state: State, _seen: Seen) -> State:
        window = state.plan.interval
        number = state.passes + state.failures + state.inconclusives
        name = f"{object_name(state.service)}-{state.run[:6]}-{state.index}-{number}"
        try:
            checks = self._measurer.measure(self._metrics, window, name)
        except Pending:
            self.wait = _PENDING
            return state
        verdict = verdicts.combine(checks)
        shown = self._measurer.shown(window)
        now = self._store.now()
        noted = state.noted(
            now,
            "window",
            verdict.reason,
            verdict=verdict.verdict,
            step=state.index,
            checks=[check.as_dict() for check in checks],
            shown=shown,
        )
        self._store.event(
            f"Canary{verdict.verdict.title()}",
            f"{state.weight} %: {verdict.reason}",
            _seen.stable,
            warning=verdict.verdict != verdicts.PASS,
        )
        return states.judged(noted, verdict, now)

    def _gate(self, action: Action, state: State, seen: Seen) -> State:
        gates = settings_.gates_before(self._settings, action.number)
        now = self._store.now()
        for gate in gates:
            verdict, reason = self._ask_gate(gate, state, seen)
            if verdict == verdicts.PASS:
                continue
            late = now - state.since > float(gate.get("timeout") or 3600)
            if verdict == verdicts.FAIL:
                return states.failed(state, f"gate before {gate['before']}: {reason}", now)
            if not late:
                self.wait = _PENDING
                return state
            way = gate.get("on_timeout") or "rollback"
            if way == "freeze":
                return states.frozen(state, now, f"gate before {gate['before']} did not open in time: {reason}")
            if way == "rollback":
                return states.rolling_back(state, f"gate before {gate['before']} did not open in time: {reason}", now)
        return state.replace(approved=True, since=now)

    def _ask_gate(self, gate: Mapping[str, Any], state: State, seen: Seen) -> tuple[str, str]:
        if gate.get("annotation"):
            found = ((seen.stable or {}).get("metadata", {}).get("annotations") or {}).get(gate["annotation"])
            wanted = str(gate.get("equals") or "true")
            if found == wanted:
                return verdicts.PASS, ""
            return verdicts.INCONCLUSIVE, f"annotation {gate['annotation']} is {found!r}; expected {wanted!r}"
        entry = _gate_metric(gate)
        if entry is None:
            raise AssertionError("a gate without anything to ask was let through")
        try:
            name = f"{object_name(state.service)}-{state.run[:6]}-gate-{gate['before']}"
            checks: list[Check] = self._measurer.measure(
                metrics.metrics_of([entry], self._settings["telemetry"]), state.plan.interval, name
            )
        except Pending:
            return verdicts.INCONCLUSIVE, "its Job has not ended"
        # A gate is closed until it opens: only a Job that failed is an answer that waiting does not change.
        if checks[0].verdict == verdicts.FAIL and not gate.get("job"):
            return verdicts.INCONCLUSIVE, checks[0].reason
        return checks[0].verdict, checks[0].reason

    def _watch(self, _action: Action, state: State, _seen: Seen) -> State:
        """After a rollback: the canary gets no requests any more, so its errors have ended."""
        canary, _stable = settings_.subjects(self._settings)
        # Half of the time that has passed lies wholly after the weight went to 0, scrapes' delay included.
        sample = self._measurer.requests(canary, max(1.0, state.plan.interval / 2))
        envoys = bool(state.proof.get("proved"))
        if sample.status == verdicts.OK and sample.value is not None:
            gone, said = sample.value == 0, f"{verdicts.number(sample.value)} requests to the canary"
        elif sample.status == verdicts.MISSING:
            gone, said = True, "no requests to the canary"
        else:
            gone, said = False, f"requests to the canary cannot be told: {sample}"
        proof = {**state.proof, "errors_ended": gone, "errors": said, "proved": envoys and gone}
        now = self._store.now()
        noted = state.noted(
            now, "watch", f"after the rollback: {said}", shown=self._measurer.shown(state.plan.interval / 2)
        )
        return states.staged(noted.replace(proof=proof), states.DRAIN, now)

    # Workloads -----------------------------------------------------------------------------------------------------

    def _definitions(self, name: str) -> list[dict[str, Any]]:
        given = list(self._params.get(name) or [])
        if not given and self._settings["defined"]:
            raise KubeError(
                f"{name} is needed to go on with this run, and was not given; use canary.yml or promote.yml"
            )
        return given

    def _apply_canary(self, _action: Action, state: State, seen: Seen) -> State:
        definitions = self._definitions("canary_definitions")
        if definitions and seen.canary is not None and seen.canary["metadata"].get("deletionTimestamp"):
            self.wait = _PENDING  # an earlier canary's Deployment goes when its pods have ended
            return state
        if definitions:
            self._writer.apply(definitions)
        elif seen.canary is None:
            raise KubeError(f"Deployment {self._settings['canary_deployment']} is gone; make it again, or roll back")
        if state.phase == states.RESETTING:
            return state.entered(states.PREPARING, self._store.now(), proved=0.0, before=0)
        return state

    def _scale_canary(self, action: Action, state: State, _seen: Seen) -> State:
        self._writer.scale(self._settings["canary_deployment"], action.number)
        return state

    def _scale_stable(self, action: Action, state: State, _seen: Seen) -> State:
        self._writer.scale(self._settings["stable_deployment"], action.number)
        return state

    def _apply_stable(self, _action: Action, state: State, seen: Seen) -> State:
        definitions = self._definitions("stable_definitions")
        if definitions:
            self._writer.apply(definitions)
        elif seen.stable is not None and seen.canary is not None:
            self._writer.copy_template(seen.stable, seen.canary)
        return state.replace(applied=True, since=self._store.now())

    def _restore_stable(self, _action: Action, state: State, seen: Seen) -> State:
        if seen.stable is None or not state.restore:
            raise KubeError(
                "What stable had before is not recorded, or its Deployment is gone; roll the old version out (site.yml)"
            )
        self._writer.restore(seen.stable, state.restore)
        return state.replace(applied=True, since=self._store.now())

    def _remove_canary(self, _action: Action, state: State, seen: Seen) -> State:
        self._writer.remove(seen.canary)
        return states.staged(state, states.FINISH, self._store.now())

    def _release(self, _action: Action, state: State, seen: Seen) -> State:
        self._writer.let_go(seen.virtual_services, [seen.stable, None if self._settings["defined"] else seen.canary])
        now = self._store.now()
        ended = states.PROMOTED if state.phase == states.PROMOTING else states.ROLLED_BACK
        template = seen.world.stable.template if seen.world.stable else ""
        return state.entered(ended, now, template=template, stage="", touched=False, applied=False)


def _gate_metric(gate: Mapping[str, Any]) -> dict[str, Any] | None:
    """A gate as a metric, for all kinds but annotations."""
    if gate.get("annotation"):
        return None
    entry = {key: gate.get(key) for key in ("query", "url", "value", "job", "headers", "min", "max")}
    return {**entry, "name": f"gate-{gate['before']}", "timeout": gate.get("timeout")}
