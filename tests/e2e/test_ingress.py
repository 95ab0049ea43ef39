# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests of a client outside of the cluster, allowed and refused: NGINX, gateway, sidecar, service, database."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support import Answer, Ingress

COLLECTIONS = ["users", "products", "orders", "payments", "reviews", "recommendations"]
WITH_TOKEN = {"orders", "payments"}


@pytest.mark.parametrize("name", COLLECTIONS)
def test_every_service_answers_through_the_ingress(ingress: Ingress, account: dict[str, Any], name: str) -> None:
    answer = ingress("GET", f"/api/{name}", token=account["token"] if name in WITH_TOKEN else None)
    assert answer.status == 200, answer
    assert isinstance(answer.json["items"], list)
    assert answer.headers["content-type"].startswith("application/json")


@pytest.mark.parametrize("name", COLLECTIONS)
def test_unknown_host_reaches_no_service(ingress: Ingress, name: str) -> None:
    answer = Ingress(ingress.url.geturl(), "other.example.com")("GET", f"/api/{name}")
    assert answer.status == 404, answer


@pytest.mark.parametrize(
    "path", ["/", "/metrics", "/health", "/ready", "/api", "/api/unknown", "/api/userss", "/admin"]
)
def test_unlisted_paths_are_refused(ingress: Ingress, path: str) -> None:
    answer = ingress("GET", path)
    assert answer.status in (403, 404), answer
    assert b"items" not in answer.body


def test_unlisted_methods_are_refused(ingress: Ingress) -> None:
    answer = ingress("PATCH", "/api/users/1", {})
    assert answer.status == 403, answer


@pytest.mark.parametrize(
    ("name", "body", "change"),
    [
        (
            "products",
            {"name": "Chair", "price": 10.5, "stock": 1},
            {"name": "Armchair", "price": 12.25, "stock": 2},
        ),
        ("reviews", {"product_id": 1, "user_id": 1, "rating": 4}, {"rating": 5, "comment": "even better"}),
        ("payments", {"order_id": 1, "amount": "5.00"}, {"status": "refunded"}),
    ],
)
def test_a_row_lives_and_dies_in_its_database(
    ingress: Ingress, account: dict[str, Any], name: str, body: dict[str, Any], change: dict[str, Any]
) -> None:
    token = account["token"] if name in WITH_TOKEN else None
    created = ingress("POST", f"/api/{name}", body, token)
    assert created.status == 201, created
    path = f"/api/{name}/{created.json['id']}"
    assert created.headers["location"] == path
    assert ingress("GET", path, token=token).json == created.json

    changed = ingress("PUT", path, change, token)
    assert changed.status == 200, changed
    again = ingress("GET", path, token=token).json
    assert {key: again[key] for key in change} == change

    assert ingress("DELETE", path, token=token).status == 204
    assert ingress("GET", path, token=token).status == 404


def test_users_and_their_recommendations(ingress: Ingress, account: dict[str, Any], product: dict[str, Any]) -> None:
    read = ingress("GET", f"/api/users/{account['id']}")
    assert read.status == 200
    assert "password" not in str(read.json), "neither the password nor its hash may leave the service"

    picked = ingress("POST", "/api/recommendations", {"user_id": account["id"], "product_id": product["id"]})
    assert picked.status == 201, picked
    reviewed = ingress("POST", "/api/reviews", {"product_id": product["id"], "user_id": account["id"], "rating": 5})
    assert reviewed.status == 201, reviewed
    ranked = ingress("GET", f"/api/recommendations?user_id={account['id']}")
    assert ranked.status == 200, ranked
    best = ranked.json["items"][0]
    assert best["product"]["id"] == product["id"]
    assert (best["picked"], best["average_rating"]) == (True, 5)
    assert ingress("DELETE", f"/api/recommendations/{picked.json['id']}").status == 204
    assert ingress("DELETE", f"/api/reviews/{reviewed.json['id']}").status == 204


