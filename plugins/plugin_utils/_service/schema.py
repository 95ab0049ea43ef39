# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: may change at any time without notice; only this collection may import it.
"""A small schema: the keys of a nested dict, their defaults, and all findings about it at once."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Check = Callable[[Any], "str | None"]
_NUMBER = re.compile(r"[0-9]{1,15}(\.[0-9]{1,15})?")


@dataclass(frozen=True)
class Field:
    """One key of a dict.

    ``kind`` is ``str``, ``int``, ``float``, ``bool``, ``map`` (free keys, scalar values become strings), ``list`` or ``object``.
    ``check`` gets the converted value and returns what was expected, or None when the value is valid.
    ``optional``: the object may be empty, which means "none" and takes no defaults.
    ``text``: what the key means, in sentences with names and values in backticks. The documentation is made of it.
    """

    kind: str
    default: Any = None
    required: bool = False
    check: Check | None = None
    item: Field | None = None
    fields: Mapping[str, Field] = field(default_factory=dict)
    optional: bool = False
    text: str = ""


def read(value: Any, spec: Field, path: str, findings: list[str]) -> Any:
    """Return ``value`` converted to ``spec`` with defaults filled in; append findings to ``findings``."""
    readers: dict[str, Callable[[Any, Field, str, list[str]], Any]] = {
        "str": _read_str,
        "int": _read_int,
        "float": _read_float,
        "bool": _read_bool,
        "map": _read_map,
        "list": _read_list,
        "object": _read_object,
    }
    before = len(findings)
    result = readers[spec.kind](value, spec, path, findings)
    if spec.check and len(findings) == before and result is not None:
        expected = spec.check(result)
        if expected:
            findings.append(f"{path}: {show(value)} is not {expected}")
    return result


def show(value: Any) -> str:
    """Return a value as messages show it: quoted, and cut after 120 characters."""
    text = repr(str(value)) if isinstance(value, str) else str(value)
    return text if len(text) <= 120 else text[:117] + "..."


def _wrong(value: Any, expected: str, path: str, findings: list[str]) -> None:
    findings.append(f"{path}: {show(value)} is not {expected}")


def _read_str(value: Any, _spec: Field, path: str, findings: list[str]) -> str | None:
    if isinstance(value, str):
        return str(value)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    _wrong(value, "a string", path, findings)
    return None


def _read_int(value: Any, _spec: Field, path: str, findings: list[str]) -> int | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return int(value)
    # A number given on the command line (-e platform_replicas=2) arrives as text.
    if isinstance(value, str) and value.strip().isdecimal() and value.isascii():
        return int(value)
    _wrong(value, "a whole number", path, findings)
    return None


def _read_float(value: Any, _spec: Field, path: str, findings: list[str]) -> float | None:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        return float(value)
    _wrong(value, "a number", path, findings)
    return None


def _read_bool(value: Any, _spec: Field, path: str, findings: list[str]) -> bool | None:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in ("true", "false", "yes", "no"):
        return value.lower() in ("true", "yes")
    _wrong(value, "true or false", path, findings)
    return None


def _read_map(value: Any, _spec: Field, path: str, findings: list[str]) -> dict[str, str]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        _wrong(value, "a dictionary", path, findings)
        return {}
    result: dict[str, str] = {}
    for key, item in value.items():
        if isinstance(item, bool):
            result[str(key)] = "true" if item else "false"
        elif isinstance(item, (str, int, float)):
            result[str(key)] = str(item)
        else:
            # The value is not shown: an environment may contain secrets.
            findings.append(f"{path}.{key}: a {type(item).__name__} is not a string, a number or a boolean")
    return result


def _read_list(value: Any, spec: Field, path: str, findings: list[str]) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, Sequence) or isinstance(value, (str, bytes)):
        _wrong(value, "a list", path, findings)
        return []
    item = spec.item or Field("str")
    return [read(entry, item, f"{path}[{index}]", findings) for index, entry in enumerate(value)]


def _read_object(value: Any, spec: Field, path: str, findings: list[str]) -> dict[str, Any]:
    if value is None:
        value = {}
    if not isinstance(value, Mapping):
        _wrong(value, f"a dictionary with the keys {', '.join(spec.fields)}", path, findings)
        return {}
    if not value and spec.optional:
        return {}
    prefix = f"{path}." if path else ""
    for key in value:
        if key not in spec.fields:
            near = difflib.get_close_matches(str(key), list(spec.fields), n=1)
            hint = f"; did you mean {near[0]}?" if near else f"; known keys: {', '.join(sorted(spec.fields))}"
            findings.append(f"{prefix}{key}: unknown key{hint}")
    result: dict[str, Any] = {}
    for key, child in spec.fields.items():
        given = value.get(key)
        if given is None:
            if child.required:
                findings.append(f"{prefix}{key}: missing")
                result[key] = None
                continue
            given = child.default
        result[key] = (
            None
            if given is None and child.kind in ("str", "int", "float", "bool")
            else read(given, child, f"{prefix}{key}", findings)
        )
    return result
