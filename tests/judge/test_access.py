# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""No spelling of a path reaches what the plain path does not, by the routes and access rules that Istio's own code makes of ours."""

from __future__ import annotations

import itertools
import json
import random
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.servicemesh.platform.plugins.plugin_utils._service.ingress import roots
from ansible_collections.servicemesh.platform.plugins.plugin_utils._service.security import security_manifests
from ansible_collections.servicemesh.platform.plugins.plugin_utils._service.traffic import traffic_manifests

from tests.judge.access import Request, outcome
from tests.judge.istio import Istio
from tests.judge.meshes import obj, pod
from tests.path_readings import escapes, normalised, readings, rooted, spelled
from tests.role_values import value
from tests.unit.plugins.plugin_utils._service import test_closed

Obj = dict[str, Any]
HOST = "ecommerce.example.com"
JWT = test_closed.JWT
CLAIMS = (("iss", JWT["issuer"]), ("sub", "1"))
SEEDS = 20
METHODS = ("GET", "POST", "HEAD")


@pytest.fixture(scope="module")
def istio() -> Iterator[Istio]:
    with Istio() as asked:
        yield asked


def service(seed: int) -> Obj:
    """A service with random routes, of which some are closed inside of open ones."""
    draw = random.Random(seed)  # noqa: S311  # tests, no secret
    prefixes = {
        "/api" + "".join(f"/{draw.choice('abc')}" for _level in range(draw.randint(0, 2))) for _route in range(4)
    }
    found = [
        {
            "prefix": prefix,
            "methods": draw.choice([["GET"], ["POST"], ["GET", "POST"], ["GET", "POST"]]),
            "ingress": draw.random() > 0.2,
            "require_jwt": draw.random() > 0.5,
        }
        for prefix in sorted(prefixes, key=lambda text: (-len(text), text))
    ]
    return test_closed.definition(*found)


def mesh(definition: Obj) -> tuple[list[Obj], Obj]:
    """The service, the gateway with the rules of mesh_security, and the MeshConfig of the role istio."""
    rules = [
        value("mesh_security", "__mesh_security_deny_by_default"),
        value(
            "mesh_security",
            "__mesh_security_gateway",
            mesh_security_services=[definition],
            mesh_security_gateway_paths=[],
        ),
    ]
    spec = {
        "clusterIP": "10.96.0.1", "clusterIPs": ["10.96.0.1"], "type": "ClusterIP", "selector": {"app": "user-service"},
        "ports": [{"name": "http", "port": 80, "targetPort": 8080}],
    }  # fmt: skip
    objects = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": {}}}
        for name in ("istio-system", "ecommerce")
    ]
    objects += [
        pod("istio-system", "gateway", "10.0.0.1", {"istio": "ingressgateway"}, role="router"),
        pod("ecommerce", "user", "10.0.0.2", {"app": "user-service", "track": "stable"}),
        obj("v1", "Service", "ecommerce", "user-service", spec),
        value("mesh_traffic", "__mesh_traffic_gateway", mesh_traffic_https_enabled=False),
    ]
    traffic = traffic_manifests(definition)
    for item in (*rules, *traffic, *roots(traffic)[0], *security_manifests(definition)):
        objects.append({**item, "metadata": {**item["metadata"], "creationTimestamp": "2026-01-01T00:00:00Z"}})
    config = value("istio", "__istio_mesh_config")
    found = objects, {"rootNamespace": "istio-system", "pathNormalization": config["pathNormalization"]}
    plain: tuple[list[Obj], Obj] = tuple(json.loads(json.dumps(found)))  # without the types of Ansible
    return plain


class Ingress:
    """What becomes of requests from outside."""

    def __init__(self, istio: Istio, definition: Obj) -> None:
        proxies = istio.proxies(*mesh(definition), routes=True)
        self._gateway = next(found for name, found in proxies.items() if name.startswith("istio-system/"))
        self._sidecar = next(found for name, found in proxies.items() if name.startswith("ecommerce/"))

    def __call__(self, target: str, method: str, token: bool, host: str = HOST) -> int:
        return outcome(self._gateway, self._sidecar, Request(host, target, method, claims=CLAIMS if token else ()))


def targets(definition: Obj, seed: int) -> list[str]:
    """Plain paths of the routes and around them, and other spellings."""
    draw = random.Random(seed)  # noqa: S311  # tests, no secret
    found: set[str] = set()
    for route in definition["routes"]:
        prefix = route["prefix"]
        outer, _slash, name = prefix.rpartition("/")
        found |= {
            prefix,
            f"{prefix}/",
            f"{prefix}/x",
            f"{prefix}x",
            f"{outer}/{name.upper()}",
            *escapes(prefix, "metrics"),
        }
        if outer:
            found |= set(draw.sample(spelled(outer, name), 30))
    return sorted(found)


@pytest.mark.parametrize("first", range(0, SEEDS, 10))
def test_whatever_a_server_reads_is_reached_by_the_plain_path_too(istio: Istio, first: int) -> None:
    counted: Counter[int] = Counter()
    for seed in range(first, first + 10):
        definition = service(seed)
        ingress = Ingress(istio, definition)
        for target, method, token in itertools.product(targets(definition, seed), METHODS, (False, True)):
            status = ingress(target, method, token)
            counted[status] += 1
            assert (status == 200) == (test_closed.outcome(definition, target, method, token) == 200), (
                seed,
                target,
                method,
                token,
            )
            if status != 200:
                continue
            sent = normalised(normalised(target) or "") or ""
            for plain in rooted(readings(sent)):
                assert ingress(plain, method, token) == 200, (seed, target, plain, method, token)
    assert min(counted[status] for status in (200, 400, 403)) > 100, counted


def test_a_host_with_a_port_is_the_host(istio: Istio) -> None:
    definition = test_closed.definition(test_closed.CLOSED[0], test_closed.OPEN)
    ingress = Ingress(istio, definition)
    for host in (HOST, f"{HOST}:80", f"{HOST}:30080", HOST.upper(), f"{HOST.upper()}:8443"):
        assert ingress("/api/users/1", "GET", False, host) == 200
        assert ingress("/api/users/admin", "GET", False, host) == 403
        assert ingress("/api/users/%2Fadmin", "GET", False, host) == 400
        assert ingress("/api/users/admin", "GET", True, host) == 200
    for host in (
        f"{HOST}.",
        f"{HOST}.evil.example",
        f"evil.example:{HOST}",
        f"x.{HOST}",
        "evil.example",
        f"{HOST}@evil.example",
    ):
        assert ingress("/api/users/1", "GET", True, host) in (403, 404), host


def test_paths_are_normalised_as_the_inventory_says(istio: Istio) -> None:
    definition = test_closed.definition(test_closed.OPEN)
    found = istio.proxies(*mesh(definition), routes=True)
    paths = [
        chain["paths"]
        for proxy in found.values()
        for one in proxy["listeners"]
        for chain in one["chains"]
        if chain.get("paths")
    ]
    assert paths
    assert all(one == {"normalize": True, "merge": True, "escaped": "KEEP_UNCHANGED"} for one in paths)
