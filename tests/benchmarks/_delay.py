# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Add latency between this machine and the API server, and always remove it again."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import statistics
import subprocess
import sys
import time
import urllib.parse
from collections.abc import Iterator, Sequence
from pathlib import Path

import yaml

from tests.benchmarks._harness import ROOT, BenchmarkError, Harness, kubeconfig_at

_PROBE = "servicemesh-netem-probe"
_SAMPLES = 40
# Runs one command, reports it, and runs the other when its standard input ends, even if its parent was killed.
_GUARD = """
import json, signal, subprocess, sys
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
do, undo = json.loads(sys.argv[1]), json.loads(sys.argv[2])
done = subprocess.run(do, stdin=subprocess.DEVNULL)
if done.returncode:
    sys.exit(done.returncode)
try:
    print("done", flush=True)
    sys.stdin.read()
finally:
    sys.exit(subprocess.run(undo, stdin=subprocess.DEVNULL).returncode)
"""


@dataclasses.dataclass(frozen=True, slots=True)
class Distance:
    """Method of the delay, kubeconfig to use, and measured delay of answers (ms)."""

    how: str
    kubeconfig: Path
    added: float


@contextlib.contextmanager
def undone_at_the_end(do: Sequence[str], undo: Sequence[str]) -> Iterator[None]:
    """Run `do`, and `undo` afterwards, in a separate process that can outlive this one."""
    guard = subprocess.Popen(
        [sys.executable, "-c", _GUARD, json.dumps(list(do)), json.dumps(list(undo))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert guard.stdin is not None
    assert guard.stdout is not None
    try:
        if guard.stdout.readline() != "done\n":
            raise BenchmarkError(f"{' '.join(do)} failed")
        yield
    finally:
        guard.stdin.close()
        if guard.wait(timeout=60) and sys.exc_info()[0] is None:
            raise BenchmarkError(f"{' '.join(undo)} failed; run it by hand")


def has_netem() -> bool:
    """Whether this kernel can delay packets: tried in a separate network namespace."""
    if subprocess.run(["ip", "netns", "add", _PROBE], capture_output=True, check=False).returncode:
        return False
    try:
        add = ["tc", "-netns", _PROBE, "qdisc", "add", "dev", "lo", "root", "netem", "delay", "1ms"]
        return subprocess.run(add, capture_output=True, check=False).returncode == 0
    finally:
        subprocess.run(["ip", "netns", "delete", _PROBE], capture_output=True, check=False)


@contextlib.contextmanager
def delayed(harness: Harness, milliseconds: float) -> Iterator[Distance]:
    """Delay all answers of the API server by `milliseconds`, also those to a new connection."""
    server = _server(harness)
    near = answer_time(harness, harness.kubeconfig)
    with contextlib.ExitStack() as stack:
        if has_netem():
            how = "by netem"
            _by_netem(stack, harness, str(server.hostname), milliseconds)
            kubeconfig = harness.kubeconfig
        else:
            how = "by a proxy, as this kernel has no netem"
            kubeconfig = _by_proxy(stack, harness, server, milliseconds, near)
        yield Distance(how, kubeconfig, (answer_time(harness, kubeconfig) - near) * 1000)


def _by_proxy(
    stack: contextlib.ExitStack, harness: Harness, server: urllib.parse.SplitResult, milliseconds: float, near: float
) -> Path:
    """Kubeconfig of a proxy with the requested total delay, including the time of the proxy itself."""
    host, port = str(server.hostname), server.port or 443
    with proxy(host, port, milliseconds / 1000) as trial:
        own = (
            answer_time(harness, kubeconfig_at(harness, f"https://127.0.0.1:{trial}", host)) - near
        ) - milliseconds / 1000
    listening = stack.enter_context(proxy(host, port, max(0.0, milliseconds / 1000 - own)))
    return kubeconfig_at(harness, f"https://127.0.0.1:{listening}", host)


def _server(harness: Harness) -> urllib.parse.SplitResult:
    config = yaml.safe_load(harness.kubeconfig.read_text(encoding="utf-8"))
    return urllib.parse.urlsplit(config["clusters"][0]["cluster"]["server"])


def _by_netem(stack: contextlib.ExitStack, harness: Harness, address: str, milliseconds: float) -> None:
    namespace = f"servicemesh-{harness.home.name}"
    shown = subprocess.run(
        ["ip", "-netns", namespace, "-json", "-4", "address", "show"], capture_output=True, text=True, check=True
    )
    links = [
        link["ifname"]
        for link in json.loads(shown.stdout)
        if any(entry["local"] == address for entry in link["addr_info"])
    ]
    if len(links) != 1:
        raise BenchmarkError(f"network namespace {namespace}: expected one link with {address}, found {links}")
    words = ["tc", "-netns", namespace, "qdisc"]
    place = ["dev", links[0], "root"]
    stack.enter_context(
        undone_at_the_end([*words, "add", *place, "netem", "delay", f"{milliseconds:g}ms"], [*words, "del", *place])
    )


@contextlib.contextmanager
def proxy(host: str, port: int, seconds: float) -> Iterator[int]:
    """Port of a delaying proxy, which ends with this process at the latest."""
    argv = [sys.executable, "-m", "tests.benchmarks._delay_proxy", host, str(port), str(seconds)]
    process = subprocess.Popen(argv, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        line = process.stdout.readline().strip()
        if not line.isdigit():
            raise BenchmarkError("the delaying proxy did not start")
        yield int(line)
    finally:
        process.stdin.close()
        process.wait(timeout=30)


def answer_time(harness: Harness, kubeconfig: Path) -> float:
    """Median seconds of a small answer of the API server on an open connection."""
    client = harness.client(kubeconfig)
    figures = []
    for _sample in range(_SAMPLES):
        started = time.perf_counter()
        client.request("GET", "/readyz", accept="*/*")
        figures.append(time.perf_counter() - started)
    return statistics.median(figures[1:])
