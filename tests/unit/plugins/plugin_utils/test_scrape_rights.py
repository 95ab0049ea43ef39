# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Prometheus gets the rights that its scrape jobs need, and no others."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.servicemesh.platform.plugins.plugin_utils._scrape_rights import rights

READ = ["get", "list", "watch"]


def job(role: str, *namespaces: str, **more: Any) -> dict[str, Any]:
    discovery: dict[str, Any] = {"role": role}
    if namespaces:
        discovery["namespaces"] = {"names": list(namespaces)}
    return {"job_name": "a", "kubernetes_sd_configs": [discovery], **more}


def rule(group: str, *resources: str) -> dict[str, list[str]]:
    return {"apiGroups": [group], "resources": list(resources), "verbs": READ}


def test_static_targets_need_none() -> None:
    assert rights([{"job_name": "a", "static_configs": [{"targets": ["localhost:9090"]}]}]) == {
        "cluster": [],
        "namespaces": {},
    }


def test_what_is_discovered_in_namespaces_is_read_there() -> None:
    found = rights([job("pod", "b", "a"), job("endpointslice", "a"), job("service", "c")])
    assert found == {
        "cluster": [],
        "namespaces": {
            "a": [rule("", "pods", "services"), rule("discovery.k8s.io", "endpointslices")],
            "b": [rule("", "pods")],
            "c": [rule("", "services")],
        },
    }


def test_pages_are_for_jobs_that_show_their_token() -> None:
    token = {"authorization": {"credentials_file": "token"}}
    found = rights(
        [job("node", metrics_path="/metrics/cadvisor", **token), job("endpoints", "default", **token), job("pod")]
    )
    assert found["cluster"] == [
        rule("", "nodes", "pods"),
        {"apiGroups": [""], "resources": ["nodes/metrics"], "verbs": ["get"]},
        {"nonResourceURLs": ["/metrics"], "verbs": ["get"]},
    ]
    assert rights([job("node")])["cluster"] == [rule("", "nodes")]


def test_a_discovery_that_is_not_known_is_an_error() -> None:
    with pytest.raises(ValueError, match="job a: discovery of 'gateway' is not known"):
        rights([job("gateway")])
