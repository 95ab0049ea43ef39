# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules of roles that an argument specification cannot express: values that go together, and names in nested values. No I/O.

PRIVATE: may change at any time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ansible_collections.servicemesh.platform.plugins.plugin_utils._role_rules import (
    cluster_prep,
    datastore,
    istio,
    nginx_ingress,
    observability,
)

# Role -> its rules. They get the values of all variables of the role, each as its argument specification has it, and return what is wrong:
# the variable, its value and what was expected. Whether a single value is in range is a rule of _variable_check.
RULES: Mapping[str, Callable[[Mapping[str, Any]], Iterator[str]]] = {
    "cluster_prep": cluster_prep.findings,
    "datastore": datastore.findings,
    "istio": istio.findings,
    "nginx_ingress": nginx_ingress.findings,
    "observability": observability.findings,
}


def findings(role: str, values: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with the values of a role's variables; nothing for a role without rules."""
    if role in RULES:
        yield from RULES[role](values)
