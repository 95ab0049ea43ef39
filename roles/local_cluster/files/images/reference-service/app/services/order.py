"""Orders: this service calls three others."""

from __future__ import annotations

import asyncio
import decimal
import typing as t

from starlette.requests import Request
from starlette.responses import Response

from app.errors import CalleeFailedError, InvalidError
from app.requests import read_json
from app.services.base import Service
from app.table import Table
from app.validation import Field, choice, identifier, integer, money, validate

# The highest amount that payment-service accepts.
DEAREST = decimal.Decimal("9999999999.99")
PENDING, PAID, FAILED = "pending", "paid", "payment_failed"


class OrderService(Service):
    table = Table(
        name="orders",
        singular="order",
        ddl="""
        CREATE TABLE IF NOT EXISTS orders (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            user_id bigint NOT NULL,
            product_id bigint NOT NULL,
            quantity integer NOT NULL CHECK (quantity > 0),
            unit_price numeric(12, 2) NOT NULL,
            total numeric(14, 2) NOT NULL,
            address jsonb NOT NULL,
            payment_id bigint,
            status text NOT NULL,
            created_at timestamptz NOT NULL DEFAULT now()
        )""",
        create=(Field("user_id", identifier), Field("product_id", identifier), Field("quantity", integer(1, 1000))),
        replace=(Field("status", choice(PENDING, PAID, FAILED, "shipped", "delivered", "cancelled")),),
        filters=("user_id", "product_id"),
    )

    async def create(self, request: Request) -> Response:
        """Fetch address and price, store the order as pending, then pay: every payment has its order."""
        wanted = validate(self.table.create, await read_json(request))
        address, price = await self._look_up(wanted["user_id"], wanted["product_id"])
        total = price * wanted["quantity"]
        if total > DEAREST:
            raise InvalidError({"quantity": f"makes a total of {total}, more than {DEAREST} is not sold at once"})
        columns = {
            **wanted,
            "unit_price": price,
            "total": total,
            "address": address,
            "status": PENDING,
        }
        order = await self.store.create(columns)
        try:
            payment = await self._pay(order)
        except CalleeFailedError:
            await self.store.update(order["id"], {"status": FAILED})
            raise
        paid = await self.store.update(order["id"], {"status": PAID, "payment_id": payment})
        return self.created(paid or order)

    async def _look_up(self, user_id: int, product_id: int) -> tuple[dict[str, t.Any], decimal.Decimal]:
        """(the user's address, the product's price), by two parallel calls."""
        user, product = await asyncio.gather(
            self.calls.get("user-service", f"/api/users/{user_id}/address"),
            self.calls.get("product-service", f"/api/products/{product_id}"),
        )
        findings = {}
        if user is None:
            findings["user_id"] = f"must be a user with an address; {user_id} is none"
        if product is None:
            findings["product_id"] = f"must be a product; {product_id} is none"
        if findings:
            raise InvalidError(findings)
        try:
            price = money(product["price"])
        except (KeyError, TypeError, ValueError):
            raise CalleeFailedError("product-service", "answered without a price") from None
        if not isinstance(user, dict) or not isinstance(user.get("address"), dict):
            raise CalleeFailedError("user-service", "answered without an address")
        return user["address"], price

    async def _pay(self, order: t.Mapping[str, t.Any]) -> int:
        """The id of the order's payment."""
        body = {"order_id": order["id"], "user_id": order["user_id"], "amount": str(order["total"])}
        payment = await self.calls.post("payment-service", "/api/payments", body)
        try:
            return int(payment["id"])
        except (KeyError, TypeError, ValueError):
            raise CalleeFailedError("payment-service", "answered without a payment's id") from None
