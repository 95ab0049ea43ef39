# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Texts of others, before people see them."""

from __future__ import annotations

import unicodedata
from typing import Any
from xml.etree import ElementTree

import pytest
from ansible_collections.servicemesh.platform.plugins.module_utils._text import clean, cleaned
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("plain, with ünïcode 日本 and 😀", "plain, with ünïcode 日本 and 😀"),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
        ("\x1b[31mERROR\x1b[0m: no database", "ERROR: no database"),
        ("\x1b[2J\x1b[1;1Hgone", "gone"),
        ("a\x1b]0;title\x07b\x1b]8;;https://x.example\x1b\\link", "ablink"),
        ("\x9b1mbold", "bold"),
        ("\x1b", ""),
        ("\x1b]0;no end, so only its beginning goes", "]0;no end, so only its beginning goes"),
        ("50 %\r100 %\x00\x08\x7f", "50 %100 %"),
        ("refused \u202edetpecca\u202c", "refused detpecca"),
        ("\ud800x\ufffe\uffff", "x"),
    ],
)
def test_what_is_left_of_a_text(text: str, expected: str) -> None:
    assert clean(text) == expected


@given(st.text(st.characters(exclude_categories=()), max_size=60))
def test_what_is_left_is_harmless(text: str) -> None:
    left = clean(text)
    assert clean(left) == left, "nothing new comes of what was apart before"
    assert all(character in "\t\n" or unicodedata.category(character) not in ("Cc", "Cs") for character in left)
    root = ElementTree.Element("x", {"a": left})
    root.text = left
    parsed = ElementTree.fromstring(ElementTree.tostring(root, "utf-8"))  # noqa: S314  # of our own making
    assert (parsed.text or "") == left


@given(st.text(st.characters(categories=("L", "N", "P", "S", "Zs")), max_size=60))
def test_harmless_texts_stay_as_they_are(text: str) -> None:
    assert clean(text) == text


def test_values_keep_their_types() -> None:
    given_value: dict[str, Any] = {"a\x1b": ["b\x00", 1, 1.5, True, None, {"c": ("d\x7f",)}]}
    assert cleaned(given_value) == {"a": ["b", 1, 1.5, True, None, {"c": ["d"]}]}
