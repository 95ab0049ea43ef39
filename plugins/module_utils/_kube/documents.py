# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documents of a text, and where in it an object and a field of it were written, for messages. No I/O, and no package beside Python."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

Path: TypeAlias = "tuple[str | int, ...]"


@dataclass(frozen=True, slots=True)
class Document:
    """One document of a text. `name`: file or option of the text; `number`: from 1, without empty documents; `line`: its first line.

    `line_of` gives the lines of the document before a field. `notes` are warnings, each with its place.
    """

    name: str
    number: int
    line: int
    line_of: Callable[[Path], int] = field(repr=False, compare=False)
    value: Any = field(repr=False)  # it may be a Secret
    notes: tuple[str, ...] = ()

    def place(self, path: Path = ()) -> str:
        """Where something is: `web.yml, document 2, line 14`; a path that is not in the text counts as far as it is there."""
        return place(self.name, self.number, self.line + self.line_of(path))


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an object was given: in a document of a text, below `path`, or else as an entry of an option (`name` is `definitions[3]`)."""

    name: str
    document: Document | None = None
    path: Path = ()

    def __str__(self) -> str:
        return self.at()

    def at(self, *path: str | int) -> str:
        """The place of a field of the object, or of the object itself."""
        return self.name if self.document is None else self.document.place((*self.path, *path))

    def item(self, *path: str | int) -> Origin:
        """The origin of an object inside of this one; an option has none of them."""
        return self if self.document is None else Origin(self.name, self.document, (*self.path, *path))


def place(name: str, number: int, line: int) -> str:
    """A place as messages show it."""
    return f"{name}, document {number}, line {line}"


def told(value: Any) -> str:
    """The object that a document holds, as messages name it, as far as it can be told: ` (ConfigMap shop/web)`."""
    if not isinstance(value, Mapping) or not isinstance(value.get("kind"), str):
        return ""
    meta = value.get("metadata")
    parts = [meta.get("namespace"), meta.get("name")] if isinstance(meta, Mapping) else []
    name = "/".join(part for part in parts if isinstance(part, str) and part)
    return f" ({value['kind']} {name})" if name else f" ({value['kind']})"
