# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The traffic of the platform for people: what Prometheus is asked, and what its answers say. No I/O.

Only Istio's standard metrics are read. Rates, errors and durations are those of the callers' proxies (reporter `source`), which also count
what reached no pod, as the recording rules have it. Who calls whom is reported by both sides; the security of a call by the destination,
because the source's `connection_security_policy` is `unknown` by design (istio#42853). TCP connections that the destination has not
reported yet count as mutual TLS when the caller's proxy names the certificates of both ends (source_principal, destination_principal).

PRIVATE: may change at any time.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

WINDOW, STEP, RATE = 1800, 30, 120  # seconds: what charts show, between two points, what a rate is the mean of
UNKNOWN = "unknown"  # Istio's value of a label whose value it does not know
# The destination may miss requests that ended between the scrapes of both sides. With less than this share, and more than so many missing,
# some endpoints do not report at all.
_REPORTED, _MISSED = 0.8, 10.0
# Recorded by the rules of the role observability, for each service with an objective and each `sli`.
_OBJECTIVE, _REQUESTED, _LEFT = "slo:objective:ratio", "slo:requests:rate5m", "slo:error_budget_left:ratio"
_HOST = re.compile(r"([^.]+)[.]([^.]+)[.]svc(?:[.].+)?")
_SPIFFE = re.compile(r"spiffe://[^/]+/ns/([^/]+)/sa/([^/]+)")
_TCP = (
    "istio_tcp_connections_opened_total",
    "istio_tcp_connections_closed_total",
    "istio_tcp_sent_bytes_total",
    "istio_tcp_received_bytes_total",
)
_TARGET = "destination_service,destination_workload,destination_workload_namespace,destination_version"
_SIDES = (
    "reporter,source_app,source_workload,source_workload_namespace,source_principal,destination_principal,destination_service,"
    "destination_app,destination_workload,destination_workload_namespace,connection_security_policy"
)

Series = Mapping[str, Any]
Point = tuple[float, float]


class Part(StrEnum):
    """A question to Prometheus. What has no answer is unknown by this name."""

    REQUESTS = "requests"
    DURATIONS = "durations"
    CALLS = "calls"
    CONNECTIONS = "connections"
    SCRAPES = "scrapes"
    ALERTS = "alerts"
    BUDGETS = "budgets"


class Security(StrEnum):
    """Whether the calls of a caller are mutual TLS, as the destination's proxies report. Values are those of Istio's label."""

    MUTUAL_TLS = "mutual_tls"
    NONE = "none"
    UNKNOWN = "unknown"


@dataclass(slots=True)
class Call:
    """Calls of a caller to a service in the window. Both are `namespace/name`, or `unknown`.

    `requests` and `failed` (5xx, or no answer) are the caller's counts where its proxy reports, else the destination's; None for TCP.
    `mutual_tls`, `plaintext`, `undetermined` are what the destination's proxies counted, by the security of the connection.
    """

    source: str
    destination: str
    protocol: str
    requests: float | None = None
    failed: float | None = None
    mutual_tls: float = 0.0
    plaintext: float = 0.0
    undetermined: float = 0.0
    answered: float = 0.0  # that the source counted, and that a destination must have seen
    certified: bool = False  # the source names both certificates of a TCP connection
    uncertified: bool = False  # it does not
    by: set[str] = field(default_factory=set)

    def security(self) -> tuple[Security, str]:
        """(security, reporter that says so). One call in plain text is enough for `none`; `mutual_tls` needs all of them."""
        seen = self.mutual_tls + self.undetermined
        if self.plaintext > 0:
            return Security.NONE, "destination"
        if seen and not self.undetermined and not self._missed(seen):
            return Security.MUTUAL_TLS, "destination"
        if not seen and self.certified and not self.uncertified:
            return Security.MUTUAL_TLS, "source"
        return Security.UNKNOWN, ""

    def _missed(self, seen: float) -> bool:
        return seen < _REPORTED * self.answered and self.answered - seen > _MISSED

    def as_dict(self) -> dict[str, Any]:
        """For the module's result."""
        security, reporter = self.security()
        rounded = {"requests": self.requests, "failed": self.failed}
        return {
            "source": self.source,
            "destination": self.destination,
            "protocol": self.protocol,
            **{name: None if value is None else round(value, 1) for name, value in rounded.items()},
            "mutual_tls": round(self.mutual_tls, 1),
            "plaintext": round(self.plaintext, 1),
            "security": security.value,
            "security_by": reporter,
            "reporters": sorted(self.by),
        }


