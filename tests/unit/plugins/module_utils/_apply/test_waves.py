# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Order of writing and deleting."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.servicemesh.platform.plugins.module_utils._apply.waves import retirement, wave_of, waves
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.objects import ref_of
from hypothesis import given
from hypothesis import strategies as st

KINDS = {
    "Namespace": "v1",
    "CustomResourceDefinition": "apiextensions.k8s.io/v1",
    "NetworkPolicy": "networking.k8s.io/v1",
    "ServiceAccount": "v1",
    "RoleBinding": "rbac.authorization.k8s.io/v1",
    "Secret": "v1",
    "Service": "v1",
    "Deployment": "apps/v1",
    "HorizontalPodAutoscaler": "autoscaling/v2",
    "MutatingWebhookConfiguration": "admissionregistration.k8s.io/v1",
    "Certificate": "cert-manager.io/v1",
    "DestinationRule": "networking.istio.io/v1",
    "VirtualService": "networking.istio.io/v1",
}


def obj(kind: str, name: str = "x", namespace: str = "n", api_version: str = "") -> dict[str, Any]:
    return {
        "apiVersion": api_version or KINDS[kind],
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace},
    }


sets = st.lists(
    st.builds(obj, st.sampled_from(sorted(KINDS)), st.text("abc", min_size=1, max_size=3), st.sampled_from(["n", "m"])),
    max_size=30,
    unique_by=lambda entry: ref_of(entry).key,
)


@given(sets, st.randoms())
def test_the_order_of_the_input_does_not_matter(objects: list[Any], random: Any) -> None:
    shuffled = list(objects)
    random.shuffle(shuffled)
    assert waves(shuffled) == waves(objects)


@given(sets)
def test_deleting_goes_the_other_way(objects: list[Any]) -> None:
    assert waves(objects, reverse=True) == waves(objects)[::-1]


@given(sets)
def test_nothing_is_lost_and_numbers_rise(objects: list[Any]) -> None:
    planned = waves(objects)
    numbers = [number for number, _members in planned]
    assert numbers == sorted(set(numbers))
    assert sorted(ref_of(o) for _n, members in planned for o in members) == sorted(map(ref_of, objects))
    assert all(wave_of(o) == number for number, members in planned for o in members)


@pytest.mark.parametrize(("first", "second"), list(zip(KINDS, list(KINDS)[1:], strict=False)))
def test_what_others_need_comes_first(first: str, second: str) -> None:
    assert wave_of(obj(first)) < wave_of(obj(second))


def test_a_virtual_service_comes_after_those_that_it_delegates_to_and_before_those_that_may_give_up_its_host() -> None:
    route = {"match": [{"uri": {"prefix": "/a"}}]}
    delegate = {**obj("VirtualService", "a-ingress"), "spec": {"http": [route]}}
    root = {
        **obj("VirtualService", "z"),
        "spec": {"hosts": ["x"], "http": [{**route, "delegate": {"name": "a-ingress"}}]},
    }
    mesh = {**obj("VirtualService", "a"), "spec": {"hosts": ["a"], "http": [route]}}
    planned = [members for _number, members in waves([mesh, root, delegate, obj("DestinationRule")])]
    assert planned == [[obj("DestinationRule")], [delegate], [root], [mesh]]
    assert wave_of(mesh) == wave_of(obj("VirtualService")), "a reference, to delete"


def test_a_kind_of_the_same_name_in_another_group_is_a_custom_resource() -> None:
    assert wave_of(obj("Service", api_version="serving.knative.dev/v1")) == wave_of(obj("Certificate"))


def test_what_is_retired_goes_when_nothing_needs_it() -> None:
    first, then, last = retirement(obj(kind) for kind in KINDS)
    assert [o["kind"] for o in first] == ["HorizontalPodAutoscaler"]
    assert {"Secret", "ServiceAccount", "Namespace"} <= {o["kind"] for o in last}
    assert {"Deployment", "VirtualService"} <= {o["kind"] for o in then}, "their room may be needed"
    assert len(first) + len(then) + len(last) == len(KINDS)
    foreign = obj("ConfigMap", api_version="example.com/v1")
    assert retirement([foreign]) == ([], [foreign], [])
