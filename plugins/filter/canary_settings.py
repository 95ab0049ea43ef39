# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Settings of a canary from several variables -> one dict, and the findings of its check."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.servicemesh.platform.plugins.plugin_utils import _canary_settings as settings


def canary_settings(sources: Mapping[str, Any], pause_at_end: bool = False) -> dict[str, Any]:
    """The merged settings. With ``pause_at_end`` and without a pause of their own, they pause at the last step."""
    given = _rendered(sources)
    if found := settings.findings(given):
        raise AnsibleFilterError("canary_settings: " + "; ".join(found))
    merged = settings.merged(given)
    if pause_at_end and not int(merged.get("pause_at") or 0):
        merged["pause_at"] = settings.last_step(merged)
    return merged


def canary_settings_findings(sources: Mapping[str, Any]) -> list[str]:
    """One line for each finding; an empty list when the settings are valid."""
    return settings.findings(_rendered(sources))


def _rendered(value: Any) -> Any:
    """A value whose inner templates are rendered: Ansible renders those of a filter's input only when they are read."""
    if isinstance(value, Mapping):
        return {key: _rendered(item) for key, item in value.items()}
    return [_rendered(item) for item in value] if isinstance(value, (list, tuple)) else value


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name to function."""
        return {"canary_settings": canary_settings, "canary_settings_findings": canary_settings_findings}
