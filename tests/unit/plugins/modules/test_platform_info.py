# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Unit tests of modules/platform_info: what it asks for, and what it makes of the answers."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.servicemesh.platform.plugins.module_utils._canary import state as states
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.overview import canaries
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.plan import Plan
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.state import Phase, State
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import ApiError
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


def record(service: str, phase: Phase = Phase.ANALYSING, text: str = "") -> dict[str, Any]:
    state = State(
        "run-1", service, "a", Plan(steps=(25, 50)), version="v1.1", old_version="v1.0", phase=phase, since=5.0
    )
    labels = {"app.kubernetes.io/part-of": service}
    return {
        "metadata": {"namespace": "a", "name": f"canary-{service}", "labels": labels},
        "data": {"state": text or states.to_json(state)},
    }


def test_canaries_have_the_weight_that_routes_have() -> None:
    other = {
        "metadata": {"namespace": "a", "name": "settings", "labels": {"app.kubernetes.io/part-of": "x"}},
        "data": {"state": "{}"},
    }
    found, unread = canaries([record("x"), record("y", Phase.PROMOTED), other], {"a/x": 25, "a/y": 0})
    assert unread == []
    assert [(entry["service"], entry["phase"], entry["active"], entry["weight"]) for entry in found] == [
        ("a/x", "analysing", True, 25),
        ("a/y", "promoted", False, 0),
    ]
    assert (found[0]["version"], found[0]["old_version"], found[0]["steps"], found[0]["since"]) == (
        "v1.1",
        "v1.0",
        [25, 50],
        5.0,
    )


def test_requests_to_a_canary_that_nobody_drives_are_told() -> None:
    (ended,), _unread = canaries([record("y", Phase.ROLLED_BACK)], {"a/y": 5})
    assert (ended["phase"], ended["active"], ended["weight"]) == ("unknown", True, 5)
    (alone,), _unread = canaries([], {"a/y": 5})
    assert alone["service"] == "a/y"


def test_a_record_that_cannot_be_read_is_named() -> None:
    found, (why,) = canaries([record("x", text='{"phase": "dancing"}')], {})
    assert found == []
    assert why.startswith("the canary of a/x (ConfigMap canary-x): it is not the state of a rollout")


def test_who_may_not_list_configmaps_gets_the_rest(client: FakeClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def get(path: str, query: Any = None) -> dict[str, Any] | None:
        if path.endswith("/a/configmaps"):
            raise ApiError("GET", path, 403, {"message": "configmaps is forbidden"})
        return client.answers.get(path)

    monkeypatch.setattr(client, "get", get)
    result = platform_info.work(FakeModule())
    assert len(result["services"]) == 2
    assert result["unread"] == ["canaries: configmaps is forbidden"]
