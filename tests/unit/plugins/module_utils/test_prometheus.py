# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Queries by URL and through the API server's proxy: what is asked, what comes back, how errors are told apart."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.client import Client
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import KubeError
from ansible_collections.servicemesh.platform.plugins.module_utils._prometheus import (
    OPTION,
    Answer,
    Endpoint,
    Prometheus,
    PrometheusError,
    given_endpoint,
)

from tests.unit.plugins.module_utils.conftest import RESET, FaultyServer, ok, status

SERVICE = "monitoring/prometheus:9090"
SERIES = [{"metric": {"a": "b"}, "value": [1.0, "NaN"]}]


def found(result: Any, kind: str = "vector", **more: Any) -> Any:
    return ok(status="success", data={"resultType": kind, "result": result}, **more)


def refused(code: int, kind: str, text: str) -> Any:
    """An error as Prometheus words it."""
    return code, {"status": "error", "errorType": kind, "error": text}, {}


@pytest.fixture(params=["url", "proxy"])
def prometheus(request: pytest.FixtureRequest, faulty: FaultyServer) -> Prometheus:
    """Both ways to the same server."""
    if request.param == "url":
        return Prometheus(Endpoint(url=f"{faulty.url}/prom/"))
    return Prometheus(Endpoint(service=SERVICE), Client({"host": faulty.url, "api_key": "t"}, environ={}))


def asked(faulty: FaultyServer) -> tuple[str, dict[str, list[str]]]:
    parts = urlsplit(faulty.seen[-1][1])
    return parts.path, parse_qs(parts.query)


def test_the_series_come_back_as_they_are(prometheus: Prometheus, faulty: FaultyServer) -> None:
    faulty.answers = [found(SERIES, warnings=["half of it"])]
    assert prometheus.query('up{job="a b"} > 0', at=12.5) == Answer("vector", SERIES, ("half of it",))
    path, query = asked(faulty)
    assert path.endswith(("/prom/api/v1/query", f"/services/{SERVICE.partition('/')[2]}/proxy/api/v1/query"))
    assert query == {"query": ['up{job="a b"} > 0'], "time": ["12.500"], "timeout": ["15s"]}


def test_nothing_is_an_answer_and_a_scalar_is_a_series(prometheus: Prometheus, faulty: FaultyServer) -> None:
    faulty.answers = [found([]), found([5.0, "3"], "scalar")]
    assert prometheus.query("x").series == []
    assert prometheus.query("3").series == [{"metric": {}, "value": [5.0, "3"]}]
    assert prometheus.queries == 2


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (refused(400, "bad_data", "parse error: unexpected end"), "query"),
        (refused(422, "execution", "query timed out"), "execution"),
        (status(403, 'services "prometheus" is forbidden', "Forbidden"), "refused"),
        (status(401, "Unauthorized"), "refused"),
        (status(404, "no such service", "NotFound"), "unreachable"),
        (refused(503, "timeout", "too busy"), "unreachable"),
    ],
)
def test_errors_have_their_kind(prometheus: Prometheus, faulty: FaultyServer, answer: Any, kind: str) -> None:
    faulty.script = lambda *_: answer
    with pytest.raises(PrometheusError) as caught:
        prometheus.query("x", budget=0.0)
    assert caught.value.kind == kind
    if "error" in answer[1]:
        assert answer[1]["error"] in str(caught.value)


@pytest.mark.parametrize(
    "body", [{}, {"status": "success"}, {"status": "error"}, {"data": {"result": []}}, {"kind": "Pod"}]
)
def test_somebody_else_is_not_taken_for_prometheus(prometheus: Prometheus, faulty: FaultyServer, body: Any) -> None:
    faulty.script = lambda *_: (200, body, {})
    with pytest.raises(PrometheusError, match="not one of Prometheus") as caught:
        prometheus.query("x", budget=0.0)
    assert caught.value.kind == "unreachable"


