# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Figures, verdicts and the table of the benchmarks."""

from __future__ import annotations

import json
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.benchmarks._rows import (
    Row,
    at_most,
    failed,
    faster,
    number,
    percentile,
    quantity,
    ratio,
    raw_text,
    row_of,
    table,
    times,
)

FIGURES = st.lists(st.floats(min_value=1e-4, max_value=1e4), min_size=1, max_size=20)


def test_a_ratio_is_of_medians_and_says_how_many_times_faster_ours_is() -> None:
    assert ratio([1.0, 2.0, 30.0], [8.0, 7.0, 500.0]) == 4.0


@pytest.mark.parametrize(
    ("share", "expected"),
    [(0.0, 1.0), (0.05, 1.0), (0.5, 10.0), (0.95, 19.0), (0.951, 20.0), (1.0, 20.0)],
)
def test_a_percentile_is_a_figure_that_was_measured(share: float, expected: float) -> None:
    assert percentile([float(n) for n in range(20, 0, -1)], share) == expected


def test_no_figures_have_no_percentile() -> None:
    with pytest.raises(ValueError, match="no figures"):
        percentile([], 0.95)


@given(FIGURES, st.floats(min_value=0, max_value=1))
def test_at_least_that_share_does_not_pass_a_percentile(figures: list[float], share: float) -> None:
    found = percentile(figures, share)
    assert found in figures
    assert sum(figure <= found for figure in figures) >= share * len(figures) - 1e-9


@given(FIGURES, FIGURES, st.floats(min_value=0.1, max_value=100))
def test_a_comparison_is_reached_by_its_ratio_alone(ours: list[float], theirs: list[float], least: float) -> None:
    row = faster("what", ("a", ours), ("b", theirs), least=least, reason="because")
    assert row.ratio == row.value == statistics.median(theirs) / statistics.median(ours)
    assert row.reached == (row.value >= least)
    assert row.reason == ("" if row.reached else "because")


def test_a_comparison_that_just_misses_is_not_shown_as_reached() -> None:
    row = faster("what", ("a", [1.0]), ("b", [3.9999]), least=4)
    assert not row.reached
    assert row.reason == "no reason known yet"
    assert times(row.value) == "3.99x"


@given(st.floats(min_value=0.01, max_value=1e5))
def test_a_ratio_is_never_rounded_up(value: float) -> None:
    assert float(times(value).rstrip("x")) <= value


@pytest.mark.parametrize(
    ("raw", "value", "also", "reached"),
    [
        ([299.0, 300.0, 301.0], None, True, True),
        ([300.1], None, True, False),
        ([1.0], 301.0, True, False),
        ([1.0], None, False, False),
    ],
)
def test_a_limit_holds_for_the_value_and_the_second_condition(
    raw: list[float], value: float | None, also: bool, reached: bool
) -> None:
    row = at_most("memory", {"ours": raw}, limit=300, unit="MB", value=value, also=also, reason="because")
    assert row.reached is reached
    assert row.target == "300 MB at most"
    assert row.reason == ("" if reached else "because")


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.0, "0"), (0.01234, "0.0123"), (1.2345, "1.23"), (12.345, "12.3"), (251.4, "251"), (5001, "5001")],
)
def test_a_figure_has_three_digits(value: float, shown: str) -> None:
    assert number(value) == shown
    assert quantity(value, "s") == f"{shown} s"


def test_the_table_has_verdict_target_figure_ratio_raw_and_reason() -> None:
    rows = [
        faster("251 objects", ("apply", [1.0, 1.2, 1.1]), ("kubectl", [2.0, 2.2, 2.1]), least=4, reason="it is so"),
        at_most("memory", {"first": [100.0]}, limit=300, unit="MB"),
    ]
    assert table(rows).splitlines() == [
        "NOT 251 objects",
        "      target 4x faster; measured 1.10 s against 2.10 s  = 1.90x",
        "      apply: 1.00 1.20 1.10 s",
        "      kubectl: 2.00 2.20 2.10 s",
        "      reason: it is so",
        "ok  memory",
        "      target 300 MB at most; measured 100 MB",
        "      first: 100 MB",
    ]


def test_no_slower_is_a_ratio_of_one() -> None:
    row = faster("no-op", ("apply", [1.0]), ("diff", [1.0]), least=1)
    assert (row.target, row.reached) == ("no slower", True)


def test_many_raw_figures_are_told_by_their_least_median_and_most() -> None:
    row = at_most("readiness", {"ready": [n / 100 for n in range(1, 61)]}, limit=0.5, unit="s")
    assert raw_text(row) == ["ready: 60 figures, least 0.0100, median 0.305, most 0.600 s"]


def test_a_row_comes_back_from_json() -> None:
    row = faster("251 objects", ("apply", [1.0]), ("kubectl", [2.0]), least=4, reason="it is so")
    assert row_of(json.loads(json.dumps(row.as_dict()))) == row


def test_a_benchmark_that_failed_is_not_reached_and_says_why() -> None:
    row: Row = failed("Platform", "no cluster")
    assert not row.reached
    assert "no cluster" in table([row])
