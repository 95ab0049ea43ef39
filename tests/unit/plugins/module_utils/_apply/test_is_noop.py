# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When nothing is left to do for a set: what makes a role leave it alone."""

from __future__ import annotations

from typing import Any
from unittest.mock import MagicMock

import pytest
from ansible_collections.servicemesh.platform.plugins.module_utils._apply.applier import Applier
from ansible_collections.servicemesh.platform.plugins.module_utils._apply.options import Options, Wait
from ansible_collections.servicemesh.platform.plugins.module_utils._apply.result import Action, Outcome
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.objects import Ref

CONFIG = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "web", "namespace": "shop"}}


def deployment(ready: int) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "shop", "generation": 2},
        "spec": {"replicas": 2},
        "status": {
            "observedGeneration": 2,
            "replicas": 2,
            "updatedReplicas": 2,
            "readyReplicas": ready,
            "availableReplicas": ready,
            "unavailableReplicas": 2 - ready,
        },
    }


def noop(*outcomes: tuple[Action, dict[str, Any] | None], wait: bool = True) -> bool:
    applier = Applier(MagicMock(), Options(name="web", wait=Wait(wait), check=True))
    for action, live in outcomes:
        kind, version = (live or CONFIG)["kind"], (live or CONFIG)["apiVersion"]
        applier.result.outcomes.append(Outcome(Ref(version, kind, "shop", "web"), 3, action, live=live))
    return applier.is_noop


@pytest.mark.parametrize(
    ("outcomes", "wait", "expected"),
    [
        ([], True, True),
        ([(Action.UNCHANGED, CONFIG), (Action.UNCHANGED, deployment(2)), (Action.ABSENT, None)], True, True),
        ([(Action.UNCHANGED, CONFIG), (Action.UNCHANGED, deployment(1))], True, False),
        ([(Action.UNCHANGED, deployment(1))], False, True),
        ([(Action.UNCHANGED, CONFIG), (Action.CHANGED, CONFIG)], True, False),
        ([(Action.CREATED, None)], True, False),
        ([(Action.DELETED, CONFIG)], True, False),
        # A later call deletes it, so this one is not the last.
        ([(Action.KEPT, CONFIG)], True, False),
        # What was not seen is not known to be ready.
        ([(Action.UNCHANGED, None)], True, False),
    ],
)
def test_nothing_to_do_is_nothing_to_write_and_nothing_to_wait_for(
    outcomes: list[tuple[Action, dict[str, Any] | None]], wait: bool, expected: bool
) -> None:
    assert noop(*outcomes, wait=wait) is expected
