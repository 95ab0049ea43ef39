# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""apply: writing, deleting, check mode, ownership and secrets, on a real API server."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.client import APPLY, Client

from tests.integration.conftest import actions, config_map, deployment, run_module, secret
from tests.integration.fault_proxy import Fault, FaultProxy, Request

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("cluster")]

Module = Callable[..., dict[str, Any]]
OURS = {"app.kubernetes.io/managed-by": "servicemesh-platform"}


def get(client: Client, namespace: str, plural: str, name: str, group: str = "/api/v1") -> dict[str, Any] | None:
    return client.get(f"{group}/namespaces/{namespace}/{plural}/{name}")


def crd(group: str) -> dict[str, Any]:
    schema = {"type": "object", "properties": {"spec": {"type": "object", "properties": {"size": {"type": "integer"}}}}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"things.{group}"},
        "spec": {
            "group": group, "scope": "Namespaced",
            "names": {"kind": "Thing", "plural": "things", "singular": "thing", "listKind": "ThingList"},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}],
        },
    }  # fmt: skip


def thing(group: str, namespace: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": f"{group}/v1",
        "kind": "Thing",
        "metadata": {"name": "t", "namespace": namespace},
        "spec": spec,
    }


def test_a_set_is_created_then_unchanged_then_changed_then_deleted(
    apply: Module, client: Client, namespace: str
) -> None:
    objects = [
        deployment(namespace),
        [config_map(namespace, a="1"), None],
        secret(namespace, password="hunter2hunter2"),
    ]
    predicted = apply(*objects, name="my-set", check=True)
    assert get(client, namespace, "configmaps", "c") is None
    first = apply(*objects, name="my-set")
    assert set(actions(first).values()) == {"created"}
    assert actions(predicted) == actions(first)
    assert predicted["changed"]
    assert first["changed"]
    live = get(client, namespace, "configmaps", "c")
    assert live is not None
    assert live["metadata"]["labels"] == {**OURS, "app.kubernetes.io/part-of": "my-set"}

    second = apply(*objects, name="my-set")
    assert (second["changed"], set(actions(second).values()), second["diff"]) == (False, {"unchanged"}, [])
    assert second["requests"] <= 2 + 2 * len(second["objects"])

    objects[1] = config_map(namespace, a="2")
    for check in (True, False):
        third = apply(*objects, name="my-set", check=check)
        assert actions(third) == {"ConfigMap/c": "changed", "Secret/s": "unchanged", "Deployment/d": "unchanged"}
        (difference,) = third["diff"]
        assert (difference["before"], difference["after"]) == ({"data": {"a": "1"}}, {"data": {"a": "2"}})

    for check in (True, False):
        gone = apply(*objects, state="absent", check=check)
        assert set(actions(gone).values()) == {"deleted"}
    assert get(client, namespace, "deployments", "d", "/apis/apps/v1") is None
    again = apply(*objects, state="absent")
    assert (again["changed"], set(actions(again).values())) == (False, {"absent"})


