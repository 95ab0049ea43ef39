# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which proxies have which of the routes that are shifted: those of each Gateway, and the sidecars. Pure.

A weight is proved in each of them: they get their routes from different VirtualServices, and not in one moment.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._canary.delegation import (
    MESH,
    gateways_of,
    is_delegate,
    merged,
    resolved,
    roots_of,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.preconditions import is_ready
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.routes import Aim, Place, find

Obj = Mapping[str, Any]
PROXY = "istio-proxy"


@dataclass(frozen=True, slots=True)
class Scope:
    """The proxies of one Gateway (namespace/name) or the sidecars (`mesh`), and what they have of the routes.

    `names`: those that http routes have in the proxies. `connections`: there are TCP or TLS routes.
    """

    gateway: str
    names: frozenset[str] = frozenset()
    connections: bool = False

    def __str__(self) -> str:
        return "the sidecars" if self.gateway == MESH else f"Gateway {self.gateway}"


def scopes(
    virtual_services: Iterable[Obj], roots: Sequence[Obj], aim: Aim, copies: Collection[str] = ()
) -> list[Scope]:
    """The proxies that have routes to shift.

    `roots`: VirtualServices that may delegate to these. `copies`: names of the run's own routes.
    """
    names: dict[str, set[str]] = {}
    connections: set[str] = set()
    for item in virtual_services:
        for place in find(item, aim, copies).places:
            if place.protocol == "http":
                for gateway, name in _http(item, place, roots):
                    names.setdefault(gateway, set()).add(name)
            else:
                connections |= {gateway for gateway in gateways_of(item) if _takes(item, place, gateway)}
    return [
        Scope(gateway, frozenset(names.get(gateway, ())), gateway in connections)
        for gateway in sorted(names.keys() | connections)
    ]


def gateways(virtual_services: Iterable[Obj], roots: Sequence[Obj]) -> list[str]:
    """namespace/name of the Gateways of VirtualServices and of those that delegate to them, each once."""
    found: dict[str, None] = {}
    for item in virtual_services:
        bound = [
            *gateways_of(item),
            *(gateway for root, _route in roots_of(item, roots) for gateway in gateways_of(root)),
        ]
        found |= dict.fromkeys(gateway for gateway in bound if gateway != MESH)
    return list(found)


def without_root(virtual_services: Iterable[Obj], roots: Sequence[Obj]) -> list[Obj]:
    """Delegates to which none of the roots delegates."""
    return [item for item in virtual_services if is_delegate(item) and not list(roots_of(item, roots))]


def _http(item: Obj, place: Place, roots: Sequence[Obj]) -> Iterator[tuple[str, str]]:
    """(Gateway, name of the route in its proxies). A route has its own name and that of its match (networking/core/route/route.go)."""
    route = item["spec"]["http"][place.index]
    namespace = item["metadata"].get("namespace") or ""
    own = [resolved(match or {}, namespace) for match in route.get("match") or []]
    if not is_delegate(item):
        yield from _named(place.name, own or [{}], gateways_of(item))
        return
    for root, root_route in roots_of(item, roots):
        above = [
            resolved(match or {}, root["metadata"].get("namespace") or "") for match in root_route.get("match") or []
        ]
        # The root's name comes before that of its delegate (pilot/pkg/model/virtualservice.go, mergeHTTPRoute).
        name = "-".join(text for text in (str(root_route.get("name") or ""), place.name) if text)
        yield from _named(name, merged(above, own), gateways_of(root))


def _named(name: str, matches: Iterable[Obj], bound: Sequence[str]) -> Iterator[tuple[str, str]]:
    for match in matches:
        text = str(match.get("name") or "")
        for gateway in bound:
            if not match.get("gateways") or gateway in match["gateways"]:
                yield gateway, f"{name}.{text}" if text else name


def _takes(item: Obj, place: Place, gateway: str) -> bool:
    """Whether a TCP or TLS route is for a Gateway."""
    matches = item["spec"][place.protocol][place.index].get("match") or [{}]
    namespace = item["metadata"].get("namespace") or ""
    return any(
        not match.get("gateways") or gateway in resolved(match, namespace)["gateways"]
        for match in matches
        if match is not None
    )


# Pods ------------------------------------------------------------------------------------------------------------------


def has_proxy(pod: Obj) -> bool:
    """Whether a pod is ready and has Istio's proxy."""
    spec = pod.get("spec") or {}
    containers = [*(spec.get("containers") or []), *(spec.get("initContainers") or [])]
    return is_ready(pod) and any(entry.get("name") == PROXY for entry in containers)


def sampled(pools: Sequence[Sequence[Obj]], number: int, choose: random.Random) -> list[Obj]:
    """Pods to read: one of each pool whatever the number, then more of the first pools. Each once."""
    shuffled = [choose.sample(list(pool), len(pool)) for pool in pools]
    order = [pool[0] for pool in shuffled if pool]
    wanted = max(number, len(order))
    order += [pod for pool in shuffled for pod in pool[1:]]
    found: dict[str, Obj] = {}
    for pod in order:
        found.setdefault(key_of(pod), pod)
    return list(found.values())[:wanted]


def key_of(pod: Obj) -> str:
    """namespace/name of a pod."""
    return f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"


# Verdict ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Look:
    """What the proxies of one scope showed: pod -> percent of the canary in its routes, None while it cannot be read.

    `selected`: how many pods there are for it, ready or not. `left`: ready ones that were not read. `why`: why its pods are not known.
    """

    scope: Scope
    shown: Mapping[str, set[int] | None]
    selected: int
    left: int = 0
    why: str = ""

    def having(self, weight: int) -> list[str]:
        """Pods with this weight."""
        return sorted(name for name, shares in self.shown.items() if shares == {weight})

    def others(self, weight: int) -> list[str]:
        """Pods with other weights, in words."""
        return [
            f"{name} has {sorted(shares)}"
            for name, shares in sorted(self.shown.items())
            if shares and shares != {weight}
        ]

    def doubt(self, weight: int) -> str:
        """Why these proxies do not prove a weight, though none shows another one; empty when they do.

        A Gateway without pods serves nobody; one whose proxies do not have the routes does not serve them as it should. A sidecar without
        them does not call the service.
        """
        mesh = self.scope.gateway == MESH
        if self.why:
            return self.why
        if self.having(weight) or not self.selected:
            return ""
        if not self.shown:
            return "" if mesh else f"no proxy of {self.scope} is ready"
        if None in self.shown.values():
            return f"no proxy of {self.scope} could be read" if not mesh else "no sidecar could be read"
        if not mesh:
            return f"the proxies of {self.scope} have no route to the service"
        return (
            f"{len(self.shown)} sidecars have no route to the service, and {self.left} were not read"
            if self.left
            else ""
        )
