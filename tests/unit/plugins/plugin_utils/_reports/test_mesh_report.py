# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report of a diagnosis: what its page and its JSON say, for good meshes, bad ones, and texts of others."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from ansible_collections.servicemesh.platform.plugins.filter.mesh_reports import mesh_reports

from tests.mesh_sample import Answers, Mesh, bad_mesh, result

HOSTILE = "\x1b[2Jred\x1b[0m \x00\u202e<b>&\"'</script>"


def reports(told: dict[str, Any]) -> dict[str, str]:
    return mesh_reports({**told, "cluster": HOSTILE, "time": "2026-11-26T18:00:00Z"}, "d")


def test_a_bad_mesh_begins_with_no(monkeypatch: pytest.MonkeyPatch) -> None:
    made = reports(result(Answers(bad_mesh()), monkeypatch))
    page = made["d.html"]
    assert '<div class="answer no" id="answer"><p>5 errors and 1 warning found.</p></div>' in page
    titles = re.findall(r"<h2>(.*?)</h2>", page)
    assert titles == [
        *("Findings", "Proxies that are not synced", "Synced proxies", "istiod", "Calls"),
        *("Pods that restarted or are not ready", "Certificates", "Warnings of Kubernetes"),
    ]
    assert '<td class="error">stale (600 s)</td>' in page
    assert json.loads(made["d.json"])["summary"]["errors"] == 5


def test_a_good_mesh_and_an_unknown_one(monkeypatch: pytest.MonkeyPatch) -> None:
    assert 'class="answer yes"' in reports(result(Answers(Mesh()), monkeypatch))["d.html"]
    page = reports(result(Answers(Mesh(), frozenset({"pods"})), monkeypatch))["d.html"]
    assert 'class="answer unknown"' in page
    assert "could not be read as a whole" in page


def test_texts_of_others_stay_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    mesh = bad_mesh()
    mesh.lists["events"][0]["message"] = HOSTILE
    for text in reports(result(Answers(mesh), monkeypatch)).values():
        assert not re.search("[\x00-\x08\x0e-\x1f\u202e]", text)
    page = reports(result(Answers(mesh), monkeypatch))["d.html"]
    assert "<b>" not in page
    assert "<script" not in page
    assert "&lt;b&gt;" in page


CONFIG = {
    "pod": "web-1", "namespace": "shop", "workload": "web", "known": True,
    "summary": {"clusters": 3, "routes": {"80": ["web"]}, "refused": {}, "secrets": ["default"]},
    "differences": [
        {"kind": "routes", "name": "80", "only": "", "fields": ["virtual_hosts"]},
        {"kind": "clusters", "name": "x", "only": "istiod", "fields": []},
    ],
}  # fmt: skip


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, ["clusters: x: only in istiod", "routes: 80: differs in virtual_hosts", "80: web"]),
        ({"differences": []}, ["none: Envoy runs what istiod would send now"]),
        ({"differences": [], "known": False, "summary": None}, ["unknown: see the findings"]),
    ],
)
def test_configurations(monkeypatch: pytest.MonkeyPatch, changed: dict[str, Any], expected: list[str]) -> None:
    told = {**result(Answers(Mesh()), monkeypatch), "proxy_configs": [{**CONFIG, **changed}]}
    page = reports(told)["d.html"]
    assert "Configuration of shop/web-1" in page
    assert [text for text in expected if text not in page] == []
