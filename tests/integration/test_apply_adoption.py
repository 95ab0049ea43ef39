# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""apply: taking objects over from `kubectl apply`, on a real API server and with the real kubectl."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.client import APPLY, Client

from tests.integration.conftest import actions, config_map, deployment, secret

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("cluster")]

Module = Callable[..., dict[str, Any]]
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
KUBECTL = "kubectl-client-side-apply"


def kubectl_apply(*objects: dict[str, Any]) -> None:
    """As people do it: on the client's side."""
    kubeconfig = os.environ["KUBECONFIG"]
    program = os.environ.get("KUBECTL") or str(Path(kubeconfig).parent / "bin" / "kubectl")
    subprocess.run(
        [program, f"--kubeconfig={kubeconfig}", "apply", "-f", "-"],
        input="\n---\n".join(json.dumps(obj) for obj in objects), text=True, check=True, capture_output=True, timeout=60,
    )  # fmt: skip


def live(client: Client, namespace: str, path: str) -> dict[str, Any]:
    group, plural, name = path.rsplit("/", 2)
    found = client.get(f"{group}/namespaces/{namespace}/{plural}/{name}")
    assert found is not None, path
    return found


def owners(obj: dict[str, Any]) -> set[tuple[str, str]]:
    return {(entry["manager"], entry["operation"]) for entry in obj["metadata"]["managedFields"]}


def content(obj: dict[str, Any]) -> dict[str, Any]:
    """What people wrote, and defaults. The Deployment's controller adds its revision at a moment of its own."""
    meta = {key: dict(obj["metadata"].get(key) or {}) for key in ("labels", "annotations")}
    for name in (LAST_APPLIED, "deployment.kubernetes.io/revision"):
        meta["annotations"].pop(name, None)
    return {**{key: value for key, value in obj.items() if key not in ("metadata", "status")}, "metadata": meta}


def test_what_leaves_the_definition_leaves_the_cluster(apply: Module, client: Client, namespace: str) -> None:
    kubectl_apply(config_map(namespace, a="1", b="2"))
    before = live(client, namespace, "/api/v1/configmaps/c")
    assert (KUBECTL, "Update") in owners(before)
    predicted = apply(config_map(namespace, a="1"), check=True)
    assert live(client, namespace, "/api/v1/configmaps/c") == before
    result = apply(config_map(namespace, a="1"))
    assert predicted["diff"] == result["diff"]
    (difference,) = result["diff"]
    assert difference["before"] == {"data": {"b": "2"}, "fieldManager": KUBECTL}
    assert difference["after"] == {"data": {}, "fieldManager": "servicemesh-platform"}
    assert predicted["objects"][0]["note"] == result["objects"][0]["note"] == f"taken over from {KUBECTL}"
    after = live(client, namespace, "/api/v1/configmaps/c")
    assert after["data"] == {"a": "1"}
    assert owners(after) == {("servicemesh-platform", "Apply")}
    assert LAST_APPLIED not in (after["metadata"].get("annotations") or {})
    assert result["requests"] == 5, "discovery 2, read, take over, apply"
    again = apply(config_map(namespace, a="1"))
    assert (again["changed"], again["requests"]) == (False, 3)


def test_changed_values_are_no_conflict(apply: Module, client: Client, namespace: str) -> None:
    kubectl_apply(config_map(namespace, a="1"), secret(namespace, a="pl4nted-old", b="pl4nted-old"))
    objects = config_map(namespace, a="2"), secret(namespace, a="pl4nted-new")
    predicted, result = apply(*objects, check=True), apply(*objects)
    assert actions(predicted) == actions(result) == {"ConfigMap/c": "changed", "Secret/s": "changed"}
    assert "pl4nted" not in json.dumps([predicted, result])
    assert live(client, namespace, "/api/v1/configmaps/c")["data"] == {"a": "2"}
    assert set(live(client, namespace, "/api/v1/secrets/s")["data"]) == {"a"}


