# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""objects_absent deletes what the selector selects at the moment of the deletion, and nothing else."""

from __future__ import annotations

import types
from typing import Any

import pytest
from ansible_collections.servicemesh.platform.plugins.module_utils import _module
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.discovery import Catalog, Resource
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import ApiError, KubeError
from ansible_collections.servicemesh.platform.plugins.modules import objects_absent

SELECTOR = "owner=helm,status=failed"


def secret(name: str, version: int = 1, **meta: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "n", "uid": name, "resourceVersion": str(version), **meta}}


class Fake:
    """A client of a cluster with some Secrets. `changes`: objects that have changed since they are listed; None: gone."""

    requests = 0

    def __init__(self, *listed: list[dict[str, Any]], changes: dict[str, int] | None = None) -> None:
        self.listed, self.changes = list(listed), changes or {}
        self.deleted: list[str] = []

    def discover(self, _kinds: Any) -> Catalog:
        return Catalog([Resource("v1", "Secret", "secrets", True)])

    def each(self, function: Any, items: Any) -> list[Any]:
        return [function(item) for item in items]

    def list_all(self, path: str, query: dict[str, str]) -> tuple[list[dict[str, Any]], str]:
        assert (path, query) == ("/api/v1/namespaces/n/secrets", {"labelSelector": SELECTOR})
        return (self.listed.pop(0) if self.listed else []), "1"

    def request(self, method: str, path: str, *, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        name = path.rpartition("/")[2]
        asked = body["preconditions"]
        assert (method, asked["uid"]) == ("DELETE", name)
        if asked["resourceVersion"] != str(self.changes.get(name, asked["resourceVersion"])):
            raise ApiError(method, path, 409, {"message": "the precondition failed"})
        self.deleted.append(name)
        return 200, {}


def call(client: Fake, monkeypatch: pytest.MonkeyPatch, **given: Any) -> Any:
    monkeypatch.setattr(_module, "connected", lambda _module: client)
    params = {"api_version": "v1", "kind": "Secret", "namespace": "n", "label_selector": SELECTOR, "wait": False}
    module = types.SimpleNamespace(params={**params, "wait_timeout": 5, **given}, check_mode=given.pop("check", False))
    return objects_absent.work(module)  # type: ignore[arg-type]


def test_what_is_selected_is_deleted_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    client = Fake([secret("b"), secret("a"), secret("c", deletionTimestamp="now")])
    result = call(client, monkeypatch)
    assert (result["changed"], result["objects"]) == (True, ["Secret n/a", "Secret n/b"])
    assert sorted(client.deleted) == ["a", "b"]


def test_what_changes_meanwhile_is_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    client = Fake([secret("a"), secret("b")], [secret("a", 2)], changes={"a": 2, "b": 2})
    assert call(client, monkeypatch)["objects"] == ["Secret n/a"], "b is not selected any more"
    assert client.deleted == ["a"]


def test_what_changes_all_the_time_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    client = Fake(*[[secret("a")]] * 9, changes={"a": 2})
    with pytest.raises(KubeError, match="Secret n/a"):
        call(client, monkeypatch)


def test_check_mode_names_and_deletes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    client = Fake([secret("a")])
    result = call(client, monkeypatch, check=True)
    assert (result["changed"], result["objects"], client.deleted) == (True, ["Secret n/a"], [])


def test_nothing_is_deleted_where_nothing_is_selected(monkeypatch: pytest.MonkeyPatch) -> None:
    assert call(Fake(), monkeypatch)["changed"] is False
    assert call(Fake(), monkeypatch, kind="Gadget")["changed"] is False
    with pytest.raises(KubeError, match="label_selector is empty"):
        call(Fake(), monkeypatch, label_selector=" ")
