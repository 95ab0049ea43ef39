# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a diagnosis is asked for, and what was read for it: between `cluster`, which reads, and `result`, which judges. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ansible_collections.servicemesh.platform.plugins.module_utils._mesh.diagnose import pods, proxy_config
from ansible_collections.servicemesh.platform.plugins.module_utils._mesh.diagnose.codes import Section
from ansible_collections.servicemesh.platform.plugins.module_utils._mesh.diagnose.config import POLICIES
from ansible_collections.servicemesh.platform.plugins.module_utils._mesh.diagnose.sync import Istiod
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.model import Missing
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.source import Kind
from ansible_collections.servicemesh.platform.plugins.module_utils._prometheus import Endpoint

_NETWORKING = ("networking.istio.io/v1", "networking.istio.io/v1beta1", "networking.istio.io/v1alpha3")
_SECURITY = ("security.istio.io/v1", "security.istio.io/v1beta1")
_VERSIONS = {
    "EnvoyFilter": ("networking.istio.io/v1alpha3",),
    "Sidecar": _NETWORKING,
    "Telemetry": ("telemetry.istio.io/v1", "telemetry.istio.io/v1alpha1"),
}
_PLURALS = {
    "PeerAuthentication": "peerauthentications",
    "RequestAuthentication": "requestauthentications",
    "AuthorizationPolicy": "authorizationpolicies",
    "Telemetry": "telemetries",
    "Sidecar": "sidecars",
    "EnvoyFilter": "envoyfilters",
}
_CONFIG = (
    Kind("Service", "services", ("v1",)),
    Kind("EndpointSlice", "endpointslices", ("discovery.k8s.io/v1",)),
    Kind("ServiceAccount", "serviceaccounts", ("v1",)),
    Kind("VirtualService", "virtualservices", _NETWORKING),
    Kind("DestinationRule", "destinationrules", _NETWORKING),
    Kind("Gateway", "gateways", _NETWORKING),
    Kind("ServiceEntry", "serviceentries", _NETWORKING),
    Kind("WorkloadEntry", "workloadentries", _NETWORKING),
    *(Kind(name, _PLURALS[name], _VERSIONS.get(name, _SECURITY)) for name in POLICIES),
)
_POD = Kind("Pod", "pods", ("v1",))
# What each section needs, in the order of the sections: what several need is told for the first one.
KINDS: Mapping[Section, tuple[Kind, ...]] = {
    Section.PROXIES: (_POD,),
    Section.CONFIG: (_POD, *_CONFIG),
    Section.PODS: (_POD, Kind("Namespace", "namespaces", ("v1",))),
    Section.CERTIFICATES: (_POD, Kind("Ingress", "ingresses", ("networking.k8s.io/v1",))),
    Section.EVENTS: (Kind("Event", "events", ("v1",), {"fieldSelector": "type=Warning"}),),
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for: the options of mesh_info. Times in seconds. `connection`: the options of the connection as they are in effect."""

    sections: frozenset[Section]
    namespaces: frozenset[str] = frozenset()
    proxies: tuple[str, ...] = ()
    window: int = 3600
    stale_after: float = 10.0
    samples: int = 20
    certificate_days: float = 30.0
    failed_share: float = 0.01
    min_calls: float = 10.0
    istio_namespace: str = "istio-system"
    domain: str = "cluster.local"
    prometheus: Endpoint | None = None
    istioctl: str = "istioctl"
    connection: Mapping[str, Any] = field(default_factory=dict)

    def concerns(self, namespace: str) -> bool:
        """Whether a namespace was asked for."""
        return not self.namespaces or namespace in self.namespaces


class Read(NamedTuple):
    """An answer, or why there is none and which right is missing."""

    value: Any = None
    error: str = ""
    right: str = ""


NOTHING = Read()


@dataclass(frozen=True, slots=True)
class ProxyConfig:
    """What a chosen proxy runs, and how it differs from what istiod would send. `unread`: what is not known, by name."""

    pod: pods.Pod
    dump: proxy_config.Dump | None = None
    endpoints: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    differences: tuple[proxy_config.Difference, ...] = ()
    unread: tuple[tuple[str, Read], ...] = ()


@dataclass(frozen=True, slots=True)
class Observed:
    """Everything that was read. `now`: the API server's clock in Unix seconds. `not_asked`: sections that were left out, and why."""

    now: float
    found: Mapping[str, list[Any]]
    missing: Mapping[str, Missing]
    mesh_config: Read = NOTHING
    istiods: Sequence[Istiod] = ()
    certificates: Sequence[tuple[str, Read]] = ()
    secrets: Sequence[tuple[str, Read]] = ()
    configs: Sequence[ProxyConfig] = ()
    calls: Read = NOTHING
    istioctl: Read = NOTHING
    not_asked: Mapping[Section, str] = field(default_factory=dict)
    istiods_before: Sequence[Istiod] = ()  # as they answered some seconds before, when that left something open
