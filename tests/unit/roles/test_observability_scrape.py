# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prometheus scrapes a page of Envoy, and a Pushgateway, with the role's relabelings. Static targets with the same labels replace pods."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.pushgateway.server import Server
from tests.rules import tools

ROOT = Path(__file__).resolve().parents[3]
RULES = ROOT / "tests" / "rules"
PAGE = (RULES / "proxy_metrics.txt").read_bytes()
INGRESS = {name: (RULES / f"ingress_{name}.txt").read_bytes() for name in ("community", "f5")}
# Loopback addresses represent pods, because the role sets the port to 15020. A process has addresses of its own (a PID has up to 22
# bits), so that workers of one run, and runs on one machine, do not take them from each other.
READY, STARTING = (
    f"127.{first + (os.getpid() >> 16)}.{os.getpid() >> 8 & 255}.{os.getpid() & 255}" for first in (64, 128)
)


class Agent(BaseHTTPRequestHandler):
    """The agent of a sidecar: a page of metrics, and a readiness answer without a body. And at /metrics an ingress controller."""

    def do_GET(self) -> None:
        pages = {"/stats/prometheus": PAGE, "/healthz/ready": b""}
        pages["/metrics"] = INGRESS["community" if self.server.server_address[0] == READY else "f5"]
        body = pages.get(self.path)
        self.send_response(404 if body is None else 200)
        if body:
            self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
        self.send_header("Content-Length", str(len(body or b"")))
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, format: str, *args: Any) -> None:
        """Keep the test's output clean."""


def pod(address: str, name: str, port_name: str, ready: str, **labels: str) -> dict[str, Any]:
    """Labels that Kubernetes discovery gives to one container port of a pod."""
    meta = {
        "__meta_kubernetes_namespace": "ecommerce",
        "__meta_kubernetes_pod_name": name,
        "__meta_kubernetes_pod_ip": address,
        "__meta_kubernetes_pod_phase": "Running",
        "__meta_kubernetes_pod_ready": ready,
        "__meta_kubernetes_pod_container_port_name": port_name,
        "__meta_kubernetes_pod_annotation_prometheus_io_scrape": "true",
        "__meta_kubernetes_pod_annotation_prometheus_io_port": "15020",
        "__meta_kubernetes_pod_annotation_prometheus_io_path": "/stats/prometheus",
        "__meta_kubernetes_pod_annotationpresent_sidecar_istio_io_status": "true",
    }
    labels = {f"__meta_kubernetes_pod_label_{key}": value for key, value in labels.items()}
    return {"targets": [f"{address}:15020"], "labels": meta | labels}


PODS = [
    pod(READY, "user-1", "http-envoy-prom", "true", app="user-service", version="v1.0", track="stable"),
    pod(READY, "user-1", "http", "true", app="user-service", version="v1.0", track="stable"),
    pod(STARTING, "user-2", "http-envoy-prom", "false", app="user-service", version="v1.1", track="canary"),
    pod(READY, "user-db-0", "http-envoy-prom", "true", app_kubernetes_io_name="user-db"),
    # The names of the ports are those of the two charts.
    pod(READY, "nginx-1", "metrics", "true"),
    pod(STARTING, "f5-1", "prometheus", "true"),
]


