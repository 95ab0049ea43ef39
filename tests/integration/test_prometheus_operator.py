# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role observability with a real Prometheus Operator: refused without its kinds, then scraped and recorded by its Prometheus."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.servicemesh.platform.plugins.module_utils._kube import kubectl_yaml
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.client import Client
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import KubeError

from tests.integration.conftest import IMAGE, run_module
from tests.integration.metrics import deployment, prometheus
from tests.support import ROOT, Run

PLAY = ROOT / "tests" / "integration" / "prometheus_operator.yml"
REGISTRY, VERSION = "localhost/prometheus-operator", "v0.85.0"
CRD = "CustomResourceDefinition"
OWN = {"release": "test"}
OUTSIDE = {"sidecar.istio.io/inject": "false"}
Obj = dict[str, Any]


def bundle() -> list[Obj]:
    """The operator's own manifests, of the version that the local cluster has built."""
    path = Path(os.environ["KUBECONFIG"]).parent / "charts/prometheus-operator/bundle.yaml"
    return [one.value for one in kubectl_yaml.read(path.read_text(encoding="utf-8"), str(path))]


def operator(kinds: Obj, namespace: str) -> list[Obj]:
    """Its Deployment and rights for one namespace."""
    (role,), (account,), (program,) = kinds["ClusterRole"], kinds["ServiceAccount"], kinds["Deployment"]
    for item in (role, account, program):
        item["metadata"]["namespace"] = namespace
    role["kind"] = "Role"
    program["spec"]["template"]["metadata"]["labels"] |= OUTSIDE
    (container,) = program["spec"]["template"]["spec"]["containers"]
    container["image"] = f"{REGISTRY}/prometheus-operator:{VERSION}"
    reloader = f"{REGISTRY}/prometheus-config-reloader:{VERSION}"
    container["args"] = [f"--namespaces={namespace}", f"--prometheus-config-reloader={reloader}"]
    name = {"name": "prometheus-operator", "namespace": namespace}
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": name,
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "prometheus-operator"},
        "subjects": [{"kind": "ServiceAccount", **name}],
    }
    return [role, account, program, binding]


def instance(namespace: str) -> list[Obj]:
    """A Prometheus object, as somebody who runs an operator has it, with the rights that it needs, and a pod of the mesh."""
    rights = [one for one in prometheus(namespace) if one["kind"] in ("ServiceAccount", "Role", "RoleBinding")]
    spec = {
        "image": "localhost/prom/prometheus:v3.16.0",
        "version": "v3.16.0",
        "serviceAccountName": "prometheus",
        "podMonitorSelector": {"matchLabels": OWN},
        "ruleSelector": {"matchLabels": OWN},
        "evaluationInterval": "1s",
        "podMetadata": {"labels": OUTSIDE},
        "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}},
    }
    meta = {"name": "shop", "namespace": namespace}
    pause = {"name": "app", "image": IMAGE}
    return [
        *rights,
        {"apiVersion": "monitoring.coreos.com/v1", "kind": "Prometheus", "metadata": meta, "spec": spec},
        deployment(namespace, "user-service", pause, {}, labels={"track": "stable"}),
    ]


def converge(namespace: str, **more: Any) -> Run:
    """A run of the role for the namespace."""
    variables: Obj = {
        "platform_kubeconfig": os.environ["KUBECONFIG"],
        "platform_monitoring_namespace": namespace,
        "platform_namespace": namespace,
        "platform_istio": "external",  # the Telemetry object is for the namespace and not for the mesh
        "platform_tracing": "none",
        "observability_access_log_format": "text",
        "observability_prometheus": "operator",
        "observability_operator_labels": OWN,
        "observability_scrape_interval": "1s",
        "observability_scrape_timeout": "1s",
        **more,
    }
    command = [str(Path(sys.executable).with_name("ansible-playbook")), str(PLAY), "-i", "inventories/local"]
    done = subprocess.run(
        [*command, "-e", json.dumps(variables)],
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_NOCOLOR": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=180,
        check=False,
    )
    return Run(done.returncode, done.stdout)


def where(run: Run) -> str:
    """Where a run says that consumers find Prometheus."""
    found = re.search(r"prometheus is ([^.]+)\.", run.text)
    assert found, run.told
    return found[1]


