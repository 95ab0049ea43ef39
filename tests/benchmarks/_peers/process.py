# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A driver of releases: a process of this machine, with its children, that can be killed and started again."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.benchmarks._harness import ROOT

_TICKS = os.sysconf("SC_CLK_TCK")


class Driver:
    """One process at a time. It ends with the thread that started it at the latest, also when that is killed."""

    def __init__(self, argv: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        self.argv = ["setpriv", "--pdeathsig", "KILL", *argv]
        self.environment, self.log = dict(environment), log
        self.starts = 0
        self.processor = 0.0  # seconds that ended processes computed
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()  # who waits for the process takes its figures

    def start(self) -> None:
        """Start the process; what it prints is added to its log."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.argv,
                cwd=ROOT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self.starts += 1

    def running(self) -> bool:
        """Whether the process has not ended."""
        return self._pid() is not None

    def _pid(self) -> int | None:
        with self._lock:
            if self._process is None:
                return None
            pid, status, usage = os.wait4(self._process.pid, os.WNOHANG)
            if not pid:
                return self._process.pid
            self.processor += usage.ru_utime + usage.ru_stime
            self._process.returncode = os.waitstatus_to_exitcode(status)
            self._process = None
            return None

    def pids(self) -> list[int]:
        """The process and all its descendants, wherever their sessions are."""
        pid = self._pid()
        return [] if pid is None else [pid, *descendants(pid)]

    def kill(self) -> None:
        """End it and its descendants as a machine that goes away does."""
        for pid in self.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        end = time.monotonic() + 10
        while self.running() and time.monotonic() < end:
            time.sleep(0.05)

    def tail(self) -> str:
        """The end of its log."""
        return self.log.read_text(encoding="utf-8", errors="replace")[-3000:] if self.log.exists() else ""


def descendants(pid: int) -> list[int]:
    """All living descendants of a process."""
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            parent = int(path.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(path.parent.name))
    found, todo = [], [pid]
    while todo:
        more = children.get(todo.pop(), [])
        found += more
        todo += more
    return found


def memory(pids: Sequence[int]) -> float:
    """Memory of processes in MB of 10^6 bytes; what they share counts once (proportional set size)."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
            total += next((int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:")), 0)
    return total * 1024 / 1e6


def computed(pids: Sequence[int]) -> float:
    """Seconds of processor time of processes that are alive."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            total += int(fields[11]) + int(fields[12])
    return total / _TICKS
