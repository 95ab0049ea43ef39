# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The catalogue of services: entries in, definitions, databases and lists out; all findings at once."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.servicemesh.platform.plugins.plugin_utils import _catalogue_check as check
from ansible_collections.servicemesh.platform.plugins.plugin_utils._service import catalogue
from ansible_collections.servicemesh.platform.plugins.plugin_utils._service.definition import findings
from hypothesis import given
from hypothesis import strategies as st

Obj = dict[str, Any]

PLATFORM = catalogue.Platform(
    registry="registry.example.com/shop", replicas=2, jwt={"issuer": "https://i", "jwks": "{}"}
)
BASKET: Obj = {
    "routes": [{"prefix": "/api/baskets", "methods": ["GET", "POST"]}],
    "callers": [{"service_account": "order-service", "methods": ["GET"], "paths": ["/api/baskets"]}],
    "database": True,
}


def role(**more: Any) -> Obj:
    """Variables of a service's role, without its prefix."""
    values: Obj = dict.fromkeys(catalogue.ROLE_KEYS)
    values |= {"namespace": "ecommerce", "version": "v1.0", "image": "a/user-service:v1.0", "replicas": 3, "env": {}}
    values |= {
        "extra": {},
        "database_secret": "user-db",
        "routes": [{"prefix": "/api/users"}],
        "callers": [],
        "rollout": "rolling",
    }
    return {**values, "calls": {}, "own": {}, "state": "present", **more}


# What a definition says ---------------------------------------------------------------------------------------------


def test_one_entry_is_a_whole_definition() -> None:
    found = catalogue.of_added("basket-service", BASKET, PLATFORM)
    assert findings(found) == []
    assert found["image"] == "registry.example.com/shop/basket-service:v1.0"
    assert (found["replicas"], found["namespace"]) == (2, "ecommerce")
    assert found["env"] == {"SERVICE_NAME": "basket-service", "SERVICE_VERSION": "v1.0", "PORT": "8080"}
    assert found["secret_env"] == [{"name": "DATABASE_URL", "secret": "basket-db", "key": "url"}]
    assert "jwt" not in found


@pytest.mark.parametrize(
    ("entry", "image", "version"),
    [
        ({"version": "v2"}, "registry.example.com/shop/basket-service:v2", "v2"),
        ({"image": "r/b:v3"}, "r/b:v3", "v3"),
        ({"image": "r/b:v3", "version": "v3-1"}, "r/b:v3", "v3-1"),
    ],
)
def test_the_version_and_the_image_follow_each_other(entry: Obj, image: str, version: str) -> None:
    found = catalogue.of_added("basket-service", entry, PLATFORM)
    assert (found["image"], found["version"], found["env"]["SERVICE_VERSION"]) == (image, version, version)


def test_a_route_with_tokens_accepts_those_of_the_platform() -> None:
    entry = {"routes": [{"prefix": "/api/baskets", "require_jwt": True}]}
    assert catalogue.of_added("basket-service", entry, PLATFORM)["jwt"] == PLATFORM.jwt
    own = {**entry, "jwt": {"issuer": "https://mine", "jwks": "{}"}}
    assert catalogue.of_added("basket-service", own, PLATFORM)["jwt"]["issuer"] == "https://mine"


@pytest.mark.parametrize("how", ["extra", "entry"])
def test_the_process_listens_where_the_service_sends(how: str) -> None:
    changes = {"port": 9090}
    values, entry = (role(extra=changes), {}) if how == "extra" else (role(), changes)
    found = catalogue.of_role("user-service", values, entry)
    assert (found["port"], found["env"]["PORT"]) == (9090, "9090")
    assert catalogue.of_added("basket-service", changes, PLATFORM)["env"]["PORT"] == "9090"


def test_an_entry_changes_what_the_role_says() -> None:
    found = catalogue.of_role(
        "user-service",
        role(resources={"limits": {"cpu": "1", "memory": "1Gi"}}),
        {"resources": {"limits": {"cpu": "2"}}},
    )
    assert found["resources"] == {"limits": {"cpu": "2", "memory": "1Gi"}}


def test_a_service_does_not_call_what_is_left_out() -> None:
    calls = {"USER_URL": "user-service", "PAYMENT_URL": "payment-service"}
    found = catalogue.of_role("order-service", role(calls=calls), {}, ["payment-service"])
    assert "PAYMENT_URL" not in found["env"]
    assert found["env"]["USER_URL"] == "http://user-service"


def test_a_service_that_is_left_out_needs_no_image_and_keeps_its_secrets() -> None:
    values = role(image="", own={"generated_secrets": [{"name": "s", "key": "k"}]})
    found = catalogue.of_role("user-service", values, {"enabled": False}, ["user-service"])
    assert found["image"] == catalogue.NO_IMAGE
    assert found["generated_secrets"] == []


