# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""teardown.yml deletes what site.yml created and nothing else; site.yml creates it again."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.support import Cluster, Ingress, ansible_playbook

pytestmark = pytest.mark.changes

NAMESPACE = "ecommerce"
TAG = ("--tags", "review_service")


@pytest.fixture
def args(kubeconfig: str) -> tuple[str, ...]:
    return ("-i", "inventories/local", "-e", f"platform_kubeconfig={kubeconfig}")


@pytest.fixture
def foreign(cluster: Cluster) -> Iterator[str]:
    """A foreign ConfigMap with a name that the service could have."""
    from kubernetes import client

    name = "review-service-notes"
    meta = client.V1ObjectMeta(name=name, labels={"app": "review-service"})
    cluster.core.create_namespaced_config_map(NAMESPACE, client.V1ConfigMap(metadata=meta, data={"mine": "yes"}))
    yield name
    cluster.core.delete_namespaced_config_map(name, NAMESPACE)


def objects(cluster: Cluster, part: str) -> set[str]:
    """Kind/name of objects with the label of one set, among the kinds of a service."""
    found = set()
    for path in (
        f"/api/v1/namespaces/{NAMESPACE}/services",
        f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts",
        f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments",
        f"/apis/networking.istio.io/v1/namespaces/{NAMESPACE}/virtualservices",
        f"/apis/networking.istio.io/v1/namespaces/{NAMESPACE}/destinationrules",
        f"/apis/security.istio.io/v1/namespaces/{NAMESPACE}/authorizationpolicies",
    ):
        for item in cluster.get(path)["items"]:
            if (item["metadata"].get("labels") or {}).get("app.kubernetes.io/part-of") == part:
                found.add(f"{path.rpartition('/')[2]}/{item['metadata']['name']}")
    return found


def answers(ingress: Ingress, path: str, within: float) -> bool:
    """Whether a path answers 200 within this number of seconds: a pod is ready a moment before the gateways' Envoys know it."""
    deadline = time.monotonic() + within
    while ingress("GET", path).status != 200:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.5)
    return True


def test_a_check_run_deletes_nothing(args: tuple[str, ...], cluster: Cluster) -> None:
    before = objects(cluster, "review-service")
    run = ansible_playbook("teardown.yml", *args, "-e", "confirm=local", "--check")
    assert run.returncode == 0, run.told
    assert all(counters["changed"] >= 10 for counters in run.recap.values()), run.told
    assert objects(cluster, "review-service") == before


@pytest.mark.slow
def test_one_service_goes_and_comes_back(
    args: tuple[str, ...], cluster: Cluster, ingress: Ingress, foreign: str
) -> None:
    before = {name: objects(cluster, name) for name in ("review-service", "payment-service")}
    assert "deployments/review-service" in before["review-service"]
    try:
        run = ansible_playbook("teardown.yml", *args, "-e", "confirm=local", *TAG)
        assert run.returncode == 0, run.told
        assert objects(cluster, "review-service") == set()
        assert objects(cluster, "payment-service") == before["payment-service"]
        assert cluster.core.read_namespaced_config_map(foreign, NAMESPACE).data == {"mine": "yes"}
        assert ingress("GET", "/api/reviews").status in (403, 404, 503)
        assert ingress("GET", "/api/products").status == 200
        again = ansible_playbook("teardown.yml", *args, "-e", "confirm=local", *TAG)
        assert again.returncode == 0, again.told
        assert all(counters["changed"] == 0 for counters in again.recap.values()), again.told
    finally:
        back = ansible_playbook("site.yml", *args, *TAG)
    assert back.returncode == 0, back.told
    assert objects(cluster, "review-service") == before["review-service"]
    assert answers(ingress, "/api/reviews", within=15), "the gateway does not know the new pod"