@pytest.fixture
def kinds() -> Obj:
    """The operator's manifests by kind."""
    found: Obj = {}
    for one in bundle():
        found.setdefault(one["kind"], []).append(one)
    return found


@pytest.fixture
def bed(cluster: None, client: Client, kinds: Obj) -> Iterator[str]:
    """A namespace of the mesh. The operator's kinds go with it."""
    name = f"t-operator-{uuid.uuid4().hex[:8]}"
    body = {"metadata": {"name": name, "labels": {"istio-injection": "enabled"}}}
    client.request("POST", "/api/v1/namespaces", body=body)
    yield name
    client.request("DELETE", f"/api/v1/namespaces/{name}")
    for kind in kinds[CRD]:
        path = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{kind['metadata']['name']}"
        if client.get(path) is not None:
            client.request("DELETE", path)


def test_an_operators_prometheus_observes_the_platform(
    bed: str, client: Client, kinds: Obj, apply: Callable[..., dict[str, Any]]
) -> None:
    refused = converge(bed)
    assert refused.returncode != 0
    assert "podmonitors.monitoring.coreos.com: the cluster does not know this kind" in refused.text
    assert client.get(f"/apis/telemetry.istio.io/v1/namespaces/{bed}/telemetries/mesh-default") is None

    apply(*kinds[CRD])
    done = converge(bed)
    assert done.returncode == 0, done.told
    # After the role: the kubelet takes up to a minute to bring a changed configuration to a Prometheus that runs.
    apply(*operator(kinds, bed), *instance(bed), wait=False)
    address = where(done)
    assert address == f"{bed}/prometheus-operated:9090"

    namespace, _, service = address.partition("/")
    wanted = [
        "up{job='mesh-proxies', app='user-service'} == 1",
        "service:ready_pods{app='user-service', track='stable'} == 1",
    ]
    path = f"/api/v1/namespaces/{namespace}/services/{service}/proxy/api/v1/query"
    deadline = time.monotonic() + 90
    while wanted:
        try:
            answer = client.get(path, query={"query": wanted[0]}) or {}
        except KubeError as error:  # the pod comes up
            answer = {"error": str(error)}
        if (answer.get("data") or {}).get("result"):
            wanted.pop(0)
            continue
        assert time.monotonic() < deadline, (wanted, answer)
        time.sleep(0.5)

    # The same Prometheus as somebody else's: the rules are brought to it, and it is asked where the inventory says.
    monitors = f"/apis/monitoring.coreos.com/v1/namespaces/{bed}/podmonitors"
    before = [item["metadata"]["uid"] for item in client.list_all(monitors)[0]]
    external = converge(
        bed,
        platform_prometheus="external",
        platform_prometheus_address={"service": address},
        observability_external_rules="prometheusrule",
        observability_dashboards=False,
    )
    assert external.returncode == 0, external.told
    assert where(external) == address
    assert [item["metadata"]["uid"] for item in client.list_all(monitors)[0]] == before, "they are not this mode's"

    # All rules are there; those whose turn came are evaluated, and none fails. The page has their alerts.
    rules = f"/apis/monitoring.coreos.com/v1/namespaces/{bed}/prometheusrules"
    (ours,) = client.list_all(rules)[0]
    wanted_rules = {group["name"]: len(group["rules"]) for group in ours["spec"]["groups"]}
    path = f"/api/v1/namespaces/{namespace}/services/{service}/proxy/api/v1/rules"
    deadline = time.monotonic() + 20
    while True:
        groups = (client.get(path) or {})["data"]["groups"]
        health = {
            (rule["name"], group["interval"], rule.get("lastError")): rule["health"]
            for group in groups
            for rule in group["rules"]
        }
        soon = {health[rule] for rule in health if rule[1] < 60}
        if soon == {"ok"}:
            break
        assert time.monotonic() < deadline, health
        time.sleep(0.5)
    assert "err" not in health.values(), health
    assert {group["name"]: len(group["rules"]) for group in groups} == wanted_rules
    traffic = run_module("traffic_info", namespaces=[bed], prometheus={"service": address})
    assert traffic["alert_rules"] == sum("alert" in rule for group in ours["spec"]["groups"] for rule in group["rules"])
    (alert,) = [entry for entry in traffic["alerts"] if entry["name"] == "IngressDown"]
    assert alert["own"], traffic["alerts"]