def test_a_namespace_and_what_lives_in_it(apply: Module, client: Client, namespace: str) -> None:
    room = f"{namespace}-x"
    objects = [config_map(room), {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": room}}]
    predicted = apply(*objects, check=True)
    assert actions(predicted) == {"Namespace/" + room: "created", "ConfigMap/c": "created"}
    assert [entry.get("predicted", False) for entry in predicted["objects"]] == [False, True]
    assert client.get(f"/api/v1/namespaces/{room}") is None
    assert actions(apply(*objects)) == actions(predicted)
    apply(*objects, state="absent")
    assert client.get(f"/api/v1/namespaces/{room}") is None


def test_a_definition_of_a_kind_and_its_objects(apply: Module, refused: Module, client: Client, namespace: str) -> None:
    group = f"{namespace}.example.com"
    objects = [thing(group, namespace, size=1), crd(group)]
    predicted = apply(*objects, check=True)
    assert actions(predicted) == {f"CustomResourceDefinition/things.{group}": "created", "Thing/t": "created"}
    assert actions(apply(*objects)) == actions(predicted)
    assert not apply(*objects)["changed"]
    assert "spec.sise" in refused(thing(group, namespace, sise=1))["msg"], (
        "a field that the schema lacks is no silent loss"
    )
    assert actions(apply(*objects, state="absent")) == dict.fromkeys(actions(predicted), "deleted")
    assert client.get(f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/things.{group}") is None
    assert set(actions(apply(*objects, state="absent")).values()) == {"absent"}, "the kind is not known any more"


def test_kinds_that_nobody_knows(apply: Module, refused: Module, namespace: str) -> None:
    typo = {**deployment(namespace), "kind": "Deploymentt"}
    future = thing("not-there.example.com", namespace)
    message = refused(
        typo, {**deployment(namespace, "e"), "apiVersion": "apps/v1beta1"}, future, config_map(namespace)
    )["msg"]
    assert "Deploymentt of apps/v1" in message
    assert "no Deployment in apps/v1beta1; it has apps/v1" in message
    assert "Thing of not-there.example.com/v1" in message
    assert "nothing was sent" in message
    assert "Deploymentt" in refused(typo, check=True)["msg"], "a built-in group brings no kinds later"
    assert actions(apply(future, check=True)) == {"Thing/t": "created"}, "an earlier task may bring its CRD"


def test_scope_and_namespace_have_to_fit(refused: Module, namespace: str) -> None:
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "t", "namespace": namespace},
    }
    message = refused(role, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}})["msg"]
    assert "ClusterRole" in message
    assert "ConfigMap c: metadata.namespace is missing" in message


def test_bad_input_is_told_before_any_request(refused: Module) -> None:
    result = refused({"kind": "X"}, kubeconfig="/nowhere")
    assert "apiVersion is None" in result["msg"]
    assert "kubeconfig" not in result["msg"]


def conflict(client: Client, namespace: str, manager: str, obj: dict[str, Any], path: str) -> None:
    """Another manager takes fields over."""
    client.request("PATCH", path, query={"fieldManager": manager, "force": "true"}, body=obj, content_type=APPLY)


def test_fields_of_others_stop_the_run_and_are_named(
    apply: Module, refused: Module, client: Client, namespace: str
) -> None:
    apply(config_map(namespace, a="1", b="1"))
    path = f"/api/v1/namespaces/{namespace}/configmaps/c"
    conflict(client, namespace, "somebody", config_map(namespace, a="theirs"), path)
    for check in (True, False):
        message = refused(config_map(namespace, a="1", b="1"), check=check)["msg"]
        assert "ConfigMap" in message
        assert ".data.a belongs to manager 'somebody'" in message
        assert "force_conflicts" in message
    live = client.get(path)
    assert live is not None
    assert live["data"]["a"] == "theirs"
    assert "single fields" in refused(config_map(namespace), force_conflicts=[".spec"])["msg"]
    assert apply(config_map(namespace, a="1", b="1"), force_conflicts=[".data.a"])["changed"]
    assert not apply(config_map(namespace, a="1", b="1"))["changed"]


def test_fields_of_the_canary_are_left_to_it(apply: Module, client: Client, namespace: str) -> None:
    apply(config_map(namespace, weight="0", b="1"))
    path = f"/api/v1/namespaces/{namespace}/configmaps/c"
    conflict(client, namespace, "servicemesh-canary", config_map(namespace, weight="10"), path)
    for check in (True, False):
        result = apply(config_map(namespace, weight="0", b="2"), check=check)
        (entry,) = result["objects"]
        assert (entry["action"], entry["withheld"]) == (
            "changed",
            [{"field": ".data.weight", "manager": "servicemesh-canary"}],
        )
        assert result["withheld"] == [f"ConfigMap {namespace}/c"]
    live = client.get(path)
    assert live is not None
    assert live["data"] == {"weight": "10", "b": "2"}
    conflict(client, namespace, "servicemesh-canary", config_map(namespace, weight="0"), path)
    back = apply(config_map(namespace, weight="0", b="2"))
    assert (back["changed"], back["withheld"]) == (False, [])


