# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Istio, the ingress and Prometheus: where Prometheus is, and what uses something that is absent."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.servicemesh.platform.plugins.plugin_utils import _canary_settings as canary_settings
from ansible_collections.servicemesh.platform.plugins.plugin_utils import _components as c
from ansible_collections.servicemesh.platform.plugins.plugin_utils._components import Components, Mode, Run
from hypothesis import given
from hypothesis import strategies as st

from tests.role_values import value

ELSEWHERE = {"url": "https://prometheus.example.com", "username": "shop", "password": "geheim"}
EXTERNAL = {"platform_prometheus": "external", "platform_prometheus_address": ELSEWHERE}


@pytest.mark.parametrize(
    ("variables", "address"),
    [
        ({}, {"service": "monitoring/prometheus:9090"}),
        ({"platform_monitoring_namespace": "metrics"}, {"service": "metrics/prometheus:9090"}),
        ({"observability_prometheus": "operator"}, {"service": "monitoring/prometheus-operated:9090"}),
        ({"observability_prometheus": "operator", "observability_namespace": "stack"}, {"service": "stack/prometheus-operated:9090"}),
        ({"platform_prometheus_address": {"service": "stack/thanos:9090"}}, {"service": "stack/thanos:9090"}),
        (EXTERNAL, ELSEWHERE),
        ({"observability_mode": "external", "observability_address": {"service": "a/b:1"}}, {"service": "a/b:1"}),
        ({"platform_prometheus": "absent"}, {}),
        # An inventory that templates its address leaves out what is not set there.
        ({**EXTERNAL, "platform_prometheus_address": {"service": "a/b:1", "ca_cert": None}}, {"service": "a/b:1"}),
    ],
)  # fmt: skip
def test_everybody_takes_the_same_address(variables: dict[str, Any], address: dict[str, Any]) -> None:
    assert c.components_of(variables.get).address() == address
    assert value("verify_mtls", "verify_mtls_prometheus", **variables) == address
    settings = value("microservice", "__microservice_canary_settings", **variables)
    assert settings == ({"prometheus": address} if address else {})
    asked = {**address, "window": 3600}
    assert value("verify_mtls", "__verify_mtls_prometheus", **variables) == asked
    assert value("verify_mtls", "__verify_mtls_asks_prometheus", **variables) is bool(address)


@pytest.mark.parametrize(
    "given", [{"verify_mtls_metrics": False}, {"verify_mtls_metrics": "false"}, {"verify_mtls_form": "quick"}]
)
def test_a_report_without_metrics_asks_nobody(given: dict[str, Any]) -> None:
    assert value("verify_mtls", "__verify_mtls_asks_prometheus", **given) is False


def test_the_defaults_are_those_of_the_role() -> None:
    """Hosts of plays without the role observability have none of its defaults."""
    known = Components()
    found = {
        name: value("observability", name)
        for name in (
            "observability_mode",
            "observability_address",
            "observability_prometheus",
            "observability_namespace",
        )
    }
    assert found == {
        "observability_mode": known.prometheus,
        "observability_address": known.given,
        "observability_prometheus": known.form,
        "observability_namespace": known.namespace,
    }
    assert value("istio", "istio_mode") == known.istio
    assert value("nginx_ingress", "nginx_ingress_mode") == known.ingress


