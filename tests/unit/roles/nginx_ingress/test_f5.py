# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Flavour f5 of the role nginx_ingress: the NGINX Ingress Controller of F5/NGINX."""

from __future__ import annotations

from typing import Any

import pytest

from tests.ingress_flavours import annotations, chart, objects
from tests.role_values import value


def test_its_annotations() -> None:
    assert annotations("f5") == {
        "nginx.org/use-cluster-ip": "true",
        "nginx.org/ssl-redirect": "true",
        "nginx.org/proxy-connect-timeout": "30s",
        "nginx.org/proxy-read-timeout": "300s",
        "nginx.org/proxy-send-timeout": "300s",
        "nginx.org/client-max-body-size": "20m",
    }


@pytest.mark.parametrize(
    ("hosts", "name"),
    [
        (["*.shop.example.com"], "ingress.shop.example.com"),
        (["*.shop.example.com", "a.example"], "a.example"),
    ],
)
def test_an_encrypted_backend_is_called_by_a_name(hosts: list[str], name: str) -> None:
    found = objects("f5", nginx_ingress_hosts=hosts, nginx_ingress_backend_protocol="https")
    assert found["Policy"]["spec"]["egressMTLS"]["sslName"] == name


@pytest.mark.parametrize(("secret", "verified"), [("", {}), ("gateway-ca", {"trustedCertSecret": "gateway-ca"})])
def test_an_encrypted_backend_sends_the_name_that_the_gateway_chooses_by(secret: str, verified: dict[str, str]) -> None:
    given = {"nginx_ingress_backend_protocol": "https", "nginx_ingress_backend_ca_secret": secret}
    policy = objects("f5", **given)["Policy"]
    assert annotations("f5", **given)["nginx.org/ssl-services"] == "istio-ingressgateway"
    assert annotations("f5", **given)["nginx.org/policies"] == policy["metadata"]["name"]
    assert policy["metadata"]["namespace"] == "istio-system"
    assert policy["spec"]["egressMTLS"] == {
        "serverName": True, "sslName": "ecommerce.example.com", "protocols": "TLSv1.2 TLSv1.3", "verifyServer": bool(secret), **verified,
    }  # fmt: skip


def test_headers_of_12_kb_pass() -> None:
    config = chart("f5", nginx_ingress_config={"http-snippets": "server_tokens off;"})["controller"]["config"][
        "entries"
    ]
    assert config["http-snippets"] == "large_client_header_buffers 4 16k;\nserver_tokens off;"
    # Of all buffers but one, which have 7 times 16k, NGINX may keep 2 times 16k busy (proxy_busy_buffers_size).
    assert (config["proxy-buffer-size"], config["proxy-buffers"]) == ("16k", "8 16k")


def test_forwarded_headers_are_believed_from_private_networks_only() -> None:
    config = chart("f5")["controller"]["config"]["entries"]
    assert config["set-real-ip-from"] == "10.0.0.0/8,172.16.0.0/12,192.168.0.0/16"
    assert (
        "set-real-ip-from"
        not in chart("f5", nginx_ingress_use_forwarded_headers=False)["controller"]["config"]["entries"]
    )


def test_node_ports_take_its_charts_form() -> None:
    given: dict[str, Any] = {"http": 30080, "https": 30443}
    service = chart("f5", nginx_ingress_service_type="NodePort", nginx_ingress_node_ports=given)["controller"][
        "service"
    ]
    assert (service["httpPort"], service["httpsPort"]) == ({"nodePort": 30080}, {"nodePort": 30443})


def test_its_class_has_its_own_controller() -> None:
    assert (
        value("nginx_ingress", "__nginx_ingress_class_controller", nginx_ingress_flavour="f5")
        == "nginx.org/ingress-controller"
    )
