# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The option `match`: what it may contain, and what it means on top of a route's own match."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.servicemesh.platform.plugins.module_utils._canary import route_copies, route_match
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.route_match import InexpressibleError, both
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.routes import Aim

from tests.support import ROOT
from tests.unit.plugins.module_utils._canary.test_routes import SPLIT, TESTER, to, virtual_service

Obj = dict[str, Any]
AIM = Aim("user-service", "shop")
YES, NO = {"exact": "yes"}, {"exact": "no"}


def test_every_field_of_a_match_is_a_condition_or_a_name() -> None:
    fields = json.loads((ROOT / "tests/cases/fields/istio.json").read_text(encoding="utf-8"))["kinds"]["VirtualService"]
    start = "spec.http[].match[]."
    known = {path.removeprefix(start).split(".")[0].removesuffix("[]") for path in fields if path.startswith(start)}
    assert known == {*route_match.CONDITIONS, *route_match.NAMES}


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ("yes", "is not a match"),
        ({}, "has no condition"),
        ({"header": {"x": YES}}, "'header' is no condition; expected some of authority"),
        ({"name": "x"}, "'name' is no condition"),
        ({"headers": {}}, "expected names with a match each"),
        ({"headers": {"x": "yes"}}, "match.headers.x: 'yes' is not understood"),
        ({"headers": {"x": {"exact": "a", "prefix": "b"}}}, "expected one of exact, prefix and regex"),
        ({"uri": {"suffix": "/a"}}, "expected one of exact, prefix and regex"),
        ({"uri": {"prefix": 1}}, "match.uri"),
        ({"ignoreUriCase": True}, "has no uri to apply to"),
        ({"uri": {"prefix": "/a"}, "ignoreUriCase": "yes"}, "expected true or false"),
        ({"port": "80"}, "expected a port"),
        ({"sourceLabels": {"app": 1}}, "expected labels"),
        ({"gateways": "mesh"}, "expected a list of names"),
        ({"sourceNamespace": []}, "expected a name"),
    ],
)
def test_a_match_that_is_not_understood_is_refused(extra: Any, words: str) -> None:
    assert words in "; ".join(route_match.findings(extra))


@pytest.mark.parametrize(
    "extra", [None, TESTER, {"headers": {"x": {}}}, {"uri": {"regex": "/a.*"}, "ignoreUriCase": True}]
)
def test_a_match_that_is_understood_has_no_findings(extra: Any) -> None:
    assert route_match.findings(extra) == []


@pytest.mark.parametrize(
    ("match", "extra", "wanted"),
    [
        ({}, TESTER, TESTER),
        (
            {"uri": {"prefix": "/api"}, "ignoreUriCase": True},
            TESTER,
            {"uri": {"prefix": "/api"}, "ignoreUriCase": True, **TESTER},
        ),
        ({"ignoreUriCase": True}, {"uri": {"prefix": "/a"}}, {"uri": {"prefix": "/a"}}),
        ({"uri": {"prefix": "/a"}}, {"uri": {"prefix": "/a/b"}}, {"uri": {"prefix": "/a/b"}}),
        ({"uri": {"exact": "/a/b"}}, {"uri": {"prefix": "/a"}}, {"uri": {"exact": "/a/b"}}),
        ({"uri": {"exact": "/a"}}, {"uri": {"exact": "/b"}}, None),
        ({"uri": {"prefix": "/a"}}, {"uri": {"prefix": "/b"}}, None),
        ({"headers": {"X-Tester": {"prefix": "y"}}}, TESTER, {"headers": {"X-Tester": YES}}),
        ({"headers": {"x-tester": NO}}, TESTER, None),
        ({"headers": {"x-tester": {}}}, TESTER, TESTER),
        ({"withoutHeaders": {"x-tester": YES}}, TESTER, {"withoutHeaders": {"x-tester": YES}, **TESTER}),
        ({"withoutHeaders": {"a": YES}}, {"withoutHeaders": {"b": NO}}, {"withoutHeaders": {"a": YES, "b": NO}}),
        ({"queryParams": {"Q": YES}}, {"queryParams": {"q": NO}}, {"queryParams": {"Q": YES, "q": NO}}),
        ({"port": 80}, {"port": 81}, None),
        ({"gateways": ["gw", "mesh"]}, {"gateways": ["shop/gw"]}, {"gateways": ["gw"]}),
        ({"gateways": ["gw"]}, {"gateways": ["mesh"]}, None),
        (
            {"gateways": ["mesh"], "sourceLabels": {"a": "b"}},
            TESTER,
            {"gateways": ["mesh"], "sourceLabels": {"a": "b"}, **TESTER},
        ),
        ({"sourceLabels": {"a": "b"}}, {"sourceLabels": {"a": "c"}}, None),
        ({"sourceLabels": {"a": "b"}}, {"sourceLabels": {"c": "d"}}, {"sourceLabels": {"a": "b", "c": "d"}}),
        ({"name": "n", "statPrefix": "s"}, TESTER, {"name": "n", "statPrefix": "s", **TESTER}),
    ],
)
def test_both_is_exactly_what_both_take(match: Obj, extra: Obj, wanted: Obj | None) -> None:
    assert both(match, extra, "shop") == wanted


