# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which failed requests are retried, after which pause and for how long. Pure: no I/O, no clock, no random numbers.

A request is retried for as long as its limit allows, counted since the last good answer of the server to any request (`limiter.Outage`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never

from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import ApiError

BUDGET = 30.0  # seconds that one request may be retried for
# 429: the server, or its priority and fairness, has too much to do. 5xx: it, or a proxy before it, fails now.
RETRIED = frozenset({429, 500, 502, 503, 504})
_UNREACHED_BUDGET = 5.0  # seconds, until the server has answered once: the address may be wrong
_BUDGET_500 = 10.0  # seconds: an internal error may be a defect, which does not pass
_WEBHOOK_PAUSE = 0.5  # seconds
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 8.0  # seconds


class NoAnswer(StrEnum):
    """Why a request got no answer."""

    TLS = "tls"  # certificates or protocols do not fit
    NAME = "name"  # the server's name cannot be resolved
    CONNECTION = "connection"  # refused, broken off, or silent


@dataclass(frozen=True, slots=True)
class Budget:
    """Seconds that one request may be retried for; `webhook` holds instead while an admission webhook cannot be called."""

    seconds: float = BUDGET
    webhook: float = 0.0

    def without_answer(self, why: NoAnswer, *, reached: bool) -> float | None:
        """Limit in seconds when nothing came back; None: not retried. `reached`: the server has answered a request before."""
        match why:
            case NoAnswer.TLS:
                return None
            case NoAnswer.NAME:
                return self.seconds if reached else 0.0
            case NoAnswer.CONNECTION:
                return self.seconds if reached else min(self.seconds, _UNREACHED_BUDGET)
            case _:
                assert_never(why)

    def after_answer(self, error: ApiError) -> float | None:
        """Limit in seconds after an answer that is not a success; None: not retried."""
        if not may_pass_later(error):
            return None
        if error.by_webhook:
            return max(self.webhook, 0.0)
        return min(self.seconds, _BUDGET_500) if error.status == 500 else self.seconds


def may_pass_later(error: ApiError) -> bool:
    """Whether the server, or what it calls, does not work now: the same request may pass later."""
    return error.status in RETRIED and not error.by_sender


def pause(attempt: int, spread: float, *, asked: float = 0.0, webhook: bool = False) -> float:
    """Seconds until the next try.

    `attempt` counts from 1, `spread` is a random number between 0 and 1. `asked`: seconds that the server asked for (Retry-After), 0 for
    none; requests that were refused together must not come back together, so these are spread as well.
    """
    seconds = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** min(attempt, 8)) * (0.5 + 0.5 * spread)
    if webhook:
        seconds = max(seconds, _WEBHOOK_PAUSE)
    return max(seconds, asked + spread * min(1.0, asked / 4)) if asked else seconds
