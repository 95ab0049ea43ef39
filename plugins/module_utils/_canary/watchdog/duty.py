# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the watchdog of a rollout has to do now, and what it makes of the state when it takes over. Pure.

It acts on a holder whose lease expired, and on nothing else: a lease that was given up, a pause and a freeze are what somebody wanted.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never

from ansible_collections.servicemesh.platform.plugins.module_utils._canary import transitions
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.lease import Seen
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.state import Phase, Stage, State

GRACE = (
    3.0  # seconds after the end of a lease: the Date header has whole seconds, and API servers' clocks differ a little
)


class Duty(StrEnum):
    """What is to be done."""

    WAIT = "wait"
    TAKE_OVER = "take_over"
    END = "end"


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to be done, and why."""

    duty: Duty
    why: str


def duty(state: State | None, lease: Seen | None, run: str, name: str) -> Decision:
    """What the watchdog `name` of a run does. `state`: as recorded, None without a record. `lease`: None when it does not exist."""
    if state is None:
        return Decision(Duty.END, "there is no record of the rollout any more")
    if state.run != run:
        return Decision(Duty.END, f"another run ({state.run}) has replaced this one")
    if not state.active:
        return Decision(Duty.END, f"the rollout has ended ({state.phase})")
    if lease is None:
        return Decision(Duty.WAIT, "the lease does not exist")
    if not lease.holder:
        return Decision(Duty.WAIT, "the lease was given up")
    if lease.holder != name:
        if lease.late is None:
            return Decision(Duty.WAIT, f"the lease of {lease.holder} does not say when it expires")
        if lease.late < 0:
            return Decision(Duty.WAIT, f"{lease.holder} has the lease")
        if lease.late < GRACE:
            return Decision(Duty.WAIT, f"the lease of {lease.holder} has just expired")
    if why := nothing_to_do(state):
        return Decision(Duty.WAIT, why)
    return Decision(Duty.TAKE_OVER, f"{lease.holder} has not renewed its lease")


def nothing_to_do(state: State) -> str:
    """Why the requests of a rollout are where they should be, so that nobody has to drive it; empty when somebody has to."""
    match state.phase:
        case Phase.RESETTING | Phase.PREPARING | Phase.SHIFTING | Phase.ANALYSING:
            return ""
        case Phase.PROMOTING | Phase.ROLLING_BACK:
            if state.stage in (Stage.WATCH, Stage.DRAIN, Stage.REMOVE, Stage.FINISH):
                return "all requests go to stable already"
            return ""
        case Phase.PAUSED | Phase.FROZEN:
            return f"the rollout is {state.phase} and waits for a person"
        case Phase.PROMOTED | Phase.ROLLED_BACK:
            return f"the rollout has ended ({state.phase})"
        case _:
            assert_never(state.phase)


def taken_over(state: State, weights: frozenset[int], now: float, why: str) -> State:
    """The state with which the watchdog continues. `weights`: what the canary has in the routes now.

    A run whose canary never had requests stays as it is: the next run continues it. So does a rollback. A promotion whose stable has the
    new version in all its pods continues with weight 0, which is all that it lacks. Any other run is rolled back, whatever `on_failure`
    says: that is about a bad version, and a version that nobody judges must not have requests.
    """
    match state.phase:
        case Phase.RESETTING | Phase.PREPARING:
            return state if weights <= {0} else transitions.rolling_back(state, why, now)
        case Phase.SHIFTING | Phase.ANALYSING:
            return transitions.rolling_back(state, why, now)
        case Phase.PROMOTING:
            return state if state.stage is Stage.RETURN else transitions.rolling_back(state, why, now)
        case Phase.ROLLING_BACK:
            return state
        case Phase.PAUSED | Phase.FROZEN | Phase.PROMOTED | Phase.ROLLED_BACK:
            raise ValueError(f"a rollout that is {state.phase} is not taken over")
        case _:
            assert_never(state.phase)
