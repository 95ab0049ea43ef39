# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""JSON texts as kubectl reads them, and the numbers that values have in its JSON. No I/O."""

from __future__ import annotations

import json
import math
import re
from decimal import Decimal
from functools import partial
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._kube.documents import Document, place, told
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import KubeError
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.lines import line_of

SURROGATE = re.compile("[\ud800-\udfff]")
# What unicode.IsSpace takes, as far as a text can begin with it.
SPACES = " \t\n\v\f\r\x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
_JSON_SPACE = re.compile(r"[ \t\n\r]*")


def json_documents(text: str, name: str, found: list[Document]) -> tuple[str, int]:
    """Adds the JSON objects that a text begins with, and returns what follows them, and its line, to be read as YAML.

    After a second object the text is JSON to its end (decoder.go, YAMLOrJSONDecoder). Raises KubeError.
    """
    position, line, counted = 0, 1, 0
    while (start := _skipped(text, position)) < len(text):
        notes: list[str] = []
        line, counted = line + text.count("\n", counted, start), start
        at = place(name, len(found) + 1, line)
        try:
            value, end = _json_decoder(notes).raw_decode(text, start)
            value = _without_surrogates(value) if "\\u" in text[start:end] else value
        except json.JSONDecodeError as error:
            if len(found) > 1:
                raise KubeError(f"{place(name, len(found) + 1, error.lineno)}: {error.msg}. Expected JSON.") from None
            break
        except ValueError as error:
            raise KubeError(f"{at}: {error}") from None
        except RecursionError:
            raise KubeError(f"{at}: this is nested too deeply") from None
        told_notes = tuple(f"{at}{told(value)}: {note}" for note in notes)
        found.append(Document(name, len(found) + 1, line, partial(line_of, text[start:end]), value, told_notes))
        position = end
    else:
        return "", 1
    space = len(text) - len(text[position:].lstrip(SPACES)) - position
    newline = text.find("\n", position, position + space)
    position = newline + 1 if newline >= 0 else position + space
    return text[position:], 1 + text.count("\n", 0, position)


def _skipped(text: str, position: int) -> int:
    match = _JSON_SPACE.match(text, position)
    return match.end() if match else position


def _json_decoder(notes: list[str]) -> json.JSONDecoder:
    def of_pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) != len(pairs):
            names = [pair[0] for pair in pairs]
            notes.extend(twice(key) for key in made if names.count(key) > 1)
        return made

    def constant(text: str) -> Any:
        raise json.JSONDecodeError(f"{text} is no number of JSON", text, 0)

    return json.JSONDecoder(
        object_pairs_hook=of_pairs, parse_constant=constant, parse_int=_json_integer, parse_float=_json_float
    )


def _json_integer(text: str) -> int | float:
    return int(text) if len(text) < 19 else of_integer(int(text) if len(text) < 400 else None, text)


def _json_float(text: str) -> int | float:
    number = float(text)
    if math.isinf(number):
        raise ValueError("a number is too large")
    return of_float(number)


def _without_surrogates(value: Any) -> Any:
    """encoding/json reads half of a surrogate pair as U+FFFD."""
    if isinstance(value, str):
        return SURROGATE.sub("\ufffd", value)
    if isinstance(value, dict):
        return {_without_surrogates(key): _without_surrogates(item) for key, item in value.items()}
    return [_without_surrogates(item) for item in value] if isinstance(value, list) else value


def of_integer(number: int | None, text: str) -> int | float:
    """The number that an integer of JSON becomes: one of 64 bits stays, others become floats. None: it has hundreds of digits."""
    if number is not None and -(2**63) <= number < 2**63:
        return number
    if math.isinf(number_as_float := float(text)):
        raise ValueError("a number is too large")
    return of_float(number_as_float)


def of_float(number: float) -> int | float:
    """The number that a float becomes when it is written as encoding/json does, without a fraction or an exponent below 1e21."""
    if not number.is_integer() or abs(number) >= 1e21:
        return number
    return int(number) if abs(number) < 2**53 else int(Decimal(repr(number)))


def twice(key: str) -> str:
    """The warning for a key that is set again."""
    return f"the key '{key}' is set more than once; the last value is used, as kubectl does"
