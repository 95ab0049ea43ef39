# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Istio's objects, as the API server sends them, become the small objects of `_mesh_model`. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.model import (
    DestinationRule,
    EgressHost,
    Endpoint,
    GatewayServer,
    MeshConfig,
    Policy,
    Port,
    Service,
    SidecarScope,
    Subset,
    Traffic,
)

Obj = Mapping[str, Any]


def _meta(obj: Obj) -> tuple[str, str, str]:
    meta = obj.get("metadata") or {}
    return str(meta.get("namespace") or ""), str(meta.get("name") or ""), str(meta.get("creationTimestamp") or "")


def _mode(node: Any) -> str:
    """`mtls.mode`, empty for UNSET."""
    mode = str((node or {}).get("mode") or "") if isinstance(node, Mapping) else ""
    return "" if mode == "UNSET" else mode


def mesh_config(document: Obj, revision: str = "default", environment: Mapping[str, str] | None = None) -> MeshConfig:
    """A revision's MeshConfig from the YAML in its ConfigMap and istiod's environment (null when that could not be read).

    Defaults: istio pkg/config/mesh/mesh.go; switches: istio pilot/pkg/features.
    """
    env = environment or {}

    def on(name: str, default: bool = False) -> bool:
        return str(env.get(name, default)).lower() in ("true", "1")

    auto = document.get("enableAutoMtls")
    return MeshConfig(
        revision=revision,
        root_namespace=str(document.get("rootNamespace") or "istio-system"),
        auto_mtls=True if auto is None else bool(auto),
        trust_domain=str(document.get("trustDomain") or "cluster.local"),
        outbound=str((document.get("outboundTrafficPolicy") or {}).get("mode") or "ALLOW_ANY"),
        destination_rule_export_to=tuple(document.get("defaultDestinationRuleExportTo") or ("*",)),
        service_export_to=tuple(document.get("defaultServiceExportTo") or ("*",)),
        interception=str((document.get("defaultConfig") or {}).get("interceptionMode") or "REDIRECT"),
        eds_for_headless=on("PILOT_ENABLE_EDS_FOR_HEADLESS_SERVICES"),
        sidecar_ingress_tls=on("ENABLE_TLS_ON_SIDECAR_INGRESS"),
        merge_by_export=on("ENABLE_ENHANCED_DESTINATIONRULE_MERGE", True),
        ambient=None if environment is None else on("PILOT_ENABLE_AMBIENT"),
    )


def policy(obj: Obj) -> Policy:
    """A PeerAuthentication. Ports of a policy without selector are dropped, as istiod does."""
    namespace, name, created = _meta(obj)
    spec = obj.get("spec") or {}
    selector = dict((spec.get("selector") or {}).get("matchLabels") or {})
    ports = {int(port): _mode(node) for port, node in (spec.get("portLevelMtls") or {}).items()} if selector else {}
    open_selector = spec.get("selector") is not None and not selector
    return Policy(namespace, name, created, selector, _mode(spec.get("mtls")), ports, open_selector)


def _traffic(node: Any) -> Traffic | None:
    """A trafficPolicy. `tls: {}` is mode DISABLE, the enum's zero (istio.io/api networking/v1alpha3 ClientTLSSettings)."""
    if not isinstance(node, Mapping):
        return None

    def block(part: Obj, ports: Mapping[int, Traffic]) -> Traffic:
        tls = part.get("tls")
        simple = ((part.get("loadBalancer") or {}).get("simple")) or ""
        return Traffic(None if tls is None else str(tls.get("mode") or "DISABLE"), simple == "PASSTHROUGH", ports)

    ports: dict[int, Traffic] = {}
    for part in node.get("portLevelSettings") or []:
        number = (part.get("port") or {}).get("number")
        if number is not None:
            ports.setdefault(int(number), block(part, {}))
    return block(node, ports)


def full_host(host: str, namespace: str, domain: str) -> str:
    """The full name of a host (istio pilot/pkg/model/config.go, ResolveShortnameToFQDN)."""
    return host if "." in host or ":" in host or host in ("", "*") else f"{host}.{namespace}.svc.{domain}"


def destination_rule(obj: Obj, domain: str) -> DestinationRule:
    """A DestinationRule; one with a workloadSelector is private (istio push_context.go, setDestinationRules)."""
    namespace, name, created = _meta(obj)
    spec = obj.get("spec") or {}
    chosen = spec.get("workloadSelector")
    subsets = tuple(
        Subset(str(part.get("name") or ""), dict(part.get("labels") or {}), _traffic(part.get("trafficPolicy")))
        for part in spec.get("subsets") or []
    )
    return DestinationRule(
        namespace,
        name,
        full_host(str(spec.get("host") or ""), namespace, domain),
        created,
        (".",) if chosen is not None else tuple(spec.get("exportTo") or ()),
        None if chosen is None else dict((chosen or {}).get("matchLabels") or {}),
        _traffic(spec.get("trafficPolicy")),
        subsets,
    )


