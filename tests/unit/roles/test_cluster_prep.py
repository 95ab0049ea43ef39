# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What cluster_prep writes, and where: nothing into kube-system unless asked for, nothing that is not so."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from tests.role_values import rendered, value

READ = {"facts": {"pod_cidrs": ["10.8.0.0/14"], "service_cidrs": ["10.12.0.0/20"], "network_plugin": "cilium"}}


def objects(**overrides: Any) -> list[dict[str, Any]]:
    chosen: list[dict[str, Any]] = value("cluster_prep", "__cluster_prep_chosen", **overrides)
    return [*value("cluster_prep", "__cluster_prep_namespace_objects", **overrides), *chosen]


def test_nothing_is_written_to_kube_system_by_default() -> None:
    assert [one for one in objects() if one["metadata"].get("namespace") == "kube-system"] == []
    assert value("cluster_prep", "__cluster_prep_not_chosen")[0]["kind"] != "ConfigMap", "nor deleted there"
    assert "kube-system" not in rendered("cluster_prep", "permissions.yml.j2")


def test_it_asks_for_its_right_when_it_writes_there() -> None:
    needed = yaml.safe_load(rendered("cluster_prep", "permissions.yml.j2", cluster_prep_config=True))
    assert [entry["resource"] for entry in needed if entry.get("namespace") == "kube-system"] == ["configmaps"]


@pytest.mark.parametrize(
    ("given", "data"),
    [
        ({}, {"dns-domain": "cluster.local"}),
        (
            {"__cluster_prep_cluster": READ},
            {
                "dns-domain": "cluster.local",
                "pod-cidr": "10.8.0.0/14",
                "service-cidr": "10.12.0.0/20",
                "cni-plugin": "cilium",
            },
        ),
        (
            {"__cluster_prep_cluster": {"facts": {"pod_cidrs": [], "service_cidrs": ["10.96.0.0/12", "fd00::/108"], "network_plugin": ""}}},
            {"dns-domain": "cluster.local", "service-cidr": "10.96.0.0/12,fd00::/108"},
        ),
        (
            {"__cluster_prep_cluster": READ, "cluster_prep_pod_cidr": "10.8.0.0/13", "cluster_prep_cni_plugin": "anetd"},
            {"dns-domain": "cluster.local", "pod-cidr": "10.8.0.0/13", "service-cidr": "10.12.0.0/20", "cni-plugin": "anetd"},
        ),
    ],
    ids=["nothing read", "read", "partly read", "given"],
)  # fmt: skip
def test_the_config_has_real_values_or_none(given: dict[str, Any], data: dict[str, str]) -> None:
    (made,) = [one for one in objects(cluster_prep_config=True, **given) if one["kind"] == "ConfigMap"]
    assert (made["metadata"]["name"], made["metadata"]["namespace"]) == ("cluster-config", "kube-system")
    assert made["data"] == data


def test_one_of_an_earlier_run_is_deleted_when_it_is_not_wanted_any_more() -> None:
    former = {"results": [[{"kind": "ConfigMap", "metadata": {"name": "cluster-config"}}]]}
    retired = value("cluster_prep", "__cluster_prep_not_chosen", __cluster_prep_former=former)
    assert retired[0]["metadata"] == {"name": "cluster-config", "namespace": "kube-system"}


def test_each_namespace_says_that_it_was_prepared() -> None:
    made = [one for one in objects() if one["kind"] == "Namespace"]
    assert len(made) == 4
    for one in made:
        assert one["metadata"]["annotations"] == {"servicemesh.platform/prepared-by": "cluster-prep"}


def test_namespaces_of_other_roles_of_the_play_are_checked_as_well() -> None:
    given: dict[str, Any] = {
        "ansible_play_role_names": [
            "servicemesh.platform.mesh_security",
            "review_service",
            "servicemesh.platform.istio",
        ],
        "mesh_security_namespace": "theirs",
        "review_service_namespace": "reviews",
        "istio_namespace": "istio-system",
        "datastore_namespace": "not in this play",
    }
    assert value("cluster_prep", "__cluster_prep_roles_namespaces", **given) == ["theirs", "reviews"]
    assert value("cluster_prep", "__cluster_prep_roles_namespaces") == []
