# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts without I/O: settings, validation, ranking, tokens, passwords."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from decimal import Decimal
from typing import Any

import jwt
import pytest
from app import passwords, tokens, validation
from app.errors import BadRequestError, InvalidError
from app.ranking import rank
from app.services import SERVICES
from app.settings import SettingsError, from_environment
from hypothesis import given
from hypothesis import strategies as st

SECRET = "a secret for tests only"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(), children, max_size=3),
    max_leaves=8,
)


# Settings


def test_a_service_needs_only_its_name() -> None:
    settings = from_environment({"SERVICE_NAME": "order-service"})
    assert (settings.port, settings.error_rate, settings.version) == (8080, 0, "v0")
    assert settings.callees["payment-service"] == "http://payment-service"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SERVICE_NAME", "cart-service"),
        ("PORT", "0"),
        ("PORT", "65536"),
        ("PORT", "80.5"),
        ("ERROR_RATE", "1.1"),
        ("ERROR_RATE", "nan"),
        ("ERROR_RATE", "often"),
        ("LATENCY_MS", "-1"),
        ("USER_URL", "user-service"),
        ("LOG_LEVEL", "LOUD"),
    ],
)
def test_a_wrong_variable_is_named_with_its_value(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"{name} is '{value}', expected"):
        from_environment({"SERVICE_NAME": "order-service", name: value})


def test_user_service_refuses_a_short_secret_without_telling_it() -> None:
    with pytest.raises(SettingsError, match="JWT_SECRET has 5 characters") as caught:
        from_environment({"SERVICE_NAME": "user-service", "JWT_SECRET": "quiet"})
    assert "quiet" not in str(caught.value)


def test_settings_do_not_show_secrets() -> None:
    hidden = {"JWT_SECRET": SECRET, "DATABASE_URL": "postgresql://u:pw1@h/d", "CACHE_URL": "redis://:pw2@h"}
    shown = repr(from_environment({"SERVICE_NAME": "user-service", **hidden}))
    assert not [value for value in (SECRET, "pw1", "pw2") if value in shown]


# Validation


@given(JSON)
@pytest.mark.parametrize("service", SERVICES)
def test_any_body_is_either_clean_or_refused(service: str, body: Any) -> None:
    fields = SERVICES[service].table.create
    try:
        values = validation.validate(fields, body)
    except (BadRequestError, InvalidError):
        return
    assert set(values) == {field.name for field in fields}


def test_all_findings_are_reported_at_once() -> None:
    with pytest.raises(InvalidError) as caught:
        validation.validate(SERVICES["review-service"].table.create, {"rating": 6, "stars": 5})
    assert set(caught.value.details["fields"]) == {"rating", "stars", "product_id", "user_id"}


@given(JSON)
def test_money_has_two_decimals_and_bounds(value: Any) -> None:
    try:
        amount = validation.money(value)
    except ValueError:
        return
    assert 0 <= amount < 10**10
    assert amount == Decimal(str(value))
    assert -amount.as_tuple().exponent == 2


@pytest.mark.parametrize("value", [True, None, -0.01, "1.001", 1e10, "NaN", "Infinity", "1e99", [], "one"])
def test_what_is_no_amount(value: Any) -> None:
    with pytest.raises(ValueError, match="must be an amount"):
        validation.money(value)


@pytest.mark.parametrize("value", [0, -1, True, 1.0, "1.5", "", "\u0661", 2**63, "9" * 19, None])
def test_what_is_no_id(value: Any) -> None:
    with pytest.raises(ValueError, match="must be an id"):
        validation.identifier(value)


@pytest.mark.parametrize("value", ["", "x" * 201, "a\x00b", "\ud800", 7])
def test_what_is_no_text(value: Any) -> None:
    with pytest.raises(ValueError, match="must be"):
        validation.text()(value)


# Ranking

PRODUCTS = st.lists(st.integers(1, 30), unique=True).map(lambda ids: [{"id": i} for i in ids])
REVIEWS = st.lists(st.fixed_dictionaries({"product_id": st.integers(1, 40), "rating": st.integers(1, 5)}))


