# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The option `namespace`."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.servicemesh.platform.plugins.module_utils._apply.scope import doubles, placed, scope_finding
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.discovery import Resource
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.objects import ref_of

MAPS, NODES = Resource("v1", "ConfigMap", "configmaps", True), Resource("v1", "Node", "nodes", False)


def obj(kind: str = "ConfigMap", **meta: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": "x", **meta}}


@pytest.mark.parametrize("meta", [{}, {"namespace": ""}, {"namespace": None}])
def test_an_object_without_a_namespace_gets_it(meta: dict[str, Any]) -> None:
    given = obj(**meta)
    assert placed(given, MAPS, "shop") == obj(namespace="shop")
    assert given == obj(**meta), "what was given is not changed"


@pytest.mark.parametrize(
    ("given", "resource", "namespace"),
    [(obj(), MAPS, ""), (obj(namespace="a"), MAPS, "shop"), (obj("Node"), NODES, "shop"), (obj("Later"), None, "shop")],
)
def test_others_stay_as_they_are(given: Any, resource: Any, namespace: str) -> None:
    assert placed(given, resource, namespace) is given


@pytest.mark.parametrize(
    ("given", "resource", "namespace", "expected"),
    [
        (obj(namespace="shop"), MAPS, "shop", ""),
        (obj(namespace="shop"), MAPS, "", ""),
        (obj("Node"), NODES, "shop", ""),
        (obj(namespace="a"), MAPS, "shop", "ConfigMap a/x: metadata.namespace is 'a', but the option namespace is 'shop'"),
        (obj(), MAPS, "", "ConfigMap x: metadata.namespace is missing"),
        (obj("Node", namespace="a"), NODES, "a", "Node a/x: metadata.namespace is 'a'; objects of this kind have no namespace"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_namespace(given: Any, resource: Resource, namespace: str, expected: str) -> None:
    found = scope_finding(ref_of(given), resource, namespace)
    assert found.startswith(expected)
    assert bool(found) == bool(expected)


def test_one_object_with_and_without_its_namespace() -> None:
    given = [obj(), obj(namespace="shop"), obj(name="y")]
    result = [placed(item, MAPS, "shop") for item in given]
    assert doubles(given, result) == [
        (ref_of(given[0]), "ConfigMap shop/x is defined twice, with its namespace and without one; remove one")
    ]
    assert doubles(given[1:], result[1:]) == []
