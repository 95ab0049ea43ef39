# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules of the role observability."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.servicemesh.platform.plugins.plugin_utils import _alertmanager
from ansible_collections.servicemesh.platform.plugins.plugin_utils._service import checks as is_

# Major version in an image's tag.
_MAJOR = re.compile(r"[^/:]+:v?(\d+)(\.[^/@]*)?(@.*)?")
_OLDEST = 3

_BY_ENVIRONMENT = (
    "observability_tracing_sampling",
    "observability_metrics_reporting_interval",
    "observability_access_log_filter",
)


def findings(values: Mapping[str, Any]) -> Iterator[str]:
    """A value for the environment, names of services, receivers of alerts, a version of Prometheus that knows the configuration."""
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


def _alert_findings(values: Mapping[str, Any]) -> Iterator[str]:
    """Receivers and routes, and both without an Alertmanager that would read them."""
    receivers, route = values["observability_alert_receivers"], values["observability_alert_route"]
    if values["observability_alertmanager"] == "none" and (receivers or route):
        name = "observability_alert_receivers" if receivers else "observability_alert_route"
        yield f"{name}: is given, and observability_alertmanager is none; expected observability_alertmanager: managed"
    yield from _alertmanager.findings(receivers, route, values["observability_alert_global"])


def _version_findings(image: str) -> Iterator[str]:
    """A Prometheus that is too old for the configuration; a tag without a number, or a digest alone, may be any version."""
    major = _MAJOR.fullmatch(image.rpartition("/")[2])
    if major and int(major[1]) < _OLDEST:
        yield (
            f"observability_image: {image!r} is Prometheus {major[1]}, which does not read fallback_scrape_protocol of the configuration; "
            f"expected version {_OLDEST} or later"
        )
