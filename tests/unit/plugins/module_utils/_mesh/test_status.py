# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Unit tests of module_utils/_status."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.servicemesh.platform.plugins.module_utils._mesh import status as _status
from ansible_collections.servicemesh.platform.plugins.plugin_utils._service.ingress import roots
from ansible_collections.servicemesh.platform.plugins.plugin_utils._service.traffic import traffic_manifests


def deployment(name: str = "user-service", ready: int = 1, replicas: int = 1, **status: Any) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "ecommerce", "generation": 1},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name, "version": "v1.0"}},
                "spec": {"containers": [{"name": "app", "image": "localhost/x/y:v9"}]},
            },
        },
        "status": {
            "observedGeneration": 1,
            "replicas": replicas,
            "updatedReplicas": replicas,
            "readyReplicas": ready,
            "availableReplicas": ready,
            **status,
        },
    }


def pod(name: str, app: str, reason: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": app}},
        "status": {
            "phase": "Pending",
            "containerStatuses": [
                {"name": "app", "state": {"waiting": {"reason": reason, "message": "not found"}}, "restartCount": 0}
            ],
        },
    }


def ingress(address: dict[str, str] | None = None, tls: bool = False, plain: bool = False) -> dict[str, Any]:
    return {
        "metadata": {"annotations": {"nginx.ingress.kubernetes.io/ssl-redirect": "false"} if plain else None},
        "spec": {"rules": [{"host": "a.example"}], **({"tls": [{"secretName": "x"}]} if tls else {})},
        "status": {"loadBalancer": {"ingress": [address] if address else []}},
    }


def test_a_healthy_row() -> None:
    (row,) = _status.service_rows([deployment()], [], {("ecommerce", "user-service"): "/api/users"}, "http://192.0.2.1")
    assert row == {
        "name": "user-service",
        "namespace": "ecommerce",
        "kind": "Deployment",
        "version": "v1.0",
        "desired": 1,
        "ready": 1,
        "replicas": "1/1",
        "healthy": True,
        "health": "healthy",
        "deleted": False,
        "proxies": [],
        "path": "/api/users",
        "url": "http://192.0.2.1/api/users",
    }


