# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes one object by server-side apply, and resolves conflicts with other managers."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._apply import replicas
from ansible_collections.servicemesh.platform.plugins.module_utils._apply.adoption import (
    Adoption,
    adoption,
    is_untracked,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._apply.live import Live
from ansible_collections.servicemesh.platform.plugins.module_utils._apply.noop import is_noop
from ansible_collections.servicemesh.platform.plugins.module_utils._apply.options import Options
from ansible_collections.servicemesh.platform.plugins.module_utils._apply.result import Action, Outcome
from ansible_collections.servicemesh.platform.plugins.module_utils._apply.takeover import Taken, Takeover
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


class Pending(StrEnum):
    """What there is to do for an object, as far as the live object tells."""

    NOTHING = "nothing"
    WRITE = "write"
    ADOPT = "adopt"  # and write


class Writer:
    """Writes the objects of one call. Safe to use from several threads."""

    def __init__(
        self, client: Client, options: Options, live: Live, *, set_id: str, deadline: float, salt: bytes
    ) -> None:
        self._client, self._options, self._live = client, options, live
        self._set_id, self._deadline, self._salt = set_id, deadline, salt
        self._takeover = Takeover(client, options.field_manager, check=options.check)
        self._noops: set[tuple[str, str, str, str]] = set()  # as `pending` found
        self.deleted_autoscalers: list[Obj] = []  # by this call

    def pending(self, obj: Mapping[str, Any]) -> Pending:
        """What `apply` will have to do for an object. Sends no request."""
        ref, manager = ref_of(obj), self._options.field_manager
        live = self._live.get(ref.key)
        if live is None or live["metadata"].get("deletionTimestamp"):
            return Pending.WRITE
        if is_create_only(obj):
            return Pending.NOTHING
        if is_untracked(live) or adoption(live, manager) is not None:
            return Pending.ADOPT
        body = self._prepared(obj, live, Outcome(ref, 0, Action.UNCHANGED))
        if replicas.handed_over(live, body, manager) is None and is_noop(body, live, manager):
            self._noops.add(ref.key)
            return Pending.NOTHING
        return Pending.WRITE

    def leave(self, outcomes: Iterable[Outcome]) -> None:
        """Takes objects for no-ops that a trial has shown to be that."""
        self._noops.update(outcome.ref.key for outcome in outcomes)

    def apply(self, obj: Mapping[str, Any], wave: int) -> Outcome:
        """Creates an object or changes it to its definition; in check mode, returns what would be done."""
        ref = ref_of(obj)
        live = self._live.get(ref.key)
        outcome = Outcome(ref, wave, Action.UNCHANGED, before=live, live=live)
        if ref.key in self._noops:
            return outcome
        resource = self._client.catalog.find(ref.api_version, ref.kind)
        if live is not None and live["metadata"].get("deletionTimestamp"):
            self._until_gone(ref, resource, outcome)
            live = None
        body = self._prepared(obj, live, outcome)
        if resource is None:  # in check mode, the set or an earlier task may create the CRD
            if not self._options.check or self._options.trial:
                raise KubeError(f"the server does not know the kind {ref.kind} of {ref.api_version}")
            return self._predicted(outcome, body)
        if live is not None and is_create_only(obj):
            outcome.action, outcome.note = Action.KEPT, _CREATE_ONLY
            return outcome
        return self._written(resource, body, outcome, live)

    def _written(self, resource: Resource, body: Obj, outcome: Outcome, live: Obj | None) -> Outcome:
        """The outcome for an object that exists as `live` or does not exist."""
        path, manager = resource.path(outcome.ref), self._options.field_manager
        taken = self._takeover.take(path, live)
        if taken.how is not None:
            outcome.note = taken.how.note
        patch = replicas.handed_over(taken.owned, body, manager)
        if patch is None and live is not None and taken.how is None and is_noop(body, live, manager):
            return outcome
        try:
            if patch is not None:
                body = self._hand_over(path, patch, body)
            after = self._after(resource, body, outcome, live, taken)
        except (ApiError, ConflictError) as error:
            moved = taken.how is not None or patch is not None
            if moved and taken.live is not None and not self._options.check and not _by_outage(error):
                self._takeover.give_back(path, taken.live, error)
            raise
        if after is None:
            return self._predicted(outcome, body)
        if outcome.action == Action.KEPT:
            return outcome
        outcome.live = after
        outcome.difference = changes(live, after, self._salt)
        if taken.how is not None and taken.how.from_others:
            outcome.difference = _with_managers(outcome.difference, taken.how)
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

    def _after(self, resource: Resource, body: Obj, outcome: Outcome, live: Obj | None, taken: Taken) -> Obj | None:
        """The object afterwards; None when a dry run cannot tell because the namespace does not exist yet."""
        create = live is None and is_create_only(body)
        after: Obj | None = None
        try:
            after = self._send(resource, body, outcome, taken.how, create=create)
        except ApiError as error:
            if not self._options.check:
                raise
            if error.status == 404 and live is None and not self._options.trial:
                return None
            if error.by_dry_run and not self._options.trial:
                outcome.predicted = True
                return overlay(live, body)
            if taken.how is None or not error.refused or error.status in (400, 404, 409):
                raise  # else the fields of the previous owner may be what is refused
        if taken.how is None or not self._options.check:
            return after
        sent = without(body, [entry["field"] for entry in outcome.withheld])
        after, guessed = self._takeover.preview(
            resource.path(outcome.ref), taken, after, sent, lenient=self._options.trial
        )
        outcome.predicted |= guessed
        return after

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

    def _send(self, resource: Resource, body: Obj, outcome: Outcome, adopted: Adoption | None, *, create: bool) -> Obj:
        """Sends one object by server-side apply. Fields of the canary are withheld; another conflict raises KubeError."""
        ref = outcome.ref
        query = {"fieldManager": self._options.field_manager, "fieldValidation": "Strict"}
        if self._options.check:
            query["dryRun"] = "All"
        budget = max(0.0, self._deadline - time.monotonic())
        if self._options.check:
            budget = 0.0 if self._options.trial else 10.0
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


def _with_managers(difference: tuple[Any, Any] | None, adopted: Adoption) -> tuple[Any, Any]:
    """A difference that also shows the owner of the fields before and after, the only change when the content is the same."""
    before, after = difference or ({}, {})
    return {**before, "fieldManager": ", ".join(adopted.from_others)}, {**after, "fieldManager": adopted.manager}


def _by_outage(error: KubeError) -> bool:
    return isinstance(error, ApiError) and error.by_outage
