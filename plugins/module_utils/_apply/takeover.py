# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes an object over in the cluster, shows beforehand what comes of it, and gives it back when the definition is refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._apply.adoption import (
    BEFORE,
    KUBECTL,
    LAST_APPLIED,
    Adoption,
    adoption,
    given_back,
    is_untracked,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._apply.merge import (
    content_patch,
    merged,
    pruned,
    shape_of,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._apply.replicas import AUTOSCALING_MANAGER
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.client import APPLY, Client
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import ApiError, KubeError

Obj = dict[str, Any]
_ATTEMPTS = 5
_JSON_PATCH = "application/json-patch+json"


@dataclass(frozen=True, slots=True)
class Taken:
    """An object that is taken over. `live`: as it is; `owned`: with its new owner; `how`: None when there was nothing to take over."""

    live: Obj | None
    owned: Obj | None
    how: Adoption | None = None


class Takeover:
    """Takes single objects over from client-side apply. In check mode everything is a dry run."""

    def __init__(self, client: Client, manager: str, *, check: bool) -> None:
        self._client, self._manager, self._check = client, manager, check

    def take(self, path: str, live: Obj | None) -> Taken:
        """Moves the ownership of an object to the manager, where client-side apply has it. Nothing else of the object changes."""
        if live is not None and is_untracked(live):
            live = self._tracked(path, live)
        how = None if live is None else adoption(live, self._manager)
        if live is None or how is None:
            return Taken(live, live)
        if self._check:
            return Taken(live, {**live, "metadata": {**live["metadata"], "managedFields": how.entries}}, how)
        for attempt in range(_ATTEMPTS):
            try:
                return Taken(live, self._patch(path, how.patch, self._manager), how)
            except ApiError as error:
                if error.status != 409 or attempt == _ATTEMPTS - 1:
                    raise
            newer = self._client.get(path)
            step = None if newer is None else adoption(newer, self._manager)
            if newer is None or step is None:  # another client has done it
                return Taken(live, newer, how)
            live, how = newer, step
        raise AssertionError("unreachable")

    def _tracked(self, path: str, live: Obj) -> Obj:
        """An object from before the server tracked ownership: an empty apply makes the server add the manager `before-first-apply`."""
        meta = {key: live["metadata"][key] for key in ("name", "namespace", "uid") if key in live["metadata"]}
        nothing = {"apiVersion": live["apiVersion"], "kind": live["kind"], "metadata": meta}
        query = {"fieldManager": self._manager, **({"dryRun": "All"} if self._check else {})}
        return self._client.request("PATCH", path, query=query, body=nothing, content_type=APPLY)[1]

    def _patch(self, path: str, body: list[Obj], manager: str) -> Obj:
        query = {"fieldManager": manager}
        return self._client.request("PATCH", path, query=query, body=body, content_type=_JSON_PATCH)[1]

    def preview(
        self, path: str, taken: Taken, after: Obj | None, body: Mapping[str, Any], *, lenient: bool
    ) -> tuple[Obj, bool]:
        """What an object becomes when it is taken over and `body` is applied to it, and whether that is partly a guess.

        `after`: answer to the dry run of the apply, which does not include the take-over; None when it was refused, as it is where the old
        and the new content do not go together (a port of the same name, a second kind of probe). The object is then merged here. The
        answer is that of a dry-run update of the object to this result, ownership included, which applies the server's
        checks, defaults and admission. Raises ApiError when the server refuses the result; `lenient`: not when that is partly a guess.
        """
        live, how = taken.live, taken.how
        if live is None or how is None:
            raise AssertionError("only an object that is taken over has a preview")
        guessed = False
        if after is None:
            merge = merged(live, body, shape_of(live))
            after, guessed = merge.result, merge.guessed
        target = pruned(after, how.fields, how.others, body)
        if how.by_kubectl:
            (target["metadata"].get("annotations") or {}).pop(LAST_APPLIED, None)
        ownership: Obj = {"op": "add", "path": "/metadata/managedFields", "value": how.entries}
        query = {"fieldManager": self._manager, "fieldValidation": "Strict", "dryRun": "All"}
        patch = [ownership, *content_patch(live, target)]
        try:
            return self._client.request("PATCH", path, query=query, body=patch, content_type=_JSON_PATCH)[1], guessed
        except ApiError as error:
            as_guessed = not lenient if error.by_dry_run else lenient and guessed and error.refused
            if not as_guessed:
                raise
            return target, True

    def give_back(self, path: str, before: Mapping[str, Any], error: KubeError) -> None:
        """Gives the ownership back after `error`, so that the refused call leaves nothing behind; else adds to its message what stays."""
        managers = {self._manager, KUBECTL, BEFORE, AUTOSCALING_MANAGER}
        # The annotation is restored in the name of its owner.
        names = [entry.get("manager") for entry in before["metadata"].get("managedFields") or []]
        owner = next((name for name in (KUBECTL, BEFORE) if name in names), self._manager)
        for attempt in range(_ATTEMPTS):
            try:
                now = self._client.get(path)
                if now is not None and now["metadata"]["uid"] == before["metadata"]["uid"]:
                    self._patch(path, given_back(now, before, managers), owner)
                return
            except KubeError as failure:
                if not isinstance(failure, ApiError) or failure.status != 409 or attempt == _ATTEMPTS - 1:
                    error.args = (
                        f"{error}; nothing but the owner of its fields has changed, to '{self._manager}': {failure}",
                    )
                    return
