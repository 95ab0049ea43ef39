# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Invalid input stops a run with one message before anything is changed."""

from __future__ import annotations

import base64
import json
import socket
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support import Cluster, ansible_playbook

INVENTORY = ("-i", "inventories/local")
PLATFORM = ("ecommerce", "istio-system", "ingress-nginx", "monitoring", "kube-system")
WATCHED = (
    "/api/v1/services",
    "/api/v1/secrets",
    "/api/v1/serviceaccounts",
    "/apis/apps/v1/deployments",
    "/apis/apps/v1/statefulsets",
    "/apis/networking.k8s.io/v1/ingresses",
    "/apis/networking.istio.io/v1/gateways",
    "/apis/networking.istio.io/v1/virtualservices",
    "/apis/networking.istio.io/v1/destinationrules",
    "/apis/security.istio.io/v1/authorizationpolicies",
    "/apis/security.istio.io/v1/peerauthentications",
)


def state(cluster: Cluster) -> dict[tuple[str, str, str], Any]:
    """(path, namespace, name) -> uid and generation (or version, if there is none) of objects that a run could change.

    Of namespaces that are not the platform's, only the names count: other tests may be using them.
    """
    found: dict[tuple[str, str, str], Any] = {}
    for item in cluster.get("/api/v1/namespaces")["items"]:
        name = item["metadata"]["name"]
        if name in PLATFORM or not name.startswith(("t-", "molecule-")):
            found["namespaces", "", name] = (item["metadata"]["uid"], item["metadata"]["labels"])
    for path in WATCHED:
        for item in cluster.get(path)["items"]:
            meta = item["metadata"]
            if meta["namespace"] in PLATFORM:
                version = meta.get("generation") or meta["resourceVersion"]
                found[path, meta["namespace"], meta["name"]] = (meta["uid"], version)
    return found


@pytest.fixture(autouse=True)
def nothing_changes(cluster: Cluster) -> Iterator[None]:
    """Check that every test leaves the cluster unchanged."""
    before = state(cluster)
    yield
    assert state(cluster) == before


@pytest.fixture
def without_rights(cluster: Cluster, tmp_path: Path) -> str:
    """Kubeconfig of a ServiceAccount without permissions: the default one of a namespace."""
    from kubernetes import client

    name = "t-no-rights"
    token = client.AuthenticationV1TokenRequest(spec=client.V1TokenRequestSpec(audiences=[]))
    granted = cluster.core.create_namespaced_service_account_token("default", "default", token)
    own = yaml.safe_load(Path(cluster.kubeconfig).read_text(encoding="utf-8"))
    context = next(c["context"] for c in own["contexts"] if c["name"] == own["current-context"])
    server = next(c for c in own["clusters"] if c["name"] == context["cluster"])
    path = tmp_path / "kubeconfig"
    path.write_text(
        yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [server],
                "users": [{"name": name, "user": {"token": granted.status.token}}],
                "contexts": [{"name": name, "context": {"cluster": server["name"], "user": name}}],
                "current-context": name,
            }
        ),
        encoding="utf-8",
    )
    return str(path)


