# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What prevents this platform from running on a cluster, found in facts that `facts` has read. No I/O."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal, assert_never

from ansible_collections.servicemesh.platform.plugins.module_utils._kube.readiness import condition
from ansible_collections.servicemesh.platform.plugins.module_utils._preflight import ownership
from ansible_collections.servicemesh.platform.plugins.module_utils._preflight.ownership import Contents, Use

# Istio's supported releases and the minor versions of Kubernetes 1.x that each supports
# (istio.io/latest/docs/releases/supported-releases).
SUPPORTED = {"1.30": (32, 36), "1.31": (32, 36)}
# Older releases are out of support; up to Istio 1.28, none of them supports a Kubernetes after 1.34.
_OLD_ISTIO, _OLD_ISTIO_HIGHEST = (1, 28), 34
# DaemonSets of network plugins, by the names that their projects and the clouds give them.
_NETWORK_PLUGINS = {
    "calico-node": "calico",
    "canal": "canal",
    "cilium": "cilium",
    "anetd": "cilium",  # GKE Dataplane V2
    "kube-flannel-ds": "flannel",
    "kube-flannel": "flannel",
    "aws-node": "amazon-vpc-cni",
    "azure-cns": "azure-cni",
    "kindnet": "kindnet",
    "kube-router": "kube-router",
    "antrea-agent": "antrea",
    "weave-net": "weave-net",
    "ovnkube-node": "ovn-kubernetes",
}
_KUBELET_SKEW = 3  # minor versions that a kubelet may be older (kubernetes.io/releases/version-skew-policy)
_CGROUP_V1_ENDS = 35  # from this minor version on the kubelet refuses cgroup v1 by default


