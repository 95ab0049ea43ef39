# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run needs is known before it changes anything, and what is refused later strands no traffic."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.rights import cluster_role
from ansible_collections.servicemesh.platform.plugins.module_utils._kube import readiness

from tests.integration.canary import policies
from tests.integration.canary.bed import (
    ERRORS,
    Bed,
    apply,
    assert_back,
    assert_untouched,
    delete,
    events,
    spec_of,
    wait_for,
)

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("cluster")]
Obj = dict[str, Any]
PATIENT = {"interval": 4, "analysis": ERRORS, "inconclusives": 8, "blind_limit": 80}
# Says nothing about the version: for what has to do with the API server's answers only.
AT_ONCE = {"interval": 1, "analysis": [{"name": "x", "query": "vector(1)", "max": 1}]}
RBAC = "rbac.authorization.k8s.io"
STILL = 3.0  # seconds for which it is seen that nothing happens


@contextlib.contextmanager
def identity(bed: Bed, tmp_path: Any, *without: tuple[str, str]) -> Iterator[Obj]:
    """Options of a call as a ServiceAccount that has the documented role in the namespace. `without`: (resource, verb) that it lacks."""
    role, name = cluster_role(), bed.namespace
    role["metadata"] = {"name": name}
    rules = [
        {**rule, "verbs": [verb for verb in rule["verbs"] if (rule["resources"][0], verb) not in without]}
        for rule in role["rules"]
    ]
    role["rules"] = [rule for rule in rules if rule["verbs"]]
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "driver", "namespace": name}}
    binding = {
        "apiVersion": f"{RBAC}/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "driver", "namespace": name},
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": "driver", "namespace": name}],
    }
    ca = tmp_path / "ca.crt"
    config = bed.get("/api/v1/namespaces/kube-system/configmaps/kube-root-ca.crt")
    ca.write_text(config["data"]["ca.crt"])
    try:
        apply(bed, [account, role, binding])
        path = f"/api/v1/namespaces/{name}/serviceaccounts/driver/token"
        token = bed.client.request("POST", path, body={"spec": {"expirationSeconds": 3600}})[1]["status"]["token"]
        yield {"host": bed.client.server, "api_key": token, "ca_cert": str(ca)}
    finally:
        delete(bed, f"/apis/{RBAC}/v1/clusterroles/{name}")


def test_the_documented_role_is_enough(bed: Bed, tmp_path: Any) -> None:
    with identity(bed, tmp_path) as driver:
        result = bed.drive(**bed.options(**PATIENT), **driver)
    assert result["phase"] == "promoted", result
    assert bed.version() == "v2"
    notes = [note["message"] for note in result["all_notes"] if note["event"] == "note"]
    # It is bound in one namespace only.
    assert any("in all namespaces: routes in other namespaces are not seen" in note for note in notes), notes


def test_missing_rights_are_told_at_once_and_nothing_is_changed(bed: Bed, tmp_path: Any) -> None:
    spec, before = spec_of(bed), bed.deployment()
    with identity(bed, tmp_path, ("pods/portforward", "create"), ("deployments", "patch")) as driver:
        result = bed.drive(**bed.options(**AT_ONCE), **driver)
    assert result["failed"], result
    for right in ("create pods/portforward", "patch deployments.apps web in namespace"):
        assert f"no right to {right}" in result["msg"]
    assert_untouched(bed, spec)
    assert bed.deployment() == before
    for path in (
        f"/api/v1/namespaces/{bed.namespace}/configmaps/canary-web",
        f"/apis/coordination.k8s.io/v1/namespaces/{bed.namespace}/leases/canary-web",
    ):
        assert bed.client.get(path) is None


@pytest.mark.parametrize("manager", ["kubectl-create", "helm"])
def test_a_stable_that_somebody_else_made(bed: Bed, manager: str) -> None:
    """A command of kubectl does not come back, so it is released over; any other owner stops the run before it starts."""
    path = f"/apis/apps/v1/namespaces/{bed.namespace}/deployments"
    delete(bed, f"{path}/web")
    wait_for(lambda: bed.deployment() is None, "the end of stable")
    bed.client.request("POST", path, query={"fieldManager": manager}, body=bed.app("stable", "v1"))
    wait_for(lambda: (bed.deployment() or {}).get("status", {}).get("readyReplicas"), "stable")
    spec = spec_of(bed)
    try:
        result = bed.drive(**bed.options(**AT_ONCE))
        if manager == "helm":
            assert result["failed"], result
            assert "belongs to manager 'helm'" in result["msg"]
            assert_untouched(bed, spec)
            return
        assert result["phase"] == "promoted", result
        assert bed.version() == "v2"
        notes = [note["message"] for note in result["all_notes"] if note["event"] == "note"]
        assert any("taken over from 'kubectl-create'" in note for note in notes), notes
    finally:
        delete(bed, f"{path}/web")
        wait_for(lambda: bed.deployment() is None, "the end of stable")


NOT_V2 = "object.metadata.name != 'web' || object.spec.template.metadata.labels.version != 'v2'"


def test_a_promotion_that_is_refused_is_rolled_back(bed: Bed) -> None:
    """The rule comes after the start, so that no trial can meet it."""
    spec, options = spec_of(bed), bed.options(**AT_ONCE)
    begun = bed.drive(until=lambda result: result["phase"] == "analysing", **options)
    assert begun["phase"] == "analysing", begun
    with policies.for_deployments(bed, NOT_V2):
        result = bed.drive(**options)
    assert_back(bed, spec, result)
    assert result["reason"].startswith("apply_stable was refused: "), result["reason"]
    assert bed.weights() == [0, 0]
    assert "CanaryRollingBack" in events(bed)
    bed.assert_none_failed(result["started"] + 2)  # stable has just been created again


def test_stable_gets_no_requests_before_they_can_reach_its_new_pods(bed: Bed) -> None:
    """A ready pod that is in no EndpointSlice is in no proxy, and the pods before it are gone."""
    begin, options, complete = time.time(), bed.options(**AT_ONCE), list[float]()

    def late(_result: Obj) -> bool:
        live = {**(bed.deployment() or {}), "apiVersion": "apps/v1", "kind": "Deployment"}
        if bed.version() == "v2" and readiness.verdict(live).state is readiness.State.READY:
            complete.append(time.time())
        return bool(complete) and time.time() - complete[0] > STILL

    begun = bed.drive(until=lambda result: result["phase"] == "analysing", **options)
    assert begun["phase"] == "analysing", begun
    with policies.without_new_endpoints(bed):
        waiting = bed.drive(until=late, **options)
        assert (waiting["phase"], bed.weights()) == ("promoting", [100, 100]), waiting
    assert bed.drive(**options)["phase"] == "promoted"
    assert (bed.version(), bed.weights()) == ("v2", [0, 0])
    bed.assert_none_failed(begin + 2)


def test_a_rule_that_would_refuse_the_promotion_is_met_before_the_start(bed: Bed) -> None:
    spec = spec_of(bed)
    with policies.for_deployments(bed, NOT_V2):
        result = bed.drive(**bed.options(**AT_ONCE))
    assert result["failed"], result
    assert "the API server refuses the promotion: " in result["msg"]
    assert_untouched(bed, spec)
    assert bed.client.get(f"/api/v1/namespaces/{bed.namespace}/configmaps/canary-web") is None
