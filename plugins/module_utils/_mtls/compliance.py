# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a mesh is as demanded: levels by namespace, exceptions, and what does not meet them. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never

from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.advice import Adviser
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.engine import Engine
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.envoy_filters import accepting
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.findings import About, Finding, finding
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.model import Group, Mode, Proxy
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.rules import CheckCode
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.verdict import (
    ANYBODY,
    WITHOUT_SIDECAR,
    Call,
    Proof,
    Verdict,
)

_ENCRYPTED = frozenset({Verdict.STRICT, Verdict.ENCRYPTED_NOT_ENFORCED})


class Level(StrEnum):
    """What is demanded of a namespace. STRICT: plain text is refused too. PERMISSIVE: meshed calls are mutual TLS."""

    STRICT = "strict"
    PERMISSIVE = "permissive"


@dataclass(frozen=True, slots=True)
class Excepted:
    """An accepted deviation: a service or workload (`ns/name`), both empty for all; `port` 0 for all; `client` empty for all."""

    service: str = ""
    workload: str = ""
    port: int = 0
    client: str = ""
    reason: str = ""

    @property
    def told(self) -> str:
        """The exception as a user wrote it, without its reason."""
        parts = (("service", self.service), ("workload", self.workload), ("port", self.port), ("client", self.client))
        return ", ".join(f"{name} {value}" for name, value in parts if value)

    def covers(self, call: Call) -> bool:
        """Whether a call is meant."""
        named = self.service == call.service or (bool(self.workload) and self.workload in call.backends)
        named = named or not (self.service or self.workload)
        return named and self.port in (0, call.port) and self.client in ("", call.client)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is demanded: namespace to level, `*` for all other namespaces, and what is excepted."""

    levels: Mapping[str, Level]
    exceptions: Sequence[Excepted] = ()

    def level(self, namespace: str) -> Level | None:
        """The level that a namespace must have, None when nothing is demanded of it."""
        return self.levels.get(namespace, self.levels.get("*"))

    def foreign(self, call: Call) -> bool:
        """Whether a call's client is a workload of a namespace of which nothing is demanded."""
        return call.client not in (ANYBODY, WITHOUT_SIDECAR) and self.level(call.client.partition("/")[0]) is None

    def concerned(self, namespaces: frozenset[str] | None) -> bool:
        """Whether something is demanded of one of some namespaces, None for all of them."""
        if namespaces is None:
            return bool(self.levels)
        return any(self.level(name) for name in namespaces)

    def excepted(self, call: Call) -> str:
        """Why a call is excepted, empty when it is not."""
        return next((entry.reason or "listed" for entry in self.exceptions if entry.covers(call)), "")


def unused(engine: Engine, calls: Iterable[Call], wanted: Wanted) -> list[Finding]:
    """Exceptions that no call and no workload of the whole mesh matches: a name that is misspelt excepts nothing, and says so."""
    left = [
        entry for entry in wanted.exceptions if not any(group.key == entry.workload for group in engine.mesh.groups)
    ]
    for call in calls:
        left = [entry for entry in left if not entry.covers(call)]
        if not left:
            return []
    return [finding(CheckCode.EXCEPTION_UNUSED, f"Exception {entry.told}", "it excepts nothing") for entry in left]


ServicePort = tuple[str, int]  # `namespace/name` and port


def refusing(calls: Iterable[Call]) -> frozenset[ServicePort]:
    """Service ports of which every endpoint refuses plain text, unless a proof says otherwise."""
    return frozenset(
        (call.service, call.port)
        for call in calls
        if call.client == WITHOUT_SIDECAR and call.verdict is Verdict.BROKEN and call.proof is not Proof.VIOLATED
    )


