# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Service definitions -> the paths that the ingress gateway serves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.servicemesh.platform.plugins.plugin_utils._service.definition import DefinitionError
from ansible_collections.servicemesh.platform.plugins.plugin_utils._service.security import ingress_paths as _render


def ingress_paths(definitions: Sequence[Any], prefixes: Sequence[str] = ()) -> list[str]:
    """Return paths in the form of an AuthorizationPolicy; an invalid definition fails with all findings."""
    try:
        return _render(definitions, prefixes)
    except DefinitionError as error:
        raise AnsibleFilterError(f"ingress_paths: {error}") from error


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name to function."""
        return {"ingress_paths": ingress_paths}
