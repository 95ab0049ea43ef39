# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""In which order the objects of a set are written, and in which they are deleted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._kube.objects import group_of, ref_of

CRD_WAVE = 1

# Within a wave all objects are sent at once, so nothing in a wave may need another object of the same wave.
_WAVES: tuple[frozenset[str], ...] = (
    frozenset({"Namespace"}),
    frozenset({"CustomResourceDefinition"}),
    # What limits or places the objects that follow.
    frozenset(
        {
            "PriorityClass",
            "StorageClass",
            "IngressClass",
            "RuntimeClass",
            "GatewayClass",
            "PersistentVolume",
            "ResourceQuota",
            "LimitRange",
            "NetworkPolicy",
            "ValidatingAdmissionPolicy",
        }
    ),
    frozenset({"ServiceAccount", "ClusterRole", "Role"}),
    frozenset({"ClusterRoleBinding", "RoleBinding", "ValidatingAdmissionPolicyBinding"}),
    frozenset({"ConfigMap", "Secret"}),
    frozenset({"Service", "PersistentVolumeClaim"}),
    frozenset(
        {"Pod", "ReplicationController", "ReplicaSet", "Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob"}
    ),
    frozenset({"HorizontalPodAutoscaler", "PodDisruptionBudget"}),
    # Their backends are workloads of the set.
    frozenset({"APIService", "ValidatingWebhookConfiguration", "MutatingWebhookConfiguration"}),
    # Any kind that is not named here: custom resources.
    frozenset(),
    frozenset(
        {
            "DestinationRule",
            "Gateway",
            "ServiceEntry",
            "WorkloadEntry",
            "WorkloadGroup",
            "Sidecar",
            "EnvoyFilter",
            "ProxyConfig",
            "Telemetry",
            "PeerAuthentication",
            "RequestAuthentication",
            "AuthorizationPolicy",
        }
    ),
    # A route that names a subset or a gateway must not be seen before it.
    frozenset({"VirtualService", "Ingress", "HTTPRoute", "GRPCRoute", "TCPRoute", "TLSRoute"}),
)
_OTHER_WAVE = next(index for index, kinds in enumerate(_WAVES) if not kinds)
_WAVE_OF = {kind: index for index, kinds in enumerate(_WAVES) for kind in kinds}

# Their controllers write into the objects of a set.
_FIRST_TO_GO = frozenset({"HorizontalPodAutoscaler"})
# What pods refer to, and what holds other objects.
_LAST_TO_GO = frozenset(
    {
        "ConfigMap",
        "Secret",
        "ServiceAccount",
        "ClusterRole",
        "Role",
        "ClusterRoleBinding",
        "RoleBinding",
        "PersistentVolumeClaim",
        "CustomResourceDefinition",
        "Namespace",
    }
)

# A kind of the same name in a foreign group (a Service of Knative, say) is a custom resource like any other.
_HOME_GROUPS = {
    "Service": {""},
    "Pod": {""},
    "Namespace": {""},
    "ConfigMap": {""},
    "Secret": {""},
    "Deployment": {"apps"},
    "Job": {"batch"},
    "Ingress": {"networking.k8s.io", "extensions"},
    "Gateway": {"networking.istio.io", "gateway.networking.k8s.io"},
}


def wave_of(obj: Mapping[str, Any]) -> int:
    """Number of the wave that an object is written in, from 0; deletion goes the other way."""
    kind = obj["kind"]
    home = _HOME_GROUPS.get(kind)
    if home is not None and group_of(obj["apiVersion"]) not in home:
        return _OTHER_WAVE
    return _WAVE_OF.get(kind, _OTHER_WAVE)


def waves(objects: Iterable[Mapping[str, Any]], *, reverse: bool = False) -> list[tuple[int, list[Mapping[str, Any]]]]:
    """Objects by wave, `[(number, objects), ...]`, whatever order they came in; reversed to delete."""
    grouped: dict[int, list[Mapping[str, Any]]] = {}
    for obj in objects:
        grouped.setdefault(wave_of(obj), []).append(obj)
    return [
        (number, sorted(grouped[number], key=lambda obj: ref_of(obj).key))
        for number in sorted(grouped, reverse=reverse)
    ]


def retirement(objects: Iterable[Mapping[str, Any]]) -> tuple[list[Any], list[Any], list[Any]]:
    """Objects that a set no longer has: what to delete before it is applied, after that, and once it is ready."""
    parts: tuple[list[Any], list[Any], list[Any]] = ([], [], [])
    for obj in objects:
        home = wave_of(obj) != _OTHER_WAVE
        parts[0 if home and obj["kind"] in _FIRST_TO_GO else 2 if home and obj["kind"] in _LAST_TO_GO else 1].append(
            obj
        )
    return parts
