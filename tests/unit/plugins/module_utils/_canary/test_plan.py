# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan of a canary and the verdicts of its windows."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
from ansible_collections.servicemesh.platform.plugins.module_utils._canary import plan as plans
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis import verdict as verdicts
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.verdict import (
    Check,
    Limits,
    Sample,
    Status,
    Verdict,
)
from hypothesis import given
from hypothesis import strategies as st

rising = st.lists(st.integers(1, 100), min_size=1, max_size=12, unique=True).map(sorted)


@given(rising)
def test_rising_steps_are_accepted_and_kept(steps: list[int]) -> None:
    options = {"steps": steps, "interval": 1, "max_duration": 86400}
    assert plans.findings(options) == []
    plan = plans.make(options)
    assert list(plan.steps) == steps
    assert plans.plan_of(plan.as_dict()) == plan


@given(st.lists(st.integers(-5, 120), min_size=1, max_size=6))
def test_whatever_is_accepted_rises_within_1_to_100(steps: list[int]) -> None:
    good = all(1 <= step <= 100 for step in steps) and all(a < b for a, b in itertools.pairwise(steps))
    assert (plans.findings({"steps": steps}) == []) == good


@given(rising)
def test_from_the_begin_every_step_comes_once_and_then_promotion(steps: list[int]) -> None:
    plan, seen, index = plans.make({"steps": steps}), [], -1
    while (following := plans.next_index(plan, index)) is not None:
        assert following > index
        index = following
        seen.append(plans.weight_at(plan, index))
    assert seen == steps


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"steps": []}, "not a list of weights"),
        ({"steps": "5,10"}, "not a list of weights"),
        ({"steps": [10, 5]}, "is not above 10"),
        ({"steps": [10, 10]}, "is not above 10"),
        ({"steps": [50, 101]}, "101 is not a weight"),
        ({"steps": [0, 5]}, "0 is not a weight"),
        ({"steps": [True]}, "True is not a weight"),
        ({"steps": [2.5]}, "2.5 is not a weight"),
        ({"steps": [5], "interval": 0}, "interval: 0"),
        ({"steps": [5], "interval": "x"}, "interval: 'x'"),
        ({"steps": [5], "failures": 0}, "failures: 0"),
        ({"steps": [5], "interval": 10, "blind_limit": 19}, "blind_limit: 19 seconds is less than two intervals"),
        ({"steps": [5], "blind_limit": 0}, "blind_limit: 0"),
        ({"steps": [5], "blind_limit": "x"}, "blind_limit: 'x'"),
        ({"steps": [5, 10], "pause_at": 7}, "pause_at: 7 is not one of the steps"),
        ({"steps": [5], "on_failure": "ignore"}, "neither rollback nor freeze"),
        ({"steps": [5, 10], "interval": 60, "warmup": 0, "passes": 1, "max_duration": 100}, "max_duration: 100"),
    ],
)
def test_wrong_options_are_named(options: dict[str, Any], words: str) -> None:
    assert any(words in finding for finding in plans.findings(options)), plans.findings(options)


def test_all_findings_come_at_once() -> None:
    assert len(plans.findings({"steps": [5, 3, 200], "interval": 0, "pause_at": 9, "on_failure": "x"})) == 4


@given(st.integers(0, 100), st.integers(0, 50), st.integers(0, 50))
def test_a_rollback_never_puts_more_on_stable_than_its_pods_carry(current: int, ready: int, baseline: int) -> None:
    target = plans.step_back(current, ready, baseline)
    assert 0 <= target <= current
    if baseline and ready < baseline and current == 100:
        assert (100 - target) * baseline <= 100 * ready
    if ready >= baseline:
        assert target == 0


@given(st.integers(1, 100), st.integers(1, 100))
def test_pods_grow_with_the_weight(weight: int, baseline: int) -> None:
    needed = plans.pods_needed(weight, baseline)
    assert 1 <= needed <= baseline
    assert needed * 100 >= weight * baseline
    assert plans.pods_needed(100, baseline) == baseline
    assert plans.pods_needed(0, baseline) == 0


numbers = st.floats(allow_nan=False, allow_infinity=False, width=32)
limits = st.one_of(st.none(), numbers)
broken = st.sampled_from([Sample(status) for status in verdicts.NO_NUMBER])
samples = st.one_of(numbers.map(lambda value: Sample(Status.OK, value)), broken)


