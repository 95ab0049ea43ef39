# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write one object: server-side apply, with what fields of others ask for."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._apply import adoption as _adoption
from ansible_collections.servicemesh.platform.plugins.module_utils._apply import live as _live
from ansible_collections.servicemesh.platform.plugins.module_utils._apply import replicas as _replicas
from ansible_collections.servicemesh.platform.plugins.module_utils._apply.adoption import Adoption
from ansible_collections.servicemesh.platform.plugins.module_utils._apply.noop import settled
from ansible_collections.servicemesh.platform.plugins.module_utils._apply.options import Options
from ansible_collections.servicemesh.platform.plugins.module_utils._apply.result import Outcome
from ansible_collections.servicemesh.platform.plugins.module_utils._kube import managed_fields as _fields
from ansible_collections.servicemesh.platform.plugins.module_utils._kube import objects as _objects
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.client import APPLY, Client
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.diff import changes, overlay, redacted
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.discovery import Resource
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import ApiError, KubeError
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.objects import CANARY_MANAGER, Ref, ref_of
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.wait import Target, Waiter

Obj = dict[str, Any]
_ATTEMPTS = 5
_JSON_PATCH = "application/json-patch+json"


class Writer:
    """Writes the objects of one call. Safe to use from several threads."""

    def __init__(
        self, client: Client, options: Options, live: _live.Live, *, set_id: str, deadline: float, salt: bytes
    ) -> None:
        self._client, self._options, self._live = client, options, live
        self._set_id, self._deadline, self._salt = set_id, deadline, salt
        self.going: list[Obj] = []  # autoscalers that this call deletes

    def apply(self, obj: Mapping[str, Any], wave: int) -> Outcome:
        """Creates an object or brings it to its definition; in check mode, tells what that would do."""
        ref = ref_of(obj)
        live = self._live.get(ref.key)
        outcome = Outcome(ref, wave, "unchanged", live=live)
        resource = self._client.catalog.find(ref.api_version, ref.kind)
        if live is not None and live["metadata"].get("deletionTimestamp"):
            self._until_gone(ref, resource, outcome)
            live = None
        body = self._prepared(obj, live, outcome)
        if resource is None:  # check mode: the CRD comes with the set or with an earlier task
            if not self._options.check:
                raise KubeError(f"the server does not know the kind {ref.kind} of {ref.api_version}")
            return self._predicted(outcome, body)
        if live is not None and _objects.is_create_only(obj):
            outcome.action, outcome.note = "kept", "exists, and is only ever created"
            return outcome
        owned, adopted = self._adopted(resource.path(ref), live, outcome)
        if (patch := _replicas.handed_over(owned, body, self._options.field_manager)) is not None:
            body = self._hand_over(resource.path(ref), patch, body)
        elif live is not None and adopted is None and settled(body, live, self._options.field_manager):
            return outcome
        after = self._after(ref, resource, body, outcome, live, adopted)
        if after is None:
            return self._predicted(outcome, body)
        if outcome.action == "kept":
            return outcome
        outcome.live = after
        outcome.difference = changes(live, after, self._salt)
        if adopted is not None:
            outcome.difference = _with_managers(outcome.difference, adopted, self._options.field_manager)
        outcome.action = "created" if live is None else "changed" if outcome.difference else "unchanged"
        return outcome

    def _prepared(self, obj: Mapping[str, Any], live: Obj | None, outcome: Outcome) -> Obj:
        """The object as it is sent. Membership of a pruned set outlives calls that do not prune."""
        before = ((live or {}).get("metadata", {}).get("labels") or {}).get(_objects.SET_LABEL, "")
        ours = live is None or _objects.is_ours(live)
        if ours and self._set_id and before not in ("", self._set_id):
            outcome.note = f"was a member of another set: label {_objects.SET_LABEL} was {before}"
        return _objects.prepared(obj, self._options.name, ours=ours, set_id=self._set_id or before)

    def _after(
        self,
        ref: Ref,
        resource: Resource,
        body: Obj,
        outcome: Outcome,
        live: Obj | None,
        adopted: Adoption | None,
    ) -> Obj | None:
        """The object as it is afterwards; null when the server cannot tell because it lacks the namespace."""
        create = live is None and _objects.is_create_only(body)
        try:
            after = self._send(ref, resource, body, outcome, adopted, create=create)
        except ApiError as error:
            if not self._options.check:
                raise
            if error.status == 404 and live is None:
                return None
            if error.status == 400 and "does not support dry run" in error.message:
                outcome.predicted = True
                return overlay(live, body)
            raise
        if adopted is not None and self._options.check:
            return self._preview(resource.path(ref), adopted, after, body, outcome)
        return after

    # Adoption ----------------------------------------------------------------------------------------------------

    def _adopted(self, path: str, live: Obj | None, outcome: Outcome) -> tuple[Obj | None, Adoption | None]:
        """The live object as it is owned once it is taken over from client-side apply, and how that is done."""
        manager = self._options.field_manager
        if live is not None and _adoption.is_untracked(live):
            live = self._tracked(path, live)
        adopted = None if live is None else _adoption.adoption(live, manager)
        if live is None or adopted is None:
            return live, None
        outcome.note = adopted.note
        if self._options.check:
            return {**live, "metadata": {**live["metadata"], "managedFields": adopted.entries}}, adopted
        owned: Obj | None = live
        for attempt in range(_ATTEMPTS):
            step = None if owned is None else _adoption.adoption(owned, manager)
            if step is None:  # somebody else was faster
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
        """An object from before ownership was followed: to apply nothing makes the server name `before-first-apply`."""
        meta = {key: live["metadata"][key] for key in ("name", "namespace", "uid") if key in live["metadata"]}
        nothing = {"apiVersion": live["apiVersion"], "kind": live["kind"], "metadata": meta}
        query = {"fieldManager": self._options.field_manager, **({"dryRun": "All"} if self._options.check else {})}
        return self._client.request("PATCH", path, query=query, body=nothing, content_type=APPLY)[1]

    def _preview(self, path: str, adopted: Adoption, after: Obj, body: Obj, outcome: Outcome) -> Obj:
        """What a dry run of the apply leaves when the fields that are taken over go with it.

        A dry run takes nothing over, so the server is asked again, with the object as it would be: its defaults and
        admission have a say.
        """
        guess = _adoption.pruned(after, adopted, body)
        meta = guess["metadata"]
        meta.pop("managedFields", None)
        (meta.get("annotations") or {}).pop(_adoption.LAST_APPLIED, None)
        try:
            query = {"fieldManager": self._options.field_manager, "dryRun": "All"}
            return self._client.request("PUT", path, query=query, body=guess)[1]
        except ApiError as error:
            if error.status not in (403, 405):
                raise
            outcome.predicted = True  # may patch, may not update
            return guess

    def _predicted(self, outcome: Outcome, body: Obj) -> Outcome:
        """What would be created, where the server cannot say because the namespace or kind is not there yet."""
        outcome.action, outcome.predicted = "created", True
        outcome.difference = ({}, redacted(body, self._salt))
        return outcome

    def _hand_over(self, path: str, patch: Obj, body: Obj) -> Obj:
        """Lets the number of pods stay as it is though the definition leaves it out. Returns what to send then."""
        if self._options.check:  # nothing was handed over, so the dry run has to be told the number
            return {**body, "spec": {**body["spec"], "replicas": patch["spec"]["replicas"]}}
        try:
            self._client.request(
                "PATCH", path, query={"fieldManager": _replicas.AUTOSCALING_MANAGER}, body=patch, content_type=APPLY
            )
        except ApiError as error:
            # Somebody has just changed the number, and so owns it.
            if error.status != 409 or not _fields.conflicts_of(error.body):
                raise
        return body

    def _until_gone(self, ref: Ref, resource: Resource | None, outcome: Outcome) -> None:
        if self._options.check or resource is None:
            outcome.note = "the object of this name is being deleted"
            return
        if not self._options.wait.until_gone(ref.kind):
            raise KubeError("an object of this name is being deleted; try again when it is gone, or wait (wait: true)")
        Waiter(self._client, self._deadline).gone([Target(ref, resource)])

    # Sending -----------------------------------------------------------------------------------------------------

    def _send(
        self, ref: Ref, resource: Resource, body: Obj, outcome: Outcome, adopted: Adoption | None, *, create: bool
    ) -> Obj:
        """One object by server-side apply; fields of the canary are left out, other conflicts stop."""
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
                conflicts = _fields.conflicts_of(error.body) if error.status == 409 else []
                if error.status != 409 or attempt == _ATTEMPTS - 1:
                    raise
                if not conflicts:  # somebody wrote at the same moment
                    time.sleep(0.05 * 2**attempt)
                    continue
                body, force = self._resolved(body, conflicts, outcome, adopted)
                if force:
                    query["force"] = "true"
        raise AssertionError("unreachable")

    def _create(
        self, ref: Ref, resource: Resource, body: Obj, query: dict[str, str], outcome: Outcome, budget: float
    ) -> Obj:
        """By POST, which can never overwrite what somebody else made in the meantime."""
        try:
            return self._client.request(
                "POST", resource.collection(ref.namespace), query=query, body=body, webhook_budget=budget
            )[1]
        except ApiError as error:
            if error.status == 409 and error.reason == "AlreadyExists":
                outcome.action, outcome.note = "kept", "exists, and is only ever created"
                return {}
            raise

    def _resolved(
        self, body: Obj, conflicts: list[_fields.Conflict], outcome: Outcome, adopted: Adoption | None
    ) -> tuple[Obj, bool]:
        """The patch without the canary's fields, and whether what is left may be forced."""
        taken = adopted.managers if adopted else ()  # in check mode they still own what the real run takes from them
        held = [c for c in conflicts if c.manager == CANARY_MANAGER and self._options.field_manager != CANARY_MANAGER]
        others = [c for c in conflicts if c not in held]
        allowed = [
            c
            for c in others
            if c.manager in taken
            or any(_fields.covers(path, c.field) for path in self._options.force_conflicts)
            or self._left_behind(c, outcome)
        ]
        refused = [c for c in others if c not in allowed]
        if refused:
            named = "; ".join(f"{c.field} belongs to manager '{c.manager}'" for c in refused)
            raise KubeError(
                f"409 Conflict: {named}. Nothing is overwritten silently: leave the field out of the definition, let that "
                f"manager give it up, or take it over with force_conflicts: {sorted({c.field for c in refused})}"
            )
        shorter = _fields.without(body, [c.field for c in held])
        if held and shorter == body:
            raise KubeError(
                f"409 Conflict: {held[0].field} belongs to manager '{CANARY_MANAGER}' and cannot be left out"
            )
        outcome.held += [{"field": c.field, "manager": c.manager} for c in held]
        return shorter, bool(allowed) and not held

    def _left_behind(self, conflict: _fields.Conflict, outcome: Outcome) -> bool:
        """Whether the field is a number of pods that an autoscaler set which is gone."""
        if conflict.field != _replicas.FIELD:
            return False
        try:
            there, _version = self._client.list_all(
                f"/apis/autoscaling/v2/namespaces/{outcome.ref.namespace}/horizontalpodautoscalers"
            )
        except ApiError:
            return False  # who may not look does not take
        if not _replicas.left_behind(outcome.ref, conflict.manager, there, self.going):
            return False
        outcome.note = f"took {conflict.field} over from '{conflict.manager}': no autoscaler holds it any more"
        return True


def _with_managers(difference: tuple[Any, Any] | None, adopted: Adoption, manager: str) -> tuple[Any, Any]:
    """A difference that also tells whose the fields were and are: the whole change, when the content is the same."""
    before, after = difference or ({}, {})
    return {**before, "fieldManager": ", ".join(adopted.managers)}, {**after, "fieldManager": manager}
