# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Begin a rollout, or take up the one that is recorded. Nothing is written before all checks passed."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._canary import observe as world_
from ansible_collections.servicemesh.platform.plugins.module_utils._canary import plan as plans
from ansible_collections.servicemesh.platform.plugins.module_utils._canary import routes as routes
from ansible_collections.servicemesh.platform.plugins.module_utils._canary import settings as settings_
from ansible_collections.servicemesh.platform.plugins.module_utils._canary import state as states
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.call import Held, Result
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.cluster_writer import Writer
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.executor import Performer
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.state import State
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import KubeError, numbered


class Beginning(Held):
    """The verb `start`."""

    def start(self) -> Result:
        """Begins a rollout, or takes up the one that is recorded for the same version. Nothing is written before all checks passed."""
        problems = settings_.problems(self._params)
        if problems:
            raise KubeError(numbered("The canary cannot start; nothing was changed", problems))
        wanted = self._wanted()
        state = self._store.read()
        if state is not None and state.active:
            if wanted and state.wanted and wanted != state.wanted:
                state = self._another_version(state)
            else:
                return self._take_up(state)
        elif state is not None and state.phase == states.PROMOTED and self._is_live(state, wanted):
            self.result.state, self.result.done = state, True
            return self._ended()
        settings, seen = self._checked_settings(state)
        self.result.changed, self.result.before = True, 0
        fresh = self._fresh(settings, seen, wanted, restart=state if state is not None and state.active else None)
        if self._check:
            self.result.state = fresh
            return self._ended()
        self._acquire()
        again = self._store.read()  # what another run wrote since is not overwritten
        if again is not None and again.active and (state is None or again.run != state.run):
            raise KubeError(
                f"Another run ({again.run}) began on {fresh.namespace}/{fresh.service} in this moment. Nothing was done"
            )
        fresh = fresh.noted(
            self._store.now(), "start", f"{fresh.old_version or 'stable'} -> {fresh.version or 'canary'}"
        )
        self._store.write(fresh, runs=self._runs(again), release=self._params.get("release"))
        Writer(self._client, settings, self._mark(fresh)).put_marks(seen.virtual_services)
        self._store.event("CanaryStarted", fresh.history[-1]["message"], seen.stable)
        self.result.state = fresh
        self.result.notes = list(fresh.history[-1:])
        return self._ended()

    def _take_up(self, state: State) -> Result:
        """On with a run that is recorded; a run that is held at another weight than is wanted now goes on."""
        self.result.state, self.result.before = state, state.weight
        hold_at = int(self._params.get("hold_at") or 0)
        after = state.replace(plan=plans.plan_of({**state.plan.as_dict(), "hold_at": hold_at}))
        asked_for = state.passes >= state.plan.passes and hold_at != state.weight
        if state.phase == states.HOLDING and (asked_for or state.reason == states.TAKEN_BACK):
            after = states.resumed(after, self._store.now())
            self.result.changed = True
        self.result.done = after.phase in states.WAITING
        if self._check:
            self.result.changed = self.result.changed or after.phase not in states.WAITING
            return self._ended()
        if after.phase in states.WAITING and after.plan == state.plan:
            return self._ended()
        self._acquire()
        again = self._store.read()
        if again is None or (again.run, again.phase) != (state.run, state.phase):
            return self._ended()  # `step` reads it
        self._store.write(after.noted(self._store.now(), "resume", f"taken up at {after.weight} % ({after.phase})"))
        self.result.state = after
        return self._ended()

    def _another_version(self, state: State) -> State:
        if self._params.get("on_new_version") != "restart":
            raise KubeError(
                f"A canary of {state.namespace}/{state.service} with another version ({state.version or state.wanted}) is under way "
                f"({state.phase}, {state.weight} %). Nothing was done. Let it end, roll it back (rollback.yml), "
                "or begin anew with on_new_version: restart"
            )
        if state.touched:
            raise KubeError(
                "The canary that is under way is being promoted, so it cannot begin anew with another version. "
                "Let it end (run it again with its own version), then begin"
            )
        return state

    def _checked_settings(self, state: State | None) -> tuple[dict[str, Any], world_.Seen]:
        """Settings of a new run and what is seen; raises KubeError with all that is wrong."""
        draft = settings_.settings_of(self._params, [])
        aim = settings_.aim_of(draft)
        items, problems = world_.virtual_services(self._client, aim, self._params.get("virtual_services") or [])
        names = [f"{item['metadata']['namespace']}/{item['metadata']['name']}" for item in items]
        settings = settings_.settings_of(self._params, names)
        seen = world_.observe(self._client, settings)
        found = world_.start_problems(self._client, seen, self._params.get("takeover") or [])
        if draft["mirror"]:
            found += [problem for item in seen.virtual_services for problem in routes.mirrors_elsewhere(item, aim)]
        if state is not None and state.active:
            found = [problem for problem in found if "no run is under way" not in problem]
        problems += found
        if not settings["defined"] and seen.canary is None:
            problems.append(
                f"Deployment {settings['namespace']}/{settings['canary_deployment']} is not there; expected the new version's Deployment, "
                "or canary_definitions to make it of"
            )
        fresh = settings_.with_secrets(settings, self._params)
        problems += Performer(self._client, self._params, fresh, None, self._store).measurer_problems()
        if problems:
            raise KubeError(numbered("The canary cannot start; nothing was changed", list(dict.fromkeys(problems))))
        return settings, seen

    def _fresh(self, settings: dict[str, Any], seen: world_.Seen, wanted: str, restart: State | None) -> State:
        now = self._store.now()
        plan = plans.make({name: self._params.get(name) for name in settings_.PLAN})
        stable = seen.world.stable
        writer = Writer(self._client, settings, "")
        return State(
            run=uuid.uuid4().hex[:12],
            service=settings["service"],
            namespace=settings["namespace"],
            plan=plan,
            wanted=wanted,
            version=str(self._params.get("version") or ""),
            old_version=_version_of(seen.stable),
            before=max(seen.world.weights, default=0),
            weight=0,
            started=now,
            since=now,
            deadline=now + plan.max_duration,
            # As many as it should have: one that is just restarting is not counted out.
            baseline=restart.baseline if restart else max(stable.ready, stable.desired) if stable else 1,
            restore=(restart.restore if restart else None)
            or (writer.saved(seen.stable, self._params.get("stable_definitions") or []) if seen.stable else None),
            settings=settings,
        )

    def _wanted(self) -> str:
        given = self._params.get("canary_definitions") or []
        return states.digest(given) if given else ""

    def _is_live(self, state: State, wanted: str) -> bool:
        """Whether the version that is asked for is the one that was promoted, and stable still has it."""
        if wanted != state.wanted:
            return False
        seen = world_.observe(self._client, state.settings)
        live = seen.world.stable.template if seen.world.stable else ""
        if wanted:
            return bool(live) and live == state.template
        return seen.world.canary is None or seen.world.canary.desired == 0


def _version_of(deployment: Mapping[str, Any] | None) -> str:
    template = ((deployment or {}).get("spec") or {}).get("template") or {}
    labels = (template.get("metadata") or {}).get("labels") or {}
    containers = (template.get("spec") or {}).get("containers") or [{}]
    return str(labels.get("version") or str(containers[0].get("image") or "").rpartition(":")[2])
