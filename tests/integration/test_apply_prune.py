# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""apply: pruning, on a real API server."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.servicemesh.platform.plugins.module_utils._apply.prune import Pruner
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.client import APPLY, Client

from tests.integration.conftest import actions, config_map, deployment, run_module

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("cluster")]

Module = Callable[..., dict[str, Any]]
Set = Callable[..., dict[str, Any]]
MEMBER = "applyset.kubernetes.io/part-of"


def pruning(namespace: str, objects: tuple[str | dict[str, Any], ...], options: dict[str, Any]) -> dict[str, Any]:
    """Result of apply with pruning; ConfigMaps by their names."""
    definitions = [config_map(namespace, obj) if isinstance(obj, str) else obj for obj in objects]
    given = {"name": "shop", "prune": True, "inventory_namespace": namespace, "definitions": definitions}
    return run_module("apply", **{**given, **options})


@pytest.fixture
def the_set(namespace: str) -> Set:
    """apply with pruning; fails the test when the module fails."""

    def call(*objects: str | dict[str, Any], **options: Any) -> dict[str, Any]:
        result = pruning(namespace, objects, options)
        assert not result.get("failed"), result["msg"]
        return result

    return call


@pytest.fixture
def refused_set(namespace: str) -> Set:
    """apply with pruning; fails the test when the module does not fail."""

    def call(*objects: str | dict[str, Any], **options: Any) -> dict[str, Any]:
        result = pruning(namespace, objects, options)
        assert result.get("failed"), result
        return result

    return call


def there(client: Client, namespace: str, plural: str = "configmaps") -> set[str]:
    """Names of what is there, without what controllers put into every namespace."""
    names = {item["metadata"]["name"] for item in client.list_all(f"/api/v1/namespaces/{namespace}/{plural}")[0]}
    return {name for name in names if not name.startswith(("kube-", "istio-"))}


def listed(client: Client, namespace: str) -> set[str]:
    """Names of the ConfigMaps in the inventory."""
    inventory = client.get(f"/api/v1/namespaces/{namespace}/configmaps/applyset-shop")
    assert inventory is not None
    return set(json.loads(inventory["data"]["members"])["v1 ConfigMap"][namespace])


def write(client: Client, namespace: str, name: str, manager: str, **meta: Any) -> None:
    """Somebody else applies a ConfigMap."""
    body = config_map(namespace, name, theirs="1")
    body["metadata"] |= meta
    path = f"/api/v1/namespaces/{namespace}/configmaps/{name}"
    client.request("PATCH", path, query={"fieldManager": manager, "force": "true"}, body=body, content_type=APPLY)


def test_what_leaves_the_set_leaves_the_cluster(the_set: Set, apply: Module, client: Client, namespace: str) -> None:
    first = the_set("a", "b", "c")
    assert (first["pruned"], set(actions(first).values())) == ([], {"created"})
    assert there(client, namespace) == {"a", "b", "c", "applyset-shop"}
    apply(config_map(namespace, "bystander"), name="shop")

    predicted = the_set("a", "b", check=True)
    assert there(client, namespace) == {"a", "b", "c", "bystander", "applyset-shop"}
    second = the_set("a", "b")
    for result in (predicted, second):
        assert (result["changed"], result["pruned"]) == (True, [f"ConfigMap {namespace}/c"])
        assert actions(result) == {"ConfigMap/a": "unchanged", "ConfigMap/b": "unchanged", "ConfigMap/c": "deleted"}
        assert "does not contain it any more" in result["objects"][-1]["note"]
        assert result["diff"][0]["before"]["metadata"]["name"] == "c"
    assert there(client, namespace) == {"a", "b", "bystander", "applyset-shop"}
    assert not the_set("a", "b")["changed"]


def test_it_costs_a_request_and_one_for_each_change_of_the_list(the_set: Set, apply: Module, namespace: str) -> None:
    names = [f"c{number}" for number in range(8)]
    objects = [config_map(namespace, name) for name in names]
    apply(*objects)
    plain = apply(*objects)["requests"]
    assert the_set(*names)["requests"] == plain + 2 + 2 * 8, "look, and list; each gets its mark, tried and written"
    assert the_set(*names)["requests"] == plain + 1, "look"
    without = the_set(*names[:-1])["requests"]
    assert without <= plain + 1 + 3, "look, read it, delete it, list"
    unpruned = apply(*objects[:-1], name="shop")
    assert (unpruned["requests"], unpruned["changed"]) == (plain, False), "a call that does not prune keeps the marks"


def test_objects_are_marked_as_members_of_an_apply_set(the_set: Set, client: Client, namespace: str) -> None:
    the_set("a")
    inventory = client.get(f"/api/v1/namespaces/{namespace}/configmaps/applyset-shop")
    member = client.get(f"/api/v1/namespaces/{namespace}/configmaps/a")
    assert inventory is not None
    assert member is not None
    meta = inventory["metadata"]
    assert member["metadata"]["labels"][MEMBER] == meta["labels"]["applyset.kubernetes.io/id"]
    assert meta["annotations"]["applyset.kubernetes.io/contains-group-kinds"] == "ConfigMap"
    assert meta["annotations"]["applyset.kubernetes.io/tooling"].startswith("servicemesh-platform/")


