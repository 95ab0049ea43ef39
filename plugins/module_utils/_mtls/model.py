# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a mesh decides on mutual TLS, as small frozen objects. Pure: `_mtls_parse` makes them from Kubernetes objects.

Times of creation stay the text that Kubernetes writes (RFC 3339 in UTC, whole seconds), which sorts like the times.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

Labels = Mapping[str, str]
NO_LABELS: Labels = {}


def matches(selector: Labels, labels: Labels) -> bool:
    """Whether all labels of a selector are among a workload's (istio pkg/config/labels, Instance.SubsetOf)."""
    return all(labels.get(key) == value for key, value in selector.items())


@dataclass(frozen=True, slots=True)
class MeshConfig:
    """One revision's MeshConfig, with Istio's defaults (istio pkg/config/mesh/mesh.go) and istiod's switches.

    `known` is false when it could not be read: what hangs on it is then unknown.
    """

    revision: str = "default"
    root_namespace: str = "istio-system"
    auto_mtls: bool = True
    trust_domain: str = "cluster.local"
    outbound: str = "ALLOW_ANY"
    destination_rule_export_to: tuple[str, ...] = ("*",)
    service_export_to: tuple[str, ...] = ("*",)
    interception: str = "REDIRECT"
    eds_for_headless: bool = False
    sidecar_ingress_tls: bool = False
    merge_by_export: bool = True
    ambient: bool | None = None  # PILOT_ENABLE_AMBIENT; null: istiod's environment could not be read
    known: bool = True


@dataclass(frozen=True, slots=True)
class Policy:
    """A PeerAuthentication. `mode` is empty for UNSET and for no `mtls`; `ports` are container ports.

    `open_selector` tells `selector: {}` from no selector at all; only ambient mode sees a difference.
    """

    namespace: str
    name: str
    created: str = ""
    selector: Labels = field(default_factory=dict)
    mode: str = ""
    ports: Mapping[int, str] = field(default_factory=dict)
    open_selector: bool = False

    @property
    def key(self) -> str:
        """`namespace/name`."""
        return f"{self.namespace}/{self.name}"

    @property
    def age(self) -> tuple[str, str, str]:
        """Sorts the oldest first (istio pilot/pkg/model/config.go, configCompareByCreationTime)."""
        return self.created, self.name, self.namespace


@dataclass(frozen=True, slots=True)
class Traffic:
    """What of a trafficPolicy counts here: `tls` is a mode or null for none; `ports` replace the whole block (service port)."""

    tls: str | None = None
    passthrough: bool = False
    ports: Mapping[int, Traffic] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Subset:
    """One subset of a DestinationRule."""

    name: str
    labels: Labels = field(default_factory=dict)
    traffic: Traffic | None = None


@dataclass(frozen=True, slots=True)
class DestinationRule:
    """A DestinationRule, its host already a full name. `selector` is null for a rule without workloadSelector."""

    namespace: str
    name: str
    host: str
    created: str = ""
    export_to: tuple[str, ...] = ()
    selector: Labels | None = None
    traffic: Traffic | None = None
    subsets: tuple[Subset, ...] = ()

    @property
    def key(self) -> str:
        """`namespace/name`."""
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class EgressHost:
    """One host of a Sidecar's egress: namespace (`*` for all, `.` for the client's own), host or wildcard, listener port or 0."""

    namespace: str
    host: str
    port: int = 0
    excluded: bool = False


@dataclass(frozen=True, slots=True)
class SidecarScope:
    """A Sidecar object. `egress` is null when it restricts nothing; `ingress` maps a port to whether it has its own TLS."""

    namespace: str
    name: str
    created: str = ""
    selector: Labels | None = None
    egress: tuple[EgressHost, ...] | None = None
    ingress: Mapping[int, bool] = field(default_factory=dict)
    outbound: str = ""

    @property
    def key(self) -> str:
        """`namespace/name`."""
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class Capture:
    """Which traffic of a pod its sidecar takes. Ports are container ports; `include_in` is null for all."""

    include_in: frozenset[int] | None = None
    exclude_in: frozenset[int] = frozenset()
    exclude_out: frozenset[int] = frozenset()
    include_out_ranges: tuple[str, ...] = ("*",)
    exclude_out_ranges: tuple[str, ...] = ()
    none: bool = False  # interceptionMode NONE

    def takes_inbound(self, port: int) -> bool:
        """Whether a connection to a container port passes the sidecar."""
        if self.none or port in self.exclude_in:
            return False
        return self.include_in is None or port in self.include_in


