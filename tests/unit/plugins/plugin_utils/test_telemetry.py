# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One set of variables tells the mesh, its Telemetry object and the services where traces and logs go."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.servicemesh.platform.plugins.plugin_utils._telemetry import (
    JSON_LABELS,
    WrongValuesError,
    findings,
    telemetry_of,
)

COLLECTOR = {"host": "otel.tracing.svc.cluster.local"}


def of(**variables: Any) -> Any:
    return telemetry_of(variables.get)


def names(there: Any) -> set[str]:
    return {there.tracing_provider(), *there.log_providers(), there.metrics_provider} - {""}


def test_nothing_is_added_by_default() -> None:
    there = of()
    assert there.extension_providers() == []
    assert names(there) == {"envoy", "prometheus"}
    assert there.environment("user-service") == {}


@pytest.mark.parametrize(
    ("variables", "service", "endpoint"),
    [
        (
            {"platform_tracing": "jaeger", "platform_monitoring_namespace": "seen", "platform_cluster_domain": "shop.local"},
            {"service": "otel-collector.seen.svc.shop.local", "port": 4317},
            "http://otel-collector.seen.svc.shop.local:4318",
        ),
        (
            {"observability_tracing": "external", "platform_tracing": "none", "platform_tracing_address": COLLECTOR},
            {"service": COLLECTOR["host"], "port": 4317},
            "http://otel.tracing.svc.cluster.local:4318",
        ),
        (
            {
                "observability_tracing": "external",
                "observability_tracing_address": {**COLLECTOR, "grpc_port": "14317", "http_port": 80},
                "observability_tracing_provider": "traces",
            },
            {"service": COLLECTOR["host"], "port": 14317},
            "http://otel.tracing.svc.cluster.local:80",
        ),
    ],
)  # fmt: skip
def test_the_mesh_the_telemetry_and_the_services_agree(
    variables: dict[str, Any], service: dict[str, Any], endpoint: str
) -> None:
    there = of(**variables)
    assert there.extension_providers() == [{"name": there.tracing_provider(), "opentelemetry": service}]
    assert there.environment("cart") == {
        "OTEL_SERVICE_NAME": "cart",
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
    }
    assert list(findings(there)) == []


def store(**pipelines: Any) -> dict[str, Any]:
    return {
        "exporters": {"otlp_http/store": {"endpoint": "http://store.tools:4318"}},
        "service": {"pipelines": pipelines},
    }


def test_the_collector_has_a_pipeline_for_each_signal_and_sends_to_jaeger_or_where_it_is_told() -> None:
    there = of(platform_tracing="jaeger", observability_access_log_otlp="collector")
    assert there.runs() == ["otel-collector", "jaeger"]
    config = there.collector_configuration()
    assert {name: pipeline["exporters"] for name, pipeline in config["service"]["pipelines"].items()} == {
        "traces": ["otlp_grpc/jaeger"],
        "logs": ["debug/output"],
    }
    assert config["exporters"]["otlp_grpc/jaeger"]["endpoint"] == "jaeger.monitoring.svc.cluster.local:4317"
    (provider,) = [one for one in there.extension_providers() if one["name"] == "access-log-otlp"]
    assert provider["envoyOtelAls"]["service"] == "otel-collector.monitoring.svc.cluster.local"
    assert list(findings(there)) == []

    alone = of(
        platform_tracing="collector", observability_collector_config=store(traces={"exporters": ["otlp_http/store"]})
    )
    assert alone.runs() == ["otel-collector"]
    config = alone.collector_configuration()
    assert config["service"]["pipelines"] == {
        "traces": {"receivers": ["otlp"], "processors": ["memory_limiter"], "exporters": ["otlp_http/store"]}
    }
    assert config["service"]["extensions"] == ["health_check"]
    assert list(findings(alone)) == []
    assert of(observability_access_log_otlp="collector").runs() == ["otel-collector"]
    assert of(platform_tracing="external", platform_tracing_address=COLLECTOR).runs() == of().runs() == []


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (store(traces={"exporters": ["otlp_http/stores"]}), ".service.pipelines.traces.exporters: 'otlp_http/stores' is not defined in"),
        (store(traces={"processors": ["sampler"]}), ".service.pipelines.traces.processors: 'sampler' is not defined in processors"),
        (store(traces={"receivers": "otlp"}), ".service.pipelines.traces.receivers: 'otlp' is no list"),
        (store(traces=None), ".service.pipelines.traces: None is no dict"),
        ({"service": {"pipelines": []}}, ".service.pipelines: is no dict of pipelines"),
        ({"service": {"extensions": ["zpages"]}}, ".service.extensions: 'zpages' is not defined in extensions (there is health_check)"),
    ],
)  # fmt: skip
def test_a_configuration_that_could_not_start_is_a_finding(config: dict[str, Any], said: str) -> None:
    (found,) = findings(of(platform_tracing="jaeger", observability_collector_config=config))
    assert found.startswith(f"observability_collector_config{said}")


