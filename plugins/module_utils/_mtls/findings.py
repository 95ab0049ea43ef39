# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Findings: what a check reports, how bad it is, and what to do about it. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never

from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.advice import Adviser
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.assemble import Snapshot
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.engine import Engine
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.model import Missing, MissingCause
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.rules import (
    CheckCode,
    RuleCode,
    Severity,
    remedy,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.verdict import (
    ANYBODY,
    WITHOUT_SIDECAR,
    Call,
    Verdict,
)

_ORDER = {severity: number for number, severity in enumerate(Severity)}
_REPORTED = frozenset({Verdict.BROKEN, Verdict.PLAINTEXT, Verdict.PLAINTEXT_ALLOWED, Verdict.UNKNOWN})
_NAMED = 5  # clients or services that a message names before it counts the rest


class About(StrEnum):
    """What a finding is about: a call, a workload, or anything else."""

    CALL = "call"
    WORKLOAD = "workload"
    MESH = "mesh"


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding. `object` names what it is about, `change` is what to do, empty for nothing.

    `concerns` are the namespaces whose mutual TLS depends on it, None for all. `known` is false when it says that something is not known.
    """

    severity: Severity
    code: RuleCode | CheckCode | Verdict
    object: str
    message: str
    change: str = ""
    about: About = About.MESH
    concerns: frozenset[str] | None = None
    known: bool = True

    def as_dict(self) -> dict[str, str]:
        """The finding as modules return it: plain strings, because Ansible takes no subclasses of str."""
        return {
            "severity": str(self.severity),
            "code": str(self.code),
            "about": str(self.about),
            "object": self.object,
            "message": self.message,
            "change": self.change,
        }


def finding(
    code: CheckCode,
    subject: str,
    message: str,
    *,
    change: str = "",
    about: About = About.MESH,
    concerns: frozenset[str] | None = None,
    known: bool = True,
) -> Finding:
    """A finding of a check, with the severity and, unless `change` is given, the remedy of the registry."""
    rule = code.entry
    return Finding(rule.severity, code, subject, message, change or remedy(rule.remedy), about, concerns, known)


def of_calls(engine: Engine, calls: Iterable[Call]) -> list[Finding]:
    """Findings of calls between workloads: one for each service, port and cause, with the clients that it concerns."""
    grouped: dict[tuple[Verdict, str, int, RuleCode | None, str], list[Call]] = {}
    for call in calls:
        external = call.rule is RuleCode.EXTERNAL and call.verdict is not Verdict.BROKEN
        if call.client == WITHOUT_SIDECAR or external:
            continue
        if call.verdict in _REPORTED or (call.rule and call.rule.entry.mistake):
            key = (call.verdict, call.service, call.port, call.rule, call.client_policy)
            grouped.setdefault(key, []).append(call)
    adviser = Adviser(engine)
    return [_of_alike(same, adviser) for same in grouped.values()]


def _of_alike(same: list[Call], adviser: Adviser) -> Finding:
    """The finding of calls that differ in their client only."""
    call, names = same[0], [entry.client for entry in same]
    who = "every meshed caller" if names[0] == ANYBODY else some(names)
    message = f"{call.verdict} for {who}: {call.reason}"
    if call.overridden and call.rule and call.rule.entry.mistake:
        message += "; " + "; ".join(f"{lost.object}: {lost.why}" for lost in call.overridden)
    severity = call.rule.entry.severity if call.rule else Severity.WARNING
    if call.verdict is Verdict.BROKEN:
        severity = Severity.ERROR
    return Finding(severity, call.rule or call.verdict, call.object, message, adviser.for_call(call), About.CALL)


def of_reading(snapshot: Snapshot, engine: Engine) -> list[Finding]:
    """Findings of what could not be read, of namespaces that end, and of services that Sidecar objects hide."""
    found = [
        finding(
            CheckCode.INCOMPLETE,
            kind,
            f"{missing.text}; whatever depends on it is unknown",
            change=_grant(missing),
            known=False,
        )
        for kind, missing in sorted(snapshot.mesh.missing.items())
    ]
    for missing in snapshot.missing_configs:
        message = f"{missing.text}; root namespace and auto mTLS are unknown"
        found.append(
            finding(
                *(CheckCode.MESH_CONFIG, missing.object, message),
                change=_grant(missing),
                concerns=missing.concerns,
                known=False,
            )
        )
    ending = "it is being deleted; the objects that are left were judged"
    found += [finding(CheckCode.TERMINATING, f"Namespace {name}", ending) for name in snapshot.terminating]
    for scope, services in sorted(engine.hidden.items()):
        what = f"its workloads do not see {some(sorted(services))}; calls there pass through unchanged, or REGISTRY_ONLY refuses them"
        # A Sidecar object hides services on purpose: only a call that is made in spite of it is worth a warning.
        found.append(Finding(Severity.INFO, RuleCode.NOT_VISIBLE, f"Sidecar {scope}", what))
    return found


def some(names: list[str]) -> str:
    """The first of several names, and how many more there are."""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _grant(missing: Missing) -> str:
    match missing.cause:
        case MissingCause.NO_PERMISSION:
            return f"Grant the {missing.right}."
        case MissingCause.NOT_INSTALLED | MissingCause.FAILED:
            return ""
        case MissingCause.NOT_GIVEN:
            return "Add it to src, or set src_complete if there is none in the cluster."
        case _:
            assert_never(missing.cause)


def ordered(findings: Iterable[Finding]) -> list[Finding]:
    """The worst first, then by object."""
    return sorted(findings, key=lambda entry: (_ORDER[entry.severity], entry.object, entry.code, entry.message))