@dataclass(frozen=True, slots=True)
class Group:
    """Pods of one workload that are alike in all that counts. `kind` is sidecar, gateway, waypoint, ambient or none.

    `tls_label` is the pods' label security.istio.io/tlsMode, `disabled` when there is none: a claim, not a proof.
    `hbone` tells whether the pods take Istio's tunnel; `why` says why there is no proxy; `count` is the number of pods.
    """

    namespace: str
    workload: str
    labels: Labels = field(default_factory=dict)
    kind: str = "none"
    revision: str = ""
    tls_label: str = "disabled"
    hbone: bool = False
    host_network: bool = False
    capture: Capture = Capture()
    why: str = ""
    service_account: str = "default"
    count: int = 1

    @property
    def key(self) -> str:
        """`namespace/workload`."""
        return f"{self.namespace}/{self.workload}"

    @property
    def meshed(self) -> bool:
        """Whether a proxy of the mesh stands in front of these pods."""
        return self.kind != "none" and not self.host_network


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a service port leads: pods of a group (index into Mesh.groups) or an address without a pod, and the container port.

    Without a pod, `tls_label` is what Istio takes for a WorkloadEntry; `labels` and `namespace` are the entry's.
    """

    port: int
    group: int | None = None
    tls_label: str = "disabled"
    namespace: str = ""
    labels: Labels = field(default_factory=dict)
    what: str = ""


@dataclass(frozen=True, slots=True)
class Port:
    """A port of a service and what stands behind it."""

    number: int
    name: str = ""
    protocol: str = ""
    endpoints: tuple[Endpoint, ...] = ()


@dataclass(frozen=True, slots=True)
class Service:
    """A Kubernetes Service or a host of a ServiceEntry.

    `kind` is service, headless, alias (ExternalName; `target` is its name) or entry. `passthrough` is a ServiceEntry with
    resolution NONE. `external` is mesh-external. `export_to` is empty for the mesh's default.
    """

    namespace: str
    name: str
    host: str
    ports: tuple[Port, ...] = ()
    kind: str = "service"
    external: bool = False
    passthrough: bool = False
    target: str = ""
    export_to: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """`namespace/name`."""
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class GatewayServer:
    """One server of a Gateway: port and TLS mode, empty for plain text."""

    gateway: str
    selector: Labels
    port: int
    tls: str = ""
    hosts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Mesh:
    """Everything that is judged. `missing` names the kinds that could not be read, with the reason in words."""

    config: MeshConfig = MeshConfig()
    configs: Mapping[str, MeshConfig] = field(default_factory=dict)
    policies: tuple[Policy, ...] = ()
    destination_rules: tuple[DestinationRule, ...] = ()
    sidecars: tuple[SidecarScope, ...] = ()
    servers: tuple[GatewayServer, ...] = ()
    services: tuple[Service, ...] = ()
    groups: tuple[Group, ...] = ()
    namespaces: tuple[str, ...] = ()
    missing: Mapping[str, str] = field(default_factory=dict)

    def config_of(self, group: Group | None) -> MeshConfig:
        """MeshConfig of the revision that serves a workload."""
        return self.configs.get(group.revision, self.config) if group else self.config


# What a server accepts, and what a client sends.
STRICT, PERMISSIVE, DISABLE, NOT_ENFORCED, UNKNOWN = "STRICT", "PERMISSIVE", "DISABLE", "NOT_ENFORCED", "UNKNOWN"
MTLS, PLAINTEXT, TLS, BLOCKED = "mtls", "plaintext", "tls", "blocked"


@dataclass(frozen=True, slots=True)
class Lost:
    """A policy or rule that did not count, and why."""

    object: str
    why: str


@dataclass(frozen=True, slots=True)
class ServerMode:
    """What a workload accepts on a port. `policy` is the object that decided, empty for Istio's default."""

    mode: str
    policy: str = ""
    reason: str = ""
    rule: str = ""
    lost: tuple[Lost, ...] = ()
