# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A module's work in the task's process and in a process of its own: the same results, warnings and failures."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.client import Client

from tests.support import ROOT

pytestmark = pytest.mark.cluster


def tasks(namespace: str) -> list[dict[str, Any]]:
    """Something of everything: a change, no change, a prediction, a failure, a bad argument, a read."""
    config = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "x", "namespace": namespace},
        "data": {"when": "2026-01-02", "yes": "yes"},
    }
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "s", "namespace": namespace},
        "stringData": {"password": "very-secret-{{ 40 + 2 }}"},
    }
    unknown = {"apiVersion": "example.com/v1", "kind": "Nothing", "metadata": {"name": "n"}}
    apply, ready = "servicemesh.platform.apply", "servicemesh.platform.ready"
    return [
        {apply: {"definitions": [config, [secret]], "name": "process"}},
        {apply: {"definitions": [config, [secret]], "name": "process"}},
        {apply: {"definitions": json.dumps({**config, "data": {"other": "1"}})}, "check_mode": True, "diff": True},
        {apply: {"definitions": [config, unknown]}},
        {apply: {"definitions": [secret], "concurency": 3}},
        {apply: {"definitions": [secret], "wait_timeout": "soon"}},
        {apply: {"definitions": [config], "concurrency": 99}},
        {ready: {"objects": [{"kind": "Namespace", "name": namespace}], "api_timeout": 5}},
        {ready: {"objects": [{"kind": "Pod", "name": "never", "namespace": namespace}], "wait_timeout": 1}},
        {"servicemesh.platform.objects_info": {"queries": [{"kind": "Secret", "namespace": namespace}]}},
        {"servicemesh.platform.secret_versions": {"namespace": namespace, "names": ["s", "none"]}},
        {"servicemesh.platform.helm_release_info": {"releases": [{"name": "none", "namespace": namespace}]}},
        {"servicemesh.platform.preflight": {"permissions": [{"resource": "pods", "verbs": ["get"]}]}},
        {apply: {"definitions": [config, secret], "state": "absent"}},
        {apply: {"definitions": [config], "state": "absent", "kubeconfig": "/nowhere"}},
    ]


def results(namespace: str, kubeconfig: str, folder: Path, switch: str, *arguments: str) -> tuple[list[Any], str]:
    """Result of each task, and everything that was printed."""
    play = {
        "hosts": "localhost",
        "gather_facts": False,
        "ignore_errors": True,
        "module_defaults": {"group/servicemesh.platform.platform": {"kubeconfig": kubeconfig}},
        "vars": {"ansible_python_interpreter": "{{ ansible_playbook_python }}"},
        "tasks": tasks(namespace),
    }
    (folder / "play.yml").write_text(json.dumps([play]))
    done = subprocess.run(
        [str(Path(sys.executable).parent / "ansible-playbook"), str(folder / "play.yml"), *arguments],
        cwd=ROOT,
        env={**os.environ, "SERVICEMESH_IN_PROCESS": switch, "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    printed = json.loads(done.stdout[done.stdout.index("{\n") :])
    return [task["hosts"]["localhost"] for task in printed["plays"][0]["tasks"]], done.stdout


def compared(result: dict[str, Any]) -> dict[str, Any]:
    """A result without times and without what only a process of its own has or words."""
    told = {
        key: value for key, value in result.items() if key not in ("seconds", "invocation", "exception", "versions")
    }
    if result["action"] == "servicemesh.platform.ready":
        told.pop("requests", None)  # it asks again where the API server or an object was not ready at first
    for entry in told.get("objects") or []:
        if isinstance(entry, dict):
            entry.pop("seconds", None)
    for obj in (told.get("results") or [[]])[0]:
        obj["metadata"] = {key: obj["metadata"][key] for key in ("name", "namespace", "labels")}
    return told


@pytest.fixture(scope="module")
def both(cluster: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, tuple[list[Any], str]]]:
    """Results and output of the tasks in the task's process ("1") and in processes of their own ("0"), with all that Ansible can tell."""
    client = Client({})
    name = f"t-process-{uuid.uuid4().hex[:8]}"
    client.request("POST", "/api/v1/namespaces", body={"metadata": {"name": name}})
    folder, kubeconfig = tmp_path_factory.mktemp("plays"), os.environ["KUBECONFIG"]
    yield {switch: results(name, kubeconfig, folder, switch, "-vvv") for switch in ("1", "0")}
    client.request("DELETE", f"/api/v1/namespaces/{name}")


def test_both_ways_tell_the_same(both: dict[str, tuple[list[Any], str]]) -> None:
    here, there = both["1"][0], both["0"][0]
    assert len(here) == len(tasks("any"))
    assert [compared(result) for result in here] == [compared(result) for result in there]
    assert [bool(result.get("failed")) for result in here] == [
        number in (3, 4, 5, 6, 8, 14) for number in range(len(here))
    ]
    assert [result["changed"] for result in here] == [number in (0, 2, 13) for number in range(len(here))]


@pytest.mark.parametrize("switch", ["0", "1"])
def test_a_secret_shows_in_neither_though_everything_is_shown(
    both: dict[str, tuple[list[Any], str]], switch: str
) -> None:
    text = both[switch][1]
    assert "very-secret-42" not in text
    assert "module_args" in text