class Severity(StrEnum):
    """An error prevents the run, a warning does not."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding. `check`: name of the check, for the option `ignore`."""

    check: str
    severity: Severity
    subject: str
    message: str
    action: str

    def as_dict(self) -> dict[str, str]:
        """For a module's result."""
        return {
            "check": self.check,
            "severity": self.severity.value,
            "subject": self.subject,
            "message": self.message,
            "action": self.action,
        }

    def __str__(self) -> str:
        return f"{self.subject}: {self.message}. {self.action}"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is expected of the cluster; an empty value expects nothing.

    `owner`: the set that prepares the namespaces, which nobody else may use. `adopt`: those of others that it may take over.
    """

    istio_version: str = ""
    pod_cidr: str = ""
    service_cidr: str = ""
    dns_domain: str = ""
    require_storage_class: bool = False
    namespaces: tuple[str, ...] = ()
    managed_namespaces: tuple[str, ...] = ()
    groups: frozenset[str] = frozenset()
    owner: str = ""
    adopt: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Facts:
    """What was read. None: it could not be read (no right, or the cluster does not have it).

    `contents`: what is in the namespaces that the platform has not prepared.
    """

    version: Mapping[str, Any] = field(default_factory=dict)
    nodes: list[Mapping[str, Any]] | None = None
    storage_classes: list[Mapping[str, Any]] | None = None
    service_cidrs: list[str] | None = None
    kubeadm: Mapping[str, Any] | None = None
    kubelet: Mapping[str, Any] | None = None
    webhooks: Sequence[Mapping[str, Any]] | None = None
    namespaces: list[Mapping[str, Any]] | None = None
    contents: Mapping[str, Contents] = field(default_factory=dict)
    daemon_sets: list[Mapping[str, Any]] | None = None


def minor_of(version: str) -> int | None:
    """Minor version of `v1.35.4` and the like."""
    match = re.match(r"v?1\.(\d+)", version)
    return int(match.group(1)) if match else None


def server_version(facts: Facts) -> str:
    """Version of the API server, as `1.35.4`."""
    return str(facts.version.get("gitVersion", "")).removeprefix("v")


def findings_of(facts: Facts, wanted: Wanted) -> list[Finding]:
    """All findings, errors first."""
    found = [
        *_versions(facts, wanted),
        *_nodes(facts),
        *_storage(facts, wanted),
        *_networks(facts, wanted),
        *_kubelet(facts),
        *_webhooks(facts, wanted),
        *_namespaces(facts, wanted),
        *_ownership(facts, wanted),
    ]
    return sorted(found, key=lambda finding: (finding.severity != Severity.ERROR, finding.check, finding.subject))


def _versions(facts: Facts, wanted: Wanted) -> Iterable[Finding]:
    server, minor = server_version(facts), minor_of(server_version(facts))
    if not wanted.istio_version or minor is None:
        return
    release = ".".join(wanted.istio_version.removeprefix("v").split(".")[:2])
    subject = f"Kubernetes {server} with Istio {wanted.istio_version}"
    if release not in SUPPORTED:
        parts = tuple(int(part) for part in release.split(".") if part.isdigit())
        if len(parts) == 2 and parts <= _OLD_ISTIO and minor > _OLD_ISTIO_HIGHEST:
            yield Finding(
                "versions",
                Severity.ERROR,
                subject,
                f"Istio {release} supports no Kubernetes after 1.{_OLD_ISTIO_HIGHEST}",
                f"Use Istio {' or '.join(SUPPORTED)}",
            )
            return
        yield Finding(
            "versions",
            Severity.WARNING,
            subject,
            "this collection does not know which Kubernetes versions this release of Istio supports",
            f"Use Istio {' or '.join(SUPPORTED)}, or check Istio's table of supported releases",
        )
        return
    low, high = SUPPORTED[release]
    if not low <= minor <= high:
        fitting = [name for name, (a, b) in SUPPORTED.items() if a <= minor <= b]
        yield Finding(
            "versions",
            Severity.ERROR,
            subject,
            f"Istio {release} supports Kubernetes 1.{low} to 1.{high}",
            f"Use Istio {' or '.join(fitting)}" if fitting else f"Use a cluster of Kubernetes 1.{low} to 1.{high}",
        )


def _nodes(facts: Facts) -> Iterable[Finding]:
    if facts.nodes is None:
        return
    server = minor_of(server_version(facts))
    if not facts.nodes:
        yield Finding("nodes", Severity.ERROR, "nodes", "the cluster has no node", "Add a node")
        return
    unready = [node["metadata"]["name"] for node in facts.nodes if not is_ready(node)]
    if len(unready) == len(facts.nodes):
        yield Finding(
            "nodes",
            Severity.ERROR,
            "nodes",
            f"none of {len(unready)} nodes is Ready: {', '.join(unready[:5])}",
            "Check `kubectl describe node`; no pod can start",
        )
    elif unready:
        yield Finding(
            "nodes",
            Severity.WARNING,
            "nodes",
            f"{len(unready)} of {len(facts.nodes)} nodes are not Ready: {', '.join(unready[:5])}",
            "Check `kubectl describe node`",
        )
    for node in facts.nodes:
        version = _info(node).get("kubeletVersion", "")
        minor = minor_of(version)
        if server is not None and minor is not None and (minor < server - _KUBELET_SKEW or minor > server):
            yield Finding(
                "nodes",
                Severity.WARNING,
                f"node {node['metadata']['name']}",
                f"its kubelet is {version}, the API server {server_version(facts)}",
                f"A kubelet may be at most {_KUBELET_SKEW} minor versions older than the API server, and never newer",
            )


def is_ready(node: Mapping[str, Any]) -> bool:
    """Whether a node is Ready."""
    return condition(node, "Ready").get("status") == "True"


def _info(node: Mapping[str, Any]) -> Mapping[str, Any]:
    return (node.get("status") or {}).get("nodeInfo") or {}


def default_classes(facts: Facts) -> list[str]:
    """Names of the default storage classes."""
    return [
        entry["metadata"]["name"]
        for entry in facts.storage_classes or []
        if (entry["metadata"].get("annotations") or {}).get("storageclass.kubernetes.io/is-default-class") == "true"
    ]


def _storage(facts: Facts, wanted: Wanted) -> Iterable[Finding]:
    if facts.storage_classes is None:
        return
    defaults = default_classes(facts)
    names = [entry["metadata"]["name"] for entry in facts.storage_classes]
    if wanted.require_storage_class and not defaults:
        there = f"there are {', '.join(names)}" if names else "there is no storage class at all"
        yield Finding(
            "storage",
            Severity.ERROR,
            "storage class",
            f"the databases need volumes and no storage class is the default; {there}",
            "Mark one with the annotation storageclass.kubernetes.io/is-default-class, name one in "
            "datastore_storage_class, or set platform_storage to emptydir (data is lost with the pod)",
        )
    if len(defaults) > 1:
        yield Finding(
            "storage",
            Severity.WARNING,
            "storage class",
            f"several are the default: {', '.join(defaults)}",
            "Keep the annotation on one of them; Kubernetes uses the newest one",
        )


def pod_cidrs(facts: Facts) -> list[str]:
    """Networks of the pods: that of the whole cluster where kubeadm's configuration has it, else those of the nodes."""
    whole = _kubeadm_network(facts, "podSubnet")
    if whole:
        return whole
    found: list[str] = []
    for node in facts.nodes or []:
        spec = node.get("spec") or {}
        found += spec.get("podCIDRs") or ([spec["podCIDR"]] if spec.get("podCIDR") else [])
    return sorted(set(found))


