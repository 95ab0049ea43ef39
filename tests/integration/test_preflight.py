# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""preflight on a real API server."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.client import Client

from tests.integration.conftest import run_module

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("cluster")]


def checks(result: dict[str, Any], severity: str = "error") -> set[str]:
    return {finding["check"] for finding in result["findings"] if finding["severity"] == severity}


def test_a_cluster_that_is_fit() -> None:
    result = run_module(
        "preflight",
        istio_version="1.31.0",
        permissions=[
            {"resource": "namespaces", "verbs": ["create", "patch"]},
            {"group": "apps", "resource": "deployments", "verb": "get"},
        ],
        managed_namespaces=["istio-system", "ingress-nginx"],
        check=True,
    )
    assert not result.get("failed"), result["msg"]
    facts = result["facts"]
    assert facts["server_version"].startswith("1.")
    assert facts["node_count"] == len(facts["nodes"]) > 0
    assert facts["nodes"][0]["container_runtime"]
    assert facts["service_cidrs"]


def test_everything_is_told_at_once(client: Client, namespace: str) -> None:
    name = f"{namespace}.example.com"
    hook = {
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration", "metadata": {"name": name},
        "webhooks": [{
            "name": name, "admissionReviewVersions": ["v1"], "sideEffects": "None", "failurePolicy": "Fail",
            "clientConfig": {"service": {"namespace": namespace, "name": "nobody"}},
            "rules": [{"apiGroups": ["nothing.example.com"], "apiVersions": ["v1"], "resources": ["things"], "operations": ["CREATE"]}],
        }],
    }  # fmt: skip
    path = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"
    client.request("POST", path, body=hook)
    try:
        asked: dict[str, Any] = {
            "permissions": [{"group": "nothing.example.com", "resource": "things", "verbs": ["create"]}],
            "pod_cidr": "192.0.2.0/24",
            "service_cidr": "198.51.100.0/24",
        }
        failed = run_module("preflight", **asked)
        told = run_module("preflight", fail_on="none", **asked)
        ignored = run_module("preflight", ignore=["webhooks", "networks", "cgroup"], **asked)
    finally:
        client.request("DELETE", f"{path}/{name}")
    assert failed["failed"]
    for part in (
        f"ValidatingWebhookConfiguration {name}",
        f"Service {namespace}/nobody",
        "pod_cidr",
        "192.0.2.0/24",
        "service_cidr",
    ):
        assert part in failed["msg"]
    assert "webhooks" in checks(told)
    assert "networks" in checks(told, "warning")
    assert not told.get("failed")
    assert not {"webhooks", "networks"} & (checks(ignored) | checks(ignored, "warning"))


def test_a_namespace_of_somebody_else_is_refused_by_what_is_in_it(client: Client, namespace: str) -> None:
    asked: dict[str, Any] = {"namespaces": [namespace, f"{namespace}-new"], "owner": "cluster-prep", "webhooks": False}
    path = f"/api/v1/namespaces/{namespace}"
    # As a platform team prepares a namespace, with the certificate that the ingress needs.
    client.request(
        "POST", f"{path}/secrets", body={"metadata": {"name": "ecommerce-tls"}, "stringData": {"tls.crt": "x"}}
    )
    client.request(
        "POST", f"{path}/resourcequotas", body={"metadata": {"name": "team"}, "spec": {"hard": {"pods": "5"}}}
    )
    free = run_module("preflight", **asked)
    assert not free.get("failed"), free["msg"]

    client.request("POST", f"{path}/services", body={"metadata": {"name": "cart"}, "spec": {"ports": [{"port": 80}]}})
    client.request(
        "POST",
        f"/apis/networking.istio.io/v1/namespaces/{namespace}/virtualservices",
        body={
            "apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": {"name": "cart"},
            "spec": {"hosts": ["cart"], "http": [{"route": [{"destination": {"host": "cart"}}]}]},
        },
    )  # fmt: skip
    used = run_module("preflight", ignore=["networks", "storage", "nodes"], **asked)
    assert used["failed"]
    assert f"Namespace {namespace}: somebody else made it and uses it: Service cart, VirtualService cart" in used["msg"]
    assert f"platform_adopt_namespaces: [{namespace}]" in used["msg"]
    assert f"{namespace}-new" not in used["msg"]
    adopted = run_module("preflight", adopt=[namespace], **asked)
    assert not adopted.get("failed"), adopted["msg"]

    # Who may see the namespace but not what is in it does not know that it is free.
    unknown = run_module("preflight", impersonate_user="nobody", fail_on="none", **asked)
    told = [finding for finding in unknown["findings"] if finding["check"] == "ownership"]
    assert any("not known" in finding["message"] for finding in told), told


