# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prove a weight: read the weights that proxies use from Envoy's own configuration, through a port forward to the pod."""

from __future__ import annotations

import random
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._canary.plan import FULL
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.preconditions import is_ready
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.route_copies import is_delegate
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.route_patch import place_names
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.routes import Aim, find
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.client import Client, go_on
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import ApiError, KubeError
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.pods import PodError, admin_json

Obj = Mapping[str, Any]
PROXY = "istio-proxy"
_DUMP = "/config_dump?resource="
_ROUTES, _LISTENERS = "dynamic_route_configs", "dynamic_listeners"
_PAUSE = 0.25  # seconds between two reads


@dataclass(frozen=True, slots=True)
class Proof:
    """What proxies use. `proxies`: pods that have the weight. `missing`: pods with other weights. `why`: why there is no proof."""

    proved: bool
    proxies: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    seconds: float = 0.0
    why: str = ""

    def as_dict(self) -> dict[str, Any]:
        """For the record and the result."""
        return {
            "proved": self.proved,
            "proxies": list(self.proxies),
            "missing": list(self.missing),
            "seconds": round(self.seconds, 2),
            **({"why": self.why} if self.why else {}),
        }


# Pure ------------------------------------------------------------------------------------------------------------------


def shares(
    dump: Obj, aim: Aim, names: Iterable[str], copies: Collection[str] = (), delegates: Collection[str] = ()
) -> set[int]:
    """Percent of the canary in each route of a proxy to the service.

    `names`: the VirtualService's routes that are shifted; an Envoy route has the name of its VirtualService route (`place_names`), for
    `delegates` with that of the root before it. `copies`: routes of the run's own, whose names no other route has. Istio omits a
    destination with weight 0 when there are others (pilot/pkg/networking/core/route/route.go).
    """
    wanted, found = set(names), set()
    ends = tuple(f"-{name}" for name in delegates if name)
    for route in _routes(dump):
        name = str(route.get("name") or "")
        if any(copy in name for copy in copies):
            continue
        if name in wanted or "" in wanted or name.endswith(ends):
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


def gateways_of(virtual_services: Iterable[Obj]) -> list[str]:
    """`namespace/name` of the Gateways that VirtualServices are bound to, each once."""
    found: dict[str, None] = {}
    for item in virtual_services:
        for name in (item.get("spec") or {}).get("gateways") or []:
            namespace, _slash, short = str(name).rpartition("/")
            if name != "mesh":
                found[f"{namespace if namespace not in ('', '.') else item['metadata']['namespace']}/{short}"] = None
    return list(found)


def sampled(gateways: Sequence[Obj], sidecars: Sequence[Obj], number: int, choose: random.Random) -> list[Obj]:
    """Pods to read: gateways first, because all traffic from outside passes them, then sidecars at random."""
    pods = [pod for pod in gateways if has_proxy(pod)]
    choose.shuffle(pods)
    pods = pods[: max(1, number - 1)]
    rest = [pod for pod in sidecars if has_proxy(pod)]
    choose.shuffle(rest)
    return (pods + rest)[:number]


def has_proxy(pod: Obj) -> bool:
    """Whether a pod is ready and has Istio's proxy."""
    spec = pod.get("spec") or {}
    containers = [*(spec.get("containers") or []), *(spec.get("initContainers") or [])]
    return is_ready(pod) and any(entry.get("name") == PROXY for entry in containers)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What a proof reads: names of http routes, those of the run's own that are left out, those of delegates, and connections or not."""

    names: frozenset[str]
    copies: frozenset[str]
    delegates: frozenset[str]
    connections: bool


# I/O -------------------------------------------------------------------------------------------------------------------


class Prover:
    """Proofs of weights on one cluster."""

    def __init__(self, client: Client, samples: int, timeout: float) -> None:
        self._client = client
        self._samples, self._timeout = samples, timeout
        self._choose = random.Random()  # noqa: S311  # a sample, not a secret

    def prove(self, virtual_services: Sequence[Obj], aim: Aim, weight: int, copies: Collection[str] = ()) -> Proof:
        """Reads proxies until all of them have the weight, or until the timeout. `copies`: names of the run's own routes.

        A missing right is the reason of a proof that is none.
        """
        try:
            return self._prove(virtual_services, aim, weight, copies)
        except KubeError as error:
            if not isinstance(error, PodError) and not (isinstance(error, ApiError) and error.refused):
                raise
            why = (
                f"{error}. A weight cannot be proved without this right. Grant it, or skip the proof (proof_samples: 0)"
            )
            return Proof(False, why=why)

    def _prove(self, virtual_services: Sequence[Obj], aim: Aim, weight: int, copies: Collection[str]) -> Proof:
        if self._samples < 1:
            return Proof(False, why="no proxy was read (proof_samples is 0)")
        places = [(item, place) for item in virtual_services for place in find(item, aim, copies).places]
        http = [(item, place) for item, place in places if place.protocol == "http"]
        wanted = _Wanted(
            frozenset(name for item, place in http for name in place_names(item, place)),
            frozenset(copies),
            frozenset(name for item, place in http if is_delegate(item) for name in place_names(item, place)),
            any(place.protocol != "http" for _item, place in places),
        )
        begin = time.monotonic()
        pods = sampled(self._gateways(virtual_services), self._sidecars(aim), self._samples, self._choose)
        if not pods:
            return Proof(False, why="there is no ready proxy to read")
        shown: dict[str, set[int]] = {}

        def ask(pod: Obj) -> set[int]:
            return self._shares(pod, aim, wanted)

        while True:
            left: list[Obj] = [pod for pod in pods if shown.get(_named(pod)) != {weight}]
            for pod, found in zip(left, self._client.each(ask, left), strict=True):
                shown[_named(pod)] = found
            have = sorted(name for name, found in shown.items() if found == {weight})
            # A proxy without any route to the service does not call it.
            missing = sorted(
                f"{name} has {sorted(found)}" for name, found in shown.items() if found and found != {weight}
            )
            took = time.monotonic() - begin
            if (have and not missing) or took > self._timeout:
                why = "" if have else "none of the proxies has a route to the service"
                return Proof(bool(have) and not missing, tuple(have), tuple(missing), took, why)
            time.sleep(_PAUSE)
            go_on()

    def _shares(self, pod: Obj, aim: Aim, wanted: _Wanted) -> set[int]:
        """The shares of a proxy's HTTP routes with these names, and of its connections. Nothing while it cannot be read."""
        routes = self._dump(pod, _ROUTES) if wanted.names else {}
        listeners = self._dump(pod, _LISTENERS) if wanted.connections else {}
        if routes is None or listeners is None:
            return set()
        found = shares(routes, aim, wanted.names, wanted.copies, wanted.delegates)
        return found | connection_shares(listeners, aim)

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

    def _gateways(self, virtual_services: Sequence[Obj]) -> list[Obj]:
        found: dict[str, Obj] = {}
        for name in gateways_of(virtual_services):
            namespace, _slash, short = name.partition("/")
            gateway = self._client.get(f"/apis/networking.istio.io/v1/namespaces/{namespace}/gateways/{short}")
            selector = ((gateway or {}).get("spec") or {}).get("selector") or {}
            if selector:
                query = {"labelSelector": ",".join(f"{key}={value}" for key, value in selector.items())}
                for pod in self._client.list_all("/api/v1/pods", query)[0]:
                    found[_named(pod)] = pod
        return list(found.values())

    def _sidecars(self, aim: Aim) -> Sequence[Obj]:
        return self._client.list_all(f"/api/v1/namespaces/{aim.namespace}/pods")[0]


def _named(pod: Obj) -> str:
    return f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"
