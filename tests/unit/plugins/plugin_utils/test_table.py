# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Unit tests of plugin_utils/_table."""

from __future__ import annotations

from ansible_collections.servicemesh.platform.plugins.plugin_utils._table import table


def test_columns_are_aligned_and_empty_cells_visible() -> None:
    rows = [{"name": "user-service", "ready": "1/1", "ok": True}, {"name": "db", "ready": None, "ok": False}]
    assert table(rows, ["name", "ready", "ok"]) == [
        "NAME          READY  OK",
        "user-service  1/1    yes",
        "db            -      no",
    ]


def test_no_rows_gives_the_heading() -> None:
    assert table([], ["name"]) == ["NAME"]


def test_long_texts_are_cut_where_that_is_asked_for() -> None:
    assert table([{"name": "abcdef"}, {"name": "abc"}], ["name"], 5) == ["NAME", "abcd…", "abc"]


def test_a_cell_is_one_line_without_commands_for_the_terminal() -> None:
    assert table([{"name": "\x1b[2Ja\r\nb\x00"}], ["name"]) == ["NAME", "a b"]
