# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An apply is left out only when it is certain to change nothing."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from ansible_collections.servicemesh.platform.plugins.module_utils._apply.noop import is_noop
from hypothesis import given
from hypothesis import strategies as st

US = "servicemesh-platform"

# As an API server wrote it, for a Deployment whose definition leaves out the protocol of its port.
FIELDS = {
    "f:metadata": {"f:labels": {"f:app": {}}},
    "f:spec": {
        "f:replicas": {},
        "f:template": {
            "f:spec": {
                "f:containers": {
                    'k:{"name":"app"}': {
                        ".": {},
                        "f:name": {},
                        "f:image": {},
                        "f:ports": {
                            'k:{"containerPort":8080,"protocol":"TCP"}': {
                                ".": {},
                                "f:containerPort": {},
                                "f:protocol": {},
                            }
                        },
                        "f:command": {},
                    },
                    'k:{"name":"side"}': {".": {}, "f:name": {}, "f:image": {}},
                }
            }
        },
    },
}
BODY = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "x", "namespace": "n", "labels": {"app": "x"}},
    "spec": {
        "replicas": 2,
        "template": {
            "spec": {
                "containers": [
                    {"name": "app", "image": "a:1", "ports": [{"containerPort": 8080}], "command": ["a", "b"]},
                    {"name": "side", "image": "s:1"},
                ]
            }
        },
    },
}


def live() -> dict[str, Any]:
    obj: dict[str, Any] = copy.deepcopy(BODY)
    obj["metadata"]["labels"]["added-by"] = "somebody"
    obj["metadata"]["managedFields"] = [
        {"manager": US, "operation": "Apply", "apiVersion": "apps/v1", "fieldsType": "FieldsV1", "fieldsV1": FIELDS},
        {"manager": "kubelet", "operation": "Update", "apiVersion": "apps/v1", "fieldsV1": {"f:status": {}}},
    ]
    containers = obj["spec"]["template"]["spec"]["containers"]
    containers[0]["ports"][0]["protocol"] = "TCP"
    containers[0]["imagePullPolicy"] = "Always"
    containers.insert(1, {"name": "injected", "image": "i:1"})
    obj["spec"]["strategy"] = {"type": "RollingUpdate"}
    obj["status"] = {"replicas": 2}
    return obj


def test_what_was_applied_and_has_not_changed_is_a_noop() -> None:
    assert is_noop(BODY, live(), US)


