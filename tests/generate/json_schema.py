# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""JSON Schema (draft 7, which editors know best) of a service definition.

It takes whatever the definition takes, and refuses unknown keys, wrong types, choices and ranges. What only the definition's own checks
know (names, durations, paths, keys that depend on each other) is left to them. Any value may be a Jinja expression, as in inventories.
"""

from __future__ import annotations

import json
import re
from typing import Any

from ansible_collections.servicemesh.platform.plugins.plugin_utils._service.checks import Between, OneOf
from ansible_collections.servicemesh.platform.plugins.plugin_utils._service.keys import DEFINITION
from ansible_collections.servicemesh.platform.plugins.plugin_utils._service.schema import Field

_EXPRESSION = r"\{[\{%]"
_DEFINITIONS = {
    "expression": {"type": "string", "pattern": _EXPRESSION, "description": "A Jinja expression."},
    "whole_number": {"type": "string", "pattern": rf"^\s*[0-9]+\s*$|{_EXPRESSION}"},
    "number": {"type": "string", "pattern": rf"^\s*[0-9]+(\.[0-9]+)?\s*$|{_EXPRESSION}"},
    "true_or_false": {
        "type": "string",
        "pattern": f"^([Tt]rue|TRUE|[Ff]alse|FALSE|[Yy]es|YES|[Nn]o|NO|[Oo]n|ON|[Oo]ff|OFF)$|{_EXPRESSION}",
    },
}


def text() -> str:
    """Content of docs/schemas/service-definition.schema.json."""
    schema = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Service definition of the collection servicemesh.platform",
        "$comment": "Written by `make generate` from plugins/plugin_utils/_service/keys.py.",
        "allOf": [_ref("service")],
        "definitions": {"service": _object(DEFINITION), **_DEFINITIONS},
    }
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def _value(spec: Field, nullable: bool) -> dict[str, Any]:
    """The schema of a value, with its description and default. `nullable`: nothing stands for the default."""
    schema: dict[str, Any] = {"description": re.sub("`", "", spec.text)} if spec.text else {}
    if spec.default not in (None, ""):
        schema["default"] = spec.default
    nothing = ["null"] if nullable else []
    if isinstance(spec.check, OneOf):
        return {**schema, "anyOf": [{"enum": [*spec.check.choices, *([None] if nullable else [])]}, _ref("expression")]}
    match spec.kind:
        case "str":
            return {**schema, "type": ["string", "number", *nothing]}
        case "int":
            limits = {"minimum": spec.check.low, "maximum": spec.check.high} if isinstance(spec.check, Between) else {}
            ways = [{"type": ["integer", *nothing], **limits}, _ref("whole_number")]
        case "float":
            ways = [{"type": ["number", *nothing]}, _ref("number")]
        case "bool":
            ways = [{"type": ["boolean", *nothing]}, _ref("true_or_false")]
        case "map":
            free = {"type": ["string", "number", "boolean"]}
            ways = [{"type": ["object", *nothing], "additionalProperties": free}, _ref("expression")]
        case "list":
            items = _value(spec.item or Field("str"), nullable=False)
            ways = [{"type": ["array", *nothing], "items": items}, _ref("expression")]
        case "object":
            ways = [_object(spec) | {"type": ["object", *nothing]}, _ref("expression")]
        case _:
            raise AssertionError(f"kind {spec.kind!r} has no JSON Schema")
    return {**schema, "anyOf": ways}


def _ref(name: str) -> dict[str, Any]:
    return {"$ref": f"#/definitions/{name}"}


def _object(spec: Field) -> dict[str, Any]:
    required = [name for name, child in spec.fields.items() if child.required]
    one: dict[str, Any] = {"type": "object", "additionalProperties": False}
    if required and spec.optional:
        one["anyOf"] = [{"maxProperties": 0}, {"required": required}]
    elif required:
        one["required"] = required
    properties = {name: _value(child, nullable=not child.required) for name, child in spec.fields.items()}
    return {**one, "properties": properties}
