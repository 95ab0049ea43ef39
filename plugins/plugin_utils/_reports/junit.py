# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: may change at any time without notice; only this collection may import it.
"""Mutual TLS as JUnit XML: a suite for each namespace, a test for each call, and what is wrong with the mesh itself.

A deviation without an exception is a failure, and so is what contradicts a verdict where something is demanded. A call is skipped when it
is excepted, or when nothing is demanded of its namespace. Without any demand, what could not be read or is wrong fails all the same: nobody
said that it does not matter.
"""

from __future__ import annotations

import typing as t
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from xml.etree import ElementTree

from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.findings import About
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.rules import CheckCode
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.verdict import Proof
from ansible_collections.servicemesh.platform.plugins.module_utils._text import clean

Obj = Mapping[str, t.Any]


class Outcome(StrEnum):
    """What became of a test."""

    PASSED = "passed"
    FAILED = "failure"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Case:
    """A test. `kind`, `message` and `text` tell of a failure, `message` of what was skipped."""

    classname: str
    name: str
    outcome: Outcome = Outcome.PASSED
    message: str = ""
    kind: str = ""
    text: str = ""
    output: str = ""


@dataclass(frozen=True, slots=True)
class Suite:
    """The tests of a namespace, or of the mesh."""

    name: str
    cases: Sequence[Case]


def xml(report: Obj) -> str:
    """The file for a report: a result with `cluster`, `time` and `want`."""
    found = suites(report)
    cases = [case for suite in found for case in suite.cases]
    name = f"mutual TLS of {report['cluster']}"
    root = _element(None, "testsuites", name=name, timestamp=report["time"], **_counts(cases))
    for suite in found:
        node = _element(root, "testsuite", name=suite.name, **_counts(suite.cases))
        for case in suite.cases:
            _add(node, case)
    ElementTree.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ElementTree.tostring(root, encoding="unicode")}\n'


def suites(report: Obj) -> list[Suite]:
    """All tests, judged."""
    by_namespace: dict[str, list[Case]] = {}
    for call in report["calls"]:
        namespace = call["service"].partition("/")[0]
        by_namespace.setdefault(namespace, []).append(_of_call(call, namespace, bool(report["want"])))
    found = [Suite(name, cases) for name, cases in sorted(by_namespace.items())]
    mesh = [entry for entry in report["violations"] if entry["about"] != About.CALL]
    if not report["want"]:
        alone = {str(code) for code in CheckCode if code.entry.fails_alone}
        mesh += [entry for entry in report["findings"] if entry["code"] in alone]
    if mesh:
        found.append(Suite("mesh", [_of_finding(entry) for entry in mesh]))
    return found


def _of_call(call: Obj, namespace: str, something_is_demanded: bool) -> Case:
    place = f"{call['service']}:{call['port']}"
    proof = f"{call['proof']}: {call['evidence']}" if call["evidence"] else call["proof"]
    output = f"verdict {call['verdict']}, {proof}. {call['reason']}"
    outcome, message, kind, text = Outcome.PASSED, "", "", ""
    if call["proof"] == Proof.VIOLATED and (call["demanded"] or not something_is_demanded):
        outcome, kind, message, text = Outcome.FAILED, "violated", call["evidence"], call["reason"]
    elif call["deviation"] and not call["excepted"]:
        outcome, kind = Outcome.FAILED, call["rule"] or call["verdict"]
        message, text = call["deviation"], call["reason"]
    elif call["excepted"]:
        outcome, message = Outcome.SKIPPED, f"excepted: {call['excepted']}"
    elif not call["demanded"]:
        outcome, message = Outcome.SKIPPED, f"nothing is demanded of namespace {namespace}"
    return Case(place, f"{call['client']} to {place}", outcome, message, kind, text, output)


def _of_finding(entry: Obj) -> Case:
    return Case(entry["code"], entry["object"], Outcome.FAILED, entry["message"], entry["code"], entry["change"])


def _counts(cases: Sequence[Case]) -> dict[str, str]:
    outcomes = [case.outcome for case in cases]
    return {
        "tests": str(len(cases)),
        "failures": str(outcomes.count(Outcome.FAILED)),
        "errors": "0",
        "skipped": str(outcomes.count(Outcome.SKIPPED)),
    }


def _add(suite: ElementTree.Element, case: Case) -> None:
    node = _element(suite, "testcase", classname=case.classname, name=case.name)
    match case.outcome:
        case Outcome.FAILED:
            _element(node, "failure", type=case.kind, message=case.message).text = clean(case.text)
        case Outcome.SKIPPED:
            _element(node, "skipped", message=case.message)
        case Outcome.PASSED:
            pass
        case _:
            t.assert_never(case.outcome)
    if case.output:
        _element(node, "system-out").text = clean(case.output)


def _element(parent: ElementTree.Element | None, tag: str, **attributes: str) -> ElementTree.Element:
    cleaned = {name: clean(str(value)) for name, value in attributes.items()}
    return ElementTree.Element(tag, cleaned) if parent is None else ElementTree.SubElement(parent, tag, cleaned)
