# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where traces and access logs go, from one set of variables: what the mesh, its Telemetry object and the services are told. No I/O.

PRIVATE: may change at any time.
"""

from __future__ import annotations

import re
import typing as t
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from ansible_collections.servicemesh.platform.plugins.plugin_utils import _collector


class Tracing(StrEnum):
    """Who takes the traces: nobody, the collector that the role observability runs, with its Jaeger or without, or one of somebody else."""

    NONE = "none"
    JAEGER = "jaeger"
    COLLECTOR = "collector"
    EXTERNAL = "external"


class LogsTo(StrEnum):
    """Who gets the access logs by OTLP: nobody, the collector that the role observability runs, or one of somebody else."""

    NONE = "none"
    COLLECTOR = "collector"
    EXTERNAL = "external"


class LogFormat(StrEnum):
    """Form of a line of the access log."""

    TEXT = "text"
    JSON = "json"


# Ports of OTLP (opentelemetry-specification, protocol/exporter.md).
GRPC_PORT, HTTP_PORT = 4317, 4318
# Services, Deployments and service accounts in the namespace of Prometheus, and the label app of their pods.
COLLECTOR, JAEGER = "otel-collector", "jaeger"
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
    "log_otlp": ("observability_access_log_otlp", "", LogsTo.NONE.value),
    "log_address": ("observability_access_log_address", "", {}),
    "collector_config": ("observability_collector_config", "", {}),
    "metrics_provider": ("observability_metrics_provider", "", "prometheus"),
    "namespace": ("observability_namespace", "platform_monitoring_namespace", "monitoring"),
    "domain": ("istio_cluster_domain", "platform_cluster_domain", "cluster.local"),
    "mesh_config": ("istio_mesh_config", "", {}),
    "istio": ("observability_istio_mode", "platform_istio", "managed"),
}
_CHOICES: Mapping[str, type[Tracing] | type[LogsTo] | type[LogFormat]] = {
    "tracing": Tracing,
    "log_otlp": LogsTo,
    "log_format": LogFormat,
}
TRACING_ADDRESS, LOG_ADDRESS = _VARIABLES["tracing_address"][0], _VARIABLES["log_address"][0]
COLLECTOR_CONFIG = _VARIABLES["collector_config"][0]

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
    log_otlp: LogsTo = LogsTo.NONE
    log_address: Mapping[str, t.Any] = field(default_factory=dict)
    collector_config: Mapping[str, t.Any] = field(default_factory=dict)
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
            case Tracing.JAEGER | Tracing.COLLECTOR:
                return self._own(COLLECTOR)
            case Tracing.EXTERNAL:
                return _complete(self.tracing_address)
            case _:
                t.assert_never(self.tracing)

    def log_collector(self) -> dict[str, t.Any]:
        """Who gets the access logs by OTLP, in the same form."""
        match self.log_otlp:
            case LogsTo.NONE:
                return {}
            case LogsTo.COLLECTOR:
                return self._own(COLLECTOR)
            case LogsTo.EXTERNAL:
                return _complete(self.log_address)
            case _:
                t.assert_never(self.log_otlp)

    def _own(self, name: str) -> dict[str, t.Any]:
        return {"host": f"{name}.{self.namespace}.svc.{self.domain}", **_PORTS}

    def signals(self) -> dict[str, str]:
        """What the collector of the role observability gets, by the names of its pipelines, and who keeps it: empty for what it has to be
        told in `observability_collector_config`."""
        found = {}
        if self.tracing in (Tracing.JAEGER, Tracing.COLLECTOR):
            jaeger = self._own(JAEGER)
            found["traces"] = f"{jaeger['host']}:{jaeger['grpc_port']}" if self.tracing is Tracing.JAEGER else ""
        if self.log_otlp is LogsTo.COLLECTOR:
            found["logs"] = ""
        return found

    def runs(self) -> list[str]:
        """What the role observability runs for this, by the names of the Services. The pods are in the mesh."""
        return [*([COLLECTOR] if self.signals() else []), *([JAEGER] if self.tracing is Tracing.JAEGER else [])]

    def collector_configuration(self) -> dict[str, t.Any]:
        """Configuration of the collector; empty when there is none."""
        return _collector.configuration(self.signals(), self.collector_config) if self.signals() else {}

    def tracing_provider(self) -> str:
        """Name of the provider for the Telemetry object; empty for no tracing."""
        return "" if self.tracing is Tracing.NONE else self.provider

    def log_providers(self) -> list[str]:
        """Names of the providers of access logs for the Telemetry object."""
        written = JSON_LOG if self.log_provider == "envoy" and self.log_format is LogFormat.JSON else self.log_provider
        return [name for name in (written, OTLP_LOG if self.log_otlp is not LogsTo.NONE else "") if name]

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
        if there := self.log_collector():
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


class WrongValuesError(ValueError):
    """Values that are none of those that are allowed. `findings`, and `instead`: the defaults of the variables that have them."""

    def __init__(self, findings: Sequence[str], instead: Mapping[str, t.Any]) -> None:
        super().__init__("; ".join(findings))
        self.findings, self.instead = list(findings), dict(instead)


def telemetry_of(value: Value) -> Telemetry:
    """The variables of a host. Raises WrongValuesError."""
    found: dict[str, t.Any] = {}
    wrong: list[str] = []
    instead: dict[str, t.Any] = {}
    for name, (role, platform, default) in _VARIABLES.items():
        given = _first(value, role, platform, default)
        try:
            found[name] = _read(name, given)
        except ValueError as error:
            wrong.append(f"{role}: {given!r} is not {error}")
            instead |= {variable: default for variable in (role, platform) if variable}
    if wrong:
        raise WrongValuesError(wrong, instead)
    return Telemetry(**found)


def _read(name: str, value: t.Any) -> t.Any:
    """A value of a variable in the form that it has here. Raises ValueError with what was expected."""
    if isinstance(_VARIABLES[name][2], dict):
        if not isinstance(value, Mapping):
            raise ValueError("a dict")
        return {key: item for key, item in value.items() if item is not None}
    if choices := _CHOICES.get(name):
        if value not in list(choices):
            raise ValueError(f"one of {', '.join(choices)}")
        return choices(value)
    return value


def _first(value: Value, role: str, platform: str, default: t.Any) -> t.Any:
    """The role's variable, else the platform's, else the default: what the role's own default says, for hosts of plays without the role."""
    for name in (role, platform):
        if name and (found := value(name)) is not None:
            return found
    return default