def test_only_ownership_changes_when_the_content_is_the_same(apply: Module, client: Client, namespace: str) -> None:
    claim = {
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data", "namespace": namespace},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}},
    }  # fmt: skip
    service = {
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "s", "namespace": namespace},
        "spec": {"type": "NodePort", "selector": {"app": "x"}, "ports": [{"name": "a", "port": 80}, {"name": "b", "port": 81}]},
    }  # fmt: skip
    workload = deployment(namespace, replicas=0)
    kubectl_apply(claim, service, workload)
    paths = {
        kind: f"/{group}/{kind}/{name}"
        for group, kind, name in (
            ("api/v1", "persistentvolumeclaims", "data"),
            ("api/v1", "services", "s"),
            ("apis/apps/v1", "deployments", "d"),
        )
    }
    before = {kind: content(live(client, namespace, path)) for kind, path in paths.items()}
    for check in (True, False):
        result = apply(claim, service, workload, check=check, wait=False)
        assert set(actions(result).values()) == {"changed"}
        for entry in result["diff"]:
            assert set(entry["before"]) == {"fieldManager"}, entry
    for kind, path in paths.items():
        after = live(client, namespace, path)
        assert LAST_APPLIED not in (after["metadata"].get("annotations") or {})
        assert content(after) == before[kind], kind
    assert not apply(claim, service, workload, wait=False)["changed"]
    shorter = {**service, "spec": {**service["spec"], "ports": [{"name": "b", "port": 81}]}}
    apply(shorter)
    assert [port["name"] for port in live(client, namespace, paths["services"])["spec"]["ports"]] == ["b"]


def test_a_deployment_loses_what_is_left_out_and_keeps_its_number_of_pods(
    apply: Module, client: Client, namespace: str
) -> None:
    rich = deployment(
        namespace, replicas=2, container={"env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]}
    )
    rich["spec"]["template"]["spec"]["nodeSelector"] = {"never": "here"}  # nothing runs
    kubectl_apply(rich)
    plain = deployment(namespace, container={"env": [{"name": "A", "value": "1"}]})
    plain["spec"]["template"]["spec"]["nodeSelector"] = {"never": "here"}
    del plain["spec"]["replicas"]
    predicted, result = (apply(plain, wait=False, check=check) for check in (True, False))
    assert predicted["diff"] == result["diff"]
    after = live(client, namespace, "/apis/apps/v1/deployments/d")
    assert after["spec"]["replicas"] == 2
    assert after["spec"]["template"]["spec"]["containers"][0]["env"] == [{"name": "A", "value": "1"}]
    assert not apply(plain, wait=False)["changed"]


def test_fields_of_others_stay_theirs(apply: Module, refused: Module, client: Client, namespace: str) -> None:
    kubectl_apply(config_map(namespace, a="1", b="1"))
    path = f"/api/v1/namespaces/{namespace}/configmaps/c"
    theirs = {"query": {"fieldManager": "somebody", "force": "true"}, "content_type": APPLY}
    client.request("PATCH", path, body=config_map(namespace, b="theirs", d="theirs"), **theirs)
    assert ".data.b belongs to manager 'somebody'" in refused(config_map(namespace, b="1"), check=True)["msg"]
    predicted, result = (apply(config_map(namespace, c="3"), check=check) for check in (True, False))
    assert predicted["diff"] == result["diff"]
    assert live(client, namespace, "/api/v1/configmaps/c")["data"] == {"b": "theirs", "c": "3", "d": "theirs"}


def test_what_is_only_created_is_not_taken_over(apply: Module, client: Client, namespace: str) -> None:
    kubectl_apply(secret(namespace, create_only=True, a="1"))
    before = live(client, namespace, "/api/v1/secrets/s")
    assert actions(apply(secret(namespace, create_only=True, a="2"))) == {"Secret/s": "kept"}
    assert live(client, namespace, "/api/v1/secrets/s") == before


def test_an_object_from_before_ownership_was_followed(apply: Module, client: Client, namespace: str) -> None:
    kubectl_apply(config_map(namespace, a="1", b="2"))
    path = f"/api/v1/namespaces/{namespace}/configmaps/c"
    patch = [
        {"op": "replace", "path": "/metadata/managedFields", "value": [{}]},
        {"op": "add", "path": "/data/theirs", "value": "3"},
    ]
    client.request("PATCH", path, body=patch, content_type="application/json-patch+json")
    assert not live(client, namespace, "/api/v1/configmaps/c")["metadata"].get("managedFields")
    predicted, result = (apply(config_map(namespace, a="changed"), check=check) for check in (True, False))
    assert predicted["diff"] == result["diff"]
    assert "before-first-apply" in result["objects"][0]["note"]
    after = live(client, namespace, "/api/v1/configmaps/c")
    assert after["data"] == {"a": "changed", "theirs": "3"}
    assert LAST_APPLIED not in (after["metadata"].get("annotations") or {})
    assert not apply(config_map(namespace, a="changed"))["changed"]
