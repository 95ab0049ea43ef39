# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When an object is ready, and when waiting for it cannot help."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.readiness import State, verdict


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
    ("apps/v1", "Deployment", {"replicas": 3}, ALL, State.READY),
    ("apps/v1", "Deployment", {"replicas": 0}, {}, State.READY),
    ("apps/v1", "Deployment", {}, {"replicas": 1, "updatedReplicas": 1, "availableReplicas": 1}, State.READY),
    ("apps/v1", "Deployment", {"replicas": 3}, {**ALL, "observedGeneration": 1}, State.WAITING),
    ("apps/v1", "Deployment", {"replicas": 3}, {**ALL, "replicas": 4}, State.WAITING),
    ("apps/v1", "Deployment", {"replicas": 3}, {**ALL, "availableReplicas": 2}, State.WAITING),
    ("apps/v1", "Deployment", {"replicas": 3}, {**ALL, "updatedReplicas": 2}, State.WAITING),
    ("apps/v1", "Deployment", {"replicas": 3}, {**ALL, "availableReplicas": 2, **EXCEEDED}, State.FAILED),
    ("apps/v1", "Deployment", {"replicas": 3}, {**EXCEEDED, "observedGeneration": 1}, State.WAITING),
    ("apps/v1", "StatefulSet", {"replicas": 3}, {**ALL, "currentRevision": "a", "updateRevision": "a"}, State.READY),
    ("apps/v1", "StatefulSet", {"replicas": 3}, {**ALL, "readyReplicas": 2}, State.WAITING),
    (
        "apps/v1",
        "StatefulSet",
        {"replicas": 3},
        {**ALL, "updatedReplicas": 1, "currentRevision": "a", "updateRevision": "b"},
        State.WAITING,
    ),
    (
        "apps/v1",
        "StatefulSet",
        {"replicas": 3, "updateStrategy": {"type": "OnDelete"}},
        {**ALL, "updatedReplicas": 0, "currentRevision": "a", "updateRevision": "b"},
        State.READY,
    ),
    (
        "apps/v1",
        "StatefulSet",
        {"replicas": 3, "updateStrategy": {"rollingUpdate": {"partition": 2}}},
        {**ALL, "updatedReplicas": 1, "currentRevision": "a", "updateRevision": "b"},
        State.READY,
    ),
    ("apps/v1", "DaemonSet", {}, DAEMON, State.READY),
    ("apps/v1", "DaemonSet", {}, {**DAEMON, "updatedNumberScheduled": 1}, State.WAITING),
    ("apps/v1", "DaemonSet", {}, {**DAEMON, "numberAvailable": 1}, State.WAITING),
    ("apps/v1", "ReplicaSet", {"replicas": 2}, {"availableReplicas": 1}, State.WAITING),
    ("batch/v1", "Job", {}, conditions(Complete="True"), State.READY),
    ("batch/v1", "Job", {"suspend": True}, {}, State.READY),
    ("batch/v1", "Job", {}, {"active": 1}, State.WAITING),
    ("batch/v1", "Job", {}, conditions(Failed="True"), State.FAILED),
    ("v1", "Pod", {}, {"phase": "Running", **conditions(Ready="True")}, State.READY),
    ("v1", "Pod", {}, {"phase": "Succeeded"}, State.READY),
    ("v1", "Pod", {}, {"phase": "Running", **conditions(Ready="False")}, State.WAITING),
    ("v1", "Pod", {}, {"phase": "Failed", "reason": "Evicted"}, State.FAILED),
    ("v1", "PersistentVolumeClaim", {}, {"phase": "Bound"}, State.READY),
    ("v1", "PersistentVolumeClaim", {}, {"phase": "Pending"}, State.WAITING),
    ("v1", "PersistentVolumeClaim", {"storageClassName": "late"}, {"phase": "Pending"}, State.READY),
    ("v1", "PersistentVolumeClaim", {}, {"phase": "Lost"}, State.FAILED),
    ("v1", "Namespace", {}, {"phase": "Active"}, State.READY),
    ("v1", "ConfigMap", {}, {}, State.READY),
    (
        "apiextensions.k8s.io/v1",
        "CustomResourceDefinition",
        {},
        conditions(Established="True", NamesAccepted="True"),
        State.READY,
    ),
    ("apiextensions.k8s.io/v1", "CustomResourceDefinition", {}, {}, State.WAITING),
    ("apiextensions.k8s.io/v1", "CustomResourceDefinition", {}, conditions(NamesAccepted="False"), State.FAILED),
    ("apiregistration.k8s.io/v1", "APIService", {}, {}, State.WAITING),
    ("apiregistration.k8s.io/v1", "APIService", {}, conditions(Available="True"), State.READY),
    ("cert-manager.io/v1", "Certificate", {}, {}, State.WAITING),
    ("networking.istio.io/v1", "VirtualService", {}, {}, State.READY),
    ("networking.istio.io/v1", "VirtualService", {}, conditions(Reconciled="False"), State.READY),
    ("example.com/v1", "Thing", {}, conditions(Ready="False"), State.WAITING),
    ("example.com/v1", "Thing", {}, conditions(Ready="Unknown"), State.WAITING),
    ("example.com/v1", "Thing", {}, conditions(Available="True"), State.READY),
    ("example.com/v1", "Thing", {}, {**conditions(Ready="True"), "observedGeneration": 1}, State.WAITING),
]


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ({"active": 1, "ready": 0}, State.WAITING),
        ({"active": 1, "ready": 1}, State.READY),
        (conditions(Complete="True"), State.READY),
        ({"ready": 1, **conditions(Failed="True")}, State.FAILED),
    ],
)
def test_a_job_that_has_only_to_start(status: Any, expected: State) -> None:
    assert verdict(obj("batch/v1", "Job", {}, status), started=True).state == expected


