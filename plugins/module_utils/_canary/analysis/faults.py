# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who failed: what a request's labels in Istio's standard metrics say about the version that was asked. Pure.

The flags are those of Envoy 1.40: the list that its configuration accepts (api/envoy/config/accesslog/v3/accesslog.proto,
ResponseFlagFilter) and that `%RESPONSE_FLAGS%` writes (source/common/stream_info/utility.h, CORE_RESPONSE_FLAGS). Istio's filter writes
the same text into the label `response_flags`: `-` for none, several joined by commas (istio/proxy
source/extensions/filters/http/istio_stats/istio_stats.cc).

docs/canary.md has this table for people; a test holds it equal.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import assert_never

SOURCE, DESTINATION = "source", "destination"
NONE = "-"  # no flag
# A gRPC server's errors by the semantic conventions of OpenTelemetry (docs/rpc/grpc.md, server spans): UNKNOWN, DEADLINE_EXCEEDED,
# UNIMPLEMENTED, INTERNAL, UNAVAILABLE, DATA_LOSS.
GRPC_FAILURES = frozenset({2, 4, 12, 13, 14, 15})


class Fault(StrEnum):
    """Whose fault the end of a request is. NOBODY: it was answered as it should be. OPEN: a flag that leaves it to the code or status."""

    SERVER = "server"
    CALLER = "caller"
    NEITHER = "neither"
    NOBODY = "nobody"
    OPEN = "open"
    UNKNOWN = "unknown"


class Outcome(StrEnum):
    """What a request says about the version. UNCOUNTED: nothing. UNKNOWN: its labels are not understood."""

    SERVED = "served"
    FAILED = "failed"
    UNCOUNTED = "uncounted"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Flag:
    """A response flag: whose fault it is at each reporter, and why. `why_source` is empty where the reason is the same.

    `tcp`: whose fault it is for a TCP connection, which has no code that could decide.
    """

    long: str
    destination: Fault
    source: Fault
    why: str
    why_source: str = ""
    tcp: Fault | None = None

    def fault(self, reporter: str) -> Fault:
        """Whose fault it is at a reporter."""
        return self.source if reporter == SOURCE else self.destination


@dataclass(frozen=True, slots=True)
class Failures:
    """What counts as a server's failure: `grpc` are statuses, `http` codes in addition to 500 to 599."""

    grpc: frozenset[int] = GRPC_FAILURES
    http: frozenset[int] = field(default_factory=frozenset)


@dataclass(frozen=True, slots=True)
class Ruling:
    """Whose fault, what it counts as, and what decided: a flag, a code, a status or a label."""

    fault: Fault
    outcome: Outcome
    by: str


_S, _C, _N, _O = Fault.SERVER, Fault.CALLER, Fault.NEITHER, Fault.OPEN

