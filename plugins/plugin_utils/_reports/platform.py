# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: may change at any time without notice; only this collection may import it.
"""The page of a platform: what it says, from results of platform_info and traffic_info. How it looks is in templates/platform.*."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from ansible_collections.servicemesh.platform.plugins.module_utils._mesh.traffic import Part, Security, service_at
from ansible_collections.servicemesh.platform.plugins.plugin_utils._canary_lines import duration
from ansible_collections.servicemesh.platform.plugins.plugin_utils._reports.graph import Graph, Link, graph
from ansible_collections.servicemesh.platform.plugins.plugin_utils._reports.page import page
from ansible_collections.servicemesh.platform.plugins.plugin_utils._reports.platform_answers import (
    NO,
    NOTHING,
    YES,
    cards_of,
    headline,
)
from ansible_collections.servicemesh.platform.plugins.plugin_utils._reports.platform_seen import (
    Limits,
    Obj,
    Seen,
    amount,
    arriving,
    caller_name,
    gaps_of,
    latest_of,
    leaving,
    percent,
    phase_of,
    points_of,
    unknown_of,
    versions_of,
)
from ansible_collections.servicemesh.platform.plugins.plugin_utils._reports.sparks import Spark, spark

# Security of a call: class and sign of its line, and words.
SECURITIES: Mapping[str, tuple[str, str, str]] = {
    Security.MUTUAL_TLS: ("mutual", "✓", "mutual TLS"),
    Security.NONE: ("plain", "✕", "none: plain text"),
    Security.UNKNOWN: ("open", "?", "unknown"),
}
MOST_DRAWN = 60  # calls; more are in the table alone
_WORST_FIRST = (Security.NONE, Security.UNKNOWN, Security.MUTUAL_TLS)
_DASH = "\u2013"


@dataclass(frozen=True, slots=True)
class Number:
    """A number of a service, its line, and how it is: a class of the style sheet."""

    text: str
    line: Spark | None = None
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """A workload."""

    name: str
    namespace: str
    version: str
    replicas: str
    answer: str
    health: str
    rate: Number
    errors: Number
    p95: Number
    budget: Number


@dataclass(frozen=True, slots=True)
class Release:
    """A canary under way, or the last of a service."""

    service: str
    versions: str
    phase: str
    weight: int | None
    steps: str
    when: str
    reason: str
    active: bool


@dataclass(frozen=True, slots=True)
class CallRow:
    """A row of the table of calls."""

    source: str
    destination: str
    rate: str
    failed: str
    kind: str
    sign: str
    words: str
    note: str


def html(
    cluster: str,
    platform: Obj,
    traffic: Obj,
    limits: Limits,
    reports: Sequence[tuple[str, str]] = (),
    telemetry: Sequence[str] = (),
) -> tuple[str, str, str]:
    """(page, answer, sentence). `platform`, `traffic`: results of the modules; `reports`: (name, relative URL) of others.

    `telemetry`: hosts that take traces and access logs.
    """
    seen = Seen(platform, traffic, limits, gaps_of(platform, traffic))
    rows = sorted((_row(row, seen) for row in platform["services"]), key=_importance)
    cards = cards_of(seen)
    answer, text = headline(cards, seen)
    calls, aside = _without_telemetry(traffic["calls"], telemetry)
    drawn = sorted(calls, key=lambda call: -(call["requests"] or 0.0))[:MOST_DRAWN]
    text_of_page = page(
        "platform.html.j2",
        title=f"Platform {cluster}",
        question=f"Platform {cluster}: is it up, fast and encrypted?",
        answer=answer,
        text=text,
        facts=[],
        below=_below(platform, traffic),
        cards=cards,
        unknown=unknown_of(seen),
        knows={
            "calls": not seen.missing(Part.CALLS, Part.CONNECTIONS),
            "alerts": not seen.missing(Part.ALERTS),
            "releases": not seen.missing(""),
        },
        alerts=[alert for alert in traffic["alerts"] if alert["own"] and alert["state"] == "firing"],
        waiting=[alert for alert in traffic["alerts"] if alert["own"] and alert["state"] != "firing"],
        others=[alert for alert in traffic["alerts"] if not alert["own"] and alert["state"] == "firing"],
        rows=rows,
        releases=[_release(entry, float(traffic["time"])) for entry in platform["canaries"]],
        drawing=_graph(drawn, platform, traffic["window"]),
        left_out=len(calls) - len(drawn),
        aside=len(aside),
        calls=[_call_row(call, traffic["window"]) for call in traffic["calls"]],
        kinds=list(SECURITIES.values()),
        limits={"p95": f"{limits.p95:g} ms", "errors": f"{100 * limits.errors:g} %"},
        reports=reports,
        has_budgets=bool(traffic["budgets"]),
    )
    return text_of_page, answer, text


# Services --------------------------------------------------------------------------------------------------------------


def _row(row: Obj, seen: Seen) -> Row:
    key = f"{row['namespace']}/{row['name']}"
    same = (entry for entry in seen.traffic["workloads"] if entry["workload"] == key)
    found = next((entry for entry in same if entry["version"] in ("", row["version"])), None)
    rate, errors, p95 = _numbers(found, seen) if found else _no_numbers(row, seen)
    return Row(
        name=row["name"],
        namespace=row["namespace"],
        version=row["version"],
        replicas=row["replicas"],
        answer=YES if row["healthy"] else NOTHING if key in leaving(seen.platform) | arriving(seen.platform) else NO,
        health=row["health"],
        rate=rate,
        errors=errors,
        p95=p95,
        budget=_budget(key, seen),
    )


def _importance(row: Row) -> tuple[bool, bool]:
    """What is not healthy comes first, then what has requests; all else in its order."""
    return row.answer != NO, row.rate.line is None


def _no_numbers(row: Obj, seen: Seen) -> tuple[Number, Number, Number]:
    """Of a workload without requests: it has TCP connections, none were seen, or nothing is known."""
    nothing = Number(_DASH, kind="empty")
    if not row["proxies"]:
        return nothing, nothing, nothing
    if seen.missing(Part.REQUESTS, Part.DURATIONS):
        return Number("unknown", kind="inconclusive"), nothing, nothing
    key = f"{row['namespace']}/{row['name']}"
    calls = seen.traffic["calls"]
    if any(call["destination"] == key for call in calls):
        return Number("TCP", kind="soft"), nothing, nothing
    calling = any(call["source"] == key for call in calls)
    return Number("calls others" if calling else "none seen", kind="soft"), nothing, nothing


def _numbers(found: Obj, seen: Seen) -> tuple[Number, Number, Number]:
    traffic, limits = seen.traffic, seen.limits
    rate, errors, p95 = latest_of(found, seen)

    def number(
        key: str, value: float | None, words: Callable[[float], str], limit: float | None = None, least: float = 0.0
    ) -> Number:
        span = (float(traffic["time"]) - float(traffic["window"]), float(traffic["time"]))
        line = spark(points_of(found, key), span, float(traffic["step"]), words, limit, least)
        bad = value is not None and limit is not None and value > limit
        return Number(_DASH if value is None else words(value), line, "fail" if bad else "")

    return (
        number("rate", rate, lambda value: f"{amount(value)}/s"),
        # Few errors are a low line, and not one that fills the height.
        number("errors", errors, lambda value: f"{100 * value:.3g} %", limits.errors, least=limits.errors),
        number("p95", p95, lambda value: f"{value:.0f} ms", limits.p95),
    )


def _budget(service: str, seen: Seen) -> Number:
    """What is left of a service's error budgets, the least of them."""
    own = [entry for entry in seen.traffic["budgets"] if entry["service"] == service]
    left = [entry for entry in own if entry["left"] is not None]
    if seen.missing(Part.BUDGETS):
        return Number("unknown", kind="inconclusive")
    if not own:
        return Number("no objective", kind="empty")
    if not left:
        requested = any(entry["requested"] for entry in own)
        return Number("not recorded yet" if requested else "no requests yet", kind="soft")
    least = min(left, key=lambda entry: float(entry["left"]))
    text = f"{percent(least['left'])} left ({least['sli']} {100 * least['objective']:g} %)"
    return Number(text, kind="fail" if least["left"] <= 0 else "")


