# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lines of a document's fields. No I/O."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._kube.documents import Path

with contextlib.suppress(ImportError):  # config.IMPORT_ERROR holds the error; Client reports it
    import yaml


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
