# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes one object by server-side apply, and resolves conflicts with other managers."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._apply import replicas
from ansible_collections.servicemesh.platform.plugins.module_utils._apply.adoption import (
    LAST_APPLIED,
    Adoption,
    adoption,
    is_untracked,
    pruned,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._apply.live import Live
from ansible_collections.servicemesh.platform.plugins.module_utils._apply.noop import is_noop
from ansible_collections.servicemesh.platform.plugins.module_utils._apply.options import Options
from ansible_collections.servicemesh.platform.plugins.module_utils._apply.result import Action, Outcome
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.client import APPLY, Client
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.diff import changes, overlay, redacted
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.discovery import Resource
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import (
    ApiError,
    ConflictError,
    KubeError,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.managed_fields import (
    Conflict,
    by_command,
    conflicts_of,
    covers,
    without,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.objects import (
    CANARY_MANAGER,
    SET_LABEL,
    Ref,
    is_create_only,
    is_ours,
    prepared,
    ref_of,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.wait import Target, Waiter

Obj = dict[str, Any]
_ATTEMPTS = 5
_CREATE_ONLY = "exists, and create-only objects are never changed"
_JSON_PATCH = "application/json-patch+json"


class Writer:
    """Writes the objects of one call. Safe to use from several threads."""

    def __init__(
        self, client: Client, options: Options, live: Live, *, set_id: str, deadline: float, salt: bytes
    ) -> None:
        self._client, self._options, self._live = client, options, live
        self._set_id, self._deadline, self._salt = set_id, deadline, salt
        self.deleted_autoscalers: list[Obj] = []  # by this call

    def apply(self, obj: Mapping[str, Any], wave: int) -> Outcome:
        """Creates an object or changes it to its definition; in check mode, returns what would be done."""
        ref = ref_of(obj)
        live = self._live.get(ref.key)
        outcome = Outcome(ref, wave, Action.UNCHANGED, live=live)
        resource = self._client.catalog.find(ref.api_version, ref.kind)
        if live is not None and live["metadata"].get("deletionTimestamp"):
            self._until_gone(ref, resource, outcome)
            live = None
        body = self._prepared(obj, live, outcome)
        if resource is None:  # in check mode, the set or an earlier task may create the CRD
            if not self._options.check:
                raise KubeError(f"the server does not know the kind {ref.kind} of {ref.api_version}")
            return self._predicted(outcome, body)
        if live is not None and is_create_only(obj):
            outcome.action, outcome.note = Action.KEPT, _CREATE_ONLY
            return outcome
        owned, adopted = self._adopted(resource.path(ref), live, outcome)
        if (patch := replicas.handed_over(owned, body, self._options.field_manager)) is not None:
            body = self._hand_over(resource.path(ref), patch, body)
        elif live is not None and adopted is None and is_noop(body, live, self._options.field_manager):
            return outcome
        after = self._after(ref, resource, body, outcome, live, adopted)
        if after is None:
            return self._predicted(outcome, body)
        if outcome.action == Action.KEPT:
            return outcome
        outcome.live = after
        outcome.difference = changes(live, after, self._salt)
        if adopted is not None:
            outcome.difference = _with_managers(outcome.difference, adopted, self._options.field_manager)
        if live is None:
            outcome.action = Action.CREATED
        else:
            outcome.action = Action.CHANGED if outcome.difference else Action.UNCHANGED
        return outcome

    def _prepared(self, obj: Mapping[str, Any], live: Obj | None, outcome: Outcome) -> Obj:
        """The object as it is sent. It stays a member of its pruned set in a call that does not prune."""
        before = ((live or {}).get("metadata", {}).get("labels") or {}).get(SET_LABEL, "")
        ours = live is None or is_ours(live)
        if ours and self._set_id and before not in ("", self._set_id):
            outcome.note = f"was a member of another set: label {SET_LABEL} was {before}"
        return prepared(obj, self._options.name, ours=ours, set_id=self._set_id or before)

    def _after(
        self,
        ref: Ref,
        resource: Resource,
        body: Obj,
        outcome: Outcome,
        live: Obj | None,
        adopted: Adoption | None,
    ) -> Obj | None:
        """The object afterwards; None when a dry run cannot tell because the namespace does not exist yet."""
        create = live is None and is_create_only(body)
        try:
            after = self._send(ref, resource, body, outcome, adopted, create=create)
        except ApiError as error:
            if not self._options.check:
                raise
            if error.status == 404 and live is None:
                return None
            if error.by_dry_run:
                outcome.predicted = True
                return overlay(live, body)
            raise
        if adopted is not None and self._options.check:
            return self._preview(resource.path(ref), adopted, after, body, outcome)
        return after

    # Adoption ----------------------------------------------------------------------------------------------------

    def _adopted(self, path: str, live: Obj | None, outcome: Outcome) -> tuple[Obj | None, Adoption | None]:
        """The live object after it was taken over from client-side apply, and how that is done."""
        manager = self._options.field_manager
        if live is not None and is_untracked(live):
            live = self._tracked(path, live)
        adopted = None if live is None else adoption(live, manager)
        if live is None or adopted is None:
            return live, None
        outcome.note = adopted.note
        if self._options.check:
            return {**live, "metadata": {**live["metadata"], "managedFields": adopted.entries}}, adopted
        owned: Obj | None = live
        for attempt in range(_ATTEMPTS):
            step = None if owned is None else adoption(owned, manager)
            if step is None:  # another client has done it
                return owned, adopted
            try:
                query = {"fieldManager": manager}
                return self._client.request("PATCH", path, query=query, body=step.patch, content_type=_JSON_PATCH)[
                    1
                ], step
            except ApiError as error:
                if error.status != 409 or attempt == _ATTEMPTS - 1:
                    raise
            owned = self._client.get(path)
        raise AssertionError("unreachable")

    def _tracked(self, path: str, live: Obj) -> Obj:
        """An object from before the server tracked ownership: an empty apply makes the server add the manager `before-first-apply`."""
        meta = {key: live["metadata"][key] for key in ("name", "namespace", "uid") if key in live["metadata"]}
        nothing = {"apiVersion": live["apiVersion"], "kind": live["kind"], "metadata": meta}
        query = {"fieldManager": self._options.field_manager, **({"dryRun": "All"} if self._options.check else {})}
        return self._client.request("PATCH", path, query=query, body=nothing, content_type=APPLY)[1]

    def _preview(self, path: str, adopted: Adoption, after: Obj, body: Obj, outcome: Outcome) -> Obj:
        """The result of the apply, in check mode, for an object that is taken over.

        The dry run of the apply does not include the take-over. So a second dry run sends the object as it would be, which
        applies the server's defaults and admission.
        """
        guess = pruned(after, adopted, body)
        meta = guess["metadata"]
        meta.pop("managedFields", None)
        (meta.get("annotations") or {}).pop(LAST_APPLIED, None)
        try:
            query = {"fieldManager": self._options.field_manager, "dryRun": "All"}
            return self._client.request("PUT", path, query=query, body=guess)[1]
        except ApiError as error:
            if error.status not in (403, 405):
                raise
            outcome.predicted = True  # the identity may patch the object but not update it
            return guess

    def _predicted(self, outcome: Outcome, body: Obj) -> Outcome:
        """The outcome of a creation that the server cannot dry-run, because the namespace or the kind does not exist yet."""
        outcome.action, outcome.predicted = Action.CREATED, True
        outcome.difference = ({}, redacted(body, self._salt))
        return outcome

    def _hand_over(self, path: str, patch: Obj, body: Obj) -> Obj:
        """Keeps the number of replicas that the definition omits. Returns the object to send afterwards."""
        if self._options.check:  # nothing was handed over, so the dry run needs the number
            return {**body, "spec": {**body["spec"], "replicas": patch["spec"]["replicas"]}}
        try:
            self._client.request(
                "PATCH", path, query={"fieldManager": replicas.AUTOSCALING_MANAGER}, body=patch, content_type=APPLY
            )
        except ApiError as error:
            # Another manager has just changed the number, and owns it now.
            if error.status != 409 or not conflicts_of(error.body):
                raise
        return body

    def _until_gone(self, ref: Ref, resource: Resource | None, outcome: Outcome) -> None:
        if self._options.check or resource is None:
            outcome.note = "an object of this name is being deleted"
            return
        if not self._options.wait.until_gone(ref.kind):
            raise KubeError("an object of this name is being deleted; run again when it is gone, or use wait: true")
        Waiter(self._client, self._deadline).gone([Target(ref, resource)])

    # Sending -----------------------------------------------------------------------------------------------------

    def _send(
        self, ref: Ref, resource: Resource, body: Obj, outcome: Outcome, adopted: Adoption | None, *, create: bool
    ) -> Obj:
        """Sends one object by server-side apply. Fields of the canary are withheld; another conflict raises KubeError."""
        query = {"fieldManager": self._options.field_manager, "fieldValidation": "Strict"}
        if self._options.check:
            query["dryRun"] = "All"
        budget = max(0.0, self._deadline - time.monotonic()) if not self._options.check else 10.0
        if create:
            return self._create(ref, resource, body, query, outcome, budget)
        for attempt in range(_ATTEMPTS):
            try:
                return self._client.request(
                    "PATCH", resource.path(ref), query=query, body=body, content_type=APPLY, webhook_budget=budget
                )[1]
            except ApiError as error:
                conflicts = conflicts_of(error.body) if error.status == 409 else []
                if error.status != 409 or attempt == _ATTEMPTS - 1:
                    raise
                if not conflicts:  # another client wrote at the same time
                    time.sleep(0.05 * 2**attempt)
                    continue
                body, force = self._resolved(body, conflicts, outcome, adopted)
                if force:
                    query["force"] = "true"
        raise AssertionError("unreachable")

    def _create(
        self, ref: Ref, resource: Resource, body: Obj, query: dict[str, str], outcome: Outcome, budget: float
    ) -> Obj:
        """Creates by POST, which never overwrites an object that another client has created meanwhile."""
        try:
            return self._client.request(
                "POST", resource.collection(ref.namespace), query=query, body=body, webhook_budget=budget
            )[1]
        except ApiError as error:
            if error.status == 409 and error.reason == "AlreadyExists":
                outcome.action, outcome.note = Action.KEPT, _CREATE_ONLY
                return {}
            raise

    def _resolved(
        self, body: Obj, conflicts: list[Conflict], outcome: Outcome, adopted: Adoption | None
    ) -> tuple[Obj, bool]:
        """The patch without the canary's fields, and whether to force the rest."""
        taken = adopted.managers if adopted else ()  # in check mode they still own the fields
        withheld = [
            c for c in conflicts if c.manager == CANARY_MANAGER and self._options.field_manager != CANARY_MANAGER
        ]
        others = [c for c in conflicts if c not in withheld]
        allowed = [
            c
            for c in others
            if c.manager in taken
            or any(covers(path, c.field) for path in self._options.force_conflicts)
            or self._left_behind(c, outcome)
            or self._by_command(c, outcome)
        ]
        refused = [c for c in others if c not in allowed]
        if refused:
            named = "; ".join(f"{c.field} belongs to manager '{c.manager}'" for c in refused)
            raise ConflictError(
                f"409 Conflict: {named}. Nothing was overwritten: remove the field from the definition, let that manager "
                f"give it up, or take it over with force_conflicts: {sorted({c.field for c in refused})}"
            )
        shorter = without(body, [c.field for c in withheld])
        if withheld and shorter == body:
            raise ConflictError(
                f"409 Conflict: {withheld[0].field} belongs to manager '{CANARY_MANAGER}' and cannot be left out"
            )
        outcome.withheld += [{"field": c.field, "manager": c.manager} for c in withheld]
        return shorter, bool(allowed) and not withheld

    def _by_command(self, conflict: Conflict, outcome: Outcome) -> bool:
        """Whether a single command of kubectl set the field, and such fields are to be taken over."""
        if not self._options.over_commands or not by_command(outcome.live or {}, conflict.manager):
            return False
        told = f"{conflict.field} taken over from '{conflict.manager}'"
        if told not in outcome.note:  # a second conflict of the same object names the field again
            outcome.note = f"{outcome.note}; {told}".removeprefix("; ")
        return True

    def _left_behind(self, conflict: Conflict, outcome: Outcome) -> bool:
        """Whether the field is the number of replicas, and the autoscaler that set it does not exist any more."""
        if conflict.field != replicas.FIELD:
            return False
        try:
            existing, _version = self._client.list_all(
                f"/apis/autoscaling/v2/namespaces/{outcome.ref.namespace}/horizontalpodautoscalers"
            )
        except ApiError:
            return False  # no right to list autoscalers: take nothing over
        if not replicas.left_behind(outcome.ref, conflict.manager, existing, self.deleted_autoscalers):
            return False
        outcome.note = (
            f"{conflict.field} taken over from '{conflict.manager}': no autoscaler scales the object any more"
        )
        return True


def _with_managers(difference: tuple[Any, Any] | None, adopted: Adoption, manager: str) -> tuple[Any, Any]:
    """A difference that also shows the owner of the fields before and after, the only change when the content is the same."""
    before, after = difference or ({}, {})
    return {**before, "fieldManager": ", ".join(adopted.managers)}, {**after, "fieldManager": manager}
