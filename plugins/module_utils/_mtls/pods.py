# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pods become groups: those of one workload that are alike in all that counts for mutual TLS. Pure.

Ten thousand pods are some hundred groups, and only groups are judged. A pod is reduced as soon as its page has been read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._kube.readiness import condition
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.model import (
    Capture,
    DestinationRule,
    Group,
    MeshConfig,
    Policy,
    SidecarScope,
)

Obj = Mapping[str, Any]
PROXY = "istio-proxy"
_STATUS = "sidecar.istio.io/status"
_TRAFFIC = "traffic.sidecar.istio.io/"


@dataclass(frozen=True, slots=True)
class Pod:
    """What of a pod is kept: its facts as a Group of one, its name and addresses, and whether it can be asked (`up`)."""

    name: str
    group: Group
    ips: tuple[str, ...]
    up: bool


def _owner(pod: Obj) -> str:
    """Name of the workload: the Deployment of a ReplicaSet, else the controller, else the pod itself."""
    meta = pod["metadata"]
    for owner in meta.get("ownerReferences") or []:
        if owner.get("controller"):
            name = str(owner.get("name") or "")
            hashed = (meta.get("labels") or {}).get("pod-template-hash")
            if owner.get("kind") == "ReplicaSet" and hashed:
                return name.removesuffix(f"-{hashed}")
            return name
    return str(meta.get("name") or "")


def _proxy(spec: Obj) -> str:
    """`sidecar`, `router` or `waypoint` for a pod with Istio's proxy, else nothing. A native sidecar is an init container."""
    native = [c for c in spec.get("initContainers") or [] if c.get("restartPolicy") == "Always"]
    for container in [*(spec.get("containers") or []), *native]:
        if container.get("name") == PROXY:
            args = list(container.get("args") or [])
            role = args[1] if len(args) > 1 and args[0] == "proxy" else "sidecar"
            return role if role in ("router", "waypoint") else "sidecar"
    return ""


def _ports(text: str) -> frozenset[int]:
    return frozenset(int(part) for part in text.split(",") if part.strip().isdigit())


def _capture(annotations: Mapping[str, str], default_mode: str) -> Capture:
    """What istio-iptables takes (istio tools/istio-iptables; the injector writes these annotations on each pod)."""
    included = annotations.get(_TRAFFIC + "includeInboundPorts", "*").strip()
    ranges = annotations.get(_TRAFFIC + "includeOutboundIPRanges", "*")
    return Capture(
        include_in=None if included == "*" else _ports(included),
        exclude_in=_ports(annotations.get(_TRAFFIC + "excludeInboundPorts", "")),
        exclude_out=_ports(annotations.get(_TRAFFIC + "excludeOutboundPorts", "")),
        include_out_ranges=tuple(part.strip() for part in ranges.split(",") if part.strip()),
        exclude_out_ranges=tuple(
            part.strip()
            for part in annotations.get(_TRAFFIC + "excludeOutboundIPRanges", "").split(",")
            if part.strip()
        ),
        none=annotations.get("sidecar.istio.io/interceptionMode", default_mode) == "NONE",
    )


def pod(obj: Obj, default_mode: str = "REDIRECT") -> Pod:
    """One pod, reduced."""
    meta, spec, status = obj["metadata"], obj.get("spec") or {}, obj.get("status") or {}
    labels, annotations = meta.get("labels") or {}, meta.get("annotations") or {}
    role, host_network = _proxy(spec), bool(spec.get("hostNetwork"))
    ambient = annotations.get("ambient.istio.io/redirection") == "enabled"
    kind = {"router": "gateway", "": "ambient" if ambient else "none"}.get(role, role)
    group = Group(
        str(meta.get("namespace") or ""),
        _owner(obj),
        labels,
        kind,
        str(annotations.get("istio.io/rev") or labels.get("istio.io/rev") or "") if kind != "none" else "",
        str(labels.get("security.istio.io/tlsMode") or "disabled"),
        ambient or labels.get("networking.istio.io/tunnel") == "http",
        host_network,
        _capture(annotations, default_mode) if kind == "sidecar" else Capture(),
        "" if kind != "none" else _why(labels, annotations, host_network),
        str(spec.get("serviceAccountName") or "default"),
    )
    ips = tuple(str(entry.get("ip")) for entry in status.get("podIPs") or [] if entry.get("ip"))
    ips = ips or ((status["podIP"],) if status.get("podIP") else ())
    return Pod(str(meta.get("name") or ""), group, ips, not meta.get("deletionTimestamp") and _is_ready(obj))