def paths(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a value, but not the value itself."""
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [found for key, child in children for found in [(*path, key), *paths(child, (*path, key))]]


IDENTITY = {("kind",), ("metadata",), ("metadata", "name"), ("metadata", "namespace")}
PLACES = [path for path in paths(BODY) if path not in IDENTITY]


def parent_of(obj: Any, path: tuple[Any, ...]) -> Any:
    for key in path[:-1]:
        obj = obj[key]
    return obj


@pytest.mark.parametrize("path", PLACES, ids=str)
def test_a_field_that_leaves_the_definition_is_a_change(path: tuple[Any, ...]) -> None:
    body: dict[str, Any] = copy.deepcopy(BODY)
    del parent_of(body, path)[path[-1]]
    assert not is_noop(body, live(), US)


@pytest.mark.parametrize("path", PLACES, ids=str)
@pytest.mark.parametrize("value", [None, "other", 7, True, [], {}, ["z"], {"z": 1}])
def test_another_value_is_a_change(path: tuple[Any, ...], value: Any) -> None:
    body: dict[str, Any] = copy.deepcopy(BODY)
    parent_of(body, path)[path[-1]] = value
    assert not is_noop(body, live(), US)


@pytest.mark.parametrize("path", [p for p in PLACES if p != ("apiVersion",)], ids=str)
def test_another_value_on_the_server_is_a_change(path: tuple[Any, ...]) -> None:
    changed = live()
    moved = tuple(2 if path[:4] == BOX and index == 4 and key == 1 else key for index, key in enumerate(path))
    parent_of(changed, moved)[moved[-1]] = "other"
    assert not is_noop(BODY, changed, US)


BOX = ("spec", "template", "spec", "containers")


@pytest.mark.parametrize("path", [p for p in [(), *PLACES] if p != ("apiVersion",)], ids=str)
def test_a_new_field_is_a_change(path: tuple[Any, ...]) -> None:
    body: dict[str, Any] = copy.deepcopy(BODY)
    node = body
    for key in path:
        node = node[key]
    if isinstance(node, dict):
        node["new"] = 1
    elif isinstance(node, list):
        node.append({"name": "new"})
    else:
        return
    assert not is_noop(body, live(), US)


def test_another_order_is_a_change() -> None:
    body: dict[str, Any] = copy.deepcopy(BODY)
    body["spec"]["template"]["spec"]["containers"].reverse()
    assert not is_noop(body, live(), US)


@pytest.mark.parametrize("nothing", [{}, [], None])
def test_what_the_server_does_not_store_is_a_noop(nothing: Any) -> None:
    """`data: {}` and `creationTimestamp: null`, as generated manifests have them."""
    body, there = copy.deepcopy(BODY), live()
    body["spec"]["template"]["spec"]["nothing"] = nothing  # type: ignore[index]
    pod = there["metadata"]["managedFields"][0]["fieldsV1"] = copy.deepcopy(FIELDS)
    assert not is_noop(body, there, US), "it was not applied before"
    pod["f:spec"]["f:template"]["f:spec"]["f:nothing"] = {}  # type: ignore[index]
    assert is_noop(body, there, US)
    there["spec"]["template"]["spec"]["nothing"] = "something"
    assert not is_noop(body, there, US)
    pod["f:spec"]["f:template"]["f:spec"]["f:nothing"] = {"f:a": {}}  # type: ignore[index]
    del there["spec"]["template"]["spec"]["nothing"]
    assert not is_noop(body, there, US), "it had something in it"


def test_numbers_and_booleans_are_told_apart() -> None:
    changed = live()
    changed["spec"]["replicas"] = 2.0
    assert not is_noop(BODY, changed, US)
    one = {**BODY, "spec": {**BODY["spec"], "replicas": 1}}  # type: ignore[dict-item]
    changed["spec"]["replicas"] = True
    assert not is_noop(one, changed, US)


@pytest.mark.parametrize(
    "entry",
    [
        {"manager": "another"},
        {"operation": "Update"},
        {"apiVersion": "apps/v1beta1"},
        {"subresource": "scale"},
        {"fieldsV1": {}},
    ],
)
def test_only_our_own_last_apply_in_this_version_counts(entry: dict[str, Any]) -> None:
    other = live()
    other["metadata"]["managedFields"][0].update(entry)
    assert not is_noop(BODY, other, US)


def test_what_the_server_writes_elsewhere_is_always_sent() -> None:
    assert not is_noop({**BODY, "stringData": {"a": "b"}}, live(), US)
    assert not is_noop({**BODY, "status": {}}, live(), US)


# Values, and the set of fields that their manager owns, for every kind of list. ------------------------------------

PRESENT = st.booleans() | st.integers(-3, 3) | st.sampled_from(["a", "b", "c"])


def compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), sort_keys=True)


@st.composite
def owned(draw: st.DrawFn, depth: int = 3) -> tuple[Any, dict[str, Any]]:
    """A value and its set of fields."""
    kind = draw(st.sampled_from(["scalar", "atomic", "map", "items", "set"] if depth else ["scalar"]))
    if kind == "scalar":
        return draw(PRESENT), {}
    if kind == "atomic":
        return draw(st.lists(PRESENT, max_size=3) | st.dictionaries(st.sampled_from("xyz"), PRESENT, min_size=1)), {}
    if kind == "set":
        values = draw(st.lists(st.sampled_from("abcd"), unique=True, min_size=1, max_size=3))
        return values, {f"v:{compact(value)}": {} for value in values}
    if kind == "items":
        names = draw(st.lists(st.sampled_from("abcd"), unique=True, min_size=1, max_size=3))
        items, fields = [], {}
        for name in names:
            value, below = draw(owned(depth=depth - 1))
            items.append({"name": name, "value": value})
            fields[f"k:{compact({'name': name})}"] = {".": {}, "f:name": {}, "f:value": below}
        return items, fields
    keys = draw(st.lists(st.sampled_from("pqr"), unique=True, min_size=1, max_size=3))
    made, below_all = {}, {}
    for key in keys:
        value, below = draw(owned(depth=depth - 1))
        made[key], below_all[f"f:{key}"] = value, below
    return made, below_all


def objects(value: Any, there: Any, fields: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    base = {"apiVersion": "v1", "kind": "X", "metadata": {"name": "x"}}
    entry = {"manager": US, "operation": "Apply", "apiVersion": "v1", "fieldsV1": {"f:spec": fields}}
    return {**base, "spec": value}, {**base, "spec": there, "metadata": {"name": "x", "managedFields": [entry]}}


def contains(there: Any, value: Any) -> bool:
    """Whether a live value has all of another; beside it stands what is somebody else's, and what is empty may be left out."""
    if isinstance(value, dict) and isinstance(there, dict):
        return all(contains(there[key], value[key]) if key in there else value[key] in ([], {}, None) for key in value)
    if isinstance(value, list) and isinstance(there, list):
        return all(any(contains(item, wanted) for item in there) for wanted in value)
    return compact(there) == compact(value)


@given(owned(), owned())
def test_a_noop_means_the_same_values(one: Any, other: Any) -> None:
    (value, fields), (another, _others) = one, other
    assert is_noop(*objects(value, value, fields), US)
    if compact(value) != compact(another):
        assert not is_noop(*objects(another, value, fields), US)
    if is_noop(*objects(value, another, fields), US):
        assert contains(another, value)
