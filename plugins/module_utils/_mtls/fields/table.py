# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the engine makes of each field: rows by path, and a walk that finds what of an object is not understood. Pure.

A path names fields as in the object's YAML. `[]` is an entry of a list, `*` any key of a mapping, and `**` at the end everything below.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parts import Doubt

# What is below chooses the workloads that an object is for.
_SELECTORS = frozenset({"selector", "workloadSelector", "targetRefs"})


class Use(StrEnum):
    """What becomes of a field."""

    DECIDES = "decides"  # the engine reads it
    IRRELEVANT = "irrelevant"  # it changes no verdict
    UNSUPPORTED = "unsupported"  # it may change one, and the engine does not compute how


@dataclass(frozen=True, slots=True)
class Row:
    """A path and its use. `why` names the file that reads it, says why it changes nothing, or what it may change.

    `values` are those that the engine knows, None for all; of an unsupported field they are those that change nothing.
    """

    path: str
    use: Use
    why: str
    values: frozenset[str] | None = None


def decides(where: str, *paths: str, values: Iterable[str] | None = None) -> list[Row]:
    """Rows of fields that the engine reads, in the file `where`."""
    return [Row(path, Use.DECIDES, where, None if values is None else frozenset(values)) for path in paths]


def irrelevant(why: str, *paths: str) -> list[Row]:
    """Rows of fields that change no verdict."""
    return [Row(path, Use.IRRELEVANT, why) for path in paths]


def unsupported(why: str, *paths: str, unless: Iterable[str] | None = None) -> list[Row]:
    """Rows of fields that make calls unknown. Unset fields and the values `unless` do not."""
    return [Row(path, Use.UNSUPPORTED, why, None if unless is None else frozenset(unless)) for path in paths]


def below(prefix: str, *paths: str) -> list[str]:
    """Paths of several fields of one part of an object."""
    return [f"{prefix}.{path}" for path in paths]


class _Node:
    """A part of an object: a row, or further parts by name."""

    __slots__ = ("parts", "row")

    def __init__(self) -> None:
        self.parts: dict[str, _Node] = {}
        self.row: Row | None = None


class Table:
    """The rows of one kind. They are compiled once."""

    def __init__(self, *rows: Iterable[Row]) -> None:
        self.rows = tuple(row for part in rows for row in part)
        self._root = _Node()
        for row in self.rows:
            node = self._root
            for word in words(row.path.removesuffix(".**")):
                node = node.parts.setdefault(word, _Node())
            node.row = row

    def doubt(self, obj: Any, subject: str) -> Doubt | None:
        """What of an object is not understood, None for nothing. `subject` names the object."""
        found = list(_walk(obj, self._root, ""))
        if not found:
            return None
        more = f", and {len(found) - 1} more fields" if len(found) > 1 else ""
        return Doubt(f"{subject}: {found[0][1]}{more}", any(wide for wide, _words in found))


def words(path: str) -> list[str]:
    """The parts of a path: `a.b[].c` are a, b, [] and c."""
    return path.replace("[]", ".[]").split(".")


def _walk(value: Any, node: _Node, path: str) -> Iterator[tuple[bool, str]]:
    """(whether it is open which workloads the object is for, what is not understood)."""
    if value is None:
        return
    wide = not _SELECTORS.isdisjoint(words(path))
    if node.row is not None and not node.parts:
        what = _of_row(value, node.row, path)
        if what:
            yield wide, what
    elif "[]" in node.parts:
        if not isinstance(value, list):
            yield wide, f"{path} is no list"
            return
        for entry in value:
            yield from _walk(entry, node.parts["[]"], path + "[]")
    elif not isinstance(value, Mapping):
        yield wide, f"{path or 'it'} is no mapping"
    else:
        for name, part in value.items():
            where = f"{path}.{name}".lstrip(".")
            child = node.parts.get(str(name)) or node.parts.get("*")
            if child is not None:
                yield from _walk(part, child, where)
            elif part is not None:
                # A field beside the known ones may well say which workloads the object is for.
                yield wide or path == "spec", f"{where} is not known here"


def _of_row(value: Any, row: Row, path: str) -> str:
    """What is not understood of a field, empty for nothing."""
    match row.use:
        case Use.IRRELEVANT:
            return ""
        case Use.DECIDES:
            if isinstance(value, (Mapping, list)) and not row.path.endswith("**"):
                return f"{path} has not the form that is known here"
            if row.values is not None and str(value) not in row.values:
                return f"{path} has the value {value!r}, which is not known here"
            return ""
        case Use.UNSUPPORTED:
            unset = not value and not isinstance(value, Mapping)
            if unset or (row.values is not None and str(value) in row.values):
                return ""
            return f"{path} is not computed: {row.why}"
