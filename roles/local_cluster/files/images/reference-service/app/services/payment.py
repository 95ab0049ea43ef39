"""Payments. No money moves."""

from __future__ import annotations

import typing as t

from app.services.base import Service
from app.table import Table
from app.validation import Field, choice, identifier, money


class PaymentService(Service):
    table = Table(
        name="payments",
        singular="payment",
        ddl="""
        CREATE TABLE IF NOT EXISTS payments (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            order_id bigint NOT NULL,
            user_id bigint,
            amount numeric(14, 2) NOT NULL CHECK (amount >= 0),
            method text NOT NULL,
            status text NOT NULL,
            created_at timestamptz NOT NULL DEFAULT now()
        )""",
        create=(
            Field("order_id", identifier),
            Field("user_id", identifier, required=False),
            Field("amount", money),
            Field("method", choice("card", "transfer", "invoice"), required=False, default="card"),
        ),
        replace=(Field("status", choice("captured", "refunded")),),
        filters=("order_id", "user_id"),
    )

    async def prepare(self, values: dict[str, t.Any]) -> dict[str, t.Any]:
        return {"status": "captured", **values}
