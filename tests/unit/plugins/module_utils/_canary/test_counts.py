# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The built-in queries on series that a Prometheus can have, evaluated by promtool, and what is read from their answers."""

from __future__ import annotations

import math
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis import counts, queries
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.counts import Reading
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.metrics import (
    SUCCESS,
    TCP_SUCCESS,
    Subject,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.verdict import (
    Limits,
    Status,
    Verdict,
)
from hypothesis import given
from hypothesis import strategies as st

from tests.rules import tools

DESTINATION, SOURCE = "destination", "source"
CANARY = Subject("web", "shop", "canary", "web-canary", queries.pod_regex("web-canary-6d5f7c9b8"))
POD, OTHER, CALLER = "web-canary-6d5f7c9b8-abcde", "web-canary-6d5f7c9b8-fghij", "caller-1"
OLD = "web-canary-5c4b8d7f6-abcde"  # a pod of the version before
# A scrape each 5 seconds. The window is 30 s and ends at 122 s: its samples are 19 to 24, the last one before it is 18. No sample is at an
# end of the window, where versions 2 and 3 of Prometheus differ.
SCRAPE, WINDOW, END, LAST = 5, 30.0, 122, 120
UP = "1x24"


def target(pod: str, **more: str) -> dict[str, str]:
    return {"namespace": "shop", "pod": pod, "job": "mesh", "instance": f"{pod}:15020", **more}


def series(name: str, labels: Mapping[str, str]) -> str:
    return name + "{" + ",".join(f'{key}="{value}"' for key, value in labels.items()) + "}"


def up(pod: str, values: str = UP, **more: str) -> tuple[str, str]:
    return series("up", target(pod, **more)), values


def http(
    pod: str, values: str, code: str = "200", flags: str = "-", at: str = DESTINATION, **more: str
) -> tuple[str, str]:
    labels = {
        **target(pod),
        "reporter": at,
        "destination_service": "web.shop.svc.cluster.local",
        "destination_service_name": "web",
        "destination_service_namespace": "shop",
        "destination_workload": "web-canary",
        "request_protocol": "http",
        "response_code": code,
        "response_flags": flags,
        "grpc_response_status": "",
        **more,
    }
    name = labels.pop("name", "istio_requests_total")
    return series(name, labels), values


def nowhere(**more: str) -> tuple[str, str]:
    """Calls for which no pod was chosen, as the caller's proxy reports them."""
    unknown = {"destination_workload": "unknown", "destination_service_namespace": "unknown"}
    return http(CALLER, "0+1x24", "503", "UH", SOURCE, **unknown, **more)


def found(part: str, value: float, code: str = "200", flags: str = "-", **more: str) -> tuple[dict[str, str], float]:
    """A series of the answer with a count."""
    labels = {"request_protocol": "http", "response_code": code, "response_flags": flags}
    return {"part": part, "destination_workload": "web-canary", **labels, **more}, value


def said(part: str, value: float = 1, **labels: str) -> tuple[dict[str, str], float]:
    """A series of the answer that does not count requests."""
    return {"part": part, **labels}, value


@dataclass(frozen=True)
class Case:
    """`given` series and what the two queries have to find in them; `newest` and the query for it are added."""

    name: str
    given: list[tuple[str, str]]
    counted: list[tuple[dict[str, str], float]] = field(default_factory=list)
    trust: list[tuple[dict[str, str], float]] = field(default_factory=list)
    at: str = DESTINATION
    metric: str = SUCCESS
    newest: float | None = LAST
    expected: tuple[float | None, float | None] = (None, None)  # low and high
    verdict: Verdict = Verdict.INCONCLUSIVE
    words: str = ""

    def answers(self) -> list[tuple[dict[str, str], float]]:
        return [*self.counted, *([said("newest", self.newest)] if self.newest is not None else [])]

    def checks(self) -> list[tuple[dict[str, str], float]]:
        return [said("asked"), *self.trust]


PASS, FAIL, INCONCLUSIVE = Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE

CASES = [
    Case("good", [up(POD), http(POD, "0+10x24")], [found("sure", 60)], expected=(1, 1), verdict=PASS),
    Case(
        "bad",
        [up(POD), http(POD, "0+8x24"), http(POD, "0+2x24", "500")],
        [found("sure", 48), found("sure", 12, "500")],
        expected=(0.8, 0.8),
        verdict=FAIL,
        words="server: code 500 (12)",
    ),
    Case(
        "the first error of a pod that was scraped before the window counts from zero",
        [up(POD), http(POD, "0+10x24"), http(POD, "_x20 30x4", "500")],
        [found("sure", 60), found("sure", 30, "500")],
        expected=(2 / 3, 2 / 3),
        verdict=FAIL,
    ),
    Case(
        "the whole version is new, and its pod was scraped before the window",
        [up(POD), http(POD, "_x19 40+10x5")],
        [found("sure", 90)],
        expected=(1, 1),
        verdict=PASS,
    ),
    Case(
        "a pod that was not scraped before the window: good whichever way it is counted",
        [up(POD), http(POD, "0+10x24"), up(OTHER, "_x19 1x5"), http(OTHER, "_x19 500+10x5")],
        [found("sure", 60 + 50), found("doubt", 500)],
        expected=(1, 1),
        verdict=PASS,
    ),
    Case(
        "a server that lost its data: errors of yesterday are not the window's",
        [up(CALLER, "_x19 1x5"), http(CALLER, "_x19 100+10x5", at=SOURCE), http(CALLER, "_x19 55x5", "500", at=SOURCE)],
        [found("sure", 50), found("doubt", 100), found("sure", 0, "500"), found("doubt", 55, "500")],
        at=SOURCE,
        expected=(50 / 105, 1),
        words="155 requests may be older than the window",
    ),
    Case(
        "the same, but it fails now: bad whichever way it is counted",
        [
            up(CALLER, "_x19 1x5"),
            http(CALLER, "_x19 10+1x5", at=SOURCE),
            http(CALLER, "_x19 10+10x5", "500", at=SOURCE),
        ],
        [found("sure", 5), found("doubt", 10), found("sure", 50, "500"), found("doubt", 10, "500")],
        at=SOURCE,
        expected=(5 / 65, 15 / 65),
        verdict=FAIL,
    ),
    Case(
        "a caller that was scraped before the window and had never called the version",
        [up(CALLER), http(CALLER, "_x20 7+1x4", at=SOURCE)],
        [found("sure", 11)],
        at=SOURCE,
        expected=(1, 1),
        verdict=PASS,
    ),
    Case(
        "another job of the same pod was scraped, the proxy was not",
        [up(POD, "_x19 1x5"), up(POD, UP, job="readiness"), http(POD, "_x19 50+10x5"), http(POD, "_x19 9x5", "500")],
        [found("sure", 50), found("doubt", 50), found("sure", 0, "500"), found("doubt", 9, "500")],
        expected=(50 / 59, 1),
    ),
    Case(
        "a previous canary of the same name is not this one",
        [up(POD), http(POD, "0+10x24"), up(OLD), http(OLD, "0+10x24", "500")],
        [found("sure", 60)],
        expected=(1, 1),
        verdict=PASS,
    ),
    Case(
        "the previous canary's errors at a caller grew before the window",
        [up(CALLER), http(CALLER, "0+10x24", at=SOURCE), http(CALLER, "0+10x9 100x14", "500", at=SOURCE)],
        [found("sure", 60), found("sure", 0, "500")],
        at=SOURCE,
        expected=(1, 1),
        verdict=PASS,
    ),
    Case(
        "a pod that ends in the window counts up to its last scrape",
        [up(POD), http(POD, "0+10x24"), up(OTHER, "1x20 stale"), http(OTHER, "0+10x20 stale")],
        [found("sure", 60 + 20)],
        expected=(1, 1),
        verdict=PASS,
    ),
    Case(
        "a pod whose proxy began again",
        [up(POD), http(POD, "0+10x20 0+10x3")],
        [found("sure", 30 - 180)],
        [said("restarted", pod=POD)],
        expected=(None, None),
        words=f"began again in the window, so what they had counted is lost: pod {POD}",
    ),
    Case(
        "a proxy that began again and counts higher than before",
        [up(POD), http(POD, "0+1x20 0+30x3"), http(POD, "3x20 stale", "500")],
        [found("sure", 72), found("sure", 0, "500")],
        [said("restarted", 2, pod=POD)],
        words="began again",
    ),
    Case(
        "failed scrapes at both ends of the window",
        [up(POD, "1x17 0 1x4 0"), http(POD, "0+10x17 stale 190+10x4 stale")],
        [found("sure", 230 - 170)],
        expected=(1, 1),
        verdict=PASS,
        newest=None,
    ),
    Case(
        "no scrape of one pod in the window",
        [up(POD), http(POD, "0+10x24"), up(OTHER, "1x18 0x5"), http(OTHER, "0+10x18 stale")],
        [found("sure", 60)],
        [said("unscraped", pod=OTHER)],
        words=f"no scrape of the window succeeded: pod {OTHER}",
    ),
    Case(
        "a new pod of the version that is not scraped",
        [up(POD), http(POD, "0+10x24"), up(OTHER, "_x19 0x5")],
        [found("sure", 60)],
        [said("unscraped", pod=OTHER)],
        words=f"no scrape of the window succeeded: pod {OTHER}",
    ),
    Case(
        "no scrape of a caller in the window; others that never called do not matter",
        [
            up(CALLER),
            http(CALLER, "0+10x24", at=SOURCE),
            up("caller-2", "1x18 0x5"),
            http("caller-2", "0+10x18 stale", at=SOURCE),
            up("other-3", "0x24"),
        ],
        [found("sure", 60)],
        [said("unscraped", pod="caller-2")],
        at=SOURCE,
        words="no scrape of the window succeeded: pod caller-2",
    ),
    Case("no scrape in the window at all", [up(POD, "1x18"), http(POD, "0+10x18")], newest=90, words="no request"),
    Case("no series", [up(POD)], newest=None, words="no request was counted"),
    Case("no traffic", [up(POD), http(POD, "50x24")], [found("sure", 0)], words="no request was counted"),
    Case(
        "replicas that are told apart by a known label count once",
        [
            up(POD, prometheus_replica="a"),
            up(POD, prometheus_replica="b"),
            http(POD, "0+10x24", prometheus_replica="a"),
            http(POD, "3+10x24", prometheus_replica="b"),
        ],
        [found("sure", 60)],
        expected=(1, 1),
        verdict=PASS,
    ),
    Case(
        "two jobs scrape the same pod: it counts once",
        [
            up(POD),
            up(POD, job="envoy", instance="i:15090"),
            http(POD, "0+10x24"),
            http(POD, "0+10x24", job="envoy", instance="i:15090"),
        ],
        [found("sure", 60)],
        expected=(1, 1),
        verdict=PASS,
    ),
    Case(
        "replicas that are told apart by another label",
        [up(POD, server="a"), up(POD, server="b"), http(POD, "0+10x24", server="a"), http(POD, "0+10x24", server="b")],
        [found("sure", 120)],
        [said("twice", job="mesh")],
        words="told apart by a label that is not one of",
    ),
    Case(
        "a scrape configuration that adds a label makes new series of old counters",
        [
            up(POD, "1x20 stale"),
            up(POD, "_x21 1x3", zone="a"),
            http(POD, "0+10x20 stale"),
            http(POD, "_x21 210+10x3", zone="a"),
        ],
        [found("sure", 20 + 240)],
        [said("restarted", pod=POD)],
        words="began again",
    ),
    Case(
        "federated series do not name their pod",
        [http("", "0+10x24"), up(POD)],
        trust=[said("podless", 1)],
        newest=None,
        words="without the label pod",
    ),
    Case(
        "callers that hang up do not make a version bad",
        [up(POD), http(POD, "0+9x24"), http(POD, "0+1x24", "0", "DC")],
        [found("sure", 54), found("sure", 6, "0", "DC")],
        expected=(1, 1),
        verdict=PASS,
    ),
    Case(
        "so many callers hang up that the rest proves nothing",
        [up(POD), http(POD, "0+6x24"), http(POD, "0+4x24", "0", "DC")],
        [found("sure", 36), found("sure", 24, "0", "DC")],
        expected=(1, 1),
        words="40 % of the requests",
    ),
    Case(
        "callers hang up on a version that fails",
        [up(POD), http(POD, "0+6x24", "500"), http(POD, "0+4x24", "0", "DC")],
        [found("sure", 36, "500"), found("sure", 24, "0", "DC")],
        expected=(0, 0.4),
        verdict=FAIL,
    ),
    Case(
        "an unknown flag",
        [up(POD), http(POD, "0+10x24"), http(POD, "0+1x24", "200", "ZZ")],
        [found("sure", 60), found("sure", 6, "200", "ZZ")],
        expected=(60 / 66, 1),
        words="response_flags='ZZ'",
    ),
    Case(
        "an unknown flag of long ago",
        [up(POD), http(POD, "0+10x24"), http(POD, "5x24", "200", "ZZ")],
        [found("sure", 60), found("sure", 0, "200", "ZZ")],
        expected=(1, 1),
        verdict=PASS,
    ),
    Case(
        "every request is not found",
        [up(POD), http(POD, "0+10x24", "404")],
        [found("sure", 60, "404")],
        expected=(1, 1),
        words="every answer blames its request",
    ),
    Case(
        "gRPC that fails each call in its trailers",
        [up(POD), http(POD, "0+10x24", request_protocol="grpc", grpc_response_status="13")],
        [found("sure", 60, request_protocol="grpc", grpc_response_status="13")],
        expected=(0, 0),
        verdict=FAIL,
        words="gRPC status 13 INTERNAL",
    ),
    Case(
        "calls that reach no pod have no version",
        [
            up(CALLER),
            http(CALLER, "0+10x24", at=SOURCE),
            nowhere(),
        ],
        [found("sure", 60), found("sure", 6, "503", "UH", destination_workload="unknown")],
        at=SOURCE,
        expected=(60 / 66, 1),
        words="6 requests to the Service reached no pod",
    ),
    Case(
        "the same Service in another namespace",
        [
            up(CALLER),
            http(CALLER, "0+10x24", at=SOURCE),
            nowhere(destination_service="web.other.svc.cluster.local"),
        ],
        [found("sure", 60)],
        at=SOURCE,
        expected=(1, 1),
        verdict=PASS,
    ),
    Case(
        "TCP connections",
        [
            up(CALLER),
            http(CALLER, "0+9x24", "", at=SOURCE, request_protocol="tcp", name="istio_tcp_connections_closed_total"),
            http(
                CALLER,
                "0+1x24",
                "",
                "UF,URX",
                SOURCE,
                request_protocol="tcp",
                name="istio_tcp_connections_closed_total",
            ),
        ],
        [found("sure", 54, "", request_protocol="tcp"), found("sure", 6, "", "UF,URX", request_protocol="tcp")],
        at=SOURCE,
        metric=TCP_SUCCESS,
        expected=(0.9, 0.9),
        verdict=FAIL,
        words="server: UF (6)",
    ),
]


def expression(query: str, samples: list[tuple[dict[str, str], float]]) -> dict[str, Any]:
    """A test of promtool: Prometheus drops labels without a value."""
    listed = [
        {"labels": series("", {k: v for k, v in labels.items() if v}), "value": value} for labels, value in samples
    ]
    return {"expr": query, "eval_time": f"{END}s", "exp_samples": listed}


def promtool(tests: list[dict[str, Any]], folder: Path) -> None:
    path = folder / "tests.yml"
    path.write_text(yaml.safe_dump({"evaluation_interval": f"{SCRAPE}s", "tests": tests}))
    done = subprocess.run(
        [tools.find("promtool"), "test", "rules", str(path)], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr


def given_(case: Case, checks: list[dict[str, Any]]) -> dict[str, Any]:
    listed = [{"series": name, "values": values} for name, values in case.given]
    return {"name": case.name, "interval": f"{SCRAPE}s", "input_series": listed, "promql_expr_test": checks}


def test_prometheus_answers_as_the_cases_say(tmp_path: Path) -> None:
    promtool(
        [
            given_(
                case,
                [
                    expression(queries.promql(case.metric, CANARY, WINDOW, case.at), case.answers()),
                    expression(queries.trust(case.metric, CANARY, WINDOW, case.at), case.checks()),
                ],
            )
            for case in CASES
        ],
        tmp_path,
    )


def answer(samples: list[tuple[dict[str, str], float]]) -> list[dict[str, Any]]:
    return [{"metric": labels, "value": [END, str(value)]} for labels, value in samples]


def read(case: Case) -> Reading:
    return counts.reading(case.metric, answer([*case.answers(), *case.checks()]), case.at)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_window_is_judged_only_when_no_doubt_can_change_it(case: Case) -> None:
    reading = read(case)
    for bound, expected in zip((reading.low, reading.high), case.expected, strict=True):
        if expected is not None:
            assert bound.value == pytest.approx(expected)
    # Without a sample at the end the case has no time; its age is that of the window's end.
    result, reason = counts.judge(Limits(min=0.95), reading)
    assert result is case.verdict, reason
    assert case.words in reason


def rate(**numbers: Any) -> Reading:
    """A reading of the whole numbers `served`, `failed`, `hung_up`, `unknown`, `blamed`, and the same with `more_` before."""
    kinds = {
        "served": ("200", "-"),
        "failed": ("500", "-"),
        "hung_up": ("0", "DC"),
        "unknown": ("200", "ZZ"),
        "blamed": ("404", "-"),
    }
    samples = [
        found("doubt" if name.startswith("more_") else "sure", count, *kinds[name.removeprefix("more_")])
        for name, count in numbers.items()
    ]
    return counts.reading(SUCCESS, answer([*samples, said("newest", LAST), said("asked")]))


@pytest.mark.parametrize(
    ("limits", "canary", "stable", "result", "words"),
    [
        ({"min": 0.9, "min_requests": 50}, rate(served=20, more_served=20), None, INCONCLUSIVE, "expected at least 50"),
        ({"min": 0.9, "min_requests": 50}, rate(served=40, more_served=20), None, INCONCLUSIVE, "40 to 60 requests"),
        ({"min": 0.9, "min_requests": 50}, rate(served=50, more_served=20), None, PASS, ""),
        ({"max_difference": 0, "min": 0}, rate(served=9, failed=1), rate(served=9, failed=1), PASS, ""),
        ({"min_difference": -0.05}, rate(served=9, failed=1), rate(served=10), FAIL, "server: code 500 (1)"),
        ({"min_difference": -0.05}, rate(served=10), rate(served=10, more_failed=3), PASS, ""),
        (
            {"min_difference": -0.05},
            rate(served=9, failed=1),
            rate(served=9, more_failed=3),
            INCONCLUSIVE,
            "stable: between",
        ),
        ({"min_difference": -0.05}, rate(served=9), rate(served=9, unknown=1), INCONCLUSIVE, "not understood"),
        ({"min": 0.5}, rate(served=9), rate(served=9, unknown=9), PASS, ""),  # stable is not asked for
        (
            {"min": 0.4, "max": 0.6},
            rate(served=2, failed=5, more_served=9, more_failed=9),
            None,
            INCONCLUSIVE,
            "between",
        ),
        ({"min": 0.9}, rate(blamed=10, served=1), None, PASS, ""),
        ({"min": 0.9}, rate(blamed=10, failed=1), None, INCONCLUSIVE, "every answer blames its request"),
        ({"min": 0.9}, rate(hung_up=3), None, INCONCLUSIVE, ""),
        ({"min": 0.9}, rate(failed=9, unknown=1), None, FAIL, ""),
    ],
)
def test_bounds_against_limits(
    limits: dict[str, Any], canary: Reading, stable: Reading | None, result: Verdict, words: str
) -> None:
    verdict, reason = counts.judge(Limits(**limits), canary, stable)
    assert verdict is result, reason
    assert words in reason


def test_no_request_is_what_the_user_says_it_is() -> None:
    limits = Limits(min=0.9, min_requests=5, otherwise={Status.MISSING: PASS})
    assert counts.judge(limits, rate())[0] is PASS
    assert counts.judge(limits, rate(served=1))[0] is INCONCLUSIVE


def test_an_old_sample_is_stale_and_the_user_may_say_what_that_is() -> None:
    old = counts.reading(SUCCESS, answer([found("sure", 9), said("newest", END - 61), said("asked")]), max_age=60)
    assert counts.judge(Limits(min=0.9), old) == (
        INCONCLUSIVE,
        "the newest sample is 61 s old; expected at most 60 s",
    )
    assert counts.judge(Limits(min=0.9, otherwise={Status.STALE: FAIL}), old)[0] is FAIL


@pytest.mark.parametrize(
    ("answered", "words"),
    [
        ([found("sure", 9)], "can be trusted has no answer"),
        ([found("sure", math.nan), said("asked")], "not asked for"),
        ([found("other", 9), said("asked")], "not asked for"),
    ],
)
def test_an_answer_that_is_not_one_of_the_queries_is_no_number(answered: list[Any], words: str) -> None:
    result, reason = counts.judge(Limits(min=0), counts.reading(SUCCESS, answer(answered)))
    assert (result, words in reason) == (INCONCLUSIVE, True)


@pytest.mark.parametrize("only", ["more_served", "more_failed"])
def test_requests_that_may_all_be_older_than_the_window_decide_nothing(only: str) -> None:
    assert counts.judge(Limits(min=0.5), rate(**{only: 3}))[0] is INCONCLUSIVE


whole = st.integers(0, 40)


@given(whole, whole, whole, whole, whole, whole, st.data())
def test_no_way_to_count_what_is_not_sure_lies_outside_the_bounds(
    served: int, failed: int, more_served: int, more_failed: int, unknown: int, hung_up: int, data: st.DataObject
) -> None:
    numbers = {"served": served, "failed": failed, "more_served": more_served, "more_failed": more_failed}
    reading = rate(**numbers, unknown=unknown, hung_up=hung_up)
    good = data.draw(st.integers(0, unknown))
    true_served = served + data.draw(st.integers(0, more_served)) + good
    true_failed = failed + data.draw(st.integers(0, more_failed)) + unknown - good
    if true_served + true_failed:
        assert reading.low.value is not None
        assert reading.high.value is not None
        value = true_served / (true_served + true_failed)
        assert reading.low.value - 1e-9 <= value <= reading.high.value + 1e-9
    result, _reason = counts.judge(Limits(min=0.5), reading)
    if result is PASS:
        assert true_served >= true_failed
        assert unknown == 0
    if result is FAIL:
        assert true_served < true_failed, "a window without a request fails nothing"


# Percentiles ----------------------------------------------------------------------------------------------------------

BOUNDS = ("100", "250", "1000", "+Inf")


def buckets(pod: str, below: tuple[int, ...], since: str = "") -> list[tuple[str, str]]:
    """Series of a histogram whose buckets grow by `below` a scrape."""
    return [
        http(pod, f"{since}0+{count}x24", name="istio_request_duration_milliseconds_bucket", le=bound)
        for bound, count in zip(BOUNDS, below, strict=True)
    ]


@pytest.mark.parametrize("metric", ["p50", "p95", "p99"])
@pytest.mark.parametrize("below", [(10, 10, 10, 10), (5, 9, 10, 10), (0, 0, 9, 10), (0, 0, 0, 3), (3, 3, 3, 3)])
def test_percentiles_are_those_of_prometheus(metric: str, below: tuple[int, ...], tmp_path: Path) -> None:
    share = {"p50": 0.5, "p95": 0.95, "p99": 0.99}[metric]
    grown = [said("sure", 6 * count, le=bound) for bound, count in zip(BOUNDS, below, strict=True)]
    reading = counts.reading(metric, answer([*grown, said("newest", LAST), said("asked")]))
    assert reading.low == reading.high == reading.value
    query = f"histogram_quantile({share}, sum by (le) (istio_request_duration_milliseconds_bucket))"
    case = Case("", [up(POD), *buckets(POD, below)])
    checks = [
        expression(queries.promql(metric, CANARY, WINDOW), [*grown, said("newest", LAST)]),
        expression(queries.trust(metric, CANARY, WINDOW), [said("asked")]),
        expression(query, [({}, reading.value.value or 0.0)]),
    ]
    promtool([given_(case, checks)], tmp_path)


@given(
    st.lists(st.integers(0, 20), min_size=4, max_size=4),
    st.lists(st.integers(0, 20), min_size=4, max_size=4),
    st.data(),
)
def test_no_part_of_the_doubtful_requests_has_a_percentile_outside_the_bounds(
    sure: list[int], more: list[int], data: st.DataObject
) -> None:
    def reading(known: list[int], doubtful: list[int]) -> Reading:
        samples = []
        for part, alone in (("sure", known), ("doubt", doubtful)):
            samples += [said(part, sum(alone[: index + 1]), le=bound) for index, bound in enumerate(BOUNDS)]
        return counts.reading("p95", answer([*samples, said("newest", LAST), said("asked")]))

    bounds = reading(sure, more)
    part = [data.draw(st.integers(0, count)) for count in more]
    one = reading([known + count for known, count in zip(sure, part, strict=True)], [0] * 4).value
    if one.value is not None:
        assert bounds.low.value is not None
        assert bounds.high.value is not None
        assert bounds.low.value - 1e-9 <= one.value <= bounds.high.value + 1e-9


# Other queries --------------------------------------------------------------------------------------------------------


def test_the_other_queries(tmp_path: Path) -> None:
    first = Case("one", [up(POD), http(POD, "0+10x24"), http(OTHER, "_x19 7+10x3 stale"), http(OLD, "0+99x24")])
    gone = Case("gone", [http(POD, "0+10x17 stale")])
    opened = {"name": "istio_tcp_connections_opened_total", "request_protocol": "tcp", "code": ""}
    tcp = Case(
        "tcp", [http(POD, "0+2x24", **opened), http(POD, "0+9x24", **{**opened, "name": "istio_tcp_sent_bytes_total"})]
    )
    promtool(
        [
            given_(
                first,
                [
                    expression(queries.freshness(CANARY), [({}, 120)]),
                    expression(queries.oldest(CANARY), [({}, 120)]),
                    # Between the first and the last scrape of the window: 50, and 30 of the pod that has ended.
                    expression(queries.inside(CANARY, WINDOW), [({}, 50 + 30)]),
                ],
            ),
            given_(
                tcp,
                [
                    expression(queries.freshness(CANARY), [({}, 120)]),
                    expression(queries.inside(CANARY, WINDOW), [({}, 10)]),
                ],
            ),
            given_(gone, [expression(queries.inside(CANARY, WINDOW), []), expression(queries.freshness(CANARY), [])]),
        ],
        tmp_path,
    )


@pytest.mark.parametrize(
    ("replica_set", "pod", "matches"),
    [
        ("web-6d5f7c9b8", "web-6d5f7c9b8-abcde", True),
        ("web-6d5f7c9b8", "web-6d5f7c9b80-abcde", False),
        ("web-6d5f7c9b8", "web-canary-6d5f7c9b8-abcde", False),
        ("my.web-6d5f7c9b8", "my.web-6d5f7c9b8-abcde", True),
        ("my.web-6d5f7c9b8", "myxweb-6d5f7c9b8-abcde", False),
        ("w" * 55 + "-6d5f7c9b8", "w" * 55 + "-6dabcde", True),  # Kubernetes cuts what it generates names from
    ],
)
def test_pods_of_a_replica_set(replica_set: str, pod: str, matches: bool) -> None:
    assert bool(re.fullmatch(queries.pod_regex(replica_set), pod)) is matches


def test_without_a_replica_set_any_pod_is_the_versions() -> None:
    assert queries.pod_regex("") == ""
    assert 'pod!=""' in queries.promql(SUCCESS, Subject("web", "shop", "canary", "web-canary"), WINDOW)


def test_a_metric_that_is_none_is_named() -> None:
    with pytest.raises(ValueError, match="'p42' is not a built-in metric"):
        queries.promql("p42", CANARY, WINDOW)