@pytest.fixture
def unreachable(tmp_path: Path) -> str:
    """Kubeconfig of an API server that does not run."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    path = tmp_path / "kubeconfig"
    path.write_text(
        yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": "c", "cluster": {"server": f"https://127.0.0.1:{port}"}}],
                "users": [{"name": "u", "user": {"token": base64.b64encode(b"x").decode()}}],
                "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
                "current-context": "x",
            }
        ),
        encoding="utf-8",
    )
    return str(path)


# What is found together is told together: variables, then what services are made of, then each check that asks the cluster.
CASES = {
    "variables": (
        {
            "user_service_replica": 2,
            "platform_replica": 2,
            "istio_sise": "demo",
            "datastore_storage": "tape",
            "product_service_replicas": "many",
            "review_service_replicas": -1,
            "platform_namespace": "E_commerce",
            "platform_domain": "https://shop",
            "platform_kubeconfig": "/nonexistent/kubeconfig",
            "nginx_ingress_node_ports": {"http": 8080, "https": 30443},
        },
        [
            "10 variables are wrong; nothing was changed",
            "nginx_ingress_node_ports.http: 8080 is outside of 30000-32767",
            "user_service_replica: role user_service has no such variable; did you mean user_service_replicas?",
            "platform_replica: nothing reads this variable; did you mean platform_replicas?",
            "istio_sise: role istio has no such variable; did you mean istio_size?",
            "datastore_storage must be one of",
            "product_service_replicas",
            "many",
            "review_service_replicas: -1 is not a number of pods from 0 to 10000",
            "platform_namespace: 'E_commerce' is not an RFC 1123 label",
            "platform_domain: 'https://shop' is not an RFC 1123 subdomain",
            "platform_kubeconfig: there is no file /nonexistent/kubeconfig",
        ],
    ),
    "one variable": (
        {"platform_namespace": "E_commerce"},
        ["1 variable is wrong", "platform_namespace: 'E_commerce' is not an RFC 1123 label"],
    ),
    "services": (
        {
            "review_service_image": "Not An Image",
            "review_service_routes": [{"prefix": "api", "methods": ["FETCH"]}],
            "order_service_extra": {"port": 70000},
        },
        [
            "review_service: image",
            "Not An Image",
            "routes[0].prefix",
            "routes[0].methods[0]",
            "FETCH",
            "order_service_extra.port: 70000 is not a port from 1 to 65535",
        ],
    ),
    "traces, logs and alerts": (
        {
            "platform_tracing": "external",
            "observability_access_log_provider": "syslog",
            "observability_image": "localhost/prom/prometheus:v2.42.0",
            "observability_alertmanager": "managed",
            "observability_alert_receivers": [
                {"name": "team", "slack_configs": [{"api_url": "https://hooks.example.com/T0K3N"}]}
            ],
            "observability_alert_route": {"receiver": "teem"},
        },
        [
            "5 variables are wrong; nothing was changed",
            "observability_tracing_address: is not given, and platform_tracing is external",
            "observability_access_log_provider: the mesh has no provider 'syslog'",
            "observability_image: 'localhost/prom/prometheus:v2.42.0' is Prometheus 2",
            "observability_alert_receivers[0].slack_configs.api_url: is written down",
            "observability_alert_route.receiver: 'teem' is no receiver (there are team)",
        ],
    ),
    "a value that all services follow": (
        {"platform_tracing": "zipkin", "observability_access_log_otlp": "loki"},
        [
            "2 variables are wrong; nothing was changed",
            "platform_tracing: 'zipkin' is not one of none, jaeger, collector, external",
            "observability_access_log_otlp: 'loki' is not one of none, collector, external",
        ],
    ),
    "a collector that would not start": (
        {
            "platform_tracing": "collector",
            "observability_collector_config": {
                "service": {"pipelines": {"traces": {"exporters": ["otlp_http/store"]}}}
            },
            "observability_collector_env": {"TOKEN": "s3cret"},
        },
        [
            "2 variables are wrong; nothing was changed",
            "observability_collector_config.service.pipelines.traces.exporters: 'otlp_http/store' is not defined in exporters",
            "observability_collector_env.TOKEN: is no reference",
        ],
    ),
    "a Secret of a receiver that is not there": (
        {
            "observability_alertmanager": "managed",
            "observability_alert_receivers": [
                {"name": "team", "webhook_configs": [{"url_file": {"secret": "hook", "key": "url"}}]}
            ],
        },
        [
            "Secret monitoring/hook: does not exist, and observability_alert_receivers refers to it (keys url)",
        ],
    ),
    "context": ({"platform_context": "moon"}, ["platform_context", "moon"]),
    "chart": ({"istio_chart_source": "/nonexistent/charts"}, ["istio_chart", "/nonexistent/charts"]),
    "helm": ({"platform_helm_binary": "/nonexistent/helm"}, ["/nonexistent/helm", "Install Helm on the controller"]),
    "Kubernetes and Istio do not fit": (
        {"istio_version": "1.20.0", "istio_chart_version": "1.20.0"},
        ["1.20.0", "1.35"],
    ),
    "another controller's class": (
        {"nginx_ingress_flavour": "f5"},
        [
            "IngressClass 'nginx' (nginx_ingress_class) belongs to controller k8s.io/ingress-nginx",
            "nginx_ingress_flavour 'f5' is nginx.org/ingress-controller",
        ],
    ),
    "node ports that are taken": (
        {"nginx_ingress_node_ports": {"http": 30099, "https": 30099}},
        ["The cluster refuses nginx_ingress_node_ports {'http': 30099, 'https': 30099}", "spec.ports[1].nodePort"],
    ),
    "a mesh and a Prometheus of somebody else that are not there": (
        {
            "platform_istio": "external",
            "platform_istio_revision": "moon",
            "platform_gateway": {"namespace": "monitoring", "service": "entry", "selector": {"istio": "entry"}},
            "platform_prometheus": "external",
            "platform_prometheus_address": {"service": "monitoring/nobody:9090"},
        },
        [
            "injection of sidecars by istio.io/rev=moon: no sidecar injector selects namespaces with this label",
            "ingress gateway monitoring/entry: there is no such Service",
            "ingress gateway monitoring/entry: no pod has istio=entry in its namespace",
            "Prometheus at service monitoring/nobody:9090 through the API server",
        ],
    ),
    "an ingress of somebody else that is not there": (
        {"platform_ingress": "external", "nginx_ingress_class": "theirs"},
        ["platform_ingress is external, but there is no IngressClass theirs"],
    ),
    "environment": ({"platform_environment": "moon"}, ["moon"]),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_wrong_is_named(kubeconfig: str, case: str) -> None:
    variables, messages = CASES[case]
    extra = yaml.safe_dump(
        {"platform_kubeconfig": kubeconfig, **variables}, default_flow_style=True, width=10**6
    ).strip()
    run = ansible_playbook("site.yml", *INVENTORY, "-e", extra)
    assert run.returncode == 2, run.told
    for message in messages:
        assert message in run.text
    assert all(counters["changed"] == 0 and counters["failed"] == 1 for counters in run.recap.values()), run.told
    assert "Traceback" not in run.text


def test_what_somebody_else_runs_is_found_and_left_as_it_is(kubeconfig: str) -> None:
    """As if the mesh, the ingress and Prometheus of this cluster were not the platform's. Nothing is written: a dry run."""
    extra = {
        "platform_kubeconfig": kubeconfig,
        **dict.fromkeys(("platform_istio", "platform_ingress", "platform_prometheus"), "external"),
        "platform_prometheus_address": {"service": "monitoring/prometheus:9090"},
        "platform_helm_binary": "/nonexistent/helm",  # no chart is looked at
    }
    run = ansible_playbook("site.yml", *INVENTORY, "--check", "-e", json.dumps(extra))
    assert run.returncode == 0, run.told


