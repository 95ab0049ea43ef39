# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page of a platform: what it says of a platform that is well, that is not, and of which something is not known."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.servicemesh.platform.plugins.module_utils._mesh.traffic import Part
from ansible_collections.servicemesh.platform.plugins.plugin_utils._reports import platform
from ansible_collections.servicemesh.platform.plugins.plugin_utils._reports.graph import NODE_WIDTH, Link, graph
from ansible_collections.servicemesh.platform.plugins.plugin_utils._reports.platform_answers import cards_of
from ansible_collections.servicemesh.platform.plugins.plugin_utils._reports.platform_seen import Seen, gaps_of
from ansible_collections.servicemesh.platform.plugins.plugin_utils._reports.sparks import latest, spark

from tests.platform_sample import CASES, LIMITS, NOW, alert, call, canary, cluster, traffic, workload

Change = Callable[[dict[str, Any], dict[str, Any]], Any]


def said(change: Change = lambda _where, _seen: None) -> tuple[str, str, dict[str, tuple[str, str]]]:
    """(answer, sentence, answer and text of each card) of a platform that is well but for a change."""
    where, seen = cluster(), traffic()
    change(where, seen)
    cards = cards_of(Seen(where, seen, LIMITS, gaps_of(where, seen)))
    _page, answer, text = platform.html("local", where, seen, LIMITS)
    return answer, text, {card.name: (card.answer, card.text) for card in cards}


def test_well_is_yes_to_all() -> None:
    answer, text, cards = said()
    assert (answer, text) == ("yes", "Up, fast enough and encrypted.")
    assert {name: card[0] for name, card in cards.items()} == {
        "Up": "yes",
        "Fast": "yes",
        "Encrypted": "yes",
        "Who calls whom": "none",
        "Going out": "none",
        "Alerts": "yes",
        "Error budget": "yes",
    }


@pytest.mark.parametrize(
    ("change", "card", "words"),
    [
        (
            lambda where, _seen: where["services"].append(workload("cart", healthy=False)),
            "Up",
            "1 of 18 workloads is not healthy: cart",
        ),
        (lambda _where, seen: seen["workloads"][0].update(p95=[[NOW, 1001.0]]), "Fast", "order-service p95 1001 ms"),
        (lambda _where, seen: seen["workloads"][0].update(errors=[[NOW, 0.051]]), "Fast", "order-service 5.1 % errors"),
        (
            lambda _where, seen: seen["calls"].append(call("unknown", "ecommerce/a", 1.0, security="none")),
            "Encrypted",
            "→ a",
        ),
        (lambda _where, seen: seen["alerts"].append(alert()), "Alerts", "1 alert fires: HighErrorRate"),
        (
            lambda _where, seen: seen["budgets"][0].update(left=0.0),
            "Error budget",
            "Spent: user-service (availability)",
        ),
    ],
)
def test_one_thing_that_is_bad_is_enough_for_no(change: Change, card: str, words: str) -> None:
    answer, text, cards = said(change)
    assert (answer, text.startswith("Not well: ")) == ("no", True)
    assert cards[card][0] == "no"
    assert words in cards[card][1]


@pytest.mark.parametrize(
    ("states", "words", "row"),
    [
        (
            [(None, False)] * 3,
            "3 objectives. No requests to their services yet, so nothing is spent",
            "no requests yet",
        ),
        ([(None, True)] * 3, "3 objectives. Requests are recorded, and budgets with the next", "not recorded yet"),
        (
            [(0.5, True), (None, False), (None, True)],
            "50 % left at least (user-service, availability); 1 without",
            "50 %",
        ),
    ],
)
def test_a_budget_that_is_not_recorded_says_why(states: list[tuple[Any, bool]], words: str, row: str) -> None:
    def change(_where: dict[str, Any], seen: dict[str, Any]) -> None:
        for entry, (left, requested) in zip(seen["budgets"], states, strict=True):
            entry.update(left=left, requested=requested)

    answer, _text, cards = said(change)
    assert (answer, cards["Error budget"][0]) == ("yes", "yes" if states[0][0] else "none")
    assert words in cards["Error budget"][1]
    where, seen = cluster(), traffic()
    change(where, seen)
    assert row in platform.html("local", where, seen, LIMITS)[0].partition('id="services"')[2]


@pytest.mark.parametrize(
    ("part", "cards"),
    [
        (Part.REQUESTS, {"Fast"}),
        (Part.DURATIONS, {"Fast"}),
        (Part.CALLS, {"Encrypted"}),
        (Part.CONNECTIONS, {"Encrypted"}),
        (Part.SCRAPES, {"Fast", "Encrypted"}),
        (Part.ALERTS, {"Alerts"}),
        (Part.BUDGETS, {"Error budget"}),
    ],
)
def test_what_was_not_read_is_never_well(part: Part, cards: set[str]) -> None:
    answer, text, found = said(lambda _where, seen: seen["unknown"].append({"part": part.value, "why": "it is gone"}))
    assert {name for name, card in found.items() if card[0] == "unknown"} == cards
    assert (answer, text.startswith("Not known: ")) == ("unknown", True)


