# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The service over HTTP: answers for callers and probes, metrics and logs."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from typing import Any

import httpx
import pytest
from app.cache import PAUSE_SECONDS, Cache
from app.services import SERVICES
from app.telemetry import JsonFormatter

from tests.unit.reference_service.conftest import FakeRedis, Start

ANN = {
    "username": "ann",
    "email": "ann@example.org",
    "password": "correct horse",
    "address": {"street": "Main 1", "city": "Ulm", "postal_code": "89073", "country": "DE"},
}
PEN = {"name": "pen", "price": 1.5, "seller_id": 1}


def shop(request: httpx.Request) -> httpx.Response:
    """All other services, in a working state."""
    answers: dict[tuple[str, str], Any] = {
        ("GET", "/api/users/1/address"): {"user_id": 1, "address": ANN["address"]},
        ("GET", "/api/users/1/profile"): {"id": 1, "username": "ann"},
        ("GET", "/api/products/1"): {"id": 1, **PEN},
        ("GET", "/api/products"): {"items": [{"id": 1}, {"id": 2}]},
        ("GET", "/api/reviews"): {"items": [{"product_id": 2, "rating": 5}]},
        ("POST", "/api/payments"): {"id": 77},
    }
    body = answers.get((request.method, request.url.path))
    return httpx.Response(404, json={"error": {}}) if body is None else httpx.Response(200, json=body)


# All six


@pytest.mark.parametrize("name", SERVICES)
def test_probes_tell_the_truth(start: Start, name: str) -> None:
    service = start(name)
    assert service.http.get("/ready").json()["checks"] == {"database": "ok", "cache": "ok"}
    service.rows.down = "connection refused"
    ready = service.http.get("/ready")
    assert (ready.status_code, ready.json()["reason"]) == (503, "database: connection refused")
    assert service.http.get("/health").status_code == 200
    answer = service.http.get(SERVICES[name].table.path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "database_unavailable")


@pytest.mark.parametrize("name", SERVICES)
def test_what_is_not_there_is_told_as_json(start: Start, name: str) -> None:
    http = start(name, shop).http
    path = SERVICES[name].table.path
    answers = {
        http.get(f"{path}/1"): 404,
        http.put(f"{path}/x", json={}): 400,
        http.delete(f"{path}/1"): 404,
        http.patch(f"{path}/1"): 405,
        http.get("/nothing"): 404,
        http.get(f"{path}/"): 404,
        http.post(path, content=b"{"): 400,
        http.post(path, content=b'{"a": NaN}'): 400,
        http.post(path, content=b"[" * 60000): 400,
        http.post(path, content=b"[]"): 400,
        http.post(path, json={}): 422,
        http.post(path, content=b" " * 70000): 413,
        http.get(f"{path}?limit=0"): 422,
    }
    for answer, status in answers.items():
        assert answer.status_code == status, answer.request
        assert answer.json()["error"]["message"]
        assert answer.headers["x-service-version"] == "v1.0"


def test_errors_and_latency_are_for_the_api_only(start: Start) -> None:
    http = start("user-service", ERROR_RATE="1").http
    assert http.get("/api/users").json()["error"]["code"] == "injected_fault"
    for path in ("/health", "/ready", "/metrics", "/api/users/.well-known/jwks.json"):
        assert http.get(path).status_code == 200, path


def test_the_error_rate_is_a_share(start: Start) -> None:
    http = start("review-service", ERROR_RATE="0.3").http
    failed = sum(http.get("/api/reviews").status_code == 500 for _call in range(400))
    # Six standard deviations of a binomial distribution of 400 at 0.3 to each side.
    assert 65 < failed < 175


def test_metrics_count_by_route_not_by_path(start: Start) -> None:
    http = start("product-service").http
    for number in range(3):
        http.get(f"/api/products/{number + 1}")
    http.get("/anything/else")
    text = http.get("/metrics").text
    labels = 'code="404",method="GET",route="/api/products/{id}",service="product-service",version="v1.0"'
    assert f"http_requests_total{{{labels}}} 3.0" in text
    assert f"http_request_duration_seconds_count{{{labels}}} 3.0" in text
    assert 'route="unmatched"' in text
    assert "/anything" not in text


def test_an_injected_fault_counts_for_its_route(start: Start) -> None:
    http = start("product-service", ERROR_RATE="1").http
    http.get("/api/products/5")
    assert 'code="500",method="GET",route="/api/products/{id}"' in http.get("/metrics").text


def test_a_process_that_ends_is_not_ready_and_closes_connections(start: Start) -> None:
    service = start("payment-service")
    service.state.draining = True
    assert service.http.get("/ready").status_code == 503
    answer = service.http.get("/api/payments")
    assert (answer.status_code, answer.headers["connection"]) == (200, "close")


