# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""EnvoyFilter: which of its patches may change what a proxy sends or accepts. Pure.

Sources: istio pilot/pkg/networking/core/envoyfilter (what each patch does), istio.io/api networking/v1alpha3/envoy_filter.proto. A patch is
harmless only if everything that it sets stands in one of the lists here; whatever else there is may change TLS.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parse.metadata import (
    Obj,
    identity,
    texts,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parts import EnvoyFilter, Patch

# Fields of Envoy's messages that decide neither on TLS nor on where a call goes.
_LOGS = frozenset({"access_log", "access_log_options", "stat_prefix"})
_LISTENER = _LOGS | {
    "per_connection_buffer_limit_bytes", "metadata", "tcp_backlog_size", "connection_balance_config", "enable_reuse_port",
    "listener_filters_timeout", "socket_options", "tcp_fast_open_queue_length", "drain_type",
}  # fmt: skip
_NETWORK = _LOGS | {
    # HttpConnectionManager
    "server_name", "server_header_transformation", "stream_idle_timeout", "request_timeout", "request_headers_timeout", "drain_timeout",
    "delayed_close_timeout", "common_http_protocol_options", "http_protocol_options", "http2_protocol_options", "use_remote_address",
    "xff_num_trusted_hops", "skip_xff_append", "via", "generate_request_id", "preserve_external_request_id",
    "always_set_request_id_in_response",
    "normalize_path", "merge_slashes", "path_with_escaped_slashes_action", "tracing", "add_user_agent", "max_request_headers_kb",
    "local_reply_config", "forward_client_cert_details", "set_current_client_cert_details",
    "represent_ipv4_remote_address_as_ipv4_mapped_ipv6",
    "stream_error_on_invalid_http_message", "proxy_100_continue", "request_id_extension",
    # TcpProxy
    "idle_timeout", "max_connect_attempts", "max_downstream_connection_duration",
}  # fmt: skip
_CLUSTER = frozenset({
    "circuit_breakers", "connect_timeout", "per_connection_buffer_limit_bytes", "outlier_detection", "upstream_connection_options",
    "common_lb_config", "lb_policy", "ring_hash_lb_config", "maglev_lb_config", "least_request_lb_config", "round_robin_lb_config",
    "dns_lookup_family", "dns_refresh_rate", "dns_failure_refresh_rate", "respect_dns_ttl", "max_requests_per_connection",
    "http_protocol_options", "http2_protocol_options", "common_http_protocol_options", "alt_stat_name", "track_cluster_stats",
    "track_timeout_budgets", "close_connections_on_host_health_failure", "ignore_health_on_host_removal", "preconnect_policy",
    "connection_pool_per_downstream_connection", "health_checks", "typed_extension_protocol_options",
})  # fmt: skip
_BOOTSTRAP = frozenset({
    "stats_config", "stats_sinks", "stats_flush_interval", "stats_flush_on_admin", "layered_runtime", "overload_manager", "tracing",
    "watchdog", "watchdogs", "flags_path", "header_prefix", "use_tcp_for_dns_lookups", "memory_allocator_manager",
})  # fmt: skip
# Fields of a route that send requests elsewhere, or make a new one.
_ROUTING = re.compile(
    "cluster|request_mirror_polic|redirect|direct_response|non_forwarding_action|^routes$|^virtual_hosts$|^vhds$|^domains$|matcher"
)
# Network filters that only let connections through or not.
_PASSING = re.compile(r"\.(local_ratelimit|ratelimit|connection_limit|rbac|ext_authz)\.v3\.")
_INSERTS = frozenset({"ADD", "INSERT_BEFORE", "INSERT_AFTER", "INSERT_FIRST"})
_ROUTER, _FORWARD = "envoy.filters.http.router", "dynamic_forward_proxy"


def envoy_filter(obj: Obj) -> EnvoyFilter:
    """An EnvoyFilter."""
    namespace, name, _created = identity(obj)
    spec = obj.get("spec") or {}
    refs = spec.get("targetRefs")
    return EnvoyFilter(
        namespace,
        name,
        texts((spec.get("workloadSelector") or {}).get("labels")),
        tuple(str(ref["name"]) for ref in refs if ref.get("kind") == "Gateway") if refs else None,
        tuple(_patches(spec, f"{namespace}/{name}")),
    )


def _patches(spec: Obj, key: str) -> Iterator[Patch]:
    for part in spec.get("configPatches") or []:
        match, patch = part.get("match") or {}, part.get("patch")
        if patch is None:
            continue  # istiod drops it as well
        where, how = str(part.get("applyTo") or ""), str(patch.get("operation") or "")
        context = str(match.get("context") or "ANY")
        accepts, sends = _changes(where, how, match, patch.get("value"))
        accepts = accepts and context != "SIDECAR_OUTBOUND"
        sends = sends and context != "SIDECAR_INBOUND"
        if accepts or sends:
            yield Patch(
                f"EnvoyFilter {key} patches {where or 'nothing known'} ({how or 'no operation'}), which is not computed",
                accepts,
                sends,
                context not in ("GATEWAY", "WAYPOINT"),
                context not in ("SIDECAR_INBOUND", "SIDECAR_OUTBOUND", "WAYPOINT"),
                _host(match) if where == "CLUSTER" else "",
            )


def _changes(where: str, how: str, match: Obj, value: Any) -> tuple[bool, bool]:
    """Whether a patch may change what a proxy accepts, and what it sends."""
    match where:
        case "LISTENER":
            harmless = how == "MERGE" and _only(value, _LISTENER)
            return not harmless, not harmless
        case "NETWORK_FILTER":
            harmless = _harmless_network_filter(how, value)
            return not harmless, not harmless
        case "HTTP_FILTER":
            return False, not _harmless_http_filter(how, match, value)
        case "ROUTE_CONFIGURATION" | "VIRTUAL_HOST" | "HTTP_ROUTE":
            return False, how != "MERGE" or _routes(value)
        case "CLUSTER":
            harmless = how == "ADD" or (how == "MERGE" and _only(value, _CLUSTER))
            return False, not harmless
        case "EXTENSION_CONFIG":
            return False, False  # it is used by what names it only
        case "BOOTSTRAP":
            harmless = how == "MERGE" and _only(value, _BOOTSTRAP)
            return not harmless, not harmless
    return True, True  # FILTER_CHAIN, LISTENER_FILTER, and what is not known


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])([A-Z])", lambda found: f"_{found[1].lower()}", name)


