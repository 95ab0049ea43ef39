# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The access log of a real sidecar under the filter of prod, as the role observability sets it for the services' namespace."""

from __future__ import annotations

import json
import os
import secrets
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.client import Client

from tests.integration.metrics import deployment
from tests.role_values import rendered
from tests.support import Cluster

SERVER = """
import http.server
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(503 if self.path == "/bad" else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()
http.server.ThreadingHTTPServer(("", 8080), Handler).serve_forever()
"""


@pytest.fixture
def bed(cluster: None, client: Client, apply: Callable[..., Any]) -> Iterator[str]:
    """A namespace of the mesh with a server, and the Telemetry object of prod."""
    name = f"t-log-{uuid.uuid4().hex[:8]}"
    client.request(
        "POST", "/api/v1/namespaces", body={"metadata": {"name": name, "labels": {"istio-injection": "enabled"}}}
    )
    telemetry = rendered(
        "observability",
        "manifests.yml.j2",
        inventory_hostname="one",
        platform_environment="prod",
        platform_istio="external",  # the object for the namespace, not for the mesh
        platform_prometheus="absent",
        platform_namespace=name,
        observability_access_log_format="json",
        observability_access_log_otlp="collector",  # that of the platform
        __observability_runs=[],
        observability_metrics_provider="",  # upstream Envoy has no filter for it
    )
    container = {
        "name": "server",
        "image": "localhost/ecommerce/user-service:v1.0",
        "command": ["python3", "-c", SERVER],
        "ports": [{"containerPort": 8080}],
        "readinessProbe": {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1},
    }
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "server", "namespace": name},
        "spec": {"selector": {"app": "server"}, "ports": [{"name": "http", "port": 80, "targetPort": 8080}]},
    }
    objects = [
        *yaml.safe_load_all(telemetry),
        service,
        deployment(name, "server", container, {}, labels={"track": "stable"}),
    ]
    apply(*(one for one in objects if one), wait_timeout=90)
    yield name
    client.request("DELETE", f"/api/v1/namespaces/{name}")


def lines(cluster: Cluster, namespace: str, pod: str) -> list[dict[str, Any]]:
    """The lines of the sidecar's access log."""
    text = cluster.core.read_namespaced_pod_log(pod, namespace, container="istio-proxy", _preload_content=False).data
    return [json.loads(line) for line in text.decode().splitlines() if line.startswith("{")]


def test_a_failing_request_is_in_the_log_and_a_good_one_is_not(bed: str) -> None:
    cluster, trace = Cluster(os.environ["KUBECONFIG"]), secrets.token_hex(16)
    pod, container = cluster.app_container(bed, "server")
    header = f"traceparent: 00-{trace}-{secrets.token_hex(8)}-01"

    def status(path: str) -> str:
        argv = ["curl", "--silent", "--output", "/dev/null", "--write-out", "%{http_code}", "--header", header]
        done = cluster.execute(bed, pod, container, [*argv, f"http://server/{path}"])
        assert done.code == 0, done.out
        return str(done.out).strip()

    # The caller's proxy may not know the endpoint yet: then it answers itself.
    deadline = time.monotonic() + 30
    while (seen := status("first")) != "200":
        assert time.monotonic() < deadline, seen
        time.sleep(0.3)
    # Through the sidecar twice, as a client and as a server: both write a line of what fails.
    assert (status("good"), status("bad")) == ("200", "503")
    deadline = time.monotonic() + 15
    while len(found := [line for line in lines(cluster, bed, pod) if line["path"] == "/bad"]) < 2:
        assert time.monotonic() < deadline, found
        time.sleep(0.3)
    assert {(line["method"], line["response_code"], line["trace_id"]) for line in found} == {("GET", 503, trace)}
    assert [line for line in lines(cluster, bed, pod) if line["path"] == "/good"] == []
    # Both lines go to the collector as well, which writes them to its output. It has the lines of all other requests too.
    while (output := cluster.output("monitoring", "app=otel-collector", "otel-collector")).count(
        f"trace_id={trace}"
    ) < 2:
        assert time.monotonic() < deadline, output[-2000:]
        time.sleep(0.3)