def service_cidrs(facts: Facts) -> list[str]:
    """Networks of the services, from ServiceCIDR objects or from kubeadm's configuration."""
    return facts.service_cidrs or _kubeadm_network(facts, "serviceSubnet")


def dns_domain(facts: Facts) -> str:
    """The cluster's DNS domain, from the kubelet or from kubeadm's configuration; empty when both lack it."""
    domain = (facts.kubelet or {}).get("clusterDomain") or ((facts.kubeadm or {}).get("networking") or {}).get(
        "dnsDomain"
    )
    return str(domain or "")


def network_plugin(facts: Facts) -> str:
    """Name of the network plugin whose DaemonSet runs; empty when it is not known, or when it would be one of several."""
    names = {entry["metadata"]["name"] for entry in facts.daemon_sets or []}
    found = {_NETWORK_PLUGINS[name] for name in names & set(_NETWORK_PLUGINS)}
    return found.pop() if len(found) == 1 else ""


def _kubeadm_network(facts: Facts, key: str) -> list[str]:
    text = ((facts.kubeadm or {}).get("networking") or {}).get(key) or ""
    return [part.strip() for part in text.split(",") if part.strip()]


def _networks(facts: Facts, wanted: Wanted) -> Iterable[Finding]:
    pods, services = pod_cidrs(facts), service_cidrs(facts)
    for name, stated, real, fits in (
        (
            "pod_cidr",
            wanted.pod_cidr,
            pods,
            all(_within(p, wanted.pod_cidr) for p in pods if _same_family(p, wanted.pod_cidr)),
        ),
        ("service_cidr", wanted.service_cidr, services, wanted.service_cidr in services),
    ):
        if stated and real and not fits:
            yield Finding(
                "networks",
                Severity.WARNING,
                name,
                f"cluster_prep_{name} is {stated}, the cluster has {', '.join(real)}",
                f"Set cluster_prep_{name} to the cluster's value",
            )
    domain = dns_domain(facts)
    if wanted.dns_domain and domain and domain != wanted.dns_domain:
        yield Finding(
            "networks",
            Severity.WARNING,
            "dns_domain",
            f"platform_cluster_domain is {wanted.dns_domain}, the cluster has {domain}",
            f"Set platform_cluster_domain to {domain}; names such as user-service.ecommerce.svc.<domain> would not resolve",
        )


def _within(part: str, whole: str) -> bool:
    """Whether a network is part of another one, as a node's pod network is part of the cluster's."""
    try:
        inner, outer = ipaddress.ip_network(part, strict=False), ipaddress.ip_network(whole, strict=False)
    except ValueError:
        return False
    if isinstance(inner, ipaddress.IPv4Network) and isinstance(outer, ipaddress.IPv4Network):
        return inner.subnet_of(outer)
    if isinstance(inner, ipaddress.IPv6Network) and isinstance(outer, ipaddress.IPv6Network):
        return inner.subnet_of(outer)
    return False


def _same_family(part: str, whole: str) -> bool:
    return (":" in part) == (":" in whole)


def _kubelet(facts: Facts) -> Iterable[Finding]:
    minor = minor_of(server_version(facts))
    if facts.kubelet is None or minor is None or minor < _CGROUP_V1_ENDS:
        return
    if facts.kubelet.get("failCgroupV1") is False:
        yield Finding(
            "cgroup",
            Severity.WARNING,
            "kubelet",
            "it runs with failCgroupV1: false, so the node may be on cgroup v1",
            "Move nodes to cgroup v2 (`stat -fc %T /sys/fs/cgroup` says cgroup2fs); Kubernetes ends its support of cgroup v1",
        )


def _webhooks(facts: Facts, wanted: Wanted) -> Iterable[Finding]:
    """Webhooks without a ready endpoint. One that this run repairs itself is a warning, because the repair must be able to run."""
    for hook in facts.webhooks or []:
        if hook["ready"]:
            continue
        blocks = hook["failure_policy"] != "Ignore" and bool(
            "*" in hook["groups"] or not wanted.groups or wanted.groups & set(hook["groups"])
        )
        repairs = hook["namespace"] in wanted.managed_namespaces
        yield Finding(
            "webhooks",
            Severity.ERROR if blocks and not repairs else Severity.WARNING,
            f"{hook['kind']} {hook['configuration']}",
            f"webhook {hook['name']} calls Service {hook['namespace']}/{hook['service']}, which has no ready endpoint"
            + (
                ""
                if hook["failure_policy"] == "Ignore"
                else "; the API server refuses the requests that it has to check"
            ),
            "This run starts it again"
            if repairs
            else "Start its pods again, or delete the configuration if nothing uses it",
        )


