# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a call of `canary` returns: the module's result, and the rollout as metrics. Pure."""

from __future__ import annotations

from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._canary import series
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.context import Result
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.state import State


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
    """The module's result. A run that stopped is a failure; a run that was rolled back has that phase.

    In an outage, the state may be unknown: nothing is said of it then.
    """
    state = result.state
    values = {
        "changed": result.changed,
        **(state_of(state) if state is not None or not result.outage else {}),
        "notes": [dict(note) for note in result.notes],
        "done": result.done,
        "next_in": round(result.next_in, 2),
        "waiting": result.waiting,
        "seconds": round(result.seconds, 3),
    }
    if result.push_error:
        values["push_error"] = result.push_error
    if result.outage:
        values["outage"] = result.outage
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
    """The rollout in Prometheus' text format, for a textfile collector; empty when there was none."""
    return series.page(state, namespaced=True) if state is not None else ""
