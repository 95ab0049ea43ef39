# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The routes that the roles microservice and mesh_traffic apply: which, and when a service's are divided."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.servicemesh.platform.plugins.plugin_utils._service import closed
from ansible_collections.servicemesh.platform.plugins.plugin_utils._service.traffic import traffic_manifests

from tests.role_values import value

SERVICE: dict[str, Any] = {
    "name": "user-service",
    "namespace": "ecommerce",
    "image": "example/user:v1",
    "routes": [{"prefix": "/api/users"}],
}
OTHER = traffic_manifests({"name": "order-service", "image": "example/x:1", "routes": [{"prefix": "/api/orders"}]})
UNDER_WAY = {"active": True, "virtual_services": ["ecommerce/user-service"]}


def flat(entries: list[Any]) -> list[dict[str, Any]]:
    return [item for entry in entries for item in (entry if isinstance(entry, list) else [entry])]


def routes(name: str, canary: dict[str, Any] | None = None, **overrides: Any) -> set[str]:
    """Names of the VirtualServices in a variable of the role microservice."""
    given = {
        "microservice_definition": SERVICE,
        "__microservice_inventory_definition": SERVICE,
        "__microservice_canary_info": canary or {"active": False, "virtual_services": []},
        "__microservice_secrets": {},
        "__microservice_ingress": {"results": [OTHER[2:]]},
        **overrides,
    }
    found = flat(value("microservice", name, **given))
    return {item["metadata"]["name"] for item in found if item["kind"] == "VirtualService"}


ROOT = "ecommerce-gateway-ecommerce.example.com"
DIVIDED = {"user-service", "user-service-ingress", ROOT}


def delegates(root: dict[str, Any]) -> list[str]:
    """Names of the VirtualServices to which that of the host delegates, after the route that comes before all of theirs."""
    first, *delegations = root["spec"]["http"]
    assert first == closed.first()
    return [route["delegate"]["name"] for route in delegations]


@pytest.mark.parametrize(
    ("canary", "ended", "expected"),
    [
        ({"active": False, "virtual_services": []}, {}, DIVIDED),
        # It began before the routes were divided: the routes that it shifts stay as they are.
        (UNDER_WAY, {}, {ROOT}),
        (UNDER_WAY, {"phase": "paused"}, {ROOT}),
        (UNDER_WAY, {"phase": "promoted"}, DIVIDED),
        ({"active": True, "virtual_services": ["ecommerce/user-service", "ecommerce/user-service-ingress"]}, {}, DIVIDED),
    ],
)  # fmt: skip
def test_a_canary_keeps_the_routes_that_it_shifts(
    canary: dict[str, Any], ended: dict[str, Any], expected: set[str]
) -> None:
    assert routes("__microservice_manifests", canary, __microservice_canary=ended) == expected


def test_while_a_canary_keeps_its_routes_those_of_the_others_stay() -> None:
    (root,) = value(
        "microservice",
        "__microservice_roots",
        __microservice_inventory_definition=SERVICE,
        __microservice_canary_info=UNDER_WAY,
        __microservice_ingress={"results": [OTHER[2:]]},
    )["definitions"]
    assert delegates(root) == ["order-service-ingress"]


def test_a_service_inside_only_has_nothing_to_divide() -> None:
    inside = {**SERVICE, "routes": [{"prefix": "/api/users", "ingress": False}]}
    overrides: dict[str, Any] = {
        "__microservice_inventory_definition": inside,
        "__microservice_ingress": {"results": [[]]},
    }
    assert routes("__microservice_manifests", UNDER_WAY, **overrides) == {"user-service"}
    assert routes("__microservice_retired", UNDER_WAY, **overrides) == {"user-service-ingress"}


