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

from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.destination_rules import ClusterTls
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.model import (
    BLOCKED,
    DISABLE,
    MTLS,
    PLAINTEXT,
    TLS,
    UNKNOWN,
    Capture,
    Endpoint,
    Group,
    Labels,
    Mesh,
    MeshConfig,
    Port,
    Service,
    SidecarScope,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.server import Policies

_ALL_RANGES = frozenset({"*", "0.0.0.0/0", "::/0"})


@dataclass(frozen=True, slots=True)
class Client:
    """Workloads that call alike. The one without a namespace stands for every workload without a rule of its own."""

    namespace: str = ""
    labels: Labels = field(default_factory=dict)
    kind: str = "sidecar"
    config: MeshConfig = field(default_factory=MeshConfig)
    scope: SidecarScope | None = None
    capture: Capture = field(default_factory=Capture)


@dataclass(frozen=True, slots=True)
class Sends:
    """What goes out to one endpoint, and why."""

    mode: str
    reason: str
    rule: str = ""


def _covered(host: str, pattern: str) -> bool:
    """Whether a wildcard or a name covers a host (istio pkg/config/host/name.go, SubsetOf)."""
    if pattern.startswith("*"):
        tail = host[1:] if host.startswith("*") else host
        return tail.endswith(pattern[1:])
    return host == pattern


def sees(client: Client, service: Service, port: int) -> bool:
    """Whether a client's proxy has a service port: it is exported to it, and its Sidecar object imports it."""
    export_to = service.export_to or client.config.service_export_to
    shown = "*" in export_to or client.namespace in export_to
    if not shown and not ("." in export_to and client.namespace == service.namespace):
        return False
    if client.scope is None or client.scope.egress is None:
        return True
    # `.` is the client's namespace, also in the Sidecar object of the root namespace that holds for all others.
    meant = {"*", service.namespace, "." if client.namespace == service.namespace else ""}
    of_namespace = [entry for entry in client.scope.egress if entry.namespace in meant]
    if any(entry.excluded and _covered(service.host, entry.host) for entry in of_namespace):
        return False
    return any(
        _covered(service.host, entry.host) and entry.port in (0, port) for entry in of_namespace if not entry.excluded
    )


def _bypass(client: Client, service: Service, port: int) -> str:
    """Why a call leaves the pod without passing its sidecar, or nothing."""
    capture = client.capture
    if capture.none:
        return "interceptionMode NONE: the call does not pass the client's sidecar"
    if port in capture.exclude_out:
        return f"the client's excludeOutboundPorts has port {port}"
    if capture.include_out_ranges == ("*",) and not capture.exclude_out_ranges:
        return ""
    if _within(service.addresses, capture.exclude_out_ranges):
        return "the client's excludeOutboundIPRanges has the service's address"
    if not set(capture.include_out_ranges) & _ALL_RANGES and not _within(service.addresses, capture.include_out_ranges):
        return "the client's includeOutboundIPRanges has not the service's address"
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


def _label(mesh: Mesh, endpoint: Endpoint) -> str:
    return endpoint.tls_label if endpoint.group is None else mesh.groups[endpoint.group].tls_label


def _where(mesh: Mesh, endpoint: Endpoint) -> tuple[str, Labels]:
    if endpoint.group is None:
        return endpoint.namespace, endpoint.labels
    group: Group = mesh.groups[endpoint.group]
    return group.namespace, group.labels


@dataclass(frozen=True, slots=True)
class ProxyCluster:
    """One cluster of a client's proxy: service port, and what the rule says of it."""

    service: Service
    port: Port
    tls: ClusterTls
    destination_rule: str = ""


class Sender:
    """Answers what a client sends. Holds what a mesh's clients have in common."""

    def __init__(self, mesh: Mesh, policies: Policies) -> None:
        self._mesh = mesh
        self._policies = policies
        self._headless: dict[tuple[str, int], str] = {}

    def outside(self, client: Client, service: Service, port: int) -> Sends | None:
        """What happens to a call that no cluster of the client's proxy serves, or null when one does."""
        if client.kind == "ambient":
            return None
        bypass = _bypass(client, service, port)
        if bypass:
            return Sends(PLAINTEXT, bypass, "client_not_captured")
        if sees(client, service, port):
            return None
        where = f"Sidecar {client.scope.key}" if client.scope and client.scope.egress is not None else "exportTo"
        outbound = (client.scope.outbound if client.scope else "") or client.config.outbound
        if outbound == "REGISTRY_ONLY":
            return Sends(
                BLOCKED, f"{where} hides the service, and REGISTRY_ONLY refuses what is not known", "not_visible"
            )
        return Sends(PLAINTEXT, f"{where} hides the service, so the call passes through as it is", "not_visible")

    def sends(self, client: Client, cluster: ProxyCluster, endpoint: Endpoint) -> Sends:
        """What goes to an endpoint."""
        hbone = endpoint.group is not None and self._mesh.groups[endpoint.group].hbone
        if client.kind == "ambient":
            return (
                Sends(MTLS, "HBONE by ztunnel")
                if hbone
                else Sends(PLAINTEXT, "ztunnel sends what takes no HBONE as it is")
            )
        # A sidecar that takes both gets mutual TLS without a tunnel (endpoint_builder.go, buildEnvoyLbEndpoint).
        if hbone and _label(self._mesh, endpoint) != "istio" and client.config.ambient is not False:
            if client.config.ambient:
                return Sends(MTLS, "HBONE: the endpoint takes Istio's tunnel")
            return Sends(UNKNOWN, "the endpoint takes HBONE; whether istiod lets sidecars send it could not be read")
        tls = cluster.tls
        if "DestinationRule" in self._mesh.missing:
            return Sends(UNKNOWN, f"DestinationRules are unknown: {self._mesh.missing['DestinationRule']}")
        if tls.mode is not None:
            return self._forced(cluster, endpoint)
        return self._auto(client, cluster, endpoint)

    def _forced(self, cluster: ProxyCluster, endpoint: Endpoint) -> Sends:
        mode, by = cluster.tls.mode, f"by DestinationRule {cluster.destination_rule}"
        if mode == DISABLE:
            return Sends(PLAINTEXT, f"tls DISABLE {by}", "destination_rule_disable")
        if mode == "ISTIO_MUTUAL":
            bare = endpoint.group is not None and not self._mesh.groups[endpoint.group].meshed
            return Sends(MTLS, f"ISTIO_MUTUAL {by}", "istio_mutual_without_sidecar" if bare else "")
        return Sends(TLS, f"tls {mode} {by}: TLS, but not the mesh's", "tls_origination")

    def _auto(self, client: Client, cluster: ProxyCluster, endpoint: Endpoint) -> Sends:
        """No TLS is set for the cluster: auto mTLS decides, for the service first and then for each endpoint."""
        service, config, rule = cluster.service, client.config, ""
        if cluster.tls.not_inherited:
            rule = "port_level_tls_not_inherited"
        if service.external:
            return Sends(PLAINTEXT, "outside of the mesh: the proxy adds no TLS", "external")
        if not config.known:
            return Sends(UNKNOWN, "the MeshConfig is unknown, so auto mTLS is")
        if not config.auto_mtls:
            return Sends(
                PLAINTEXT, "auto mTLS is off in the MeshConfig and no DestinationRule sets tls", "auto_mtls_off"
            )
        if "PeerAuthentication" in self._mesh.missing:
            return Sends(UNKNOWN, "auto mTLS depends on PeerAuthentications, which are unknown")
        headless = service.kind == "headless" or service.passthrough
        if headless or cluster.tls.instances:
            labels = [_label(self._mesh, other) for other in cluster.port.endpoints]
            if not labels or "disabled" in labels:
                why = "a headless service" if headless else "PASSTHROUGH"
                return Sends(
                    PLAINTEXT, f"{why} with an endpoint without sidecar: plain text to all of them", "headless_mixed"
                )
        if self._policies.namespace_mode(config, service.namespace) == DISABLE:
            why = f"mode DISABLE of namespace {service.namespace} or the mesh turns auto mTLS off for the whole service"
            return Sends(PLAINTEXT, why, "namespace_disable")
        gateway = client.kind == "gateway"
        kubernetes_eds = service.kind == "headless" and config.eds_for_headless
        if cluster.tls.original_dst or (headless and not gateway and not kubernetes_eds):
            return Sends(MTLS, "auto mTLS: every endpoint of the headless service has a sidecar", rule)
        return self._for_endpoint(client, cluster, endpoint, rule)

    def _for_endpoint(self, client: Client, cluster: ProxyCluster, endpoint: Endpoint, rule: str) -> Sends:
        """An endpoint keeps its own mark (tlsMode) unless a rule's hint or its own mode takes it away (buildEnvoyLbEndpoint)."""
        label, hint = _label(self._mesh, endpoint), cluster.tls.hint
        if label != "istio":
            injected = endpoint.group is not None and self._mesh.groups[endpoint.group].kind == "sidecar"
            why = (
                f"label security.istio.io/tlsMode is {label}"
                if injected
                else "the endpoint is not marked as having a sidecar"
            )
            return Sends(PLAINTEXT, f"auto mTLS: {why}", "tls_mode_label" if injected else rule)
        if hint is not None and hint != "ISTIO_MUTUAL":
            return Sends(
                PLAINTEXT, f"tls {hint} of DestinationRule {cluster.destination_rule} unmarks the endpoints", rule
            )
        namespace, labels = _where(self._mesh, endpoint)
        if hint is None and self._policies.mode(client.config, namespace, labels, endpoint.port).mode == DISABLE:
            return Sends(PLAINTEXT, "auto mTLS: the endpoint's own mode is DISABLE", rule)
        bare = endpoint.group is not None and not self._mesh.groups[endpoint.group].meshed
        return Sends(MTLS, "auto mTLS: the endpoint has a sidecar", "tls_mode_label" if bare else rule)