def test_what_stood_there_before_is_neither_marked_nor_deleted(apply: Module, client: Client, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    client.request("POST", path, body=config_map(namespace, mine="1"), query={"fieldManager": "somebody"})
    assert actions(apply(config_map(namespace, ours="1"))) == {"ConfigMap/c": "changed"}
    assert not apply(config_map(namespace, ours="1"))["changed"]
    for check in (True, False):
        result = apply(config_map(namespace), state="absent", check=check)
        assert (result["changed"], result["kept"]) == (False, [f"ConfigMap {namespace}/c"])
    live = client.get(f"{path}/c")
    assert live is not None
    assert live["data"] == {"mine": "1", "ours": "1"}
    assert "labels" not in live["metadata"]


def test_a_generated_password_stays(apply: Module, client: Client, namespace: str) -> None:
    first = apply(secret(namespace, create_only=True, password="first-password"))
    before = get(client, namespace, "secrets", "s")
    for check in (True, False):
        second = apply(secret(namespace, create_only=True, password="second-password"), check=check)
        assert (second["changed"], actions(second), second["kept"]) == (
            False,
            {"Secret/s": "kept"},
            [f"Secret {namespace}/s"],
        )
    assert actions(first) == {"Secret/s": "created"}
    assert get(client, namespace, "secrets", "s") == before
    assert actions(apply(secret(namespace, create_only=True), state="absent")) == {"Secret/s": "deleted"}


PLANTED = "pl4nted-s3cret-value"


def test_no_value_of_a_secret_leaves_the_module(apply: Module, refused: Module, namespace: str) -> None:
    results = [
        apply(secret(namespace, password="old" + PLANTED), check=True),
        apply(secret(namespace, password="old" + PLANTED)),
        apply(secret(namespace, password=PLANTED)),
        refused({**secret(namespace, "bad"), "type": "kubernetes.io/tls", "stringData": {"tls.crt": PLANTED}}),
        refused({**secret(namespace, "odd"), "data": {"password": PLANTED}}),
        apply(secret(namespace, password=PLANTED), state="absent"),
    ]
    for number, result in enumerate(results):
        text = json.dumps(result)
        assert PLANTED not in text, f"result {number}"
        assert "cGw0bnRlZC1zM2NyZXQtdmFsdW" not in text, f"result {number}, base64"
    assert [entry["action"] for entry in results[2]["objects"]] == ["changed"]


def test_keys_that_leave_a_secret_leave_the_cluster(apply: Module, client: Client, namespace: str) -> None:
    apply(secret(namespace, a="1", b="2"))
    assert apply(secret(namespace, a="1"))["changed"]
    live = get(client, namespace, "secrets", "s")
    assert live is not None
    assert set(live["data"]) == {"a"}


def test_what_a_switch_turned_off_goes_in_the_same_call(apply: Module, client: Client, namespace: str) -> None:
    apply(config_map(namespace, "old"), config_map(namespace, "new"))
    result = apply(config_map(namespace, "new"), retired=[config_map(namespace, "old"), config_map(namespace, "never")])
    assert actions(result) == {"ConfigMap/new": "unchanged", "ConfigMap/old": "deleted", "ConfigMap/never": "absent"}
    assert get(client, namespace, "configmaps", "old") is None


def autoscaler(namespace: str, name: str = "d") -> dict[str, Any]:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"}
    return {
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": name, "namespace": namespace},
        "spec": {"scaleTargetRef": target, "minReplicas": 1, "maxReplicas": 5},
    }  # fmt: skip


def without_number(namespace: str) -> dict[str, Any]:
    obj = deployment(namespace)
    del obj["spec"]["replicas"]
    return obj


def scale(client: Client, namespace: str, number: int, manager: str) -> None:
    """Sets the number of pods as an autoscaler and `kubectl scale` do."""
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments/d/scale"
    client.request("PATCH", path, query={"fieldManager": manager}, body={"spec": {"replicas": number}},
                   content_type="application/merge-patch+json")  # fmt: skip


def number_of_pods(client: Client, namespace: str) -> int:
    live = get(client, namespace, "deployments", "d", "/apis/apps/v1")
    assert live is not None
    return int(live["spec"]["replicas"])


def test_the_number_of_pods_stays_when_the_definition_leaves_it_out(
    apply: Module, client: Client, namespace: str
) -> None:
    apply(deployment(namespace, replicas=3), wait=False)
    for check in (True, False, False):
        result = apply(without_number(namespace), wait=False, check=check)
        assert actions(result) == {"Deployment/d": "unchanged"}, result["diff"]
        assert number_of_pods(client, namespace) == 3
    # And back, to another number, though servicemesh-autoscaling holds this one.
    result = apply(deployment(namespace, replicas=2), wait=False)
    assert "servicemesh-autoscaling" in result["objects"][0]["note"]
    assert number_of_pods(client, namespace) == 2


def test_a_number_that_a_retired_autoscaler_set_is_taken_over(apply: Module, client: Client, namespace: str) -> None:
    apply(deployment(namespace), wait=False)
    apply(without_number(namespace), autoscaler(namespace), wait=False)
    scale(client, namespace, 4, "vendor-autoscaler")
    wanted = {"retired": autoscaler(namespace), "wait": False}
    expected = {"Deployment/d": "changed", "HorizontalPodAutoscaler/d": "deleted"}
    assert actions(apply(deployment(namespace), **wanted, check=True)) == expected
    assert number_of_pods(client, namespace) == 4
    result = apply(deployment(namespace), **wanted)
    assert actions(result) == expected
    assert "vendor-autoscaler" in result["objects"][0]["note"]
    assert number_of_pods(client, namespace) == 1
    assert not apply(deployment(namespace), **wanted)["changed"]


def test_a_number_is_taken_over_when_a_run_ended_between(
    apply: Module, refused: Module, client: Client, namespace: str
) -> None:
    apply(deployment(namespace), wait=False)
    apply(without_number(namespace), autoscaler(namespace), autoscaler(namespace, "another"), wait=False)
    scale(client, namespace, 4, "kube-controller-manager")
    apply(autoscaler(namespace), state="absent")  # and there the run was killed
    message = refused(deployment(namespace), wait=False)["msg"]
    assert "belongs to manager 'kube-controller-manager'" in message, "another autoscaler is still there"
    apply(autoscaler(namespace, "another"), state="absent")
    apply(deployment(namespace), retired=autoscaler(namespace), wait=False)
    assert number_of_pods(client, namespace) == 1


def test_a_number_that_a_person_set_is_not_taken_over(
    apply: Module, refused: Module, client: Client, namespace: str
) -> None:
    apply(deployment(namespace), wait=False)
    scale(client, namespace, 2, "kubectl")
    message = refused(deployment(namespace), retired=autoscaler(namespace), wait=False)["msg"]
    assert ".spec.replicas belongs to manager 'kubectl'" in message
    assert number_of_pods(client, namespace) == 2


def test_what_pods_use_goes_when_they_are_gone(apply: Module, client: Client, namespace: str) -> None:
    uses = {"envFrom": [{"configMapRef": {"name": "old"}}]}
    apply(deployment(namespace, container=uses), config_map(namespace, "old"))
    first = apply(deployment(namespace), retired=config_map(namespace, "old"), wait=False)
    assert actions(first) == {"Deployment/d": "changed", "ConfigMap/old": "kept"}
    assert first["kept"] == [f"ConfigMap {namespace}/old"]
    second = apply(deployment(namespace), retired=config_map(namespace, "old"))
    assert actions(second) == {"Deployment/d": "unchanged", "ConfigMap/old": "deleted"}
    assert not apply(deployment(namespace), retired=config_map(namespace, "old"), wait=False)["changed"]


def test_versions_of_secrets_change_with_them(apply: Module, namespace: str) -> None:
    def versions() -> Any:
        result = run_module("secret_versions", namespace=namespace, names=["s", "t", "never", "s"], check=True)
        assert not result.get("failed"), result
        assert (result["changed"], result["requests"]) == (False, 3)
        return result["versions"]

    assert versions() == {}
    apply(secret(namespace, a="pl4nted-s3cret"), secret(namespace, "t", a="1"))
    before = versions()
    apply(secret(namespace, a="other"), secret(namespace, "t", a="1"))
    after = versions()
    assert set(before) == set(after) == {"s", "t"}
    assert (before["s"] != after["s"], before["t"] == after["t"]) == (True, True)


def test_a_namespace_with_pods_of_others_stays(apply: Module, client: Client, namespace: str) -> None:
    room = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": f"{namespace}-x"}}
    pod = {
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "foreign", "namespace": f"{namespace}-x"},
        "spec": {"containers": [{"name": "c", "image": "localhost/pause:1"}], "serviceAccountName": "default"},
    }  # fmt: skip
    apply(
        room,
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": f"{namespace}-x"}},
    )
    client.request("POST", f"/api/v1/namespaces/{namespace}-x/pods", body=pod)
    result = apply(room, state="absent", wait=False)
    assert result["kept"] == [f"Namespace {namespace}-x"]
    assert "foreign" in result["objects"][0]["note"]


