# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a backend gets from the ingress controller with the annotations and settings of the role nginx_ingress."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import yaml
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.client import Client

from tests.integration.conftest import deployment
from tests.role_values import rendered
from tests.support import Answer, Ingress, make

IMAGE = "localhost/ecommerce/user-service:v1.0"
SERVER = """
import http.server
class Echo(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("x-host", self.headers["host"])
        self.send_header("x-target", self.path)
        self.send_header("x-got", str(len(self.headers.get("cookie", ""))))
        self.send_header("x-large", "a" * 12000)
        self.end_headers()
    def log_message(self, *_):
        pass
http.server.ThreadingHTTPServer(("", 8080), Echo).serve_forever()
"""


def test_a_backend_behind_a_wildcard_gets_the_clients_host(
    client: Client, namespace: str, apply: Callable[..., dict[str, Any]]
) -> None:
    domain = f"{namespace}.example.com"
    text = rendered(
        "nginx_ingress",
        "ingress.yaml.j2",
        nginx_ingress_flavour="community",
        nginx_ingress_hosts=[f"*.{domain}"],
        nginx_ingress_gateway_namespace=namespace,
        nginx_ingress_gateway_service="echo",
        nginx_ingress_tls_mode="none",
        nginx_ingress_ssl_redirect=False,
    )
    service = {
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "echo", "namespace": namespace},
        "spec": {"selector": {"app": "echo"}, "ports": [{"port": 80, "targetPort": 8080}]},
    }  # fmt: skip
    pods = deployment(namespace, "echo", IMAGE, container={"command": ["python3", "-c", SERVER]})
    apply(pods, service, *yaml.safe_load_all(text), wait=True, wait_timeout=60)
    url = make("url")

    def answer(host: str, target: str = "/", **headers: str) -> Answer:
        return Ingress(url, host)("GET", target, headers=headers)

    # The first good answer is one worker's: the workers of the configuration before still take connections for some milliseconds, and
    # each new one gets the endpoints by a timer of its own (rootfs/etc/nginx/lua/balancer.lua, BACKENDS_SYNC_INTERVAL: 1 s).
    end = time.monotonic() + 30
    good_since = None
    while good_since is None or time.monotonic() < good_since + 1.5:
        assert time.monotonic() < end, "not all workers of the controller got the Ingress in time"
        good = answer(f"a.{domain}").status == 200
        good_since = (good_since or time.monotonic()) if good else None
        time.sleep(0.02)
    for host in (f"a.{domain}", f"A.{domain}:30080", f"b.{domain}:443"):
        assert answer(host).headers["x-host"] == host.lower().partition(":")[0]
    # Paths come as the client wrote them: the gateway judges them.
    for target in ("/a//b", "/a%2Fb", "/a/%2e%2E/b", "/a;x/b"):
        assert answer(f"a.{domain}", target).headers["x-target"] == target
    large = answer(f"a.{domain}", cookie="c=" + "a" * 12_000)
    assert (large.headers["x-got"], len(large.headers["x-large"])) == ("12002", 12_000)
