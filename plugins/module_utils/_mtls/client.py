# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a client sends to an endpoint of a service port: mutual TLS of the mesh, plain text, or TLS of its own. Pure.

Rules: istio pilot/pkg/networking/core/cluster_tls.go (buildUpstreamTLSSettings, applyUpstreamTLSSettings),
pilot/pkg/model/push_context.go (BestEffortInferServiceMTLSMode), pilot/pkg/xds/endpoints/mtls_checker.go (checkMtlsEnabled),
pilot/pkg/networking/core/cluster.go (convertResolution), pilot/pkg/model/sidecar.go (which services a Sidecar object imports).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import assert_never

from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.destination_rules import ClusterTls
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.model import (
    Endpoint,
    Labels,
    Mesh,
    MeshConfig,
    Mode,
    Port,
    Proxy,
    Sent,
    ServerMode,
    Service,
    ServiceKind,
    SidecarScope,
    TlsMode,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parts import (
    EgressHost,
    Patch,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.peer_authentications import Policies
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.pods import (
    Capture,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.rules import RuleCode
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.source import MESH_ROUTES

_ALL_RANGES = frozenset({"*", "0.0.0.0/0", "::/0"})


@dataclass(frozen=True, slots=True)
class Client:
    """Workloads whose calls are decided alike. One without a namespace is every workload without a DestinationRule of its own.

    `doubt` is what is not understood of the workloads themselves, and `scope_doubt` of their Sidecar objects.
    """

    namespace: str = ""
    labels: Labels = field(default_factory=dict)
    kind: Proxy = Proxy.SIDECAR
    config: MeshConfig = field(default_factory=MeshConfig)
    scope: SidecarScope | None = None
    capture: Capture = field(default_factory=Capture)
    patches: tuple[Patch, ...] = ()
    doubt: str = ""
    scope_doubt: str = ""


@dataclass(frozen=True, slots=True)
class Sends:
    """What a client sends to one endpoint, and why."""

    mode: Sent
    reason: str
    rule: RuleCode | None = None


def covered(host: str, pattern: str) -> bool:
    """Whether a wildcard or a name covers a host (istio pkg/config/host/name.go, SubsetOf)."""
    if pattern.startswith("*"):
        tail = host[1:] if host.startswith("*") else host
        return tail.endswith(pattern[1:])
    return host == pattern


def sees(client: Client, service: Service, port: int) -> bool:
    """Whether a client's proxy knows a service port: istiod reads it, it is exported to the client, and its Sidecar object imports it."""
    if not client.config.reads(service.namespace, service.revision):
        return False
    export_to = service.export_to or client.config.service_export_to
    shown = "*" in export_to or client.namespace in export_to
    if not shown and not ("." in export_to and client.namespace == service.namespace):
        return False
    if client.scope is None or client.scope.egress is None:
        return True
    of_namespace = _egress(client.scope, client.namespace, service.namespace)
    return any(_imports(hosts, service.host) for number, hosts in of_namespace if number in (0, port))


def _imports(hosts: Sequence[EgressHost], host: str) -> bool:
    """Whether an egress listener imports a host (istio pilot/pkg/model/sidecar.go, selectServices)."""
    covering = [entry for entry in hosts if covered(host, entry.host)]
    return bool(covering) and not any(entry.excluded for entry in covering)


def imports(client: Client, namespace: str, hosts: Sequence[str], port: int) -> bool:
    """Whether a client's Sidecar object imports a VirtualService of a namespace, by one of its hosts (SelectVirtualServices).

    Unlike a service, a VirtualService with a wildcard is also imported by a name that the wildcard covers.
    """
    if client.scope is None or client.scope.egress is None:
        return True
    return any(
        not entry.excluded
        and (covered(host, entry.host) or covered(entry.host, host))
        and not any(other.excluded and covered(host, other.host) for other in listener)
        for number, listener in _egress(client.scope, client.namespace, namespace)
        if number in (0, port)
        for host in hosts
        for entry in listener
    )


def _egress(scope: SidecarScope, own: str, namespace: str) -> list[tuple[int, list[EgressHost]]]:
    """Ports and hosts of egress listeners, for objects of a namespace.

    `.` is the client's namespace, also in the Sidecar object of the root namespace, which applies to all others.
    """
    meant = {"*", namespace, "." if own == namespace else ""}
    return [
        (listener.port, [entry for entry in listener.hosts if entry.namespace in meant])
        for listener in scope.egress or ()
    ]


def _bypass(client: Client, service: Service, port: int) -> str:
    """Why a call leaves the pod without passing its sidecar, empty when it passes it. The order is that of istio-iptables' rules."""
    capture = client.capture
    if capture.none:
        return "interceptionMode NONE: the call does not pass the client's sidecar"
    if port in capture.exclude_out:
        return f"the client's excludeOutboundPorts has port {port}"
    if capture.as_proxy:
        return (
            f"the client's container {capture.as_proxy} runs as the proxy's user or group, whose traffic is left alone"
        )
    if capture.include_out_ranges == ("*",) and not capture.exclude_out_ranges:
        return ""
    if _within(service.addresses, capture.exclude_out_ranges):
        return "the client's excludeOutboundIPRanges has the service's address"
    if port in capture.include_out:
        return ""
    if not set(capture.include_out_ranges) & _ALL_RANGES and not _within(service.addresses, capture.include_out_ranges):
        return "neither the client's includeOutboundIPRanges nor its includeOutboundPorts has the service"
    return ""


def _within(addresses: Sequence[str], ranges: Sequence[str]) -> bool:
    if set(ranges) & _ALL_RANGES:
        return True
    networks = []
    for text in ranges:
        try:
            networks.append(ipaddress.ip_network(text, strict=False))
        except ValueError:
            continue
    for text in addresses:
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            continue
        if any(address.version == network.version and address in network for network in networks):
            return True
    return False


@dataclass(frozen=True, slots=True)
class ProxyCluster:
    """One cluster of a client's proxy: the service port, the TLS settings for it, and the DestinationRule that they are from."""

    service: Service
    port: Port
    tls: ClusterTls
    destination_rule: str = ""


def leads_anywhere(client: Client, cluster: ProxyCluster) -> bool:
    """Whether a cluster has no endpoints of its own (ORIGINAL_DST), so that a call goes where the application connects to.

    Source: istio pilot/pkg/networking/core/cluster.go (convertResolution).
    """
    service = cluster.service
    balanced = client.kind is Proxy.GATEWAY or (service.kind is ServiceKind.HEADLESS and client.config.eds_for_headless)
    headless = service.kind is ServiceKind.HEADLESS or service.passthrough
    return cluster.tls.original_dst or (headless and not balanced)


class Sender:
    """Computes what a client sends. Holds what all clients of a mesh have in common."""

    def __init__(self, mesh: Mesh, policies: Policies) -> None:
        self._mesh = mesh
        self._policies = policies
        # Answers by MeshConfig, of which the mesh keeps one for each revision.
        self._namespaces: dict[tuple[int, str], tuple[str, Mode]] = {}
        self._modes: dict[tuple[int, int, int], ServerMode] = {}
        self._by_host: dict[str, list[Service]] = {}
        for service in mesh.services:
            self._by_host.setdefault(service.host, []).append(service)
        filters = ("EnvoyFilter", "BackendTLSPolicy")
        self._unread_filters = self._unread(filters)
        self._unread_routes = self._unread((*filters, "VirtualService", *MESH_ROUTES))

    def _unread(self, kinds: Sequence[str]) -> str:
        """What is not known because one of these kinds could not be read."""
        for kind in kinds:
            missing = self._mesh.unread(kind)
            if missing:
                return f"kind {kind}, which may change where the call goes or what is sent, is unknown: {missing.text}"
        return ""

    def outside(self, client: Client, service: Service, port: int) -> Sends | None:
        """What happens to a call that no cluster of the client's proxy serves, or that is not computed; None when one serves it."""
        if client.doubt:
            return Sends(Sent.UNKNOWN, f"of the client: {client.doubt}")
        if client.kind is Proxy.PROXYLESS:
            return Sends(
                Sent.UNKNOWN, "the client is a gRPC application without a proxy: it decides itself what it sends"
            )
        if client.kind is Proxy.AMBIENT and not client.capture.unclear:
            return None
        unread = self._mesh.unread("Sidecar") if client.kind is Proxy.SIDECAR else None
        if unread:
            return Sends(Sent.UNKNOWN, f"Sidecar objects, which may hide the service, are unknown: {unread.text}")
        if client.capture.unclear:
            return Sends(Sent.UNKNOWN, f"of the client: {client.capture.unclear}", RuleCode.CLIENT_NOT_CAPTURED)
        bypass = _bypass(client, service, port)
        if bypass:
            return Sends(Sent.PLAINTEXT, bypass, RuleCode.CLIENT_NOT_CAPTURED)
        doubt = client.scope_doubt or client.config.doubt
        if doubt:
            return Sends(Sent.UNKNOWN, doubt)
        same = self.same_host(client, service)
        if same is not None:
            why = f"{same.key} has the host {service.host} as well; what istiod makes of the two is not computed"
            return Sends(Sent.UNKNOWN, why, RuleCode.SAME_HOST)
        if sees(client, service, port):
            return None
        where = "exportTo"
        if not client.config.reads(service.namespace):
            where = "discoverySelectors"
        elif not client.config.reads(service.namespace, service.revision):
            where = "the label istio.io/rev"
        elif client.scope and client.scope.egress is not None:
            where = f"Sidecar {client.scope.key}"
        outbound = (client.scope.outbound if client.scope else "") or client.config.outbound
        if outbound == "REGISTRY_ONLY":
            why = f"{where} hides the service, and REGISTRY_ONLY refuses calls to unknown hosts"
            return Sends(Sent.BLOCKED, why, RuleCode.NOT_VISIBLE)
        why = f"{where} hides the service, so the call passes through unchanged"
        return Sends(Sent.PLAINTEXT, why, RuleCode.NOT_VISIBLE)

    def of_host(self, host: str) -> list[Service]:
        """The services that have a host. There is more than one where a ServiceEntry has that of a Service, say."""
        return self._by_host[host]

    def same_host(self, client: Client, service: Service) -> Service | None:
        """Another service of the same host that a client sees, or that the host's DNS name leads to.

        istiod keeps the endpoints of a host by namespace, so those of one namespace are mixed for all clients.
        """
        others = self._by_host[service.host]
        if len(others) == 1:
            return None

        def counts(other: Service) -> bool:
            named = service.kind is ServiceKind.ENTRY and other.kind is not ServiceKind.ENTRY
            return (
                named
                or other.namespace == service.namespace
                or any(sees(client, other, port.number) for port in other.ports)
            )

        return next((other for other in others if other is not service and counts(other)), None)

    def sends(self, client: Client, cluster: ProxyCluster, endpoint: Endpoint) -> Sends:
        """What goes to an endpoint."""
        hbone = endpoint.group is not None and self._mesh.groups[endpoint.group].hbone
        if client.kind is Proxy.AMBIENT:
            if hbone:
                return Sends(Sent.MTLS, "HBONE by ztunnel")
            return Sends(Sent.PLAINTEXT, "ztunnel sends unchanged what the endpoint does not accept as HBONE")
        # A sidecar that accepts both gets mutual TLS without a tunnel (endpoint_builder.go, buildEnvoyLbEndpoint).
        if hbone and self._label(endpoint) != "istio" and client.config.ambient is not False:
            if client.config.ambient:
                return Sends(Sent.MTLS, "HBONE: the endpoint accepts Istio's tunnel")
            why = "the endpoint accepts HBONE; whether istiod lets sidecars send it could not be read"
            return Sends(Sent.UNKNOWN, why)
        if endpoint.unread:
            return Sends(Sent.UNKNOWN, endpoint.unread)
        missing = self._mesh.missing.get("DestinationRule")
        if missing:
            return Sends(Sent.UNKNOWN, f"DestinationRules are unknown: {missing.text}")
        why = self._changed(client, cluster.service)
        if why:
            return Sends(Sent.UNKNOWN, why)
        if cluster.tls.mode is not None:
            return self._forced(cluster, cluster.tls.mode, endpoint)
        return self._auto(client, cluster, endpoint)

    def _changed(self, client: Client, service: Service) -> str:
        """What may change where the call goes, or how, and is not known or not computed; empty when there is nothing."""
        unread = self._unread_routes if client.kind is Proxy.SIDECAR else self._unread_filters
        if unread or not client.patches:
            return unread
        return next((patch.what for patch in client.patches if patch.host in ("", service.host)), "")

    def _forced(self, cluster: ProxyCluster, mode: TlsMode, endpoint: Endpoint) -> Sends:
        """A DestinationRule sets the TLS mode."""
        by = f"by DestinationRule {cluster.destination_rule}"
        match mode:
            case TlsMode.DISABLE:
                return Sends(Sent.PLAINTEXT, f"tls DISABLE {by}", RuleCode.DESTINATION_RULE_DISABLE)
            case TlsMode.ISTIO_MUTUAL:
                rule = RuleCode.ISTIO_MUTUAL_WITHOUT_SIDECAR if self._takes_none(endpoint) else None
                return Sends(Sent.MTLS, f"ISTIO_MUTUAL {by}", rule)
            case TlsMode.SIMPLE | TlsMode.MUTUAL:
                return Sends(Sent.TLS, f"tls {mode} {by}: TLS, but not the mesh's", RuleCode.TLS_ORIGINATION)
            case TlsMode.UNKNOWN:
                return Sends(Sent.UNKNOWN, f"a TLS mode that is not known {by}")
            case _:
                assert_never(mode)

    def _auto(self, client: Client, cluster: ProxyCluster, endpoint: Endpoint) -> Sends:
        """The cluster sets no TLS: auto mTLS decides, for the service first and then for each endpoint."""
        service, config = cluster.service, client.config
        if service.external:
            return Sends(Sent.PLAINTEXT, "outside of the mesh: the proxy adds no TLS", RuleCode.EXTERNAL)
        if config.unclear:
            return Sends(Sent.UNKNOWN, f"{config.unclear}, so auto mTLS is unknown")
        if not config.auto_mtls:
            why = "auto mTLS is off in the MeshConfig and no DestinationRule sets tls"
            return Sends(Sent.PLAINTEXT, why, RuleCode.AUTO_MTLS_OFF)
        if "PeerAuthentication" in self._mesh.missing:
            return Sends(Sent.UNKNOWN, "auto mTLS depends on PeerAuthentications, which are unknown")
        doubt, namespace_mode = self._of_namespace(config, service.namespace)
        if doubt:
            return Sends(Sent.UNKNOWN, f"auto mTLS depends on a policy: {doubt}")
        headless = service.kind is ServiceKind.HEADLESS or service.passthrough
        if headless or cluster.tls.instances:
            labels = [self._label(other) for other in cluster.port.endpoints]
            if not labels or "disabled" in labels:
                what = "a headless service" if headless else "PASSTHROUGH"
                why = f"{what} with an endpoint without a sidecar: plain text to all of them"
                return Sends(Sent.PLAINTEXT, why, RuleCode.HEADLESS_MIXED)
        if namespace_mode is Mode.DISABLE:
            why = f"mode DISABLE of namespace {service.namespace} or the mesh turns auto mTLS off for the whole service"
            return Sends(Sent.PLAINTEXT, why, RuleCode.NAMESPACE_DISABLE)
        rule = RuleCode.PORT_LEVEL_TLS_NOT_INHERITED if cluster.tls.not_inherited else None
        if leads_anywhere(client, cluster):
            return Sends(Sent.MTLS, "auto mTLS: every endpoint of the headless service has a sidecar", rule)
        return self._for_endpoint(client, cluster, endpoint, rule)

    def _for_endpoint(self, client: Client, cluster: ProxyCluster, endpoint: Endpoint, rule: RuleCode | None) -> Sends:
        """An endpoint keeps its own mark (tlsMode) unless a DestinationRule's hint or its own mode removes it (buildEnvoyLbEndpoint)."""
        label, hint = self._label(endpoint), cluster.tls.hint
        if label != "istio":
            if endpoint.group is not None and self._mesh.groups[endpoint.group].kind is Proxy.SIDECAR:
                why = f"auto mTLS: label security.istio.io/tlsMode is {label}"
                return Sends(Sent.PLAINTEXT, why, RuleCode.TLS_MODE_LABEL)
            return Sends(Sent.PLAINTEXT, "auto mTLS: the endpoint is not marked as having a sidecar", rule)
        if hint is not None and hint is not TlsMode.ISTIO_MUTUAL:
            # Only portLevelSettings, of the DestinationRule or of a subset, drop the mode and leave the mark.
            why = f"tls {hint} of DestinationRule {cluster.destination_rule} removes the mark of the endpoints"
            return Sends(Sent.PLAINTEXT, why, RuleCode.PORT_LEVEL_TLS_NOT_INHERITED)
        own = self._own_mode(client.config, endpoint) if hint is None else None
        if own is not None and own.mode is Mode.DISABLE:
            return Sends(Sent.PLAINTEXT, "auto mTLS: the endpoint's own mode is DISABLE", rule)
        if own is not None and own.mode is Mode.UNKNOWN:
            return Sends(Sent.UNKNOWN, f"auto mTLS depends on the endpoint's own mode: {own.reason}")
        why = "auto mTLS: the endpoint has a sidecar"
        return Sends(Sent.MTLS, why, RuleCode.TLS_MODE_LABEL if self._bare(endpoint) else rule)

    def _of_namespace(self, config: MeshConfig, namespace: str) -> tuple[str, Mode]:
        """What clients assume for the services of a namespace: a doubt, and its mode. Remembered, for every endpoint asks."""
        key = (id(config), namespace)
        if key not in self._namespaces:
            found = self._policies.doubt(config, namespace, None), self._policies.namespace_mode(config, namespace)
            self._namespaces[key] = found
        return self._namespaces[key]

    def _own_mode(self, config: MeshConfig, endpoint: Endpoint) -> ServerMode:
        """The mode of an endpoint by its own policies. Remembered for groups of pods."""
        if endpoint.group is None:
            return self._policies.mode(config, endpoint.namespace, endpoint.labels, endpoint.port)
        key = (id(config), endpoint.group, endpoint.port)
        if key not in self._modes:
            group = self._mesh.groups[endpoint.group]
            self._modes[key] = self._policies.mode(config, group.namespace, group.labels, endpoint.port)
        return self._modes[key]

    def _label(self, endpoint: Endpoint) -> str:
        return endpoint.tls_label if endpoint.group is None else self._mesh.groups[endpoint.group].tls_label

    def _bare(self, endpoint: Endpoint) -> bool:
        """Whether an endpoint is a pod without a proxy."""
        return endpoint.group is not None and not self._mesh.groups[endpoint.group].meshed

    def _takes_none(self, endpoint: Endpoint) -> bool:
        """Whether Istio knows of no sidecar at an endpoint: a pod without one, a gateway, or an address that claims none."""
        if endpoint.group is None:
            return endpoint.tls_label != "istio"
        group = self._mesh.groups[endpoint.group]
        return not group.meshed or group.kind is Proxy.GATEWAY
