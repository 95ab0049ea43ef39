# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The VirtualService of the host that clients outside use, and where it leads requests by Istio's rules of delegation."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from ansible_collections.servicemesh.platform.plugins.plugin_utils._service import closed
from ansible_collections.servicemesh.platform.plugins.plugin_utils._service.definition import covers
from ansible_collections.servicemesh.platform.plugins.plugin_utils._service.ingress import roots
from ansible_collections.servicemesh.platform.plugins.plugin_utils._service.traffic import traffic_manifests
from hypothesis import given
from hypothesis import strategies as st

from tests.ingress_routes import ingress_routes, takes

HOST, GATEWAY = "ecommerce.example.com", "istio-system/ecommerce-gateway"


def rules(name: str, *prefixes: str, host: str = HOST, gateway: str = GATEWAY, **keys: Any) -> list[dict[str, Any]]:
    ordered = sorted(prefixes, key=lambda prefix: (-prefix.count("/"), prefix))
    routes = [{"prefix": prefix} for prefix in ordered if prefix != "/"] + [
        {"prefix": "/"} for _ in ordered if "/" in prefixes
    ][:1]
    return traffic_manifests({"name": name, "image": "example/x:1", "routes": routes, **keys}, host, gateway)


def live(*manifests: dict[str, Any]) -> list[dict[str, Any]]:
    """What the cluster shows for the label."""
    return [m for m in manifests if "servicemesh.platform/ingress" in m["metadata"]["labels"]]


def names(root: dict[str, Any]) -> list[tuple[str, str]]:
    first, *delegations = root["spec"]["http"]
    assert first == closed.first(), "before the routes of all services"
    return [(route["match"][0]["uri"]["prefix"], route["delegate"]["name"]) for route in delegations]


def test_the_first_service_makes_the_root() -> None:
    (root,), gone = roots(rules("user-service", "/api/users"))
    assert root == {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {
            "name": "ecommerce-gateway-ecommerce.example.com",
            "namespace": "ecommerce",
            "labels": {"servicemesh.platform/ingress": "root", "app.kubernetes.io/part-of": "ingress"},
        },
        "spec": {
            "hosts": [HOST],
            "gateways": [GATEWAY],
            "http": [
                closed.first(),
                {
                    "match": [{"uri": {"prefix": "/api/users"}}],
                    "delegate": {"name": "user-service-ingress", "namespace": "ecommerce"},
                },
            ],
        },
    }
    assert gone == []


def test_a_service_that_is_applied_alone_keeps_the_others() -> None:
    user, order = rules("user-service", "/api/users"), rules("order-service", "/api/orders")
    (before,), _gone = roots(user)
    (after,), gone = roots(order, live(*user, before))
    assert names(after) == [("/api/orders", "order-service-ingress"), ("/api/users", "user-service-ingress")]
    assert gone == []
    assert roots(user, live(*user, *order, after)) == ([after], []), "a second run changes nothing"


def test_a_service_that_goes_takes_its_routes_and_the_last_one_the_root() -> None:
    user, order = rules("user-service", "/api/users"), rules("order-service", "/api/orders")
    (root,), _gone = roots([*user, *order])
    (rest,), gone = roots(user, live(*user, *order, root), removal=True)
    assert (names(rest), gone) == ([("/api/orders", "order-service-ingress")], [])
    nothing, gone = roots(order, live(*order, rest), removal=True)
    assert nothing == []
    assert [item["metadata"] for item in gone] == [{"name": root["metadata"]["name"], "namespace": "ecommerce"}]


def test_hosts_gateways_and_namespaces_have_roots_of_their_own() -> None:
    one = rules("a", "/a")
    others = [rules("b", "/b", host="b.example"), rules("c", "/c", gateway="x/y"), rules("d", "/d", namespace="shop")]
    found, gone = roots([*one, *(m for group in others for m in group)])
    assert {(r["metadata"]["namespace"], r["metadata"]["name"], *names(r)[0]) for r in found} == {
        ("ecommerce", f"ecommerce-gateway-{HOST}", "/a", "a-ingress"),
        ("ecommerce", "ecommerce-gateway-b.example", "/b", "b-ingress"),
        ("ecommerce", f"y-{HOST}", "/c", "c-ingress"),
        ("shop", f"ecommerce-gateway-{HOST}", "/d", "d-ingress"),
    }
    assert gone == []


def test_a_new_host_moves_the_services_one_by_one() -> None:
    user, order = rules("user-service", "/api/users"), rules("order-service", "/api/orders")
    (old,), _gone = roots([*user, *order])
    moved = rules("user-service", "/api/users", host="shop.example")
    both, gone = roots(moved, live(*user, *order, old))
    assert {r["spec"]["hosts"][0]: names(r) for r in both} == {
        HOST: [("/api/orders", "order-service-ingress")],
        "shop.example": [("/api/users", "user-service-ingress")],
    }
    assert gone == []
    new, gone = roots(rules("order-service", "/api/orders", host="shop.example"), live(*moved, *order, *both))
    assert [r["spec"]["hosts"] for r in new] == [["shop.example"]]
    assert [item["metadata"]["name"] for item in gone] == [old["metadata"]["name"]]


