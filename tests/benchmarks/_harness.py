# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The harness of every benchmark: times whole commands on the local cluster, in namespaces that it deletes afterwards."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import types
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from tests.benchmarks import _sets

ROOT = Path(__file__).parent.parent.parent
DEFAULT_RUNS = 5
_RECAP = re.compile(
    r"^\S+\s+: ok=(?P<ok>\d+)\s+changed=(?P<changed>\d+)\s+unreachable=(?P<unreachable>\d+)\s+failed=(?P<failed>\d+)",
    re.M,
)
_DELETION = 900  # seconds for the deletion of thousands of objects
_CALM = 0.6  # cores that an idle cluster may use
_LOOK, _PATIENCE = 5.0, 300.0  # seconds: to check whether it is idle, and to wait for that
# Runs a command and writes the peak memory of the largest of its processes and their children.
_PEAK = """
import json, os, subprocess, sys
process = subprocess.Popen(sys.argv[2:])
_pid, status, usage = os.wait4(process.pid, 0)
with open(sys.argv[1], "w") as file:
    json.dump(usage.ru_maxrss * 1024, file)
sys.exit(os.waitstatus_to_exitcode(status))
"""


class BenchmarkError(Exception):
    """A benchmark could not run; the message contains the reason."""


@dataclasses.dataclass(frozen=True, slots=True)
class Done:
    """A successful command: wall-clock seconds and output."""

    seconds: float
    text: str

    @property
    def changed(self) -> int:
        """Number of changed tasks of a playbook."""
        recap = _RECAP.search(self.text.rpartition("PLAY RECAP")[2])
        if recap is None or recap["failed"] != "0" or recap["unreachable"] != "0" or recap["ok"] == "0":
            raise BenchmarkError(f"a playbook did not succeed:\n{self.text[-3000:]}")
        return int(recap["changed"])


def busy_seconds() -> float:
    """Processor time of all work on this machine, in seconds of one core (proc_stat(5): all but idle, iowait, steal)."""
    fields = [int(text) for text in Path("/proc/stat").read_text(encoding="ascii").splitlines()[0].split()[1:9]]
    user, nice, system, _idle, _iowait, irq, softirq, _steal = fields
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")


