# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Unit tests of modules/platform_info: what it asks for, and what it makes of the answers."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.servicemesh.platform.plugins.modules import platform_info


class FakeClient:
    """Answers from a dict, path -> list object; everything else is not there."""

    def __init__(self, answers: dict[str, dict[str, Any]]) -> None:
        self.answers = answers
        self.asked: list[tuple[str, Any]] = []

    def get(self, path: str, query: Any = None) -> dict[str, Any] | None:
        self.asked.append((path, query))
        return self.answers.get(path)

    def each(self, function: Any, items: Any) -> list[Any]:
        return [function(item) for item in items]


class FakeModule:
    def __init__(self, **params: Any) -> None:
        self.params = {"namespaces": ["a", "b"], "domain": "", "url": "", **params}


def deployments(*names: str) -> dict[str, Any]:
    items = [
        {
            "metadata": {"name": name, "namespace": "a", "generation": 1},
            "spec": {"replicas": 1, "selector": {"matchLabels": {"app": name}}, "template": {"spec": {}}},
            "status": {
                "observedGeneration": 1,
                "replicas": 1,
                "updatedReplicas": 1,
                "availableReplicas": 1,
                "readyReplicas": 1,
            },
        }
        for name in names
    ]
    return {"kind": "DeploymentList", "apiVersion": "apps/v1", "items": items}


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> FakeClient:
    fake = FakeClient({"/apis/apps/v1/namespaces/a/deployments": deployments("y", "x")})
    monkeypatch.setattr(platform_info, "connected", lambda _module: fake)
    return fake


def test_what_is_not_there_is_passed_over(client: FakeClient) -> None:
    result = platform_info.work(FakeModule())
    assert [row["name"] for row in result["services"]] == ["x", "y"]
    assert result["summary"] == "All 2 workloads are healthy. There is no namespace b."
    assert (result["empty_namespaces"], result["missing_namespaces"]) == (["b"], ["b"])
    assert (result["changed"], result["url"], result["domain"]) == (False, "", "")


def test_only_what_the_platform_made_is_asked_for(client: FakeClient) -> None:
    platform_info.work(FakeModule(namespaces=["a", "a"]))
    assert len(client.asked) == len({path for path, _query in client.asked}), "a namespace given twice is read once"
    for path, query in client.asked:
        assert path.endswith(("/pods", "/nodes")) or query == {"labelSelector": platform_info.MANAGED}


def test_a_given_url_and_domain_win(client: FakeClient) -> None:
    result = platform_info.work(FakeModule(url="http://198.18.0.2:30080/", domain="shop.example.com"))
    assert (result["url"], result["domain"]) == ("http://198.18.0.2:30080", "shop.example.com")


def test_items_of_a_list_get_their_kind(client: FakeClient) -> None:
    (item, *_rest) = platform_info.listed(client, "/apis/apps/v1/namespaces/a/deployments")
    assert (item["apiVersion"], item["kind"]) == ("apps/v1", "Deployment")
