# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Findings of a diagnosis, what of it was not read, and how the two make its answer. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

from ansible_collections.servicemesh.platform.plugins.module_utils._mesh.diagnose.codes import DiagnosisCode, Section
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.model import Missing, MissingCause
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.rules import Severity

Obj = Mapping[str, Any]
T = TypeVar("T")
_ORDER = {severity: number for number, severity in enumerate(Severity)}


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding. `object` names what it is about, `change` is what to do, empty for nothing.

    `code` is one of the registry, or Istio's.
    """

    severity: Severity
    section: Section
    code: str
    object: str
    message: str
    change: str = ""
    namespace: str = ""

    @property
    def known(self) -> bool:
        """False when it says that something is not known."""
        return self.code != DiagnosisCode.NOT_READ

    def as_dict(self) -> dict[str, str]:
        """The finding as modules return it: plain strings, because Ansible takes no subclasses of str."""
        return {
            "severity": str(self.severity),
            "section": str(self.section),
            "code": str(self.code),
            "object": self.object,
            "namespace": self.namespace,
            "message": self.message,
            "change": self.change,
        }


def finding(
    code: DiagnosisCode,
    subject: str,
    message: str,
    *,
    namespace: str = "",
    section: Section | None = None,
    change: str = "",
) -> Finding:
    """A finding with the severity, the section and, unless `change` is given, the remedy of the registry."""
    entry = code.entry
    return Finding(entry.severity, section or entry.section, code, subject, message, change or entry.remedy, namespace)


def not_read(section: Section, subject: str, why: str, right: str = "") -> Finding:
    """The finding that something is unknown. `right` is what to grant when a permission is missing."""
    change = f"Grant the {right}, or leave section {section} out." if right else ""
    return finding(DiagnosisCode.NOT_READ, subject, why, section=section, change=change)


def missing_findings(missing: Mapping[str, Missing], sections: Mapping[str, Section]) -> list[Finding]:
    """A finding for each kind that could not be read. `sections`: which section needs the kind."""
    return [
        not_read(sections[kind], kind, entry.text, entry.right if entry.cause is MissingCause.NO_PERMISSION else "")
        for kind, entry in sorted(missing.items())
    ]


def ordered(findings: Iterable[Finding]) -> list[Finding]:
    """The worst first, then by section, object and code."""
    places = {section: number for number, section in enumerate(Section)}
    return sorted(findings, key=lambda f: (_ORDER[f.severity], places[f.section], f.object, f.code, f.message))


def understood(parse: Callable[..., T], *arguments: Any) -> T:
    """Result of a function that reads what others wrote. Raises ValueError when that has not the expected shape."""
    try:
        return parse(*arguments)
    except (AttributeError, IndexError, KeyError, TypeError) as error:
        raise ValueError(f"it has not the expected shape ({type(error).__name__}: {error})") from error


class FailOn(StrEnum):
    """From which severity on findings fail a run."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"
    NEVER = "never"


def failing(findings: Sequence[Finding], fail_on: FailOn) -> list[Finding]:
    """The findings that fail a run. What was not read is an error, so it fails whatever does not fail `never`."""
    if fail_on is FailOn.NEVER:
        return []
    worst = _ORDER[Severity(fail_on)]
    return [entry for entry in findings if _ORDER[entry.severity] <= worst]


class Answer(StrEnum):
    """The answer of a diagnosis."""

    HEALTHY = "healthy"  # everything was read, and no error or warning was found
    FINDINGS = "findings"
    UNKNOWN = "unknown"  # nothing bad was found, and something was not read


def answer_of(findings: Sequence[Finding]) -> Answer:
    """The answer: what is known to be bad goes before what is not known."""
    if any(entry.known and entry.severity is not Severity.INFO for entry in findings):
        return Answer.FINDINGS
    return Answer.UNKNOWN if any(not entry.known for entry in findings) else Answer.HEALTHY


def counted(number: int, what: str) -> str:
    """`1 error`, `2 errors`."""
    return f"{number} {what}" + ("" if number == 1 else "s")


def sentence(findings: Sequence[Finding]) -> str:
    """The answer in words."""
    unread = sum(not entry.known for entry in findings)
    errors = sum(entry.known and entry.severity is Severity.ERROR for entry in findings)
    warnings = sum(entry.known and entry.severity is Severity.WARNING for entry in findings)
    unknown = f"{counted(unread, 'thing')} could not be read, so their state is unknown" if unread else ""
    match answer_of(findings):
        case Answer.HEALTHY:
            return "Nothing is wrong with what was looked at."
        case Answer.UNKNOWN:
            return f"Nothing bad was found, but {unknown}."
        case Answer.FINDINGS:
            found = " and ".join(
                counted(number, what) for number, what in ((errors, "error"), (warnings, "warning")) if number
            )
            return f"{found[:1].upper()}{found[1:]} found" + (f"; {unknown}." if unknown else ".")
