# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Spends a bounded number of calls on reaching each kind of endpoint: straight, and through a sidecar.

A call through a sidecar goes where its load balancer sends it. It is repeated until each kind was seen by the counters that the sidecar has
for each endpoint, or until it has had as many tries as a fair load balancer needs for nearly all endpoints. What was not seen is named.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Protocol, TypeVar

from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import KubeError
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.engine import Cell
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parse.metadata import family
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.proof.evidence import Key, Seen
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.proof.kinds import Kinds, PodKey, Spot
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.proof.wire import (
    Answer,
    Counters,
    Host,
    Meshed,
    Peer,
    PlainCall,
    hits,
)

EACH = 3  # calls that are kept for one kind: in plain text, with a certificate, and through the sidecar
_TRIES = 6  # calls through the sidecar for each endpoint: a fair choice misses one of them once in e^6 = 400 times
_MOST_TRIES = 60  # for one service port
_Shown = TypeVar("_Shown")
_Goal = tuple[
    int, int, str
]  # an endpoint's index, the family of the address that is called (0: the only one), Part.own


class Prober(Protocol):
    """Makes calls from inside the mesh. Each raises KubeError when it could not be made."""

    def plain(self, spot: Spot) -> PlainCall:
        """A call in plain text, straight to an address."""

    def control(self, spot: Spot) -> Peer:
        """The same call with a certificate of the mesh."""

    def meshed(self, host: str, number: int, path: str, only: int, address: str) -> Answer:
        """A call through the sidecar. `only` is the family of addresses to use (0: any), `address` what the host's name means, if given."""

    def counters(self, host: str, number: int) -> Counters:
        """What the sidecar has counted for a service port."""


@dataclass(slots=True)
class Heard:
    """What the calls to one service port showed. `over` are the kinds that no call was left for, `changed` the pods that did not stay."""

    kinds: Kinds
    plain: dict[Key, PlainCall] = field(default_factory=dict)
    control: dict[Key, Peer] = field(default_factory=dict)
    notes: dict[Key, str] = field(default_factory=dict)
    over: set[Key] = field(default_factory=set)
    hits: list[tuple[_Goal, PodKey | None, Meshed]] = field(default_factory=list)
    opened: dict[Host, set[bool]] = field(
        default_factory=dict
    )  # whether the sidecar's connections to it were mutual TLS
    counters: Counters | None = None
    tries: int = 0
    stopped: str = ""
    changed: frozenset[PodKey] = frozenset()

    @property
    def pods(self) -> set[PodKey]:
        """The pods that were called."""
        spots = {spot.pod for spot in self.kinds.spots if spot.key in self.plain}
        return {pod for pod in spots | {pod for _goal, pod, _mesh in self.hits} if pod}

    @property
    def foreign(self) -> list[str]:
        """Endpoints that the sidecar has and that are none of those that were read."""
        known = self.kinds.where
        addresses = (
            {address for address, _port in known} if self.kinds.headless else set()
        )  # called by the service's port
        hosts = self.counters.hosts if self.counters else {}
        found = {(at, port) for _subset, at, port in hosts if (at, port) not in known and at not in addresses}
        return [f"{at}:{port}" for at, port in sorted(found)]

    def rows(self) -> list[Seen]:
        """What was seen of each kind that was called."""
        return [self._row(spot) for spot in self.kinds.spots if spot.key in self.plain or spot.key in self.notes]

    def _row(self, spot: Spot) -> Seen:
        note = self.notes.get(spot.key, "")
        if spot.pod and spot.pod in self.changed:
            note = note or f"pod {'/'.join(spot.pod)} did not stay as it was"
        mesh: dict[str, list[Meshed]] = {}
        for (point, number, own), pod, call in self.hits:
            if point == spot.key[0] and number in (0, spot.key[1]) and pod not in self.changed:
                mesh.setdefault(own, []).append(call)
        return Seen(
            *self.kinds.id,
            spot.key,
            spot.name,
            "/".join(spot.pod) if spot.pod else "",
            spot.address,
            self.plain.get(spot.key, PlainCall.SILENT),
            self.control.get(spot.key, Peer()),
            spot.identity,
            mesh,
            note,
            self._missed(spot),
        )

    def _missed(self, spot: Spot) -> str:
        if self.stopped:
            return self.stopped
        if self.kinds.headless or spot.key[0] in self.listed:
            return f"none of {self.tries} calls through the sidecar went there"
        return "the probe's sidecar has no such endpoint: it is not ready, or on another network or node"

    @property
    def listed(self) -> set[int]:
        """Endpoints of the service port that the sidecar has, by their index."""
        places = (self.kinds.where.get((host[1], host[2])) for host in (self.counters.hosts if self.counters else ()))
        return {place.point for place in places if place and place.point is not None}


