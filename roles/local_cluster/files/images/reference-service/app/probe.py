"""A check that is waited for only so long, and is never cancelled."""

from __future__ import annotations

import asyncio
import typing as t

T = t.TypeVar("T")


class Probe(t.Generic[T]):
    """Runs a check, one at a time: who comes while one is running waits for the same one.

    psycopg_pool before 3.1.7 loses the connection of a task that is cancelled while it waits for one. After as many slow checks as the pool
    has connections, the service would never be ready again.
    """

    def __init__(self, check: t.Callable[[], t.Coroutine[t.Any, t.Any, T]], patience: float) -> None:
        self._check, self._patience = check, patience
        self._running: asyncio.Task[T] | None = None

    async def result(self) -> T:
        """What the check returns or raises; TimeoutError after `patience` seconds, and the check goes on."""
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._check())
        done, _pending = await asyncio.wait({self._running}, timeout=self._patience)
        if not done:
            raise TimeoutError
        return self._running.result()
