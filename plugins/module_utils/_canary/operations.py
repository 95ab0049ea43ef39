# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The operations of the module `canary`."""

from __future__ import annotations

from enum import StrEnum


class Operation(StrEnum):
    """Operations on the rollout of one service; the module documents them."""

    RUN = "run"
    START = "start"
    STEP = "step"
    PAUSE = "pause"
    RESUME = "resume"
    PROMOTE = "promote"
    ROLLBACK = "rollback"
    FREEZE = "freeze"
    STATUS = "status"
    INTERRUPT = "interrupt"
    GIVE_UP_LEASE = "give_up_lease"
    FORGET_PROMOTION = "forget_promotion"


# The action plugin stays with the rollout until it has ended; every other operation is one short call.
STAYING = frozenset({Operation.RUN, Operation.PROMOTE, Operation.ROLLBACK})
