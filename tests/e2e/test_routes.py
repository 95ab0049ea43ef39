"""Routes for callers outside and in the mesh: what Istio's analyzers say, the host from inside, and how a running platform gets there."""

from __future__ import annotations

import copy
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.releases import NAMESPACE, SERVICE, live, state
from tests.e2e.test_canary import AT_ONCE, Stream, args, as_before  # noqa: F401  # fixtures
from tests.integration.test_charts import ISTIOCTL, there
from tests.support import ROOT, Cluster, Ingress, ansible_playbook

PLATFORM = ("ecommerce", "istio-system", "ingress-nginx", "monitoring")
OTHER = "product-service"
HOST, GATEWAY = "ecommerce.example.com", "istio-system/ecommerce-gateway"
ROUTES = f"/apis/networking.istio.io/v1/namespaces/{NAMESPACE}/virtualservices"
ROOT_NAME = f"ecommerce-gateway-{HOST}"


def analysed(kubeconfig: str, namespace: str) -> list[dict[str, Any]]:
    """What `istioctl analyze` reports of a namespace."""
    argv = [there(ISTIOCTL), "--kubeconfig", kubeconfig, "analyze", "--namespace", namespace, "--output", "json"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=120)
    return list(json.loads(done.stdout))


@pytest.mark.parametrize("namespace", PLATFORM)
def test_istios_analyzers_find_nothing(kubeconfig: str, namespace: str) -> None:
    found = analysed(kubeconfig, namespace)
    assert [entry for entry in found if entry["level"] in ("Error", "Warning")] == []


# SCHEME PATH -> status and body of a request that a pod sends to any address, with the host that clients outside use.
CALL = f"""
import http.client, ssl, sys
scheme, path = sys.argv[1:]
connection = http.client.HTTPConnection("192.0.2.7", 80, timeout=15)
if scheme == "https":
    context = ssl._create_unverified_context()
    connection = http.client.HTTPSConnection("{HOST}", 443, timeout=15, context=context)
    connection._create_connection = lambda _address, *rest: __import__("socket").create_connection(("192.0.2.7", 443), *rest)
connection.request("GET", path, headers={{"Host": "{HOST}"}})
answer = connection.getresponse()
print(answer.status, answer.read().decode(errors="replace")[:300])
"""


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize(
    ("path", "status"), [("/api/products", 200), ("/api/users/1/address", 200), ("/api/orders", 403), ("/health", 403)]
)
def test_the_host_leads_from_inside_where_it_leads_from_outside(
    cluster: Cluster, ingress: Ingress, account: dict[str, Any], scheme: str, path: str, status: int
) -> None:
    """By the gateway, with its identity: a service gets in where everybody outside does, and nowhere else."""
    path = path.replace("/1/", f"/{account['id']}/")
    assert ingress("GET", path).status == status
    pod, container = cluster.app_container(NAMESPACE, "review-service")
    done = cluster.execute(NAMESPACE, pod, container, ["python3", "-c", CALL, scheme, path])
    assert done.out.startswith(str(status)), done.out


# Migration -----------------------------------------------------------------------------------------------------------


def route(cluster: Cluster, name: str) -> dict[str, Any] | None:
    return cluster.raw.get(f"{ROUTES}/{name}")


def written(cluster: Cluster, name: str, spec: dict[str, Any], labels: dict[str, str]) -> None:
    """Applies a VirtualService as the roles do."""
    body = {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": labels},
        "spec": spec,
    }
    query = {"fieldManager": "servicemesh-platform", "force": "true"}
    cluster.raw.request(
        "PATCH", f"{ROUTES}/{name}", query=query, body=body, content_type="application/apply-patch+yaml"
    )


def in_one(cluster: Cluster, *services: str) -> None:
    """Gives services their routes as an earlier version of the collection wrote them: one VirtualService for inside and outside."""
    for service in services:
        mesh, outside = route(cluster, service), route(cluster, f"{service}-ingress")
        assert mesh is not None
        assert outside is not None
        inner = {"gateways": ["mesh"], "withoutHeaders": {":authority": {"regex": f"(?i){HOST}(:[0-9]+)?"}}}
        names = {entry["name"] for entry in outside["spec"]["http"]}
        http = copy.deepcopy(mesh["spec"]["http"])
        for entry in http:
            uris = entry.get("match") or [{}]
            binds = [{"gateways": [GATEWAY]}, inner] if entry["name"] in names else [inner]
            entry["match"] = [{**bind, **uri} for bind in binds for uri in uris]
        spec = {"hosts": [*mesh["spec"]["hosts"], HOST], "gateways": [GATEWAY, "mesh"], "http": http}
        written(cluster, service, spec, mesh["metadata"]["labels"])
    root = route(cluster, ROOT_NAME)
    assert root is not None
    gone = {f"{service}-ingress" for service in services}
    root["spec"]["http"] = [
        entry for entry in root["spec"]["http"] if (entry.get("delegate") or {}).get("name") not in gone
    ]
    written(cluster, ROOT_NAME, root["spec"], root["metadata"]["labels"])
    for name in gone:
        cluster.raw.request("DELETE", f"{ROUTES}/{name}")


