# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who says how many pods a workload has."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.servicemesh.platform.plugins.module_utils._apply.replicas import handed_over, left_behind
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.objects import ref_of

OURS = "servicemesh-platform"
META = {"name": "d", "namespace": "n"}
BODY: dict[str, Any] = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": META, "spec": {"paused": False}}
REF = ref_of(BODY)


def live(*owners: tuple[str, str], replicas: int | None = 4) -> dict[str, Any]:
    fields = [
        {"manager": manager, "operation": operation, "fieldsV1": {"f:spec": {"f:replicas": {}}}}
        for manager, operation in owners
    ]
    other = {"manager": OURS, "operation": "Apply", "fieldsV1": {"f:spec": {"f:template": {}}}}
    status = {"manager": "kube-controller-manager", "operation": "Update", "subresource": "status"}
    spec = {} if replicas is None else {"replicas": replicas}
    return {**BODY, "metadata": {**META, "uid": "u", "managedFields": [*fields, other, status]}, "spec": spec}


def hpa(name: str = "d", **target: str) -> dict[str, Any]:
    scaled = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d", **target}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": name, "namespace": "n"},
        "spec": {"scaleTargetRef": scaled},
    }


def test_a_number_that_only_we_own_is_handed_over() -> None:
    assert handed_over(live((OURS, "Apply")), BODY, OURS) == {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {**META, "uid": "u"},
        "spec": {"replicas": 4},
    }


@pytest.mark.parametrize(
    ("there", "body"),
    [
        (None, BODY),
        (live(), BODY),
        (live(("kube-controller-manager", "Update")), BODY),
        (live((OURS, "Apply"), ("servicemesh-autoscaling", "Apply")), BODY),
        (live((OURS, "Apply")), {**BODY, "spec": {"replicas": 2}}),
        (live((OURS, "Apply")), {**BODY, "kind": "DaemonSet"}),
        (live((OURS, "Apply")), {**BODY, "apiVersion": "apps.example.com/v1"}),
        (live((OURS, "Apply"), replicas=None), BODY),
    ],
)
def test_otherwise_nothing_is_handed_over(there: Any, body: Any) -> None:
    assert handed_over(there, body, OURS) is None


def test_the_one_who_holds_it_may_give_it_up() -> None:
    assert handed_over(live(("servicemesh-autoscaling", "Apply")), BODY, "servicemesh-autoscaling") is None


@pytest.mark.parametrize(
    ("manager", "there", "going", "free"),
    [
        ("kube-controller-manager", [], [], True),
        ("servicemesh-autoscaling", [hpa(name="other", kind="StatefulSet")], [], True),
        ("kube-controller-manager", [hpa(name="other")], [], False),
        ("servicemesh-autoscaling", [hpa()], [], False),
        ("kubectl", [], [], False),
        # Some providers' autoscalers write under names of their own; one that this call deletes is known by its target.
        ("vendor-autoscaler", [], [hpa()], True),
        ("vendor-autoscaler", [], [hpa(kind="StatefulSet")], False),
        # A dry run deletes nothing, so it is still there.
        ("kube-controller-manager", [hpa()], [hpa()], True),
        ("kube-controller-manager", [hpa(), hpa(name="keda-d")], [hpa()], False),
        ("kube-controller-manager", [hpa(apiVersion="apps/v1beta1")], [], False),
    ],
)
def test_a_number_is_taken_only_from_an_autoscaler_that_is_gone(
    manager: str, there: Any, going: Any, free: bool
) -> None:
    assert left_behind(REF, manager, there, going) is free
