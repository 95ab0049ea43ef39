# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A path that is closed inside of an open one: every spelling, on the wire, through NGINX and at the gateway itself."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.path_readings import spelled
from tests.support import Answer, Cluster, Ingress, ansible_playbook

pytestmark = pytest.mark.changes

NAMESPACE = "ecommerce"
SERVICE = ("-i", "inventories/local", "--tags", "order_service")
OPEN, NAME = "/api/orders", "admin"
METHODS = ["GET", "POST", "PUT", "DELETE"]
ROUTES = [
    {"prefix": f"{OPEN}/{NAME}", "methods": METHODS, "require_jwt": True},
    {"prefix": OPEN, "methods": METHODS},
]
TARGETS = [f"{OPEN}/1", f"{OPEN}/{NAME}", *spelled(OPEN, NAME)]


def reached(answer: Answer) -> bool:
    """Whether a service answered, and not a proxy before it."""
    return "x-service-version" in answer.headers


def until(what: Callable[[], Any], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "the proxies did not get the routes and rules in time"
        time.sleep(0.2)


@pytest.fixture(scope="module")
def opened(ingress: Ingress) -> Iterator[None]:
    """Orders are open, but for one path; afterwards as in the inventory."""
    run = ansible_playbook("site.yml", *SERVICE, "-e", json.dumps({"order_service_routes": ROUTES}))
    assert run.returncode == 0, run.told
    try:
        until(lambda: reached(ingress("GET", f"{OPEN}/1")) and ingress("GET", f"{OPEN}/{NAME}.x").status == 403)
        yield
    finally:
        back = ansible_playbook("site.yml", *SERVICE)
    assert back.returncode == 0, back.told
    until(lambda: ingress("GET", f"{OPEN}/1").status == 403)


@pytest.mark.usefixtures("opened")
def test_no_spelling_reaches_the_service_through_the_ingress(ingress: Ingress, account: dict[str, Any]) -> None:
    assert reached(ingress("GET", f"{OPEN}/1"))
    assert reached(ingress("GET", f"{OPEN}/{NAME}", token=account["token"]))
    found = {target: ingress("GET", target) for target in spelled(OPEN, NAME)}
    assert {target: str(answer) for target, answer in found.items() if reached(answer)} == {}
    assert {answer.status for answer in found.values()} <= {400, 403, 404}
    assert found[f"{OPEN}/{NAME}"].status == found[f"{OPEN}//{NAME}"].status == 403
    for target in (
        f"{OPEN}/{NAME};x=1",
        f"{OPEN}/%2F{NAME}",
        f"{OPEN}/;x=1/{NAME}",
        f"{OPEN}/{NAME.upper()}",
        f"{OPEN}/x/%2e%2e;/{NAME}",
    ):
        assert found[target].status == 400, (target, found[target])


@pytest.mark.usefixtures("opened")
def test_no_spelling_reaches_the_service_at_the_gateway(cluster: Cluster, ingress: Ingress) -> None:
    """Who is behind NGINX, or in front of another one: the gateway alone refuses the same."""
    pod = cluster.pods(NAMESPACE, "app=review-service,track=stable")[-1].metadata.name
    written = "%{http_code} %header{x-service-version}\\n"
    for host in (ingress.host, f"{ingress.host}:8080"):
        argv = [
            "curl",
            "--silent",
            "--path-as-is",
            "--max-time",
            "20",
            "--header",
            f"Host: {host}",
            "--write-out",
            written,
        ]
        for target in TARGETS:
            argv += ["--output", "/dev/null", f"http://istio-ingressgateway.istio-system{target}"]
        lines = cluster.execute(NAMESPACE, pod, "istio-proxy", argv).out.splitlines()
        found = dict(zip(TARGETS, (line.split() for line in lines), strict=True))
        assert len(found[f"{OPEN}/1"]) == 2, "the control reaches the service"
        assert {target: answer for target, answer in found.items() if target != f"{OPEN}/1" and len(answer) != 1} == {}
        assert {answer[0] for answer in found.values()} <= {"200", "400", "403", "404"}
