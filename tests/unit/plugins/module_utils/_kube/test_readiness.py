# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When an object is ready, and when waiting for it is in vain."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.servicemesh.platform.plugins.module_utils._kube import readiness as r


def obj(api_version: str, kind: str, spec: Any = None, status: Any = None, **meta: Any) -> dict[str, Any]:
    return {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {"name": "x", "namespace": "n", "generation": 2, **meta},
        "spec": spec or {},
        "status": {"observedGeneration": 2, **(status or {})},
    }


def conditions(**status: str) -> dict[str, Any]:
    return {
        "conditions": [{"type": kind, "status": value, "reason": "R", "message": "m"} for kind, value in status.items()]
    }


ALL = {"replicas": 3, "updatedReplicas": 3, "readyReplicas": 3, "availableReplicas": 3}
EXCEEDED = {
    "conditions": [{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "m"}]
}
DAEMON = {"desiredNumberScheduled": 2, "numberAvailable": 2, "updatedNumberScheduled": 2}
CASES = [
    ("apps/v1", "Deployment", {"replicas": 3}, ALL, r.READY),
    ("apps/v1", "Deployment", {"replicas": 0}, {}, r.READY),
    ("apps/v1", "Deployment", {}, {"replicas": 1, "updatedReplicas": 1, "availableReplicas": 1}, r.READY),
    ("apps/v1", "Deployment", {"replicas": 3}, {**ALL, "observedGeneration": 1}, r.WAITING),
    ("apps/v1", "Deployment", {"replicas": 3}, {**ALL, "replicas": 4}, r.WAITING),
    ("apps/v1", "Deployment", {"replicas": 3}, {**ALL, "availableReplicas": 2}, r.WAITING),
    ("apps/v1", "Deployment", {"replicas": 3}, {**ALL, "updatedReplicas": 2}, r.WAITING),
    ("apps/v1", "Deployment", {"replicas": 3}, {**ALL, "availableReplicas": 2, **EXCEEDED}, r.FAILED),
    ("apps/v1", "Deployment", {"replicas": 3}, {**EXCEEDED, "observedGeneration": 1}, r.WAITING),
    ("apps/v1", "StatefulSet", {"replicas": 3}, {**ALL, "currentRevision": "a", "updateRevision": "a"}, r.READY),
    ("apps/v1", "StatefulSet", {"replicas": 3}, {**ALL, "readyReplicas": 2}, r.WAITING),
    (
        "apps/v1",
        "StatefulSet",
        {"replicas": 3},
        {**ALL, "updatedReplicas": 1, "currentRevision": "a", "updateRevision": "b"},
        r.WAITING,
    ),
    (
        "apps/v1",
        "StatefulSet",
        {"replicas": 3, "updateStrategy": {"type": "OnDelete"}},
        {**ALL, "updatedReplicas": 0, "currentRevision": "a", "updateRevision": "b"},
        r.READY,
    ),
    (
        "apps/v1",
        "StatefulSet",
        {"replicas": 3, "updateStrategy": {"rollingUpdate": {"partition": 2}}},
        {**ALL, "updatedReplicas": 1, "currentRevision": "a", "updateRevision": "b"},
        r.READY,
    ),
    ("apps/v1", "DaemonSet", {}, DAEMON, r.READY),
    ("apps/v1", "DaemonSet", {}, {**DAEMON, "updatedNumberScheduled": 1}, r.WAITING),
    ("apps/v1", "DaemonSet", {}, {**DAEMON, "numberAvailable": 1}, r.WAITING),
    ("apps/v1", "ReplicaSet", {"replicas": 2}, {"availableReplicas": 1}, r.WAITING),
    ("batch/v1", "Job", {}, conditions(Complete="True"), r.READY),
    ("batch/v1", "Job", {"suspend": True}, {}, r.READY),
    ("batch/v1", "Job", {}, {"active": 1}, r.WAITING),
    ("batch/v1", "Job", {}, conditions(Failed="True"), r.FAILED),
    ("v1", "Pod", {}, {"phase": "Running", **conditions(Ready="True")}, r.READY),
    ("v1", "Pod", {}, {"phase": "Succeeded"}, r.READY),
    ("v1", "Pod", {}, {"phase": "Running", **conditions(Ready="False")}, r.WAITING),
    ("v1", "Pod", {}, {"phase": "Failed", "reason": "Evicted"}, r.FAILED),
    ("v1", "PersistentVolumeClaim", {}, {"phase": "Bound"}, r.READY),
    ("v1", "PersistentVolumeClaim", {}, {"phase": "Pending"}, r.WAITING),
    ("v1", "PersistentVolumeClaim", {"storageClassName": "late"}, {"phase": "Pending"}, r.READY),
    ("v1", "PersistentVolumeClaim", {}, {"phase": "Lost"}, r.FAILED),
    ("v1", "Namespace", {}, {"phase": "Active"}, r.READY),
    ("v1", "ConfigMap", {}, {}, r.READY),
    (
        "apiextensions.k8s.io/v1",
        "CustomResourceDefinition",
        {},
        conditions(Established="True", NamesAccepted="True"),
        r.READY,
    ),
    ("apiextensions.k8s.io/v1", "CustomResourceDefinition", {}, {}, r.WAITING),
    ("apiextensions.k8s.io/v1", "CustomResourceDefinition", {}, conditions(NamesAccepted="False"), r.FAILED),
    ("apiregistration.k8s.io/v1", "APIService", {}, {}, r.WAITING),
    ("apiregistration.k8s.io/v1", "APIService", {}, conditions(Available="True"), r.READY),
    ("cert-manager.io/v1", "Certificate", {}, {}, r.WAITING),
    ("networking.istio.io/v1", "VirtualService", {}, {}, r.READY),
    ("networking.istio.io/v1", "VirtualService", {}, conditions(Reconciled="False"), r.READY),
    ("example.com/v1", "Thing", {}, conditions(Ready="False"), r.WAITING),
    ("example.com/v1", "Thing", {}, conditions(Ready="Unknown"), r.WAITING),
    ("example.com/v1", "Thing", {}, conditions(Available="True"), r.READY),
    ("example.com/v1", "Thing", {}, {**conditions(Ready="True"), "observedGeneration": 1}, r.WAITING),
]


