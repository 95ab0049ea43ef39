# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""README's table of what was run with which versions, from the stored results."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
RESULTS = Path(__file__).parent / "results.json"
README = ROOT / "README.md"
BEGIN, END = (
    "<!-- Written by `make matrix` from tests/matrix/results.json. -->",
    "<!-- End of what `make matrix` writes. -->",
)
_HEAD = ("ansible-core", "Python", "kubernetes.core", "Helm", "what ran", "result", "date")


def stored() -> dict[str, dict[str, Any]]:
    """The last result of each row, by the row's name."""
    found: dict[str, dict[str, Any]] = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    return found


def table(results: dict[str, dict[str, Any]]) -> str:
    """The table with its markers."""
    return "\n".join([BEGIN, "", *_lines(results), "", END])


def _lines(results: dict[str, dict[str, Any]]) -> Iterator[str]:
    yield "| " + " | ".join(_HEAD) + " |"
    yield "|" + "---|" * len(_HEAD)
    for row in results.values():
        parts = row["parts"]
        what = "; ".join(parts) or "not run"
        said = "; ".join(parts.values()) or row["why"]
        cells = (row["core"], row["python"], row["kubernetes_core"], row["helm"], what, said, row["when"])
        yield "| " + " | ".join(cell or "-" for cell in cells) + " |"


def written(readme: str, results: dict[str, dict[str, Any]]) -> str:
    """README with the table between its markers. Raises ValueError when they are not there."""
    before, begin, rest = readme.partition(BEGIN)
    _old, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"README.md has no lines {BEGIN!r} and {END!r}")
    return before + table(results) + after
