# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose fault a failed request is, on real traffic: a bad version never passes, and a good one is not rolled back because of others."""

from __future__ import annotations

import contextlib
import http.server
import threading
import time
from typing import Any

import pytest

from tests.integration.canary.bed import (
    ERRORS,
    GRPC,
    HANG_UP,
    RAW,
    Bed,
    apply,
    assert_back,
    delete,
    query,
    spec_of,
    up,
    wait_for,
)
from tests.integration.fault_proxy import Fault, FaultProxy

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("cluster")]
Obj = dict[str, Any]


# A busy machine has windows without enough scrapes; they are to be followed by others.
PATIENT = {"inconclusives": 8, "blind_limit": 80}
# A version that passes is judged, and not released: what a promotion does is shown elsewhere.
JUDGED = {"steps": [50, 60], "pause_at": 50, "analysis": ERRORS}


def windows(result: Obj) -> list[Obj]:
    return [note for note in result["all_notes"] if note["event"] == "window"]


def assert_passed(result: Obj) -> list[str]:
    """The verdicts of the windows before a pause, of which none is a failure and the last one is a pass."""
    verdicts = [note["verdict"] for note in windows(result)]
    assert result["phase"] == "paused", (result["reason"], [note["message"] for note in windows(result)])
    assert "fail" not in verdicts
    assert verdicts[-1] == "pass"
    return verdicts


def flags(bed: Bed) -> set[tuple[str, str, str]]:
    """Reporter, response code and flags of what Prometheus has had of the canary."""
    recent = 'last_over_time(istio_requests_total{destination_workload="web-canary"}[1m])'
    found = query(bed.client, bed.namespace, recent)
    return {tuple(entry["metric"][key] for key in ("reporter", "response_code", "response_flags")) for entry in found}  # type: ignore[misc]


def test_callers_that_hang_up_do_not_fail_a_good_version(bed: Bed) -> None:
    with bed.callers(HANG_UP):
        result = bed.drive(**bed.options(interval=5, **JUDGED, **PATIENT))
    assert_passed(result)
    assert {("source", "0", "DC"), ("destination", "0", "DC")} <= flags(bed)


def test_a_version_that_fails_every_grpc_call_goes_back(bed: Bed) -> None:
    """The status is in the trailers; each response is 200."""
    spec = spec_of(bed)
    with bed.callers(GRPC):
        result = bed.drive(**bed.options(new={"GRPC_STATUS": 13}, interval=5, analysis=ERRORS, **PATIENT))
    assert_back(bed, spec, result)
    assert "success_rate" in result["reason"]
    assert {("source", "200", "-"), ("destination", "200", "-")} <= flags(bed)
    assert result["proof"]["proved"], result["proof"]


def test_connections_are_shifted_proved_and_judged(bed: Bed) -> None:
    """A TCP service: its weights stand in the listeners of the proxies."""
    apply(bed, bed.raw())
    definition = bed.app("canary", "v2")
    analysis = [{"metric": "tcp_success_rate", "min": 0.95, "min_requests": 10}]
    options = bed.options(interval=5, service="raw", canary_definitions=[definition], analysis=analysis, **PATIENT)
    with bed.callers(RAW):
        result = bed.drive(**options, stable_deployment="web", canary_deployment="web-canary")
    assert result["phase"] == "promoted", result["reason"]
    proofs = [note["message"] for note in result["all_notes"] if note["event"] == "proved"]
    assert proofs[0].startswith("50 % is proved"), proofs
    assert "fail" not in {window["verdict"] for window in windows(result)}
    delete(bed, f"/api/v1/namespaces/{bed.namespace}/configmaps/canary-raw")


def test_a_version_that_does_not_listen_goes_back(bed: Bed) -> None:
    """Its sidecar cannot connect to it; it is ready until the probe has failed often enough."""
    spec = spec_of(bed)
    result = bed.drive(**bed.options(new={"DEAF_AFTER": 20}, interval=5, analysis=ERRORS, **PATIENT))
    assert_back(bed, spec, result)
    assert "success_rate" in result["reason"]
    assert any(code == "503" and "UF" in flag for _reporter, code, flag in flags(bed)), flags(bed)


@pytest.mark.parametrize(
    ("new", "interval", "seen"),
    [({"CUT_RATE": 0.4}, 5, ("destination", "503", "UC")), ({"LATENCY_MS": 8000}, 12, ("source", "504", "UT"))],
    ids=["broken off", "later than the route's timeout"],
)
def test_a_version_whose_answers_do_not_come_goes_back(
    bed: Bed, new: Obj, interval: float, seen: tuple[str, str, str]
) -> None:
    spec = spec_of(bed)
    analysis = [{"metric": "success_rate", "min": 0.95, "min_requests": 2}]
    result = bed.drive(**bed.options(new=new, interval=interval, analysis=analysis, **PATIENT))
    assert_back(bed, spec, result)
    assert f"server: {seen[2]}" in result["reason"]
    assert seen in flags(bed)


