# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The providers of metrics. This is the only list of them; what other files need of it, they take from here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.providers.builtin import BuiltIn
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.providers.http import HttpEndpoint
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.providers.job import KubernetesJob
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.providers.prometheus import (
    PrometheusQuery,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.providers.provider import Provider

PROVIDERS: Mapping[str, Provider] = {
    provider.option: provider for provider in (BuiltIn(), PrometheusQuery(), HttpEndpoint(), KubernetesJob())
}
# Options of all providers with their documentation. Two may share one (`max_age`), which then means the same to both.
DOCUMENTED: dict[str, dict[str, Any]] = {
    name: dict(option) for provider in PROVIDERS.values() for name, option in provider.options.items()
}
_FOR_PEOPLE = ("description", "approval_description")
# The same for an argument specification.
OPTIONS: dict[str, dict[str, Any]] = {
    name: {key: value for key, value in option.items() if key not in _FOR_PEOPLE} for name, option in DOCUMENTED.items()
}
# Providers by which an approval can be given, and their options in an approval.
FOR_APPROVALS: tuple[str, ...] = tuple(name for name, provider in PROVIDERS.items() if provider.approval_options)
APPROVAL_OPTIONS: dict[str, dict[str, Any]] = {
    name: OPTIONS[name] for provider in PROVIDERS.values() for name in provider.approval_options
}
SECRETS = frozenset(name for name, option in OPTIONS.items() if option.get("no_log"))


def chosen(entry: Mapping[str, Any]) -> list[str]:
    """The providers that an entry of options names; a valid entry names one."""
    return [name for name in PROVIDERS if entry.get(name)]
