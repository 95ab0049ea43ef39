# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which patches of EnvoyFilters a workload has. Pure.

Rules: istio pilot/pkg/model/push_context.go (EnvoyFilters), pilot/pkg/model/policyattachment.go (ShouldAttachPolicy).
"""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.model import (
    Group,
    Labels,
    Mesh,
    MeshConfig,
    Proxy,
    matches,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parts import (
    GATEWAY_NAME,
    Doubt,
    EnvoyFilter,
    Patch,
)


def patches(mesh: Mesh, config: MeshConfig, kind: Proxy, namespace: str, labels: Labels) -> Iterator[Patch]:
    """Patches of the proxies of a kind in a namespace that are not computed: those of the root namespace and of their own."""
    if kind not in (Proxy.SIDECAR, Proxy.GATEWAY):
        return
    for entry in mesh.envoy_filters:
        if not config.reads(entry.namespace, entry.revision):
            continue
        if entry.doubt is not None and _doubted(entry, entry.doubt, config, namespace, labels):
            yield Patch(entry.doubt.words, accepts=True, sends=True)
        if _meant(entry, config, namespace, labels):
            yield from (
                patch for patch in entry.patches if (patch.gateways if kind is Proxy.GATEWAY else patch.sidecars)
            )


def _meant(entry: EnvoyFilter, config: MeshConfig, namespace: str, labels: Labels) -> bool:
    if entry.gateways is not None:
        return entry.namespace == namespace and labels.get(GATEWAY_NAME) in entry.gateways
    return entry.namespace in (config.root_namespace, namespace) and matches(entry.selector, labels)


def _doubted(entry: EnvoyFilter, doubt: Doubt, config: MeshConfig, namespace: str, labels: Labels) -> bool:
    """Whether a workload may have what of an EnvoyFilter is not understood: all of its namespaces, if that may be about whom it chooses."""
    if doubt.wide:
        return entry.namespace in (config.root_namespace, namespace)
    return _meant(entry, config, namespace, labels)


def sending(mesh: Mesh, config: MeshConfig, kind: Proxy, namespace: str, labels: Labels) -> tuple[Patch, ...]:
    """Patches that may change what these proxies send."""
    return tuple(patch for patch in patches(mesh, config, kind, namespace, labels) if patch.sends)


def accepting(mesh: Mesh, group: Group) -> str:
    """Why it is not known what the proxies of a group accept, empty when it is."""
    unread = mesh.unread("EnvoyFilter") if group.kind in (Proxy.SIDECAR, Proxy.GATEWAY) else None
    if unread:
        return f"EnvoyFilters, which may change what the proxy accepts, are unknown: {unread.text}"
    found = patches(mesh, mesh.config_of(group), group.kind, group.namespace, group.labels)
    return next((patch.what for patch in found if patch.accepts), "")
