# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Waits end with the run that they belong to."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.client import Client

from tests.support import ROOT, processes_with

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("cluster")]


def wait_for(condition: Callable[[], object], what: str, seconds: float) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.1)


def play(namespace: str, name: str) -> list[dict[str, object]]:
    """Waits for a Deployment whose pods fit no node."""
    meta = {"namespace": namespace, "name": name}
    labels = {"app": name}
    pod = {
        "containers": [{"name": "x", "image": "localhost/pause:1", "imagePullPolicy": "Never"}],
        "nodeSelector": {"no": "node"},
    }
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": meta,
        "spec": {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": pod}},
    }
    return [
        {
            "hosts": "localhost",
            "connection": "local",
            "gather_facts": False,
            "vars": {"ansible_python_interpreter": sys.executable},
            "tasks": [{"servicemesh.platform.apply": {"definitions": [deployment], "wait_timeout": 200}}],
        }
    ]


@pytest.mark.parametrize("switch", ["1", "0"], ids=["in-process", "apart"])
def test_a_wait_of_apply_ends_when_the_playbook_is_killed(tmp_path: Path, switch: str) -> None:
    client, name = Client({}), f"t-killed-{uuid.uuid4().hex[:8]}"
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    client.request("POST", "/api/v1/namespaces", body=namespace)
    (tmp_path / "play.yml").write_text(json.dumps(play(name, "web")))
    mark = f"SERVICEMESH_TEST={uuid.uuid4().hex}"
    argv = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", "localhost,", str(tmp_path / "play.yml")]
    environment = {**os.environ, "SERVICEMESH_IN_PROCESS": switch, "SERVICEMESH_TEST": mark.partition("=")[2]}
    run = subprocess.Popen(argv, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
    path = f"/apis/apps/v1/namespaces/{name}/deployments/web"
    try:
        wait_for(lambda: client.get(path), "the Deployment", 60)
        time.sleep(0.5)
        assert len(processes_with(mark)) > 1
        run.send_signal(signal.SIGKILL)
        run.wait()
        wait_for(lambda: not processes_with(mark), "its worker or module goes on", 10)
    finally:
        for pid in processes_with(mark):
            os.kill(pid, signal.SIGKILL)
        run.wait()
        client.request("DELETE", f"/api/v1/namespaces/{name}")
