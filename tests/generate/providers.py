# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is made of the providers of metrics: options of the module `canary`, and the table of the guide."""

from __future__ import annotations

from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._canary import options
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.providers import registry

from tests.generate.files import table
from tests.generate.yaml_text import dumped

_INDENT, _WIDTH = 6, 118  # suboptions in a documentation fragment


def for_metrics() -> str:
    """Options of providers in an entry of `analysis`."""
    return _suboptions({name: option["description"] for name, option in registry.DOCUMENTED.items()}, options.METRIC)


def for_approvals() -> str:
    """Options of providers in an entry of `approvals`; those of metrics say more."""
    given = {
        name: registry.DOCUMENTED[name].get("approval_description", registry.DOCUMENTED[name]["description"])
        for name in registry.APPROVAL_OPTIONS
    }
    return _suboptions(given, options.APPROVAL)


def _suboptions(descriptions: dict[str, Any], taken: dict[str, dict[str, Any]]) -> str:
    """Documentation of options as the module takes them. What is `no_log` there is not part of a documentation."""
    made = {
        name: {"description": text, **{key: value for key, value in taken[name].items() if key != "no_log"}}
        for name, text in descriptions.items()
    }
    return dumped(made, indent=_INDENT, width=_WIDTH)


def rows() -> str:
    """The table of providers."""
    found = [
        [f"`{name}`", provider.row.measures, provider.row.limits, provider.row.at_start]
        for name, provider in registry.PROVIDERS.items()
    ]
    heads = ["option", "measures", "time and size of an answer", "at the start"]
    return f"\n{table(heads, found)}\n"
