# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Unit tests of modules/mesh_info: the whole module on answers of a mesh, good ones, bad ones, missing ones, and many."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from ansible_collections.servicemesh.platform.plugins.module_utils._kube import pods
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import KubeError
from ansible_collections.servicemesh.platform.plugins.module_utils._mesh.diagnose.codes import Section
from ansible_collections.servicemesh.platform.plugins.module_utils._mesh.diagnose.observed import KINDS
from ansible_collections.servicemesh.platform.plugins.modules import mesh_info

from tests.mesh_sample import Answers, Mesh, bad_mesh, result

LIMIT = 20.0  # seconds for 1,000 proxies
PLURALS = sorted({kind.plural for kinds in KINDS.values() for kind in kinds})


def codes(told: dict[str, Any]) -> set[str]:
    return {entry["code"] for entry in told["findings"]}


def test_a_good_mesh_is_healthy(monkeypatch: pytest.MonkeyPatch) -> None:
    told = result(Answers(Mesh()), monkeypatch)
    assert codes(told) == {"subset_idle"}
    assert (told["summary"]["answer"], told["failing"]) == ("healthy", [])
    assert [entry["proxies"] for entry in told["istiods"]] == [4, 3]
    assert {row["section"]: row["state"] for row in told["summary"]["sections"]} == {
        **{str(section): "read" for section in Section},
        "istioctl": "not_asked",
    }


def test_a_bad_mesh_has_a_finding_in_each_section(monkeypatch: pytest.MonkeyPatch) -> None:
    told = result(Answers(bad_mesh()), monkeypatch)
    assert codes(told) == {
        *("proxy_rejected", "proxy_stale", "proxy_not_connected", "gateway_missing", "oom_killed", "warning_events"),
        *("calls_fail", "subset_idle"),
    }
    assert {entry["code"] for entry in told["failing"]} == codes(told) - {"calls_fail", "subset_idle", "warning_events"}
    assert told["summary"]["text"] == "5 errors and 1 warning found."
    assert [entry["state"] for entry in told["proxies"][:3]] == ["rejected", "stale", "not_connected"]
    assert "\x1b" not in str(told["findings"])


def test_other_namespaces_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    told = result(Answers(bad_mesh()), monkeypatch, namespaces=["istio-system"])
    assert {entry["namespace"] for entry in told["proxies"]} == {"istio-system"}
    assert (codes(told), told["pods"], told["events"]) == ({"no_calls"}, [], [])


@pytest.mark.parametrize("plural", PLURALS)
def test_what_may_not_be_read_makes_the_answer_unknown(monkeypatch: pytest.MonkeyPatch, plural: str) -> None:
    """Nothing that depends on a kind without permission is a finding of its own, and the right is named."""
    told = result(Answers(Mesh(), frozenset({plural})), monkeypatch)
    assert codes(told) <= {"not_read", "subset_idle", "no_calls"}
    assert told["summary"]["answer"] == "unknown"
    assert any(f"verb list on {plural}" in entry["change"] for entry in told["failing"])


@pytest.mark.parametrize("part", ["/debug/syncz", "/certs"])
def test_a_silent_istiod_or_proxy_is_named(monkeypatch: pytest.MonkeyPatch, part: str) -> None:
    answers = Answers(Mesh())
    inside = answers.inside

    def silent(client: Any, namespace: str, name: str, port: int, path: str, timeout: float = 0) -> pods.Reply:
        if path == part and name.endswith("-1"):
            raise pods.PodError(f"pod {namespace}/{name} cannot be asked", "create pods/portforward")
        return inside(client, namespace, name, port, path, timeout)

    monkeypatch.setattr(answers, "inside", silent)
    told = result(answers, monkeypatch)
    assert told["summary"]["answer"] == "unknown"
    assert all("create pods/portforward" in entry["change"] for entry in told["failing"])
    states = {entry["state"] for entry in told["proxies"]}
    assert states == ({"synced", "unknown"} if part == "/debug/syncz" else {"synced"})


def test_proxies_of_an_istiod_that_ends_are_found_at_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first look is while its proxies are on their way, and it does not answer any more."""
    answers, looks = Answers(Mesh()), 0
    inside, rows = answers.inside, dict(answers._inside)
    both = [row for name in rows for row in json.loads(rows[name])]

    def ending(client: Any, namespace: str, name: str, port: int, path: str, timeout: float = 0) -> pods.Reply:
        nonlocal looks
        if path == "/debug/syncz" and name == "istiod-abc-2":
            looks += 1
            answers._pages["pods"] = [page.replace('"istiod-abc-2"', '"ended"') for page in answers._pages["pods"]]
            answers._inside["ended"], answers._inside["istiod-abc-1"] = "[]", json.dumps(both)
            raise pods.PodError(f"pod {namespace}/{name} does not exist", "")
        return inside(client, namespace, name, port, path, timeout)

    monkeypatch.setattr(answers, "inside", ending)
    told = result(answers, monkeypatch)
    assert (looks, told["summary"]["answer"]) == (1, "healthy")
    assert {entry["istiod"] for entry in told["proxies"]} == {"istiod-abc-1"}


@pytest.mark.parametrize(("config", "answer"), [("istio-1-31", "healthy"), ("istio", "unknown")])
def test_the_mesh_config_is_that_of_the_revision(monkeypatch: pytest.MonkeyPatch, config: str, answer: str) -> None:
    mesh = Mesh()
    for pod in mesh.lists["pods"][:2]:
        pod["metadata"]["labels"]["istio.io/rev"] = "1-31"
    answers = Answers(mesh)
    answers.mesh_config = config
    told = result(answers, monkeypatch)
    assert told["summary"]["answer"] == answer
    assert [entry["revision"] for entry in told["istiods"]] == ["1-31", "1-31"]


WRONG = {
    "window": 5,
    "stale_after": -1.0,
    "failed_share": 1.5,
    "proxy_samples": -1,
    "proxies": ["web"],
}


def test_all_wrong_options_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(KubeError) as raised:
        result(Answers(Mesh()), monkeypatch, **WRONG)
    assert [name for name in WRONG if f"{name}: " not in str(raised.value)] == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"proxies": ["shop/none"]}, "no running pod with a proxy has this name"),
        ({"proxies": ["shop/w0"], "sections": ["pods"]}, "section proxies, which is left out"),
        ({"proxies": [f"shop/w{n}" for n in range(11)]}, "Expected at most 10"),
    ],
)
def test_proxies_that_cannot_be_compared(
    monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(KubeError, match=message):
        result(Answers(Mesh(12)), monkeypatch, **options)


def test_the_documented_sections_are_all() -> None:
    assert mesh_info.ARGUMENTS["sections"]["choices"] == [str(section) for section in Section]


def test_a_thousand_proxies_take_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each request takes as long as one to a cluster nearby: 50 ms."""
    mesh = Mesh(500, 2)
    two = mesh.rows["istiod-abc-2"]
    two[7]["resources"] = {url: {**entry, "acked": "older"} for url, entry in two[7]["resources"].items()}
    answers = Answers(mesh, pause=0.05)
    begin = time.monotonic()
    told = result(answers, monkeypatch)
    assert time.monotonic() - begin < LIMIT
    assert len(told["proxies"]) == 1001
    assert {entry["code"] for entry in told["failing"]} == {"proxy_stale"}
    assert answers.requests < 100, "requests grow with pages, not with proxies"
