# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a workload accepts on a container port, from the PeerAuthentications. Pure.

Rules: istio pilot/pkg/security/authn/policy_applier.go (ComposePeerAuthentication), pilot/pkg/model/authentication.go
(addPeerAuthentication, getConfigsForWorkload), pilot/pkg/networking/core/listener_inbound.go (what an inbound listener is made of),
pilot/pkg/serviceregistry/ambient/authorization.go (ambient mode), pilot/pkg/networking/core/gateway.go (gateways).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.model import (
    DISABLE,
    NOT_ENFORCED,
    PERMISSIVE,
    STRICT,
    UNKNOWN,
    GatewayServer,
    Group,
    Labels,
    Lost,
    Mesh,
    MeshConfig,
    Policy,
    ServerMode,
    SidecarScope,
    matches,
)

MESH, NAMESPACE, WORKLOAD = "mesh", "namespace", "workload"
_OWN_PORTS = frozenset({15020, 15021, 15090})  # never redirected (istio tools/istio-iptables)
_NO_ROOT = "the MeshConfig is unknown, so the root namespace and its policy are"


@dataclass(frozen=True, slots=True)
class Candidates:
    """The policies that count for a workload, one a class, and those that do not."""

    mesh: Policy | None
    namespace: Policy | None
    workload: Policy | None
    lost: tuple[Lost, ...]


