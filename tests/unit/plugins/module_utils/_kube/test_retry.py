# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which failed requests are retried, after which pause and for how long."""

from __future__ import annotations

import pytest
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import ApiError
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.retry import (
    RETRIED,
    Budget,
    NoAnswer,
    pause,
)
from hypothesis import given
from hypothesis import strategies as st

SECONDS = st.floats(0.0, 120.0)
WEBHOOK = 'Internal error occurred: failed calling webhook "w": connect: connection refused'


def error(status: int, message: str = "x") -> ApiError:
    """An answer that is not a success."""
    return ApiError("GET", "/x", status, {"message": message})


@given(SECONDS, st.integers(400, 599))
def test_what_passes_by_itself_is_retried_within_its_budget(seconds: float, status: int) -> None:
    limit = Budget(seconds).after_answer(error(status))
    assert (limit is not None) == (status in (429, 500, 502, 503, 504)) == (status in RETRIED)
    if limit is not None:
        assert limit == (min(seconds, 10.0) if status == 500 else seconds)


@pytest.mark.parametrize("message", ["failed to create typed patch object", "illegal base64 data", "unable to decode"])
def test_a_mistake_of_the_sender_is_not_retried(message: str) -> None:
    assert Budget().after_answer(error(500, message)) is None
    assert Budget().after_answer(error(503, message)) is not None, "only 500 blames the sender"


@given(SECONDS, st.floats(-5.0, 120.0), st.sampled_from([500, 503, 504]))
def test_a_webhook_that_cannot_be_called_has_its_own_budget(seconds: float, webhook: float, status: int) -> None:
    assert Budget(seconds, webhook).after_answer(error(status, WEBHOOK)) == max(webhook, 0.0)


@given(SECONDS, st.booleans())
def test_without_an_answer(seconds: float, reached: bool) -> None:
    budget = Budget(seconds)
    assert budget.without_answer(NoAnswer.TLS, reached=reached) is None, "certificates do not change by themselves"
    name = budget.without_answer(NoAnswer.NAME, reached=reached)
    assert name == (seconds if reached else 0.0)
    connection = budget.without_answer(NoAnswer.CONNECTION, reached=reached)
    assert connection == (seconds if reached else min(seconds, 5.0))


@given(st.integers(1, 1000), st.floats(0.0, 1.0), st.floats(0.0, 60.0), st.booleans())
def test_a_pause_grows_is_spread_and_is_never_shorter_than_asked_for(
    attempt: int, spread: float, asked: float, webhook: bool
) -> None:
    whole = min(8.0, 0.1 * 2**attempt) if attempt < 10 else 8.0
    assert whole / 2 <= pause(attempt, spread) <= whole
    found = pause(attempt, spread, asked=asked, webhook=webhook)
    assert found >= max(asked, pause(attempt, spread), 0.5 if webhook else 0.0)
    assert found <= max(whole, 0.5, asked + min(1.0, asked / 4))
    assert pause(attempt, 1.0) >= pause(attempt, spread)
    wanted = max(asked, 1.0)
    assert pause(20, 1.0, asked=10 * wanted) - pause(20, 0.0, asked=10 * wanted) == pytest.approx(1.0), (
        "what was refused together comes apart"
    )
