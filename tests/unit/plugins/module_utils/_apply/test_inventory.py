# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a set may be deleted."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.servicemesh.platform.plugins.module_utils._apply import inventory
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.objects import Ref
from hypothesis import given
from hypothesis import strategies as st

SET, SPACE, MANAGER = "shop", "n", "servicemesh-platform"
ID = inventory.id_of(SET, SPACE)

refs = st.builds(
    Ref,
    st.sampled_from(["v1", "apps/v1", "example.com/v1"]),
    st.sampled_from(["ConfigMap", "Namespace", "PersistentVolumeClaim", "Thing"]),
    st.sampled_from(["", "n", "m"]),
    st.text("abc:", min_size=1, max_size=3),
)
several = st.lists(refs, max_size=12, unique_by=lambda ref: ref.key).map(inventory.members)


def live(ref: Ref, *, ours: bool = True, set_id: str = ID, managers: Any = ((MANAGER, "Apply"),), **meta: Any) -> Any:
    labels = {"applyset.kubernetes.io/part-of": set_id}
    if ours:
        labels["app.kubernetes.io/managed-by"] = MANAGER
    entries = [{"manager": name, "operation": operation} for name, operation in managers]
    return {
        "apiVersion": ref.api_version, "kind": ref.kind,
        "metadata": {"name": ref.name, "namespace": ref.namespace, "labels": labels, "managedFields": entries, **meta},
    }  # fmt: skip


def test_the_id_is_the_one_that_kubectl_computes() -> None:
    # echo -n applyset-shop.n.ConfigMap. | openssl dgst -sha256 -binary | basenc --base64url
    assert ID == "applyset-Cinf3ylnyk-_ZAsD4LQvHvB6_MtgqGNSisO3aI_7ZxE-v1"
    assert len(ID) <= 63


@given(several)
def test_what_is_written_is_read(listed: Any) -> None:
    document = inventory.document(SET, SPACE, listed)
    assert inventory.read(document, SET, SPACE) == listed


def test_the_config_map_of_another_owner_is_not_an_inventory() -> None:
    document = inventory.document(SET, SPACE, {})
    for other in ("another", "shop2"):
        with pytest.raises(ValueError, match="not an inventory of this collection"):
            inventory.read(document, other, SPACE)
    document["metadata"]["annotations"]["applyset.kubernetes.io/tooling"] = "kubectl/v1.35"
    with pytest.raises(ValueError, match=r"kubectl/v1\.35"):
        inventory.read(document, SET, SPACE)
    damaged = {**inventory.document(SET, SPACE, {}), "data": {"members": "{"}}
    with pytest.raises(ValueError, match=r"another client changed data\.members"):
        inventory.read(damaged, SET, SPACE)


def test_too_many_members_are_told() -> None:
    many = inventory.members(Ref("v1", "ConfigMap", "n", f"{'x' * 200}{number}") for number in range(6000))
    with pytest.raises(ValueError, match="split the set"):
        inventory.document(SET, SPACE, many)


REF = Ref("v1", "ConfigMap", "n", "c")
CONTROLLER = [{"kind": "Thing", "name": "t", "controller": True}]


@pytest.mark.parametrize(
    ("there", "reason"),
    [
        (live(REF), ""),
        (live(REF, managers=[(MANAGER, "Update")]), ""),
        (live(REF, managers=[(MANAGER, "Apply"), ("servicemesh-canary", "Apply"), ("kubelet", "Update")]), ""),
        (live(REF, ownerReferences=[{"kind": "Thing", "name": "t"}]), ""),
        (live(REF, ours=False), "another owner created it"),
        (live(REF, ours=False, set_id="another"), "another owner created it"),
        (live(REF, set_id="another"), "not part of this set any more"),
        (live(REF, ownerReferences=CONTROLLER), "belongs to Thing t"),
        (live(REF, managers=[("helm", "Apply")]), "another owner took it over"),
        (live(REF, managers=[(MANAGER, "Apply"), ("argocd", "Apply")]), "other managers apply it too: argocd"),
    ],
)
def test_only_what_the_set_made_and_nobody_took_over_goes(there: Any, reason: str) -> None:
    plan = inventory.plan(inventory.members([REF]), (), {REF.key: there}, ID, MANAGER)
    if reason:
        assert plan.delete == []
        assert reason in plan.keep[0][1]
    else:
        assert plan.delete == [REF]


states = st.fixed_dictionaries(
    {"ours": st.booleans(), "set_id": st.sampled_from([ID, "another"]), "there": st.booleans(), "going": st.booleans()}
)


