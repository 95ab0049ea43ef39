"""Who converges a set in less time: the contestants, each as a user would call it, and the race between them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.benchmarks._harness import BenchmarkError, Done, Harness

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
    """`first` makes the set, `again` finds it unchanged. `playbook`: both are playbooks. `makes`: whether objects come of it."""

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
AGAIN = "again"  # key of the second run

Times = dict[tuple[str, str], list[float]]  # (contestant, "first" or AGAIN): seconds of each round


def race(harness: Harness, contestants: list[Contestant], services: int, env: Mapping[str, str] | None = None) -> Times:
    """Each round gives every contestant a namespace of its own, not there yet; who begins changes from round to round.

    A first round with one service is not counted: it fills everybody's caches of compiled code and of the server's kinds.
    """
    times: Times = {}
    for contestant in contestants:
        _one(harness, contestant, 1, env, {})
    for number in range(harness.runs):
        turn = number % len(contestants)
        for contestant in contestants[turn:] + contestants[:turn]:
            _one(harness, contestant, services, env, times)
            last = [f"{figures[-1]:.2f} s" for (name, _when), figures in times.items() if name == contestant.name]
            harness.say(f"round {number + 1} of {harness.runs}: {contestant.name}: {', then '.join(last)}")
    return times


def _one(harness: Harness, contestant: Contestant, services: int, env: Mapping[str, str] | None, times: Times) -> None:
    with harness.services(services) as (namespace, manifest):
        done = harness.timed(contestant.first(harness, manifest), env=env)
        times.setdefault((contestant.name, "first"), []).append(done.seconds)
        if contestant.makes:
            _check(done, contestant, changed=True)
            harness.check_there(namespace, services)
        if contestant.again is not None:
            done = harness.timed(contestant.again(harness, manifest), env=env)
            times.setdefault((contestant.name, AGAIN), []).append(done.seconds)
            _check(done, contestant, changed=False)


def _check(done: Done, contestant: Contestant, *, changed: bool) -> None:
    """A contestant that did not do the work has no time. kubectl diff tells a difference by its exit code, which ends the run."""
    if contestant.playbook and (done.changed > 0) != changed:
        raise BenchmarkError(f"{contestant.name}: expected changed={changed}:\n{done.text[-2000:]}")
