# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: may change at any time without notice; only this collection may import it.
"""What a page of a platform was made of: what was read, what was not, and how it is said in a few words."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ansible_collections.servicemesh.platform.plugins.module_utils._mesh.traffic import UNKNOWN, Part
from ansible_collections.servicemesh.platform.plugins.plugin_utils._reports.sparks import latest

Obj = Mapping[str, t.Any]
NOBODY = "caller without identity"
PREPARING = "preparing"  # phase of a canary whose pods get ready
WAITING = frozenset({"paused", "frozen"})  # phases of a canary that wait for a person
_PARTS: Mapping[str, str] = {
    Part.REQUESTS: "request rates and errors",
    Part.DURATIONS: "durations",
    Part.CALLS: "who calls whom",
    Part.CONNECTIONS: "who connects to whom by TCP",
    Part.SCRAPES: "which pods Prometheus reaches",
    Part.ALERTS: "alerts",
    Part.BUDGETS: "error budgets",
}
_SHOWN = 3  # names in a sentence; the rest is a number
_BEGIN, _END = 18, 12  # letters of a long name in a sentence; sections have all of them


@dataclass(frozen=True, slots=True)
class Limits:
    """Above which a service is slow (95th percentile, milliseconds) or fails (share of requests, 0 to 1)."""

    p95: float
    errors: float


@dataclass(frozen=True, slots=True)
class Seen:
    """What was read. `gaps`: what was not, by part of it; the key `""` is of the cluster."""

    platform: Obj
    traffic: Obj
    limits: Limits
    gaps: Mapping[str, Sequence[str]]

    def missing(self, *parts: str) -> list[str]:
        """Why some parts are not known; empty when all are."""
        return list(dict.fromkeys(why for part in parts for why in self.gaps.get(part, ())))


# What is not known -----------------------------------------------------------------------------------------------------


def leaving(platform: Obj) -> frozenset[str]:
    """Workloads of canaries that have ended, as `namespace/name`: that these go, and how they did, says nothing about the platform."""
    ended = {f"{entry['service']}-canary" for entry in platform["canaries"] if not entry["active"]}
    there = {f"{row['namespace']}/{row['name']}" for row in platform["services"] if not row["deleted"]}
    return frozenset(ended - there)


def arriving(platform: Obj) -> frozenset[str]:
    """Workloads of canaries that get ready and have no requests yet, as `namespace/name`: that they are not ready is no outage."""
    return frozenset(
        f"{entry['service']}-canary"
        for entry in platform["canaries"]
        if entry["active"] and entry["phase"] == PREPARING and entry["weight"] == 0
    )


def present(platform: Obj, traffic: Obj) -> list[Obj]:
    """Traffic of the pods that are there: not that of versions before, nor of canaries that have ended.

    Traffic without a version may be of any, and that of workloads that are not the platform's own is always among it.
    """
    out = leaving(platform)
    versions = {f"{row['namespace']}/{row['name']}": row["version"] for row in platform["services"]}
    return [
        entry
        for entry in traffic["workloads"]
        if entry["workload"] not in out and entry["version"] in ("", versions.get(entry["workload"], entry["version"]))
    ]


def gaps_of(platform: Obj, traffic: Obj) -> dict[str, list[str]]:
    """Why parts are not known. Calls of a pod whose proxy is not scraped are seen by nobody, so that all of traffic is incomplete."""
    gaps: dict[str, list[str]] = {}
    for entry in traffic["unknown"]:
        gaps.setdefault(entry["part"], []).append(entry["why"])
    for why in platform["unread"]:
        gaps.setdefault("", []).append(why)
    whys = gaps.get(Part.SCRAPES.value) or [why for why in [_unscraped(platform, traffic)] if why]
    for part in (Part.REQUESTS, Part.DURATIONS, Part.CALLS, Part.CONNECTIONS):
        if whys:
            gaps.setdefault(part.value, []).extend(whys)
    return gaps


def _unscraped(platform: Obj, traffic: Obj) -> str:
    """Which pods with a proxy Prometheus does not reach; empty when it reaches all."""
    up = {(entry["namespace"], entry["pod"]) for entry in traffic["scrapes"] if entry["up"]}
    out = leaving(platform)
    rows = [row for row in platform["services"] if f"{row['namespace']}/{row['name']}" not in out]
    pods = [(row["namespace"], pod) for row in rows for pod in row["proxies"]]
    missing = [f"{namespace}/{pod}" for namespace, pod in pods if (namespace, pod) not in up]
    if not missing:
        return ""
    return f"Prometheus does not reach {len(missing)} of {len(pods)} proxies: {some(missing)}"


def unknown_of(seen: Seen) -> list[tuple[str, str]]:
    """What is not known, by name, and why; what has the same reason is one entry."""
    by_why: dict[str, list[str]] = {}
    for part, whys in seen.gaps.items():
        for why in whys:
            by_why.setdefault(why, []).append(_PARTS.get(part, "what is going out"))
    return [(", ".join(dict.fromkeys(parts)), why) for why, parts in by_why.items()]


# In words ---------------------------------------------------------------------------------------------------------------


def some(names: Sequence[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def latest_of(service: Obj, seen: Seen) -> tuple[float | None, float | None, float | None]:
    """(requests a second, share of errors, p95 in milliseconds) at the end of the window."""
    end, step = float(seen.traffic["time"]), float(seen.traffic["step"])
    rate, errors, p95 = (latest(points_of(service, key), end, step) for key in ("rate", "errors", "p95"))
    return rate, errors, p95


def points_of(service: Obj, key: str) -> list[tuple[float, float]]:
    return [(float(time), float(value)) for time, value in service[key]]


def caller_name(call: Obj) -> str:
    """A caller for people."""
    return str(call["source"]) if call["source"] != UNKNOWN else NOBODY


def short(name: str) -> str:
    """A name, or `namespace/name`, in a sentence: without its namespace, and a long one without its middle."""
    own = name.rpartition("/")[2]
    return own if len(own) <= _BEGIN + _END else f"{own[: _BEGIN - 1]}…{own[-_END:]}"


def call_of(call: Obj) -> str:
    return f"{short(caller_name(call))} → {short(str(call['destination']))}"


def service_of(entry: Obj) -> str:
    return short(str(entry["service"]))


def versions_of(entry: Obj) -> str:
    return (
        " → ".join(name for name in (entry["old_version"], entry["version"]) if name) or "a canary that nobody drives"
    )


def phase_of(entry: Obj) -> str:
    phase = str(entry["phase"]).replace("_", " ")
    return f"{phase}, waits for a person" if entry["phase"] in WAITING else phase


def weight_of(entry: Obj) -> str:
    return "weight unknown" if entry["weight"] is None else f"{entry['weight']} % of the requests"


def amount(value: float) -> str:
    """A rate with two significant digits at least."""
    return f"{value:.0f}" if value >= 10 else f"{value:.2g}"


def percent(share: float) -> str:
    return f"{100 * share:.3g} %"
