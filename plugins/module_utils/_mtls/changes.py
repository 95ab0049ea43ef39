# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which calls differ between two meshes: before a change and after it, and once pods have restarted. Pure: engines in, changes out.

Two lists of `Engine.calls` cannot be compared entry by entry: `*` stands for other workloads in each of them, and a workload that loses
its sidecar is no client of a list any more, though it goes on calling. So the calls of each workload are compared, and the result is made
short again afterwards.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.engine import Engine, PortCalls
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.rules import RuleCode
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.verdict import (
    ANYBODY,
    WITHOUT_SIDECAR,
    Call,
    Verdict,
    badness,
)


class Direction(StrEnum):
    """Which way a call changes, the worst first. ADDED and REMOVED are calls of which there is nothing to compare."""

    BROKEN = "broken"
    WEAKER = "weaker"
    UNKNOWN = "unknown"
    ADDED = "added"
    REMOVED = "removed"
    STRONGER = "stronger"
    FIXED = "fixed"
    SAME = "same"


_RANK = {direction: number for number, direction in enumerate(Direction)}
_ENCRYPTED = frozenset({Verdict.STRICT, Verdict.ENCRYPTED_NOT_ENFORCED})


def direction(client: str, before: Call | None, after: Call | None) -> Direction:
    """Which way the call of a client changes. For callers without a sidecar it is good to be refused."""
    if after is None:
        return Direction.SAME if before is None else Direction.REMOVED
    old, new = before.verdict if before else None, after.verdict
    if old is new:
        return Direction.SAME
    refused = new is Verdict.BROKEN and client != WITHOUT_SIDECAR
    if before is None or before.rule is RuleCode.NO_ENDPOINTS or old is None:
        if new is Verdict.UNKNOWN and after.rule is not RuleCode.NO_ENDPOINTS:
            return Direction.UNKNOWN
        return Direction.BROKEN if refused else Direction.ADDED
    if new is Verdict.UNKNOWN:
        return Direction.UNKNOWN
    if refused:
        return Direction.BROKEN
    if (
        old is Verdict.BROKEN and client != WITHOUT_SIDECAR
    ):  # what passes now may be plain text, which did not pass before
        return Direction.FIXED if new in _ENCRYPTED else Direction.WEAKER
    return Direction.WEAKER if badness(new, client) > badness(old, client) else Direction.STRONGER


@dataclass(frozen=True, slots=True)
class Change:
    """A call that differs. `before` and `after` are None where there is no such call.

    `restarted` is the call once all pods have restarted, with `restarts` if it differs from `after`. `same_for` are meshed workloads of
    which the entry of `*` does not speak, because nothing changes for them.
    """

    client: str
    service: str
    port: int
    before: Call | None
    after: Call | None
    restarted: Call | None = None
    restarts: bool = False
    same_for: tuple[str, ...] = ()

    @property
    def now(self) -> Direction:
        """Which way the call changes while pods stay as they are."""
        return direction(self.client, self.before, self.after)

    @property
    def later(self) -> Direction:
        """Which way the call has changed once pods have restarted."""
        return direction(self.client, self.before, self.restarted) if self.restarts else self.now

    @property
    def order(self) -> tuple[Any, ...]:
        """Sort key: the worst first."""
        place = (self.service, self.port, self.client not in (ANYBODY, WITHOUT_SIDECAR), self.client)
        return min(_RANK[self.now], _RANK[self.later]), *place

    @property
    def told(self) -> str:
        """The change in a few words."""
        old, new = (str(call.verdict) if call else "no call" for call in (self.before, self.after))
        words = f"{self.client} -> {self.service}:{self.port} {old} -> {new}"
        if self.restarts:
            words += f", {self.restarted.verdict if self.restarted else 'no call'} after a restart"
        return words

    def as_dict(self) -> dict[str, Any]:
        """The change as modules return it: plain strings, because Ansible takes no subclasses of str."""
        restarted = {"direction": str(self.later), **(_side(self.restarted) or {})} if self.restarts else None
        return {
            "client": self.client,
            "service": self.service,
            "port": self.port,
            "direction": str(self.now),
            "before": _side(self.before),
            "after": _side(self.after),
            "after_restart": restarted,
            "same_for": list(self.same_for),
        }


def _side(call: Call | None) -> dict[str, Any] | None:
    if call is None:
        return None
    told = call.as_dict()
    names = (
        "verdict",
        "reason",
        "rule",
        "client_mode",
        "server_mode",
        "server_policy",
        "client_policy",
        "backends",
        "subset",
    )
    return {name: told[name] for name in names}


@dataclass(frozen=True, slots=True)
class Comparison:
    """What was compared: the changes, how many calls were looked at, and how many of them are unknown on both sides."""

    changes: tuple[Change, ...]
    compared: int
    unknown: int


_Place = tuple[str, int, str, int]  # service, port, transport protocol, and which of several services of one name