def test_rank_orders_by_pick_rating_reviews_and_id() -> None:
    products = [{"id": i} for i in (5, 4, 3, 2, 1)]
    ratings = {2: [5], 3: [4, 4], 4: [4], 1: [1]}
    reviews = [{"product_id": i, "rating": r} for i, given_ in ratings.items() for r in given_]
    assert [item["product"]["id"] for item in rank(products, reviews, [1], 10)] == [1, 2, 3, 4, 5]


@given(PRODUCTS, REVIEWS, st.lists(st.integers(1, 40)), st.integers(1, 40))
def test_rank_keeps_the_best_and_invents_nothing(
    products: list[dict[str, int]], reviews: list[dict[str, int]], picks: list[int], limit: int
) -> None:
    every = rank(products, reviews, picks, 1000)
    assert rank(products, reviews, picks, limit) == every[:limit]
    assert sorted(item["product"]["id"] for item in every) == sorted(product["id"] for product in products)
    rated = [item["average_rating"] or 0 for item in every if not item["picked"]]
    assert rated == sorted(rated, reverse=True)
    assert all((item["average_rating"] is None) == (item["reviews"] == 0) for item in every)


# Tokens


@pytest.fixture
def signer() -> tokens.Tokens:
    return tokens.Tokens(SECRET, "https://shop.example", "api", 60)


USER = {"id": 7, "username": "ann"}


def test_replicas_with_one_secret_accept_each_others_tokens(signer: tokens.Tokens) -> None:
    other = tokens.Tokens(SECRET, "https://shop.example", "api", 60)
    claims = other.check(signer.sign(USER, time.time()))
    assert (claims["sub"], claims["iss"], claims["aud"]) == ("7", "https://shop.example", "api")
    assert other.jwks() == signer.jwks()


def test_the_key_set_is_public_and_named_by_its_thumbprint(signer: tokens.Tokens) -> None:
    (key,) = signer.jwks()["keys"]
    assert "d" not in key
    members = json.dumps({name: key[name] for name in ("crv", "kty", "x")}, separators=(",", ":"), sort_keys=True)
    thumbprint = base64.urlsafe_b64encode(hashlib.sha256(members.encode()).digest()).rstrip(b"=").decode()
    assert key["kid"] == thumbprint == jwt.get_unverified_header(signer.sign(USER, time.time()))["kid"]
    assert jwt.decode(signer.sign(USER, time.time()), jwt.PyJWK(key).key, ["EdDSA"], audience="api")["sub"] == "7"


def refused(signer: tokens.Tokens, token: str) -> str:
    with pytest.raises(tokens.InvalidTokenError) as caught:
        signer.check(token)
    return str(caught.value)


def test_tokens_of_others_are_refused(signer: tokens.Tokens) -> None:
    now = time.time()
    assert "expired" in refused(signer, signer.sign(USER, now - 61))
    assert "issuer" in refused(signer, tokens.Tokens(SECRET, "https://evil", "api", 60).sign(USER, now))
    assert "not for api" in refused(signer, tokens.Tokens(SECRET, "https://shop.example", "web", 60).sign(USER, now))
    other = tokens.Tokens("another secret of a kind", "https://shop.example", "api", 60)
    assert "not one that" in refused(signer, other.sign(USER, now))


def test_a_token_cannot_choose_its_algorithm(signer: tokens.Tokens) -> None:
    claims = tokens.claims_of(USER, signer.issuer, signer.audience, time.time(), 60)
    (key,) = signer.jwks()["keys"]
    for token in (jwt.encode(claims, "", algorithm="none"), jwt.encode(claims, key["x"], algorithm="HS256")):
        assert "not one that" in refused(signer, token)


@given(st.text())
def test_garbage_is_refused(text: str) -> None:
    assert refused(tokens.Tokens(SECRET, "i", "a", 60), text)


def test_a_token_without_expiry_is_refused(signer: tokens.Tokens) -> None:
    claims = tokens.claims_of(USER, signer.issuer, signer.audience, time.time(), 60)
    del claims["exp"]
    assert refused(signer, jwt.encode(claims, tokens.derive_key(SECRET), algorithm="EdDSA"))


# Passwords


def test_passwords_are_salted_and_checked() -> None:
    first, second = passwords.hash_password("correct horse"), passwords.hash_password("correct horse")
    assert first != second
    assert "correct" not in first
    assert passwords.check_password("correct horse", first)
    assert not passwords.check_password("correct horsf", first)
