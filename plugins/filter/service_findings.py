# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Service definition -> findings of its check."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.servicemesh.platform.plugins.plugin_utils._service.definition import findings as _findings


def service_findings(definition: Any) -> list[str]:
    """Return one line for each finding about a definition or a list of them; an empty list when it is valid."""
    return _findings(definition)


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name to function."""
        return {"service_findings": service_findings}
