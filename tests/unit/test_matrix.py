# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""README's table of versions: written from the stored results, and from nothing else."""

from __future__ import annotations

import pytest

from tests.matrix import _table
from tests.matrix.__main__ import PAIRS, NotHereError, chosen, completed, python_of

ROW = {
    "core": "2.21.5", "python": "3.13.0", "kubernetes_core": "6.4.0", "helm": "3.22.0", "when": "2026-01-02",
    "parts": {"unit and contract tests": "2 passed", "sanity": "**failed** (1)"},
}  # fmt: skip


def test_the_table_says_what_ran_and_what_did_not() -> None:
    missing = {**ROW, "python": "3.14", "parts": {}, "why": "no Python 3.14 on this machine"}
    lines = _table.table({"a": ROW, "b": missing}).splitlines()
    assert (
        "| 2.21.5 | 3.13.0 | 6.4.0 | 3.22.0 | unit and contract tests; sanity | 2 passed; **failed** (1) | 2026-01-02 |"
        in lines
    )
    assert any("not run | no Python 3.14 on this machine" in line for line in lines)


def test_only_what_is_between_the_markers_changes() -> None:
    readme = f"before\n{_table.BEGIN}\nold\n{_table.END}\nafter\n"
    found = _table.written(readme, {"a": ROW})
    assert found.startswith("before\n")
    assert found.endswith("\nafter\n")
    assert "old" not in found
    assert _table.written(found, {"a": ROW}) == found
    with pytest.raises(ValueError, match="has no lines"):
        _table.written("nothing", {})


def test_readme_has_the_stored_results() -> None:
    readme = _table.README.read_text(encoding="utf-8")
    assert _table.written(readme, _table.stored()) == readme, "run python -m tests.matrix table"
    assert completed(_table.stored()) == _table.stored()


def test_a_row_for_each_pair_and_for_each_part_that_did_not_run() -> None:
    pair = PAIRS[0]
    found = completed({pair.name: {**ROW, "parts": {pair.parts[0].value: "2 passed"}}})
    assert list(found) == [each.name for each in PAIRS]
    assert list(found[pair.name]["parts"].values()) == ["2 passed", *["not run"] * (len(pair.parts) - 1)]
    assert all(row["why"] == "not run yet" for name, row in found.items() if name != pair.name)


def test_parts_of_pairs_are_chosen_by_name() -> None:
    assert chosen([]) == list(PAIRS)
    assert [(pair.name, pair.parts) for pair in chosen(["helm4/site"])] == [("helm4", ("site.yml --check",))]
    for word in ("2.18-3.10", "helm4/nothing"):
        with pytest.raises(SystemExit, match=f"unknown: {word}; there are"):
            chosen([word])


def test_a_python_that_is_not_here_is_told() -> None:
    with pytest.raises(NotHereError, match=r"no Python 1\.2 on"):
        python_of("1.2")
