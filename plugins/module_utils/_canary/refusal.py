# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When the API server refuses what a run has to write, or does not work now: which of the two it is, and where the traffic goes then."""

from __future__ import annotations

from collections.abc import Sequence

from ansible_collections.servicemesh.platform.plugins.module_utils._apply.applier import ApplyError
from ansible_collections.servicemesh.platform.plugins.module_utils._canary import plan as plans
from ansible_collections.servicemesh.platform.plugins.module_utils._canary import routes
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.cluster_writer import ClusterWriter
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.observe import Observation
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.state import State
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import (
    ApiError,
    ConflictError,
    KubeError,
    UnreachableError,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.retry import may_pass_later


def is_refused(error: KubeError) -> bool:
    """Whether the API server refused a request and would refuse it again: 403, 409, 422 and the like, and no outage."""
    match error:
        case ApiError():
            return error.refused
        case ConflictError():
            return True
        case ApplyError():
            return not error.causes or any(is_refused(cause) for cause in error.causes)  # none: nothing was sent
        case _:
            return False


def is_outage(error: KubeError) -> bool:
    """Whether the API server, or what it calls (an admission webhook, its storage), does not work now: the same request may pass later."""
    match error:
        case ApiError():
            return may_pass_later(error)
        case UnreachableError():
            return True
        case ApplyError():
            return bool(error.causes) and not is_refused(error) and any(is_outage(cause) for cause in error.causes)
        case _:
            return False


def in_words(error: KubeError) -> str:
    """An outage for people: what was asked, and what came back."""
    return f"{error.method} {error.path}: {error.status}, {error}" if isinstance(error, ApiError) else str(error)


def only_dry_run(error: KubeError) -> bool:
    """Whether nothing but the dry run is refused: a webhook with side effects does not take part in one."""
    match error:
        case ApiError():
            return error.by_dry_run
        case ApplyError():
            refused = [cause for cause in error.causes if is_refused(cause)]
            return bool(refused) and all(only_dry_run(cause) for cause in refused)
        case _:
            return False


def traffic(observation: Observation, state: State) -> str:
    """Where the requests go now, in words."""
    weights = sorted(observation.observed.weights)
    canary, stable = state.version or "the canary", state.old_version or "the old version"
    if state.touched:
        stable = "partly changed"
    if len(weights) == 1:
        weight = weights[0]
        if weight in (0, plans.FULL):
            to = f"stable ({stable})" if weight == 0 else f"the canary ({canary})"
            return f"All requests go to {to}; {_pods(observation)}."
        return f"{weight} % of the requests go to the canary ({canary}), the others to stable ({stable}); {_pods(observation)}."
    each: Sequence[str] = [
        f"{'/'.join(str(weight) for weight in sorted(routes.weights([item], observation.aim)))} % in {routes.named(item)}"
        for item in observation.virtual_services
    ]
    return f"The canary ({canary}) has {', '.join(each)}; {_pods(observation)}."


def _pods(observation: Observation) -> str:
    stable, canary = observation.observed.stable, observation.observed.canary
    return f"ready pods: {stable.ready if stable else 0} of stable, {canary.ready if canary else 0} of the canary"


def recorded(state: State) -> str:
    """The same by the record alone, when the cluster cannot be read."""
    return (
        f"By the record, {state.weight} % of the requests go to the canary ({state.phase}). "
        "Run again to continue, or roll back (rollback.yml)"
    )


def given_back(writer: ClusterWriter, observation: Observation, state: State) -> bool:
    """Gives stable the requests that its ready pods carry, without a record. Returns whether that is all of them."""
    present = max(observation.observed.weights, default=0)
    ready = observation.observed.stable.ready if observation.observed.stable else 0
    target = plans.step_back(present, ready, max(1, state.baseline))
    if target != present or len(observation.observed.weights) > 1:
        writer.set_weight(observation.virtual_services, observation.aim, target)
    return target == 0
