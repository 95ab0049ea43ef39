"""PostgreSQL: one table for each service, a small pool, and a start that does not need the database."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import typing as t

import psycopg
from psycopg import sql
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from app import tracing
from app.errors import ConflictError, DatabaseUnavailableError, InvalidError
from app.probe import Probe
from app.table import Table

log = logging.getLogger("app.database")

# Times in seconds. A request must not wait longer for a connection than a caller's timeout.
CONNECT, WAIT_FOR_CONNECTION, STATEMENT, RETRY = 3, 2.0, 5, 1.0
# The two attempts of a probe have to fit into its timeout of 3 s.
PROBE = 1.2
# Any number, the same in all replicas: the holder of this lock creates the tables.
CREATION_LOCK = 7310
# Exceptions of a lost or refused connection.
LOST = (psycopg.OperationalError, PoolTimeout)

T = t.TypeVar("T")


class Database:
    """The rows of one table. Raises DatabaseUnavailableError, ConflictError and InvalidError, no exception of psycopg."""

    def __init__(self, url: str, table: Table, connections: int, name: str) -> None:
        self._table = table
        self._url = url
        self._created = False
        self._reason = "DATABASE_URL is not set" if not url else "not yet connected"
        self._keeper: asyncio.Task[None] | None = None
        self._options = {
            "autocommit": True,
            "row_factory": dict_row,
            "application_name": name,
            "connect_timeout": CONNECT,
            "options": f"-c statement_timeout={STATEMENT * 1000} -c timezone=UTC",
        }
        self._pool = AsyncConnectionPool(
            url,
            kwargs=self._options,
            min_size=1,
            max_size=connections,
            timeout=WAIT_FOR_CONNECTION,
            max_idle=60,
            # The pool would wait longer after each attempt, up to minutes. Instead it gives up at once, and
            # the next request, or the next check of `_keep_connections`, makes it try again.
            reconnect_timeout=RETRY,
            open=False,
        )
        query = sql.SQL("SELECT to_regclass(%s) AS found")
        self._probe = Probe(lambda: self._fetch_one(query, [self._table.name]), PROBE)

    async def open(self) -> None:
        """Start to connect and to create the tables; returns at once."""
        if self._url:
            await self._pool.open(wait=False)
            self._keeper = asyncio.create_task(self._keep_tables())

    async def close(self) -> None:
        if self._keeper:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
        await self._pool.close()

    async def failure(self) -> str | None:
        """Why the database is not usable now; None if it is."""
        if not self._created:
            return self._reason
        try:
            row = await self._probe.result()
        except (*LOST, TimeoutError):
            return await self._reason_now()
        if row["found"] is None:
            # A database on an emptyDir has restarted and is empty.
            self._created = False
            self._reason = f"table {self._table.name} does not exist any more and is created again"
            return self._reason
        return None

    async def find(self, filters: t.Mapping[str, t.Any], limit: int, offset: int) -> list[dict[str, t.Any]]:
        """Rows that equal all `filters`, by id."""
        where = sql.SQL(" AND ").join(
            [sql.SQL("{} = %s").format(sql.Identifier(name)) for name in filters] or [sql.SQL("true")]
        )
        query = sql.SQL("SELECT * FROM {} WHERE {} ORDER BY id LIMIT %s OFFSET %s").format(self._name, where)
        return await self._traced("SELECT", self._read, lambda: self._fetch(query, [*filters.values(), limit, offset]))

    async def get(self, identifier: int) -> dict[str, t.Any] | None:
        query = sql.SQL("SELECT * FROM {} WHERE id = %s").format(self._name)
        return await self._traced("SELECT", self._read, lambda: self._fetch_one(query, [identifier]))

    async def create(self, values: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
        names = sql.SQL(", ").join(map(sql.Identifier, values))
        placeholders = sql.SQL(", ").join([sql.Placeholder()] * len(values))
        query = sql.SQL("INSERT INTO {} ({}) VALUES ({}) RETURNING *").format(self._name, names, placeholders)
        return await self._traced("INSERT", self._write, lambda: self._fetch_one(query, _adapt(values)))

    async def update(self, identifier: int, values: t.Mapping[str, t.Any]) -> dict[str, t.Any] | None:
        sets = sql.SQL(", ").join([sql.SQL("{} = %s").format(sql.Identifier(name)) for name in values])
        query = sql.SQL("UPDATE {} SET {} WHERE id = %s RETURNING *").format(self._name, sets)
        return await self._traced("UPDATE", self._write, lambda: self._fetch_one(query, [*_adapt(values), identifier]))

    async def delete(self, identifier: int) -> bool:
        query = sql.SQL("DELETE FROM {} WHERE id = %s RETURNING id").format(self._name)
        return await self._traced("DELETE", self._write, lambda: self._fetch_one(query, [identifier])) is not None

    @property
    def _name(self) -> sql.Identifier:
        return sql.Identifier(self._table.name)

    async def _traced(
        self, operation: str, run: t.Callable[..., t.Awaitable[T]], statement: t.Callable[..., t.Any]
    ) -> T:
        """Run a statement in a span of its own, without its parameters, which are people's data."""
        attributes = {
            "db.system.name": "postgresql",
            "db.operation.name": operation,
            "db.collection.name": self._table.name,
        }
        with tracing.span(f"{operation} {self._table.name}", attributes):
            return await run(statement)

    async def _fetch(self, query: sql.Composable, parameters: t.Sequence[t.Any]) -> list[dict[str, t.Any]]:
        async with self._pool.connection() as connection:
            return await (await connection.execute(query, parameters)).fetchall()

    async def _fetch_one(self, query: sql.Composable, parameters: t.Sequence[t.Any]) -> t.Any:
        async with self._pool.connection() as connection:
            return await (await connection.execute(query, parameters)).fetchone()

    async def _read(self, statement: t.Callable[[], t.Awaitable[T]]) -> T:
        """A read may be tried again: the pool detects only at use that the other end has closed a connection."""
        try:
            return await statement()
        except psycopg.OperationalError:
            await self._pool.check()
            return await self._write(statement)

    async def _write(self, statement: t.Callable[[], t.Awaitable[T]]) -> T:
        try:
            return await statement()
        except psycopg.errors.UniqueViolation as error:
            raise ConflictError(f"{self._table.singular}: {error.diag.message_detail or 'already exists'}") from None
        except psycopg.DataError as error:
            raise InvalidError({"body": f"cannot be stored: {error.diag.message_primary}"}) from None
        except psycopg.errors.UndefinedTable:
            self._created = False
            raise DatabaseUnavailableError(
                f"table {self._table.name} does not exist any more and is created again"
            ) from None
        except LOST as error:
            raise DatabaseUnavailableError(_describe(error)) from None

    async def _keep_tables(self) -> None:
        """Create the tables as soon as the database answers, and again if they disappear."""
        while True:
            if not self._created:
                try:
                    await self._create_tables()
                    self._created = True
                    log.info("the database is ready")
                except psycopg.Error as error:
                    if self._reason != (reason := _describe(error)):
                        self._reason = reason
                        log.warning("the database is not ready", extra={"fields": {"reason": reason}})
            else:
                await self._keep_connections()
            await asyncio.sleep(RETRY)

    async def _keep_connections(self) -> None:
        """Check the connections: a restarted database has closed them all, and the pool would return each of them once."""
        try:
            await self._fetch_one(sql.SQL("SELECT 1"), [])
        except psycopg.OperationalError:
            with contextlib.suppress(psycopg.Error):
                await self._pool.check()
        except PoolTimeout:
            pass

    async def _create_tables(self) -> None:
        """Create them one replica after the other: replicas start together, and CREATE TABLE IF NOT EXISTS alone can collide."""
        # A separate connection: the pool would only report that it has none, not why.
        async with (
            await psycopg.AsyncConnection.connect(self._url, **self._options) as connection,
            connection.transaction(),
        ):
            await connection.execute("SELECT pg_advisory_xact_lock(%s)", [CREATION_LOCK])
            await connection.execute(self._table.ddl)

    async def _reason_now(self) -> str:
        """Why the pool has no connection: try to open one."""
        try:
            connection = await asyncio.wait_for(psycopg.AsyncConnection.connect(self._url, **self._options), PROBE)
        except (psycopg.Error, TimeoutError) as error:
            return _describe(error)
        await connection.close()
        return "no connection was free in time"


def _adapt(values: t.Mapping[str, t.Any]) -> list[t.Any]:
    return [Jsonb(value) if isinstance(value, dict) else value for value in values.values()]


def _describe(error: BaseException) -> str:
    """One line for people. psycopg's messages contain host, user and database, never the password."""
    if isinstance(error, (PoolTimeout, TimeoutError)):
        return "it opened no connection in time"
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
