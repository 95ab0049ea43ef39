# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose a namespace is, by what was found there."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.servicemesh.platform.plugins.module_utils._preflight import checks, ownership
from ansible_collections.servicemesh.platform.plugins.module_utils._preflight.checks import Facts, Wanted
from ansible_collections.servicemesh.platform.plugins.module_utils._preflight.ownership import Contents, Item, Use
from hypothesis import given
from hypothesis import strategies as st

OURS = {"app.kubernetes.io/managed-by": "servicemesh-platform", "app.kubernetes.io/part-of": "cluster-prep"}
OWNER = "cluster-prep"


def item(kind: str, name: str = "x", group: str = "", **metadata: Any) -> Item:
    return Item(group, kind, {"name": name, **metadata})


def namespace(name: str = "shop", **metadata: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, **metadata}}


DEPLOYMENT = item("Deployment", "cart", "apps", uid="d")
REPLICA_SET = item("ReplicaSet", "cart-1", "apps", uid="r", ownerReferences=[{"uid": "d"}])

# What is in a namespace -> whose it is, and what shows that.
CASES: dict[str, tuple[list[Item], Use, list[str]]] = {
    "nothing": ([], Use.FREE, []),
    "what every namespace has": (
        [item("ConfigMap", "kube-root-ca.crt"), item("ConfigMap", "istio-ca-root-cert"), item("ServiceAccount", "default")],
        Use.FREE,
        [],
    ),
    "a namespace that a platform team has prepared": (
        [
            item("ResourceQuota"),
            item("LimitRange"),
            item("Role", group="rbac.authorization.k8s.io"),
            item("RoleBinding", group="rbac.authorization.k8s.io"),
            item("NetworkPolicy", group="networking.k8s.io"),
            item("ServiceAccount", "deployer"),
            item("Secret", "ecommerce-tls"),
            item("Certificate", "ecommerce-tls", "cert-manager.io"),
        ],
        Use.FREE,
        [],
    ),
    "pods of a Deployment": (
        [item("Pod", "cart-1-a", ownerReferences=[{"uid": "r"}]), REPLICA_SET, DEPLOYMENT],
        Use.USED,
        ["Deployment cart"],
    ),
    "a pod alone": ([item("Pod", "job")], Use.USED, ["Pod job"]),
    "an owner of the whole cluster": (
        [item("Deployment", "istiod", "apps", ownerReferences=[{"uid": "of-a-cluster-scoped-object"}])],
        Use.USED,
        ["Deployment istiod"],
    ),
    "a Service without pods": ([item("Service", "cart")], Use.USED, ["Service cart"]),
    "a volume": ([item("PersistentVolumeClaim", "data")], Use.USED, ["PersistentVolumeClaim data"]),
    "data": ([item("ConfigMap", "settings")], Use.USED, ["ConfigMap settings"]),
    "a chart release": (
        [item("Secret", "sh.helm.release.v1.shop.v1", labels={"owner": "helm"})],
        Use.USED,
        ["Secret sh.helm.release.v1.shop.v1"],
    ),
    "routes of a mesh": (
        [item("VirtualService", "cart", "networking.istio.io")],
        Use.USED,
        ["VirtualService cart"],
    ),
    "a kind that nobody here knows": ([item("Kafka", "events", "kafka.example.com")], Use.USED, ["Kafka events"]),
    "a kind of a known name in another group": ([item("Role", "admin", "iam.example.com")], Use.USED, ["Role admin"]),
    "objects of this collection": (
        [item("Deployment", "user-service", "apps", labels=OURS), item("Service", "user-service", labels=OURS)],
        Use.FREE,
        [],
    ),
    "objects of this collection beside those of others": (
        [item("Deployment", "user-service", "apps", labels=OURS), DEPLOYMENT],
        Use.USED,
        ["Deployment cart"],
    ),
    "what the server computes": (
        [item("PodMetrics", "cart", "metrics.k8s.io"), item("Event", "cart.1"), item("Event", "cart.1", "events.k8s.io")],
        Use.FREE,
        [],
    ),
    "copies in every namespace": (
        [item("ClusterServiceVersion", "o.v1", "operators.coreos.com", labels={"olm.copiedFrom": "operators"})],
        Use.FREE,
        [],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_what_is_there_tells_whose_it_is(case: str) -> None:
    items, use, evidence = CASES[case]
    judgement = ownership.judged(Contents(tuple(items)))
    assert (judgement.use, list(judgement.evidence)) == (use, evidence)


def test_what_could_not_be_read_is_not_taken_for_empty() -> None:
    judgement = ownership.judged(Contents((), ("pods", "kafkas.kafka.example.com")))
    assert (judgement.use, judgement.evidence) == (Use.UNKNOWN, ("pods", "kafkas.kafka.example.com"))
    assert ownership.judged(Contents((DEPLOYMENT,), ("pods",))).use is Use.USED, "one object is enough"


@given(st.lists(st.tuples(st.text(), st.text(min_size=1), st.text(min_size=1)), min_size=1))
def test_an_unknown_kind_is_always_a_use(drawn: list[tuple[str, str, str]]) -> None:
    """Open world: nothing but what is listed as no use leaves a namespace free."""
    items = tuple(item(kind, name, f"{group}.test") for group, kind, name in drawn)
    assert ownership.judged(Contents(items)).use is Use.USED


@pytest.mark.parametrize(
    ("metadata", "prepared"),
    [
        ({}, False),
        ({"labels": OURS}, True),
        # Somebody's own play, which made a namespace with the module apply.
        ({"labels": {**OURS, "app.kubernetes.io/part-of": "their-set"}}, False),
        ({"labels": {"app.kubernetes.io/part-of": "cluster-prep"}}, False),
        ({"annotations": {"servicemesh.platform/prepared-by": "cluster-prep"}}, True),
        ({"annotations": {"servicemesh.platform/prepared-by": "another"}}, False),
        ({"labels": {"istio-injection": "enabled"}}, False),
    ],
)
def test_a_namespace_that_the_platform_prepared_is_its_own(metadata: dict[str, Any], prepared: bool) -> None:
    assert ownership.is_prepared(namespace(**metadata), OWNER) is prepared


def findings(namespaces: list[dict[str, Any]] | None, contents: dict[str, Contents], **wanted: Any) -> list[Any]:
    expected = Wanted(**{"namespaces": ("shop", "monitoring"), "owner": OWNER, **wanted})
    facts = Facts({"gitVersion": "v1.35.4"}, namespaces=namespaces, contents=contents)
    return [found for found in checks.findings_of(facts, expected) if found.check == "ownership"]


USED = {"shop": Contents((DEPLOYMENT, item("Service", "cart")))}


def test_a_namespace_that_somebody_uses_is_an_error_that_names_what_was_found() -> None:
    (found,) = findings([namespace()], USED)
    assert found.severity == "error"
    assert found.subject == "Namespace shop"
    assert "somebody else made it and uses it: Deployment cart, Service cart" in found.message
    assert "platform_namespace" in found.action
    assert "platform_adopt_namespaces: [shop]" in found.action


def test_the_inventory_may_adopt_it() -> None:
    assert findings([namespace()], {}, adopt=frozenset({"shop"})) == []
    assert len(findings([namespace()], USED, adopt=frozenset({"monitoring"}))) == 1


@pytest.mark.parametrize(
    "namespaces",
    [[], [namespace("other")], [namespace(labels=OURS)], [namespace(annotations={ownership.PREPARED_BY: OWNER})]],
)
def test_nothing_is_read_for_a_namespace_that_is_new_or_ours(namespaces: list[dict[str, Any]]) -> None:
    wanted = Wanted(namespaces=("shop", "monitoring"), owner=OWNER)
    assert checks.unprepared(namespaces, wanted) == []
    assert findings(namespaces, {}) == []


def test_namespaces_that_could_not_be_read_are_named() -> None:
    found = findings(None, {})
    assert [one.subject for one in found] == ["Namespace monitoring", "Namespace shop"]
    (one,) = findings([namespace()], {"shop": Contents((), ("pods",))})
    assert "whether somebody else uses it is not known, because these cannot be read: pods" in one.message


def test_without_an_owner_nothing_is_checked() -> None:
    assert findings([namespace()], {}, owner="") == []


def test_many_objects_are_counted() -> None:
    contents = {"shop": Contents(tuple(item("Service", f"s{number}") for number in range(9)))}
    (found,) = findings([namespace()], contents)
    assert "Service s5 and 3 more" in found.message


def test_a_server_that_does_not_answer_leaves_kinds_out() -> None:
    """apidiscovery.k8s.io/v2, as a cluster with two broken APIServices sends it."""
    versions = {
        "Stale": [{"version": "v1", "freshness": "Stale"}],
        "Current": [{"version": "v1", "freshness": "Current"}],
    }
    groups = {"apps": "Current", "metrics.k8s.io": "Stale", "kafka.example.com": "Stale"}
    document = {"items": [{"metadata": {"name": name}, "versions": versions[state]} for name, state in groups.items()]}
    assert ownership.stale_groups(document) == ["kafka.example.com"]
    assert ownership.stale_groups({"kind": "APIGroupList", "groups": []}) == []