@pytest.mark.parametrize(("api_version", "kind", "spec", "status", "expected"), CASES)
def test_verdicts(api_version: str, kind: str, spec: Any, status: Any, expected: str) -> None:
    verdict = r.verdict(obj(api_version, kind, spec, status), frozenset({"late"}))
    assert verdict.state == expected
    assert bool(verdict.reason) == (expected != r.READY)


def test_what_is_being_deleted_is_never_ready() -> None:
    assert r.verdict(obj("v1", "ConfigMap", deletionTimestamp="2026-01-01T00:00:00Z")).state == r.WAITING


def pod(
    waiting: dict[str, Any] | None = None, *, init: bool = False, restarts: int = 0, **status: Any
) -> dict[str, Any]:
    entry = {
        "name": "app", "image": "i:1", "restartCount": restarts, "state": {"waiting": waiting} if waiting else {"running": {}},
        "lastState": {"terminated": {"exitCode": 3, "reason": "OOMKilled", "message": "bye\n"}},
    }  # fmt: skip
    status.setdefault("initContainerStatuses" if init else "containerStatuses", [entry])
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "status": status}


@pytest.mark.parametrize(
    ("waiting", "restarts", "patience"),
    [
        ({"reason": "ErrImageNeverPull"}, 0, 0.0),
        ({"reason": "InvalidImageName"}, 0, 0.0),
        ({"reason": "ErrImagePull", "message": "connection refused"}, 0, 10.0),
        ({"reason": "ErrImagePull", "message": 'manifest for "x" Not Found'}, 0, 0.0),
        ({"reason": "ImagePullBackOff", "message": "Back-off"}, 0, 10.0),
        ({"reason": "CreateContainerConfigError", "message": 'secret "x" not found'}, 0, 15.0),
        ({"reason": "CrashLoopBackOff"}, 4, 0.0),
        ({"reason": "CrashLoopBackOff"}, 2, None),
        ({"reason": "ContainerCreating"}, 0, None),
        ({"reason": "PodInitializing"}, 0, None),
        (None, 9, None),
    ],
)
@pytest.mark.parametrize("init", [False, True])
def test_problems_of_pods(waiting: Any, restarts: int, patience: float | None, init: bool) -> None:
    problem = r.pod_problem(pod(waiting, init=init, restarts=restarts))
    assert (problem.patience if problem else None) == patience
    if problem:
        assert "pod p, container app" in str(problem)
        assert waiting["reason"] in str(problem)


def test_a_crash_tells_how_the_container_ended() -> None:
    problem = r.pod_problem(pod({"reason": "CrashLoopBackOff"}, restarts=5))
    assert problem is not None
    assert problem.restarts == 5
    assert problem.message == "5 restarts, last exit code 3 (OOMKilled): bye"


def test_an_unschedulable_pod_gets_time_for_a_node_to_come() -> None:
    scheduled = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes"}
    problem = r.pod_problem(pod(conditions=[scheduled]))
    assert problem is not None
    assert problem.patience == r.Limits().unschedulable
    assert "0/1 nodes" in str(problem)


