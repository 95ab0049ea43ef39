# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""apply: taking objects over from `kubectl apply`, on a real API server and with the real kubectl."""

from __future__ import annotations

import json
import os
import random
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.client import APPLY, Client
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.objects import ref_of

from tests.integration.conftest import actions, config_map, deployment, run_module, secret
from tests.integration.fault_proxy import Fault, FaultProxy, Request
from tests.integration.test_noop import edited, objects

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("cluster")]

Module = Callable[..., dict[str, Any]]
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
KUBECTL = "kubectl-client-side-apply"


def kubectl_apply(*objects: dict[str, Any], command: str = "apply") -> None:
    """As people do it: on the client's side."""
    kubeconfig = os.environ["KUBECONFIG"]
    program = os.environ.get("KUBECTL") or str(Path(kubeconfig).parent / "bin" / "kubectl")
    subprocess.run(
        [program, f"--kubeconfig={kubeconfig}", command, "-f", "-"],
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
    assert result["requests"] == 7, "discovery 2, read, two dry runs, take over, apply"
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


# What a dry run of the apply alone refuses -------------------------------------------------------------------------


def service(namespace: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "s", "namespace": namespace},
        "spec": {"selector": {"app": "x"}, **spec},
    }  # fmt: skip


def workload(namespace: str, *, container: dict[str, Any] | None = None, **pod: Any) -> dict[str, Any]:
    return deployment(namespace, replicas=0, container=container or {}, pod=pod)


