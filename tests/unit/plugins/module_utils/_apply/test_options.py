# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a call of apply is asked for."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.servicemesh.platform.plugins.module_utils._apply.options import options_of, wait_of
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import KubeError

PARAMS: dict[str, Any] = {
    "definitions": [], "src": None, "state": "present", "name": "shop", "namespace": None, "wait": True, "wait_timeout": 300,
    "field_manager": "m", "force_conflicts": [], "concurrency": 16, "prune": False, "prune_allow": [],
    "inventory_namespace": None,
}  # fmt: skip


@pytest.mark.parametrize(
    ("value", "ready", "gone"),
    [
        (True, {"Deployment"}, {"Deployment", "Job", "Ingress"}),
        ("no", set(), set()),
        ({"Ingress": True}, {"Deployment", "Job", "Ingress"}, {"Deployment", "Job", "Ingress"}),
        ({"Job": "false"}, {"Deployment"}, {"Deployment", "Ingress"}),
        ({"*": False, "Job": True}, {"Job"}, {"Job"}),
    ],
)
def test_which_kinds_are_waited_for(value: Any, ready: set[str], gone: set[str]) -> None:
    wait = wait_of(value)
    kinds = {"Deployment", "Job", "Ingress"} if value is not True else {"Deployment", "Ingress"}
    assert {kind for kind in kinds if wait.until_ready(kind)} == ready
    kinds = {"Deployment", "Job", "Ingress"}
    assert {kind for kind in kinds if wait.until_gone(kind)} == gone


@pytest.mark.parametrize("value", ["maybe", None, ["Deployment"], {"Job": "sometimes"}])
def test_other_forms_are_told(value: Any) -> None:
    with pytest.raises(KubeError, match=r"wait is .*Ingress: true"):
        wait_of(value)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"name": ""}, "name is ''; with prune, expected"),
        ({"name": "Shop"}, "name is 'Shop'; with prune, expected"),
        ({"inventory_namespace": None}, "inventory_namespace is ''; with prune, expected"),
        ({"prune_allow": ["everything"]}, "prune_allow has 'everything'; expected the set's name"),
    ],
)
def test_pruning_needs_to_know_the_set(changed: dict[str, Any], message: str) -> None:
    pruning = {**PARAMS, "prune": True, "inventory_namespace": "n"}
    allowed = options_of({**pruning, "prune_allow": ["shop", "Namespace shop"]}, check=True)
    assert (allowed.prune, allowed.check, allowed.prune_allow) == (True, True, ("shop", "Namespace shop"))
    with pytest.raises(KubeError, match=message.replace("'", ".")):
        options_of({**pruning, **changed}, check=False)


def test_the_namespace_is_a_name() -> None:
    assert options_of({**PARAMS, "namespace": "shop"}, check=False).namespace == "shop"
    with pytest.raises(KubeError, match=r"namespace is 'Shop'; expected an RFC 1123 label"):
        options_of({**PARAMS, "namespace": "Shop"}, check=False)
