# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Remove the platform, kill site.yml several times during its run, then ``make up``: the same platform as before."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

from tests.e2e.conftest import registered
from tests.e2e.releases import as_in_inventory
from tests.support import ROOT, Cluster, Ingress, ansible_playbook

pytestmark = [pytest.mark.slow, pytest.mark.alone]

NAMESPACES = ("ecommerce", "istio-system", "ingress-nginx", "monitoring")
KINDS = (
    "api/v1/{}/configmaps",
    "api/v1/{}/services",
    "api/v1/{}/serviceaccounts",
    "apis/apps/v1/{}/deployments",
    "apis/apps/v1/{}/statefulsets",
    "apis/policy/v1/{}/poddisruptionbudgets",
    "apis/networking.k8s.io/v1/{}/ingresses",
    "apis/networking.istio.io/v1/{}/gateways",
    "apis/networking.istio.io/v1/{}/virtualservices",
    "apis/networking.istio.io/v1/{}/destinationrules",
    "apis/networking.istio.io/v1/{}/serviceentries",
    "apis/security.istio.io/v1/{}/peerauthentications",
    "apis/security.istio.io/v1/{}/authorizationpolicies",
    "apis/security.istio.io/v1/{}/requestauthentications",
    "apis/telemetry.istio.io/v1/{}/telemetries",
)
# Starts of task headers of site.yml: while Helm works, while Secrets are created, and while the pods of a service start.
MOMENTS = (
    "TASK [servicemesh.platform.helm_release : Install or upgrade istiod]",
    "TASK [servicemesh.platform.datastore : Create missing Secrets]",
    "TASK [servicemesh.platform.datastore : Apply the databases and the cache]",
    "TASK [servicemesh.platform.microservice : Apply the service]",
)
COLLECTIONS = ("users", "products", "orders", "payments", "reviews", "recommendations")
SERVICES = [f"{name.removesuffix('s')}-service" for name in COLLECTIONS]


def platform_objects(cluster: Cluster) -> set[str]:
    """Path and name of all objects that this collection or Helm created in the platform's namespaces."""
    found = set()
    for namespace in NAMESPACES:
        for kind in KINDS:
            path = "/" + kind.format(f"namespaces/{namespace}")
            for item in cluster.get(path)["items"]:
                manager = (item["metadata"].get("labels") or {}).get("app.kubernetes.io/managed-by")
                if manager in ("servicemesh-platform", "Helm"):
                    found.add(f"{path}/{item['metadata']['name']}")
    return found


def namespaces(cluster: Cluster) -> set[str]:
    return {item["metadata"]["name"] for item in cluster.get("/api/v1/namespaces")["items"]}


def of_run(run_id: str) -> list[int]:
    """Processes with the id of one run in their environment."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if run_id.encode() in path.read_bytes().split(b"\0"):
                found.append(int(path.parent.name))
        except OSError:  # it has just ended
            continue
    return found


def killed_at(moment: str, arguments: tuple[str, ...]) -> str:
    """Run site.yml and kill it, with all processes that it started, soon after a task has started. Return its output."""
    run_id = f"E2E_RUN={uuid.uuid4().hex}"
    name, _equals, value = run_id.partition("=")
    run = subprocess.Popen(
        [str(Path(sys.executable).parent / "ansible-playbook"), "playbooks/site.yml", *arguments],
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_FORCE_COLOR": "0", "PYTHONUNBUFFERED": "1", name: value},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    seen = []
    assert run.stdout is not None
    for line in run.stdout:
        seen.append(line)
        if line.startswith(moment):
            time.sleep(0.7)
            while processes := of_run(run_id):
                for process in processes:
                    try:
                        os.kill(process, signal.SIGKILL)
                    except ProcessLookupError:
                        continue
                run.poll()
            break
    run.stdout.close()
    run.wait(timeout=30)
    assert run.returncode == -signal.SIGKILL, "".join(seen)[-3000:]
    return "".join(seen)


def test_a_platform_is_complete_after_teardown_and_killed_runs(
    kubeconfig: str, cluster: Cluster, ingress: Ingress
) -> None:
    arguments = ("-i", "inventories/local", "-e", f"platform_kubeconfig={kubeconfig}")
    for service in SERVICES:
        as_in_inventory(cluster, arguments, service)
    before = platform_objects(cluster)
    assert len(before) > 80

    down = ansible_playbook("teardown.yml", *arguments, "-e", "confirm=local")
    assert down.returncode == 0, down.told
    assert not namespaces(cluster) & set(NAMESPACES)
    again = ansible_playbook("teardown.yml", *arguments, "-e", "confirm=local")
    assert again.returncode == 0, again.told
    assert again.recap["local"]["changed"] == 0, again.told

    for moment in MOMENTS:
        killed_at(moment, arguments)

    up = subprocess.run(
        ["make", "up"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    assert up.returncode == 0, up.stdout
    assert platform_objects(cluster) == before
    token = registered(ingress)["token"]
    assert {name: ingress("GET", f"/api/{name}", token=token).status for name in COLLECTIONS} == dict.fromkeys(
        COLLECTIONS, 200
    )
