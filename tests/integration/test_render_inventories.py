# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every manifest that each inventory renders is one that a real API server takes, tried by dry run.

``site.yml --check`` with the inventory's own variables, against the cluster of KUBECONFIG: every role's objects go through server-side dry
run. What differs is only where charts come from (those of the local cluster) and the namespaces (new ones, deleted afterwards), so that the
platform that may run there is not compared with.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.support import ROOT, Cluster, ansible_playbook

ENVIRONMENTS = ["dev", "staging", "prod"]  # the end-to-end tests run the local one
pytestmark = [pytest.mark.cluster, pytest.mark.slow]


@pytest.fixture(scope="module")
def cluster() -> Cluster:
    return Cluster(os.environ["KUBECONFIG"])


def local_sources() -> dict[str, Any]:
    """Where the local cluster has its charts and helm."""
    found: dict[str, Any] = {}
    for path in (ROOT / "inventories" / "local" / "group_vars" / "clusters").glob("*.yml"):
        found.update(yaml.safe_load(path.read_text(encoding="utf-8")))
    return {name: found[name] for name in ("platform_helm_binary", "istio_chart_source", "nginx_ingress_chart")}


@pytest.fixture(params=ENVIRONMENTS)
def namespaces(request: pytest.FixtureRequest, cluster: Cluster) -> Iterator[tuple[str, dict[str, str]]]:
    """(environment, its namespaces): a dry run can only create objects in namespaces that are there."""
    from kubernetes import client

    names = {
        f"platform_{purpose}": f"t-render-{request.param}-{word}"
        for purpose, word in (
            ("namespace", "shop"),
            ("istio_namespace", "istio"),
            ("ingress_namespace", "ingress"),
            ("monitoring_namespace", "monitoring"),
        )
    }
    for name in names.values():
        cluster.core.create_namespace(client.V1Namespace(metadata=client.V1ObjectMeta(name=name)))
    if request.param == "prod":  # README.md says to create it before the first run: prod has no self-signed certificate
        tls = client.V1Secret(
            metadata=client.V1ObjectMeta(name="ecommerce-tls"),
            type="kubernetes.io/tls",
            string_data={"tls.crt": "", "tls.key": ""},
        )
        cluster.core.create_namespaced_secret(names["platform_istio_namespace"], tls)
    yield request.param, names
    for name in names.values():
        cluster.core.delete_namespace(name)


def test_the_api_server_takes_what_an_inventory_renders(namespaces: tuple[str, dict[str, str]]) -> None:
    environment, names = namespaces
    variables = {
        **local_sources(),
        **names,
        "platform_kubeconfig": os.environ["KUBECONFIG"],
        "platform_context": "",
        "platform_serial": "100%",
        "platform_image_registry": "registry.example.com/shop",
        # The local node provides no volumes; whether there is a StorageClass is not what is tried here.
        "cluster_prep_preflight_ignore": ["storage"],
        # The platform that may run there has its own controller's class.
        "nginx_ingress_class": f"t-render-{environment}",
    }
    extra = yaml.safe_dump(variables, default_flow_style=True, width=10**6).strip()
    run = ansible_playbook("site.yml", "-i", f"inventories/{environment}", "--check", "-e", extra)
    assert run.returncode == 0, run.told
    assert run.recap, run.told
    for host, counters in run.recap.items():
        assert counters["failed"] == counters["unreachable"] == 0, host
        assert counters["changed"] >= 10, f"{host}: a fresh set of namespaces has everything to be made"
