# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Meshes made after public reports, read from files: what mtls_info says of them. Each case stands for a kind (tests/cases/mtls)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.testing import patch_module_args
from ansible_collections.servicemesh.platform.plugins.modules import mtls_info

from tests.support import ROOT

CASES = {path.stem: path for path in sorted((ROOT / "tests" / "cases" / "mtls").glob("*.yaml"))}


@pytest.mark.parametrize("name", CASES)
def test_a_case(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    case: dict[str, Any] = yaml.safe_load(CASES[name].read_text(encoding="utf-8"))
    objects = tmp_path / "objects.yaml"
    objects.write_text(yaml.safe_dump_all(case["objects"]), encoding="utf-8")
    with patch_module_args({"src": [str(objects)], **case["params"]}), pytest.raises(SystemExit):
        mtls_info.main()
    result = json.loads(capsys.readouterr().out)
    assert not result.get("failed"), result["msg"]
    expected = case["expect"]
    rows = {(row["client"], row["service"], row["port"]): row for row in result["calls"]}
    for row in expected["calls"]:
        place = (row["service"], row["port"])
        found = rows.get((row["client"], *place)) or rows[("*", *place)]
        assert found["verdict"] in row["verdict"], (row, found["reason"])
    if "compliant" in expected:
        assert result["compliant"] is expected["compliant"], result["violations"]
    if "what_if_breaks" in expected:
        assert expected["what_if_breaks"] in {row["service"] for row in result["what_if"]["breaks"]}
    if "what_if_names" in expected:
        assert expected["what_if_names"] in {row["workload"] for row in result["what_if"]["probes"]}
