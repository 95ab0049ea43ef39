# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Approvals of a plan: what has to be given before a step or before the promotion. Pure: the caller measures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis import entries
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.metrics import Metric
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.providers import registry
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.verdict import (
    Check,
    Pending,
    Verdict,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.plan import BeforePromotion, Milestone

Options = Mapping[str, Any]
TIMEOUT = 3600.0  # seconds
_SOURCES = ("annotation", *registry.FOR_APPROVALS)
_LIMITS = ("min", "max")


class OnTimeout(StrEnum):
    """What a run does when an approval is not given in time."""

    ROLLBACK = "rollback"
    FREEZE = "freeze"
    CONTINUE = "continue"


@dataclass(frozen=True, slots=True)
class Approval:
    """One approval. Either `annotation` of the stable Deployment has the value `equals`, or `metric` passes. `timeout` in seconds."""

    before: str
    annotation: str = ""
    equals: str = "true"
    metric: Metric | None = None
    timeout: float = TIMEOUT
    on_timeout: OnTimeout = OnTimeout.ROLLBACK


def findings(options: Sequence[Options], steps: Sequence[Any], *, prometheus: bool) -> list[str]:
    """Everything that is wrong with the option `approvals`. `prometheus`: whether the address of Prometheus is given."""
    return [
        f"approvals[{index}]: {found}"
        for index, entry in enumerate(options)
        for found in _findings_of(entry, steps, prometheus)
    ]


def _findings_of(entry: Options, steps: Sequence[Any], prometheus: bool) -> list[str]:
    found = []
    before = entry.get("before")
    if before != str(BeforePromotion()) and before not in [str(step) for step in steps]:
        found.append(f"before is {before!r}; expected one of the steps {list(steps)}, or {BeforePromotion()}")
    sources = [key for key in _SOURCES if entry.get(key)]
    if len(sources) != 1:
        found.append(f"has {' and '.join(sources) or 'nothing to check'}; expected one of {', '.join(_SOURCES)}")
    elif sources[0] in registry.PROVIDERS:
        found += entries.provider_findings(registry.PROVIDERS[sources[0]], entry, prometheus=prometheus)
    if (entry.get("on_timeout") or OnTimeout.ROLLBACK) not in tuple(OnTimeout):
        found.append(f"on_timeout is {entry.get('on_timeout')!r}; expected one of {', '.join(OnTimeout)}")
    return found


def approvals_of(options: Sequence[Options]) -> list[Approval]:
    """The approvals of valid options."""
    return [
        Approval(
            before=str(entry["before"]),
            annotation=str(entry.get("annotation") or ""),
            equals=str(entry.get("equals") or "true"),
            metric=_metric(entry),
            timeout=float(entry.get("timeout") or TIMEOUT),
            on_timeout=OnTimeout(entry.get("on_timeout") or OnTimeout.ROLLBACK),
        )
        for entry in options
    ]


def _metric(entry: Options) -> Metric | None:
    if entry.get("annotation"):
        return None
    measured = {key: entry.get(key) for key in (*registry.APPROVAL_OPTIONS, *_LIMITS)}
    return entries.metrics_of([{**measured, "name": f"approval-{entry['before']}"}])[0]


def before(approvals: Sequence[Approval], milestone: Milestone) -> list[Approval]:
    """The approvals that a milestone requires."""
    return [approval for approval in approvals if approval.before == str(milestone)]


def check(
    approval: Approval, annotations: Mapping[str, str], measure: Callable[[Metric], Check]
) -> tuple[Verdict, str]:
    """(verdict, reason): PASS when it is given, FAIL when waiting cannot change the answer, otherwise INCONCLUSIVE.

    `annotations` are those of the stable Deployment. `measure` may raise Pending.
    """
    if approval.metric is None:
        value = annotations.get(approval.annotation)
        if value == approval.equals:
            return Verdict.PASS, ""
        return Verdict.INCONCLUSIVE, f"annotation {approval.annotation} is {value!r}; expected {approval.equals!r}"
    try:
        found = measure(approval.metric)
    except Pending:
        return Verdict.INCONCLUSIVE, "its Job has not finished"
    # A number that is out of its limits now may be within them later.
    if found.verdict is Verdict.FAIL and not registry.PROVIDERS[approval.metric.provider].failure_is_final:
        return Verdict.INCONCLUSIVE, found.reason
    return found.verdict, found.reason
