# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Unit tests of _mesh/diagnose/proxy_config: dumps of Envoy and istiod, summarised and compared."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from ansible_collections.servicemesh.platform.plugins.module_utils._mesh.diagnose.findings import understood
from ansible_collections.servicemesh.platform.plugins.module_utils._mesh.diagnose.proxy_config import (
    differences,
    dump_of,
    endpoints_of,
    summary,
)

ANY = "type.googleapis.com/envoy.admin.v3."
ENVOY: dict[str, Any] = {
    "configs": [
        {"@type": f"{ANY}BootstrapConfigDump"},
        {
            "@type": f"{ANY}ClustersConfigDump",
            "version_info": "x",
            "dynamic_active_clusters": [
                {"version_info": "1", "last_updated": "2026",
                 "cluster": {"@type": "c", "name": "out|80||web", "type": "EDS", "connect_timeout": "10s", "consecutive_5xx": 5}},
                {"cluster": {"name": "out|80||cart", "type": "EDS"}},
            ],
            "dynamic_warming_clusters": [{"cluster": {"name": "late"}}],
        },
        {
            "@type": f"{ANY}ListenersConfigDump",
            "dynamic_listeners": [
                {"name": "l1",
                 "active_state": {"listener": {"name": "l1", "traffic_direction": "IN", "address": {"socket_address": {"port_value": 80}}}},
                 "error_state": {"details": "no such filter"}},
            ],
        },
        {"@type": f"{ANY}RoutesConfigDump",
         "dynamic_route_configs": [{"route_config": {"name": "80", "virtual_hosts": [{"domains": ["web", "web.shop"]}]}}]},
        {"@type": f"{ANY}SecretsConfigDump", "dynamic_active_secrets": [{"name": "default"}, {"name": "ROOTCA"}]},
    ]
}  # fmt: skip
ISTIOD: dict[str, Any] = {
    "configs": [
        {
            "@type": f"{ANY}ClustersConfigDump",
            "dynamicActiveClusters": [
                {"cluster": {"@type": "c", "name": "out|80||cart", "type": "EDS", "metadata": {}}},
                {"cluster": {"@type": "c", "name": "out|80||web", "type": "EDS", "connectTimeout": "10s", "consecutive5xx": 5}},
            ],
        },
        {
            "@type": f"{ANY}ListenersConfigDump",
            "dynamicListeners": [
                {"name": "l1",
                 "activeState": {"listener": {"name": "l1", "trafficDirection": "IN", "address": {"socketAddress": {"portValue": "80"}}}}}
            ],
        },
        {"@type": f"{ANY}RoutesConfigDump",
         "dynamicRouteConfigs": [{"routeConfig": {"name": "80", "virtualHosts": [{"domains": ["web", "web.shop"]}]}}]},
    ]
}  # fmt: skip


def test_the_same_in_both_spellings_differs_in_nothing() -> None:
    """Order, versions, times, camelCase, texts of numbers and empty messages are no difference."""
    assert differences(dump_of(ENVOY), dump_of(ISTIOD)) == []


def test_each_kind_of_difference() -> None:
    other = copy.deepcopy(ISTIOD)
    other["configs"][0]["dynamicActiveClusters"][1]["cluster"]["connectTimeout"] = "1s"
    other["configs"][1]["dynamicListeners"].append({"activeState": {"listener": {"name": "l2"}}})
    other["configs"][2]["dynamicRouteConfigs"] = []
    found = differences(dump_of(ENVOY), dump_of(other))
    assert [str(entry) for entry in found] == [
        "cluster out|80||web differs in connect_timeout",
        "listener l2 is only in istiod",
        "route 80 is only in Envoy",
    ]
    other = copy.deepcopy(ISTIOD)
    other["configs"][2]["dynamicRouteConfigs"][0]["routeConfig"]["virtualHosts"][0]["domains"].append("more")
    assert [str(entry) for entry in differences(dump_of(ENVOY), dump_of(other))] == [
        "route 80 differs in virtual_hosts[0].domains (2 in Envoy, 3 in istiod)"
    ]


def test_the_summary() -> None:
    statuses = {
        "cluster_statuses": [
            {
                "name": "out|80||web",
                "host_statuses": [
                    {"health_status": {"eds_health_status": "HEALTHY"}},
                    {"health_status": {"failed_outlier_check": True}},
                ],
            }
        ]
    }
    assert summary(dump_of(ENVOY), endpoints_of(statuses)) == {
        "clusters": 2,
        "clusters_without_endpoints": ["out|80||cart"],
        "endpoints": 2,
        "unhealthy_endpoints": {"out|80||web": 1},
        "listeners": ["l1"],
        "routes": {"80": ["web"]},
        "secrets": ["ROOTCA", "default"],
        "extensions": [],
        "warming": ["late"],
        "refused": {"l1": "no such filter"},
    }


def test_entries_of_another_shape_are_an_error() -> None:
    for answer in ({"configs": [5]}, {"configs": [{"@type": f"{ANY}RoutesConfigDump", "dynamic_route_configs": [5]}]}):
        with pytest.raises(ValueError, match="expected shape"):
            understood(dump_of, answer)


@pytest.mark.parametrize("answer", [None, [], {"configs": "x"}, {"error": 1}])
def test_another_shape_is_an_error(answer: Any) -> None:
    for read in (dump_of, endpoints_of):
        with pytest.raises(ValueError, match="no list"):
            read(answer)
