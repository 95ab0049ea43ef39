# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of fields: nothing of Istio's and Kubernetes' own lists without a row, and no row without a field."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.fields import keys
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.fields.kinds import TABLES
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.fields.switches import SWITCHES
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.fields.table import Row, Table, Use, words

FOLDER = Path(__file__).parents[4] / "cases" / "fields"
ENGINE = Path(__file__).parents[5] / "plugins" / "module_utils" / "_mtls"
ISTIO = json.loads((FOLDER / "istio.json").read_text(encoding="utf-8"))
KUBERNETES = json.loads((FOLDER / "kubernetes.json").read_text(encoding="utf-8"))
GATEWAY_API = json.loads((FOLDER / "gateway_api.json").read_text(encoding="utf-8"))
FIELDS: dict[str, dict[str, Any]] = {**ISTIO["kinds"], **KUBERNETES["kinds"], **GATEWAY_API["kinds"]}
SWITCHES_OF_ISTIO = dict.fromkeys(ISTIO["switches"], "string")
CASES = [(kind, table, FIELDS[kind]) for kind, table in TABLES.items()] + [("istiod", SWITCHES, SWITCHES_OF_ISTIO)]
IDS = [kind for kind, _table, _fields in CASES]


def patterns(path: str) -> list[str]:
    """The paths of rows that are for a field: its own, and those of the parts that it is in."""
    parts = words(path)
    above = (".".join(parts[:length]).replace(".[]", "[]") for length in range(1, len(parts) + 1))
    return [path, *(f"{part}.**" for part in above)]


def in_map(path: str, fields: dict[str, Any]) -> bool:
    """Whether a row is for one key of a mapping whose keys are free."""
    return path.rpartition(".")[0] + ".*" in fields


@pytest.mark.parametrize(("kind", "table", "fields"), CASES, ids=IDS)
def test_every_field_is_in_one_row(kind: str, table: Table, fields: dict[str, Any]) -> None:
    rows = Counter(row.path for row in table.rows)
    found = {path: sum(rows[pattern] for pattern in patterns(path)) for path in fields}
    assert {path: count for path, count in found.items() if count != 1} == {}


@pytest.mark.parametrize(("kind", "table", "fields"), CASES, ids=IDS)
def test_every_row_has_a_field(kind: str, table: Table, fields: dict[str, Any]) -> None:
    known = {pattern for path in fields for pattern in patterns(path)}
    assert [row.path for row in table.rows if row.path not in known and not in_map(row.path, fields)] == []


@pytest.mark.parametrize(("kind", "table", "fields"), CASES, ids=IDS)
def test_every_value_of_an_enum_is_in_its_row(kind: str, table: Table, fields: dict[str, Any]) -> None:
    """A deciding field of an enum names the values that the engine knows, and those are values that there are."""
    for row in table.rows:
        values = fields.get(row.path)
        if row.use is Use.DECIDES and isinstance(values, list):
            assert row.values is not None, row.path
            assert row.values <= set(values), row.path


def rows_of(kind: str) -> list[Row]:
    if kind == "keys":
        return [*keys.OF_ALL.values(), *(row for rows in keys.ROWS.values() for row in rows.values())]
    return [row for name, table, _fields in CASES if name == kind for row in table.rows]


@pytest.mark.parametrize("kind", [*IDS, "keys"])
def test_every_row_says_where_or_why(kind: str) -> None:
    for row in rows_of(kind):
        assert row.why, row.path
        if row.use is Use.DECIDES:
            assert (ENGINE / row.why).is_file(), (row.path, row.why)


@pytest.mark.parametrize("key", sorted(ISTIO["keys"]))
def test_every_annotation_and_label_has_a_row(key: str) -> None:
    kinds = [kind for kind in ISTIO["keys"][key] if kind in TABLES] or ["Gateway"]
    assert [kind for kind in kinds if keys.row_of(kind, key) is None] == []


def test_every_row_of_a_key_has_a_key() -> None:
    assert sorted({row.path for row in rows_of("keys")} - set(ISTIO["keys"])) == []


def test_every_key_that_the_engine_names_is_a_deciding_one() -> None:
    """What the code looks for in annotations and labels decides somewhere."""
    pattern = re.compile(r'"((?:[a-z]+\.)*istio\.io/[A-Za-z-]+)"')
    named = {
        key
        for path in ENGINE.rglob("*.py")
        # The overlay makes pods as the injector does; these keys are the injector's.
        if not {"fields", "proof", "overlay"} & set(path.parts) and path.name != "source.py"
        for key in pattern.findall(path.read_text(encoding="utf-8"))
    }
    deciding = {row.path for row in rows_of("keys") if row.use is Use.DECIDES}
    named -= {"istio.io/ingress-controller"}  # the controller of an IngressClass, and no key
    assert sorted(named - deciding) == []