@pytest.mark.parametrize(
    ("match", "extra", "words"),
    [
        ({"uri": {"regex": "/a.*"}}, {"uri": {"prefix": "/a"}}, "uri is in both"),
        ({"uri": {"prefix": "/a"}, "ignoreUriCase": True}, {"uri": {"prefix": "/a/b"}}, "ignoreUriCase"),
        ({"headers": {"x-tester": {"regex": "y.*"}}}, TESTER, "headers.x-tester is in both"),
        ({"headers": {"@request.auth.claims.g": YES}}, {"headers": {"@request.auth.claims.g": NO}}, "is in both"),
        ({"withoutHeaders": {"a": YES}}, {"withoutHeaders": {"A": NO}}, "withoutHeaders.A is in both"),
        ({"gateways": ["mesh"]}, {"sourceLabels": {"a": "b"}}, "Istio ignores"),
        ({"sourceNamespace": "a"}, {"gateways": ["mesh"]}, "Istio ignores"),
        ({"later": 1}, TESTER, "does not know"),
    ],
)
def test_what_no_match_can_say_is_refused(match: Obj, extra: Obj, words: str) -> None:
    with pytest.raises(InexpressibleError, match=words):
        both(match, extra, "shop")
    obj = virtual_service([{"name": "api", "match": [match], "route": SPLIT}])
    copies, findings = route_copies.copies_of(obj, AIM, extra, "r1")
    assert copies == {}
    assert "VirtualService shop/vs, http route api: no copy of it" in findings[0]


def test_a_route_that_rewrites_what_its_uri_matches_takes_no_other_uri() -> None:
    route = {"match": [{"uri": {"prefix": "/a"}}], "rewrite": {"uri": "/"}, "route": SPLIT}
    extra = {"uri": {"prefix": "/a/b"}}
    assert "rewrite.uri" in route_copies.copies_of(virtual_service([route]), AIM, extra, "r1")[1][0]
    regex = {**route, "rewrite": {"uriRegexRewrite": {"match": "a", "rewrite": "b"}}}
    assert route_copies.copies_of(virtual_service([regex]), AIM, extra, "r1")[1] == []


def test_a_block_that_no_request_matches_is_left_out_and_never_matches_all() -> None:
    match = [{"uri": {"exact": "/a"}}, {"uri": {"prefix": "/b"}}]
    obj = virtual_service([{"match": match, "route": SPLIT}, {"match": match[:1], "route": SPLIT}])
    copies, findings = route_copies.copies_of(obj, AIM, {"uri": {"prefix": "/b/c"}}, "r1")
    assert findings == []
    assert {index: copy["match"] for index, copy in copies.items()} == {0: [{"uri": {"prefix": "/b/c"}}]}


# Delegation ---------------------------------------------------------------------------------------------------------------------


def below(root_route: Obj, leaf_route: Obj, extra: Obj | None = TESTER, mirror: float = 0) -> list[str]:
    """Findings on a delegate."""
    root = virtual_service([{"delegate": {"name": "vs"}, **root_route}], name="root")
    leaf = virtual_service([{"route": SPLIT, **leaf_route}])
    del leaf["spec"]["hosts"]
    copies, _findings = route_copies.copies_of(leaf, AIM, extra, "r1") if extra else ({}, [])
    return route_copies.root_findings(leaf, AIM, [root, leaf], copies, extra, mirror)


API = {"uri": {"prefix": "/api"}}


@pytest.mark.parametrize(
    ("root", "leaf", "extra", "words"),
    [
        ({}, {}, TESTER, ""),
        ({"match": [API]}, {}, TESTER, ""),
        ({"match": [API]}, {"match": [{"uri": {"prefix": "/api/v1"}}]}, TESTER, ""),
        ({"match": [{**API, "ignoreUriCase": True}]}, {}, TESTER, "cannot combine"),
        ({"match": [{"headers": {"x-tester": {"regex": "y.*"}}}]}, {}, TESTER, "headers.x-tester is in both"),
        ({"match": [{"gateways": ["gw"]}]}, {}, {"sourceLabels": {"a": "b"}}, "Istio ignores"),
        ({"match": [{"sourceNamespace": "a"}]}, {}, TESTER, "cannot combine"),
        ({"match": [API], "rewrite": {"uri": "/"}}, {}, {"uri": {"prefix": "/api/b"}}, "rewrite.uri"),
    ],
)
def test_what_a_root_makes_of_a_copy_has_to_be_what_is_meant(root: Obj, leaf: Obj, extra: Obj, words: str) -> None:
    found = below(root, leaf, extra)
    assert bool(found) == bool(words)
    assert words in "; ".join(found)
    assert not found or "VirtualService shop/root delegates to it" in found[0]


def test_a_mirror_of_the_root_is_not_replaced() -> None:
    assert below({}, {}, None, 10) == []
    assert "with a mirror of its own" in below({"mirrors": [to("", host="shadow")]}, {}, None, 10)[0]
