# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Closed paths inside open ones: no spelling reaches what the plain path does not.

Envoy's part (routes, then RBAC) is done here by reading VirtualServices and policies; tests/judge does it with what Istio makes of them.
"""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.servicemesh.platform.plugins.plugin_utils._service import closed as _closed
from ansible_collections.servicemesh.platform.plugins.plugin_utils._service import ingress as _ingress
from ansible_collections.servicemesh.platform.plugins.plugin_utils._service import security as _security
from ansible_collections.servicemesh.platform.plugins.plugin_utils._service import traffic as _traffic
from ansible_collections.servicemesh.platform.plugins.plugin_utils._service.definition import methods
from hypothesis import given
from hypothesis import strategies as st

from tests.ingress_routes import ingress_routes, takes
from tests.path_readings import escapes, normalised, readings, rooted, spelled

Obj = dict[str, Any]

OPEN = {"prefix": "/api/users", "methods": ["GET", "POST"]}
# The public key of RFC 8037, A.2.
JWKS = '{"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}'
JWT = {"issuer": "https://issuer.example.com", "jwks": JWKS}
CLOSED: list[Obj] = [
    {"prefix": "/api/users/admin", "methods": ["GET", "POST"], "require_jwt": True},
    {"prefix": "/api/users/admin", "methods": ["GET", "POST"], "ingress": False},
    {"prefix": "/api/users/admin", "methods": ["GET"]},
]


def definition(*routes: Obj) -> Obj:
    return {"name": "user-service", "image": "a/b:v1", "jwt": JWT, "routes": list(routes)}


def _matches(pattern: str, path: str) -> bool:
    return path.startswith(pattern[:-1]) if pattern.endswith("*") else path == pattern


def _applies(rule: Obj, path: str, method: str, token: bool) -> bool:
    source, operation = rule["from"][0]["source"], rule["to"][0]["operation"]
    return (
        source["principals"] == ["cluster.local/ns/istio-system/sa/istio-ingressgateway"]
        and ("requestPrincipals" not in source or token)
        and ("notRequestPrincipals" not in source or not token)
        and operation.get("ports", ["8080"]) == ["8080"]
        and ("methods" not in operation or method in operation["methods"])
        and ("notMethods" not in operation or method not in operation["notMethods"])
        and any(_matches(pattern, path) for pattern in operation["paths"])
        and not any(_matches(pattern, path) for pattern in operation.get("notPaths", []))
    )


def outcome(service: Obj, target: str, method: str, token: bool, merge: bool = True, decode: bool = False) -> int:
    """Status of a request from outside; 200 when it reaches the service."""
    path = normalised(target, merge, decode)
    if path is None:
        return 400
    manifests = [*_traffic.traffic_manifests(service), *_security.security_manifests(service)]
    header = path + target[len(target.partition("?")[0]) :]
    http = (route for root in _ingress.roots(manifests)[0] for route in ingress_routes(root, manifests))
    route = next((route for route in http if takes(route, path, header)), None)
    if route is None or "directResponse" in route:
        return 404 if route is None else int(route["directResponse"]["status"])
    path = normalised(header, merge, decode) or ""  # the sidecar does the same again
    policies = [item["spec"] for item in manifests if item["kind"] == "AuthorizationPolicy"]
    said = {
        action: any(
            _applies(rule, path, method, token)
            for policy in policies
            if policy["action"] == action
            for rule in policy.get("rules", [])
        )
        for action in ("ALLOW", "DENY")
    }
    return 200 if said["ALLOW"] and not said["DENY"] else 403


@pytest.mark.parametrize("merge", [True, False])
@pytest.mark.parametrize("closed", CLOSED, ids=["token", "inside only", "methods"])
@pytest.mark.parametrize("target", spelled("/api/users", "admin"))
def test_no_spelling_reaches_a_closed_path(target: str, closed: Obj, merge: bool) -> None:
    """Without MERGE_SLASHES too: another Istio may have another normalisation."""
    status = outcome(definition(closed, OPEN), target, "POST", token=False, merge=merge)
    assert status in (400, 403, 404)


@pytest.mark.parametrize(
    "target", ["/api/users/admin", "/api/users/admin/", "/api/users/admin/x", "/api/users/admin?x=//;"]
)
def test_a_token_opens_the_plain_path(target: str) -> None:
    assert outcome(definition(CLOSED[0], OPEN), target, "GET", token=True) == 200
    assert outcome(definition(CLOSED[0], OPEN), target, "GET", token=False) == 403


@pytest.mark.parametrize(
    ("name", "statuses"),  # without a token, and with one
    [
        ("admin.json", (403, 200)),
        ("admin:list", (403, 200)),
        ("admin%20", (403, 200)),
        ("admin;x=1", (400, 400)),
        ("admin%2Fx", (400, 400)),
        ("Admin.json", (400, 400)),
    ],
)
def test_what_follows_the_name_is_refused_like_the_plain_path_and_other_readings_always(
    name: str, statuses: tuple[int, int]
) -> None:
    service = definition(CLOSED[0], OPEN)
    assert tuple(outcome(service, f"/api/users/{name}", "GET", token) for token in (False, True)) == statuses


def test_a_caller_with_a_token_may_write_a_closed_path_as_the_service_takes_it() -> None:
    for target in ("/api/users/admin/a%2Fb", "/api/users/admin/x;y=1"):
        assert outcome(definition(CLOSED[0], OPEN), target, "GET", token=True) == 200
        assert outcome(definition(CLOSED[0], OPEN), target, "GET", token=False) == 403


@pytest.mark.parametrize(
    "target",
    [
        "/api/users", "/api/users/", "/api/users/1", "/api/users?next=/a//b;c/../%2F", "/api/users/.well-known/jwks.json",
        "/api/users/J%C3%BCrgen%20M", "/api/users/a@b.example", "/api/users/a:b", "/api/users/...", "/api/users/administrator",
        "/api/users/admin-list", "/api/users/Administrator", "/api/users/x/admin", "/api/users/a+b,c",
    ],
)  # fmt: skip
def test_other_paths_stay_open(target: str) -> None:
    assert outcome(definition(CLOSED[0], OPEN), target, "GET", token=False) == 200


@pytest.mark.parametrize(
    "target", ["/api/users/a%2Fb", "/api/users/a%2fb", "/api/users/a;b=c", "/api/users/100%25", "/api/users/ADMIN"]
)
def test_without_closed_paths_every_id_arrives(target: str) -> None:
    assert outcome(definition(OPEN), target, "GET", token=False) == 200


@pytest.mark.parametrize("decode", [True, False])
@pytest.mark.parametrize("routes", [[OPEN], [CLOSED[0], OPEN], [{"prefix": "/api/users"}]])
@pytest.mark.parametrize("target", escapes("/api/users", "metrics"))
def test_no_spelling_leads_out_of_a_route(target: str, routes: list[Obj], decode: bool) -> None:
    assert outcome(definition(*routes), target, "GET", token=False, decode=decode) in (400, 404)


def test_what_the_closed_path_leaves_open_below_stays_open() -> None:
    service = definition({"prefix": "/api/users/admin/help"}, CLOSED[0], OPEN)
    assert outcome(service, "/api/users/admin/help/x", "GET", token=False) == 200
    assert outcome(service, "/api/users/admin/helpx", "GET", token=False) == 403
    assert outcome(service, "/api/users/ADMIN/help", "GET", token=False) == 400


def test_the_route_of_its_own_is_for_callers_outside_and_directly_before_the_open_one() -> None:
    manifests = _traffic.traffic_manifests(definition(CLOSED[0], OPEN))
    mesh, delegate = (item["spec"]["http"] for item in manifests if item["kind"] == "VirtualService")
    assert [route["name"] for route in delegate] == ["api-users-admin", "api-users-other-spellings", "api-users"]
    (root,), _gone = _ingress.roots(manifests)
    assert root["spec"]["http"][0] == _closed.first(), "before the routes of all services"
    refusals = [route for route in ingress_routes(root, manifests) if "directResponse" in route]
    assert [(route["name"], route["directResponse"]["status"]) for route in refusals] == [
        ("hidden-dot-segments", 400),
        ("api-users-other-spellings", 400),
    ]
    assert not [route for route in mesh if "directResponse" in route]


def test_the_policy_of_closed_paths() -> None:
    service = definition(CLOSED[0], OPEN)
    policy = next(item for item in _security.security_manifests(service) if item["spec"].get("action") == "DENY")
    assert policy["metadata"]["name"] == "user-service-closed-paths"
    source = policy["spec"]["rules"][1]["from"][0]["source"]
    assert source["notRequestPrincipals"] == ["https://issuer.example.com/*"]
    assert {"/api/users/admin", "/api/users/admin/*", "/api/users/admin;*", "/api/users/admin%*"} <= set(
        policy["spec"]["rules"][1]["to"][0]["operation"]["paths"]
    )
    assert all(rule["to"][0]["operation"]["ports"] == ["8080"] for rule in policy["spec"]["rules"]), "or it denies TCP"
    assert not [i for i in _security.security_manifests(definition(OPEN)) if i["spec"].get("action") == "DENY"]


def test_get_allows_head() -> None:
    for method, token, status in (
        ("HEAD", False, 200),
        ("GET", False, 200),
        ("OPTIONS", False, 403),
        ("PUT", True, 403),
    ):
        assert outcome(definition(OPEN), "/api/users/1", method, token) == status
    closed = definition({"prefix": "/api/users/admin", "methods": ["GET"]}, OPEN)
    assert outcome(closed, "/api/users/admin", "HEAD", token=False) == 200
    assert outcome(definition({"prefix": "/a", "methods": ["POST"]}), "/a", "HEAD", token=False) == 403
    assert methods(["HEAD"]) == ["HEAD"]
    assert methods(["GET", "HEAD"]) == ["GET", "HEAD"]


_NAME = st.sampled_from(["a", "b", "c"])
_PREFIX = st.lists(_NAME, min_size=1, max_size=3).map(lambda parts: "/" + "/".join(parts))
_ROUTE = st.fixed_dictionaries(
    {"prefix": st.one_of(_PREFIX, st.just("/"))},
    optional={
        "ingress": st.booleans(),
        "require_jwt": st.booleans(),
        "methods": st.sampled_from([["GET"], ["POST"], ["GET", "POST"]]),
    },
)
_ROUTES = st.lists(_ROUTE, min_size=1, max_size=4, unique_by=lambda route: route["prefix"]).map(
    lambda found: sorted(found, key=lambda route: -len(route["prefix"]))
)
_PIECE = st.sampled_from([
    "a", "b", "c", "A", "x", ".", "..", "/", "//", "\\", ";", ";x", "%2F", "%2f", "%5c", "%2e", "%2E", "%61", "%41", "%252f", "%252e",
    "%3b", "%", "%20", "%00", "%C3%A9", ".json", ":x", ",", "?", "?/",
])  # fmt: skip
_TARGET = st.lists(_PIECE, max_size=8).map(lambda pieces: "/" + "".join(pieces))


@given(_ROUTES, _PREFIX, st.data(), st.sampled_from(["GET", "POST"]), st.booleans(), st.booleans())
def test_whatever_a_server_reads_is_reached_by_the_plain_path_too(
    routes: list[Obj], path: str, data: st.DataObject, method: str, token: bool, merge: bool
) -> None:
    service = definition(*routes)
    outer, _slash, name = path.rpartition("/")
    targets = data.draw(st.lists(st.one_of(_TARGET, st.sampled_from(spelled(outer, name))), min_size=1, max_size=3))
    for target in targets:
        if outcome(service, target, method, token, merge) != 200:
            continue
        # A service reads what its sidecar sends, and only that.
        sent = normalised(normalised(target, merge) or "", merge) or ""
        for plain in rooted(readings(sent)):
            assert outcome(service, plain, method, token) == 200, (target, plain)
