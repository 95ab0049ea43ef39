# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: may change at any time without notice; only this collection may import it.
"""Service definition -> ServiceAccount, ConfigMap, Service, Deployment, PodDisruptionBudget, HorizontalPodAutoscaler, Secret."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.servicemesh.platform.plugins.plugin_utils._service import closed
from ansible_collections.servicemesh.platform.plugins.plugin_utils._service.definition import load
from ansible_collections.servicemesh.platform.plugins.plugin_utils._service.ingress import delegate_name

CREATE_ONLY = "servicemesh.platform/create-only"
CONFIG_CHECKSUM = "servicemesh.platform/config-checksum"
SECRET_CHECKSUM = "servicemesh.platform/secret-checksum"  # noqa: S105 - the name of an annotation

Manifest = dict[str, Any]


def service_manifests(definition: Any, secret_versions: Mapping[str, Any] | None = None) -> list[Manifest]:
    """Return the objects that run a service.

    ``secret_versions`` maps names of Secrets to a value that changes with their content (uid and resourceVersion),
    never the content: a user who may read Deployments may lack the right to read Secrets, and the secret behind the hash of a short
    one can be guessed. Without ``secret_versions`` the pods get no checksum of their Secrets.

    Track ``canary`` contains only its own objects; ServiceAccount and Service belong to track ``stable``.
    """
    spec = load(definition)
    stable = spec["track"] == "stable"
    found = [
        _service_account(spec) if stable else None,
        _config_map(spec) if spec["config"] else None,
        _service(spec) if stable else None,
        _deployment(spec, secret_versions),
        _disruption_budget(spec) if spec["disruption_budget"]["enabled"] else None,
        _autoscaler(spec) if spec["autoscaling"]["enabled"] else None,
    ]
    return [manifest for manifest in found if manifest]


def secret_manifests(definition: Any, token: Callable[[int], str]) -> list[Manifest]:
    """Return the Secrets that a service generates for itself; ``token`` returns a random text of the given length.

    The annotation tells ``apply`` to leave an existing Secret as it is.
    """
    spec = load(definition)
    data: dict[str, dict[str, str]] = {}
    for entry in spec["generated_secrets"]:
        data.setdefault(entry["name"], {})[entry["key"]] = token(entry["length"])
    return [
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {**_metadata(spec, name), "annotations": {CREATE_ONLY: "true"}},
            "type": "Opaque",
            "stringData": values,
        }
        for name, values in data.items()
    ]


def retired_manifests(definition: Any, traffic: bool = True, security: bool = True) -> list[Manifest]:
    """Return references of objects that an earlier definition may have created and this one does not: to be deleted.

    ``traffic`` and ``security``: whether the service has traffic and access rules of its own. Terminating pods still
    refer to the ConfigMap: option ``retired`` of ``apply`` deletes it after they are gone.
    """
    spec = load(definition)
    name, own = spec["name"], workload_name(spec)
    outside = any(route["ingress"] for route in spec["routes"])
    found = [
        ("autoscaling/v2", "HorizontalPodAutoscaler", own, not spec["autoscaling"]["enabled"]),
        ("policy/v1", "PodDisruptionBudget", own, not spec["disruption_budget"]["enabled"]),
        ("v1", "ConfigMap", _config_name(spec), not spec["config"]),
        ("networking.istio.io/v1", "VirtualService", name, not traffic),
        ("networking.istio.io/v1", "VirtualService", delegate_name(name), not (traffic and outside)),
        ("networking.istio.io/v1", "DestinationRule", name, not traffic),
        ("security.istio.io/v1", "AuthorizationPolicy", name, not security),
        (
            "security.istio.io/v1",
            "AuthorizationPolicy",
            closed.policy_name(name),
            not security or not closed.closed(spec),
        ),
        ("security.istio.io/v1", "RequestAuthentication", name, not security or not spec["jwt"]),
    ]
    return [
        {"apiVersion": version, "kind": kind, "metadata": {"name": known_as, "namespace": spec["namespace"]}}
        for version, kind, known_as, retired in found
        if retired
    ]


def workload_name(spec: Mapping[str, Any]) -> str:
    """Name of the Deployment and of the objects that belong to it alone."""
    name = str(spec["name"])
    return name if spec["track"] == "stable" else f"{name}-{spec['track']}"


def labels(spec: Mapping[str, Any]) -> dict[str, str]:
    """Labels of a service's objects; ``apply`` adds the label of the manager to objects that it creates."""
    return {"app": spec["name"], "app.kubernetes.io/name": spec["name"]}


