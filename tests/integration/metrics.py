# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Prometheus for the namespace of a test, which looks at the proxies there every second."""

from __future__ import annotations

import json
from typing import Any

import yaml
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.client import Client

from tests.support import ROOT

Obj = dict[str, Any]
PROMETHEUS = "localhost/prom/prometheus:v3.16.0"
RBAC = "rbac.authorization.k8s.io"

# As the role observability looks at them, but for the page: Envoy's own, of used statistics.
SCRAPE = """
global: {scrape_interval: 1s, scrape_timeout: 1s}
scrape_configs:
- job_name: mesh-proxies
  metrics_path: /stats/prometheus
  params: {usedonly: [""], filter: ["^istio"]}
  kubernetes_sd_configs:
  - {role: pod, namespaces: {names: [%(namespace)s]}}
  relabel_configs:
  - {source_labels: [__meta_kubernetes_pod_container_port_name], regex: http-envoy-prom, action: keep}
  - {source_labels: [__meta_kubernetes_namespace], target_label: namespace}
  - {source_labels: [__meta_kubernetes_pod_name], target_label: pod}
  metric_relabel_configs: %(relabelings)s
"""
_UPSTREAM_ENVOY = ROOT / "inventories/local/group_vars/clusters/upstream_envoy.yml"


def prometheus(namespace: str) -> list[Obj]:
    """Its objects. It is asked as Service `prometheus` of the namespace, port 9090."""
    meta = {"name": "prometheus", "namespace": namespace}
    watch = {
        "name": "prometheus",
        "image": PROMETHEUS,
        "args": ["--config.file=/etc/config/prometheus.yml", "--storage.tsdb.path=/data"],
        "volumeMounts": [{"name": "config", "mountPath": "/etc/config"}, {"name": "data", "mountPath": "/data"}],
        "readinessProbe": {"httpGet": {"path": "/-/ready", "port": 9090}, "periodSeconds": 1},
        # Without a request it would get what others leave, and its looks, a second each, would come too late.
        "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}},
    }
    pod = {
        "volumes": [{"name": "config", "configMap": {"name": "prometheus"}}, {"name": "data", "emptyDir": {}}],
        "securityContext": {"runAsUser": 65534, "fsGroup": 65534},
        "serviceAccountName": "prometheus",
    }
    port = {"name": "http", "port": 9090}
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta},
        {
            "apiVersion": f"{RBAC}/v1",
            "kind": "Role",
            "metadata": meta,
            "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch"]}],
        },
        {
            "apiVersion": f"{RBAC}/v1",
            "kind": "RoleBinding",
            "metadata": meta,
            "roleRef": {"apiGroup": RBAC, "kind": "Role", "name": "prometheus"},
            "subjects": [{"kind": "ServiceAccount", **meta}],
        },
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"prometheus.yml": _scrape(namespace)}},
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": meta,
            "spec": {"selector": {"app": "prometheus"}, "ports": [port]},
        },
        deployment(namespace, "prometheus", watch, pod, labels={"sidecar.istio.io/inject": "false"}),
    ]


def query(client: Client, namespace: str, expression: str) -> list[Obj]:
    """The series of an instant query to the Prometheus of a namespace."""
    path = f"/api/v1/namespaces/{namespace}/services/prometheus:9090/proxy/api/v1/query"
    body = client.get(path, query={"query": expression}) or {}
    return list((body.get("data") or {}).get("result") or [])


def _scrape(namespace: str) -> str:
    relabelings = yaml.safe_load(_UPSTREAM_ENVOY.read_text())["observability_mesh_metric_relabelings"]
    return SCRAPE % {"namespace": namespace, "relabelings": json.dumps(relabelings)}


def deployment(
    namespace: str, name: str, container: Obj, pod: Obj, annotations: Obj | None = None, labels: Obj | None = None
) -> Obj:
    meta = {"labels": {"app": name, **(labels or {})}, "annotations": annotations or {}}
    container = {"imagePullPolicy": "IfNotPresent", **container}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"app": name}},
            "strategy": {"type": "Recreate"},
            "template": {
                "metadata": meta,
                "spec": {"terminationGracePeriodSeconds": 1, "containers": [container], **pod},
            },
        },
    }