def test_products_are_read_through_redis(ingress: Ingress, product: dict[str, Any]) -> None:
    path = f"/api/products/{product['id']}"
    assert [ingress("GET", path).headers["x-cache"] for _attempt in range(3)] == ["miss", "hit", "hit"]
    assert ingress("PUT", path, {"name": "Renamed", "price": "1.00", "stock": 1}).status == 200
    fresh = ingress("GET", path)
    assert (fresh.headers["x-cache"], fresh.json["name"]) == ("miss", "Renamed"), "a write must reach the readers"


def test_a_product_names_its_seller(ingress: Ingress, account: dict[str, Any], product: dict[str, Any]) -> None:
    answer = ingress("GET", f"/api/products/{product['id']}?with=seller")
    assert answer.status == 200, answer
    assert answer.json["seller"]["username"] == account["username"]


def test_an_order_goes_through_four_services(
    ingress: Ingress, account: dict[str, Any], product: dict[str, Any]
) -> None:
    order = ingress(
        "POST", "/api/orders", {"user_id": account["id"], "product_id": product["id"], "quantity": 2}, account["token"]
    )
    assert order.status == 201, order
    assert order.json["status"] == "paid"
    assert order.json["total"] == 39.98
    assert order.json["address"]["city"] == "Springfield"
    payment = ingress("GET", f"/api/payments/{order.json['payment_id']}", token=account["token"])
    assert payment.status == 200, payment
    assert (payment.json["order_id"], payment.json["amount"]) == (order.json["id"], 39.98)
    for path in (f"/api/orders/{order.json['id']}", f"/api/payments/{payment.json['id']}"):
        assert ingress("DELETE", path, token=account["token"]).status == 204


def test_an_order_for_nobody_is_refused_by_name(
    ingress: Ingress, account: dict[str, Any], product: dict[str, Any]
) -> None:
    answer = ingress(
        "POST", "/api/orders", {"user_id": 2**40, "product_id": product["id"], "quantity": 1}, account["token"]
    )
    assert answer.status == 422, answer
    assert "user_id" in answer.json["error"]["fields"]


def test_login_gives_a_token_that_the_service_verifies(ingress: Ingress, account: dict[str, Any]) -> None:
    answer = ingress("POST", "/api/users/verify", {"token": account["token"]})
    assert answer.status == 200, answer
    assert answer.json["claims"]["sub"] == str(account["id"])
    assert answer.json["claims"]["iss"] == f"https://{ingress.host}"
    assert answer.json["claims"]["aud"] == "ecommerce-api"


def test_a_wrong_password_gives_no_token(ingress: Ingress, account: dict[str, Any]) -> None:
    answer = ingress("POST", "/api/users/login", {"username": account["username"], "password": "wrong password"})
    assert answer.status == 401, answer
    assert "access_token" not in answer.json


def forged(token: str) -> str:
    """The same token for another user, with the old signature."""
    import base64
    import json

    header, payload, signature = token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    claims["sub"] = "1"
    new = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    return f"{header}.{new}.{signature}"


@pytest.mark.parametrize("name", sorted(WITH_TOKEN))
class TestTokens:
    def test_without_a_token_403(self, ingress: Ingress, name: str) -> None:
        answer: Answer = ingress("GET", f"/api/{name}")
        assert answer.status == 403, answer

    @pytest.mark.parametrize("token", ["nonsense", "a.b.c", ""])
    def test_what_is_no_token_401_or_403(self, ingress: Ingress, name: str, token: str) -> None:
        # For Envoy an empty bearer is no token; the missing principal leads to the refusal.
        assert ingress("GET", f"/api/{name}", token=token).status == (401 if token else 403)

    def test_a_forged_token_401(self, ingress: Ingress, account: dict[str, Any], name: str) -> None:
        answer = ingress("GET", f"/api/{name}", token=forged(account["token"]))
        assert answer.status == 401, answer

    def test_a_good_token_200(self, ingress: Ingress, account: dict[str, Any], name: str) -> None:
        answer = ingress("GET", f"/api/{name}", token=account["token"])
        assert answer.status == 200, answer
