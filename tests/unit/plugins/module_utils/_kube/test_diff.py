# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is shown of a change."""

from __future__ import annotations

from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._kube.diff import (
    changes,
    content,
    overlay,
    redacted,
    scrubbed,
)
from hypothesis import given
from hypothesis import strategies as st

SALT = b"salt"
scalars = st.none() | st.booleans() | st.integers(-3, 3) | st.text("ab", max_size=2)
keys = st.sampled_from(["a", "b", "name"])
values = st.recursive(scalars, lambda v: st.lists(v, max_size=3) | st.dictionaries(keys, v, max_size=3), max_leaves=8)
objects = st.fixed_dictionaries(
    {"kind": st.just("ConfigMap"), "apiVersion": st.just("v1"), "metadata": st.just({"name": "x"})},
    optional={"spec": values, "data": values},
)


@given(objects, objects)
def test_a_change_is_told_when_and_only_when_there_is_one(before: Any, after: Any) -> None:
    assert (changes(before, after, SALT) is None) == (content(before) == content(after))


@given(objects, objects)
def test_equal_fields_are_left_out(before: Any, after: Any) -> None:
    found = changes(before, after, SALT)
    if found is not None:
        assert found[0] != found[1]
        assert "kind" not in found[0]
        assert "metadata" not in found[1]


@given(objects)
def test_what_the_server_writes_is_no_change(obj: Any) -> None:
    live = {
        **obj,
        "status": {"x": 1},
        "metadata": {**obj["metadata"], "uid": "u", "resourceVersion": "7", "managedFields": []},
    }
    assert changes(obj, live, SALT) is None


def secret(**data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "n"}, "data": data}


@given(st.text(min_size=12), st.text(min_size=12), st.binary(min_size=1, max_size=16))
def test_no_value_of_a_secret_is_ever_shown(old: str, new: str, salt: bytes) -> None:
    found = changes(secret(password=old), secret(password=new), salt)
    assert (found is None) == (old == new)
    if found is not None:
        assert set(found[1]) == {"data"}
        assert all(side["data"]["password"].startswith("digest:") for side in found)
        assert old not in str(found)
        assert new not in str(found)


def test_a_created_secret_and_odd_data_are_hidden_too() -> None:
    found = changes(None, {**secret(a="hunter2hunter2"), "stringData": "odd"}, SALT)
    assert found is not None
    assert "hunter2" not in str(found)
    assert "odd" not in str(found)


def test_digests_of_two_runs_cannot_be_compared() -> None:
    assert redacted(secret(a="x"), b"1") != redacted(secret(a="x"), b"2")


def test_lists_of_named_items_show_only_the_item_that_differs() -> None:
    def deployment(image: str) -> dict[str, Any]:
        containers = [{"name": "app", "image": image, "env": []}, {"name": "side", "image": "s"}]
        return {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "d"},
            "spec": {"containers": containers},
        }

    assert changes(deployment("a:1"), deployment("a:2"), SALT) == (
        {"spec": {"containers": [{"name": "app", "image": "a:1"}]}},
        {"spec": {"containers": [{"name": "app", "image": "a:2"}]}},
    )


def test_a_change_of_order_is_shown() -> None:
    def ports(*names: str) -> dict[str, Any]:
        return {"apiVersion": "v1", "kind": "X", "metadata": {"name": "x"}, "spec": [{"name": name} for name in names]}

    assert changes(ports("a", "b"), ports("b", "a"), SALT) is not None


@given(objects, objects)
def test_an_overlay_holds_what_was_wanted_and_keeps_the_rest(live: Any, wanted: Any) -> None:
    merged = overlay(live, wanted)
    assert overlay(merged, wanted) == merged
    assert set(merged) == set(live) | set(wanted)


def test_secrets_are_scrubbed_longest_first() -> None:
    assert scrubbed("Invalid value: hunter22", ["hunter2", "hunter22", "a"]) == "Invalid value: ********"