# Questions -------------------------------------------------------------------------------------------------------------


def range_queries(namespaces: Sequence[str]) -> dict[Part, str]:
    """Queries over the window, by what they tell."""
    to = f'reporter="source",destination_service=~"[^.]+[.]({_either(namespaces)})[.]svc([.].+)?"'
    durations = f"rate(istio_request_duration_milliseconds_bucket{{{to}}}[{RATE}s])"
    return {
        Part.REQUESTS: f"sum by({_TARGET},response_code)(rate(istio_requests_total{{{to}}}[{RATE}s]))",
        Part.DURATIONS: f"histogram_quantile(0.95,sum by({_TARGET},le)({durations}))",
    }


def instant_queries(namespaces: Sequence[str]) -> dict[Part, str]:
    """Queries of what grew in the window, and of what is scraped now, by what they tell."""
    either = _either(namespaces)
    sides = (
        f'reporter="source",destination_service=~"[^.]+[.]({either})[.]svc([.].+)?"',
        f'reporter="destination",destination_workload_namespace=~"{either}"',
    )
    http = " or ".join(f"sum by({_SIDES},response_code)({_grown('istio_requests_total', side)})" for side in sides)
    tcp = " or ".join(f"(sum by({_SIDES})({_grown(name, side)})>0)" for name in _TCP for side in sides)
    return {
        Part.CALLS: http,
        Part.CONNECTIONS: tcp,
        Part.SCRAPES: f'max by(namespace,pod)(up{{namespace=~"{either}",pod!=""}})',
        Part.BUDGETS: f'{{__name__=~"{_OBJECTIVE}|{_REQUESTED}|{_LEFT}",destination_service_namespace=~"{either}"}}',
    }


def _grown(name: str, matchers: str) -> str:
    """How much counters grew in the window.

    `increase` does not see the first sample of a new series. A series that began in the window counts from 0, if Prometheus scraped
    anything before the window: otherwise it is Prometheus that is new, and the counter may have its value since yesterday.
    """
    counter = f"{name}{{{matchers}}}"
    within, before = f"{counter}[{WINDOW}s]", f"last_over_time({counter}[300s] offset {WINDOW}s)"
    return (
        f"increase({within}) and {before}"
        f" or (max_over_time({within}) unless {before}) and on() (count(up offset {WINDOW}s)>0)"
        f" or increase({within})"
    )


def _either(namespaces: Sequence[str]) -> str:
    """RE2 expression of names; those of namespaces have no character with a meaning."""
    return "|".join(dict.fromkeys(namespaces))


# Answers ---------------------------------------------------------------------------------------------------------------


def workloads(requests: Iterable[Series], durations: Iterable[Series]) -> list[dict[str, Any]]:
    """One dict for each workload and version with requests in the window: stable and canary are two, and so are pods before a release.

    `rate`: requests a second, `errors`: the share of them that failed, `p95`: milliseconds; each a list of (Unix time, value). Moments
    without requests have a rate of 0, and neither errors nor a p95. `version` is empty where the pods have none.
    """
    total: dict[tuple[str, str], dict[float, float]] = {}
    failed: dict[tuple[str, str], dict[float, float]] = {}
    for entry in requests:
        labels = _labels(entry)
        key = workload_of(labels), _version(labels)
        for time, value in _values(entry):
            total.setdefault(key, {})[time] = total.get(key, {}).get(time, 0.0) + value
            if _is_failure(labels.get("response_code", "")):
                failed.setdefault(key, {})[time] = failed.get(key, {}).get(time, 0.0) + value
    slow: dict[tuple[str, str], dict[float, float]] = {}
    for entry in durations:
        labels = _labels(entry)
        own = slow.setdefault((workload_of(labels), _version(labels)), {})
        for time, value in _values(entry):
            own[time] = max(own.get(time, 0.0), value)  # of two services with the same pods
    return [
        {
            "workload": key[0],
            "version": key[1],
            "rate": [[time, round(rates[time], 4)] for time in sorted(rates)],
            "errors": [
                [time, round(failed.get(key, {}).get(time, 0.0) / rates[time], 5)]
                for time in sorted(rates)
                if rates[time]
            ],
            "p95": [[time, round(value, 2)] for time, value in sorted(slow.get(key, {}).items())],
        }
        for key, rates in sorted(total.items())
        if any(rates.values())
    ]


