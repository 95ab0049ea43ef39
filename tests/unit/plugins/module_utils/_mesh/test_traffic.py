# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Traffic from series of Istio's standard metrics: rates by workload, who calls whom, and whether that is mutual TLS."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.servicemesh.platform.plugins.module_utils._mesh import traffic
from ansible_collections.servicemesh.platform.plugins.module_utils._mesh.traffic import Security

SPIFFE = "spiffe://cluster.local/ns/shop/sa/"
TO_CART = {
    "destination_service": "cart.shop.svc.cluster.local",
    "destination_app": "cart",
    "destination_workload_namespace": "shop",
}
AT_SOURCE = {
    **TO_CART,
    "reporter": "source",
    "source_app": "web",
    "source_workload_namespace": "shop",
    "response_code": "200",
}
AT_DESTINATION = {
    **TO_CART,
    "reporter": "destination",
    "source_app": "unknown",
    "source_principal": f"{SPIFFE}web",
    "connection_security_policy": "mutual_tls",
    "response_code": "200",
}
BOTH = {"source_principal": f"{SPIFFE}web", "destination_principal": f"{SPIFFE}cart"}


def now(labels: dict[str, str], value: float | str, **more: str) -> dict[str, Any]:
    return {"metric": {**labels, **more}, "value": [1000.0, str(value)]}


def over(labels: dict[str, str], *values: float | str, **more: str) -> dict[str, Any]:
    return {"metric": {**labels, **more}, "values": [[30.0 * n, str(value)] for n, value in enumerate(values)]}


