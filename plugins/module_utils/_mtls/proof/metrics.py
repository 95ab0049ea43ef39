# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Istio's own metrics as evidence: the share of plain text by caller. Pure: series in, calls with evidence out.

Only series that the destination reports are used: at the source `connection_security_policy` is `unknown` by design (istio#42853). The
metric has no port and no pod. A caller whose workload the destination does not know is known by its principal, which all workloads of a
service account share. So it agrees with a verdict only where it can be about nothing else: the service has one port, and each kind
of endpoint is all pods of a workload that has reported. What no proxy stands before reports nothing. No series is no evidence.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.model import Mesh, Sent, Service
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.proof.listener import expected_identity
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.rules import RuleCode
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.verdict import (
    ANYBODY,
    WITHOUT_SIDECAR,
    Call,
    Proof,
    Verdict,
)

_BY = (
    "source_workload, source_workload_namespace, source_principal, destination_service_name, destination_service_namespace, "
    "destination_workload, destination_workload_namespace, connection_security_policy"
)
METRICS = ("istio_requests_total", "istio_tcp_connections_opened_total")
MUTUAL, NONE = "mutual_tls", "none"
_UNKNOWN = "unknown"
_NOBODY = f"{_UNKNOWN}/{_UNKNOWN}"
_IDENTITY = "spiffe://"


@dataclass(frozen=True, slots=True)
class Traffic:
    """Calls of one caller to a service within the window, by the security of their connection. `to` are workloads that reported some."""

    mutual: float = 0.0
    plain: float = 0.0
    to: frozenset[str] = frozenset()


def queries(window: int) -> list[str]:
    """One query for each metric; `window` is in seconds."""
    return [f'sum by ({_BY}) (increase({metric}{{reporter="destination"}}[{window}s]))' for metric in METRICS]


def traffic(series: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str], Traffic]:
    """(service `ns/name`, caller) -> its calls. A caller is `ns/workload`, else its SPIFFE identity, else `unknown/unknown`.

    A value that is not a number is left out.
    """
    found: dict[tuple[str, str], Traffic] = {}
    for entry in series:
        labels = entry.get("metric") or {}
        try:
            amount = float((entry.get("value") or (0, "nan"))[1])
        except (TypeError, ValueError):
            continue
        policy = labels.get("connection_security_policy")
        if not math.isfinite(amount) or amount <= 0 or policy not in (MUTUAL, NONE):
            continue
        service = f"{labels.get('destination_service_namespace')}/{labels.get('destination_service_name')}"
        caller = _caller(labels)
        workload = f"{labels.get('destination_workload_namespace')}/{labels.get('destination_workload')}"
        new = (
            Traffic(amount, 0.0, frozenset({workload}))
            if policy == MUTUAL
            else Traffic(0.0, amount, frozenset({workload}))
        )
        found[(service, caller)] = _sum([found.get((service, caller), Traffic()), new])
    return found


def _caller(labels: Mapping[str, Any]) -> str:
    """The workload, or the identity of a caller whose proxy did not say which workload it is."""
    space, name = (str(labels.get(label) or _UNKNOWN) for label in ("source_workload_namespace", "source_workload"))
    identity = str(labels.get("source_principal") or "")
    if _UNKNOWN in (space, name):
        return identity if identity.startswith(_IDENTITY) else _NOBODY
    return f"{space}/{name}"


def _sum(parts: Iterable[Traffic]) -> Traffic:
    parts = list(parts)
    to = frozenset[str]().union(*(part.to for part in parts))
    return Traffic(sum(part.mutual for part in parts), sum(part.plain for part in parts), to)


_MUTUAL_ONLY = frozenset({Verdict.STRICT, Verdict.ENCRYPTED_NOT_ENFORCED})


@dataclass(frozen=True, slots=True)
class _Service:
    """What decides how far a service's metrics tell something about one of its calls.

    `needed` are the workloads that have to report before metrics agree with a verdict, None when they cannot tell the service's endpoints
    apart; `single` is whether it has one port and one kind of endpoint. `verdicts` are those on its TCP ports, by client. `identities` are
    the workloads in the mesh by SPIFFE identity.
    """

    needed: frozenset[str] | None = None
    single: bool = False
    verdicts: Mapping[str, frozenset[Verdict]] = field(default_factory=dict)
    identities: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def stands_for(self, caller: str, client: str) -> bool:
        """Whether all calls of a caller are calls of a client. What has an entry of its own is no part of `*`."""
        workloads = self.identities.get(caller, frozenset()) if caller.startswith(_IDENTITY) else {caller} - {_NOBODY}
        if client == ANYBODY:
            return bool(workloads) and workloads.isdisjoint(self.verdicts)
        return workloads == {client}

    def all_of(self, client: str) -> frozenset[Verdict]:
        """The verdicts on a client's calls to the service's ports."""
        general = frozenset() if client == WITHOUT_SIDECAR else self.verdicts.get(ANYBODY, frozenset())
        return self.verdicts.get(client, frozenset()) | general


