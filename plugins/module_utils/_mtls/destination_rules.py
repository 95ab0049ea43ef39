# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which DestinationRule a client uses for a service, and which TLS it sets. Pure.

Rules: istio pilot/pkg/model/push_context.go (setDestinationRules, destinationRule), pilot/pkg/model/destination_rule.go
(mergeDestinationRule), pilot/pkg/model/sidecar.go (SidecarScope.DestinationRule), pilot/pkg/networking/util/util.go
(GetPortLevelTrafficPolicy, MergeSubsetTrafficPolicy), pilot/pkg/xds/endpoints/mtls_checker.go (tlsModeForDestinationRule).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.model import (
    DestinationRule,
    Labels,
    Lost,
    LostReason,
    MeshConfig,
    Service,
    Subset,
    TlsMode,
    Traffic,
    matches,
)


@dataclass(frozen=True, slots=True)
class Merged:
    """DestinationRules of one host and namespace that Istio merges. `destination_rule` is the first, with what it takes from the others."""

    destination_rule: DestinationRule
    export_to: frozenset[str]
    sources: tuple[str, ...]
    lost: tuple[Lost, ...] = ()


class _Hosts:
    """Merged DestinationRules by host, exact and with wildcards."""

    def __init__(self) -> None:
        self.exact: dict[str, list[Merged]] = {}
        self.wild: dict[str, list[Merged]] = {}

    def add(self, entry: DestinationRule, export_to: frozenset[str], by_export: bool) -> None:
        """Merges one into those of its host. They come oldest first, those with a selector before all others."""
        found = (self.wild if entry.host.startswith("*") else self.exact).setdefault(entry.host, [])
        apart = True
        for index, merged in enumerate(found):
            if by_export and export_to != merged.export_to:
                apart = True
                if not (merged.export_to and export_to >= merged.export_to):
                    continue
            elif by_export:
                apart = False
            mine, theirs = entry.selector, merged.destination_rule.selector
            if mine is not None and theirs is not None and mine != theirs:
                apart = True
                continue
            if (mine is None) == (theirs is None):
                apart = False
            found[index] = _merge(merged, entry)
        if apart:
            found.append(Merged(entry, export_to, (entry.key,)))

    def match(self, host: str) -> list[Merged]:
        """Those of the most specific host: exact first, then the longest wildcard (MostSpecificHostMatch)."""
        if not host.startswith("*") and host in self.exact:
            return self.exact[host]
        if host.startswith("*") and host in self.wild:
            return self.wild[host]
        needle = host[1:] if host.startswith("*") else host
        best = max((w for w in self.wild if needle.endswith(w[1:])), key=lambda w: (len(w), w), default=None)
        return self.wild[best] if best is not None else []


def _merge(merged: Merged, entry: DestinationRule) -> Merged:
    """Appends subsets whose name is not taken. The top-level trafficPolicy of the first that has one stays."""
    names = {subset.name for subset in merged.destination_rule.subsets}
    more = tuple(subset for subset in entry.subsets if subset.name not in names)
    traffic, lost = merged.destination_rule.traffic, merged.lost
    if traffic is None:
        traffic = entry.traffic
    elif entry.traffic is not None:
        why = f"{merged.destination_rule.key} has the same host and namespace and comes first: its trafficPolicy stays"
        lost = (*lost, Lost(entry.key, LostReason.MERGED, why))
    kept = replace(merged.destination_rule, traffic=traffic, subsets=(*merged.destination_rule.subsets, *more))
    kept = replace(kept, doubt=kept.doubt or entry.doubt)
    return Merged(kept, merged.export_to, (*merged.sources, entry.key), lost)


@dataclass(frozen=True, slots=True)
class Found:
    """What a search finds: the DestinationRules of one level, the level in words, and those of further levels that do not apply."""

    merged: tuple[Merged, ...] = ()
    level: str = ""
    lost: tuple[Lost, ...] = ()
    shadowed: tuple[DestinationRule, ...] = ()

    def chosen(self, namespace: str, labels: Labels) -> Merged | None:
        """The one for a workload: one whose selector matches it, else the last without a selector."""
        plain = None
        for merged in self.merged:
            selector = merged.destination_rule.selector
            if selector is None:
                plain = merged
            elif merged.destination_rule.namespace == namespace and matches(selector, labels):
                return merged
        return plain

    def doubt(self, namespace: str, labels: Labels) -> str:
        """What is not understood of those that may be for a workload, empty for nothing."""
        for merged in self.merged:
            entry = merged.destination_rule
            if entry.doubt is None:
                continue
            own = entry.selector is not None and entry.namespace == namespace
            if entry.selector is None or (own and (entry.doubt.wide or matches(entry.selector, labels))):
                return entry.doubt.words
        return ""


