# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prometheus scrapes a page of Envoy with the role's relabelings. Static targets with the same labels replace discovery."""

from __future__ import annotations

import json
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

from tests.rules import tools

ROOT = Path(__file__).resolve().parents[3]
RULES = ROOT / "tests" / "rules"
PAGE = (RULES / "proxy_metrics.txt").read_bytes()
# Loopback addresses represent pods, because the role sets the port to 15020.
READY, STARTING = "127.84.15.1", "127.84.15.2"


class Agent(BaseHTTPRequestHandler):
    """The agent of a sidecar: a page of metrics, and a readiness answer without a body."""

    def do_GET(self) -> None:
        body = {"/stats/prometheus": PAGE, "/healthz/ready": b""}.get(self.path)
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
    return {"targets": [f"{address}:9999"], "labels": meta | labels}


PODS = [
    pod(READY, "user-1", "http-envoy-prom", "true", app="user-service", version="v1.0", track="stable"),
    pod(READY, "user-1", "http", "true", app="user-service", version="v1.0", track="stable"),
    pod(STARTING, "user-2", "http-envoy-prom", "false", app="user-service", version="v1.1", track="canary"),
    pod(READY, "user-db-0", "http-envoy-prom", "true", app_kubernetes_io_name="user-db"),
]


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a Prometheus that has scraped the pods above."""
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
    kept = ("mesh-proxies", "service-readiness", "pods", "istiod")
    config["scrape_configs"] = [job for job in config["scrape_configs"] if job["job_name"] in kept]
    for job in config["scrape_configs"]:
        del job["kubernetes_sd_configs"]
        job["static_configs"] = PODS
    (home / "prometheus.yml").write_text(yaml.safe_dump(config))
    (home / "rules.yml").write_text(data["rules.yml"])

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
    try:
        return len(query(address, "up == 1")) >= 4 and bool(query(address, "service:ready_pods"))
    except OSError:
        return False


def query(address: str, expression: str) -> list[dict[str, Any]]:
    return [
        sample["metric"] | {"value": sample["value"][1]} for sample in get(address, "query", query=expression)["result"]
    ]


def test_one_target_a_proxy(api: str) -> None:
    targets = get(api, "targets", state="active")["activeTargets"]
    found = {(item["labels"]["job"], item["labels"]["pod"]): item["scrapeUrl"] for item in targets}
    assert found == {
        ("mesh-proxies", "user-1"): f"http://{READY}:15020/stats/prometheus",
        ("mesh-proxies", "user-2"): f"http://{STARTING}:15020/stats/prometheus",
        ("mesh-proxies", "user-db-0"): f"http://{READY}:15020/stats/prometheus",
        ("service-readiness", "user-1"): f"http://{READY}:15020/healthz/ready",
    }


def test_targets_carry_who_they_are(api: str) -> None:
    (user,) = query(api, 'up{job="mesh-proxies", pod="user-2"}')
    identity = {"namespace": "ecommerce", "app": "user-service", "version": "v1.1", "track": "canary", "value": "1"}
    assert identity.items() <= user.items()
    (database,) = query(api, 'up{job="mesh-proxies", pod="user-db-0"}')
    assert database["app"] == "user-db"
    assert "track" not in database


def test_readiness_is_up_without_samples(api: str) -> None:
    (ready,) = query(api, 'up{job="service-readiness"}')
    assert (ready["pod"], ready["value"]) == ("user-1", "1")
    assert query(api, "service:ready_pods")[0]["value"] == "1"


def test_cluster_names_are_taken_apart(api: str) -> None:
    (canary,) = query(api, 'envoy_cluster_upstream_rq{pod="user-1", subset="canary"}')
    expected = {
        "direction": "outbound",
        "service_port": "80",
        "subset": "canary",
        "destination_service": "user-service.ecommerce.svc.cluster.local",
        "destination_service_name": "user-service",
        "destination_service_namespace": "ecommerce",
        "cluster_name": "outbound|80|canary|user-service.ecommerce.svc.cluster.local",
        "response_code_class": "2xx",
        "value": "3",
    }
    assert expected.items() <= canary.items()
    (inbound,) = query(api, 'envoy_cluster_upstream_rq{pod="user-1", direction="inbound"}')
    assert inbound["service_port"] == "8080"
    assert "destination_service" not in inbound
    (dead,) = query(api, 'envoy_cluster_upstream_rq{pod="user-1", destination_service_name="dead"}')
    assert (dead["response_code_class"], dead.get("subset")) == ("5xx", None)


def test_nothing_is_counted_twice(api: str) -> None:
    """Istio's bootstrap gives the code and its class the same metric name."""
    assert query(api, 'envoy_cluster_upstream_rq{response_code!=""}') == []
    (total,) = query(api, 'sum(envoy_cluster_upstream_rq{pod="user-1", subset="canary"})')
    assert total["value"] == "3"


def test_other_namespaces_clusters_are_dropped(api: str) -> None:
    assert query(api, '{destination_service_namespace!~"|ecommerce"}') == []
    assert query(api, '{cluster_name=~".*(kube-system|monitoring).*"}') == []
    assert len(query(api, 'envoy_cluster_upstream_cx_active{pod="user-1", cluster_name="xds-grpc"}')) == 1


def test_unused_metrics_are_dropped_and_those_of_services_are_kept(api: str) -> None:
    names = {
        item
        for item in get(api, "label/__name__/values")
        if item.startswith(("envoy_", "istio_", "python_", "http_", "process_"))
    }
    assert names == {
        "envoy_cluster_membership_healthy",
        "envoy_cluster_upstream_cx_active",
        "envoy_cluster_upstream_cx_total",
        "envoy_cluster_upstream_rq",
        "envoy_cluster_upstream_rq_active",
        "envoy_cluster_upstream_rq_completed",
        "envoy_cluster_upstream_rq_time_bucket",
        "envoy_cluster_upstream_rq_time_count",
        "envoy_cluster_upstream_rq_time_sum",
        "envoy_cluster_upstream_rq_total",
        "envoy_http_downstream_cx_ssl_total",
        "envoy_http_downstream_cx_total",
        "envoy_http_rbac",
        "envoy_listener_no_filter_chain_match",
        "envoy_server_uptime",
        "http_request_duration_seconds_bucket",
        "istio_agent_cert_expiry_seconds",
        "istio_agent_scrapes_total",
        "istio_build",
        "istio_request_duration_milliseconds_bucket",
        "istio_requests_total",
        "process_resident_memory_bytes",
    }
    labels = set(get(api, "labels"))
    assert not {label for label in labels if label.startswith("__tmp")}
    assert not labels & {"source_canonical_service", "source_cluster", "destination_canonical_revision"}


def test_buckets_are_thinned_for_proxies_only(api: str) -> None:
    def bounds(metric: str) -> list[str]:
        return sorted({item["le"] for item in query(api, f'{metric}{{pod="user-1"}}')}, key=float)

    assert bounds("envoy_cluster_upstream_rq_time_bucket") == [
        *("1", "5", "10", "25", "50", "100", "250", "500"),
        *("1000", "2500", "5000", "10000", "+Inf"),
    ]
    assert bounds("istio_request_duration_milliseconds_bucket") == ["1000", "+Inf"]
    assert bounds("http_request_duration_seconds_bucket") == ["0.5", "+Inf"]


def test_rules_evaluate_without_error(api: str) -> None:
    rules = [rule for group in get(api, "rules")["groups"] for rule in group["rules"]]
    assert len(rules) > 15
    assert [rule["name"] for rule in rules if rule["health"] == "err"] == []
