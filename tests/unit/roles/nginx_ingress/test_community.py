# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Flavour community of the role nginx_ingress: kubernetes/ingress-nginx."""

from __future__ import annotations

from typing import Any

import pytest

from tests.ingress_flavours import annotations, chart, objects
from tests.role_values import value


def test_its_annotations() -> None:
    assert annotations("community") == {
        "nginx.ingress.kubernetes.io/service-upstream": "true",
        "nginx.ingress.kubernetes.io/upstream-vhost": "ecommerce.example.com",
        "nginx.ingress.kubernetes.io/ssl-redirect": "true",
        "nginx.ingress.kubernetes.io/proxy-connect-timeout": "30",
        "nginx.ingress.kubernetes.io/proxy-read-timeout": "300",
        "nginx.ingress.kubernetes.io/proxy-send-timeout": "300",
        "nginx.ingress.kubernetes.io/proxy-body-size": "20m",
    }


@pytest.mark.parametrize(
    ("hosts", "sent"),
    [
        (["a.example"], "a.example"),
        (["a.example", "b.example"], "$host"),
        (["*.shop.example.com"], "$host"),
        (["*.shop.example.com", "shop.example.com"], "$host"),
    ],
)
def test_the_gateway_gets_a_host_and_never_a_wildcard(hosts: list[str], sent: str) -> None:
    found = annotations("community", nginx_ingress_hosts=hosts)
    assert found["nginx.ingress.kubernetes.io/upstream-vhost"] == sent


def test_an_empty_vhost_keeps_the_clients_host_header() -> None:
    found = annotations("community", nginx_ingress_upstream_vhost="")
    assert "nginx.ingress.kubernetes.io/upstream-vhost" not in found


@pytest.mark.parametrize(
    ("hosts", "name"),
    [
        (["*.shop.example.com"], "ingress.shop.example.com"),
        (["*.shop.example.com", "a.example"], "a.example"),
    ],
)
def test_an_encrypted_backend_is_called_by_a_name(hosts: list[str], name: str) -> None:
    found = annotations("community", nginx_ingress_hosts=hosts, nginx_ingress_backend_protocol="https")
    assert found["nginx.ingress.kubernetes.io/proxy-ssl-name"] == name


def test_an_encrypted_backend_sends_the_name_that_the_gateway_chooses_by() -> None:
    given = {"nginx_ingress_backend_protocol": "https", "nginx_ingress_backend_ca_secret": "gateway-ca"}
    assert list(objects("community", **given)) == ["Ingress"]
    assert {
        "nginx.ingress.kubernetes.io/backend-protocol": "HTTPS",
        "nginx.ingress.kubernetes.io/proxy-ssl-server-name": "on",
        "nginx.ingress.kubernetes.io/proxy-ssl-name": "ecommerce.example.com",
        "nginx.ingress.kubernetes.io/proxy-ssl-secret": "istio-system/gateway-ca",
        "nginx.ingress.kubernetes.io/proxy-ssl-verify": "on",
    }.items() <= annotations("community", **given).items()


def test_headers_of_12_kb_pass() -> None:
    config = chart("community")["controller"]["config"]
    assert (config["large-client-header-buffers"], config["proxy-buffer-size"]) == ("4 16k", "16k")


def test_forwarded_headers_are_believed_from_private_networks_only() -> None:
    config = chart("community")["controller"]["config"]
    assert config["proxy-real-ip-cidr"] == "10.0.0.0/8,172.16.0.0/12,192.168.0.0/16"


def test_node_ports_take_its_charts_form() -> None:
    ports = {"http": 30080, "https": 30443}
    local: dict[str, Any] = {"nginx_ingress_service_type": "NodePort", "nginx_ingress_node_ports": ports}
    assert chart("community", **local)["controller"]["service"]["nodePorts"] == ports


def test_the_digest_of_its_chart_does_not_stay_with_another_image() -> None:
    image = chart("community", nginx_ingress_image="registry:5000/nginx:v1")["controller"]["image"]
    assert image["digest"] == ""


def test_its_class_has_its_own_controller_unless_the_values_name_another() -> None:
    def controller(**values: Any) -> Any:
        given: dict[str, Any] = {"nginx_ingress_flavour": "community", "nginx_ingress_values": values}
        return value("nginx_ingress", "__nginx_ingress_class_controller", **given)

    assert controller() == controller(controller={"replicaCount": 2}) == "k8s.io/ingress-nginx"
    assert controller(controller={"ingressClassResource": {"controllerValue": "k8s.io/inner"}}) == "k8s.io/inner"
