# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an overlay consists of: entries of options `overlay` and `overlay_src`, checked, and what each of them can change. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._kube.documents import Origin
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import KubeError
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.objects import group_of
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.given import checked, flattened
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.overlay.injection import is_injector
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parse.metadata import Obj
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.source import (
    KINDS,
    WEBHOOKS,
    WORKLOADS,
    Kind,
    Workload,
)


class Presence(StrEnum):
    """What an entry says of its object."""

    PRESENT = "present"
    ABSENT = "absent"


class Concerns(StrEnum):
    """What an object of an overlay can change."""

    READ = "read"  # a kind that decides on mutual TLS
    WORKLOAD = "workload"  # its controller makes pods
    MESH_CONFIG = "mesh_config"
    INJECTOR = "injector"  # the injector's ConfigMap
    WEBHOOK = "webhook"  # which pods the injector gets
    NOTHING = "nothing"
    UNKNOWN = "unknown"


_READ = {(group_of(kind.versions[0]), kind.name): kind for kind in KINDS}
_WORKLOADS = {(group_of(workload.version), workload.name): workload for workload in WORKLOADS}
_WEBHOOK = (group_of(WEBHOOKS.versions[0]), WEBHOOKS.name)
_CLUSTER_SCOPED = frozenset({("", "Namespace"), _WEBHOOK})
# Kinds that do not decide on mutual TLS, and why; a kind of `*` is every kind of the group.
_NOTHING = {
    (
        "security.istio.io",
        "AuthorizationPolicy",
    ): "it decides which requests are allowed, and not how they are encrypted",
    (
        "security.istio.io",
        "RequestAuthentication",
    ): "it decides which tokens are taken, and not how calls are encrypted",
    ("telemetry.istio.io", "Telemetry"): "it decides what is measured",
    ("networking.istio.io", "WorkloadGroup"): "it is a template; only a WorkloadEntry is an endpoint",
    ("", "ConfigMap"): "only those of Istio are read",
    ("", "Secret"): "it is not read",
    ("", "ServiceAccount"): "it names an identity, and does not decide whether calls are encrypted",
    ("", "PersistentVolume"): "storage is no matter of calls",
    ("", "PersistentVolumeClaim"): "storage is no matter of calls",
    ("", "ResourceQuota"): "quotas are no matter of calls",
    ("", "LimitRange"): "limits are no matter of calls",
    ("rbac.authorization.k8s.io", "*"): "rights on the API server are no matter of calls",
    ("autoscaling", "*"): "the number of pods is no matter of their encryption",
    ("policy", "*"): "the number of pods is no matter of their encryption",
    ("networking.k8s.io", "NetworkPolicy"): "it decides which connections are allowed, and not how they are encrypted",
    (
        "networking.k8s.io",
        "Ingress",
    ): "it configures an Ingress controller, whose own calls are judged as those of its workload",
    ("networking.k8s.io", "IngressClass"): "it names an Ingress controller",
    ("storage.k8s.io", "*"): "storage is no matter of calls",
    ("scheduling.k8s.io", "*"): "where pods run is no matter of their encryption",
    ("coordination.k8s.io", "*"): "leases are no matter of calls",
    ("apiextensions.k8s.io", "*"): "a definition of a kind is no object of it",
    ("monitoring.coreos.com", "*"): "it configures Prometheus, whose own calls are judged as those of its workload",
}
# Kinds that can change calls in a way that is not computed, and which; other unknown kinds may be anything.
_NOT_COMPUTED = {
    ("networking.istio.io", "ProxyConfig"): "it can change which traffic passes a sidecar",
    ("extensions.istio.io", "WasmPlugin"): "it can change what a proxy does with a call",
    ("gateway.networking.k8s.io", "*"): "it can send calls to other services, and makes gateways and waypoints",
    ("", "Endpoints"): "EndpointSlices are made of it",
}


