# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Prometheus answers, or does not, and what traffic_info makes of it."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import KubeError
from ansible_collections.servicemesh.platform.plugins.module_utils._mesh import traffic_reader
from ansible_collections.servicemesh.platform.plugins.module_utils._mesh.traffic import Part
from ansible_collections.servicemesh.platform.plugins.module_utils._prometheus import (
    Answer,
    Endpoint,
    Failure,
    Prometheus,
    PrometheusError,
)
from ansible_collections.servicemesh.platform.plugins.modules import traffic_info

from tests.unit.plugins.module_utils.conftest import FaultyServer, ok, status

PARTS = {part.value for part in Part}


def alerting(name: str = "ecommerce.services", **rule: Any) -> dict[str, Any]:
    return {"name": name, "rules": [{"name": "HighErrorRate", "health": "ok", "alerts": [], **rule}]}


class Answers:
    """A Prometheus with ready answers."""

    def __init__(self, groups: Any = None, warnings: tuple[str, ...] = (), fails: bool = False) -> None:
        self.groups, self.warnings, self.fails = groups or [], warnings, fails

    def _answer(self, kind: str) -> Answer:
        if self.fails:
            raise PrometheusError(Failure.UNREACHABLE, "Prometheus (x): it is gone")
        return Answer(kind, [], self.warnings)

    def query(self, _promql: str, **_more: Any) -> Answer:
        return self._answer("vector")

    def query_range(self, _promql: str, **_more: Any) -> Answer:
        return self._answer("matrix")

    def alerting_rules(self, **_more: Any) -> Any:
        self._answer("")
        return self.groups


def found(prometheus: Any) -> traffic_reader.Findings:
    each = lambda function, items: [function(item) for item in items]  # noqa: E731
    return traffic_reader.read(prometheus, each, ["shop"], "ecommerce.", 1000.0, 5.0)


def test_what_has_no_answer_is_unknown_by_its_name() -> None:
    unknown = found(Answers(fails=True)).unknown
    assert {entry["part"] for entry in unknown} == PARTS
    assert {entry["why"] for entry in unknown} == {"Prometheus (x): it is gone"}


def test_an_answer_with_warnings_is_not_the_whole() -> None:
    unknown = found(Answers([alerting()], warnings=("a store is down",))).unknown
    assert {entry["part"] for entry in unknown} == PARTS - {"alerts"}
    assert all("a store is down" in entry["why"] for entry in unknown)


@pytest.mark.parametrize(
    ("groups", "words"),
    [
        ([], "no alerting rule in a group whose name begins with ecommerce."),
        ([alerting("kube.rules")], "no alerting rule in a group whose name begins with ecommerce."),
        ([alerting(health="err", lastError="no such metric")], "1 of 1 rules: HighErrorRate: no such metric"),
        ([alerting(health="unknown")], "HighErrorRate: not evaluated yet"),
        ([alerting()], ""),
    ],
)
def test_silence_counts_only_where_rules_are_evaluated(groups: Any, words: str) -> None:
    unknown = found(Answers(groups)).unknown
    # Rules that are not evaluated may be those that record objectives: that there is none is not known then.
    parts = ["alerts", "budgets"] if "HighErrorRate" in words else ["alerts"]
    assert [entry["part"] for entry in unknown] == (parts if words else [])
    assert words in (unknown[0]["why"] if unknown else "")


def test_alerts_have_their_words_and_the_platforms_come_first() -> None:
    alert = {
        "state": "firing",
        "activeAt": "2026-01-01T00:00:00Z",
        "labels": {
            "alertname": "HighErrorRate",
            "severity": "critical",
            "destination_service_name": "cart",
            "namespace": "shop",
        },
        "annotations": {"summary": "cart fails"},
    }
    groups = [
        alerting("others", alerts=[{"state": "firing", "labels": {}}]),
        alerting(alerts=[{**alert, "state": "pending"}, alert]),
    ]
    result = found(Answers(groups))
    assert [(entry["own"], entry["state"]) for entry in result.alerts] == [
        (True, "firing"),
        (True, "pending"),
        (False, "firing"),
    ]
    first = result.alerts[0]
    assert (first["name"], first["severity"], first["subject"]) == ("HighErrorRate", "critical", "shop/cart")
    assert (first["summary"], result.alert_rules) == ("cart fails", 1)


