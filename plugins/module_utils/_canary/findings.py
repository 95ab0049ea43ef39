# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the checks of a start report. Code decides on `code`; `text` is for people."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import KubeError, numbered


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
    METRICS_PUSH = "metrics_push"
    MEASUREMENT = "measurement"
    NO_SAMPLES = "no_samples"
    NOT_TRIED = "not_tried"
    RIGHT = "right"
    RIGHT_UNKNOWN = "right_unknown"
    DEFINITIONS = "definitions"
    WRITE = "write"
    PROOF = "proof"
    TAKEN_OVER = "taken_over"


@dataclass(frozen=True, slots=True)
class Finding:
    """One reason why a canary cannot start, or (NO_SAMPLES, NOT_TRIED, RIGHT_UNKNOWN, TAKEN_OVER) what to know about one that starts.

    `text` names the object, what it has, what was expected, and what to do.
    """

    code: FindingCode
    text: str

    def __str__(self) -> str:
        return self.text


def refusal(findings: Iterable[Finding]) -> KubeError:
    """The error of a start with findings; each is told once."""
    texts = list(dict.fromkeys(str(finding) for finding in findings))
    return KubeError(numbered("The canary cannot start; nothing was changed", texts))


def findings_of(code: FindingCode, texts: Iterable[str]) -> list[Finding]:
    """Findings with one code."""
    return [Finding(code, text) for text in texts]
