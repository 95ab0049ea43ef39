"""Products, read through the cache."""

from __future__ import annotations

import typing as t

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from app.cache import OFF, key_of
from app.errors import InvalidError
from app.requests import path_id
from app.services.base import Service
from app.table import Table
from app.validation import Field, identifier, integer, money, text

FIELDS = (
    Field("name", text()),
    Field("description", text(shortest=0, longest=2000), required=False, default=""),
    Field("price", money),
    Field("seller_id", identifier, required=False),
    Field("stock", integer(0, 10**9), required=False, default=0),
)


class ProductService(Service):
    table = Table(
        name="products",
        singular="product",
        ddl="""
        CREATE TABLE IF NOT EXISTS products (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            name text NOT NULL,
            description text NOT NULL,
            price numeric(12, 2) NOT NULL CHECK (price >= 0),
            seller_id bigint,
            stock integer NOT NULL CHECK (stock >= 0),
            created_at timestamptz NOT NULL DEFAULT now()
        )""",
        create=FIELDS,
        replace=FIELDS,
        filters=("seller_id",),
    )

    async def read(self, request: Request) -> Response:
        """One product; header `x-cache` is hit, miss or off. `?with=seller` adds the seller's profile from user-service."""
        identifier_ = path_id(request)
        joined = request.query_params.get("with")
        if joined not in (None, "seller"):
            raise InvalidError({"with": "must be seller"})

        async def load() -> dict[str, t.Any]:
            return self.table.present(await self.row(identifier_))

        product, how = await self.cache.read(key_of("product", identifier_), load)
        if how != OFF or self.parts.settings.cache_url:
            self.parts.metrics.cache_read(how)
        if joined:
            product = {**product, "seller": await self._seller(product["seller_id"])}
        return JSONResponse(product, headers={"x-cache": how})

    async def changed(self, identifier: int) -> None:
        await self.cache.forget(key_of("product", identifier))

    async def _seller(self, seller_id: int | None) -> t.Any:
        """The seller's profile; None for a product without a seller, and for a deleted seller."""
        if seller_id is None:
            return None
        return await self.calls.get("user-service", f"/api/users/{seller_id}/profile")
