# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the objects of a mesh come from: what `read` asks a cluster or files for, and the kinds that decide on mutual TLS."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.model import Missing
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parse.metadata import Obj

Reducers = Mapping[str, Callable[[Obj], Any]]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind to read: its plural, the API versions to try in this order, and a query. A mesh need not have `optional` kinds installed."""

    name: str
    plural: str
    versions: tuple[str, ...]
    query: Mapping[str, str] | None = None
    optional: bool = False
    understood: bool = True  # false: only whether there are any is read


_NETWORKING = ("networking.istio.io/v1", "networking.istio.io/v1beta1", "networking.istio.io/v1alpha3")
_SECURITY = ("security.istio.io/v1", "security.istio.io/v1beta1")


def _gateway_api(*versions: str) -> tuple[str, ...]:
    return tuple(f"gateway.networking.k8s.io/{version}" for version in versions)


MESH_ROUTES = ("HTTPRoute", "GRPCRoute", "TCPRoute", "TLSRoute")  # kinds whose parent may be a service
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
    Kind("VirtualService", "virtualservices", _NETWORKING),
    Kind("EnvoyFilter", "envoyfilters", ("networking.istio.io/v1alpha3",)),
    Kind("BackendTLSPolicy", "backendtlspolicies", _gateway_api("v1", "v1alpha3"), optional=True),
    *(Kind(name, f"{name.lower()}s", _gateway_api("v1", "v1beta1", "v1alpha2"), optional=True) for name in MESH_ROUTES),
)
_ADMISSION = ("admissionregistration.k8s.io/v1",)
WEBHOOKS = Kind("MutatingWebhookConfiguration", "mutatingwebhookconfigurations", _ADMISSION)
# Webhooks of revision tags: a tag's name -> the revision that it stands for (istio istioctl/pkg/tag/util.go).
TAG, REVISION = "istio.io/tag", "istio.io/rev"
TAGS = replace(WEBHOOKS, query={"labelSelector": TAG})

_MONITORING = ("monitoring.coreos.com/v1",)
# Objects that name callers which are no pods of the mesh. They are read only for what_if.
CALLER_KINDS = (
    Kind("ValidatingWebhookConfiguration", "validatingwebhookconfigurations", _ADMISSION),
    WEBHOOKS,
    Kind("CustomResourceDefinition", "customresourcedefinitions", ("apiextensions.k8s.io/v1",)),
    Kind("APIService", "apiservices", ("apiregistration.k8s.io/v1",)),
    Kind("Ingress", "ingresses", ("networking.k8s.io/v1",)),
    Kind("IngressClass", "ingressclasses", ("networking.k8s.io/v1",)),
    Kind("Deployment", "deployments", ("apps/v1",)),
    Kind("StatefulSet", "statefulsets", ("apps/v1",)),
    Kind("DaemonSet", "daemonsets", ("apps/v1",)),
    Kind("Job", "jobs", ("batch/v1",)),
    Kind("CronJob", "cronjobs", ("batch/v1",)),
    Kind("ServiceMonitor", "servicemonitors", _MONITORING),
    Kind("PodMonitor", "podmonitors", _MONITORING),
    Kind("Probe", "probes", _MONITORING, understood=False),
    Kind("ScrapeConfig", "scrapeconfigs", ("monitoring.coreos.com/v1alpha1",), understood=False),
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

    def everything(self, reducers: Reducers, istio_namespace: str, kinds: Sequence[Kind] = KINDS) -> Everything:
        """All objects of `kinds`, each reduced by the function of its kind."""

    def revision_tags(self) -> Mapping[str, str] | Missing:
        """Revision tags and the revisions that they stand for, or why they cannot be read."""

    def config_map(self, namespace: str, name: str) -> Obj | Missing:
        """One ConfigMap, or why it is not there."""


class State(Source, Protocol):
    """A source that can be asked for more, for an overlay: what makes pods, and who injects them."""

    def workload(self, workload: Workload, namespace: str, name: str) -> Obj | Missing:
        """One Deployment, or another object that has pods made, or why it is not there."""

    def webhooks(self) -> list[Obj] | Missing:
        """All MutatingWebhookConfigurations, or why they are not known."""


def tag_of(obj: Obj) -> tuple[str, str]:
    """A tag and its revision, by the labels of a webhook; both empty for a webhook of no tag."""
    labels = (obj.get("metadata") or {}).get("labels") or {}
    return str(labels.get(TAG) or ""), str(labels.get(REVISION) or "")