# Calls -----------------------------------------------------------------------------------------------------------------


def _without_telemetry(calls: Sequence[Obj], hosts: Iterable[str]) -> tuple[list[Obj], list[Obj]]:
    """(calls to draw, those that carry traces and access logs and are mutual TLS)."""
    services = {name for host in hosts if (name := service_at(host))}

    def goes_aside(call: Obj) -> bool:
        return call["security"] == Security.MUTUAL_TLS and not services.isdisjoint(
            (call["source"], call["destination"])
        )

    return [call for call in calls if not goes_aside(call)], [call for call in calls if goes_aside(call)]


def _graph(calls: Iterable[Obj], platform: Obj, window: float) -> Graph | None:
    """The drawing. HTTP and TCP between the same two are one line, the worse of both."""
    by_pair: dict[tuple[str, str], list[Obj]] = {}
    for call in calls:
        by_pair.setdefault((caller_name(call), call["destination"]), []).append(call)
    links = []
    for (source, target), same in sorted(by_pair.items()):
        security = min((Security(call["security"]) for call in same), key=_WORST_FIRST.index)
        kind, sign, words = SECURITIES[security]
        rows = [_call_row(call, window) for call in same]
        told = ", ".join(f"{row.rate}{f', {row.failed} failed' if row.failed else ''}" for row in rows)
        links.append(Link(source, target, kind, sign, f"{source} calls {target}: {told}; {words}"))
    kinds = {f"{row['namespace']}/{row['name']}": "" if row["healthy"] else "bad" for row in platform["services"]}
    return graph(links, kinds)


