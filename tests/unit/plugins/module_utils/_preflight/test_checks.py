# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a preflight finds."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.servicemesh.platform.plugins.module_utils._preflight import checks as p
from ansible_collections.servicemesh.platform.plugins.module_utils._preflight.checks import Facts, Wanted


def server(version: str = "v1.35.4", **facts: Any) -> Facts:
    return Facts({"gitVersion": version}, **facts)


def found(facts: Facts, **wanted: Any) -> list[tuple[str, str]]:
    return [(finding.check, finding.severity) for finding in p.findings_of(facts, Wanted(**wanted))]


def node(name: str = "n1", ready: str = "True", kubelet: str = "v1.35.1", **spec: Any) -> dict[str, Any]:
    status = {"conditions": [{"type": "Ready", "status": ready}], "nodeInfo": {"kubeletVersion": kubelet}}
    return {"metadata": {"name": name}, "spec": spec, "status": status}


@pytest.mark.parametrize(
    ("kubernetes", "istio", "expected"),
    [
        ("v1.32.0", "1.31.0", []),
        ("v1.36.2", "1.30.4", []),
        ("v1.35.4+k3s1", "v1.31.0", []),
        ("v1.37.0", "1.31.0", [("versions", "error")]),
        ("v1.31.9", "1.30.0", [("versions", "error")]),
        ("v1.35.4", "1.29.0", [("versions", "warning")]),
        ("v1.35.4", "", []),
        ("", "1.31.0", []),
    ],
)
def test_versions(kubernetes: str, istio: str, expected: Any) -> None:
    assert found(server(kubernetes), istio_version=istio) == expected


def test_nodes() -> None:
    assert found(server(nodes=[node()])) == []
    assert found(server(nodes=None)) == []
    assert found(server(nodes=[])) == [("nodes", "error")]
    assert found(server(nodes=[node(ready="False")])) == [("nodes", "error")]
    assert found(server(nodes=[node(), node("n2", ready="Unknown")])) == [("nodes", "warning")]
    assert found(server(nodes=[node(kubelet="v1.31.0")])) == [("nodes", "warning")]
    assert found(server(nodes=[node(kubelet="v1.36.0")])) == [("nodes", "warning")]
    assert found(server(nodes=[node(kubelet="v1.32.0")])) == []


def storage(name: str, default: bool) -> dict[str, Any]:
    annotations = {"storageclass.kubernetes.io/is-default-class": "true"} if default else {}
    return {"metadata": {"name": name, "annotations": annotations}}


def test_storage_classes() -> None:
    assert found(server(storage_classes=[]), require_storage_class=True) == [("storage", "error")]
    assert found(server(storage_classes=[storage("a", False)]), require_storage_class=True) == [("storage", "error")]
    assert found(server(storage_classes=[storage("a", True)]), require_storage_class=True) == []
    assert found(server(storage_classes=[])) == []
    assert found(server(storage_classes=None), require_storage_class=True) == []
    assert found(server(storage_classes=[storage("a", True), storage("b", True)])) == [("storage", "warning")]


def test_networks() -> None:
    facts = server(
        nodes=[node(podCIDR="10.244.3.0/24", podCIDRs=["10.244.3.0/24", "fd00::/64"])], service_cidrs=["10.96.0.0/12"]
    )
    assert found(facts, pod_cidr="10.244.0.0/16", service_cidr="10.96.0.0/12") == []
    assert found(facts, pod_cidr="10.1.0.0/16") == [("networks", "warning")]
    assert found(facts, pod_cidr="fd00::/48") == []
    assert found(facts, service_cidr="10.0.0.0/8") == [("networks", "warning")]
    assert found(server(), pod_cidr="10.1.0.0/16", service_cidr="10.2.0.0/16", dns_domain="x") == []
    kubeadm = {
        "networking": {"podSubnet": "10.244.0.0/16, fd00::/48", "serviceSubnet": "10.96.0.0/12", "dnsDomain": "a.b"}
    }
    assert found(server(kubeadm=kubeadm), pod_cidr="10.244.0.0/16", service_cidr="10.96.0.0/12", dns_domain="a.b") == []
    assert found(server(kubeadm=kubeadm), dns_domain="cluster.local") == [("networks", "warning")]
    assert found(server(kubelet={"clusterDomain": "cluster.local"}, kubeadm=kubeadm), dns_domain="cluster.local") == []


@pytest.mark.parametrize(
    ("names", "plugin"),
    [
        (["calico-node", "node-exporter"], "calico"),
        (["aws-node"], "amazon-vpc-cni"),
        (["kube-proxy"], ""),
        (["aws-node", "cilium"], ""),  # chained: which one is meant is not known
        (None, ""),
    ],
)
def test_the_network_plugin_is_named_only_when_it_is_known(names: list[str] | None, plugin: str) -> None:
    daemon_sets = None if names is None else [{"metadata": {"name": name}} for name in names]
    assert p.network_plugin(server(daemon_sets=daemon_sets)) == plugin


def test_cgroup_v1_is_hinted_at() -> None:
    assert found(server(kubelet={"failCgroupV1": False})) == [("cgroup", "warning")]
    assert found(server("v1.34.0", kubelet={"failCgroupV1": False})) == []
    assert found(server(kubelet={})) == []


def hook(**changed: Any) -> dict[str, Any]:
    return {
        "kind": "ValidatingWebhookConfiguration", "configuration": "c", "name": "w", "namespace": "n", "service": "s",
        "failure_policy": "Fail", "groups": ["apps"], "ready": False, **changed,
    }  # fmt: skip


def test_webhooks_that_nobody_answers() -> None:
    groups = frozenset({"", "apps"})
    assert found(server(webhooks=[hook(ready=True)]), groups=groups) == []
    assert found(server(webhooks=[hook()]), groups=groups) == [("webhooks", "error")]
    assert found(server(webhooks=[hook(groups=["*"])]), groups=groups) == [("webhooks", "error")]
    assert found(server(webhooks=[hook(groups=["kafka.io"])]), groups=groups) == [("webhooks", "warning")]
    assert found(server(webhooks=[hook(failure_policy="Ignore")]), groups=groups) == [("webhooks", "warning")]
    assert found(server(webhooks=[hook()]), groups=groups, managed_namespaces=("n",)) == [("webhooks", "warning")]


def test_namespaces_that_are_being_deleted() -> None:
    leaving = {"metadata": {"name": "n", "deletionTimestamp": "2026-01-01T00:00:00Z"}}
    assert found(server(namespaces=[leaving]), namespaces=("n",)) == [("namespaces", "error")]
    assert found(server(namespaces=[leaving]), namespaces=("other",)) == []


def test_missing_permissions_are_grouped() -> None:
    missing = [
        {"group": "apps", "resource": "deployments", "verb": verb, "namespace": "n"} for verb in ("patch", "create")
    ] + [{"group": "", "resource": "namespaces", "verb": "create", "namespace": ""}]
    first, second = p.permission_findings(missing)
    assert "may not create namespaces in the whole cluster" in first.message
    assert "may not create, patch deployments.apps in namespace n" in second.message


def test_the_report_tells_everything_errors_first() -> None:
    facts = server("v1.37.0", nodes=[], kubelet={"failCgroupV1": False}, storage_classes=[])
    findings = p.findings_of(facts, Wanted(istio_version="1.31.0", require_storage_class=True))
    text = p.report(findings)
    assert "(3 findings to fix)" in text
    assert text.index("storage class") < text.index("failCgroupV1")
    assert all(finding.action in text for finding in findings)
