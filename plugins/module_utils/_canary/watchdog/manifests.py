# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The objects of a rollout's watchdog: a Job, its code, and an account that may change this service's objects only. Pure."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._canary.objects import object_name
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.state import State
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.watchdog.serve import PATH, PORT
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.objects import (
    FIELD_MANAGER,
    MANAGED_BY_LABEL,
    PART_OF_LABEL,
)

Obj = dict[str, Any]
LABEL = "servicemesh.platform/canary-watchdog"  # with the service's name; NetworkPolicies select the pod by it
USER = 65532  # of the pod, when the option does not say; any user will do
TTL = 300  # seconds after its end until the Job is removed, and with it what it owns
MARGIN = 900.0  # seconds that a promotion or a rollback may take beside the readiness of its pods
# By these, Prometheus finds the metrics of the rollout (docs/canary.md).
_SCRAPED = {"prometheus.io/scrape": "true", "prometheus.io/port": str(PORT), "prometheus.io/path": PATH}
_ISTIO, _RBAC = "networking.istio.io", "rbac.authorization.k8s.io"


def name_of(state: State) -> str:
    """Name of all objects of a run's watchdog; the run makes it unique."""
    return f"canary-watchdog-{state.run}"


def namespaces_of(state: State) -> list[str]:
    """Namespaces of the run's VirtualServices, and its own one first."""
    others = sorted({str(name).split("/", 1)[0] for name in state.settings["virtual_services"]} - {state.namespace})
    return [state.namespace, *others]


def _meta(state: State, namespace: str, owner: Obj | None = None) -> Obj:
    labels = {MANAGED_BY_LABEL: FIELD_MANAGER, PART_OF_LABEL: state.service, LABEL: state.service}
    meta: Obj = {"name": name_of(state), "namespace": namespace, "labels": labels}
    if owner is not None:
        meta["ownerReferences"] = [
            {"apiVersion": "batch/v1", "kind": "Job", "name": name_of(state), "uid": owner["metadata"]["uid"]}
        ]
    return meta


def job(state: State) -> Obj:
    """The Job, suspended: its pod needs the other objects, and these need the Job's uid to be removed with it."""
    options: Mapping[str, Any] = state.settings["watchdog"]
    labels = {MANAGED_BY_LABEL: FIELD_MANAGER, LABEL: state.service}
    # No sidecar, in both of Istio's data planes: requests go to the API server only, also while the mesh is broken.
    labels |= {"sidecar.istio.io/inject": "false", "istio.io/dataplane-mode": "none"}
    longest = state.plan.max_duration + 4 * state.plan.progress_deadline + MARGIN
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": _meta(state, state.namespace),
        "spec": {
            "suspend": True,
            "backoffLimit": 6,
            "activeDeadlineSeconds": int(longest),
            "ttlSecondsAfterFinished": TTL,
            "template": {"metadata": {"labels": labels, "annotations": _SCRAPED}, "spec": _pod(state, options)},
        },
    }