class Reach:
    """Makes the calls. `most` is their number in all, and `pause` waits between them as long as the rate demands."""

    def __init__(self, prober: Prober, most: int, pause: Callable[[], None], paths: Mapping[str, str]) -> None:
        self._prober, self._pause, self._paths = prober, pause, paths
        self._left = most
        self.made = 0

    def all(self, wanted: Sequence[tuple[Kinds, Collection[Cell]]]) -> list[Heard]:
        """What calls to service ports showed. Of each, the cells that the calls through the sidecar have to reach.

        Each kind gets its calls before any is tried again.
        """
        lines = [(Heard(kinds), _Goals(kinds, cells)) for kinds, cells in wanted]
        for heard, goals in lines:
            self._first(heard, goals)
        open_lines = lines
        while self._left > 0 and open_lines:
            open_lines = [(heard, goals) for heard, goals in open_lines if goals.next(heard) is not None]
            for heard, goals in open_lines[: self._left]:
                self._left -= 1
                self._meshed(heard, goals)
        return [heard for heard, _goals in lines]

    def _first(self, heard: Heard, goals: _Goals) -> None:
        """The calls that are kept for each kind. Those through the sidecar that are not needed are left for others."""
        kept = 0
        for spot in heard.kinds.spots:
            if not spot.address:
                continue
            if self._left < EACH:
                heard.over.add(spot.key)
                continue
            self._left -= EACH
            kept += 1
            try:
                heard.control[spot.key] = self._made(partial(self._prober.control, spot))
                heard.plain[spot.key] = self._made(partial(self._prober.plain, spot))
            except KubeError as error:
                heard.notes[spot.key] = str(error)
        while kept and goals.next(heard) is not None:
            kept -= 1
            self._meshed(heard, goals)
        self._left += kept

    def _meshed(self, heard: Heard, goals: _Goals) -> None:
        """One call through the sidecar, towards a kind that was not reached yet."""
        goal = goals.next(heard)
        if goal is None:
            return
        service, number = heard.kinds.service, heard.kinds.port.number
        only, address = goals.way(heard, goal)
        path = self._paths.get(service.key, "/")
        heard.tries += 1
        try:
            before = heard.counters or self._prober.counters(service.host, number)
            found = self._made(partial(self._prober.meshed, service.host, number, path, only, address))
            heard.counters = self._prober.counters(service.host, number)
        except KubeError as error:
            heard.stopped = str(error)
            return
        for host, mesh in hits(found, before, heard.counters):
            place = heard.kinds.where.get((host[1], host[2]))
            told = heard.opened.setdefault(host, set())
            if mesh.mtls is not None:
                told.add(mesh.mtls)
            elif mesh.reused and len(told) == 1:  # all connections that the sidecar has to it are of one kind
                mesh = replace(mesh, mtls=next(iter(told)))  # noqa: PLW2901
            if place is not None and place.point is not None:
                heard.hits.append(((place.point, goal[1], goals.own(host[0])), place.pod, mesh))

    def _made(self, call: Callable[[], _Shown]) -> _Shown:
        self.made += 1
        try:
            return call()
        finally:
            self._pause()


class _Goals:
    """What the calls through the sidecar have to reach of one service port."""

    def __init__(self, kinds: Kinds, cells: Collection[Cell]) -> None:
        self._kinds = kinds
        self._owns = {cell.subset: cell.own for cell in cells}
        self._families = sorted({family(address) for address in kinds.service.addresses} - {0})
        self._goals = list(dict.fromkeys(self._of(kinds, cells)))

    def _of(self, kinds: Kinds, cells: Iterable[Cell]) -> Iterable[_Goal]:
        for part in kinds.parts(cells):
            point, number = part.key
            yield point, number if self._by_family else 0, part.own

    @property
    def _by_family(self) -> bool:
        return self._kinds.headless or len(self._families) > 1

    def own(self, subset: str) -> str:
        """Part.own of a subset's cluster."""
        return self._owns.get(subset, subset)

    def next(self, heard: Heard) -> _Goal | None:
        """A goal that was not reached yet and can be, None when there is none."""
        if heard.stopped:
            return None
        reached = {goal for goal, _pod, mesh in heard.hits if mesh.tells}
        called = {key[0] for key in heard.plain}
        goals = [goal for goal in self._goals if goal[0] in called]
        if self._kinds.headless:  # the caller chooses the endpoint, so one call to each is enough
            return goals[heard.tries] if heard.tries < len(goals) else None
        rest = [goal for goal in goals if goal not in reached]
        if heard.counters is not None:
            rest = [goal for goal in rest if goal[0] in heard.listed]
            if heard.tries >= min(_MOST_TRIES, _TRIES * len(heard.counters.hosts)):
                return None
        return rest[heard.tries % len(rest)] if rest else None

    def way(self, heard: Heard, goal: _Goal) -> tuple[int, str]:
        """The family of addresses to call by, and the address that the host's name should mean."""
        if self._kinds.headless:
            spots = heard.kinds.spots
            return 0, next((spot.address for spot in spots if spot.key == (goal[0], goal[1]) and spot.address), "")
        return goal[1], ""