def test_without_traffic_rules_a_service_leaves_the_root() -> None:
    present = [*traffic_manifests(SERVICE)[2:], {**OTHER[2], "metadata": {**OTHER[2]["metadata"], "name": ROOT}}]
    present[1]["metadata"] |= {"labels": {"servicemesh.platform/ingress": "root"}}
    overrides: dict[str, Any] = {
        "microservice_traffic_enabled": False,
        "__microservice_ingress": {"results": [present]},
    }
    assert routes("__microservice_manifests", **overrides) == set()
    assert routes("__microservice_retired", **overrides) == DIVIDED


def test_a_service_that_is_removed_leaves_the_root_to_the_others() -> None:
    given: dict[str, Any] = {
        "microservice_state": "absent",
        "__microservice_ingress": {"results": [[*traffic_manifests(SERVICE)[2:], *OTHER[2:]]]},
    }
    assert routes("__microservice_manifests", **given) == {"user-service", "user-service-ingress"}
    others = value(
        "microservice",
        "__microservice_other_roots",
        __microservice_inventory_definition=SERVICE,
        __microservice_canary_info={},
        **given,
    )
    assert delegates(others["definitions"][0]) == ["order-service-ingress"]


def mesh_traffic(**overrides: Any) -> dict[str, dict[str, Any]]:
    found = flat(value("mesh_traffic", "__mesh_traffic_manifests", **overrides))
    return {f"{item['kind']} {item['metadata']['namespace']}/{item['metadata']['name']}": item for item in found}


def test_the_host_leads_to_the_gateway_from_inside_as_well() -> None:
    found = mesh_traffic()
    assert list(found) == ["Gateway istio-system/ecommerce-gateway", "ServiceEntry istio-system/ecommerce-gateway"]
    assert found["ServiceEntry istio-system/ecommerce-gateway"]["spec"] == {
        # Not *.ecommerce.example.com: a name below the domain may be somebody else's.
        "hosts": ["ecommerce.example.com"],
        # The gateway takes plain text or its certificate, as from the ingress controller; mutual TLS would reach none of its servers.
        "location": "MESH_EXTERNAL",
        "resolution": "DNS",
        "ports": [
            {"name": "http", "number": 80, "protocol": "HTTP"},
            {"name": "https", "number": 443, "protocol": "HTTPS"},
        ],
        "endpoints": [
            {"address": "istio-ingressgateway.istio-system.svc.cluster.local", "ports": {"http": 80, "https": 443}}
        ],
    }


def test_the_ports_of_the_gateway_may_be_others() -> None:
    found = mesh_traffic(mesh_traffic_http_port=8080, mesh_traffic_https_enabled=False)
    spec = found["ServiceEntry istio-system/ecommerce-gateway"]["spec"]
    assert spec["ports"] == [{"name": "http", "number": 80, "protocol": "HTTP"}]
    assert spec["endpoints"][0]["ports"] == {"http": 8080}


def test_wildcard_hosts_alone_lead_nowhere_from_inside() -> None:
    assert list(mesh_traffic(mesh_traffic_hosts=["*.example.com"])) == ["Gateway istio-system/ecommerce-gateway"]


def test_without_a_gateway_service_the_host_leads_nowhere_from_inside() -> None:
    assert list(mesh_traffic(mesh_traffic_gateway_service="")) == ["Gateway istio-system/ecommerce-gateway"]
    for given, kinds in (({}, []), ({"mesh_traffic_gateway_service": ""}, ["ServiceEntry"])):
        assert [item["kind"] for item in value("mesh_traffic", "__mesh_traffic_retired", **given)] == kinds


def test_workloads_of_other_tools_join_the_routes_of_the_host() -> None:
    legacy = {"name": "legacy", "namespace": "ecommerce", "image": "x/y:1", "routes": [{"prefix": "/api/legacy"}]}
    found = mesh_traffic(mesh_traffic_services=[legacy], __mesh_traffic_ingress={"results": [OTHER[2:]]})
    root = found[f"VirtualService ecommerce/{ROOT}"]
    assert delegates(root) == ["legacy-ingress", "order-service-ingress"]
