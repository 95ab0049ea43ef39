# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Random meshes of all kinds that the engine models, as the API server would list them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import yaml

from tests.unit.plugins.module_utils._mtls.mtls_objects import stamp

Obj = dict[str, Any]
T = TypeVar("T")
ROOT = "istio-system"
SPACES = (ROOT, "a", "b", "c")
MODES = ("UNSET", "STRICT", "STRICT", "STRICT", "PERMISSIVE", "DISABLE")  # strict is the promise that counts
TLS_MODES = ("DISABLE", "SIMPLE", "MUTUAL", "ISTIO_MUTUAL", "ISTIO_MUTUAL", "ISTIO_MUTUAL")
OUTSIDE = ("192.0.2.10", "192.0.2.11")
PORTS = (80, 81)
TARGETS = (8080, 9090)
NAMED = {8080: "web", 9090: "more"}  # the container ports by name


@dataclass(frozen=True)
class RandomMesh:
    """A mesh: its objects, and its MeshConfig, which is among the objects as well."""

    objects: list[Obj]
    config: Obj


def obj(version: str, kind: str, namespace: str, name: str, spec: Obj | None = None, **meta: Any) -> Obj:
    metadata = {"name": name, "namespace": namespace, "creationTimestamp": stamp(1), **meta}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **({} if spec is None else {"spec": spec})}


def networking(kind: str, namespace: str, name: str, spec: Obj, age: int) -> Obj:
    return obj("networking.istio.io/v1", kind, namespace, name, spec, creationTimestamp=stamp(age))


