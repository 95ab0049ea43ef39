# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prove a weight: read the weights that proxies use from Envoy's own configuration, through a port forward to the pod.

It is proved when the proxies of each Gateway and the sidecars have it (`proof_scope`).
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._canary.delegation import MESH
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.plan import FULL
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.proof_scope import (
    Look,
    Scope,
    has_proxy,
    key_of,
    sampled,
    scopes,
    without_root,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.routes import Aim, named
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.client import Client, go_on
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.diagnosis import has_ended
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import ApiError, KubeError
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.pods import PodError, admin_json

Obj = Mapping[str, Any]
ISTIO = "/apis/networking.istio.io/v1"
_DUMP = "/config_dump?resource="
_ROUTES, _LISTENERS = "dynamic_route_configs", "dynamic_listeners"
_PAUSE = 0.25  # seconds between two reads


@dataclass(frozen=True, slots=True)
class Proof:
    """What proxies use. `proxies`: pods that have the weight. `missing`: pods with other weights. `why`: why there is no proof.

    `places`: namespace/name of a Gateway, or `mesh` for sidecars -> number of its proxies that have the weight.
    """

    proved: bool
    proxies: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    seconds: float = 0.0
    why: str = ""
    places: Mapping[str, int] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """For the record and the result."""
        return {
            "proved": self.proved,
            "proxies": list(self.proxies),
            "missing": list(self.missing),
            "seconds": round(self.seconds, 2),
            **({"places": dict(self.places)} if self.places else {}),
            **({"why": self.why} if self.why else {}),
        }


# Pure ------------------------------------------------------------------------------------------------------------------


def shares(dump: Obj, aim: Aim, names: Collection[str], copies: Collection[str] = ()) -> set[int]:
    """Percent of the canary in each route of a proxy to the service.

    `names`: those that the shifted routes have in a proxy (`proof_scope`); the empty name is any. `copies`: routes of the run's own, whose
    names no other route has. Istio omits a destination with weight 0 when there are others (pilot/pkg/networking/core/route/route.go).
    """
    found = set[int]()
    for route in _routes(dump):
        name = str(route.get("name") or "")
        if any(copy in name for copy in copies):
            continue
        if name in names or "" in names:
            found |= _share(route.get("route") or {}, aim)
    return found


def connection_shares(dump: Obj, aim: Aim) -> set[int]:
    """Percent of the canary in each filter chain of a proxy that leads connections to one of the two subsets: TCP and TLS routes.

    They stand in the listeners themselves (istio pilot/pkg/networking/core/networkfilter.go).
    """
    found = set[int]()
    for config in dump.get("configs") or []:
        listener = (config.get("active_state") or {}).get("listener") or {}
        for chain in (*(listener.get("filter_chains") or ()), listener.get("default_filter_chain") or {}):
            for part in chain.get("filters") or []:
                found |= _share(part.get("typed_config") or {}, aim)
    return found


def _share(action: Obj, aim: Aim) -> set[int]:
    """Percent of the canary in a route or a TCP proxy, nothing when it leads elsewhere."""
    mine = {name: weight for name, weight in _clusters(action) if name}
    total = sum(mine.values())
    ours = {name: weight for name, weight in mine.items() if _is(name, aim)}
    if not ours or not total:
        return set()
    canary = sum(weight for name, weight in ours.items() if name.split("|")[2] == aim.canary)
    return {round(FULL * canary / total)}


def _routes(dump: Obj) -> Iterable[Obj]:
    for config in dump.get("configs") or []:
        for host in (config.get("route_config") or {}).get("virtual_hosts") or []:
            yield from host.get("routes") or []


def _clusters(action: Obj) -> list[tuple[str, int]]:
    if action.get("cluster"):
        return [(str(action["cluster"]), FULL)]
    entries = (action.get("weighted_clusters") or {}).get("clusters") or []
    return [(str(entry.get("name") or ""), int(entry.get("weight") or 0)) for entry in entries]


def _is(cluster: str, aim: Aim) -> bool:
    """Whether a cluster (`outbound|80|canary|host`) is one of the two subsets."""
    parts = cluster.split("|")
    return len(parts) == 4 and parts[0] == "outbound" and parts[3] == aim.host and parts[2] in (aim.stable, aim.canary)


# I/O -------------------------------------------------------------------------------------------------------------------


class Prover:
    """Proofs of weights on one cluster."""

    def __init__(self, client: Client, samples: int, timeout: float) -> None:
        self._client = client
        self._samples, self._timeout = samples, timeout
        self._choose = random.Random()  # noqa: S311  # a sample, not a secret

    def prove(
        self,
        virtual_services: Sequence[Obj],
        aim: Aim,
        weight: int,
        copies: Collection[str] = (),
        roots: Sequence[str] | None = None,
    ) -> Proof:
        """Reads proxies until those of each scope have the weight, or until the timeout. `copies`: names of the run's own routes.

        `roots`: namespace/name of the VirtualServices that delegate to these; None: all that there are. A missing right is the reason of a
        proof that is none.
        """
        if self._samples < 1:
            return Proof(False, why="no proxy was read (proof_samples is 0)")
        try:
            return self._prove(virtual_services, self._roots(virtual_services, roots), aim, weight, copies)
        except KubeError as error:
            if not isinstance(error, PodError) and not (isinstance(error, ApiError) and error.refused):
                raise
            why = (
                f"{error}. A weight cannot be proved without this right. Grant it, or skip the proof (proof_samples: 0)"
            )
            return Proof(False, why=why)

    def _roots(self, virtual_services: Sequence[Obj], names: Sequence[str] | None) -> list[Obj]:
        if names is None:
            return (
                list(self._client.list_all(f"{ISTIO}/virtualservices")[0]) if without_root(virtual_services, []) else []
            )
        paths = [f"{ISTIO}/namespaces/{{}}/virtualservices/{{}}".format(*name.split("/", 1)) for name in names]
        return [item for item in self._client.each(self._client.get, paths) if item is not None]

    def _prove(
        self, virtual_services: Sequence[Obj], roots: Sequence[Obj], aim: Aim, weight: int, copies: Collection[str]
    ) -> Proof:
        begin = time.monotonic()
        wanted = scopes(virtual_services, roots, aim, copies)
        if not wanted:
            lost = ", ".join(named(item) for item in without_root(virtual_services, roots))
            return Proof(
                False,
                why=f"no proxy has the routes: no VirtualService delegates to {lost}"
                if lost
                else "there are no routes",
            )
        groups = [self.group(scope, aim) for scope in wanted]
        pods = {key_of(pod): pod for pod in sampled([group.ready for group in groups], self._samples, self._choose)}
        reading = _Reading(self, groups, pods, aim, copies, weight)
        while True:
            looks = reading.look()
            have = [name for look in looks for name in look.having(weight)]
            missing = [text for look in looks for text in look.others(weight)]
            doubts = [text for look in looks if (text := look.doubt(weight))]
            took = time.monotonic() - begin
            if not missing and doubts and reading.more():
                continue
            proved = bool(have) and not missing and not doubts
            if proved or took > self._timeout or not reading.pods:
                none = (
                    "none of the proxies has a route to the service"
                    if reading.pods
                    else "there is no ready proxy to read"
                )
                why = "; ".join(doubts) or ("" if have or missing else none)
                places = {look.scope.gateway: len(look.having(weight)) for look in looks}
                return Proof(proved, _each(have), _each(missing), took, why, places)
            time.sleep(_PAUSE)
            go_on()

    def shown(
        self, pod: Obj, aim: Aim, names: Collection[str], copies: Collection[str], *, connections: bool
    ) -> set[int] | None:
        """The shares of a proxy's HTTP routes with these names, and of its connections; None while it cannot be read."""
        routes = self._dump(pod, _ROUTES) if names else {}
        listeners = self._dump(pod, _LISTENERS) if connections else {}
        if routes is None or listeners is None:
            return None
        return shares(routes, aim, names, copies) | connection_shares(listeners, aim)

    def each(self, work: Callable[[Obj], set[int] | None], pods: Sequence[Obj]) -> list[set[int] | None]:
        """`work` for each pod, several at once."""
        return self._client.each(work, pods)

    def _dump(self, pod: Obj, resource: str) -> Obj | None:
        """One part of a proxy's configuration, None while it cannot be read."""
        meta = pod["metadata"]
        try:
            found: Obj = admin_json(self._client, meta["namespace"], meta["name"], _DUMP + resource)
        except PodError as error:
            if error.right:
                raise
            return None  # read again until the timeout
        return found

    def group(self, scope: Scope, aim: Aim) -> _Group:
        """The pods of a scope."""
        if scope.gateway == MESH:
            return _group(scope, self._client.list_all(f"/api/v1/namespaces/{aim.namespace}/pods")[0])
        namespace, _slash, short = scope.gateway.partition("/")
        gateway = self._client.get(f"{ISTIO}/namespaces/{namespace}/gateways/{short}")
        if gateway is None:
            return _group(scope, [])
        selector = (gateway.get("spec") or {}).get("selector") or {}
        if not selector:
            return _group(scope, [], f"{scope} has no selector, so any proxy may serve it")
        query = {"labelSelector": ",".join(f"{key}={value}" for key, value in selector.items())}
        return _group(scope, self._client.list_all("/api/v1/pods", query)[0])


@dataclass(frozen=True, slots=True)
class _Group:
    """The pods of a scope. `selected`: their number, ready or not. `why`: why they are not known."""

    scope: Scope
    ready: tuple[Obj, ...]
    selected: int
    why: str = ""


def _group(scope: Scope, pods: Sequence[Obj], why: str = "") -> _Group:
    there = [pod for pod in pods if not has_ended(pod)]
    return _Group(scope, tuple(pod for pod in there if has_proxy(pod)), len(there), why)


class _Reading:
    """What the sampled proxies of a proof showed so far."""

    def __init__(
        self,
        prover: Prover,
        groups: Sequence[_Group],
        pods: dict[str, Obj],
        aim: Aim,
        copies: Collection[str],
        weight: int,
    ) -> None:
        self._prover, self._groups, self._pods = prover, list(groups), pods
        self._aim, self._copies, self._weight = aim, copies, weight
        self._shown: dict[str, set[int] | None] = {}

    @property
    def pods(self) -> int:
        """How many proxies are read."""
        return len(self._pods)

    def look(self) -> list[Look]:
        """Reads each proxy that did not have the weight yet."""
        left = [pod for name, pod in self._pods.items() if self._shown.get(name) != {self._weight}]
        for pod, found in zip(left, self._prover.each(self._read, left), strict=True):
            self._shown[key_of(pod)] = found
        return [self._of(group) for group in self._groups]

    def _read(self, pod: Obj) -> set[int] | None:
        mine = [group.scope for group in self._groups if any(key_of(one) == key_of(pod) for one in group.ready)]
        names = frozenset(name for scope in mine for name in scope.names)
        connections = any(scope.connections for scope in mine)
        return self._prover.shown(pod, self._aim, names, self._copies, connections=connections)

    def _of(self, group: _Group) -> Look:
        names = [key_of(pod) for pod in group.ready]
        shown = {name: self._shown[name] for name in names if name in self._shown}
        return Look(group.scope, shown, group.selected, len(names) - len(shown), group.why)

    def more(self) -> bool:
        """Adds proxies to the sample where none of a scope shows routes: sidecars that do not call the service, pods that have just ended.

        Whether there were any.
        """
        added = False
        for index, group in enumerate(self._groups):
            look = self._of(group)
            lost = None in look.shown.values()
            if any(look.shown.values()) or not (lost or (group.scope.gateway == MESH and look.left)):
                continue
            if lost:
                self._groups[index] = self._prover.group(group.scope, self._aim)
            fresh = [pod for pod in self._groups[index].ready if key_of(pod) not in self._pods][
                : max(1, len(look.shown))
            ]
            self._pods.update({key_of(pod): pod for pod in fresh})
            added = added or bool(fresh)
        here = {key_of(pod) for group in self._groups for pod in group.ready}
        for name in [name for name in self._pods if name not in here]:
            del self._pods[name]
        return added


def _each(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(dict.fromkeys(names)))
