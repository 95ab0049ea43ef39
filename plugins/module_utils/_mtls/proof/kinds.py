# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kinds of endpoints of a service port: what a proof has to reach, and at which address. Pure.

What is not known to be alike is a kind of its own: the pods of each group, each address without a pod, each family of addresses that the
service has, and each subset with a trafficPolicy of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.assemble import Snapshot
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.client import Client
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.engine import Cell, Engine
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.model import (
    Endpoint,
    Port,
    Proxy,
    Service,
    ServiceKind,
    in_mesh,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parse.metadata import Obj, family
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parse.pod import pod as reduced
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.proof.evidence import Key, Part
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.proof.listener import expected_identity
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.sidecars import scope_of

PodKey = tuple[str, str]  # namespace and name


@dataclass(frozen=True, slots=True)
class Spot:
    """Where one kind of endpoint is called: an address and a container port.

    `pod` has the address, None for what is no pod. `identity` is the one that its certificate should have, empty without a proxy.
    `why` is why no call can be made; the address is empty then.
    """

    key: Key
    name: str
    port: int
    address: str = ""
    pod: PodKey | None = None
    identity: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """What has an address: an endpoint by its index in Port.endpoints, and the pod. `point` is None when two endpoints have the address."""

    point: int | None
    pod: PodKey | None


@dataclass(frozen=True, slots=True)
class Kinds:
    """A service port with its kinds of endpoints. `where` maps an address and a container port to what has it."""

    service: Service
    port: Port
    spots: tuple[Spot, ...]
    where: Mapping[tuple[str, int], Place]

    @property
    def id(self) -> tuple[str, int]:
        """Service and port, as calls have them."""
        return self.service.key, self.port.number

    @property
    def headless(self) -> bool:
        """Whether a caller chooses the endpoint."""
        return self.service.kind is ServiceKind.HEADLESS

    def parts(self, cells: Iterable[Cell], over: Iterable[Key] = ()) -> list[Part]:
        """What was computed for each kind. `over` are those that no call was left for."""
        positions = {id(point): index for index, point in enumerate(self.port.endpoints)}
        beyond, found = frozenset(over), []
        for cell in cells:
            for spot in self.spots:
                if spot.key[0] == positions.get(id(cell.endpoint)):
                    why = "max_calls" if spot.key in beyond else spot.why
                    found.append(Part(spot.key, spot.name, cell.verdict, cell.sends.mode, cell.own, why))
        return found


class Atlas:
    """Where the pods of a mesh are."""

    def __init__(self, engine: Engine, snapshot: Snapshot) -> None:
        self._engine, self._snapshot = engine, snapshot
        self._pods: dict[int, list[PodKey]] = {}
        self._at: dict[str, PodKey] = {}
        for key, located in sorted(snapshot.located.items()):
            self._pods.setdefault(located.group, []).append(key)
            if not engine.mesh.groups[located.group].host_network:
                self._at.update(dict.fromkeys(located.addresses, key))

    def kinds(self, service: Service, port: Port) -> Kinds:
        """The kinds of endpoints of a service port."""
        spots: list[Spot] = []
        where: dict[tuple[str, int], Place] = {}
        for index, point in enumerate(port.endpoints):
            spots += self._spots(index, point, service)
            for address, pod in self._addresses(point):
                at, place = (address, point.port), Place(index, pod)
                where[at] = replace(place, point=None) if where.get(at, place).point != index else place
        return Kinds(service, port, tuple(spots), where)

    def _addresses(self, point: Endpoint) -> list[tuple[str, PodKey | None]]:
        if point.group is None:
            return [(point.address, self._at.get(point.address))] if point.address else []
        located = self._snapshot.located
        return [(address, pod) for pod in self._pods.get(point.group, []) for address in located[pod].addresses]

    def _spots(self, index: int, point: Endpoint, service: Service) -> list[Spot]:
        """One for each family of addresses, or one that cannot be called."""
        name = self._name(point)
        why = point.unread or self._uncallable(point)
        having = {family(address) for address, _pod in self._addresses(point)}
        families = sorted((having & {family(address) for address in service.addresses} or having) - {0})
        if why or not families:
            where = f"{point.address} is no IP address" if point.address else "it has no address"
            return [Spot((index, 0), name, point.port, why=why or where)]
        return [self._spot(index, point, name, number, one_of_two=len(families) > 1) for number in families]

    def _spot(self, index: int, point: Endpoint, name: str, number: int, *, one_of_two: bool) -> Spot:
        title = f"{name} by IPv{number}" if one_of_two else name
        up = self._snapshot.pods
        for address, pod in self._addresses(point):
            if family(address) == number and (pod is None or pod in up):
                return Spot((index, number), title, point.port, address, pod, self._identity(point))
        return Spot((index, number), title, point.port, why="no pod of it is ready")

    def _name(self, point: Endpoint) -> str:
        if point.group is None:
            return point.what or "an endpoint that was not read"
        pods = self._pods.get(point.group, [])
        first = next((pod for pod in pods if pod in self._snapshot.pods), pods[0] if pods else None)
        group = self._engine.mesh.groups[point.group].key
        return f"pods of {group} ({'/'.join(first)})" if first else f"pods of {group}"

    def _uncallable(self, point: Endpoint) -> str:
        kind = Proxy.NONE if point.pods is None else self._engine.mesh.groups[point.pods].kind
        return "" if kind in (Proxy.SIDECAR, Proxy.NONE) else f"pods with proxy {kind} are not called"

    def _identity(self, point: Endpoint) -> str:
        if point.pods is None or not self._engine.mesh.groups[point.pods].meshed:
            return ""
        group = self._engine.mesh.groups[point.pods]
        trust_domain = self._engine.mesh.config_of(group).trust_domain
        return expected_identity(trust_domain, group.namespace, group.service_account)


def caller(engine: Engine, pod: Obj) -> Client:
    """A pod of a probe as a client of the engine, with what its own namespace, labels, revision and interception make of it."""
    group = reduced(pod).group
    config = engine.mesh.config_of(group)
    scope = scope_of(engine.scopes, config, group)
    return Client(group.namespace, group.labels, group.kind, config, scope, in_mesh(group.capture, config))


def differs(engine: Engine, client: Client, service: Service, port: Port) -> str:
    """Why a client's calls are not those of `*`, empty when they are."""
    everybody = engine.anybody_who_sees(service, port.number)
    own, general = (one.scope.key if one.scope else "" for one in (client, everybody))
    if own != general:
        return f"Sidecar {own} holds for the probe" if own else f"Sidecar {general} does not hold for the probe"
    mine, theirs = (engine.judge(one, "", service, port) for one in (client, everybody))
    if mine.client_policy != theirs.client_policy:
        return f"the probe's DestinationRule is {mine.client_policy or 'none'}, that of others {theirs.client_policy or 'none'}"
    if _told(engine.cells.of(client, service, port)) != _told(engine.cells.of(everybody, service, port)):
        return f"the probe's own calls are computed to be otherwise: {mine.reason}"
    return ""


def _told(cells: Sequence[Cell]) -> list[tuple[object, ...]]:
    return [(id(cell.endpoint), cell.sends, cell.verdict, cell.subset, cell.own) for cell in cells]
