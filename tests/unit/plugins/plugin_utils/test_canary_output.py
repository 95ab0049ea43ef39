# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines and report of a rollout."""

from __future__ import annotations

import xml.etree.ElementTree as ET  # of our own making
from typing import Any

import pytest
from ansible_collections.servicemesh.platform.plugins.module_utils._text import clean
from ansible_collections.servicemesh.platform.plugins.plugin_utils import _canary_lines as lines
from ansible_collections.servicemesh.platform.plugins.plugin_utils._reports import canary as report
from hypothesis import given
from hypothesis import strategies as st

WINDOW = {
    "time": 1010.0,
    "event": "window",
    "weight": 20,
    "step": 0,
    "verdict": "pass",
    "message": "success_rate: 0.999",
    "shown": {
        "canary": {"requests": 241.0, "success_rate": 0.9959, "p99": 231.4},
        "stable": {"requests": 963.0, "success_rate": 1.0, "p99": 210.0},
    },
    "checks": [{"name": "success_rate", "verdict": "pass", "reason": "0.9959", "query": 'sum(x{a="<b>"})'}],
}
RESULT: dict[str, Any] = {
    "phase": "rolled_back",
    "version": "v1.1",
    "old_version": "v1.0",
    "steps": [20, 50],
    "interval": 60,
    "started": 1000.0,
    "run": "abc",
    "reason": "success_rate: 0.7 is below 0.99",
    "proof": {"proved": True, "proxies": ["istio-system/gw"]},
    "virtual_services": ["shop/user-service"],
    "history": [
        {"time": 1000.0, "event": "step", "weight": 20, "message": "weight 0 % -> 20 %"},
        WINDOW,
        {"time": 1020.0, "event": "rolled_back", "weight": 0, "message": "success_rate: 0.7 is below 0.99"},
    ],
}


def test_a_windows_line_has_what_people_ask_for() -> None:
    text = lines.line(WINDOW, RESULT)
    for words in (
        " 20%", "####", "PASS", "v1.1 241 req 99.59 % p99 231 ms", "v1.0 963 req 100.00 %", "step 1/2", "1m00s left",
    ):  # fmt: skip
        assert words in text, text


def test_a_window_without_numbers_is_still_a_line() -> None:
    text = lines.line({"event": "window", "weight": 5, "verdict": "inconclusive", "message": "no series"}, RESULT)
    assert "INCONCLUSIVE" in text
    assert "- req" in text
    assert "no series" in text


def check(name: str, value: float | None = None, stable: float | None = None, **more: Any) -> dict[str, Any]:
    return {"name": name, "verdict": "pass", "reason": "", "value": value, "stable": stable, **more}


@pytest.mark.parametrize(
    ("checks", "texts"),
    [
        ([check("success_rate", 0.9959), check("p99", 231.4)], []),  # the first line has them
        ([check("success_rate/destination", 0.9959), check("success_rate/source", 0.9959)], []),
        (
            [check("success_rate/destination", 0.9959), check("success_rate/source", 0.9)],
            ["success_rate destination 99.59 %, source 90.00 %"],
        ),
        ([check("p95", 120.4, 110, reporter="source")], ["p95 120 ms (v1.0 110 ms)"]),
        ([check("p99", 0.25)], ["p99 0.25"]),  # a metric of the user's own, in seconds
        (
            [check("basket", 0.0123, 0.0119), check("odd", 7, dry_run=True)],
            ["basket 0.0123 (v1.0 0.0119)", "odd 7 (dry run)"],
        ),
        ([check("smoke"), check("basket", verdict="inconclusive")], ["smoke pass", "basket inconclusive"]),
        ([check("p99", 231.4, 210)], []),
        ([check("p99", 231.4, 99)], ["p99 231.4 (v1.0 99)"]),
    ],
)
def test_what_was_judged_is_shown_unless_the_line_has_it(checks: list[dict[str, Any]], texts: list[str]) -> None:
    assert lines.measured(checks, WINDOW["shown"], "v1.0") == texts
    text = lines.line({**WINDOW, "checks": checks}, RESULT)
    assert all(part in text for part in texts)
    assert len(text.splitlines()) == (2 if texts else 1)


@given(
    st.lists(st.builds(check, st.text("abc/_", min_size=1, max_size=30), st.floats(0, 1e9)), max_size=9),
    st.sampled_from(["pass", "fail", "inconclusive"]),
    st.lists(st.text("abc:.", min_size=1, max_size=40), max_size=40),
    st.text("v1.", max_size=60),
)
def test_lines_are_not_wider_than_a_terminal_and_what_follows_is_aligned(
    checks: list[dict[str, Any]], verdict: str, words: list[str], version: str
) -> None:
    note = {**WINDOW, "checks": checks, "verdict": verdict, "message": " ".join(words)}
    first, *rest = lines.line(note, {**RESULT, "version": version}).splitlines()
    assert all(len(text) <= lines.WIDTH for text in (first, *rest))
    indent = first.index(lines.versions({**RESULT, "version": version})[0])
    assert all(text[:indent].isspace() for text in rest if text.strip())


