# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Service definition -> DestinationRule and VirtualService."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.servicemesh.platform.plugins.plugin_utils._service.definition import DefinitionError
from ansible_collections.servicemesh.platform.plugins.plugin_utils._service.traffic import traffic_manifests as _render


def traffic_manifests(
    definition: Any,
    host: str = "ecommerce.example.com",
    gateway: str = "istio-system/ecommerce-gateway",
    cluster_domain: str = "cluster.local",
) -> list[dict[str, Any]]:
    """Return the traffic rules' manifests; an invalid definition fails with all findings."""
    try:
        return _render(definition, host, gateway, cluster_domain)
    except DefinitionError as error:
        raise AnsibleFilterError(f"traffic_manifests: {error}") from error


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name to function."""
        return {"traffic_manifests": traffic_manifests}
