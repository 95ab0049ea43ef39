# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drivers that are killed while a watchdog runs beside the rollout."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.servicemesh.platform.plugins.module_utils._canary import plan as plans
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.state import State
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.watchdog import manifests
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.client import Client

from tests.integration.canary.bed import (
    ERRORS,
    IMAGE,
    Bed,
    assert_back,
    delete,
    events,
    finish,
    spec_of,
    wait_for,
)

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("cluster")]
ROOT = Path(__file__).parents[3]
LEASE = 5  # seconds
PROMISED = LEASE + 40  # seconds
KINDS = {
    "jobs": "/apis/batch/v1",
    "configmaps": "/api/v1",
    "serviceaccounts": "/api/v1",
    "roles": "/apis/rbac.authorization.k8s.io/v1",
    "rolebindings": "/apis/rbac.authorization.k8s.io/v1",
}


def options(bed: Bed, **more: Any) -> dict[str, Any]:
    return bed.options(lease_duration=LEASE, analysis=ERRORS, watchdog={"image": IMAGE}, **more)


def state_of(bed: Bed) -> dict[str, Any]:
    found = bed.client.get(f"/api/v1/namespaces/{bed.namespace}/configmaps/canary-web")
    return json.loads(found["data"]["state"]) if found else {"phase": "", "stage": ""}


def left(bed: Bed) -> list[str]:
    """Objects of a watchdog that are there."""
    query = {"labelSelector": manifests.LABEL}
    return [
        f"{kind}/{item['metadata']['name']}"
        for kind, root in KINDS.items()
        for item in bed.client.list_all(f"{root}/namespaces/{bed.namespace}/{kind}", query)[0]
    ]


def pods(bed: Bed) -> list[dict[str, Any]]:
    query = {"labelSelector": manifests.LABEL}
    return bed.client.list_all(f"/api/v1/namespaces/{bed.namespace}/pods", query)[0]


def metrics_of(bed: Bed, pod: dict[str, Any]) -> str:
    """The page that Prometheus scrapes."""
    annotations, name = pod["metadata"]["annotations"], pod["metadata"]["name"]
    where = f"{name}:{annotations['prometheus.io/port']}/proxy{annotations['prometheus.io/path']}"
    return bed.client.read(f"/api/v1/namespaces/{bed.namespace}/pods/{where}", seconds=5, most=100_000).decode()


@contextlib.contextmanager
def driver(bed: Bed, path: Path, given: dict[str, Any]) -> Iterator[Callable[[], float]]:
    """A run in a process of its own. Yields what kills it (SIGKILL, as if its machine had gone), and returns that moment."""
    file = path / "options.json"
    file.write_text(json.dumps(given))
    argv = [sys.executable, str(Path(__file__).parent / "killed.py"), str(file), "1000000", "stop"]
    with (path / "log").open("w") as log:
        process = subprocess.Popen(argv, stdout=log, stderr=log, cwd=ROOT)

    def kill() -> float:
        assert process.poll() is None, (path / "log").read_text()
        process.kill()
        process.wait()
        return time.time()

    try:
        yield kill
    finally:
        process.kill()
        process.wait()


def test_a_killed_driver_is_noticed_and_the_weight_goes_to_0(bed: Bed, tmp_path: Path) -> None:
    """The watchdog's first pod is deleted as well: its Job makes another one, as when a node is drained."""
    spec, begin = spec_of(bed), time.time()
    with driver(bed, tmp_path, options(bed, interval=20, max_duration=600)) as kill:
        wait_for(lambda: bed.weights() == [50, 50], "the step", 90)
        wait_for(lambda: state_of(bed)["phase"] == "analysing", "the window")
        (pod,) = pods(bed)
        assert [entry["name"] for entry in pod["spec"]["containers"]] == ["watchdog"], "no sidecar"
        told = ['weight{service="web",version="v2"} 50', 'phase{service="web",version="v2",phase="analysing"} 1']
        wait_for(
            lambda: all(f"servicemesh_canary_{line}\n" in metrics_of(bed, pod) for line in told), "its metrics", 10
        )
        killed = kill()
        delete(bed, f"/api/v1/namespaces/{bed.namespace}/pods/{pod['metadata']['name']}")
    wait_for(lambda: bed.weights() == [0, 0], "weight 0", PROMISED)
    assert time.time() - killed > LEASE - 2, "it acts on an expired lease only"
    wait_for(lambda: not lease_of(bed), "the lease's end", 20)
    state = state_of(bed)
    assert (state["phase"], state["stage"]) == ("rolling_back", "capacity")
    assert "has not renewed its lease" in state["reason"]
    assert [entry["event"] for entry in state["history"]][-2:] == ["watchdog", "watchdog"]
    assert "CanaryWatchdog" in events(bed)
    result = finish(bed)
    assert_back(bed, spec, result)
    assert left(bed) == []
    bed.assert_none_failed(begin)


