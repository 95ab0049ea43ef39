# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compares the engine's verdicts on a mesh with those that follow from what Istio's own code sends."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.engine import Engine
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.given import Given
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.read import read
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.verdict import Call

from tests.judge.istio import Istio, RejectedError
from tests.judge.meshes import ROOT, RandomMesh
from tests.judge.reduce import Answers, Cell, Target, outcome, targets
from tests.unit.plugins.module_utils._mtls.mtls_oracle import SEVERITY


@dataclass(frozen=True)
class Difference:
    """A call on which the engine and Istio differ."""

    client: str
    service: str
    port: int
    ours: Call
    theirs: str
    cells: tuple[Cell, ...]

    def __str__(self) -> str:
        cells = "; ".join(f"{cell.sent} to {cell.accepted} by {cell.cluster or 'no cluster'}" for cell in self.cells)
        call = f"{self.client} to {self.service} port {self.port}"
        return f"{call}: ours {self.ours.verdict} ({self.ours.reason}), Istio's {self.theirs} ({cells})"


@dataclass
class Tally:
    """How many calls were compared, how many have which verdict, and which unknown ones for which rule."""

    verdicts: Counter[str] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)

    @property
    def calls(self) -> int:
        """Calls that were compared."""
        return sum(self.verdicts.values())


def compare(made: RandomMesh, istio: Istio, tally: Tally) -> list[Difference]:
    """The differences; a verdict of the engine that is unknown is none, and is counted."""
    answers = Answers(made.objects, istio.proxies(made.objects, made.config))
    engine = Engine(read(Given(made.objects, complete=True), ROOT, "cluster.local").mesh)
    names = {
        f"{pod['metadata']['namespace']}/{pod['metadata']['ownerReferences'][0]['name']}" for pod in answers.of("Pod")
    }
    calls = {call.id: call for call in engine.calls(clients=[*names, "*", "plaintext"])}
    found = []
    keys = Counter((target.key, target.port) for target in targets(made.objects))
    for target in targets(made.objects):
        if (
            keys[target.key, target.port] > 1
        ):  # two ServiceEntries of a namespace have the host: their calls have the same names
            continue
        routed = any(target.host in one["spec"]["hosts"] for one in answers.of("VirtualService"))
        if routed and not target.single:
            continue  # calls to it are followed to its only address
        for client, cells in _by_workload(answers, target).items():
            ours = calls.get((client, target.key, target.port)) or calls["*", target.key, target.port]
            theirs = _worst(cells)
            if routed and ours.verdict != theirs:  # the VirtualService may be the client's, or not
                theirs = _worst(_by_workload(answers, target, routed=True).get(client, []))
                if theirs == "unknown":
                    continue  # it is led to what tests/judge does not follow, or nowhere
            tally.verdicts[str(ours.verdict)] += 1
            if ours.verdict == "unknown" or _open(engine, ours, client, theirs):
                tally.unknown[f"{ours.rule or ours.reason[:60]} / {theirs}"] += 1
            elif ours.verdict != theirs:
                found.append(Difference(client, target.key, target.port, ours, theirs, tuple(cells)))
    return found


def _worst(cells: list[Cell]) -> str:
    return max(map(outcome, cells), key=SEVERITY.index) if cells else "unknown"


def _open(engine: Engine, ours: Call, client: str, theirs: str) -> bool:
    """Whether Istio's verdict is worse than ours, and ours has an endpoint that is unknown: the worst that is known is what was given."""
    if SEVERITY.index(theirs) <= SEVERITY.index(ours.verdict):
        return False
    (service,) = [one for one in engine.mesh.services if one.key == ours.service]
    (port,) = [one for one in service.ports if one.number == ours.port]
    clients = [one for one, names in engine.classes.values() if client in names]
    return any(cell.verdict == "unknown" for one in clients for cell in engine.cells.of(one, service, port))


def _by_workload(answers: Answers, target: Target, *, routed: bool = False) -> dict[str, list[Cell]]:
    """Cells of a call by the client's workload: pods of one workload are one client."""
    found: dict[str, list[Cell]] = {}
    for pod in answers.clients():
        meta = pod["metadata"]
        name = f"{meta['namespace']}/{meta['ownerReferences'][0]['name']}"
        found.setdefault(name, []).extend((answers.routed_cells if routed else answers.cells)(pod, target))
    return found


def smallest(made: RandomMesh, istio: Istio, wanted: Difference) -> RandomMesh:
    """A mesh with a difference of the same kind that has no object that it could do without."""
    objects = list(made.objects)
    for entry in reversed(made.objects):
        if entry["kind"] in ("Namespace", "ConfigMap"):
            continue
        fewer = RandomMesh([other for other in objects if other is not entry], made.config)
        try:
            found = compare(fewer, istio, Tally())
        except (RejectedError, KeyError, ValueError):
            continue
        if any(
            (other.ours.verdict, other.theirs, other.ours.rule)
            == (wanted.ours.verdict, wanted.theirs, wanted.ours.rule)
            for other in found
        ):
            objects = fewer.objects
    return RandomMesh(objects, made.config)
