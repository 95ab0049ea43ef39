# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What keeps a workload from getting ready."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.diagnosis import (
    Limits,
    event_lines,
    events_about,
    is_final_create_failure,
    newest_replica_set,
    owned_pods,
    pod_finding,
    runs,
    selects,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.objects import Ref


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
def test_findings_of_pods(waiting: Any, restarts: int, patience: float | None, init: bool) -> None:
    finding = pod_finding(pod(waiting, init=init, restarts=restarts))
    assert (finding.patience if finding else None) == patience
    if finding:
        assert "pod p, container app" in str(finding)
        assert waiting["reason"] in str(finding)


def test_a_crash_tells_how_the_container_ended() -> None:
    finding = pod_finding(pod({"reason": "CrashLoopBackOff"}, restarts=5))
    assert finding is not None
    assert finding.restarts == 5
    assert finding.message == "5 restarts, last exit code 3 (OOMKilled): bye"


def test_an_unschedulable_pod_gets_time_for_a_node_to_come() -> None:
    scheduled = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes"}
    finding = pod_finding(pod(conditions=[scheduled]))
    assert finding is not None
    assert finding.patience == Limits().unschedulable
    assert "0/1 nodes" in str(finding)


def test_a_pod_that_goes_away_is_no_finding() -> None:
    leaving = pod({"reason": "ErrImageNeverPull"})
    leaving["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert pod_finding(leaving) is None
    assert not runs(leaving)
    assert not runs(pod(phase="Succeeded"))
    assert runs(pod(phase="Pending"))


def test_only_pods_of_the_newest_replica_set_count() -> None:
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "x", "namespace": "n"},
        "spec": {"selector": {"matchLabels": {"app": "a"}}},
    }

    def owned(owner: str, **labels: str) -> dict[str, Any]:
        return {"metadata": {"name": owner + "-1", "labels": labels, "ownerReferences": [{"name": owner}]}}

    old, new, other = owned("x-1", app="a"), owned("x-2", app="a"), owned("y-1", app="b")
    assert owned_pods(deployment, [old, new, other], "x-2") == [new]
    assert owned_pods(deployment, [old, new, other]) == [old, new]


def test_selectors() -> None:
    labels = {"app": "a", "tier": "web"}
    assert selects({"matchLabels": {"app": "a"}}, labels)
    assert not selects({"matchLabels": {"app": "b"}}, labels)
    assert not selects({}, labels)
    for operator, values, expected in [
        ("In", ["web"], True),
        ("NotIn", ["web"], False),
        ("Exists", None, True),
        ("DoesNotExist", None, False),
        ("Odd", None, False),
    ]:
        rule = {"key": "tier", "operator": operator, "values": values}
        assert selects({"matchExpressions": [rule]}, labels) is expected


def test_a_refused_pod_is_final_only_when_waiting_does_not_help() -> None:
    assert is_final_create_failure('pods "x" is forbidden: exceeded quota: platform')
    assert is_final_create_failure('pods "x" is forbidden: violates PodSecurity "restricted:latest"')
    assert not is_final_create_failure('failed calling webhook "sidecar-injector.istio.io": connection refused')
    assert not is_final_create_failure('error looking up service account n/x: serviceaccount "x" not found')


def test_the_newest_replica_set_has_the_highest_revision() -> None:
    def replica_set(name: str, owner: str, revision: str) -> dict[str, Any]:
        annotations = {"deployment.kubernetes.io/revision": revision}
        return {"metadata": {"name": name, "annotations": annotations, "ownerReferences": [{"uid": owner}]}}

    sets = [replica_set("a", "u", "9"), replica_set("b", "u", "10"), replica_set("c", "other", "11")]
    deployment = {"metadata": {"name": "x", "uid": "u"}}
    assert newest_replica_set(deployment, sets) == "b"
    assert newest_replica_set(deployment, []) == ""


def test_events_of_an_object_and_of_what_it_created_oldest_first() -> None:
    def event(name: str, **times: Any) -> dict[str, Any]:
        about = {"kind": "Pod", "name": name}
        return {"metadata": {}, "involvedObject": about, "reason": "R", "message": f" {name}\n", **times}

    newer = event("x-1", series={"lastObservedTime": "2026-01-02T00:00:00Z"})
    older, undated = event("x", lastTimestamp="2026-01-01T00:00:00Z"), event("x-2", eventTime="soon")
    found = events_about(Ref("apps/v1", "Deployment", "n", "x"), [newer, older, event("xy"), undated])
    assert found == [undated, older, newer]
    assert event_lines(found) == "".join(f"\n  event R of Pod {name}: {name}" for name in ("x-2", "x", "x-1"))
    assert event_lines([]) == ""
