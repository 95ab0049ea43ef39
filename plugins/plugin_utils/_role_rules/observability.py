# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules of the role observability."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.servicemesh.platform.plugins.plugin_utils._service import checks as is_

_BY_ENVIRONMENT = (
    "observability_tracing_sampling",
    "observability_metrics_reporting_interval",
    "observability_access_log_filter",
)


def findings(values: Mapping[str, Any]) -> Iterator[str]:
    """A value for the environment, names of services."""
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
