# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What comes of an object that is taken over, where the server's dry run cannot tell."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.servicemesh.platform.plugins.module_utils._apply.merge import (
    content_patch,
    merged,
    ordered,
    pruned,
    shape_of,
)
from hypothesis import given
from hypothesis import strategies as st

PORT = {".": {}, "f:name": {}, "f:port": {}, "f:protocol": {}, "f:targetPort": {}}
CONTAINER = {
    ".": {},
    "f:name": {},
    "f:args": {},
    "f:env": {".": {}, 'k:{"name":"A"}': {".": {}, "f:name": {}, "f:value": {}}},
    "f:livenessProbe": {".": {}, "f:httpGet": {".": {}, "f:path": {}, "f:port": {}}},
}
FIELDS: dict[str, Any] = {
    "f:metadata": {"f:finalizers": {".": {}, 'v:"x"': {}}},
    "f:spec": {
        "f:ports": {'k:{"port":80,"protocol":"TCP"}': PORT},
        "f:containers": {'k:{"name":"app"}': CONTAINER},
        "f:volumes": {".": {}, 'k:{"name":"v"}': {".": {}, "f:name": {}, "f:configMap": {"f:name": {}}}},
        "f:selector": {},
    },
}
LIVE: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Thing",
    "metadata": {
        "name": "t",
        "uid": "1",
        "finalizers": ["theirs", "x"],
        "managedFields": [{"manager": "kubectl-client-side-apply", "apiVersion": "v1", "fieldsV1": FIELDS}],
    },
    "spec": {
        "ports": [{"name": "http", "port": 80, "protocol": "TCP", "targetPort": 8080, "nodePort": 30001}],
        "containers": [
            {
                "name": "app",
                "args": ["a", "b"],
                "env": [{"name": "A", "value": "1"}],
                "livenessProbe": {"httpGet": {"path": "/", "port": 80, "scheme": "HTTP"}, "periodSeconds": 10},
            },
            {"name": "injected"},
        ],
        "volumes": [{"name": "v", "configMap": {"name": "c", "defaultMode": 420}}],
        "selector": {"app": "x"},
    },
}


def applied(**spec: Any) -> Any:
    """The spec of the object after it was taken over and applied."""
    wanted = {"apiVersion": "v1", "kind": "Thing", "metadata": {"name": "t"}, "spec": spec}
    merge = merged(LIVE, wanted, shape_of(LIVE))
    assert not merge.guessed
    return pruned(merge.result, FIELDS, [], wanted)["spec"]


def container(**fields: Any) -> Any:
    return applied(containers=[{"name": "app", **fields}])["containers"][0]


def test_a_port_that_gets_another_number_is_one_port() -> None:
    assert applied(ports=[{"name": "http", "port": 81}])["ports"] == [{"name": "http", "port": 81}]


def test_a_port_that_keeps_its_number_keeps_what_the_server_set() -> None:
    (port,) = applied(ports=[{"name": "web", "port": 80}])["ports"]
    assert port == {"name": "web", "port": 80, "nodePort": 30001}


def test_a_value_becomes_a_reference() -> None:
    reference = {"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}
    assert container(env=[reference])["env"] == [reference]


def test_another_kind_of_probe_leaves_nothing_of_the_first() -> None:
    probe = container(livenessProbe={"tcpSocket": {"port": 80}})["livenessProbe"]
    assert probe == {"tcpSocket": {"port": 80}, "periodSeconds": 10}, "httpGet goes with its default scheme"


def test_another_kind_of_volume_leaves_nothing_of_the_first() -> None:
    assert applied(volumes=[{"name": "v", "emptyDir": {}}])["volumes"] == [{"name": "v", "emptyDir": {}}]


def test_lists_that_have_no_keys_and_maps_that_are_atomic_are_replaced() -> None:
    assert container(args=["b"])["args"] == ["b"]
    assert applied(selector={"tier": "y"})["selector"] == {"tier": "y"}


def test_what_others_added_stays_in_its_place() -> None:
    assert [c["name"] for c in applied(containers=[{"name": "app"}])["containers"]] == ["app", "injected"]
    wanted = {"metadata": {"name": "t", "finalizers": ["y"]}}
    assert pruned(merged(LIVE, wanted, shape_of(LIVE)).result, FIELDS, [], wanted)["metadata"]["finalizers"] == [
        "theirs",
        "y",
    ]


def test_what_another_manager_has_too_stays() -> None:
    theirs = {"f:spec": {"f:volumes": {'k:{"name":"v"}': {".": {}, "f:name": {}}}, "f:selector": {}}}
    wanted = {"metadata": {"name": "t"}, "spec": {"ports": [{"port": 80}]}}
    left = pruned(LIVE, FIELDS, [theirs], wanted)["spec"]
    assert left["volumes"] == [{"name": "v"}]
    assert left["selector"] == {"app": "x"}


def test_a_list_that_nobody_owns_is_a_guess() -> None:
    live = {"metadata": {}, "spec": {"tolerations": [{"key": "a"}], "hosts": [{"name": "h", "x": 1}]}}
    merge = merged(live, {"spec": {"tolerations": [{"key": "b"}], "hosts": [{"name": "h", "y": 2}]}}, shape_of(live))
    assert merge.guessed
    assert merge.result["spec"] == {"tolerations": [{"key": "b"}], "hosts": [{"name": "h", "x": 1, "y": 2}]}


@pytest.mark.parametrize(
    ("live", "wanted", "result"),
    [
        ("ab", "ab", "ab"),
        ("ab", "ba", "ba"),
        ("abc", "c", "abc"),
        ("ab", "xa", "xab"),
        ("aib", "ba", "iba"),
        ("ab", "bxa", "bxa"),
        ("", "ab", "ab"),
        ("ab", "", "ab"),
    ],
)
def test_the_order_of_merged_lists(live: str, wanted: str, result: str) -> None:
    assert "".join(ordered(live, wanted)) == result


keys = st.lists(st.sampled_from("abcdefg"), unique=True)


@given(keys, keys)
def test_merged_lists_have_all_items_once_in_the_order_of_the_definition(live: list[str], wanted: list[str]) -> None:
    result = ordered(live, wanted)
    assert sorted(result) == sorted({*live, *wanted})
    assert [key for key in result if key in wanted] == wanted
    assert [key for key in result if key not in wanted] == [key for key in live if key not in wanted]


def test_the_patch_has_the_content_and_nothing_of_the_server() -> None:
    target = {
        **LIVE, "status": {"x": 1}, "data": {"a/b": "1"}, "spec": None,
        "metadata": {**LIVE["metadata"], "uid": "2", "finalizers": None, "labels": {"a": "b"}},
    }  # fmt: skip
    assert content_patch(LIVE, target) == [
        {"op": "remove", "path": "/spec"},
        {"op": "add", "path": "/data", "value": {"a/b": "1"}},
        {"op": "add", "path": "/metadata/labels", "value": {"a": "b"}},
        {"op": "remove", "path": "/metadata/finalizers"},
    ]
