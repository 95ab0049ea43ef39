# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What counts as a no-op is what the real server leaves unchanged, for the platform's own objects and for edits of them."""

from __future__ import annotations

import copy
import json
import random
from typing import Any

import pytest
from ansible_collections.servicemesh.platform.plugins.module_utils._apply.noop import is_noop
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.client import APPLY, Client
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import ApiError
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.objects import ref_of

from tests.integration.conftest import run_module

pytestmark = pytest.mark.cluster

US = "servicemesh-platform"
EDITS = 25


def objects(namespace: str) -> list[dict[str, Any]]:
    """Maps, lists by one key and by two, sets, atomic lists, quantities and defaults, built-in kinds and custom ones."""

    def made(api_version: str, kind: str, **rest: Any) -> dict[str, Any]:
        meta = {"name": "noop", "namespace": namespace, "labels": {"app": "x"}, "annotations": {"note": "1"}}
        return {"apiVersion": api_version, "kind": kind, "metadata": meta, **rest}

    container = {
        "name": "app",
        "image": "localhost/pause:1",
        "ports": [{"containerPort": 8080}, {"name": "m", "containerPort": 9090, "protocol": "UDP"}],
        "env": [{"name": "A", "value": "1"}, {"name": "B", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}],
        "resources": {"limits": {"cpu": "100m", "memory": "64Mi"}},
        "command": ["/pause", "now"],
        "volumeMounts": [{"name": "v", "mountPath": "/v"}],
        "securityContext": {"capabilities": {"drop": ["ALL"]}},
    }
    pod = {
        "containers": [container, {"name": "side", "image": "localhost/pause:1"}],
        "volumes": [{"name": "v", "emptyDir": {}}],
        "topologySpreadConstraints": [
            {"maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "ScheduleAnyway"}
        ],
    }
    template = {"metadata": {"labels": {"app": "x"}}, "spec": pod}
    host = f"noop.{namespace}.svc.cluster.local"
    return [
        made("v1", "ConfigMap", data={"a": "1", "b": "two"}),
        made(
            "v1",
            "Service",
            spec={"selector": {"app": "x"}, "ports": [{"name": "http", "port": 80, "targetPort": 8080}]},
        ),
        made("v1", "ServiceAccount", automountServiceAccountToken=False),
        made(
            "apps/v1",
            "Deployment",
            spec={"replicas": 0, "selector": {"matchLabels": {"app": "x"}}, "template": template},
        ),
        made("policy/v1", "PodDisruptionBudget", spec={"minAvailable": 1, "selector": {"matchLabels": {"app": "x"}}}),
        made(
            "networking.k8s.io/v1",
            "NetworkPolicy",
            spec={"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [{"from": [{"podSelector": {}}]}]},
        ),
        made(
            "networking.istio.io/v1",
            "VirtualService",
            spec={"hosts": [host], "http": [{"route": [{"destination": {"host": host}, "weight": 100}]}]},
        ),
        made("security.istio.io/v1", "PeerAuthentication", spec={"mtls": {"mode": "STRICT"}}),
    ]


def places(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [found for key, child in children for found in [(*path, key), *places(child, (*path, key))]]


def edited(obj: dict[str, Any], dice: random.Random) -> dict[str, Any]:
    """The definition with one random change: something gone, doubled, turned round, or another value."""
    result: dict[str, Any] = copy.deepcopy(obj)
    keep = ("apiVersion", "kind", "name", "namespace")
    path = dice.choice(
        [
            p
            for p in places(result)
            if p != ("metadata",) and p[0] not in keep and p[:2] not in [("metadata", k) for k in keep]
        ]
    )
    parent = result
    for key in path[:-1]:
        parent = parent[key]
    value = parent[path[-1]]
    change = dice.choice(["remove", "same", "other", "text"])
    if change == "remove":
        del parent[path[-1]]
    elif change == "other":
        values = {int: 7, str: "80", bool: True, dict: {}, list: []}
        parent[path[-1]] = value[::-1] if isinstance(value, list) and len(value) > 1 else values[type(value)]
    elif change == "text" and isinstance(value, int):
        parent[path[-1]] = str(value)
    return result


def plain(obj: dict[str, Any]) -> str:
    """An object without what every write may touch, and what controllers write beside us."""
    meta = {key: value for key, value in obj["metadata"].items() if key not in ("managedFields", "resourceVersion")}
    meta["annotations"] = {key: value for key, value in (meta.get("annotations") or {}).items() if key == "note"}
    return json.dumps({**obj, "metadata": meta, "status": None}, sort_keys=True)


def ownership(obj: dict[str, Any]) -> list[Any]:
    return [entry["fieldsV1"] for entry in obj["metadata"]["managedFields"] if entry["manager"] == US]


def test_a_noop_is_what_the_server_leaves_unchanged(namespace: str, client: Client) -> None:
    client.discover()
    dice = random.Random(7)  # noqa: S311  # edits, no secrets
    unchanged, told = 0, 0
    query = {"fieldManager": US, "fieldValidation": "Strict"}
    for obj in objects(namespace):
        resource = client.catalog.find(obj["apiVersion"], obj["kind"])
        assert resource is not None
        path = resource.path(ref_of(obj))
        client.request("PATCH", path, query=query, body=obj, content_type=APPLY)
        live = client.get(path)
        assert live is not None
        assert is_noop(obj, live, US), obj["kind"]
        for _number in range(EDITS):
            body = edited(obj, dice)
            try:
                after = client.request("PATCH", path, query={**query, "dryRun": "All"}, body=body, content_type=APPLY)[
                    1
                ]
            except ApiError:
                assert not is_noop(body, live, US), body
                continue
            same = plain(after) == plain(live) and ownership(after) == ownership(live)
            unchanged += same
            told += is_noop(body, live, US)
            if is_noop(body, live, US):
                assert same, (body, after)
    # It would be safe never to find one, and useless.
    assert unchanged > 30
    assert told / unchanged > 0.8, (told, unchanged)


def test_a_second_call_only_reads(namespace: str) -> None:
    definitions = objects(namespace)
    first = run_module("apply", definitions=definitions, wait=False)
    second = run_module("apply", definitions=definitions, wait=False)
    assert first["changed"]
    assert not second["changed"]
    assert second["requests"] == 2 + len(definitions)  # discovery and one GET an object
    assert all(entry["action"] == "unchanged" for entry in second["objects"])


def test_what_another_client_changed_is_put_back(namespace: str, client: Client) -> None:
    config = objects(namespace)[0]
    run_module("apply", definitions=[config])
    path = f"/api/v1/namespaces/{namespace}/configmaps/noop"
    live = client.get(path)
    assert live is not None
    live["data"]["a"] = "edited by hand"
    client.request("PUT", path, query={"fieldManager": US}, body=live)
    result = run_module("apply", definitions=[config])  # its own manager's update is no conflict
    assert result["changed"]
    assert (client.get(path) or {})["data"]["a"] == "1"