def _pod(state: State, options: Mapping[str, Any]) -> Obj:
    security: Obj = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    user = USER if options.get("run_as_user") is None else int(options["run_as_user"])
    if user:
        security |= {"runAsUser": user, "runAsGroup": user, "fsGroup": user}
    spec: Obj = {
        "restartPolicy": "OnFailure",
        "serviceAccountName": options.get("service_account") or name_of(state),
        "automountServiceAccountToken": True,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 5,
        "securityContext": security,
        "containers": [_container(state, options)],
        "volumes": [
            {"name": "code", "configMap": {"name": name_of(state)}},
            {"name": "state", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
        ],
    }
    if secrets := options.get("image_pull_secrets"):
        spec["imagePullSecrets"] = [{"name": name} for name in secrets]
    return spec


def _container(state: State, options: Mapping[str, Any]) -> Obj:
    # -I and -S: no file of the image but its standard library.
    python = [options.get("python") or "python3", "-I", "-S", "-B"]
    ready = "import os, sys; sys.exit(not os.path.exists('/tmp/watchdog/ready'))"
    pod_name = {"fieldRef": {"fieldPath": "metadata.name"}}
    return {
        "name": "watchdog",
        "image": options["image"],
        "command": [*python, "/watchdog/watchdog.zip"],
        "ports": [{"name": "metrics", "containerPort": PORT, "protocol": "TCP"}],
        "env": [
            {"name": "WATCHDOG_NAMESPACE", "value": state.namespace},
            {"name": "WATCHDOG_SERVICE", "value": state.service},
            {"name": "WATCHDOG_RUN", "value": state.run},
            {"name": "WATCHDOG_POD", "valueFrom": pod_name},
        ],
        # Succeeds once the watchdog has read lease and record; it is not asked again after that.
        "startupProbe": {
            "exec": {"command": [*python, "-c", ready]},
            "periodSeconds": 1,
            "timeoutSeconds": 10,
            "failureThreshold": 600,
        },
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "resources": {
            "requests": {"cpu": "5m", "memory": "32Mi"},
            "limits": {"cpu": "500m", "memory": "96Mi"},
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [
            {"name": "code", "mountPath": "/watchdog", "readOnly": True},
            {"name": "state", "mountPath": "/tmp/watchdog"},  # noqa: S108  # a volume of its own
        ],
    }


def owned(state: State, owner: Obj, code: bytes) -> list[Obj]:
    """What the Job needs. All of it in the Job's namespace is removed with the Job; a Role in another one cannot be."""
    objects: list[Obj] = [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": _meta(state, state.namespace, owner),
            "immutable": True,
            "binaryData": {"watchdog.zip": base64.b64encode(code).decode()},
        }
    ]
    if state.settings["watchdog"].get("service_account"):
        return objects
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": _meta(state, state.namespace, owner)}
    objects.append(account)
    for namespace in namespaces_of(state):
        mine = owner if namespace == state.namespace else None
        objects.append(
            {
                "apiVersion": f"{_RBAC}/v1",
                "kind": "Role",
                "metadata": _meta(state, namespace, mine),
                "rules": rules(state, namespace),
            }
        )
        objects.append(
            {
                "apiVersion": f"{_RBAC}/v1",
                "kind": "RoleBinding",
                "metadata": _meta(state, namespace, mine),
                "roleRef": {"apiGroup": _RBAC, "kind": "Role", "name": name_of(state)},
                "subjects": [{"kind": "ServiceAccount", "name": name_of(state), "namespace": state.namespace}],
            }
        )
    return objects


def rules(state: State, namespace: str) -> list[Obj]:
    """Rules of the Role in one namespace. A list cannot be limited to names; everything that is written is."""
    settings, record = state.settings, object_name(state.service)
    names = [str(name).split("/", 1) for name in settings["virtual_services"]]
    routes = sorted(name for where, name in names if where == namespace)
    found = [_rule(_ISTIO, "virtualservices", ["get", "patch"], routes)] if routes else []
    if namespace != state.namespace:
        return found
    stable, canary = settings["stable_deployment"], settings["canary_deployment"]
    configs = sorted(str(entry["name"]) for entry in (state.restore or {}).get("configs") or [])
    found += [
        _rule("coordination.k8s.io", "leases", ["get", "update"], [record]),
        _rule("", "configmaps", ["get", "update"], [record]),
        _rule("apps", "deployments", ["get", "patch"], [stable]),
        _rule("apps", "deployments", ["get"], [canary]),
        _rule("apps", "deployments/scale", ["get", "patch"], [stable]),
        _rule("", "services", ["get"], [state.service]),
        _rule("", "pods", ["list"]),
        _rule("discovery.k8s.io", "endpointslices", ["list"]),
        _rule(_ISTIO, "destinationrules", ["list"]),
        _rule("", "events", ["create"]),
    ]
    return found + ([_rule("", "configmaps", ["get", "patch"], configs)] if configs else [])


def _rule(group: str, resource: str, verbs: list[str], names: list[str] | None = None) -> Obj:
    rule: Obj = {"apiGroups": [group], "resources": [resource], "verbs": verbs}
    return {**rule, "resourceNames": names} if names else rule
