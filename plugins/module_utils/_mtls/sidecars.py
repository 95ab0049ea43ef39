# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which Sidecar object a workload has. Pure.

Rules: istio pilot/pkg/model/push_context.go (initSidecarScopes, getSidecarScope).
"""

from __future__ import annotations

from collections.abc import Iterable

from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.model import (
    Group,
    MeshConfig,
    Proxy,
    SidecarScope,
    matches,
)


def oldest_first(scopes: Iterable[SidecarScope]) -> list[SidecarScope]:
    """The order that all other functions here expect."""
    return sorted(scopes, key=lambda scope: (scope.created, scope.name, scope.namespace))


def scope_of(scopes: Iterable[SidecarScope], config: MeshConfig, group: Group) -> SidecarScope | None:
    """The Sidecar object of a workload: own namespace before root, with a selector before without, oldest first."""
    if group.kind in (Proxy.GATEWAY, Proxy.WAYPOINT, Proxy.NONE):
        return None
    own = [scope for scope in scopes if scope.namespace == group.namespace and config.reads(scope.namespace)]
    for scope in sorted(own, key=lambda found: found.selector is None):
        if scope.selector is None or matches(scope.selector, group.labels):
            return scope
    return root_scope(scopes, config)


def root_scope(scopes: Iterable[SidecarScope], config: MeshConfig) -> SidecarScope | None:
    """The Sidecar object of the root namespace, which holds for every workload without one of its own."""
    if not config.reads(config.root_namespace):
        return None
    return next((s for s in scopes if s.namespace == config.root_namespace and s.selector is None), None)