# Databases ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("service", "entry", "role_says", "expected"),
    [
        ("user-service", {}, {"database": "users"}, ("user-db", "user-service", "users", "user_service")),
        ("user-service", {"database": False}, {"database": "users"}, None),
        ("basket-service", {}, None, None),
        ("basket-service", {"database": True}, None, ("basket-db", "basket-service", "basket", "basket_service")),
        ("basket-service", {"database": {}}, None, ("basket-db", "basket-service", "basket", "basket_service")),
        (
            "gift-cards",
            {"database": {"database": "cards"}},
            None,
            ("gift-cards-db", "gift-cards", "cards", "gift_cards"),
        ),
    ],
)
def test_the_database_of_a_service(
    service: str, entry: Obj, role_says: Obj | None, expected: tuple[str, ...] | None
) -> None:
    found = catalogue.database(service, entry, role_says)
    assert (tuple(found[key] for key in ("name", "owner", "database", "username")) if found else None) == expected


# Lists -------------------------------------------------------------------------------------------------------------


def test_names_are_those_of_the_roles_and_of_the_entries() -> None:
    entries = {"review-service": {"enabled": False}, "basket-service": None, "old-service": {"enabled": "false"}}
    assert catalogue.names(entries) == [name for name in catalogue.SERVICES if name != "review-service"] + [
        "basket-service"
    ]
    assert catalogue.left_out(entries) == ["review-service", "old-service"]


def caller(name: str) -> Obj:
    return {"service_account": name}


def test_callees_come_before_their_callers() -> None:
    entries = {"a": {"callers": []}, "b": {"callers": [caller("a")]}, "c": {"callers": [caller("b"), caller("c")]}}
    assert catalogue.added(entries) == ["c", "b", "a"]


NAMES = st.sampled_from(["a", "b", "c", "d", "e"])


@given(st.dictionaries(NAMES, st.fixed_dictionaries({"callers": st.lists(NAMES.map(caller), max_size=3)})))
def test_the_order_has_every_service_once_whatever_calls_whom(entries: Obj) -> None:
    found = catalogue.added(entries)
    assert sorted(found) == sorted(entries)
    for index, name in enumerate(found):
        callees = {other for other in entries if other != name and name in catalogue.callers(entries[other])}
        # One that calls a later one is in a circle: it stands first of what was left.
        assert callees <= set(found[:index]) or any(other in found[index:] for other in callees)


def test_the_gateway_serves_the_routes_for_callers_outside() -> None:
    routes = [
        [{"prefix": "/api/users/"}, {"prefix": "/internal", "ingress": False}],
        [{"prefix": "/api/users"}, {"prefix": "/"}],
        None,
    ]
    assert catalogue.gateway_paths(routes) == ["/api/users", "/"]


@pytest.mark.parametrize(
    ("run", "skip", "expected"),
    [
        (["all"], [], ["basket-service", "gift-cards"]),
        (["added_services"], [], ["basket-service", "gift-cards"]),
        (["basket_service"], [], ["basket-service"]),
        (["istio", "verify"], [], []),
        (["all"], ["gift_cards"], ["basket-service"]),
        (["all"], ["added_services"], []),
    ],
)
def test_tags_select_services(run: list[str], skip: list[str], expected: list[str]) -> None:
    assert catalogue.selected(["basket-service", "gift-cards"], run, skip) == expected


# What leaves -------------------------------------------------------------------------------------------------------


def store(name: str, **more: Any) -> Obj:
    return {"name": name, **more}


def test_what_was_recorded_and_is_wanted_no_more_leaves() -> None:
    before = catalogue.record(
        ["user-service", "basket-service"], [store("user-db"), store("basket-db")], store("redis")
    )
    after = catalogue.record(["user-service"], [store("user-db")], {})
    gone = catalogue.leaving(before, after)
    assert (gone.services, gone.databases, gone.cache) == (["basket-service"], [store("basket-db")], store("redis"))


def test_nothing_leaves_that_was_not_recorded_or_that_a_role_removes() -> None:
    now = catalogue.record(["basket-service"], [store("basket-db")], store("redis"))
    for before in ({}, now):
        gone = catalogue.leaving(before, now)
        assert (gone.services, gone.databases, gone.cache) == ([], [], {})
    assert catalogue.leaving(catalogue.record(["user-service"], [], {}), now).services == []


def test_an_external_database_was_not_deployed() -> None:
    assert catalogue.record([], [store("orders", external=True)], store("redis", external=True)) == {
        "services": [],
        "databases": [],
        "cache": {},
    }


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("http://basket-service", True),
        ("http://basket-service/x", True),
        ("http://basket-service:80/x", True),
        ("http://basket-service.shop", True),
        ("https://basket-service.shop.svc.cluster.local/x", True),
        ("http://basket-service.other", False),
        ("http://basket-service.example.com", False),
        ("http://basket-service-2", False),
        ("basket-service", False),
    ],
)
def test_who_calls_a_service(value: str, found: bool) -> None:
    definition = {"name": "a", "namespace": "shop", "env": {"URL": value}}
    assert (list(catalogue.uses([definition], "basket-service")) == [("a", "env.URL", value)]) is found


