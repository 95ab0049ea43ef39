# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A request with a trace header is one trace in Jaeger: ingress gateway, sidecars, services and their statements.

Spans and access logs reach the collector, and Jaeger, by mutual TLS only.
"""

from __future__ import annotations

import secrets
import time
from typing import Any

from tests.support import Cluster, Ingress

JAEGER = "/api/v1/namespaces/monitoring/services/jaeger:16686/proxy/api/traces"
# (service, kind and name of a span) that an order has to have. The proxies' services have their namespace.
SPANS = {
    ("istio-ingressgateway.istio-system", "server"),
    ("order-service.ecommerce", "server"),
    ("order-service.ecommerce", "client"),
    ("payment-service.ecommerce", "server"),
    ("order-service", "POST /api/orders"),
    ("order-service", "GET user-service"),
    ("order-service", "POST payment-service"),
    ("order-service", "INSERT orders"),
    ("order-service", "UPDATE orders"),
    ("user-service", "GET /api/users/{id}/address"),
    ("user-service", "SELECT users"),
    ("product-service", "GET /api/products/{id}"),
    ("product-service", "GET"),
    ("payment-service", "POST /api/payments"),
    ("payment-service", "INSERT payments"),
}


def spans_of(cluster: Cluster, trace: str) -> list[dict[str, Any]]:
    """The spans that Jaeger has of a trace, with the service of each and its tags as a dict; none when it does not know the trace."""
    body = cluster.raw.get(f"{JAEGER}/{trace}") or {}
    (found,) = body.get("data") or [{"spans": [], "processes": {}}]
    return [
        {
            **span,
            "service": found["processes"][span["processID"]]["serviceName"],
            "tags": {tag["key"]: tag["value"] for tag in span["tags"]},
        }
        for span in found["spans"]
    ]


def what(span: dict[str, Any]) -> set[tuple[str, str]]:
    """(service, kind) and (service, name) of a span."""
    return {(span["service"], str(span["tags"].get("span.kind"))), (span["service"], span["operationName"])}


def without_parent(spans: list[dict[str, Any]]) -> list[tuple[dict[str, Any], list[str]]]:
    """Spans whose parent is not among them, and the parents."""
    known = {span["spanID"] for span in spans}
    above = [(span, [one["spanID"] for one in span["references"]]) for span in spans]
    return [(span, parents) for span, parents in above if not set(parents) & known]


def test_a_request_with_a_trace_header_is_one_trace(
    ingress: Ingress, cluster: Cluster, account: dict[str, Any], product: dict[str, Any]
) -> None:
    body = {"user_id": account["id"], "product_id": product["id"], "quantity": 1}
    trace, unsampled, parent = secrets.token_hex(16), secrets.token_hex(16), secrets.token_hex(8)
    for header in (f"00-{unsampled}-{parent}-00", f"00-{trace}-{parent}-01"):
        answer = ingress("POST", "/api/orders", body, account["token"], {"traceparent": header})
        assert answer.status == 201, answer
        ingress("DELETE", f"/api/orders/{answer.json['id']}", token=account["token"])

    # Proxies send their spans every five seconds.
    deadline = time.monotonic() + 20
    while True:
        spans = spans_of(cluster, trace)
        missing = SPANS - set().union(*(what(span) for span in spans))
        roots = [(span["service"], above) for span, above in without_parent(spans)]
        if not missing and len(roots) == 1:
            break
        shown = sorted({(span["service"], span["operationName"]) for span in spans})
        assert time.monotonic() < deadline, f"missing: {missing}; without a parent: {roots}; of {shown}"
        time.sleep(0.5)
    assert roots == [("istio-ingressgateway.istio-system", [parent])], "one tree, below the span of the client"
    (statement,) = [span for span in spans if span["operationName"] == "INSERT orders"]
    assert statement["tags"]["db.system.name"] == "postgresql"
    assert spans_of(cluster, unsampled) == [], "what the client does not sample is not traced"
    # Proxies send their lines every second.
    deadline = time.monotonic() + 10
    while trace not in (output := cluster.output("monitoring", "app=otel-collector", "otel-collector")):
        assert time.monotonic() < deadline, output[-2000:]
        time.sleep(0.5)


def test_spans_reach_the_collector_and_jaeger_by_mutual_tls_only(cluster: Cluster) -> None:
    query = (
        "sum by (destination_workload, connection_security_policy) "
        '(istio_requests_total{reporter="destination",destination_workload=~"otel-collector|jaeger"})'
    )
    deadline = time.monotonic() + 60  # of a platform that has just started
    while True:
        found = [one["metric"] for one in cluster.promql(query)]
        seen = {(labels["destination_workload"], labels["connection_security_policy"]) for labels in found}
        if {workload for workload, _policy in seen} == {"otel-collector", "jaeger"}:
            break
        assert time.monotonic() < deadline, seen
        time.sleep(1)
    assert {policy for _workload, policy in seen} == {"mutual_tls"}

    # Prometheus' pod has no proxy; promtool is the HTTP client in its image.
    for service in ("otel-collector.monitoring:4318", "jaeger.monitoring:4317"):
        argv = ["promtool", "query", "instant", f"http://{service}", "up"]
        refused = cluster.execute("monitoring", "prometheus-0", "prometheus", argv)
        assert refused.code != 0, refused
        assert "reset" in refused.out or "EOF" in refused.out, refused.out
    argv = ["promtool", "query", "instant", "http://jaeger.monitoring:16686", "up"]
    answered = cluster.execute("monitoring", "prometheus-0", "prometheus", argv).out
    assert "reset" not in answered, "its query API is for everybody, as the site has it"
