"""Recommendations: picks that are stored for a user, and a ranking of the products by their reviews."""

from __future__ import annotations

import asyncio
import typing as t

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from app.errors import CalleeFailedError
from app.ranking import rank
from app.services.base import LONGEST_LIST, Service
from app.table import Table
from app.validation import Field, identifier, query_id, query_number, text

FIELDS = (
    Field("user_id", identifier),
    Field("product_id", identifier),
    Field("reason", text(shortest=0), required=False, default=""),
)


class RecommendationService(Service):
    table = Table(
        name="recommendations",
        singular="recommendation",
        ddl="""
        CREATE TABLE IF NOT EXISTS recommendations (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            user_id bigint NOT NULL,
            product_id bigint NOT NULL,
            reason text NOT NULL,
            created_at timestamptz NOT NULL DEFAULT now(),
            UNIQUE (user_id, product_id)
        )""",
        create=FIELDS,
        replace=FIELDS,
        filters=("product_id",),
    )

    async def index(self, request: Request) -> Response:
        """With `?user_id=`: the best products for that user, computed now. Without: the stored picks."""
        user_id = query_id(request.query_params, "user_id")
        if user_id is None:
            return await super().index(request)
        limit = query_number(request.query_params, "limit", 10, 1, 100)
        products, reviews, picks = await asyncio.gather(
            self._items("product-service", "/api/products"),
            self._items("review-service", "/api/reviews"),
            self.store.find({"user_id": user_id}, LONGEST_LIST, 0),
        )
        try:
            items = rank(products, reviews, (pick["product_id"] for pick in picks), limit)
        except (KeyError, TypeError) as error:
            raise CalleeFailedError(
                "product-service or review-service", f"answered with items that lack {error}"
            ) from None
        return JSONResponse({"user_id": user_id, "items": items})

    async def _items(self, callee: str, path: str) -> list[dict[str, t.Any]]:
        answer = await self.calls.get(callee, path, limit=LONGEST_LIST)
        if not isinstance(answer, dict) or not isinstance(answer.get("items"), list):
            raise CalleeFailedError(callee, f"answered GET {path} without items")
        return t.cast("list[dict[str, t.Any]]", answer["items"])
