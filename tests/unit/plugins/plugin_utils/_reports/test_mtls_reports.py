# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reports of mutual TLS: what is judged before a template or a script shows it."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any
from xml.etree import ElementTree

import pytest
from ansible_collections.servicemesh.platform.plugins.filter.mtls_reports import mtls_reports
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.headline import Answer
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.rules import CheckCode
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.verdict import Proof, Verdict
from ansible_collections.servicemesh.platform.plugins.module_utils._text import clean
from ansible_collections.servicemesh.platform.plugins.plugin_utils._reports import junit, mtls
from hypothesis import given
from hypothesis import strategies as st

texts = st.text(st.characters(exclude_categories=()), max_size=12)
HOSTILE = "\x1b[2Jred\x1b[0m \x00\ud800\u202e<b>&\"']]>"
CALL: dict[str, Any] = {
    "client": "*",
    "service": "shop/cart",
    "port": 80,
    "target_port": 8080,
    "server_mode": "STRICT",
    "client_mode": "mtls",
    "verdict": "strict",
    "proof": "unproved",
    "evidence": "",
    "reason": "auto mTLS",
    "rule": "",
    "server_policy": "",
    "client_policy": "",
    "backends": [],
    "subset": "",
    "overridden": [],
    "demanded": "strict",
    "deviation": "",
    "excepted": "",
}


def report(calls: list[dict[str, Any]], **keys: Any) -> dict[str, Any]:
    summary = {"answer": "no", "text": "No.", "demanded": "", "calls": "", "outside": "", "what_if": ""}
    empty = ("workloads", "namespaces", "findings", "violations", "callers", "certificates", "probe_calls")
    mesh = {"trust_domain": "cluster.local", "root_namespace": "istio-system", "auto_mtls": True}
    whole = {"cluster": "prod", "time": "2026-01-01T00:00:00Z", "want": {"shop": "strict"}, "exceptions": []}
    return (
        whole | {"summary": summary, "mesh": mesh, "what_if": None, "calls": calls} | {key: [] for key in empty} | keys
    )


def finding(code: str, about: str = "mesh", text: str = "…") -> dict[str, Any]:
    return {"severity": "error", "code": code, "about": about, "object": f"Pod {text}", "message": text, "change": text}


@pytest.mark.parametrize(
    ("keys", "want", "outcome", "says"),
    [
        ({}, True, "passed", ""),
        (
            {"deviation": "the verdict is plaintext", "verdict": "plaintext"},
            True,
            "failure",
            "the verdict is plaintext",
        ),
        ({"deviation": "plaintext", "excepted": "until June"}, True, "skipped", "excepted: until June"),
        ({"demanded": ""}, True, "skipped", "nothing is demanded of namespace shop"),
        ({"proof": "violated", "evidence": "it was answered"}, True, "failure", "it was answered"),
        ({"proof": "violated", "excepted": "until June"}, True, "failure", ""),
        ({"proof": "violated", "demanded": ""}, True, "skipped", "nothing is demanded of namespace shop"),
        ({"proof": "violated", "demanded": ""}, False, "failure", ""),
        ({"demanded": ""}, False, "skipped", "nothing is demanded of namespace shop"),
    ],
)
def test_the_outcome_of_a_call(keys: dict[str, Any], want: bool, outcome: str, says: str) -> None:
    (suite,) = junit.suites(report([{**CALL, **keys}], **({} if want else {"want": {}})))
    (case,) = suite.cases
    assert (str(case.outcome), case.message) == (outcome, says)


@pytest.mark.parametrize("code", CheckCode)
def test_without_a_demand_what_could_not_be_read_fails(code: CheckCode) -> None:
    found = [finding(str(code))]
    assert bool(junit.suites(report([], findings=found, want={}))) == code.entry.fails_alone
    assert junit.suites(report([], findings=found)) == [], "with a demand, violations say what counts"


def test_violations_of_the_mesh_are_tests_of_their_own() -> None:
    found = [finding("certificate_expiry"), finding("not_compliant", "workload"), finding("violated", "call")]
    (suite,) = junit.suites(report([], violations=found))
    assert (suite.name, [case.classname for case in suite.cases]) == ("mesh", ["certificate_expiry", "not_compliant"])


