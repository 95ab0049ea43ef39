# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role observability needs of the cluster: the queries for it, what is missing, and the rights of Prometheus."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.servicemesh.platform.plugins.plugin_utils._observability_needs import findings, queries
from ansible_collections.servicemesh.platform.plugins.plugin_utils._scrape_rights import rights


def observability_findings(needs: dict[str, Any], results: list[list[dict[str, Any]]]) -> list[str]:
    """What is not there."""
    return list(findings(needs, results))


class FilterModule:
    """Filters of the role observability."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {
            "observability_queries": queries,
            "observability_findings": observability_findings,
            "scrape_rights": rights,
        }
