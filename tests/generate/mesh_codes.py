# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of docs/diagnose.md: every code of a diagnosis, and the permissions that its sections need."""

from __future__ import annotations

from ansible_collections.servicemesh.platform.plugins.module_utils._kube.objects import group_of
from ansible_collections.servicemesh.platform.plugins.module_utils._mesh.diagnose.codes import DiagnosisCode, Section
from ansible_collections.servicemesh.platform.plugins.module_utils._mesh.diagnose.observed import KINDS

from tests.generate.files import table

HEADS = ["code", "severity", "meaning", "what to do", "like", "source"]


def codes() -> str:
    """All codes, by section."""
    parts = []
    for section in Section:
        rows = [_row(code) for code in DiagnosisCode if code.entry.section is section]
        if rows:
            parts.append(f"### {section}\n\n{table(HEADS, rows)}\n")
    return "\n" + "\n".join(parts)


def _row(code: DiagnosisCode) -> list[str]:
    entry = code.entry
    source = f"`{entry.source}`" if entry.source else ""
    return [f"`{code}`", str(entry.severity), entry.text, entry.remedy, entry.like, source]


def rights() -> str:
    """What each section lists in all namespaces."""
    rows = [
        [f"`{section}`", ", ".join(sorted(f"`{kind.plural}`" + _group(kind.versions[0]) for kind in KINDS[section]))]
        for section in KINDS
    ]
    return f"\n{table(['section', 'lists'], rows)}\n"


def _group(version: str) -> str:
    group = group_of(version)
    return f" ({group})" if group else ""