def _is_ready(obj: Obj) -> bool:
    """Whether the proxy has its configuration, which its readiness probe tells; of a pod without one, whether the pod is ready.

    A proxy that starts has no listener yet, and one that ends has none any more: neither says anything of the mesh.
    """
    status = obj.get("status") or {}
    for entry in [*(status.get("containerStatuses") or []), *(status.get("initContainerStatuses") or [])]:
        if entry.get("name") == PROXY:
            return bool(entry.get("ready"))
    return condition(obj, "Ready").get("status") == "True"


def _why(labels: Mapping[str, str], annotations: Mapping[str, str], host_network: bool) -> str:
    """Why a pod has no sidecar, as far as it says so itself (istio pkg/kube/inject/inject.go, injectRequired)."""
    if host_network:
        return "hostNetwork: the injector leaves it alone"
    wish = labels.get("sidecar.istio.io/inject") or annotations.get("sidecar.istio.io/inject")
    if wish == "false":
        return "sidecar.istio.io/inject is false"
    if _STATUS in annotations:
        return f"annotation {_STATUS} says that it was injected, but there is no container {PROXY}"
    return ""


def _injects(labels: Mapping[str, str]) -> bool:
    """Whether a namespace's labels ask for injection."""
    wish = labels.get("istio-injection")
    return wish == "enabled" or (wish is None and bool(labels.get("istio.io/rev")))


def selected_labels(
    policies: Iterable[Policy],
    destination_rules: Iterable[DestinationRule],
    sidecars: Iterable[SidecarScope],
    more: Iterable[Mapping[str, str]],
) -> frozenset[tuple[str, str]]:
    """Labels (key and value) that any selector asks for. All others cannot change a verdict."""
    pairs: set[tuple[str, str]] = set()
    for entry in policies:
        pairs |= entry.selector.items()
    for destination_rule in destination_rules:
        pairs |= (destination_rule.selector or {}).items()
        for subset in destination_rule.subsets:
            pairs |= subset.labels.items()
    for scope in sidecars:
        pairs |= (scope.selector or {}).items()
    for selector in more:
        pairs |= selector.items()
    return frozenset(pairs)


def _key(group: Group) -> tuple[Any, ...]:
    return (
        *(
            group.namespace,
            group.workload,
            frozenset(group.labels.items()),
            group.kind,
            group.revision,
            group.tls_label,
        ),
        *(group.hbone, group.host_network, group.capture, group.why, group.service_account),
    )


def grouped(
    pods: Iterable[Pod], chosen: frozenset[tuple[str, str]], namespace_labels: Mapping[str, Mapping[str, str]]
) -> tuple[list[Group], dict[tuple[str, str], int], dict[str, int]]:
    """Groups; which group a pod `(namespace, name)` is in; which one an address is in (hostNetwork has no address of its own)."""
    groups: list[Group] = []
    seen: dict[tuple[Any, ...], int] = {}
    by_name: dict[tuple[str, str], int] = {}
    by_ip: dict[str, int] = {}
    for entry in pods:
        why = entry.group.why
        if entry.group.kind == "none" and not why:
            wanted = _injects(namespace_labels.get(entry.group.namespace) or {})
            why = (
                "it is older than the namespace's injection label" if wanted else "its namespace asks for no injection"
            )
        labels = dict(entry.group.labels.items() & chosen)
        group = replace(entry.group, labels=labels, why=why)
        index = seen.setdefault(_key(group), len(groups))
        if index == len(groups):
            groups.append(replace(group, count=0))
        groups[index] = replace(groups[index], count=groups[index].count + 1)
        by_name[(group.namespace, entry.name)] = index
        if not group.host_network:
            by_ip.update(dict.fromkeys(entry.ips, index))
    return groups, by_name, by_ip


def revisions(pods: Iterable[Pod]) -> list[str]:
    """Revisions that serve a pod, besides the default one."""
    return sorted({entry.group.revision for entry in pods} - {"", MeshConfig().revision})