def test_a_namespace_that_the_platform_made_is_its_own(client: Client, namespace: str) -> None:
    """Also with workloads that have no label of the collection, as those of charts."""
    marker = {"metadata": {"annotations": {"servicemesh.platform/prepared-by": "cluster-prep"}}}
    client.request("PATCH", f"/api/v1/namespaces/{namespace}", body=marker, content_type="application/merge-patch+json")
    body = {"metadata": {"name": "istiod"}, "spec": {"ports": [{"port": 80}]}}
    client.request("POST", f"/api/v1/namespaces/{namespace}/services", body=body)
    result = run_module("preflight", namespaces=[namespace], owner="cluster-prep", webhooks=False)
    assert not result.get("failed"), result["msg"]


def test_what_somebody_else_runs_is_looked_for(namespace: str) -> None:
    gateway = {
        "namespace": "istio-system", "service": "istio-ingressgateway", "service_account": "istio-ingressgateway",
        "selector": {"istio": "ingressgateway"},
    }  # fmt: skip
    asked: dict[str, Any] = {
        "istio_gateway": gateway, "prometheus": {"service": "monitoring/prometheus:9090"}, "existing_namespaces": ["istio-system"],
        "webhooks": False, "fail_on": "none",
    }  # fmt: skip
    there = run_module("preflight", **asked)
    assert "externals" not in checks(there) | checks(there, "warning"), there["findings"]

    other: dict[str, Any] = {
        "istio_gateway": {**gateway, "service_account": "other"}, "istio_revision": namespace,
        "prometheus": {"service": f"{namespace}/prometheus:9090"}, "existing_namespaces": [f"{namespace}-none"],
    }  # fmt: skip
    missing = run_module("preflight", **{**asked, **other, "fail_on": "error"})
    assert missing["failed"]
    for part in (
        f"Namespace {namespace}-none: it does not exist",
        f"istio.io/rev={namespace}: no sidecar injector selects",
        "its pods have the ServiceAccount istio-ingressgateway, and access rules would allow other only",
        f"Prometheus at service {namespace}/prometheus:9090",
    ):
        assert part in missing["msg"]

    unread = run_module("preflight", impersonate_user="nobody", **asked)
    told = {finding["subject"] for finding in unread["findings"] if finding["check"] == "externals"}
    assert told == {
        "Namespace istio-system",
        "injection of sidecars by istio-injection=enabled",
        "ingress gateway istio-system/istio-ingressgateway",
        "Prometheus at service monitoring/prometheus:9090 through the API server",
    }
    assert "externals" not in checks(unread)


def test_how_an_istio_that_is_there_normalises_paths(client: Client, namespace: str) -> None:
    asked = {
        "path_normalization": "MERGE_SLASHES", "istio_namespace": namespace, "istio_revision": "other", "ignore": ["cgroup", "webhooks"],
    }  # fmt: skip
    assert "paths" not in checks(run_module("preflight", fail_on="none", **asked)), "no Istio is no finding"
    config_map = {
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "istio-other"},
        "data": {"mesh": "pathNormalization: {normalization: NONE}\n"},
    }  # fmt: skip
    client.request("POST", f"/api/v1/namespaces/{namespace}/configmaps", body=config_map)
    failed = run_module("preflight", **asked)
    assert failed["failed"]
    assert f"ConfigMap {namespace}/istio-other" in failed["msg"]
    assert "MERGE_SLASHES" in failed["msg"]


def test_missing_rights_are_named(namespace: str) -> None:
    result = run_module(
        "preflight",
        impersonate_user="nobody",
        permissions=[
            {"group": "apps", "resource": "deployments", "verbs": ["create", "patch"], "namespace": namespace},
            {"resource": "pods/log", "verbs": ["get"], "namespace": namespace},
        ],
    )
    assert result["failed"]
    assert f"may not create, patch deployments.apps in namespace {namespace}" in result["msg"]
    assert f"may not get pods/log in namespace {namespace}" in result["msg"]


def test_a_cluster_that_cannot_be_reached() -> None:
    for name, options in (("preflight", {}), ("apply", {"definitions": []}), ("ready", {"objects": []})):
        result = run_module(name, host="https://127.0.0.1:1", **options)
        if name == "preflight":
            assert "cannot be reached" in result["msg"]
        missing = run_module(name, kubeconfig="/nowhere", **options)
        assert "kubeconfig is '/nowhere'" in missing["msg"]
        assert "platform_kubeconfig" in missing["msg"]
