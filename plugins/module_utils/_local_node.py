# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""PRIVATE: the network namespace, cgroups and process tree of a local cluster's node. Can change at any time.

The node's daemons run in a network namespace without a default route, and in their own PID and mount namespaces: when the first process
ends, the kernel ends all others and removes their mounts, so that nothing is left.
"""

from __future__ import annotations

import contextlib
import dataclasses
import ipaddress
import json
import os
import pathlib
import shutil
import signal
import subprocess
import time
import typing as t

# kubelet sets these for the whole machine (pkg/kubelet/cm/container_manager_linux.go, setupKernelTunables); the node restores them.
KERNEL_TUNABLES = (
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
)
CGROUP_PARENT = "servicemesh-local"
NETNS_FOLDER = pathlib.Path("/run/netns")


class NodeError(Exception):
    """An error with a message for the user: what failed, and what to do."""


@dataclasses.dataclass(frozen=True)
class Node:
    """Names, addresses and folder of a node."""

    name: str
    home: pathlib.Path
    network: ipaddress.IPv4Network
    service_cidr: str
    binds: dict[str, str] = dataclasses.field(default_factory=dict)

    @property
    def netns(self) -> str:
        return f"servicemesh-{self.name}"

    @property
    def netns_path(self) -> pathlib.Path:
        return NETNS_FOLDER / self.netns

    @property
    def links(self) -> tuple[str, str]:
        """The veth pair: the host's end, the node's end (named after the network, because 15 characters are too few for the name)."""
        suffix = f"{int(self.network.network_address) & 0xFFFF:04x}"
        return f"smh{suffix}", f"smn{suffix}"

    @property
    def host_address(self) -> str:
        return str(self.network[1])

    @property
    def node_address(self) -> str:
        return str(self.network[2])

    @property
    def cgroup(self) -> str:
        return f"/{CGROUP_PARENT}/{self.name}"

    @property
    def pid_file(self) -> pathlib.Path:
        return self.home / "run" / "node.json"


def run(*argv: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run a command and keep its output; raise NodeError with it when the command fails and ``check`` is set."""
    # run_command is a method of AnsibleModule; this works without one too.  pylint: disable-next=ansible-bad-function
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if check and done.returncode:
        raise NodeError(f"{' '.join(argv)} ended with code {done.returncode}: {done.stdout.strip()}")
    return done


def start_time(pid: int) -> str | None:
    """Start time of a process in clock ticks since boot, which with the PID identifies it; None when it has ended or is a zombie."""
    try:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in ("Z", "X") else fields[19]


