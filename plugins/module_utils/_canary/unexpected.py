# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""After an error in a call that this collection did not expect: leave a state that the next run understands, and give the lease up."""

from __future__ import annotations

import contextlib
import traceback
from pathlib import PurePath
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._canary import transitions
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.cluster_writer import ClusterWriter
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.context import Context
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.observe import observe
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.operations import Operation
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.state import State
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import KubeError


def after_error(context: Context, operation: Operation, error: Exception) -> KubeError:
    """The error that a call ends with. The reason is in the record and in an Event, unless they cannot be written.

    Each part is done though another one fails: the same error may come again.
    """
    place = place_of(error)
    left = "Nothing was changed."
    if context.result.lease_holder is not None:
        left = _recorded(context, place) if operation is Operation.STEP else "Nothing more was done."
        with contextlib.suppress(Exception):
            context.lease.give_up(context.result.lease_holder)
    return KubeError(
        f"{operation} of the canary of {context.namespace}/{context.service} stopped at an unexpected error, {place}: "
        f"{str(error)[:300] or 'no message'}. {left} Run again to continue, or roll back (rollback.yml); please report this error"
    )


def place_of(error: Exception) -> str:
    """Type and place of an error. Its text may contain what must not be recorded, such as a header."""
    frames = traceback.extract_tb(error.__traceback__)
    return type(error).__name__ + (f" in {PurePath(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "")


def _recorded(context: Context, place: str) -> str:
    """Takes back a step without a verdict. The state is written before the weight, as everywhere."""
    try:
        state = context.record.read()
        if state is None or not state.active:
            return "The rollout has ended."
        after = transitions.stopped_by_error(state, context.clock.now(), place)
        context.record.write(after)
    except Exception as second:
        return f"The reason could not be recorded ({place_of(second)}); the recorded state is that before the error."
    stable: Any = {"metadata": {"name": state.settings.get("stable_deployment") or state.service}}
    said = f"It is at {after.weight} % ({after.phase})."
    if after.weight != state.weight:
        said = f"The step to {state.weight} % was taken back: the weight is {after.weight} %."
    try:
        stable = _written(context, state, after) or stable
    except Exception as second:
        said = f"The next run sets the weight back to {after.weight} %, which failed now ({place_of(second)})."
    with contextlib.suppress(Exception):
        context.record.event("CanaryError", f"stopped by {place}. {said}", stable, warning=True)
    return said


def _written(context: Context, before: State, after: State) -> Any:
    """Writes the weight of the step before. Returns the stable Deployment, which the Event is about."""
    observation = observe(context.client, before.settings, context.clock.now())
    if after.weight != before.weight:
        writer = ClusterWriter(context.client, before.settings, context.annotation(after))
        writer.set_weight(observation.virtual_services, observation.aim, after.weight)
    return observation.stable