@pytest.mark.parametrize(
    "variables",
    [{"platform_istio": "none"}, {"platform_prometheus_address": "monitoring/prometheus:9090"}, {"observability_prometheus": "thanos"}],
)  # fmt: skip
def test_a_value_that_is_not_known_is_no_default(variables: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        c.components_of(variables.get)


@pytest.mark.parametrize(
    ("components", "words"),
    [
        (Components(prometheus=Mode.EXTERNAL), "is not given, and platform_prometheus is external; expected for example {service:"),
        (Components(prometheus=Mode.ABSENT, given=ELSEWHERE), "is given, and platform_prometheus is absent"),
        (Components(given={"url": "https://a", "service": "a/b:1"}), "both a url and a service"),
        (Components(given={"username": "x"}), "neither a url nor a service"),
        (Components(given={"url": "prometheus:9090"}), "url is"),
        (Components(given={"url": "https://me:geheim@prometheus.example.com"}), "url contains a user or password"),
        (Components(given={"service": "prometheus:9090"}), "service is 'prometheus:9090'; expected namespace/name:port"),
        (Components(given={"service": "a/b:1", "password": "geheim"}), "are for a url"),
    ],
)  # fmt: skip
def test_an_address_that_cannot_be_asked_is_refused(components: Components, words: str) -> None:
    (finding,) = c.findings(components, Run())
    assert finding.startswith("platform_prometheus_address: ")
    assert words in finding
    assert "geheim" not in finding


@pytest.mark.parametrize("address", [ELSEWHERE, {"service": "https:a/b:web"}])
def test_an_address_that_can_be_asked_is_accepted(address: dict[str, str]) -> None:
    assert list(c.findings(Components(prometheus=Mode.EXTERNAL, given=address), Run())) == []


SHOP = ("order-service", "user-service")
WHOLE = Run(
    roles=frozenset({"mesh_security", "mesh_traffic", "observability", "nginx_ingress", "verify_mtls", "datastore"}),
    meshed=SHOP,
    routed=SHOP,
    shifted=("user-service",),
    canary_metrics={"user-service": ["success_rate", "p99"], "order-service": []},
    mtls_metrics=True,
)


@pytest.mark.parametrize(
    ("components", "run", "users"),
    [
        (
            Components(istio=Mode.ABSENT),
            WHOLE,
            [
                *(
                    "role mesh_security",
                    "role mesh_traffic",
                    "role observability",
                    "role verify_mtls",
                    "role nginx_ingress",
                ),
                *(
                    "services order-service, user-service (routes and access rules)",
                    "the canary of user-service (weights",
                ),
            ],
        ),
        (Components(istio=Mode.ABSENT, ingress=Mode.ABSENT), Run(roles=frozenset({"nginx_ingress", "datastore"})), []),
        (Components(istio=Mode.ABSENT), Run(meshed=("a",)), ["service a (routes"]),
        (Components(ingress=Mode.ABSENT), WHOLE, ["services order-service, user-service (routes for callers outside"]),
        (Components(ingress=Mode.ABSENT), Run(routed=SHOP, gateway_open=True), []),
        (Components(ingress=Mode.ABSENT, istio=Mode.EXTERNAL), Run(routed=SHOP), []),
        (
            Components(prometheus=Mode.ABSENT),
            WHOLE,
            ["the canary of user-service (success_rate, p99)", "role verify_mtls (verify_mtls_metrics"],
        ),
        (Components(prometheus=Mode.ABSENT), Run(shifted=("user-service",)), []),
        (Components(prometheus=Mode.ABSENT), Run(canary_metrics={"a": ["p99"]}), ["the canary of a (p99)"]),
    ],
)
def test_what_is_absent_is_refused_with_all_who_use_it(components: Components, run: Run, users: list[str]) -> None:
    found = list(c.findings(components, run))
    assert len(found) == (1 if users else 0)
    assert [user for user in users if user not in found[0]] == []
    for finding in found:
        assert "is absent, and this run uses it: " in finding
        assert " Set platform_" in finding


@given(st.sampled_from([Mode.MANAGED, Mode.EXTERNAL]), st.sampled_from([Mode.MANAGED, Mode.EXTERNAL]))
def test_what_is_there_is_refused_for_nobody(istio: Mode, ingress: Mode) -> None:
    assert list(c.findings(Components(istio=istio, ingress=ingress), WHOLE)) == []


@pytest.mark.parametrize(
    ("settings", "asking"),
    [
        ({}, ["success_rate", "p99"]),
        ({"prometheus": {"url": "https://mine"}}, []),
        ({"analysis": [{"name": "smoke", "url": "https://a/ok", "max": 1}]}, []),
        ({"analysis": [{"name": "errors", "query": "up", "max": 1, "dry_run": True}]}, ["errors"]),
        ({"analysis": [{"name": "smoke", "url": "https://a/ok", "max": 1, "min_requests": 10}]}, ["smoke"]),
        (
            {
                "analysis": [{"name": "smoke", "url": "https://a/ok", "max": 1}],
                "approvals": [{"before": "promotion", "query": "up", "min": 1}, {"before": "20", "annotation": "a/b"}],
            },
            ["the approval before promotion"],
        ),
    ],
)
def test_what_of_a_canary_asks_the_platforms_prometheus(settings: dict[str, Any], asking: list[str]) -> None:
    assert canary_settings.asking_prometheus({"platform_canary": settings}) == asking