class Slow(Answers):
    """Has requests to a workload from the third question on; the first two are an error and an empty answer."""

    asked = 0

    def query_range(self, _promql: str, **_more: Any) -> Answer:
        self.asked += 1
        self.fails = self.asked == 1
        answer = self._answer("matrix")
        labels = {"destination_workload": "cart", "destination_workload_namespace": "shop", "response_code": "200"}
        return answer if self.asked < 3 else Answer("matrix", [{"metric": labels, "values": [[1.0, "2"]]}], ())


def test_requests_are_waited_for_until_they_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(traffic_reader.time, "sleep", pauses.append)
    slow = Slow()
    assert traffic_reader.await_requests(slow, ["shop"], ["shop/cart"], 60.0, 5.0) == []  # type: ignore[arg-type]
    assert (slow.asked, len(pauses)) == (3, 2)
    assert traffic_reader.await_requests(slow, ["shop"], ["shop/cart", "shop/none"], 1.0, 5.0) == ["shop/none"]  # type: ignore[arg-type]


def test_what_is_waited_for_is_in_a_namespace_that_is_read() -> None:
    class Module:
        params = {"namespaces": ["shop"], "wait_for": ["shop/cart", "cart", "other/cart"]}

    with pytest.raises(KubeError, match=r"wait_for is cart, other/cart: expected namespace/name, of one of .* shop"):
        traffic_info.work(Module())  # type: ignore[arg-type]


def test_without_a_prometheus_everything_is_unknown_and_nobody_is_asked() -> None:
    class Module:
        params = {"namespaces": ["shop"], "prometheus": {}, "rule_groups": "ecommerce.", "timeout": 5.0, "wait_for": []}

    result = traffic_info.work(Module())
    assert {entry["part"] for entry in result["unknown"]} == PARTS
    assert (result["address"], result["calls"], result["alert_rules"]) == ("", [], 0)


# The API ---------------------------------------------------------------------------------------------------------------


def test_a_range_and_the_rules_are_asked_for_as_the_api_has_it(faulty: FaultyServer) -> None:
    series = [{"metric": {}, "values": [[1.0, "2"]]}]
    faulty.answers = [
        ok(status="success", data={"resultType": "matrix", "result": series}),
        ok(status="success", data={"groups": [alerting()]}),
    ]
    prometheus = Prometheus(Endpoint(url=faulty.url))
    assert prometheus.query_range("up", start=1.0, end=61.0, step=30).series == series
    assert prometheus.alerting_rules() == [alerting()]
    assert [path for _method, path, _headers in faulty.seen] == [
        "/api/v1/query_range?query=up&start=1.000&end=61.000&step=30&timeout=15s",
        "/api/v1/rules?type=alert",
    ]


@pytest.mark.parametrize(
    "data",
    [
        {"resultType": "vector", "result": []},
        {"groups": None},
        {"groups": [{"rules": [1]}]},
        {"groups": [{"rules": [{"alerts": 1}]}]},
    ],
)
def test_an_answer_of_another_shape_is_an_error(faulty: FaultyServer, data: Any) -> None:
    prometheus = Prometheus(Endpoint(url=faulty.url))
    faulty.script = lambda _method, _path: ok(status="success", data=data)
    with pytest.raises(PrometheusError, match="not one of Prometheus"):
        prometheus.query_range("up", start=1.0, end=2.0, step=1, budget=0)
    with pytest.raises(PrometheusError, match="not one of Prometheus"):
        prometheus.alerting_rules(budget=0)


def test_rules_that_are_not_complete_are_an_error(faulty: FaultyServer) -> None:
    faulty.answers = [ok(status="success", data={"groups": []}, warnings=["half of them"]), status(403)]
    prometheus = Prometheus(Endpoint(url=faulty.url))
    for words in ("half of them", "HTTP 403"):
        with pytest.raises(PrometheusError, match=words):
            prometheus.alerting_rules(budget=0)
