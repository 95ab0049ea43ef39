# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Providers of metrics: whatever a server answers, a window gets a check with a reason, and a start says what it found out."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from typing import Any, cast
from unittest.mock import MagicMock
from urllib.parse import parse_qs, urlsplit

import pytest
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis import entries, metrics
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.providers import (
    asking,
    http,
    job,
    registry,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.providers.base import Trial
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.runner import Measurer
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.verdict import (
    Check,
    Pending,
    Verdict,
    sample_of_value,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.options import APPROVAL, METRIC
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.client import Client
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import ApiError, UnreachableError
from ansible_collections.servicemesh.platform.plugins.module_utils._prometheus import Endpoint, Prometheus

from tests.unit.plugins.module_utils.conftest import FaultyServer, RawServer, ok

Obj = dict[str, Any]
CANARY = metrics.Subject("web", "shop", "canary", "web-canary")
STABLE = metrics.Subject("web", "shop", "stable", "web")


class Cluster:
    """An API server with Jobs. `refuses`: the error of a method."""

    def __init__(self) -> None:
        self.jobs: dict[str, Any] = {}
        self.refuses: dict[str, Exception] = {}
        self.asked: list[tuple[str, Obj]] = []

    def each(self, work: Callable[[Any], Any], items: Any) -> list[Any]:
        return [work(item) for item in items]

    def get(self, path: str, **_more: Any) -> Any:
        if "GET" in self.refuses:
            raise self.refuses["GET"]
        return self.jobs.get(path.rpartition("/")[2])

    def request(self, method: str, path: str, *, body: Obj, query: Obj | None = None, **_more: Any) -> tuple[int, Obj]:
        assert (method, path) == ("POST", "/apis/batch/v1/namespaces/shop/jobs")
        if "POST" in self.refuses:
            raise self.refuses["POST"]
        self.asked.append((path, query or {}))
        if not query:
            self.jobs[body["metadata"]["name"]] = body
        return 201, body


def measurer(prometheus: Prometheus | None = None, cluster: Cluster | None = None) -> Measurer:
    return Measurer(cast(Client, cluster or Cluster()), prometheus, CANARY, STABLE)


def checked(entry: Obj, measuring: Measurer, waited: float = 0.0) -> Check:
    assert entries.findings([entry], prometheus=True) == []
    return measuring.measure(entries.metrics_of([entry]), 60.0, "canary-web-abc123-0-17", waited)[0]


def tried(entry: Obj, measuring: Measurer) -> Trial:
    assert entries.findings([entry], prometheus=True) == []
    return measuring.tried(entries.metrics_of([entry]))


# Registry ------------------------------------------------------------------------------------------------------------


def test_everything_about_providers_comes_from_the_registry() -> None:
    for name, provider in registry.PROVIDERS.items():
        assert provider.option == name
        assert name in provider.options
        assert set(provider.approval_options) <= set(provider.options)
        for option, spec in provider.options.items():
            assert spec == registry.DOCUMENTED[option], "an option that two providers share means the same"
            assert spec.items() >= METRIC[option].items()
            assert spec["description"]
        assert all(option in APPROVAL for option in provider.approval_options)
    assert {"headers"} == registry.SECRETS


@pytest.mark.parametrize("error", [ValueError("x"), RecursionError(), KeyError("y"), MemoryError(), TypeError("z")])
def test_an_error_that_nobody_foresaw_is_an_inconclusive_check_that_names_it(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def broken(*_args: Any, **_options: Any) -> Any:
        raise error

    for provider in registry.PROVIDERS.values():
        monkeypatch.setattr(type(provider), "judged", broken)
        monkeypatch.setattr(type(provider), "tried", broken)
    measuring = measurer(MagicMock())
    for entry in ENTRIES.values():
        check = checked(entry, measuring)
        assert check.verdict is Verdict.INCONCLUSIVE
        assert f"the measurement failed: {type(error).__name__}" in check.reason
        assert type(error).__name__ in tried(entry, measuring).not_tried[0]
    assert checked({**ENTRIES["url"], "otherwise": {"error": "pass"}}, measuring).verdict is Verdict.INCONCLUSIVE


def test_an_error_of_the_numbers_for_people_is_no_error_of_the_run() -> None:
    prometheus = MagicMock()
    prometheus.query.side_effect = ZeroDivisionError
    assert measurer(prometheus).shown(60.0) == {"canary": {}, "stable": {}}
    assert "ZeroDivisionError" in measurer(prometheus).requests_inside(CANARY, 60.0).detail


ENTRIES: dict[str, Obj] = {
    "metric": {"metric": "success_rate", "min": 0.9, "reporter": "source"},
    "query": {"name": "own", "query": "x", "min": 0.5},
    "url": {"name": "score", "url": "http://127.0.0.1:1/$subset?token=t", "value": "score", "min": 0.5},
    "job": {"name": "smoke", "job": {"spec": {"template": {"spec": {}}}}},
}


# HTTP ----------------------------------------------------------------------------------------------------------------


def body(data: bytes | str | Any, status: int = 200) -> bytes:
    data = data if isinstance(data, bytes) else json.dumps(data).encode()
    return b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n" % (status, len(data)) + data


ANSWERS = {
    "a number": (body({"score": 0.75}), "score", Verdict.PASS, "0.75"),
    "the text of a number": (body({"score": "1e0"}), "score", Verdict.PASS, "1"),
    "true": (body({"score": True}), "score", Verdict.PASS, "1"),
    "false": (body({"score": False}), "score", Verdict.FAIL, "0 is below"),
    "too low": (body({"score": 0.1}), "score", Verdict.FAIL, "0.1 is below"),
    "an infinite number": (body(b'{"score": Infinity}'), "score", Verdict.INCONCLUSIVE, "the value is inf"),
    "no number": (body(b'{"score": NaN}'), "score", Verdict.INCONCLUSIVE, "NaN"),
    "a number of Python": (body({"score": "1_000"}), "score", Verdict.INCONCLUSIVE, "'1_000' is not a number"),
    "a digit of another script": (body({"score": "\u0661"}), "score", Verdict.INCONCLUSIVE, "is not a number"),
    "a huge number": (body(b'{"score": ' + b"9" * 400 + b"}"), "score", Verdict.INCONCLUSIVE, "too large"),
    "a number that cannot be read": (
        body(b'{"score": ' + b"9" * 5000 + b"}"),
        "score",
        Verdict.INCONCLUSIVE,
        "too long",
    ),
    "nothing there": (body({}), "score", Verdict.INCONCLUSIVE, "the answer has no value"),
    "an object": (body({"score": {}}), "score", Verdict.INCONCLUSIVE, "is a dict; expected a number"),
    "no results": (body({}), "length(results)", Verdict.INCONCLUSIVE, "cannot be found in the answer"),
    "an argument of another type": (body({"a": ["x", {}]}), "sum(a)", Verdict.INCONCLUSIVE, "cannot be found"),
    "keys that cannot be compared": (
        body([{"a": 1}, {"a": "x"}]),
        "max_by(@, &a).a",
        Verdict.INCONCLUSIVE,
        "cannot be",
    ),
    "HTML": (body(b"<html>ok</html>"), "score", Verdict.INCONCLUSIVE, "the answer is not JSON"),
    "no UTF-8": (body(b'{"score": "\xff"}'), "score", Verdict.INCONCLUSIVE, "not text in UTF-8"),
    "deep JSON": (body(b"[" * 100_000), "score", Verdict.INCONCLUSIVE, "nested too deep"),
    "a score twice": (body(b'{"score": 0, "score": 1}'), "score", Verdict.INCONCLUSIVE, "twice"),
    "an error": (body({"score": 1}, 500), "score", Verdict.INCONCLUSIVE, "status 500; expected 200"),
    "no permission": (body({"score": 1}, 401), "score", Verdict.INCONCLUSIVE, "status 401"),
    "cut off": (body({"score": 1})[:-1], "score", Verdict.INCONCLUSIVE, "ended after"),
    "100 MB": (b"HTTP/1.1 200 X\r\nContent-Length: 104857600\r\n\r\n", "score", Verdict.INCONCLUSIVE, "longer than"),
}


@pytest.mark.parametrize("case", ANSWERS)
def test_any_answer_of_an_endpoint_is_judged(raw: RawServer, case: str) -> None:
    sent, path, expected, reason = ANSWERS[case]
    raw.says(sent)
    check = checked({**ENTRIES["url"], "url": f"{raw.url}/$subset?token=t", "value": path}, measurer())
    assert (check.verdict, check.name) == (expected, "score")
    assert reason in check.reason
    assert "token" not in check.reason
    assert raw.seen[0].startswith(b"GET /canary?token=t ")


def test_an_endpoint_has_a_time_limit_and_may_not_be_there(raw: RawServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "SECONDS", 0.3)
    raw.talk = lambda _connection: time.sleep(5)
    check = checked({**ENTRIES["url"], "url": raw.url}, measurer())
    assert (check.verdict, "no complete answer within 0.3 s" in check.reason) == (Verdict.INCONCLUSIVE, True)
    monkeypatch.undo()
    assert "refused" in checked({**ENTRIES["url"], "url": "http://127.0.0.1:1/"}, measurer()).reason


def test_both_versions_are_measured_and_kept_in_the_check(raw: RawServer) -> None:
    raw.talk = lambda connection: connection.sendall(body({"score": 0.9 if b"/stable" in raw.seen[-1] else 0.6}))
    entry = {"name": "score", "url": f"{raw.url}/$subset", "value": "score", "min_ratio": 0.8, "critical": True}
    found = checked(entry, measurer()).as_dict()
    assert {key: found[key] for key in ("value", "stable", "verdict", "critical", "query")} == {
        "value": 0.6, "stable": 0.9, "verdict": "fail", "critical": True, "query": f"{raw.url}/canary",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("length(results)", ""),
        ("merge(a, b, c)", ""),
        ("results[?ok].score | [0]", ""),
        ("a[", "expected a JMESPath expression"),
        ("lenght(results)", "there is no function lenght"),
        ("a.{b: max_by(c)}", "function max_by has 1 arguments; expected 2"),
        ("length(a, b)", "function length has 2 arguments; expected 1"),
    ],
)
def test_expressions_are_tried_at_the_start(path: str, reason: str) -> None:
    found = tried({**ENTRIES["url"], "value": path}, measurer())
    assert bool(found.findings) == bool(reason)
    assert reason in "".join(found.findings)


# Prometheus ----------------------------------------------------------------------------------------------------------


def vector(*series: Any, kind: str = "vector", **more: Any) -> Obj:
    return {"status": "success", "data": {"resultType": kind, "result": list(series)}, **more}


ONE = {"metric": {}, "value": [100.0, "1"]}
SHAPES: dict[str, tuple[Any, str]] = {
    "no data": ({"status": "success"}, "not one of Prometheus"),
    "data of another shape": ({"status": "success", "data": []}, "not one of Prometheus"),
    "a result of another shape": ({"status": "success", "data": {"resultType": "vector", "result": {}}}, "not one of"),
    "an unknown type": (vector(ONE, kind="tensor"), "not one of Prometheus"),
    "a series of another shape": (vector(1), "not one of Prometheus"),
    "labels of another shape": (vector({"metric": [], "value": [1, "1"]}), "not one of Prometheus"),
    "no value": (vector({"metric": {}}), "not one of Prometheus"),
    "a value of another shape": (vector({"metric": {}, "value": "1"}), "not one of Prometheus"),
    "half a value": (vector({"metric": {}, "value": [1]}), "not one of Prometheus"),
    "a number and no text": (vector({"metric": {}, "value": [1, 1]}), "not one of Prometheus"),
    "no time": (vector({"metric": {}, "value": ["x", "1"]}), "not one of Prometheus"),
    "a time for ever": (vector({"metric": {}, "value": [10**400, "1"]}), "not one of Prometheus"),
    "no number": (vector({"metric": {}, "value": [1, "one"]}), "'one' is not a number"),
    "an infinite number": (vector({"metric": {}, "value": [1, "+Inf"]}), "the value is inf"),
    "NaN": (vector({"metric": {}, "value": [1, "NaN"]}), "NaN"),
    "a histogram": (vector({"metric": {}, "histogram": [1, {}]}), "no single value"),
    "several series": (vector(ONE, ONE), "2 series"),
    "no series": (vector(), "no series"),
    "a range": (vector({"metric": {}, "values": [[1, "1"]]}, kind="matrix"), "returns a matrix; expected one number"),
    "a text": (vector(1.0, "1", kind="string"), "returns a string; expected one number"),
    "a part (Thanos)": (vector(ONE, warnings=["store x is gone"]), "partial: store x is gone"),
    "warnings of another shape": (vector(ONE, warnings="gone"), "partial: gone"),
    "a part (VictoriaMetrics)": (vector(ONE, isPartial=True), "partial: isPartial"),
    "a list": ([ONE], "not one of Prometheus"),
    "a failed query": ({"status": "error", "error": "x"}, "not one of Prometheus"),
}


@pytest.fixture(params=["url", "proxy"])
def reach(request: pytest.FixtureRequest) -> Callable[[str], Prometheus]:
    """Both ways to a server."""

    def prometheus(url: str) -> Prometheus:
        if request.param == "url":
            return Prometheus(Endpoint(url=url))
        client = Client({"host": url, "api_key": "t"}, environ={})
        return Prometheus(Endpoint(service="monitoring/prometheus:9090"), client)

    return prometheus


@pytest.mark.parametrize("case", SHAPES)
def test_any_answer_of_prometheus_is_judged(reach: Any, raw: RawServer, case: str) -> None:
    sent, reason = SHAPES[case]
    raw.says(body(sent))
    check = checked(ENTRIES["query"], measurer(reach(raw.url)))
    assert (check.verdict, check.value) == (Verdict.INCONCLUSIVE, None)
    assert reason in check.reason


BYTES = {
    "HTML": (body(b"<html>"), "not JSON"),
    "deep JSON": (body(b"[" * 100_000), "nested too deep"),
    "no UTF-8": (body(b'"\xff"'), "UTF-8"),
    "too long": (body(b" " * 200_000 + json.dumps(vector(ONE)).encode()), "longer than 150000 bytes"),
    "cut off": (body(vector(ONE))[:-1], "."),
    "no HTTP": (b"HELLO\r\n\r\n", "."),
    "nothing": (b"", "."),
    "a broken chunk": (b"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "."),
    "compressed": (b"HTTP/1.1 200 X\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n\x1f\x8b", "."),
    "deep JSON of an error": (body(b"[" * 100_000, 404), "."),
}


@pytest.mark.parametrize("case", BYTES)
def test_any_bytes_of_prometheus_are_judged_in_time(
    reach: Any, raw: RawServer, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    sent, reason = BYTES[case]
    monkeypatch.setattr(asking, "QUERY_SECONDS", 0.3 if reason == "." else 5.0)  # those with "." are asked for again
    monkeypatch.setattr(asking, "MOST", 150_000)
    raw.says(sent)
    start = time.monotonic()
    check = checked(ENTRIES["query"], measurer(reach(raw.url)))
    assert (check.verdict, check.value) == (Verdict.INCONCLUSIVE, None)
    assert re.search(reason, check.reason)
    assert time.monotonic() - start < 4
    assert reason == "." or len(raw.seen) == 1, "what will be the same the next time is not asked for again"


@pytest.mark.parametrize("first", [b"", b"HTTP/1.1 200 X\r\n\r\n", b"HTTP/1.1 200 X\r\nContent-Length: 1999\r\n\r\n"])
def test_a_prometheus_with_a_byte_now_and_then_has_a_time_limit(
    reach: Any, raw: RawServer, monkeypatch: pytest.MonkeyPatch, first: bytes
) -> None:
    monkeypatch.setattr(asking, "QUERY_SECONDS", 0.4)

    def talk(connection: Any) -> None:
        connection.sendall(first)
        while first:
            connection.sendall(b" ")
            time.sleep(0.03)
        time.sleep(5)

    raw.talk = talk
    start = time.monotonic()
    check = checked(ENTRIES["query"], measurer(reach(raw.url)))
    assert check.verdict is Verdict.INCONCLUSIVE
    assert "no complete answer within 0.4 s" in check.reason
    assert time.monotonic() - start < 3


SERVED = {"part": "sure", "request_protocol": "http", "response_code": "200", "response_flags": "-"}


class Asked:
    """A Prometheus with these metrics. `numbers`: answers to queries that contain a text, else nothing."""

    def __init__(self, faulty: FaultyServer, names: dict[str, list[str]], **numbers: str) -> None:
        self.names, self.numbers, self.trees = names, numbers, {}  # type: ignore[var-annotated]
        self.broken: set[str] = set()
        faulty.script = self.answer
        self.prometheus = Prometheus(Endpoint(url=faulty.url))

    def answer(self, _method: str, path: str) -> Any:
        name, query = urlsplit(path).path, parse_qs(urlsplit(path).query)
        if name in self.broken:
            return 422, {"status": "error", "error": "too much"}, {}
        if name == "/api/v1/query":
            text = query["query"][0]
            if '"asked"' in text:
                return ok(**vector({"metric": {"part": "asked"}, "value": [100.0, "1"]}))
            labels = SERVED if '"sure"' in text else {}
            found = [value for name, value in self.numbers.items() if name in text]
            return ok(**vector(*({"metric": labels, "value": [100.0, value]} for value in found[:1])))
        if name == "/api/v1/label/__name__/values":
            return ok(status="success", data=list(self.names))
        if name == "/api/v1/labels":
            selector = query["match[]"][0]
            found = [labels for metric, labels in self.names.items() if metric in selector]
            of_service = "destination_service_name=" in selector
            return ok(status="success", data=found[0] if found and (not of_service or "web" in found[0]) else [])
        if name == "/api/v1/parse_query" and query["query"][0] in self.trees:
            return ok(status="success", data=self.trees[query["query"][0]])
        return 404, {}, {}


def test_names_and_labels_of_a_query_are_tried_at_the_start(faulty: FaultyServer) -> None:
    asked = Asked(faulty, {"basket_total": ["__name__", "workload", "code"], "up": ["job"]})
    measuring = measurer(asked.prometheus)
    good = 'sum(rate(basket_total{workload="$workload"}[$window])) / scalar(count(up))'
    assert tried({"name": "x", "query": good, "max": 1}, measuring) == Trial()
    wrong = 'basket_totals{workload="$workload"} / basket_total{workloads="$workload",kode!~"5.."}'
    for more, place in (({}, "findings"), ({"dry_run": True}, "no_samples")):
        entry = {"name": "x", "query": wrong, "max": 1, **more}
        found = getattr(measuring.tried(entries.metrics_of([entry])), place)
        assert [text.partition(". ")[0] for text in found] == [
            "analysis x: Prometheus has no metric basket_totals; similar: basket_total",
            "analysis x: basket_total has no label kode; similar: code",
            "analysis x: basket_total has no label workloads; similar: workload",
        ]
    fresh = {"name": "x", "query": "up", "max": 1, "freshness": "timestamp(upp)"}
    assert "no metric upp" in tried(fresh, measuring).findings[0]


def test_what_cannot_be_tried_is_said_and_not_refused(faulty: FaultyServer) -> None:
    asked = Asked(faulty, {"up": ["job"]})
    unread = tried({"name": "x", "query": 'up{job="a" or job="b"}', "max": 1}, measurer(asked.prometheus))
    assert (unread.findings, "not understood" in unread.not_tried[0]) == ((), True)
    nameless = tried({"name": "x", "query": '{job="a"}', "max": 1}, measurer(asked.prometheus))
    assert (nameless.findings, "without the name of a metric" in nameless.not_tried[0]) == ((), True)
    asked.trees["x y"] = {"type": "vectorSelector", "matchers": [{"name": "__name__", "type": "=", "value": "upp"}]}
    tree = tried({"name": "x", "query": "x y", "max": 1}, measurer(asked.prometheus))
    assert "similar: up" in tree.findings[0], "Prometheus 3 reads its own language best"


@pytest.mark.parametrize("path", ["/api/v1/label/__name__/values", "/api/v1/labels"])
def test_a_list_that_prometheus_does_not_give_refuses_nothing(faulty: FaultyServer, path: str) -> None:
    asked = Asked(faulty, {"up": ["job"]})
    asked.broken.add(path)
    found = tried({"name": "x", "query": 'up{job="a"}', "max": 1}, measurer(asked.prometheus))
    assert (found.findings, "were not checked" in found.not_tried[0]) == ((), True)


ISTIO = ["__name__", "reporter", "destination_service_name", "destination_service_namespace", "destination_workload",
         "request_protocol", "response_code", "response_flags", "pod", "namespace", "job", "instance"]  # fmt: skip
TOTAL = "istio_requests_total"


@pytest.mark.parametrize(
    ("labels", "place", "words"),
    [
        ([*ISTIO, "web"], "", ""),
        ([*ISTIO[:-1], "web"], "findings", "no label instance"),
        (None, "no_samples", "no istio_requests_total yet, of any service"),
        (ISTIO, "no_samples", "no istio_requests_total of shop/web yet (reporter source)"),
        ([name for name in ISTIO if name != "reporter"], "findings", "no label reporter"),
        ([*(name for name in ISTIO if "workload" not in name), "web"], "findings", "no label destination_workload"),
        ([*ISTIO[:-4], "web"], "findings", "no label pod, namespace, job, instance"),
        (["__name__", "web"], "findings", "response_code, pod"),
    ],
)
def test_the_labels_of_the_built_in_metrics_are_tried(
    faulty: FaultyServer, labels: list[str] | None, place: str, words: str
) -> None:
    asked = Asked(faulty, {} if labels is None else {TOTAL: labels})
    found = tried(ENTRIES["metric"], measurer(asked.prometheus))
    for name in ("findings", "no_samples", "not_tried"):
        assert bool(getattr(found, name)) == (name == place), found
    if place:
        assert words in getattr(found, place)[0]


def test_no_traffic_is_said_in_plain_words(faulty: FaultyServer) -> None:
    asked = Asked(faulty, {})
    check = checked(ENTRIES["metric"], measurer(asked.prometheus))
    assert (check.verdict, check.reporter) == (Verdict.INCONCLUSIVE, "source")
    assert check.reason.startswith("no requests to web-canary in 60 s (reporter source): send traffic to the service")
    few = {"name": "x", "query": "my_metric", "min": 0.5, "min_requests": 50}
    asked.numbers = {"my_metric": "1", TOTAL: "3"}
    check = checked(few, measurer(asked.prometheus))
    assert (check.verdict, check.value, check.requests) == (Verdict.INCONCLUSIVE, 1.0, 3.0)
    assert check.reason == (
        "3 requests in 60 s; expected at least 50: send more traffic, use a longer interval, or lower min_requests"
    )
    for count, words in (("0", "no requests in 60 s;"), ("1", "1 request in 60 s;")):
        asked.numbers[TOTAL] = count
        assert checked(few, measurer(asked.prometheus)).reason.startswith(words)
    asked.numbers = {"my_metric": "1"}
    assert "no requests to web-canary in 60 s" in checked(few, measurer(asked.prometheus)).reason


def test_a_number_that_is_0_stays_in_a_check() -> None:
    check = Check("x", Verdict.FAIL, "0 is below 1", value=0.0, stable=0.0, requests=0.0, reporter="source")
    assert check.as_dict() == {
        "name": "x", "verdict": "fail", "reason": "0 is below 1", "value": 0.0, "stable": 0.0, "requests": 0.0,
        "reporter": "source",
    }  # fmt: skip


def counted(status: str) -> Any:
    """A Prometheus with 30 gRPC calls that ended with a status, as both queries of a built-in metric answer."""

    def answer(_method: str, path: str) -> Any:
        text = parse_qs(urlsplit(path).query)["query"][0]
        if '"asked"' in text:
            return ok(**vector({"metric": {"part": "asked"}, "value": [100.0, "1"]}))
        labels = {**SERVED, "request_protocol": "grpc", "grpc_response_status": status}
        return ok(**vector({"metric": labels, "value": [100.0, "30"]}))

    return answer


@pytest.mark.parametrize(
    ("status", "more", "verdict", "words"),
    [
        ("0", {}, Verdict.PASS, "1, expected"),
        ("13", {}, Verdict.FAIL, "server: gRPC status 13 INTERNAL (30)"),
        ("13", {"grpc_failures": [14]}, Verdict.INCONCLUSIVE, "every answer blames its request"),
        ("5", {"grpc_failures": [5]}, Verdict.FAIL, "NOT_FOUND"),
        ("99", {}, Verdict.INCONCLUSIVE, "grpc_response_status='99'"),
    ],
)
def test_a_grpc_version_is_judged_by_its_status(
    faulty: FaultyServer, status: str, more: Obj, verdict: Verdict, words: str
) -> None:
    faulty.script = counted(status)
    check = checked({**ENTRIES["metric"], **more}, measurer(Prometheus(Endpoint(url=faulty.url))))
    assert (check.verdict, check.requests) == (verdict, 30.0)
    assert words in check.reason


def test_a_status_that_grpc_does_not_have_is_refused() -> None:
    found = entries.findings([{**ENTRIES["metric"], "grpc_failures": [2, 17]}], prometheus=True)
    assert found == ["analysis[0] (success_rate): grpc_failures has 17; expected statuses of gRPC, 0 to 16"]


def test_the_built_in_metrics_ask_for_the_pods_of_the_newest_replica_set(faulty: FaultyServer) -> None:
    asked: list[str] = []

    def answer(method: str, path: str) -> Any:
        asked.append(parse_qs(urlsplit(path).query)["query"][0])
        return counted("0")(method, path)

    faulty.script = answer
    sets = [
        {"metadata": {"name": f"web-canary-{revision}", "ownerReferences": [{"uid": "u"}],
                      "annotations": {"deployment.kubernetes.io/revision": revision}}}
        for revision in ("9", "10")
    ]  # fmt: skip
    cluster = MagicMock()
    cluster.each = Cluster().each
    cluster.get.return_value = {"metadata": {"namespace": "shop", "uid": "u"}, "spec": {"selector": {}}}
    cluster.list_all.return_value = (sets, "1")
    checked({"metric": "success_rate", "min": 0.9}, measurer(Prometheus(Endpoint(url=faulty.url)), cluster))
    destination = [query for query in asked if 'reporter="destination"' in query]
    assert len(destination) == 2
    assert all('pod=~"web-canary-10-[a-z0-9]{5}"' in query for query in destination)


@pytest.mark.parametrize("text", ["1", "-1.5", "+2", ".5", "1e-3", "5.", "1E+9"])
def test_numbers_of_prometheus_and_json_are_numbers(text: str) -> None:
    assert sample_of_value(text).value == float(text)


# Jobs ----------------------------------------------------------------------------------------------------------------


def refusal(code: int, reason: str, message: str = "no") -> ApiError:
    return ApiError("POST", "/x", code, {"kind": "Status", "reason": reason, "message": message})


def created(cluster: Cluster, status: Any) -> Obj:
    """The Job of a window, as the first look creates it, with a status."""
    with pytest.raises(Pending):
        checked(ENTRIES["job"], measurer(cluster=cluster))
    (made,) = cluster.jobs.values()
    made["status"] = status
    return cast(Obj, made)


def conditions(*types: str) -> Obj:
    return {"conditions": [{"type": name, "status": "True", "message": "why"} for name in types]}


@pytest.mark.parametrize(
    ("status", "verdict", "words"),
    [
        (conditions("SuccessCriteriaMet", "Complete"), Verdict.PASS, "completed"),
        (conditions("FailureTarget", "Failed"), Verdict.FAIL, "failed: why"),
        (conditions("Complete", "Failed"), Verdict.INCONCLUSIVE, "both conditions"),
        (conditions("Suspended"), None, "it is suspended"),
        ({"conditions": [{"type": "Complete", "status": "False"}]}, None, "has not finished after 61 s"),
        ({"conditions": {"type": "Complete"}}, None, "has not finished"),
        ({"conditions": ["Complete", None]}, None, "has not finished"),
        ([], None, "has not finished"),
        (None, None, "has not finished"),
    ],
)
def test_a_job_is_judged_by_its_conditions(status: Any, verdict: Verdict | None, words: str) -> None:
    cluster = Cluster()
    created(cluster, status)
    measuring = measurer(cluster=cluster)
    if verdict is None:
        with pytest.raises(Pending):
            checked(ENTRIES["job"], measuring, waited=59.0)
    check = checked(ENTRIES["job"], measuring, waited=0.0 if verdict else 61.0)
    assert check.verdict is (verdict or Verdict.INCONCLUSIVE)
    assert words in check.reason


REFUSALS = {
    "no permission to read": ("GET", refusal(403, "Forbidden", "may not get")),
    "no permission to create": ("POST", refusal(403, "Forbidden", "may not create")),
    "an admission policy": ("POST", refusal(422, "Invalid", "policy says no")),
    "a quota": ("POST", refusal(403, "Forbidden", "exceeded quota")),
    "a conflict": ("POST", refusal(409, "Conflict", "namespace is being terminated")),
    "no answer": ("GET", UnreachableError("cannot be reached")),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_a_job_that_cannot_run_is_inconclusive(case: str) -> None:
    cluster = Cluster()
    method, error = REFUSALS[case]
    cluster.refuses[method] = error
    check = checked(ENTRIES["job"], measurer(cluster=cluster))
    assert check.verdict is Verdict.INCONCLUSIVE
    assert str(error) in check.reason


def test_a_job_that_somebody_deletes_or_has_the_name_of_is_inconclusive() -> None:
    cluster = Cluster()
    made = created(cluster, None)
    name = made["metadata"]["name"]
    del cluster.jobs[name]
    check = checked(ENTRIES["job"], measurer(cluster=cluster), waited=61.0)
    assert (check.verdict, "it was deleted while it ran" in check.reason) == (Verdict.INCONCLUSIVE, True)
    foreign: Any
    for foreign in ({"metadata": {"labels": made["metadata"]["labels"]}}, {"metadata": None}, {}):
        cluster.jobs[name] = {**foreign, "status": conditions("Complete")}
        check = checked(ENTRIES["job"], measurer(cluster=cluster))
        assert (check.verdict, "is not that of this measurement" in check.reason) == (Verdict.INCONCLUSIVE, True)
    del cluster.jobs[name]
    cluster.refuses["POST"] = refusal(409, "AlreadyExists")
    with pytest.raises(Pending):
        checked(ENTRIES["job"], measurer(cluster=cluster))


def test_names_of_jobs_differ_where_windows_and_metrics_do() -> None:
    prefixes = ["canary-web-abc123-0-17", "canary-web-abc123-0-18", "canary-" + "w" * 63 + "-abc123-0-17"]
    names = ["a.b", "a-b", "A-b", "a/b", "x" * 63, "x" * 62 + "y"]
    made = [job.job_name(prefix, name) for prefix in prefixes for name in names]
    assert len(set(made)) == len(made)
    assert all(re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", name) for name in made)


@pytest.mark.parametrize(
    ("error", "place"),
    [
        (None, ""),
        (refusal(422, "Invalid", "restartPolicy: Required value"), "findings"),
        (refusal(403, "Forbidden"), "findings"),
        (refusal(400, "BadRequest", "admission webhook does not support dry run"), "not_tried"),
        (refusal(503, "ServiceUnavailable"), "not_tried"),
    ],
)
def test_a_job_is_tried_by_a_dry_run(error: ApiError | None, place: str) -> None:
    cluster = Cluster()
    if error:
        cluster.refuses["POST"] = error
    found = tried(ENTRIES["job"], measurer(cluster=cluster))
    for name in ("findings", "no_samples", "not_tried"):
        assert bool(getattr(found, name)) == (name == place)
    assert cluster.jobs == {}
    assert [query for _path, query in cluster.asked] == ([] if error else [{"dryRun": "All"}])
