# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is made of the keys of a service definition: options of an argument spec, and tables of the documentation."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from ansible_collections.servicemesh.platform.plugins.plugin_utils._service.checks import Between, OneOf
from ansible_collections.servicemesh.platform.plugins.plugin_utils._service.keys import DEFINITION
from ansible_collections.servicemesh.platform.plugins.plugin_utils._service.schema import Field

from tests.generate.files import table
from tests.generate.yaml_text import dumped

_TYPES = {"map": "dict", "object": "dict"}
_WORDS = {
    "str": "string",
    "int": "number",
    "float": "number",
    "bool": "true or false",
    "map": "dictionary",
    "object": "dictionary",
}
_EMPTY = (None, "")


def argument_spec() -> str:
    """The options of `microservice_definition`, as they stand in roles/microservice/meta/argument_specs.yml."""
    return dumped({"options": options(DEFINITION)}, indent=8)


def options(spec: Field) -> dict[str, Any]:
    """The keys of an object as options of an argument spec.

    A required key of an object that may be empty is not required there: Ansible would demand it of the empty one too. `findings` of the
    definition reports it.
    """
    return {name: _option(child, spec.optional) for name, child in spec.fields.items()}


def _option(spec: Field, in_optional: bool) -> dict[str, Any]:
    option: dict[str, Any] = {"type": _TYPES.get(spec.kind, spec.kind)}
    inner = spec
    if spec.kind == "list" and spec.item:
        inner = spec.item
        option["elements"] = _TYPES.get(inner.kind, inner.kind)
    if isinstance(inner.check, OneOf):
        option["choices"] = list(inner.check.choices)
    if spec.required and not in_optional:
        option["required"] = True
    if spec.default not in _EMPTY:
        option["default"] = spec.default
    option["description"] = [_markup(spec.text)]
    if inner.fields:
        option["options"] = options(inner)
    return option


def _markup(text: str) -> str:
    """Backticks as Ansible's documentation writes them."""
    return re.sub(r"`([^`]*)`", r"C(\1)", text)


def tables() -> str:
    """A table of all keys, and one for each list of dictionaries. Keys inside of a dictionary have its name before them."""
    parts = [f"\n{_table(DEFINITION)}"]
    parts += [f"\nAn entry of `{path}`:\n\n{_table(item)}" for path, item in _lists("", DEFINITION)]
    return "".join(parts) + "\n"


def _lists(prefix: str, spec: Field) -> Iterator[tuple[str, Field]]:
    for name, child in spec.fields.items():
        if child.kind == "list" and child.item and child.item.fields:
            yield f"{prefix}{name}", child.item
        yield from _lists(f"{prefix}{name}.", child)


def _table(spec: Field) -> str:
    return table(["key", "type", "default", "meaning"], list(_rows("", spec)))


def _rows(prefix: str, spec: Field) -> Iterator[list[str]]:
    for name, child in spec.fields.items():
        yield [f"`{prefix}{name}`", _type(child), _default(child), child.text]
        if child.kind == "object":
            yield from _rows(f"{prefix}{name}.", child)


def _type(spec: Field) -> str:
    if spec.kind == "list":
        item = spec.item or Field("str")
        if isinstance(item.check, OneOf):
            return f"list of {_choices(item.check)}"
        return "list of dictionaries" if item.fields else "list of strings"
    if isinstance(spec.check, OneOf):
        return _choices(spec.check)
    if isinstance(spec.check, Between):
        low, high = ("2^31-1" if limit == 2**31 - 1 else f"{limit}" for limit in (spec.check.low, spec.check.high))
        return f"{low} to {high}"
    return _WORDS[spec.kind]


def _choices(check: OneOf) -> str:
    return ", ".join(f"`{choice}`" for choice in check.choices)


def _default(spec: Field) -> str:
    """The default in YAML; in a required object's keys the word `required`."""
    if spec.required:
        return "required"
    if spec.optional:
        return "" if spec.default is None else f"`{spec.default}`"
    if spec.default in _EMPTY:
        return ""
    value = spec.default if isinstance(spec.default, str) else json.dumps(spec.default)
    return f"`{value}`"
