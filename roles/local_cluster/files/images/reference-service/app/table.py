"""The table of a service and the interface to it. Pure."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import typing as t

from app.validation import Field


@dataclasses.dataclass(frozen=True)
class Table:
    """A collection of the API and the table behind it.

    `create` and `replace` are the fields of POST and PUT; `filters` the query parameters of the list that are ids; `hidden` the columns
    that no answer shows.
    """

    name: str
    singular: str
    ddl: str
    create: t.Sequence[Field]
    replace: t.Sequence[Field]
    filters: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()

    @property
    def path(self) -> str:
        return f"/api/{self.name}"

    def present(self, row: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
        """A row in a form that JSON can represent."""
        return {name: _plain(value) for name, value in row.items() if name not in self.hidden}


class Store(t.Protocol):
    """The rows of a table: `database.Database` in production, a dict in tests."""

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def failure(self) -> str | None: ...

    async def find(self, filters: t.Mapping[str, t.Any], limit: int, offset: int) -> list[dict[str, t.Any]]: ...

    async def get(self, identifier: int) -> dict[str, t.Any] | None: ...

    async def create(self, values: t.Mapping[str, t.Any]) -> dict[str, t.Any]: ...

    async def update(self, identifier: int, values: t.Mapping[str, t.Any]) -> dict[str, t.Any] | None: ...

    async def delete(self, identifier: int) -> bool: ...


def _plain(value: t.Any) -> t.Any:
    if isinstance(value, decimal.Decimal):
        # Two decimals of at most ten digits: a float prints them exactly.
        return float(value)
    if isinstance(value, datetime.datetime):
        return value.isoformat()
    return value
