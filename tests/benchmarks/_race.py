# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compare the time to converge a set: the contestants, each called as a user would call it, and the race between them."""

from __future__ import annotations

import dataclasses
import os
import statistics
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.benchmarks._harness import BenchmarkError, Done, Harness, busy_seconds
from tests.benchmarks._rows import quantity
from tests.benchmarks._server_count import processor_seconds

Command = Callable[[Harness, Path], list[str]]


def _ours(harness: Harness, manifest: Path) -> list[str]:
    return harness.playbook({"name": "Apply", "servicemesh.platform.apply": {"src": [str(manifest)]}})


def _kubectl_apply(harness: Harness, manifest: Path) -> list[str]:
    return [harness.kubectl_path, "apply", "--server-side", "-f", str(manifest)]


def _kubectl_diff(harness: Harness, manifest: Path) -> list[str]:
    return [harness.kubectl_path, "diff", "--server-side", "-f", str(manifest)]


def _k8s_src(harness: Harness, manifest: Path) -> list[str]:
    return harness.playbook({"name": "Apply", "kubernetes.core.k8s": {"src": str(manifest), "state": "present"}})


def _k8s_loop(harness: Harness, manifest: Path) -> list[str]:
    return harness.playbook(
        {
            "name": "Apply",
            "kubernetes.core.k8s": {"definition": "{{ item }}", "state": "present"},
            "loop": f"{{{{ lookup('ansible.builtin.file', '{manifest}') | from_yaml_all | list }}}}",
            "loop_control": {"label": "{{ item.kind }} {{ item.metadata.name }}"},
        }
    )


def _nothing(harness: Harness, _manifest: Path) -> list[str]:
    return harness.playbook({"name": "Say a word", "ansible.builtin.debug": {"msg": "a word"}})


@dataclasses.dataclass(frozen=True, slots=True)
class Contestant:
    """`first` creates the set, `again` finds it unchanged. `playbook`: both are playbooks. `makes`: whether it creates objects."""

    name: str
    first: Command
    again: Command | None = None
    playbook: bool = True
    makes: bool = True


OURS = Contestant("apply", _ours, _ours)
KUBECTL = Contestant("kubectl apply --server-side", _kubectl_apply, _kubectl_diff, playbook=False)
SRC = Contestant("kubernetes.core.k8s src", _k8s_src)
LOOP = Contestant("kubernetes.core.k8s loop", _k8s_loop)
START = Contestant("a playbook of one debug task", _nothing, makes=False)
FIRST, AGAIN = "first", "again"  # the two runs of a round
SERVER = "server "  # prefix of series: processor time of the API server during a run
BUSY = "busy "  # prefix of series: processor time of all work on this machine

Times = dict[tuple[str, str], list[float]]  # (contestant, run): seconds of each round


def race(harness: Harness, contestants: list[Contestant], services: int, env: Mapping[str, str] | None = None) -> Times:
    """Each round gives every contestant a new namespace; the order changes from round to round.

    A first round with one service does not count: it fills the caches of compiled code and of the server's kinds.
    """
    times: Times = {}
    for contestant in contestants:
        _one(harness, contestant, 1, env, {})
    for number in range(harness.runs):
        turn = number % len(contestants)
        for contestant in contestants[turn:] + contestants[:turn]:
            _one(harness, contestant, services, env, times)
            last = [
                f"{times[contestant.name, run][-1]:.2f} s" for run in (FIRST, AGAIN) if (contestant.name, run) in times
            ]
            harness.say(f"round {number + 1} of {harness.runs}: {contestant.name}: {', then '.join(last)}")
    return times


def _one(harness: Harness, contestant: Contestant, services: int, env: Mapping[str, str] | None, times: Times) -> None:
    def timed(run: str, argv: list[str]) -> Done:
        idle = _server_seconds(harness)
        before = _server_seconds(harness)  # twice, because the query itself uses time of the server
        busy = busy_seconds()
        done = harness.timed(argv, env=env)
        times.setdefault((contestant.name, BUSY + run), []).append(busy_seconds() - busy)
        spent = max(0.0, _server_seconds(harness) - before - (before - idle))
        times.setdefault((contestant.name, run), []).append(done.seconds)
        times.setdefault((contestant.name, SERVER + run), []).append(spent)
        return done

    with harness.services(services) as (namespace, manifest):
        done = timed(FIRST, contestant.first(harness, manifest))
        if contestant.makes:
            _check(done, contestant, changed=True)
            harness.check_there(namespace, services)
        if contestant.again is not None:
            done = timed(AGAIN, contestant.again(harness, manifest))
            _check(done, contestant, changed=False)


def _server_seconds(harness: Harness) -> float:
    return processor_seconds(harness.kubectl("get", "--raw", "/metrics"))


def why_slow(times: Times, run: str, theirs: list[float], least: float) -> str:
    """Parts of the time of our `run`, compared with the target."""
    mine, idle = statistics.median(times[OURS.name, run]), statistics.median(times[START.name, FIRST])
    allowed, server = statistics.median(theirs) / least, statistics.median(times[OURS.name, SERVER + run])
    # Its other work: measured during a playbook that sends no request.
    server = max(0.0, server - statistics.median(times[START.name, SERVER + FIRST]) / idle * mine)
    busy = statistics.median(times[OURS.name, BUSY + run])
    cores = os.cpu_count() or 1
    floor = idle + server / cores
    text = (
        f"{least:g}x would be {quantity(allowed, 's')} for everything. ansible-playbook with one debug task takes "
        f"{quantity(idle, 's')}; the API server computes {quantity(server, 's')} for these requests, which {cores} cores do "
        f"in {quantity(server / cores, 's')} at best; apply takes {quantity(mine, 's')} altogether, in which all that runs "
        f"here (the client, the control plane, what stands between them) computes {quantity(busy, 's')} of "
        f"{quantity(cores * mine, 's')} that there are"
    )
    if floor > allowed:
        return f"{text}. Ansible's start and the API server alone need more than the target leaves, whatever the module does"
    if busy / cores > allowed:
        return f"{text}: {quantity(busy / cores, 's')} at best, more than the target leaves where one machine is all of these"
    return text


def _check(done: Done, contestant: Contestant, *, changed: bool) -> None:
    """Fail if a contestant did not complete its work. kubectl diff reports a difference by its exit code, which ends the run."""
    if contestant.playbook and (done.changed > 0) != changed:
        raise BenchmarkError(f"{contestant.name}: expected changed={changed}:\n{done.text[-2000:]}")
