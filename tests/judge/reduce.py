# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Istio sends to the proxies of a mesh, reduced to calls: what a client sends to each endpoint, and what is accepted there.

It shares no code with the engine. It follows a connection as Envoy would: from the listener by address and port, by its filter chain and
its route, to a cluster, by that cluster's transport socket for the endpoint, to the filter chains of the pod that has the endpoint's
address. What happens inside a pod (iptables) is not Istio's code; the pods of `meshes` have all their traffic redirected.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from tests.judge.istio import addresses, role
from tests.unit.plugins.module_utils._mtls.mtls_oracle import OUTCOME

Obj = dict[str, Any]
DOMAIN = "svc.cluster.local"
HTTP_ALPN = ["http/1.1", "h2c"]


@dataclass(frozen=True)
class Target:
    """A service and one of its ports. `visited` are the addresses that a client connects to, `points` what stands behind them. `place`
    is OUTSIDE or INSIDE of the mesh, `spoken` is http, tcp or either, `entry` whether a ServiceEntry
    declares it.
    """

    key: str
    host: str
    port: int
    place: str
    spoken: str
    visited: tuple[str, ...]
    points: tuple[tuple[str, int], ...]
    entry: bool = False

    @property
    def single(self) -> bool:
        """Whether it is called by one address that is no pod's."""
        return len(self.visited) == 1 and self.visited[0] not in {address for address, _port in self.points}


@dataclass(frozen=True)
class Cell:
    """One endpoint of a call. `sent` is mtls, tls, plaintext or blocked; `accepted` a mode.

    Of an address of nobody's pod it is OUTSIDE or INSIDE, by what its service says, or CLAIMED, if it is said to have a proxy.
    """

    sent: str
    accepted: str
    cluster: str


# A server that takes plain text, on a port that is declared as HTTP.
OUTCOMES = {**OUTCOME, ("tls", "PERMISSIVE_HTTP"): "broken", ("tls", "DISABLE_HTTP"): "broken"}


def outcome(cell: Cell) -> str:
    """The verdict on one endpoint. What an address of nobody's pod accepts is not known."""
    if cell.sent == "blocked":
        return "broken"
    if cell.accepted == "CLAIMED":
        return "unknown"
    if cell.accepted in ("OUTSIDE", "INSIDE"):
        if cell.sent == "plaintext" and cell.accepted == "INSIDE":
            return "plaintext"
        return "unknown" if cell.sent == "mtls" else "not_enforced"
    accepted = cell.accepted if cell.sent == "tls" else cell.accepted.removesuffix("_HTTP")
    return OUTCOMES[cell.sent, accepted]


