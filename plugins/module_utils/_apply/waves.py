# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The order in which the objects of a set are written and deleted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._kube.objects import group_of, ref_of

CRD_WAVE = 1
# Objects of the waves before this one decide what the server accepts of others: namespaces, kinds, limits, policies and rights.
SETTING_WAVES = 5

# All objects of a wave are sent at once, so no object may need another one of its wave.
_WAVES: tuple[frozenset[str], ...] = (
    frozenset({"Namespace"}),
    frozenset({"CustomResourceDefinition"}),
    # Limits and places the objects of later waves.
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
    # Called by the API server: their backends are workloads of the set.
    frozenset({"APIService", "ValidatingWebhookConfiguration", "MutatingWebhookConfiguration"}),
    # All other kinds: custom resources.
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
    # A route must not exist before the subset or gateway that it names. VirtualServices: `_by_delegation`.
    frozenset({"VirtualService without hosts"}),
    frozenset({"VirtualService with delegates"}),
    frozenset({"VirtualService", "Ingress", "HTTPRoute", "GRPCRoute", "TCPRoute", "TLSRoute"}),
)
_OTHER_WAVE = next(index for index, kinds in enumerate(_WAVES) if not kinds)
_WAVE_OF = {kind: index for index, kinds in enumerate(_WAVES) for kind in kinds}

# Deleted first: their controllers write into objects of the set.
_DELETED_FIRST = frozenset({"HorizontalPodAutoscaler"})
# Deleted last: pods refer to them, or they contain other objects.
_DELETED_LAST = frozenset(
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

# A kind of the same name in another group (for example Knative's Service) is a custom resource.
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
    """Number of the wave that writes an object, from 0; deletion uses the reverse order."""
    kind = obj["kind"]
    home = _HOME_GROUPS.get(kind)
    if home is not None and group_of(obj["apiVersion"]) not in home:
        return _OTHER_WAVE
    if kind == "VirtualService":
        kind = _by_delegation(obj)
    return _WAVE_OF.get(kind, _OTHER_WAVE)


def _by_delegation(obj: Mapping[str, Any]) -> str:
    """A VirtualService that delegates comes after its delegates, without which Istio drops the route (virtualservice_controller.go,
    mergeVirtualServices), and before the others: one of them may give up a host that it takes over.
    """
    spec = obj.get("spec")
    if not isinstance(spec, Mapping):  # a reference of an object to delete
        return "VirtualService"
    if not spec.get("hosts"):
        return "VirtualService without hosts"
    http = spec.get("http")
    if isinstance(http, list) and any(isinstance(route, Mapping) and route.get("delegate") for route in http):
        return "VirtualService with delegates"
    return "VirtualService"


def waves(objects: Iterable[Mapping[str, Any]], *, reverse: bool = False) -> list[tuple[int, list[Mapping[str, Any]]]]:
    """Objects by wave, `[(number, objects), ...]`; in reverse order to delete."""
    grouped: dict[int, list[Mapping[str, Any]]] = {}
    for obj in objects:
        grouped.setdefault(wave_of(obj), []).append(obj)
    return [
        (number, sorted(grouped[number], key=lambda obj: ref_of(obj).key))
        for number in sorted(grouped, reverse=reverse)
    ]


def retirement(objects: Iterable[Mapping[str, Any]]) -> tuple[list[Any], list[Any], list[Any]]:
    """Retired objects of a set: those to delete before the set is applied, after that, and when the set is ready."""
    parts: tuple[list[Any], list[Any], list[Any]] = ([], [], [])
    for obj in objects:
        home = wave_of(obj) != _OTHER_WAVE
        parts[
            0 if home and obj["kind"] in _DELETED_FIRST else 2 if home and obj["kind"] in _DELETED_LAST else 1
        ].append(obj)
    return parts