def _only(value: Any, fields: frozenset[str]) -> bool:
    """Whether a message sets nothing but these fields."""
    return isinstance(value, Mapping) and all(_snake(str(name)) in fields for name in value)


def _type(value: Any) -> tuple[str, Mapping[str, Any]]:
    """Type and content of a filter's typed_config; one in a TypedStruct is unwrapped."""
    config = value.get("typed_config", value.get("typedConfig")) if isinstance(value, Mapping) else None
    if not isinstance(config, Mapping):
        return "", {}
    name = str(config.get("@type") or "")
    if name.endswith("TypedStruct"):
        inner = config.get("value")
        return str(config.get("type_url") or config.get("typeUrl") or ""), inner if isinstance(inner, Mapping) else {}
    return name, {field: node for field, node in config.items() if field != "@type"}


def _harmless_network_filter(how: str, value: Any) -> bool:
    name, config = _type(value)
    if how == "MERGE":
        known = name.endswith((".HttpConnectionManager", ".TcpProxy"))
        named = set(value) <= {"name", "typed_config", "typedConfig"} if isinstance(value, Mapping) else False
        return known and named and _only(config, frozenset(_NETWORK))
    return how in _INSERTS and bool(_PASSING.search(name))


def _harmless_http_filter(how: str, match: Obj, value: Any) -> bool:
    """HTTP filters work on requests, after TLS and before the route. Only the router, and a proxy for any host, choose the cluster."""
    if how in _INSERTS:
        return _FORWARD not in str(value) and _ROUTER not in _names(value)
    chosen = (
        (((match.get("listener") or {}).get("filterChain") or {}).get("filter") or {}).get("subFilter") or {}
    ).get("name")
    return how in ("MERGE", "REMOVE", "REPLACE") and bool(chosen) and chosen != _ROUTER and _FORWARD not in str(value)


def _names(value: Any) -> set[str]:
    return {str(value.get("name") or "")} if isinstance(value, Mapping) else set()


def _routes(value: Any) -> bool:
    """Whether a message has a field that sends requests elsewhere, at any depth outside of a filter's own configuration."""
    if isinstance(value, Mapping):
        return any(
            _ROUTING.search(_snake(str(name))) or _routes(node)
            for name, node in value.items()
            if _snake(str(name)) not in ("typed_per_filter_config", "metadata", "rate_limits")
        )
    return isinstance(value, list) and any(_routes(node) for node in value)


def _host(match: Obj) -> str:
    """The service whose clusters a patch is for."""
    cluster = match.get("cluster") or {}
    return str(cluster.get("service") or "") or str(cluster.get("name") or "").rpartition("|")[2]