def test_what_passes_is_asked_again(prometheus: Prometheus, faulty: FaultyServer) -> None:
    faulty.answers = [status(503), found(SERIES)]
    assert prometheus.query("x", budget=5.0).series == SERIES
    faulty.answers = [refused(400, "bad_data", "no"), found(SERIES)]
    with pytest.raises(PrometheusError, match="no"):
        prometheus.query("x", budget=5.0)
    assert len(faulty.answers) == 1, "a wrong query is not sent twice"


def test_a_server_that_hangs_up_is_told_within_the_budget(prometheus: Prometheus, faulty: FaultyServer) -> None:
    faulty.script = lambda *_: RESET
    start = time.monotonic()
    with pytest.raises(PrometheusError) as caught:
        prometheus.query("x", budget=0.5)
    assert caught.value.kind == "unreachable"
    assert time.monotonic() - start < 2.0


def test_headers_and_passwords_are_sent_and_not_told(faulty: FaultyServer) -> None:
    user, secret = "joe", "hunter2"
    endpoint = Endpoint(url=faulty.url, headers={"X-Scope-OrgID": "t1"}, username=user, password=secret)
    faulty.answers = [found([]), status(401)]
    prometheus = Prometheus(endpoint)
    prometheus.query("x")
    sent = {name.lower(): value for name, value in faulty.seen[0][2].items()}
    assert sent["x-scope-orgid"] == "t1"
    assert sent["authorization"].startswith("Basic ")
    with pytest.raises(PrometheusError) as caught:
        prometheus.query("x", budget=0.0)
    assert secret not in str(caught.value)
    assert secret not in repr(endpoint)
    assert secret not in str(Endpoint(url=f"https://{user}:{secret}@prom.example.com:9090/x"))


@pytest.mark.parametrize("service", ["", "prometheus", "monitoring/prometheus", "monitoring/prometheus:", "a/b:c/d"])
def test_a_service_that_is_none_is_named(service: str) -> None:
    with pytest.raises(PrometheusError, match="Expected namespace/name:port"):
        Prometheus(Endpoint(service=service), Client({"host": "http://127.0.0.1:1", "api_key": "t"}, environ={}))


def test_https_behind_the_proxy(faulty: FaultyServer) -> None:
    client = Client({"host": faulty.url, "api_key": "t"}, environ={})
    faulty.answers = [found([])]
    Prometheus(Endpoint(service=f"https:{SERVICE}"), client).query("x")
    assert "/api/v1/namespaces/monitoring/services/https:prometheus:9090/proxy/api/v1/query" in faulty.seen[0][1]


@pytest.mark.parametrize("url", ["prometheus:9090", "ftp://x", "//x"])
def test_a_url_that_is_none_is_named(url: str) -> None:
    with pytest.raises(PrometheusError, match="Expected http"):
        Prometheus(Endpoint(url=url))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"url": "ftp://x"}, "prometheus: url is 'ftp://x'; expected"),
        ({"service": "x"}, "prometheus: service is 'x'; expected"),
        ({"url": "http://x", "service": "a/b:1"}, "prometheus: both a url and a service"),
        ({"service": "a/b:1", "password": "p"}, "prometheus: headers, username and password are for a url"),
        ({"username": "joe"}, "prometheus: neither a url nor a service"),
    ],
)
def test_an_option_that_cannot_be_an_address_is_refused(options: dict[str, str], words: str) -> None:
    with pytest.raises(KubeError, match=words):
        given_endpoint(validated(options))


def test_an_option_that_gives_nothing_is_no_address() -> None:
    assert given_endpoint(None) is None
    assert given_endpoint(validated({})) is None
    assert given_endpoint(validated({"service": "a/b:1"})) == Endpoint(service="a/b:1")


def validated(options: dict[str, str]) -> dict[str, Any]:
    """The option `prometheus` as a module gets it from Ansible."""
    result = ArgumentSpecValidator({"prometheus": OPTION}).validate({"prometheus": options})
    assert not result.error_messages
    return result.validated_parameters["prometheus"]
