# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""apply: which kinds are waited for, and what the server warns of, on a real API server."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.servicemesh.platform.plugins.module_utils import _module
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.client import Client

from tests.integration.conftest import actions, deployment, run_module

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("cluster")]

Module = Callable[..., dict[str, Any]]


def ingress(namespace: str) -> dict[str, Any]:
    backend = {"service": {"name": "s", "port": {"number": 80}}}
    return {
        "apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": "i", "namespace": namespace},
        "spec": {"ingressClassName": "nobodys", "rules": [{"http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}]},
    }  # fmt: skip


def waits(definition: dict[str, Any], **options: Any) -> dict[str, Any]:
    return run_module("apply", definitions=[definition], wait_timeout=2, **options)


def set_status(client: Client, path: str, status: dict[str, Any]) -> None:
    """As a controller does."""
    body = {"status": status}
    client.request("PATCH", f"{path}/status", body=body, content_type="application/merge-patch+json")


def later(client: Client, path: str, status: dict[str, Any], seconds: float) -> threading.Thread:
    timer = threading.Timer(seconds, set_status, (client, path, status))
    timer.start()
    return timer


def test_an_ingress_is_waited_for_when_it_is_named(client: Client, namespace: str) -> None:
    assert not waits(ingress(namespace)).get("failed")
    result = waits(ingress(namespace), wait={"Ingress": True})
    assert result["failed"]
    assert "no load balancer has given it an address" in result["msg"]
    path = f"/apis/networking.k8s.io/v1/namespaces/{namespace}/ingresses/i"
    timer = later(client, path, {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}, 1.0)
    assert not waits(ingress(namespace), wait={"Ingress": True}).get("failed")
    timer.join()


def test_kinds_are_left_out_of_the_wait(namespace: str) -> None:
    never = deployment(namespace, pod={"nodeSelector": {"never": "here"}})
    start = time.monotonic()
    for wait in ({"Deployment": False}, {"*": False}, {"*": False, "Job": True}, False):
        assert not waits(never, wait=wait).get("failed"), wait
    assert time.monotonic() - start < 2.0 * 4
    for wait in (True, {"*": False, "Deployment": True}, {"Job": False}):
        result = waits(never, wait=wait)
        assert "0 of 1 replicas are available" in result["msg"], wait
    assert "expected true, false, or a mapping of kinds" in waits(never, wait=["Deployment"])["msg"]


def test_any_kind_with_a_condition_ready(apply: Module, client: Client, namespace: str) -> None:
    group = f"{namespace}.example.com"
    fields = {name: {"type": "object", "x-kubernetes-preserve-unknown-fields": True} for name in ("spec", "status")}
    version = {
        "name": "v1", "served": True, "storage": True, "subresources": {"status": {}},
        "schema": {"openAPIV3Schema": {"type": "object", "properties": fields}},
    }  # fmt: skip
    crd = {
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": f"things.{group}"},
        "spec": {
            "group": group, "scope": "Namespaced", "versions": [version],
            "names": {"kind": "Thing", "plural": "things", "singular": "thing", "listKind": "ThingList"},
        },
    }  # fmt: skip
    thing = {
        "apiVersion": f"{group}/v1",
        "kind": "Thing",
        "metadata": {"name": "t", "namespace": namespace},
        "spec": {},
    }
    try:
        assert actions(apply(crd, thing)) == {
            f"CustomResourceDefinition/things.{group}": "created",
            "Thing/t": "created",
        }
        path = f"/apis/{group}/v1/namespaces/{namespace}/things/t"
        waiting = {"conditions": [{"type": "Ready", "status": "False", "reason": "Baking", "message": "in the oven"}]}
        set_status(client, path, waiting)
        result = waits(thing)
        assert result["failed"]
        assert "Baking: in the oven" in result["msg"]
        timer = later(client, path, {"conditions": [{"type": "Ready", "status": "True"}]}, 1.0)
        assert not waits(thing).get("failed")
        timer.join()
    finally:
        apply(crd, state="absent")


def test_warnings_of_the_server_are_told_once(namespace: str, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr(_module.PlatformModule, "warn", lambda _self, text: told.append(text))
    old = [
        {"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": name, "namespace": namespace}}
        for name in "abcdefgh"
    ]
    for check in (True, False):
        assert not run_module("apply", definitions=old, check=check).get("failed")
    assert run_module("apply", definitions=[*old, {**deployment(namespace), "spec": {"selector": {}}}])["failed"]
    assert len(told) == 3, "of a check, of a run, and of a run that failed"
    (text,) = set(told)
    assert "Endpoints is deprecated" in text
