# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Spans of the reference service: what it makes of a trace context, what it hands on, and what the collector gets."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from app.tracing import BATCH, SERVER, WAITING, Context, Tracer, parse

from tests.unit.reference_service.conftest import Running, Start

TRACE, PARENT = "1" * 32, "2" * 16
SAMPLED = f"00-{TRACE}-{PARENT}-01"
COLLECTOR = "http://collector:4318"


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (SAMPLED, Context(TRACE, PARENT, True)),
        (f"00-{TRACE}-{PARENT}-00", Context(TRACE, PARENT, False)),
        (f"00-{TRACE}-{PARENT}-03", Context(TRACE, PARENT, True)),
        (f"01-{TRACE}-{PARENT}-01-more", Context(TRACE, PARENT, True)),
        (f"00-{TRACE}-{PARENT}-01-more", None),
        (f"ff-{TRACE}-{PARENT}-01", None),
        (f"00-{'0' * 32}-{PARENT}-01", None),
        (f"00-{TRACE}-{'0' * 16}-01", None),
        (f"00-{TRACE.replace('1', 'A')}-{PARENT}-01", None),
        (f"00-{TRACE}-{PARENT}", None),
        ("", None),
    ],
)
def test_a_trace_context_is_read_as_the_specification_says(header: str, expected: Context | None) -> None:
    assert parse(header) == expected


def order(request: httpx.Request) -> httpx.Response:
    """The services that an order needs."""
    if request.url.host == "user-service":
        return httpx.Response(200, json={"address": {"city": "Ulm"}})
    return httpx.Response(200, json={"price": "2.50", "id": 7})


def spans(service: Running) -> list[dict[str, Any]]:
    """What the collector got of the service, with the attributes as a dict; the service is ended for it."""
    service.http.__exit__(None, None, None)
    found = []
    for request in service.exports:
        assert str(request.url) == f"{COLLECTOR}/v1/traces"
        assert request.headers["traceparent"].endswith("-00"), "the sidecar would begin a trace for it"
        (resource,) = json.loads(request.content)["resourceSpans"]
        assert {"key": "service.name", "value": {"stringValue": "order-service"}} in resource["resource"]["attributes"]
        found += resource["scopeSpans"][0]["spans"]
    for span in found:
        span["attributes"] = {one["key"]: next(iter(one["value"].values())) for one in span["attributes"]}
    return found


def post(service: Running, traceparent: str) -> httpx.Response:
    body = {"user_id": 1, "product_id": 1, "quantity": 3}
    return service.http.post("/api/orders", json=body, headers={"traceparent": traceparent})


def test_a_request_and_its_calls_are_spans_of_the_callers_trace(start: Start) -> None:
    service = start("order-service", order, OTEL_EXPORTER_OTLP_ENDPOINT=COLLECTOR)
    assert post(service, SAMPLED).status_code == 201
    handed = {request.url.host: parse(request.headers["traceparent"]) for request in service.requests}
    found = {span["name"]: span for span in spans(service)}
    assert set(found) == {"POST /api/orders", "GET user-service", "GET product-service", "POST payment-service"}
    server = found["POST /api/orders"]
    assert (server["kind"], server["traceId"], server["parentSpanId"]) == (SERVER, TRACE, PARENT)
    assert server["attributes"]["http.response.status_code"] == "201"
    assert server["status"] == {}
    for callee, context in handed.items():
        (client,) = [span for name, span in found.items() if name.endswith(callee)]
        assert context == Context(TRACE, client["spanId"], True)
        assert client["parentSpanId"] == server["spanId"]
        assert int(server["startTimeUnixNano"]) <= int(client["startTimeUnixNano"])
        assert int(client["endTimeUnixNano"]) <= int(server["endTimeUnixNano"])


def test_a_call_that_fails_is_a_failed_span(start: Start) -> None:
    service = start("order-service", OTEL_EXPORTER_OTLP_ENDPOINT=COLLECTOR)
    assert post(service, SAMPLED).status_code == 502
    failed = {span["name"]: span["attributes"].get("error.type") for span in spans(service) if span["status"]}
    assert failed["POST /api/orders"] is None
    assert failed["GET user-service"] == "CalleeFailedError"


@pytest.mark.parametrize("header", [f"00-{TRACE}-{PARENT}-00", "nonsense"])
def test_what_is_not_sampled_passes_through(start: Start, header: str) -> None:
    service = start("order-service", order, OTEL_EXPORTER_OTLP_ENDPOINT=COLLECTOR)
    assert post(service, header).status_code == 201
    assert {request.headers["traceparent"] for request in service.requests} == {header}
    assert spans(service) == []


def test_without_a_collector_the_context_passes_through(start: Start) -> None:
    service = start("order-service", order)
    assert post(service, SAMPLED).status_code == 201
    assert {request.headers["traceparent"] for request in service.requests} == {SAMPLED}
    assert spans(service) == []


async def _exported(count: int, answers: list[int]) -> tuple[list[int], int]:
    """(spans of each request to a collector that answers with these codes, then 200; spans that were lost of `count`)."""
    got: list[int] = []

    def collect(request: httpx.Request) -> httpx.Response:
        code = answers.pop(0) if answers else 200
        if code == 200:
            got.append(len(json.loads(request.content)["resourceSpans"][0]["scopeSpans"][0]["spans"]))
        return httpx.Response(code)

    tracer = Tracer("order-service", "v1.0", COLLECTOR, httpx.MockTransport(collect))
    context = Context(TRACE, PARENT, True)
    for _ in range(count):
        with tracer.run("one", SERVER, context):
            pass
    for _ in range(len(answers) + 1):
        await tracer.flush()
    await tracer.close()
    return got, count - sum(got)


@pytest.mark.parametrize(
    ("count", "answers", "lost"), [(3, [503, 503], 0), (BATCH + 1, [503], 0), (WAITING + 5, [], 5)]
)
def test_spans_wait_for_the_collector_as_far_as_there_is_room(count: int, answers: list[int], lost: int) -> None:
    import asyncio

    got, gone = asyncio.run(_exported(count, answers))
    assert gone == lost
    assert max(got) <= BATCH
