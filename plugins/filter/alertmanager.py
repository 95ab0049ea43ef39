# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Routes and receivers of an inventory -> Alertmanager's configuration, and the Secrets that it needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.servicemesh.platform.plugins.plugin_utils._alertmanager import configuration, secrets


def alertmanager_config(
    receivers: list[dict[str, Any]],
    route: Mapping[str, Any],
    settings: Mapping[str, Any],
    inhibit_rules: list[dict[str, Any]],
) -> dict[str, Any]:
    """The configuration, with paths of files instead of references to Secrets."""
    return configuration(receivers, route, settings, inhibit_rules)


def alertmanager_secrets(receivers: list[dict[str, Any]], settings: Mapping[str, Any]) -> dict[str, list[str]]:
    """Secret -> the keys that receivers and settings refer to."""
    return secrets(receivers, settings)


class FilterModule:
    """Filters of the role observability."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"alertmanager_config": alertmanager_config, "alertmanager_secrets": alertmanager_secrets}
