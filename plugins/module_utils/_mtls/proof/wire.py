# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the answers to calls on the wire show: of curl, and of the counters of the caller's Envoy. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

_NOT_HTTP = frozenset({1, 8})  # curl: something answered, in another protocol
_RESET = frozenset({52, 56})  # curl: empty reply, failure in receiving


class PlainCall(StrEnum):
    """What becomes of a call in plain text, straight to a pod."""

    REFUSED = "refused"  # the connection was accepted and then closed
    ACCEPTED = "accepted"
    SILENT = "silent"  # it tells nothing: no connection, or no answer in time


@dataclass(frozen=True, slots=True)
class Answer:
    """How curl ended: exit code (None when it is not known), HTTP status (0 for none), and the rest of its output."""

    code: int | None
    status: int
    text: str = ""


def answer(code: int | None, out: str) -> Answer:
    """From the output of `curl -w '%{http_code} …'`."""
    head, _space, rest = out.lstrip().partition(" ")
    return Answer(code, int(head) if head.isdigit() else 0, rest.strip())


def plain(found: Answer) -> PlainCall:
    """What became of a call in plain text."""
    if found.status or found.code in _NOT_HTTP:
        return PlainCall.ACCEPTED
    return PlainCall.REFUSED if found.code in _RESET else PlainCall.SILENT


@dataclass(frozen=True, slots=True)
class Peer:
    """The certificate that a server showed: identity and issuer, empty when no handshake was completed."""

    identity: str = ""
    issuer: str = ""


def peer(found: Answer) -> Peer:
    """The server's identity and issuer in curl's output of the certificates (`%{certs}`)."""
    identity = re.search(r"URI:(spiffe://[^\s,]+)", found.text)
    issuer = re.search(r"^Issuer:(.*)$", found.text, re.MULTILINE)
    return Peer(identity.group(1) if identity else "", issuer.group(1).strip() if issuer else "")


@dataclass(frozen=True, slots=True)
class HostCounters:
    """What an Envoy has counted for one endpoint. `failed` are connections that did not come about, a failed TLS handshake among them."""

    connections: int = 0
    failed: int = 0
    requests: int = 0
    answered: int = 0
    errors: int = 0


Host = tuple[str, str, int]  # subset, address, container port


@dataclass(frozen=True, slots=True)
class Counters:
    """What a client's Envoy has counted for the clusters of a service port: by endpoint, and TLS handshakes by subset."""

    hosts: Mapping[Host, HostCounters] = field(default_factory=dict)
    handshakes: Mapping[str, int] = field(default_factory=dict)


_COUNTED = {
    "cx_total": "connections",
    "cx_connect_fail": "failed",
    "rq_total": "requests",
    "rq_success": "answered",
    "rq_error": "errors",
}


def counters(stats: str, clusters: Mapping[str, Any], host: str, port: int) -> Counters:
    """From Envoy's `/stats` and `/clusters?format=json`. An endpoint that is no IP address keeps its description as the address."""
    mine = re.compile(rf"outbound\|{port}\|([^|]*)\|{re.escape(host)}")
    hosts: dict[Host, HostCounters] = {}
    for cluster in clusters.get("cluster_statuses") or []:
        named = mine.fullmatch(str(cluster.get("name")))
        for entry in (cluster.get("host_statuses") or []) if named else ():
            where = _where(entry.get("address") or {})
            told = {
                _COUNTED[s["name"]]: int(s.get("value") or 0)
                for s in entry.get("stats") or []
                if s.get("name") in _COUNTED
            }
            key = (named.group(1) if named else "", *where)
            hosts[key] = _plus(hosts.get(key, HostCounters()), HostCounters(**told))
    handshakes: dict[str, int] = {}
    pattern = rf"^cluster\.{mine.pattern};?\.ssl\.handshake: (\d+)$"
    for subset, amount in re.findall(pattern, stats, re.MULTILINE):
        handshakes[subset] = handshakes.get(subset, 0) + int(amount)
    return Counters(hosts, handshakes)


def _where(address: Mapping[str, Any]) -> tuple[str, int]:
    plain = address.get("socket_address")
    if plain:
        return str(plain.get("address")), int(plain.get("port_value") or 0)
    inner = str(
        (address.get("envoy_internal_address") or {}).get("endpoint_id") or ""
    )  # of what is reached by a tunnel
    at, _colon, port = inner.rpartition(":")
    return at.strip("[]") or inner or "an endpoint without an IP address", int(port) if port.isdigit() else 0


def _plus(one: HostCounters, other: HostCounters, sign: int = 1) -> HostCounters:
    return HostCounters(
        one.connections + sign * other.connections,
        one.failed + sign * other.failed,
        one.requests + sign * other.requests,
        one.answered + sign * other.answered,
        one.errors + sign * other.errors,
    )


@dataclass(frozen=True, slots=True)
class Meshed:
    """What a call through a sidecar showed of one endpoint that it went to.

    `ok` is whether it was answered, `status` the HTTP status that the caller got (0 for none). `mtls` is whether the connection to the
    endpoint was mutual TLS, None when none was opened or when it cannot be told. `failed` is whether no connection came about, and `reused`
    whether the call took one that an earlier call had opened.
    """

    ok: bool
    status: int
    mtls: bool | None = None
    failed: bool = False
    reused: bool = False

    @property
    def tells(self) -> bool:
        """Whether it shows what the client's proxy sent."""
        return self.mtls is not None or self.failed


def hits(found: Answer, before: Counters, after: Counters) -> list[tuple[Host, Meshed]]:
    """The endpoints that a call went to, by the counters of the caller's Envoy before and after it.

    A call goes to more than one when Envoy tries again. Handshakes are counted for all endpoints of a cluster together, so they tell only
    if all connections of the call were alike. An Envoy that got its endpoints a second time counts from zero, and then nothing is told.
    """
    made = {host: _plus(now, before.hosts.get(host, HostCounters()), -1) for host, now in after.hosts.items()}
    went = {
        host: seen for host, seen in made.items() if max(seen.connections, seen.failed, seen.requests, seen.errors) > 0
    }
    answered = found.status not in (0, 502, 503, 504)
    told = []
    for host, seen in went.items():
        alike = [entry for other, entry in went.items() if other[0] == host[0]]
        opened = sum(entry.connections - entry.failed for entry in alike)
        shaken = after.handshakes.get(host[0], 0) - before.handshakes.get(host[0], 0)
        mtls = None
        if seen.connections > seen.failed and shaken == opened:
            mtls = True
        elif seen.connections > seen.failed and not shaken and seen.requests > 0:
            mtls = False  # a request goes out once the connection is ready, so this one waited for no handshake
        ok = answered if len(went) == 1 else seen.answered > 0 and not seen.errors and not seen.failed
        reused = not seen.connections and not seen.failed and seen.requests > 0
        told.append((host, Meshed(ok, found.status, mtls, seen.failed > 0, reused)))
    return told
