# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Values that the role nginx_ingress passes to its charts, and its Ingress, for both controllers."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from tests.role_values import rendered, value

FLAVOURS = ["f5", "community"]


def chart(flavour: str, **overrides: Any) -> dict[str, Any]:
    return value("nginx_ingress", "__nginx_ingress_values", nginx_ingress_flavour=flavour, **overrides)


def objects(flavour: str, **overrides: Any) -> dict[str, dict[str, Any]]:
    """Kind -> object of the role."""
    text = rendered("nginx_ingress", "ingress.yaml.j2", nginx_ingress_flavour=flavour, **overrides)
    return {found["kind"]: found for found in yaml.safe_load_all(text) if found}


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
def test_annotations_are_strings_and_no_snippets(flavour: str) -> None:
    annotations = objects(flavour)["Ingress"]["metadata"]["annotations"]
    assert [key for key, text in annotations.items() if not isinstance(text, str)] == []
    assert [key for key in annotations if "snippet" in key] == []


def test_each_controller_gets_its_own_annotations() -> None:
    community = objects("community")["Ingress"]["metadata"]["annotations"]
    assert community == {
        "nginx.ingress.kubernetes.io/service-upstream": "true",
        "nginx.ingress.kubernetes.io/upstream-vhost": "ecommerce.example.com",
        "nginx.ingress.kubernetes.io/ssl-redirect": "true",
        "nginx.ingress.kubernetes.io/proxy-connect-timeout": "30",
        "nginx.ingress.kubernetes.io/proxy-read-timeout": "300",
        "nginx.ingress.kubernetes.io/proxy-send-timeout": "300",
        "nginx.ingress.kubernetes.io/proxy-body-size": "20m",
    }
    f5 = objects("f5")["Ingress"]["metadata"]["annotations"]
    assert f5 == {
        "nginx.org/use-cluster-ip": "true",
        "nginx.org/ssl-redirect": "true",
        "nginx.org/proxy-connect-timeout": "30s",
        "nginx.org/proxy-read-timeout": "300s",
        "nginx.org/proxy-send-timeout": "300s",
        "nginx.org/client-max-body-size": "20m",
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
    annotations = objects("community", nginx_ingress_hosts=hosts)["Ingress"]["metadata"]["annotations"]
    assert annotations["nginx.ingress.kubernetes.io/upstream-vhost"] == sent
    assert [rule["host"] for rule in objects("f5", nginx_ingress_hosts=hosts)["Ingress"]["spec"]["rules"]] == hosts


def test_an_empty_vhost_keeps_the_clients_host_header() -> None:
    annotations = objects("community", nginx_ingress_upstream_vhost="")["Ingress"]["metadata"]["annotations"]
    assert "nginx.ingress.kubernetes.io/upstream-vhost" not in annotations


@pytest.mark.parametrize(
    ("hosts", "name"),
    [
        (["*.shop.example.com"], "ingress.shop.example.com"),
        (["*.shop.example.com", "a.example"], "a.example"),
    ],
)
def test_an_encrypted_backend_is_called_by_a_name(hosts: list[str], name: str) -> None:
    given = {"nginx_ingress_hosts": hosts, "nginx_ingress_backend_protocol": "https"}
    annotations = objects("community", **given)["Ingress"]["metadata"]["annotations"]
    assert annotations["nginx.ingress.kubernetes.io/proxy-ssl-name"] == name
    assert objects("f5", **given)["Policy"]["spec"]["egressMTLS"]["sslName"] == name


def test_headers_of_12_kb_pass_both_controllers() -> None:
    community = chart("community")["controller"]["config"]
    assert (community["large-client-header-buffers"], community["proxy-buffer-size"]) == ("4 16k", "16k")
    f5 = chart("f5", nginx_ingress_config={"http-snippets": "server_tokens off;"})["controller"]["config"]["entries"]
    assert f5["http-snippets"] == "large_client_header_buffers 4 16k;\nserver_tokens off;"
    # Of all buffers but one, which have 7 times 16k, NGINX may keep 2 times 16k busy (proxy_busy_buffers_size).
    assert (f5["proxy-buffer-size"], f5["proxy-buffers"]) == ("16k", "8 16k")


def test_an_encrypted_backend_sends_the_name_that_the_gateway_chooses_by() -> None:
    community = objects(
        "community", nginx_ingress_backend_protocol="https", nginx_ingress_backend_ca_secret="gateway-ca"
    )
    ingress = community["Ingress"]
    assert ingress["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"]["port"] == {"number": 443}
    assert {
        "nginx.ingress.kubernetes.io/backend-protocol": "HTTPS",
        "nginx.ingress.kubernetes.io/proxy-ssl-server-name": "on",
        "nginx.ingress.kubernetes.io/proxy-ssl-name": "ecommerce.example.com",
        "nginx.ingress.kubernetes.io/proxy-ssl-secret": "istio-system/gateway-ca",
        "nginx.ingress.kubernetes.io/proxy-ssl-verify": "on",
    }.items() <= ingress["metadata"]["annotations"].items()

    f5 = objects("f5", nginx_ingress_backend_protocol="https")
    assert f5["Ingress"]["metadata"]["annotations"]["nginx.org/ssl-services"] == "istio-ingressgateway"
    assert f5["Ingress"]["metadata"]["annotations"]["nginx.org/policies"] == f5["Policy"]["metadata"]["name"]
    assert f5["Policy"]["spec"]["egressMTLS"] == {
        "serverName": True, "sslName": "ecommerce.example.com", "protocols": "TLSv1.2 TLSv1.3", "verifyServer": False,
    }  # fmt: skip


def test_without_tls_there_is_no_tls_section() -> None:
    assert "tls" not in objects("f5", nginx_ingress_tls_mode="none")["Ingress"]["spec"]


def test_cert_manager_gets_a_certificate() -> None:
    found = objects("f5", nginx_ingress_tls_mode="cert_manager", nginx_ingress_tls_issuer="letsencrypt")
    assert found["Certificate"]["spec"] == {
        "secretName": "ecommerce-tls",
        "dnsNames": ["ecommerce.example.com"],
        "issuerRef": {"group": "cert-manager.io", "kind": "ClusterIssuer", "name": "letsencrypt"},
    }


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_config_maps_contain_strings_only(flavour: str) -> None:
    config = chart(flavour)["controller"]["config"]
    config = config.get("entries", config)
    assert [key for key, text in config.items() if not isinstance(text, str)] == []


def test_forwarded_headers_are_believed_from_private_networks_only() -> None:
    networks = "10.0.0.0/8,172.16.0.0/12,192.168.0.0/16"
    assert chart("community")["controller"]["config"]["proxy-real-ip-cidr"] == networks
    assert chart("f5")["controller"]["config"]["entries"]["set-real-ip-from"] == networks
    refused = chart("f5", nginx_ingress_use_forwarded_headers=False)["controller"]["config"]["entries"]
    assert "set-real-ip-from" not in refused


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_cluster_ip_service_has_no_node_port_settings(flavour: str) -> None:
    service = chart(flavour, nginx_ingress_service_type="ClusterIP")["controller"]["service"]
    assert "externalTrafficPolicy" not in service


def test_node_ports_take_each_charts_form() -> None:
    ports = {"http": 30080, "https": 30443}
    local = {"nginx_ingress_service_type": "NodePort", "nginx_ingress_node_ports": ports}
    assert chart("community", **local)["controller"]["service"]["nodePorts"] == ports
    f5 = chart("f5", **local)["controller"]["service"]
    assert (f5["httpPort"], f5["httpsPort"]) == ({"nodePort": 30080}, {"nodePort": 30443})


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_an_image_of_ones_own_replaces_name_and_tag(flavour: str) -> None:
    assert chart(flavour)["controller"]["image"] == {"pullPolicy": "IfNotPresent"}
    image = chart(flavour, nginx_ingress_image="registry:5000/nginx:v1")["controller"]["image"]
    assert (image["repository"], image["tag"]) == ("registry:5000/nginx", "v1")
    assert image.get("digest", "") == ""


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_the_users_values_are_merged_last_and_deep(flavour: str) -> None:
    values = chart(flavour, nginx_ingress_values={"controller": {"terminationGracePeriodSeconds": 5}})
    assert values["controller"]["terminationGracePeriodSeconds"] == 5
    assert values["controller"]["replicaCount"] == 2


def test_whose_class_it_is() -> None:
    def owner(flavour: str, **values: Any) -> Any:
        return value(
            "nginx_ingress",
            "__nginx_ingress_class_controller",
            nginx_ingress_flavour=flavour,
            nginx_ingress_values=values,
        )

    assert owner("f5") == "nginx.org/ingress-controller"
    assert owner("community") == owner("community", controller={"replicaCount": 2}) == "k8s.io/ingress-nginx"
    own = {"ingressClassResource": {"controllerValue": "k8s.io/inner"}}
    assert owner("community", controller=own) == "k8s.io/inner"