# Starts a canary of the routes as they are: canary.yml of this version would divide them first.
START = """
- hosts: clusters
  gather_facts: false
  module_defaults:
    group/servicemesh.platform.platform: {kubeconfig: "{{ platform_kubeconfig }}"}
  tasks:
    - ansible.builtin.include_vars: "{{ root }}/roles/user_service/{{ item }}/main.yml"
      loop: [defaults, vars]
    - servicemesh.platform.secret_versions:
        namespace: ecommerce
        names: "{{ __user_service_definition.secret_env | map(attribute='secret') | unique }}"
      register: secrets
    - servicemesh.platform.canary:
        service: user-service
        version: v1.1
        release: "{{ release | combine({'inventory': __user_service_definition | servicemesh.platform.release_of}) }}"
        canary_definitions: "{{ new | servicemesh.platform.canary_manifests(secret_versions=secrets.versions) }}"
        stable_definitions: "{{ new | servicemesh.platform.canary_manifests(track='stable', secret_versions=secrets.versions) }}"
        settings: "{{ given }}"
      vars:
        release: "{{ __user_service_definition | servicemesh.platform.release_of('v1.1') }}"
        new: "{{ __user_service_definition | servicemesh.platform.with_release(release) }}"
"""


@pytest.fixture
def divided_again(cluster: Cluster, args: tuple[str, ...]) -> Iterator[None]:  # noqa: F811
    yield
    if not all(route(cluster, f"{service}-ingress") for service in (SERVICE, OTHER)):
        run = ansible_playbook("site.yml", *args, "--tags", "user_service,product_service")
        assert run.returncode == 0, run.told


@pytest.mark.slow
@pytest.mark.changes
@pytest.mark.usefixtures("as_before", "divided_again")
def test_a_running_platform_gets_its_routes_divided_without_a_failed_request(
    args: tuple[str, ...],  # noqa: F811
    cluster: Cluster,
    ingress: Ingress,
    account: dict[str, Any],
    product: dict[str, Any],
    tmp_path: Path,
) -> None:
    """Outside first. A service in the middle of a canary is divided when that has ended: a new VirtualService would get no weight of it."""
    before = {
        name: (route(cluster, name) or {}).get("spec") for name in (SERVICE, OTHER, f"{SERVICE}-ingress", ROOT_NAME)
    }
    in_one(cluster, SERVICE, OTHER)
    streams = [Stream(ingress, f"/api/users/{account['id']}"), Stream(ingress, f"/api/products/{product['id']}")]
    settings = {**AT_ONCE, "pause_at": 50, "prometheus": {"service": "monitoring/prometheus:9090"}}
    playbook = tmp_path / "start.yml"
    playbook.write_text(START)
    more = ("-e", json.dumps({"root": str(ROOT), "given": settings}))
    started = ansible_playbook(os.path.relpath(playbook, ROOT / "playbooks"), *args, *more)
    assert started.returncode == 0, started.told
    former = route(cluster, SERVICE)
    assert former is not None

    site = ansible_playbook("site.yml", *args, "--tags", "user_service,product_service")
    assert site.returncode == 0, site.told
    assert (route(cluster, OTHER) or {})["spec"] == before[OTHER]
    during = route(cluster, SERVICE)
    assert during is not None
    assert during["metadata"]["resourceVersion"] == former["metadata"]["resourceVersion"], "the canary's routes changed"
    assert {entry["route"][1]["weight"] for entry in during["spec"]["http"]} == {50}
    assert route(cluster, f"{SERVICE}-ingress") is None

    given = ("-e", json.dumps({"service": SERVICE, "platform_canary": AT_ONCE, "report": str(tmp_path / "r.html")}))
    promoted = ansible_playbook("promote.yml", *args, *given)
    assert promoted.returncode == 0, promoted.told
    assert (live(cluster), state(cluster)["phase"]) == ("v1.1", "promoted")
    after = {name: (route(cluster, name) or {}).get("spec") for name in before}
    assert after == before
    for stream in streams:
        stream.close()
        failed = [answer for answer in stream.answers if answer[2] != 200]
        assert failed == [], f"{len(failed)} of {len(stream.answers)} requests failed"
    assert {version for _time, version, _status in streams[0].answers} == {"v1.0", "v1.1"}