def _metadata(spec: Mapping[str, Any], name: str) -> Manifest:
    return {"name": name, "namespace": spec["namespace"], "labels": labels(spec)}


def _track_labels(spec: Mapping[str, Any]) -> dict[str, str]:
    # The selector of a Deployment is immutable; `version` changes with every release, so no selector contains it.
    return {"app": spec["name"], "track": spec["track"]}


def _service_account(spec: Manifest) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": _metadata(spec, spec["name"]),
        "automountServiceAccountToken": False,
    }


def _config_map(spec: Manifest) -> Manifest:
    metadata = _metadata(spec, _config_name(spec))
    metadata["labels"] = {**metadata["labels"], "track": spec["track"]}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": spec["config"]}


def _config_name(spec: Mapping[str, Any]) -> str:
    return f"{workload_name(spec)}-config"


def _service(spec: Manifest) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _metadata(spec, spec["name"]),
        "spec": {
            "type": "ClusterIP",
            # Both tracks: the weights of the VirtualService decide which of them gets a request.
            "selector": {"app": spec["name"]},
            "ports": [
                {
                    "name": "http",
                    "port": spec["service_port"],
                    "targetPort": spec["port"],
                    "protocol": "TCP",
                    "appProtocol": "http",
                }
            ],
        },
    }


def _deployment(spec: Manifest, secret_versions: Mapping[str, Any] | None) -> Manifest:
    metadata = _metadata(spec, workload_name(spec))
    metadata["labels"] = {**metadata["labels"], "track": spec["track"], "version": spec["version"]}
    deployment: Manifest = {
        "revisionHistoryLimit": 3,
        "selector": {"matchLabels": _track_labels(spec)},
        "strategy": {
            "type": "RollingUpdate",
            "rollingUpdate": {
                "maxSurge": _count(spec["max_surge"]),
                "maxUnavailable": _count(spec["max_unavailable"]),
            },
        },
        "template": {
            "metadata": {
                "labels": {**labels(spec), "track": spec["track"], "version": spec["version"]},
                "annotations": _pod_annotations(spec, secret_versions),
            },
            "spec": _pod(spec),
        },
    }
    if not spec["autoscaling"]["enabled"]:
        # With an autoscaler, the autoscaler owns the number; given here, every run would reset it.
        deployment["replicas"] = spec["replicas"]
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": deployment}


def _pod_annotations(spec: Manifest, secret_versions: Mapping[str, Any] | None) -> dict[str, str]:
    result = {"kubectl.kubernetes.io/default-container": spec["name"]}
    if spec["metrics"]["enabled"]:
        result |= {
            "prometheus.io/scrape": "true",
            "prometheus.io/port": str(spec["port"]),
            "prometheus.io/path": spec["metrics"]["path"],
        }
    if spec["config"]:
        result[CONFIG_CHECKSUM] = _digest(spec["config"])
    secrets = sorted({entry["secret"] for entry in spec["secret_env"]})
    if secrets and secret_versions is not None:
        result[SECRET_CHECKSUM] = _digest({name: str(secret_versions.get(name, "")) for name in secrets})
    return {**result, **spec["pod_annotations"]}


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _pod(spec: Manifest) -> Manifest:
    pod: Manifest = {
        "serviceAccountName": spec["name"],
        # The sidecar has its own projected token; the application does not call the API server.
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": spec["termination"]["grace_period"],
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [_container(spec)],
    }
    if spec["image_pull_secrets"]:
        pod["imagePullSecrets"] = [{"name": name} for name in spec["image_pull_secrets"]]
    if spec["topology_spread"]:
        pod["topologySpreadConstraints"] = [
            _spread(spec, "kubernetes.io/hostname"),
            _spread(spec, "topology.kubernetes.io/zone"),
        ]
    if spec["writable_paths"]:
        pod["volumes"] = [
            {"name": _volume(index), "emptyDir": {"sizeLimit": "64Mi"}}
            for index, _path in enumerate(spec["writable_paths"])
        ]
    return pod


