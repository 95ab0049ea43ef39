# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The values of istio and nginx_ingress in the real charts: what they render, with helm and with istioctl.

Charts and binaries are those of the local cluster, where inventories/local says they are.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.role_values import value

INVENTORY = Path(__file__).parents[2] / "inventories" / "local" / "group_vars" / "clusters"
LOCAL: dict[str, Any] = {
    key: setting
    for file in INVENTORY.glob("*.yml")
    for key, setting in (yaml.safe_load(file.read_text()) or {}).items()
}
if "MATRIX_HELM" in os.environ:  # `make matrix`: another helm, beside the local cluster's other programs
    LOCAL["platform_helm_binary"] = os.environ["MATRIX_HELM"]
Objects = dict[tuple[str, str], dict[str, Any]]


def there(path: str) -> str:
    """The path, or a failure that says how to get what is missing."""
    assert Path(path).exists(), (
        f"{path} is missing: run 'make up' first, it builds the local cluster's charts and binaries"
    )
    return path


HELM = LOCAL["platform_helm_binary"]
ISTIOCTL = str(Path(HELM).with_name("istioctl"))


def run(argv: list[str], text: str) -> Objects:
    """Objects that a renderer prints, by kind and name."""
    done = subprocess.run(argv, input=text, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    found = [one for one in yaml.load_all(done.stdout, Loader=yaml.CSafeLoader) if one]
    return {(one["kind"], one["metadata"]["name"]): one for one in found}


def helm(release: str, chart: str, namespace: str, values: dict[str, Any]) -> Objects:
    argv = [
        there(HELM),
        "template",
        release,
        there(chart),
        "--namespace",
        namespace,
        "--kube-version",
        "1.35.0",
        "--values",
        "-",
    ]
    return run(argv, json.dumps(values))


def istio(**overrides: Any) -> Objects:
    settings = {"istio_chart_source": LOCAL["istio_chart_source"], **overrides}
    found: Objects = {}
    for release in value("istio", "__istio_wanted_releases", **settings):
        found |= helm(release["name"], release["chart"], release["namespace"], release["values"])
    return found


def operator(**overrides: Any) -> Objects:
    return run(
        [there(ISTIOCTL), "manifest", "generate", "--filename", "-"],
        json.dumps(value("istio", "__istio_operator", **overrides)),
    )


def container(objects: Objects, name: str, kind: str = "Deployment") -> dict[str, Any]:
    return objects[kind, name]["spec"]["template"]["spec"]["containers"][0]


def mesh(objects: Objects, name: str = "istio") -> dict[str, Any]:
    return yaml.safe_load(objects["ConfigMap", name]["data"]["mesh"])


BOTH = pytest.mark.parametrize("render", [istio, operator], ids=["helm", "istioctl"])


@BOTH
@pytest.mark.parametrize("size", ["demo", "tuned"])
def test_sizes_reach_istiod_the_gateway_and_the_sidecars(render: Any, size: str) -> None:
    objects = render(istio_size=size)
    expected = value("istio", "__istio_size", istio_size=size)
    assert container(objects, "istiod")["resources"] == expected["pilot_resources"]
    assert container(objects, "istio-ingressgateway")["resources"] == expected["gateway_resources"]
    injected = json.loads(objects["ConfigMap", "istio-sidecar-injector"]["data"]["values"])
    assert injected["global"]["proxy"]["resources"] == expected["proxy_resources"]
    env = {one["name"]: one.get("value") for one in container(objects, "istiod")["env"]}
    assert expected["pilot_env"].items() <= env.items()
    assert env["PILOT_JWT_ENABLE_REMOTE_JWKS"] == "envoy"


@BOTH
def test_autoscalers_and_ports_are_the_references(render: Any) -> None:
    objects = render()
    bounds = {
        name: (found["spec"]["minReplicas"], found["spec"]["maxReplicas"])
        for (kind, name), found in objects.items()
        if kind == "HorizontalPodAutoscaler"
    }
    assert bounds == {"istiod": (2, 5), "istio-ingressgateway": (2, 10)}
    service = objects["Service", "istio-ingressgateway"]["spec"]
    assert service["type"] == "ClusterIP"
    assert {port["port"]: port["targetPort"] for port in service["ports"]} == {80: 8080, 443: 8443, 15021: 15021}


@BOTH
def test_the_gateways_identity_is_the_same_with_both_methods(render: Any) -> None:
    objects = render(istio_egress_gateway_enabled=True)
    for name in ("istio-ingressgateway", "istio-egressgateway"):
        assert ("ServiceAccount", name) in objects
        pod = objects["Deployment", name]["spec"]["template"]
        assert pod["spec"]["serviceAccountName"] == name
        assert pod["metadata"]["labels"]["istio"] == name.removeprefix("istio-")


@BOTH
def test_images_on_the_node_are_not_pulled(render: Any) -> None:
    objects = render(istio_egress_gateway_enabled=True)
    for name in ("istiod", "istio-ingressgateway", "istio-egressgateway"):
        assert container(objects, name)["imagePullPolicy"] == "IfNotPresent"


@BOTH
def test_one_replica_each_without_autoscaling(render: Any) -> None:
    objects = render(
        istio_pilot_autoscale_enabled=False, istio_pilot_replicas=1,
        istio_ingress_gateway_autoscale_enabled=False, istio_ingress_gateway_replicas=1,
    )  # fmt: skip
    assert [key for key in objects if key[0] == "HorizontalPodAutoscaler"] == []
    for name in ("istiod", "istio-ingressgateway"):
        assert objects["Deployment", name]["spec"]["replicas"] == 1
    # A budget of one replica would block every drain of its node.
    assert [key for key in objects if key[0] == "PodDisruptionBudget"] == []


def test_upstream_envoy_gets_standard_metrics_and_no_filter_of_istios_own() -> None:
    """By the charts of the local cluster alone: the role knows nothing of it. istioctl has charts of its own."""
    objects = istio(istio_proxy_metadata={"CLOUD_PLATFORM": "none"})
    env = {one["name"]: one.get("value") for one in container(objects, "istiod")["env"]}
    assert (env["PILOT_ENABLE_METADATA_EXCHANGE"], env["PILOT_ENABLE_ALPN_FILTER"]) == ("false", "false")
    config = mesh(objects)
    assert "defaultProviders" not in config
    assert config["defaultConfig"]["proxyMetadata"] == {"CLOUD_PLATFORM": "none"}
    kept = config["defaultConfig"]["proxyStatsMatcher"]
    assert (kept["inclusionPrefixes"], len(kept["inclusionRegexps"])) == (["istio"], 1)
    patches = objects["EnvoyFilter", "standard-metrics"]["spec"]["configPatches"]
    assert len(patches) == 6, "HTTP and TCP, at both sides and at the gateway"


@BOTH
def test_a_revision_and_the_mesh_reach_the_control_plane(render: Any) -> None:
    objects = render(istio_revision="1-31-0", istio_trust_domain="shop.example", platform_tracing="jaeger")
    assert ("Deployment", "istiod-1-31-0") in objects
    config = mesh(objects, "istio-1-31-0")
    assert config["trustDomain"] == "shop.example"
    assert config["outboundTrafficPolicy"] == {"mode": "REGISTRY_ONLY"}
    assert config["defaultConfig"]["discoveryAddress"] == "istiod-1-31-0.istio-system.svc:15012"
    assert config["extensionProviders"][0]["name"] == "otel"
    assert (
        objects["Deployment", "istio-ingressgateway"]["spec"]["template"]["metadata"]["labels"]["istio.io/rev"]
        == "1-31-0"
    )


@BOTH
def test_the_cni_plugin_replaces_the_init_container(render: Any) -> None:
    objects = render(istio_cni_enabled=True)
    assert container(objects, "istio-cni-node", "DaemonSet")["image"] == "docker.io/istio/install-cni:1.31.0"
    injected = json.loads(objects["ConfigMap", "istio-sidecar-injector"]["data"]["values"])
    assert injected["pilot"]["cni"]["enabled"] is True


def test_istioctl_leaves_nothing_for_istiod_to_fight_over() -> None:
    objects = operator()
    webhooks = [one for (kind, _name), one in objects.items() if kind == "ValidatingWebhookConfiguration"]
    assert len(webhooks) == 2
    assert {hook["failurePolicy"] for one in webhooks for hook in one["webhooks"]} == {"Fail"}


def test_the_local_clusters_controller() -> None:
    settings = {key: setting for key, setting in LOCAL.items() if key.startswith("nginx_ingress_")}
    values = value("nginx_ingress", "__nginx_ingress_values", **settings)
    objects = helm("ingress-nginx", LOCAL["nginx_ingress_chart"], "ingress-nginx", values)
    assert container(objects, "ingress-nginx-controller")["image"] == LOCAL["nginx_ingress_image"]
    config = objects["ConfigMap", "ingress-nginx-controller"]["data"]
    assert config["proxy-body-size"] == "20m"
    assert config["use-http2"] == "false"
    assert config["main-snippet"].count("load_module") == 3
    ports = objects["Service", "ingress-nginx-controller"]["spec"]["ports"]
    assert {port["name"]: port["nodePort"] for port in ports} == LOCAL["nginx_ingress_node_ports"]
    assert objects["IngressClass", "nginx"]["spec"]["controller"] == "k8s.io/ingress-nginx"
    assert not [kind for kind, _name in objects if kind in ("Job", "ValidatingWebhookConfiguration")]


def test_the_community_controllers_defaults_render() -> None:
    values = value("nginx_ingress", "__nginx_ingress_values", nginx_ingress_flavour="community")
    objects = helm("ingress-nginx", LOCAL["nginx_ingress_chart"], "ingress-nginx", values)
    service = objects["Service", "ingress-nginx-controller"]
    assert service["metadata"]["annotations"]["service.beta.kubernetes.io/aws-load-balancer-type"] == "nlb"
    assert service["spec"]["externalTrafficPolicy"] == "Local"
    assert objects["Deployment", "ingress-nginx-controller"]["spec"]["replicas"] == 2
