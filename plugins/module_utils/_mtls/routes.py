# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a client's calls to a service really go, by VirtualServices. Pure.

Rules: istio pilot/pkg/model/push_context.go (initVirtualServices: who sees one), virtualservice_controller.go and virtualservice.go
(delegates), pilot/pkg/model/sidecar.go (which ones a Sidecar object imports; the most specific host), networking/core/route/route.go (HTTP
routes), networking/core/tls.go (TCP and TLS routes), networking/core/httproute.go (of two for one host the first takes it).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.client import (
    Client,
    ProxyCluster,
    covered,
    imports,
    sees,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.destination_rules import (
    ClusterTls,
    Merged,
    cluster_tls,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.model import (
    Endpoint,
    MeshConfig,
    Port,
    Service,
    ServiceKind,
    Subset,
    matches,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parse.gateway_api import names
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parse.virtual_service import MESH_GATEWAY
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parts import (
    Match,
    MeshRoute,
    Route,
    Spoken,
    Target,
    VirtualService,
)


@dataclass(frozen=True, slots=True)
class Destination:
    """A target of a route, without a host when calls are sent nowhere. `by` is the VirtualService, empty for calls that none of them takes.

    `http` is whether it routes requests rather than connections. `opaque` is what else routes the calls, and is not computed.
    `doubt` is what of the VirtualService is not understood.
    """

    target: Target
    by: str = ""
    http: bool = True
    opaque: str = ""
    doubt: str = ""


@dataclass(frozen=True, slots=True)
class Arrival:
    """Where calls arrive: a cluster of the client's proxy, and a subset or none.

    `via` says who sends them there, and is empty when that is the port that was called. `by` is the VirtualService, and
    `doubt` what of it is not understood.
    """

    cluster: ProxyCluster
    subset: Subset | None = None
    via: str = ""
    by: str = ""
    doubt: str = ""

    @property
    def key(self) -> tuple[object, ...]:
        """What distinguishes it from what another client finds for the same call."""
        where = (self.cluster.service.key, self.cluster.port.number, self.subset.name if self.subset else "")
        return (*where, self.via, self.doubt, self.cluster.tls, self.cluster.destination_rule)


class VirtualServices:
    """All VirtualServices as one revision's istiod sees them, oldest first, with the routes of their delegates."""

    def __init__(
        self, config: MeshConfig, virtual_services: Iterable[VirtualService], mesh_routes: Sequence[MeshRoute] = ()
    ) -> None:
        self._config = config
        self._mesh_routes = [entry for entry in mesh_routes if config.reads(entry.namespace)]
        found = [entry for entry in virtual_services if config.reads(entry.namespace, entry.revision)]
        found.sort(key=lambda entry: (entry.created, entry.name, entry.namespace))
        delegates = {entry.key: entry for entry in found if not entry.hosts}
        named = {route.delegate for entry in found if entry.hosts for route in entry.http}
        self._all = [
            self._whole(entry, delegates)
            for entry in found
            if (entry.hosts and (entry.mesh or _is_wide(entry)))
            or (not entry.hosts and _is_wide(entry) and entry.key not in named)
        ]
        self.selecting = any(entry.selectors for entry in self._all)
        self._exact: dict[str, list[VirtualService]] = {}
        self._wild = [entry for entry in self._all if any(host.startswith("*") for host in entry.hosts)]
        for entry in self._all:
            for host in dict.fromkeys(entry.hosts):
                self._exact.setdefault(host, []).append(entry)
        self._leading: dict[str, list[VirtualService]] = {}  # host of a destination -> those that send calls there
        for entry in self._all:
            routes = (*entry.http, *entry.tcp, *entry.tls)
            for host in dict.fromkeys(host for route in routes for host in route.named):
                self._leading.setdefault(host, []).append(entry)
        self._open = {entry.key for entry in self._all if self._is_open(entry)}
        self._cache: dict[tuple[object, ...], tuple[Destination, ...] | None] = {}

    def _is_open(self, entry: VirtualService) -> bool:
        """Whether it looks the same from all namespaces."""
        routes = (*entry.http, *entry.tcp, *entry.tls)
        return self._order(entry, "") == 2 and not any(match.namespace for route in routes for match in route.matches)

    def _whole(self, entry: VirtualService, delegates: Mapping[str, VirtualService]) -> VirtualService:
        """A VirtualService with the routes of its delegates, and with what is not understood of them.

        Hosts that are nowhere may be in a field that is not known.
        """
        mine = [delegates[route.delegate] for route in entry.http if route.delegate in delegates]
        doubts = [one.doubt for one in mine if one.doubt and self._exported(one, entry.namespace)]
        return replace(
            entry,
            hosts=entry.hosts or ("*",),
            http=tuple(self._with_delegates(entry, delegates)),
            doubt=entry.doubt or next(iter(doubts), None),
        )

    def _with_delegates(self, root: VirtualService, delegates: Mapping[str, VirtualService]) -> Iterator[Route]:
        """The HTTP routes of a VirtualService. A route whose delegate is not there, or is not exported to it, is left out."""
        for route in root.http:
            if not route.delegate:
                yield route
                continue
            delegate = delegates.get(route.delegate)
            if delegate is not None and self._exported(delegate, root.namespace):
                for own in delegate.http:
                    yield from _merged(route, own)

    def _exported(self, entry: VirtualService, namespace: str) -> bool:
        names = entry.export_to or self._config.virtual_service_export_to
        return "*" in names or namespace in names or ("." in names and namespace == entry.namespace)

    def _order(self, entry: VirtualService, namespace: str) -> int | None:
        """Private ones come first, then those that are exported to the namespace, then public ones; None for one that is not seen."""
        names = entry.export_to or self._config.virtual_service_export_to
        if "*" in names:
            return 2
        if "~" in names or not self._exported(entry, namespace):
            return None
        return 0 if entry.namespace == namespace else 1

    def _seen(self, client: Client, host: str, port: int) -> list[VirtualService]:
        """Those of a client that have a host, or a wildcard that covers it, in the order in which istiod takes them."""
        found = [
            *self._exact.get(host, ()),
            *(entry for entry in self._wild if any(_overlap(host, own) for own in entry.hosts if own != host)),
        ]
        order = {entry.key: (self._order(entry, client.namespace), *_age(entry)) for entry in found}
        shown = {entry.key: entry for entry in found if order[entry.key][0] is not None}
        return [
            entry
            for entry in sorted(shown.values(), key=lambda one: order[one.key])
            if imports(client, entry.namespace, entry.hosts, port)
        ]

    def leading_to(self, client: Client, service: Service, port: int) -> str:
        """A VirtualService of a client that sends calls to a service, empty for none.

        The client's proxy then knows the service whatever its Sidecar object says, and in its own namespace whatever exportTo says (istio
        pilot/pkg/model/sidecar.go, collectImportedServices).
        """
        if service.namespace != client.namespace and not sees(replace(client, scope=None), service, port):
            return ""
        for entry in self._leading.get(service.host, ()):
            if self._order(entry, client.namespace) is not None and imports(client, entry.namespace, entry.hosts, port):
                return entry.key
        return ""

    def destinations(self, client: Client, service: Service, port: Port) -> tuple[Destination, ...] | None:
        """Where the calls of a client to a service port go, None when nothing changes that."""
        opaque = self._opaque(client, service, port) if self._mesh_routes else ""
        if opaque:
            return (Destination(Target(""), opaque=opaque),)
        if not self._all or (service.host not in self._exact and not self._wild):
            return None
        scope = client.scope
        if scope is not None and any(listener.port == port.number for listener in scope.egress or ()):
            # The listener's own protocol decides which of the routes apply (istio networking/core/listener.go).
            seen = self._seen(client, service.host, port.number)
            why = f"Sidecar {scope.key} declares port {port.number} itself; which routes of VirtualServices apply then is not computed"
            return (Destination(Target(""), seen[0].key, doubt=why),) if seen else None
        entries = (*self._exact.get(service.host, ()), *self._wild)
        place = "" if all(entry.key in self._open for entry in entries) else client.namespace
        scope = client.scope if client.scope and client.scope.egress is not None else None
        labels = frozenset(client.labels.items()) if self.selecting else None
        key = (place, labels, (scope.key, client.namespace) if scope else "", service.host, port.number, port.spoken)
        if key not in self._cache:
            self._cache[key] = self._found(client, service, port)
        return self._cache[key]

    def _opaque(self, client: Client, service: Service, port: Port) -> str:
        """The route of the Kubernetes Gateway API for a service; it counts in its own namespace and in that of its clients only."""
        for entry in self._mesh_routes:
            mine = any(ref.port in (0, port.number) and names(ref, service) for ref in entry.parents)
            if mine and entry.namespace in (client.namespace, service.namespace):
                return entry.what
        return ""

    def _found(self, client: Client, service: Service, port: Port) -> tuple[Destination, ...] | None:
        seen = self._seen(client, service.host, port.number)
        both = [
            _http(client, seen, service, port) if port.spoken in (Spoken.HTTP, Spoken.EITHER) else None,
            _connections(client, seen, service, port) if port.spoken is not Spoken.HTTP else None,
        ]
        found = [entry for entry in both if entry is not None]
        if not found:
            return None
        own = Destination(Target(service.host, port.number))
        unclear = tuple(one for entry in found for one in entry if one.doubt)
        if unclear:
            return unclear[:1]
        missing = [own] if port.spoken is Spoken.EITHER and len(found) == 1 else []
        return tuple(dict.fromkeys([*(one for entry in found for one in entry), *missing]))


def arrival(
    by_host: Mapping[str, Service],
    search: Callable[[Client, Service], Merged | None],
    same_host: Callable[[Client, Service], Service | None],
    client: Client,
    called: tuple[Service, Port],
    destination: Destination,
) -> Arrival:
    """The cluster that a destination names. One that is not there is an endpoint that nobody knows."""
    target, (service, port) = destination.target, called
    words = f"VirtualService {destination.by}"

    def unknown(why: str) -> Arrival:
        nobody = Endpoint(port.number, unread=f"{words} {why}")
        return Arrival(
            ProxyCluster(service, replace(port, endpoints=(nobody,)), ClusterTls()), None, words, destination.by
        )

    if destination.doubt:
        nobody = replace(port, endpoints=(Endpoint(port.number, unread=destination.doubt),))
        return Arrival(ProxyCluster(service, nobody, ClusterTls()), by=destination.by, doubt=destination.doubt)
    if destination.opaque:
        words = destination.opaque
        return unknown("routes the calls, which is not computed")
    if not target.host:
        return unknown("answers the calls itself, or has no route for them")
    found = by_host.get(target.host)
    if found is not None and found.kind is ServiceKind.ALIAS:
        found = by_host.get(found.target, found)
    only = found.ports[0].number if found is not None and len(found.ports) == 1 and not destination.http else 0
    number = target.port or only or port.number
    words += f" sends calls to {target.host} port {number}" + (f" subset {target.subset}" if target.subset else "")
    if found is None or not sees(replace(client, scope=None), found, number):
        return unknown("which the client's proxy does not know")
    same = same_host(client, found)
    if same is not None:
        return unknown(f"whose host {same.key} has as well, and what istiod makes of the two is not computed")
    its = next((entry for entry in found.ports if entry.number == number), None)
    if its is None:
        return unknown("which the service does not have")
    if not its.endpoints and (found.passthrough or (found.external and found.kind is ServiceKind.ALIAS)):
        its = replace(its, endpoints=(Endpoint(number, what="a host outside of the mesh"),))
    elsewhere = (found.host, number) != (service.host, port.number)
    if elsewhere and not its.endpoints:
        return unknown("which has no endpoints")
    merged = search(client, found)
    rule = merged.destination_rule if merged else None
    subset = next((one for one in rule.subsets if one.name == target.subset), None) if rule and target.subset else None
    if target.subset and subset is None:
        return unknown("which no DestinationRule has")
    tls = cluster_tls(rule, number, subset)
    by = " and ".join(merged.sources) if merged else ""
    return Arrival(ProxyCluster(found, its, tls, by), subset, words if elsewhere else "", destination.by)


def _is_wide(entry: VirtualService) -> bool:
    """Whether a field that is not known may say who gets a VirtualService, or for which hosts."""
    return entry.doubt is not None and entry.doubt.wide


def _of_any_host(entry: VirtualService) -> bool:
    """Whether it is open for which hosts a VirtualService is."""
    return _is_wide(entry) and entry.hosts == ("*",)


def _doubted(entry: VirtualService) -> tuple[Destination, ...]:
    """In place of the destinations of a VirtualService that is not understood; none for one that is."""
    return (Destination(Target(""), entry.key, doubt=entry.doubt.words),) if entry.doubt else ()


def _age(entry: VirtualService) -> tuple[str, str, str]:
    return entry.created, entry.name, entry.namespace


def _overlap(host: str, other: str) -> bool:
    """Whether two hosts, wildcards among them, have names in common (istio pkg/config/host/name.go, Matches)."""
    return covered(host, other) or covered(other, host)


def _http(client: Client, seen: list[VirtualService], service: Service, port: Port) -> tuple[Destination, ...] | None:
    """The first VirtualService that has the host and a route for the client; one with the host itself keeps wildcards away."""
    exact = [entry for entry in seen if service.host in entry.hosts or _of_any_host(entry)]
    chosen = exact
    if not exact:
        wild = [host for entry in seen for host in entry.hosts if host.startswith("*") and covered(service.host, host)]
        best = max(wild, key=lambda host: (len(host), host), default=None)
        chosen = [entry for entry in seen if best in entry.hosts][:1]
    for entry in chosen:
        if entry.doubt:
            return _doubted(entry)
        routes = list(_live(entry.http, client, port.number))
        if routes:
            targets = (target for route in routes for target in (*route.targets, *route.mirror, *route.mirrors))
            found = tuple(dict.fromkeys(Destination(target, entry.key) for target in targets))
            return found or (Destination(Target(""), entry.key),)
    return None


def _live(routes: Iterable[Route], client: Client, port: int) -> Iterator[Route]:
    """HTTP routes that a client's proxy gets for a port, up to the first that takes all requests."""
    for route in routes:
        if not route.matches:
            yield route
            return
        mine = [match for match in route.matches if _is_for(match, client, port)]
        if mine:
            yield route
        if any(match.always for match in mine):
            return


def _is_for(match: Match, client: Client, port: int) -> bool:
    """Whether a match may hold for a client and a port; the rest depends on the call."""
    return (
        match.port in (0, port)
        and match.namespace in ("", client.namespace)
        and (not match.gateways or MESH_GATEWAY in match.gateways)
        and matches(match.labels, client.labels)
    )


def _connections(
    client: Client, seen: list[VirtualService], service: Service, port: Port
) -> tuple[Destination, ...] | None:
    """TCP routes, or TLS routes for a port that is declared as TLS. What none of them takes goes to the service itself."""
    found: list[Destination] = []
    tls = port.spoken is Spoken.TLS
    names: set[tuple[str, str]] = set()  # TLS: what a call must have, of matches that came before
    for entry in seen:
        if entry.doubt:
            return _doubted(entry)
        for route in entry.tls if tls else entry.tcp:
            mine = [match for match in route.matches if _is_for(match, client, port.number)]
            if tls:
                fresh = [match for match in mine if match.conditions["runtime"] not in names]
                names |= {match.conditions["runtime"] for match in mine}
                mine = fresh
            if not route.targets or not (mine or (not tls and not route.matches)):
                continue
            found += [Destination(target, entry.key, http=False) for target in route.targets]
            if not tls and (not route.matches or any(match.always for match in mine)):
                return tuple(dict.fromkeys(found))
    if not found:
        return None
    own = [] if tls else [Destination(Target(service.host, port.number))]
    return tuple(dict.fromkeys([*found, *own]))


def _merged(root: Route, own: Route) -> Iterator[Route]:
    """A delegate's route under that of its root; nothing when their matches contradict each other."""
    pairs = [
        (above, below)
        for below in own.matches or (Match(),)
        for above in root.matches or (Match(),)
        if not root.matches or not own.matches or _fits(above, below)
    ]
    if root.matches and own.matches and {id(below) for _above, below in pairs} != {id(below) for below in own.matches}:
        return  # a match without its like in the root drops the whole route
    yield replace(
        own,
        matches=tuple(_both(*pair) for pair in pairs) if root.matches or own.matches else (),
        mirror=own.mirror or root.mirror,
        mirrors=own.mirrors or root.mirrors,
    )


def _both(above: Match, below: Match) -> Match:
    conditions = {**above.conditions, **below.conditions}
    return Match(
        below.port or above.port,
        below.namespace or above.namespace,
        {**above.labels, **below.labels},
        below.gateways or above.gateways,
        conditions,
        above.always and below.always,
    )


def _fits(above: Match, below: Match) -> bool:
    """Whether a delegate's match lies within its root's (virtualservice.go, hasConflict)."""
    return (
        not (above.port and below.port and above.port != below.port)
        and (not above.namespace or below.namespace == above.namespace)
        and all(above.labels.get(key, value) == value for key, value in below.labels.items())
        and not (above.gateways and below.gateways and not set(below.gateways) <= set(above.gateways))
        and all(
            _within(above.conditions[key], value) for key, value in below.conditions.items() if key in above.conditions
        )
    )


def _within(above: tuple[str, str], below: tuple[str, str]) -> bool:
    if above[0] == "exact":
        return below == above
    return above[0] == "prefix" and below[0] in ("exact", "prefix") and below[1].startswith(above[1])
