# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines and report of a rollout."""

from __future__ import annotations

import xml.etree.ElementTree as ET  # of our own making
from typing import Any

import pytest
from ansible_collections.servicemesh.platform.plugins.plugin_utils import _canary_lines as lines
from ansible_collections.servicemesh.platform.plugins.plugin_utils import _canary_report as report
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
    for words in (" 20%", "####", "PASS", "241 req 99.59 % p99 231 ms", "963 req 100.00 %", "step 1/2", "1m00s left"):
        assert words in text, text


def test_a_window_without_numbers_is_still_a_line() -> None:
    text = lines.line({"event": "window", "weight": 5, "verdict": "inconclusive", "message": "no series"}, RESULT)
    assert "INCONCLUSIVE" in text
    assert "- req" in text
    assert "no series" in text


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
    text = report.page(RESULT, "user-service", "shop")
    assert "<script" not in text
    assert "http://" not in text
    assert "https://" not in text
    assert "sum(x{a=&quot;&lt;b&gt;&quot;})" in text, "the query is shown, and escaped"
    assert text.count("<svg") == 3
    assert "kubectl -n shop get virtualservice user-service" in text
    body = text[text.index("<body>") : text.index("</html>")]
    ET.fromstring(body.replace("<br>", "<br/>"))  # noqa: S314  # of our own making


texts = st.text(max_size=20)
entries = st.fixed_dictionaries(
    {"time": st.floats(0, 2e9), "event": texts, "message": texts, "weight": st.integers(0, 100)},
    optional={
        "verdict": st.sampled_from(["pass", "fail", "inconclusive"]),
        "shown": st.dictionaries(
            st.sampled_from(["canary", "stable"]),
            st.dictionaries(st.sampled_from(["requests", "success_rate", "p99"]), st.floats(0, 1e6), max_size=3),
        ),
    },
)


@given(st.lists(entries, max_size=6))
def test_any_history_makes_a_report(history: list[dict[str, Any]]) -> None:
    text = report.page({**RESULT, "history": history}, "user-service", "shop")
    assert text.endswith("</html>\n")
    for entry in history:
        lines.line(entry, RESULT)


def test_a_report_of_nothing_is_a_report() -> None:
    assert "Nothing was recorded." in report.page({}, "user-service", "shop")
