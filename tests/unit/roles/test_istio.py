# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Values that the role istio passes to its charts. tests/integration/test_charts.py renders the charts."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.role_values import value


def istiod(**overrides: Any) -> dict[str, Any]:
    return value("istio", "__istio_istiod_chart_values", **overrides)


def gateway(**overrides: Any) -> dict[str, Any]:
    return value("istio", "__istio_ingress_gateway_chart_values", **overrides)


def names(**overrides: Any) -> list[str]:
    return [release["name"] for release in value("istio", "__istio_wanted_releases", **overrides)]


def test_defaults_install_base_istiod_and_the_ingress_gateway() -> None:
    assert names() == ["istio-base", "istiod", "istio-ingressgateway"]


def test_cni_comes_before_the_pods_that_need_it() -> None:
    assert names(istio_cni_enabled=True, istio_egress_gateway_enabled=True) == [
        "istio-base", "istio-cni", "istiod", "istio-ingressgateway", "istio-egressgateway",
    ]  # fmt: skip
    assert istiod(istio_cni_enabled=True)["cni"] == {"enabled": True}


def test_every_chart_release_has_the_key_that_teardown_needs() -> None:
    for release in value("istio", "__istio_releases"):
        assert "servicemesh.platform/managed-by" in json.dumps(release["values"])


def test_the_sizes_have_the_reference_figures() -> None:
    demo, tuned = istiod(istio_size="demo"), istiod(istio_size="tuned")
    assert demo["resources"]["requests"] == {"cpu": "100m", "memory": "256Mi"}
    assert tuned["resources"] == {
        "requests": {"cpu": "500m", "memory": "2Gi"},
        "limits": {"cpu": "2000m", "memory": "4Gi"},
    }
    assert "PILOT_PUSH_THROTTLE" not in demo["env"]
    assert tuned["env"]["PILOT_PUSH_THROTTLE"] == "100"
    assert tuned["global"]["proxy"]["resources"]["limits"] == {"cpu": "500m", "memory": "256Mi"}
    assert tuned["global"]["proxy"]["logLevel"] == "warning"


def test_a_variable_of_its_own_wins_over_the_size() -> None:
    mine = {"requests": {"cpu": "1", "memory": "1Gi"}}
    assert istiod(istio_size="tuned", istio_pilot_resources=mine)["resources"] == mine
    assert istiod(istio_proxy_log_level="debug")["global"]["proxy"]["logLevel"] == "debug"


def test_autoscaling_follows_its_variables() -> None:
    assert istiod()["autoscaleMin"] == 2
    assert istiod()["autoscaleMax"] == 5
    assert gateway()["autoscaling"] == {
        "enabled": True, "minReplicas": 2, "maxReplicas": 10, "targetCPUUtilizationPercentage": 80,
    }  # fmt: skip
    one = gateway(istio_ingress_gateway_autoscale_enabled=False, istio_ingress_gateway_replicas=1)
    assert one["autoscaling"]["enabled"] is False
    assert one["replicaCount"] == 1


def test_the_gateway_listens_on_unprivileged_ports() -> None:
    assert {port["port"]: port["targetPort"] for port in gateway()["service"]["ports"]} == {
        80: 8080, 443: 8443, 15021: 15021,
    }  # fmt: skip


@pytest.mark.parametrize("proxies", [0, 1, 2])
def test_the_gateway_trusts_the_proxies_before_it(proxies: int) -> None:
    annotation = gateway(istio_ingress_gateway_trusted_proxies=proxies)["podAnnotations"]["proxy.istio.io/config"]
    assert json.loads(annotation) == {"gatewayTopology": {"numTrustedProxies": proxies}}


def test_environment_values_are_strings() -> None:
    env = istiod(istio_native_sidecars="enabled", istio_size="tuned")["env"]
    assert env == {
        "PILOT_JWT_ENABLE_REMOTE_JWKS": "envoy",
        "BLOCKED_CIDRS_IN_JWKS_URIS": "127.0.0.0/8,169.254.0.0/16,::1/128,fe80::/10",
        "PILOT_PUSH_THROTTLE": "100",
        "ENABLE_NATIVE_SIDECARS": "true",
    }


def test_no_addresses_are_blocked_for_keys_when_none_are_given() -> None:
    assert istiod(istio_jwks_blocked_cidrs=[])["env"] == {"PILOT_JWT_ENABLE_REMOTE_JWKS": "envoy"}


