# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Service definition -> AuthorizationPolicy and RequestAuthentication."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.servicemesh.platform.plugins.plugin_utils._service.definition import DefinitionError
from ansible_collections.servicemesh.platform.plugins.plugin_utils._service.security import (
    security_manifests as _render,
)


def security_manifests(
    definition: Any,
    trust_domain: str = "cluster.local",
    gateway_namespace: str = "istio-system",
    gateway_service_account: str = "istio-ingressgateway",
) -> list[dict[str, Any]]:
    """Return the access rules' manifests; an invalid definition fails with all findings."""
    try:
        return _render(definition, trust_domain, gateway_namespace, gateway_service_account)
    except DefinitionError as error:
        raise AnsibleFilterError(f"security_manifests: {error}") from error


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name to function."""
        return {"security_manifests": security_manifests}