def calls(http: Iterable[Series], tcp: Iterable[Series]) -> list[dict[str, Any]]:
    """Who calls whom, by caller and service; see `Call`."""
    http, tcp = list(http), list(tcp)
    owners = _owners([*http, *tcp])
    found: dict[tuple[str, str, str], Call] = {}
    counted: dict[tuple[str, str, str], dict[str, list[float]]] = {}
    for entry in http:
        labels, amount = _labels(entry), _value(entry)
        if amount > 0:
            call = _call(found, labels, "http", owners)
            key, reporter = (call.source, call.destination, "http"), labels.get("reporter", "")
            count = counted.setdefault(key, {}).setdefault(reporter, [0.0, 0.0])
            failure = _is_failure(labels.get("response_code", ""))
            count[0] += amount
            count[1] += amount if failure else 0.0
            _add(call, labels, amount, answered=0.0 if failure else amount)
    for key, by_reporter in counted.items():
        found[key].requests, found[key].failed = by_reporter.get("source") or by_reporter["destination"]
    for entry in tcp:
        labels, amount = _labels(entry), _value(entry)
        if amount > 0:
            _add(_call(found, labels, "tcp", owners), labels, amount)
    return [found[key].as_dict() for key in sorted(found)]


def scrapes(series: Iterable[Series]) -> list[dict[str, Any]]:
    """Pods that Prometheus scrapes, and whether a scrape of them succeeded last."""
    rows = [(_labels(entry), _value(entry)) for entry in series]
    return [
        {"namespace": labels.get("namespace", ""), "pod": labels.get("pod", ""), "up": value == 1}
        for labels, value in sorted(rows, key=lambda row: (row[0].get("namespace", ""), row[0].get("pod", "")))
    ]


def budgets(series: Iterable[Series]) -> list[dict[str, Any]]:
    """The objectives of services, and the share of their error budgets that is left: 1 all of it, 0 nothing; None when not recorded.

    `requested`: whether requests to the service are recorded, of which a budget is made.
    """
    found: dict[tuple[str, str], dict[str, float]] = {}
    for entry in series:
        labels = _labels(entry)
        service = f"{labels.get('destination_service_namespace', '')}/{labels.get('destination_service_name', '')}"
        for _time, value in _numbers([entry.get("value")]):
            found.setdefault((service, labels.get("sli", "")), {})[labels.get("__name__", "")] = value
    return [
        {
            "service": service,
            "sli": sli,
            "objective": values[_OBJECTIVE],
            "left": values.get(_LEFT),
            "requested": _REQUESTED in values,
        }
        for (service, sli), values in sorted(found.items())
        if _OBJECTIVE in values
    ]


def service_of(labels: Mapping[str, str]) -> str:
    """`namespace/name` of the service that was called; its workload for calls that were made to a pod itself."""
    return service_at(labels.get("destination_service", "")) or _name(labels, "destination")


def service_at(host: str) -> str:
    """`namespace/name` of the Service with a host name; empty for a host that is none of the cluster."""
    found = _HOST.fullmatch(host)
    return f"{found[2]}/{found[1]}" if found else ""