class Draw:
    """Random choices from a seed. A seed gives the same mesh each time."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311  # tests, no secret

    def one_in(self, chance: int) -> bool:
        """True once in so many draws."""
        return self._random.randrange(chance) == 0

    def pick(self, *choices: T) -> T:
        """One of the choices."""
        return self._random.choice(choices)

    def some(self, choices: Sequence[T], least: int = 0, most: int = 2) -> list[T]:
        """Some of the choices, in their order, none twice."""
        count = min(self._random.randint(least, most), len(choices))
        return [choices[index] for index in sorted(self._random.sample(range(len(choices)), count))]

    def space(self) -> str:
        """A namespace."""
        return self.pick(*SPACES)

    def age(self) -> int:
        """Few ages, so that some are equal."""
        return self.pick(1, 2, 3)

    def labels(self) -> dict[str, str]:
        """Labels of a workload, or of a selector, which may be empty."""
        found = {}
        if self.one_in(2):
            found["app"] = self.pick("w0", "w0", "w1", "w2")
        if self.one_in(2):
            found["v"] = self.pick("1", "2")
        return found

    def named(self) -> dict[str, str]:
        """Labels of a selector that is not empty."""
        return self.labels() or {"app": self.pick("w0", "w1")}

    def export_to(self) -> list[str] | None:
        """exportTo, mostly none."""
        return self.pick(None, None, None, None, None, ["*"], ["."], ["a"], ["b"], ["a", "b"], ["c", "a"])


# --- Kubernetes


def namespaces(draw: Draw) -> list[Obj]:
    found = []
    for name in SPACES:
        own = {"kubernetes.io/metadata.name": name, "tier": draw.pick("x", "x", "x", "y")}
        found.append({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": own}})
    return found


def pod(namespace: str, workload: str, ip: str, own: dict[str, str], *, role: str = "sidecar", suffix: int = 0) -> Obj:
    """A pod; with a proxy as the injector leaves it."""
    offered = [{"name": text, "containerPort": number, "protocol": "TCP"} for number, text in NAMED.items()]
    containers: list[Obj] = [{"name": "app", "image": "app", "ports": offered}]
    spec: Obj = {"containers": containers, "serviceAccountName": "default", "nodeName": "node"}
    notes = {}
    if role:
        containers.append({"name": "istio-proxy", "image": "proxyv2", "args": ["proxy", role]})
        notes = {"istio.io/rev": "default"}
    if role == "sidecar":
        args = ["istio-iptables", "-p", "15001", "-z", "15006", "-u", "1337", "-m", "REDIRECT", "-i", "*", "-x", ""]
        spec["initContainers"] = [{"name": "istio-init", "args": [*args, "-b", "*", "-d", "15090,15021,15020"]}]
    owner = {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": workload, "uid": workload, "controller": True}
    made = obj(
        "v1", "Pod", namespace, f"{workload}-{suffix}", spec, labels=own, annotations=notes, ownerReferences=[owner]
    )
    made["status"] = {
        "phase": "Running",
        "podIP": ip,
        "podIPs": [{"ip": ip}],
        "conditions": [{"type": "Ready", "status": "True"}],
    }
    return made


def pods(draw: Draw) -> list[Obj]:
    found = []
    for number in range(draw.pick(2, 3, 4, 5)):
        role = "" if draw.one_in(5) else "sidecar"
        own = {"app": f"w{number}", **(draw.labels() if draw.one_in(2) else {})}
        if role:
            own["security.istio.io/tlsMode"] = "istio"
        if draw.one_in(8):
            own["security.istio.io/tlsMode"] = draw.pick("istio", "disabled", "other")
        place = draw.space()
        found += [
            pod(place, f"w{number}", f"10.0.{number}.{suffix + 1}", own, role=role, suffix=suffix)
            for suffix in range(2 if draw.one_in(6) else 1)
        ]
    return found


def service(draw: Draw, number: int, workloads: list[Obj]) -> list[Obj]:
    """A Service and its EndpointSlice."""
    name, likely = f"s{number}", draw.pick(*workloads)["metadata"]  # a selector mostly finds something
    namespace = draw.space() if draw.one_in(6) else likely["namespace"]
    kind = draw.pick("plain", "plain", "plain", "headless", "alias", "bare")
    address = "None" if kind == "headless" else f"10.96.0.{number + 1}"
    ports = []
    for port, target in zip(PORTS, TARGETS, strict=True):
        prefix = draw.pick("http", "http", "tcp", "grpc", "https", "other")
        entry: Obj = {"name": f"{prefix}-{port}", "port": port, "targetPort": target, "protocol": "TCP"}
        if draw.one_in(6):
            entry["targetPort"] = NAMED[target]
        if draw.one_in(8):
            entry["appProtocol"] = draw.pick("http", "tcp", "kubernetes.io/h2c", "unheard-of")
        ports.append(entry)
    exported = draw.export_to()
    notes = {"networking.istio.io/exportTo": ",".join(exported)} if exported else {}
    spec: Obj = {"clusterIP": address, "clusterIPs": [address], "ports": ports, "type": "ClusterIP"}
    if kind == "alias":
        target = draw.pick(*(f"s{n}.{place}.svc.cluster.local" for n in range(3) for place in "abc"), "out.example.com")
        alias = {"type": "ExternalName", "externalName": target, "ports": ports}
        return [obj("v1", "Service", namespace, name, alias, annotations=notes)]
    chosen = draw.named() if draw.one_in(6) else {"app": likely["labels"]["app"]}
    if kind != "bare":
        spec["selector"] = chosen
    made = obj("v1", "Service", namespace, name, spec, annotations=notes)
    endpoints = [
        {
            "addresses": [entry["status"]["podIP"]],
            "conditions": {"ready": True},
            "targetRef": {"kind": "Pod", "namespace": namespace, "name": entry["metadata"]["name"]},
        }
        for entry in workloads
        if entry["metadata"]["namespace"] == namespace and chosen.items() <= entry["metadata"]["labels"].items()
    ]
    if kind == "bare":
        # Somebody's own EndpointSlice: addresses without the names of pods. istiod looks for a pod of the same namespace once, which has
        # come before the slice or has not, so only pods of other namespaces give one answer.
        known = [entry["status"]["podIP"] for entry in workloads if entry["metadata"]["namespace"] != namespace]
        where = draw.some([*OUTSIDE, *known], 1)
        endpoints = [{"addresses": [address], "conditions": {"ready": True}} for address in where]
    slices = obj(
        "discovery.k8s.io/v1", "EndpointSlice", namespace, f"{name}-1", labels={"kubernetes.io/service-name": name}
    )
    slices |= {
        "addressType": "IPv4",
        "ports": [
            {"name": entry["name"], "port": target, "protocol": "TCP"}
            for entry, target in zip(ports, TARGETS, strict=True)
        ],
        "endpoints": endpoints,
    }
    return [made, slices]


# --- Istio


def policy(draw: Draw, number: int) -> Obj:
    spec: Obj = {}
    if not draw.one_in(6):
        spec["mtls"] = {"mode": draw.pick(*MODES)}
    if draw.one_in(2):
        chosen = draw.labels()
        spec["selector"] = {"matchLabels": chosen} if chosen else {}
        if chosen and draw.one_in(2):
            spec["portLevelMtls"] = {str(port): {"mode": draw.pick(*MODES)} for port in draw.some([80, *TARGETS], 1)}
    age = draw.age()
    return obj(
        "security.istio.io/v1", "PeerAuthentication", draw.space(), f"p{number}", spec, creationTimestamp=stamp(age)
    )


def block(draw: Draw) -> Obj:
    """TLS and load balancer of a trafficPolicy, or of a port of it. Istio takes none that says nothing."""
    found: Obj = {}
    if draw.one_in(2):
        mode = draw.pick(*TLS_MODES)
        found["tls"] = {"mode": mode}
        if mode == "MUTUAL":
            found["tls"] |= {"clientCertificate": "/c", "privateKey": "/k", "caCertificates": "/ca"}
    if draw.one_in(8):
        found["loadBalancer"] = {"simple": draw.pick("PASSTHROUGH", "ROUND_ROBIN")}
    return found or {"connectionPool": {"http": {"maxRetries": 2}}}


def traffic(draw: Draw) -> Obj:
    found = block(draw)
    if draw.one_in(3):
        ports = draw.some([*PORTS, TARGETS[0]], 1)
        found["portLevelSettings"] = [{"port": {"number": port}, **block(draw)} for port in ports]
    return found


def destination_rule(draw: Draw, number: int, hosts: list[str]) -> Obj:
    spec: Obj = {"host": draw.pick(*hosts, *hosts, "*.a.svc.cluster.local", "*.local", "*")}
    if not draw.one_in(4):
        spec["trafficPolicy"] = traffic(draw)
    subsets = []
    for name in sorted(draw.some(["v1", "v2"])):
        subset: Obj = {"name": name, "labels": draw.labels()}
        if draw.one_in(2):
            subset["trafficPolicy"] = traffic(draw)
        subsets.append(subset)
    if subsets:
        spec["subsets"] = subsets
    exported = draw.export_to()
    if exported:
        spec["exportTo"] = exported
    if exported in (None, ["."]) and draw.one_in(4):
        spec["workloadSelector"] = {"matchLabels": draw.labels()}
    return networking("DestinationRule", draw.space(), f"r{number}", spec, draw.age())


def sidecar(draw: Draw, number: int, hosts: list[str]) -> Obj:
    spec: Obj = {}
    if draw.one_in(3):
        spec["workloadSelector"] = {"labels": draw.named()}
    if not draw.one_in(4):
        texts = set()
        for _number in range(draw.pick(1, 2, 3)):
            place = draw.pick("*", ".", "a", "b", "c", "~", ROOT)
            name = draw.pick("*", "*", "*.svc.cluster.local", "*.a.svc.cluster.local", *hosts)
            texts.add(f"{place}/{'*' if place == '~' else name}")
        spec["egress"] = [{"hosts": sorted(texts)}]
        if draw.one_in(5):
            port = {"number": draw.pick(*PORTS), "protocol": draw.pick("HTTP", "TCP"), "name": "p"}
            spec["egress"].insert(0, {"port": port, "hosts": ["*/*"]})
    if draw.one_in(4):
        spec["outboundTrafficPolicy"] = {"mode": draw.pick("ALLOW_ANY", "REGISTRY_ONLY")}
    if draw.one_in(5):
        port = {"number": draw.pick(*TARGETS), "protocol": draw.pick("HTTP", "TCP"), "name": "i"}
        spec["ingress"] = [{"port": port, "defaultEndpoint": "127.0.0.1:7070"}]
    if spec.keys() <= {"workloadSelector"}:
        spec["outboundTrafficPolicy"] = {"mode": "ALLOW_ANY"}
    return networking("Sidecar", draw.space(), f"c{number}", spec, draw.age())


def workload_entry(draw: Draw, number: int, known: list[str]) -> Obj:
    address = draw.pick(*known) if draw.one_in(4) else f"192.0.2.2{number}"
    spec: Obj = {"address": address, "labels": draw.labels()}
    if draw.one_in(2):
        spec["serviceAccount"] = "vm"
    if draw.one_in(4):
        spec["ports"] = {draw.pick("web", f"http-{PORTS[0]}"): draw.pick(8080, 7070)}
    if draw.one_in(4):
        spec["labels"]["security.istio.io/tlsMode"] = draw.pick("istio", "disabled")
    return networking("WorkloadEntry", draw.space(), f"e{number}", spec, draw.age())


def service_entry(draw: Draw, number: int, known: list[str], hosts: list[str]) -> Obj:
    resolution, space = draw.pick("STATIC", "STATIC", "DNS", "NONE"), draw.space()
    port: Obj = {"number": PORTS[0], "name": f"http-{PORTS[0]}", "protocol": draw.pick("HTTP", "TCP", "TLS", "GRPC")}
    if draw.one_in(3):
        port["targetPort"] = TARGETS[0]
    name = f"e{number}.example.com"
    if draw.one_in(8):  # a host that another ServiceEntry or a Service has as well
        name = draw.pick("e0.example.com", *hosts)
    spec: Obj = {"hosts": [name], "ports": [port], "resolution": resolution}
    spec["location"] = draw.pick("MESH_INTERNAL", "MESH_EXTERNAL")
    if draw.one_in(2):
        spec["addresses"] = [f"240.0.0.{number + 1}"]
    places = {"STATIC": [*OUTSIDE, *known], "DNS": ["out.example.com", *hosts, *known], "NONE": []}[resolution]
    if resolution != "NONE" and draw.one_in(3):
        spec["workloadSelector"] = {"labels": draw.named()}
    elif places:
        endpoints = []
        for address in draw.some(places):
            endpoint: Obj = {"address": address}
            if draw.one_in(3):
                endpoint["labels"] = {**draw.labels(), "security.istio.io/tlsMode": draw.pick("istio", "disabled")}
            if draw.one_in(4):
                endpoint["serviceAccount"] = "vm"
            if draw.one_in(4):
                endpoint["ports"] = {port["name"]: draw.pick(*TARGETS)}
            endpoints.append(endpoint)
        if endpoints:
            spec["endpoints"] = endpoints
    exported = draw.export_to()
    if exported:
        spec["exportTo"] = exported
    return networking("ServiceEntry", space, f"x{number}", spec, draw.age())


def destination(draw: Draw, hosts: list[str]) -> Obj:
    found: Obj = {"host": draw.pick(*hosts)}
    if draw.one_in(3):
        found["subset"] = draw.pick("v1", "v2")
    if draw.one_in(2):
        found["port"] = {"number": draw.pick(*PORTS)}
    return found


def virtual_service(draw: Draw, number: int, hosts: list[str]) -> Obj:
    """Routes of a host, some of them to other hosts; mirrors; weights, of which one may be 0."""
    spec: Obj = {"hosts": [draw.pick(*hosts)]}
    routes = []
    for _number in range(draw.pick(1, 1, 2)):
        share = draw.pick(100, 100, 60, 0)
        targets = [{"destination": destination(draw, hosts), "weight": share}]
        if share < 100:
            targets.append({"destination": destination(draw, hosts), "weight": 100 - share})
        route: Obj = {"route": targets}
        if draw.one_in(4):
            route["match"] = [{"uri": {"prefix": "/a"}}]
        if draw.one_in(5):
            route["mirror"] = destination(draw, hosts)
        routes.append(route)
    if draw.one_in(4):
        for route in routes:
            route.pop("mirror", None)
            route.pop("match", None)
        spec["tcp"] = routes[:1]
    else:
        spec["http"] = routes
    exported = draw.export_to()
    if exported:
        spec["exportTo"] = exported
    if draw.one_in(6):
        spec["gateways"] = draw.pick(["mesh"], ["ingress"], ["mesh", "ingress"])
    return networking("VirtualService", draw.space(), f"v{number}", spec, draw.age())


def mesh_config(draw: Draw) -> Obj:
    config: Obj = {"rootNamespace": ROOT}
    if draw.one_in(6):
        config["enableAutoMtls"] = False
    if draw.one_in(4):
        config["outboundTrafficPolicy"] = {"mode": "REGISTRY_ONLY"}
    if draw.one_in(8):
        config["rootNamespace"] = "c"
    if draw.one_in(8):
        config["defaultServiceExportTo"] = draw.pick(["."], ["a"], ["~"])
    if draw.one_in(8):
        config["defaultDestinationRuleExportTo"] = ["."]
    if draw.one_in(8):
        config["discoverySelectors"] = [{"matchLabels": {"tier": "x"}}]
    return config


def random_mesh(seed: int) -> RandomMesh:
    """A small mesh."""
    draw = Draw(seed)
    workloads = pods(draw)
    objects = [*namespaces(draw), *workloads]
    for number in range(draw.pick(1, 2, 3)):
        objects += service(draw, number, workloads)
    hosts = [
        f"{entry['metadata']['name']}.{entry['metadata']['namespace']}.svc.cluster.local"
        for entry in objects
        if entry["kind"] == "Service"
    ]
    known = [entry["status"]["podIP"] for entry in workloads]
    entries = [service_entry(draw, number, known, hosts) for number in range(draw.pick(0, 0, 1, 2))]
    hosts += [host for entry in entries for host in entry["spec"]["hosts"]]
    objects += entries
    objects += [workload_entry(draw, number, known) for number in range(draw.pick(0, 0, 1, 2))]
    objects += [policy(draw, number) for number in range(draw.pick(0, 1, 2, 3, 4))]
    objects += [destination_rule(draw, number, hosts) for number in range(draw.pick(0, 1, 2, 3, 4))]
    objects += [sidecar(draw, number, hosts) for number in range(draw.pick(0, 0, 1, 2))]
    config = mesh_config(draw)
    # Drawn last, so that a seed has the same mesh with and without them.
    objects += [virtual_service(draw, number, hosts) for number in range(draw.pick(0, 0, 0, 1, 2))] if hosts else []
    data = {"mesh": yaml.safe_dump(config)}
    objects.append({**obj("v1", "ConfigMap", ROOT, "istio"), "data": data})
    return RandomMesh(objects, config)
