# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Inventory, promotion and what runs: which release is to be live."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.release import decide
from ansible_collections.servicemesh.platform.plugins.plugin_utils._service import release as releases
from ansible_collections.servicemesh.platform.plugins.plugin_utils._service.definition import DefinitionError
from ansible_collections.servicemesh.platform.plugins.plugin_utils._service.workload import service_manifests
from hypothesis import given
from hypothesis import strategies as st


def release(version: str) -> dict[str, str]:
    return {"image": f"shop/user:{version}", "version": version}


def info(live: str = "", record: tuple[str, str] | None = None, **more: Any) -> dict[str, Any]:
    """`record`: (promoted version, the inventory's of that moment)."""
    promoted = None if record is None else {**release(record[0]), "inventory": release(record[1])}
    return {"live": release(live) if live else None, "record": promoted, "active": False, **more}


@pytest.mark.parametrize(
    ("inventory", "found", "rollout", "action", "version", "forget_promotion", "warns"),
    [
        ("v1", info(), "canary", "apply", "v1", False, False),
        ("v1", info("v1"), "canary", "apply", "v1", False, False),
        ("v2", info("v1"), "rolling", "apply", "v2", False, False),
        ("v2", info("v1"), "canary", "canary", "v2", False, False),
        # promoted by hand: the inventory is as it was
        ("v1", info("v2", ("v2", "v1")), "rolling", "apply", "v2", False, True),
        ("v1", info("v2", ("v2", "v1")), "canary", "apply", "v2", False, True),
        # the inventory has caught up
        ("v2", info("v2", ("v2", "v1")), "rolling", "apply", "v2", True, False),
        # the inventory says something else: that is the new wish
        ("v3", info("v2", ("v2", "v1")), "rolling", "apply", "v3", True, False),
        ("v3", info("v2", ("v2", "v1")), "canary", "canary", "v3", False, False),
        # somebody changed what runs behind the promotion's back: the inventory holds
        ("v1", info("v9", ("v2", "v1")), "rolling", "apply", "v1", True, False),
        # brought by the inventory itself
        ("v2", info("v2", ("v2", "v2")), "canary", "apply", "v2", False, False),
        ("v1", info("v2", ("v2", "v2")), "canary", "canary", "v1", False, False),
    ],
)
def test_three_ways(
    inventory: str, found: dict[str, Any], rollout: str, action: str, version: str, forget_promotion: bool, warns: bool
) -> None:
    decision = decide(release(inventory), found, rollout=rollout, variable="user_version")
    assert (decision.action, decision.version, decision.forget_promotion) == (action, version, forget_promotion)
    assert bool(decision.warning) == warns
    if warns:
        assert f"user_version: {version}" in decision.warning


versions = st.sampled_from(["v1", "v2", "v3"])


@given(versions, versions, st.one_of(st.none(), st.tuples(versions, versions)), st.sampled_from(["rolling", "canary"]))
def test_an_edit_of_the_inventory_always_wins(inventory: str, live: str, record: Any, rollout: str) -> None:
    decision = decide(release(inventory), info(live, record), rollout=rollout)
    untouched = record is not None and record[1] == inventory and record[0] == live
    if decision.version != inventory:
        assert untouched
        assert decision.version == live
        assert decision.warning
    if record is not None and record[1] != inventory:
        assert decision.version == inventory


@pytest.mark.parametrize("phase", ["analysing", "paused", "frozen", "promoting"])
@pytest.mark.parametrize(
    ("inventory", "rollout"), [("v1", "rolling"), ("v2", "canary"), ("v3", "canary"), ("v2", "rolling")]
)
def test_a_run_under_way_keeps_its_pods_from_others(phase: str, inventory: str, rollout: str) -> None:
    found = info("v1", active=True, phase=phase, weight=20, release=release("v2"))
    decision = decide(release(inventory), found, rollout=rollout)
    resumes = (inventory, rollout) == ("v2", "canary") and phase not in ("paused", "frozen")
    assert decision.action == ("canary" if resumes else "watch")
    assert ("under way" in decision.warning) != resumes


def test_a_release_of_the_command_line_is_promoted_by_a_canary_unless_it_is_live() -> None:
    assert decide(release("v1"), info("v1"), rollout="rolling", requested=release("v2")).action == "canary"
    assert decide(release("v1"), info("v2", ("v2", "v1")), rollout="rolling", requested=release("v2")).action == "apply"
    running = info("v1", active=True, phase="paused", release=release("v2"))
    assert decide(release("v1"), running, rollout="rolling", requested=release("v2")).action == "canary"


DEFINITION = {
    "name": "user-service",
    "image": "shop/user:v1",
    "version": "v1",
    "env": {"SERVICE_VERSION": "v1", "PORT": "8080"},
    "config": {"LEVEL": "INFO"},
    "replicas": 3,
    "autoscaling": {"enabled": True},
}


def test_a_version_takes_image_and_environment_along() -> None:
    wanted = releases.release_of(DEFINITION, "v2")
    assert wanted == {"image": "shop/user:v2", "version": "v2"}
    changed = releases.with_release(DEFINITION, wanted)
    assert changed["env"] == {"SERVICE_VERSION": "v2", "PORT": "8080"}
    assert releases.release_of(changed) == wanted
    assert releases.with_release(DEFINITION, releases.release_of(DEFINITION)) == DEFINITION


def test_an_image_whose_tag_is_not_the_version_has_to_be_given() -> None:
    odd = {**DEFINITION, "image": "shop/user@sha256:" + "0" * 64}
    with pytest.raises(DefinitionError, match="set the image of version v2"):
        releases.release_of(odd, "v2")
    assert releases.release_of(odd, "v2", "shop/user:next") == {"image": "shop/user:next", "version": "v2"}


def test_the_canarys_objects_are_its_own_and_never_the_services() -> None:
    own = releases.canary_manifests(DEFINITION)
    assert {(item["kind"], item["metadata"]["name"]) for item in own} == {
        ("Deployment", "user-service-canary"),
        ("ConfigMap", "user-service-canary-config"),
    }
    (deployment,) = [item for item in own if item["kind"] == "Deployment"]
    assert deployment["spec"]["replicas"] == 1
    assert deployment["spec"]["selector"]["matchLabels"]["track"] == "canary"


def test_a_promotion_writes_what_the_role_would_write() -> None:
    whole = service_manifests(DEFINITION)
    part = releases.stable_manifests(DEFINITION)
    assert part == [item for item in whole if item["kind"] in ("Deployment", "ConfigMap")]


def test_what_a_canary_leaves_is_named() -> None:
    names = {(item["kind"], item["metadata"]["name"]) for item in releases.canary_leftovers(DEFINITION)}
    assert ("Lease", "canary-user-service") in names
    assert {("Deployment", "user-service-canary"), ("ConfigMap", "canary-user-service")} <= names
