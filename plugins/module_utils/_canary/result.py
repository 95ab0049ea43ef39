# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a call of `canary` returns: the module's result, and the rollout as metrics. Pure."""

from __future__ import annotations

from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.verdict import Verdict
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.context import Result
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.state import Phase, State


def state_of(state: State | None) -> dict[str, Any]:
    """A recorded state for people."""
    if state is None:
        return {"phase": "", "weight": 0}
    return {
        "phase": state.phase.value,
        "stage": state.stage.value if state.stage else "",
        "weight": state.weight,
        "step": state.index,
        "run": state.run,
        "version": state.version,
        "old_version": state.old_version,
        "steps": list(state.plan.steps),
        "interval": state.plan.interval,
        "started": state.started,
        "since": state.since,
        "deadline": state.deadline,
        "blind_since": state.blind_since,
        "blind_limit": state.plan.blind_seconds,
        "reason": state.reason,
        "proof": dict(state.proof),
        "virtual_services": list(state.settings.get("virtual_services") or []),
        "metrics": exposition(state),
        "history": [dict(entry) for entry in state.history],
    }


def shown(result: Result, *, diff: bool) -> dict[str, Any]:
    """The module's result. A run that stopped is a failure; a run that was rolled back has that phase."""
    state = result.state
    values = {
        "changed": result.changed,
        **state_of(state),
        "notes": [dict(note) for note in result.notes],
        "done": result.done,
        "next_in": round(result.next_in, 2),
        "waiting": result.waiting,
        "seconds": round(result.seconds, 3),
    }
    if result.lease_holder is not None:
        values |= {"holder": result.lease_holder.name, "fencing_token": result.lease_holder.fencing_token}
    if result.stopped:
        values |= {"failed": True, "msg": f"The canary stopped: {result.stopped}"}
    if diff and result.before is not None and state is not None:
        values["diff"] = {
            "before": {"weight": result.before},
            "after": {"weight": state.weight, "phase": state.phase.value},
        }
    return values


def exposition(state: State | None) -> str:
    """The rollout in Prometheus' text format; empty when there was none."""
    if state is None:
        return ""
    labels = f'service="{state.service}",namespace="{state.namespace}"'
    windows = [entry for entry in state.history if entry.get("event") == "window"]
    lines = [
        "# HELP servicemesh_canary_weight Percent of the requests that the new version gets.",
        "# TYPE servicemesh_canary_weight gauge",
        f"servicemesh_canary_weight{{{labels}}} {state.weight}",
        "# HELP servicemesh_canary_phase 1 for the present phase of the rollout, 0 for all others.",
        "# TYPE servicemesh_canary_phase gauge",
        *(f'servicemesh_canary_phase{{{labels},phase="{phase}"}} {int(phase == state.phase)}' for phase in Phase),
        "# HELP servicemesh_canary_started_seconds Unix time of the start of the rollout.",
        "# TYPE servicemesh_canary_started_seconds gauge",
        f"servicemesh_canary_started_seconds{{{labels}}} {state.started:.0f}",
        "# HELP servicemesh_canary_windows Windows of this rollout by verdict.",
        "# TYPE servicemesh_canary_windows gauge",
        *(
            f'servicemesh_canary_windows{{{labels},verdict="{verdict}"}} '
            f"{sum(entry.get('verdict') == verdict for entry in windows)}"
            for verdict in Verdict
        ),
    ]
    return "\n".join(lines) + "\n"
