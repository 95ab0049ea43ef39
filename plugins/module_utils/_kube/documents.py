# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documents of a text, and where in it an object and a field of it were written, for messages. No I/O."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

with contextlib.suppress(ImportError):  # config.IMPORT_ERROR holds the error; Client reports it
    import yaml

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Document:
    """One document of a text. `name`: file or option of the text; `number`: from 1, without empty documents; `line`: its first line.

    `text` is the document alone. `notes` are warnings, each with its place.
    """

    name: str
    number: int
    line: int
    text: str = field(repr=False)  # it may hold a Secret
    value: Any = field(repr=False)
    notes: tuple[str, ...] = ()

    def place(self, path: Path = ()) -> str:
        """Where something is: `web.yml, document 2, line 14`; a path that is not in the text counts as far as it is there."""
        return place(self.name, self.number, self.line + line_of(self.text, path))


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


def line_of(text: str, path: Path) -> int:
    """Lines of a document before the one with the field at `path`, or before its nearest parent that the text has.

    The text is parsed once more, so this is for messages. Aliases and merged keys have no line of their own.
    """
    lines = _index(text)
    return next((lines[path[:end]] for end in range(len(path), -1, -1) if path[:end] in lines), 0)


@functools.lru_cache(maxsize=4)
def _index(text: str) -> Mapping[Path, int]:
    """The lines of all nodes, as far as the text can be parsed; of a key that is set again, those of the last one."""
    found: dict[Path, int] = {}
    with contextlib.suppress(yaml.YAMLError):
        found.update(_lines(text))
    return found


def _lines(text: str) -> Iterator[tuple[Path, int]]:
    """The path and the line of each node of the first document. For a value below a key, the line is the key's."""
    stack: list[
        list[Any]
    ] = []  # of each open collection: path, whether it is a mapping, key or number of the next item, line of the key
    for event in yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
        if isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            stack.pop()
            continue
        if isinstance(event, yaml.DocumentEndEvent):
            return
        if not isinstance(event, yaml.NodeEvent):
            continue
        path: Path = ()
        mark = event.start_mark
        line = mark.line if mark is not None else 0
        if stack:
            top = stack[-1]
            if top[1] and top[2] is None:
                top[2], top[3] = getattr(event, "value", ""), line
                continue
            path = (*top[0], top[2])
            line, top[2] = (top[3], None) if top[1] else (line, top[2] + 1)
        yield path, line
        if isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
            mapping = isinstance(event, yaml.MappingStartEvent)
            stack.append([path, mapping, None if mapping else 0, line])