def with_evidence(
    mesh: Mesh, calls: Iterable[Call], found: Mapping[tuple[str, str], Traffic], everything: Iterable[Call]
) -> list[Call]:
    """Calls with their evidence: CLAIMED when the metrics agree with the verdict, VIOLATED when both cannot be true.

    `everything` are the calls of the whole mesh: what a client with a call of its own sends says nothing about `*`, and what came to a
    service may have come to another of its ports.
    """
    by_service: dict[str, dict[str, Traffic]] = {}
    for (service, caller), amounts in found.items():
        by_service.setdefault(service, {})[caller] = amounts
    verdicts: dict[str, dict[str, frozenset[Verdict]]] = {}
    for call in everything:
        if call.service in by_service and call.rule is not RuleCode.UDP:
            known = verdicts.setdefault(call.service, {})
            known[call.client] = known.get(call.client, frozenset()) | {call.verdict}
    identities = _identities(mesh)
    services = {
        service.key: replace(_facts(mesh, service, verdicts.get(service.key, {})), identities=identities)
        for service in mesh.services
        if service.key in by_service
    }
    return [_judged(call, by_service.get(call.service, {}), services.get(call.service, _Service())) for call in calls]


def _identities(mesh: Mesh) -> dict[str, frozenset[str]]:
    """SPIFFE identity -> the workloads in the mesh that have it."""
    found: dict[str, set[str]] = {}
    for group in mesh.groups:
        if group.meshed:
            name = expected_identity(mesh.config_of(group).trust_domain, group.namespace, group.service_account)
            found.setdefault(name, set()).add(group.key)
    return {name: frozenset(keys) for name, keys in found.items()}


def _facts(mesh: Mesh, service: Service, verdicts: Mapping[str, frozenset[Verdict]]) -> _Service:
    points = [point for port in service.ports for point in port.endpoints]
    single = len(points) == len(service.ports) == 1
    groups = [mesh.groups[point.pods] for point in points if point.pods is not None]
    names = frozenset(group.key for group in groups)
    told_apart = len(groups) == len(points) == len(names) and all(group.meshed for group in groups)
    return _Service(names if names and told_apart and len(service.ports) == 1 else None, single, verdicts)


def _judged(call: Call, callers: Mapping[str, Traffic], service: _Service) -> Call:
    if call.client == WITHOUT_SIDECAR:
        traffic = _sum(callers.values())
        if traffic.plain and service.all_of(call.client) == {Verdict.BROKEN}:
            return replace(call, proof=Proof.VIOLATED, evidence=_words(traffic))
        return replace(call, evidence=_words(traffic)) if traffic.plain else call
    traffic = _sum(amounts for caller, amounts in callers.items() if service.stands_for(caller, call.client))
    if not traffic.mutual and not traffic.plain:
        return call
    works = call.verdict is not Verdict.BROKEN
    mutual = works and call.client_mode is Sent.MTLS and not traffic.plain
    plain = works and call.client_mode is Sent.PLAINTEXT and not traffic.mutual
    if mutual or plain:
        if service.needed is None or not service.needed <= traffic.to:
            return replace(call, evidence=f"{_words(traffic)}, which need not be those of each kind of endpoint")
        return replace(call, proof=Proof.CLAIMED, evidence=_words(traffic))
    if call.client_mode is Sent.UNKNOWN or call.verdict is Verdict.UNKNOWN:
        return replace(call, evidence=_words(traffic))
    # The worst endpoint is what the verdict is about, and calls may have come to another one, or to another port.
    refuted = service.single or (traffic.plain and service.all_of(call.client) <= _MUTUAL_ONLY)
    return replace(call, proof=Proof.VIOLATED if refuted else call.proof, evidence=_words(traffic))


def _words(traffic: Traffic) -> str:
    share = traffic.plain / (traffic.plain + traffic.mutual)
    return f"metrics: {traffic.mutual:.0f} calls with mutual TLS, {traffic.plain:.0f} in plain text ({share:.1%})"


def rows(found: Mapping[tuple[str, str], Traffic]) -> list[dict[str, Any]]:
    """Callers by service, those with the most plain text first: they would break under STRICT."""
    made = [
        {
            "service": service,
            "caller": caller,
            "mutual": round(amounts.mutual, 1),
            "plaintext": round(amounts.plain, 1),
            "share": round(amounts.plain / (amounts.plain + amounts.mutual), 4),
        }
        for (service, caller), amounts in found.items()
    ]
    return sorted(made, key=lambda row: (-row["share"], row["service"], row["caller"]))
