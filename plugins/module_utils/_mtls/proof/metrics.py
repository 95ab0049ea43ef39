# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Istio's own metrics as evidence: the share of plain text by caller. Pure: series in, calls with evidence out.

Only series that the destination reports are used: at the source `connection_security_policy` is `unknown` by design (istio#42853). The
metric has no port, so it is evidence for all ports of a service. No series is no evidence.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.model import Sent
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.verdict import (
    ANYBODY,
    WITHOUT_SIDECAR,
    Call,
    Proof,
    Verdict,
)

_BY = (
    "source_workload, source_workload_namespace, destination_service_name, destination_service_namespace, "
    "connection_security_policy"
)
METRICS = ("istio_requests_total", "istio_tcp_connections_opened_total")
MUTUAL, NONE = "mutual_tls", "none"


@dataclass(frozen=True, slots=True)
class Traffic:
    """Calls of one caller to a service within the window, by the security of their connection."""

    mutual: float = 0.0
    plain: float = 0.0


def queries(window: int) -> list[str]:
    """One query for each metric; `window` is in seconds."""
    return [f'sum by ({_BY}) (increase({metric}{{reporter="destination"}}[{window}s]))' for metric in METRICS]


def traffic(series: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str], Traffic]:
    """(service `ns/name`, caller `ns/workload` or `unknown/unknown`) -> its calls. A value that is not a number is left out."""
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
        caller = f"{labels.get('source_workload_namespace') or 'unknown'}/{labels.get('source_workload') or 'unknown'}"
        old = found.get((service, caller), Traffic())
        if policy == MUTUAL:
            found[(service, caller)] = replace(old, mutual=old.mutual + amount)
        else:
            found[(service, caller)] = replace(old, plain=old.plain + amount)
    return found


def _sum(parts: Iterable[Traffic]) -> Traffic:
    parts = list(parts)
    return Traffic(sum(part.mutual for part in parts), sum(part.plain for part in parts))


def with_evidence(calls: Iterable[Call], found: Mapping[tuple[str, str], Traffic]) -> list[Call]:
    """Calls with their evidence: CLAIMED when the metrics agree with the verdict, VIOLATED when both cannot be true."""
    by_service: dict[str, dict[str, Traffic]] = {}
    for (service, caller), amounts in found.items():
        by_service.setdefault(service, {})[caller] = amounts
    return [_judged(call, by_service.get(call.service, {})) for call in calls]


def _judged(call: Call, callers: Mapping[str, Traffic]) -> Call:
    if call.client == WITHOUT_SIDECAR:
        traffic = _sum(callers.values())
        if traffic.plain and call.verdict is Verdict.BROKEN:
            return replace(call, proof=Proof.VIOLATED, evidence=_words(traffic))
        return replace(call, evidence=_words(traffic)) if traffic.plain else call
    if call.client == ANYBODY:
        traffic = _sum(amounts for caller, amounts in callers.items() if not caller.startswith("unknown/"))
    else:
        traffic = callers.get(call.client, Traffic())
    if not traffic.mutual and not traffic.plain:
        return call
    works = call.verdict is not Verdict.BROKEN
    mutual = works and call.client_mode is Sent.MTLS and not traffic.plain
    plain = works and call.client_mode is Sent.PLAINTEXT and not traffic.mutual
    if mutual or plain:
        return replace(call, proof=Proof.CLAIMED, evidence=_words(traffic))
    if call.client_mode is Sent.UNKNOWN or call.verdict is Verdict.UNKNOWN:
        return replace(call, evidence=_words(traffic))
    # Calls by another path (another port, a rule that changed within the window) are counted here too. The evidence says what was seen.
    return replace(call, proof=Proof.VIOLATED, evidence=_words(traffic))


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
