# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the objects of a mesh come from: what `read` asks a cluster or files for, and the kinds that decide on mutual TLS."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.model import Missing
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parse.metadata import Obj

Reducers = Mapping[str, Callable[[Obj], Any]]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind to read: its plural, the API versions to try in this order, and a query."""

    name: str
    plural: str
    versions: tuple[str, ...]
    query: Mapping[str, str] | None = None


_NETWORKING = ("networking.istio.io/v1", "networking.istio.io/v1beta1", "networking.istio.io/v1alpha3")
_SECURITY = ("security.istio.io/v1", "security.istio.io/v1beta1")
ENDED = ("Succeeded", "Failed")  # phases of pods that do not count
_RUNNING = {"fieldSelector": ",".join(f"status.phase!={phase}" for phase in ENDED)}
KINDS = (
    Kind("Pod", "pods", ("v1",), _RUNNING),
    Kind("EndpointSlice", "endpointslices", ("discovery.k8s.io/v1",)),
    Kind("Service", "services", ("v1",)),
    Kind("Namespace", "namespaces", ("v1",)),
    Kind("PeerAuthentication", "peerauthentications", _SECURITY),
    Kind("DestinationRule", "destinationrules", _NETWORKING),
    Kind("Sidecar", "sidecars", _NETWORKING),
    Kind("ServiceEntry", "serviceentries", _NETWORKING),
    Kind("WorkloadEntry", "workloadentries", _NETWORKING),
    Kind("Gateway", "gateways", _NETWORKING),
)


@dataclass(frozen=True, slots=True)
class Workload:
    """A kind whose controller makes pods. `template` is where its pod template is."""

    name: str
    plural: str
    version: str
    template: tuple[str, ...] = ("spec", "template")


WORKLOADS = (
    Workload("Deployment", "deployments", "apps/v1"),
    Workload("StatefulSet", "statefulsets", "apps/v1"),
    Workload("DaemonSet", "daemonsets", "apps/v1"),
    Workload("ReplicaSet", "replicasets", "apps/v1"),
    Workload("ReplicationController", "replicationcontrollers", "v1"),
    Workload("Job", "jobs", "batch/v1"),
    Workload("CronJob", "cronjobs", "batch/v1", ("spec", "jobTemplate", "spec", "template")),
)


@dataclass(frozen=True, slots=True)
class Everything:
    """Reduced objects by kind, the kinds that are missing, and the Deployments of istiod (None when they could not be read)."""

    found: dict[str, list[Any]]
    missing: dict[str, Missing]
    istiods: list[Obj] | None


class Source(Protocol):
    """A cluster, or files in its place."""

    @property
    def requests(self) -> int:
        """Requests to an API server so far."""

    def everything(self, reducers: Reducers, istio_namespace: str) -> Everything:
        """All objects of `KINDS`, each reduced by the function of its kind."""

    def config_map(self, namespace: str, name: str) -> Obj | Missing:
        """One ConfigMap, or why it is not there."""


class State(Source, Protocol):
    """A source that can be asked for more, for an overlay: what makes pods, and who injects them."""

    def workload(self, workload: Workload, namespace: str, name: str) -> Obj | Missing:
        """One Deployment, or another object that has pods made, or why it is not there."""

    def webhooks(self) -> list[Obj] | Missing:
        """All MutatingWebhookConfigurations, or why they are not known."""