def _call_row(call: Obj, window: float) -> CallRow:
    kind, sign, words = SECURITIES[Security(call["security"])]
    requests, failed = call["requests"], call["failed"] or 0.0
    note = ""
    if call["security"] == Security.NONE and call["mutual_tls"] > 0 and requests is not None:
        note = f"{call['plaintext']:.0f} of {call['plaintext'] + call['mutual_tls']:.0f}"
    elif call["security_by"] == "source":
        note = "as the caller's proxy reports; the destination does when the connection ends"
    elif call["security"] == Security.UNKNOWN:
        note = (
            "the destination does not report them" if "destination" not in call["reporters"] else "not reported for all"
        )
    return CallRow(
        source=caller_name(call),
        destination=call["destination"],
        rate=f"{amount(requests / window)}/s" if requests is not None else "TCP",
        failed=f"{100 * failed / requests:.3g} %" if requests and failed else "",
        kind=kind,
        sign=sign,
        words=words,
        note=note,
    )


# Releases --------------------------------------------------------------------------------------------------------------


def _release(entry: Obj, now: float) -> Release:
    since = float(entry["since"])
    return Release(
        service=entry["service"],
        versions=versions_of(entry),
        phase=phase_of(entry),
        weight=entry["weight"] if entry["active"] else None,
        steps=" → ".join(f"{step} %" for step in entry["steps"]),
        when=f"{duration(now - since)} ago" if since else "",
        reason=entry["reason"],
        active=entry["active"],
    )


def _below(platform: Obj, traffic: Obj) -> str:
    moment = datetime.fromtimestamp(float(traffic["time"]), UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    parts = [
        f"As of {moment}; numbers of the last {float(traffic['window']) / 60:.0f} minutes",
        f"from {traffic['address']}" if traffic["address"] else "without Prometheus",
        f"ingress {platform['url']} for host {platform['domain']}" if platform["url"] else "no ingress yet",
    ]
    return " · ".join(parts)
