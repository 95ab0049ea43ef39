# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Service definition -> references of objects that it no longer contains."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.servicemesh.platform.plugins.plugin_utils._service.definition import DefinitionError
from ansible_collections.servicemesh.platform.plugins.plugin_utils._service.workload import retired_manifests as _render


def retired_manifests(definition: Any, traffic: bool = True, security: bool = True) -> list[dict[str, Any]]:
    """Return references of objects to delete; an invalid definition fails with all findings."""
    try:
        return _render(definition, traffic, security)
    except DefinitionError as error:
        raise AnsibleFilterError(f"retired_manifests: {error}") from error


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name to function."""
        return {"retired_manifests": retired_manifests}
