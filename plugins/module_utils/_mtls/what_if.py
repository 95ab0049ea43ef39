# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What would break if a namespace or the mesh were STRICT. Pure.

AuthorizationPolicies and NetworkPolicies, which may refuse a call anyway, are not looked at.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from enum import StrEnum
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.callers import Callers, NamedCall
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.cells import PAST_THE_MESH
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.engine import Engine
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.model import (
    Endpoint,
    Mesh,
    MissingCause,
    Mode,
    Policy,
    Port,
    Proxy,
    Sent,
    Service,
    ServiceKind,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.verdict import (
    ANYBODY,
    WITHOUT_SIDECAR,
    Call,
    Verdict,
    verdict,
)

_LOOKED_AT = (
    "calls of meshed workloads, to services that are hidden from them as well",
    "calls that do not pass the caller's own sidecar",
    "workloads without a sidecar",
    "probes and hooks of the kubelet",
    "init containers of pods with a sidecar",
    "scrapes by annotations of pods and Services",
    "node ports, load balancers, external IPs and host ports",
)


class Answer(StrEnum):
    """The answer in a word. NOTHING_FOUND needs everything to have been read; UNKNOWN names in the result what is not known."""

    BREAKS = "breaks"
    NOTHING_FOUND = "nothing_found"
    UNKNOWN = "unknown"


def made_strict(mesh: Mesh, names: Collection[str], whole_mesh: bool) -> Mesh:
    """The mesh with mode STRICT in the policies of namespaces, or of the mesh. A policy that is not there is added."""
    roots = {config.root_namespace for config in (mesh.config, *mesh.configs.values())} if whole_mesh else set()
    policies = sorted(mesh.policies, key=lambda entry: entry.age)
    for place in dict.fromkeys((*names, *sorted(roots))):
        index = next((n for n, p in enumerate(policies) if p.namespace == place and not p.selector), None)
        if index is None:
            policies.append(Policy(place, "what-if", mode=Mode.STRICT))
        else:
            policies[index] = replace(policies[index], mode=Mode.STRICT)
    return replace(mesh, policies=tuple(policies))


def what_if(
    engine: Engine,
    calls: Iterable[Call],
    names: Collection[str],
    whole_mesh: bool,
    callers: Callers | None = None,
) -> dict[str, Any]:
    """What would break if namespaces or the mesh were STRICT.

    `breaks` are calls of meshed callers, those to services that are hidden from them included; `refuses` are service ports that would start
    to refuse callers without a sidecar, `callers` the workloads that have none, and `possible_callers` others without one. `named_callers`
    are calls of which an object names the target, and `probes` requests of the kubelet. `unknown` are calls of which it is not known.
    """
    callers = callers or Callers()
    change = _Change(engine, names, whole_mesh)
    breaks, unknown = change.calls(calls, callers)
    refuses = change.refuses()
    bare = sorted({group.key for group in engine.mesh.groups if not group.meshed})
    probes = change.probes()
    named = [row for call in callers.named for row in change.named(call)]
    not_looked_at = [*_unread(engine.mesh), *_unread_places(engine.mesh, names), *callers.not_looked_at]
    found: dict[str, Any] = {
        "namespaces": sorted(names),
        "mesh": whole_mesh,
        "breaks": breaks,
        "unknown": unknown,
        "refuses": refuses,
        "callers": bare,
        "named_callers": sorted(named, key=lambda row: (row["kind"], row["caller"], row["target"], row["port"])),
        "possible_callers": [
            {"kind": str(entry.kind), "caller": entry.caller, "reason": entry.reason} for entry in callers.possible
        ],
        "probes": probes,
        "looked_at": [*_LOOKED_AT, *callers.looked_at],
        "not_looked_at": not_looked_at,
    }
    broken = breaks or any(row["verdict"] == Verdict.BROKEN for row in (*named, *probes))
    open_ = unknown or named or probes or not_looked_at or (refuses and (bare or callers.possible))
    answer = Answer.BREAKS if broken else Answer.UNKNOWN if open_ else Answer.NOTHING_FOUND
    return {"verdict": str(answer), **found}


def _unread(mesh: Mesh) -> list[str]:
    found = [
        f"{kind}: {why.text}"
        for kind, why in sorted(mesh.missing.items())
        if why.cause is not MissingCause.NOT_INSTALLED
    ]
    unknown = sorted({c.revision for c in (mesh.config, *mesh.configs.values()) if not c.known})
    return found + [f"MeshConfig: that of revision {revision} could not be read" for revision in unknown]


def _unread_places(mesh: Mesh, names: Collection[str]) -> list[str]:
    """Namespaces of which there is nothing, when it could not be read which namespaces there are."""
    known = {*mesh.namespaces, *(group.namespace for group in mesh.groups), *(one.namespace for one in mesh.services)}
    return [f"namespace {name}: nothing of it was read" for name in sorted(set(names) - known)]


class _Change:
    """A mesh as it is, and the same with STRICT."""

    def __init__(self, engine: Engine, names: Collection[str], whole_mesh: bool) -> None:
        mesh = engine.mesh
        self.now, self.strict = engine, Engine(made_strict(mesh, names, whole_mesh))
        roots = {config.root_namespace for config in (mesh.config, *mesh.configs.values())}
        self._names = None if whole_mesh or roots & set(names) else set(names)  # None: the change is for all namespaces
        self._by_host = {service.host: service for service in mesh.services}
        self._ports = {(one.key, port.number): (one, port) for one in mesh.services for port in self._offered(one)}

    def _offered(self, service: Service) -> tuple[Port, ...]:
        target = self._by_host.get(service.target, service) if service.kind is ServiceKind.ALIAS else service
        return target.ports or service.ports

    def _concerns(self, namespace: str) -> bool:
        return self._names is None or namespace in self._names

    def turns(self, endpoint: Endpoint, number: int) -> bool:
        """Whether an endpoint begins to refuse what has no certificate of the mesh."""
        return self.strict.cells.accepts(endpoint, number).mode is Mode.STRICT and not self._is_strict(endpoint, number)

    def _is_strict(self, endpoint: Endpoint, number: int) -> bool:
        return self.now.cells.accepts(endpoint, number).mode is Mode.STRICT

    def unclear(self, endpoint: Endpoint, number: int, namespace: str) -> bool:
        """Whether it is not known what an endpoint of a namespace accepts, and a policy might decide on it. Gateways read none."""
        group = self.now.mesh.groups[endpoint.pods] if endpoint.pods is not None else None
        if group is not None and group.kind is Proxy.GATEWAY:
            return False
        if not self._concerns(group.namespace if group else endpoint.namespace or namespace):
            return False
        return self.strict.cells.accepts(endpoint, number).mode is Mode.UNKNOWN

    def refuses(self) -> list[dict[str, Any]]:
        """Service ports of which an endpoint begins to refuse plain text, whatever the others do."""
        rows = []
        for (key, number), (_service, port) in sorted(self._ports.items()):
            turning = [point for point in port.endpoints if self.turns(point, number)]
            if turning and port.protocol not in PAST_THE_MESH:
                was = verdict(Sent.PLAINTEXT, self.now.cells.accepts(turning[0], number).mode)
                rows.append({"service": key, "port": number, "was": str(was)})
        return rows

    def calls(self, calls: Iterable[Call], callers: Callers) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """Rows of the calls that break, and of those of which that is not known."""
        before = _by_id(self.now, callers, calls)
        later = _by_id(self.strict, callers, self.strict.calls())

        def of(found: dict[tuple[str, str, int], Call], key: tuple[str, str, int]) -> Call | None:
            return found.get(key) or found.get((ANYBODY, *key[1:]))

        breaks, unknown = [], []
        for key in sorted({*before, *later}):
            old, new = of(before, key), of(later, key)
            if old is None or new is None:
                continue
            row = {**replace(new, client=key[0]).as_dict(), "was": str(old.verdict)}
            if new.verdict is Verdict.UNKNOWN:
                if self._open(new):
                    unknown.append(row)
            elif key[0] != WITHOUT_SIDECAR and new.verdict is Verdict.BROKEN and self._newly(key, old):
                breaks.append(row)
        return breaks, unknown

    def _newly(self, key: tuple[str, str, int], old: Call) -> bool:
        """Whether a call that is broken with STRICT works now, or breaks at fewer of its endpoints."""
        if old.verdict is not Verdict.BROKEN:
            return True
        service, port = self._ports[key[1:]]
        if not any(self.turns(point, port.number) for point in port.endpoints):
            return False
        return not self.strict.broken(key[0], service, port) <= self.now.broken(key[0], service, port)

    def _open(self, call: Call) -> bool:
        """Whether STRICT may change a call of which the verdict is not known."""
        if (call.rule and call.rule.entry.undemandable) or (call.service, call.port) not in self._ports:
            return False
        service, port = self._ports[call.service, call.port]
        if not port.endpoints:
            return self._concerns(service.namespace)
        number, space = port.number, service.namespace
        return any(self.turns(point, number) or self.unclear(point, number, space) for point in port.endpoints)

    def named(self, call: NamedCall) -> Iterator[dict[str, Any]]:
        """The row of a call of which an object names the target, if STRICT breaks it or may do so."""
        outcomes = [self._outcome(call.sends, *point, call.target.partition("/")[0]) for point in call.points]
        for wanted in (Verdict.BROKEN, Verdict.UNKNOWN):
            was = [old for old, new in outcomes if new is wanted]
            if was:
                yield {
                    "kind": str(call.kind),
                    "caller": call.caller,
                    "target": call.target,
                    "port": call.port,
                    "was": str(was[0]),
                    "verdict": str(wanted),
                    "reason": call.reason,
                }
                return

    def _outcome(self, sends: Sent, endpoint: Endpoint, number: int, namespace: str) -> tuple[Verdict, Verdict | None]:
        """What becomes of a call at an endpoint now, and with STRICT if that is worse: `broken`, `unknown`, or None."""
        old = self.now.cells.received(sends, endpoint, number)
        if old is Verdict.BROKEN:
            return old, None
        if self.unclear(endpoint, number, namespace):
            return old, Verdict.UNKNOWN
        return old, self.strict.cells.received(sends, endpoint, number) if self.turns(endpoint, number) else None

    def probes(self) -> list[dict[str, Any]]:
        """Requests of the kubelet, which has no sidecar, that a port would start to refuse, or of which that is not known."""
        rows = []
        for index, group in enumerate(self.now.mesh.groups):
            for port, probe in sorted(group.probes):
                _old, new = self._outcome(Sent.PLAINTEXT, Endpoint(port, index), port, group.namespace)
                if new is not None:
                    was = str(self.now.cells.accepts(Endpoint(port, index), port).mode)
                    rows.append({"workload": group.key, "port": port, "probe": probe, "was": was, "verdict": str(new)})
        return sorted(rows, key=lambda row: (row["workload"], row["port"], row["probe"]))


def _by_id(engine: Engine, callers: Callers, calls: Iterable[Call]) -> dict[tuple[str, str, int], Call]:
    """Calls of all meshed callers: the running ones, those to services that are hidden from them, and workloads that do not run."""
    found = {call.id: call for call in engine.hidden_calls()} | {call.id: call for call in calls}
    known = set(engine.classes)
    for group in callers.waiting:
        key, client = engine.client(group)
        if key in known:
            continue  # a running workload calls in the same way
        known.add(key)
        for service in engine.mesh.services:
            for port in service.ports if service.kind is not ServiceKind.ALIAS else ():
                call = engine.judge(client, group.key, service, port)
                star = found.get((ANYBODY, service.key, port.number))
                if star is None or (star.client_mode, star.verdict) != (call.client_mode, call.verdict):
                    found.setdefault(call.id, call)
    return found
