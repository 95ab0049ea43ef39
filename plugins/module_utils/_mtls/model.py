# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts of a mesh that decide on mutual TLS, as small frozen objects. Pure: `parse` makes them from Kubernetes objects.

A creation time stays the text that Kubernetes writes (RFC 3339 in UTC, whole seconds): the text sorts like the time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parts import (
    Doubt,
    EgressListener,
    EnvoyFilter,
    IngressListener,
    MeshRoute,
    Spoken,
    VirtualService,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.pods import Bare, Capture, Redirection, Role
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.rules import RuleCode

Labels = Mapping[str, str]


class Mode(StrEnum):
    """What a server accepts on a port. The first three are also the modes of a PeerAuthentication."""

    STRICT = "STRICT"
    PERMISSIVE = "PERMISSIVE"
    DISABLE = "DISABLE"
    NOT_ENFORCED = "NOT_ENFORCED"  # no proxy stands before the port
    UNKNOWN = "UNKNOWN"


POLICY_MODES = (Mode.STRICT, Mode.PERMISSIVE, Mode.DISABLE)


class Sent(StrEnum):
    """What a client sends."""

    MTLS = "mtls"
    PLAINTEXT = "plaintext"
    TLS = "tls"  # with certificates that a DestinationRule names, not with those of the mesh
    BLOCKED = "blocked"  # the client's own proxy refuses the call
    UNKNOWN = "UNKNOWN"


class TlsMode(StrEnum):
    """TLS mode of a DestinationRule (istio.io/api networking/v1alpha3, ClientTLSSettings)."""

    DISABLE = "DISABLE"
    SIMPLE = "SIMPLE"
    MUTUAL = "MUTUAL"
    ISTIO_MUTUAL = "ISTIO_MUTUAL"
    UNKNOWN = "UNKNOWN"  # a value that this list does not have


class Proxy(StrEnum):
    """Which proxy of the mesh stands before a pod. AMBIENT is the node's ztunnel, PROXYLESS an application that speaks xDS itself."""

    SIDECAR = "sidecar"
    GATEWAY = "gateway"
    WAYPOINT = "waypoint"
    AMBIENT = "ambient"
    PROXYLESS = "proxyless"
    NONE = "none"


class ServiceKind(StrEnum):
    """A Service with an address, one without (headless), an ExternalName (alias), or a host of a ServiceEntry (entry)."""

    SERVICE = "service"
    HEADLESS = "headless"
    ALIAS = "alias"
    ENTRY = "entry"


def matches(selector: Labels, labels: Labels) -> bool:
    """Whether all labels of a selector are among a workload's (istio pkg/config/labels, Instance.SubsetOf)."""
    return selector.items() <= labels.items()


@dataclass(frozen=True, slots=True)
class LabelSelector:
    """A selector of Kubernetes: labels, and expressions as (key, operator, values). An empty one matches everything."""

    labels: tuple[tuple[str, str], ...] = ()
    expressions: tuple[tuple[str, str, frozenset[str]], ...] = ()

    def matches(self, labels: Labels) -> bool:
        """Whether labels match (apimachinery pkg/labels/selector.go, Requirement.Matches). `NotIn` also matches a missing label."""
        return all(labels.get(key) == value for key, value in self.labels) and all(
            _holds(operator, labels.get(key), values) for key, operator, values in self.expressions
        )


def _holds(operator: str, value: str | None, values: frozenset[str]) -> bool:
    match operator:
        case "In":
            return value in values
        case "NotIn":
            return value not in values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
    raise ValueError(operator)  # parse lets no other through


@dataclass(frozen=True, slots=True)
class MeshConfig:
    """One revision's MeshConfig, with Istio's defaults (istio pkg/config/mesh/mesh.go) and istiod's switches.

    `known` is false when it could not be read, and `doubt` says what of it is not understood. Whatever depends on it is then unknown.
    `discovery` are the discoverySelectors, and `discovered` the namespaces that they select, None without selectors: objects of other
    namespaces do not exist for this istiod.
    """

    revision: str = "default"
    root_namespace: str = "istio-system"
    auto_mtls: bool = True
    trust_domain: str = "cluster.local"
    outbound: str = "ALLOW_ANY"
    destination_rule_export_to: tuple[str, ...] = ("*",)
    service_export_to: tuple[str, ...] = ("*",)
    virtual_service_export_to: tuple[str, ...] = ("*",)
    interception: str = "REDIRECT"
    eds_for_headless: bool = False
    sidecar_ingress_tls: bool = False
    merge_by_export: bool = True
    selects_entries: bool = True  # PILOT_ENABLE_K8S_SELECT_WORKLOAD_ENTRIES
    ambient: bool | None = None  # PILOT_ENABLE_AMBIENT; None: istiod's environment could not be read
    discovery: tuple[LabelSelector, ...] = ()
    discovered: frozenset[str] | None = None
    known: bool = True
    doubt: str = ""

    def reads(self, namespace: str, revision: str = "") -> bool:
        """Whether istiod reads the objects of a namespace (istio pkg/kube/namespace/filter.go).

        `revision` is an object's label istio.io/rev: another revision's object does not exist for this istiod, and one without the label
        is for all of them (pilot/pkg/config/kube/crdclient/client.go, inRevision).
        """
        return revision in ("", self.revision) and (self.discovered is None or namespace in self.discovered)

    @property
    def unclear(self) -> str:
        """Why nothing that depends on it is known, empty when it is known."""
        return self.doubt if self.known else "the MeshConfig is unknown"


@dataclass(frozen=True, slots=True)
class Policy:
    """A PeerAuthentication. `mode` is None for UNSET and for no `mtls`. `ports` maps a container port to its mode.

    `open_selector` is true for `selector: {}` and false without a selector. Only ambient mode treats the two differently.
    """

    namespace: str
    name: str
    created: str = ""
    selector: Labels = field(default_factory=dict)
    mode: Mode | None = None
    ports: Mapping[int, Mode | None] = field(default_factory=dict)
    open_selector: bool = False
    revision: str = ""
    doubt: Doubt | None = None

    @property
    def key(self) -> str:
        """`namespace/name`."""
        return f"{self.namespace}/{self.name}"

    @property
    def age(self) -> tuple[str, str, str]:
        """Sort key, oldest first (istio pilot/pkg/model/config.go, configCompareByCreationTime)."""
        return self.created, self.name, self.namespace


@dataclass(frozen=True, slots=True)
class Traffic:
    """The TLS settings of a trafficPolicy. `tls` is None when it is not set. `passthrough` is load balancer PASSTHROUGH.

    `ports` maps a service port to the settings that replace the whole block for it (portLevelSettings).
    """

    tls: TlsMode | None = None
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
    """A DestinationRule with its host as a full name. `selector` is None without a workloadSelector."""

    namespace: str
    name: str
    host: str
    created: str = ""
    export_to: tuple[str, ...] = ()
    selector: Labels | None = None
    traffic: Traffic | None = None
    subsets: tuple[Subset, ...] = ()
    revision: str = ""
    doubt: Doubt | None = None

    @property
    def key(self) -> str:
        """`namespace/name`."""
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class SidecarScope:
    """A Sidecar object. `egress` is None when it restricts nothing. `ingress` are its listeners by port."""

    namespace: str
    name: str
    created: str = ""
    selector: Labels | None = None
    egress: tuple[EgressListener, ...] | None = None
    ingress: Mapping[int, IngressListener] = field(default_factory=dict)
    outbound: str = ""
    revision: str = ""
    doubt: Doubt | None = None

    @property
    def key(self) -> str:
        """`namespace/name`."""
        return f"{self.namespace}/{self.name}"


def in_mesh(capture: Capture, config: MeshConfig) -> Capture:
    """What a pod captures in a mesh: without any sign of a redirection, it must be the mesh that wants none (injection-template.yaml)."""
    mode = capture.mode or ("" if config.unclear else config.interception)
    if mode == "NONE":
        return replace(capture, none=True, unclear="")
    if capture.by is not Redirection.NOBODY or capture.unclear:
        return capture
    why = "it has neither istio-init nor a mark of istio-cni, so whether its traffic passes the sidecar is not known"
    return replace(capture, unclear=why)


@dataclass(frozen=True, slots=True)
class Group:
    """Pods of one workload that do not differ in anything that decides on mutual TLS.

    `tls_label` is the pods' label security.istio.io/tlsMode, `disabled` without one. It is what the pods claim, and not a proof.
    `hbone` is whether the pods accept Istio's tunnel; `why` is why there is no proxy; `count` is the number of pods. `probes` are what the
    kubelet asks by HTTP or gRPC: container port and the name of the probe or hook. `doubt` is what of the pods is not understood.
    """

    namespace: str
    workload: str
    labels: Labels = field(default_factory=dict)
    kind: Proxy = Proxy.NONE
    revision: str = ""
    tls_label: str = "disabled"
    hbone: bool = False
    host_network: bool = False
    capture: Capture = field(default_factory=Capture)
    why: Bare = Bare.NO
    service_account: str = "default"
    probes: frozenset[tuple[int, str]] = frozenset()
    doubt: str = ""
    role: Role = Role.APPLICATION
    count: int = 1

    @property
    def key(self) -> str:
        """`namespace/workload`."""
        return f"{self.namespace}/{self.workload}"

    @property
    def meshed(self) -> bool:
        """Whether a proxy of the mesh stands in front of these pods."""
        return self.kind != Proxy.NONE and not self.host_network


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What a service port leads to: pods of a group (index into Mesh.groups) or an address without a pod, and the container port.

    Without a pod, `tls_label` is what Istio assumes for a WorkloadEntry, `labels` and `namespace` are the entry's, `what` names it, and
    `address` is where it is.
    `behind` is the group that has the entry's address: clients treat it as the entry says, and it accepts what its own pods accept.
    `unread` is what could not be read, when it is not known whether there is such an endpoint. `by_istio` is whether only istiod adds the
    endpoint to the service: who calls the service without istiod's configuration does not get there. `network` is what a WorkloadEntry
    states.
    """

    port: int
    group: int | None = None
    tls_label: str = "disabled"
    namespace: str = ""
    labels: Labels = field(default_factory=dict)
    what: str = ""
    behind: int | None = None
    unread: str = ""
    by_istio: bool = False
    network: str = ""
    address: str = ""

    @property
    def pods(self) -> int | None:
        """The group whose pods answer there, None when no pod of this cluster does."""
        return self.behind if self.group is None else self.group


@dataclass(frozen=True, slots=True)
class Port:
    """A port of a service and its endpoints."""

    number: int
    name: str = ""
    protocol: str = ""
    endpoints: tuple[Endpoint, ...] = ()
    spoken: Spoken = Spoken.EITHER


@dataclass(frozen=True, slots=True)
class Service:
    """A Kubernetes Service or a host of a ServiceEntry.

    `target` is the name that an alias stands for, and the name of the ServiceEntry of an entry. `passthrough` is resolution NONE.
    `external` is location MESH_EXTERNAL. An empty `export_to` is the mesh's default. `revision` is a ServiceEntry's label istio.io/rev, and
    `doubt` what is not understood of it. `entrance` is whether calls from outside of the cluster arrive by its node ports, load balancer or
    external addresses.
    """

    namespace: str
    name: str
    host: str
    ports: tuple[Port, ...] = ()
    kind: ServiceKind = ServiceKind.SERVICE
    external: bool = False
    passthrough: bool = False
    target: str = ""
    export_to: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    revision: str = ""
    doubt: str = ""
    entrance: bool = False

    @property
    def key(self) -> str:
        """`namespace/name`."""
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class GatewayServer:
    """One server of a Gateway. `tls` is its TLS mode, empty for plain text."""

    gateway: str
    selector: Labels
    port: int
    tls: str = ""
    hosts: tuple[str, ...] = ()
    revision: str = ""
    doubt: Doubt | None = None


class MissingCause(StrEnum):
    """Why something could not be read."""

    NO_PERMISSION = "no_permission"
    NOT_INSTALLED = "not_installed"  # the API server does not know the kind, or the object is not there
    FAILED = "failed"
    NOT_GIVEN = "not_given"  # the files that were read instead of a cluster have no object of this kind


@dataclass(frozen=True, slots=True)
class Missing:
    """A kind or an object that could not be read. `right` is what to grant (verb and resource) when permission is missing.

    `concerns` are the namespaces whose workloads depend on it, None for all.
    """

    object: str
    cause: MissingCause
    text: str
    right: str = ""
    concerns: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Mesh:
    """Everything that is judged. `missing` maps each kind that could not be read to the cause.

    `claimed` are the groups whose addresses WorkloadEntries have as well.
    """

    config: MeshConfig = MeshConfig()
    configs: Mapping[str, MeshConfig] = field(default_factory=dict)
    policies: tuple[Policy, ...] = ()
    destination_rules: tuple[DestinationRule, ...] = ()
    sidecars: tuple[SidecarScope, ...] = ()
    servers: tuple[GatewayServer, ...] = ()
    services: tuple[Service, ...] = ()
    groups: tuple[Group, ...] = ()
    namespaces: tuple[str, ...] = ()
    missing: Mapping[str, Missing] = field(default_factory=dict)
    virtual_services: tuple[VirtualService, ...] = ()
    envoy_filters: tuple[EnvoyFilter, ...] = ()
    mesh_routes: tuple[MeshRoute, ...] = ()
    claimed: frozenset[int] = frozenset()

    def unread(self, kind: str) -> Missing | None:
        """Why objects of a kind are not known, None when they are: because they were read, or because the cluster has no such kind."""
        missing = self.missing.get(kind)
        return None if missing is None or missing.cause is MissingCause.NOT_INSTALLED else missing

    def config_of(self, group: Group | None) -> MeshConfig:
        """MeshConfig of the revision that serves a workload."""
        return self.configs.get(group.revision, self.config) if group else self.config


class LostReason(StrEnum):
    """Why a policy or a DestinationRule does not apply."""

    YOUNGER = "younger"  # an older one of the same scope applies
    ROOT_SELECTOR = "root_selector"  # a policy with a selector in the root namespace
    AMBIENT_SELECTOR = "ambient_selector"  # ztunnel does not get `selector: {}` of the root namespace
    UNSET = "unset"  # it sets no mode
    OVERRIDDEN = "overridden"  # a narrower policy, or the port's own mode, applies
    FURTHER_LEVEL = "further_level"  # a DestinationRule of a level that is searched first applies
    MERGED = "merged"  # its trafficPolicy is ignored because an older DestinationRule of the same host has one


@dataclass(frozen=True, slots=True)
class Lost:
    """A policy or a DestinationRule that does not apply. `why` says it in words."""

    object: str
    reason: LostReason
    why: str


@dataclass(frozen=True, slots=True)
class ServerMode:
    """What a workload accepts on a port. `policy` is the object that decided, empty for Istio's default."""

    mode: Mode
    policy: str = ""
    reason: str = ""
    rule: RuleCode | None = None
    lost: tuple[Lost, ...] = ()