def test_pods_with_a_proxy_are_named() -> None:
    """A sidecar as a container, a native one as an init container; ended pods have none any more."""
    pods = [pod(f"user-{number}", "user-service", "x") for number in range(5)]
    for one, spec in zip(
        pods,
        [
            {"containers": [{"name": "istio-proxy"}]},
            {"initContainers": [{"name": "istio-proxy"}]},
            {"containers": [{"name": "app"}]},
        ],
        strict=False,
    ):
        one["spec"] = spec
    pods[3] |= {"spec": pods[0]["spec"], "status": {"phase": "Succeeded"}}
    pods[4]["spec"] = pods[0]["spec"]
    pods[4]["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    (row,) = _status.service_rows([deployment()], pods, {}, "")
    assert row["proxies"] == ["user-0", "user-1"]


def test_the_weight_of_a_canary_is_the_largest_of_its_routes() -> None:
    def route(weight: int, host: str = "user-service", subset: str = "canary") -> dict[str, Any]:
        stable = {"destination": {"host": host, "subset": "stable"}, "weight": 100 - weight}
        return {"route": [stable, {"destination": {"host": host, "subset": subset}, "weight": weight}]}

    items = [
        {
            "metadata": {"namespace": "shop"},
            "spec": {"http": [route(0), route(25), {"directResponse": {"status": 400}}]},
        },
        {
            "metadata": {"namespace": "web"},
            "spec": {"http": [route(5, "user-service.shop.svc.cluster.local"), route(9, subset="other")]},
        },
        {"metadata": {"namespace": "web"}, "spec": {}},
    ]
    assert _status.canary_weights(items) == {"shop/user-service": 25}


def test_an_unhealthy_row_says_what_its_pod_says() -> None:
    # Another service's pod must not be blamed.
    pods = [pod("other-1", "other", "CrashLoopBackOff"), pod("user-1", "user-service", "ImagePullBackOff")]
    pods[1]["metadata"]["ownerReferences"] = []
    (row,) = _status.service_rows([deployment(ready=0)], pods, {}, "")
    assert not row["healthy"]
    assert row["health"].startswith("pod user-1, container app: ImagePullBackOff")


def test_an_unhealthy_row_without_a_pods_reason_counts() -> None:
    (row,) = _status.service_rows([deployment(ready=1, replicas=3)], [], {}, "")
    assert (row["healthy"], row["replicas"], row["health"]) == (
        False,
        "1/3",
        "1 of 3 replicas are available, 3 updated",
    )


def test_scaled_to_zero_is_said() -> None:
    (row,) = _status.service_rows([deployment(ready=0, replicas=0)], [], {}, "")
    assert (row["healthy"], row["health"]) == (True, "scaled to 0")


@pytest.mark.parametrize(
    ("image", "version"),
    [("r:5000/a/b:v2", "v2"), ("r:5000/a/b", ""), ("a@sha256:0", ""), ("a:1@sha256:0", "1")],
)
def test_version_of_an_image(image: str, version: str) -> None:
    item = deployment()
    del item["spec"]["template"]["metadata"]["labels"]["version"]
    item["spec"]["template"]["spec"]["containers"][0]["image"] = image
    (row,) = _status.service_rows([item], [], {}, "")
    assert row["version"] == version


def test_version_of_a_gateway_is_what_was_injected() -> None:
    item = deployment()
    del item["spec"]["template"]["metadata"]["labels"]["version"]
    item["spec"]["template"]["spec"]["containers"][0]["image"] = "auto"
    item["metadata"]["labels"] = {"app.kubernetes.io/version": "1.0.0"}
    injected = pod("p", "user-service", "x")
    injected["metadata"]["ownerReferences"] = []
    (row,) = _status.service_rows([item], [injected], {}, "")
    assert row["version"] == "1.0.0"
    injected["spec"] = {"containers": [{"image": "localhost/istio/proxyv2:1.31.0"}]}
    (row,) = _status.service_rows([item], [injected], {}, "")
    assert row["version"] == "1.31.0"


def node(**addresses: str) -> dict[str, Any]:
    return {"status": {"addresses": [{"type": kind, "address": address} for kind, address in addresses.items()]}}


def controller(kind: str, **ports: int) -> dict[str, Any]:
    return {"spec": {"type": kind, "ports": [{"name": name, "nodePort": port} for name, port in ports.items()]}}


PUBLISHED = {"ip": "192.0.2.1"}


@pytest.mark.parametrize(
    ("ingresses", "services", "url"),
    [
        ([], [], ""),
        ([], [controller("NodePort", http=30080)], ""),
        ([ingress()], [], ""),
        ([ingress(PUBLISHED)], [], "http://192.0.2.1"),
        ([ingress(PUBLISHED, tls=True)], [], "https://192.0.2.1"),
        ([ingress(PUBLISHED, tls=True, plain=True)], [], "http://192.0.2.1"),
        ([ingress({"hostname": "lb.example"})], [controller("LoadBalancer", http=31111)], "http://lb.example"),
        ([ingress(PUBLISHED)], [controller("NodePort", http=30080, https=30443)], "http://198.51.100.7:30080"),
        ([ingress(tls=True)], [controller("NodePort", http=30080, https=30443)], "https://198.51.100.7:30443"),
        ([ingress({"ip": "2001:db8::1"})], [], "http://[2001:db8::1]"),
    ],
)
def test_base_url(ingresses: list[Any], services: list[Any], url: str) -> None:
    assert _status.base_url(ingresses, services, [node(InternalIP="10.0.0.1", ExternalIP="198.51.100.7")]) == url


def test_node_address() -> None:
    assert _status.node_address([]) == ""
    assert _status.node_address([node(Hostname="x"), node(InternalIP="10.0.0.1")]) == "10.0.0.1"


def test_first_prefixes_takes_what_the_gateway_serves() -> None:
    def service(name: str, gateways: list[str], *paths: str) -> dict[str, Any]:
        http = [{"match": [{"uri": {"prefix": path}}]} for path in paths]
        return {"metadata": {"name": name, "namespace": "e"}, "spec": {"gateways": gateways, "http": http}}

    items = [service("a", ["gw", "mesh"], "/api/a", "/api/b"), service("b", ["mesh"], "/inner"), service("c", ["gw"])]
    assert _status.first_prefixes(items) == {("e", "a"): "/api/a"}


def test_first_prefixes_follows_delegates() -> None:
    manifests = traffic_manifests(
        {"name": "a", "namespace": "e", "image": "x/y:1", "routes": [{"prefix": "/api/a"}, {"prefix": "/b"}]}
    )
    items = [item for item in [*manifests, *roots(manifests)[0]] if item["kind"] == "VirtualService"]
    assert _status.first_prefixes(items) == {("e", "a"): "/api/a"}
    lost = [item for item in items if item["metadata"]["name"] != "a-ingress"]
    assert _status.first_prefixes(lost) == {}


def test_first_prefixes_leaves_out_what_the_gateway_answers_itself() -> None:
    closed = [{"prefix": "/api/a/admin", "methods": ["GET"]}, {"prefix": "/api/a", "methods": ["GET", "POST"]}]
    manifests = traffic_manifests({"name": "a", "namespace": "e", "image": "x/y:1", "routes": closed})
    items = [item for item in [*manifests, *roots(manifests)[0]] if item["kind"] == "VirtualService"]
    assert _status.first_prefixes(items) == {("e", "a"): "/api/a/admin"}


def test_ingress_host() -> None:
    assert _status.ingress_host([]) == ""
    assert _status.ingress_host([ingress()]) == "a.example"


def test_summary() -> None:
    assert _status.summary([]) == "No workload of this platform exists here."
    assert _status.summary([{"name": "a", "healthy": True}]) == "All 1 workloads are healthy."
    rows = [{"name": "a", "healthy": True}, {"name": "b", "healthy": False}]
    assert _status.summary(rows) == "1 of 2 workloads are not healthy: b."
    told = _status.summary([{"name": "a", "healthy": True}], ["x", "y"], ["y"])
    assert (
        told == "All 1 workloads are healthy. There is no namespace y. No workload of this platform is in namespace x."
    )
