# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Istio's standard metrics as the proxies of the cluster report them, and as evidence for mutual TLS."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.servicemesh.platform.plugins.plugin_utils._reports import platform
from ansible_collections.servicemesh.platform.plugins.plugin_utils._reports.platform_seen import Limits

from tests.integration.conftest import run_module
from tests.integration.metrics import prometheus, query
from tests.integration.mtls.bed import Bed, calls_of, deployment, service, steady

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("cluster")]

# https://istio.io/latest/docs/reference/config/metrics/
LABELS = {
    "reporter", "source_workload", "source_workload_namespace", "source_principal", "source_app", "source_version",
    "source_canonical_service", "source_canonical_revision", "source_cluster", "destination_workload",
    "destination_workload_namespace", "destination_principal", "destination_app", "destination_version", "destination_service",
    "destination_service_name", "destination_service_namespace", "destination_canonical_service", "destination_canonical_revision",
    "destination_cluster", "request_protocol", "response_code", "response_flags", "connection_security_policy", "grpc_response_status",
}  # fmt: skip
# What the local cluster leaves out, and the role drops elsewhere.
LEFT_OUT = {
    f"{side}_{label}"
    for side in ("source", "destination")
    for label in ("canonical_service", "canonical_revision", "cluster")
}
ONLY_HTTP = {"response_code", "grpc_response_status"}
SCRAPED = {"__name__", "instance", "job", "namespace", "pod"}


@pytest.fixture(scope="module")
def metered(bed: Bed) -> Iterator[Bed]:
    """The bed with a Prometheus, and a workload that has a service of its own for HTTP and one for TCP."""
    raw = service(bed.namespace, "raw", {"app": "solo"}, {90: 9090})
    raw["spec"]["ports"][0]["name"] = "tcp"
    own = [deployment(bed.namespace, "solo"), service(bed.namespace, "solo", {"app": "solo"}, {80: 8080}), raw]
    objects = [*own, *prometheus(bed.namespace)]
    result = run_module("apply", definitions=objects, wait_timeout=120)
    assert not result.get("failed"), result["msg"]
    bed.meet("solo")
    try:
        yield bed
    finally:
        run_module("apply", state="absent", definitions=objects, wait=False)


def found(bed: Bed, expression: str) -> list[dict[str, Any]]:
    """Series as labels, once there are some."""
    series = steady(lambda: query(bed.client, bed.namespace, expression), bool, still=0)
    return [entry["metric"] for entry in series]


def one(bed: Bed, metric: str, reporter: str, name: str, more: str = "") -> dict[str, str]:
    """The labels of calls to a service, as one side reports them: those that do not say where Prometheus got them from."""
    (labels,) = found(bed, f'{metric}{{reporter="{reporter}", destination_service_name="{name}"{more}}}')
    return {key: value for key, value in labels.items() if key not in SCRAPED}


def test_http_and_grpc_have_the_labels_of_istio(metered: Bed) -> None:
    bed = metered
    bed.policies(bed.peer())
    url = f"http://{bed.host('solo')}/"
    assert steady(lambda: bed.call("meshed", url), lambda heard: heard.mutual, still=0).mutual
    assert bed.call("meshed", url, Content_Type="application/grpc", X_Answer="13").mutual
    space, sa = bed.namespace, f"spiffe://cluster.local/ns/{bed.namespace}/sa/default"
    common = {
        **{"destination_workload": "solo", "destination_workload_namespace": space, "destination_app": "solo"},
        **{
            "destination_service": bed.host("solo"),
            "destination_service_name": "solo",
            "destination_service_namespace": space,
        },
        **{"source_principal": sa, "destination_principal": sa, "response_code": "200", "response_flags": "-"},
    }
    # Calls before the proxy knows the pod end with 503, and are a series of their own.
    http, grpc = ', request_protocol="http", response_code="200"', ', grpc_response_status="13"'
    source = one(bed, "istio_requests_total", "source", "solo", http)
    assert {**common, "source_workload": "meshed", "connection_security_policy": "unknown"}.items() <= source.items()
    assert source.keys() == LABELS - LEFT_OUT - {"grpc_response_status"}
    target = one(bed, "istio_requests_total", "destination", "solo", http)
    expected = {**common, "source_workload": "unknown", "connection_security_policy": "mutual_tls"}
    assert expected.items() <= target.items()
    assert target.keys() == LABELS - LEFT_OUT - {"grpc_response_status"}
    for reporter in ("source", "destination"):
        assert one(bed, "istio_requests_total", reporter, "solo", grpc)["request_protocol"] == "grpc"
        sizes = ("request_bytes", "response_bytes") if reporter == "destination" else ()
        for kind in ("request_duration_milliseconds", *sizes):
            (labels,) = found(
                bed, f'istio_{kind}_count{{reporter="{reporter}", destination_service_name="solo"{http}}}'
            )
            assert labels["response_code"] == "200"


