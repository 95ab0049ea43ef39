# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Unit tests of the list of words that may not come back."""

from __future__ import annotations

import pytest

from tests.words.check import Finding, findings, load

LIST = """
- {word: "traps?", instead: "mTLS rule"}
- word: edges?
  instead: call, or ingress
  phrases: [edge case]
  files: ["docs/other.md"]
  why: the field's own words
- {word: "verbs?", instead: operation, only: ["*canary*"]}
"""


def found(text: str, path: str = "a.py") -> list[str]:
    return [f"{finding.line} {finding.word}" for finding in findings(load(LIST), {path: text})]


@pytest.mark.parametrize("text", ["a trap", "Traps", "TRAPS = 1", "the_trap()", "x.trap_of", "`trap`: text"])
def test_a_word_is_found_in_prose_and_in_names(text: str) -> None:
    assert len(found(text)) == 1


@pytest.mark.parametrize("text", ["strapped", "entrap", "trapeze", "an edge case", ""])
def test_other_words_and_exceptions_are_not_found(text: str) -> None:
    assert found(text) == []


def test_an_exception_holds_for_the_phrase_alone() -> None:
    assert found("an edge case of an edge") == ["1 edge"]


def test_files_are_left_out_by_pattern() -> None:
    assert found("edge and trap", "docs/other.md") == ["1 trap"]


def test_a_word_may_be_looked_for_in_some_files_only() -> None:
    assert (found("verb", "docs/canary.md"), found("verb", "docs/apply.md")) == (["1 verb"], [])


def test_a_finding_says_where_and_what_to_write() -> None:
    assert str(Finding("a.py", 3, "trap", "mTLS rule")) == "a.py:3: 'trap'; write mTLS rule"


@pytest.mark.parametrize(
    "entry",
    ["- {word: x}", "- {instead: y}", "- {word: x, instead: y, file: [z]}", "- {word: x, instead: y, files: [z]}"],
)
def test_an_entry_that_is_not_understood_is_refused(entry: str) -> None:
    with pytest.raises(ValueError, match=r"expected word and instead|needs a why"):
        load(entry)
