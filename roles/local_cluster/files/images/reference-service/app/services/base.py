"""The collection that every service has: list, create, read, replace, delete."""

from __future__ import annotations

import dataclasses
import typing as t

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from app.cache import Cache
from app.calls import Calls
from app.errors import NotFoundError
from app.requests import path_id, read_json
from app.settings import Settings
from app.table import Store, Table
from app.telemetry import Metrics
from app.validation import query_id, query_number, validate

Handler = t.Callable[[Request], t.Awaitable[Response]]
LONGEST_LIST = 500


@dataclasses.dataclass(frozen=True)
class Parts:
    """Dependencies of a service."""

    settings: Settings
    store: Store
    cache: Cache
    calls: Calls
    metrics: Metrics


class Service:
    """The collection of `table`. A service overrides methods that differ."""

    table: t.ClassVar[Table]

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self.store, self.cache, self.calls = parts.store, parts.cache, parts.calls

    def routes(self) -> list[tuple[str, Handler, list[str]]]:
        """(path, handler, methods), the more specific path first."""
        return [
            (self.table.path, self.index, ["GET"]),
            (self.table.path, self.create, ["POST"]),
            (self.table.path + "/{id}", self.read, ["GET"]),
            (self.table.path + "/{id}", self.replace, ["PUT"]),
            (self.table.path + "/{id}", self.remove, ["DELETE"]),
        ]

    async def close(self) -> None:
        await self.calls.close()

    async def index(self, request: Request) -> Response:
        """`{"items": […], "limit", "offset"}`, by id; the table's filters, `limit` and `offset` are query parameters."""
        limit = query_number(request.query_params, "limit", 100, 1, LONGEST_LIST)
        offset = query_number(request.query_params, "offset", 0, 0, 10**9 - 1)
        filters = {
            name: value for name in self.table.filters if (value := query_id(request.query_params, name)) is not None
        }
        rows = await self.store.find(filters, limit, offset)
        return JSONResponse({"items": [self.table.present(row) for row in rows], "limit": limit, "offset": offset})

    async def create(self, request: Request) -> Response:
        row = await self.store.create(await self.prepare(validate(self.table.create, await read_json(request))))
        return self.created(row)

    async def read(self, request: Request) -> Response:
        return JSONResponse(self.table.present(await self.row(path_id(request))))

    async def replace(self, request: Request) -> Response:
        identifier = path_id(request)
        row = await self.store.update(
            identifier, await self.prepare(validate(self.table.replace, await read_json(request)))
        )
        if row is None:
            raise NotFoundError(self.table.singular, identifier)
        await self.changed(identifier)
        return JSONResponse(self.table.present(row))

    async def remove(self, request: Request) -> Response:
        identifier = path_id(request)
        if not await self.store.delete(identifier):
            raise NotFoundError(self.table.singular, identifier)
        await self.changed(identifier)
        return Response(status_code=204)

    async def prepare(self, values: dict[str, t.Any]) -> dict[str, t.Any]:
        """Columns of the validated values of a body."""
        return values

    async def changed(self, identifier: int) -> None:
        """Called after a row was replaced or deleted."""

    async def row(self, identifier: int) -> dict[str, t.Any]:
        row = await self.store.get(identifier)
        if row is None:
            raise NotFoundError(self.table.singular, identifier)
        return row

    def created(self, row: t.Mapping[str, t.Any]) -> Response:
        return JSONResponse(self.table.present(row), 201, headers={"location": f"{self.table.path}/{row['id']}"})
