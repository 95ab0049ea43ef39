# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables for people. No I/O.

PRIVATE: may change at any time.
"""

from __future__ import annotations

import typing as t
from collections.abc import Mapping, Sequence

from ansible_collections.servicemesh.platform.plugins.module_utils._text import clean


def _cell(value: t.Any, widest: int) -> str:
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = clean(str(value)).replace("\n", " ")
    return f"{text[: widest - 1]}…" if 0 < widest < len(text) else text


def table(rows: Sequence[Mapping[str, t.Any]], columns: Sequence[str], widest: int = 0) -> list[str]:
    """Rows as aligned lines below a heading line; ``columns`` are keys of the rows, in order. Empty values are shown as ``-``.

    ``widest``: characters after which the text of a cell is cut, 0 for no limit.
    """
    cells = [
        [column.replace("_", " ").upper() for column in columns],
        *([_cell(row.get(c), widest) for c in columns] for row in rows),
    ]
    widths = [max(len(line[i]) for line in cells) for i in range(len(columns))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells]