class Harness:
    """The local cluster, a scratch folder, and the number of rounds."""

    def __init__(self, kubeconfig: Path, scratch: Path, *, runs: int = DEFAULT_RUNS, scale: float = 1.0) -> None:
        self.kubeconfig, self.scratch, self.runs, self.scale = kubeconfig, scratch, runs, scale
        self.home = kubeconfig.parent
        self.kubectl_path = str(self.home / "bin" / "kubectl")

    @property
    def full(self) -> bool:
        """Whether this is a real measurement and not a trial."""
        return self.runs >= DEFAULT_RUNS and self.scale >= 1

    def count(self, number: int) -> int:
        """Number of services, for `number` in the full measurement."""
        return max(1, round(number * self.scale))

    def say(self, text: str) -> None:
        """Print progress for people who wait."""
        print(f"  {text}", file=sys.stderr, flush=True)

    def calm(self) -> None:
        """Wait until the cluster is idle: after thousands of deletions it works for minutes."""
        deadline = time.monotonic() + _PATIENCE
        while True:
            before = busy_seconds()
            time.sleep(_LOOK)
            busy = (busy_seconds() - before) / _LOOK
            if busy <= _CALM:
                return
            if time.monotonic() > deadline:
                self.say(f"measured although other work uses {busy:.1f} cores")
                return

    # Commands ----------------------------------------------------------------------------------------------------

    def timed(self, argv: Sequence[str], *, env: Mapping[str, str] | None = None) -> Done:
        """Run a whole command and time it. Raises BenchmarkError with its output if it fails."""
        started = time.perf_counter()
        done = subprocess.run(
            list(argv),
            cwd=ROOT,
            env=self.environment(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        seconds = time.perf_counter() - started
        if done.returncode:
            raise BenchmarkError(f"{' '.join(argv)} ended with {done.returncode}:\n{done.stdout[-3000:]}")
        return Done(seconds, done.stdout)

    def peak(self, argv: Sequence[str]) -> tuple[Done, float]:
        """The command, and the peak memory (MB of 10^6 bytes, resident) of its largest process."""
        note = self.scratch / f"peak-{uuid.uuid4().hex[:6]}"
        # Not from this process: a new process starts with the size of its parent.
        done = self.timed([sys.executable, "-S", "-c", _PEAK, str(note), *argv])
        return done, float(note.read_text()) / 1e6

    def environment(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        """Environment of commands: this cluster, without Ansible settings of the shell."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "K8S_AUTH_"))}
        return {**kept, "KUBECONFIG": str(self.kubeconfig), **(more or {})}

    def kubectl(self, *words: str) -> str:
        """What kubectl prints."""
        return self.timed([self.kubectl_path, *words]).text

    def playbook(self, *tasks: Mapping[str, Any]) -> list[str]:
        """The command for a playbook as a user would write it for the controller."""
        play = {
            "name": "Benchmark",
            "hosts": "localhost",
            "connection": "local",
            "gather_facts": False,
            "vars": {"ansible_python_interpreter": "{{ ansible_playbook_python }}"},
            "tasks": list(tasks),
        }
        path = self.scratch / f"play-{uuid.uuid4().hex[:6]}.yml"
        path.write_text(yaml.safe_dump([play], sort_keys=False), encoding="utf-8")
        return [str(Path(sys.executable).parent / "ansible-playbook"), "-i", "localhost,", str(path)]

    # Objects -----------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def services(self, count: int) -> Iterator[tuple[str, Path]]:
        """Name of a namespace that does not exist yet, and the file of a set that creates it; it is deleted afterwards."""
        with self.namespace(create=False) as name:
            path = self.scratch / f"{name}.yml"
            path.write_text(_sets.text(_sets.services(name, count)), encoding="utf-8")
            yield name, path

    @contextlib.contextmanager
    def namespace(self, *, create: bool = True) -> Iterator[str]:
        """A separate namespace, deleted afterwards."""
        name = f"bench-{uuid.uuid4().hex[:8]}"
        try:
            if create:
                self.create(_sets.namespace(name))
            yield name
        finally:
            self.kubectl("delete", "namespace", name, "--ignore-not-found", f"--timeout={_DELETION}s")

    @contextlib.contextmanager
    def kind(self) -> Iterator[str]:
        """The API group of a new kind Thing, deleted afterwards."""
        group = f"b{uuid.uuid4().hex[:8]}.benchmark.example.com"
        name = f"things.{group}"
        try:
            self.create(_sets.watched_kind(group))
            self.kubectl("wait", "--for=condition=Established", f"crd/{name}", "--timeout=60s")
            yield group
        finally:
            self.kubectl("delete", "crd", name, "--ignore-not-found", f"--timeout={_DELETION}s")

    def create(self, *objects: Mapping[str, Any]) -> None:
        """Create objects outside of a measurement."""
        path = self.scratch / f"make-{uuid.uuid4().hex[:6]}.yml"
        path.write_text(_sets.text([dict(obj) for obj in objects]), encoding="utf-8")
        self.kubectl("create", "-f", str(path))

    def check_there(self, namespace: str, count: int) -> None:
        """Raise BenchmarkError unless all objects of a set of `count` services are in their namespace."""
        kinds = ",".join(f"{resource}.{group}".rstrip(".") for resource, group in _sets.KINDS.items())
        names = self.kubectl("-n", namespace, "get", kinds, "-o", "name").split()
        found = sum("/service-" in name for name in names)
        if found != count * len(_sets.KINDS):
            raise BenchmarkError(f"{namespace} has {found} objects of the set, expected {count * len(_sets.KINDS)}")

    def sweep(self) -> None:
        """Delete what a killed benchmark has left."""
        kinds = "namespaces,customresourcedefinitions,clusterrolebindings,flowschemas"
        self.kubectl("delete", kinds, "-l", f"{_sets.LABEL}=true", "--ignore-not-found", f"--timeout={_DELETION}s")

    def client(self, kubeconfig: Path | None = None) -> Any:
        """The collection's client, for preparation and checks."""
        _load_collection()
        from ansible_collections.servicemesh.platform.plugins.module_utils._kube.client import Client

        return Client({"kubeconfig": str(kubeconfig or self.kubeconfig)}, environ={})


def _load_collection() -> None:
    from ansible.plugins.loader import init_plugin_loader
    from ansible.utils.collection_loader import AnsibleCollectionConfig

    if AnsibleCollectionConfig.collection_finder is None:
        init_plugin_loader([str(ROOT / ".collections")])


def local_kubeconfig(environ: Mapping[str, str]) -> Path:
    """KUBECONFIG, if it is that of a local cluster. A benchmark creates thousands of objects, so it refuses other clusters."""
    text = environ.get("KUBECONFIG", "")
    path = Path(text)
    if not text or not path.is_file() or not (path.parent / "run" / "node.json").is_file():
        raise BenchmarkError(
            f"KUBECONFIG is {text!r}; expected the kubeconfig of a local cluster (make up). Run make bench, or "
            "KUBECONFIG=$(make -s kubeconfig) python -m tests.benchmarks.<name>"
        )
    return path


def _positive(environ: Mapping[str, str], name: str, default: float) -> float:
    text = environ.get(name) or str(default)
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not value > 0:
        raise BenchmarkError(f"{name} is {text!r}; expected a number above 0, such as {default:g}")
    return value


@contextlib.contextmanager
def opened() -> Iterator[Harness]:
    """The harness for one run, one at a time on a cluster. BENCH_RUNS: rounds (5). BENCH_SCALE: share of the objects (1), for trials."""
    kubeconfig = local_kubeconfig(os.environ)
    runs = int(_positive(os.environ, "BENCH_RUNS", DEFAULT_RUNS))
    scale = _positive(os.environ, "BENCH_SCALE", 1)
    signal.signal(signal.SIGTERM, _ended)  # so that namespaces are deleted then too
    with open(kubeconfig.parent / "run" / "benchmark.lock", "w", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BenchmarkError("another benchmark runs on this cluster; wait until it has ended") from None
        # It may contain a kubeconfig, so it is in the cluster's folder, where the next run or make down finds leftovers.
        scratch = kubeconfig.parent / "run" / "benchmark"
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(mode=0o700)
        harness = Harness(kubeconfig, scratch, runs=max(1, runs), scale=scale)
        try:
            harness.sweep()
            yield harness
        finally:
            harness.sweep()
            shutil.rmtree(scratch)


def _ended(_number: int, _frame: types.FrameType | None) -> None:
    raise SystemExit("benchmark: received the signal to end")


def kubeconfig_at(harness: Harness, server: str, server_name: str) -> Path:
    """A copy of the kubeconfig (in the scratch folder, readable by its owner only) with another address of the same server."""
    config = yaml.safe_load(harness.kubeconfig.read_text(encoding="utf-8"))
    for entry in config["clusters"]:
        entry["cluster"].update({"server": server, "tls-server-name": server_name})
    path = harness.scratch / f"kubeconfig-{uuid.uuid4().hex[:6]}"
    path.touch(mode=0o600)
    path.write_text(json.dumps(config), encoding="utf-8")
    return path
