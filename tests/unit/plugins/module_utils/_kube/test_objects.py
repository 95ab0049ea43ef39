# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is checked and marked before an object is sent."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.servicemesh.platform.plugins.module_utils._apply.result import checked
from ansible_collections.servicemesh.platform.plugins.module_utils._kube import objects as _objects
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import KubeError
from hypothesis import given
from hypothesis import strategies as st

CONFIG = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "n"}}


def test_nested_lists_nulls_and_lists_of_kubernetes_are_flattened() -> None:
    other = {**CONFIG, "metadata": {"name": "d", "namespace": "n"}}
    wrapped = {"apiVersion": "v1", "kind": "List", "items": [other, None]}
    assert list(_objects.flatten([[CONFIG, [None, []]], {}, wrapped])) == [CONFIG, other]


@given(st.recursive(st.none() | st.just(CONFIG), lambda inner: st.lists(inner, max_size=3), max_leaves=8))
def test_flattening_keeps_every_object(nested: Any) -> None:
    def count(node: Any) -> int:
        return sum(map(count, node)) if isinstance(node, list) else int(node is not None)

    assert len(list(_objects.flatten(nested))) == count(nested)


@pytest.mark.parametrize(
    ("obj", "expected"),
    [
        ("text", "is a str"),
        ({"kind": "ConfigMap", "metadata": {"name": "c"}}, "apiVersion is None"),
        ({"apiVersion": "v1", "metadata": {"name": "c"}}, "kind is missing"),
        ({"apiVersion": "apps/V1", "kind": "Deployment", "metadata": {"name": "c"}}, "apiVersion is 'apps/V1'"),
        ({"apiVersion": "v1", "kind": "ConfigMap"}, "metadata is missing"),
        ({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "c-"}}, "metadata.name is None"),
        ({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "User_DB"}}, "RFC 1123 subdomain"),
        ({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a.b"}}, "RFC 1123 label"),
        ({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a" * 64}}, "RFC 1123 label"),
        ({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c\n"}}, "RFC 1123 subdomain"),
        ({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "../c"}}, "RFC 1123 subdomain"),
        (
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "../x"}},
            "metadata.namespace",
        ),
        ({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "labels": {"a": 1}}}, "quote it"),
        ({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "annotations": []}}, "expected a mapping"),
        ({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "a/b"}}, "without '/'"),
    ],
)
def test_what_cannot_be_sent_is_named(obj: Any, expected: str) -> None:
    (finding,) = _objects.findings_of([obj])
    assert expected in finding
    assert "definitions[0]" in finding


def test_names_of_rbac_may_hold_colons() -> None:
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "system:X"}}
    assert _objects.findings_of([role]) == []


def test_all_findings_are_told_at_once_and_duplicates_across_versions_found() -> None:
    hpa = {"kind": "HorizontalPodAutoscaler", "metadata": {"name": "h", "namespace": "n"}}
    with pytest.raises(KubeError) as caught:
        checked([{"kind": "X"}, {**hpa, "apiVersion": "autoscaling/v1"}, {**hpa, "apiVersion": "autoscaling/v2"}])
    message = str(caught.value)
    assert "3 findings" in message
    assert "is defined twice (definitions[1] and definitions[2])" in message


def test_ours_are_marked_and_others_are_not() -> None:
    mine = _objects.prepared(CONFIG, "my-set", ours=True)
    assert mine["metadata"]["labels"] == {
        _objects.MANAGED_BY_LABEL: "servicemesh-platform",
        _objects.PART_OF_LABEL: "my-set",
    }
    assert _objects.is_ours(mine)
    others = _objects.prepared(mine, "my-set", ours=False)
    assert "labels" not in others["metadata"]
    assert "labels" not in CONFIG["metadata"], "the input stays as it was"


def test_an_object_may_say_itself_what_it_is_part_of() -> None:
    """Several sets may write it; each would else change the label."""
    shared = {**CONFIG, "metadata": {**CONFIG["metadata"], "labels": {_objects.PART_OF_LABEL: "shop"}}}
    sent = _objects.prepared(shared, "my-set", ours=True)
    assert sent["metadata"]["labels"] == {
        _objects.MANAGED_BY_LABEL: "servicemesh-platform",
        _objects.PART_OF_LABEL: "shop",
    }


def test_what_only_the_server_writes_is_not_sent() -> None:
    live = {
        **CONFIG,
        "status": {"x": 1},
        "metadata": {**CONFIG["metadata"], "uid": "1", "managedFields": [], "labels": None},
    }
    assert _objects.prepared(live, "", ours=False) == CONFIG


def test_string_data_is_sent_as_data() -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "n"}}
    (sent,) = checked({**secret, "stringData": {"a": "b"}, "data": {"a": "eA==", "c": "ZA=="}})
    assert sent["data"] == {"a": "Yg==", "c": "ZA=="}
    assert "stringData" not in sent
