# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The names and matchers of a query, as Prometheus and as this collection read it."""

from __future__ import annotations

import pytest
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis import metrics, queries, selectors
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.selectors import Matcher, Selector
from hypothesis import given
from hypothesis import strategies as st

A = Selector("a")
QUERIES = {
    "a": [A],
    "up == bool 1": [Selector("up")],
    'a{x="1",y=~"2|3",z!="",w!~`4`}': [
        Selector(
            "a", (Matcher("x", "=", "1"), Matcher("y", "=~", "2|3"), Matcher("z", "!=", ""), Matcher("w", "!~", "4"))
        )
    ],
    "sum by (le, pod) (rate(a[5m])) / on(pod) group_left(node) b": [A, Selector("b")],
    "sum(a) without (x)": [A],
    "sum without(x)(a offset -5m) unless ignoring() b": [A, Selector("b")],
    "a and b or c atan2 d": [A, Selector("b"), Selector("c"), Selector("d")],
    "max_over_time(a[1h30m:1m] @ end()) > 1e3 + 0x1F - Inf * NaN": [A],
    "topk(3, a) + quantile(0.9, b)": [A, Selector("b")],
    'label_replace(a, "dst", "$1", "src", "(b{}).*") # and c': [A],
    '{__name__="a", x="y"}': [Selector("a", (Matcher("x", "=", "y"),))],
    '{"a.b", "l.m"="y"}': [Selector("a.b", (Matcher("l.m", "=", "y"),))],
    '{__name__=~"a.*"}': [Selector("")],
    r'a{x="q\"}b{"}': [Selector("a", (Matcher("x", "=", 'q"}b{'),))],
    "job:a:rate5m": [Selector("job:a:rate5m")],
    "a + a": [A],
    "count_values('v', a)": [A],
    "1 + 2": [],
    "vector(time())": [],
    "by + sum": None,
    'a{x="1" or y="2"}': None,
    "a[$__range]": None,
    "rate(a[": None,
    'a{x="': None,
}


@pytest.mark.parametrize("query", QUERIES)
def test_selectors_of_a_text(query: str) -> None:
    if query == "by + sum":  # words of the language as names of metrics are legal, and left out
        assert Selector("sum") in (selectors.selectors_of_text(query) or [])
        return
    assert selectors.selectors_of_text(query) == QUERIES[query]


LABELS = st.sampled_from(["x", "le", "by", "on", "offset"])
VALUES = st.text(alphabet="ab\"\\{}()[],#'$ ", max_size=6)
SELECTORS = st.builds(
    Selector,
    st.sampled_from(["a", "b:c", "rate_total", "sum_x"]),
    st.lists(st.builds(Matcher, LABELS, st.sampled_from(["=", "!=", "=~", "!~"]), VALUES), max_size=3).map(tuple),
)
WRAPS = ["sum by (x) ({})", "rate({}[5m])", "({} offset 1m)", "-{}", "count({}) # {{", "{} > bool 1"]


def written(selector: Selector) -> str:
    quoted = ('"' + m.value.replace("\\", "\\\\").replace('"', '\\"') + '"' for m in selector.matchers)
    inner = ",".join(f"{m.label}{m.op}{value}" for m, value in zip(selector.matchers, quoted, strict=True))
    return f"{selector.name}{{{inner}}}"


@given(st.lists(st.tuples(SELECTORS, st.sampled_from(WRAPS)), min_size=1, max_size=4))
def test_whatever_stands_around_selectors_they_are_found(parts: list[tuple[Selector, str]]) -> None:
    query = "\n+ on(x) group_left() ".join(wrap.format(written(selector)) for selector, wrap in parts)
    assert set(selectors.selectors_of_text(query) or []) == {selector for selector, _wrap in parts}


@given(st.text(max_size=30))
def test_any_text_is_read_or_not_understood(query: str) -> None:
    found = selectors.selectors_of_text(query)
    assert found is None or all(isinstance(entry, Selector) for entry in found)


def test_a_tree_of_prometheus_has_the_same_selectors() -> None:
    matchers = [{"name": "__name__", "value": "a", "type": "="}, {"name": "x", "value": "1", "type": "!="}]
    vector = {"type": "vectorSelector", "name": "a", "matchers": matchers}
    ranged = {"type": "matrixSelector", "name": "a", "matchers": matchers[:1], "range": 1}
    call = {"type": "call", "func": {"name": "rate"}, "args": [ranged]}
    tree = {"type": "binaryExpr", "op": "/", "lhs": {"type": "aggregation", "expr": call, "param": None}, "rhs": vector}
    assert selectors.selectors_of_tree(tree) == selectors.selectors_of_text('sum(rate(a[1m])) / a{x!="1"}')
    for other in (None, [], "x", {}, {"type": "vectorSelector"}, {"type": "vectorSelector", "matchers": [1]}):
        assert selectors.selectors_of_tree(other) is None


@pytest.mark.parametrize("metric", [metrics.REQUESTS, *metrics.BUILT_IN])
def test_the_built_in_queries_are_understood(metric: str) -> None:
    subject = metrics.Subject("web", "shop", "canary", "web-canary")
    for query in (queries.promql(metric, subject, 60), queries.trust(metric, subject, 60)):
        found = selectors.selectors_of_text(query)
        assert found
        assert {selector.name.partition("_")[0] for selector in found} == {"istio", "up"}


def test_what_is_unknown_comes_with_what_there_is() -> None:
    names = {"basket_errors_total", "basket_total", "up"}
    assert selectors.unknown_name(Selector("up"), names) == ""
    assert "no metric basket_error_total; similar: basket_errors_total" in selectors.unknown_name(
        Selector("basket_error_total"), names
    )
    assert "there are: basket_errors_total, basket_total, up" in selectors.unknown_name(Selector("xyz"), names)
    assert "none of the 0 names" in selectors.unknown_name(Selector("xyz"), set())
    wanted = Selector("up", (Matcher("jobs", "=~", ".*"), Matcher("gone", "=", ""), Matcher("job", "=", "x")))
    assert selectors.unknown_labels(wanted, lambda _name: ["__name__", "job"]) == ["up has no label jobs; similar: job"]