def _namespaces(facts: Facts, wanted: Wanted) -> Iterable[Finding]:
    for namespace in facts.namespaces or []:
        name = namespace["metadata"]["name"]
        if name in wanted.namespaces and namespace["metadata"].get("deletionTimestamp"):
            yield Finding(
                "namespaces",
                Severity.ERROR,
                f"Namespace {name}",
                "it is being deleted, so nothing can be created in it",
                "Wait until it is gone and run again; `kubectl get namespace -o yaml` shows what keeps it",
            )


def unprepared(namespaces: Iterable[Mapping[str, Any]], wanted: Wanted) -> list[str]:
    """Names of the namespaces whose contents tell whether somebody else uses them."""
    if not wanted.owner:
        return []
    return sorted(
        namespace["metadata"]["name"]
        for namespace in namespaces
        if namespace["metadata"]["name"] in set(wanted.namespaces) - wanted.adopt
        and not ownership.is_prepared(namespace, wanted.owner)
    )


def _ownership(facts: Facts, wanted: Wanted) -> Iterable[Finding]:
    """Namespaces that somebody else made and uses. Only the inventory's word makes one the platform's."""
    if not wanted.owner:
        return
    if facts.namespaces is None:
        yield from (_taken(name, Use.UNKNOWN, ["namespaces"]) for name in sorted(set(wanted.namespaces) - wanted.adopt))
        return
    for name in unprepared(facts.namespaces, wanted):
        judgement = ownership.judged(facts.contents[name])
        if judgement.use is not Use.FREE:
            yield _taken(name, judgement.use, judgement.evidence)


def _taken(name: str, use: Literal[Use.USED, Use.UNKNOWN], evidence: Iterable[str]) -> Finding:
    adopt = f"or let the platform take it over: platform_adopt_namespaces: [{name}]"
    match use:
        case Use.USED:
            message = f"somebody else made it and uses it: {ownership.told(evidence)}"
            action = (
                "Give the platform another namespace (platform_namespace, platform_istio_namespace, platform_ingress_namespace, "
                f"platform_monitoring_namespace or the role's own variable), {adopt}; its pods then get sidecars, Pod Security levels, "
                "STRICT mutual TLS and deny by default, as the roles have them"
            )
        case Use.UNKNOWN:
            message = (
                f"whether somebody else uses it is not known, because these cannot be read: {ownership.told(evidence)}"
            )
            action = f"Grant list on them in namespace {name}, repair the API that does not answer, {adopt}"
        case _:
            assert_never(use)
    return Finding("ownership", Severity.ERROR, f"Namespace {name}", message, action)


def permission_findings(denied: Iterable[Mapping[str, str]], who: str = "this identity") -> list[Finding]:
    """One finding for each resource and namespace, with all verbs that are denied."""
    grouped: dict[tuple[str, str, str], list[str]] = {}
    for entry in denied:
        key = (entry.get("group", ""), entry["resource"], entry.get("namespace", ""))
        grouped.setdefault(key, []).append(entry["verb"])
    found = []
    for (group, resource, namespace), verbs in sorted(grouped.items()):
        full = f"{resource}.{group}" if group else resource
        where = f"namespace {namespace}" if namespace else "the whole cluster"
        found.append(
            Finding(
                "permissions",
                Severity.ERROR,
                f"permission on {full}",
                f"{who} may not {', '.join(sorted(set(verbs)))} {full} in {where}",
                "Grant it by a Role or ClusterRole, or use another kubeconfig or context",
            )
        )
    return found


def report(findings: Iterable[Finding]) -> str:
    """All findings as one message."""
    listed = list(findings)
    errors = [finding for finding in listed if finding.severity == Severity.ERROR]
    lines = [f"The cluster is not fit for the platform; nothing was changed ({len(errors)} findings to fix):"]
    lines += [f"  - {finding}" for finding in errors]
    warnings = [finding for finding in listed if finding.severity != Severity.ERROR]
    if warnings:
        lines += ["Warnings:", *(f"  - {finding}" for finding in warnings)]
    return "\n".join(lines)
