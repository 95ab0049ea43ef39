"""Reads through Redis: query it first, fill it after a miss, and continue without it if it does not answer."""

from __future__ import annotations

import json
import logging
import time
import typing as t

from app import tracing

log = logging.getLogger("app.cache")

HIT, MISS, OFF = "hit", "miss", "off"
# Seconds without Redis after a failure; otherwise every read would wait for its timeout.
PAUSE_SECONDS = 2.0


def key_of(kind: str, identifier: int) -> str:
    """`product:1:42`. The 1 is the version of the stored format: a new format needs a new number."""
    return f"{kind}:1:{identifier}"


class Redis(t.Protocol):
    """The methods of redis.asyncio.Redis that the cache uses."""

    async def get(self, name: str) -> bytes | None: ...

    async def set(self, name: str, value: str, ex: int) -> t.Any: ...

    async def delete(self, *names: str) -> t.Any: ...

    async def ping(self) -> t.Any: ...


class Cache:
    """Cache-aside with a lifetime. `redis` None disables the cache."""

    def __init__(
        self,
        redis: Redis | None,
        ttl_seconds: int,
        failures: tuple[type[Exception], ...] = (OSError,),
        clock: t.Callable[[], float] = time.monotonic,
    ) -> None:
        self._redis, self._ttl, self._failures, self._clock = redis, ttl_seconds, failures, clock
        self._silent_until = 0.0

    async def read(self, key: str, load: t.Callable[[], t.Awaitable[t.Any]]) -> tuple[t.Any, str]:
        """The value of `key` and its source: `hit`, `miss` or `off`. `load` reads the database; its exceptions pass through."""
        reached, stored = await self._try("get", key)
        if stored is not None:
            try:
                return json.loads(stored), HIT
            except ValueError:
                log.warning("the cache contains a value that cannot be read", extra={"fields": {"key": key}})
        value = await load()
        if reached:
            reached, _ = await self._try("set", key, json.dumps(value), ex=self._ttl)
        return value, MISS if reached else OFF

    async def forget(self, key: str) -> None:
        """Called after each write. If Redis does not answer, the old value remains for at most its lifetime."""
        # Even while reads skip Redis: a stale value is worse than a delay.
        self._silent_until = 0.0
        await self._try("delete", key)

    async def state(self) -> str:
        """`ok`, `down` or `off`, by a query now."""
        if self._redis is None:
            return OFF
        try:
            await self._redis.ping()
        except self._failures:
            return "down"
        self._silent_until = 0.0
        return "ok"

    async def _try(self, command: str, *arguments: t.Any, **options: t.Any) -> tuple[bool, t.Any]:
        """(whether Redis answered, its answer)."""
        if self._redis is None or self._clock() < self._silent_until:
            return False, None
        attributes = {"db.system.name": "redis", "db.operation.name": command.upper()}
        try:
            with tracing.span(command.upper(), attributes):
                return True, await getattr(self._redis, command)(*arguments, **options)
        except self._failures as error:
            self._silent_until = self._clock() + PAUSE_SECONDS
            log.warning(
                "the cache does not answer, continuing without it", extra={"fields": {"reason": type(error).__name__}}
            )
            return False, None


def connect(url: str, ttl_seconds: int) -> Cache:
    """A cache on redis://…; an empty URL disables the cache. Connects at the first command."""
    if not url:
        return Cache(None, ttl_seconds)
    import redis.asyncio

    client = redis.asyncio.Redis.from_url(url, socket_timeout=0.5, socket_connect_timeout=0.5, health_check_interval=15)
    return Cache(t.cast(Redis, client), ttl_seconds, (redis.RedisError, OSError))
