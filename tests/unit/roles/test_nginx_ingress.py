# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every flavour of the role nginx_ingress passes to its chart, and its Ingress. What only one has: tests/unit/roles/nginx_ingress."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.ingress_flavours import FLAVOURS, annotations, chart, objects
from tests.role_values import ROLES, value

ROLE = ROLES / "nginx_ingress"
TESTS = Path(__file__).parent / "nginx_ingress"


def test_each_flavour_has_its_files_and_is_found_by_them() -> None:
    assert {path.name.removesuffix(".yaml.j2") for path in (ROLE / "templates" / "flavours").iterdir()} == set(FLAVOURS)
    assert {path.stem.removeprefix("test_") for path in TESTS.glob("test_*.py")} == set(FLAVOURS)
    assert value("nginx_ingress", "__nginx_ingress_flavours") == FLAVOURS


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_flavour_is_named_in_its_own_files_only(flavour: str) -> None:
    """Another flavour is files of its own, and a change in no other one. Texts for people may name what there is."""
    name = re.compile(rf"\b{flavour}\b(?![.])|_{flavour}_")  # not community.crypto
    for path in (*ROLE.glob("tasks/*.yml"), *ROLE.glob("templates/*.j2"), ROLE / "vars" / "main" / "main.yml"):
        assert not name.search(path.read_text(encoding="utf-8")), path


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_chart_is_known_and_marked_as_ours(flavour: str) -> None:
    for name in ("nginx_ingress_chart", "nginx_ingress_chart_version", "nginx_ingress_release"):
        assert value("nginx_ingress", name, nginx_ingress_flavour=flavour)
    values = chart(flavour, nginx_ingress_release="front")
    assert (values["servicemesh.platform/managed-by"], values["fullnameOverride"]) == ("servicemesh-platform", "front")


@pytest.mark.parametrize("name", ["nginx_ingress_chart", "nginx_ingress_chart_version", "nginx_ingress_release"])
def test_an_unknown_flavour_has_no_chart_and_is_one_finding(name: str) -> None:
    assert value("nginx_ingress", name, nginx_ingress_flavour="traefik") == ""


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_the_ingress_leads_from_the_host_to_the_gateway(flavour: str) -> None:
    found = objects(flavour)
    assert list(found) == ["Ingress"]
    ingress = found["Ingress"]
    assert ingress["metadata"]["namespace"] == "istio-system"
    assert ingress["spec"]["ingressClassName"] == "nginx"
    assert ingress["spec"]["tls"] == [{"hosts": ["ecommerce.example.com"], "secretName": "ecommerce-tls"}]
    (rule,) = ingress["spec"]["rules"]
    assert rule["host"] == "ecommerce.example.com"
    assert rule["http"]["paths"][0]["backend"] == {"service": {"name": "istio-ingressgateway", "port": {"number": 80}}}


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_an_encrypted_backend_is_called_at_its_port(flavour: str) -> None:
    ingress = objects(flavour, nginx_ingress_backend_protocol="https")["Ingress"]
    assert ingress["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"]["port"] == {"number": 443}


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_annotations_are_strings_and_no_snippets(flavour: str) -> None:
    found = annotations(flavour)
    assert [key for key, text in found.items() if not isinstance(text, str)] == []
    assert [key for key in found if "snippet" in key] == []


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_the_users_annotations_win(flavour: str) -> None:
    first = next(iter(annotations(flavour)))
    assert annotations(flavour, nginx_ingress_annotations={first: "mine"})[first] == "mine"


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("hosts", [["a.example", "b.example"], ["*.shop.example.com", "shop.example.com"]])
def test_each_host_has_a_rule(flavour: str, hosts: list[str]) -> None:
    rules = objects(flavour, nginx_ingress_hosts=hosts)["Ingress"]["spec"]["rules"]
    assert [rule["host"] for rule in rules] == hosts


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_without_tls_there_is_no_tls_section(flavour: str) -> None:
    assert "tls" not in objects(flavour, nginx_ingress_tls_mode="none")["Ingress"]["spec"]


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_cert_manager_gets_a_certificate(flavour: str) -> None:
    found = objects(flavour, nginx_ingress_tls_mode="cert_manager", nginx_ingress_tls_issuer="letsencrypt")
    assert found["Certificate"]["spec"] == {
        "secretName": "ecommerce-tls",
        "dnsNames": ["ecommerce.example.com"],
        "issuerRef": {"group": "cert-manager.io", "kind": "ClusterIssuer", "name": "letsencrypt"},
    }


@pytest.mark.parametrize(
    ("given", "controller", "ingress"),
    [
        ({}, True, True),
        ({"platform_ingress": "external"}, False, True),
        ({"platform_ingress": "absent"}, False, False),
        ({"nginx_ingress_mode": "external"}, False, True),
        ({"platform_state": "absent"}, False, False),
    ],
)
def test_what_there_is_of_an_ingress_of_somebody_else_or_none(
    given: dict[str, str], controller: bool, ingress: bool
) -> None:
    assert value("nginx_ingress", "__nginx_ingress_runs_controller", **given) is controller
    assert value("nginx_ingress", "__nginx_ingress_has_ingress", **given) is ingress


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_config_maps_contain_strings_only(flavour: str) -> None:
    config = chart(flavour)["controller"]["config"]
    config = config.get("entries", config)
    assert [key for key, text in config.items() if not isinstance(text, str)] == []


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_cluster_ip_service_has_no_node_port_settings(flavour: str) -> None:
    service = chart(flavour, nginx_ingress_service_type="ClusterIP")["controller"]["service"]
    assert "externalTrafficPolicy" not in service


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_an_image_of_ones_own_replaces_name_and_tag(flavour: str) -> None:
    assert chart(flavour)["controller"]["image"] == {"pullPolicy": "IfNotPresent"}
    image = chart(flavour, nginx_ingress_image="registry:5000/nginx:v1")["controller"]["image"]
    assert (image["repository"], image["tag"]) == ("registry:5000/nginx", "v1")


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_the_users_values_are_merged_last_and_deep(flavour: str) -> None:
    mine: dict[str, Any] = {"controller": {"terminationGracePeriodSeconds": 5}}
    values = chart(flavour, nginx_ingress_values=mine)
    assert values["controller"]["terminationGracePeriodSeconds"] == 5
    assert values["controller"]["replicaCount"] == 2
