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
