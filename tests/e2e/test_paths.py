# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Paths, hosts, methods and headers that proxies and services may read differently, on the platform as it is."""

from __future__ import annotations

from typing import Any

import pytest

from tests.path_readings import escapes, spelled
from tests.support import Ingress

COLLECTIONS = ["users", "products", "orders", "payments", "reviews", "recommendations"]


@pytest.mark.parametrize("name", COLLECTIONS)
def test_no_spelling_leads_out_of_a_route(ingress: Ingress, name: str) -> None:
    for target in ("metrics", "health", "api/orders"):
        for path in escapes(f"/api/{name}", target):
            answer = ingress("GET", path)
            assert answer.status in (400, 403, 404), (path, answer)
            assert "x-service-version" not in answer.headers, (path, answer)


@pytest.mark.parametrize("name", ["orders", "payments"])
def test_no_spelling_of_a_closed_route_reaches_its_service(
    ingress: Ingress, account: dict[str, Any], name: str
) -> None:
    for path in spelled("/api", name):
        answer = ingress("GET", path)
        assert answer.status in (400, 403, 404), (path, answer)
        assert "x-service-version" not in answer.headers, (path, answer)
    assert ingress("GET", f"/api//{name}", token=account["token"]).status == 200


def test_ids_with_coded_slashes_and_parameters_arrive_where_nothing_is_closed(ingress: Ingress) -> None:
    for path in ("/api/products/a%2Fb", "/api/products/a;b=c", "/api/products/100%25"):
        assert "x-service-version" in ingress("GET", path).headers, path


def test_head_is_get_without_a_body(ingress: Ingress, account: dict[str, Any]) -> None:
    for name in ("products", "users"):
        answer = ingress("HEAD", f"/api/{name}")
        assert (answer.status, answer.body) == (200, b""), answer
    assert ingress("HEAD", "/api/orders").status == 403
    assert ingress("HEAD", "/api/orders", token=account["token"]).status == 200


@pytest.mark.parametrize("suffix", [":80", ":30080", ":443"])
def test_a_host_with_a_port_is_the_host(ingress: Ingress, suffix: str) -> None:
    there = Ingress(ingress.url.geturl(), ingress.host.upper() + suffix)
    assert there("GET", "/api/products").status == 200
    assert there("GET", "/api/orders").status == 403
    assert there("GET", "/metrics").status in (403, 404)


@pytest.mark.parametrize("size", [12_000, 15_000])
def test_headers_of_12_kb_arrive(ingress: Ingress, size: int) -> None:
    answer = ingress("GET", "/api/products", headers={"Cookie": "session=" + "a" * size})
    assert answer.status == 200, answer


def test_headers_without_measure_are_refused(ingress: Ingress) -> None:
    answer = ingress("GET", "/api/products", headers={"Cookie": "session=" + "a" * 70_000})
    assert answer.status in (400, 413, 431), answer
