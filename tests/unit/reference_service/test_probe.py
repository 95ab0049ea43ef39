# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Unit tests of the reference service's probe: it gives up waiting, and never cancels what it waits for."""

from __future__ import annotations

import asyncio

import pytest
from app.probe import Probe


class Check:
    """A check that ends when it is told to; counts how often it was begun, cancelled and completed."""

    def __init__(self) -> None:
        self.begun = self.cancelled = self.completed = 0
        self.released = asyncio.Event()

    async def __call__(self) -> str:
        self.begun += 1
        try:
            await self.released.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        self.completed += 1
        return "found"


def test_slow_checks_are_waited_for_together_and_never_cancelled() -> None:
    async def scenario() -> Check:
        check = Check()
        probe = Probe(check, patience=0.05)
        for _number in range(3):
            with pytest.raises(TimeoutError):
                await probe.result()
        check.released.set()
        assert await probe.result() == "found"
        assert await probe.result() == "found"
        return check

    check = asyncio.run(scenario())
    assert (check.begun, check.cancelled, check.completed) == (2, 0, 2)


def test_what_a_check_raises_comes_through_and_the_next_one_starts_again() -> None:
    async def scenario() -> None:
        answers = iter([OSError("refused"), None])

        async def check() -> str:
            if error := next(answers):
                raise error
            return "found"

        probe = Probe(check, patience=1)
        with pytest.raises(OSError, match="refused"):
            await probe.result()
        assert await probe.result() == "found"

    asyncio.run(scenario())