def workload_of(labels: Mapping[str, str]) -> str:
    """`namespace/name` of the workload that was called; the service for calls that reached no pod."""
    namespace, name = labels.get("destination_workload_namespace", ""), labels.get("destination_workload", "")
    return f"{namespace}/{name}" if namespace not in ("", UNKNOWN) and name not in ("", UNKNOWN) else service_of(labels)


def _version(labels: Mapping[str, str]) -> str:
    return labels["destination_version"] if _known(labels, "destination_version") else ""


def _owners(series: Iterable[Series]) -> dict[str, str]:
    """Callers by their identity, of those identities that one app alone has, as the callers' own proxies report.

    Without metadata exchange a destination knows its caller by the certificate alone. The name of its service account may be another one.
    """
    found: dict[str, set[str]] = {}
    for entry in series:
        labels = _labels(entry)
        if labels.get("reporter") == "source" and _known(labels, "source_app"):
            found.setdefault(labels.get("source_principal", ""), set()).add(_name(labels, "source"))
    return {
        identity: next(iter(names))
        for identity, names in found.items()
        if _SPIFFE.fullmatch(identity) and len(names) == 1 and names != {UNKNOWN}
    }


def caller_of(labels: Mapping[str, str], owners: Mapping[str, str]) -> str:
    """`namespace/name` of the caller: its app, else its service account, else its workload; `unknown` for one without an identity.

    `owners`: apps by identity, where an identity has one.
    """
    if _known(labels, "source_app") and _known(labels, "source_workload_namespace"):
        return _name(labels, "source")
    if owner := owners.get(labels.get("source_principal", "")):
        return owner
    if identity := _SPIFFE.fullmatch(labels.get("source_principal", "")):
        return f"{identity[1]}/{identity[2]}"
    return _name(labels, "source")


def _name(labels: Mapping[str, str], side: str) -> str:
    namespace = labels.get(f"{side}_workload_namespace", "")
    name = next((labels[key] for key in (f"{side}_app", f"{side}_workload") if _known(labels, key)), "")
    return f"{namespace}/{name}" if name and namespace not in ("", UNKNOWN) else UNKNOWN


def _known(labels: Mapping[str, str], key: str) -> bool:
    return labels.get(key, "") not in ("", UNKNOWN)


def _call(
    found: dict[tuple[str, str, str], Call], labels: Mapping[str, str], protocol: str, owners: Mapping[str, str]
) -> Call:
    source, destination = caller_of(labels, owners), service_of(labels)
    return found.setdefault((source, destination, protocol), Call(source, destination, protocol))


def _add(call: Call, labels: Mapping[str, str], amount: float, answered: float = 0.0) -> None:
    reporter = labels.get("reporter", "")
    call.by.add(reporter)
    if reporter != "destination":
        call.answered += answered
        if call.protocol == "tcp":
            both = all(_SPIFFE.fullmatch(labels.get(f"{side}_principal", "")) for side in ("source", "destination"))
            call.certified, call.uncertified = call.certified or both, call.uncertified or not both
        return
    match labels.get("connection_security_policy"):
        case Security.MUTUAL_TLS.value:
            call.mutual_tls += amount
        case Security.NONE.value:
            call.plaintext += amount
        case _:
            call.undetermined += amount


def _is_failure(code: str) -> bool:
    """Whether a response code is a failure of the service: 5xx, or no answer (0), as in the recording rules."""
    return code == "0" or (len(code) == 3 and code.startswith("5"))


def _labels(entry: Series) -> dict[str, str]:
    return {str(name): str(value) for name, value in (entry.get("metric") or {}).items()}


def _value(entry: Series) -> float:
    """Value of an instant query's series; 0 for what is no number."""
    return next((value for _time, value in _numbers([entry.get("value")])), 0.0)


def _values(entry: Series) -> list[Point]:
    return list(_numbers(entry.get("values") or []))


def _numbers(pairs: Iterable[Any]) -> Iterator[Point]:
    """Times and values that are numbers."""
    for pair in pairs:
        try:
            time, value = float(pair[0]), float(pair[1])
        except (TypeError, ValueError, IndexError):
            continue
        if math.isfinite(value):
            yield time, value