@pytest.fixture(scope="module")
def pushgateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A Pushgateway to which a canary has pushed (plugins/module_utils/_canary/push.py)."""
    with Server(tmp_path_factory.mktemp("pushgateway") / "log") as server:
        page = b'servicemesh_canary_phase{service="cart",version="v2",phase="paused"} 1\nbatch_jobs_total 1\n'
        group = f"{server.url}/metrics/job/servicemesh_canary/namespace/shop/service/cart"
        with urllib.request.urlopen(urllib.request.Request(group, page, method="PUT"), timeout=5) as answer:
            assert answer.status == 200
        yield server


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory, pushgateway: Server) -> Iterator[str]:
    """Address of a Prometheus that has scraped the pods above, and the Pushgateway."""
    binary = tools.find("prometheus")
    home = tmp_path_factory.mktemp("prometheus")
    command = [
        str(Path(sys.executable).with_name("ansible-playbook")),
        str(RULES / "render.yml"),
        "-i",
        str(RULES / "variants.yml"),
        "--limit",
        "local",
    ]
    subprocess.run([*command, "-e", f"render_dir={home}"], cwd=ROOT, check=True, capture_output=True, timeout=120)
    objects = json.loads((home / "local.json").read_text())
    (data,) = [
        item["data"] for item in objects if item["kind"] == "ConfigMap" and item["metadata"]["name"] == "prometheus"
    ]
    config = yaml.safe_load(data["prometheus.yml"])
    config["global"] |= {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
    kept = ("mesh-proxies", "service-readiness", "pods", "istiod", "nginx-ingress", "pushgateway")
    config["scrape_configs"] = [job for job in config["scrape_configs"] if job["job_name"] in kept]
    for job in config["scrape_configs"]:
        if job.pop("kubernetes_sd_configs", None):
            job["static_configs"] = PODS
        else:
            assert job["static_configs"] == [{"targets": ["pushgateway.tools.svc:9091"]}]
            job["static_configs"] = [{"targets": [pushgateway.address]}]
    (home / "prometheus.yml").write_text(yaml.safe_dump(config))
    rules = yaml.safe_load(data["rules.yml"])
    for group in rules["groups"]:
        group.pop("interval", None)  # else some are evaluated after this test
    (home / "rules.yml").write_text(yaml.safe_dump(rules))

    agents = [ThreadingHTTPServer((address, 15020), Agent) for address in (READY, STARTING)]
    for agent in agents:
        threading.Thread(target=agent.serve_forever, daemon=True).start()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    with (home / "log").open("w") as log:
        process = subprocess.Popen(
            [
                binary,
                f"--config.file={home}/prometheus.yml",
                f"--storage.tsdb.path={home}/data",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=log,
            stderr=log,
        )
    try:
        deadline = time.monotonic() + 60
        while not scraped(address):
            assert process.poll() is None, (home / "log").read_text()
            assert time.monotonic() < deadline, (home / "log").read_text()
            time.sleep(0.2)
        yield address
    finally:
        process.terminate()
        process.wait(timeout=20)
        for agent in agents:
            agent.shutdown()
            agent.server_close()


def get(address: str, path: str, **parameters: str) -> Any:
    with urllib.request.urlopen(f"{address}/api/v1/{path}?{urllib.parse.urlencode(parameters)}", timeout=10) as answer:
        return json.load(answer)["data"]


def scraped(address: str) -> bool:
    """Whether all targets answered, each of the ingress twice, so that it has rates, and all rules were evaluated."""
    wanted = {"up == 1": 8, "service:ready_pods": 1, "ingress:requests:rate5m": 4, "slo:objective:ratio": 1}
    try:
        if any(len(query(address, expression)) < count for expression, count in wanted.items()):
            return False
        return all(rule["health"] != "unknown" for group in get(address, "rules")["groups"] for rule in group["rules"])
    except OSError:
        return False


def query(address: str, expression: str) -> list[dict[str, Any]]:
    return [
        sample["metric"] | {"value": sample["value"][1]} for sample in get(address, "query", query=expression)["result"]
    ]


def test_one_target_a_proxy(api: str) -> None:
    targets = get(api, "targets", state="active")["activeTargets"]
    found = {(item["labels"]["job"], item["labels"].get("pod", "")): item["scrapeUrl"] for item in targets}
    assert found.pop(("pushgateway", "")).endswith("/metrics")
    assert found == {
        ("mesh-proxies", "user-1"): f"http://{READY}:15020/stats/prometheus",
        ("mesh-proxies", "user-2"): f"http://{STARTING}:15020/stats/prometheus",
        ("mesh-proxies", "user-db-0"): f"http://{READY}:15020/stats/prometheus",
        ("service-readiness", "user-1"): f"http://{READY}:15020/healthz/ready",
        ("datastore-readiness", "user-db-0"): f"http://{READY}:15020/healthz/ready",
        ("nginx-ingress", "nginx-1"): f"http://{READY}:15020/metrics",
        ("nginx-ingress", "f5-1"): f"http://{STARTING}:15020/metrics",
    }


def test_targets_carry_who_they_are(api: str) -> None:
    (user,) = query(api, 'up{job="mesh-proxies", pod="user-2"}')
    identity = {"namespace": "ecommerce", "app": "user-service", "version": "v1.1", "track": "canary", "value": "1"}
    assert identity.items() <= user.items()
    (database,) = query(api, 'up{job="mesh-proxies", pod="user-db-0"}')
    assert database["app"] == "user-db"
    assert "track" not in database


def test_what_was_pushed_has_its_own_labels_and_nothing_else_is_stored(api: str) -> None:
    """An empty instance is none, and the panels of canaries tell pushed series by that."""
    assert query(api, '{service="cart", __name__=~".+"}') == [
        {
            "__name__": "servicemesh_canary_phase",
            "job": "servicemesh_canary",
            "namespace": "shop",
            "service": "cart",
            "version": "v2",
            "phase": "paused",
            "value": "1",
        }
    ]
    assert query(api, "batch_jobs_total") == query(api, "push_time_seconds") == []
    assert query(api, 'servicemesh_canary_phase{instance!=""}') == []


def test_readiness_is_up_without_samples(api: str) -> None:
    (ready,) = query(api, 'up{job="service-readiness"}')
    assert (ready["pod"], ready["value"]) == ("user-1", "1")
    (database,) = query(api, 'up{job="datastore-readiness"}')
    assert (database["app"], database["value"]) == ("user-db", "1")
    assert query(api, "service:ready_pods")[0]["value"] == "1"


def test_upstream_envoy_reports_as_istio_does(api: str) -> None:
    """Names and labels of a metric of the local cluster are those of Istio's filter."""
    (source,) = query(
        api, 'istio_requests_total{pod="user-1", reporter="source", destination_workload="user-service-canary"}'
    )
    expected = {
        "destination_workload_namespace": "ecommerce",
        "destination_app": "user-service",
        "destination_version": "v1.1",
        "destination_service_name": "user-service",
        "source_principal": "spiffe://cluster.local/ns/ecommerce/sa/order-service",
        "response_code": "200",
        "response_flags": "-",
        "value": "7",
    }
    assert expected.items() <= source.items()
    assert "grpc_response_status" not in source, "it is empty for other protocols"
    assert "destination" not in source
    (lost,) = query(api, 'istio_requests_total{pod="user-1", response_flags="UH"}')
    for label in (
        "destination_workload",
        "destination_workload_namespace",
        "source_principal",
        "destination_principal",
    ):
        assert lost[label] == "unknown", label
    assert "destination_workload" not in query(api, 'istio_agent_scrapes_total{pod="user-1"}')[0]


