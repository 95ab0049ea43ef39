# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of rights: the documented ClusterRole is made of it, and each run asks for what it needs."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.servicemesh.platform.plugins.module_utils._canary import plan as plans
from ansible_collections.servicemesh.platform.plugins.module_utils._canary import settings as run_settings
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.rights import (
    TABLE,
    Named,
    When,
    Where,
    cluster_role,
    reviews,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.state import State
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.watchdog import manifests

from tests.unit.plugins.module_utils._canary.test_parts import params

Obj = dict[str, Any]
CONFIG = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}}
DEPLOYMENT = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "user-service-canary"}}


def asked(*, gateways: tuple[str, ...] = (), searched: bool = True, **options: Any) -> set[str]:
    given = params(**options)
    settings = run_settings.settings_of(given, ["ecommerce/user-service", "front/shop"])
    definitions = given.get("canary_definitions") or []
    return {str(review) for review in reviews(settings, gateways, definitions, searched=searched)}


def test_the_cluster_role_has_each_right_and_no_other() -> None:
    have = {
        (verb, rule["apiGroups"][0], rule["resources"][0]) for rule in cluster_role()["rules"] for verb in rule["verbs"]
    }
    rest = {right for right in TABLE if right.where is not Where.PUSHGATEWAY}
    assert have == {(right.verb, right.group, right.resource) for right in rest}
    assert "*" not in str(have)


def test_a_driver_has_every_right_that_it_gives_to_its_watchdog() -> None:
    """Kubernetes lets nobody grant what they do not have."""
    settings = run_settings.settings_of(params(watchdog={"image": "x"}), ["ecommerce/user-service", "front/shop"])
    state = State("run", "user-service", "ecommerce", plans.Plan((50,)), settings=settings)
    have = {(right.verb, right.group, right.resource) for right in TABLE}
    given = {
        (verb, rule["apiGroups"][0], rule["resources"][0])
        for namespace in manifests.namespaces_of(state)
        for rule in manifests.rules(state, namespace)
        for verb in rule["verbs"]
    }
    assert given
    assert given <= have


@pytest.mark.parametrize("values", [Where, Named, When])
def test_no_value_of_the_table_is_unused(values: Any) -> None:
    used = {value for right in TABLE for value in (right.where, right.named, right.when)}
    assert set(values) <= used


@pytest.mark.parametrize(
    ("more", "review"),
    [
        ({"canary_definitions": [DEPLOYMENT]}, "create deployments.apps in namespace ecommerce"),
        (
            {"canary_definitions": [DEPLOYMENT]},
            "delete deployments.apps user-service-canary in namespace ecommerce",
        ),
        ({"canary_definitions": [CONFIG]}, "patch configmaps in namespace ecommerce"),
        ({"metrics_push": {"service": "mon/push:9091"}}, "delete services/proxy push:9091 in namespace mon"),
        ({"prometheus": {"service": "https:mon/prom:9090"}}, "get services/proxy https:prom:9090 in namespace mon"),
        ({"analysis": [{"name": "a", "job": {"spec": {"template": {}}}}]}, "create jobs.batch in namespace ecommerce"),
        (
            {"approvals": [{"before": "promotion", "job": {"spec": {"template": {}}}}]},
            "create jobs.batch in namespace ecommerce",
        ),
        ({"watchdog": {"image": "x"}}, "create roles.rbac.authorization.k8s.io in namespace ecommerce"),
        ({"watchdog": {"image": "x", "service_account": "mine"}}, "delete jobs.batch in namespace ecommerce"),
        ({"prometheus": {"url": "http://p"}}, "list replicasets.apps in namespace ecommerce"),
    ],
)
def test_a_right_is_asked_for_only_where_it_is_needed(more: Obj, review: str) -> None:
    assert review in asked(**more)
    assert review not in asked()


def test_rights_of_routes_and_proofs_are_asked_for_where_the_objects_are() -> None:
    found = asked()
    for name in ("user-service in namespace ecommerce", "shop in namespace front"):
        assert {f"{verb} virtualservices.networking.istio.io {name}" for verb in ("get", "patch")} <= found
    forwards = {f"{verb} pods/portforward in namespace ecommerce" for verb in ("get", "create")}
    assert forwards <= found
    assert not forwards & asked(proof_samples=0)
    assert "list pods in all namespaces" in asked(gateways=("front/public",))
    assert "get gateways.networking.istio.io public in namespace front" in asked(gateways=("front/public",))
    assert "list pods in all namespaces" not in asked(gateways=("front/public",), proof_samples=0)
    everywhere = "list virtualservices.networking.istio.io in all namespaces"
    assert everywhere in found
    assert everywhere not in asked(searched=False)
