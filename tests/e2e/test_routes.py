# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Routes for callers outside and in the mesh: what Istio's analyzers say, and the host from inside."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from tests.e2e.releases import NAMESPACE
from tests.e2e.undivided import HOST
from tests.integration.test_charts import ISTIOCTL, there
from tests.support import Cluster, Ingress

PLATFORM = ("ecommerce", "istio-system", "ingress-nginx", "monitoring")


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