def test_a_pod_that_goes_away_is_no_problem() -> None:
    leaving = pod({"reason": "ErrImageNeverPull"})
    leaving["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert r.pod_problem(leaving) is None
    assert not r.runs(leaving)
    assert not r.runs(pod(phase="Succeeded"))
    assert r.runs(pod(phase="Pending"))


def test_pods_speak_for_the_newest_replica_set_only() -> None:
    deployment = obj("apps/v1", "Deployment", {"selector": {"matchLabels": {"app": "a"}}})

    def owned(owner: str, **labels: str) -> dict[str, Any]:
        return {"metadata": {"name": owner + "-1", "labels": labels, "ownerReferences": [{"name": owner}]}}

    old, new, other = owned("x-1", app="a"), owned("x-2", app="a"), owned("y-1", app="b")
    assert r.owned_pods(deployment, [old, new, other], "x-2") == [new]
    assert r.owned_pods(deployment, [old, new, other]) == [old, new]


def test_selectors() -> None:
    labels = {"app": "a", "tier": "web"}
    assert r.selects({"matchLabels": {"app": "a"}}, labels)
    assert not r.selects({"matchLabels": {"app": "b"}}, labels)
    assert not r.selects({}, labels)
    for operator, values, expected in [
        ("In", ["web"], True),
        ("NotIn", ["web"], False),
        ("Exists", None, True),
        ("DoesNotExist", None, False),
        ("Odd", None, False),
    ]:
        rule = {"key": "tier", "operator": operator, "values": values}
        assert r.selects({"matchExpressions": [rule]}, labels) is expected


def test_a_refused_pod_is_final_only_when_waiting_does_not_mend_it() -> None:
    assert r.is_final_create_failure('pods "x" is forbidden: exceeded quota: platform')
    assert r.is_final_create_failure('pods "x" is forbidden: violates PodSecurity "restricted:latest"')
    assert not r.is_final_create_failure('failed calling webhook "sidecar-injector.istio.io": connection refused')
    assert not r.is_final_create_failure('error looking up service account n/x: serviceaccount "x" not found')


def ingress(*addresses: dict[str, str]) -> dict[str, Any]:
    return obj("networking.k8s.io/v1", "Ingress", status={"loadBalancer": {"ingress": list(addresses)}})


def test_an_ingress_is_ready_with_an_address() -> None:
    assert r.verdict(ingress()).state == r.WAITING
    assert r.verdict(ingress({})).state == r.WAITING
    assert r.verdict(ingress({"ip": "192.0.2.1"})).state == r.READY
    assert r.verdict(ingress({"hostname": "lb.example.com"})).state == r.READY


def accepted(name: str, status: str = "True", generation: int = 2, **ref: Any) -> dict[str, Any]:
    entry = {"type": "Accepted", "status": status, "observedGeneration": generation, "reason": "R", "message": "m"}
    group = {"group": "gateway.networking.k8s.io", "kind": "Gateway"}
    return {"parentRef": {**group, "name": name, **ref}, "conditions": [entry]}


@pytest.mark.parametrize(
    ("parents", "reason"),
    [
        ([], "Gateway a has not looked at it yet"),
        ([accepted("a")], "Gateway b has not looked"),
        ([accepted("a"), accepted("b")], "Gateway b has not looked"),
        ([accepted("a"), accepted("b", sectionName="web")], ""),
        ([accepted("a", "False"), accepted("b", sectionName="web")], "Gateway a: R: m"),
        ([accepted("a", "False"), accepted("a"), accepted("b", sectionName="web", namespace="n")], ""),
        ([accepted("a", generation=1), accepted("b", sectionName="web")], "has not seen the change"),
    ],
)
def test_a_route_is_ready_when_all_its_parents_accept_it(parents: Any, reason: str) -> None:
    refs = [{"name": "a"}, {"name": "b", "sectionName": "web"}]
    for kind in ("HTTPRoute", "TCPRoute"):
        route = obj("gateway.networking.k8s.io/v1", kind, {"parentRefs": refs}, {"parents": parents})
        found = r.verdict(route)
        assert found.state == (r.WAITING if reason else r.READY)
        assert reason in found.reason


def test_a_gateway_is_ready_when_it_is_programmed() -> None:
    gateway = obj("gateway.networking.k8s.io/v1", "Gateway", status=conditions(Accepted="True"))
    assert r.verdict(gateway).state == r.WAITING
    gateway["status"].update(conditions(Accepted="True", Programmed="True"))
    assert r.verdict(gateway).state == r.READY