def lease_of(bed: Bed) -> str:
    path = f"/apis/coordination.k8s.io/v1/namespaces/{bed.namespace}/leases/canary-web"
    return str((bed.client.get(path) or {"spec": {}})["spec"].get("holderIdentity") or "")


def test_killed_in_the_promotion_stable_gets_its_old_version_back_before_the_requests(bed: Bed, tmp_path: Path) -> None:
    spec, begin = spec_of(bed), time.time()
    with driver(bed, tmp_path, options(bed, interval=3, max_duration=600)) as kill:
        wait_for(lambda: state_of(bed)["stage"] == "update" and state_of(bed)["applied"], "stable's update", 120)
        assert bed.weights() == [100, 100]
        kill()
    wait_for(lambda: bed.version() == "v1", "stable's old version", PROMISED)
    wait_for(lambda: bed.weights() == [0, 0], "weight 0", PROMISED)
    wait_for(lambda: not lease_of(bed), "the lease's end", 20)
    assert_back(bed, spec, finish(bed))
    assert left(bed) == []
    bed.assert_none_failed(begin)


def test_a_lease_that_was_given_up_and_a_pause_are_left_alone_and_the_next_run_cleans_up(bed: Bed) -> None:
    spec = spec_of(bed)
    given = options(bed, interval=20, max_duration=600)
    begun = bed.drive(until=lambda result: result["phase"] == "analysing", **given)  # which gives the lease up
    assert begun["phase"] == "analysing", begun
    time.sleep(LEASE + 5)
    assert bed.weights() == [50, 50]
    assert bed.call("pause", service="web", namespace=bed.namespace)["changed"]
    dead = bed.call("step", service="web", namespace=bed.namespace, holder="dead", lease_duration=1)
    assert dead["phase"] == "paused"
    time.sleep(5)
    assert bed.weights() == [50, 50]
    assert state_of(bed)["phase"] == "paused"
    # A watchdog of which only parts are left: its Job is gone without what it owns.
    (job,) = [name for name in left(bed) if name.startswith("jobs/")]
    path = f"/apis/batch/v1/namespaces/{bed.namespace}/{job}"
    bed.client.request("DELETE", path, body={"propagationPolicy": "Orphan"})
    assert bed.call("rollback", service="web", namespace=bed.namespace)["changed"]
    assert_back(bed, spec, finish(bed))
    assert "CanaryWatchdogLost" in events(bed)
    assert any("watchdog was lost and is made again" in entry["message"] for entry in state_of(bed)["history"])
    wait_for(lambda: not left(bed), "the end of the watchdog", 20)


def test_one_that_cannot_run_fails_the_rollout_before_its_first_step(bed: Bed) -> None:
    spec = spec_of(bed)
    given = {**options(bed), "watchdog": {"image": IMAGE, "python": "/usr/bin/python2"}}
    result = bed.drive(**given)
    assert_back(bed, spec, result)
    assert "watchdog: pod canary-watchdog-" in result["reason"]
    assert left(bed) == []


def test_its_pod_is_accepted_where_only_restricted_pods_are(cluster: None) -> None:
    client = Client({})
    name = f"t-restricted-{int(time.time())}"
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    settings = {"watchdog": {"image": IMAGE, "service_account": "default"}, "virtual_services": []}
    state = State("run", "web", name, plans.Plan((50,)), settings=settings)
    client.request("POST", "/api/v1/namespaces", body={"metadata": {"name": name, "labels": labels}})
    try:
        wait_for(lambda: client.get(f"/api/v1/namespaces/{name}/serviceaccounts/default"), "the default account")
        template = manifests.job(state)["spec"]["template"]
        template["metadata"]["name"] = "watchdog"
        status, pod = client.request("POST", f"/api/v1/namespaces/{name}/pods", query={"dryRun": "All"}, body=template)
        assert (status, pod["metadata"]["name"]) == (201, "watchdog")
    finally:
        client.request("DELETE", f"/api/v1/namespaces/{name}")
