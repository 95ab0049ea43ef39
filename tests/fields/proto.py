# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Messages of .proto files, as paths with their types in the names of their JSON form. Enough of the language for Istio's API."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from tests.fields.schema import Leaf

_FIELD = re.compile(r"(repeated |optional )?(map<\s*\w+\s*,\s*([\w.]+)\s*>|[\w.]+) (\w+) = \d+")
_SCALARS = {"string": "string", "bool": "boolean", "double": "number", "float": "number", "bytes": "string"}
_WRAPPED = {
    "Duration": "duration",
    "BoolValue": "boolean",
    "Struct": "object",
    "Int32Value": "integer",
    "DoubleValue": "number",
}


class Protos:
    """All messages and enums under a folder, by their full names."""

    def __init__(self, folder: Path) -> None:
        self.messages: dict[str, list[tuple[str, str, str]]] = {}  # name -> (field, type, "", "[]" or ".*")
        self.enums: dict[str, list[str]] = {}
        for path in sorted(folder.rglob("*.proto")):
            if "common-protos" not in path.parts:
                self._read(path.read_text(encoding="utf-8"))

    def _read(self, text: str) -> None:
        text = re.sub(r"//[^\n]*|/\*.*?\*/", "", text, flags=re.S)
        package = re.search(r"package ([\w.]+);", text)
        stack = [(package[1] if package else "", "package")]
        for statement in re.finditer(r"([^;{}]*)([;{}])", text):
            words, end = " ".join(statement[1].split()), statement[2]
            name, kind = stack[-1]
            if end == "{":
                head, _space, rest = words.partition(" ")
                inner = f"{name}.{rest}" if head in ("message", "enum") else name
                stack.append((inner, head if head in ("message", "enum", "oneof") else "other"))
                if head == "message":
                    self.messages.setdefault(inner, [])
            elif end == "}":
                if len(stack) > 1:
                    stack.pop()
            elif kind == "enum" and (found := re.match(r"(\w+) = -?\w+", words)) and not words.startswith("option"):
                self.enums.setdefault(name, []).append(found[1])
            elif kind in ("message", "oneof") and (match := _FIELD.match(words)):
                shape = ".*" if match[3] else "[]" if match[1] == "repeated " else ""
                self.messages[name].append((match[4], match[3] or match[2], shape))

    def _resolve(self, name: str, scope: str) -> str:
        """The full name of a type as it is seen from a message."""
        while True:
            full = f"{scope}.{name}" if scope else name
            if full in self.messages or full in self.enums or not scope:
                return full
            scope = scope.rpartition(".")[0]

    def leaves(self, message: str, path: str = "", above: tuple[str, ...] = ()) -> Iterator[tuple[str, Leaf]]:
        """(path, type) of everything in a message. A message within itself is an object."""
        for name, kind, shape in self.messages[message]:
            where = (f"{path}.{_json(name)}" if path else _json(name)) + shape
            full = self._resolve(kind, message)
            if full in self.enums:
                yield where, self.enums[full]
            elif full in self.messages and full not in above and self.messages[full]:
                yield from self.leaves(full, where, (*above, message))
            else:
                last = kind.rpartition(".")[2]
                yield (
                    where,
                    _WRAPPED.get(last)
                    or _SCALARS.get(kind)
                    or ("object" if "." in kind or last[0].isupper() else "integer"),
                )


def _json(name: str) -> str:
    return re.sub(r"_(\w)", lambda found: found[1].upper(), name)
