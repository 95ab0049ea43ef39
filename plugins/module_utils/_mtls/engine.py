# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verdicts on mutual TLS for each client, service and port. Pure: a Mesh in, Calls out.

Clients that decide alike are judged once. A call of its own is reported only for a client whose calls end otherwise than those of
`*`, so that the report grows with the mesh and not with its square.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.client import (
    Client,
    ProxyCluster,
    Sender,
    Sends,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.destination_rules import (
    DestinationRules,
    Found,
    Merged,
    cluster_tls,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.model import (
    DISABLE,
    MTLS,
    NOT_ENFORCED,
    PLAINTEXT,
    UNKNOWN,
    Endpoint,
    Group,
    Lost,
    Mesh,
    MeshConfig,
    Port,
    ServerMode,
    Service,
    Subset,
    matches,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.server import Policies, of_group, scope_of
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.verdict import (
    ANYBODY,
    BROKEN,
    NO_MESH,
    NOT_KNOWN,
    WITHOUT_SIDECAR,
    Call,
    badness,
    consequence,
    verdict,
)

# Rules that are none while the call ends as the policy says.
_ONLY_BROKEN = frozenset({"namespace_disable", "destination_rule_disable", "tls_mode_label"})


@dataclass(frozen=True, slots=True)
class _Cell:
    """One endpoint of a call: what is sent, what is accepted, and what becomes of it."""

    endpoint: Endpoint
    sends: Sends
    accepts: ServerMode
    verdict: str
    subset: str


class Engine:
    """Judges one mesh. Answers are remembered, so ask one engine for all."""

    def __init__(self, mesh: Mesh) -> None:
        self.mesh = mesh
        self.policies = Policies(mesh.policies)
        self.scopes = sorted(mesh.sidecars, key=lambda s: (s.created, s.name, s.namespace))
        self._sender = Sender(mesh, self.policies)
        self._destination_rules: dict[MeshConfig, DestinationRules] = {}
        self._server: dict[tuple[int, int, int], ServerMode] = {}
        self._by_host = {service.host: service for service in mesh.services}
        self.classes = self._client_classes()
        self.anybody = self._anybody()
        self.hidden: dict[str, set[str]] = {}  # Sidecar object -> services that its workloads do not see

    def destination_rules(self, config: MeshConfig) -> DestinationRules:
        """DestinationRules as a revision sees them."""
        if config not in self._destination_rules:
            self._destination_rules[config] = DestinationRules(config, self.mesh.destination_rules)
        return self._destination_rules[config]

    def _client_classes(self) -> dict[tuple[object, ...], tuple[Client, set[str]]]:
        """Meshed workloads by what decides on their calls."""
        found: dict[tuple[object, ...], tuple[Client, set[str]]] = {}
        for group in self.mesh.groups:
            if not group.meshed or group.kind == "waypoint":
                continue
            config = self.mesh.config_of(group)
            scope = scope_of(self.scopes, config, group)
            selecting = group.namespace in self.destination_rules(config).selecting
            labels = group.labels if selecting else {}
            out = group.capture
            key = (
                *(group.namespace, frozenset(labels.items()), group.kind, config, scope.key if scope else ""),
                *(out.none, out.exclude_out, out.include_out_ranges, out.exclude_out_ranges),
            )
            entry = (Client(group.namespace, labels, group.kind, config, scope, out), set[str]())
            found.setdefault(key, entry)[1].add(group.key)
        return found

    def _anybody(self) -> Client:
        """A workload without a rule of its own: in a namespace that no rule and no Sidecar object is for."""
        kinds = {client.kind for client, _names in self.classes.values()}
        kind = "ambient" if kinds and kinds <= {"ambient", "gateway"} and "ambient" in kinds else "sidecar"
        config = self.mesh.config
        scope = next((s for s in self.scopes if s.namespace == config.root_namespace and s.selector is None), None)
        return Client("", {}, kind, config, scope if kind == "sidecar" else None)

    def accepts(self, endpoint: Endpoint, number: int) -> ServerMode:
        """What an endpoint accepts, which a service offers on port `number`."""
        if endpoint.group is None:
            if endpoint.tls_label == "istio":
                return ServerMode(UNKNOWN, "", f"{endpoint.what} claims a sidecar; nothing of it can be seen from here")
            return ServerMode(
                NOT_ENFORCED, "", f"{endpoint.what or 'an address'}: no pod of this cluster", "no_sidecar"
            )
        key = (endpoint.group, endpoint.port, number)
        if key not in self._server:
            group = self.mesh.groups[endpoint.group]
            found = of_group(self.mesh, self.policies, self.scopes, group, endpoint.port, number)
            self._server[key] = replace(found, rule=found.rule or self._port_rule(group, endpoint.port, number, found))
        return self._server[key]

    def _port_rule(self, group: Group, port: int, number: int, found: ServerMode) -> str:
        if group.kind == "sidecar":
            own = self.policies.candidates(self.mesh.config_of(group), group.namespace, group.labels).workload
            if own is not None and number != port and number in own.ports and port not in own.ports:
                return "service_port_in_port_level_mtls"
        return "oldest_wins" if any(entry.why.startswith("younger than") for entry in found.lost) else ""

    def calls(
        self, clients: Collection[str] = (), services: Collection[str] = (), namespaces: Collection[str] = ()
    ) -> list[Call]:
        """All calls. Options narrow what is reported: clients (`ns/workload`, `*`, `plaintext`), services (`ns/name`), namespaces.

        A call to a service that a client's Sidecar object hides is reported only for a client that `clients` names.
        """
        found: list[Call] = []
        for service in self.mesh.services:
            if (services and service.key not in services) or (namespaces and service.namespace not in namespaces):
                continue
            found.extend(self._calls_of(service, clients))
        found.sort(
            key=lambda call: (call.service, call.port, call.client not in (ANYBODY, WITHOUT_SIDECAR), call.client)
        )
        return found

    def _calls_of(self, service: Service, clients: Collection[str]) -> Iterator[Call]:
        target = self._by_host.get(service.target, service) if service.kind == "alias" else service
        offered = {port.number for port in service.ports}
        for port in target.ports or service.ports:
            if service.kind == "alias" and offered and port.number not in offered:
                continue
            star = self.judge(self._anybody_who_sees(target, port.number), ANYBODY, target, port)
            found = [star, self._plain(target, port), *self._own_calls(target, port, star, clients)]
            for call in found:
                if clients and call.client not in clients:
                    continue
                if service is not target:
                    call = replace(call, service=service.key, reason=f"alias of {target.key}: {call.reason}")  # noqa: PLW2901
                yield call

    def _anybody_who_sees(self, service: Service, port: int) -> Client:
        """Stands for every workload that sees a service. One that few see is judged from a namespace that does: its own, or one that
        exportTo names; a report of callers that cannot call says nothing."""
        named = service.export_to or self.mesh.config.service_export_to
        for place in ("", service.namespace, *sorted(set(named) - {"*", ".", "~"})):
            client = replace(self.anybody, namespace=place)
            outside = self._sender.outside(client, service, port)
            if outside is None or outside.rule != "not_visible":
                return client
        return self.anybody

    def _own_calls(self, service: Service, port: Port, star: Call, clients: Collection[str]) -> Iterator[Call]:
        """Calls of the workloads whose calls end otherwise than those of `*`; of a workload in several classes the worst."""
        judged: dict[tuple[object, ...], Call] = {}
        worst: dict[str, Call] = {}
        same: set[str] = set()
        for client, names in self.classes.values():
            call = self._judged(judged, client, service, port)
            if call.rule == "not_visible" and star.rule != "not_visible":
                if client.scope and client.scope.egress is not None:
                    self.hidden.setdefault(client.scope.key, set()).add(service.key)
                if not any(name in clients for name in names):
                    continue
            alike = (call.client_mode, call.client_policy, call.verdict, call.subset)
            if alike == (star.client_mode, star.client_policy, star.verdict, star.subset):
                same |= names
                continue
            for name in names:
                if name not in worst or badness(call.verdict, name) > badness(worst[name].verdict, name):
                    worst[name] = replace(call, client=name)
        for name, call in worst.items():
            if name not in same or badness(call.verdict, name) > badness(star.verdict, name):
                yield call

    def _judged(self, known: dict[tuple[object, ...], Call], client: Client, service: Service, port: Port) -> Call:
        """The call of a client class; classes that use the same rule the same way, and find it the same way, share one."""
        outside = self._sender.outside(client, service, port.number)
        found, merged = self._chosen(client, service)
        used = (merged.destination_rule.key, merged.sources) if merged else ()
        key = (client.kind, client.config, used, found.lost, outside)
        if key not in known:
            known[key] = self.judge(client, "", service, port)
        return known[key]

    def _chosen(self, client: Client, service: Service) -> tuple[Found, Merged | None]:
        if client.kind == "ambient":
            return Found(), None
        found = self.destination_rules(client.config).search(client.namespace, service)
        return found, found.chosen(client.namespace, client.labels)

    def judge(self, client: Client, name: str, service: Service, port: Port) -> Call:
        """One call: every endpoint of every cluster that the client's proxy has for the port; the worst stands for all."""
        if port.protocol in ("UDP", "SCTP"):
            return Call(
                name,
                service.key,
                port.number,
                0,
                NOT_ENFORCED,
                PLAINTEXT,
                NO_MESH,
                f"{port.protocol} does not pass the mesh",
                "udp",
            )
        found, merged = self._chosen(client, service)
        by = " and ".join(merged.sources) if merged else ""
        outside = self._sender.outside(client, service, port.number)
        lost = found.lost
        subsets: list[Subset | None] = [None]
        if merged and not outside:
            subsets += list(merged.destination_rule.subsets)
        cells = []
        for subset in subsets:
            cluster = ProxyCluster(
                service, port, cluster_tls(merged.destination_rule if merged else None, port.number, subset), by
            )
            for endpoint in port.endpoints:
                if subset is None or self._in(subset, endpoint):
                    sends = outside or self._sender.sends(client, cluster, endpoint)
                    cells.append(self._cell(sends, endpoint, service, port, subset.name if subset else ""))
        if not cells:
            return self._nothing_behind(
                client,
                name,
                service,
                port,
                ProxyCluster(service, port, cluster_tls(merged.destination_rule if merged else None, port.number), by),
            )
        call = self._call(name, service, port, cells, "" if outside else by, lost)
        shadow = merged is not None and any(r.traffic and r.traffic.tls is not None for r in found.shadowed)
        if (
            shadow
            and cluster_tls(merged.destination_rule if merged else None, port.number).mode is None
            and call.rule in ("", "oldest_wins")
        ):
            return replace(call, rule="destination_rule_without_tls")
        return call

    def _in(self, subset: Subset, endpoint: Endpoint) -> bool:
        return matches(
            subset.labels, endpoint.labels if endpoint.group is None else self.mesh.groups[endpoint.group].labels
        )

    def _cell(self, sends: Sends, endpoint: Endpoint, service: Service, port: Port, subset: str) -> _Cell:
        accepts = self.accepts(endpoint, port.number)
        outcome = verdict(sends.mode, accepts.mode)
        if service.external and endpoint.group is None:
            outcome = NOT_KNOWN if sends.mode in (MTLS, UNKNOWN) else NO_MESH
        return _Cell(endpoint, sends, accepts, outcome, subset)

    def _plain(self, service: Service, port: Port) -> Call:
        """What becomes of a caller without a sidecar."""
        if port.protocol in ("UDP", "SCTP"):
            return self.judge(self.anybody, WITHOUT_SIDECAR, service, port)
        sends = Sends(PLAINTEXT, "the caller has no sidecar")
        cells = [self._cell(sends, endpoint, service, port, "") for endpoint in port.endpoints]
        if not cells:
            call = self._nothing_behind(self.anybody, WITHOUT_SIDECAR, service, port, None)
            return replace(call, client_mode=PLAINTEXT)
        return self._call(WITHOUT_SIDECAR, service, port, cells, "", ())

    def _nothing_behind(
        self, client: Client, name: str, service: Service, port: Port, cluster: ProxyCluster | None
    ) -> Call:
        """A call to a port without endpoints: nothing can be said of what accepts calls there."""
        sends = self._sender.outside(client, service, port.number)
        if sends is None and cluster is not None:
            sends = self._sender.sends(client, cluster, Endpoint(port.number))
        mode = sends.mode if sends else PLAINTEXT
        if service.external or service.passthrough:
            why, outcome, rule = "outside of the mesh: whatever the application sends", NO_MESH, "external"
            if mode == MTLS:
                why, outcome = "mutual TLS to a host outside of the mesh; what it accepts is not known", NOT_KNOWN
            return Call(
                name,
                service.key,
                port.number,
                port.number,
                NOT_ENFORCED,
                mode,
                outcome,
                why,
                rule,
                "",
                cluster.destination_rule if cluster else "",
            )
        missing = self.mesh.missing.get("EndpointSlice") or self.mesh.missing.get("Pod")
        why = f"what stands behind it is unknown: {missing}" if missing else "nothing stands behind it"
        rule = "" if missing else "no_endpoints"
        return Call(
            name,
            service.key,
            port.number,
            0,
            UNKNOWN,
            mode,
            NOT_KNOWN,
            why,
            rule,
            "",
            cluster.destination_rule if cluster else "",
        )

    def _call(
        self, name: str, service: Service, port: Port, cells: list[_Cell], by: str, lost: tuple[Lost, ...]
    ) -> Call:
        worst = max(cells, key=lambda cell: (badness(cell.verdict, name), self._sort_key(cell)))
        sends, accepts = worst.sends, worst.accepts
        server = accepts.reason
        words = f"client sends {sends.mode} ({sends.reason}); server accepts {accepts.mode} ({server})"
        if worst.subset:
            words = f"for subset {worst.subset}: {words}"
        outcome = consequence(sends.mode, accepts.mode) if worst.verdict == BROKEN else ""
        client_rule = "" if sends.rule in _ONLY_BROKEN and worst.verdict != BROKEN else sends.rule
        bad = worst.verdict in (BROKEN, "plaintext", "plaintext_allowed", NOT_KNOWN)
        rule = (client_rule or accepts.rule) if bad else (accepts.rule or client_rule)
        if service.external and worst.verdict in (NO_MESH, NOT_KNOWN):
            rule = "external"
        if not rule and len({cell.accepts.mode for cell in cells}) > 1:
            rule = "mixed_backends"
        backends = {self.mesh.groups[c.endpoint.group].key for c in cells if c.endpoint.group is not None}
        return Call(
            *(name, service.key, port.number, worst.endpoint.port, accepts.mode, sends.mode, worst.verdict),
            reason=f"{words}: {outcome}" if outcome else words,
            rule=rule,
            server_policy=accepts.policy,
            client_policy=by,
            backends=tuple(sorted(backends)),
            subset=worst.subset,
            overridden=tuple(dict.fromkeys((*accepts.lost, *lost))),
        )

    def _sort_key(self, cell: _Cell) -> tuple[object, ...]:
        """Makes the choice among equally bad endpoints independent of the order that they were read in."""
        group = self.mesh.groups[cell.endpoint.group] if cell.endpoint.group is not None else None
        worse = {DISABLE: 3, NOT_ENFORCED: 2, UNKNOWN: 1}.get(cell.accepts.mode, 0)
        labels = sorted(group.labels.items()) if group else []
        return (
            worse,
            not cell.subset,
            cell.subset,
            group.key if group else "",
            labels,
            cell.endpoint.port,
            cell.accepts.reason,
            cell.sends.reason,
        )