class DestinationRules:
    """All DestinationRules as one revision's istiod sees them."""

    def __init__(self, config: MeshConfig, destination_rules: Iterable[DestinationRule]) -> None:
        self._root = config.root_namespace
        self._local: dict[str, _Hosts] = {}
        self._exported: dict[str, _Hosts] = {}
        self._root_local = _Hosts()
        self._cache: dict[tuple[str, str, str], Found] = {}
        self.named: set[str] = set()  # namespaces that an exportTo names
        self.selecting: set[str] = set()  # namespaces with a DestinationRule for some of their workloads only
        by_export = config.merge_by_export
        for entry in sorted(destination_rules, key=lambda r: (r.selector is None, r.created, r.name, r.namespace)):
            if not config.reads(entry.namespace, entry.revision):
                continue
            export_to = frozenset(entry.export_to)
            self.named |= export_to - {"*", ".", "~"}
            if entry.selector is not None:
                self.selecting.add(entry.namespace)
            if not export_to or export_to & {"*", ".", entry.namespace}:
                self._local.setdefault(entry.namespace, _Hosts()).add(entry, export_to, by_export)
            private = (not export_to and "." in config.destination_rule_export_to) or (
                len(export_to) == 1 and bool(export_to & {".", entry.namespace})
            )
            if not private:
                self._exported.setdefault(entry.namespace, _Hosts()).add(entry, export_to, by_export)
            elif entry.namespace == self._root:
                self._root_local.add(entry, export_to, by_export)

    def view(self, namespace: str, service: Service) -> str:
        """The namespace that a search depends on: itself, or empty when it finds the same as every other namespace."""
        own = namespace in self._local or namespace in self.named or namespace in (self._root, service.namespace)
        return namespace if own else ""

    def search(self, namespace: str, service: Service) -> Found:
        """DestinationRules for a service as seen from a namespace. The first level with a match wins; levels inherit nothing."""
        key = (self.view(namespace, service), service.namespace, service.host)
        if key not in self._cache:
            self._cache[key] = self._search(*key)
        return self._cache[key]

    def _search(self, namespace: str, service_namespace: str, host: str) -> Found:
        own = self._root_local if namespace == self._root else self._local.get(namespace)
        levels = [("the client's namespace", tuple(own.match(host)) if own else ())]
        for label, owner in (("the service's namespace", service_namespace), ("the root namespace", self._root)):
            shown = self._exported[owner].match(host) if owner in self._exported else []
            visible = tuple(m for m in shown if not m.export_to or m.export_to & {"*", namespace})
            levels.append((label, visible))
        index = next((n for n, (_label, found) in enumerate(levels) if found), None)
        if index is None:
            return Found()
        label, first = levels[index]
        lost = [ignored for merged in first for ignored in merged.lost]
        taken = {source for merged in first for source in merged.sources}
        shadowed: list[DestinationRule] = []
        for other, further in levels[index + 1 :]:
            for merged in further:
                key = merged.destination_rule.key
                if key not in taken:
                    taken.add(key)
                    why = f"of {other}; a DestinationRule of {label} is found first, and nothing is inherited"
                    lost.append(Lost(key, LostReason.FURTHER_LEVEL, why))
                    shadowed.append(merged.destination_rule)
        return Found(first, label, tuple(lost), tuple(shadowed))


@dataclass(frozen=True, slots=True)
class ClusterTls:
    """The settings of a DestinationRule for one cluster (service port, and subset or none).

    `mode` is the cluster's TLS mode, None when it is not set. `hint` is the mode that Istio marks the endpoints by: it is inherited where
    `mode` is not. `original_dst` is whether the load balancer is PASSTHROUGH, `instances` whether TLS is then inferred from the instances.
    `not_inherited` is whether portLevelSettings dropped the TLS of the whole DestinationRule.
    """

    mode: TlsMode | None = None
    hint: TlsMode | None = None
    original_dst: bool = False
    instances: bool = False
    not_inherited: bool = False


def _at(traffic: Traffic | None, port: int) -> tuple[Traffic | None, bool]:
    if traffic is None:
        return None, False
    own = traffic.ports.get(port)
    return (own, True) if own is not None else (traffic, False)


def _hint(traffic: Traffic | None, port: int) -> TlsMode | None:
    if traffic is None:
        return None
    own = traffic.ports.get(port)
    return own.tls if own is not None and own.tls is not None else traffic.tls


def cluster_tls(destination_rule: DestinationRule | None, port: int, subset: Subset | None = None) -> ClusterTls:
    """Settings for a service port: portLevelSettings replace the whole block, and a subset's `tls` goes before the top-level one."""
    if destination_rule is None:
        return ClusterTls()
    top, top_port = _at(destination_rule.traffic, port)
    dropped = (
        top_port
        and top is not None
        and top.tls is None
        and destination_rule.traffic is not None
        and destination_rule.traffic.tls is not None
    )
    if subset is None:
        instances = bool(destination_rule.traffic and destination_rule.traffic.passthrough)
        return ClusterTls(
            top.tls if top else None,
            _hint(destination_rule.traffic, port),
            bool(top and top.passthrough),
            instances,
            dropped,
        )
    hint = _hint(subset.traffic, port)
    hint = _hint(destination_rule.traffic, port) if hint is None else hint
    instances = bool(subset.traffic and subset.traffic.passthrough)
    own, own_port = _at(subset.traffic, port)
    if own is None:
        return ClusterTls(top.tls if top else None, hint, bool(top and top.passthrough), instances, dropped)
    if top is None:
        return ClusterTls(own.tls, hint, own.passthrough or instances, instances)
    mode = own.tls if own.tls is not None or own_port else top.tls
    # A subset's cluster begins with the type of the whole service's cluster (istio pilot/pkg/networking/core/cluster_builder.go,
    # buildSubsetCluster), whatever load balancer it has itself.
    return ClusterTls(mode, hint, own.passthrough or instances or top.passthrough, instances, dropped)