@pytest.mark.parametrize(
    ("prefixes", "expected"),
    [
        # One prefix for a service that needs no more: Istio warns of each route that a root's match does not cover.
        ([("a", ("/api", "/api/x"))], [("/api", "a")]),
        ([("a", ("/x", "/x-y"))], [("/x", "a")]),
        ([("a", ("/",)), ("b", ("/api/b",))], [("/api/b", "b"), ("/", "a")]),
        ([("a", ("/api",)), ("b", ("/api/b",))], [("/api/b", "b"), ("/api", "a")]),
        # Another service between two prefixes of one.
        ([("a", ("/api", "/api/b/c")), ("b", ("/api/b",))], [("/api/b/c", "a"), ("/api/b", "b"), ("/api", "a")]),
    ],
)  # fmt: skip
def test_the_deepest_prefix_comes_first(
    prefixes: list[tuple[str, tuple[str, ...]]], expected: list[tuple[str, str]]
) -> None:
    (root,), _gone = roots([m for name, paths in prefixes for m in rules(name, *paths)])
    assert names(root) == [(prefix, f"{name}-ingress") for prefix, name in expected]


def taken(root: dict[str, Any], manifests: list[dict[str, Any]], path: str) -> str:
    """The service that a request reaches; ``400`` when a route refuses it."""
    route = next((route for route in ingress_routes(root, manifests) if takes(route, path)), None)
    if route is None or "directResponse" in route:
        return "" if route is None else str(route["directResponse"]["status"])
    return str(route["route"][0]["destination"]["host"].split(".")[0])


segments = st.sampled_from(["a", "b", "ab", "a-b"])
paths = st.lists(segments, max_size=3).map(lambda parts: "/" + "/".join(parts))
# Where a route allows less than one above it, its service has a route that refuses other spellings of it.
methods = st.sampled_from([["GET"], ["GET", "POST"]])
services = st.dictionaries(
    st.sampled_from(["s1", "s2", "s3"]), st.dictionaries(paths, methods, min_size=1, max_size=4), min_size=1
)


def applied(served: dict[str, dict[str, list[str]]]) -> tuple[dict[str, str], list[dict[str, Any]]]:
    """(prefix -> its service, the manifests of all). A prefix that several have is that of the first."""
    owners: dict[str, str] = {}
    for name, prefixes in served.items():
        for prefix in prefixes:
            owners.setdefault(prefix, name)
    manifests: list[dict[str, Any]] = []
    for name, prefixes in served.items():
        own = [prefix for prefix in prefixes if owners[prefix] == name]
        own.sort(key=lambda prefix: (prefix == "/", -prefix.count("/"), prefix))
        if own:
            routes = [{"prefix": prefix, "methods": prefixes[prefix]} for prefix in own]
            manifests += traffic_manifests({"name": name, "image": "x/y:1", "routes": routes}, HOST, GATEWAY)
    return owners, manifests


@given(services, st.lists(paths, min_size=1, max_size=8))
def test_a_request_reaches_the_service_with_the_longest_prefix(
    served: dict[str, dict[str, list[str]]], asked: list[str]
) -> None:
    owners, manifests = applied(served)
    (root,), _gone = roots(manifests)
    for path in asked:
        fitting = [prefix for prefix in owners if covers(prefix, path)]
        expected = owners[max(fitting, key=lambda prefix: (prefix != "/", len(prefix)))] if fitting else ""
        assert taken(root, manifests, path) == expected, path
    matches = [str(route["match"]) for route in root["spec"]["http"]]
    assert len(set(matches)) == len(matches), "IST0130: a rule of which no match is its own"


@given(services)
def test_istio_drops_no_route_that_refuses_and_keeps_the_open_one_after_it(
    served: dict[str, dict[str, list[str]]],
) -> None:
    """A root's prefix that does not cover a route of a delegate drops it (virtualservice.go, mergeHTTPMatchRequests)."""
    _owners, manifests = applied(served)
    (root,), _gone = roots(manifests)
    for delegate in live(*manifests):
        delegations = [route for route in root["spec"]["http"] if route.get("delegate") == reference(delegate)]
        found = [route["name"] for route in ingress_routes({"spec": {"http": delegations}}, manifests)]
        own = delegate["spec"]["http"]
        assert set(found) == {route["name"] for route in own}
        for refusal, after in pairwise(own):
            if "directResponse" not in refusal:
                continue
            for index, name in enumerate(found):
                assert name != after["name"] or found[index - 1 : index] == [refusal["name"]], found


def reference(delegate: dict[str, Any]) -> dict[str, str]:
    return {key: delegate["metadata"][key] for key in ("name", "namespace")}
