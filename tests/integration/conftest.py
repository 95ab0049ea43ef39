# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules on a real API server: KUBECONFIG names it. Without it the tests fail; they are never skipped."""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.client import Client
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import ApiError

IMAGE = "localhost/pause:1"
Obj = dict[str, Any]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What is quick comes last, so that no worker is left alone with a slow file at the end. Folders with beds come first, by name."""
    here = Path(__file__).parent
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path.parent == here and item.path not in slow)


@pytest.fixture(scope="session")
def cluster() -> None:
    """Fails when there is no cluster to test on."""
    path = os.environ.get("KUBECONFIG", "")
    if not path or not Path(path).is_file():
        pytest.fail(
            f"KUBECONFIG is {path!r}; expected the kubeconfig of a cluster that tests may use (make up, then "
            "KUBECONFIG=$(make -s kubeconfig)). These tests are never skipped.",
            pytrace=False,
        )


@pytest.fixture
def client() -> Client:
    """Direct requests, to arrange and to check."""
    return Client({})


@pytest.fixture
def namespace(client: Client) -> Iterator[str]:
    """A namespace of the test's own, made by somebody else than the collection; deleted at the end, not waited for."""
    name = f"t-apply-{uuid.uuid4().hex[:8]}"
    client.request("POST", "/api/v1/namespaces", body={"metadata": {"name": name}})
    yield name
    for left in client.list_all("/api/v1/namespaces")[0]:
        if left["metadata"]["name"].startswith(name):
            with contextlib.suppress(ApiError):
                client.request("DELETE", f"/api/v1/namespaces/{left['metadata']['name']}")


def run_module(name: str, /, *, check: bool = False, **arguments: Any) -> dict[str, Any]:
    """Result of a module of the collection, as Ansible would get it; with diff mode on."""
    module = importlib.import_module(f"ansible_collections.servicemesh.platform.plugins.modules.{name}")
    output = io.StringIO()
    options = {**arguments, "_ansible_check_mode": check, "_ansible_diff": True}
    with patch_module_args(options), contextlib.redirect_stdout(output), pytest.raises(SystemExit):
        module.main()
    result: dict[str, Any] = json.loads(output.getvalue())
    return result


@pytest.fixture
def apply() -> Callable[..., dict[str, Any]]:
    """The module `apply`; fails the test when the module fails."""

    def call(*definitions: Any, **options: Any) -> dict[str, Any]:
        result = run_module("apply", definitions=list(definitions), **options)
        assert not result.get("failed"), result["msg"]
        return result

    return call


@pytest.fixture
def refused() -> Callable[..., dict[str, Any]]:
    """The module `apply`; fails the test when the module does not fail."""

    def call(*definitions: Any, **options: Any) -> dict[str, Any]:
        result = run_module("apply", definitions=list(definitions), **options)
        assert result.get("failed"), result
        return result

    return call


def actions(result: dict[str, Any]) -> dict[str, str]:
    """Kind/name of each object and what happened to it."""
    return {f"{entry['kind']}/{entry['name']}": entry["action"] for entry in result["objects"]}


def config_map(namespace: str, name: str = "c", **data: str) -> Obj:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace}, "data": data}


def secret(namespace: str, name: str = "s", *, create_only: bool = False, **data: str) -> Obj:
    meta: Obj = {"name": name, "namespace": namespace}
    if create_only:
        meta["annotations"] = {"servicemesh.platform/create-only": "true"}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "stringData": data}


def deployment(namespace: str, name: str = "d", image: str = IMAGE, **changed: Any) -> Obj:
    container = {"name": "app", "image": image, "imagePullPolicy": "IfNotPresent", **changed.pop("container", {})}
    labels = {"app": name}
    spec = {
        "replicas": 1,
        "selector": {"matchLabels": labels},
        "template": {
            "metadata": {"labels": labels},
            "spec": {"terminationGracePeriodSeconds": 0, "containers": [container], **changed.pop("pod", {})},
        },
        **changed,
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace},
        "spec": spec,
    }