def test_unused_metrics_are_dropped_and_those_of_services_are_kept(api: str) -> None:
    names = {
        item
        for item in get(api, "label/__name__/values")
        if item.startswith(("envoy_", "istio_", "python_", "http_", "process_"))
    }
    assert names == {
        "envoy_http_rbac",
        "envoy_listener_no_filter_chain_match",
        "envoy_server_uptime",
        "http_request_duration_seconds_bucket",
        "istio_agent_cert_expiry_seconds",
        "istio_agent_scrapes_total",
        "istio_build",
        "istio_request_bytes_sum",
        "istio_request_duration_milliseconds_bucket",
        "istio_requests_total",
        "istio_tcp_connections_opened_total",
        "process_resident_memory_bytes",
    }
    labels = set(get(api, "labels"))
    assert not {label for label in labels if label.startswith("__tmp")}
    assert not labels & {"source_canonical_service", "source_cluster", "destination_canonical_revision"}


def test_buckets_are_thinned_for_proxies_only(api: str) -> None:
    def bounds(metric: str) -> list[str]:
        return sorted({item["le"] for item in query(api, f'{metric}{{pod="user-1"}}')}, key=float)

    assert bounds("istio_request_duration_milliseconds_bucket") == ["1", "1000", "+Inf"]
    assert bounds("http_request_duration_seconds_bucket") == ["0.5", "+Inf"]


def test_both_ingress_controllers_are_read_through_the_scrape_configuration(api: str) -> None:
    """What the rules record of the real pages of both, after the relabeling: a metric that it drops would be missing here."""

    def recorded(name: str) -> dict[str, str]:
        return {item["pod"]: item["value"] for item in query(api, name)}

    assert recorded("ingress:last_reload:successful") == {"nginx-1": "1", "f5-1": "0"}
    assert recorded("ingress:connections:active") == {"nginx-1": "1", "f5-1": "2"}
    classes = query(api, "ingress:requests:rate5m")
    assert {(item["pod"], item["response_code_class"]) for item in classes} == {
        ("nginx-1", "2xx"),
        ("nginx-1", "4xx"),
        ("f5-1", "2xx"),
        ("f5-1", "5xx"),
    }
    (failed,) = query(api, 'ALERTS{alertname="IngressReloadFailed"}')
    assert failed["pod"] == "f5-1"
    # The controllers' namespace is that of their pods, and not that of an Ingress.
    assert {item["namespace"] for item in query(api, "nginx_ingress_controller_requests")} == {"ecommerce"}
    names = set(get(api, "label/__name__/values"))
    assert "nginx_ingress_nginx_http_requests_total" in names
    assert not names & {
        "nginx_ingress_controller_workqueue_depth",
        "nginx_ingress_controller_build_info",
        "go_goroutines",
    }


def test_rules_evaluate_without_error(api: str) -> None:
    rules = [rule for group in get(api, "rules")["groups"] for rule in group["rules"]]
    assert len(rules) > 80
    assert [(rule["name"], rule.get("lastError")) for rule in rules if rule["health"] != "ok"] == []
