# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The result in a few sentences."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import pytest
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.compliance import (
    Excepted,
    Level,
    Wanted,
    violations,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.engine import Engine
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.findings import About, finding
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.headline import headline, under_strict
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.rules import CheckCode
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.verdict import Proof
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.plugins.module_utils._mtls.mtls_objects import mesh, peer_authentication, pod, service

PA = peer_authentication
WEB, FAR, BARE = pod("a", "web"), pod("b", "far"), pod("c", "bare", sidecar=False)
STRICT_A = Wanted({"a": Level.STRICT})


def told(*more: Any, wanted: Wanted = STRICT_A, **fields: Any) -> dict[str, Any]:
    parts = [WEB, FAR, service("a", "web", [WEB]), service("b", "far", [FAR]), *more]
    judged = Engine(mesh(parts, **fields))
    calls = judged.calls()
    return headline(wanted, calls, violations(judged, calls, wanted), ["a", "b", "c"], None)


UNREAD = {"missing": {"DestinationRule": "no permission"}}
LISTED = Wanted({"a": Level.STRICT}, [Excepted(service="a/web", reason="until June")])
EVERYWHERE = Wanted({"*": Level.PERMISSIVE, "a": Level.STRICT})


@pytest.mark.parametrize(
    ("objects", "wanted", "fields", "answer", "text"),
    [
        ([PA("a")], STRICT_A, {}, "yes", "Yes: everything that is demanded is mutual TLS."),
        ([], STRICT_A, {}, "no", "No: 1 service port and 1 workload are not as demanded."),
        ([], LISTED, {}, "no", "No: 1 workload is not as demanded."),
        (
            [PA("a", mode="STRICT"), PA("a", "x", "DISABLE", selector={"app": "web"})],
            Wanted({}),
            {},
            "nothing_demanded",
            "Nothing is demanded",
        ),
        (
            [PA("a")],
            STRICT_A,
            UNREAD,
            "unknown",
            "Not known of 1 service port. Nothing that is known contradicts the demand.",
        ),
        ([], STRICT_A, UNREAD, "no", "No: "),
        ([], Wanted({"a": Level.PERMISSIVE}), {}, "yes", "Yes: everything"),
        (
            [PA("a")],
            Wanted({"a": Level.STRICT}, [Excepted(service="a/web")]),
            UNREAD,
            "yes",
            "Yes, apart from 1 excepted call: everything else that is demanded is mutual TLS.",
        ),
    ],
)
def test_the_answer(objects: list[Any], wanted: Wanted, fields: dict[str, Any], answer: str, text: str) -> None:
    found = told(*objects, wanted=wanted, **fields)
    assert found["answer"] == answer
    assert found["text"].startswith(text)


def test_what_could_not_be_read_is_named() -> None:
    kind = finding(CheckCode.INCOMPLETE, "DestinationRule", "…", known=False)
    found = headline(STRICT_A, [], [kind], [], None)
    assert found["text"].startswith("Not known, because DestinationRule could not be read.")
    port = finding(CheckCode.NOT_COMPLIANT, "Service a/web port 80", "…", about=About.CALL, known=False)
    found = headline(STRICT_A, [], [kind, port], [], None)
    assert found["text"].startswith("Not known of 1 service port, because DestinationRule could not be read.")
    expired = finding(CheckCode.CERTIFICATE_EXPIRY, "Pod a/web-0", "…")
    found = headline(STRICT_A, [], [kind, port, expired], [], None)
    assert found["text"] == "No: 1 other object is not as demanded."


def test_what_is_demanded_is_told_in_words() -> None:
    assert told(wanted=STRICT_A)["demanded"] == "strict (mutual TLS is used, and plain text refused) of a"
    assert told(wanted=EVERYWHERE)["demanded"].endswith(
        "; permissive (callers with a sidecar use mutual TLS) of all other namespaces"
    )
    assert told(wanted=Wanted({"*": Level.STRICT}))["demanded"].endswith("of all namespaces")
    assert told(wanted=Wanted({}))["demanded"] == ""


def test_what_lies_outside_is_named() -> None:
    found = told(PA("a"))
    assert found["outside"] == "2 calls to namespaces b, c."
    assert found["outside_namespaces"] == ["b", "c"]
    assert told(PA("a"), wanted=EVERYWHERE)["outside"] == "Nothing."
    assert told(wanted=LISTED)["outside"] == (
        "2 calls to namespaces b, c; exception service a/web, which accepts 2 calls: until June."
    )
    empty = told(PA("a"), service("a", "empty", []))
    assert "2 calls to hosts outside of the mesh and services without endpoints." in empty["outside"]
    assert told(wanted=Wanted({}))["outside"] == ""


@given(st.lists(st.sampled_from([*Proof]), min_size=4, max_size=4), st.booleans(), st.booleans())
def test_every_call_is_counted_once(proofs: list[Proof], unread: bool, demanded: bool) -> None:
    parts = [WEB, FAR, service("a", "web", [WEB]), service("b", "far", [FAR])]
    judged = Engine(mesh(parts, **(UNREAD if unread else {})))
    calls = [dataclasses.replace(c, proof=p) for c, p in zip(judged.calls(), proofs, strict=True)]
    found = headline(STRICT_A if demanded else Wanted({}), calls, [], [], None)["counts"]
    total = found.pop("calls")
    of = found.pop("demanded")
    assert (total, of) == (4, 2 if demanded else 0)
    assert sum(found.values()) == (of if demanded else total)
    assert found["unknown"] == (sum(c.verdict == "unknown" for c in calls if not demanded or c.namespace == "a"))


def test_calls_are_told_with_their_proofs() -> None:
    assert told(PA("a"))["calls"] == "4 calls, 2 of them to namespaces with a demand: 2 computed only (unproved)."
    assert told(wanted=Wanted({}))["calls"] == "4 calls: 4 computed only (unproved)."
    assert told(**UNREAD)["calls"].endswith("1 computed only (unproved), 1 with an unknown verdict.")


LISTS = (
    "namespaces",
    "breaks",
    "unknown",
    "refuses",
    "callers",
    "possible_callers",
    "named_callers",
    "probes",
    "not_looked_at",
)
EMPTY = {"mesh": True, "verdict": "nothing_found", **{name: [] for name in LISTS}}
ROW = {"verdict": "broken"}
OPEN = {"verdict": "unknown"}


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        ({}, "With the mesh STRICT, nothing was found that would break."),
        ({"mesh": False, "namespaces": ["a", "b"]}, "With namespace a, b STRICT, nothing was found that would break."),
        ({"breaks": [{}]}, "With the mesh STRICT, 1 call of callers with a sidecar would break."),
        (
            {"breaks": [{}, {}], "probes": [ROW], "named_callers": [ROW], "verdict": "breaks"},
            "With the mesh STRICT, 2 calls of callers with a sidecar, 1 call of another caller and 1 request of the kubelet would break.",
        ),
        (
            {"unknown": [{}], "probes": [OPEN], "named_callers": [OPEN, OPEN], "verdict": "unknown"},
            "With the mesh STRICT, no call was found that would break. It is not known of 1 call, 2 calls of other callers and 1 request "
            "of the kubelet.",
        ),
        (
            {"refuses": [{}], "callers": ["c/bare"], "possible_callers": [{}], "verdict": "unknown"},
            "With the mesh STRICT, no call was found that would break. 1 service port would begin to refuse callers without a sidecar, of "
            "which there are 2.",
        ),
        (
            {"refuses": [{}, {}]},
            "With the mesh STRICT, nothing was found that would break. 2 service ports would begin to refuse callers without a sidecar.",
        ),
        (
            {"not_looked_at": ["x"], "verdict": "unknown"},
            "With the mesh STRICT, no call was found that would break. 1 thing could not be looked at.",
        ),
    ],
)
def test_under_strict(what: Mapping[str, Any], expected: str) -> None:
    assert under_strict({**EMPTY, **what}) == expected
