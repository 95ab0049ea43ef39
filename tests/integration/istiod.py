# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The control plane of the mesh, which all tests share: only those that run alone change it."""

from __future__ import annotations

from ansible_collections.servicemesh.platform.plugins.module_utils._kube.client import Client

from tests.integration.conftest import run_module

DEPLOYMENT = "/apis/apps/v1/namespaces/istio-system/deployments/istiod"


def scale(client: Client, replicas: int) -> None:
    """Sets the replicas of istiod, as the owner of the field."""
    body, kind = {"spec": {"replicas": replicas}}, "application/merge-patch+json"
    client.request("PATCH", f"{DEPLOYMENT}/scale", body=body, content_type=kind, query={"fieldManager": "helm"})


def wait_until_ready() -> None:
    """Until all its pods are ready."""
    ready = [{"kind": "Deployment", "name": "istiod", "namespace": "istio-system"}]
    assert not run_module("ready", objects=ready, wait_timeout=60).get("failed")