def test_tcp_has_the_labels_of_istio(metered: Bed) -> None:
    bed = metered
    bed.policies(bed.peer())
    url = f"http://{bed.host('raw')}:90/"
    assert steady(lambda: bed.call("meshed", url), lambda heard: heard.came_through, still=0).came_through
    for metric in ("connections_opened", "connections_closed", "sent_bytes", "received_bytes"):
        if not metric.endswith("bytes"):  # sizes are those of the destination
            source = one(bed, f"istio_tcp_{metric}_total", "source", "raw")
            assert source.keys() == LABELS - LEFT_OUT - ONLY_HTTP, metric
        target = one(bed, f"istio_tcp_{metric}_total", "destination", "raw")
        assert target.keys() == LABELS - LEFT_OUT - ONLY_HTTP, metric
        assert (target["request_protocol"], target["connection_security_policy"]) == ("tcp", "mutual_tls")


def plain_callers(result: dict[str, Any]) -> list[str]:
    """Who called `solo` in plain text."""
    return [row["caller"] for row in result["callers"] if row["service"].endswith("/solo") and row["plaintext"]]


def test_metrics_are_evidence_for_mutual_tls_and_of_plain_text(metered: Bed) -> None:
    bed = metered
    asked = {"service": f"{bed.namespace}/prometheus:9090", "window": 60}
    url = f"http://{bed.host('shy')}:81/"
    bed.policies(bed.peer(mode="PERMISSIVE"))
    assert bed.calls(prometheus=asked)[("*", "shy", 81)]["evidence"] == "", "no call, no evidence"

    def heard(caller: str, to: str) -> tuple[dict[str, Any], dict[str, Any]]:
        bed.call(caller, to)
        calls = bed.calls(prometheus=asked)
        return calls[("*", "solo", 80)], calls[("plaintext", "solo", 80)]

    url = f"http://{bed.host('solo')}/"
    mutual, _plain = steady(lambda: heard("meshed", url), lambda pair: pair[0]["proof"] == "claimed", still=0)
    assert (mutual["verdict"], mutual["proof"]) == ("encrypted_not_enforced", "claimed"), mutual
    _mutual, plain = steady(lambda: heard("outside", url), lambda pair: "plain text" in pair[1]["evidence"], still=0)
    assert plain["verdict"] == "plaintext_allowed"
    assert "metrics: " in plain["evidence"]
    assert plain_callers(bed.judged(prometheus=asked)) == ["unknown/unknown"]
    probed = run_module("mtls_probe", namespaces=[bed.namespace], probes=["listener"], prometheus=asked)
    assert calls_of(probed)[("*", "solo", 80)]["proof"] == "claimed"
    assert plain_callers(probed) == ["unknown/unknown"]


def test_calls_in_plain_text_are_named_on_the_page(metered: Bed) -> None:
    bed = metered
    asked = {"service": f"{bed.namespace}/prometheus:9090"}
    bed.policies(bed.peer(mode="PERMISSIVE"))

    def seen() -> dict[tuple[str, str], dict[str, Any]]:
        for caller in ("outside", "meshed"):
            bed.call(caller, f"http://{bed.host('solo')}/")
        traffic.update(run_module("traffic_info", namespaces=[bed.namespace], prometheus=asked))
        return {(call["source"], call["security"]): call for call in traffic["calls"] if call["destination"] == solo}

    traffic: dict[str, Any] = {}
    solo = f"{bed.namespace}/solo"
    # The destination knows `meshed` by its service account alone, `default`.
    wanted = {("unknown", "none"), (f"{bed.namespace}/meshed", "mutual_tls")}
    calls = steady(seen, lambda found: wanted <= found.keys(), still=0)
    assert wanted <= calls.keys(), (calls, traffic["unknown"])
    plain = calls["unknown", "none"]
    assert (plain["protocol"], plain["mutual_tls"], plain["reporters"]) == ("http", 0.0, ["destination"])

    page, answer, text = platform.html(
        "local", run_module("platform_info", namespaces=[bed.namespace]), traffic, Limits(1000.0, 0.05)
    )
    assert answer == "no"
    assert "calls in plain text" in text
    assert "Plain text: caller without identity → solo." in page
    assert "caller without identity calls" in page, "in the drawing"
    assert "None of" not in page, "this Prometheus has no alerts, which is not silence"