@given(several, several, st.data())
def test_a_plan_deletes_nothing_that_it_must_not(listed: Any, wanted: Any, data: Any) -> None:
    cluster, mine = {}, set()
    for key, ref in {**listed, **wanted}.items():
        state = data.draw(states)
        if state["there"]:
            going = {"deletionTimestamp": "now"} if state["going"] else {}
            cluster[key] = live(ref, ours=state["ours"], set_id=state["set_id"], **going)
            if state["ours"] and state["set_id"] == ID and not state["going"]:
                mine.add(key)
    plan = inventory.plan(listed, wanted, cluster, ID, MANAGER)
    deleted = {ref.key for ref in plan.delete}
    assert deleted == (set(listed) - set(wanted)) & mine
    assert not deleted & {ref.key for ref, _reason in plan.keep}
    assert not deleted & {ref.key for ref in plan.forget}


@given(several, several, st.sets(st.sampled_from(["shop"])), st.data())
def test_dangerous_plans_are_refused_unless_allowed_by_name(listed: Any, wanted: Any, names: Any, data: Any) -> None:
    plan = inventory.plan(listed, wanted, {key: live(ref) for key, ref in listed.items()}, ID, MANAGER)
    named = set(data.draw(st.lists(st.sampled_from([str(ref) for ref in plan.delete] or ["x y"]), max_size=12)))
    refused = inventory.refusals(plan, listed, SET, {*names, *named}, whole=False)
    unnamed = [ref for ref in plan.delete if str(ref) not in named]
    protected = [ref for ref in unnamed if ref.kind in ("Namespace", "PersistentVolumeClaim") and ref.group == ""]
    for ref in protected:
        assert any(finding.startswith(str(ref)) for finding in refused)
    much = "shop" not in names and 2 * len(unnamed) > len(listed)
    assert len(refused) == len(protected) + much
    assert len(inventory.refusals(plan, listed, SET, named, whole=True)) == len(protected)


def test_objects_that_are_gone_do_not_make_a_set_look_bigger() -> None:
    listed = inventory.members(Ref("v1", "ConfigMap", "n", name) for name in "abcdef")
    there = {key: live(ref) for key, ref in listed.items() if ref.name in "abc"}
    plan = inventory.plan(listed, [listed["", "ConfigMap", "n", "a"].key], there, ID, MANAGER)
    assert [ref.name for ref in plan.delete] == ["b", "c"]
    assert "2 of 3 objects" in inventory.refusals(plan, listed, SET, (), whole=False)[0]


steps = st.lists(st.tuples(several, st.integers(0, 4)), min_size=1, max_size=6)


@given(steps)
def test_a_killed_call_loses_nothing(calls: Any) -> None:
    """Calls one after another, each killed at some point: what the set made and the cluster has is always listed."""
    listed: Any = {}
    cluster: dict[Any, Any] = {}
    for wanted, killed_at in calls:
        plan = inventory.plan(listed, wanted, cluster, ID, MANAGER)
        if killed_at > 0:
            listed = inventory.ahead(listed, wanted)
        for number, (key, ref) in enumerate(wanted.items()):
            if killed_at > 1 + (number % 2):  # some objects were written, others not
                cluster[key] = live(ref)
        if killed_at > 2:
            for ref in plan.delete[: 1 if killed_at == 3 else None]:
                del cluster[ref.key]
        if killed_at > 3:
            listed = inventory.after(listed, wanted, {ref.key for ref in [*plan.delete, *plan.forget]})
            assert set(cluster) == set(listed) == set(wanted)
        assert set(cluster) <= set(listed)


@pytest.mark.parametrize(
    ("ref", "dangerous"),
    [
        (Ref("apiextensions.k8s.io/v1", "CustomResourceDefinition", "", "things.example.com"), True),
        (Ref("v1", "Namespace", "", "shop"), True),
        (Ref("v1", "PersistentVolumeClaim", "shop", "data"), True),
        (Ref("example.com/v1", "Namespace", "shop", "x"), False),
        (Ref("v1", "Secret", "shop", "x"), False),
    ],
)
def test_what_takes_other_things_along_goes_only_by_name(ref: Ref, dangerous: bool) -> None:
    found = inventory.Plan(delete=[ref])
    listed = inventory.members([ref, *(Ref("v1", "ConfigMap", "n", name) for name in "abc")])
    assert bool(inventory.refusals(found, listed, SET, ["shop"], whole=False)) == dangerous
    assert bool(inventory.refusals(found, listed, SET, ["shop"], whole=True)) == dangerous
    assert inventory.refusals(found, listed, SET, [str(ref)], whole=False) == []