class Policies:
    """All PeerAuthentications, oldest first in each namespace."""

    def __init__(self, policies: Iterable[Policy]) -> None:
        self._by_namespace: dict[str, list[Policy]] = {}
        for entry in sorted(policies, key=lambda found: found.age):
            self._by_namespace.setdefault(entry.namespace, []).append(entry)

    def broad(self, config: MeshConfig, namespace: str) -> tuple[Policy | None, Policy | None]:
        """The oldest policies without selector of the root namespace and of a namespace."""
        mesh = self._oldest(config.root_namespace)
        return mesh, None if namespace == config.root_namespace else self._oldest(namespace)

    def _oldest(self, namespace: str) -> Policy | None:
        return next((entry for entry in self._by_namespace.get(namespace, ()) if not entry.selector), None)

    def candidates(self, config: MeshConfig, namespace: str, labels: Labels) -> Candidates:
        """Which policy of each class counts for a workload, and why the others do not."""
        root = config.root_namespace
        mesh, broad = self.broad(config, namespace)
        chosen: Policy | None = None
        lost: list[Lost] = []
        for entry in self._by_namespace.get(namespace, ()) if namespace != root else ():
            if not entry.selector:
                if entry is not broad and broad is not None:
                    lost.append(Lost(entry.key, f"younger than {broad.key}, which is of the same scope"))
            elif matches(entry.selector, labels):
                if chosen is None:
                    chosen = entry
                else:
                    lost.append(Lost(entry.key, f"younger than {chosen.key}; policies of one workload are not merged"))
        for entry in self._by_namespace.get(root, ()):
            if entry.selector:
                if matches(entry.selector, labels):
                    lost.append(Lost(entry.key, "a policy with a selector in the root namespace is ignored"))
            elif entry is not mesh and mesh is not None:
                lost.append(Lost(entry.key, f"younger than {mesh.key}, which is of the same scope"))
        return Candidates(mesh, broad, chosen, tuple(lost))

    def namespace_mode(self, config: MeshConfig, namespace: str) -> str:
        """What clients take for the mode of a whole service: mesh and namespace policies only (GetNamespaceMutualTLSMode)."""
        mesh, broad = self.broad(config, namespace)
        return (broad.mode if broad else "") or (mesh.mode if mesh else "") or PERMISSIVE

    def mode(self, config: MeshConfig, namespace: str, labels: Labels, port: int) -> ServerMode:
        """Mode of a sidecar's container port: mesh, namespace and workload each overwrite, unless UNSET; then the port."""
        found = self.candidates(config, namespace, labels)
        mode, winner, lost = PERMISSIVE, "", list(found.lost)
        for scope, entry in ((MESH, found.mesh), (NAMESPACE, found.namespace), (WORKLOAD, found.workload)):
            if entry is None:
                continue
            if not entry.mode:
                lost.append(Lost(entry.key, f"its {scope} mode is UNSET, so the wider one is inherited"))
                continue
            if winner:
                lost.append(Lost(winner, f"overridden for this workload by {entry.key}"))
            mode, winner = entry.mode, entry.key
        reason = f"{mode} by {winner}" if winner else f"{mode}, Istio's default: no policy sets a mode"
        rule = "root_namespace_selector" if any("root namespace is ignored" in entry.why for entry in lost) else ""
        if found.workload is not None and port in found.workload.ports:
            own = found.workload.ports[port]
            if own:
                if winner and winner != found.workload.key:
                    lost.append(Lost(winner, f"overridden on port {port} by {found.workload.key}"))
                mode, winner = own, found.workload.key
                reason = f"{own} on container port {port} by portLevelMtls of {winner}"
                rule = "port_exception" if own != STRICT else rule
        if not config.known and winner not in _keys(found.namespace, found.workload):
            return ServerMode(UNKNOWN, "", _NO_ROOT, "", tuple(lost))
        return ServerMode(mode, winner, reason, rule, tuple(lost))

    def ambient_mode(self, config: MeshConfig, namespace: str, labels: Labels, port: int) -> ServerMode:
        """Mode of a container port behind ztunnel. DISABLE is not supported there: it acts like PERMISSIVE."""
        found = self.candidates(config, namespace, labels)
        mesh, broad, own = found.mesh, found.namespace, found.workload
        if mesh is not None and mesh.open_selector and namespace != config.root_namespace:
            other = [
                p for p in self._by_namespace.get(config.root_namespace, ()) if not p.selector and not p.open_selector
            ]
            lost = (*found.lost, Lost(mesh.key, "selector: {} in the root namespace is not read for ambient workloads"))
            mesh, found = (other[0] if other else None), Candidates(found.mesh, broad, own, lost)
        parent, winner = (
            (STRICT if mesh and mesh.mode == STRICT else PERMISSIVE),
            mesh.key if mesh and mesh.mode else "",
        )
        if broad and broad.mode:
            parent, winner = (STRICT if broad.mode == STRICT else PERMISSIVE), broad.key
        if not config.known and not (own and own.mode) and winner not in _keys(broad):
            return ServerMode(UNKNOWN, "", _NO_ROOT, "", found.lost)
        if own is None:
            return ServerMode(parent, winner, f"{parent} behind ztunnel", "", found.lost)
        base = parent if not own.mode else STRICT if own.mode == STRICT else PERMISSIVE
        winner = own.key if own.mode else winner
        at_port = own.ports.get(port, "")
        if not at_port or (at_port == STRICT) == (base == STRICT):
            mode = base
        elif at_port == STRICT:
            mode, winner = STRICT, own.key
        elif not own.mode and PERMISSIVE not in own.ports.values():
            mode = STRICT  # convertedSelectorPeerAuthentications looks for PERMISSIVE only when the workload is UNSET
        else:
            mode, winner = PERMISSIVE, own.key
        if base == STRICT and not own.mode and PERMISSIVE in own.ports.values() and broad and not broad.mode:
            reason = "the converted policy that replaces STRICT is skipped when the namespace's mode is UNSET"
            return ServerMode(PERMISSIVE, own.key, reason, "ambient_unset_namespace", found.lost)
        return ServerMode(mode, winner, f"{mode} behind ztunnel", "", found.lost)


def _keys(*policies: Policy | None) -> set[str]:
    return {entry.key for entry in policies if entry}


def scope_of(scopes: Iterable[SidecarScope], config: MeshConfig, group: Group) -> SidecarScope | None:
    """The Sidecar object of a workload: own namespace before root, with selector before without, oldest first.

    istio pilot/pkg/model/push_context.go, initSidecarScopes and doGetSidecarScope; gateways have none. `scopes` are sorted.
    """
    if group.kind in ("gateway", "waypoint", "none"):
        return None
    own = [scope for scope in scopes if scope.namespace == group.namespace]
    for scope in sorted(own, key=lambda found: found.selector is None):
        if scope.selector is None or matches(scope.selector, group.labels):
            return scope
    return _root_scope(scopes, config)


def _root_scope(scopes: Iterable[SidecarScope], config: MeshConfig) -> SidecarScope | None:
    return next((s for s in scopes if s.namespace == config.root_namespace and s.selector is None), None)


