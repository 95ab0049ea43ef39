# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Canaries whose run is cancelled or killed: none goes on by itself, and the next run takes over.

Each test finds the canary as the one before left it, which is the point: it starts a new canary or continues the last one.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.canary.bed import ERRORS, Bed, assert_back, events, finish, spec_of, wait_for
from tests.support import processes_with

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("cluster")]
ROOT = Path(__file__).parents[3]
BIN = Path(sys.executable).parent
LIMIT = 30  # seconds from the end of a run until the service is as before its step
PATIENCE = 20  # seconds that AWX waits for a job that it told to stop (SIGTERM), before it kills it
STEP = " 50% [##########..........] step: weight 0 % -> 50 %"
PLAY = [
    {
        "hosts": "localhost",
        "connection": "local",
        "gather_facts": False,
        "tasks": [{"servicemesh.platform.canary": "{{ options }}"}],
    }
]


class Played:
    """A playbook that releases v2, in one process or under ansible-runner or in a process namespace of its own."""

    def __init__(self, bed: Bed, folder: Path, how: str, *, apart: bool = False) -> None:
        # A window that is open until the run is cancelled.
        options = bed.options(interval=200, analysis=ERRORS, max_duration=900, lease_duration=15)
        (folder / "play.yml").write_text(json.dumps(PLAY))
        extra = {"options": options, "ansible_python_interpreter": sys.executable}
        (folder / "options.json").write_text(json.dumps(extra))
        self.folder, self.mark = folder, f"SERVICEMESH_TEST={uuid.uuid4().hex}"
        argv = [str(BIN / "ansible-playbook"), "-i", "localhost,", str(folder / "play.yml")]
        argv += ["-e", f"@{folder / 'options.json'}"]
        if how == "runner":
            argv = [sys.executable, str(Path(__file__).parent / "cancelled.py"), str(folder)]
        elif how == "namespace":
            argv = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", *argv]
        name, _sign, value = self.mark.partition("=")
        environment = {**os.environ, name: value, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}
        environment["PATH"] = f"{BIN}:{environment['PATH']}"
        environment["ANSIBLE_COLLECTIONS_PATH"] = str(ROOT / ".collections")
        if apart:
            environment["SERVICEMESH_IN_PROCESS"] = "0"
        self.output = folder / "output"
        with self.output.open("w") as output:
            self.process = subprocess.Popen(
                # Under nohup, it would ignore SIGHUP as the tests do.
                ["env", "--default-signal=HUP", *argv],
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def processes(self) -> list[int]:
        """All processes of this run."""
        return processes_with(self.mark)

    def text(self) -> str:
        return self.output.read_text()

    def end(self) -> None:
        for pid in self.processes():
            os.kill(pid, signal.SIGKILL)
        self.process.wait()


@pytest.fixture(scope="module")
def spec(whole: Bed) -> dict[str, Any]:
    """The routes before the first canary."""
    whole.restore()
    return spec_of(whole)


@pytest.fixture
def played(whole: Bed, spec: dict[str, Any], tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Played]:
    how, apart = request.param
    run = Played(whole, tmp_path, how, apart=apart)
    yield run
    run.end()


def state_of(bed: Bed) -> dict[str, Any]:
    found = bed.client.get(f"/api/v1/namespaces/{bed.namespace}/configmaps/canary-web") or {"data": {"state": "{}"}}
    return dict(json.loads(found["data"]["state"]))


def lease_of(bed: Bed) -> dict[str, Any]:
    path = f"/apis/coordination.k8s.io/v1/namespaces/{bed.namespace}/leases/canary-web"
    return dict((bed.client.get(path) or {"spec": {}})["spec"])


def in_its_window(bed: Bed, run: Played) -> None:
    def there() -> bool:
        assert run.process.poll() is None, run.text()
        return bed.weights() == [50, 50] and state_of(bed).get("phase") == "analysing"

    wait_for(there, "the window of the step", 90)


def assert_taken_back(bed: Bed, run: Played, begin: float) -> None:
    def over() -> bool:
        return bed.weights() == [0, 0] and not lease_of(bed)["holderIdentity"] and not run.processes()

    wait_for(over, f"the end of the step, the lease and the processes ({run.text()[-500:]})", LIMIT)
    assert time.time() - begin < LIMIT
    state = state_of(bed)
    assert (state["phase"], state["index"], state["weight"]) == ("paused", -1, 0)
    last = state["history"][-1]
    assert last["event"] == "interrupted"
    assert last["time"] > begin - 2
    assert "the step to 50 % was taken back" in last["message"]
    assert "CanaryInterrupted" in events(bed)


@pytest.mark.parametrize(
    ("played", "how"),
    [
        (("runner", False), "cancel"),
        (("plain", False), "SIGKILL"),
        (("plain", True), "SIGKILL"),
        (("plain", False), "SIGTERM"),
        (("plain", True), "SIGTERM"),
        (("plain", False), "SIGINT"),
        (("plain", False), "SIGHUP"),
    ],
    indirect=["played"],
    ids=["runner", "killed", "killed-apart", "terminated", "terminated-apart", "interrupted", "hung-up"],
)
def test_a_run_that_is_cancelled_or_killed_never_goes_on_by_itself(whole: Bed, played: Played, how: str) -> None:
    # A person cancels what they see. A line that is on its way when the signal comes may be lost with the process that prints.
    wait_for(lambda: STEP in played.text(), "the line of the step", 90)
    in_its_window(whole, played)
    begin = time.time()
    if how == "cancel":
        (played.folder / "cancel").touch()
    else:
        played.process.send_signal(getattr(signal, how))
    assert_taken_back(whole, played, begin)
    if how == "SIGTERM":
        assert time.time() - begin < PATIENCE
    if how == "cancel":
        assert "status canceled" in played.text()


@pytest.mark.parametrize("played", [("namespace", False)], indirect=True)
def test_after_a_run_whose_container_was_killed_the_next_one_waits_for_its_lease_and_takes_over(
    whole: Bed, played: Played, tmp_path: Path
) -> None:
    in_its_window(whole, played)
    # A container's processes end in one moment. Here the first of them closes its pipes before the kernel kills the others, who have time
    # to see that on a busy machine, and give the lease up.
    for pid in played.processes():
        os.kill(pid, signal.SIGSTOP)
    played.process.kill()
    begin = time.time()
    wait_for(lambda: not played.processes(), "the processes of the namespace")
    lease = lease_of(whole)
    assert lease["holderIdentity"], "nobody was left to give it up"
    (tmp_path / "next").mkdir()
    after = Played(whole, tmp_path / "next", "plain")
    try:
        wait_for(lambda: lease_of(whole)["leaseTransitions"] > lease["leaseTransitions"], "the next run", LIMIT)
        wait_for(lambda: "ended without giving its lease up" in after.text(), "its word about the run before")
        assert f"s for the lease of {lease['holderIdentity']}, which has not renewed it since" in after.text()
        assert state_of(whole)["weight"] == 50
        assert time.time() - begin < LIMIT
        begin = time.time()
        after.process.terminate()
        assert_taken_back(whole, after, begin)
    finally:
        after.end()


def test_a_rollback_after_all_of_them_leaves_the_routes_as_they_were(whole: Bed, spec: dict[str, Any]) -> None:
    """Without pods of the canary: a rollback watches their requests for as long as a window is, which is long here."""
    assert state_of(whole)["phase"] == "paused"
    path = f"/apis/apps/v1/namespaces/{whole.namespace}/deployments/web-canary/scale"
    whole.client.request("PATCH", path, body={"spec": {"replicas": 0}}, content_type="application/merge-patch+json")
    pods, query = f"/api/v1/namespaces/{whole.namespace}/pods", {"labelSelector": "app=web,track=canary"}
    wait_for(lambda: not whole.client.list_all(pods, query)[0], "the end of the canary's pods")
    assert whole.call("rollback", service="web", namespace=whole.namespace)["changed"]
    assert_back(whole, spec, finish(whole))
