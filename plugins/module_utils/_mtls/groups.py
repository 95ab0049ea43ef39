# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pods become groups: the pods of one workload that do not differ in anything that decides on mutual TLS. Pure.

Ten thousand pods are some hundred groups, and only groups are judged.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.model import (
    DestinationRule,
    Group,
    MeshConfig,
    Policy,
    Proxy,
    SidecarScope,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parse.pod import Pod
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.pods import (
    Bare,
)


def selected_labels(
    policies: Iterable[Policy],
    destination_rules: Iterable[DestinationRule],
    sidecars: Iterable[SidecarScope],
    more: Iterable[Mapping[str, str]],
) -> frozenset[tuple[str, str]]:
    """Labels (key and value) that a selector names; `more` are further selectors. Other labels cannot change a verdict."""
    pairs: set[tuple[str, str]] = set()
    for entry in policies:
        pairs |= entry.selector.items()
    for destination_rule in destination_rules:
        pairs |= (destination_rule.selector or {}).items()
        for subset in destination_rule.subsets:
            pairs |= subset.labels.items()
    for scope in sidecars:
        pairs |= (scope.selector or {}).items()
    for selector in more:
        pairs |= selector.items()
    return frozenset(pairs)


def _key(group: Group, labels: frozenset[tuple[str, str]], why: Bare) -> tuple[Any, ...]:
    return (
        group.namespace,
        group.workload,
        labels,
        group.service_account,
        group.kind,
        group.revision,
        group.tls_label,
        group.hbone,
        group.host_network,
        group.capture,
        why,
        group.probes,
        group.doubt,
        group.role,
    )


def grouped(
    pods: Iterable[Pod], chosen: frozenset[tuple[str, str]], namespace_labels: Mapping[str, Mapping[str, str]]
) -> tuple[list[Group], dict[tuple[str, str], int], dict[str, int]]:
    """Groups; the group of each pod by (namespace, name); the group of each address. A pod with hostNetwork has no address of its own."""
    groups: list[Group] = []
    counts: list[int] = []
    known: dict[tuple[Any, ...], int] = {}
    by_name: dict[tuple[str, str], int] = {}
    by_ip: dict[str, int] = {}
    for entry in pods:
        why = entry.group.why
        if entry.group.kind == Proxy.NONE and not why:
            wanted = _injects(namespace_labels.get(entry.group.namespace) or {})
            why = Bare.OLDER if wanted else Bare.NOT_ASKED
        labels = frozenset(entry.group.labels.items() & chosen)
        index = known.setdefault(_key(entry.group, labels, why), len(groups))
        if index == len(groups):
            groups.append(replace(entry.group, labels=dict(labels), why=why))
            counts.append(0)
        counts[index] += 1
        by_name[(entry.group.namespace, entry.name)] = index
        if not entry.group.host_network:
            by_ip.update(dict.fromkeys(entry.ips, index))
    return [replace(group, count=count) for group, count in zip(groups, counts, strict=True)], by_name, by_ip


def revisions(pods: Iterable[Pod]) -> list[str]:
    """Revisions that serve a pod, without the default one."""
    return sorted({entry.group.revision for entry in pods} - {"", MeshConfig().revision})


def _injects(labels: Mapping[str, str]) -> bool:
    """Whether a namespace's labels ask for injection."""
    wish = labels.get("istio-injection")
    return wish == "enabled" or (wish is None and bool(labels.get("istio.io/rev")))