@pytest.mark.parametrize(("api_version", "kind", "spec", "status", "expected"), CASES)
def test_verdicts(api_version: str, kind: str, spec: Any, status: Any, expected: State) -> None:
    found = verdict(obj(api_version, kind, spec, status), frozenset({"late"}))
    assert found.state == expected
    assert bool(found.reason) == (expected != State.READY)


def test_what_is_being_deleted_is_never_ready() -> None:
    assert verdict(obj("v1", "ConfigMap", deletionTimestamp="2026-01-01T00:00:00Z")).state == State.WAITING


def ingress(*addresses: dict[str, str]) -> dict[str, Any]:
    return obj("networking.k8s.io/v1", "Ingress", status={"loadBalancer": {"ingress": list(addresses)}})


def test_an_ingress_is_ready_with_an_address() -> None:
    assert verdict(ingress()).state == State.WAITING
    assert verdict(ingress({})).state == State.WAITING
    assert verdict(ingress({"ip": "192.0.2.1"})).state == State.READY
    assert verdict(ingress({"hostname": "lb.example.com"})).state == State.READY


def accepted(name: str, status: str = "True", generation: int = 2, **ref: Any) -> dict[str, Any]:
    entry = {"type": "Accepted", "status": status, "observedGeneration": generation, "reason": "R", "message": "m"}
    group = {"group": "gateway.networking.k8s.io", "kind": "Gateway"}
    return {"parentRef": {**group, "name": name, **ref}, "conditions": [entry]}


@pytest.mark.parametrize(
    ("parents", "reason"),
    [
        ([], "Gateway a has not reported on it yet"),
        ([accepted("a")], "Gateway b has not reported"),
        ([accepted("a"), accepted("b")], "Gateway b has not reported"),
        ([accepted("a"), accepted("b", sectionName="web")], ""),
        ([accepted("a", "False"), accepted("b", sectionName="web")], "Gateway a: R: m"),
        ([accepted("a", "False"), accepted("a"), accepted("b", sectionName="web", namespace="n")], ""),
        ([accepted("a", generation=1), accepted("b", sectionName="web")], "has not observed the change"),
    ],
)
def test_a_route_is_ready_when_all_its_parents_accept_it(parents: Any, reason: str) -> None:
    refs = [{"name": "a"}, {"name": "b", "sectionName": "web"}]
    for kind in ("HTTPRoute", "TCPRoute"):
        route = obj("gateway.networking.k8s.io/v1", kind, {"parentRefs": refs}, {"parents": parents})
        found = verdict(route)
        assert found.state == (State.WAITING if reason else State.READY)
        assert reason in found.reason


def test_a_gateway_is_ready_when_it_is_programmed() -> None:
    gateway = obj("gateway.networking.k8s.io/v1", "Gateway", status=conditions(Accepted="True"))
    assert verdict(gateway).state == State.WAITING
    gateway["status"].update(conditions(Accepted="True", Programmed="True"))
    assert verdict(gateway).state == State.READY
