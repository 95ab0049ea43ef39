# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The reports of role verify_mtls: the same in JSON, JUnit XML and HTML, whatever stands in the data."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from tests.mtls_sample import reports, sample


@pytest.fixture(scope="module")
def told() -> dict[str, Any]:
    return sample()


@pytest.fixture(scope="module")
def written(told: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return reports(tmp_path_factory.mktemp("reports"), told)


def test_the_sample_has_every_verdict(told: dict[str, Any]) -> None:
    assert {call["verdict"] for call in told["calls"]} == {
        *("strict", "encrypted_not_enforced", "plaintext_allowed", "plaintext", "broken", "not_enforced", "unknown")
    }


def plain(value: Any) -> bool:
    """Whether a value is of the types that Ansible takes in a result, without subclasses."""
    exactly = value.__class__
    if exactly is dict:
        return all(key.__class__ is str and plain(entry) for key, entry in value.items())
    return all(map(plain, value)) if exactly is list else exactly in (str, int, float, bool, None.__class__)


def test_the_result_is_made_of_plain_values(told: dict[str, Any]) -> None:
    assert {key for key, value in told.items() if not plain(value)} == set()


def test_json_holds_the_result(told: dict[str, Any], written: dict[str, Path]) -> None:
    data = json.loads(written["json"].read_text())
    for key in ("calls", "findings", "violations", "compliant", "what_if", "workloads", "certificates"):
        assert data[key] == told[key]
    assert (data["cluster"], data["want"]) == ("localhost", {"shop": "strict"})


def test_junit_has_a_test_for_each_call(told: dict[str, Any], written: dict[str, Path]) -> None:
    suites = ElementTree.parse(written["xml"]).getroot()  # noqa: S314  # our own file
    cases = {case.get("name"): case for suite in suites for case in suite}
    calls = {f"{e['client']} to {e['service']}:{e['port']}": e for e in told["calls"]}
    assert set(calls) <= set(cases)
    for name, call in calls.items():
        failed = call["proof"] == "violated" or (bool(call["deviation"]) and not call["excepted"])
        assert (cases[name].find("failure") is not None) == failed, name
        demanded = call["service"].startswith("shop/")
        assert (cases[name].find("skipped") is not None) == (not failed and (bool(call["excepted"]) or not demanded)), (
            name
        )
    counted = [case for case in cases.values() if case.find("failure") is not None]
    assert int(suites.get("failures", "")) == len(counted) > 0
    assert int(suites.get("tests", "")) == len(cases)
    assert sum(int(suite.get("failures", "")) for suite in suites) == len(counted)
    assert int(suites.get("skipped", "")) == len([case for case in cases.values() if case.find("skipped") is not None])
    outside = {name for name in cases if name not in calls}
    assert outside == {f["object"] for f in told["violations"] if f["about"] != "call"} != set()


def test_html_is_one_file_that_asks_nobody(written: dict[str, Path]) -> None:
    text = written["html"].read_text()
    assert re.findall(r"""(?:src|href)=["']?(?!#)""", text) == []
    assert "http://" not in text.split('id="data"')[0]
    assert "default-src 'none'" in text


def test_data_cannot_break_out_of_its_script(told: dict[str, Any], written: dict[str, Path]) -> None:
    text = written["html"].read_text()
    (data,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    shown = [{key: call[key] for key in told["calls"][0]} for call in json.loads(data)["calls"]]
    assert shown == told["calls"]
    assert "alert(1)" in data, "the sample carries an attack"
    assert "<" not in data
