# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The routes that the roles microservice and mesh_traffic apply: which, and when a service's are divided."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from ansible_collections.servicemesh.platform.plugins.modules import service_info
from ansible_collections.servicemesh.platform.plugins.plugin_utils._service import closed, ingress, plan
from ansible_collections.servicemesh.platform.plugins.plugin_utils._service.traffic import traffic_manifests

from tests.role_values import value
from tests.support import ROOT as FOLDER

Obj = dict[str, Any]

SERVICE: Obj = {
    "name": "user-service",
    "namespace": "ecommerce",
    "image": "example/user:v1",
    "routes": [{"prefix": "/api/users"}],
}
OTHER = traffic_manifests({"name": "order-service", "image": "example/x:1", "routes": [{"prefix": "/api/orders"}]})
UNDER_WAY = {"active": True, "virtual_services": ["ecommerce/user-service"]}


def flat(entries: list[Any]) -> list[dict[str, Any]]:
    return [item for entry in entries for item in (entry if isinstance(entry, list) else [entry])]


def planned(
    definition: Obj = SERVICE,
    canary: Obj | None = None,
    present: list[Obj] | None = None,
    ended: str = "",
    where: plan.Surroundings | None = None,
    state: bool = True,
) -> Obj:
    """What the role microservice applies."""
    seen = plan.Seen(canary or {}, OTHER[2:] if present is None else present, ended=ended)
    return plan.plan(definition, seen, where or plan.Surroundings(), present=state)


def routes(objects: list[Obj]) -> set[str]:
    """Names of the VirtualServices among objects."""
    return {item["metadata"]["name"] for item in objects if item["kind"] == "VirtualService"}


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
        ({"active": False, "virtual_services": []}, "", DIVIDED),
        # It began before the routes were divided: the routes that it shifts stay as they are.
        (UNDER_WAY, "", {ROOT}),
        (UNDER_WAY, "paused", {ROOT}),
        (UNDER_WAY, "promoted", DIVIDED),
        (
            {"active": True, "virtual_services": ["ecommerce/user-service", "ecommerce/user-service-ingress"]},
            "",
            DIVIDED,
        ),
    ],
)
def test_a_canary_keeps_the_routes_that_it_shifts(canary: Obj, ended: str, expected: set[str]) -> None:
    assert routes(planned(canary=canary, ended=ended)["definitions"]) == expected


def test_while_a_canary_keeps_its_routes_those_of_the_others_stay() -> None:
    (root,) = [item for item in planned(canary=UNDER_WAY)["definitions"] if item["metadata"]["name"] == ROOT]
    assert delegates(root) == ["order-service-ingress"]


def test_a_service_inside_only_has_nothing_to_divide() -> None:
    inside = {**SERVICE, "routes": [{"prefix": "/api/users", "ingress": False}]}
    found = planned(inside, UNDER_WAY, present=[])
    assert routes(found["definitions"]) == {"user-service"}
    assert routes(found["retired"]) == {"user-service-ingress"}


def test_without_traffic_rules_a_service_leaves_the_root() -> None:
    present = [*traffic_manifests(SERVICE)[2:], {**OTHER[2], "metadata": {**OTHER[2]["metadata"], "name": ROOT}}]
    present[1]["metadata"] |= {"labels": {"servicemesh.platform/ingress": "root"}}
    found = planned(present=present, where=plan.Surroundings(traffic=False))
    assert routes(found["definitions"]) == set()
    assert routes(found["retired"]) == DIVIDED


def test_a_service_that_is_removed_leaves_the_root_to_the_others() -> None:
    found = planned(present=[*traffic_manifests(SERVICE)[2:], *OTHER[2:]], state=False)
    assert routes(found["definitions"]) == {"user-service", "user-service-ingress"}
    assert delegates(found["roots"]["definitions"][0]) == ["order-service-ingress"]
    assert {"canary-user-service", "user-service-canary"} <= {item["metadata"]["name"] for item in found["definitions"]}


def test_what_exists_before_a_canary_has_no_pods() -> None:
    found = plan.without_pods(planned({**SERVICE, "config": {"A": "1"}})["definitions"])
    kinds = {item["kind"] for item in found}
    assert {"ServiceAccount", "Service", "VirtualService", "AuthorizationPolicy"} <= kinds
    assert not kinds & {"Deployment", "ConfigMap"}


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


def test_what_reads_the_routes_for_callers_outside_asks_for_the_label_that_is_written() -> None:
    (query,) = [
        query
        for task in yaml.safe_load((FOLDER / "roles/mesh_traffic/tasks/shared_routes.yml").read_text())
        for query in (task.get("servicemesh.platform.objects_info") or {}).get("queries", [])
    ]
    assert {service_info.INGRESS, query["label_selector"]} == {ingress.LABEL}