def test_an_unexpected_error_is_a_json_500_with_an_id(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    service = start("payment-service")

    async def explode(*_: Any) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(service.rows, "find", explode)
    answer = service.http.get("/api/payments", headers={"x-request-id": "abc-1"})
    assert answer.status_code == 500
    assert answer.json()["error"]["request_id"] == answer.headers["x-request-id"] == "abc-1"
    assert "secret detail" not in answer.text


def test_a_log_line_is_one_json_object_without_secrets(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    http = start("user-service").http
    with caplog.at_level(logging.DEBUG):
        http.post("/api/users?token=in-the-query", json=ANN, headers={"authorization": "Bearer in-the-header"})
        http.get("/api/users", headers={"x-request-id": 'forged"\n{"level": "line'})
    # The test's client logs in the same process.
    own = [record for record in caplog.records if record.name.startswith("app.")]
    lines = [JsonFormatter("s", "v").format(record) for record in own]
    assert any(json.loads(line).get("path") == "/api/users" for line in lines)
    for line in lines:
        assert "\n" not in line
        assert not re.search("correct horse|in-the-query|in-the-header|forged", line)


# Users


def test_passwords_never_come_back(start: Start) -> None:
    http = start("user-service").http
    created = http.post("/api/users", json=ANN)
    assert (created.status_code, created.headers["location"]) == (201, "/api/users/1")
    for answer in (created, http.get("/api/users/1"), http.get("/api/users"), http.get("/api/users/1/profile")):
        assert "password" not in answer.text
        assert "scrypt" not in answer.text
    assert set(http.get("/api/users/1/profile").json()) == {"id", "username", "full_name", "created_at"}


def test_login_gives_a_token_that_verify_accepts(start: Start) -> None:
    http = start("user-service").http
    http.post("/api/users", json=ANN)
    token = http.post("/api/users/login", json={"username": "ann", "password": ANN["password"]}).json()["access_token"]
    assert http.post("/api/users/verify", json={"token": token}).json()["claims"]["sub"] == "1"
    assert http.post("/api/users/verify", json={"token": token[:-4] + "AAAA"}).status_code == 401


def test_a_failed_login_does_not_tell_who_exists(start: Start) -> None:
    http = start("user-service").http
    http.post("/api/users", json=ANN)
    wrong = http.post("/api/users/login", json={"username": "ann", "password": "wrong"})
    unknown = http.post("/api/users/login", json={"username": "eve", "password": "wrong"})
    assert wrong.status_code == unknown.status_code == 401
    assert wrong.json() == unknown.json()


def test_a_user_put_without_password_keeps_the_old_one(start: Start) -> None:
    http = start("user-service").http
    http.post("/api/users", json=ANN)
    changed = {name: value for name, value in ANN.items() if name != "password"} | {"email": "a@example.org"}
    assert http.put("/api/users/1", json=changed).json()["email"] == "a@example.org"
    assert http.post("/api/users/login", json={"username": "ann", "password": ANN["password"]}).status_code == 200


def test_a_second_user_of_a_name_is_a_conflict(start: Start) -> None:
    http = start("user-service").http
    http.post("/api/users", json=ANN)
    assert http.post("/api/users", json=ANN).status_code == 409


# Products


def test_reads_go_through_the_cache(start: Start) -> None:
    http = start("product-service").http
    http.post("/api/products", json=PEN)

    def read() -> tuple[str, float]:
        answer = http.get("/api/products/1")
        return answer.headers["x-cache"], answer.json()["price"]

    assert [read(), read()] == [("miss", 1.5), ("hit", 1.5)]
    http.put("/api/products/1", json={**PEN, "price": 2})
    assert [read(), read()] == [("miss", 2), ("hit", 2)]
    http.delete("/api/products/1")
    assert http.get("/api/products/1").status_code == 404


def test_products_are_there_without_redis(start: Start) -> None:
    service = start("product-service")
    service.http.post("/api/products", json=PEN)
    service.redis.down = True
    answer = service.http.get("/api/products/1")
    assert (answer.status_code, answer.headers["x-cache"]) == (200, "off")
    assert service.http.put("/api/products/1", json=PEN).status_code == 200
    ready = service.http.get("/ready")
    assert (ready.status_code, ready.json()["checks"]["cache"]) == (200, "down")


def test_something_unreadable_in_the_cache_is_read_again(start: Start) -> None:
    service = start("product-service")
    service.http.post("/api/products", json=PEN)
    service.redis.values["product:1:1"] = "not json"
    assert service.http.get("/api/products/1").headers["x-cache"] == "miss"


def test_a_silent_redis_is_left_alone_for_a_while() -> None:
    redis = FakeRedis()
    redis.down = True
    now = 0.0
    cache = Cache(redis, 30, clock=lambda: now)

    async def load() -> int:
        return 1

    async def read() -> tuple[Any, str]:
        return await cache.read("k", load)

    assert [asyncio.run(read()), asyncio.run(read())] == [(1, "off"), (1, "off")]
    assert redis.commands == 1
    redis.down, now = False, PAUSE_SECONDS
    assert [asyncio.run(read()), asyncio.run(read())] == [(1, "miss"), (1, "hit")]


def test_a_product_comes_with_its_seller(start: Start) -> None:
    http = start("product-service", shop).http
    http.post("/api/products", json=PEN)
    assert http.get("/api/products/1?with=seller").json()["seller"] == {"id": 1, "username": "ann"}
    assert "seller" not in http.get("/api/products/1").json()
    assert http.get("/api/products/1?with=price").status_code == 422


# Orders


def test_an_order_calls_three_services_and_keeps_what_they_said(start: Start) -> None:
    service = start("order-service", shop)
    trace = {"x-request-id": "r-1", "traceparent": "00-" + "1" * 32 + "-" + "2" * 16 + "-01", "x-b3-sampled": "1"}
    answer = service.http.post("/api/orders", json={"user_id": 1, "product_id": 1, "quantity": 3}, headers=trace)
    order = answer.json()
    assert answer.status_code == 201
    assert (order["total"], order["payment_id"], order["status"]) == (4.5, 77, "paid")
    assert order["address"] == ANN["address"]
    assert {request.url.host for request in service.requests} == {"user-service", "product-service", "payment-service"}
    for request in service.requests:
        assert {name: request.headers[name] for name in trace} == trace
    (payment,) = [json.loads(request.content) for request in service.requests if request.method == "POST"]
    assert payment == {"order_id": 1, "user_id": 1, "amount": "4.50"}


def test_an_order_without_user_and_product_is_refused(start: Start) -> None:
    service = start("order-service", shop)
    answer = service.http.post("/api/orders", json={"user_id": 9, "product_id": 9, "quantity": 1})
    assert answer.status_code == 422
    assert set(answer.json()["error"]["fields"]) == {"user_id", "product_id"}
    assert service.rows.rows == {}


@pytest.mark.parametrize("callee", ["user-service", "product-service", "payment-service"])
@pytest.mark.parametrize("failure", ["refused", "slow", 500, 403, "html", "empty"])
def test_the_callee_that_failed_is_named(start: Start, callee: str, failure: str | int) -> None:
    def callees(request: httpx.Request) -> httpx.Response:
        if request.url.host != callee:
            return shop(request)
        if failure == "refused":
            raise httpx.ConnectError("refused", request=request)
        if failure == "slow":
            raise httpx.ReadTimeout("slow", request=request)
        if failure == "html":
            return httpx.Response(200, text="<html>")
        return httpx.Response(200, json={}) if failure == "empty" else httpx.Response(int(failure))

    service = start("order-service", callees)
    answer = service.http.post("/api/orders", json={"user_id": 1, "product_id": 1, "quantity": 1})
    assert (answer.status_code, answer.json()["error"]["callee"]) == (502, callee)
    assert [row["status"] for row in service.rows.rows.values()] == (
        ["payment_failed"] if callee == "payment-service" else []
    )


def test_an_order_can_be_too_dear(start: Start) -> None:
    def dear(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/api/products/1":
            return httpx.Response(200, json={"id": 1, "price": 9999999999.99})
        return shop(request)

    service = start("order-service", dear)
    answer = service.http.post("/api/orders", json={"user_id": 1, "product_id": 1, "quantity": 2})
    assert (answer.status_code, set(answer.json()["error"]["fields"])) == (422, {"quantity"})


# Recommendations


def test_recommendations_rank_the_products_with_picks_first(start: Start) -> None:
    service = start("recommendation-service", shop)
    first = service.http.get("/api/recommendations?user_id=1").json()["items"]
    assert [(item["product"]["id"], item["average_rating"]) for item in first] == [(2, 5.0), (1, None)]
    service.http.post("/api/recommendations", json={"user_id": 1, "product_id": 1})
    assert [item["product"]["id"] for item in service.http.get("/api/recommendations?user_id=1").json()["items"]] == [
        1,
        2,
    ]
    assert len(service.http.get("/api/recommendations?user_id=1&limit=1").json()["items"]) == 1
    assert service.http.get("/api/recommendations").json()["items"][0]["product_id"] == 1


def test_recommendations_name_the_service_that_failed(start: Start) -> None:
    def without_reviews(request: httpx.Request) -> httpx.Response:
        return httpx.Response(503) if request.url.host == "review-service" else shop(request)

    answer = start("recommendation-service", without_reviews).http.get("/api/recommendations?user_id=1")
    assert (answer.status_code, answer.json()["error"]["callee"]) == (502, "review-service")