def sidecar(obj: Obj) -> SidecarScope:
    """A Sidecar object."""
    namespace, name, created = _meta(obj)
    spec = obj.get("spec") or {}
    chosen = spec.get("workloadSelector")
    hosts: list[EgressHost] | None = [] if spec.get("egress") else None
    for listener in spec.get("egress") or []:
        port = int((listener.get("port") or {}).get("number") or 0)
        for text in listener.get("hosts") or []:
            where, _slash, host = str(text).partition("/")
            excluded = where.startswith("~")  # `~/*`: nothing at all (istio pilot/pkg/model/sidecar.go)
            where = (where[1:] or "*") if excluded else where
            if hosts is not None:
                hosts.append(EgressHost(where, host, port, excluded))
    ingress = {
        int(part["port"]["number"]): bool(part.get("tls"))
        for part in spec.get("ingress") or []
        if (part.get("port") or {}).get("number")
    }
    return SidecarScope(
        namespace,
        name,
        created,
        None if chosen is None else dict((chosen or {}).get("labels") or {}),
        None if hosts is None else tuple(hosts),
        ingress,
        str((spec.get("outboundTrafficPolicy") or {}).get("mode") or ""),
    )


def gateway_servers(obj: Obj) -> list[GatewayServer]:
    """Servers of a Gateway; `tls: {}` is mode PASSTHROUGH, the enum's zero."""
    namespace, name, _created = _meta(obj)
    spec = obj.get("spec") or {}
    return [
        GatewayServer(
            f"{namespace}/{name}",
            dict(spec.get("selector") or {}),
            int((part.get("port") or {}).get("number") or 0),
            "" if part.get("tls") is None else str(part["tls"].get("mode") or "PASSTHROUGH"),
            tuple(part.get("hosts") or ()),
        )
        for part in spec.get("servers") or []
    ]


def service(obj: Obj, domain: str, endpoints: Mapping[str, Iterable[Endpoint]]) -> Service:
    """A Kubernetes Service (istio pilot/pkg/serviceregistry/kube/conversion.go); `endpoints` by the port's name."""
    namespace, name, _created = _meta(obj)
    spec = obj.get("spec") or {}
    external_name = str(spec.get("externalName") or "") if spec.get("type") == "ExternalName" else ""
    headless = spec.get("clusterIP") == "None"
    exported = ((obj.get("metadata") or {}).get("annotations") or {}).get("networking.istio.io/exportTo") or ""
    ports = tuple(
        Port(
            int(part["port"]),
            str(part.get("name") or ""),
            str(part.get("protocol") or "TCP"),
            tuple(endpoints.get(str(part.get("name") or ""), ())),
        )
        for part in spec.get("ports") or []
    )
    return Service(
        namespace,
        name,
        f"{name}.{namespace}.svc.{domain}",
        ports,
        "alias" if external_name else "headless" if headless else "service",
        external=bool(external_name),
        target=external_name,
        export_to=tuple(part.strip() for part in exported.split(",") if part.strip()),
        addresses=tuple(a for a in spec.get("clusterIPs") or [spec.get("clusterIP")] if a and a != "None"),
    )


def workload_entry(obj: Obj, port: int) -> Endpoint:
    """An address that a ServiceEntry or a WorkloadEntry names (serviceentry/conversion.go, getTLSModeFromWorkloadEntry)."""
    namespace, name, _created = _meta(obj)
    spec = obj.get("spec") or obj
    labels = {**(spec.get("labels") or {}), **((obj.get("metadata") or {}).get("labels") or {})}
    claimed = labels.get("security.istio.io/tlsMode") or ("istio" if spec.get("serviceAccount") else "disabled")
    return Endpoint(
        port, None, claimed, namespace, labels, f"WorkloadEntry {name}" if name else str(spec.get("address"))
    )


def service_entry(obj: Obj, behind: Iterable[Endpoint], entries: Iterable[Obj]) -> list[Service]:
    """One service a host of a ServiceEntry. `behind` are pods that its workloadSelector chooses, their port still 0."""
    namespace, name, _created = _meta(obj)
    spec = obj.get("spec") or {}
    resolution = str(spec.get("resolution") or "NONE")
    inline: list[Obj] = [{"metadata": {"namespace": namespace}, "spec": entry} for entry in spec.get("endpoints") or []]
    inline += list(entries)
    ports = []
    for part in spec.get("ports") or []:
        number = int(part.get("number") or 0)
        target = int(part.get("targetPort") or number)
        found = [Endpoint(target, point.group) for point in behind]
        for entry in inline:
            own = (entry["spec"].get("ports") or {}).get(part.get("name"))
            found.append(workload_entry(entry, int(own or target)))
        if not found and resolution.startswith("DNS"):  # the host itself, never with the mesh's TLS
            found = [Endpoint(target, what="the host that DNS names")]
        ports.append(Port(number, str(part.get("name") or ""), str(part.get("protocol") or "TCP"), tuple(found)))
    return [
        Service(
            namespace,
            str(host),
            str(host),
            tuple(ports),
            "entry",
            external=str(spec.get("location") or "MESH_EXTERNAL") == "MESH_EXTERNAL",
            passthrough=resolution == "NONE",
            target=name,
            export_to=tuple(spec.get("exportTo") or ()),
            addresses=tuple(spec.get("addresses") or ()),
        )
        for host in spec.get("hosts") or []
    ]