def only(http: list[dict[str, Any]], tcp: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    (call,) = traffic.calls(http, tcp or [])
    return call


def test_both_reporters_make_one_call_and_the_source_counts() -> None:
    call = only([now(AT_SOURCE, 90), now(AT_SOURCE, 10, response_code="503"), now(AT_DESTINATION, 91)])
    assert (call["source"], call["destination"], call["protocol"]) == ("shop/web", "shop/cart", "http")
    assert (call["requests"], call["failed"], call["mutual_tls"], call["plaintext"]) == (100.0, 10.0, 91.0, 0.0)
    assert (call["security"], call["security_by"], call["reporters"]) == (
        "mutual_tls",
        "destination",
        ["destination", "source"],
    )


@pytest.mark.parametrize(
    ("http", "security"),
    [
        ([now(AT_DESTINATION, 5)], Security.MUTUAL_TLS),
        ([now(AT_DESTINATION, 5000), now(AT_DESTINATION, 1, connection_security_policy="none")], Security.NONE),
        ([now(AT_DESTINATION, 5), now(AT_DESTINATION, 1, connection_security_policy="unknown")], Security.UNKNOWN),
        ([now(AT_DESTINATION, 5, connection_security_policy="quantum")], Security.UNKNOWN),
        ([now({k: v for k, v in AT_DESTINATION.items() if k != "connection_security_policy"}, 5)], Security.UNKNOWN),
        # What the source says of its own connections is unknown by design, and of HTTP nothing else is asked.
        ([now(AT_SOURCE, 5, connection_security_policy="mutual_tls", **BOTH)], Security.UNKNOWN),
        # Half of the endpoints do not report.
        ([now(AT_SOURCE, 100), now(AT_DESTINATION, 50)], Security.UNKNOWN),
        # What failed before it came to a pod cannot be reported there, and scrapes are not at the same time.
        ([now(AT_SOURCE, 50), now(AT_SOURCE, 500, response_code="503"), now(AT_DESTINATION, 45)], Security.MUTUAL_TLS),
    ],
)
def test_mutual_tls_needs_all_and_one_call_is_enough_for_none(http: list[dict[str, Any]], security: Security) -> None:
    assert traffic.calls(http, [])[0]["security"] == security


@pytest.mark.parametrize(
    ("tcp", "security", "by"),
    [
        ([now(AT_SOURCE, 1, **BOTH)], "mutual_tls", "source"),
        ([now(AT_SOURCE, 1, **BOTH), now(AT_DESTINATION, 1)], "mutual_tls", "destination"),
        ([now(AT_SOURCE, 1, **BOTH), now(AT_DESTINATION, 1, connection_security_policy="none")], "none", "destination"),
        ([now(AT_SOURCE, 1, source_principal=f"{SPIFFE}web")], "unknown", ""),
        ([now(AT_SOURCE, 1, **BOTH), now(AT_SOURCE, 1, response_flags="UF")], "unknown", ""),
        ([now(AT_SOURCE, 1, source_principal="web", destination_principal="cart")], "unknown", ""),
    ],
)
def test_open_connections_are_known_by_the_certificates_that_the_caller_saw(
    tcp: list[dict[str, Any]], security: str, by: str
) -> None:
    call = only([], tcp)
    assert (call["security"], call["security_by"], call["requests"]) == (security, by, None)


@pytest.mark.parametrize(
    ("labels", "name"),
    [
        ({"source_app": "web", "source_workload_namespace": "shop", "source_principal": f"{SPIFFE}other"}, "shop/web"),
        (
            {"source_app": "unknown", "source_principal": "spiffe://x/ns/istio-system/sa/gateway"},
            "istio-system/gateway",
        ),
        ({"source_app": "", "source_workload": "job", "source_workload_namespace": "shop"}, "shop/job"),
        ({"source_app": "web", "source_workload_namespace": "unknown", "source_principal": "unknown"}, "unknown"),
        ({}, "unknown"),
    ],
)
def test_a_caller_is_its_app_its_identity_or_unknown(labels: dict[str, str], name: str) -> None:
    assert traffic.caller_of(labels, {}) == name


def test_a_destination_that_knows_the_identity_alone_reports_the_app_that_has_it() -> None:
    """As mtls_probe calls, with the service account `default`."""
    shared = {"source_principal": f"{SPIFFE}default"}
    call = only([now(AT_SOURCE, 9, **shared), now(AT_DESTINATION, 9, **shared)])
    assert (call["source"], call["security"], call["reporters"]) == (
        "shop/web",
        "mutual_tls",
        ["destination", "source"],
    )
    # Which of two apps it was, nobody knows.
    two = [
        now(AT_SOURCE, 9, **shared),
        now(AT_SOURCE, 9, source_app="job", **shared),
        now(AT_DESTINATION, 18, **shared),
    ]
    assert {call["source"]: call["security"] for call in traffic.calls(two, [])} == {
        "shop/web": "unknown",
        "shop/job": "unknown",
        "shop/default": "mutual_tls",
    }


@pytest.mark.parametrize(
    ("labels", "service", "workload"),
    [
        ({**TO_CART, "destination_workload": "cart-canary"}, "shop/cart", "shop/cart-canary"),
        (
            {"destination_service": "cart.shop.svc.cluster.local", "destination_workload": "unknown"},
            "shop/cart",
            "shop/cart",
        ),
        (
            {
                "destination_service": "unknown",
                "destination_workload": "cart",
                "destination_workload_namespace": "shop",
            },
            *["shop/cart"] * 2,
        ),
        ({"destination_service": "api.example.com"}, "unknown", "unknown"),
    ],
)
def test_what_is_called(labels: dict[str, str], service: str, workload: str) -> None:
    assert (traffic.service_of(labels), traffic.workload_of(labels)) == (service, workload)


def test_rates_errors_and_durations_are_by_workload() -> None:
    labels = {**AT_SOURCE, "destination_workload": "cart"}
    requests = [
        over(labels, 3, 3, 0),
        over(labels, 1, 0, 0, response_code="500"),
        over(labels, 0, 1, 0, response_code="0"),
        over(labels, 0, 0, 0, destination_workload="idle"),
    ]
    (found,) = traffic.workloads(
        requests, [over(labels, 20, "NaN"), over(labels, 30, destination_service="other.shop.svc.x")]
    )
    assert (found["workload"], found["version"]) == ("shop/cart", "")
    assert found["rate"] == [[0.0, 4.0], [30.0, 4.0], [60.0, 0.0]]
    assert found["errors"] == [[0.0, 0.25], [30.0, 0.25]], "a moment without requests has no errors, and not none"
    assert found["p95"] == [[0.0, 30.0]]


def test_versions_of_a_workload_are_apart() -> None:
    series = [
        over({**AT_SOURCE, "destination_workload": "cart"}, 1, destination_version=name)
        for name in ("v1", "v2", "unknown")
    ]
    assert [entry["version"] for entry in traffic.workloads(series, [])] == ["", "v1", "v2"]


def test_what_is_no_number_is_left_out() -> None:
    assert traffic.calls([now(AT_DESTINATION, "NaN"), {"metric": {}, "value": None}, {"metric": {}}], []) == []
    assert traffic.scrapes([now({"namespace": "a", "pod": "b"}, "NaN")]) == [
        {"namespace": "a", "pod": "b", "up": False}
    ]


def test_budgets_have_their_objective_and_what_is_left() -> None:
    own = {"destination_service_namespace": "shop", "destination_service_name": "cart"}
    series = [
        now(own, 0.999, __name__="slo:objective:ratio", sli="availability"),
        now(own, -0.5, __name__="slo:error_budget_left:ratio", sli="availability"),
        now(own, 0.99, __name__="slo:objective:ratio", sli="latency"),
        now(own, 0.0, __name__="slo:requests:rate5m", sli="latency"),
        now(own, 0.4, __name__="slo:error_budget_left:ratio", sli="gone"),
    ]
    assert traffic.budgets(series) == [
        {"service": "shop/cart", "sli": "availability", "objective": 0.999, "left": -0.5, "requested": False},
        {"service": "shop/cart", "sli": "latency", "objective": 0.99, "left": None, "requested": True},
    ]
