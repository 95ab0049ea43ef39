# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which PeerAuthentication decides on a workload's port, with sidecars and with ztunnel. Pure.

Rules: istio pilot/pkg/security/authn/policy_applier.go (ComposePeerAuthentication), pilot/pkg/model/authentication.go
(addPeerAuthentication, getConfigsForWorkload), pilot/pkg/serviceregistry/ambient/authorization.go (ambient mode).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.model import (
    Labels,
    Lost,
    LostReason,
    MeshConfig,
    Mode,
    Policy,
    ServerMode,
    matches,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.rules import RuleCode


@dataclass(frozen=True, slots=True)
class Candidates:
    """The policies that apply to a workload, one of each scope, and those that do not."""

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
        every = [entry for entries in self._by_namespace.values() for entry in entries]
        self._doubted = any(entry.doubt is not None for entry in every)
        self._labelled = any(entry.revision for entry in every)
        self._cache: dict[tuple[object, ...], Candidates] = {}

    def _of(self, config: MeshConfig, namespace: str) -> list[Policy]:
        """Policies of a namespace that istiod reads."""
        found = self._by_namespace.get(namespace, [])
        if not self._labelled:  # the rule, and this is asked for every call
            return found if config.reads(namespace) else []
        return [entry for entry in found if config.reads(namespace, entry.revision)]

    def doubt(self, config: MeshConfig, namespace: str, labels: Labels | None) -> str:
        """What is not understood of the policies that are for a workload, or that clients read for a whole namespace (no labels)."""
        for place in dict.fromkeys((namespace, config.root_namespace)) if self._doubted else ():
            for entry in self._of(config, place):
                if entry.doubt is None:
                    continue
                if not entry.selector or entry.doubt.wide or (labels is not None and matches(entry.selector, labels)):
                    return entry.doubt.words
        return ""

    def broad(self, config: MeshConfig, namespace: str) -> tuple[Policy | None, Policy | None]:
        """The oldest policies without a selector, of the root namespace and of a namespace."""
        mesh = self._oldest(config, config.root_namespace)
        return mesh, None if namespace == config.root_namespace else self._oldest(config, namespace)

    def _oldest(self, config: MeshConfig, namespace: str) -> Policy | None:
        return next((entry for entry in self._of(config, namespace) if not entry.selector), None)

    def candidates(self, config: MeshConfig, namespace: str, labels: Labels) -> Candidates:
        """Which policy of each scope applies to a workload, and why the others do not."""
        key = (config.revision, config.root_namespace, config.discovered, namespace, frozenset(labels.items()))
        if key not in self._cache:
            self._cache[key] = self._candidates(config, namespace, labels)
        return self._cache[key]

    def _candidates(self, config: MeshConfig, namespace: str, labels: Labels) -> Candidates:
        root = config.root_namespace
        mesh, broad = self.broad(config, namespace)
        chosen: Policy | None = None
        lost: list[Lost] = []
        for entry in self._of(config, namespace) if namespace != root else ():
            if not entry.selector:
                if entry is not broad and broad is not None:
                    lost.append(_younger(entry, broad))
            elif matches(entry.selector, labels):
                if chosen is None:
                    chosen = entry
                else:
                    why = f"younger than {chosen.key}; policies of one workload are not merged"
                    lost.append(Lost(entry.key, LostReason.YOUNGER, why))
        for entry in self._of(config, root):
            if entry.selector:
                if matches(entry.selector, labels):
                    why = "a policy with a selector in the root namespace is ignored"
                    lost.append(Lost(entry.key, LostReason.ROOT_SELECTOR, why))
            elif entry is not mesh and mesh is not None:
                lost.append(_younger(entry, mesh))
        return Candidates(mesh, broad, chosen, tuple(lost))

    def namespace_mode(self, config: MeshConfig, namespace: str) -> Mode:
        """The mode that clients assume for a whole service: mesh and namespace policies only (GetNamespaceMutualTLSMode)."""
        mesh, broad = self.broad(config, namespace)
        return (broad.mode if broad else None) or (mesh.mode if mesh else None) or Mode.PERMISSIVE

    def mode(self, config: MeshConfig, namespace: str, labels: Labels, port: int) -> ServerMode:
        """Mode of a sidecar's container port: mesh, namespace and workload each overwrite, unless UNSET; then the port."""
        found = self.candidates(config, namespace, labels)
        doubt = self.doubt(config, namespace, labels)
        if doubt:
            return ServerMode(Mode.UNKNOWN, "", doubt, None, found.lost)
        mode, winner, lost = Mode.PERMISSIVE, "", list(found.lost)
        for scope, entry in (("mesh", found.mesh), ("namespace", found.namespace), ("workload", found.workload)):
            if entry is None:
                continue
            if not entry.mode:
                why = f"its {scope} mode is UNSET, so the mode of the wider scope is inherited"
                lost.append(Lost(entry.key, LostReason.UNSET, why))
                continue
            if winner:
                lost.append(Lost(winner, LostReason.OVERRIDDEN, f"overridden for this workload by {entry.key}"))
            mode, winner = entry.mode, entry.key
        reason = f"{mode} by {winner}" if winner else f"{mode}, Istio's default: no policy sets a mode"
        ignored = any(entry.reason is LostReason.ROOT_SELECTOR for entry in lost)
        rule = RuleCode.ROOT_NAMESPACE_SELECTOR if ignored else None
        own = found.workload.ports.get(port) if found.workload else None
        if own and found.workload:
            if winner and winner != found.workload.key:
                lost.append(Lost(winner, LostReason.OVERRIDDEN, f"overridden on port {port} by {found.workload.key}"))
            mode, winner = own, found.workload.key
            reason = f"{own} on container port {port} by portLevelMtls of {winner}"
            rule = RuleCode.PORT_EXCEPTION if own is not Mode.STRICT else rule
        if config.unclear and winner not in _keys(found.namespace, found.workload):
            return ServerMode(Mode.UNKNOWN, "", _no_root(config), None, tuple(lost))
        return ServerMode(mode, winner, reason, rule, tuple(lost))

    def ambient_mode(self, config: MeshConfig, namespace: str, labels: Labels, port: int) -> ServerMode:
        """Mode of a container port behind ztunnel. DISABLE is not supported there: it acts like PERMISSIVE."""
        found = self.candidates(config, namespace, labels)
        mesh, broad, own, lost = found.mesh, found.namespace, found.workload, found.lost
        doubt = self.doubt(config, namespace, labels)
        if doubt:
            return ServerMode(Mode.UNKNOWN, "", doubt, None, lost)
        if mesh is not None and mesh.open_selector and namespace != config.root_namespace:
            why = "selector: {} in the root namespace is not read for ambient workloads"
            lost = (*lost, Lost(mesh.key, LostReason.AMBIENT_SELECTOR, why))
            policies = self._of(config, config.root_namespace)
            mesh = next((entry for entry in policies if not entry.selector and not entry.open_selector), None)
        parent, winner = _ambient(mesh.mode if mesh else None), mesh.key if mesh and mesh.mode else ""
        if broad and broad.mode:
            parent, winner = _ambient(broad.mode), broad.key
        if config.unclear and not (own and own.mode) and winner not in _keys(broad):
            return ServerMode(Mode.UNKNOWN, "", _no_root(config), None, lost)
        if own is None:
            return ServerMode(parent, winner, f"{parent} behind ztunnel", None, lost)
        base = _ambient(own.mode) if own.mode else parent
        winner = own.key if own.mode else winner
        at_port, exceptions = own.ports.get(port), Mode.PERMISSIVE in own.ports.values()
        if not at_port or (at_port is Mode.STRICT) == (base is Mode.STRICT):
            mode = base
        elif at_port is Mode.STRICT:
            mode, winner = Mode.STRICT, own.key
        elif not own.mode and not exceptions:
            mode = (
                Mode.STRICT
            )  # convertedSelectorPeerAuthentications looks for PERMISSIVE only when the workload is UNSET
        else:
            mode, winner = Mode.PERMISSIVE, own.key
        if base is Mode.STRICT and not own.mode and exceptions and broad and not broad.mode:
            reason = "the converted policy that replaces STRICT is skipped when the namespace's mode is UNSET"
            return ServerMode(Mode.PERMISSIVE, own.key, reason, RuleCode.AMBIENT_UNSET_NAMESPACE, lost)
        return ServerMode(mode, winner, f"{mode} behind ztunnel", None, lost)


def _no_root(config: MeshConfig) -> str:
    return f"{config.unclear}, so the root namespace and its policy are unknown"


def _younger(entry: Policy, older: Policy) -> Lost:
    return Lost(entry.key, LostReason.YOUNGER, f"younger than {older.key}, which is of the same scope")


def _ambient(mode: Mode | None) -> Mode:
    """What ztunnel makes of a mode: STRICT, or PERMISSIVE for every other."""
    return Mode.STRICT if mode is Mode.STRICT else Mode.PERMISSIVE


def _keys(*policies: Policy | None) -> set[str]:
    return {entry.key for entry in policies if entry}
