# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where traces and access logs go, from one set of variables: what the mesh, its Telemetry object and the services are told. No I/O.

PRIVATE: may change at any time.
"""

from __future__ import annotations

import re
import typing as t
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Tracing(StrEnum):
    """Who takes the traces: nobody, the Jaeger that the role observability runs, or a collector of somebody else."""

    NONE = "none"
    JAEGER = "jaeger"
    EXTERNAL = "external"


class LogFormat(StrEnum):
    """Form of a line of the access log."""

    TEXT = "text"
    JSON = "json"


# Ports of OTLP (opentelemetry-specification, protocol/exporter.md).
GRPC_PORT, HTTP_PORT = 4317, 4318
# Service of Jaeger in the namespace of Prometheus.
JAEGER = "jaeger"
# Names in extensionProviders of what this collection defines beside tracing.
JSON_LOG, OTLP_LOG = "access-log-json", "access-log-otlp"
# Keys of providers that take traces only (istio.io/api mesh/v1alpha1, ExtensionProvider).
_TRACERS = frozenset({"opentelemetry", "zipkin", "lightstep", "datadog", "skywalking", "opencensus"})
# Providers that every mesh has (istio pkg/config/mesh/mesh.go, DefaultMeshConfig).
BUILT_IN = ("prometheus", "stackdriver", "envoy")

# Keys of a line of JSON; the values are Envoy's (access_log/usage.html). `trace_id` finds the trace of a request.
JSON_LABELS: Mapping[str, str] = {
    "start_time": "%START_TIME%",
    "method": "%REQ(:METHOD)%",
    "path": "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%",
    "protocol": "%PROTOCOL%",
    "response_code": "%RESPONSE_CODE%",
    "response_flags": "%RESPONSE_FLAGS%",
    "response_code_details": "%RESPONSE_CODE_DETAILS%",
    "duration": "%DURATION%",
    "bytes_received": "%BYTES_RECEIVED%",
    "bytes_sent": "%BYTES_SENT%",
    "trace_id": "%TRACE_ID%",
    "request_id": "%REQ(X-REQUEST-ID)%",
    "authority": "%REQ(:AUTHORITY)%",
    "user_agent": "%REQ(USER-AGENT)%",
    "forwarded_for": "%REQ(X-FORWARDED-FOR)%",
    "upstream_cluster": "%UPSTREAM_CLUSTER%",
    "upstream_host": "%UPSTREAM_HOST%",
    "upstream_failure": "%UPSTREAM_TRANSPORT_FAILURE_REASON%",
    "downstream_peer": "%DOWNSTREAM_PEER_URI_SAN%",
    "route_name": "%ROUTE_NAME%",
}
# Keys of an address and their defaults; `host` has none.
_PORTS = {"grpc_port": GRPC_PORT, "http_port": HTTP_PORT}
_HOST = re.compile(r"(?=.{1,253}\Z)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+")

# The role's variable, the platform's variable whose value it has, and the default of both.
_VARIABLES: Mapping[str, tuple[str, str, t.Any]] = {
    "tracing": ("observability_tracing", "platform_tracing", Tracing.NONE.value),
    "tracing_address": ("observability_tracing_address", "platform_tracing_address", {}),
    "provider": ("observability_tracing_provider", "", "otel"),
    "log_provider": ("observability_access_log_provider", "", "envoy"),
    "log_format": ("observability_access_log_format", "", LogFormat.TEXT.value),
    "log_address": ("observability_access_log_address", "", {}),
    "metrics_provider": ("observability_metrics_provider", "", "prometheus"),
    "namespace": ("observability_namespace", "platform_monitoring_namespace", "monitoring"),
    "domain": ("istio_cluster_domain", "platform_cluster_domain", "cluster.local"),
    "mesh_config": ("istio_mesh_config", "", {}),
    "istio": ("observability_istio_mode", "platform_istio", "managed"),
}
TRACING_ADDRESS, LOG_ADDRESS = _VARIABLES["tracing_address"][0], _VARIABLES["log_address"][0]

# Value of a variable of the host; None when it is not defined.
Value = Callable[[str], t.Any]


@dataclass(frozen=True, slots=True)
class Telemetry:
    """The variables as an inventory has them. Addresses have `host`, `grpc_port` and `http_port`; empty for none."""

    tracing: Tracing = Tracing.NONE
    tracing_address: Mapping[str, t.Any] = field(default_factory=dict)
    provider: str = "otel"
    log_provider: str = "envoy"
    log_format: LogFormat = LogFormat.TEXT
    log_address: Mapping[str, t.Any] = field(default_factory=dict)
    metrics_provider: str = "prometheus"
    namespace: str = "monitoring"
    domain: str = "cluster.local"
    mesh_config: Mapping[str, t.Any] = field(default_factory=dict)
    istio: str = "managed"

    def collector(self) -> dict[str, t.Any]:
        """Who takes the traces: `host`, `grpc_port`, `http_port`; empty for nobody."""
        match self.tracing:
            case Tracing.NONE:
                return {}
            case Tracing.JAEGER:
                return {"host": f"{JAEGER}.{self.namespace}.svc.{self.domain}", **_PORTS}
            case Tracing.EXTERNAL:
                return _complete(self.tracing_address)
            case _:
                t.assert_never(self.tracing)

    def tracing_provider(self) -> str:
        """Name of the provider for the Telemetry object; empty for no tracing."""
        return "" if self.tracing is Tracing.NONE else self.provider

    def log_providers(self) -> list[str]:
        """Names of the providers of access logs for the Telemetry object."""
        written = JSON_LOG if self.log_provider == "envoy" and self.log_format is LogFormat.JSON else self.log_provider
        return [name for name in (written, OTLP_LOG if self.log_address else "") if name]

    def extension_providers(self) -> list[dict[str, t.Any]]:
        """`extensionProviders` of the mesh's configuration: this collection's own, then what the inventory has there."""
        return [*self.own_providers(), *self.given_providers()]

    def given_providers(self) -> list[dict[str, t.Any]]:
        """Those of `istio_mesh_config`."""
        given = self.mesh_config.get("extensionProviders")
        return [dict(one) for one in given if isinstance(one, Mapping)] if isinstance(given, (list, tuple)) else []

    def own_providers(self) -> list[dict[str, t.Any]]:
        """Those of this collection."""
        made: list[dict[str, t.Any]] = []
        if self.collector():
            made.append({"name": self.provider, "opentelemetry": _service(self.collector())})
        if JSON_LOG in self.log_providers():
            form = {"labels": dict(JSON_LABELS)}
            made.append({"name": JSON_LOG, "envoyFileAccessLog": {"path": "/dev/stdout", "logFormat": form}})
        if there := _complete(self.log_address):
            form = {"labels": {name: text for name, text in JSON_LABELS.items() if name != "start_time"}}
            made.append({"name": OTLP_LOG, "envoyOtelAls": {**_service(there), "logFormat": form}})
        return made

    def environment(self, service: str) -> dict[str, str]:
        """Variables that OpenTelemetry's SDKs read, for the containers of a service."""
        there = self.collector()
        if not there:
            return {}
        return {
            "OTEL_SERVICE_NAME": service,
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{there['host']}:{there['http_port']}",
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        }


