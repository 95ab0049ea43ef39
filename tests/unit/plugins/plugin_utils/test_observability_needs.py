# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role observability needs and does not make is looked for before anything is changed."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.servicemesh.platform.plugins.plugin_utils._observability_needs import findings, queries

from tests.role_values import value

NONE: dict[str, Any] = {
    "namespace": "monitoring",
    "kinds": [],
    "alert_secrets": {},
    "collector_env": {},
    "in_mesh": [],
    "istio_cni": False,
    "mesh": {},
}
TOKEN = {"TOKEN": {"secret": "store", "key": "token"}, "USER": {"secret": "store", "key": "user"}}
# A namespace of somebody else, where the collector and Jaeger are to run.
THEIRS = {"platform_prometheus": "external", "platform_tracing": "jaeger"}
# In a play that prepares the namespaces.
PREPARED = {"ansible_play_role_names": ["servicemesh.platform.cluster_prep", "servicemesh.platform.observability"]}


def namespace(**labels: str) -> list[list[dict[str, Any]]]:
    return [[{"metadata": {"labels": labels}}]]


HOOK = [{"name": "team", "webhook_configs": [{"url_file": {"secret": "alerts", "key": "hook"}}]}]
MESH = {"data": {"mesh": "extensionProviders: [{name: otel, opentelemetry: {}}]"}}


def needs(**variables: Any) -> dict[str, Any]:
    found: dict[str, Any] = value("observability", "__observability_needs", inventory_hostname="one", **variables)
    return found


def test_a_platform_of_its_own_needs_nothing() -> None:
    assert needs() == NONE
    assert queries(NONE) == []
    assert queries(needs(platform_tracing="jaeger", **PREPARED)) == []
    assert needs(observability_prometheus="operator", observability_operator_install=True) == NONE
    assert needs(observability_alert_receivers=HOOK) == NONE, "nobody reads them"


@pytest.mark.parametrize(
    ("variables", "results", "said"),
    [
        ({"observability_prometheus": "operator"}, [[{}], []], "prometheusrules.monitoring.coreos.com: the cluster does not know"),
        (
            {"platform_prometheus": "external", "observability_external_rules": "prometheusrule"},
            [[]],
            "prometheusrules.monitoring.coreos.com: the cluster does not know",
        ),
        (
            {"observability_alertmanager": "managed", "observability_alert_receivers": HOOK},
            [[]],
            "Secret monitoring/alerts: does not exist, and observability_alert_receivers refers to it (keys hook)",
        ),
        (
            {"observability_alertmanager": "managed", "observability_alert_receivers": HOOK},
            [[{"keys": ["url"]}]],
            "Secret monitoring/alerts: has no key hook",
        ),
        (
            {"platform_istio": "external", "platform_istio_revision": "1-31", "observability_access_log_provider": "zip"},
            [[MESH]],
            "ConfigMap istio-system/istio-1-31: that mesh has no provider 'zip' (it has prometheus, stackdriver, envoy, otel)",
        ),
        (
            {"platform_tracing": "jaeger", "observability_collector_env": TOKEN, **PREPARED},
            [[{"keys": ["token"]}]],
            "Secret monitoring/store: has no key user, to which observability_collector_env refers",
        ),
        (THEIRS, namespace(**{"istio-injection": "disabled"}), "Namespace monitoring: its label istio-injection is disabled"),
        (
            {"platform_tracing": "jaeger"},  # the role alone
            namespace(**{"pod-security.kubernetes.io/enforce": "restricted"}),
            "Namespace monitoring: its label pod-security.kubernetes.io/enforce is restricted",
        ),
        (
            {**THEIRS, **PREPARED},
            namespace(**{"pod-security.kubernetes.io/enforce": "baseline"}),
            "Namespace monitoring: its label pod-security.kubernetes.io/enforce is baseline, which refuses NET_ADMIN",
        ),
        ({"platform_istio": "external"}, [[{"data": {"mesh": "{"}}]], "ConfigMap istio-system/istio: its key mesh is no YAML"),
    ],
)  # fmt: skip
def test_what_is_missing_is_named(variables: dict[str, Any], results: list[list[dict[str, Any]]], said: str) -> None:
    wanted = needs(**variables)
    assert len(queries(wanted)) == len(results)
    (found,) = findings(wanted, results)
    assert found.startswith(said)


@pytest.mark.parametrize(
    ("variables", "results"),
    [
        ({"observability_prometheus": "operator"}, [[{}], [{}]]),
        ({"observability_alertmanager": "managed", "observability_alert_receivers": HOOK}, [[{"keys": ["hook", "url"]}]]),
        ({"platform_istio": "external", "platform_tracing": "jaeger", **PREPARED}, [[MESH]]),
        ({"platform_istio": "external", "platform_tracing": "jaeger", **PREPARED}, [[]]),
        ({"platform_tracing": "jaeger"}, namespace(**{"pod-security.kubernetes.io/enforce": "privileged"})),
        (THEIRS, namespace()),
        (THEIRS, [[]]),
        ({**THEIRS, "istio_cni_enabled": True}, namespace(**{"pod-security.kubernetes.io/enforce": "baseline"})),
        ({"platform_tracing": "jaeger", "observability_collector_env": TOKEN, **PREPARED}, [[{"keys": ["token", "user"]}]]),
    ],
)  # fmt: skip
def test_what_is_there_is_no_finding(variables: dict[str, Any], results: list[list[dict[str, Any]]]) -> None:
    assert list(findings(needs(**variables), results)) == []
