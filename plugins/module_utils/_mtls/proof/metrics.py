# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Istio's own metrics say of calls: share of plain text by caller. Pure: series in, calls with evidence out.

Only what the destination reports counts: at the source `connection_security_policy` is `unknown` by design (istio#42853). The metric knows
no port, so it speaks for all ports of a service. No series is no evidence.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.verdict import (
    ANYBODY,
    BROKEN,
    WITHOUT_SIDECAR,
    Call,
)

_BY = (
    "source_workload, source_workload_namespace, destination_service_name, destination_service_namespace, "
    "connection_security_policy"
)
METRICS = ("istio_requests_total", "istio_tcp_connections_opened_total")
MUTUAL, NONE = "mutual_tls", "none"


@dataclass(frozen=True, slots=True)
class Traffic:
    """Calls of one caller to a service within the window, by what their connection had."""

    mutual: float = 0.0
    plain: float = 0.0


def queries(window: int) -> list[str]:
    """One query a metric; `window` in seconds."""
    return [f'sum by ({_BY}) (increase({metric}{{reporter="destination"}}[{window}s]))' for metric in METRICS]


def traffic(series: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str], Traffic]:
    """(service `ns/name`, caller `ns/workload` or `unknown/unknown`) -> its calls. What is no number is left out."""
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
    """Calls with what the metrics say: `claimed` when they agree with the verdict, `violated` when they cannot both be true."""
    by_service: dict[str, dict[str, Traffic]] = {}
    for (service, caller), amounts in found.items():
        by_service.setdefault(service, {})[caller] = amounts
    return [_judged(call, by_service.get(call.service, {})) for call in calls]


def _judged(call: Call, callers: Mapping[str, Traffic]) -> Call:
    if call.client == WITHOUT_SIDECAR:
        seen = _sum(callers.values())
        if seen.plain and call.verdict == BROKEN:
            return replace(call, proof="violated", evidence=_words(seen))
        return replace(call, evidence=_words(seen)) if seen.plain else call
    if call.client == ANYBODY:
        seen = _sum(amounts for caller, amounts in callers.items() if not caller.startswith("unknown/"))
    else:
        seen = callers.get(call.client, Traffic())
    if not seen.mutual and not seen.plain:
        return call
    mutual = call.client_mode == "mtls" and call.verdict != BROKEN
    plain = call.client_mode == "plaintext" and call.verdict != BROKEN
    if (mutual and not seen.plain) or (plain and not seen.mutual):
        return replace(call, proof="claimed", evidence=_words(seen))
    if call.client_mode == "unknown" or call.verdict == "unknown":
        return replace(call, evidence=_words(seen))
    # Calls through another path (another port, a rule that changed within the window) count here too: told as it is.
    return replace(call, proof="violated", evidence=_words(seen))


def _words(seen: Traffic) -> str:
    share = seen.plain / (seen.plain + seen.mutual)
    return f"metrics: {seen.mutual:.0f} calls with mutual TLS, {seen.plain:.0f} in plain text ({share:.1%})"


def rows(found: Mapping[tuple[str, str], Traffic]) -> list[dict[str, Any]]:
    """Callers by service, those with plain text first: who would break under STRICT."""
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
