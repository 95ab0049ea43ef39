# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The platform under test: PLATFORM_URL and KUBECONFIG, or what ``make -s url`` and ``make -s kubeconfig`` print."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support import Cluster, Ingress, make

HOST = "ecommerce.example.com"
PASSWORD = "correct horse battery"
ADDRESS = {"street": "Long Lane 1", "city": "Springfield", "postal_code": "12345", "country": "Utopia"}


@pytest.fixture(scope="session")
def kubeconfig() -> str:
    return os.environ.get("KUBECONFIG") or make("kubeconfig")


@pytest.fixture(scope="session")
def ingress() -> Ingress:
    return Ingress(os.environ.get("PLATFORM_URL") or make("url"), HOST)


@pytest.fixture(scope="session")
def cluster(kubeconfig: str) -> Cluster:
    return Cluster(kubeconfig)


@pytest.fixture
def unique() -> str:
    """A name that no other test uses."""
    return uuid.uuid4().hex[:12]


def registered(ingress: Ingress) -> dict[str, Any]:
    """A new user with an address, and a token of the user under ``token``."""
    name = f"e2e-{uuid.uuid4().hex[:12]}"
    answer = ingress(
        "POST",
        "/api/users",
        {
            "username": name,
            "email": f"{name}@example.com",
            "password": PASSWORD,
            "full_name": "Eve Tester",
            "address": ADDRESS,
        },
    )
    assert answer.status == 201, answer
    login = ingress("POST", "/api/users/login", {"username": name, "password": PASSWORD})
    assert login.status == 200, login
    return {**answer.json, "token": login.json["access_token"]}


@pytest.fixture(scope="session")
def account(ingress: Ingress) -> Iterator[dict[str, Any]]:
    """A registered user, deleted at the end."""
    user = registered(ingress)
    yield user
    ingress("DELETE", f"/api/users/{user['id']}")


@pytest.fixture
def product(ingress: Ingress, account: dict[str, Any], unique: str) -> Iterator[dict[str, Any]]:
    """A product of the account's, deleted afterwards."""
    answer = ingress(
        "POST", "/api/products", {"name": f"e2e {unique}", "price": "19.99", "seller_id": account["id"], "stock": 3}
    )
    assert answer.status == 201, answer
    yield answer.json
    ingress("DELETE", f"/api/products/{answer.json['id']}")