def test_what_is_not_ours_any_more_is_kept_and_told(the_set: Set, client: Client, namespace: str) -> None:
    names = [*"abcdefgh", "deleted", "again", "taken", "shared", "moved"]
    the_set(*names)
    root = f"/api/v1/namespaces/{namespace}/configmaps"
    for name in ("deleted", "again"):
        client.request("DELETE", f"{root}/{name}")
    client.request("POST", root, body=config_map(namespace, "again"))
    write(client, namespace, "taken", "helm", labels={"app.kubernetes.io/managed-by": "Helm"})
    write(client, namespace, "shared", "argocd")
    the_set("moved", name="another")
    for check in (True, False):
        result = the_set(*"abcdefgh", check=check)
        notes = {entry["name"]: entry["note"] for entry in result["objects"] if entry["action"] == "kept"}
        assert set(notes) == {"again", "taken", "shared", "moved"}
        assert "argocd" in notes["shared"]
        assert "not part of this set" in notes["moved"]
        assert "took it over" in notes["taken"]
        assert (result["pruned"], result["changed"]) == ([], False)
    assert {"again", "taken", "shared", "moved"} <= there(client, namespace)
    assert listed(client, namespace) == {*"abcdefgh", "shared"}, "what is still marked as the set's is not forgotten"


def test_dangerous_pruning_is_refused_before_anything_is_sent(
    the_set: Set, refused_set: Set, client: Client, namespace: str
) -> None:
    the_set("a", "b", "c")
    before = there(client, namespace)
    for check in (True, False):
        empty, most = refused_set(check=check), refused_set("a", "new", check=check)
        assert "the set is empty" in empty["msg"]
        assert "2 of 3 objects" in most["msg"]
        assert "prune_allow: ['shop']" in most["msg"]
    assert there(client, namespace) == before
    assert the_set("a", "new", prune_allow=["shop"])["pruned"] == [f"ConfigMap {namespace}/{name}" for name in "bc"]
    assert the_set(prune_allow=["shop"])["pruned"] == [f"ConfigMap {namespace}/{name}" for name in ("a", "new")]
    assert there(client, namespace) == set(), "an empty set needs no inventory"


def test_namespaces_and_claims_go_only_by_name(the_set: Set, refused_set: Set, client: Client, namespace: str) -> None:
    room = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": f"{namespace}-x"}}
    claim = {
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data", "namespace": namespace},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}, "storageClassName": "none"},
    }  # fmt: skip
    the_set("a", "b", "c", room, claim, wait=False)
    result = refused_set("a", "b", "c")
    assert f"Namespace {namespace}-x would be deleted" in result["msg"]
    assert f"PersistentVolumeClaim {namespace}/data would be deleted" in result["msg"]
    named = [f"Namespace {namespace}-x", f"PersistentVolumeClaim {namespace}/data"]
    assert sorted(the_set("a", "b", "c", prune_allow=named)["pruned"]) == named
    assert client.get(f"/api/v1/namespaces/{namespace}-x") is None


