# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""apply: calls that a real API server refuses change nothing and say what to do; the option `namespace`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.client import Client

from tests.integration.conftest import IMAGE, actions, config_map, deployment, secret

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("cluster")]

Module = Callable[..., dict[str, Any]]


def get(client: Client, namespace: str, name: str) -> dict[str, Any] | None:
    return client.get(f"/api/v1/namespaces/{namespace}/configmaps/{name}")


def test_a_call_that_is_refused_has_changed_nothing(refused: Module, client: Client, namespace: str) -> None:
    bad = {**deployment(namespace, "bad"), "spec": {"selector": {}}}
    misspelt = deployment(namespace, "misspelt", container={"imige": "x"})
    for objects, expected in (
        ([config_map(namespace), bad, misspelt, config_map(namespace, "d")], ("spec.selector", "imige")),
        ([config_map(namespace), {**secret(namespace), "type": "kubernetes.io/tls"}], ("tls.crt",)),
        ([config_map(namespace), config_map(f"{namespace}-none")], ("namespace does not exist",)),
    ):
        result = refused(*objects)
        assert all(text in result["msg"] for text in expected), result["msg"]
        assert "nothing was changed" in result["msg"]
        assert (result["changed"], result["objects"]) == (False, [])
        assert get(client, namespace, "c") is None
        assert get(client, namespace, "d") is None


def test_what_comes_with_the_call_is_no_refusal(apply: Module, namespace: str) -> None:
    """The dry run of a pod whose account comes in an earlier wave is refused with 403."""
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "a", "namespace": namespace}}
    containers = [{"name": "app", "image": IMAGE}]
    pod = {
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": namespace},
        "spec": {"serviceAccountName": "a", "nodeSelector": {"never": "here"}, "containers": containers},
    }  # fmt: skip
    assert actions(apply(account, pod, wait=False)) == {"ServiceAccount/a": "created", "Pod/p": "created"}


def test_the_namespace_of_what_names_none(apply: Module, refused: Module, client: Client, namespace: str) -> None:
    here, there = config_map(namespace), config_map("")
    del there["metadata"]["namespace"]
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": namespace}}
    for check in (True, False):
        assert set(actions(apply(there, role, namespace=namespace, check=check)).values()) == {"created"}
    assert get(client, namespace, "c") is not None
    again = apply(here, role, namespace=namespace)
    assert (again["changed"], again["objects"][-1]["namespace"]) == (False, namespace)
    message = refused(config_map("default"), role, namespace=namespace)["msg"]
    assert f"ConfigMap default/c: metadata.namespace is 'default', but the option namespace is '{namespace}'" in message
    assert "defined twice" in refused(here, there, namespace=namespace)["msg"]
    assert "the option namespace" in refused(there)["msg"]
    gone = apply(role, retired=there, namespace=namespace)
    assert actions(gone) == {"ClusterRole/" + namespace: "unchanged", "ConfigMap/c": "deleted"}
    assert actions(apply(role, state="absent", namespace=namespace)) == {"ClusterRole/" + namespace: "deleted"}


def stateful_set(namespace: str, size: str, **changed: Any) -> dict[str, Any]:
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}}
    spec = deployment(namespace, replicas=0)["spec"]
    more = {"serviceName": "d", "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": claim}]}
    return {**deployment(namespace), "kind": "StatefulSet", "spec": {**spec, **more, **changed}}


def port_of_service(namespace: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "s", "namespace": namespace},
        "spec": {"selector": {"app": "x"}, "ports": [{"port": 80}], **spec},
    }  # fmt: skip


HINTS: dict[str, tuple[Callable[[str], dict[str, Any]], Callable[[str], dict[str, Any]], str]] = {
    "strategy": (
        lambda n: deployment(n, replicas=0), lambda n: deployment(n, replicas=0, strategy={"type": "Recreate"}),
        ".spec.strategy.rollingUpdate is a default that the server set for the old value",
    ),
    "selector": (
        lambda n: deployment(n, replicas=0),
        lambda n: deployment(n, replicas=0, selector={"matchLabels": {"app": "d", "x": "y"}}),
        "spec.selector cannot be changed after the creation",
    ),
    "claims": (
        lambda n: stateful_set(n, "1Mi"), lambda n: stateful_set(n, "2Mi"),
        "spec.volumeClaimTemplates cannot be changed after the creation",
    ),
    "address": (
        port_of_service, lambda n: port_of_service(n, clusterIP="None"), "spec.clusterIP cannot be changed",
    ),
    "immutable": (
        lambda n: {**config_map(n, a="1"), "immutable": True}, lambda n: {**config_map(n, a="2"), "immutable": True},
        "the object was made immutable",
    ),
    "type of a secret": (
        lambda n: secret(n, a="1"), lambda n: {**secret(n, a="1"), "type": "example.com/x"}, "type cannot be changed",
    ),
    "updates": (
        lambda n: stateful_set(n, "1Mi"), lambda n: stateful_set(n, "1Mi", updateStrategy={"type": "OnDelete"}),
        ".spec.updateStrategy.rollingUpdate is a default",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", HINTS)
def test_what_to_do_about_a_field_that_is_refused(apply: Module, refused: Module, namespace: str, case: str) -> None:
    before, after, expected = HINTS[case]
    apply(before(namespace), wait=False)
    for check in (True, False):
        assert expected in refused(after(namespace), wait=False, check=check)["msg"]


def test_a_node_port_out_of_range(apply: Module, refused: Module, namespace: str) -> None:
    """The server's dry run does not look at the range, so only the write is refused."""
    apply(port_of_service(namespace))
    wanted = port_of_service(namespace, type="NodePort", ports=[{"port": 80, "nodePort": 80}])
    assert "in the range of the API server" in refused(wanted)["msg"]
