# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Failing calls between workloads, from Istio's standard metrics in Prometheus. Pure: queries, and what their answers say.

A call fails with status 5xx, without a status (0: the connection broke), or with a gRPC status of a server's error (as
pilot's default dashboards count them, and as docs/canary.md lists them). The callers' own proxies know most: a call that reached nobody is
in no metric of its callee. Where the caller has no proxy, the callee's report is taken.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._mesh.diagnose.codes import DiagnosisCode
from ansible_collections.servicemesh.platform.plugins.module_utils._mesh.diagnose.findings import Finding, finding

METRIC = "istio_requests_total"
_BY = (
    "reporter",
    "source_workload",
    "source_workload_namespace",
    "destination_service_name",
    "destination_service_namespace",
)
_FAILED = 'response_code=~"5..|0"'
# UNKNOWN, DEADLINE_EXCEEDED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE, DATA_LOSS
_GRPC = 'response_code!~"5..|0", grpc_response_status=~"2|4|12|13|14|15"'
_UNKNOWN = "unknown/unknown"
Pair = tuple[str, str]


def queries(window: int) -> tuple[str, str]:
    """PromQL of all calls and of those that failed, within `window` seconds."""

    def increase(selector: str) -> str:
        return f"increase({METRIC}{{{selector}}}[{window}s])"

    summed = f"sum by ({', '.join(_BY)})"
    # `or` keeps the series of both sides: they differ in their status.
    return f"{summed} ({increase('')})", f"{summed} ({increase(_FAILED)} or {increase(_GRPC)})"


@dataclass(frozen=True, slots=True)
class Calls:
    """Calls from a workload to a service, in the window: numbers are estimates, as `increase` makes them."""

    caller: str
    service: str
    calls: float
    failed: float

    @property
    def share(self) -> float:
        """Share of the calls that failed."""
        return self.failed / self.calls if self.calls else 0.0

    def as_dict(self) -> dict[str, Any]:
        """As modules return it."""
        return {
            "caller": self.caller,
            "service": self.service,
            "calls": round(self.calls, 1),
            "failed": round(self.failed, 1),
            "share": round(self.share, 4),
        }


def calls_of(everything: Sequence[Mapping[str, Any]], failed: Sequence[Mapping[str, Any]]) -> list[Calls]:
    """Calls by caller and service, those with the most failed ones first. Raises ValueError for a value that is no number."""
    totals, bad = _by_pair(everything), _by_pair(failed)
    source, destination = totals.get("source", {}), totals.get("destination", {})
    # Services that do not know all of their callers, as without metadata exchange: theirs are among the unknown ones.
    unclear = {service for (caller, service) in source if (caller, service) not in destination}
    found = []
    for reporter, pairs in (("source", source), ("destination", destination)):
        for pair, number in pairs.items():
            told_already = reporter == "destination" and (
                pair in source or (pair[0] == _UNKNOWN and pair[1] in unclear)
            )
            if number > 0 and not told_already:
                found.append(Calls(*pair, number, min(number, bad.get(reporter, {}).get(pair, 0.0))))
    return sorted(found, key=lambda entry: (-entry.failed, entry.service, entry.caller))


def _by_pair(series: Iterable[Mapping[str, Any]]) -> dict[str, dict[Pair, float]]:
    found: dict[str, dict[Pair, float]] = {}
    for entry in series:
        labels, value = entry.get("metric") or {}, float((entry.get("value") or [0, "nan"])[1])
        if not math.isfinite(value):
            raise ValueError(f"a value of {METRIC} is no number: {labels}")
        caller = _named(labels, "source_workload_namespace", "source_workload")
        service = _named(labels, "destination_service_namespace", "destination_service_name")
        pairs = found.setdefault(str(labels.get("reporter") or ""), {})
        pairs[caller, service] = pairs.get((caller, service), 0.0) + value
    return found


def _named(labels: Mapping[str, Any], namespace: str, name: str) -> str:
    return f"{labels.get(namespace) or 'unknown'}/{labels.get(name) or 'unknown'}"


def calls_findings(calls: Sequence[Calls], share: float, least: float, window: int) -> list[Finding]:
    """Findings of calls that fail: more than `share` of at least `least` calls."""
    if not calls:
        return [finding(DiagnosisCode.NO_CALLS, "Calls", f"no {METRIC} in the last {window} s")]
    return [
        finding(
            DiagnosisCode.CALLS_FAIL,
            f"Calls {entry.caller} → {entry.service}",
            f"{entry.failed:.0f} of {entry.calls:.0f} calls failed ({entry.share:.1%}) in the last {window} s",
            namespace=entry.service.partition("/")[0],
        )
        for entry in calls
        if entry.calls >= least and entry.share > share
    ]
