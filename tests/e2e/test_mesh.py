# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Allowed and refused calls inside the mesh. Every refusal has a control: the same call by an allowed caller."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support import Cluster

NAMESPACE = "ecommerce"
POSTGRES_SSL_REQUEST = bytes.fromhex("0000000804d2162f")  # the server answers with one byte, S or N
REDIS_PING = b"PING\r\n"
SERVICES = [
    "user-service",
    "product-service",
    "order-service",
    "payment-service",
    "review-service",
    "recommendation-service",
]


@pytest.mark.parametrize(
    ("caller", "method", "url", "allowed"),
    [
        ("product-service", "GET", "http://user-service/api/users/{id}/profile", True),
        ("product-service", "DELETE", "http://user-service/api/users/{id}/profile", False),
        ("product-service", "GET", "http://user-service/api/users/{id}", False),
        ("order-service", "GET", "http://user-service/api/users/{id}/address", True),
        ("order-service", "GET", "http://user-service/api/users/{id}/profile", False),
        ("order-service", "GET", "http://product-service/api/products", False),
        ("recommendation-service", "GET", "http://product-service/api/products", True),
        ("recommendation-service", "GET", "http://review-service/api/reviews", True),
        ("recommendation-service", "GET", "http://user-service/api/users/{id}/profile", False),
        ("review-service", "GET", "http://user-service/api/users/{id}/profile", False),
        ("review-service", "GET", "http://user-service/health", False),
        ("payment-service", "GET", "http://order-service/api/orders", False),
        ("user-service", "GET", "http://payment-service/api/payments", False),
    ],
)
def test_only_listed_callers_get_through(
    cluster: Cluster, account: dict[str, Any], caller: str, method: str, url: str, allowed: bool
) -> None:
    status, body = cluster.call_as(caller, method, url.format(id=account["id"]))
    if allowed:
        assert status == 200, body
    else:
        assert status == 403, body
        assert "RBAC: access denied" in body


@pytest.mark.parametrize("caller", SERVICES)
def test_every_service_may_read_the_public_key(cluster: Cluster, caller: str) -> None:
    status, body = cluster.call_as(caller, "GET", "http://user-service/api/users/.well-known/jwks.json")
    assert status == 200, body
    assert '"OKP"' in body


@pytest.mark.parametrize("owner", SERVICES)
def test_a_database_answers_its_owner_only(cluster: Cluster, owner: str) -> None:
    database = owner.replace("-service", "-db")
    assert cluster.talk_as(owner, database, 5432, POSTGRES_SSL_REQUEST) in ("53", "4e")
    other = SERVICES[(SERVICES.index(owner) + 1) % len(SERVICES)]
    assert cluster.talk_as(other, database, 5432, POSTGRES_SSL_REQUEST) == "closed"


def test_redis_answers_product_only(cluster: Cluster) -> None:
    assert bytes.fromhex(cluster.talk_as("product-service", "redis", 6379, REDIS_PING)).startswith(
        (b"+PONG", b"-NOAUTH")
    )
    assert cluster.talk_as("user-service", "redis", 6379, REDIS_PING) == "closed"


@pytest.mark.parametrize("service", SERVICES)
def test_plaintext_is_refused(cluster: Cluster, service: str) -> None:
    """Traffic of uid 1337 is not intercepted, so curl in a sidecar's container is a client without a certificate."""
    target = cluster.pods(NAMESPACE, f"app={service},track=stable")[-1]
    prober = cluster.pods(NAMESPACE, f"app={SERVICES[SERVICES.index(service) - 1]},track=stable")[-1]
    argv = ["curl", "--silent", "--show-error", "--max-time", "10", f"http://{target.status.pod_ip}:8080/health"]
    done = cluster.execute(NAMESPACE, prober.metadata.name, "istio-proxy", argv)
    assert done.code in (52, 56), f"expected an empty answer or a reset, got {done}"
    # The control: the kubelet sends the same request to the same sidecar, and it works.
    conditions = {c.type: c.status for c in target.status.conditions}
    assert conditions["Ready"] == "True"


@pytest.mark.parametrize("service", SERVICES)
def test_pods_follow_good_practice(cluster: Cluster, service: str) -> None:
    for pod in cluster.pods(NAMESPACE, f"app={service}"):
        (container,) = [c for c in pod.spec.containers if c.name != "istio-proxy"]
        security = container.security_context
        assert security.run_as_non_root or pod.spec.security_context.run_as_non_root
        assert security.read_only_root_filesystem
        assert not security.allow_privilege_escalation
        assert security.capabilities.drop == ["ALL"]
        assert container.resources.requests
        assert container.resources.limits
        assert container.readiness_probe.timeout_seconds >= 2
        assert pod.spec.service_account_name == service
        names = [c.name for c in [*pod.spec.containers, *(pod.spec.init_containers or [])]]
        assert "istio-proxy" in names, "not a member of the mesh"
