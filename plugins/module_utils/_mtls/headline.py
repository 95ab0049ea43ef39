# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The result in a few sentences: is everything that is demanded mutual TLS, of how many calls, and what lies outside. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any, assert_never

from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.compliance import (
    Level,
    Wanted,
    deviation,
    refusing,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.findings import About, Finding, some
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.verdict import Call, Proof, Verdict


class Answer(StrEnum):
    """Whether everything that is demanded is mutual TLS. UNKNOWN: nothing contradicts it, and something that decides is not known."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"
    NOTHING_DEMANDED = "nothing_demanded"


_LEVELS = {
    Level.STRICT: "mutual TLS is used, and plain text refused",
    Level.PERMISSIVE: "callers with a sidecar use mutual TLS",
}
_PROOFS = {
    Proof.PROVED: "proved",
    Proof.CLAIMED: "claimed by one source",
    Proof.UNPROVED: "computed only (unproved)",
    Proof.VIOLATED: "contradicted by what was seen",
}
_UNKNOWN = "unknown"


def headline(
    wanted: Wanted,
    calls: Sequence[Call],
    against: Sequence[Finding],
    namespaces: Collection[str],
    what_if: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """The answer, its sentences and their numbers. `calls` are those of the whole mesh, `against` what makes it not compliant."""
    demanded = [call for call in calls if wanted.level(call.namespace)]
    counted = _counts(demanded if wanted.levels else calls)
    excepted = _excepted(wanted, demanded, calls)
    places = {*namespaces, *(call.namespace for call in calls)}
    outside = sorted(name for name in places if wanted.levels and wanted.level(name) is None)
    answer = _answer(wanted, against)
    return {
        "answer": str(answer),
        "text": _text(answer, against, len(excepted)),
        "demanded": _demanded(wanted),
        "calls": _calls(len(calls), len(demanded), counted, bool(wanted.levels)),
        "outside": _outside(wanted, calls, outside, excepted),
        "what_if": under_strict(what_if) if what_if else "",
        "counts": {"calls": len(calls), "demanded": len(demanded), **counted},
        "outside_namespaces": outside,
    }


def _answer(wanted: Wanted, against: Iterable[Finding]) -> Answer:
    if not wanted.levels:
        return Answer.NOTHING_DEMANDED
    known = {entry.known for entry in against}
    if True in known:
        return Answer.NO
    return Answer.UNKNOWN if known else Answer.YES


def _text(answer: Answer, against: Sequence[Finding], excepted: int) -> str:
    match answer:
        case Answer.YES if excepted:
            return (
                f"Yes, apart from {_count(excepted, 'excepted call')}: everything else that is demanded is mutual TLS."
            )
        case Answer.YES:
            return "Yes: everything that is demanded is mutual TLS."
        case Answer.NO:
            number, what = _objects(entry for entry in against if entry.known)
            return f"No: {what} {'is' if number == 1 else 'are'} not as demanded."
        case Answer.UNKNOWN:
            number, what = _objects(entry for entry in against if entry.about is not About.MESH)
            unread = list(dict.fromkeys(entry.object for entry in against if entry.about is About.MESH))
            why = f", because {some(unread)} could not be read" if unread else ""
            return f"Not known{f' of {what}' if number else ''}{why}. Nothing that is known contradicts the demand."
        case Answer.NOTHING_DEMANDED:
            return "Nothing is demanded: want names no namespace."
        case _:
            assert_never(answer)


def _objects(findings: Iterable[Finding]) -> tuple[int, str]:
    """How many objects findings are about, and the same in words."""
    found = Counter(about for _object, about in {(entry.object, entry.about) for entry in findings})
    words = {About.CALL: "service port", About.WORKLOAD: "workload", About.MESH: "other object"}
    parts = [_count(found[about], one) for about, one in words.items() if found[about]]
    return sum(found.values()), _and(parts) if parts else ""


def _demanded(wanted: Wanted) -> str:
    """The levels in words, with their namespaces."""
    parts = []
    for level in Level:
        names = sorted(name for name, own in wanted.levels.items() if own is level and name != "*")
        if wanted.levels.get("*") is level:
            names.append("all other namespaces" if len(wanted.levels) > 1 else "all namespaces")
        if names:
            parts.append(f"{level} ({_LEVELS[level]}) of {', '.join(names)}")
    return "; ".join(parts)


def _counts(calls: Iterable[Call]) -> dict[str, int]:
    """Each call once: under `unknown` when its verdict is, else under its proof."""
    found = Counter(_UNKNOWN if call.verdict is Verdict.UNKNOWN else str(call.proof) for call in calls)
    return {name: found[name] for name in (*map(str, Proof), _UNKNOWN)}


def _calls(total: int, demanded: int, counted: Mapping[str, int], levels: bool) -> str:
    words = [f"{counted[str(proof)]} {what}" for proof, what in _PROOFS.items() if counted[str(proof)]]
    words += [f"{counted[_UNKNOWN]} with an unknown verdict"] if counted[_UNKNOWN] else []
    of = f"{_count(total, 'call')}, {demanded} of them to namespaces with a demand" if levels else _count(total, "call")
    return f"{of}: {', '.join(words)}." if words else f"{of}."


def _excepted(wanted: Wanted, demanded: Iterable[Call], calls: Iterable[Call]) -> list[Call]:
    """Calls that are not as demanded and that an exception accepts."""
    refuses = refusing(calls)
    return [call for call in demanded if deviation(call, wanted, refuses)[1]]


def _outside(wanted: Wanted, calls: Sequence[Call], namespaces: list[str], excepted: Sequence[Call]) -> str:
    """What is not demanded: namespaces, what exceptions accept, and calls of which nothing can be demanded."""
    if not wanted.levels:
        return ""
    parts = []
    if namespaces:
        number = sum(wanted.level(call.namespace) is None for call in calls)
        one = "namespace" if len(namespaces) == 1 else "namespaces"
        parts.append(f"{_count(number, 'call')} to {one} {some(namespaces)}")
    for entry in wanted.exceptions:
        number = sum(entry.covers(call) for call in excepted)
        reason = f": {entry.reason}" if entry.reason else ""
        parts.append(f"exception {entry.told}, which accepts {_count(number, 'call')}{reason}")
    other = sum(bool(call.rule and call.rule.entry.undemandable) for call in calls if wanted.level(call.namespace))
    if other:
        parts.append(f"{_count(other, 'call')} to hosts outside of the mesh and services without endpoints")
    return f"{'; '.join(parts)}." if parts else "Nothing."


def under_strict(told: Mapping[str, Any]) -> str:
    """What `what_if` found, in a sentence."""
    subject = "the mesh" if told["mesh"] else f"namespace {', '.join(told['namespaces'])}"
    named, probes = told["named_callers"], told["probes"]
    broken = [
        (len(told["breaks"]), "call of callers with a sidecar", "calls of callers with a sidecar"),
        (sum(_is(row, Verdict.BROKEN) for row in named), "call of another caller", "calls of other callers"),
        (sum(_is(row, Verdict.BROKEN) for row in probes), "request of the kubelet", "requests of the kubelet"),
    ]
    open_ = [
        (len(told["unknown"]), "call", "calls"),
        (sum(_is(row, Verdict.UNKNOWN) for row in named), "call of another caller", "calls of other callers"),
        (sum(_is(row, Verdict.UNKNOWN) for row in probes), "request of the kubelet", "requests of the kubelet"),
    ]
    parts = [f"{number} {one if number == 1 else more}" for number, one, more in broken if number]
    unknown = [f"{number} {one if number == 1 else more}" for number, one, more in open_ if number]
    who = len(told["callers"]) + len(told["possible_callers"])
    nothing = "nothing" if told["verdict"] == "nothing_found" else "no call"
    text = f"With {subject} STRICT, {_and(parts) if parts else f'{nothing} was found that'} would break."
    if unknown:
        text += f" It is not known of {_and(unknown)}."
    if told["refuses"]:
        ports = _count(len(told["refuses"]), "service port")
        text += f" {ports} would begin to refuse callers without a sidecar"
        text += f", of which there {'is' if who == 1 else 'are'} {who}." if who else "."
    if told["not_looked_at"]:
        text += f" {_count(len(told['not_looked_at']), 'thing')} could not be looked at."
    return text


def _is(row: Mapping[str, Any], wanted: Verdict) -> bool:
    """Whether a row says so."""
    return bool(row["verdict"] == wanted)


def _and(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _count(number: int, one: str) -> str:
    return f"{number} {one}{'' if number == 1 else 's'}"
