# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Service definition -> the Secrets that it generates for itself."""

from __future__ import annotations

import secrets
import string
from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.servicemesh.platform.plugins.plugin_utils._service.definition import DefinitionError
from ansible_collections.servicemesh.platform.plugins.plugin_utils._service.workload import secret_manifests as _render


def secret_manifests(definition: Any) -> list[dict[str, Any]]:
    """Return Secrets with new random values; ``apply`` leaves existing Secrets as they are."""
    try:
        return _render(definition, _token)
    except DefinitionError as error:
        raise AnsibleFilterError(f"secret_manifests: {error}") from error


def _token(length: int) -> str:
    alphabet = string.ascii_letters + string.digits
    return "".join(secrets.choice(alphabet) for _index in range(length))


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name to function."""
        return {"secret_manifests": secret_manifests}