FLAGS: Mapping[str, Flag] = {
    # The version, or its pod, does not answer as it should.
    "UF": Flag(
        "UpstreamConnectionFailure",
        _S,
        _S,
        "the sidecar cannot connect to its own application",
        "the connection to the version's pod failed",
    ),
    "UC": Flag(
        "UpstreamConnectionTermination",
        _S,
        _S,
        "the application closed the connection before its answer was complete",
        "the version's pod closed the connection before its answer was complete",
    ),
    "UR": Flag(
        "UpstreamRemoteReset",
        _S,
        _S,
        "the application reset the request",
        "the version's pod reset the request",
    ),
    "UPE": Flag("UpstreamProtocolError", _S, _S, "the answer is not valid HTTP"),
    "UT": Flag(
        "UpstreamRequestTimeout",
        _S,
        _S,
        "the application did not answer within the time of the pod's route",
        "the version did not answer within the time of the route",
    ),
    "UH": Flag(
        "NoHealthyUpstream",
        _S,
        _S,
        "the sidecar has no healthy endpoint, which is its own application",
        "no pod is there or healthy; no pod was chosen, so the version is `unknown`",
    ),
    "LH": Flag(
        "FailedLocalHealthCheck",
        _S,
        _N,
        "the application fails the health check of its own proxy",
        "the caller's own proxy fails a health check",
    ),
    # The code or the status decides.
    "URX": Flag(
        "UpstreamRetryLimitExceeded",
        _O,
        _O,
        "every try ended like the last one, whose code or other flag is counted; a TCP connection was not made",
        tcp=_S,
    ),
    "DI": Flag("DelayInjected", _O, _O, "a delay was injected by configuration; the answer is the version's own"),
    # The request is wrong.
    "DPE": Flag("DownstreamProtocolError", _C, _C, "the request is not valid HTTP; the version did not get it"),
    "IH": Flag(
        "InvalidEnvoyRequestHeaders", _C, _C, "a header for Envoy is not valid; the version did not get the request"
    ),
    "UAEX": Flag(
        "UnauthorizedExternalService", _C, _C, "the external authorization refused it; the version did not get it"
    ),
    "RL": Flag("RateLimited", _C, _C, "more requests than a rate limit allows; the version did not get it"),
    # Somebody else ended it, or nobody asked the version.
    "DC": Flag(
        "DownstreamConnectionTermination",
        _N,
        _N,
        "the caller's proxy closed the connection: its own timeout, or its caller hung up",
        "the caller hung up before the answer was complete",
    ),
    "DR": Flag(
        "DownstreamRemoteReset",
        _N,
        _N,
        "the caller's proxy cancelled the request: its own timeout, or its caller cancelled it",
        "the caller cancelled the request",
    ),
    "UO": Flag(
        "UpstreamOverflow",
        _N,
        _N,
        "a circuit breaker refused it: too much traffic, or a slow version; the version did not get it",
    ),
    "UMSDR": Flag(
        "UpstreamMaxStreamDurationReached", _N, _N, "a limit ended it that streams of a good version reach as well"
    ),
    "SI": Flag(
        "StreamIdleTimeout",
        _N,
        _N,
        "neither side sent anything for too long; with code 504 the request was complete, so it is the server's",
    ),
    "DT": Flag("DurationTimeout", _N, _N, "the caller's connection reached its maximum age"),
    "LR": Flag("LocalReset", _N, _N, "the proxy itself reset it and does not say why"),
    "FI": Flag("FaultInjected", _N, _N, "an error was injected by configuration; the version did not get it"),
    "RLSE": Flag("RateLimitServiceError", _N, _N, "the rate limit service failed; the version did not get it"),
    "NR": Flag(
        "NoRouteFound", _N, _N, "no route, or no filter chain for the connection (plaintext to strict mutual TLS)"
    ),
    "NC": Flag("NoClusterFound", _N, _N, "the route names a subset that the proxy does not have"),
    "NFCF": Flag("NoFilterConfigFound", _N, _N, "the proxy has not got its configuration yet"),
    "OM": Flag("OverloadManagerTerminated", _N, _N, "the proxy itself is overloaded"),
    "DF": Flag("DnsResolutionFailed", _N, _N, "a name was not resolved"),
    "DO": Flag("DropOverload", _N, _N, "the control plane has a share of the requests dropped"),
    "UDO": Flag("UnconditionalDropOverload", _N, _N, "the control plane has all requests dropped"),
    "RFCF": Flag("ResponseFromCacheFilter", _N, _N, "a cache answered; the version did not get it"),
}

# An upgraded connection (101, WebSocket) was answered; it ends when one side goes away, and these flags say no more than that.
_UPGRADE_ENDS = frozenset({"DC", "DR", "DT", "SI"})

GRPC_STATUSES: Mapping[int, tuple[str, str]] = {
    0: ("OK", "answered"),
    1: ("CANCELLED", "the caller cancelled the call"),
    2: ("UNKNOWN", "the application raised an error, or the answer has no status"),
    3: ("INVALID_ARGUMENT", "the request is wrong"),
    4: ("DEADLINE_EXCEEDED", "the version was too slow"),
    5: ("NOT_FOUND", "the request asks for something that is not there"),
    6: ("ALREADY_EXISTS", "the request makes something that is there"),
    7: ("PERMISSION_DENIED", "the caller may not"),
    8: ("RESOURCE_EXHAUSTED", "a quota of the caller is used up"),
    9: ("FAILED_PRECONDITION", "the request does not fit the state"),
    10: ("ABORTED", "the request lost to another one"),
    11: ("OUT_OF_RANGE", "the request is wrong"),
    12: ("UNIMPLEMENTED", "the version does not have the method"),
    13: ("INTERNAL", "the application failed"),
    14: ("UNAVAILABLE", "the application is not available"),
    15: ("DATA_LOSS", "the application lost data"),
    16: ("UNAUTHENTICATED", "the caller is not known"),
}