# Findings ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ([], ["platform_services: [] is not a dict; expected name and entry of each service"]),
        ({"Basket": {}}, ["platform_services.Basket: 'Basket' is not an RFC"]),
        ({"user_service": {}}, ["platform_services.user_service: 'user_service' is not", "did you mean user-service?"]),
        ({"a": 3}, ["platform_services.a: 3 is not a dict"]),
        ({"a": {"replica": 2}}, ["platform_services.a.replica: unknown key; did you mean replicas?"]),
        ({"a": {"namespace": "x"}}, ["platform_services.a.namespace: the catalogue sets this key"]),
        ({"a": {"enabled": "maybe"}}, ["platform_services.a.enabled: 'maybe' is not true or false"]),
        ({"a": {"database": "yes"}}, ["platform_services.a.database: 'yes' is not true, false or a dict"]),
        ({"a": {"database": {"owner": "b"}}}, ["platform_services.a.database.owner: unknown key"]),
        ({"a": {"canary": 5}}, ["platform_services.a.canary: 5 is not a dict"]),
        (
            {"a": {"replica": 2}, "b": 3},
            ["platform_services.a.replica: unknown key", "platform_services.b: 3 is not a dict"],
        ),
    ],
)
def test_wrong_entries_are_found(entries: Any, expected: list[str]) -> None:
    found = "\n".join(check.entry_findings(entries))
    assert [text for text in expected if text not in found] == [], found


@pytest.mark.parametrize(
    "entry",
    [None, {}, BASKET, {"enabled": False}, {"enabled": "no", "canary": {"steps": [5]}}, {"database": {"size": "2Gi"}}],
)
def test_right_entries_have_no_findings(entry: Any) -> None:
    assert check.entry_findings({"basket-service": entry}) == []


def whole(entries: Obj, **more: Any) -> check.Whole:
    definitions = {
        name: catalogue.of_added(name, catalogue.entry_of(entries, name), PLATFORM) for name in catalogue.added(entries)
    }
    definitions["user-service"] = catalogue.of_role("user-service", role(), {})
    return check.Whole(entries, definitions, **more)


def test_a_catalogue_that_fits_together_has_no_findings() -> None:
    entries = {
        "basket-service": {**BASKET, "callers": [caller("user-service") | {"methods": ["GET"], "paths": ["/x"]}]}
    }
    stores = [store("basket-db", owner="basket-service"), store("mine", owner="batch")]
    assert check.findings(whole(entries, databases=stores, others=["batch"])) == []


WRONG: list[tuple[Obj, Obj, list[str]]] = [
    ({"a": {"port": 80800}}, {}, ["platform_services.a.port: 80800 is not a port"]),
    (
        {"a": {"routes": [{"prefix": "/api/users/"}]}},
        {},
        ["routes: prefix '/api/users' is one of", "expected a prefix that no other service serves"],
    ),
    (
        {"a": {"callers": [{**caller("wbe"), "methods": ["GET"], "paths": ["/x"]}]}, "web": {}},
        {},
        [
            "platform_services.a.callers[0].service_account: 'wbe' is no service; did you mean web?",
            "platform_other_workloads",
        ],
    ),
    (
        {"a": {"callers": [{**caller("b"), "methods": ["GET"], "paths": ["/x"]}]}, "b": {"enabled": False}},
        {},
        ["platform_services.a.callers[0].service_account: 'b' is left out (enabled: false)"],
    ),
    (
        {"a": {"env": {"B": "http://b"}}, "b": {"enabled": False}},
        {},
        ["platform_services.a.env.B: 'http://b' is the address of b, which is left out"],
    ),
    (
        {},
        {"databases": [store("x-db", owner="user-servise")]},
        ["the owner of 'x-db', 'user-servise', is no service; did you mean user-service?"],
    ),
    (
        {"x-db": {}},
        {"databases": [store("x-db", owner="user-service")]},
        ["the database of user-service has the name 'x-db', which service x-db has too"],
    ),
    ({"a": {}, "a-canary": {}}, {}, ["the canary of a has the name 'a-canary', which service a-canary has too"]),
    (
        {},
        {"twice": [("user-service", "replicas", "user_service_replicas")]},
        ["platform_services.user-service.replicas: user_service_replicas is given too"],
    ),
]


@pytest.mark.parametrize(("entries", "more", "expected"), WRONG)
def test_what_does_not_fit_together_is_found(entries: Obj, more: Obj, expected: list[str]) -> None:
    found = check.findings(whole(entries, **more))
    assert len(found) == 1, found
    assert [text for text in expected if text not in found[0]] == []


def test_all_findings_are_told_at_once() -> None:
    entries: Obj = {}
    for more, _given, _texts in WRONG[:5]:
        for name, entry in more.items():
            entries[name] = {**entries.get(name, {}), **entry}
    assert len(check.findings(whole(entries))) >= 4


def test_a_missing_image_is_told_with_both_ways_to_give_one() -> None:
    definition = catalogue.of_added("usr-service", {}, catalogue.Platform())
    (found,) = check.findings(check.Whole({"usr-service": {}}, {"usr-service": definition}))
    assert found.startswith("platform_services.usr-service.image: missing, and platform_image_registry is not given")
    assert found.endswith("did you mean user-service?")
