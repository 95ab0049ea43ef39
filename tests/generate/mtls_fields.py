# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of docs/mtls.md with the fields that are not computed."""

from __future__ import annotations

import re

from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.fields import keys
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.fields.kinds import TABLES
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.fields.switches import SWITCHES
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.fields.table import Use

from tests.generate.files import table


def unsupported() -> str:
    """Fields by kind and reason."""
    parts = [(kind, list(rows.rows)) for kind, rows in {**TABLES, "istiod": SWITCHES}.items()]
    parts += [(f"key of a {kind}", list(rows.values())) for kind, rows in keys.ROWS.items()]
    lines = []
    for kind, rows in parts:
        by_reason: dict[str, dict[str, None]] = {}
        for row in rows:
            if row.use is Use.UNSUPPORTED:
                by_reason.setdefault(row.why, {})[_named(kind, row.path)] = None
        lines += [[kind, ", ".join(names), why] for why, names in by_reason.items()]
    return f"\n{table(['of', 'field', 'why'], lines)}\n"


def _named(kind: str, path: str) -> str:
    """A field as people name it: a traffic policy stands at four places of a DestinationRule."""
    name = path.removesuffix(".**").removeprefix("spec.")
    if kind == "DestinationRule":
        name = re.sub(r"^(subsets\[\]\.)?trafficPolicy\.(portLevelSettings\[\]\.)?", "trafficPolicy.", name)
    return f"`{name}`"