def _complete(address: Mapping[str, t.Any]) -> dict[str, t.Any]:
    """An address with the usual ports; empty without a host, which is a finding."""
    return {**_PORTS, **address} if address.get("host") else {}


def _service(address: Mapping[str, t.Any]) -> dict[str, t.Any]:
    return {"service": str(address["host"]), "port": int(address["grpc_port"])}


def telemetry_of(value: Value) -> Telemetry:
    """The variables of a host. Raises ValueError for a value that is none of those that are allowed."""
    found = {name: _first(value, *known) for name, known in _VARIABLES.items()}
    for name in ("tracing_address", "log_address", "mesh_config"):
        if not isinstance(found[name], Mapping):
            raise ValueError(f"{_VARIABLES[name][0]} is not a dict")
        found[name] = {key: item for key, item in found[name].items() if item is not None}
    found |= {"tracing": Tracing(found["tracing"]), "log_format": LogFormat(found["log_format"])}
    return Telemetry(**found)


def _first(value: Value, role: str, platform: str, default: t.Any) -> t.Any:
    """The role's variable, else the platform's, else the default: what the role's own default says, for hosts of plays without the role."""
    for name in (role, platform):
        if name and (found := value(name)) is not None:
            return found
    return default


def findings(there: Telemetry) -> Iterator[str]:
    """What does not fit together: an address without its use or the reverse, and names of providers that the mesh would not have."""
    if there.tracing is Tracing.EXTERNAL and not there.tracing_address:
        expected = "{host: otel-collector.tracing.svc.cluster.local}"
        yield f"{TRACING_ADDRESS}: is not given, and observability_tracing is external; expected for example {expected}"
    if there.tracing is not Tracing.EXTERNAL and there.tracing_address:
        yield (
            f"{TRACING_ADDRESS}: is given, and observability_tracing is {there.tracing.value}; expected observability_tracing: external, "
            "or no address"
        )
    for variable, address in ((TRACING_ADDRESS, there.tracing_address), (LOG_ADDRESS, there.log_address)):
        if address and not _HOST.fullmatch(str(address.get("host") or "")):
            yield (
                f"{variable}.host: {address.get('host')!r} is no full host name; expected one that the mesh knows, such as "
                "otel-collector.tracing.svc.cluster.local (for a host outside the cluster, that of a ServiceEntry)"
            )
    yield from _provider_findings(there)


def _provider_findings(there: Telemetry) -> Iterator[str]:
    own = [str(one["name"]) for one in there.own_providers()]
    given = [str(one.get("name")) for one in there.given_providers()]
    for name in own:
        if name in given or name in BUILT_IN:
            yield (
                f"extensionProviders: {name!r} is the name of two providers, that of this collection and one of istio_mesh_config or of "
                "Istio; expected another name (observability_tracing_provider names the one for traces)"
            )
    if there.istio != "managed":
        # The mesh's configuration is somebody else's: which providers it has is read in the cluster.
        return
    known = [*BUILT_IN, *(str(one.get("name")) for one in there.extension_providers() if not _TRACERS & set(one))]
    for variable, name in (
        ("observability_metrics_provider", there.metrics_provider),
        ("observability_access_log_provider", there.log_provider),
    ):
        if name and name not in known:
            yield (
                f"{variable}: the mesh has no provider {name!r} (it has {', '.join(known)}); expected one of these, or one that "
                "istio_mesh_config.extensionProviders defines"
            )
