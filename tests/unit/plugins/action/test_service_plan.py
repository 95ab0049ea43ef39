# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What `service_plan` makes of a definition and of what was read of the cluster."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.servicemesh.platform.plugins.action.service_plan import OPTIONS, planned, refusal

Obj = dict[str, Any]

DEFINITION: Obj = {
    "name": "basket-service",
    "namespace": "ecommerce",
    "image": "r/basket-service:v1.0",
    "version": "v1.0",
    "secret_env": [{"name": "DATABASE_URL", "secret": "basket-db", "key": "url"}],
}
NOTHING: Obj = {"active": False, "phase": "", "virtual_services": [], "live": None, "record": None}
LIVE = {**NOTHING, "live": {"image": "r/basket-service:v1.0", "version": "v1.0"}}


def plan(canary: Obj | None = None, secrets: Obj | None = None, **more: Any) -> Obj:
    params = {name: option.get("default") for name, option in OPTIONS.items()} | {"definition": DEFINITION, **more}
    return planned(params, {"canary": NOTHING if canary is None else canary, "secrets": secrets or {}, "ingress": []})


def checksum(found: Obj) -> Any:
    (deployment,) = [item for item in found["definitions"] if item["kind"] == "Deployment"]
    return (deployment["spec"]["template"]["metadata"].get("annotations") or {}).get(
        "servicemesh.platform/secret-checksum"
    )


def test_a_new_service_is_applied_as_the_inventory_has_it() -> None:
    found = plan()
    assert found["decision"]["action"] == "apply"
    assert found["release"] == {
        "image": "r/basket-service:v1.0",
        "version": "v1.0",
        "inventory": {"image": "r/basket-service:v1.0", "version": "v1.0"},
    }
    assert "canary_definitions" not in found


def test_a_requested_version_is_shifted_to_by_a_canary() -> None:
    found = plan(LIVE, requested=True, version="v1.1")
    assert (found["decision"]["action"], found["definition"]["image"]) == ("canary", "r/basket-service:v1.1")
    assert {item["metadata"]["name"] for item in found["canary_definitions"]} == {"basket-service-canary"}
    assert {item["kind"] for item in found["stable_definitions"]} == {"Deployment"}
    assert "Deployment" not in {item["kind"] for item in found["without_pods"]}


def test_a_decision_that_was_made_stays() -> None:
    decision = plan(LIVE, requested=True, version="v1.1")["decision"]
    live = {**NOTHING, "live": {"image": "r/basket-service:v1.1", "version": "v1.1"}}
    assert plan(live, decision=decision)["definition"]["version"] == "v1.1"


@pytest.mark.parametrize(
    ("more", "there"),
    [({"secrets": {"basket-db": "1"}}, True), ({"secrets": {"basket-db": "1"}, "secret_checksum": False}, False)],
)
def test_the_pods_follow_their_secrets(more: Obj, there: bool) -> None:
    assert bool(checksum(plan(**more))) is there


def test_secrets_that_the_pods_do_not_use_change_nothing() -> None:
    assert checksum(plan(secrets={"basket-db": "1"})) == checksum(plan(secrets={"basket-db": "1", "other": "2"}))


def test_a_removal_needs_no_state_of_a_canary() -> None:
    found = plan({}, state="absent")
    assert found["decision"]["action"] == "apply"
    assert {"canary-basket-service", "basket-service"} <= {item["metadata"]["name"] for item in found["definitions"]}


def test_all_findings_are_told() -> None:
    text = refusal("basket-service", ["port: 80800 is not a port", "image: missing"])
    assert text.startswith("Nothing was changed. Service 'basket-service' has findings")
    assert "- port: 80800 is not a port\n- image: missing\n" in text
