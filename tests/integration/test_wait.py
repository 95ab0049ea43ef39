# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Waiting: until ready, and no longer than it can help, on a real API server."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.client import Client

from tests.integration.conftest import IMAGE, actions, config_map, deployment, run_module
from tests.support import ROOT

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("cluster")]

Module = Callable[..., dict[str, Any]]
PYTHON = "localhost/ecommerce/user-service:v1.0"


def workload(kind: str, namespace: str, **spec: Any) -> dict[str, Any]:
    """A workload of another kind, made from a Deployment."""
    made = deployment(namespace, kind.lower(), **spec)
    if kind == "Job":
        made["spec"] = {"template": made["spec"]["template"]}
        made["spec"]["template"]["spec"]["restartPolicy"] = "Never"
        return {**made, "apiVersion": "batch/v1", "kind": kind}
    if kind == "DaemonSet":
        del made["spec"]["replicas"]
    if kind == "StatefulSet":
        made["spec"]["serviceName"] = kind.lower()
    return {**made, "kind": kind}


@pytest.fixture(scope="module", autouse=True)
def crashing(cluster: None) -> Iterator[subprocess.Popen[str]]:
    """A process that waits for a container that crashes. It is started again after 10, 20 and 40 s: the other tests use that time."""
    client, namespace = Client({}), f"t-apply-{uuid.uuid4().hex[:8]}"
    client.request("POST", "/api/v1/namespaces", body={"metadata": {"name": namespace}})
    words = "import sys; print('no database here', flush=True); sys.exit(3)"
    made = deployment(namespace, image=PYTHON, container={"command": ["python3", "-c", words]}, minReadySeconds=9)
    code = (
        "import json, sys; sys.path[:0] = ['.', '.collections']; import tests.conftest\n"
        "from tests.integration.conftest import run_module\n"
        f"print(json.dumps(run_module('apply', definitions=[{made!r}], wait_timeout=250)))\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        yield process
        process.kill()
    client.request("DELETE", f"/api/v1/namespaces/{namespace}")


def test_workloads_are_waited_for(apply: Module, namespace: str) -> None:
    job = workload("Job", namespace, image=PYTHON, container={"command": ["python3", "-c", "print('done')"]})
    pod = {
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "pod", "namespace": namespace},
        "spec": {"terminationGracePeriodSeconds": 0, "containers": [{"name": "app", "image": IMAGE}]},
    }  # fmt: skip
    objects = [deployment(namespace), workload("StatefulSet", namespace), workload("DaemonSet", namespace), job, pod]
    result = apply(*objects, wait_timeout=120)
    assert set(actions(result).values()) == {"created"}
    again = apply(*objects, wait_timeout=120)
    assert (again["changed"], again["seconds"]["wait"] < 0.5) == (False, True), "ready objects cost no wait"


def test_readiness_is_seen_when_it_happens(client: Client, namespace: str) -> None:
    """From the moment of the condition, which has whole seconds, to the module's end."""
    delayed = {
        "readinessProbe": {"exec": {"command": ["python3", "-c", ""]}, "initialDelaySeconds": 3, "periodSeconds": 1}
    }
    made = deployment(
        namespace, image=PYTHON, container={"command": ["python3", "-c", "import time; time.sleep(600)"], **delayed}
    )
    result = run_module("apply", definitions=[made], wait_timeout=120)
    ended = time.time()
    assert not result.get("failed"), result["msg"]
    live = client.get(f"/apis/apps/v1/namespaces/{namespace}/deployments/d")
    assert live is not None
    (turned,) = [c["lastTransitionTime"] for c in live["status"]["conditions"] if c["type"] == "Available"]
    since = ended - time.mktime(time.strptime(turned, "%Y-%m-%dT%H:%M:%SZ")) + time.timezone
    assert since < 2.0


def test_an_image_that_is_not_there_ends_it_early(refused: Module, namespace: str) -> None:
    start = time.monotonic()
    message = refused(deployment(namespace, image="localhost/nothing/here:1"), config_map(namespace), wait_timeout=120)[
        "msg"
    ]
    assert time.monotonic() - start < 60
    for part in (f"Deployment {namespace}/d cannot get ready", "container app", "localhost/nothing/here:1", "event"):
        assert part in message


def test_an_image_that_must_not_be_pulled_ends_it_at_once(refused: Module, namespace: str) -> None:
    made = deployment(namespace, image="localhost/nothing/here:1", container={"imagePullPolicy": "Never"})
    assert "ErrImageNeverPull" in refused(made, wait_timeout=120)["msg"]


def test_a_secret_that_is_not_there_ends_it_early(refused: Module, namespace: str) -> None:
    made = deployment(namespace, container={"envFrom": [{"secretRef": {"name": "missing"}}]})
    message = refused(made, wait_timeout=120)["msg"]
    assert "CreateContainerConfigError" in message
    assert 'secret "missing" not found' in message


