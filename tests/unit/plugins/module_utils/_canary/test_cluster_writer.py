# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Weights of several VirtualServices: each has a patch of its own, and a run may end between two of them."""

from __future__ import annotations

from typing import Any, cast

import pytest
from ansible_collections.servicemesh.platform.plugins.module_utils._canary import routes, settings
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.cluster_writer import ClusterWriter
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.api import Api
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import ApiError, KubeError

from tests.unit.plugins.module_utils._canary.test_parts import params
from tests.unit.plugins.module_utils._canary.test_proof import AIM, split, virtual_service
from tests.unit.plugins.module_utils._canary.test_routes import patched

Obj = dict[str, Any]


class Cluster:
    """VirtualServices that take JSON patches; those in `refused` refuse them."""

    def __init__(self) -> None:
        self.items = {
            "user-service": virtual_service("user-service", split("api"), hosts=[AIM.host]),
            "user-service-ingress": virtual_service("user-service-ingress", split("api")),
        }
        for item in self.items.values():
            item["metadata"]["resourceVersion"] = "1"
        self.refused, self.patches = set[str](), list[str]()

    def each(self, work: Any, items: Any) -> list[Any]:
        return [work(item) for item in items]

    def request(self, method: str, path: str, *, body: Any, **_more: Any) -> tuple[int, Obj]:
        name = path.rpartition("/")[2]
        assert method == "PATCH"
        if name in self.refused:
            raise ApiError(method, path, 403, {"message": "not now"})
        self.patches.append(name)
        self.items[name] = patched(self.items[name], body)
        return 200, self.items[name]

    def weights(self) -> list[int]:
        return [item["spec"]["http"][0]["route"][1]["weight"] for item in self.items.values()]


def writer(cluster: Cluster) -> ClusterWriter:
    names = [f"shop/{name}" for name in cluster.items]
    recorded = settings.settings_of(params(namespace="shop"), names)
    return ClusterWriter(cast(Api, cluster), recorded, "run/1")


def test_a_run_that_ended_between_two_patches_writes_the_other_one() -> None:
    cluster = Cluster()
    cluster.refused = {"user-service-ingress"}
    with pytest.raises(KubeError, match="not now"):
        writer(cluster).set_weight(list(cluster.items.values()), AIM, 20)
    assert cluster.weights() == [20, 0]
    assert routes.weights(cluster.items.values(), AIM) == {0, 20}, "what decides that the weight is written once more"
    cluster.refused, cluster.patches = set(), []
    writer(cluster).set_weight(list(cluster.items.values()), AIM, 20)
    assert (cluster.weights(), cluster.patches) == ([20, 20], ["user-service-ingress"])


@pytest.mark.parametrize("first", ["user-service", "user-service-ingress"])
def test_a_rollback_takes_all_of_it_back_wherever_it_was(first: str) -> None:
    cluster = Cluster()
    writer(cluster).set_weight([cluster.items[first]], AIM, 20)
    writer(cluster).set_weight(list(cluster.items.values()), AIM, 0)
    assert cluster.weights() == [0, 0]
