# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Routes as earlier versions of the collection wrote them: one VirtualService of a service for callers outside and in the mesh."""

from __future__ import annotations

import copy
from typing import Any

from tests.e2e.releases import NAMESPACE
from tests.support import Cluster

HOST, GATEWAY = "ecommerce.example.com", "istio-system/ecommerce-gateway"
ROUTES = f"/apis/networking.istio.io/v1/namespaces/{NAMESPACE}/virtualservices"
ROOT_NAME = f"ecommerce-gateway-{HOST}"


def route(cluster: Cluster, name: str) -> dict[str, Any] | None:
    return cluster.raw.get(f"{ROUTES}/{name}")


def written(cluster: Cluster, name: str, spec: dict[str, Any], labels: dict[str, str]) -> None:
    """Applies a VirtualService as the roles do."""
    body = {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": labels},
        "spec": spec,
    }
    query = {"fieldManager": "servicemesh-platform", "force": "true"}
    cluster.raw.request(
        "PATCH", f"{ROUTES}/{name}", query=query, body=body, content_type="application/apply-patch+yaml"
    )


def in_one(cluster: Cluster, *services: str) -> None:
    """Gives services their routes as an earlier version of the collection wrote them: one VirtualService for inside and outside."""
    for service in services:
        mesh, outside = route(cluster, service), route(cluster, f"{service}-ingress")
        assert mesh is not None
        assert outside is not None
        inner = {"gateways": ["mesh"], "withoutHeaders": {":authority": {"regex": f"(?i){HOST}(:[0-9]+)?"}}}
        names = {entry["name"] for entry in outside["spec"]["http"]}
        http = copy.deepcopy(mesh["spec"]["http"])
        for entry in http:
            uris = entry.get("match") or [{}]
            binds = [{"gateways": [GATEWAY]}, inner] if entry["name"] in names else [inner]
            entry["match"] = [{**bind, **uri} for bind in binds for uri in uris]
        spec = {"hosts": [*mesh["spec"]["hosts"], HOST], "gateways": [GATEWAY, "mesh"], "http": http}
        written(cluster, service, spec, mesh["metadata"]["labels"])
    root = route(cluster, ROOT_NAME)
    assert root is not None
    gone = {f"{service}-ingress" for service in services}
    root["spec"]["http"] = [
        entry for entry in root["spec"]["http"] if (entry.get("delegate") or {}).get("name") not in gone
    ]
    written(cluster, ROOT_NAME, root["spec"], root["metadata"]["labels"])
    for name in gone:
        cluster.raw.request("DELETE", f"{ROUTES}/{name}")


# Starts a canary of the routes as they are: canary.yml of this version would divide them first.
START = """
- hosts: clusters
  gather_facts: false
  module_defaults:
    group/servicemesh.platform.platform: {kubeconfig: "{{ platform_kubeconfig }}"}
  tasks:
    - ansible.builtin.include_vars: "{{ root }}/roles/user_service/{{ item }}/main.yml"
      loop: [defaults, vars]
    - servicemesh.platform.secret_versions:
        namespace: ecommerce
        names: "{{ __user_service_definition.secret_env | map(attribute='secret') | unique }}"
      register: secrets
    - servicemesh.platform.canary:
        service: user-service
        version: v1.1
        release: "{{ release | combine({'inventory': __user_service_definition | servicemesh.platform.release_of}) }}"
        canary_definitions: "{{ new | servicemesh.platform.canary_manifests(secret_versions=secrets.versions) }}"
        stable_definitions: "{{ new | servicemesh.platform.canary_manifests(track='stable', secret_versions=secrets.versions) }}"
        settings: "{{ given }}"
      vars:
        release: "{{ __user_service_definition | servicemesh.platform.release_of('v1.1') }}"
        new: "{{ __user_service_definition | servicemesh.platform.with_release(release) }}"
"""
