# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How much may be asked of the API server: requests at once, and how long an outage is borne."""

from __future__ import annotations

import threading
import time

# Requests that were on their way together and come back with 429 are one sign, not many (seconds).
_ONE_SIGN = 0.2
# Requests at once that each good answer gives back.
_GROWTH = 0.02


class Gate:
    """Lets at most `limit` requests through at once; halves when the server has too much to do, and grows back slowly."""

    def __init__(self, limit: int) -> None:
        self._most = self._limit = float(limit)
        self._running = 0
        self._slowed_at = -_ONE_SIGN
        self._changed = threading.Condition()

    @property
    def limit(self) -> int:
        """How many requests may be on their way now."""
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
        """The server has too much to do."""
        with self._changed:
            now = time.monotonic()
            if now - self._slowed_at >= _ONE_SIGN:
                self._slowed_at = now
                self._limit = max(1.0, self._limit / 2)


class Outage:
    """Since when nothing but failures came back: requests that begin in the middle do not start to count anew."""

    def __init__(self) -> None:
        self._since: float | None = None
        self._good = 0.0  # when the last good answer came, monotonic seconds

    def over(self) -> None:
        """The server has answered as it should."""
        self._since, self._good = None, time.monotonic()

    def lasted(self, begun: float) -> float:
        """Seconds without a good answer: to a request which `begun` (monotonic) and has just failed, or to any."""
        since = self._since
        if since is None:
            since = self._since = max(begun, self._good)
        return time.monotonic() - min(begun, since)