@pytest.mark.parametrize(
    "change",
    [
        lambda _where, seen: seen["scrapes"].pop(),
        lambda _where, seen: seen["scrapes"][0].update(up=False),
        lambda where, _seen: where["services"].append(workload("new")),
    ],
)
def test_a_proxy_that_is_not_scraped_makes_traffic_unknown(change: Change) -> None:
    answer, _text, cards = said(change)
    assert (answer, cards["Fast"][0], cards["Encrypted"][0]) == ("unknown", "unknown", "unknown")
    where, seen = cluster(), traffic()
    change(where, seen)
    assert "Prometheus does not reach 1 of" in platform.html("local", where, seen, LIMITS)[0]


def test_without_prometheus_no_number_and_nothing_well_but_what_runs() -> None:
    page, answer, text = platform.html("local", *CASES["without-prometheus"](), LIMITS)
    assert (answer, text) == ("unknown", "Not known: fast, encrypted, who calls whom, alerts, error budget. Well: up.")
    assert "no endpoints available" in page
    assert "<svg" not in page
    for reassuring in ("0 %", "none seen", "None of", ">no objective<", "No calls were seen", "No alert"):
        assert reassuring not in page, reassuring


def test_a_platform_without_traffic_is_up_and_nothing_else() -> None:
    answer, text, cards = said(lambda _where, seen: seen.update(workloads=[], calls=[]))
    assert (answer, cards["Fast"][0], cards["Encrypted"][0]) == ("yes", "none", "none")
    assert text.startswith("Up. No requests")
    assert "encrypted" not in text


@pytest.mark.parametrize(
    ("entry", "answer", "words"),
    [
        (canary(), "none", "user-service v1.0 → v1.1: 25 % of the requests, analysing"),
        (canary(phase="paused"), "none", "paused, waits for a person"),
        (canary(weight=None), "none", "weight unknown"),
        (canary(phase="unknown", version="", old_version=""), "unknown", "a canary that nobody drives"),
        (canary(phase="promoted", active=False, weight=0), "none", "Nothing. Last: user-service v1.1 promoted 40s ago"),
    ],
)
def test_what_is_going_out(entry: dict[str, Any], answer: str, words: str) -> None:
    _answer, text, cards = said(lambda where, _seen: where["canaries"].append(entry))
    assert cards["Going out"][0] == answer
    assert words in cards["Going out"][1]
    assert ("A canary of user-service is under way." in text) == entry["active"]


def test_records_that_cannot_be_read_make_it_unknown() -> None:
    _answer, _text, cards = said(lambda where, _seen: where["unread"].append("canaries: forbidden"))
    assert cards["Going out"] == ("unknown", "Not known; why is said below.")


@pytest.mark.parametrize(
    ("phase", "weight", "up"),
    [("preparing", 0, "yes"), ("preparing", None, "no"), ("preparing", 25, "no"), ("analysing", 0, "no")],
)
def test_a_canary_that_gets_ready_and_has_no_requests_is_no_outage(phase: str, weight: int | None, up: str) -> None:
    def starts(where: dict[str, Any], _seen: dict[str, Any]) -> None:
        where["services"].append(workload("user-service-canary", healthy=False, proxy=False))
        where["canaries"] = [canary(phase=phase, weight=weight)]

    _answer, _text, cards = said(starts)
    assert cards["Up"][0] == up
    assert ("user-service-canary gets ready" in cards["Up"][1]) == (up == "yes")


def test_the_pods_of_an_ended_canary_say_nothing_about_the_platform() -> None:
    def ended(where: dict[str, Any], seen: dict[str, Any]) -> None:
        where["canaries"].append(canary(phase="rolled_back", active=False, weight=0))
        where["services"].append({**workload("user-service-canary", healthy=False), "deleted": True})
        seen["workloads"].append(
            {**seen["workloads"][0], "workload": "ecommerce/user-service-canary", "errors": [[NOW, 0.3]]}
        )

    answer, _text, cards = said(ended)
    assert (answer, cards["Up"], cards["Fast"][0]) == ("yes", ("yes", "All 17 workloads are healthy."), "yes")

    def still_there(where: dict[str, Any], seen: dict[str, Any]) -> None:
        ended(where, seen)
        where["services"][-1]["deleted"] = False

    assert said(still_there)[0] == "no"


