# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Taking objects over from client-side apply."""

from __future__ import annotations

import json
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._apply.adoption import (
    BEFORE,
    KUBECTL,
    LAST_APPLIED,
    adoption,
    given_back,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._apply.field_sets import restricted, union
from ansible_collections.servicemesh.platform.plugins.module_utils._apply.merge import pruned
from hypothesis import given
from hypothesis import strategies as st

OURS = "servicemesh-platform"


def entry(manager: str, fields: Any, operation: str = "Update", **more: Any) -> dict[str, Any]:
    return {
        "manager": manager, "operation": operation, "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": fields, **more,
    }  # fmt: skip


def config_map(data: dict[str, str], *entries: dict[str, Any], applied: Any = None) -> dict[str, Any]:
    meta: dict[str, Any] = {"name": "c", "namespace": "n", "resourceVersion": "7", "managedFields": list(entries)}
    if applied is not None:
        meta["annotations"] = {LAST_APPLIED: applied if isinstance(applied, str) else json.dumps(applied)}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data}


def applied(**data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"annotations": {}, "name": "c"}, "data": data}


def f(*names: str, dot: bool = True) -> dict[str, Any]:
    return {**({".": {}} if dot else {}), **{f"f:{name}": {} for name in names}}


NOTE = {"f:annotations": {".": {}, f"f:{LAST_APPLIED}": {}}}


def test_ownership_moves_with_the_annotation_in_one_patch() -> None:
    live = config_map(
        {"a": "1", "b": "2"}, entry(KUBECTL, {"f:data": f("a", "b"), "f:metadata": NOTE}), applied=applied(a="1", b="2")
    )
    found = adoption(live, OURS)
    assert found is not None
    assert found.patch == [
        {"op": "replace", "path": "/metadata/managedFields", "value": [entry(OURS, {"f:data": f("a", "b")}, "Apply")]},
        {"op": "remove", "path": "/metadata/annotations/kubectl.kubernetes.io~1last-applied-configuration"},
        {"op": "replace", "path": "/metadata/resourceVersion", "value": "7"},
    ]


def test_defaults_of_the_server_are_not_taken() -> None:
    live = config_map({"a": "1"}, entry(KUBECTL, {"f:data": f("a"), "f:immutable": {}}), applied=applied(a="1"))
    found = adoption(live, OURS)
    assert found is not None
    assert found.fields == {"f:data": f("a")}


def test_without_the_annotation_all_that_kubectl_wrote_is_taken() -> None:
    live = config_map({"a": "1"}, entry(KUBECTL, {"f:data": f("a"), "f:immutable": {}}))
    found = adoption(live, OURS)
    assert found is not None
    assert found.fields == {"f:data": f("a"), "f:immutable": {}}
    assert [step["op"] for step in found.patch] == ["replace", "replace"]


def test_what_we_own_already_is_kept() -> None:
    live = config_map(
        {},
        entry(KUBECTL, {"f:data": f("a")}),
        entry(OURS, {"f:data": f("b", dot=False)}, "Apply"),
        applied=applied(a="1"),
    )
    found = adoption(live, OURS)
    assert found is not None
    assert found.fields == {"f:data": f("b", "a")}
    assert [e["manager"] for e in found.entries] == [OURS]


def test_before_first_apply_is_taken_only_as_far_as_the_annotation_tells() -> None:
    everybody = entry(BEFORE, {"f:data": f("a", "theirs")})
    assert adoption(config_map({}, everybody), OURS) is None
    found = adoption(config_map({}, everybody, applied=applied(a="1")), OURS)
    assert found is not None
    assert found.fields == {"f:data": f("a")}
    broken = adoption(config_map({}, everybody, applied="not JSON"), OURS)
    assert broken is not None
    assert broken.fields == {}


def test_others_keep_what_is_theirs() -> None:
    entries = [
        entry("kubectl-edit", {"f:data": f("x")}),
        entry(KUBECTL, {"f:status": {}}, subresource="status"),
        entry("argocd", {"f:data": f("y")}, "Apply"),
        entry(OURS, {"f:data": f("a")}, "Apply"),
    ]
    assert adoption(config_map({}, *entries, applied=applied(a="1")), OURS) is None


def test_own_updates_are_taken_over_without_a_word() -> None:
    """For example an object that was created only, and is applied now."""
    live = config_map(
        {}, entry(OURS, {"f:data": f("a", "b")}), entry("argocd", {"f:metadata": NOTE}), applied=applied(a="1")
    )
    found = adoption(live, OURS)
    assert found is not None
    assert (found.managers, found.from_others, found.note) == ((OURS,), (), "")
    assert found.entries[0] == entry(OURS, {"f:data": f("a", "b")}, "Apply")
    assert [step["path"] for step in found.patch] == ["/metadata/managedFields", "/metadata/resourceVersion"]


def test_own_updates_beside_those_of_kubectl() -> None:
    live = config_map(
        {}, entry(KUBECTL, {"f:data": f("a", "x")}), entry(OURS, {"f:data": f("b")}), applied=applied(a="1")
    )
    found = adoption(live, OURS)
    assert found is not None
    assert (found.fields, found.note) == ({"f:data": f("a", "b")}, f"taken over from {KUBECTL}")


