# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Warnings that Kubernetes reported, grouped by object and reason. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._kube.diagnosis import event_time
from ansible_collections.servicemesh.platform.plugins.module_utils._mesh.diagnose.codes import DiagnosisCode
from ansible_collections.servicemesh.platform.plugins.module_utils._mesh.diagnose.findings import (
    Finding,
    Obj,
    counted,
    finding,
)

_LONGEST = 300  # characters of a message


def rows(events: Iterable[Obj], now: float, window: float) -> list[dict[str, Any]]:
    """Warnings of the last `window` seconds before `now` (Unix seconds), the newest first: one row for an object and reason."""
    grouped: dict[tuple[str, str, str, str], list[Obj]] = {}
    for event in events:
        about = event.get("involvedObject") or {}
        if now - event_time(event).timestamp() <= window:
            key = tuple(
                str(part or "")
                for part in (about.get("namespace"), about.get("kind"), about.get("name"), event.get("reason"))
            )
            grouped.setdefault(key, []).append(event)  # type: ignore[arg-type]  # four texts
    made = []
    for (namespace, kind, name, reason), same in grouped.items():
        last = max(same, key=event_time)
        made.append(
            {
                "namespace": namespace,
                "object": f"{kind} {name}",
                "reason": reason,
                "count": sum(_count(event) for event in same),
                "last": event_time(last).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
                "message": str(last.get("message") or "").strip()[:_LONGEST],
            }
        )
    return sorted(made, key=lambda row: (row["last"], row["object"], row["reason"]), reverse=True)


def _count(event: Obj) -> int:
    return int(event.get("count") or (event.get("series") or {}).get("count") or 1)


def events_findings(found: Iterable[dict[str, Any]]) -> list[Finding]:
    """One finding for each reason in a namespace: what is wrong is told by the pods and objects themselves."""
    reasons: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in found:
        reasons.setdefault((row["namespace"], row["reason"]), []).append(row)
    return [
        finding(
            DiagnosisCode.WARNING_EVENTS,
            f"Namespace {namespace}" if namespace else "Cluster",
            f"{reason}: {counted(sum(row['count'] for row in same), 'event')} about {counted(len(same), 'object')}, last {same[0]['last']} "
            f"about {same[0]['object']}: {same[0]['message']}",
            namespace=namespace,
        )
        for (namespace, reason), same in reasons.items()
    ]
