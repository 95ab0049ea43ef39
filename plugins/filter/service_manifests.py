# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Service definition -> the objects that run it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.servicemesh.platform.plugins.plugin_utils._service.definition import DefinitionError
from ansible_collections.servicemesh.platform.plugins.plugin_utils._service.workload import service_manifests as _render


def service_manifests(definition: Any, secret_versions: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
    """Return the workload's manifests; an invalid definition fails with all findings."""
    try:
        return _render(definition, secret_versions)
    except DefinitionError as error:
        raise AnsibleFilterError(f"service_manifests: {error}") from error


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name to function."""
        return {"service_manifests": service_manifests}