@pytest.mark.parametrize(
    ("new", "old", "named"),
    [
        ("v1.1", "v1.0", ("v1.1", "v1.0")),
        ("v1.0", "v1.0", ("new v1.0", "old v1.0")),
        ("", "", ("new", "old")),
        ("v1.1", "", ("v1.1", "old")),
    ],
)
def test_versions_have_different_names(new: str, old: str, named: tuple[str, str]) -> None:
    assert lines.versions({"version": new, "old_version": old}) == named


@given(st.floats(0, 100))
def test_a_meter_is_as_long_as_its_weight(weight: float) -> None:
    text = lines.meter(weight)
    assert len(text) == lines.BAR + 2
    assert ("#" in text) == (weight > 0)
    assert ("." in text) == (round(lines.BAR * weight / 100) < lines.BAR)


@pytest.mark.parametrize(("seconds", "text"), [(0, "0s"), (59.6, "1m00s"), (75, "1m15s"), (3700, "1h01m"), (-3, "0s")])
def test_durations_are_short(seconds: float, text: str) -> None:
    assert lines.duration(seconds) == text


@pytest.mark.parametrize("phase", ["promoted", "rolled_back", "paused", "frozen", "analysing"])
def test_every_end_has_its_sentence(phase: str) -> None:
    text = lines.summary({**RESULT, "phase": phase}, "user-service")
    assert "user-service" in text


def test_a_rollback_that_is_not_proved_says_so() -> None:
    text = lines.summary({**RESULT, "proof": {"proved": False, "missing": ["shop/a has [20]"]}}, "user-service")
    assert "not proved: shop/a has [20]" in text


def test_the_report_is_one_page_that_needs_nothing_else() -> None:
    text = report.html(RESULT, "user-service", "shop")
    assert "<script" not in text
    assert "http://" not in text
    assert "https://" not in text
    assert "sum(x{a=&#34;&lt;b&gt;&#34;})" in text, "the query is shown, and escaped"
    assert "default-src 'none'; style-src 'unsafe-inline'\"" in text, "no script may run"
    assert text.count("<svg") == 3
    assert "kubectl -n shop get virtualservice user-service" in text
    body = text[text.index("<body>") : text.index("</html>")]
    ET.fromstring(body)  # noqa: S314  # of our own making


def test_the_report_names_versions_and_has_all_values() -> None:
    checks = [
        check("success_rate/destination", 0.9959),
        check("success_rate/source", 0.9, verdict="fail"),
        check("basket", 0.0123, 0.0119),
        check("smoke"),
    ]
    text = report.html({**RESULT, "history": [{**WINDOW, "checks": checks}]}, "user-service", "shop")
    assert "<h2>Weight of v1.1</h2>" in text
    assert "<h2>basket</h2>" in text
    assert text.count("<svg") == 4
    assert "○ v1.1 at the callers" in text, "the reporters differ"
    assert "● v1.0" in text
    assert "● canary" not in text
    for words in (
        ">90.00 %<",
        ">source<",
        ">0.0123<",
        ">0.0119<",
        ">smoke<",
        '<th scope="col" class="n">v1.1</th><th scope="col" class="n">v1.0</th>',
    ):
        assert words in text, words


texts = st.text(max_size=20)
entries = st.fixed_dictionaries(
    {"time": st.floats(0, 2e9), "event": texts, "message": texts, "weight": st.integers(0, 100)},
    optional={
        "verdict": st.sampled_from(["pass", "fail", "inconclusive"]),
        "shown": st.dictionaries(
            st.sampled_from(["canary", "stable"]),
            st.dictionaries(st.sampled_from(["requests", "success_rate", "p99"]), st.floats(0, 1e6), max_size=3),
        ),
        "checks": st.lists(
            st.builds(check, texts, st.none() | st.floats(-1e9, 1e9), st.none() | st.floats(-1e9, 1e9)), max_size=3
        ),
    },
)


@given(st.lists(entries, max_size=6))
def test_any_history_makes_a_report(history: list[dict[str, Any]]) -> None:
    text = report.html({**RESULT, "history": history}, "user-service", "shop")
    assert text.endswith("</html>\n")
    assert clean(text) == text, "no control character of others"
    for entry in history:
        lines.line(entry, RESULT)


HOSTILE = "\x1b[2J\x1b]0;owned\x07refused \u202edetpecca <script>alert(1)</script>\x00"


def test_texts_of_others_are_text() -> None:
    entry = {**WINDOW, "message": HOSTILE, "checks": [check(HOSTILE, 1.0, reason=HOSTILE, query=HOSTILE)]}
    result = {**RESULT, "version": HOSTILE, "reason": HOSTILE, "run": HOSTILE, "history": [entry]}
    text = report.html(result, "user-service", "shop")
    assert clean(text) == text
    assert "<script" not in text
    assert "refused detpecca &lt;script&gt;" in text
    assert clean(lines.summary(result, "user-service")) == lines.summary(result, "user-service")


@pytest.mark.parametrize(
    ("phase", "sign"),
    [("promoted", "yes"), ("rolled_back", "no"), ("frozen", "no"), ("paused", "unknown"), ("", "unknown")],
)
def test_the_end_has_its_sign(phase: str, sign: str) -> None:
    assert f'<div class="answer {sign}"' in report.html({**RESULT, "phase": phase}, "user-service", "shop")


def test_a_report_of_nothing_is_a_report() -> None:
    assert "Nothing was recorded." in report.html({}, "user-service", "shop")
