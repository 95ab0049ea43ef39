# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Variables of istiod's environment (istio pilot/pkg/features). Pure.

An unset variable has Istio's default. A variable without a row is none of Istio's, or one of another version's: it is not a field, and
changes nothing here.
"""

from __future__ import annotations

from collections.abc import Mapping

from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.fields.table import (
    Table,
    decides,
    irrelevant,
    unsupported,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parts import Doubt

_TRUE, _FALSE = ("true", "1", "t", "T", "TRUE", "True"), ("false", "0", "f", "F", "FALSE", "False")

# fmt: off
SWITCHES = Table(
    decides(
        "parse/mesh_config.py",
        *("PILOT_ENABLE_EDS_FOR_HEADLESS_SERVICES", "ENABLE_TLS_ON_SIDECAR_INGRESS", "ENABLE_ENHANCED_DESTINATIONRULE_MERGE"),
        *("PILOT_ENABLE_K8S_SELECT_WORKLOAD_ENTRIES", "PILOT_ENABLE_AMBIENT"),
        values=[*_TRUE, *_FALSE],
    ),
    unsupported("gateways read Gateways of their own namespace only", "PILOT_SCOPE_GATEWAY_TO_NAMESPACE", unless=_FALSE),
    unsupported("ServiceEntries choose no pods", "PILOT_ENABLE_SERVICEENTRY_SELECT_PODS", unless=_TRUE),
    unsupported("proxies send or take no HBONE", "PILOT_ENABLE_SENDING_HBONE", "PILOT_ENABLE_SIDECAR_LISTENING_HBONE", unless=_TRUE),
    unsupported("proxies prefer HBONE", "PILOT_PREFER_SENDING_HBONE", unless=_FALSE),
    unsupported("a further MeshConfig is merged", "SHARED_MESH_CONFIG"),
    unsupported("istiod reads one namespace only", "ISTIO_WATCH_NAMESPACE"),
    unsupported("istiod does not read all kinds", "PILOT_IGNORE_RESOURCES", "PILOT_INCLUDE_RESOURCES"),
    irrelevant(
        "the Kubernetes Gateway API is not computed",
        *(
            "ENABLE_GATEWAY_API_INFERENCE_EXTENSION", "ENABLE_GATEWAY_API_MANUAL_DEPLOYMENT",
            "ENABLE_SELECTOR_BASED_K8S_GATEWAY_POLICY", "PILOT_ENABLE_AGENTGATEWAY", "PILOT_ENABLE_GATEWAY_API",
            "PILOT_ENABLE_GATEWAY_API_COPY_LABELS_ANNOTATIONS", "PILOT_ENABLE_GATEWAY_API_DEPLOYMENT_CONTROLLER",
            "PILOT_ENABLE_GATEWAY_API_GATEWAYCLASS_CONTROLLER", "PILOT_ENABLE_GATEWAY_API_STATUS",
            "PILOT_ENABLE_STRICT_GATEWAY_MERGING", "PILOT_FILTER_GATEWAY_CLUSTER_CONFIG",
            "PILOT_GATEWAY_API_CONTROLLER_NAME", "PILOT_GATEWAY_API_DEFAULT_GATEWAYCLASS_NAME",
            "PILOT_GATEWAY_TRANSPORT_SOCKET_CONNECT_TIMEOUT", "PILOT_MULTI_NETWORK_DISCOVER_GATEWAY_API",
            "RESOLVE_HOSTNAME_GATEWAYS", "TRUSTED_GATEWAY_CIDR",
        ),
    ),
    irrelevant(
        "other clusters of the mesh are not judged",
        *(
            "AMBIENT_ENABLE_MULTI_NETWORK", "AMBIENT_ENABLE_MULTI_NETWORK_INGRESS",
            "AMBIENT_ENABLE_MULTI_NETWORK_WAYPOINT", "CLUSTER_ID", "ENABLE_HCM_INTERNAL_NETWORKS",
            "ENABLE_MCS_AUTO_EXPORT", "ENABLE_MCS_CLUSTER_LOCAL", "ENABLE_MCS_HOST", "ENABLE_MCS_SERVICE_DISCOVERY",
            "ENABLE_MULTICLUSTER_HEADLESS", "EXTERNAL_ISTIOD", "LOCAL_CLUSTER_SECRET_WATCHER", "MCS_API_GROUP",
            "MCS_API_VERSION", "PILOT_ENABLE_CROSS_CLUSTER_WORKLOAD_ENTRY",
            "PILOT_ENABLE_REMOTE_CREDENTIALS_CONTROLLER", "PILOT_INSECURE_MULTICLUSTER_KUBECONFIG_OPTIONS",
            "PILOT_MULTICLUSTER_KUBECONFIG_PATH", "PILOT_REMOTE_CLUSTER_TIMEOUT",
        ),
    ),
    irrelevant(
        "policies of waypoints are not computed",
        *(
            "AMBIENT_ENABLE_BAGGAGE", "AMBIENT_ENABLE_DRY_RUN_AUTHORIZATION_POLICY", "ENABLE_INGRESS_WAYPOINT_ROUTING",
            "ENABLE_LAYERED_WAYPOINT_AUTHORIZATION_POLICIES", "PILOT_AUTO_ALLOW_WAYPOINT_POLICY",
            "PILOT_ENABLE_AMBIENT_WAYPOINTS",
        ),
    ),
    irrelevant(
        "logs, traces and metrics change no TLS",
        *(
            "DEBUG_ENDPOINT_AUTH_ALLOWED_NAMESPACES", "DISABLE_TRACK_REMAINING_CB_METRICS",
            "ENABLE_DEBUG_ENDPOINT_AUTH", "ENABLE_DEBUG_ON_HTTP", "ISTIO_ENABLE_CONTROLLER_QUEUE_METRICS",
            "LABEL_CANONICAL_SERVICES_FOR_MESH_EXTERNAL_SERVICE_ENTRIES", "MUTEX_PROFILE_FRACTION",
            "PILOT_AGENT_MERGE_ENVOY_STATS", "PILOT_ANALYSIS_INTERVAL", "PILOT_ENABLE_ANALYSIS",
            "PILOT_ENABLE_METADATA_EXCHANGE", "PILOT_ENABLE_TELEMETRY_LABEL", "PILOT_ENDPOINT_TELEMETRY_LABEL",
            "PILOT_ENVOY_FILTER_STATS", "PILOT_MX_ADDITIONAL_LABELS", "PILOT_TRACE_SAMPLING", "PILOT_XDS_CACHE_STATS",
            "UNSAFE_PILOT_ENABLE_RUNTIME_ASSERTIONS",
        ),
    ),
    irrelevant(
        "how istiod works: when and how often it sends, and what it keeps",
        *(
            "AMBIENT_ENABLE_STATUS", "AMBIENT_SCOPED_ADDRESS_PUSHES", "ENABLE_LAZY_SIDECAR_EVALUATION",
            "ENABLE_LEADER_ELECTION", "ENABLE_VTPROTOBUF", "ISTIO_DELTA_XDS", "ISTIO_GPRC_MAXRECVMSGSIZE",
            "ISTIO_GPRC_MAXSTREAMS", "ISTIO_KUBE_CLIENT_CONTENT_TYPE", "MAX_CONNECTIONS_PER_SOCKET_EVENT_LOOP",
            "PILOT_ALLOW_ANY_DYNAMIC_DNS_MAX_HOSTS", "PILOT_CONVERT_SIDECAR_SCOPE_CONCURRENCY", "PILOT_DEBOUNCE_AFTER",
            "PILOT_DEBOUNCE_MAX", "PILOT_DNS_CARES_UDP_MAX_QUERIES", "PILOT_ENABLE_CDS_CACHE",
            "PILOT_ENABLE_EDS_DEBOUNCE", "PILOT_ENABLE_RDS_CACHE", "PILOT_ENABLE_ROUTE_COLLAPSE_OPTIMIZATION",
            "PILOT_ENABLE_XDS_CACHE", "PILOT_HBONE_INITIAL_CONNECTION_WINDOW_SIZE",
            "PILOT_HBONE_INITIAL_STREAM_WINDOW_SIZE", "PILOT_JWT_PUB_KEY_REFRESH_INTERVAL",
            "PILOT_MAX_REQUESTS_PER_SECOND", "PILOT_PUSH_THROTTLE", "PILOT_STATUS_MAX_WORKERS",
            "PILOT_UNIFIED_SIDECAR_SCOPE", "PILOT_XDS_CACHE_INDEX_CLEAR_INTERVAL", "PILOT_XDS_CACHE_SIZE",
        ),
    ),
    irrelevant(
        "which certificates and callers istiod itself takes",
        *(
            "BLOCKED_CIDRS_IN_JWKS_URIS", "CA_TRUSTED_NODE_ACCOUNTS", "CERT_SIGNER_DOMAIN", "ENABLE_CA_SERVER",
            "ENABLE_CLUSTER_TRUST_BUNDLE_API", "ENABLE_XDS_API_GENERATOR_AUTH", "INJECTION_WEBHOOK_CONFIG_NAME",
            "ISTIOD_CUSTOM_HOST", "ISTIO_MULTIROOT_MESH", "ISTIO_WORKLOAD_ENTRY_VALIDATE_IDENTITY",
            "JWKS_RESOLVER_INSECURE_SKIP_VERIFY", "PILOT_CA_CERT_CONFIGMAP", "PILOT_CERT_PROVIDER",
            "PILOT_CRL_CONFIGMAP", "PILOT_ENABLE_CA_CRL", "PILOT_ENABLE_XDS_IDENTITY_CHECK",
            "PILOT_SKIP_VALIDATE_TRUST_DOMAIN", "UNSAFE_ENABLE_ADMIN_ENDPOINTS", "USE_CACERTS_FOR_SELF_SIGNED_CA",
            "VALIDATION_WEBHOOK_CONFIG_NAME", "XDS_AUTH",
        ),
    ),
    irrelevant(
        "it chooses among the endpoints; the worst of all of them counts",
        *(
            "ENABLE_LOCALITY_WEIGHTED_LB_CONFIG", "PILOT_AUTO_SEND_UNHEALTHY_ENDPOINTS", "PILOT_DRAINING_LABEL",
            "PILOT_ENABLE_PERSISTENT_SESSION_FILTER", "PILOT_PERSISTENT_SESSION_HEADER_LABEL",
            "PILOT_PERSISTENT_SESSION_LABEL", "PILOT_SEND_UNHEALTHY_ENDPOINTS",
        ),
    ),
    irrelevant(
        "the pods show what was injected",
        *(
            "ENABLE_NATIVE_SIDECARS", "ENABLE_PROXY_FIND_POD_BY_IP", "PILOT_ENABLE_NODE_UNTAINT_CONTROLLERS",
            "PILOT_NODE_UNTAINT_CONTROLLERS_TAINT_NAME",
        ),
    ),
    irrelevant(
        "addresses of hosts, and names of DNS",
        *(
            "ISTIO_DUAL_STACK", "ISTIO_ENABLE_IPV4_OUTBOUND_LISTENER_FOR_IPV6_CLUSTERS", "PILOT_DNS_JITTER_DURATION",
            "PILOT_ENABLE_IP_AUTOALLOCATE", "PILOT_IP_AUTOALLOCATE_IPV4_PREFIX", "PILOT_IP_AUTOALLOCATE_IPV6_PREFIX",
        ),
    ),
    irrelevant(
        "WorkloadEntries are read as they are, whoever made them",
        *(
            "PILOT_ENABLE_WORKLOAD_ENTRY_AUTOREGISTRATION", "PILOT_ENABLE_WORKLOAD_ENTRY_HEALTHCHECKS",
            "PILOT_WORKLOAD_ENTRY_GRACE_PERIOD",
        ),
    ),
    irrelevant(
        "what a proxy does with a request; which TLS it uses is the same",
        *(
            "DISABLE_SHADOW_HOST_SUFFIX", "ENABLE_100_CONTINUE_HEADERS", "ENABLE_WILDCARD_HOST_SERVICE_ENTRIES_FOR_TLS",
            "ENVOY_STATUS_PORT_ENABLE_PROXY_PROTOCOL", "ISTIO_AGENT_ENABLE_WASM_REMOTE_LOAD_CONVERSION",
            "PILOT_ALLOW_SIDECAR_SERVICE_INBOUND_LISTENER_MERGE", "PILOT_DISABLE_MX_ALPN",
            "PILOT_ENABLE_ABSOLUTE_FQDN_VHOST_DOMAIN", "PILOT_ENABLE_ALPN_FILTER", "PILOT_ENABLE_MONGO_FILTER",
            "PILOT_ENABLE_MULTIPLE_CUSTOM_AUTHZ_PROVIDERS", "PILOT_ENABLE_MYSQL_FILTER", "PILOT_ENABLE_QUIC_LISTENERS",
            "PILOT_ENABLE_REDIS_FILTER", "PILOT_HTTP10", "PILOT_JWT_ENABLE_REMOTE_JWKS",
            "PILOT_SIDECAR_PICK_BEST_SERVICE_NAMESPACE", "PILOT_SIDECAR_USE_REMOTE_ADDRESS",
            "PREFER_DESTINATIONRULE_TLS_FOR_EXTERNAL_SERVICES",
        ),
    ),
)
# fmt: on


def doubt(environment: Mapping[str, str], subject: str) -> Doubt | None:
    """What of istiod's variables is not understood."""
    known = {row.path for row in SWITCHES.rows}
    return SWITCHES.doubt({name: value for name, value in environment.items() if name in known}, subject)