def running(node: Node) -> dict[str, t.Any] | None:
    """The record of the node's process when exactly that process runs, else None."""
    try:
        record: dict[str, t.Any] = json.loads(node.pid_file.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return record if start_time(record["pid"]) == record["started"] else None


def cgroup_folders(node: Node) -> list[pathlib.Path]:
    """The node's cgroup in each hierarchy (cgroup v1: one for each controller; v2: one)."""
    mounts = [line.split() for line in pathlib.Path("/proc/mounts").read_text(encoding="utf-8").splitlines()]
    roots = [pathlib.Path(fields[1]) for fields in mounts if fields[2] in ("cgroup", "cgroup2")]
    return [root / node.cgroup.lstrip("/") for root in roots]


def _ensure_cgroups(node: Node) -> None:
    for folder in cgroup_folders(node):
        folder.mkdir(parents=True, exist_ok=True)
        # On cgroup v1 a new cpuset is empty, and an empty one accepts no process.
        for parent in (folder.parent, folder):
            for name in ("cpuset.cpus", "cpuset.mems"):
                inherited = parent.parent / name
                if (
                    (parent / name).exists()
                    and inherited.exists()
                    and not (parent / name).read_text(encoding="utf-8").strip()
                ):
                    (parent / name).write_text(inherited.read_text(encoding="utf-8"), encoding="utf-8")
        for parent in (folder.parent, folder):
            _set_processor_weight(parent, os.cpu_count() or 1)


def _set_processor_weight(folder: pathlib.Path, processes: int) -> None:
    """Give a cgroup the processor time of so many processes.

    A new cgroup has that of one, next to each process of the machine. All pods of a node together would get as much as one busy compiler.
    """
    # cgroup v2 has the first file, v1 the second, in the hierarchy of the controller `cpu`.
    for name, one, most in (("cpu.weight", 100, 10_000), ("cpu.shares", 1024, 262_144)):
        if (folder / name).exists():
            (folder / name).write_text(str(min(one * processes, most)), encoding="utf-8")


def remove_cgroups(node: Node) -> None:
    """Remove the node's cgroups. A kubelet that starts handles each one that it finds, which takes seconds when the container is gone."""
    for folder in cgroup_folders(node):
        for root, _folders, _files in os.walk(folder, topdown=False):
            _remove_cgroup(pathlib.Path(root))
        with contextlib.suppress(OSError):  # another cluster of this machine may use it
            folder.parent.rmdir()


def _remove_cgroup(folder: pathlib.Path, timeout: float = 5.0) -> None:
    """Remove one cgroup; the kernel needs a moment after its last process has ended."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            folder.rmdir()
            return
        except FileNotFoundError:
            return
        except OSError as exc:
            if time.monotonic() > deadline:
                raise NodeError(f"cgroup {folder} cannot be removed: {exc.strerror}") from exc
            time.sleep(0.05)


def _ip(node: Node, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """ip inside the node's network namespace."""
    return run("ip", "-netns", node.netns, *words, check=check)


def network_is_there(node: Node) -> bool:
    """Whether namespace, veth pair, addresses and the route for services exist."""
    if not node.netns_path.exists():
        return False
    host_link, node_link = node.links
    host = run("ip", "-4", "-oneline", "address", "show", "dev", host_link, check=False)
    inside = _ip(node, "-4", "-oneline", "address", "show", "dev", node_link, check=False)
    route = _ip(node, "route", "show", node.service_cidr, check=False)
    return (
        f"{node.host_address}/30" in host.stdout
        and f"{node.node_address}/30" in inside.stdout
        and node_link in route.stdout
    )


def check_network_is_free(node: Node) -> None:
    """Fail when an address of the node's network belongs to another interface of this machine."""
    routes = json.loads(run("ip", "-json", "-4", "address", "show").stdout or "[]")
    for link in routes:
        for address in link.get("addr_info", []):
            taken = ipaddress.ip_network(f"{address['local']}/{address['prefixlen']}", strict=False)
            if link["ifname"] != node.links[0] and taken.overlaps(node.network):
                raise NodeError(
                    f"local_cluster_network: {node.network} overlaps {taken} of interface {link['ifname']}; "
                    "choose another /30 with -e local_cluster_network=..."
                )


def ensure_network(node: Node) -> None:
    """Create the namespace, its link to the host and its routes; when a part is missing, all of it is created again."""
    if network_is_there(node):
        return
    check_network_is_free(node)
    remove_network(node)
    host_link, node_link = node.links
    run("ip", "netns", "add", node.netns)
    run("ip", "link", "add", host_link, "type", "veth", "peer", "name", node_link, "netns", node.netns)
    run("ip", "address", "add", f"{node.host_address}/30", "dev", host_link)
    run("ip", "link", "set", host_link, "up")
    _ip(node, "link", "set", "lo", "up")
    _ip(node, "address", "add", f"{node.node_address}/30", "dev", node_link)
    _ip(node, "link", "set", node_link, "up")
    # Without this route the kernel would reject service addresses before kube-proxy's rules are applied.
    _ip(node, "route", "add", node.service_cidr, "dev", node_link, "src", node.node_address)
    run("nsenter", f"--net={node.netns_path}", "sysctl", "-q", "-w", "net.ipv4.ip_forward=1")


def remove_pod_links(node: Node) -> None:
    """Remove the links of pods that ended with the node, and their routes.

    The namespace outlives the node's processes, and the kernel removes these links only a moment after the last process. The first pods of
    the new start get the same addresses, because the record of addresses is in the node's own /run. CNI's ptp plugin then takes the old
    pod's route for its own (plugins/main/ptp/ptp.go, setupHostVeth), and the new pod has none when the old link is gone.
    """
    for link in json.loads(_ip(node, "-json", "link", "show", "type", "veth").stdout or "[]"):
        if link["ifname"] != node.links[1]:
            _ip(node, "link", "delete", link["ifname"], check=False)  # the kernel may have removed it by now


def remove_network(node: Node) -> None:
    """Remove namespace and links; the namespace's iptables rules go with it."""
    if node.netns_path.exists():
        run("ip", "netns", "delete", node.netns)
    if run("ip", "link", "show", "dev", node.links[0], check=False).returncode == 0:
        # The kernel removes the veth with its namespace, but only after a moment.
        run("ip", "link", "delete", node.links[0], check=False)


def save_tunables(node: Node) -> None:
    """Save the kernel settings that the kubelet is going to change, unless another cluster has saved them already."""
    path = node.home.parent / "kernel-tunables.json"
    if not path.exists():
        values = {name: pathlib.Path("/proc/sys", name).read_text(encoding="utf-8").strip() for name in KERNEL_TUNABLES}
        path.write_text(json.dumps(values), encoding="utf-8")


def restore_tunables(node: Node) -> None:
    """Restore the kernel settings when no cluster is left."""
    path = node.home.parent / "kernel-tunables.json"
    others = [child for child in node.home.parent.iterdir() if child.is_dir() and child != node.home]
    if path.exists() and not others:
        for name, value in json.loads(path.read_text(encoding="utf-8")).items():
            pathlib.Path("/proc/sys", name).write_text(value, encoding="utf-8")
        path.unlink()


def mount_script(node: Node, command: list[str]) -> str:
    """Shell text of the node's first process: its own /run and state folders, then the supervisor."""
    lines = [
        "set -eu",
        "mount --make-rshared /",
        "mount -t tmpfs -o mode=755 tmpfs /run",
        "mkdir -p /run/netns /run/lock",
    ]
    for target, source in node.binds.items():
        lines.append(f"mount --bind {source} {target}")
    # /sys still shows the host's network devices; the CNI plugins and the kubelet use netlink.
    return "\n".join([*lines, "exec " + " ".join(f"'{word}'" for word in command)])


def _made_folders(node: Node) -> list[str]:
    """Folders outside the node's home that an earlier start created."""
    try:
        return list(json.loads(node.pid_file.read_text(encoding="utf-8")).get("made_folders", []))
    except (FileNotFoundError, ValueError):
        return []


def _ensure_bind_targets(node: Node) -> list[str]:
    """Create the folders that the node's own folders are mounted on; return those that did not exist before the node."""
    made = _made_folders(node)
    for target in node.binds:
        if not os.path.isdir(target):
            os.makedirs(target)
            made.append(target)
    return made


def start(node: Node, command: list[str], timeout: float = 15.0) -> None:
    """Start the node's process tree and record its process."""
    for folder in ("run", "logs", *(source for source in node.binds.values())):
        (node.home / folder).mkdir(parents=True, exist_ok=True)
    made = _ensure_bind_targets(node)
    save_tunables(node)
    _ensure_cgroups(node)
    argv = [
        "nsenter",
        f"--net={node.netns_path}",
        "unshare",
        "--mount",
        "--pid",
        "--fork",
        "--kill-child",
        "--mount-proc",
    ]
    with open(node.home / "logs" / "node.log", "ab") as log:
        # run_command is a method of AnsibleModule; this works without one too.  pylint: disable-next=ansible-bad-function
        process = subprocess.Popen(
            [*argv, "/bin/sh", "-c", mount_script(node, command)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            start_new_session=True,
        )
    deadline = time.monotonic() + timeout
    started = start_time(process.pid)
    if started is None:
        raise NodeError(f"the node's process ended at once; see {node.home}/logs/node.log")
    record = {"pid": process.pid, "started": started, "made_folders": made}
    temporary = node.pid_file.with_suffix(".new")
    temporary.write_text(json.dumps(record), encoding="utf-8")
    os.replace(temporary, node.pid_file)
    socket = node.home / "run" / "supervisor.sock"
    while not socket.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            raise NodeError(
                f"the process supervisor did not start within {timeout:.0f} s; see {node.home}/logs/node.log"
            )
        time.sleep(0.05)


def stop(node: Node, timeout: float = 10.0) -> bool:
    """End the node's process tree by the id of its first process; return whether it ran."""
    record = running(node)
    (node.home / "run" / "supervisor.sock").unlink(missing_ok=True)
    if record is None:
        return False
    pid = record["pid"]
    os.kill(pid, signal.SIGKILL)  # unshare --kill-child forwards the signal to the PID namespace's init
    deadline = time.monotonic() + timeout
    while start_time(pid) == record["started"]:
        if time.monotonic() > deadline:
            raise NodeError(f"process {pid} of cluster {node.name} did not end within {timeout:.0f} s")
        time.sleep(0.02)
    return True


def wait_until_empty(node: Node, timeout: float = 10.0) -> None:
    """Wait until no process is left in the node's cgroups."""
    deadline = time.monotonic() + timeout
    while True:
        left = [
            line
            for folder in cgroup_folders(node)
            for root, _folders, files in os.walk(folder)
            if "cgroup.procs" in files
            for line in _processes(pathlib.Path(root) / "cgroup.procs")
        ]
        if not left:
            return
        if time.monotonic() > deadline:
            raise NodeError(f"processes {', '.join(sorted(set(left)))} of cluster {node.name} are still running")
        time.sleep(0.05)


def _processes(path: pathlib.Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").split()
    except OSError:
        return []


def destroy(node: Node) -> bool:
    """Remove the node: processes, network, cgroups, folders, kernel settings. Return whether anything existed."""
    made = _made_folders(node)
    there = stop(node) or node.netns_path.exists() or node.home.exists()
    wait_until_empty(node)
    remove_network(node)
    remove_cgroups(node)
    if node.home.exists():
        shutil.rmtree(node.home)
    for folder in made:
        with contextlib.suppress(OSError):  # another program may use the folder by now
            os.rmdir(folder)
    if node.home.parent.exists():
        restore_tunables(node)
    return there