class _Side:
    """One of the meshes that are compared: the calls to its ports, and the classes of each workload."""

    def __init__(self, engine: Engine) -> None:
        self.ports: dict[_Place, PortCalls] = {}
        for port in engine.port_calls():
            alike = (
                key for key in itertools.count() if (port.service, port.port, port.transport, key) not in self.ports
            )
            self.ports[(port.service, port.port, port.transport, next(alike))] = port
        self.classes: dict[str, list[int]] = {}
        for index, (_client, names) in enumerate(engine.classes.values()):
            for name in names:
                self.classes.setdefault(name, []).append(index)
        self.bare = {group.key for group in engine.mesh.groups if not group.meshed}

    def which(self, name: str) -> tuple[tuple[int, ...], bool]:
        """What decides on the calls of a workload: its classes, and whether it has pods without a proxy."""
        return tuple(self.classes.get(name, ())), name in self.bare


_Which = tuple[tuple[tuple[int, ...], bool], ...]


def compared(before: Engine, after: Engine, restarted: Engine | None = None) -> Comparison:
    """The calls that differ. `restarted` is None when a restart changes nothing further."""
    sides = [_Side(before), _Side(after)]
    if restarted is not None:
        sides.append(_Side(restarted))
    alike: dict[_Which, list[str]] = {}
    for name in sorted({name for side in sides for name in side.classes}):
        alike.setdefault(tuple(side.which(name) for side in sides), []).append(name)
    found: list[Change] = []
    looked, unknown = 0, 0
    for place in dict.fromkeys(place for side in sides for place in side.ports):
        ports = [side.ports.get(place) for side in sides]
        changes, more, blank = _of_port(place[:2], ports, alike)
        found += changes
        looked, unknown = looked + more, unknown + blank
    return Comparison(tuple(sorted(found, key=lambda change: change.order)), looked, unknown)


def _of_port(
    place: tuple[str, int], ports: Sequence[PortCalls | None], alike: dict[_Which, list[str]]
) -> tuple[list[Change], int, int]:
    """Changes of a service port, how many calls were compared, and how many of them are unknown on all sides."""
    star = [port.star if port else None for port in ports]
    plain = [port.plain if port else None for port in ports]
    fixed = [(ANYBODY, star), (WITHOUT_SIDECAR, plain)]
    found = [_change(client, place, calls) for client, calls in fixed if _differ(calls)]
    looked = len(fixed)
    unknown = sum(_blank(calls) for _client, calls in fixed)
    same: list[str] = []
    for which, names in alike.items():
        calls = [_of_workload(one, port, names[0]) for one, port in zip(which, ports, strict=True)]
        looked += len(names)
        unknown += len(names) * _blank(calls)
        if _verdicts(calls) == _verdicts(star):
            continue
        if _differ(calls) and not _usual(calls, star):
            found += [_change(name, place, calls) for name in names]
        elif not _differ(calls):
            same += names
    if same and _differ(star):
        found[0] = _change(ANYBODY, place, star, tuple(sorted(same)))
    return found, looked, unknown


def _of_workload(which: tuple[tuple[int, ...], bool], port: PortCalls | None, name: str) -> Call | None:
    """The call of a workload; of pods with and without a sidecar, or of several classes, the worst."""
    if port is None:
        return None
    indices, bare = which
    calls = [port.classes[index] for index in indices] + ([port.plain] if bare else [])
    return max(calls, key=lambda call: badness(call.verdict, name), default=None)


def _usual(calls: Sequence[Call | None], star: Sequence[Call | None]) -> bool:
    """Whether a workload or a service port that comes or goes is nothing to tell of besides the entries of `*`, as in `Engine.calls`."""
    there = [(call, usual) for call, usual in zip(calls, star, strict=True) if call is not None]
    if len(there) == len(calls):
        return False
    return all(
        call.rule is RuleCode.NOT_VISIBLE or (usual is not None and call.verdict is usual.verdict)
        for call, usual in there
    )


def _verdicts(calls: Iterable[Call | None]) -> list[Verdict | None]:
    return [call.verdict if call else None for call in calls]


def _differ(calls: Iterable[Call | None]) -> bool:
    return len(set(_verdicts(calls))) > 1


def _blank(calls: Iterable[Call | None]) -> bool:
    """Whether nothing is known of a call on any side. A service without endpoints is no matter of reading."""
    return all(
        call is not None and call.verdict is Verdict.UNKNOWN and call.rule is not RuleCode.NO_ENDPOINTS
        for call in calls
    )


def _change(
    client: str, place: tuple[str, int], calls: Sequence[Call | None], same_for: tuple[str, ...] = ()
) -> Change:
    restarts = len(calls) > 2 and _differ(calls[1:])
    return Change(client, *place, calls[0], calls[1], calls[2] if restarts else None, restarts, same_for)


def failing(changes: Iterable[Change], fail_on: Collection[str]) -> Iterator[Change]:
    """The changes that a check must not let pass.

    A call that was known and is unknown now may be weaker and may be broken: it fails a check on either.
    """
    refused = {*fail_on, *([Direction.UNKNOWN] if fail_on else [])}
    for change in changes:
        if not refused.isdisjoint({change.now, change.later}):
            yield change