def test_ownership_is_given_back_and_what_others_took_meanwhile_stays() -> None:
    theirs = entry("somebody", {"f:data": f("c")}, "Apply")
    scaled = entry(OURS, {"f:status": {}}, subresource="status")
    before = config_map({}, entry(KUBECTL, {"f:data": f("a")}), scaled, applied=applied(a="1"))
    now = config_map({}, entry(OURS, {"f:data": f("a")}, "Apply"), scaled, theirs)
    now["metadata"]["resourceVersion"] = "8"
    assert given_back(now, before, {OURS, KUBECTL}) == [
        {"op": "add", "path": "/metadata/managedFields", "value": [entry(KUBECTL, {"f:data": f("a")}), scaled, theirs]},
        {"op": "add", "path": "/metadata/annotations", "value": {}},
        {
            "op": "add", "path": "/metadata/annotations/kubectl.kubernetes.io~1last-applied-configuration",
            "value": json.dumps(applied(a="1")),
        },
        {"op": "replace", "path": "/metadata/resourceVersion", "value": "8"},
    ]  # fmt: skip


def test_a_secret_that_was_applied_as_text() -> None:
    live = config_map({}, entry(KUBECTL, {"f:data": f("a", "b"), "f:type": {}}))
    text = json.dumps({"apiVersion": "v1", "kind": "Secret", "data": {"b": "eA=="}, "stringData": {"a": "x"}})
    live["metadata"]["annotations"] = {LAST_APPLIED: text}
    found = adoption(live, OURS)
    assert found is not None
    assert found.fields == {"f:data": f("a", "b")}


def test_items_of_lists_go_by_their_keys() -> None:
    fields = {
        "f:ports": {
            ".": {},
            'k:{"port":80,"protocol":"TCP"}': {".": {}, "f:port": {}, "f:protocol": {}},
            'k:{"port":81,"protocol":"TCP"}': {".": {}, "f:port": {}},
        },
        "f:finalizers": {'v:"x"': {}, 'v:"y"': {}},
    }
    value = {"ports": [{"port": 80}], "finalizers": ["x"]}
    assert restricted(fields, value) == {
        "f:ports": {".": {}, 'k:{"port":80,"protocol":"TCP"}': {".": {}, "f:port": {}}},
        "f:finalizers": {'v:"x"': {}},
    }


def test_what_is_left_out_is_predicted_to_go() -> None:
    live = {
        **config_map({"a": "1", "b": "2", "c": "3", "d": "4"}),
        "spec": {"ports": [{"name": "x", "port": 80, "nodePort": 30000}, {"name": "y", "port": 81}]},
    }
    item = {".": {}, "f:port": {}, "f:name": {}}
    mine = {
        "f:data": f("a", "b", "c"),
        "f:spec": {"f:ports": {'k:{"port":80,"protocol":"TCP"}': item, 'k:{"port":81,"protocol":"TCP"}': item}},
    }
    live["metadata"]["managedFields"] = [entry(KUBECTL, mine), entry("somebody", {"f:data": f("c", "d")})]
    found = adoption(live, OURS)
    assert found is not None
    left = pruned(live, found.fields, found.others, {"data": {"a": "1"}, "spec": {"ports": [{"port": 81}]}})
    assert left["data"] == {"a": "1", "c": "3", "d": "4"}
    assert left["spec"]["ports"] == [{"port": 81}], "the whole item goes, but of the other only the name"


leaves = st.just({})
names = st.sampled_from(["f:a", "f:b", "f:c", 'k:{"name":"x"}', 'v:"y"'])
sets = st.recursive(leaves, lambda below: st.dictionaries(names, below, min_size=1, max_size=3), max_leaves=8)
tops = st.dictionaries(names, sets, max_size=3)


def paths(fields: Any, at: tuple[str, ...] = ()) -> set[tuple[str, ...]]:
    """Members of a set of fields."""
    found = set()
    for key, below in fields.items():
        if key == ".":
            found.add(at)
        elif not below:
            found.add((*at, key))
        else:
            found |= paths(below, (*at, key))
    return found


@given(tops, tops)
def test_a_union_has_the_members_of_both(left: Any, right: Any) -> None:
    assert paths(union(left, right)) == paths(left) | paths(right)
    assert union(left, left) == left


values = st.recursive(
    st.none() | st.just("y"),
    lambda below: (
        st.dictionaries(st.sampled_from(["a", "b", "c", "name"]), below, max_size=3) | st.lists(below, max_size=3)
    ),
    max_leaves=10,
)


@given(tops, values)
def test_a_restricted_set_is_part_of_the_set(fields: Any, value: Any) -> None:
    found = restricted(fields, value)
    assert paths(found) <= paths(fields)
    assert restricted(found, value) == found


data = st.dictionaries(st.sampled_from("abcdef"), st.sampled_from("12"), max_size=6)


@given(data, data, data, data)
def test_client_side_apply_and_adoption_remove_the_same(
    before: dict[str, str], theirs: dict[str, str], defaults: dict[str, str], wanted: dict[str, str]
) -> None:
    """What goes: what was applied before, is not wanted now, and is nobody else's."""
    merged = {**defaults, **theirs, **before}
    live = config_map(
        merged,
        entry(KUBECTL, {"f:data": f(*before, *(d for d in defaults if d not in theirs))}),
        entry("somebody", {"f:data": f(*theirs)}),
        applied=applied(**before),
    )
    found = adoption(live, OURS)
    assert found is not None
    after = {**live, "data": {**merged, **wanted}}
    gone = set(before) - set(wanted) - set(theirs)
    left = pruned(after, found.fields, found.others, {"data": wanted})["data"]
    assert set(left or {}) == set(after["data"]) - gone
    again = adoption({**live, "metadata": {**live["metadata"], "managedFields": found.entries}}, OURS)
    assert again is None, "once is enough"
