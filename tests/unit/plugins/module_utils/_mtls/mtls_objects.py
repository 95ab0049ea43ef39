# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kubernetes objects for tests of the mTLS engine, as the API server would send them, and a mesh made of them."""

from __future__ import annotations

from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.assemble import Snapshot, assembled, reducers
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.engine import Engine
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.model import (
    Mesh,
    MeshConfig,
    Missing,
    MissingCause,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parse.mesh_config import mesh_config
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.verdict import Call

Obj = dict[str, Any]
DOMAIN = "cluster.local"
ROOT = "istio-system"
CONFIG: Obj = {"rootNamespace": ROOT}


def stamp(age: int) -> str:
    """A time of creation; the higher the later."""
    return f"2026-01-01T00:00:{age:02d}Z"


def obj(kind: str, namespace: str, name: str, spec: Obj | None = None, age: int = 1, **meta: Any) -> Obj:
    metadata = {"namespace": namespace, "name": name, "creationTimestamp": stamp(age), **meta}
    return {"kind": kind, "metadata": metadata, "spec": spec or {}}


def namespace(name: str, **labels: str) -> Obj:
    return {"kind": "Namespace", "metadata": {"name": name, "labels": labels}, "status": {"phase": "Active"}}


def _init(annotations: dict[str, str]) -> list[Obj]:
    """istio-init with the arguments that the injector makes of a pod's annotations; none with interceptionMode NONE."""
    if annotations.get("sidecar.istio.io/interceptionMode") == "NONE":
        return []
    told = {name.rpartition("/")[2]: value for name, value in annotations.items()}
    excluded = ["15090", "15021", "15020", *filter(None, [told.get("excludeInboundPorts")])]
    args = [
        *("-p", "15001", "-z", "15006", "-u", "1337", "-m", told.get("interceptionMode", "REDIRECT")),
        *("-i", told.get("includeOutboundIPRanges", "*"), "-x", told.get("excludeOutboundIPRanges", "")),
        *("-b", told.get("includeInboundPorts", "*"), "-d", ",".join(excluded)),
    ]
    for flag, name in (("-q", "includeOutboundPorts"), ("-o", "excludeOutboundPorts")):
        args += [flag, told[name]] if name in told else []
    return [{"name": "istio-init", "args": ["istio-iptables", *args]}]


def pod(
    namespace: str,
    workload: str,
    *,
    labels: dict[str, str] | None = None,
    sidecar: bool = True,
    role: str = "sidecar",
    native: bool = False,
    annotations: dict[str, str] | None = None,
    suffix: str = "0",
    ip: str = "",
    host_network: bool = False,
    account: str = "default",
    revision: str = "default",
) -> Obj:
    """A pod of a StatefulSet; with a sidecar as the injector leaves it."""
    proxy: Obj = {"name": "istio-proxy", "args": ["proxy", role]}
    if native:
        proxy["restartPolicy"] = "Always"
    containers: list[Obj] = [{"name": "app"}, *([proxy] if sidecar and not native else [])]
    notes = {"istio.io/rev": revision} if sidecar else {}
    claim = {"security.istio.io/tlsMode": "istio"} if sidecar and role == "sidecar" else {}
    spec: Obj = {"containers": containers, "serviceAccountName": account}
    if sidecar and role == "sidecar":
        spec["initContainers"] = [*_init(annotations or {}), *([proxy] if native else [])]
    if host_network:
        spec["hostNetwork"] = True
    made = obj(
        "Pod",
        namespace,
        f"{workload}-{suffix}",
        spec,
        labels={"app": workload, **claim, **(labels or {})},
        annotations={**notes, **(annotations or {})},
        ownerReferences=[{"kind": "StatefulSet", "name": workload, "controller": True}],
    )
    made["status"] = {"podIPs": [{"ip": ip}]} if ip else {}
    return made


def service(
    namespace: str,
    name: str,
    pods: list[Obj],
    ports: dict[int, int] | None = None,
    *,
    headless: bool = False,
    **spec: Any,
) -> list[Obj]:
    """A Service and its EndpointSlice. `ports` maps the service's port to the container's."""
    ports = {80: 8080} if ports is None else ports
    exported = spec.pop("export_to", "")
    body = {
        "clusterIP": "None" if headless else "10.96.0.1",
        "clusterIPs": ["None" if headless else "10.96.0.1"],
        "ports": [{"port": n, "name": f"p{n}", "targetPort": t, "protocol": "TCP"} for n, t in ports.items()],
        **spec,
    }
    notes = {"networking.istio.io/exportTo": exported} if exported else {}
    slice_ = obj("EndpointSlice", namespace, f"{name}-1", labels={"kubernetes.io/service-name": name})
    slice_["ports"] = [{"name": f"p{n}", "port": t} for n, t in ports.items()]
    slice_["endpoints"] = [
        {
            "addresses": [],
            "targetRef": {"kind": "Pod", "namespace": p["metadata"]["namespace"], "name": p["metadata"]["name"]},
        }
        for p in pods
    ]
    return [obj("Service", namespace, name, body, annotations=notes), slice_]


def peer_authentication(
    namespace: str,
    name: str = "default",
    mode: str | None = "STRICT",
    *,
    selector: dict[str, str] | None = None,
    ports: dict[int, str] | None = None,
    age: int = 1,
) -> Obj:
    """`mode` None leaves `mtls` out; a selector of None leaves it out, an empty one is `selector: {}`."""
    spec: Obj = {} if mode is None else {"mtls": {"mode": mode}}
    if selector is not None:
        spec["selector"] = {"matchLabels": selector} if selector else {}
    if ports:
        spec["portLevelMtls"] = {str(port): {"mode": value} for port, value in ports.items()}
    return obj("PeerAuthentication", namespace, name, spec, age)


def tls(mode: str | None, **more: Any) -> Obj:
    """A trafficPolicy."""
    return {**({} if mode is None else {"tls": {"mode": mode}}), **more}


def port_tls(port: int, mode: str | None) -> Obj:
    """An entry of portLevelSettings."""
    return {
        "port": {"number": port},
        **({"loadBalancer": {"simple": "RANDOM"}} if mode is None else {"tls": {"mode": mode}}),
    }


def destination_rule(
    namespace: str,
    host: str,
    mode: str | None = None,
    *,
    name: str = "rule",
    export_to: list[str] | None = None,
    selector: dict[str, str] | None = None,
    ports: list[Obj] | None = None,
    subsets: list[Obj] | None = None,
    policy: bool = True,
    age: int = 1,
    **traffic: Any,
) -> Obj:
    """`policy` false leaves trafficPolicy out."""
    spec: Obj = {"host": host}
    if policy:
        spec["trafficPolicy"] = tls(mode, **({"portLevelSettings": ports} if ports else {}), **traffic)
    if export_to is not None:
        spec["exportTo"] = export_to
    if selector is not None:
        spec["workloadSelector"] = {"matchLabels": selector}
    if subsets:
        spec["subsets"] = subsets
    return obj("DestinationRule", namespace, name, spec, age)


def mesh(
    objects: list[Any], config: Obj | None = None, environment: dict[str, str] | None = None, **fields: Any
) -> Mesh:
    """The mesh that the objects make, as `snapshot` makes it."""
    return snapshot(objects, config, environment, **fields).mesh


def snapshot(
    objects: list[Any], config: Obj | None = None, environment: dict[str, str] | None = None, **fields: Any
) -> Snapshot:
    """What is read of the objects. Lists among them are flattened. `missing` maps a kind to the text; `configs` are passed on."""
    reduce = reducers(DOMAIN)
    found: dict[str, list[Any]] = {kind: [] for kind in reduce}
    for entry in objects:
        for one in entry if isinstance(entry, list) else [entry]:
            found[one["kind"]].append(reduce[one["kind"]](one))
    made = mesh_config({**CONFIG, **(config or {})}, environment=environment or {})
    made = fields.pop("mesh_config", made)
    configs: dict[str, MeshConfig] = fields.pop("configs", {})
    missing = {
        kind: Missing(kind, MissingCause.NO_PERMISSION, text, f"verb list on {kind}")
        for kind, text in fields.pop("missing", {}).items()
    }
    return assembled(found, missing, made, configs, DOMAIN)


def calls(objects: list[Any], config: Obj | None = None, **fields: Any) -> list[Call]:
    """All calls of the mesh that the objects make."""
    return Engine(mesh(objects, config, **fields)).calls()


def pick(found: list[Call], service: str, client: str = "*", port: int = 80) -> Call:
    """The call of a client: its own one, else that of `*`."""
    by_id = {call.id: call for call in found}
    return by_id.get((client, service, port)) or by_id[("*", service, port)]