@given(limits, limits, limits, limits, st.integers(0, 100), samples, st.one_of(st.none(), samples), samples)
def test_only_numbers_within_the_limits_pass(
    low: float | None,
    high: float | None,
    ratio: float | None,
    more: float | None,
    least: int,
    canary: Sample,
    stable: Sample | None,
    requests: Sample,
) -> None:
    bounds = Limits(low, high, max_ratio=ratio, max_difference=more, min_requests=least)
    verdict, reason = verdicts.judge(bounds, canary, stable, requests)
    assert reason
    if verdict == Verdict.PASS:
        assert canary.status == "ok"
        assert canary.value is not None
        assert low is None or canary.value >= low
        assert high is None or canary.value <= high
        assert not bounds.compares or (stable is not None and stable.status == "ok")
        assert not least or (requests.value is not None and requests.value >= least)
    if canary.status != "ok":
        assert verdict == Verdict.INCONCLUSIVE


@pytest.mark.parametrize("status", verdicts.NO_NUMBER)
@pytest.mark.parametrize("meaning", list(Verdict))
def test_what_is_no_number_means_what_was_declared(status: Status, meaning: Verdict) -> None:
    assert verdicts.judge(Limits(max=1, otherwise={status: meaning}), Sample(status))[0] == meaning


@pytest.mark.parametrize(
    ("series", "newest", "status"),
    [
        ([], None, "missing"),
        ([{"metric": {}, "value": [1, "0.5"]}], None, "ok"),
        ([{"metric": {}, "value": [1, "0.5"]}], 100.0, "ok"),
        ([{"metric": {}, "value": [1, "0.5"]}], 60.0, "stale"),
        ([{"metric": {}, "value": [1, "NaN"]}], None, "nan"),
        ([{"metric": {}, "value": [1, "+Inf"]}], None, "infinite"),
        ([{"metric": {}, "value": [1, "-Inf"]}], None, "infinite"),
        ([{"metric": {"a": "1"}, "value": [1, "1"]}, {"metric": {"a": "2"}, "value": [1, "0"]}], None, "several"),
        ([{"metric": {}, "value": [1, "x"]}], None, "error"),
        ([{"metric": {}}], None, "missing"),
    ],
)
def test_series_are_read_for_what_they_are(series: list[dict[str, Any]], newest: float | None, status: str) -> None:
    assert verdicts.sample_of_series(series, newest, now=110.0, max_age=30.0).status == status


@given(st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.lists(st.integers())))
def test_any_json_value_becomes_a_sample(value: Any) -> None:
    sample = verdicts.sample_of_value(value)
    assert (sample.status == "ok") == (sample.value is not None)
    assert sample.value is None or math.isfinite(sample.value)


@pytest.mark.parametrize(
    ("bounds", "canary", "stable", "verdict"),
    [
        (Limits(max_ratio=1.5), 150, 100, "pass"),
        (Limits(max_ratio=1.5), 151, 100, "fail"),
        (Limits(max_ratio=1.5), 1, 0, "inconclusive"),
        (Limits(max_ratio=1.5), 0, 0, "pass"),
        (Limits(min_ratio=0.9), 0.8, 1.0, "fail"),
        (Limits(max_difference=20), 121, 100, "fail"),
        (Limits(min_difference=-0.01), 0.985, 0.999, "fail"),
        (Limits(min=0.99, max_ratio=2), 0.98, 1.0, "fail"),
    ],
)
def test_the_canary_is_compared_with_stable(bounds: Limits, canary: float, stable: float, verdict: str) -> None:
    assert verdicts.judge(bounds, Sample(Status.OK, canary), Sample(Status.OK, stable))[0] == verdict


checks = st.builds(
    Check,
    st.just("m"),
    st.sampled_from(list(Verdict)),
    st.just("why"),
    critical=st.booleans(),
    dry_run=st.booleans(),
)


@given(st.lists(checks, max_size=6))
def test_a_window_passes_only_when_all_that_counts_passes(found: list[Check]) -> None:
    window = verdicts.combine(found)
    counted = [check for check in found if not check.dry_run]
    if window.verdict == Verdict.PASS:
        assert counted
        assert all(check.verdict == Verdict.PASS for check in counted)
    assert (window.verdict == Verdict.FAIL) == any(check.verdict == Verdict.FAIL for check in counted)
    assert window.critical == any(check.verdict == Verdict.FAIL and check.critical for check in counted)