def test_after_an_error_no_later_wave_is_begun_and_the_result_tells_what_was_done(
    client: Client, namespace: str
) -> None:
    """An error that no dry run shows."""
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments/bad"
    budget = {
        "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "p", "namespace": namespace},
        "spec": {"selector": {}},
    }  # fmt: skip
    objects = [config_map(namespace), *(deployment(namespace, name, replicas=0) for name in ("bad", "good")), budget]

    def script(request: Request) -> Fault | None:
        return Fault(status=403) if request.method == "PATCH" and request.path == path and not request.dry else None

    with FaultProxy(script) as proxy:
        result = run_module("apply", definitions=objects, **proxy.connection)
    assert result["failed"]
    assert "Deployment" in result["msg"]
    assert actions(result) == {"ConfigMap/c": "created", "Deployment/good": "created"}
    assert result["changed"]
    assert get(client, namespace, "poddisruptionbudgets", "p", "/apis/policy/v1") is None


def test_many_objects_take_few_requests(apply: Module, namespace: str) -> None:
    objects = [config_map(namespace, f"c{number}", a="1") for number in range(60)]
    first, second = apply(*objects), apply(*objects)
    assert first["requests"] <= 60 * 2 + 4, "tried and written"
    assert second["requests"] <= 60 + 4
    assert not second["changed"]


