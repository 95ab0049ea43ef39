# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A second local cluster beside the one under test, and all that it can leave on this machine."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from tests.support import Run, ansible_playbook

NAME = "itest"
HOME = Path("/var/lib/servicemesh-platform") / NAME
TUNABLES = [
    "vm/overcommit_memory",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "net/ipv4/ip_forward",
]


def local(playbook: str, *args: str) -> Run:
    return ansible_playbook(playbook, "-i", "inventories/local", "-e", f"local_cluster_name={NAME}", *args)


def output(*argv: str) -> str:
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


def kubectl(*args: str) -> str:
    return output(f"{HOME}/bin/kubectl", f"--kubeconfig={HOME}/kubeconfig", "--request-timeout=10s", *args)


def node_is_ready() -> bool:
    nodes = json.loads(kubectl("get", "nodes", "-o", "json"))["items"]
    return [c["status"] for n in nodes for c in n["status"]["conditions"] if c["type"] == "Ready"] == ["True"]


def traces() -> dict[str, object]:
    """Everything on this machine that a cluster could leave behind."""
    links = json.loads(output("ip", "-json", "link"))
    return {
        "links": sorted(link["ifname"] for link in links if link["ifname"].startswith("sm")),
        "namespaces": sorted(path.name for path in Path("/run/netns").glob("*")) if Path("/run/netns").exists() else [],
        "mounts": sorted(line for line in Path("/proc/mounts").read_text().splitlines() if NAME in line),
        "cgroups": sorted(str(path) for path in Path("/sys/fs/cgroup").glob(f"**/servicemesh-local/{NAME}")),
        "iptables": [line for line in output("iptables-save").splitlines() if not line.startswith(("#", ":"))],
        "routes": output("ip", "route"),
        "processes": [
            path.parent.name
            for path in Path("/proc").glob("[0-9]*/cmdline")
            if str(HOME).encode() in _read(path) and path.parent.name != str(os.getpid())
        ],
        "folder": HOME.exists(),
        "tunables": {name: Path("/proc/sys", name).read_text() for name in TUNABLES},
    }


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""
