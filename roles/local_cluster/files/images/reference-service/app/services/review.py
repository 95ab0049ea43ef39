"""Reviews of products."""

from __future__ import annotations

from app.services.base import Service
from app.table import Table
from app.validation import Field, identifier, integer, text

RATING = Field("rating", integer(1, 5))
COMMENT = Field("comment", text(shortest=0, longest=2000), required=False, default="")


class ReviewService(Service):
    table = Table(
        name="reviews",
        singular="review",
        ddl="""
        CREATE TABLE IF NOT EXISTS reviews (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            product_id bigint NOT NULL,
            user_id bigint NOT NULL,
            rating smallint NOT NULL CHECK (rating BETWEEN 1 AND 5),
            comment text NOT NULL,
            created_at timestamptz NOT NULL DEFAULT now()
        );
        CREATE INDEX IF NOT EXISTS reviews_product_id ON reviews (product_id)""",
        create=(Field("product_id", identifier), Field("user_id", identifier), RATING, COMMENT),
        replace=(RATING, COMMENT),
        filters=("product_id", "user_id"),
    )