def test_an_unreachable_cluster_is_named(unreachable: str) -> None:
    run = ansible_playbook("site.yml", *INVENTORY, "-e", f"platform_kubeconfig={unreachable}")
    assert run.returncode == 2, run.told
    assert "https://127.0.0.1:" in run.text
    assert "cannot be reached" in run.text
    assert "Traceback" not in run.text


def test_missing_permissions_are_listed(without_rights: str) -> None:
    run = ansible_playbook("site.yml", *INVENTORY, "-e", f"platform_kubeconfig={without_rights}")
    assert run.returncode == 2, run.told
    for word in ("namespaces", "deployments", "may not"):
        assert word in run.text
    assert all(counters["changed"] == 0 for counters in run.recap.values()), run.told


@pytest.fixture
def theirs(cluster: Cluster) -> Iterator[str]:
    """A namespace of somebody else, with a workload and what calls it."""
    from kubernetes import client

    name = f"t-theirs-{uuid.uuid4().hex[:8]}"
    cluster.core.create_namespace(client.V1Namespace(metadata=client.V1ObjectMeta(name=name)))
    spec = client.V1ServiceSpec(ports=[client.V1ServicePort(port=80)])
    cluster.core.create_namespaced_service(name, client.V1Service(metadata=client.V1ObjectMeta(name="cart"), spec=spec))
    yield name
    cluster.core.delete_namespace(name)


# The whole, and one role that puts STRICT and deny by default there.
@pytest.mark.parametrize("tags", [(), ("--tags", "mesh_security")], ids=["all", "one tag"])
def test_a_namespace_of_somebody_else_is_not_taken_over(
    kubeconfig: str, cluster: Cluster, theirs: str, tags: tuple[str, ...]
) -> None:
    before = cluster.get(f"/api/v1/namespaces/{theirs}")["metadata"]
    extra = ("-e", f"platform_kubeconfig={kubeconfig}", "-e", f"platform_namespace={theirs}")
    run = ansible_playbook("site.yml", *INVENTORY, *extra, *tags)
    assert run.returncode == 2, run.told
    assert f"Namespace {theirs}: somebody else made it and uses it: Service cart" in run.text
    assert f"platform_adopt_namespaces: [{theirs}]" in run.text
    assert all(counters["changed"] == 0 for counters in run.recap.values()), run.told
    assert cluster.get(f"/api/v1/namespaces/{theirs}")["metadata"] == before
    assert cluster.get(f"/apis/security.istio.io/v1/namespaces/{theirs}/peerauthentications")["items"] == []


@pytest.mark.parametrize("confirm", [(), ("-e", "confirm=prod")])
def test_teardown_wants_the_environments_name(kubeconfig: str, confirm: tuple[str, ...]) -> None:
    run = ansible_playbook("teardown.yml", *INVENTORY, "-e", f"platform_kubeconfig={kubeconfig}", *confirm)
    assert run.returncode == 2, run.told
    assert "Nothing was deleted" in run.text
    assert "confirm=local" in run.text
