# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules of the role observability."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.servicemesh.platform.plugins.plugin_utils import _alertmanager
from ansible_collections.servicemesh.platform.plugins.plugin_utils._role_rules import own_rules
from ansible_collections.servicemesh.platform.plugins.plugin_utils._secret_references import is_reference
from ansible_collections.servicemesh.platform.plugins.plugin_utils._service import checks as is_
from ansible_collections.servicemesh.platform.plugins.plugin_utils._service.catalogue import is_true

# Major version in an image's tag.
_MAJOR = re.compile(r"[^/:]+:v?(\d+)(\.[^/@]*)?(@.*)?")
_OLDEST = 3
# As an expansion of the collector's configuration takes it (opentelemetry-collector, confmap/provider/envprovider).
_ENVIRONMENT = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")

_BY_ENVIRONMENT = (
    "observability_tracing_sampling",
    "observability_metrics_reporting_interval",
    "observability_access_log_filter",
)


_UNITS = {"y": 365 * 86400.0, "w": 7 * 86400.0, "d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_PART = re.compile(r"(\d+)(ms|[ywdhms])")


def seconds(duration: str) -> float:
    """Seconds of a duration of Prometheus such as 1h30m; its form is checked elsewhere."""
    return sum(int(number) * _UNITS[unit] for number, unit in _PART.findall(duration))


def findings(values: Mapping[str, Any]) -> Iterator[str]:
    """A value for the environment, names of services and databases, receivers of alerts, versions and times that fit."""
    environment = values["observability_environment"]
    for variable in _BY_ENVIRONMENT:
        if environment not in values[variable]:
            known = ", ".join(sorted(values[variable]))
            yield (
                f"{variable}: has no value for observability_environment {environment!r} (it has {known}); expected one, under the key "
                f"{environment!r}"
            )
    for name in values["observability_services"]:
        if expected := is_.label(str(name)):
            yield f"observability_services: {name!r} is not {expected}, as in the label app of the service's pods"
    yield from _alert_findings(values)
    yield from _version_findings(str(values.get("observability_image", "")))
    for name in values["observability_databases"]:
        if expected := is_.label(str(name)):
            yield f"observability_databases: {name!r} is not {expected}, as in the label app of its pods"
    yield from _pushgateway_findings(str(values["observability_pushgateway"]))
    yield from chart_findings(values)
    yield from grafana_findings(values)
    yield from _environment_findings(values["observability_collector_env"])
    yield from own_rules.findings(values["observability_rules"])
    window, retention = str(values["observability_slo_window"]), str(values["observability_retention"])
    runs = values["observability_mode"] == "managed" and values["observability_prometheus"] == "standalone"
    if runs and seconds(window) > seconds(retention):
        yield (
            f"observability_slo_window: {window!r} is longer than observability_retention, which is {retention!r}; expected at most that, "
            "because the error budget is counted from samples that are still there. Keep them longer, or count over less time"
        )


def _alert_findings(values: Mapping[str, Any]) -> Iterator[str]:
    """Receivers and routes, and both without an Alertmanager that would read them."""
    receivers, route = values["observability_alert_receivers"], values["observability_alert_route"]
    if values["observability_alertmanager"] == "none" and (receivers or route):
        name = "observability_alert_receivers" if receivers else "observability_alert_route"
        yield f"{name}: is given, and observability_alertmanager is none; expected observability_alertmanager: managed"
    yield from _alertmanager.findings(receivers, route, values["observability_alert_global"])


def _environment_findings(environment: Mapping[str, Any]) -> Iterator[str]:
    """Names that the configuration can refer to, with references to Secrets and no values: the Deployment would show them."""
    for name, reference in environment.items():
        place = f"observability_collector_env.{name}"
        if not _ENVIRONMENT.fullmatch(str(name)):
            yield f"{place}: is no name of an environment variable; expected letters, digits and underscores, such as STORE_TOKEN"
        if not (is_reference(reference) and all(reference.values())):
            yield f"{place}: is no reference; expected {{secret: <Secret of observability_namespace>, key: <key in it>}}"


def _pushgateway_findings(service: str) -> Iterator[str]:
    """An address that is none, or that Prometheus could not scrape by the Service's name."""
    namespace, _slash, rest = service.partition("/")
    name, _colon, port = rest.partition(":")
    number = int(port) if port.isascii() and port.isdecimal() and len(port) < 6 else 0
    if service and (is_.label(namespace) or is_.service_name(name) or not 0 < number < 65536):
        yield (
            f"observability_pushgateway: {service!r} is not the address of a Service; expected namespace/name:port with the port's number, "
            "for example monitoring/pushgateway:9091. For a Pushgateway elsewhere, or with TLS, set platform_canary.metrics_push alone, "
            "and scrape it yourself"
        )


def _version_findings(image: str) -> Iterator[str]:
    """A Prometheus that is too old for the configuration; a tag without a number, or a digest alone, may be any version."""
    major = _MAJOR.fullmatch(image.rpartition("/")[2])
    if major and int(major[1]) < _OLDEST:
        yield (
            f"observability_image: {image!r} is Prometheus {major[1]}, which does not read fallback_scrape_protocol of the configuration; "
            f"expected version {_OLDEST} or later"
        )


# Keys of an address that a chart would have to have as values, which Helm stores readable.
_SECRET_KEYS = ("username", "password", "headers")
# What reads Prometheus by its chart, and the value in which a user says how, without a secret.
_CHARTS = {"observability_grafana": "datasources", "observability_kiali": "external_services"}


def chart_findings(values: Mapping[str, Any]) -> Iterator[str]:
    """Charts that read a Prometheus that is not there, or one that asks for a password."""
    address = values["observability_address"]
    given = [key for key in _SECRET_KEYS if isinstance(address, Mapping) and address.get(key)]
    for name in [name for name in _CHARTS if values[name] == "chart"]:
        if values["observability_mode"] == "absent":
            yield (
                f"{name}: 'chart' has no Prometheus to read, because platform_prometheus is 'absent'; expected 'none', or a Prometheus "
                "(managed, or external with its address)"
            )
        if given and _CHARTS[name] not in values[f"{name}_values"]:
            yield (
                f"{name}: 'chart' cannot hand {', '.join(given)} of platform_prometheus_address on, because Helm stores values "
                f"readable; expected {_CHARTS[name]} in {name}_values with references to a Secret, or 'none'"
            )


def grafana_findings(values: Mapping[str, Any]) -> Iterator[str]:
    """What Grafana could not work with: no dashboards, no label to find them by."""
    if values["observability_grafana"] != "chart":
        return
    if not is_true(values["observability_dashboards"]):
        yield "observability_dashboards: is false, so that Grafana would have none; expected true, or observability_grafana: none"
    if len(labels := dict(values["observability_dashboard_labels"])) != 1:
        yield (
            f"observability_dashboard_labels: {labels!r} is not one label; expected one, by which the sidecar of Grafana's chart finds the "
            "dashboards"
        )
