# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Annotations and labels of Istio: the keys `*.istio.io`, `istio.io/…` and `istio-injection`. Pure.

A key that Istio does not know for a kind changes nothing there. One that Istio does not have at all may be of another version.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import KubeError
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.fields.mesh_config import MESH_CONFIG
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.fields.table import (
    Row,
    Use,
    decides,
    irrelevant,
    unsupported,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parse.capture import (
    ANNOTATIONS,
    PROXY_CONFIG,
    proxy_config,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parts import Doubt

_NOT_ISTIOS = "no key of an object: a name of an image, a controller or a condition, or internal to istiod"
_INJECTED = "the pods show what was injected"
_LOGS = "logs, traces and metrics change no TLS"
_GATEWAY_API = "the Kubernetes Gateway API is not computed"
_WHICH = "it chooses among the endpoints; the worst of all of them counts"
_WAYPOINT = "calls go through a waypoint, whose policies are not computed"
_WAYPOINTS = (
    *("istio.io/use-waypoint", "istio.io/use-waypoint-namespace", "istio.io/use-waypoint-canary"),
    *("istio.io/use-waypoint-canary-namespace", "istio.io/ingress-use-waypoint"),
)
_STATS = (
    *("InclusionPrefixes", "InclusionSuffixes", "InclusionRegexps", "HistogramBuckets", "HistogramBins"),
    *("FlushInterval", "EvictionInterval", "Compression"),
)
_READINESS = ("initialDelaySeconds", "periodSeconds", "failureThreshold", "applicationPorts")
_CONTROLLERS = (
    *(
        "PROXY",
        "VisibilityApplied",
        "WaypointBound",
        "WaypointMissing",
        "agentgateway-controller",
        "agentgateway-waypoint-controller",
    ),
    *(
        "debug",
        "eastwest-controller",
        "gateway-controller",
        "inference-pool-controller",
        "ingress-controller",
        "istio",
        "istiod-ca",
    ),
    *("mesh-controller", "unset"),
)
_INTERNAL = (
    *("always-push", "gateway-semantics", "gateway-service", "parent-namespace", "parents", "route-semantics"),
    *("service-account-name", "service-semantics", "webhook-always-reject"),
)
_NETWORK = "calls to another network are mutual TLS through its gateway, or are not made"

# Keys that mean something of their own on a kind.
_OF_KIND: dict[str, list[Row]] = {
    "Pod": [
        *decides("parse/capture.py", *ANNOTATIONS, PROXY_CONFIG),
        *decides(
            "parse/pod.py",
            "sidecar.istio.io/status",
            "sidecar.istio.io/inject",
            "istio.io/rev",
            "networking.istio.io/tunnel",
        ),
        *decides("client.py", "security.istio.io/tlsMode"),
        *decides("parse/pod.py", "ambient.istio.io/redirection", "ambient.istio.io/bypass-inbound-capture"),
        *unsupported("the proxy's own configuration is replaced", "sidecar.istio.io/bootstrapOverride"),
        *irrelevant(
            "calls to a pod's own address are not computed", "istio.io/use-waypoint", "istio.io/use-waypoint-namespace"
        ),
    ],
    "Service": [
        *decides("parse/service.py", "networking.istio.io/exportTo"),
        *unsupported(_WAYPOINT, *_WAYPOINTS, unless=["none"]),
        *irrelevant("istiod reads Services of all revisions", "istio.io/rev"),
    ],
    "ServiceEntry": unsupported(_WAYPOINT, *_WAYPOINTS, unless=["none"]),
    "Namespace": [
        *decides("groups.py", "istio-injection", "istio.io/rev"),
        *decides("summary.py", "istio.io/dataplane-mode"),
        *decides("assemble.py", "topology.istio.io/network"),
        *unsupported(_WAYPOINT, *_WAYPOINTS, unless=["none"]),
    ],
    "VirtualService": unsupported(
        "istiod takes it for one that it made of a route itself, whose matches and visibility are others",
        "internal.istio.io/route-semantics",
    ),
    "BackendTLSPolicy": decides("parse/gateway_api.py", "istio.io/ignore-policy-attachment"),
    "WorkloadEntry": [
        *decides("parse/workload_entry.py", "security.istio.io/tlsMode"),
        *unsupported("ztunnel sends it HBONE", "networking.istio.io/tunnel"),
        *unsupported("one revision has the address, and others do not", "istio.io/rev"),
    ],
}
# Keys that mean the same on all other kinds.
_OF_ALL: list[Row] = [
    *decides("model.py", "istio.io/rev"),
    *irrelevant(
        _INJECTED,
        *("inject.istio.io/templates", "istio.io/dataplane-mode", "istio-injection", "sidecar.istio.io/inject"),
        *(
            "proxy.istio.io/config",
            "proxy.istio.io/overrides",
            "sidecar.istio.io/status",
            "sidecar.istio.io/nativeSidecar",
        ),
        *("ambient.istio.io/redirection", "networking.istio.io/tunnel", "security.istio.io/tlsMode", *ANNOTATIONS),
        *("sidecar.istio.io/userVolume", "sidecar.istio.io/userVolumeMount"),
        *("sidecar.istio.io/proxyImage", "sidecar.istio.io/proxyImageType", "sidecar.istio.io/discoveryAddress"),
        *(f"sidecar.istio.io/proxy{what}" for what in ("CPU", "CPULimit", "Memory", "MemoryLimit")),
    ),
    *irrelevant(
        _LOGS,
        *("prometheus.istio.io/merge-metrics", "prometheus.istio.io/secure-port"),
        *("sidecar.istio.io/logLevel", "sidecar.istio.io/componentLogLevel", "sidecar.istio.io/agentLogLevel"),
        *(f"sidecar.istio.io/stats{what}" for what in _STATS),
        *("sidecar.istio.io/extraStatTags", "service.istio.io/canonical-name", "service.istio.io/canonical-revision"),
        *("service.istio.io/workload-name", "galley.istio.io/analyze-suppress"),
    ),
    *irrelevant(
        "probes of the sidecar itself, and of the kubelet, which are told of on their own",
        *(
            "status.sidecar.istio.io/port",
            "sidecar.istio.io/rewriteAppHTTPProbers",
            "proxy.istio.io/health-checks-enabled",
        ),
        *(f"readiness.status.sidecar.istio.io/{what}" for what in _READINESS),
    ),
    *irrelevant("where calls of a virtual machine in the pod go", "istio.io/reroute-virtual-interfaces"),
    *irrelevant("whether DNS passes ztunnel", "ambient.istio.io/dns-capture"),
    *irrelevant(
        _GATEWAY_API,
        *(
            "gateway.istio.io/managed",
            "gateway.networking.k8s.io/gateway-name",
            "gateway.networking.k8s.io/gateway-class-name",
        ),
        *("gateway.istio.io/controller-version", "gateway.istio.io/service-account", "gateway.istio.io/name-override"),
        *(
            "gateway.istio.io/agentgatewayImage",
            "gateway.istio.io/defaults-for-class",
            "gateway.istio.io/listener-protocol",
        ),
        *(
            "gateway.istio.io/tls-cipher-suites",
            "gateway.istio.io/tls-terminate-mode",
            "networking.istio.io/service-type",
        ),
        *(
            "networking.istio.io/address-type",
            "istio.io/gateway-name",
            "istio.io/unmanaged-gateway",
            "istio.io/waypoint-for",
        ),
        *("ambient.istio.io/waypoint-inbound-binding", "ambient.istio.io/xfcc-include-client-identity"),
        *(
            "istio.io/connect-strategy",
            "experimental.istio.io/disable-gateway-port-translation",
            "istio.io/ignore-policy-attachment",
        ),
        *(
            f"istio.io/inferencepool-{what}"
            for what in ("name", "extension-service", "extension-port", "extension-failure-mode")
        ),
        "kubernetes.io/ingress.class",
    ),
    *irrelevant(
        "calls to a waypoint concern the service that names it", *_WAYPOINTS, "istio.io/use-waypoint-canary-weight"
    ),
    *irrelevant(
        _WHICH,
        *(
            "networking.istio.io/traffic-distribution",
            "istio.io/persistent-session",
            "istio.io/persistent-session-header",
        ),
        *("istio.io/draining", "topology.istio.io/subzone", "topology.istio.io/locality"),
    ),
    *irrelevant(
        _NETWORK,
        *("topology.istio.io/network", "topology.istio.io/cluster", "topology.istio.io/controlPlaneClusters"),
        *("networking.istio.io/gatewayPort", "traffic.istio.io/nodeSelector", "istio.io/global"),
    ),
    *irrelevant(
        "it says which certificates are accepted; none becomes plain text by it",
        *("alpha.istio.io/kubernetes-serviceaccounts", "alpha.istio.io/canonical-serviceaccounts"),
    ),
    *irrelevant("visibility of a Service only", "networking.istio.io/exportTo"),
    *irrelevant(
        "addresses that istiod chooses are not redirected otherwise", "networking.istio.io/enable-autoallocate-ip"
    ),
    *irrelevant(
        "who made the object, or installed it",
        *("operator.istio.io/component", "operator.istio.io/managed", "operator.istio.io/version", "istio.io/tag"),
        "install.operator.istio.io/owning-resource",
        *(
            "istio.io/autoRegistrationGroup",
            "istio.io/workloadController",
            "istio.io/connectedAt",
            "istio.io/disconnectedAt",
        ),
        *("istio.io/config", "istio.io/test-vm", "istio.io/test-vm-version", "leader.istio.io/holder-key"),
    ),
    *irrelevant("for AuthorizationPolicies and authorization only", "istio.io/dry-run"),
    *irrelevant("for ztunnel and istio-cni on the nodes", "cni.istio.io/not-ready", "cni.istio.io/uninitialized"),
    *irrelevant("EnvoyFilters say themselves what they patch", "envoyfilter.istio.io/referenced-services"),
    *irrelevant(
        _NOT_ISTIOS,
        *(f"istio.io/{what}" for what in _CONTROLLERS),
        *(f"internal.istio.io/{what}" for what in _INTERNAL),
        *("registry.istio.io/release", "registry.istio.io/testing"),
    ),
]
ROWS: Mapping[str, Mapping[str, Row]] = {kind: {row.path: row for row in rows} for kind, rows in _OF_KIND.items()}
OF_ALL: Mapping[str, Row] = {row.path: row for row in _OF_ALL}


def row_of(kind: str, key: str) -> Row | None:
    """The row of a key on an object of a kind."""
    return ROWS.get(kind, {}).get(key) or OF_ALL.get(key)


@functools.lru_cache(maxsize=256)
def _of_proxy_config(text: str) -> str:
    """What of a ProxyConfig is not understood, which a pod has in place of the mesh's; the pods of a mesh have few different ones."""
    try:
        config = proxy_config(text)
    except KubeError:
        return f"{PROXY_CONFIG} is not YAML"
    found = MESH_CONFIG.doubt({"defaultConfig": config}, PROXY_CONFIG)
    return found.words if found else ""


def doubt(kind: str, meta: Mapping[str, Any], subject: str) -> Doubt | None:
    """What of an object's annotations and labels is not understood, None for nothing; a wide one before others.

    A key of a Namespace that is not known at all may be about its workloads (wide); the others are about its services.
    """
    found = None
    for field in ("annotations", "labels"):
        for key, value in (meta.get(field) or {}).items():
            if "istio.io/" not in key:  # `istio-injection` takes any value
                continue
            row = row_of(kind, key)
            if row is None:
                return Doubt(f"{subject}: {field} has {key}, which is not known here", kind == "Namespace")
            if row.use is Use.UNSUPPORTED and value and value not in (row.values or ()):
                found = found or Doubt(f"{subject}: {field} has {key}: {row.why}")
            elif kind == "Pod" and key == PROXY_CONFIG and (words := _of_proxy_config(str(value))):
                found = found or Doubt(f"{subject}: {words}")
    return found
