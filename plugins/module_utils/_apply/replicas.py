# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who sets the number of replicas of a workload: its definition, or an autoscaler. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._kube.objects import Ref, group_of, ref_of

FIELD = ".spec.replicas"
# Owns a number that the definition omits, so that the server does not reset the field to its default.
AUTOSCALING_MANAGER = "servicemesh-autoscaling"
# The HorizontalPodAutoscaler's controller uses the name of its program as manager (pkg/controller/podautoscaler/horizontal.go).
_AUTOSCALERS = frozenset({AUTOSCALING_MANAGER, "kube-controller-manager"})
_SCALED = frozenset({("apps", "Deployment"), ("apps", "StatefulSet"), ("apps", "ReplicaSet")})


def handed_over(live: Mapping[str, Any] | None, body: Mapping[str, Any], manager: str) -> dict[str, Any] | None:
    """The patch that makes `servicemesh-autoscaling` the owner of the number of replicas; None when it is not needed.

    Needed when `manager` is the only owner of the field and the definition omits it: the server would reset it to its default,
    and delete all pods but one. With another owner the number stays.
    """
    if live is None or (group_of(body["apiVersion"]), body["kind"]) not in _SCALED:
        return None
    number = (live.get("spec") or {}).get("replicas")
    if number is None or (body.get("spec") or {}).get("replicas") is not None:
        return None
    if set(_owners(live)) != {(manager, "Apply")} or manager == AUTOSCALING_MANAGER:
        return None
    meta = live["metadata"]
    named = {key: meta[key] for key in ("name", "namespace", "uid") if key in meta}
    return {"apiVersion": body["apiVersion"], "kind": body["kind"], "metadata": named, "spec": {"replicas": number}}


def _owners(live: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    for entry in live["metadata"].get("managedFields") or []:
        if "f:replicas" in ((entry.get("fieldsV1") or {}).get("f:spec") or {}):
            yield entry.get("manager", ""), entry.get("operation", "")


def left_behind(
    ref: Ref, manager: str, existing: Iterable[Mapping[str, Any]], deleted: Iterable[Mapping[str, Any]]
) -> bool:
    """Whether an autoscaler set the number of replicas of `ref` and no autoscaler scales it any more.

    `manager`: owner of the field. `existing`: autoscalers of the namespace. `deleted`: those that are being deleted.
    """
    gone = [hpa for hpa in deleted if _scales(hpa, ref)]
    names = {ref_of(hpa).name for hpa in gone}
    if any(_scales(hpa, ref) and ref_of(hpa).name not in names for hpa in existing):
        return False
    return bool(gone) or manager in _AUTOSCALERS


def _scales(hpa: Mapping[str, Any], ref: Ref) -> bool:
    target = (hpa.get("spec") or {}).get("scaleTargetRef") or {}
    key = (
        group_of(target.get("apiVersion") or ""),
        target.get("kind"),
        hpa["metadata"].get("namespace"),
        target.get("name"),
    )
    return key == ref.key
