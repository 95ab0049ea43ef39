# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The catalogue reaches every role that knows services: an entry, and a variable of a service's role, changes all of them."""

from __future__ import annotations

import json
from typing import Any

from ansible.template import trust_as_template
from ansible_collections.servicemesh.platform.plugins.plugin_utils._service import catalogue

from tests.role_values import value, variables

Obj = dict[str, Any]

BASKET: Obj = {"basket-service": {"image": "r/b:v1", "routes": [{"prefix": "/api/baskets"}], "database": True}}
PATHS = ["/api/users", "/api/products", "/api/orders", "/api/payments", "/api/reviews", "/api/recommendations"]


def paths(**overrides: Any) -> list[str]:
    return list(value("mesh_security", "mesh_security_gateway_paths", **overrides))


def databases(**overrides: Any) -> list[str]:
    return [store["name"] for store in value("datastore", "datastore_databases", **overrides)]


def definition(role: str, **overrides: Any) -> Any:
    return value(role, f"__{role}_definition", **overrides)


def test_without_an_inventory_there_are_the_six() -> None:
    assert paths() == PATHS
    assert value("observability", "observability_services") == list(catalogue.SERVICES)
    assert databases() == [name.replace("-service", "-db") for name in catalogue.SERVICES]
    assert value("datastore", "datastore_redis") == {"name": "redis", "owner": "product-service"}


def test_one_entry_reaches_all_of_them() -> None:
    given = {"platform_services": BASKET}
    assert paths(**given) == [*PATHS, "/api/baskets"]
    assert value("observability", "observability_services", **given) == [*catalogue.SERVICES, "basket-service"]
    assert databases(**given)[-1] == "basket-db"


def test_the_gateway_serves_the_routes_that_a_roles_variable_has() -> None:
    """They stood in a list of their own, so that a changed route answered 403."""
    moved = [{"prefix": "/people"}, {"prefix": "/internal", "ingress": False}]
    for given in (
        {"user_service_routes": moved},
        {"user_service_extra": {"routes": moved}},
        {"platform_services": {"user-service": {"routes": moved}}},
    ):
        assert paths(**given) == ["/people", *PATHS[1:]]


def test_a_service_that_is_left_out_is_nowhere() -> None:
    given: Obj = {"platform_services": {"product-service": {"enabled": False}}}
    assert "/api/products" not in paths(**given)
    assert "product-db" not in databases(**given)
    assert value("datastore", "datastore_redis", **given) == {}
    order, user = definition("order_service", **given), definition("user_service", **given)
    assert "PRODUCT_URL" not in order["env"]
    assert [caller["service_account"] for caller in user["callers"]] == ["order-service", "*"]


def test_callers_that_somebody_wrote_stay_and_are_a_finding() -> None:
    given: Obj = {
        "platform_services": {"product-service": {"enabled": False}},
        "user_service_callers": [{"service_account": "product-service", "methods": ["GET"], "paths": ["/x"]}],
    }
    assert definition("user_service", **given)["callers"] == given["user_service_callers"]


def test_the_image_follows_the_version_of_an_entry() -> None:
    given: Obj = {"platform_services": {"user-service": {"version": "v2"}}, "platform_image_registry": "r/shop"}
    found = definition("user_service", **given)
    assert (found["image"], found["version"], found["env"]["SERVICE_VERSION"]) == ("r/shop/user-service:v2", "v2", "v2")


def test_the_address_of_a_database_follows_its_name() -> None:
    for database, secrets in ({"name": "people-db"}, ["people-db"]), (False, []):
        found = definition("user_service", platform_services={"user-service": {"database": database}})
        assert [entry["secret"] for entry in found["secret_env"] if entry["name"] == "DATABASE_URL"] == secrets


def test_a_service_without_replicas_has_those_of_the_platform() -> None:
    assert value("microservice", "microservice_replicas", platform_replicas=1) == 1


def test_the_record_has_what_is_deployed() -> None:
    found = json.loads(
        value("service_catalogue", "__service_catalogue_record", platform_services=BASKET)["data"]["catalogue"]
    )
    assert "basket-service" in found["services"]
    assert "basket-db" in [store["name"] for store in found["databases"]]


def leaving(recorded: Obj, **overrides: Any) -> Obj:
    there = [{"data": {"catalogue": json.dumps(recorded)}}] if recorded else []
    found: Obj = value(
        "service_catalogue", "__service_catalogue_leaving", __service_catalogue_found={"results": [there]}, **overrides
    )
    return found


def test_what_was_recorded_and_has_no_entry_leaves_and_its_callers_are_named() -> None:
    recorded = {"services": ["basket-service", *catalogue.SERVICES], "databases": [{"name": "basket-db"}], "cache": {}}
    gone = leaving(recorded)
    assert (gone["services"], gone["databases"], gone["findings"]) == (["basket-service"], [{"name": "basket-db"}], [])
    (finding,) = leaving(recorded, order_service_env={"BASKET_URL": "http://basket-service"})["findings"]
    assert finding.startswith(
        "order-service: env.BASKET_URL is 'http://basket-service', and basket-service left platform_services"
    )
    assert leaving(recorded, platform_services=BASKET)["services"] == []
    assert leaving({})["services"] == []


def test_a_teardown_removes_all_that_has_no_role() -> None:
    recorded = {"services": ["basket-service", *catalogue.SERVICES], "databases": [], "cache": {}}
    assert leaving(recorded, platform_services=BASKET, platform_state="absent")["services"] == ["basket-service"]


def test_every_service_is_told_where_its_spans_go_and_may_say_otherwise() -> None:
    traced: Obj = {"platform_tracing": "jaeger", "platform_monitoring_namespace": "seen", "platform_services": BASKET}
    collector = "http://otel-collector.seen.svc.cluster.local:4318"
    assert definition("user_service", **traced)["env"]["OTEL_EXPORTER_OTLP_ENDPOINT"] == collector
    assert "OTEL_EXPORTER_OTLP_ENDPOINT" not in definition("user_service")["env"]
    own = definition("user_service", **traced, user_service_env={"OTEL_SERVICE_NAME": "people"})["env"]
    assert (own["OTEL_SERVICE_NAME"], own["SERVICE_NAME"]) == ("people", "user-service")
    templar = variables("service_catalogue", **traced)
    basket = templar.template(
        trust_as_template("{{ lookup('servicemesh.platform.services', 'definition', 'basket-service') }}")
    )
    assert basket["env"]["OTEL_SERVICE_NAME"] == "basket-service"
