# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deletes one object: only one of ours, and only the one that was read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._apply.live import Live
from ansible_collections.servicemesh.platform.plugins.module_utils._apply.options import Options
from ansible_collections.servicemesh.platform.plugins.module_utils._apply.result import Action, Outcome
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.client import Client
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.diff import changes
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import ApiError
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.objects import (
    FIELD_MANAGER,
    MANAGED_BY_LABEL,
    delete_options,
    is_ours,
    ref_of,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.wait import Waiter

# Seconds until the pods of deleted workloads are marked for deletion as well; less when the call does not wait.
_LAST_PODS, _LAST_PODS_UNWAITED = 15.0, 0.5


class Deleter:
    """Deletes the objects of one call. Safe to use from several threads."""

    def __init__(self, client: Client, options: Options, live: Live, *, deadline: float, salt: bytes) -> None:
        self._client, self._options, self._live = client, options, live
        self._deadline, self._salt = deadline, salt

    def delete(self, obj: Mapping[str, Any], wave: int) -> Outcome:
        """Deletes an object that is ours; in check mode, returns what would be done."""
        ref = ref_of(obj)
        live, resource = self._live.get(ref.key), self._client.catalog.find(ref.api_version, ref.kind)
        outcome = Outcome(ref, wave, Action.ABSENT)
        if live is None or resource is None:
            return outcome
        if not is_ours(live):
            outcome.action = Action.KEPT
            outcome.note = f"another owner created it: no label {MANAGED_BY_LABEL}={FIELD_MANAGER}"
            return outcome
        if ref.kind == "Namespace" and not self._options.check and (pods := self._foreign_pods(ref.name)):
            outcome.action, outcome.note = Action.KEPT, f"has pods that do not belong to the set: {', '.join(pods[:5])}"
            return outcome
        outcome.difference = changes(live, None, self._salt)
        outcome.action = Action.DELETED
        if self._options.check:
            return outcome
        try:
            answer = self._client.request("DELETE", resource.path(ref), body=delete_options(live))[1]
        except ApiError as error:
            if error.status == 404:
                return outcome  # deleted, perhaps by this request, whose first answer was lost
            if error.by_other_object:
                outcome.action, outcome.difference = Action.KEPT, None
                outcome.note = "another client deleted it and created it again during this call"
                return outcome
            raise
        # The answer is the object with its deletionTimestamp when finalizers or dependents keep it, else a Status.
        outcome.live = None if answer.get("kind") == "Status" else answer
        return outcome

    def _foreign_pods(self, namespace: str) -> list[str]:
        """Pods that keep a namespace: those of the set are deleted by now, and may need a moment to be marked for deletion."""
        return Waiter(self._client, self._deadline).pods_left(
            namespace, _LAST_PODS if self._options.wait.until_gone("Pod") else _LAST_PODS_UNWAITED
        )