def test_nothing_is_pruned_when_anything_failed(the_set: Set, refused_set: Set, client: Client, namespace: str) -> None:
    the_set("a", "b", "old")
    bad = {**deployment(namespace, "bad"), "spec": {"selector": {}}}
    assert refused_set("a", "b", "new", bad)["pruned"] == []
    assert listed(client, namespace) == {"a", "b", "old"}, "it was tried, and nothing was written"
    far = {"type": "NodePort", "ports": [{"port": 80, "nodePort": 80}]}  # a dry run does not look at the range
    meta = {"name": "far", "namespace": namespace}
    result = refused_set("a", "b", "new", {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": far})
    assert result["pruned"] == []
    assert {"old", "new"} <= there(client, namespace)
    assert listed(client, namespace) == {"a", "b", "old", "new"}
    assert the_set("a", "b", "c")["pruned"] == [f"ConfigMap {namespace}/{name}" for name in ("new", "old")]


KILLED = """
import sys, json
sys.path[:0] = json.loads(sys.argv[1])
from ansible.plugins.loader import init_plugin_loader
init_plugin_loader([sys.argv[2]])
from tests.integration.conftest import run_module
print(run_module("apply", **json.loads(sys.argv[3])))
"""


def test_a_killed_call_loses_nothing(the_set: Set, client: Client, namespace: str) -> None:
    the_set("a", "b", "c", "e", "old")
    waits_forever = deployment(namespace, pod={"nodeSelector": {"never": "here"}})
    arguments = {
        "name": "shop", "prune": True, "inventory_namespace": namespace,
        "definitions": [*(config_map(namespace, name) for name in ("a", "b", "c", "e", "new")), waits_forever],
    }  # fmt: skip
    root = os.getcwd()
    argv = [sys.executable, "-c", KILLED, json.dumps([root]), f"{root}/.collections", json.dumps(arguments)]
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 60
        while client.get(f"/apis/apps/v1/namespaces/{namespace}/deployments/d") is None:
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
    assert listed(client, namespace) == {"a", "b", "c", "e", "old", "new"}
    result = the_set("a", "b", "c", "e")
    assert result["pruned"] == [
        *(f"ConfigMap {namespace}/{name}" for name in ("new", "old")),
        f"Deployment {namespace}/d",
    ]
    assert there(client, namespace) == {"a", "b", "c", "e", "applyset-shop"}


def test_a_set_goes_as_a_whole(the_set: Set, client: Client, namespace: str) -> None:
    the_set("a", "b", "c")
    (predicted, result) = (the_set("a", state="absent", check=check) for check in (True, False))
    for entry in (predicted, result):
        assert set(actions(entry).values()) == {"deleted"}
        assert entry["pruned"] == [f"ConfigMap {namespace}/{name}" for name in "bc"]
    assert there(client, namespace) == set()
    again = the_set(state="absent", definitions=None)
    assert not again["changed"]


def test_the_namespace_of_the_inventory_may_come_with_the_set(
    the_set: Set, refused_set: Set, client: Client, namespace: str
) -> None:
    home = f"{namespace}-x"
    objects = [config_map(home, "a"), {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": home}}]
    message = refused_set(config_map(namespace, "a"), inventory_namespace=home)["msg"]
    assert f"inventory_namespace is '{home}': no such namespace" in message
    assert there(client, namespace) == set()
    result = the_set(*objects, inventory_namespace=home)
    assert actions(result) == {f"Namespace/{home}": "created", "ConfigMap/a": "created"}
    assert there(client, home) == {"a", "applyset-shop"}
    assert not the_set(*objects, inventory_namespace=home)["changed"]


def test_the_config_map_of_another_owner_is_not_an_inventory(
    the_set: Set, refused_set: Set, client: Client, namespace: str
) -> None:
    write(client, namespace, "applyset-shop", "somebody")
    result = refused_set("a")
    assert "is not an inventory of this collection" in result["msg"]
    assert there(client, namespace) == {"applyset-shop"}


def test_an_autoscaler_that_left_the_set_lets_go_of_the_number_of_pods(
    the_set: Set, client: Client, namespace: str
) -> None:
    free = deployment(namespace)
    del free["spec"]["replicas"]
    scaler = {
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "d", "namespace": namespace},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"}, "minReplicas": 1, "maxReplicas": 5,
        },
    }  # fmt: skip
    the_set("a", free, scaler, wait=False)
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments/d/scale"
    client.request("PATCH", path, query={"fieldManager": "kube-controller-manager"}, body={"spec": {"replicas": 3}},
                   content_type="application/merge-patch+json")  # fmt: skip
    result = the_set("a", deployment(namespace, replicas=0), wait=False)
    assert result["pruned"] == [f"HorizontalPodAutoscaler {namespace}/d"], result
    assert not the_set("a", deployment(namespace, replicas=0), wait=False)["changed"]


def test_two_calls_at_the_same_moment_forget_nothing(
    the_set: Set, client: Client, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another call runs from its beginning to its end after this one has read the inventory."""
    the_set(*"abcdef", "old")
    write_ahead = Pruner.write_ahead

    def late(self: Pruner) -> None:
        monkeypatch.setattr(Pruner, "write_ahead", write_ahead)
        the_set(*"abcdef", "old", "theirs")
        write_ahead(self)

    monkeypatch.setattr(Pruner, "write_ahead", late)
    result = the_set(*"abcdef", "mine")
    assert result["pruned"] == [f"ConfigMap {namespace}/old"]
    assert listed(client, namespace) == {*"abcdef", "mine", "theirs"}
    assert the_set(*"abcdef", "mine")["pruned"] == [f"ConfigMap {namespace}/theirs"]


def test_what_pods_may_still_use_waits_for_a_call_that_finds_the_set_ready(
    the_set: Set, client: Client, namespace: str
) -> None:
    used = deployment(namespace, container={"envFrom": [{"configMapRef": {"name": "old"}}]})
    the_set("a", "b", "old", used)
    first = the_set("a", "b", deployment(namespace), wait=False)
    assert (first["pruned"], first["kept"]) == ([], [f"ConfigMap {namespace}/old"])
    assert listed(client, namespace) == {"a", "b", "old"}
    assert the_set("a", "b", deployment(namespace))["pruned"] == [f"ConfigMap {namespace}/old"]


def test_what_is_retired_is_not_pruned_twice(the_set: Set, client: Client, namespace: str) -> None:
    the_set("a", "b", "c")
    result = the_set("a", "b", retired=[config_map(namespace, "c")])
    assert (actions(result)["ConfigMap/c"], result["pruned"]) == ("deleted", [])
    assert len(result["objects"]) == 3
    assert listed(client, namespace) == {"a", "b"}
