# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which refusals of a dry run tell that the write will be refused too."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.servicemesh.platform.plugins.module_utils._apply.result import Action, Outcome
from ansible_collections.servicemesh.platform.plugins.module_utils._apply.trial import is_final, is_unchanged
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import ApiError
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.objects import ref_of


def obj(kind: str, api_version: str = "v1") -> dict[str, Any]:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": kind.lower(), "namespace": "n"}}


def answer(status: int, *fields: str, reason: str = "", message: str = "x", kind: str = "") -> ApiError:
    details = {"kind": kind, "causes": [{"field": field, "reason": "FieldValueInvalid"} for field in fields]}
    return ApiError("PATCH", "/", status, {"reason": reason, "message": message, "details": details})


POD, SERVICE, QUOTA, MAP = obj("Pod"), obj("Service"), obj("ResourceQuota"), obj("ConfigMap")
BINDING, ROLE = obj("RoleBinding", "rbac.authorization.k8s.io/v1"), obj("Role", "rbac.authorization.k8s.io/v1")


@pytest.mark.parametrize(
    ("error", "thing", "others", "final"),
    [
        # The object itself is wrong, whatever comes before.
        (answer(422, "spec.containers[0].image"), POD, [QUOTA], True),
        (answer(400, reason="BadRequest", message="strict decoding error"), POD, [QUOTA], True),
        (answer(500, message="failed to create typed patch object"), POD, [QUOTA], True),
        # Admission, rights and what is referred to may come with the call, in an earlier wave.
        (answer(403), POD, [QUOTA], False),
        (answer(403), POD, [MAP], True),
        (answer(403), QUOTA, [POD], True),
        (answer(404, kind="roles"), BINDING, [ROLE], False),
        (answer(404, kind="roles"), BINDING, [], True),
        (answer(404, kind="namespaces"), POD, [QUOTA], True),
        (answer(400), POD, [QUOTA], False),
        (answer(422), POD, [QUOTA], False),
        (answer(422), POD, [], True),
        # Services share ports, and another one may give this one up.
        (answer(422, "spec.ports[0].nodePort"), SERVICE, [obj("Service")], False),
        (answer(422, "spec.ports[0].nodePort"), SERVICE, [MAP], True),
        (answer(422, "spec.ports[0].nodePort", "spec.type"), SERVICE, [obj("Service")], True),
        # Not about the object.
        (answer(409, reason="Conflict"), MAP, [], False),
        (answer(500, message="failed calling webhook"), MAP, [], False),
        (answer(503), MAP, [], False),
        (answer(400, reason="BadRequest", message='webhook "x" does not support dry run'), MAP, [], False),
    ],
)
def test_which_refusals_are_final(error: ApiError, thing: Any, others: list[Any], final: bool) -> None:
    assert is_final(error, thing, [*others, thing]) is final


def stored(fields: Any = None, time: str = "1", **more: Any) -> dict[str, Any]:
    entry = {"manager": "m", "operation": "Apply", "time": time, "fieldsV1": fields or {"f:data": {}}}
    return {
        **MAP,
        "metadata": {**MAP["metadata"], "resourceVersion": time, "managedFields": [entry]},
        "data": {"a": "1"},
        **more,
    }


@pytest.mark.parametrize(
    ("after", "changed", "same"),
    [
        (stored(), {}, True),
        (stored(time="2", status={"x": 1}), {}, True),
        (stored(data={"a": "2"}), {}, False),
        (stored({"f:data": {"f:a": {}}}), {}, False),
        (stored(), {"action": Action.CHANGED}, False),
        (stored(), {"withheld": [{"field": ".data"}]}, False),
        (stored(), {"note": "x"}, False),
        (stored(), {"before": None}, False),
    ],
)
def test_which_dry_runs_show_a_noop(after: Any, changed: dict[str, Any], same: bool) -> None:
    """Content and ownership are the same; then the write is not sent."""
    outcome = Outcome(
        **{"ref": ref_of(MAP), "wave": 0, "action": Action.UNCHANGED, "before": stored(), "live": after, **changed}
    )
    assert is_unchanged(outcome) is same
