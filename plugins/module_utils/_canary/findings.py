# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the checks of a start report. Code decides on `code`; `text` is for people."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class FindingCode(StrEnum):
    """What a finding is about."""

    VIRTUAL_SERVICE_MISSING = "virtual_service_missing"
    ROUTE = "route"
    WEIGHT = "weight"
    MIRROR = "mirror"
    OTHER_TOOL = "other_tool"
    DESTINATION_RULE = "destination_rule"
    PODS = "pods"
    DEPLOYMENT_MISSING = "deployment_missing"
    MEASUREMENT = "measurement"
    NO_SAMPLES = "no_samples"
    NOT_TRIED = "not_tried"


@dataclass(frozen=True, slots=True)
class Finding:
    """One reason why a canary cannot start, or (NO_SAMPLES, NOT_TRIED) what to know about one that starts.

    `text` names the object, what it has, what was expected, and what to do.
    """

    code: FindingCode
    text: str

    def __str__(self) -> str:
        return self.text


def findings_of(code: FindingCode, texts: Iterable[str]) -> list[Finding]:
    """Findings with one code."""
    return [Finding(code, text) for text in texts]
