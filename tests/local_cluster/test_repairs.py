# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What happens to a local cluster is repaired by the next start: a killed start, killed daemons, and what they stand on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.local_cluster.second import HOME, NAME, kubectl, local, node_is_ready, output, traces
from tests.support import ROOT, Run

DAEMONS = ["containerd", "etcd", "kube-apiserver", "kube-controller-manager", "kube-proxy", "kube-scheduler", "kubelet"]


def programs() -> dict[str, tuple[str, int]]:
    """Program -> its state and its PID inside the node, as the supervisor tells."""
    lines = subprocess.run(
        ["supervisorctl", "-c", f"{HOME}/etc/supervisord.conf", "status"], capture_output=True, text=True, check=False
    ).stdout.splitlines()
    words = [line.split() for line in lines]
    return {row[0]: (row[1], int(row[3].rstrip(",")) if row[1] == "RUNNING" else 0) for row in words}


def node_pid() -> int:
    """PID of the process that holds the node's namespaces."""
    return int(json.loads((HOME / "run" / "node.json").read_text())["pid"])


def outside_pid(inside: int) -> int:
    """This machine's PID of a process that has the PID ``inside`` in the node's namespace."""
    (init,) = output("pgrep", "--parent", str(node_pid())).split()
    namespace = os.readlink(f"/proc/{init}/ns/pid")
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            if os.readlink(status.parent / "ns/pid") != namespace:
                continue
            ids = next(line for line in status.read_text().splitlines() if line.startswith("NSpid:")).split()
        except OSError:  # gone meanwhile, or none of root's business
            continue
        if int(ids[-1]) == inside:
            return int(ids[1])
    raise AssertionError(f"no process {inside} in the node")


@pytest.fixture(scope="module")
def before() -> dict[str, object]:
    """What was on the machine before the second cluster; one that an interrupted run left is removed first."""
    local("local_down.yml")
    return traces()


@pytest.fixture(scope="module")
def cluster(before: dict[str, object]) -> Iterator[Run]:
    """The second cluster, with a ConfigMap to remember: the run that finished its start, which had been killed."""
    process = subprocess.Popen(
        [
            str(Path(sys.executable).parent / "ansible-playbook"),
            *("playbooks/local_up.yml", "-i", "inventories/local", "-e", f"local_cluster_name={NAME}"),
        ],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + 60
    while not (HOME / "run" / "node.json").exists():  # half-way: daemons started, nothing ready
        assert time.monotonic() < deadline, "the start did not get to the node"
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    run = local("local_up.yml")
    assert run.returncode == 0, run.told
    kubectl("create", "configmap", "remember", "--from-literal=me=yes")
    yield run
    local("local_down.yml")


def test_a_killed_start_is_finished_by_the_next(cluster: Run) -> None:
    assert cluster.recap["local"]["changed"] > 0
    assert node_is_ready()


def test_killed_daemons_come_back(cluster: Run) -> None:
    killed = {daemon: programs()[daemon][1] for daemon in DAEMONS}
    for pid in killed.values():
        os.kill(outside_pid(pid), signal.SIGKILL)
    run = local("local_up.yml")
    assert run.returncode == 0, run.told
    now = programs()
    assert {now[daemon][0] for daemon in DAEMONS} <= {"RUNNING", "STARTING"}, (now, run.text)
    assert [daemon for daemon, pid in killed.items() if now[daemon][1] == pid] == []
    assert kubectl("get", "configmap", "remember", "-o", "jsonpath={.data.me}") == "yes"
    assert node_is_ready()


def test_a_daemon_that_somebody_stopped_is_started(cluster: Run) -> None:
    output("supervisorctl", "-c", f"{HOME}/etc/supervisord.conf", "stop", "kube-scheduler")
    run = local("local_up.yml")
    assert run.returncode == 0, run.told
    assert programs()["kube-scheduler"][0] in ("RUNNING", "STARTING")


@pytest.mark.parametrize("victim", ["supervisor", "namespace holder", "link"])
def test_a_lost_foundation_is_laid_again(cluster: Run, victim: str) -> None:
    holder = node_pid()
    if victim == "supervisor":
        (init,) = output("pgrep", "--parent", str(holder)).split()
        os.kill(int(init), signal.SIGKILL)
    elif victim == "namespace holder":
        os.kill(holder, signal.SIGKILL)
        leave_a_pods_link()
    else:
        (link,) = [name for name in traces()["links"] if name not in _links_of_others()]  # type: ignore[attr-defined]
        output("ip", "link", "delete", link)
    run = local("local_up.yml")
    assert run.returncode == 0, run.told
    assert node_pid() != holder
    assert kubectl("get", "configmap", "remember", "-o", "jsonpath={.data.me}") == "yes"
    assert node_is_ready()
    assert "left0" not in inside("link", "show")


def inside(*words: str) -> str:
    """Output of `ip` in the node's network namespace."""
    return output("ip", "-netns", f"servicemesh-{NAME}", *words)


def leave_a_pods_link() -> None:
    """A pod's link and route as the kernel leaves them for a moment after the node ended; the first new pod gets that address."""
    inside("link", "add", "left0", "type", "veth", "peer", "name", "left1")
    inside("address", "add", "10.244.0.1/32", "dev", "left0")
    inside("link", "set", "left0", "up")
    inside("route", "replace", "10.244.0.2", "dev", "left0", "scope", "host")


def _links_of_others() -> set[str]:
    """Links whose far end is not in this cluster's namespace."""
    inside = {link["ifname"] for link in json.loads(output("ip", "-netns", f"servicemesh-{NAME}", "-json", "link"))}
    mine = {"smh" + name[3:] for name in inside if name.startswith("smn")}
    return {link["ifname"] for link in json.loads(output("ip", "-json", "link"))} - mine


def test_a_cluster_that_was_repaired_leaves_nothing_either(cluster: Run, before: dict[str, object]) -> None:
    run = local("local_down.yml")
    assert run.returncode == 0, run.told
    assert traces() == before
