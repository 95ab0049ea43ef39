# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""apply: what a file says is what the cluster stores, as with `kubectl create`, and errors name the place in the file."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.client import Client

from tests.integration.conftest import run_module
from tests.kubectl_cases import CASES, REFUSED

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("cluster")]

Obj = dict[str, Any]
Module = Callable[..., Obj]

DATA = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: c}
data: {a: , b: ~, c: 'null', d: ""}
---
apiVersion: v1
kind: Secret
metadata: {name: s}
data: {a: , b: eA==}
stringData: {c: ~, d: x, b: 'y'}
"""


@pytest.fixture
def things(client: Client, namespace: str) -> Iterator[str]:
    """The group of a kind that stores whatever it is given."""
    group = f"{namespace}.example.com"
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"things.{group}"},
        "spec": {
            "group": group, "scope": "Namespaced",
            "names": {"kind": "Thing", "plural": "things", "singular": "thing", "listKind": "ThingList"},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": anything}}],
        },
    }  # fmt: skip
    run_module("apply", definitions=[definition])
    yield group
    client.request("DELETE", f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/things.{group}")


def kubectl_create(namespace: str, path: Path) -> None:
    kubeconfig = os.environ["KUBECONFIG"]
    program = os.environ.get("KUBECTL") or str(Path(kubeconfig).parent / "bin" / "kubectl")
    argv = [program, f"--kubeconfig={kubeconfig}", "-n", namespace, "create", "--save-config=false", "-f", str(path)]
    subprocess.run(argv, check=True, capture_output=True, timeout=60)


def stored(client: Client, namespace: str, path: str) -> Obj:
    group, plural, name = path.rsplit("/", 2)
    found = client.get(f"{group}/namespaces/{namespace}/{plural}/{name}")
    assert found is not None, path
    return {key: value for key, value in found.items() if key != "metadata"}


@pytest.fixture
def other(client: Client, namespace: str) -> str:
    """A second namespace, which `namespace` deletes at the end."""
    name = f"{namespace}-kubectl"
    client.request("POST", "/api/v1/namespaces", body={"metadata": {"name": name}})
    return name


def written(path: Path, text: str, namespace: str) -> Path:
    path.write_text(text.replace("metadata: {", f"metadata: {{namespace: {namespace}, "))
    return path


def test_null_in_data_is_what_kubectl_makes_of_it(
    apply: Module, client: Client, namespace: str, other: str, tmp_path: Path
) -> None:
    kubectl_create(other, written(tmp_path / "kubectl.yml", DATA, other))
    ours = written(tmp_path / "ours.yml", DATA, namespace)
    assert apply(src=[str(ours)])["changed"]
    for name in ("/api/v1/configmaps/c", "/api/v1/secrets/s"):
        assert stored(client, namespace, name) == stored(client, other, name)
    again = apply(src=[str(ours)])
    assert not again["changed"]
    assert not apply(src=[str(ours)], check=True)["changed"]


def test_every_value_is_stored_as_kubectl_stores_it(
    apply: Module, client: Client, namespace: str, other: str, things: str, tmp_path: Path
) -> None:
    head = f"apiVersion: {things}/v1\nkind: Thing\nmetadata: {{name: n%d}}\nspec: %s\n"
    good = [text for text, value in CASES.values() if value is not REFUSED]
    text = "---\n".join(head % (number, value) for number, value in enumerate(good))
    kubectl_create(other, written(tmp_path / "kubectl.yml", text, other))
    ours = written(tmp_path / "ours.yml", text, namespace)
    apply(src=[str(ours)])
    path = f"/apis/{things}/v1/things"
    found, expected = (
        {
            obj["metadata"]["name"]: obj["spec"]
            for obj in client.list_all(path)[0]
            if obj["metadata"]["namespace"] == room
        }
        for room in (namespace, other)
    )
    assert len(found) == len(good)
    assert found == expected
    assert not apply(src=[str(ours)])["changed"]


def test_what_the_server_refuses_is_named_with_its_place(refused: Module, namespace: str, tmp_path: Path) -> None:
    path = tmp_path / "web.yml"
    ports = "  - {name: a, port: 80}\n  - name: b\n    port: 99999\n"
    service = f"kind: Service\napiVersion: v1\nmetadata: {{name: web}}\nspec:\n  ports:\n{ports}"
    written(path, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n---\n" + service, namespace)
    message = refused(src=[str(path)])["msg"]
    assert f"{path}, document 2, line 12: Service {namespace}/web: 422 Invalid" in message
    path.write_text(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n---\n" + service.replace("Service", "Servise")
    )
    message = refused(src=[str(path)])["msg"]
    assert f"{path}, document 1, line 1: ConfigMap c: metadata.namespace is missing" in message
    assert f"{path}, document 2, line 5: Servise web: the server does not know" in message
