# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ownership of fields, as the API server words it."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.managed_fields import (
    Conflict,
    conflicts_of,
    covers,
    without,
)
from hypothesis import given
from hypothesis import strategies as st

OBJECT: dict[str, Any] = {
    "metadata": {
        "labels": {"app": "x", "app.kubernetes.io/name": "y", "app.kubernetes": {"io/name": "z"}},
        "finalizers": ["a", "b"],
    },
    "spec": {
        "http": [{"route": []}],
        "replicas": 3,
        "ports": [{"port": 80, "nodePort": 1}, {"port": 80, "protocol": "UDP", "nodePort": 2}],
        "containers": [{"name": "a.b", "image": "i"}, {"name": 'q"]', "image": "j"}],
    },
}


def picked(path: str) -> Any:
    """What is left at a place after a path was dropped."""
    return without(OBJECT, [path])


def test_conflicts_are_read_from_the_answer() -> None:
    status = {
        "details": {
            "causes": [
                {
                    "reason": "FieldManagerConflict",
                    "message": 'conflict with "kubectl-edit" using apps/v1',
                    "field": ".spec.replicas",
                },
                {
                    "reason": "FieldManagerConflict",
                    "message": 'conflict with "servicemesh-canary" with subresource "scale"',
                    "field": ".spec.http",
                },
                {"reason": "FieldValueInvalid", "message": "x", "field": ".y"},
            ]
        }
    }
    assert conflicts_of(status) == [
        Conflict("kubectl-edit", ".spec.replicas"),
        Conflict("servicemesh-canary", ".spec.http"),
    ]
    assert conflicts_of({"message": "the object has been modified"}) == []


def test_fields_are_left_out_by_the_servers_own_paths() -> None:
    assert "http" not in picked(".spec.http")["spec"]
    assert picked(".metadata.labels.app.kubernetes.io/name")["metadata"]["labels"].keys() == {"app", "app.kubernetes"}
    assert picked('.metadata.finalizers[="a"]')["metadata"]["finalizers"] == ["b"]
    assert picked('.spec.containers[name="a.b"].image')["spec"]["containers"][0] == {"name": "a.b"}
    assert picked('.spec.containers[name="q\\"]"]')["spec"]["containers"] == [{"name": "a.b", "image": "i"}]
    assert picked(".spec.containers[1]")["spec"]["containers"] == [{"name": "a.b", "image": "i"}]
    assert picked('.spec.ports[port=80,protocol="TCP"].nodePort')["spec"]["ports"][0] == {"port": 80}
    assert "nodePort" not in picked('.spec.ports[port=80,protocol="UDP"].nodePort')["spec"]["ports"][1]


@pytest.mark.parametrize(
    "path", [".spec.nothing", ".spec.http[7]", ".spec.replicas.x", "", "spec", ".spec.ports[port=81]", ".spec["]
)
def test_a_path_that_is_not_there_changes_nothing(path: str) -> None:
    assert without(OBJECT, [path]) == OBJECT


@given(st.text('.[]=",ab\\0', max_size=12))
def test_no_path_breaks_it_and_the_input_stays(path: str) -> None:
    before = str(OBJECT)
    without(OBJECT, [path, ".spec" + path, ".spec.ports" + path])
    assert str(OBJECT) == before


def test_a_named_path_covers_what_is_below_it_only() -> None:
    assert covers(".spec.replicas", ".spec.replicas")
    assert covers("spec.template", ".spec.template.spec.x")
    assert covers(".spec.ports", ".spec.ports[port=80]")
    assert not covers(".spec.repl", ".spec.replicas")
    assert not covers(".spec.replicas", ".spec")
