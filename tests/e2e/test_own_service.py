# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A service of one's own is one entry in an inventory: deployed, reachable, protected, shifted by a canary, removed with the entry."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.e2e.releases import NAMESPACE, live
from tests.e2e.test_canary import CANARY, Stream, generations
from tests.support import ROOT, Cluster, Ingress, Run, ansible_playbook

pytestmark = pytest.mark.changes

SERVICE, PATH = "basket-service", "/api/baskets"
# What knows of services beside the service itself. Alerts follow from the same list.
TAGS = "mesh_security,service_catalogue,datastore,added_services"
# The local cluster has no image with this service: a few lines of Python in an image that it has. It is ready when it reaches its database.
PROGRAM = """
import http.server, os, socket, urllib.parse
store = urllib.parse.urlsplit(os.environ["DATABASE_URL"])
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/ready":
            socket.create_connection((store.hostname, store.port), 2).close()
        # No body for /metrics: the agent appends it to the proxy's, and what is no metric would make Prometheus refuse the whole page.
        body = b"[]" if self.path.startswith("/api/") else b""
        self.send_response(200)
        self.send_header("x-service-version", os.environ["SERVICE_VERSION"])
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *args):
        pass
http.server.ThreadingHTTPServer(("", int(os.environ["PORT"])), Handler).serve_forever()
"""


def example() -> dict[str, Any]:
    """The entry in README's "One service of your own", as it stands there."""
    text = (ROOT / "README.md").read_text(encoding="utf-8").partition("### One service of your own")[2]
    found: dict[str, Any] = yaml.safe_load(text.partition("```yaml\n")[2].partition("```")[0])["platform_services"]
    return found


def entries(**more: Any) -> dict[str, Any]:
    """The example with an image that the local cluster has, and a port that is not the usual one."""
    here = {"image": "localhost/ecommerce/review-service:v1.0", "command": ["python3", "-c", PROGRAM], "port": 9090}
    return {SERVICE: {**example()[SERVICE], **here, **more}}


@pytest.fixture
def args(kubeconfig: str) -> tuple[str, ...]:
    return ("-i", "inventories/local", "-e", f"platform_kubeconfig={kubeconfig}")


def site(args: tuple[str, ...], services: dict[str, Any], *more: str) -> Run:
    run = ansible_playbook("site.yml", *args, "-e", json.dumps({"platform_services": services}), "--tags", TAGS, *more)
    assert run.returncode == 0, run.told
    return run


def there(cluster: Cluster) -> set[str]:
    """Kind/name of everything that the service may have."""
    found = set()
    for path, name in (
        (f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments", SERVICE),
        (f"/apis/apps/v1/namespaces/{NAMESPACE}/statefulsets", "basket-db"),
        (f"/api/v1/namespaces/{NAMESPACE}/services", SERVICE),
        (f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts", SERVICE),
        (f"/apis/networking.istio.io/v1/namespaces/{NAMESPACE}/virtualservices", f"{SERVICE}-ingress"),
        (f"/apis/networking.istio.io/v1/namespaces/{NAMESPACE}/destinationrules", SERVICE),
        (f"/apis/security.istio.io/v1/namespaces/{NAMESPACE}/authorizationpolicies", SERVICE),
        (f"/apis/security.istio.io/v1/namespaces/{NAMESPACE}/authorizationpolicies", "basket-db"),
    ):
        if cluster.raw.get(f"{path}/{name}") is not None:
            found.add(f"{path.rpartition('/')[2]}/{name}")
    return found


def until(ingress: Ingress, *wanted: int) -> int:
    """Status for callers outside: the gateway's proxy learns of a change a moment after the run."""
    deadline = time.monotonic() + 20
    while (status := ingress("GET", PATH).status) not in wanted and time.monotonic() < deadline:
        time.sleep(0.5)
    return status


@pytest.fixture
def deployed(args: tuple[str, ...], cluster: Cluster) -> Iterator[None]:
    site(args, entries())
    yield
    if there(cluster):
        site(args, {})


@pytest.mark.slow
@pytest.mark.usefixtures("deployed")
def test_one_entry_is_a_service_and_without_it_there_is_none(
    args: tuple[str, ...], cluster: Cluster, ingress: Ingress
) -> None:
    assert until(ingress, 200) == 200
    assert ingress("DELETE", PATH).status == 403
    assert cluster.call_as("order-service", "GET", f"http://{SERVICE}{PATH}/1")[0] == 200
    assert cluster.call_as("review-service", "GET", f"http://{SERVICE}{PATH}/1")[0] == 403
    before = generations(cluster, SERVICE)
    again = site(args, entries())
    assert generations(cluster, SERVICE) == before, again.text
    status = ansible_playbook("status.yml", *args)
    assert SERVICE in status.text

    stream = Stream(ingress, PATH)
    try:
        values = {"service": SERVICE, "version": "v1.1", "report": "", "platform_services": entries(canary=CANARY)}
        canary = ansible_playbook("canary.yml", *args, "-e", json.dumps(values))
    finally:
        stream.close()
    assert canary.returncode == 0, canary.told
    assert live(cluster, SERVICE) == "v1.1"
    assert {code for _moment, _version, code in stream.answers} == {200}

    gone = site(args, {})
    assert there(cluster) == set(), gone.text
    assert until(ingress, 403, 404) in (403, 404)
    record = cluster.get(f"/api/v1/namespaces/{NAMESPACE}/configmaps/service-catalogue")
    assert SERVICE not in record["data"]["catalogue"]
    assert cluster.call_as("order-service", "GET", "http://product-service/health")[0] in (200, 403)