def test_a_connector_ends_one_pipeline_and_begins_another() -> None:
    pipelines = {
        "traces": {"exporters": ["forward"]},
        "traces/out": {"receivers": ["forward"], "exporters": ["otlp_grpc/jaeger"]},
    }
    config = {"connectors": {"forward": {}}, "service": {"pipelines": pipelines}}
    assert list(findings(of(platform_tracing="jaeger", observability_collector_config=config))) == []


def test_logs_as_json_and_to_a_collector_have_providers_of_their_own() -> None:
    mine = {"name": "mine", "zipkin": {"service": "zipkin.tracing.svc.cluster.local", "port": 9411}}
    there = of(
        observability_access_log_format="json",
        observability_access_log_otlp="external",
        observability_access_log_address={**COLLECTOR, "grpc_port": None},
        istio_mesh_config={"extensionProviders": [mine]},
    )
    providers = {one["name"]: one for one in there.extension_providers()}
    assert list(providers) == [*there.log_providers(), "mine"] == ["access-log-json", "access-log-otlp", "mine"]
    assert providers["access-log-json"]["envoyFileAccessLog"]["logFormat"]["labels"] == JSON_LABELS
    assert JSON_LABELS["trace_id"] == "%TRACE_ID%"
    assert providers["access-log-otlp"]["envoyOtelAls"]["port"] == 4317
    assert list(findings(there)) == []
    assert of(observability_access_log_format="json", observability_access_log_provider="").log_providers() == []
    assert of(observability_access_log_format="json", observability_access_log_provider="mine").log_providers() == [
        "mine"
    ]


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"platform_tracing": "external"}, "observability_tracing_address: is not given"),
        ({"platform_tracing": "jaeger", "platform_tracing_address": COLLECTOR}, "observability_tracing_address: is given, and"),
        ({"platform_tracing": "external", "platform_tracing_address": {"host": "otel"}}, "observability_tracing_address.host: 'otel'"),
        ({"platform_tracing": "external", "platform_tracing_address": {"grpc_port": 1}}, "observability_tracing_address.host: None"),
        (
            {"observability_access_log_otlp": "external", "observability_access_log_address": {"host": "10.0.0.1:4317"}},
            "observability_access_log_address.host: '10.0.0.1:4317'",
        ),
        ({"observability_access_log_otlp": "external"}, "observability_access_log_address: is not given, and"),
        (
            {"observability_access_log_otlp": "collector", "observability_access_log_address": COLLECTOR},
            "observability_access_log_address: is given, and observability_access_log_otlp is collector",
        ),
        ({"platform_tracing": "collector"}, "observability_collector_config.service.pipelines.traces.exporters: names none; expected"),
        ({"observability_collector_config": {"exporters": {}}}, "observability_collector_config: is given, and neither"),
        ({"observability_access_log_provider": "otel"}, "observability_access_log_provider: the mesh has no provider 'otel'"),
        (
            {"platform_tracing": "jaeger", "observability_access_log_provider": "otel"},
            "observability_access_log_provider: the mesh has no provider 'otel' (it has prometheus, stackdriver, envoy)",
        ),
        ({"observability_metrics_provider": "statsd"}, "observability_metrics_provider: the mesh has no provider 'statsd'"),
        (
            {"platform_tracing": "jaeger", "istio_mesh_config": {"extensionProviders": [{"name": "otel"}]}},
            "extensionProviders: 'otel' is the name of two providers",
        ),
        ({"platform_tracing": "jaeger", "observability_tracing_provider": "envoy"}, "extensionProviders: 'envoy' is the name of two"),
    ],
)  # fmt: skip
def test_what_does_not_fit_together_is_a_finding(variables: dict[str, Any], said: str) -> None:
    (found,) = findings(of(**variables))
    assert found.startswith(said)


def test_the_providers_of_somebody_elses_mesh_are_not_known_here() -> None:
    assert list(findings(of(platform_istio="external", observability_access_log_provider="theirs"))) == []


def test_all_values_that_are_not_allowed_are_told_with_what_is_allowed() -> None:
    with pytest.raises(WrongValuesError) as wrong:
        of(platform_tracing="zipkin", observability_access_log_otlp=["collector"], platform_tracing_address="otel:4317")
    assert wrong.value.findings == [
        "observability_tracing: 'zipkin' is not one of none, jaeger, collector, external",
        "observability_tracing_address: 'otel:4317' is not a dict",
        "observability_access_log_otlp: ['collector'] is not one of none, collector, external",
    ]
    assert wrong.value.instead["platform_tracing"] == "none"
