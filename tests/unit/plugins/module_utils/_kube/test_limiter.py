# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many requests run at once, and how long an outage lasts."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace

import pytest
from ansible_collections.servicemesh.platform.plugins.module_utils._kube import limiter
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.limiter import Limiter, Outage
from hypothesis import given
from hypothesis import strategies as st


class Clock:
    """A clock that a test moves on."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(limiter, "time", SimpleNamespace(monotonic=found.monotonic))
    return found


def test_a_burst_of_refusals_counts_once(clock: Clock) -> None:
    made = Limiter(16)
    for _request in range(16):
        made.slow_down()
    assert made.limit == 8
    for expected in (4, 2, 1, 1):
        clock.now += 1.0
        made.slow_down()
        assert made.limit == expected


@given(st.integers(1, 32), st.lists(st.booleans(), max_size=400))
def test_the_limit_stays_between_one_and_what_was_asked_for(most: int, answers: list[bool]) -> None:
    made = Limiter(most)
    for good in answers:
        if good:
            made.served()
        else:
            made._slowed_at = -1.0
            made.slow_down()
        assert 1 <= made.limit <= most
    for _answer in range(32 * 50 + 1):
        made.served()
    assert made.limit == most, "good answers give all back"


def test_no_more_than_the_limit_are_under_way() -> None:
    made, running, most, lock = Limiter(3), 0, 0, threading.Lock()

    def work() -> None:
        nonlocal running, most
        with made:
            with lock:
                running += 1
                most = max(most, running)
            time.sleep(0.005)
            with lock:
                running -= 1

    threads = [threading.Thread(target=work) for _number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert (most, running) == (3, 0)


def test_an_outage_counts_for_all_requests_and_ends_with_a_good_answer(clock: Clock) -> None:
    outage = Outage()
    assert outage.lasted(begun=98.0) == 2.0
    clock.now = 110.0
    assert outage.lasted(begun=109.0) == 12.0, "since the first of them began"
    outage.over()
    clock.now = 111.0
    assert outage.lasted(begun=99.0) == 12.0, "a request has its own budget, whatever others get"
    assert outage.lasted(begun=110.5) == 1.0, "and others are not charged for what was before the good answer"
