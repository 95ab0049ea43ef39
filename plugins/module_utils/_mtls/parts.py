# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Parts of `model.Mesh` that few look into: doubts, listeners of Sidecar objects, VirtualServices, EnvoyFilters and routes. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

GATEWAY_NAME = "gateway.networking.k8s.io/gateway-name"  # label of the pods of a Gateway of the Kubernetes Gateway API


@dataclass(frozen=True, slots=True)
class Doubt:
    """What of an object is not understood: a field, a value or a key that is not known or not computed.

    `words` name object and field. `wide` is whether it is open which workloads the object is for, its selector notwithstanding.
    """

    words: str
    wide: bool = False


class Spoken(StrEnum):
    """What Istio takes the traffic of a port for. TLS is that of the application; EITHER is found out for each connection."""

    HTTP = "http"
    TCP = "tcp"
    TLS = "tls"
    EITHER = "either"


@dataclass(frozen=True, slots=True)
class EgressHost:
    """One host of an egress listener. `namespace` is `*` for all and `.` for the client's own; `host` is a name or a wildcard."""

    namespace: str
    host: str
    excluded: bool = False


@dataclass(frozen=True, slots=True)
class EgressListener:
    """An egress listener of a Sidecar object: its port, 0 for all ports, and its hosts. An exclusion holds for its listener only."""

    port: int
    hosts: tuple[EgressHost, ...]


@dataclass(frozen=True, slots=True)
class IngressListener:
    """An ingress listener of a Sidecar object: whether it has TLS of its own, and the protocol that it declares."""

    tls: bool = False
    spoken: Spoken = Spoken.EITHER


@dataclass(frozen=True, slots=True)
class Target:
    """Where a route sends calls or copies of them: a full host name, a service port (0 for the one that was called), a subset or none."""

    host: str
    port: int = 0
    subset: str = ""


@dataclass(frozen=True, slots=True)
class Match:
    """One match of a route. `always` is whether it needs nothing of the call itself; what it needs is in `conditions`.

    `conditions` maps a field (`uri`, `headers.x`) to (kind, value), such as ("prefix", "/a"). `namespace` and `labels` are those of the
    client's workload, `gateways` empty for all.
    """

    port: int = 0
    namespace: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    gateways: tuple[str, ...] = ()
    conditions: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    always: bool = True


@dataclass(frozen=True, slots=True)
class Route:
    """A route: its matches (none for all calls), its destinations that get calls, and its mirrors that get copies.

    `delegate` is `namespace/name` of the VirtualService that has the routes in place of this one. `named` are all hosts that it names,
    those that get no calls included.
    """

    matches: tuple[Match, ...] = ()
    targets: tuple[Target, ...] = ()
    mirror: tuple[Target, ...] = ()
    mirrors: tuple[Target, ...] = ()
    delegate: str = ""
    named: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class VirtualService:
    """A VirtualService with full host names. One without hosts is a delegate. `mesh` is whether sidecars get it."""

    namespace: str
    name: str
    created: str = ""
    hosts: tuple[str, ...] = ()
    mesh: bool = True
    export_to: tuple[str, ...] = ()
    http: tuple[Route, ...] = ()
    tcp: tuple[Route, ...] = ()
    tls: tuple[Route, ...] = ()
    revision: str = ""
    doubt: Doubt | None = None

    @property
    def key(self) -> str:
        """`namespace/name`."""
        return f"{self.namespace}/{self.name}"

    @property
    def selectors(self) -> list[Mapping[str, str]]:
        """All labels of clients that its matches name."""
        return [match.labels for route in (*self.http, *self.tcp, *self.tls) for match in route.matches if match.labels]


@dataclass(frozen=True, slots=True)
class Patch:
    """A patch of an EnvoyFilter that may change what a proxy sends or accepts, and is not computed.

    `accepts` and `sends` are the side that it may change, `sidecars` and `gateways` the proxies. `host` is the only service whose calls
    it concerns, empty for all. `what` says it in words.
    """

    what: str
    accepts: bool
    sends: bool
    sidecars: bool = True
    gateways: bool = True
    host: str = ""


@dataclass(frozen=True, slots=True)
class EnvoyFilter:
    """An EnvoyFilter with the patches that are not computed; those that cannot change TLS are left out.

    `gateways` are the Gateways of the Kubernetes Gateway API that its targetRefs name, None without targetRefs.
    """

    namespace: str
    name: str
    selector: Mapping[str, str] = field(default_factory=dict)
    gateways: tuple[str, ...] | None = None
    patches: tuple[Patch, ...] = ()
    revision: str = ""
    doubt: Doubt | None = None

    @property
    def selectors(self) -> list[Mapping[str, str]]:
        """All labels of workloads that it names."""
        return [self.selector, *({GATEWAY_NAME: name} for name in self.gateways or ())]


@dataclass(frozen=True, slots=True)
class Reference:
    """An object that another one names: a port (0 for all), or a section, which is a port's name (empty for all)."""

    kind: str
    namespace: str
    name: str
    port: int = 0
    section: str = ""


@dataclass(frozen=True, slots=True)
class BackendTls:
    """A BackendTLSPolicy: what it gives TLS that is not the mesh's."""

    namespace: str
    name: str
    targets: tuple[Reference, ...] = ()
    doubt: Doubt | None = None


@dataclass(frozen=True, slots=True)
class MeshRoute:
    """A route of the Kubernetes Gateway API whose parents are services. Where it sends calls is not computed. `what` names it."""

    what: str
    namespace: str
    parents: tuple[Reference, ...] = ()