def findings(there: Telemetry) -> Iterator[str]:
    """What does not fit together: an address without its use or the reverse, and names of providers that the mesh would not have."""
    for switch, value, external, variable, address in (
        (
            "observability_tracing",
            there.tracing.value,
            there.tracing is Tracing.EXTERNAL,
            TRACING_ADDRESS,
            there.tracing_address,
        ),
        (
            "observability_access_log_otlp",
            there.log_otlp.value,
            there.log_otlp is LogsTo.EXTERNAL,
            LOG_ADDRESS,
            there.log_address,
        ),
    ):
        if external and not address:
            expected = "{host: otel-collector.tracing.svc.cluster.local}"
            yield f"{variable}: is not given, and {switch} is external; expected for example {expected}"
        if not external and address:
            yield f"{variable}: is given, and {switch} is {value}; expected {switch}: external, or no address"
    for variable, address in ((TRACING_ADDRESS, there.tracing_address), (LOG_ADDRESS, there.log_address)):
        if address and not _HOST.fullmatch(str(address.get("host") or "")):
            yield (
                f"{variable}.host: {address.get('host')!r} is no full host name; expected one that the mesh knows, such as "
                "otel-collector.tracing.svc.cluster.local (for a host outside the cluster, that of a ServiceEntry)"
            )
    yield from _collector_findings(there)
    yield from _provider_findings(there)


def _collector_findings(there: Telemetry) -> Iterator[str]:
    """A collector that would not start, or would not know where to send, and a configuration without a collector."""
    signals = there.signals()
    if there.collector_config and not signals:
        yield (
            f"{COLLECTOR_CONFIG}: is given, and neither observability_tracing nor observability_access_log_otlp runs a collector; expected "
            "observability_tracing: collector or jaeger, observability_access_log_otlp: collector, or no configuration"
        )
    if signals:
        for finding in _collector.findings(signals, there.collector_configuration()):
            yield f"{COLLECTOR_CONFIG}{finding}"


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
