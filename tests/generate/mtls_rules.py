# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables of docs/mtls.md: every code of the registry."""

from __future__ import annotations

from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.rules import CheckCode, RuleCode, remedy

from tests.generate.files import table

HEADS = ["code", "severity", "meaning", "what to do", "source (istio/istio)"]


def rules() -> str:
    """Rules that explain a call."""
    return f"\n{table(HEADS, [_row(code) for code in sorted(RuleCode)])}\n"


def checks() -> str:
    """All other codes of findings."""
    return f"\n{table(HEADS, [_row(code) for code in sorted(CheckCode)])}\n"


def _row(code: RuleCode | CheckCode) -> list[str]:
    rule = code.entry
    source = f"`{rule.source}`" if rule.source else ""
    return [f"`{code}`", str(rule.severity), rule.text, _remedies(code), source]


def _remedies(code: RuleCode | CheckCode) -> str:
    rule = code.entry
    texts = [remedy(rule.remedy)]
    for verdict, other in (("broken", rule.remedy_if_broken), ("unknown", rule.remedy_if_unknown)):
        if other and other != rule.remedy:
            texts.append(f"If the call is `{verdict}`: {remedy(other)}")
    return " ".join(filter(None, texts))