calls = st.fixed_dictionaries(
    {
        **{key: st.just(value) for key, value in CALL.items()},
        "client": st.sampled_from(["*", "plaintext"]) | texts,
        "service": st.builds("{}/{}".format, st.sampled_from(["shop", "web"]), texts),
        "port": st.integers(1, 65535),
        "verdict": st.sampled_from([str(one) for one in Verdict]),
        "proof": st.sampled_from([str(one) for one in Proof]),
        **dict.fromkeys(["evidence", "reason", "rule", "deviation", "excepted"], texts),
        "demanded": st.sampled_from(["", "strict"]),
    }
)
findings = st.builds(
    finding, st.sampled_from([str(code) for code in CheckCode]), st.sampled_from(["mesh", "call"]), texts
)


@given(st.lists(calls, max_size=6), st.lists(findings, max_size=3), st.sampled_from([{}, {"shop": "strict"}]))
def test_counts_are_those_of_the_file_whatever_the_data_says(
    some: list[dict[str, Any]], found: list[dict[str, Any]], want: dict[str, str]
) -> None:
    whole = report(some, violations=found, findings=found, want=want)
    text = junit.xml(whole)
    assert clean(text) == text
    root = ElementTree.fromstring(text)  # noqa: S314  # of our own making
    for node in (root, *root):
        cases = list(node.iter("testcase"))
        counted = Counter(child.tag for case in cases for child in case if child.tag != "system-out")
        told = {name: int(node.get(name, "")) for name in ("tests", "failures", "skipped", "errors")}
        assert told == {"tests": len(cases), "failures": counted["failure"], "skipped": counted["skipped"], "errors": 0}
    assert len(list(root.iter("testcase"))) >= len(some)


def test_every_verdict_and_answer_is_shown() -> None:
    assert set(mtls.KINDS) == {*Verdict, mtls.REFUSED}
    for answer in Answer:
        summary = {**report([])["summary"], "answer": str(answer)}
        assert re.search(r'class="answer (yes|no|unknown|none)"', mtls.html(report([], summary=summary)))


@pytest.mark.parametrize(
    ("client", "verdict", "kind"),
    [("plaintext", "broken", "refused"), ("*", "broken", "broken"), ("plaintext", "plaintext", "plaintext")],
)
def test_a_refused_caller_without_a_sidecar_is_good(client: str, verdict: str, kind: str) -> None:
    assert mtls.kind_of({**CALL, "client": client, "verdict": verdict}) == kind


def test_of_several_ports_the_worst_is_shown() -> None:
    """For callers without a sidecar it is best that all ports refuse."""
    ports = [{**CALL, "client": client, "verdict": str(one)} for client in ("*", "plaintext") for one in Verdict]
    shown = mtls.view(report(ports))["calls"]
    worst = {
        client: max((c for c in shown if c["client"] == client), key=lambda c: c["badness"])
        for client in ("*", "plaintext")
    }
    assert (worst["*"]["verdict"], worst["plaintext"]["verdict"]) == ("broken", "plaintext")


def test_what_is_to_be_changed_at_one_object_is_one_row() -> None:
    found = [finding("not_compliant", text=text) for text in ("a", "b", "a", "a")]
    (table,) = mtls.view(report([], violations=found))["against"]
    assert table["rows"] == [["Pod a", "a (and 2 more, see Findings)", "a"], ["Pod b", "b", "b"]]
    assert table["open"]


def test_long_tables_are_closed_at_first() -> None:
    for number in (mtls.OPEN_ROWS, mtls.OPEN_ROWS + 1):
        (table,) = mtls.view(report([], findings=[finding("metrics", text=f"{n}") for n in range(number)]))["tables"]
        assert table["open"] == (number <= mtls.OPEN_ROWS)


def test_texts_of_others_are_text_in_every_report() -> None:
    call = {**CALL, **dict.fromkeys(["client", "evidence", "reason", "deviation", "rule", "server_policy"], HOSTILE)}
    summary = {**report([])["summary"], "text": HOSTILE, "calls": HOSTILE}
    whole = report([call], violations=[finding("metrics", text=HOSTILE)], summary=summary, cluster=HOSTILE)
    files = mtls_reports(whole, "mtls-prod")
    assert sorted(files) == ["mtls-prod.html", "mtls-prod.json", "mtls-prod.xml"]
    for text in files.values():
        assert clean(text) == text
        assert "\\u001b" not in text
    data = re.search(r'id="data">(.*?)</script>', files["mtls-prod.html"], re.DOTALL)
    assert data
    assert json.loads(data[1])["calls"][0]["reason"] == clean(HOSTILE) == "red <b>&\"']]>"
    assert "<b>" not in files["mtls-prod.html"]
    assert json.loads(files["mtls-prod.json"])["calls"][0]["reason"] == clean(HOSTILE)