@dataclass(frozen=True, slots=True)
class Entry:
    """An object that is to be there, or not to be there. `why` says why it changes nothing, or why nobody knows what it changes."""

    presence: Presence
    obj: Obj
    group: str
    kind: str
    namespace: str
    name: str
    concerns: Concerns
    why: str = ""

    @property
    def key(self) -> tuple[str, str, str, str]:
        """API group, kind, namespace and name."""
        return self.group, self.kind, self.namespace, self.name

    @property
    def where(self) -> tuple[str, str]:
        """Namespace and name."""
        return self.namespace, self.name

    @property
    def told(self) -> str:
        """The object as messages name it."""
        return f"{self.kind} {'/'.join(part for part in self.where if part)}"

    @property
    def workload(self) -> Workload:
        """How a workload of this kind is read. Raises KeyError for every other kind."""
        return _WORKLOADS[(self.group, self.kind)]


def entries(given: Iterable[Mapping[str, Any]], files: Iterable[Any], istio_namespace: str) -> list[Entry]:
    """All entries: `given` are dicts with `state` and `resource`, `files` documents of files, whose objects are to be there.

    Raises KubeError for an entry that cannot be applied, with its object and what was expected.
    """
    found: dict[tuple[str, str, str, str], Entry] = {}
    pairs = [(part["resource"], Presence(part["state"]), "overlay") for part in given]
    pairs += [(document, Presence.PRESENT, "overlay_src") for document in files]
    for document, presence, option in pairs:
        for obj, origin in flattened(document, option):
            one = _entry(obj, presence, origin, istio_namespace)
            other = found.setdefault(one.key, one)
            if (other.presence, other.obj) != (one.presence, one.obj):
                raise KubeError(f"{origin} has {one.told} twice, with different content. Expected each object once.")
    going = {
        one.name
        for one in found.values()
        if one.presence is Presence.ABSENT and (one.group, one.kind) == ("", "Namespace")
    }
    for one in found.values():
        if one.presence is Presence.PRESENT and one.namespace in going:
            text = f"overlay has {one.told}, and its namespace is to be absent. Expected one of the two."
            raise KubeError(text)
    return list(found.values())


def _entry(obj: Obj, presence: Presence, origin: Origin, istio_namespace: str) -> Entry:
    checked(obj, origin)
    version, kind, meta = obj.get("apiVersion"), str(obj["kind"]), obj["metadata"]
    if not isinstance(version, str) or not version:
        raise KubeError(f"{origin} has {kind} {meta['name']} without apiVersion. Expected whole objects.")
    group, name, namespace = group_of(version), str(meta["name"]), str(meta.get("namespace") or "")
    scoped = (group, kind) not in _CLUSTER_SCOPED
    concerns, why = _concerns(obj, group, kind, (namespace, name), istio_namespace)
    if scoped and not namespace and concerns not in (Concerns.NOTHING, Concerns.UNKNOWN):
        raise KubeError(
            f"{origin} has {kind} {name} without metadata.namespace. Expected the namespace that it is for."
        )
    return Entry(presence, obj, group, kind, namespace if scoped else "", name, concerns, why)


def _concerns(obj: Obj, group: str, kind: str, place: tuple[str, str], istio_namespace: str) -> tuple[Concerns, str]:
    """What an object can change, and why it is nothing or not known."""
    read, workload = _READ.get((group, kind)), _WORKLOADS.get((group, kind))
    versions = read.versions if isinstance(read, Kind) else (workload.version,) if workload else ()
    if versions and obj["apiVersion"] not in versions:
        return Concerns.UNKNOWN, f"{obj['apiVersion']} is none of the versions that are read: {', '.join(versions)}"
    if read:
        return Concerns.READ, ""
    if workload:
        return Concerns.WORKLOAD, ""
    if (group, kind) == _WEBHOOK:
        if is_injector(obj):
            return Concerns.WEBHOOK, ""
        return Concerns.UNKNOWN, "a webhook can change every object that it gets"
    if (group, kind) == ("", "ConfigMap") and place[0] == istio_namespace:
        if place[1] == "istio" or place[1].startswith("istio-sidecar-injector"):
            return (Concerns.MESH_CONFIG if place[1] == "istio" else Concerns.INJECTOR), ""
        if place[1].startswith("istio-") and "mesh" in (obj.get("data") or {"mesh": ""}):
            return Concerns.MESH_CONFIG, ""
    why = _NOTHING.get((group, kind)) or _NOTHING.get((group, "*"))
    return (
        (Concerns.NOTHING, why) if why else (Concerns.UNKNOWN, f"kind {kind} of {obj['apiVersion']} is not known here")
    )
