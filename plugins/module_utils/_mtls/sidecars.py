# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which Sidecar object a workload has. Pure.

Rules: istio pilot/pkg/model/push_context.go (initSidecarScopes, getSidecarScope).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.model import (
    Group,
    MeshConfig,
    Proxy,
    SidecarScope,
    matches,
)

_WITHOUT = (Proxy.GATEWAY, Proxy.WAYPOINT, Proxy.NONE)  # proxies that read no Sidecar object


def oldest_first(scopes: Iterable[SidecarScope]) -> list[SidecarScope]:
    """The order that all other functions here expect."""
    return sorted(scopes, key=lambda scope: (scope.created, scope.name, scope.namespace))


def scope_of(scopes: Iterable[SidecarScope], config: MeshConfig, group: Group) -> SidecarScope | None:
    """The Sidecar object of a workload: own namespace before root, with a selector before without, oldest first."""
    if group.kind in _WITHOUT:
        return None
    own = [s for s in scopes if s.namespace == group.namespace and config.reads(s.namespace, s.revision)]
    for scope in sorted(own, key=lambda found: found.selector is None):
        if scope.selector is None or matches(scope.selector, group.labels):
            return scope
    return root_scope(scopes, config)


def root_scope(scopes: Iterable[SidecarScope], config: MeshConfig) -> SidecarScope | None:
    """The Sidecar object of the root namespace, which holds for every workload without one of its own."""
    root = config.root_namespace
    return next(
        (s for s in scopes if s.namespace == root and s.selector is None and config.reads(root, s.revision)), None
    )


def doubt_of(scopes: Sequence[SidecarScope], config: MeshConfig, group: Group) -> str:
    """What is not understood of the Sidecar objects that may be a workload's, empty for nothing."""
    if not any(scope.doubt is not None for scope in scopes):
        return ""
    chosen = scope_of(scopes, config, group)
    for scope in [*([chosen] if chosen else []), *(s for s in scopes if s.doubt and s.doubt.wide)]:
        own = scope.namespace == group.namespace and config.reads(scope.namespace, scope.revision)
        if scope.doubt is not None and (scope is chosen or (own and group.kind not in _WITHOUT)):
            return scope.doubt.words
    return ""