def of_group(
    mesh: Mesh, policies: Policies, scopes: list[SidecarScope], group: Group, port: int, number: int
) -> ServerMode:
    """What pods accept on container port `port`, which a service offers as `number`."""
    if group.host_network:
        return ServerMode(NOT_ENFORCED, "", "hostNetwork: no sidecar stands before these pods", "host_network")
    if group.kind == "none":
        return ServerMode(NOT_ENFORCED, "", f"no sidecar: {group.why}" if group.why else "no sidecar", "no_sidecar")
    if port in _OWN_PORTS and group.kind in ("sidecar", "gateway"):
        return ServerMode(
            NOT_ENFORCED, "", f"port {port} is Istio's own, for health and metrics, in plain text", "excluded_port"
        )
    if group.kind == "waypoint":
        return ServerMode(UNKNOWN, "", "a waypoint takes HBONE; its policies are not computed here")
    if group.kind == "gateway":
        return _of_gateway(mesh, group, port, number)
    if "PeerAuthentication" in mesh.missing:
        return ServerMode(UNKNOWN, "", f"PeerAuthentications are unknown: {mesh.missing['PeerAuthentication']}")
    config = mesh.config_of(group)
    if group.kind == "ambient":
        return policies.ambient_mode(config, group.namespace, group.labels, port)
    scope = scope_of(scopes, config, group)
    listens = scope is not None and port in scope.ingress
    if not (listens if group.capture.none else group.capture.takes_inbound(port)):
        if group.capture.none:
            return ServerMode(
                NOT_ENFORCED, "", "interceptionMode NONE: nothing is redirected to the sidecar", "not_captured"
            )
        why = f"container port {port} is left out of the sidecar by traffic.sidecar.istio.io annotations"
        return ServerMode(NOT_ENFORCED, "", why, "excluded_port")
    found = policies.mode(config, group.namespace, group.labels, port)
    if found.mode == DISABLE and listens and scope is not None and scope.ingress[port] and config.sidecar_ingress_tls:
        return ServerMode(UNKNOWN, scope.key, f"Sidecar {scope.key} gives port {port} TLS of its own", "", found.lost)
    return found


_GATEWAY = {
    "": (DISABLE, "plain text"),
    "ISTIO_MUTUAL": (STRICT, "ISTIO_MUTUAL: a certificate of the mesh is required"),
    "MUTUAL": (UNKNOWN, "MUTUAL: a client certificate of the gateway's own authority is required"),
    "OPTIONAL_MUTUAL": (UNKNOWN, "OPTIONAL_MUTUAL: TLS, a client certificate only by choice"),
    "SIMPLE": (UNKNOWN, "SIMPLE: TLS without a client certificate"),
    "PASSTHROUGH": (UNKNOWN, "PASSTHROUGH: the backend's own TLS"),
    "AUTO_PASSTHROUGH": (UNKNOWN, "AUTO_PASSTHROUGH: the backend's mutual TLS, told by its name"),
}


def _of_gateway(mesh: Mesh, group: Group, port: int, number: int) -> ServerMode:
    """Gateways do not read PeerAuthentication: the servers of their Gateway objects decide."""
    if "Gateway" in mesh.missing:
        return ServerMode(UNKNOWN, "", f"Gateways are unknown: {mesh.missing['Gateway']}", "gateway")
    found = [s for s in mesh.servers if s.port in (number, port) and matches(s.selector, group.labels)]
    if not found:
        why = (
            f"no Gateway of Istio's API has a server on port {number}; those of the Kubernetes Gateway API are not read"
        )
        return ServerMode(UNKNOWN, "", why, "gateway")
    order = {STRICT: 2, UNKNOWN: 1, DISABLE: 0}
    server: GatewayServer = min(found, key=lambda s: (order[_GATEWAY.get(s.tls, (UNKNOWN, ""))[0]], s.gateway))
    mode, words = _GATEWAY.get(server.tls, (UNKNOWN, f"TLS mode {server.tls}"))
    why = f"{words}, by a server of Gateway {server.gateway}; gateways do not read PeerAuthentication"
    return ServerMode(mode, server.gateway, why, "gateway")