def test_proxies_count_the_connections_that_strict_refuses() -> None:
    patterns = istiod()["meshConfig"]["defaultConfig"]["proxyStatsMatcher"]["inclusionRegexps"]

    def kept(name: str) -> bool:
        return any(re.fullmatch(pattern, name) for pattern in patterns)

    assert kept("listener.0.0.0.0_15006.no_filter_chain_match")
    assert not kept("listener.0.0.0.0_15001.no_filter_chain_match")
    assert not kept("listener.0.0.0.0_15006.downstream_cx_total")


def test_a_revision_names_what_belongs_to_it() -> None:
    assert names(istio_revision="1-31-0") == ["istio-base", "istiod-1-31-0", "istio-ingressgateway"]
    assert istiod(istio_revision="1-31-0")["revision"] == "1-31-0"
    assert gateway(istio_revision="1-31-0")["revision"] == "1-31-0"
    assert value("istio", "__istio_base_chart_values", istio_revision="1-31-0")["defaultRevision"] == "1-31-0"
    kept = value("istio", "__istio_base_chart_values", istio_revision="1-31-0", istio_default_revision="1-30-0")
    assert kept["defaultRevision"] == "1-30-0"


def test_what_the_user_gives_is_merged_last_and_deep() -> None:
    values = istiod(
        istio_values={"global": {"proxy": {"privileged": True}}, "replicaCount": 7},
        istio_mesh_config={"defaultConfig": {"concurrency": 2}},
    )
    assert values["global"]["proxy"]["privileged"] is True
    assert values["global"]["proxy"]["clusterDomain"] == "cluster.local"
    assert values["replicaCount"] == 7
    config = values["meshConfig"]["defaultConfig"]
    assert (config["holdApplicationUntilProxyStarts"], config["concurrency"]) == (True, 2)


def test_the_mesh_has_the_providers_that_its_telemetry_names_and_those_of_the_user() -> None:
    assert "extensionProviders" not in istiod()["meshConfig"]
    mine = {"name": "mine", "zipkin": {"service": "zipkin.tracing.svc.cluster.local", "port": 9411}}
    assert istiod(istio_mesh_config={"extensionProviders": [mine]})["meshConfig"]["extensionProviders"] == [mine]
    collector = {"service": "otel-collector.monitoring.svc.cluster.local", "port": 4317}
    traced = istiod(platform_tracing="jaeger", istio_mesh_config={"extensionProviders": [mine]})
    assert traced["meshConfig"]["extensionProviders"] == [{"name": "otel", "opentelemetry": collector}, mine]


def test_pull_secrets_take_each_charts_form() -> None:
    secrets = [{"name": "mine"}]
    assert istiod(istio_image_pull_secrets=secrets)["global"]["imagePullSecrets"] == ["mine"]
    assert gateway(istio_image_pull_secrets=secrets)["imagePullSecrets"] == secrets


def test_charts_to_check_are_named_once_with_their_variable() -> None:
    charts = value("istio", "__istio_charts", istio_chart_source="/srv/charts", istio_egress_gateway_enabled=True)
    assert charts == [
        {"variable": "istio_chart_base", "chart": "/srv/charts/base", "version": "1.31.0"},
        {"variable": "istio_chart_istiod", "chart": "/srv/charts/istiod", "version": "1.31.0"},
        {"variable": "istio_chart_gateway", "chart": "/srv/charts/gateway", "version": "1.31.0"},
    ]


def test_the_operator_file_says_the_same_as_the_charts() -> None:
    operator = value("istio", "__istio_operator", istio_size="tuned", istio_revision="1-31-0")
    spec, chart = operator["spec"], istiod(istio_size="tuned", istio_revision="1-31-0")
    assert operator["kind"] == "IstioOperator"
    assert spec["meshConfig"] == chart["meshConfig"]
    assert spec["values"]["global"] == chart["global"]
    assert spec["values"]["pilot"]["env"] == chart["env"]
    assert spec["revision"] == "1-31-0"
    (ingress,) = spec["components"]["ingressGateways"]
    assert ingress["k8s"]["service"]["ports"] == gateway()["service"]["ports"]
    assert ingress["k8s"]["hpaSpec"]["maxReplicas"] == 10
    (egress,) = spec["components"]["egressGateways"]
    assert egress["enabled"] is False


def test_the_operator_file_takes_the_users_part_last() -> None:
    operator = value("istio", "__istio_operator", istio_operator_spec={"profile": "minimal"})
    assert operator["spec"]["profile"] == "minimal"