def classify(labels: Mapping[str, str], reporter: str, failures: Failures | None = None) -> Ruling:
    """The ruling on requests with these labels: `request_protocol`, `response_flags`, `response_code`, `grpc_response_status`.

    Flags come first: one that is not known makes it unknown, then a server's decides, then a caller's, then one of neither. Without such a
    flag the status decides for gRPC, the code for HTTP; a TCP connection without a flag was served. What a flag blames on the caller or on
    nobody did not get to the version, or not to an end, and is not counted.
    """
    failures = failures or Failures()
    protocol = labels.get("request_protocol", "")
    if protocol not in ("http", "grpc", "tcp"):
        return _unknown("request_protocol", protocol)
    text = labels.get("response_flags", "")
    if not text:
        return _unknown("response_flags", text)
    flags = [] if text == NONE else text.split(",")
    for flag in flags:
        if flag not in FLAGS:
            return _unknown("response_flags", flag)
    code = labels.get("response_code", "")
    if protocol != "tcp" and not _is_code(code):
        return _unknown("response_code", code)
    if (found := _by_flags(flags, code, protocol, reporter)) is not None:
        return found
    match protocol:
        case "tcp":
            return Ruling(Fault.NOBODY, Outcome.SERVED, NONE)
        case "grpc":
            return _by_status(labels.get("grpc_response_status", ""), code, failures)
        case _:
            return _by_code(int(code), failures)


def _unknown(label: str, value: str) -> Ruling:
    shown = f"{label}={value[:60]!r}" if value else f"the label {label} is missing"
    return Ruling(Fault.UNKNOWN, Outcome.UNKNOWN, shown)


def _is_code(text: str) -> bool:
    return text == "0" or (len(text) == 3 and text.isascii() and text.isdigit() and 100 <= int(text) < 600)


def _by_flags(flags: list[str], code: str, protocol: str, reporter: str) -> Ruling | None:
    if code == "101":
        flags = [flag for flag in flags if flag not in _UPGRADE_ENDS]
    faults = {flag: _fault(flag, code, protocol, reporter) for flag in flags}
    for wanted in (Fault.SERVER, Fault.CALLER, Fault.NEITHER):
        deciding = [flag for flag, fault in faults.items() if fault is wanted]
        if deciding:
            outcome = Outcome.FAILED if wanted is Fault.SERVER else Outcome.UNCOUNTED
            return Ruling(wanted, outcome, deciding[0])
    return None


def _fault(flag: str, code: str, protocol: str, reporter: str) -> Fault:
    row = FLAGS[flag]
    if protocol == "tcp" and row.tcp is not None:
        return row.tcp
    if flag == "SI" and code == "504":
        return Fault.SERVER
    return row.fault(reporter)


def _by_status(text: str, code: str, failures: Failures) -> Ruling:
    """By a gRPC status, also when it came without a body ("trailers only"): Istio reads trailers, then headers, then the HTTP code.

    So a status is only missing when there is no code either (Envoy's source/common/grpc/common.cc, getGrpcStatus).
    """
    if text in ("", NONE) and code == "0":
        return Ruling(Fault.NEITHER, Outcome.UNCOUNTED, "code 0")
    if not (text.isascii() and text.isdigit()) or int(text) not in GRPC_STATUSES:
        return _unknown("grpc_response_status", "" if text == NONE else text)
    status = int(text)
    fault = grpc_fault(status, failures)
    return Ruling(fault, _counted(fault), f"gRPC status {status} {GRPC_STATUSES[status][0]}")


def grpc_fault(status: int, failures: Failures) -> Fault:
    """Whose fault a gRPC status is."""
    if status in failures.grpc:
        return Fault.SERVER
    if status == 0:
        return Fault.NOBODY
    return Fault.NEITHER if status == 1 else Fault.CALLER


def _by_code(code: int, failures: Failures) -> Ruling:
    fault = http_fault(code, failures)
    return Ruling(fault, _counted(fault), f"code {code}")


def http_fault(code: int, failures: Failures) -> Fault:
    """Whose fault an HTTP code without a deciding flag is. 0: it ended without an answer; 499: nginx' code for a caller that hung up."""
    if code in failures.http or code >= 500:
        return Fault.SERVER
    if code in (0, 499):
        return Fault.NEITHER
    return Fault.CALLER if code >= 400 else Fault.NOBODY


def _counted(fault: Fault) -> Outcome:
    """What a version's own answer counts as: one that blames the request (404) is an answer all the same."""
    match fault:
        case Fault.SERVER:
            return Outcome.FAILED
        case Fault.CALLER | Fault.NOBODY:
            return Outcome.SERVED
        case Fault.NEITHER | Fault.OPEN:
            return Outcome.UNCOUNTED
        case Fault.UNKNOWN:
            return Outcome.UNKNOWN
        case _:
            assert_never(fault)
