# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether each proxy has the configuration that istiod sent last, from istiod's `/debug/syncz`. Pure.

istiod keeps for each proxy and type the nonce that it sent and the one that Envoy acknowledged, when it sent, and the message of the last
refusal (istio pilot/pkg/xds/debug.go, Syncz; states as in pilot/pkg/xds/statusgen.go, debugSyncStatus). `istioctl proxy-status` shows the
same. A push that is under way looks like a stale proxy for some milliseconds: it counts as stale only after a number of seconds.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._mesh.diagnose.codes import DiagnosisCode, Section
from ansible_collections.servicemesh.platform.plugins.module_utils._mesh.diagnose.findings import (
    Finding,
    finding,
    not_read,
    understood,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._mesh.diagnose.pods import Pod

# istio pilot/pkg/xds/v3/model.go (GetShortType)
_SHORT = {
    "type.googleapis.com/envoy.config.cluster.v3.Cluster": "CDS",
    "type.googleapis.com/envoy.config.listener.v3.Listener": "LDS",
    "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment": "EDS",
    "type.googleapis.com/envoy.config.route.v3.RouteConfiguration": "RDS",
    "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig": "ECDS",
    "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret": "SDS",
    "type.googleapis.com/istio.networking.nds.v1.NameTable": "NDS",
    "type.googleapis.com/istio.mesh.v1alpha1.ProxyConfig": "PCDS",
    "type.googleapis.com/istio.workload.Address": "WDS",
    "type.googleapis.com/istio.workload.Workload": "WDS",
    "type.googleapis.com/istio.security.Authorization": "WADS",
}
# Fields of istiods whose answer has no `resources`.
_LEGACY = {"CDS": "cluster", "LDS": "listener", "RDS": "route", "EDS": "endpoint", "ECDS": "extensionconfig"}
_DEBUG = "istio.io/debug"  # what `istioctl` itself subscribes to
_ALWAYS = frozenset({"CDS", "LDS"})  # what every Envoy is sent when it connects
_ENVOY = frozenset({"sidecar", "router", "waypoint"})  # NodeType, pilot/pkg/model/context.go


class State(StrEnum):
    """State of a proxy, or of one type of it, the worst first."""

    REJECTED = "rejected"
    STALE = "stale"
    NOT_CONNECTED = "not_connected"
    NOT_SENT = "not_sent"
    UNKNOWN = "unknown"
    PENDING = "pending"
    SYNCED = "synced"


_BADNESS = {state: number for number, state in enumerate(State)}


@dataclass(frozen=True, slots=True)
class Istiod:
    """One istiod as it answered. `time`: its clock when it did, in Unix seconds. `error`: why it is not known what it sends."""

    pod: str
    version: str = ""
    revision: str = "default"
    time: float = 0.0
    answer: Any = None
    error: str = ""
    right: str = ""


@dataclass(frozen=True, slots=True)
class Type:
    """State of one xDS type: seconds since istiod sent it (None when it does not say), and Envoy's refusal."""

    state: State
    seconds: float | None = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class Proxy:
    """One connection of a proxy to an istiod, or a proxy without one (`istiod` is empty)."""

    namespace: str
    pod: str
    state: State
    kind: str = ""
    istiod: str = ""
    version: str = ""
    workload: str = ""
    types: Mapping[str, Type] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """The proxy as modules return it."""
        return {
            "pod": self.pod,
            "namespace": self.namespace,
            "workload": self.workload,
            "state": str(self.state),
            "kind": self.kind,
            "istiod": self.istiod,
            "version": self.version,
            "types": {
                name: {
                    "state": str(entry.state),
                    "seconds": None if entry.seconds is None else round(entry.seconds, 1),
                    "error": entry.error,
                }
                for name, entry in sorted(self.types.items())
            },
        }


@dataclass(frozen=True, slots=True)
class Expected:
    """A running pod with a proxy that should be connected."""

    namespace: str
    pod: str
    workload: str
    up: bool


def expected_of(found: Iterable[Pod]) -> list[Expected]:
    """The pods with a proxy."""
    return [Expected(pod.namespace, pod.name, pod.workload, pod.up) for pod in found if pod.has_envoy]


def short(url: str) -> str:
    """Short name of a type, its last part for one that is not known here."""
    return _SHORT.get(url) or url.rpartition("/")[2].rpartition(".")[2] or url


def proxies_of(istiod: Istiod, patience: float) -> list[Proxy]:
    """The proxies that are connected to an istiod. Raises ValueError for an answer of another shape.

    `patience`: seconds after which what was not acknowledged counts as stale.
    """
    if not isinstance(istiod.answer, Sequence) or isinstance(istiod.answer, str):
        raise ValueError(f"its answer is no list: {str(istiod.answer)[:80]}")
    found = []
    for row in istiod.answer:
        if not isinstance(row, Mapping) or not isinstance(row.get("proxy"), str):
            raise ValueError(f"an entry of its answer names no proxy: {str(row)[:80]}")
        types = _types(row, istiod.time, patience)
        if types is None:
            continue
        pod, _dot, namespace = row["proxy"].rpartition(".")
        kind = str(row.get("proxy_type") or "")
        worst = min((entry.state for entry in types.values()), key=_BADNESS.__getitem__, default=State.NOT_SENT)
        if worst is State.SYNCED and kind in _ENVOY and _ALWAYS.isdisjoint(types):
            worst = State.NOT_SENT
        found.append(Proxy(namespace, pod, worst, kind, istiod.pod, str(row.get("istio_version") or ""), "", types))
    return found


def _types(row: Mapping[str, Any], now: float, patience: float) -> dict[str, Type] | None:
    """The states of a proxy's types; None for a connection that is no proxy's, but that of istioctl."""
    resources = row.get("resources")
    if resources is None:
        sent = {name: (row.get(f"{field}_sent"), row.get(f"{field}_acked")) for name, field in _LEGACY.items()}
        return {
            name: Type(State.SYNCED if nonce == acked else State.STALE)
            for name, (nonce, acked) in sent.items()
            if nonce
        }
    if not isinstance(resources, Mapping):
        raise ValueError(f"the resources of {row['proxy']} are no mapping")
    if resources and all(str(url).startswith(_DEBUG) for url in resources):
        return None
    types: dict[str, Type] = {}
    for url, entry in resources.items():
        if not isinstance(entry, Mapping):
            raise ValueError(f"{url} of {row['proxy']} is no mapping")
        name, made = short(str(url)), _type(entry, now, patience)
        if made.state is State.NOT_SENT and name not in _ALWAYS:
            continue  # istiod has nothing of this type to send
        if name not in types or _BADNESS[made.state] < _BADNESS[types[name].state]:
            types[name] = made
    return types


def _type(entry: Mapping[str, Any], now: float, patience: float) -> Type:
    since = _seconds_since(entry.get("sentTime"), now)
    if entry.get("lastError"):
        return Type(State.REJECTED, since, str(entry["lastError"]))
    if not entry.get("sent"):
        return Type(State.NOT_SENT)
    if entry["sent"] == entry.get("acked"):
        return Type(State.SYNCED, since)
    return Type(State.PENDING if since is not None and since < patience else State.STALE, since)


def _seconds_since(text: Any, now: float) -> float | None:
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return max(0.0, now - found.timestamp()) if found.year > 1 and found.tzinfo else None  # Go's zero time is of year 1


@dataclass(frozen=True, slots=True)
class Judged:
    """All proxies, and what was found about them."""

    proxies: list[Proxy]
    findings: list[Finding]


def unsettled(istiods: Sequence[Istiod], expected: Iterable[Expected], patience: float) -> bool:
    """Whether another look may say more: a proxy is on its way to another istiod, or an istiod ends or starts.

    A proxy of an istiod that ends connects to another within seconds; while it does, none names it, or one that has not sent it anything.
    """
    if any(istiod.error and not istiod.right for istiod in istiods):
        return True
    rows = judge(istiods, expected, patience).proxies if istiods else []
    return any(row.state in (State.NOT_CONNECTED, State.NOT_SENT) for row in rows)


def judge(
    istiods: Sequence[Istiod], expected: Iterable[Expected], patience: float, before: Sequence[Istiod] = ()
) -> Judged:
    """All proxies with their states. A pod whose proxy no istiod names is `not_connected`, or `unknown` when an istiod did not answer.

    `before`: the istiods as they answered some seconds before. A proxy that only they name was connected then.
    """
    connected: list[Proxy] = []
    findings: list[Finding] = []
    complete = bool(istiods)
    if not istiods:
        findings.append(finding(DiagnosisCode.NO_ISTIOD, "istiod", "no pod of istiod runs, so no proxy gets changes"))
    for istiod in istiods:
        try:
            if istiod.error:
                raise ValueError(istiod.error)
            connected += understood(proxies_of, istiod, patience)
        except ValueError as error:
            complete = False
            findings.append(not_read(Section.PROXIES, f"istiod {istiod.pod}", str(error), istiod.right))
    pods = {(entry.namespace, entry.pod): entry for entry in expected}
    named = {(proxy.namespace, proxy.pod) for proxy in connected}
    for istiod in before:
        with contextlib.suppress(ValueError):
            rows_before = [] if istiod.error else understood(proxies_of, istiod, patience)
            connected += [proxy for proxy in rows_before if (proxy.namespace, proxy.pod) not in named]
    named = {(proxy.namespace, proxy.pod) for proxy in connected}
    rows = [
        Proxy(
            p.namespace, p.pod, p.state, p.kind, p.istiod, p.version, pods[key].workload if key in pods else "", p.types
        )
        for p in connected
        for key in [(p.namespace, p.pod)]
    ]
    lost = State.NOT_CONNECTED if complete or not istiods else State.UNKNOWN
    rows += [
        Proxy(entry.namespace, entry.pod, lost, workload=entry.workload)
        for key, entry in pods.items()
        if key not in named and entry.up
    ]
    versions = {istiod.pod: istiod.version for istiod in istiods}
    for row in rows:
        findings += _of_proxy(row, versions.get(row.istiod, ""))
    return Judged(sorted(rows, key=lambda row: (_BADNESS[row.state], row.namespace, row.pod, row.istiod)), findings)


def _of_proxy(row: Proxy, istiod_version: str) -> list[Finding]:
    subject, found = f"Pod {row.namespace}/{row.pod}", []

    def add(code: DiagnosisCode, message: str) -> None:
        found.append(finding(code, subject, message, namespace=row.namespace))

    if row.state is State.NOT_CONNECTED:
        add(DiagnosisCode.PROXY_NOT_CONNECTED, "its proxy is connected to no istiod")
    for name, entry in sorted(row.types.items()):
        since = "" if entry.seconds is None else f" {entry.seconds:.0f} s ago"
        if entry.state is State.REJECTED:
            add(DiagnosisCode.PROXY_REJECTED, f"Envoy refused {name} that {row.istiod} sent{since}: {entry.error}")
        elif entry.state is State.STALE:
            add(DiagnosisCode.PROXY_STALE, f"{name} that {row.istiod} sent{since} is not acknowledged")
    if row.state is State.NOT_SENT:
        lacking = sorted(name for name in _ALWAYS if row.types.get(name, Type(State.NOT_SENT)).state is State.NOT_SENT)
        add(DiagnosisCode.PROXY_NOT_SENT, f"{row.istiod} has sent it no {' and no '.join(lacking) or 'configuration'}")
    own, theirs = _minor(row.version), _minor(istiod_version)
    if own and theirs and own != theirs:
        code = DiagnosisCode.PROXY_NEWER if own > theirs else DiagnosisCode.PROXY_OLD
        add(code, f"its proxy is of Istio {row.version}, {row.istiod} of {istiod_version}")
    return found


def _minor(version: str) -> tuple[int, int] | None:
    """Major and minor version of `1.31.0`; None for a text that is no version."""
    match = re.match(r"v?(\d+)\.(\d+)(?:\D|$)", version)
    return (int(match[1]), int(match[2])) if match else None