def test_a_quota_ends_it_early(refused: Module, namespace: str) -> None:
    meta = {"name": "q", "namespace": namespace}
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": meta, "spec": {"hard": {"pods": "0"}}}
    for kind in ("Deployment", "StatefulSet"):
        message = refused(quota, workload(kind, namespace), wait_timeout=90)["msg"]
        assert f"{kind} {namespace}/{kind.lower()} cannot get ready: its pods are refused" in message
        assert "exceeded quota: q" in message


def test_a_job_that_fails_ends_it(refused: Module, namespace: str) -> None:
    job = workload("Job", namespace, image=PYTHON, container={"command": ["python3", "-c", "raise SystemExit(3)"]})
    job["spec"]["backoffLimit"] = 0
    assert "BackoffLimitExceeded" in refused(job, wait_timeout=120)["msg"]


def test_a_deadline_that_passed_is_told_with_what_is_missing(refused: Module, namespace: str) -> None:
    never = {"readinessProbe": {"exec": {"command": ["/nothing"]}, "periodSeconds": 1}}
    message = refused(deployment(namespace, container=never), wait_timeout=8)["msg"]
    assert "Not ready before the timeout" in message
    assert "0 of 1 replicas are available" in message


def test_a_roll_out_is_not_blamed_for_the_pods_that_it_replaces(apply: Module, refused: Module, namespace: str) -> None:
    refused(
        deployment(namespace, image="localhost/nothing/here:1", container={"imagePullPolicy": "Never"}), wait_timeout=60
    )
    result = apply(deployment(namespace), wait_timeout=90)
    assert actions(result) == {"Deployment/d": "changed"}


def test_ready_waits_for_what_comes_later(client: Client, namespace: str) -> None:
    wanted = [
        {"kind": "Deployment", "name": "d", "namespace": namespace},
        {"kind": "ConfigMap", "name": "c", "namespace": namespace},
        {"kind": "Job", "name": "job", "namespace": namespace, "started": True},
    ]
    job = workload("Job", namespace, image=IMAGE)  # never completes

    def later() -> None:
        time.sleep(1.5)
        client.request("POST", f"/api/v1/namespaces/{namespace}/configmaps", body=config_map(namespace))
        client.request("POST", f"/apis/apps/v1/namespaces/{namespace}/deployments", body=deployment(namespace))
        client.request("POST", f"/apis/batch/v1/namespaces/{namespace}/jobs", body=job)

    thread = threading.Thread(target=later)
    thread.start()
    result = run_module("ready", objects=wanted, wait_timeout=90)
    thread.join()
    assert not result.get("failed"), result
    assert result["seconds"] > 1.5
    assert result["objects"] == [f"Deployment {namespace}/d", f"ConfigMap {namespace}/c", f"Job {namespace}/job"]


def test_ready_names_what_is_missing(namespace: str) -> None:
    result = run_module(
        "ready", objects=[{"kind": "Deployment", "name": "none", "namespace": namespace}], wait_timeout=2
    )
    assert f"Deployment {namespace}/none: does not exist" in result["msg"]
    result = run_module("ready", objects=[{"kind": "Nonsense", "name": "none"}], wait_timeout=1)
    assert "kind Nonsense" in result["msg"]
    result = run_module("ready", objects=[{"kind": "Deployment", "name": "none"}], wait_timeout=1)
    assert "set namespace" in result["msg"]
    result = run_module(
        "ready",
        objects=[{"kind": "Deployment", "api_version": "apps/v0", "name": "x", "namespace": "x"}],
        wait_timeout=1,
    )
    assert "no Deployment in apps/v0" in result["msg"]
    result = run_module("ready", objects=[{"kind": "Namespace", "name": "x", "started": True}], wait_timeout=1)
    assert "Namespace x: started is for a Job" in result["msg"]


def test_ready_does_not_wait_in_check_mode(namespace: str) -> None:
    wanted = [{"kind": "Deployment", "name": "none", "namespace": namespace}]
    result = run_module("ready", check=True, objects=wanted)
    assert (result["changed"], result.get("failed", False)) == (False, False)


def test_ready_ends_early_as_apply_does(client: Client, namespace: str) -> None:
    made = deployment(namespace, image="localhost/nothing/here:1", container={"imagePullPolicy": "Never"})
    client.request("POST", f"/apis/apps/v1/namespaces/{namespace}/deployments", body=made)
    result = run_module("ready", objects=[{"kind": "Deployment", "name": "d", "namespace": namespace}], wait_timeout=90)
    assert "ErrImageNeverPull" in result["msg"]


@pytest.mark.slow
def test_a_container_that_crashes_is_told_with_its_last_words(crashing: subprocess.Popen[str]) -> None:
    output, _none = crashing.communicate(timeout=300)
    result = json.loads(output)
    assert result.get("failed"), result
    message = result["msg"]
    assert "CrashLoopBackOff" in message
    assert "last exit code 3" in message
    assert "last log line: no database here" in message