@pytest.mark.parametrize(("version", "answer"), [("v0.9", "yes"), ("v1.0", "no"), ("", "no")])
def test_what_pods_before_a_release_did_is_over(version: str, answer: str) -> None:
    def failing(_where: dict[str, Any], seen: dict[str, Any]) -> None:
        seen["workloads"].insert(0, {**seen["workloads"][0], "version": version, "errors": [[NOW, 0.3]]})

    assert said(failing)[0] == answer
    assert (
        said(
            lambda _where, seen: seen["workloads"].append(
                {**seen["workloads"][0], "workload": "x/y", "errors": [[NOW, 1.0]]}
            )
        )[0]
        == "no"
    )


def test_texts_of_others_are_text() -> None:
    page = platform.html("local", *CASES["broken"](), LIMITS)[0]
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)" in page


# Drawings --------------------------------------------------------------------------------------------------------------


def links(*pairs: str) -> list[Link]:
    return [Link(*pair.split(">"), "mutual", "✓", pair) for pair in pairs]


def test_callers_are_left_of_what_they_call_and_nothing_overlaps() -> None:
    drawn = graph(links("g>a", "g>b", "g>d", "a>b", "b>d", "a>d"), {})
    assert drawn is not None
    column = {node.full: node.x for node in drawn.nodes}
    assert column["g"] < column["a"] < column["b"] < column["d"]
    boxes = [(node.x, node.y) for node in drawn.nodes]
    for (x1, y1), (x2, y2) in itertools.combinations(boxes, 2):
        assert abs(x1 - x2) >= NODE_WIDTH or abs(y1 - y2) >= drawn.node_height
    assert all(
        x >= 0 and x + NODE_WIDTH <= drawn.width and y >= 0 and y + drawn.node_height <= drawn.height for x, y in boxes
    )
    assert len(drawn.arcs) == 6


def test_what_carries_telemetry_is_drawn_only_where_it_is_not_mutual_tls() -> None:
    where, seen = cluster(), traffic()
    to = "monitoring/otel-collector"
    seen["calls"] += [
        call("ecommerce/user-service", to, 9.0),
        call(to, "monitoring/jaeger", 9.0),
        call("ecommerce/order-service", to, 3.0, security="none"),
    ]
    host = "otel-collector.monitoring.svc.cluster.local"
    page, answer, _text = platform.html("local", where, seen, LIMITS, telemetry=[host, "traces.example.com"])
    drawn = page.partition('<svg class="graph"')[2].partition("</svg>")[0]
    assert ("order-service calls monitoring/otel-collector" in drawn, "monitoring/jaeger" in drawn) == (True, False)
    assert "ecommerce/user-service calls monitoring/otel-collector" not in drawn
    assert "Not drawn: 2 ways of traces and access logs to those who take them, all of them mutual TLS." in page
    assert page.count("monitoring/jaeger") == 1, "in the table"
    assert answer == "no"
    assert "Not drawn" not in platform.html("local", where, seen, LIMITS)[0]


def test_circles_and_calls_to_oneself_are_drawn() -> None:
    drawn = graph(links("a>b", "b>c", "c>a", "c>c"), {"b": "bad"})
    assert drawn is not None
    assert ({node.full: node.kind for node in drawn.nodes}, len(drawn.arcs)) == ({"a": "", "b": "bad", "c": ""}, 3)
    assert {node.full: node.itself for node in drawn.nodes} == {"a": "", "b": "", "c": "✓"}
    alone = graph(links("a>a"), {})
    assert alone is not None
    assert ([node.full for node in alone.nodes], alone.arcs) == (["a"], ())
    assert graph([], {}) is None


def test_a_line_has_gaps_where_there_was_nothing() -> None:
    points = [(0.0, 1.0), (30.0, 2.0), (120.0, 4.0), (240.0, 1.0), (270.0, 1.0)]
    line = spark(points, (0.0, 300.0), 30.0, lambda value: f"{value:g}/s")
    assert line is not None
    assert ([len(part.split()) for part in line.lines], len(line.dots), line.label) == (
        [2, 2],
        1,
        "largest in 30 minutes: 4/s",
    )
    assert spark([], (0.0, 300.0), 30.0, str) is None
    assert (latest(points, 300.0, 30.0), latest(points, 400.0, 30.0), latest([], 0.0, 30.0)) == (1.0, None, None)


def test_a_limit_is_drawn_where_it_is_near() -> None:
    far, near = (spark([(0.0, value), (30.0, value)], (0.0, 60.0), 30.0, str, limit=10.0) for value in (1.0, 9.0))
    assert far is not None
    assert near is not None
    assert (far.limit, bool(near.limit)) == ("", True)
    low = spark([(0.0, 1.0), (30.0, 1.0)], (0.0, 60.0), 30.0, str, limit=10.0, least=10.0)
    assert low is not None
    heights = [float(point.partition(",")[2]) for point in low.lines[0].split()]
    assert float(low.limit) < min(heights), "below the limit"
