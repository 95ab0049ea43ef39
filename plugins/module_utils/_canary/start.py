# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Start a rollout, or continue the recorded one. Nothing is written before all checks have passed."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any, assert_never

from ansible_collections.servicemesh.platform.plugins.module_utils._canary import plan as plans
from ansible_collections.servicemesh.platform.plugins.module_utils._canary import settings as run_settings
from ansible_collections.servicemesh.platform.plugins.module_utils._canary import start_checks, transitions
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.cluster_writer import ClusterWriter
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.context import Context, Result
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.findings import refusal
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.observe import (
    Observation,
    observe,
    restorable,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.state import (
    WAITING,
    PauseCause,
    Phase,
    State,
    digest,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.trial import Trial
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.watchdog import job as watchdog
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import KubeError, numbered


def start(context: Context) -> Result:
    """Starts a rollout, or continues the recorded one of the same version."""
    if found := run_settings.findings(context.params):
        raise KubeError(numbered("The canary cannot start; nothing was changed", found))
    wanted = _wanted(context.params)
    state = context.record.read()
    restart: State | None = None
    if state is not None and state.active:
        if not (wanted and state.wanted and wanted != state.wanted):
            return _continue(context, state)
        restart = _restartable(context.params, state)
    elif state is not None and state.phase is Phase.PROMOTED and _is_live(context, state, wanted):
        context.result.state, context.result.done = state, True
        return context.ended()
    run = uuid.uuid4().hex[:12]
    settings, observation, findings, notes = start_checks.checked_settings(
        context.client,
        context.params,
        context.clock.now(),
        restarting=restart is not None,
        replaced=restart.settings if restart else None,
        run=run,
    )
    if findings:
        raise refusal(findings)
    fresh = _new_state(context, run, settings, observation, wanted, restart)
    # A run that is replaced has written routes of its own, and the proxies may just get its weight.
    seen = observation if restart is None else observe(context.client, settings, context.clock.now())
    findings, told = Trial(context, fresh, seen).run(restarting=restart is not None)
    if findings:
        raise refusal(findings)
    notes += told
    context.result.changed, context.result.before = True, 0
    now = context.clock.now()
    fresh = fresh.noted(now, "start", f"{fresh.old_version or 'stable'} -> {fresh.version or 'canary'}")
    for note in notes:
        fresh = fresh.noted(now, "note", str(note))
    context.result.notes = list(fresh.history)
    if context.check:
        context.result.state = fresh
        return context.ended()
    return _recorded(context, fresh, observation, state)


def _recorded(context: Context, fresh: State, observation: Observation, before: State | None) -> Result:
    """Writes the new run under the lease. `before` is the state that the checks were made with."""
    context.acquire()
    again = context.record.read()  # so that nothing is overwritten that another run wrote since then
    if again is not None and again.active and (before is None or again.run != before.run):
        raise KubeError(
            f"Another run ({again.run}) started on {fresh.namespace}/{fresh.service} at the same moment. Nothing was done; "
            "wait until that run has ended"
        )
    if again is not None:
        watchdog.remove(context.client, again)  # that of a run that this one replaces, or that was killed at its end
    context.record.write(fresh, runs=context.runs(again), release=context.params.get("release"))
    writer = ClusterWriter(context.client, fresh.settings, context.annotation(fresh))
    writer.put_annotation(observation.virtual_services)
    context.record.event("CanaryStarted", fresh.history[0]["message"], observation.stable)
    context.result.state = fresh
    return context.ended()


def _continue(context: Context, state: State) -> Result:
    """Continues a recorded run. A paused run resumes unless `pause_at` is its present weight."""
    context.result.state, context.result.before = state, state.weight
    pause_at = int(context.params.get("pause_at") or 0)
    after = state.replace(plan=plans.plan_of({**state.plan.as_dict(), "pause_at": pause_at}))
    if _resumes(state, pause_at):
        after = transitions.resumed(after, context.clock.now())
        context.result.changed = True
    context.result.done = after.phase in WAITING
    if context.check:
        context.result.changed = context.result.changed or after.phase not in WAITING
        return context.ended()
    if after.phase in WAITING and after.plan == state.plan:
        return context.ended()
    context.acquire()
    again = context.record.read()
    if again is None or (again.run, again.phase) != (state.run, state.phase):
        return context.ended()  # `step` reads it
    said = f"continued at {after.weight} % ({after.phase})" + _how_it_ended(context, again)
    after = transitions.continued(after, context.clock.now()).noted(context.clock.now(), "resume", said)
    context.record.write(after)
    context.result.state, context.result.notes = after, [after.history[-1]]
    return context.ended()


def _how_it_ended(context: Context, state: State) -> str:
    """How the driver before this one ended, for people; empty when it ended in order."""
    holder = context.result.lease_holder
    if holder is not None and holder.after:
        return f"; its last driver ({holder.after}) ended without giving its lease up"
    last = state.history[-1] if state.history else {}
    return f"; its last driver stopped, {last['message']}" if last.get("event") == "interrupted" else ""


def _resumes(state: State, pause_at: int) -> bool:
    """Whether a paused run resumes when it is started again with `pause_at`."""
    if state.phase is not Phase.PAUSED:
        return False
    match state.pause_cause:
        case PauseCause.INTERRUPTED:
            return True
        case PauseCause.PLANNED | PauseCause.BY_HAND | None:
            return state.passes >= state.plan.passes and pause_at != state.weight
        case _:
            assert_never(state.pause_cause)


def _restartable(params: Mapping[str, Any], state: State) -> State:
    """The run that one with another version replaces. Raises KubeError when it must not be replaced."""
    if params.get("on_new_version") != "restart":
        raise KubeError(
            f"A canary of {state.namespace}/{state.service} with another version ({state.version or state.wanted}) is under way "
            f"({state.phase}, {state.weight} %). Nothing was done. Wait until it has ended, roll it back (rollback.yml), "
            "or start again with on_new_version: restart"
        )
    if state.touched:
        raise KubeError(
            f"The canary of {state.namespace}/{state.service} is being promoted, so it cannot be restarted with another version. "
            "Nothing was done. Run it again with its own version until it has ended, then start the other version"
        )
    return state


def _new_state(
    context: Context,
    run: str,
    settings: dict[str, Any],
    observation: Observation,
    wanted: str,
    restart: State | None,
) -> State:
    now = context.clock.now()
    plan = plans.make({name: context.params.get(name) for name in run_settings.PLAN})
    stable = observation.observed.stable
    restore = restart.restore if restart else None
    if restore is None and observation.stable is not None:
        restore = restorable(context.client, observation.stable, context.params.get("stable_definitions") or [])
    return State(
        run=run,
        service=settings["service"],
        namespace=settings["namespace"],
        plan=plan,
        wanted=wanted,
        version=str(context.params.get("version") or _new_version(context.params, observation)),
        old_version=_version_of(observation.stable),
        before=max(observation.observed.weights, default=0),
        weight=0,
        started=now,
        since=now,
        deadline=now + plan.max_duration,
        # The number of pods that stable should have: a pod that is just restarting counts.
        baseline=restart.baseline if restart else max(stable.ready, stable.desired) if stable else 1,
        restore=restore,
        settings=settings,
        # A run that this one replaces may have sent requests to the canary.
        exposed=bool(observation.observed.weights - {0}),
    )


def _wanted(params: Mapping[str, Any]) -> str:
    given = params.get("canary_definitions") or []
    return digest(given) if given else ""


def _is_live(context: Context, state: State, wanted: str) -> bool:
    """Whether the version of this call is the one that was promoted, and stable still has it."""
    if wanted != state.wanted:
        return False
    observed = observe(context.client, state.settings, context.clock.now()).observed
    live = observed.stable.template if observed.stable else ""
    if wanted:
        return bool(live) and live == state.template
    return observed.canary is None or observed.canary.desired == 0


def _new_version(params: Mapping[str, Any], observation: Observation) -> str:
    """Name of the version of the canary's Deployment."""
    given = [entry for entry in params.get("canary_definitions") or [] if (entry or {}).get("kind") == "Deployment"]
    return _version_of(given[0] if given else observation.canary)


def _version_of(deployment: Mapping[str, Any] | None) -> str:
    template = ((deployment or {}).get("spec") or {}).get("template") or {}
    labels = (template.get("metadata") or {}).get("labels") or {}
    containers = (template.get("spec") or {}).get("containers") or [{}]
    return str(labels.get("version") or str(containers[0].get("image") or "").rpartition(":")[2])
