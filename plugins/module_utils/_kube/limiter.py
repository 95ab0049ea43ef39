# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many requests run at once, and since when the API server has given no good answer."""

from __future__ import annotations

import threading
import time

# Answers 429 within this time (seconds) count once: their requests were under way together.
_ONE_BURST = 0.2
# By how much each good answer raises the limit.
_GROWTH = 0.02


class Limiter:
    """Lets at most `limit` requests run at once; the limit is halved when the server is overloaded, and rises again slowly."""

    def __init__(self, limit: int) -> None:
        self._most = self._limit = float(limit)
        self._running = 0
        self._slowed_at = -_ONE_BURST
        self._changed = threading.Condition()

    @property
    def limit(self) -> int:
        """How many requests may run now."""
        return max(1, int(self._limit))

    def __enter__(self) -> None:
        with self._changed:
            while self._running >= self.limit:
                self._changed.wait()
            self._running += 1

    def __exit__(self, *_error: object) -> None:
        with self._changed:
            self._running -= 1
            self._changed.notify()

    def served(self) -> None:
        """A request was answered."""
        if self._limit < self._most:
            with self._changed:
                self._limit = min(self._most, self._limit + _GROWTH)
                self._changed.notify()

    def slow_down(self) -> None:
        """The server is overloaded (429)."""
        with self._changed:
            now = time.monotonic()
            if now - self._slowed_at >= _ONE_BURST:
                self._slowed_at = now
                self._limit = max(1.0, self._limit / 2)


class Outage:
    """How long the server has only failed. All requests share it: one that starts during an outage does not wait for all of it again."""

    def __init__(self) -> None:
        self._since: float | None = None
        self._good = 0.0  # time of the last good answer, monotonic seconds

    def over(self) -> None:
        """The server has answered as it should."""
        self._since, self._good = None, time.monotonic()

    def lasted(self, begun: float) -> float:
        """Seconds without a good answer, to any request or to one that began at `begun` (monotonic) and has just failed."""
        since = self._since
        if since is None:
            since = self._since = max(begun, self._good)
        return time.monotonic() - min(begun, since)
