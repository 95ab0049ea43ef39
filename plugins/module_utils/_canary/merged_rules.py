# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""DestinationRules of one host, as Istio merges them. Pure.

Rules: istio pilot/pkg/model/push_context.go (setDestinationRules, sortConfigBySelectorAndCreationTime),
pilot/pkg/model/destination_rule.go (mergeDestinationRule), pilot/pkg/model/sidecar.go (SidecarScope.DestinationRule).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Obj = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Merged:
    """Rules of one host and namespace that proxies get as one.

    `names`: namespace/name of each. `selector`: labels of the only proxies that get it, None for all. `export_to`: to which namespaces it
    is visible, empty for the mesh's default. `spec`: that of the first, with what it takes from the others.
    """

    names: tuple[str, ...]
    selector: Mapping[str, str] | None
    export_to: frozenset[str]
    spec: Obj

    @property
    def namespace(self) -> str:
        """The namespace of its rules."""
        return self.names[0].partition("/")[0]

    def __str__(self) -> str:
        return f"DestinationRule {' and '.join(self.names)}"

    def subset(self, name: str) -> Obj | None:
        """A subset by its name."""
        return next((entry for entry in self.spec.get("subsets") or [] if entry.get("name") == name), None)


def merged(rules: Iterable[Obj]) -> list[Merged]:
    """Rules of one host and namespace: those with a workload selector before all others, then the oldest first.

    Rules with the same selector and the same exportTo are one. The first keeps its trafficPolicy, and of subsets with one name the first
    stays.
    """
    found: list[Merged] = []
    for rule in sorted(rules, key=_order):
        spec, meta = rule.get("spec") or {}, rule["metadata"]
        selector = (spec.get("workloadSelector") or {}).get("matchLabels") or {} if "workloadSelector" in spec else None
        export_to = frozenset({"."} if selector is not None else spec.get("exportTo") or ())
        one = Merged((f"{meta.get('namespace', '')}/{meta['name']}",), selector, export_to, spec)
        _add(found, one)
    return found


def _order(rule: Obj) -> tuple[bool, str, str]:
    meta = rule["metadata"]
    return "workloadSelector" not in (rule.get("spec") or {}), str(meta.get("creationTimestamp") or ""), meta["name"]


def _add(found: list[Merged], one: Merged) -> None:
    apart = True
    for index, other in enumerate(found):
        if one.export_to != other.export_to and not (other.export_to and one.export_to >= other.export_to):
            continue
        if one.selector is not None and other.selector is not None and one.selector != other.selector:
            continue
        if (one.selector is None) == (other.selector is None):
            apart = False
        found[index] = _into(other, one)
    if apart:
        found.append(one)


def _into(first: Merged, other: Merged) -> Merged:
    subsets = list(first.spec.get("subsets") or [])
    there = {entry.get("name") for entry in subsets}
    subsets += [entry for entry in other.spec.get("subsets") or [] if entry.get("name") not in there]
    spec = {**first.spec, **({"subsets": subsets} if subsets else {})}
    if not spec.get("trafficPolicy") and other.spec.get("trafficPolicy"):
        spec["trafficPolicy"] = other.spec["trafficPolicy"]
    return Merged((*first.names, *other.names), first.selector, first.export_to, spec)


def visible(rules: Sequence[Merged], namespace: str) -> Merged | None:
    """What proxies of a namespace get that no selector takes: the last one without a selector, of those that it can see.

    When it can see none, they are for callers of other namespaces alone: the last of them.
    """
    plain = [one for one in rules if one.selector is None]
    found = [
        one
        for one in plain
        if (
            not one.export_to
            or one.export_to & {"*", namespace}
            or ("." in one.export_to and namespace == one.namespace)
        )
    ]
    chosen = found or plain
    return chosen[-1] if chosen else None