def deviation(call: Call, wanted: Wanted, refuses: Collection[ServicePort]) -> tuple[str, str]:
    """Why a call is not as demanded, and why that is accepted. Both are empty for a call that is as demanded.

    `refuses` is what `refusing` says of the whole mesh. Where plain text is refused, a workload of a namespace of which nothing is demanded
    gets in with mutual TLS or not at all, so it breaks no demand, whatever it sends.
    """
    level = wanted.level(call.namespace)
    if level is None or (wanted.foreign(call) and (call.service, call.port) in refuses):
        return "", ""
    why = _deviation(call, level)
    return why, wanted.excepted(call) if why else ""


def _deviation(call: Call, level: Level) -> str:
    if call.rule and call.rule.entry.undemandable:
        return ""
    refused = call.server_mode is Mode.STRICT and call.verdict is Verdict.BROKEN
    match level:
        case Level.STRICT:
            if call.client == WITHOUT_SIDECAR:
                return "" if refused else "a caller without a sidecar is not refused"
            good = call.verdict is Verdict.STRICT
        case Level.PERMISSIVE:
            good = call.client == WITHOUT_SIDECAR or call.verdict in _ENCRYPTED
        case _:
            assert_never(level)
    return "" if good else f"the verdict is {call.verdict}"


def violations(engine: Engine, calls: Iterable[Call], wanted: Wanted) -> list[Finding]:
    """Calls that are not as demanded, and workloads that accept plain text on a port of no service. `calls` are those of the whole mesh."""
    found = []
    everything = list(calls)
    refuses = refusing(everything)
    adviser = Adviser(engine)
    for call in everything:
        why, excepted = deviation(call, wanted, refuses)
        if why and not excepted:
            what = f"{wanted.level(call.namespace)} is demanded and {why} (client {call.client}): {call.reason}"
            change = adviser.for_call(call)
            known = call.verdict is not Verdict.UNKNOWN
            found.append(
                finding(CheckCode.NOT_COMPLIANT, call.object, what, change=change, about=About.CALL, known=known)
            )
    listed = {entry.workload for entry in wanted.exceptions if not entry.port}
    for group in engine.mesh.groups:
        own_rules = group.kind in (Proxy.GATEWAY, Proxy.WAYPOINT)  # they do not read PeerAuthentication
        if wanted.level(group.namespace) is Level.STRICT and group.key not in listed and not own_rules:
            found += _of_workload(engine, group, wanted, adviser)
    return list(dict.fromkeys(found))


def _of_workload(engine: Engine, group: Group, wanted: Wanted, adviser: Adviser) -> list[Finding]:
    name = f"Workload {group.key}"
    if not group.meshed:
        why = f"strict is demanded and its pods have no sidecar: {group.why or 'hostNetwork'}"
        change = adviser.for_workload(group)
        return [finding(CheckCode.NOT_COMPLIANT, name, why, change=change, about=About.WORKLOAD)]
    found = []
    for port, mode in sorted(other_ports(engine, group).items()):
        excepted = any(e.workload == group.key and e.port == port for e in wanted.exceptions)
        if mode is not Mode.STRICT and not excepted:
            where = f"container port {port} accepts" if port else "ports of no service accept"
            what = f"strict is demanded and {where} {mode}"
            change = "Set mode STRICT, or list the workload as an exception."
            known = mode is not Mode.UNKNOWN
            found.append(finding(CheckCode.NOT_COMPLIANT, name, what, change=change, about=About.WORKLOAD, known=known))
    return found


def other_ports(engine: Engine, group: Group) -> dict[int, Mode]:
    """Modes of the ports that a workload's policy names, and under 0 the mode of all ports that no service offers."""
    config = engine.mesh.config_of(group)
    unclear = group.capture.unclear or accepting(engine.mesh, group) or group.kind is Proxy.PROXYLESS
    if "PeerAuthentication" in engine.mesh.missing or unclear:
        return {0: Mode.UNKNOWN}
    own = engine.policies.candidates(config, group.namespace, group.labels).workload
    judge = engine.policies.ambient_mode if group.kind is Proxy.AMBIENT else engine.policies.mode
    ports = {0, *(own.ports if own else ())}
    return {port: judge(config, group.namespace, group.labels, port).mode for port in ports}
