# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Chart and page of the benchmarks."""

from __future__ import annotations

import importlib
import json
import re
from typing import Any
from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from tests.benchmarks.__main__ import CHART, PAGE, RESULTS, registry
from tests.benchmarks._chart import WIDTH, chart, decades
from tests.benchmarks._page import all_rows, page
from tests.benchmarks._rows import Row, at_most, failed, faster

SVG = "{http://www.w3.org/2000/svg}"
ROWS = [
    faster(
        "251 objects, first run, against kubectl", ("apply", [1.0]), ("kubectl", [2.5]), least=4, reason="A & B < C"
    ),
    faster("251 objects, first run, against a loop", ("apply", [1.0]), ("loop", [180.0]), least=60),
    faster("251 objects, again, against diff", ("apply", [0.9]), ("diff", [2.0]), least=1),
    at_most("Readiness <seen>", {"ready": [0.01] * 60}, limit=0.5, unit="s"),
    at_most("Memory", {"first": [420.0]}, limit=300, unit="MB", reason="it is so | truly"),
    failed("Platform", "no cluster"),
]


def stored(rows: list[Row]) -> dict[str, Any]:
    return {
        "machine": {"cores": "2"},
        "benchmarks": {
            "all": {
                "title": "All", "when": "2026-01-01", "minutes": 3.1, "rounds": 5, "load": [0.1, 1.9],
                "rows": [row.as_dict() for row in rows],
            }
        },
    }  # fmt: skip


def parsed(text: str) -> ElementTree.Element:
    return ElementTree.fromstring(text)  # noqa: S314  # our own text


def lengths(text: str, kind: str) -> list[float]:
    root = parsed(text)
    return [float(rect.attrib["width"]) for rect in root.iter(f"{SVG}rect") if rect.attrib["class"] == kind]


def test_the_chart_is_well_formed_and_names_itself() -> None:
    root = parsed(chart(ROWS))
    assert root.tag == f"{SVG}svg"
    assert root.attrib["role"] == "img"
    (title,) = root.iter(f"{SVG}title")
    assert title.text
    (desc,) = root.iter(f"{SVG}desc")
    assert "Readiness <seen>" in str(desc.text)
    assert "logarithmic scale" in "".join(root.itertext())


def test_no_text_of_the_chart_is_smaller_than_12_pixels_and_both_themes_are_there() -> None:
    text = chart(ROWS)
    sizes = [float(size) for size in re.findall(r"(\d+(?:\.\d+)?)px", text)]
    assert sizes
    assert min(sizes) >= 12
    light, _media, dark = text.partition("@media (prefers-color-scheme: dark)")
    classes = {name for element in parsed(text).iter() for name in element.attrib.get("class", "").split()}
    for name in classes - {"title", "head"}:
        assert f".{name} " in light, name
        assert f".{name} " in dark, name


def test_all_elements_are_inside_the_chart() -> None:
    root = parsed(chart(ROWS))
    height = float(root.attrib["height"])
    for rect in root.iter(f"{SVG}rect"):
        assert float(rect.attrib.get("x", 0)) + float(rect.attrib["width"]) <= WIDTH
        assert float(rect.attrib.get("y", 0)) + float(rect.attrib["height"]) <= height
    for text in root.iter(f"{SVG}text"):
        assert 0 < float(text.attrib["y"]) <= height


def test_bars_stand_in_the_order_of_their_figures() -> None:
    text = chart(ROWS)
    ours, (kubectl, loop, diff) = lengths(text, "ours"), lengths(text, "theirs")
    assert ours[1] < ours[0] < diff < kubectl < loop
    assert len(lengths(text, "bad")) == 1, "the memory that passes its limit"


def test_one_measurement_of_ours_is_one_bar_for_all_that_it_is_compared_with() -> None:
    assert len(lengths(chart(ROWS[:2]), "ours")) == 1
    assert len(lengths(chart(ROWS[:3]), "ours")) == 2


@given(st.lists(st.floats(min_value=1e-6, max_value=1e6), min_size=1))
def test_all_figures_lie_within_the_decades(figures: list[float]) -> None:
    low, high = decades(figures)
    assert low < high
    assert 10.0**low <= min(figures) * (1 + 1e-9)
    assert max(figures) <= 10.0**high * (1 + 1e-9)


@given(
    st.text(alphabet=st.characters(codec="utf-8", exclude_categories=["C"])), st.floats(min_value=1e-3, max_value=1e4)
)
def test_any_name_and_figure_make_a_well_formed_chart(name: str, figure: float) -> None:
    rows = [
        faster(name, (name, [figure]), (name + "2", [1.0]), least=1),
        at_most(name, {name: [figure]}, limit=1, unit="s"),
    ]
    parsed(chart(rows))


def test_no_figures_make_a_chart_too() -> None:
    parsed(chart([failed("All", "no cluster")]))


def test_the_page_has_each_row_with_its_verdict_raw_figures_and_reason() -> None:
    text = page(stored(ROWS))
    assert (
        "| 251 objects, first run, against kubectl | 4x faster | 1.00 s against 2.50 s | 2.50x | **not reached** |"
        in text
    )
    assert "* kubectl: 2.50 s\n" in text
    assert "* Memory: it is so | truly." in text
    assert "it failed: no cluster" in text
    assert "load average 0.1 at the start, 1.9 at the end" in text
    assert "| cores | 2 |" in text
    rows = [line for line in text.splitlines() if line.startswith("| ") and "reached" in line]
    assert len(rows) == len(ROWS)
    assert all(line.count("|") == 6 for line in rows)


def test_rows_come_back_from_the_stored_results() -> None:
    assert all_rows(json.loads(json.dumps(stored(ROWS[:5])))) == ROWS[:5]


def test_page_and_chart_in_the_repository_are_what_the_results_make() -> None:
    there = {path.is_file() for path in (RESULTS, PAGE, CHART)}
    assert len(there) == 1, "make bench writes all three"
    if there == {True}:
        results = json.loads(RESULTS.read_text(encoding="utf-8"))
        assert PAGE.read_text(encoding="utf-8") == page(results)
        assert CHART.read_text(encoding="utf-8") == chart(all_rows(results))


def test_every_benchmark_has_a_title_and_rows() -> None:
    found = registry()
    assert list(found)[:5] == ["convergence", "distance", "readiness", "memory", "platform"]
    for name, module in found.items():
        assert isinstance(module.TITLE, str), name
        assert callable(importlib.import_module(f"tests.benchmarks.{name}").rows), name
