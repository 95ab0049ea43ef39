# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Canaries that are killed, stopped, or started twice. A file of its own, so that its bed and that of test_canary.py work side by side."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.integration.canary.bed import (
    ERRORS,
    Bed,
    assert_untouched,
    delete,
    finish,
    spec_of,
    wait_for,
)

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("cluster")]
ROOT = Path(__file__).parents[3]


def stopped_at(path: Path, number: int) -> subprocess.Popen[str]:
    """A run that stops right before its write `number`."""
    argv = [sys.executable, str(Path(__file__).parent / "killed.py"), str(path), str(number), "stop"]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT)


class Nursery:
    """Forks that are killed at a write, see killed.py."""

    def __init__(self) -> None:
        argv = [sys.executable, str(Path(__file__).parent / "killed.py"), "serve"]
        self._process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)

    def killed_at(self, path: Path, number: int) -> tuple[int, str]:
        """(exit code, output) of a run that was killed after its write `number`, or that ended before."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        watchdog = threading.Timer(90, self._process.kill)
        watchdog.start()
        try:
            self._process.stdin.write(json.dumps({"options": str(path), "number": number}) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        finally:
            watchdog.cancel()
        assert line, "a run did not end within 90 s"
        told = json.loads(line)
        return told["code"], told["output"]

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=10)


@pytest.fixture
def nursery() -> Iterator[Nursery]:
    nursery = Nursery()
    yield nursery
    nursery.close()


def seen_of(bed: Bed) -> tuple[Any, ...]:
    """How far a run has come."""
    found = bed.client.get(f"/api/v1/namespaces/{bed.namespace}/configmaps/canary-web")
    state = json.loads(found["data"]["state"]) if found else {}
    recorded = tuple(
        str(state.get(key)) for key in ("phase", "stage", "index", "weight", "applied", "passes", "template")
    )
    proved = bool(state.get("proved"))
    fields = [entry["manager"] for entry in bed.virtual_service()["metadata"]["managedFields"]]
    canary = (bed.deployment("web-canary") or {"metadata": {}})["metadata"]
    return (
        *recorded,
        proved,
        bed.weights(),
        bed.version(),
        "servicemesh-canary" in fields,
        bool(canary),
        "deletionTimestamp" in canary,
    )


@pytest.mark.parametrize("kind", ["good", "bad"])
@pytest.mark.slow
def test_killed_at_every_write_it_ends_in_old_or_new(bed: Bed, nursery: Nursery, tmp_path: Path, kind: str) -> None:
    """Each process is killed after a write, one further each time, so that the next one finds the cluster just as that write left it."""
    spec, begin = spec_of(bed), time.time()
    new = {"ERROR_RATE": 0.6} if kind == "bad" else {}
    path = tmp_path / "options.json"
    path.write_text(json.dumps(bed.options(new=new, analysis=ERRORS, interval=3, drain=0, max_duration=600)))
    lease = f"/apis/coordination.k8s.io/v1/namespaces/{bed.namespace}/leases/canary-web"
    kills, number, ended = 0, 1, False
    while not ended:
        before = seen_of(bed)
        delete(bed, lease)  # runs out at once
        code, out = nursery.killed_at(path, number)
        assert code in (0, -signal.SIGKILL), out
        assert set(bed.weights()) <= {0, 50, 100}
        # Killed after the very last write, it has ended too: another run would start again.
        ended, kills = code == 0 or seen_of(bed)[0] in ("promoted", "rolled_back"), kills + 1
        # Every process first writes that it took the run up; where that is all, the next one lives for a write longer.
        number = number + 1 if seen_of(bed) == before else 1
        assert kills < 150, "150 kills were not enough"
    assert kills > 20, f"it was hardly killed at all: {out}"
    assert seen_of(bed)[0] == ("promoted" if kind == "good" else "rolled_back"), out
    assert (bed.version(), bed.weights()) == ("v2" if kind == "good" else "v1", [0, 0])
    assert_untouched(bed, spec)
    wait_for(lambda: bed.deployment("web-canary") is None, "the canary's end")
    if kind == "good":
        bed.assert_none_failed(begin)


def test_of_two_runs_in_the_same_moment_one_is_told_who_is_first(bed: Bed) -> None:
    with ThreadPoolExecutor(2) as pool:
        calls = [pool.submit(bed.call, "start", **bed.options(holder=f"runner-{number}")) for number in (1, 2)]
        results = [call.result() for call in calls]
    won = [result for result in results if not result.get("failed")]
    lost = [result for result in results if result.get("failed")]
    assert (len(won), len(lost)) == (1, 1), results
    late = bed.call("start", **bed.options(holder="runner-3"))
    assert late["failed"]
    assert f"{won[0]['holder']} has held its lease for" in late["msg"]
    assert "Nothing was done" in lost[0]["msg"]
    bed.call(
        "give_up_lease",
        service="web",
        namespace=bed.namespace,
        holder=won[0]["holder"],
        fencing_token=won[0]["fencing_token"],
    )


def test_a_holder_that_slept_past_its_lease_is_refused_even_in_the_middle_of_a_write(bed: Bed, tmp_path: Path) -> None:
    path = tmp_path / "options.json"
    options = bed.options(interval=8, lease_duration=3, analysis=ERRORS)
    path.write_text(json.dumps(options))
    begun = bed.drive(until=lambda result: result["phase"] == "preparing", **options)
    assert begun["phase"] == "preparing"
    # The sleeper stops right before it writes: the first write is its annotation, which a takeover writes again each time.
    sleeper = stopped_at(path, 1)
    try:
        wait_for(lambda: stopped(sleeper), "the sleeper's stop")
        time.sleep(3.5)
        moved = bed.drive(until=lambda result: result["phase"] == "analysing", **options)
        assert moved["weight"] == 50
        before = bed.virtual_service()["metadata"]["resourceVersion"]
        sleeper.send_signal(signal.SIGCONT)
        out, _err = sleeper.communicate(timeout=60)
    finally:
        sleeper.kill()
    said = json.loads(out.splitlines()[-1])
    assert said["failed"], said
    assert "Nothing" in said["msg"], said
    assert bed.virtual_service()["metadata"]["resourceVersion"] == before
    assert bed.call("rollback", service="web", namespace=bed.namespace)["changed"]
    finish(bed)


def stopped(process: subprocess.Popen[str]) -> bool:
    return Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
