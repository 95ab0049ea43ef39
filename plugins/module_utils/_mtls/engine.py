# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verdicts on mutual TLS for each client, service and port. Pure: a Mesh in, Calls out.

Clients whose calls are decided alike are judged once. A client gets a Call of its own only when its calls end differently from those of
`*`, so the report grows with the mesh and not with its square.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.cells import PAST_THE_MESH, Cell, Cells
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.client import (
    Client,
    ProxyCluster,
    Sends,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.destination_rules import (
    cluster_tls,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.envoy_filters import sending
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.model import (
    Endpoint,
    Group,
    Lost,
    Mesh,
    Mode,
    Port,
    Proxy,
    Sent,
    Service,
    ServiceKind,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.rules import RuleCode
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.sidecars import (
    doubt_of,
    root_scope,
    scope_of,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.verdict import (
    ANYBODY,
    WITHOUT_SIDECAR,
    Call,
    Verdict,
    badness,
    consequence,
    outside_of_mesh,
)

# Verdicts that the client's rule explains rather than the server's.
_CLIENT_FIRST = frozenset({Verdict.BROKEN, Verdict.PLAINTEXT, Verdict.PLAINTEXT_ALLOWED, Verdict.UNKNOWN})
# Of equally bad endpoints the one with the weakest server is reported.
_WEAKNESS = {Mode.DISABLE: 3, Mode.NOT_ENFORCED: 2, Mode.UNKNOWN: 1, Mode.PERMISSIVE: 0, Mode.STRICT: 0}


@dataclass(frozen=True, slots=True)
class PortCalls:
    """All calls to a service port: of `*`, of a caller without a sidecar, and of each of `Engine.classes`, in their order.

    A call that the client's proxy does not see is among `classes`, other than in `Engine.calls`.
    """

    service: str
    port: int
    transport: str
    star: Call
    plain: Call
    classes: tuple[Call, ...]


class Engine:
    """Judges one mesh. It remembers answers, so one engine should be asked for everything."""

    def __init__(self, mesh: Mesh) -> None:
        self.mesh = mesh
        self.cells = Cells(mesh)
        self.policies, self.scopes = self.cells.policies, self.cells.scopes
        self.hidden: dict[str, set[str]] = {}  # Sidecar object -> services that its workloads do not see
        self._by_host = {service.host: service for service in mesh.services}
        self.classes = self._client_classes()
        self.anybody = self._anybody()

    def _client_classes(self) -> dict[tuple[object, ...], tuple[Client, set[str]]]:
        """Meshed workloads by everything that decides on their calls."""
        found: dict[tuple[object, ...], tuple[Client, set[str]]] = {}
        for group in self.mesh.groups:
            if not group.meshed or group.kind is Proxy.WAYPOINT:
                continue
            key, client = self.client(group)
            found.setdefault(key, (client, set[str]()))[1].add(group.key)
        return found

    def client(self, group: Group) -> tuple[tuple[object, ...], Client]:
        """What decides on the calls of a workload with a proxy, as a key of `classes` and as a client."""
        config = self.mesh.config_of(group)
        scope = scope_of(self.scopes, config, group)
        selecting = group.namespace in self.cells.destination_rules(config).selecting
        selecting = selecting or self.cells.virtual_services(config).selecting
        labels = group.labels if selecting else {}
        out = group.capture
        patches = sending(self.mesh, config, group.kind, group.namespace, group.labels)
        unclear = (group.doubt, doubt_of(self.scopes, config, group))
        key = (
            *unclear,
            *(group.namespace, frozenset(labels.items()), group.kind, config, scope.key if scope else ""),
            *(out.none, out.unclear, out.as_proxy, out.include_out, out.exclude_out),
            *(out.include_out_ranges, out.exclude_out_ranges, patches),
        )
        return key, Client(group.namespace, labels, group.kind, config, scope, out, patches, *unclear)

    def _anybody(self) -> Client:
        """A workload in a namespace without a DestinationRule and without a Sidecar object of its own."""
        kinds = {client.kind for client, _names in self.classes.values()}
        ambient = Proxy.AMBIENT in kinds and kinds <= {Proxy.AMBIENT, Proxy.GATEWAY}
        config = self.mesh.config
        if ambient:
            return Client("", {}, Proxy.AMBIENT, config, None)
        patches = sending(self.mesh, config, Proxy.SIDECAR, "", {})
        scope = root_scope(self.scopes, config)
        doubt = scope.doubt.words if scope and scope.doubt else ""
        return Client("", {}, Proxy.SIDECAR, config, scope, patches=patches, scope_doubt=doubt)

    def calls(
        self, clients: Collection[str] = (), services: Collection[str] = (), namespaces: Collection[str] = ()
    ) -> list[Call]:
        """All calls, or those of some clients (`ns/workload`, `*`, `plaintext`), services (`ns/name`) or namespaces.

        A call to a service that a client's Sidecar object hides is reported only for a client in `clients`.
        """
        found: list[Call] = []
        for service in self.mesh.services:
            if (services and service.key not in services) or (namespaces and service.namespace not in namespaces):
                continue
            found.extend(self._calls_to(service, clients))
        found.sort(
            key=lambda call: (call.service, call.port, call.client not in (ANYBODY, WITHOUT_SIDECAR), call.client)
        )
        return found

    def port_calls(self) -> Iterator[PortCalls]:
        """The calls of all clients to each service port: what `calls` is a short form of."""
        for service in self.mesh.services:
            for target, port in self._ports(service):
                judged: dict[tuple[object, ...], Call] = {}
                yield PortCalls(
                    service.key,
                    port.number,
                    port.protocol if port.protocol in PAST_THE_MESH else "TCP",
                    self.judge(self.anybody_who_sees(target, port.number), ANYBODY, target, port),
                    self._plain(target, port),
                    tuple(self._judged(judged, client, target, port) for client, _names in self.classes.values()),
                )

    def _ports(self, service: Service) -> Iterator[tuple[Service, Port]]:
        """The ports of a service, with the service that answers there: an alias leads to another one."""
        alias = service.kind is ServiceKind.ALIAS
        target = self._by_host.get(service.target, service) if alias else service
        if service.doubt and target is not service:
            target = replace(target, doubt=service.doubt)
        offered = {port.number for port in service.ports}
        for port in target.ports or service.ports:
            if not (alias and offered and port.number not in offered):
                yield target, port

    def _calls_to(self, service: Service, clients: Collection[str]) -> Iterator[Call]:
        for target, port in self._ports(service):
            star = self.judge(self.anybody_who_sees(target, port.number), ANYBODY, target, port)
            for call in [star, self._plain(target, port), *self._own_calls(target, port, star, clients)]:
                if clients and call.client not in clients:
                    continue
                if service is target:
                    yield call
                else:
                    yield replace(call, service=service.key, reason=f"alias of {target.key}: {call.reason}")

    def anybody_who_sees(self, service: Service, port: int) -> Client:
        """The client that stands for every workload that sees a service.

        A service that few workloads see is judged from a namespace that sees it: its own, or one that exportTo names. A report on callers
        that cannot call tells nothing.
        """
        named = service.export_to or self.mesh.config.service_export_to
        for place in ("", service.namespace, *sorted(set(named) - {"*", ".", "~"})):
            client = replace(self.anybody, namespace=place)
            outside = self.cells.sender.outside(client, service, port)
            if outside is None or outside.rule is not RuleCode.NOT_VISIBLE:
                return client
        return self.anybody

    def _own_calls(self, service: Service, port: Port, star: Call, clients: Collection[str]) -> Iterator[Call]:
        """Calls of workloads that end differently from those of `*`. Of a workload in several classes the worst."""
        judged: dict[tuple[object, ...], Call] = {}
        worst: dict[str, Call] = {}
        same: set[str] = set()
        for client, names in self.classes.values():
            call = self._judged(judged, client, service, port)
            if call.rule is RuleCode.NOT_VISIBLE and star.rule is not RuleCode.NOT_VISIBLE:
                if client.scope and client.scope.egress is not None:
                    self.hidden.setdefault(client.scope.key, set()).add(service.key)
                if names.isdisjoint(clients):
                    continue
            alike = (call.client_mode, call.client_policy, call.verdict)
            if alike == (star.client_mode, star.client_policy, star.verdict):
                same |= names
                continue
            for name in names:
                if name not in worst or badness(call.verdict, name) > badness(worst[name].verdict, name):
                    worst[name] = replace(call, client=name)
        for name, call in worst.items():
            if name not in same or badness(call.verdict, name) > badness(star.verdict, name):
                yield call

    def hidden_calls(self) -> Iterator[Call]:
        """Calls to services that a Sidecar object, exportTo or discoverySelectors hide from their callers, and that leave in plain text.

        One for each class of callers, with the first of its workloads by name as the client; `calls` leaves them out.
        """
        for client, names in self.classes.values():
            for service in self.mesh.services:
                for port in service.ports:
                    outside = self.cells.sender.outside(client, service, port.number)
                    if outside and outside.rule is RuleCode.NOT_VISIBLE and outside.mode is Sent.PLAINTEXT:
                        call = self.judge(client, min(names), service, port)
                        more = f" (as {len(names) - 1} more workloads)" if len(names) > 1 else ""
                        yield replace(call, reason=call.reason + more)

    def _judged(self, known: dict[tuple[object, ...], Call], client: Client, service: Service, port: Port) -> Call:
        """The call of a client class. Classes that find the same DestinationRule in the same way share one."""
        found, merged = self.cells.chosen(client, service)
        outside = self.cells.outside(client, service, port, found)
        used = (merged.destination_rule.key, merged.sources) if merged else ()
        routed = tuple(entry.key for entry in self.cells.arrivals(client, service, port) or ())
        key = (client.kind, client.config, used, found.lost, outside, routed, client.patches)
        if key not in known:
            known[key] = self.judge(client, "", service, port)
        return known[key]

    def judge(self, client: Client, name: str, service: Service, port: Port) -> Call:
        """One call: every endpoint of every cluster that the client's proxy has for the port. The worst decides."""
        if port.protocol in PAST_THE_MESH:
            why = f"{port.protocol} does not pass the mesh"
            modes = (Mode.NOT_ENFORCED, Sent.PLAINTEXT, Verdict.NOT_ENFORCED)
            return Call(name, service.key, port.number, 0, *modes, why, RuleCode.UDP)
        ways = self.cells.ways(client, service, port)
        whole, outside = ways.clusters[0], ways.outside
        if outside and outside.mode is not Sent.UNKNOWN and service.kind is ServiceKind.ENTRY:
            return self._elsewhere(
                name, service, port, outside, ways.by
            )  # the host's own DNS decides where the call goes
        if not ways.cells:
            empty = [self._nothing_behind(client, name, cluster, outside) for cluster in ways.clusters]
            return max(empty, key=lambda call: badness(call.verdict, name))
        if ways.routed:
            return self._call(name, service, port, ways.cells, ways.by, ())
        call = self._call(name, service, port, ways.cells, "" if outside else ways.by, ways.found.lost)
        hides_tls = any(entry.traffic and entry.traffic.tls is not None for entry in ways.found.shadowed)
        if hides_tls and ways.by and whole.tls.mode is None and call.rule in (None, RuleCode.OLDEST_WINS):
            return replace(call, rule=RuleCode.DESTINATION_RULE_WITHOUT_TLS)
        return call

    def broken(self, name: str, service: Service, port: Port) -> set[tuple[object, ...]]:
        """Where calls of a client (`ns/workload`, or `*`) end that break: the class of its pods, and the endpoint in their proxies."""
        found: set[tuple[object, ...]] = set()
        star = self.anybody_who_sees(service, port.number)
        classes = [(key, client) for key, (client, names) in self.classes.items() if name in names]
        for key, client in [((), star)] if name == ANYBODY else classes:
            cells = self.cells.of(client, service, port)
            found |= {(key, number) for number, cell in enumerate(cells) if cell.verdict is Verdict.BROKEN}
        return found

    def _plain(self, service: Service, port: Port) -> Call:
        """What becomes of a caller without a sidecar."""
        if port.protocol in PAST_THE_MESH:
            return self.judge(self.anybody, WITHOUT_SIDECAR, service, port)
        cells = self.cells.plain(service, port)
        if not cells:
            cluster = ProxyCluster(service, port, cluster_tls(None, port.number))
            doubted = Sends(Sent.UNKNOWN, service.doubt) if service.doubt else None
            call = self._nothing_behind(self.anybody, WITHOUT_SIDECAR, cluster, doubted, plain=True)
            return replace(call, client_mode=Sent.PLAINTEXT)
        return self._call(WITHOUT_SIDECAR, service, port, cells, "", ())

    def _nothing_behind(
        self, client: Client, name: str, cluster: ProxyCluster, outside: Sends | None, *, plain: bool = False
    ) -> Call:
        """A call to a port without endpoints: what accepts calls there is not known. `plain` is for a caller without a sidecar."""
        service, port, sends = cluster.service, cluster.port, outside
        if sends is None and not plain:
            sends = self.cells.sender.sends(client, cluster, Endpoint(port.number))
        mode = sends.mode if sends else Sent.PLAINTEXT
        by = cluster.destination_rule
        if service.passthrough or service.kind is ServiceKind.ALIAS:
            return self._elsewhere(name, service, port, sends, by)
        missing = self.mesh.missing.get("EndpointSlice") or self.mesh.missing.get("Pod")
        why = f"its endpoints are unknown: {missing.text}" if missing else "the service has no endpoints"
        why = service.doubt or why
        rule = None if missing or service.doubt else RuleCode.NO_ENDPOINTS
        return Call(name, service.key, port.number, 0, Mode.UNKNOWN, mode, Verdict.UNKNOWN, why, rule, "", by)

    def _elsewhere(self, name: str, service: Service, port: Port, sends: Sends | None, by: str) -> Call:
        """A call to a host that nobody in the cluster answers for, or to wherever the application connects to (resolution NONE)."""
        mode = sends.mode if sends else Sent.PLAINTEXT
        outcome = outside_of_mesh(mode)
        why, rule = "outside of the mesh: whatever the application sends", RuleCode.EXTERNAL
        if outcome is Verdict.UNKNOWN:
            why = "mutual TLS to a host outside of the mesh; what it accepts is not known"
        if sends is not None and mode is Sent.UNKNOWN:
            why = sends.reason
        if not service.external and outcome is not Verdict.BROKEN:
            why, outcome = (
                "the call goes where the application connects to, and what is accepted there is not known",
                Verdict.UNKNOWN,
            )
        if outcome is Verdict.BROKEN and sends:
            why, rule = sends.reason, sends.rule or rule
        modes = (Mode.NOT_ENFORCED if service.external else Mode.UNKNOWN, mode, outcome)
        return Call(name, service.key, port.number, port.number, *modes, why, rule, "", by)

    def _call(
        self, name: str, service: Service, port: Port, cells: list[Cell], by: str, lost: tuple[Lost, ...]
    ) -> Call:
        level = max(badness(cell.verdict, name) for cell in cells)
        equal = [cell for cell in cells if badness(cell.verdict, name) == level]
        worst = max(equal, key=self._sort_key) if len(equal) > 1 else equal[0]
        sends, accepts = worst.sends, worst.accepts
        words = f"client sends {sends.mode} ({sends.reason}); server accepts {accepts.mode} ({accepts.reason})"
        if worst.subset:
            words = f"for subset {worst.subset}: {words}"
        if worst.via:
            words = f"{worst.via}: {words}"
        outcome = consequence(sends.mode, accepts.mode) if worst.verdict is Verdict.BROKEN else ""
        backends = {self.mesh.groups[c.endpoint.group].key for c in cells if c.endpoint.group is not None}
        return Call(
            *(name, service.key, port.number, worst.endpoint.port, accepts.mode, sends.mode, worst.verdict),
            reason=f"{words}: {outcome}" if outcome else words,
            rule=_rule(service, worst, cells),
            server_policy=accepts.policy,
            client_policy=by,
            backends=tuple(sorted(backends)),
            subset=worst.subset,
            overridden=tuple(dict.fromkeys((*accepts.lost, *lost))),
            server_rule=accepts.rule,
            group=worst.endpoint.pods,
        )

    def _sort_key(self, cell: Cell) -> tuple[object, ...]:
        """Chooses among equally bad endpoints, whatever order they were read in."""
        group = self.mesh.groups[cell.endpoint.group] if cell.endpoint.group is not None else None
        return (
            _WEAKNESS[cell.accepts.mode],
            not cell.subset,
            cell.subset,
            group.key if group else "",
            sorted(group.labels.items()) if group else [],
            cell.endpoint.port,
            cell.accepts.reason,
            cell.sends.reason,
        )


def _rule(service: Service, worst: Cell, cells: list[Cell]) -> RuleCode | None:
    """The rule that explains a call, by its worst endpoint."""
    if worst.via and worst.verdict not in (Verdict.STRICT, Verdict.ENCRYPTED_NOT_ENFORCED):
        return RuleCode.ROUTED_ELSEWHERE
    if service.external and worst.verdict in (Verdict.NOT_ENFORCED, Verdict.UNKNOWN):
        return RuleCode.EXTERNAL
    in_the_way = worst.verdict in (Verdict.BROKEN, Verdict.PLAINTEXT_ALLOWED)  # the server would take mutual TLS
    client = worst.sends.rule
    if client and client.entry.only_in_the_way and not in_the_way:
        client = None
    server = worst.accepts.rule
    rule = (client or server) if worst.verdict in _CLIENT_FIRST else (server or client)
    if not rule and len({cell.accepts.mode for cell in cells}) > 1:
        return RuleCode.MIXED_BACKENDS
    return rule