def _volume(index: int) -> str:
    return f"writable-{index}"


def _spread(spec: Manifest, key: str) -> Manifest:
    return {
        "maxSkew": 1,
        "topologyKey": key,
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": _track_labels(spec)},
        # Counts the pods of one ReplicaSet only: in a rolling update, old pods do not influence where new ones run.
        "matchLabelKeys": ["pod-template-hash"],
    }


def _container(spec: Manifest) -> Manifest:
    container: Manifest = {
        "name": spec["name"],
        "image": spec["image"],
        "imagePullPolicy": spec["image_pull_policy"],
        "ports": [{"name": "http", "containerPort": spec["port"], "protocol": "TCP"}],
        "resources": spec["resources"],
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": spec["run_as"]["user"],
            "runAsGroup": spec["run_as"]["group"],
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }
    for key in ("command", "args"):
        if spec[key]:
            container[key] = spec[key]
    environment = [{"name": name, "value": value} for name, value in spec["env"].items()]
    environment += [
        {"name": entry["name"], "valueFrom": {"secretKeyRef": {"name": entry["secret"], "key": entry["key"]}}}
        for entry in spec["secret_env"]
    ]
    if environment:
        container["env"] = environment
    if spec["config"]:
        container["envFrom"] = [{"configMapRef": {"name": _config_name(spec)}}]
    container |= {f"{name}Probe": _probe(probe) for name, probe in spec["probes"].items() if probe}
    if spec["termination"]["pre_stop"]:
        # Requests still arrive until every proxy knows that the pod terminates; the kubelet sleeps, no shell is needed.
        container["lifecycle"] = {"preStop": {"sleep": {"seconds": spec["termination"]["pre_stop"]}}}
    if spec["writable_paths"]:
        container["volumeMounts"] = [
            {"name": _volume(index), "mountPath": path} for index, path in enumerate(spec["writable_paths"])
        ]
    return container


def _probe(probe: Mapping[str, Any]) -> Manifest:
    return {
        "httpGet": {"path": probe["path"], "port": "http", "scheme": "HTTP"},
        "initialDelaySeconds": probe["initial_delay"],
        "periodSeconds": probe["period"],
        "timeoutSeconds": probe["timeout"],
        "failureThreshold": probe["failure_threshold"],
    }


def _disruption_budget(spec: Manifest) -> Manifest:
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": _metadata(spec, workload_name(spec)),
        "spec": {
            "maxUnavailable": _count(spec["disruption_budget"]["max_unavailable"]),
            "selector": {"matchLabels": _track_labels(spec)},
            # A pod that is not ready must not prevent the drain of a node.
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
        },
    }


def _autoscaler(spec: Manifest) -> Manifest:
    scaling = spec["autoscaling"]
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": _metadata(spec, workload_name(spec)),
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": workload_name(spec)},
            "minReplicas": scaling["min"],
            "maxReplicas": scaling["max"],
            "metrics": [
                {
                    # Only the application's container: the sidecar's request would distort the utilization of the whole pod.
                    "type": "ContainerResource",
                    "containerResource": {
                        "name": "cpu",
                        "container": spec["name"],
                        "target": {"type": "Utilization", "averageUtilization": scaling["cpu"]},
                    },
                }
            ],
        },
    }


def _count(value: str) -> int | str:
    return value if value.endswith("%") else int(value)
