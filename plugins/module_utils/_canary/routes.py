# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The routes that a canary shifts, their weights, and why routes cannot be shifted. Pure: dicts in, findings out."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._canary.plan import FULL

Obj = Mapping[str, Any]

PROTOCOLS = ("http", "tls", "tcp")
# Names the run that may write a VirtualService, and its fencing token. The name does not contain "istio.io": istiod pushes when an
# annotation with that text changes (pilot/pkg/model/config_compare.go, NeedsPush), but not when this one does.
ANNOTATION = "servicemesh.platform/canary"


@dataclass(frozen=True, slots=True)
class Aim:
    """Whose traffic is shifted. `port` 0: any port, when both subsets have the same one. `routes`: their names; empty is all."""

    service: str
    namespace: str
    stable: str = "stable"
    canary: str = "canary"
    port: int = 0
    cluster_domain: str = "cluster.local"
    routes: tuple[str, ...] = ()

    @property
    def host(self) -> str:
        """Full name of the service."""
        return f"{self.service}.{self.namespace}.svc.{self.cluster_domain}"

    def means(self, host: str, namespace: str) -> bool:
        """Whether `host`, in a VirtualService of `namespace`, is this service.

        A name without a dot is in the object's namespace (pilot/pkg/model/config.go, ResolveShortnameToFQDN).
        """
        if "." not in host:
            return host == self.service and namespace == self.namespace
        return host.lower() == self.host.lower()


@dataclass(frozen=True, slots=True)
class Place:
    """One route of a VirtualService that has both subsets. `stable` and `canary` are the indexes of their destinations."""

    protocol: str
    index: int
    name: str
    stable: int
    canary: int
    canary_weight: int

    def __str__(self) -> str:
        return f"{self.protocol} route {self.name or f'[{self.index}]'}"


@dataclass(frozen=True, slots=True)
class Found:
    """What a VirtualService has: routes to shift, indexes of the run's own copies of routes, routes to leave, and findings."""

    places: tuple[Place, ...] = ()
    copies: tuple[int, ...] = ()
    left: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()


def named(virtual_service: Obj) -> str:
    """`VirtualService namespace/name`, for messages."""
    meta = virtual_service["metadata"]
    return f"VirtualService {meta.get('namespace', '')}/{meta['name']}"


def concerns(virtual_service: Obj, aim: Aim) -> bool:
    """Whether a VirtualService is shifted by default: one of its routes leads to the canary subset, or to the pods of both versions.

    `find` reports the latter: no weight applies to requests on such a route.
    """
    namespace = virtual_service["metadata"].get("namespace") or ""
    return any(
        str((target := entry.get("destination") or {}).get("subset") or "") in (aim.canary, "")
        and aim.means(str(target.get("host") or ""), namespace)
        for _protocol, _index, route in _routes(virtual_service)
        for entry in route.get("route") or []
    )


def _routes(virtual_service: Obj) -> Iterable[tuple[str, int, Obj]]:
    spec = virtual_service.get("spec") or {}
    for protocol in PROTOCOLS:
        for index, route in enumerate(spec.get(protocol) or []):
            yield protocol, index, route


def find(virtual_service: Obj, aim: Aim, copies: Collection[str] = ()) -> Found:
    """The routes of one VirtualService that a canary shifts, and every reason why it cannot.

    `copies`: names of the routes that the run recorded as its own (`route_record`).
    """
    namespace = virtual_service["metadata"].get("namespace") or ""
    who = named(virtual_service)
    places: list[Place] = []
    own: list[int] = []
    left: list[str] = []
    findings: list[str] = []
    for protocol, index, route in _routes(virtual_service):
        name = str(route.get("name") or "")
        shown = f"{protocol} route {name or f'[{index}]'}"
        if protocol == "http" and name in copies:
            own.append(index)
            continue
        if route.get("delegate"):
            continue  # the weights are in that VirtualService, which is shifted as well (`route_search`)
        if aim.routes and name not in aim.routes:
            if _ours(route, aim, namespace):
                left.append(shown)
            continue
        place, finding = _place(protocol, index, route, aim, namespace)
        if finding:
            findings.append(f"{who}, {shown}: {finding}")
        elif place is not None:
            places.append(place)
        elif _ours(route, aim, namespace):
            left.append(shown)
    return Found(tuple(places), tuple(own), tuple(left), tuple(findings))


def _ours(route: Obj, aim: Aim, namespace: str) -> list[int]:
    entries = route.get("route") or []
    return [
        position
        for position, entry in enumerate(entries)
        if aim.means(str((entry.get("destination") or {}).get("host") or ""), namespace)
    ]


def _place(protocol: str, index: int, route: Obj, aim: Aim, namespace: str) -> tuple[Place | None, str]:
    """(place, finding) of one route; neither when the route does not concern this canary."""
    entries = route.get("route") or []
    ours = _ours(route, aim, namespace)
    if not ours:
        return None, ""
    subsets = [str((entries[position]["destination"]).get("subset") or "") for position in ours]
    if "" in subsets:
        return None, (
            f"a destination {aim.host} has no subset, so it reaches the pods of both versions; "
            f"expected subsets {aim.stable} and {aim.canary}"
        )
    if aim.canary not in subsets and set(subsets) == {aim.stable} and len(entries) == 1:
        return None, ""  # a route to stable only stays as it is
    others = [entry for position, entry in enumerate(entries) if position not in ours]
    unexpected = sorted(set(subsets) - {aim.stable, aim.canary})
    if others or unexpected:
        third = unexpected[0] if unexpected else str((others[0].get("destination") or {}).get("host"))
        return None, (
            f"has a third destination ({third}); expected only subsets {aim.stable} and {aim.canary} of {aim.host}. "
            "Remove it, or exclude this route with the option routes"
        )
    if sorted(subsets) != sorted([aim.stable, aim.canary]):
        return None, (
            f"has subsets {', '.join(subsets)}; expected {aim.stable} and {aim.canary}, each once. "
            "Correct it, or exclude this route with the option routes"
        )
    stable, canary = (ours[subsets.index(subset)] for subset in (aim.stable, aim.canary))
    ports = [(entries[position]["destination"].get("port") or {}).get("number", 0) for position in (stable, canary)]
    if ports[0] != ports[1]:
        return None, f"sends stable to port {ports[0]} and canary to port {ports[1]}; expected one port"
    if aim.port and ports[0] and ports[0] != aim.port:
        return None, ""
    weights = [entries[position].get("weight") or 0 for position in (stable, canary)]
    if sum(weights) != FULL:
        return None, f"has weights {weights[0]} and {weights[1]}; expected a sum of 100"
    return Place(protocol, index, str(route.get("name") or ""), stable, canary, weights[1]), ""


def weights(virtual_services: Iterable[Obj], aim: Aim) -> set[int]:
    """Weights that the canary has in all routes that are shifted; one number when all agree."""
    return {place.canary_weight for item in virtual_services for place in find(item, aim).places}


def leads_to_canary(route: Obj, aim: Aim, namespace: str) -> bool:
    """Whether a route of a VirtualService of `namespace` sends requests to the canary subset. A single destination needs no weight."""
    entries = route.get("route") or []
    return any(
        (target := entry.get("destination") or {}).get("subset") == aim.canary
        and aim.means(str(target.get("host") or ""), namespace)
        and (len(entries) == 1 or entry.get("weight"))
        for entry in entries
    )
