# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Texts of others, before people see them: without what a terminal, a browser or an XML parser would take for a command.

A container's log line, an annotation or a server's answer may contain anything. Escape sequences move the cursor and change colours, other
control characters make XML invalid (https://www.w3.org/TR/xml/#charsets), and marks of direction show a text in another order than it has
(Unicode UAX #9, 2.1 to 2.4).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

# Escape sequences (ECMA-48, 5.4 and 5.6: CSI; OSC and other strings up to their end) go as a whole, and so does a line's carriage return.
_SEQUENCE = (
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c\n]*(?:\x07|\x1b\\|\x9c)"
)
_OTHERS = (
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f"  # control characters but tab and line feed
    r"\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # marks of direction
    r"\ud800-\udfff\ufffe\uffff]"  # no characters
)
_STRIPPED = re.compile(f"{_SEQUENCE}|{_OTHERS}")


def clean(text: str) -> str:
    """A text without escape sequences, control characters (but tab and line feed), marks of direction, and what is no character."""
    return text if text.isprintable() else _STRIPPED.sub("", text)


def cleaned(value: Any) -> Any:
    """A value of plain types with all texts in it cleaned, those of keys too."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, Mapping):
        return {cleaned(key): cleaned(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [cleaned(entry) for entry in value]
    return value