class Between(http.server.BaseHTTPRequestHandler):
    """Prometheus, as somebody between gives it back."""

    bed: Bed
    mode = "whole"

    def do_GET(self) -> None:
        """Its answer: whole, late, or a page instead."""
        path = f"/api/v1/namespaces/{self.bed.namespace}/services/prometheus:9090/proxy{self.path}"
        body = self.bed.client.read(path, seconds=20, most=50_000_000)
        if self.mode == "late":
            time.sleep(6)
        if self.mode == "page":
            body = b"<html>Please log in</html>"
        with contextlib.suppress(ConnectionError):
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, *_args: Any) -> None:
        """Says nothing."""


@pytest.mark.parametrize("mode", ["late", "page"])
def test_answers_of_prometheus_that_are_none_end_in_time(bed: Bed, mode: str) -> None:
    spec = spec_of(bed)
    between = type("Here", (Between,), {"bed": bed})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), between)
    threading.Thread(target=server.serve_forever, daemon=True).start()

    def spoil(result: Obj) -> bool:
        between.mode = mode if result["phase"] == "analysing" else between.mode
        return False

    try:
        url = f"http://127.0.0.1:{server.server_port}"
        result = bed.drive(
            until=spoil, **bed.options(interval=4, inconclusives=2, prometheus={"url": url}, analysis=ERRORS)
        )
    finally:
        server.shutdown()
        server.server_close()
    assert_back(bed, spec, result)
    notes = {note["event"]: note["time"] for note in result["all_notes"]}
    assert {note["verdict"] for note in windows(result)} <= {"inconclusive"}, result["all_notes"]
    assert notes["rolling_back"] - notes["proved"] <= 30 + 4, "blind_limit, and a check under way"


def test_too_few_requests_are_no_pass(bed: Bed) -> None:
    spec = spec_of(bed)
    few = [{"metric": "success_rate", "min": 0.95, "min_requests": 100000}]
    result = bed.drive(**bed.options(interval=3, inconclusives=2, analysis=few))
    assert_back(bed, spec, result)
    assert "requests in 3 s; expected at least 100000" in result["reason"]


def test_a_prometheus_that_lost_its_data_fails_no_good_version(bed: Bed) -> None:
    pods = f"/api/v1/namespaces/{bed.namespace}/pods"
    lost: list[str] = []

    def lose(result: Obj) -> bool:
        if windows(result) and not lost:
            (pod,) = bed.client.list_all(pods, {"labelSelector": "app=prometheus"})[0]
            lost.append(pod["metadata"]["name"])
            bed.client.request("DELETE", f"{pods}/{lost[0]}", query={"gracePeriodSeconds": "0"})
        return False

    options = bed.options(interval=4, passes=3, inconclusives=20, blind_limit=60, **JUDGED)
    result = bed.drive(until=lambda one: lose({"all_notes": one.get("notes") or []}), **options)
    wait_for(lambda: up(bed), "Prometheus")
    assert lost
    assert "inconclusive" in assert_passed(result), "what it did not see is not known"


def test_a_driver_that_cannot_reach_the_api_server_goes_on_when_it_can(bed: Bed) -> None:
    away, outages = threading.Event(), list[str]()

    def look(result: Obj) -> bool:
        if result.get("phase") == "analysing" and not outages:
            away.set()
        if result.get("outage"):
            outages.append(result["outage"])
            away.clear()
        return False

    with FaultProxy(lambda _request: Fault(cut="before") if away.is_set() else None) as proxy:
        # No weight is proved: port forwards do not pass this proxy.
        result = bed.drive(look, **bed.options(interval=4, proof_samples=0, **JUDGED, **PATIENT, **proxy.connection))
    assert_passed(result)
    (outage,) = outages
    assert proxy.url in outage


def test_a_pod_that_is_replaced_in_a_window_counts_from_its_own_beginning(bed: Bed) -> None:
    pods = f"/api/v1/namespaces/{bed.namespace}/pods"
    replaced: list[str] = []

    def replace(result: Obj) -> bool:
        if result["phase"] == "analysing" and not replaced:
            found = bed.client.list_all(pods, {"labelSelector": "app=web,track=canary"})[0]
            replaced.append(found[0]["metadata"]["name"])
            bed.client.request("DELETE", f"{pods}/{replaced[0]}")
        return False

    definition = bed.app("canary", "v2", replicas=2)
    options = bed.options(
        interval=6, passes=2, inconclusives=6, blind_limit=60, canary_definitions=[definition], **JUDGED
    )
    result = bed.drive(until=replace, **options)
    assert replaced
    assert_passed(result)
