# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a call goes, and what becomes of it at each endpoint: what is sent there against what is accepted. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.client import (
    Client,
    ProxyCluster,
    Sender,
    Sends,
    leads_anywhere,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.destination_rules import (
    DestinationRules,
    Found,
    Merged,
    cluster_tls,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.model import (
    Endpoint,
    Group,
    LostReason,
    Mesh,
    MeshConfig,
    Mode,
    Port,
    Proxy,
    Sent,
    ServerMode,
    Service,
    ServiceKind,
    Subset,
    matches,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parse.metadata import family
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parts import (
    Spoken,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.peer_authentications import Policies
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.routes import Arrival, VirtualServices, arrival
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.rules import RuleCode
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.server import of_group
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.sidecars import (
    oldest_first,
    scope_of,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.verdict import (
    Verdict,
    outside_of_mesh,
    verdict,
)

PAST_THE_MESH = frozenset({"UDP", "SCTP"})  # protocols that no proxy takes


@dataclass(frozen=True, slots=True)
class Cell:
    """One endpoint of a call: what is sent, what is accepted, and the verdict on it.

    `own` is `subset` if that has a trafficPolicy; without one, the subset's cluster is set up as that of the whole service. `via` is who
    sends the call there, when somebody does.
    """

    endpoint: Endpoint
    sends: Sends
    accepts: ServerMode
    verdict: Verdict
    subset: str = ""
    own: str = ""
    via: str = ""


@dataclass(frozen=True, slots=True)
class Ways:
    """Where a client's calls to a service port go: to endpoints (`cells`), or into `clusters` that have none.

    `by` are the DestinationRules of the clusters, `outside` what happens to a call that no cluster serves.
    """

    found: Found
    clusters: tuple[ProxyCluster, ...]
    cells: list[Cell]
    outside: Sends | None
    by: str
    routed: bool = False


class Cells:
    """The cells of one mesh. It remembers what it has computed."""

    def __init__(self, mesh: Mesh) -> None:
        self.mesh = mesh
        self.policies = Policies(mesh.policies)
        self.scopes = oldest_first(mesh.sidecars)
        self.sender = Sender(mesh, self.policies)
        self._destination_rules: dict[MeshConfig, DestinationRules] = {}
        self._virtual_services: dict[MeshConfig, VirtualServices] = {}
        self._server: dict[tuple[int, int, int], ServerMode] = {}
        self._by_host = {service.host: service for service in mesh.services}
        self._spoken = _spoken(mesh)

    def destination_rules(self, config: MeshConfig) -> DestinationRules:
        """DestinationRules as a revision sees them."""
        if config not in self._destination_rules:
            self._destination_rules[config] = DestinationRules(config, self.mesh.destination_rules)
        return self._destination_rules[config]

    def virtual_services(self, config: MeshConfig) -> VirtualServices:
        """VirtualServices as a revision sees them."""
        if config not in self._virtual_services:
            self._virtual_services[config] = VirtualServices(config, self.mesh.virtual_services, self.mesh.mesh_routes)
        return self._virtual_services[config]

    def accepts(self, endpoint: Endpoint, number: int) -> ServerMode:
        """What an endpoint accepts, which a service offers on port `number`."""
        index = endpoint.pods
        if endpoint.unread:
            return ServerMode(Mode.UNKNOWN, "", endpoint.unread)
        if index is None:
            if endpoint.tls_label == "istio":
                why = f"{endpoint.what} claims a sidecar, which cannot be read from this cluster"
                return ServerMode(Mode.UNKNOWN, "", why)
            why = f"{endpoint.what or 'an address'}: no pod of this cluster"
            return ServerMode(Mode.NOT_ENFORCED, "", why, RuleCode.NO_SIDECAR)
        key = (index, endpoint.port, number)
        if key not in self._server:
            group = self.mesh.groups[index]
            found = of_group(self.mesh, self.policies, self.scopes, group, endpoint.port, number)
            self._server[key] = replace(found, rule=found.rule or self._port_rule(group, endpoint.port, number, found))
        return self._server[key]

    def _port_rule(self, group: Group, port: int, number: int, found: ServerMode) -> RuleCode | None:
        """The rule that explains what a port accepts when the policies themselves give none."""
        if group.kind is Proxy.SIDECAR:
            own = self.policies.candidates(self.mesh.config_of(group), group.namespace, group.labels).workload
            if own is not None and number != port and number in own.ports and port not in own.ports:
                return RuleCode.SERVICE_PORT_IN_PORT_LEVEL_MTLS
        return RuleCode.OLDEST_WINS if any(lost.reason is LostReason.YOUNGER for lost in found.lost) else None

    def chosen(self, client: Client, service: Service) -> tuple[Found, Merged | None]:
        """The DestinationRules that a client finds for a service, and the one that it uses."""
        if client.kind is Proxy.AMBIENT:
            return Found(), None
        found = self.destination_rules(client.config).search(client.namespace, service)
        return found, found.chosen(client.namespace, client.labels)

    def of(self, client: Client, service: Service, port: Port) -> list[Cell]:
        """Every endpoint of every cluster that a client's proxy has for a port, none for one that does not pass the mesh."""
        return [] if port.protocol in PAST_THE_MESH else self.ways(client, service, port).cells

    def plain(self, service: Service, port: Port) -> list[Cell]:
        """The same of a caller without a sidecar, who does not get to what only istiod adds to a service."""
        if port.protocol in PAST_THE_MESH:
            return []
        sends = Sends(Sent.PLAINTEXT, "the caller has no sidecar")
        return [self._cell(sends, endpoint, service, port) for endpoint in port.endpoints if not endpoint.by_istio]

    def ways(self, client: Client, service: Service, port: Port) -> Ways:
        """Where a client's calls go: by VirtualServices, else into the clusters of the service and its subsets."""
        found, merged = self.chosen(client, service)
        by = " and ".join(merged.sources) if merged else ""
        outside = self.outside(client, service, port, found)
        arrivals = self.arrivals(client, service, port)
        if arrivals is not None and outside and outside.rule is RuleCode.NOT_VISIBLE and port.number == 80:
            # Port 80 has all hosts of VirtualServices (networking/core/httproute.go), if the proxy listens there at all.
            outside = Sends(Sent.UNKNOWN, f"{outside.reason}, unless VirtualService {arrivals[0].by} takes it")
        elif arrivals is not None and not outside:
            return self._routed(client, service, port, found, arrivals)
        destination_rule = merged.destination_rule if merged else None
        whole = ProxyCluster(service, port, cluster_tls(destination_rule, port.number), by)
        clusters, cells = [whole], self._cells(client, whole, outside, None)
        for subset in destination_rule.subsets if destination_rule and not outside else ():
            clusters.append(replace(whole, tls=cluster_tls(destination_rule, port.number, subset)))
            cells += self._cells(client, clusters[-1], outside, subset)
        return Ways(found, tuple(clusters), cells, outside, by)

    def outside(self, client: Client, service: Service, port: Port, found: Found) -> Sends | None:
        """What a client sends when no cluster tells, or when it cannot be computed; None when the clusters tell."""
        outside = self.sender.outside(client, service, port.number)
        if (
            outside
            and outside.rule is RuleCode.NOT_VISIBLE
            and self.mesh.virtual_services
            and client.kind is Proxy.SIDECAR
        ):
            leading_to, alike = self.virtual_services(client.config).leading_to, self.sender.of_host(service.host)
            by = next(filter(None, (leading_to(client, one, port.number) for one in alike)), "")
            if by:  # for all ports or for some, which is not computed
                return Sends(Sent.UNKNOWN, f"{outside.reason}, unless VirtualService {by} makes the proxy know it")
        doubt = service.doubt or found.doubt(client.namespace, client.labels)
        return Sends(Sent.UNKNOWN, doubt) if doubt and outside is None else outside

    def arrivals(self, client: Client, service: Service, port: Port) -> list[Arrival] | None:
        """Where VirtualServices send the calls of a client, None when they leave them alone. Only sidecars have routes of the mesh."""
        if client.kind is not Proxy.SIDECAR or not (self.mesh.virtual_services or self.mesh.mesh_routes):
            return None
        found = self.virtual_services(client.config).destinations(client, service, port)
        if found is None:
            return None

        def search(who: Client, what: Service) -> Merged | None:
            return self.chosen(who, what)[1]

        same_host = self.sender.same_host
        return [arrival(self._by_host, search, same_host, client, (service, port), entry) for entry in found]

    def elsewhere(self, client: Client, service: Service, port: Port) -> bool:
        """Whether calls of a client, or copies of them, go to another service or port than the one that it calls."""
        return any(entry.via or entry.doubt for entry in self.arrivals(client, service, port) or ())

    def _routed(self, client: Client, service: Service, port: Port, found: Found, arrivals: list[Arrival]) -> Ways:
        """Calls that VirtualServices route: every endpoint of every cluster that they name."""
        cells: list[Cell] = []
        for entry in arrivals:
            unclear = Sends(Sent.UNKNOWN, entry.doubt) if entry.doubt else None
            found_there = self._cells(client, entry.cluster, unclear, entry.subset)
            cells += [replace(cell, via=entry.via) for cell in found_there]
        rules = sorted({entry.cluster.destination_rule for entry in arrivals} - {""})
        empty = replace(arrivals[0].cluster, service=service, port=port)
        return Ways(found, (empty,), cells, None, " and ".join(rules), routed=True)

    def _cells(self, client: Client, cluster: ProxyCluster, outside: Sends | None, subset: Subset | None) -> list[Cell]:
        """A cell for each endpoint of a cluster, which is that of a subset or of the whole service.

        A cluster that has no endpoints of its own leads wherever the application connects to, whatever its subset is. A call that no
        cluster serves does not get to what only istiod adds to a service.
        """
        anywhere = leads_anywhere(client, cluster)
        if anywhere and outside is None and cluster.service.kind is ServiceKind.ENTRY and cluster.port.endpoints:
            return [self._connected(client, cluster, subset)]
        chosen = None if outside is not None or anywhere else subset
        return [
            self._cell(
                outside or self.sender.sends(client, cluster, endpoint),
                *(endpoint, cluster.service, cluster.port, subset),
            )
            for endpoint in cluster.port.endpoints
            if (chosen is None or self._in(chosen, endpoint)) and not ((outside or anywhere) and endpoint.by_istio)
        ]

    def _connected(self, client: Client, cluster: ProxyCluster, subset: Subset | None) -> Cell:
        """The cell of a ServiceEntry's host whose calls go where the application connects to, and not to the endpoints of the entry."""
        endpoint = Endpoint(cluster.port.number, what="the address that the application connects to")
        sends = self.sender.sends(client, cluster, endpoint)
        outcome = outside_of_mesh(sends.mode) if cluster.service.external else Verdict.UNKNOWN
        why = "a load balancer PASSTHROUGH leaves it to the application where the call goes"
        mode = Mode.NOT_ENFORCED if cluster.service.external else Mode.UNKNOWN
        return Cell(endpoint, sends, ServerMode(mode, "", why), outcome, subset.name if subset else "")

    def _in(self, subset: Subset, endpoint: Endpoint) -> bool:
        labels = endpoint.labels if endpoint.group is None else self.mesh.groups[endpoint.group].labels
        return matches(subset.labels, labels)

    def _cell(
        self, sends: Sends, endpoint: Endpoint, service: Service, port: Port, subset: Subset | None = None
    ) -> Cell:
        accepts = self.accepts(endpoint, port.number)
        if service.doubt:
            accepts = ServerMode(Mode.UNKNOWN, "", service.doubt)
        outcome = self._outcome(sends.mode, accepts.mode, endpoint)
        if endpoint.pods is None and (service.external or sends.mode is Sent.MTLS):
            outcome = outside_of_mesh(sends.mode)  # what stands at an address that no pod has is not known
        if service.doubt and outcome is Verdict.NOT_ENFORCED:
            outcome = Verdict.UNKNOWN
        name = subset.name if subset else ""
        return Cell(endpoint, sends, accepts, outcome, name, name if subset and subset.traffic is not None else "")

    def received(self, mode: Sent, endpoint: Endpoint, number: int) -> Verdict:
        """What becomes of a call at an endpoint, whoever sends it; a service offers the endpoint on port `number`."""
        return self._outcome(mode, self.accepts(endpoint, number).mode, endpoint)

    def _outcome(self, sent: Sent, accepts: Mode, endpoint: Endpoint) -> Verdict:
        if sent is Sent.TLS and accepts in (Mode.PERMISSIVE, Mode.DISABLE):
            return self._foreign_tls(endpoint)
        return verdict(sent, accepts)

    def _foreign_tls(self, endpoint: Endpoint) -> Verdict:
        """What becomes of TLS that is not the mesh's at a sidecar that accepts plain text.

        A port that is declared as HTTP has no filter chain for it (istio pilot/pkg/networking/core/filterchain_options.go). A Sidecar
        object with ingress listeners declares the ports in place of the services. Services that declare a port differently leave it open
        which of them istiod takes, and so does a WorkloadEntry with the pod's address, whose services are the proxy's, too.
        """
        if endpoint.pods in self.mesh.claimed:
            return Verdict.UNKNOWN
        kinds = self._spoken.get((endpoint.pods, endpoint.port), frozenset())
        if endpoint.pods is not None:
            group = self.mesh.groups[endpoint.pods]
            scope = scope_of(self.scopes, self.mesh.config_of(group), group)
            if scope is not None and scope.ingress:
                own = scope.ingress.get(endpoint.port)
                kinds = frozenset({own.spoken} if own else ())
        if Spoken.HTTP not in kinds:
            return Verdict.NOT_ENFORCED
        return Verdict.BROKEN if len(kinds) == 1 else Verdict.UNKNOWN


def _spoken(mesh: Mesh) -> dict[tuple[int | None, int], frozenset[Spoken]]:
    """(group, container port) -> what the services that lead there, and that its istiod reads, take its traffic for.

    A ServiceEntry of the pod's namespace that has its address is a service of that pod's proxy as well (istio
    serviceentry/controller.go, GetProxyServiceTargets); by the DNS name of a Service it is not.
    """
    found: dict[tuple[int | None, int], set[Spoken]] = {}
    for service in mesh.services:
        for port in service.ports:
            for point in port.endpoints:
                own = point.pods if service.kind is ServiceKind.ENTRY and family(point.address) else point.group
                if own is None or not mesh.config_of(mesh.groups[own]).reads(service.namespace, service.revision):
                    continue
                if own == point.group or mesh.groups[own].namespace == service.namespace:
                    found.setdefault((own, point.port), set()).add(port.spoken)
    return {key: frozenset(kinds) for key, kinds in found.items()}
