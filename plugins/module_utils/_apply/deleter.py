# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Delete one object: only what is ours, and this very one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._apply import live as _live
from ansible_collections.servicemesh.platform.plugins.module_utils._apply.options import Options
from ansible_collections.servicemesh.platform.plugins.module_utils._apply.result import Outcome
from ansible_collections.servicemesh.platform.plugins.module_utils._kube import objects as _objects
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.client import Client
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.diff import changes
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import ApiError
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.objects import FIELD_MANAGER, ref_of
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.wait import Waiter

# Seconds that pods of deleted workloads get to be told to stop.
_LAST_PODS = 15.0
# What the server says when the object of that name is another one by now (apiserver pkg/registry/rest/delete.go, BeforeDelete, and
# pkg/storage/interfaces.go, Preconditions.Check).
_OTHER = ("the UID in the precondition", "UID in precondition")


class Remover:
    """Deletes the objects of one call. Safe to use from several threads."""

    def __init__(self, client: Client, options: Options, live: _live.Live, *, deadline: float, salt: bytes) -> None:
        self._client, self._options, self._live = client, options, live
        self._deadline, self._salt = deadline, salt

    def delete(self, obj: Mapping[str, Any], wave: int) -> Outcome:
        """Deletes an object that is ours; in check mode, tells whether it would."""
        ref = ref_of(obj)
        live, resource = self._live.get(ref.key), self._client.catalog.find(ref.api_version, ref.kind)
        outcome = Outcome(ref, wave, "absent")
        if live is None or resource is None:
            return outcome
        if not _objects.is_ours(live):
            outcome.action = "kept"
            outcome.note = f"somebody else made it: no label {_objects.MANAGED_BY_LABEL}={FIELD_MANAGER}"
            return outcome
        if ref.kind == "Namespace" and not self._options.check and (pods := self._strangers(ref.name)):
            outcome.action, outcome.note = "kept", f"has pods that are not of the set: {', '.join(pods[:5])}"
            return outcome
        outcome.difference = changes(live, None, self._salt)
        outcome.action = "deleted"
        if self._options.check:
            return outcome
        try:
            answer = self._client.request("DELETE", resource.path(ref), body=_objects.delete_options(live))[1]
        except ApiError as error:
            if error.status == 404:
                return outcome  # gone, perhaps by this very request, whose first answer was lost
            if error.status == 409 and any(words in error.message for words in _OTHER):
                outcome.action, outcome.difference = "kept", None
                outcome.note = "somebody else deleted it and made it anew meanwhile"
                return outcome
            raise
        # An object that has finalizers or dependents comes back with its deletionTimestamp; a Status says it is gone.
        outcome.live = None if answer.get("kind") == "Status" else answer
        return outcome

    def _strangers(self, namespace: str) -> list[str]:
        """Pods that keep a namespace: whatever the set had in it is deleted by now, and may need a moment to stop."""
        return Waiter(self._client, self._deadline).pods_left(
            namespace, _LAST_PODS if self._options.wait.until_gone("Pod") else 0.5
        )
