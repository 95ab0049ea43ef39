# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which pods are endpoints of a Service: a proxy knows a ready pod only when it is in an EndpointSlice.

The controller of EndpointSlices writes after the pod is ready, and tries a write that fails again after a second, then after two and so
on (Kubernetes' pkg/controller/endpointslice/endpointslice_controller.go). A Deployment is complete without it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._kube.api import Api
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import ApiError

Obj = Mapping[str, Any]
OF_SERVICE = "kubernetes.io/service-name"


def addresses(client: Api, namespace: str, service: str) -> frozenset[str] | None:
    """Addresses of a Service that get requests; None where this identity may not list EndpointSlices."""
    path = f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices"
    try:
        slices = client.list_all(path, {"labelSelector": f"{OF_SERVICE}={service}"})[0]
    except ApiError as error:
        if error.refused:
            return None
        raise
    return serving(slices)


def serving(slices: Iterable[Obj]) -> frozenset[str]:
    """Addresses of the endpoints that are ready. Without the condition an endpoint counts as ready (k8s.io/api discovery/v1/types.go)."""
    return frozenset(
        str(address)
        for item in slices
        for endpoint in item.get("endpoints") or []
        if (endpoint.get("conditions") or {}).get("ready") is not False
        for address in endpoint.get("addresses") or []
    )


def among(found: frozenset[str], pods: Iterable[Obj]) -> int:
    """How many of the pods are endpoints."""
    return sum(not found.isdisjoint(_addresses_of(pod)) for pod in pods)


def _addresses_of(pod: Obj) -> set[str]:
    status = pod.get("status") or {}
    several = {str(entry.get("ip")) for entry in status.get("podIPs") or []}
    return several | ({str(status["podIP"])} if status.get("podIP") else set())
