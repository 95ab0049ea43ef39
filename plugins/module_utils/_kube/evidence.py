# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads what explains why a workload is not ready. What the identity may not read is missing in the explanation, and never an error."""

from __future__ import annotations

from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._kube.client import Client
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.diagnosis import Finding, newest_replica_set
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import ApiError, KubeError
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.objects import Ref

Obj = dict[str, Any]


def pods_path(ref: Ref) -> str:
    """Path of all pods of an object's namespace."""
    return f"/api/v1/namespaces/{ref.namespace}/pods"


def events_path(ref: Ref) -> str:
    """Path of all events of an object's namespace."""
    return f"/api/v1/namespaces/{ref.namespace}/events"


def warning_events(client: Client, ref: Ref) -> list[Obj]:
    """Warning events of an object's namespace."""
    try:
        return client.list_all(events_path(ref), {"fieldSelector": "type=Warning"})[0]
    except KubeError:
        return []


def newest_replica_set_of(client: Client, deployment: Obj) -> str:
    """Name of a Deployment's newest ReplicaSet; empty when it has none."""
    labels = (deployment["spec"].get("selector") or {}).get("matchLabels") or {}
    selector = {"labelSelector": ",".join(f"{k}={v}" for k, v in labels.items())}
    try:
        path = f"/apis/apps/v1/namespaces/{deployment['metadata']['namespace']}/replicasets"
        return newest_replica_set(deployment, client.list_all(path, selector)[0])
    except ApiError:
        return ""


def last_log_line(client: Client, namespace: str, crash: Finding) -> str:
    """Last line that a crashed container wrote; empty when it wrote none."""
    path = f"/api/v1/namespaces/{namespace}/pods/{crash.pod}/log"
    query = {"container": crash.container, "previous": "true", "tailLines": 1, "limitBytes": 2000}
    try:
        body = client.request("GET", path, query=query, accept="*/*", budget=2.0)[1]
    except KubeError:
        return ""
    return str(body.get("text") or "").strip()[:300]


def late_binding_classes(client: Client) -> frozenset[str]:
    """Storage classes that provision a volume only when a pod uses the claim."""
    try:
        items, _version = client.list_all("/apis/storage.k8s.io/v1/storageclasses")
    except ApiError:
        return frozenset()
    return frozenset(i["metadata"]["name"] for i in items if i.get("volumeBindingMode") == "WaitForFirstConsumer")
