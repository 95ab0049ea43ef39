# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The keys of a service definition are written once: each is described, and the JSON Schema for editors takes what the definition takes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
import yaml
from ansible_collections.servicemesh.platform.plugins.plugin_utils._service.definition import findings, load
from ansible_collections.servicemesh.platform.plugins.plugin_utils._service.keys import DEFINITION
from ansible_collections.servicemesh.platform.plugins.plugin_utils._service.schema import Field
from hypothesis import given
from hypothesis import strategies as st

from tests.contract.tree import ROOT
from tests.generate import json_schema
from tests.unit.plugins.plugin_utils._service.test_definition import CALLER, JWT, MINIMAL
from tests.unit.plugins.plugin_utils._service.test_properties import DEFINITIONS

SCHEMA = json.loads(json_schema.text())
EDITOR = jsonschema.Draft7Validator(SCHEMA)


def keys(spec: Field, prefix: str = "") -> Iterator[tuple[str, Field]]:
    """Every key, with its path."""
    for name, child in spec.fields.items():
        yield prefix + name, child
        yield from keys(child.item or child, f"{prefix}{name}.")


@pytest.mark.parametrize(
    ("path", "field"), [*keys(DEFINITION)], ids=lambda value: value if isinstance(value, str) else ""
)
def test_every_key_is_described(path: str, field: Field) -> None:
    assert re.fullmatch(r"[A-Z`].*\.", field.text), f"{path} has no text, or none that is made of sentences"
    assert field.text.count("`") % 2 == 0, f"{path}: a name without its second backtick"
    assert not re.search(r"`[^`]*\)[^`]*`", field.text), (
        f"{path}: a closing bracket would end the markup of the argument spec"
    )


def test_the_schema_is_one() -> None:
    jsonschema.Draft7Validator.check_schema(SCHEMA)


def test_the_documented_example_is_valid() -> None:
    text = (ROOT / "docs" / "service-definition.md").read_text(encoding="utf-8")
    example = yaml.safe_load(text.split("```yaml\n")[1].split("```")[0])
    assert findings(example) == []
    assert list(EDITOR.iter_errors(example)) == []


@given(DEFINITIONS)
def test_an_editor_takes_what_the_definition_takes(definition: dict[str, Any]) -> None:
    assert findings(definition) == []
    assert list(EDITOR.iter_errors(definition)) == []
    assert list(EDITOR.iter_errors(load(definition))) == [], "with all defaults"


@pytest.mark.parametrize(
    "keys",
    [
        {"replicas": "3", "topology_spread": "yes", "env": {"DEBUG": True, "N": 1.5}, "max_surge": 1, "version": 2},
        {"replicas": None, "routes": None, "track": None, "jwt": {}, "probes": {"liveness": {}}, "config": None},
        {
            "replicas": "{{ platform_replicas }}",
            "track": "{{ track }}",
            "routes": "{{ routes + more }}",
            "jwt": "{{ jwt }}",
        },
        {"env": "{{ env }}", "topology_spread": "{{ spread }}", "resources": {"limits": "{{ limits }}"}},
        {"callers": [CALLER, "{{ caller }}"], "jwt": JWT},
    ],
)
def test_an_editor_takes_what_inventories_write(keys: dict[str, Any]) -> None:
    assert list(EDITOR.iter_errors({**MINIMAL, **keys})) == []


@pytest.mark.parametrize(
    "keys",
    [
        {"replica": 3},
        {"replicas": -1},
        {"replicas": 1.5},
        {"replicas": [3]},
        {"port": 65536},
        {"track": "blue"},
        {"topology_spread": "maybe"},
        {"env": {"A": []}},
        {"env": ["A"]},
        {"command": "sh -c true"},
        {"routes": [{"methods": ["GET"]}]},
        {"routes": [{"prefix": "/a", "methods": ["get"]}]},
        {"routes": [{"prefix": "/a", "cors": {"max_age": "1h"}}]},
        {"resources": {"request": {}}},
        {"image": None},
    ],
)
def test_an_editor_refuses_what_is_wrong(keys: dict[str, Any]) -> None:
    assert findings({**MINIMAL, **keys}), "the definition refuses it too"
    assert list(EDITOR.iter_errors({**MINIMAL, **keys}))


def written(spec: Field) -> st.SearchStrategy[Any]:
    """What people write for a key, right and wrong."""
    nothing = st.sampled_from([None, "", "{{ x }}"])
    match spec.kind:
        case "str":
            return nothing | st.sampled_from([spec.default, "a", "/a", "10s", "GET", "50m", 3, 1.5, True, []])
        case "int":
            return nothing | st.sampled_from([spec.default, str(spec.default), " 7", "-1", 0, 1, 99, 10**10, True, 2.0])
        case "bool":
            return nothing | st.sampled_from([True, False, "yes", "No", "TRUE", "maybe", 1])
        case "map":
            scalars = st.sampled_from(["", "a", 1, 1.5, True, None, []])
            return nothing | st.dictionaries(st.sampled_from(["A", "b.c/d", "1 2"]), scalars, max_size=2)
        case "list":
            return nothing | st.lists(written(spec.item or Field("str")), max_size=2)
        case _:
            needed = {name: written(child) for name, child in spec.fields.items() if child.required}
            others = {name: written(child) for name, child in spec.fields.items() if not child.required}
            return nothing | st.just({}) | st.fixed_dictionaries(needed, optional=others)


@given(st.data())
def test_what_a_run_takes_has_no_error_in_an_editor(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(set(DEFINITION.fields))))
    given_definition = {**MINIMAL, "jwt": JWT, name: data.draw(written(DEFINITION.fields[name]))}
    if not findings(given_definition):
        assert list(EDITOR.iter_errors(given_definition)) == []
