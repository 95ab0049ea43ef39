# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What pods accept on a port. Pure.

Rules: istio pilot/pkg/networking/core/listener_inbound.go (how an inbound listener is built), pilot/pkg/networking/core/gateway.go
(gateways), tools/istio-iptables (which ports pass the sidecar).
"""

from __future__ import annotations

from typing import assert_never

from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.envoy_filters import accepting
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.model import (
    GatewayServer,
    Group,
    Mesh,
    Mode,
    Proxy,
    ServerMode,
    SidecarScope,
    matches,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.peer_authentications import Policies
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.rules import RuleCode
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.sidecars import (
    doubt_of,
    scope_of,
)

_PROXYLESS = "a gRPC application without a proxy: it decides itself what it accepts"
_OWN_PORTS = frozenset({15020, 15021, 15090})  # never redirected (istio tools/istio-iptables)


def of_group(
    mesh: Mesh, policies: Policies, scopes: list[SidecarScope], group: Group, port: int, number: int
) -> ServerMode:
    """What pods accept on container port `port`, which a service offers as `number`."""
    if group.host_network:
        why = "hostNetwork: no sidecar stands before these pods"
        return ServerMode(Mode.NOT_ENFORCED, "", why, RuleCode.HOST_NETWORK)
    if group.doubt:
        return ServerMode(Mode.UNKNOWN, "", group.doubt)
    match group.kind:
        case Proxy.NONE:
            why = f"no sidecar: {group.why}" if group.why else "no sidecar"
            return ServerMode(Mode.NOT_ENFORCED, "", why, RuleCode.NO_SIDECAR)
        case Proxy.WAYPOINT:
            return ServerMode(Mode.UNKNOWN, "", "a waypoint takes HBONE; its policies are not computed here")
        case Proxy.PROXYLESS:
            return ServerMode(Mode.UNKNOWN, "", _PROXYLESS)
        case Proxy.GATEWAY:
            return _own_port(port) or _patched(mesh, group) or _of_gateway(mesh, group, port, number)
        case Proxy.AMBIENT:
            config = mesh.config_of(group)
            if group.capture.unclear:
                return ServerMode(Mode.UNKNOWN, "", group.capture.unclear, RuleCode.NOT_CAPTURED)
            if not group.capture.takes_inbound(port):
                why = "bypass-inbound-capture: ztunnel gets only what comes through its tunnel"
                return ServerMode(Mode.PERMISSIVE, "", why, RuleCode.NOT_CAPTURED)
            return _unread(mesh) or policies.ambient_mode(config, group.namespace, group.labels, port)
        case Proxy.SIDECAR:
            return _own_port(port) or _unread(mesh) or _of_sidecar(mesh, policies, scopes, group, port)
        case _:
            assert_never(group.kind)


def _own_port(port: int) -> ServerMode | None:
    if port not in _OWN_PORTS:
        return None
    why = f"port {port} is one of Istio's own, for health and metrics in plain text"
    return ServerMode(Mode.NOT_ENFORCED, "", why, RuleCode.OWN_PORT)


def _patched(mesh: Mesh, group: Group) -> ServerMode | None:
    why = accepting(mesh, group)
    return ServerMode(Mode.UNKNOWN, "", why) if why else None


def _unread(mesh: Mesh) -> ServerMode | None:
    missing = mesh.missing.get("PeerAuthentication")
    return ServerMode(Mode.UNKNOWN, "", f"PeerAuthentications are unknown: {missing.text}") if missing else None


def _of_sidecar(mesh: Mesh, policies: Policies, scopes: list[SidecarScope], group: Group, port: int) -> ServerMode:
    """Policies apply to ports that pass the sidecar: by interception, or because a Sidecar object opens a listener."""
    config = mesh.config_of(group)
    scope = scope_of(scopes, config, group)
    listens = scope is not None and port in scope.ingress
    unread = mesh.unread("Sidecar")
    if unread and (group.capture.none or config.sidecar_ingress_tls):
        return ServerMode(Mode.UNKNOWN, "", f"Sidecar objects, which may open listeners, are unknown: {unread.text}")
    doubt = doubt_of(scopes, config, group)
    if doubt:
        return ServerMode(Mode.UNKNOWN, "", doubt)
    if group.capture.unclear:
        return ServerMode(Mode.UNKNOWN, "", group.capture.unclear, RuleCode.NOT_CAPTURED)
    if group.capture.none and not listens:
        why = "interceptionMode NONE: nothing is redirected to the sidecar"
        return ServerMode(Mode.NOT_ENFORCED, "", why, RuleCode.NOT_CAPTURED)
    if not group.capture.none and not group.capture.takes_inbound(port):
        why = f"container port {port} is excluded from what {group.capture.by} redirects to the sidecar"
        return ServerMode(Mode.NOT_ENFORCED, "", why, RuleCode.EXCLUDED_PORT)
    patched = _patched(mesh, group)
    if patched is not None:
        return patched
    found = policies.mode(config, group.namespace, group.labels, port)
    own_tls = scope is not None and port in scope.ingress and scope.ingress[port].tls and config.sidecar_ingress_tls
    if scope is not None and own_tls and found.mode is Mode.DISABLE:
        why = f"Sidecar {scope.key} gives port {port} TLS of its own"
        return ServerMode(Mode.UNKNOWN, scope.key, why, None, found.lost)
    return found


# TLS mode of a Gateway's server. A mode that is not listed is unknown.
_GATEWAY = {
    "": (Mode.DISABLE, "plain text"),
    "ISTIO_MUTUAL": (Mode.STRICT, "ISTIO_MUTUAL: a certificate of the mesh is required"),
    "MUTUAL": (Mode.UNKNOWN, "MUTUAL: a client certificate of the gateway's own authority is required"),
    "OPTIONAL_MUTUAL": (Mode.UNKNOWN, "OPTIONAL_MUTUAL: TLS, and a client certificate is optional"),
    "SIMPLE": (Mode.UNKNOWN, "SIMPLE: TLS without a client certificate"),
    "PASSTHROUGH": (Mode.UNKNOWN, "PASSTHROUGH: the backend's own TLS"),
    "AUTO_PASSTHROUGH": (Mode.UNKNOWN, "AUTO_PASSTHROUGH: the backend's mutual TLS, chosen by server name"),
}
_WEAKEST_FIRST = {Mode.DISABLE: 0, Mode.UNKNOWN: 1, Mode.STRICT: 2}


def _of_gateway(mesh: Mesh, group: Group, port: int, number: int) -> ServerMode:
    """Gateways do not read PeerAuthentication: the weakest server of their Gateway objects decides."""
    missing = mesh.missing.get("Gateway")
    if missing:
        return ServerMode(Mode.UNKNOWN, "", f"Gateways are unknown: {missing.text}", RuleCode.GATEWAY)
    config = mesh.config_of(group)
    shown = [s for s in mesh.servers if config.reads(s.gateway.partition("/")[0], s.revision)]
    for server in shown:
        if server.doubt is not None and (server.doubt.wide or matches(server.selector, group.labels)):
            return ServerMode(Mode.UNKNOWN, server.gateway, server.doubt.words, RuleCode.GATEWAY)
    found = [s for s in shown if s.port in (number, port) and matches(s.selector, group.labels)]
    if not found:
        why = f"no Gateway of Istio's API has a server on port {number}; the Kubernetes Gateway API is not read"
        return ServerMode(Mode.UNKNOWN, "", why, RuleCode.GATEWAY)
    server = min(found, key=lambda s: (_WEAKEST_FIRST[_gateway(s)[0]], s.gateway))
    mode, words = _gateway(server)
    why = f"{words}, by a server of Gateway {server.gateway}; gateways do not read PeerAuthentication"
    return ServerMode(mode, server.gateway, why, RuleCode.GATEWAY)


def _gateway(server: GatewayServer) -> tuple[Mode, str]:
    return _GATEWAY.get(server.tls, (Mode.UNKNOWN, f"TLS mode {server.tls}"))