def test_files_and_text(client: Client, namespace: str, tmp_path: Any) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.yml").write_text(json.dumps(config_map(namespace, name)) + "\n---\n", encoding="utf-8")
    text = json.dumps(config_map(namespace, "c")) + "\n---\n# nothing\n"
    result = run_module("apply", src=[f"{tmp_path}/*.yml"], definitions=text)
    assert actions(result) == {"ConfigMap/a": "created", "ConfigMap/b": "created", "ConfigMap/c": "created"}
    assert "no such file" in run_module("apply", src=[f"{tmp_path}/none.yml"])["msg"]
    assert "definitions, document 1, line 2" in run_module("apply", definitions="a: [")["msg"]


def test_an_object_that_is_being_deleted_is_created_again(apply: Module, client: Client, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/configmaps/c"
    kept = {
        **config_map(namespace, a="1"),
        "metadata": {**config_map(namespace)["metadata"], "finalizers": ["example.com/hold"]},
    }
    client.request("POST", path.removesuffix("/c"), body=kept)
    client.request("DELETE", path)
    result = run_module("apply", definitions=config_map(namespace, a="2"), wait_timeout=1)
    assert result["failed"]
    assert "example.com/hold" in result["msg"]
    patch = [{"op": "remove", "path": "/metadata/finalizers"}]
    client.request("PATCH", path, body=patch, content_type="application/json-patch+json")
    assert actions(apply(config_map(namespace, a="2"))) == {"ConfigMap/c": "created"}


@pytest.mark.parametrize(
    ("option", "value"), [("concurrency", 33), ("wait_timeout", -1), ("name", "a/b"), ("field_manager", "")]
)
def test_options_out_of_range(option: str, value: Any) -> None:
    result = run_module("apply", definitions=[], **{option: value})
    assert result["failed"]
    assert option in result["msg"]


def test_names_that_only_rbac_allows(apply: Module, namespace: str) -> None:
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
        "metadata": {"name": f"t:{uuid.uuid4().hex[:6]} x", "namespace": namespace}, "rules": [],
    }  # fmt: skip
    assert apply(role)["changed"]
    assert not apply(role)["changed"]
