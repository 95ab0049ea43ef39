"""Which products to recommend. Pure."""

from __future__ import annotations

import typing as t


def rank(
    products: t.Iterable[t.Mapping[str, t.Any]],
    reviews: t.Iterable[t.Mapping[str, t.Any]],
    picks: t.Iterable[int],
    limit: int,
) -> list[dict[str, t.Any]]:
    """The best `limit` products: [{"product", "average_rating", "reviews", "picked"}], best first.

    Products that were picked for the user (`picks`, ids) come first, then by average rating, then by the number of
    its reviews, then by id, so that the order is stable. A product without a rating has the rating None
    and comes last.
    """
    ratings: dict[int, list[int]] = {}
    for review in reviews:
        ratings.setdefault(review["product_id"], []).append(review["rating"])
    picked = set(picks)
    ranked: list[dict[str, t.Any]] = []
    for product in products:
        given = ratings.get(product["id"], [])
        ranked.append(
            {
                "product": dict(product),
                "average_rating": round(sum(given) / len(given), 2) if given else None,
                "reviews": len(given),
                "picked": product["id"] in picked,
            }
        )
    ranked.sort(
        key=lambda item: (not item["picked"], -(item["average_rating"] or 0), -item["reviews"], item["product"]["id"])
    )
    return ranked[:limit]