REFERENCE = {"fieldRef": {"fieldPath": "metadata.name"}}
HTTP, TCP = {"httpGet": {"path": "/", "port": 80}}, {"tcpSocket": {"port": 80}}
CHANGES: dict[str, tuple[Callable[[str], dict[str, Any]], Callable[[str], dict[str, Any]]]] = {
    "a port gets another number": (
        lambda n: service(n, ports=[{"name": "http", "port": 80, "targetPort": 8080}]),
        lambda n: service(n, ports=[{"name": "http", "port": 81, "targetPort": 8080}]),
    ),
    "ports change places": (
        lambda n: service(n, ports=[{"name": "a", "port": 80}, {"name": "b", "port": 81}]),
        lambda n: service(n, ports=[{"name": "b", "port": 80}, {"name": "c", "port": 82}]),
    ),
    "a Service gets another type": (
        lambda n: service(n, type="NodePort", ports=[{"name": "http", "port": 80}]),
        lambda n: service(n, type="ClusterIP", ports=[{"name": "web", "port": 8080}]),
    ),
    "a value becomes a reference": (
        lambda n: workload(n, container={"env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]}),
        lambda n: workload(n, container={"env": [{"name": "B", "value": "2"}, {"name": "A", "valueFrom": REFERENCE}]}),
    ),
    "a reference becomes a value": (
        lambda n: workload(n, container={"env": [{"name": "A", "valueFrom": REFERENCE}]}),
        lambda n: workload(n, container={"env": [{"name": "A", "value": "1"}]}),
    ),
    "another kind of probe": (
        lambda n: workload(n, container={"readinessProbe": {**HTTP, "periodSeconds": 7}, "livenessProbe": TCP}),
        lambda n: workload(n, container={"readinessProbe": TCP, "livenessProbe": {"exec": {"command": ["true"]}}}),
    ),
    "another kind of volume": (
        lambda n: workload(n, volumes=[{"name": "v", "configMap": {"name": "c"}}, {"name": "w", "emptyDir": {}}]),
        lambda n: workload(n, volumes=[{"name": "w", "secret": {"secretName": "s"}}, {"name": "v", "emptyDir": {}}]),
    ),
    "another kind of hook": (
        lambda n: workload(n, container={"lifecycle": {"preStop": {"exec": {"command": ["true"]}}}}),
        lambda n: workload(n, container={"lifecycle": {"preStop": {"httpGet": {"port": 80}}}}),
    ),
    "another kind of target": (
        lambda n: autoscaler(n, {"type": "Utilization", "averageUtilization": 50}),
        lambda n: autoscaler(n, {"type": "AverageValue", "averageValue": "1"}),
    ),
    "a strategy with its numbers": (
        lambda n: deployment(n, replicas=0, strategy={"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 2}}),
        lambda n: deployment(n, replicas=0, strategy={"type": "Recreate"}),
    ),
    "what is not there any more": (
        lambda n: workload(n, container={"args": ["a"], "ports": [{"containerPort": 80}]}, nodeSelector={"a": "b"}),
        lambda n: workload(n, container={"ports": [{"containerPort": 81}]}),
    ),
    "labels and annotations": (
        lambda n: labelled(config_map(n, a="1"), {"x": "1"}, {"y": "1"}),
        lambda n: labelled(config_map(n, a="1"), {"z": "1"}, {}),
    ),
}  # fmt: skip


def labelled(obj: dict[str, Any], labels: dict[str, str], annotations: dict[str, str]) -> dict[str, Any]:
    return {**obj, "metadata": {**obj["metadata"], "labels": labels, "annotations": annotations}}


def autoscaler(namespace: str, target: dict[str, Any]) -> dict[str, Any]:
    metric = {"type": "Resource", "resource": {"name": "cpu", "target": target}}
    return {
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "h", "namespace": namespace},
        "spec": {
            "maxReplicas": 3, "metrics": [metric],
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "none"},
        },
    }  # fmt: skip


def stored(client: Client, obj: dict[str, Any]) -> dict[str, Any]:
    """An object with its owners and kubectl's annotation, but without what controllers write at moments of their own."""
    resource = client.discover().find(obj["apiVersion"], obj["kind"])
    assert resource is not None
    found = client.get(resource.path(ref_of(obj)))
    assert found is not None
    entries = [
        entry
        for entry in found["metadata"]["managedFields"]
        if entry["manager"] != "kube-controller-manager" and not entry.get("subresource")
    ]
    annotation = (found["metadata"].get("annotations") or {}).get(LAST_APPLIED)
    return {**content(found), "managedFields": entries, "annotation": annotation}


@pytest.mark.parametrize("change", CHANGES)
def test_check_mode_tells_what_the_run_does(apply: Module, client: Client, namespace: str, change: str) -> None:
    before, after = (make(namespace) for make in CHANGES[change])
    kubectl_apply(before)
    there = stored(client, before)
    predicted = apply(after, check=True, wait=False)
    assert stored(client, before) == there
    result = apply(after, wait=False)
    assert predicted["diff"] == result["diff"]
    assert actions(predicted) == actions(result)
    assert not any(entry.get("predicted") for entry in predicted["objects"])
    assert result["objects"][0]["note"] == f"taken over from {KUBECTL}"
    again = apply(after, wait=False)
    assert not again["changed"], again["diff"]
    assert again["requests"] <= 4, (
        "nothing is taken over a second time; a default in an atomic map lets the server decide"
    )


def test_what_the_server_refuses_is_not_taken_over(
    apply: Module, refused: Module, client: Client, namespace: str
) -> None:
    objects = [workload(namespace), config_map(namespace, a="1"), service(namespace, ports=[{"port": 80}])]
    kubectl_apply(*objects)
    before = [stored(client, obj) for obj in objects]
    bad = workload(namespace, container={"image": ""})
    for options in ({"check": True}, {}, {"prune": True, "name": "shop", "inventory_namespace": namespace}):
        result = refused(bad, config_map(namespace, a="2"), config_map(namespace, "new"), **options)
        assert "containers[0].image" in result["msg"]
        assert [stored(client, obj) for obj in objects] == before
    assert "nothing was changed" in result["msg"]
    assert client.get(f"/api/v1/namespaces/{namespace}/configmaps/new") is None
    assert client.get(f"/api/v1/namespaces/{namespace}/configmaps/applyset-shop") is None
    alone = refused(bad)
    assert "containers[0].image" in alone["msg"]
    assert stored(client, bad) == before[0]


@pytest.mark.parametrize("tracked", [True, False])
def test_what_is_refused_after_all_is_given_back(client: Client, namespace: str, tracked: bool) -> None:
    """As by a webhook that does not take part in dry runs."""
    kubectl_apply(labelled(config_map(namespace, a="1", b="2"), {}, {"x": "y"}))
    path = f"/api/v1/namespaces/{namespace}/configmaps/c"
    if not tracked:
        reset = [{"op": "replace", "path": "/metadata/managedFields", "value": [{}]}]
        client.request("PATCH", path, body=reset, content_type="application/json-patch+json")
    before = client.get(path) or {}
    applied: list[Request] = []

    def script(request: Request) -> Fault | None:
        """The apply follows the take-over, and an object whose ownership is not tracked is applied once before that."""
        if request.method != "PATCH" or request.dry:
            return None
        applied.append(request)
        return Fault(status=403) if len(applied) == (2 if tracked else 3) else None

    with FaultProxy(script) as proxy:
        result = run_module("apply", definitions=[config_map(namespace, a="changed")], **proxy.connection)
    assert result["failed"]
    assert "403" in result["msg"]
    after = client.get(path) or {}
    assert (after["data"], after["metadata"]["annotations"]) == (before["data"], before["metadata"]["annotations"])
    if tracked:
        entries = [[{**entry, "time": ""} for entry in obj["metadata"]["managedFields"]] for obj in (after, before)]
        assert entries[0] == entries[1]
    assert not run_module("apply", definitions=[config_map(namespace, a="changed")]).get("failed")
    assert (client.get(path) or {})["data"] == {"a": "changed"}


def test_own_updates_are_no_conflict(apply: Module, client: Client, namespace: str) -> None:
    """Created only, by an update, and then applied; or changed under this manager's name by another tool."""
    apply(secret(namespace, create_only=True, a="1", b="2"))
    for check in (True, False):
        result = apply(secret(namespace, a="changed"), check=check)
        assert (actions(result), result["objects"][0].get("note")) == ({"Secret/s": "changed"}, None)
    after = live(client, namespace, "/api/v1/secrets/s")
    assert (set(after["data"]), owners(after)) == ({"a"}, {("servicemesh-platform", "Apply")})
    patch = {"data": {"a": "b3RoZXI=", "x": "eA=="}}
    client.request(
        "PATCH", f"/api/v1/namespaces/{namespace}/secrets/s", query={"fieldManager": "servicemesh-platform"},
        body=patch, content_type="application/merge-patch+json",
    )  # fmt: skip
    predicted, result = (apply(secret(namespace, a="changed"), check=check) for check in (True, False))
    assert predicted["changed"] is result["changed"] is True
    after = live(client, namespace, "/api/v1/secrets/s")
    assert (set(after["data"]), owners(after)) == ({"a"}, {("servicemesh-platform", "Apply")})
    assert (apply(secret(namespace, a="changed"))["requests"]) == 3


@pytest.mark.parametrize(
    "change", ["a value becomes a reference", "another kind of probe", "a port gets another number"]
)
def test_what_kubectl_created_is_named(
    apply: Module, refused: Module, client: Client, namespace: str, change: str
) -> None:
    """Another manager's fields stay. Where they do not go with the definition, the message says whose they are, in both modes."""
    before, after = (make(namespace) for make in CHANGES[change])
    kubectl_apply(before, command="create")
    there = stored(client, before)
    messages = [refused(after, check=check, wait=False)["msg"] for check in (True, False)]
    assert messages[0] == messages[1]
    assert "belongs to manager 'kubectl-create' and stays" in messages[0]
    assert stored(client, before) == there
    predicted, result = (apply(before, check=check, wait=False) for check in (True, False))
    assert predicted["diff"] == result["diff"] == []


EDITS = 6


def test_random_changes_of_what_kubectl_applied(namespace: str) -> None:
    """Whatever changes: what check mode tells is what the run does, also that the server refuses it."""
    dice = random.Random(11)  # noqa: S311  # edits, no secrets
    there, wanted = [], []
    for obj in objects(namespace):
        for number in range(EDITS):
            name = {**obj["metadata"], "name": f"x{number}"}
            there.append({**obj, "metadata": name})
            wanted.append(edited(edited(there[-1], dice), dice))
    kubectl_apply(*there)
    refusals = 0
    for before, after in zip(there, wanted, strict=True):
        predicted, result = (
            run_module("apply", definitions=[after], check=check, wait=False) for check in (True, False)
        )
        failed = result.get("failed", False)
        assert predicted.get("failed", False) == failed, (before, after, predicted.get("msg"), result.get("msg"))
        refusals += failed
        if not failed:
            assert predicted["diff"] == result["diff"], (before, after)
            again = run_module("apply", definitions=[after], wait=False)
            assert not again["changed"], (before, after, again["diff"])
    assert 0 < refusals < len(wanted) / 2