class Answers:
    """The answers to one mesh: `proxies` is what Istio.proxies returned for `objects`."""

    def __init__(self, objects: list[Obj], proxies: dict[str, Obj]) -> None:
        self._objects = objects
        self._proxies = proxies
        self._pods = {ip: entry for entry in objects if entry["kind"] == "Pod" for ip in addresses(entry)}
        self._aliases = {
            f"{entry['metadata']['name']}.{entry['metadata']['namespace']}.{DOMAIN}"
            for entry in objects
            if entry["kind"] == "Service" and entry["spec"].get("type") == "ExternalName"
        }
        # Addresses that are said to have a proxy: by a ServiceEntry for its hosts, by a WorkloadEntry for its namespace.
        self._claimed: set[tuple[str, str, str]] = set()
        for entry in objects:
            namespace, spec = (
                entry["metadata"].get("namespace", ""),
                entry.get("spec", {}),
            )
            if entry["kind"] == "WorkloadEntry" and _claims(spec):
                self._claimed.add((namespace, "", spec["address"]))
            for host in spec["hosts"] if entry["kind"] == "ServiceEntry" else ():
                self._claimed |= {
                    (namespace, host, point["address"]) for point in spec.get("endpoints", []) if _claims(point)
                }

    def of(self, kind: str) -> list[Obj]:
        return [entry for entry in self._objects if entry["kind"] == kind]

    # --- the server

    def accepted(self, address: str, port: int) -> str:
        """What the pod with an address accepts on a port, empty when no pod has it."""
        pod = self._pods.get(address)
        if pod is None:
            return ""
        if role(pod) != "sidecar":
            return "NOT_ENFORCED"
        mesh, plain, foreign = (self._inbound(pod, port, kind) for kind in ("mesh", "plain", "foreign"))
        meshed, bare = bool(mesh and mesh["socket"] == "mesh"), bool(plain and plain["socket"] == "raw")
        assert meshed or bare, (address, port)
        if meshed and not bare:
            return "STRICT"
        taken = bool(foreign and foreign["socket"] == "raw" and not foreign.get("http"))
        return ("PERMISSIVE" if meshed else "DISABLE") + ("" if taken else "_HTTP")

    def _inbound(self, pod: Obj, port: int, kind: str) -> Obj | None:
        """The filter chain that takes a connection, as Envoy finds it: by port, then by transport, then by ALPN."""
        (listener,) = [entry for entry in self._of(pod)["listeners"] if entry["name"] == "virtualInbound"]
        own = [chain for chain in listener["chains"] if chain.get("port") == port]
        chains = own or [chain for chain in listener["chains"] if not chain.get("port")]
        inspected = any(chain.get("transport") == "tls" for chain in chains)
        transport = "raw_buffer" if kind == "plain" or not inspected else "tls"
        offered = {"mesh": ["istio", "istio-http/1.1"], "plain": ["http/1.1"], "foreign": []}[kind]
        chains = [c for c in chains if c.get("transport") == transport] or [c for c in chains if not c.get("transport")]
        by_alpn = [chain for chain in chains if set(chain.get("alpn", [])) & set(offered)]
        found = by_alpn or [chain for chain in chains if not chain.get("alpn")]
        return found[0] if found else None

    def _of(self, pod: Obj) -> Obj:
        return self._proxies[f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"]

    # --- the client

    def clients(self) -> list[Obj]:
        """Pods with a sidecar."""
        return [entry for entry in self.of("Pod") if role(entry) == "sidecar"]

    def cells(self, client: Obj, target: Target) -> list[Cell]:
        """All that may become of a call: every endpoint of the clusters of the service, and of those that the call is led to."""
        sent = self._of(client)
        own = [c for c in sent["clusters"] if _direction(c["name"]) == ("outbound", str(target.port), target.host)]
        if not own:
            return list(self._unseen(sent, target))
        return [cell for cluster in own for cell in self._cells(cluster, target)]

    def routed_cells(self, client: Obj, target: Target) -> list[Cell]:
        """All that becomes of a call where its listener and its route lead it; nothing if that is an ExternalName or no cluster."""
        sent, found = self._of(client), list[Cell]()
        clusters = {cluster["name"]: cluster for cluster in sent["clusters"]}
        for name in sorted(self.routed(client, target)):
            _way, port, host = _direction(name)
            if not host:
                found += self._unseen(sent, target)
            if host in self._aliases or (host and name not in clusters):
                return []
            other = [one for one in targets(self._objects) if (one.host, str(one.port)) == (host, port)]
            if other:
                found += self._cells(clusters[name], other[0])
        return found

    def routed(self, client: Obj, target: Target) -> set[str]:
        """The clusters that a connection in plain text to the service is led to, by the protocols that its port may speak."""
        sent, found = self._of(client), set[str]()
        listeners = {entry["name"]: entry for entry in sent["listeners"]}
        for address in target.visited:
            own, shared = f"{address}_{target.port}", f"0.0.0.0_{target.port}"
            listener = listeners.get(own) or listeners.get(shared) or listeners["virtualOutbound"]
            chains = [c for c in listener["chains"] if c.get("transport", "raw_buffer") == "raw_buffer"]
            chains = [c for c in chains if not c.get("port")]
            chains = [c for c in chains if f"{address}/32" in c.get("prefixes", [f"{address}/32"])]
            http = [chain for chain in chains if "http/1.1" in chain.get("alpn", [])]
            plain = [chain for chain in chains if not chain.get("alpn")] or [*filter(None, [listener.get("default")])]
            for chain in {"http": http or plain, "tcp": plain, "either": [*http, *plain]}[target.spoken]:
                found.update(chain.get("clusters", []))
                hosts = sent["routes"].get(chain.get("route", ""), [])
                exact = [host for host in hosts if target.host in host["domains"]]
                for host in exact or [host for host in hosts if "*" in host["domains"]]:
                    found.update(host["clusters"])
        return found

    def _unseen(self, sent: Obj, target: Target) -> Iterator[Cell]:
        """A host that the proxy does not know: the call passes through unchanged, or it is refused."""
        (outbound,) = [entry for entry in sent["listeners"] if entry["name"] == "virtualOutbound"]
        passes = any("PassthroughCluster" in chain.get("clusters", []) for chain in outbound["chains"])
        if not passes:
            yield Cell("blocked", target.place, "")
        for address, port in target.points if passes else ():
            yield Cell("plaintext", self.accepted(address, port) or target.place, "")

    def _cells(self, cluster: Obj, target: Target) -> Iterator[Cell]:
        if (
            cluster["type"] == "ORIGINAL_DST"
        ):  # it has no endpoints of its own: it goes where the application connects to
            somewhere = "CLAIMED" if target.entry and target.place == "INSIDE" else target.place
            for address, port in target.points:
                yield Cell(_socket(cluster, {}), self.accepted(address, port) or somewhere, cluster["name"])
        for point in cluster["endpoints"]:
            metadata = point.get("metadata", {})
            space = target.key.partition("/")[0]
            claims = self._claimed & {(space, "", point["address"]), (space, target.host, point["address"])}
            claims = claims or metadata.get("tlsMode") == "istio"
            claimed = "CLAIMED" if claims and target.place == "INSIDE" else target.place
            for address, port in self._reached(point["address"], point["port"]):
                yield Cell(_socket(cluster, metadata), self.accepted(address, port) or claimed, cluster["name"])

    def _reached(self, name: str, port: int) -> Iterable[tuple[str, int]]:
        """What stands at an endpoint: an address, or a Service by its DNS name."""
        named = [target for target in targets(self._objects) if target.host == name and not target.entry]
        if (
            named or name in self._aliases
        ):  # a port that the Service does not have leads nowhere, and an alias to who knows whom
            return [point for target in named if target.port == port for point in target.points]
        return [(name, port)]


def _claims(spec: Obj) -> bool:
    label = spec.get("labels", {}).get("security.istio.io/tlsMode")
    return bool(label == "istio" or (label is None and spec.get("serviceAccount")))


def _direction(name: str) -> tuple[str, str, str]:
    parts = name.split("|")
    return (parts[0], parts[1], parts[3]) if len(parts) == 4 else ("", "", "")


def _socket(cluster: Obj, metadata: dict[str, str]) -> str:
    """What a cluster sends to an endpoint: the first match whose metadata the endpoint has."""
    socket = cluster["socket"]
    for match in cluster.get("matches", []):
        if match["metadata"].items() <= metadata.items():
            socket = match["socket"]
            break
    return {"mesh": "mtls", "other": "tls", "raw": "plaintext", "": "plaintext"}[socket]


def targets(objects: list[Obj]) -> list[Target]:
    """All services and their ports: Kubernetes Services by their EndpointSlices, hosts of ServiceEntries without anything behind them."""
    found = []
    for entry in objects:
        if entry["kind"] == "Service" and entry["spec"].get("type") != "ExternalName":
            found += [_of_service(entry, port, objects) for port in entry["spec"]["ports"]]
        if entry["kind"] == "ServiceEntry":
            found += [
                _of_entry(entry, host, port) for host in entry["spec"]["hosts"] for port in entry["spec"]["ports"]
            ]
    return found


def _of_service(entry: Obj, port: Obj, objects: list[Obj]) -> Target:
    meta, spec = entry["metadata"], entry["spec"]
    points = tuple(_points(objects, meta["namespace"], meta["name"], port["name"]))
    visited = tuple(a for a in spec["clusterIPs"] if a != "None") or tuple(address for address, _number in points)
    host = f"{meta['name']}.{meta['namespace']}.{DOMAIN}"
    return Target(f"{meta['namespace']}/{meta['name']}", host, port["port"], "INSIDE", _spoken(port), visited, points)


def _of_entry(entry: Obj, host: str, port: Obj) -> Target:
    spec = entry["spec"]
    place = "OUTSIDE" if spec.get("location", "MESH_EXTERNAL") == "MESH_EXTERNAL" else "INSIDE"
    key, visited = f"{entry['metadata']['namespace']}/{host}", tuple(spec.get("addresses", ()))
    return Target(
        key, host, port["number"], place, _declared(port["protocol"]), visited, ((host, port["number"]),), entry=True
    )


def _spoken(port: Obj) -> str:
    """The protocol of a Service's port, by appProtocol or the prefix of its name."""
    return _declared(port.get("appProtocol", port["name"].partition("-")[0]).replace("kubernetes.io/h2c", "http2"))


def _declared(name: str) -> str:
    if name.lower() in ("http", "http2", "grpc"):
        return "http"
    return "tcp" if name.lower() in ("tcp", "tls", "https") else "either"


def _points(objects: list[Obj], namespace: str, name: str, port: str) -> Iterator[tuple[str, int]]:
    for entry in objects:
        meta = entry["metadata"]
        labels = meta.get("labels", {})
        if (
            entry["kind"] != "EndpointSlice"
            or labels.get("kubernetes.io/service-name") != name
            or meta["namespace"] != namespace
        ):
            continue
        number = next(part["port"] for part in entry["ports"] if part["name"] == port)
        for endpoint in entry["endpoints"]:
            for address in endpoint["addresses"]:
                yield address, number
