# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write a whole set of objects, or delete it: validate, look, go wave by wave, wait."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils import (
    _fields,
    _live,
    _objects,
    _readiness,
    _replicas,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._diff import changes, overlay, redacted, scrubbed
from ansible_collections.servicemesh.platform.plugins.module_utils._discovery import (
    Resource,
    is_built_in,
    resources_of_crd,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._kube import APPLY, ApiError, Client, KubeError
from ansible_collections.servicemesh.platform.plugins.module_utils._objects import (
    CANARY_MANAGER,
    FIELD_MANAGER,
    Ref,
    ref_of,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._outcome import (
    Options,
    Outcome,
    Result,
    numbered,
    secret_values,
    unknown_kind,
    worded,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._wait import Target, Waiter
from ansible_collections.servicemesh.platform.plugins.module_utils._waves import CRD_WAVE, retirement, wave_of, waves

Obj = dict[str, Any]
_ATTEMPTS = 5
# Seconds that pods of deleted workloads get to be told to stop.
_LAST_PODS = 15.0
_LATER = "pods on their way out may still use it; a call that finds the set ready deletes it"
_APPLIED = frozenset({"created", "changed", "unchanged"})


class ApplyError(KubeError):
    """The call failed; `Applier.result` tells what was done before."""


class Applier:
    """One call of the module."""

    def __init__(self, client: Client, options: Options) -> None:
        self._client, self._options = client, options
        self._deadline = time.monotonic() + options.wait_timeout
        self._salt = os.urandom(16)
        self._live: _live.Live = {}
        self._going: list[Obj] = []  # autoscalers that this call deletes
        self._known: dict[tuple[str, str], Resource] = {}  # kinds of CRDs in the set
        self._secrets: list[str] = []
        self._waiter = Waiter(client, self._deadline)
        self.result = Result()

    def run(self, objects: list[Obj], retired: list[Obj]) -> Result:
        """Applies or deletes a set, and deletes what is retired. Both went through `checked`.

        Raises KubeError with all that went wrong.
        """
        self._secrets = list(secret_values([*objects, *retired]))
        if self._options.state == "absent":
            objects, retired = [], [*objects, *retired]
        if not objects and not retired:
            return self.result
        first, then, last = retirement(retired) if self._options.state == "present" else ([], retired, [])
        try:
            self._timed("discover", self._client.discover)
            self._check_kinds(objects, retired)
            self._timed("read", lambda: _live.read(self._client, [*objects, *retired], self._live))
            if first:
                self._timed("delete", lambda: self._delete_first(first))
            if objects:
                self._timed("apply", lambda: self._apply_all(objects))
            if then:
                self._timed("delete", lambda: self._delete_all(then))
            if self._options.wait and not self._options.check:
                self._timed("wait", self._wait_all)
            if last:
                self._timed("delete", lambda: self._delete_last(last))
        except ApiError as error:
            raise ApplyError(scrubbed(str(error), self._secrets)) from None
        except KubeError as error:
            raise type(error)(scrubbed(str(error), self._secrets)) from None
        return self.result

    def _timed(self, phase: str, work: Callable[[], Any]) -> None:
        start = time.monotonic()
        try:
            work()
        finally:
            self.result.seconds[phase] = round(self.result.seconds.get(phase, 0.0) + time.monotonic() - start, 3)

    # Kinds -------------------------------------------------------------------------------------------------------

    def _resource(self, ref: Ref) -> Resource | None:
        return self._client.catalog.find(ref.api_version, ref.kind) or self._known.get((ref.api_version, ref.kind))

    def _check_kinds(self, objects: list[Obj], retired: list[Obj]) -> None:
        """Every kind must be known to the server or come with the set; scope and namespace must fit."""
        for obj in objects:
            if obj["kind"] == "CustomResourceDefinition":
                self._known.update({(r.api_version, r.kind): r for r in resources_of_crd(obj)})
        problems = []
        for index, obj in enumerate([*objects, *retired]):
            ref = ref_of(obj)
            resource = self._resource(ref)
            if resource is None:
                if index < len(objects) and not self._may_be_missing(ref):
                    problems.append(unknown_kind(ref, self._client.catalog))
            elif resource.namespaced and not ref.namespace:
                problems.append(f"{ref}: metadata.namespace is missing; objects of this kind live in a namespace")
            elif not resource.namespaced and ref.namespace:
                problems.append(
                    f"{ref}: metadata.namespace is {ref.namespace!r}; objects of this kind have none, leave it out"
                )
        if problems:
            raise ApplyError(numbered("The definitions do not fit this cluster; nothing was sent", problems))

    def _may_be_missing(self, ref: Ref) -> bool:
        """In check mode a CRD that is not there may be what an earlier task would have brought."""
        return self._options.check and not is_built_in(ref.api_version)

    # Applying ----------------------------------------------------------------------------------------------------

    def _apply_all(self, objects: list[Obj]) -> None:
        for number, members in waves(objects):
            self._wave(number, members, self._apply_one)
            if number == CRD_WAVE and not self._options.check:
                crds = [ref_of(obj) for obj in members]
                self._waiter.ready([target for ref in crds if (target := self._unready(ref)) is not None])
                if any(outcome.changed for outcome in self.result.outcomes if outcome.wave == number):
                    self._client.discover()
                    _live.read(self._client, objects, self._live)

    def _wave(
        self, number: int, members: Iterable[Mapping[str, Any]], work: Callable[[Mapping[str, Any], int], Outcome]
    ) -> None:
        """All objects of a wave at once. Every one is tried, so that one run tells all that is wrong."""
        errors: list[str] = []

        def attempt(obj: Mapping[str, Any]) -> None:
            start = time.monotonic()
            try:
                outcome = work(obj, number)
                outcome.seconds = time.monotonic() - start
                self.result.outcomes.append(outcome)
            except KubeError as error:
                errors.append(f"{ref_of(obj)}: {worded(error, self._secrets)}")

        self._client.each(attempt, members)
        self.result.outcomes.sort(key=lambda outcome: (outcome.wave, outcome.ref.key))
        if errors:
            later = "; no later wave was begun" if len(self.result.outcomes) else ""
            raise ApplyError(numbered(f"Wave {number} failed{later}", sorted(errors)))

    def _apply_one(self, obj: Mapping[str, Any], wave: int) -> Outcome:
        ref = ref_of(obj)
        live = self._live.get(ref.key)
        outcome = Outcome(ref, wave, "unchanged", live=live)
        resource = self._client.catalog.find(ref.api_version, ref.kind)
        if live is not None and live["metadata"].get("deletionTimestamp"):
            self._until_gone(ref, outcome)
            live = None
        body = _objects.prepared(obj, self._options.name, ours=live is None or _objects.is_ours(live))
        if resource is None:  # check mode: the CRD comes with the set or with an earlier task
            if not self._options.check:
                raise KubeError(f"the server does not know the kind {ref.kind} of {ref.api_version}")
            return self._predicted(outcome, body)
        if live is not None and _objects.is_create_only(obj):
            outcome.action, outcome.note = "kept", "exists, and is only ever created"
            return outcome
        if (patch := _replicas.handed_over(live, body, self._options.field_manager)) is not None:
            body = self._hand_over(resource.path(ref), patch, body)
        try:
            after = self._send(ref, resource, body, outcome, create=live is None and _objects.is_create_only(obj))
        except ApiError as error:
            if not self._options.check:
                raise
            if error.status == 404 and live is None:
                return self._predicted(outcome, body)
            if error.status == 400 and "does not support dry run" in error.message:
                outcome.predicted = True
                after = overlay(live, body)
            else:
                raise
        if outcome.action == "kept":
            return outcome
        outcome.live = after
        outcome.difference = changes(live, after, self._salt)
        outcome.action = "created" if live is None else "changed" if outcome.difference else "unchanged"
        return outcome

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

    def _until_gone(self, ref: Ref, outcome: Outcome) -> None:
        resource = self._resource(ref)
        if self._options.check or resource is None:
            outcome.note = "the object of this name is being deleted"
            return
        if not self._options.wait:
            raise KubeError("an object of this name is being deleted; try again when it is gone, or wait (wait: true)")
        Waiter(self._client, self._deadline).gone([Target(ref, resource)])

    def _send(self, ref: Ref, resource: Resource, body: Obj, outcome: Outcome, *, create: bool) -> Obj:
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
                body, force = self._resolved(body, conflicts, outcome)
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

    def _resolved(self, body: Obj, conflicts: list[_fields.Conflict], outcome: Outcome) -> tuple[Obj, bool]:
        """The patch without the canary's fields, and whether what is left may be forced."""
        held = [c for c in conflicts if c.manager == CANARY_MANAGER and self._options.field_manager != CANARY_MANAGER]
        others = [c for c in conflicts if c not in held]
        allowed = [
            c
            for c in others
            if any(_fields.covers(path, c.field) for path in self._options.force_conflicts)
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
        if not _replicas.left_behind(outcome.ref, conflict.manager, there, self._going):
            return False
        outcome.note = f"took {conflict.field} over from '{conflict.manager}': no autoscaler holds it any more"
        return True

    # Deleting ----------------------------------------------------------------------------------------------------

    def _delete_first(self, objects: list[Obj]) -> None:
        """Autoscalers, which would set the number of pods back."""
        live = [self._live.get(ref_of(obj).key) for obj in objects]
        self._going = [hpa for hpa in live if hpa is not None and _objects.is_ours(hpa)]
        self._delete_all(objects)

    def _delete_last(self, objects: list[Obj]) -> None:
        """What pods refer to: pods on their way out may start a container once more, and an undone rollout needs it again."""
        if self._options.wait or not self._not_ready():
            self._delete_all(objects)
            return
        for obj in objects:
            ref, there = ref_of(obj), self._live.get(ref_of(obj).key) is not None
            self.result.outcomes.append(
                Outcome(ref, wave_of(obj), "kept" if there else "absent", note=_LATER if there else "")
            )

    def _delete_all(self, objects: list[Obj]) -> None:
        for number, members in waves(objects, reverse=True):
            self._wave(number, members, self._delete_one)
            if self._options.wait and not self._options.check:
                self._waiter.gone(
                    [
                        Target(outcome.ref, resource)
                        for outcome in self.result.outcomes
                        if outcome.wave == number
                        and outcome.action == "deleted"
                        and outcome.live is not None
                        and (resource := self._resource(outcome.ref)) is not None
                    ]
                )

    def _delete_one(self, obj: Mapping[str, Any], wave: int) -> Outcome:
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
            if error.status == 404 or (error.status == 409 and "uid" in error.message):
                return outcome  # gone, or gone and made anew by somebody else
            raise
        # An object that has finalizers or dependents comes back with its deletionTimestamp; a Status says it is gone.
        outcome.live = None if answer.get("kind") == "Status" else answer
        return outcome

    def _strangers(self, namespace: str) -> list[str]:
        """Pods that keep a namespace: whatever the set had in it is deleted by now, and may need a moment to stop."""
        return Waiter(self._client, self._deadline).pods_left(namespace, _LAST_PODS if self._options.wait else 0.5)

    # Waiting -----------------------------------------------------------------------------------------------------

    def _unready(self, ref: Ref) -> Target | None:
        """What to wait for, unless the answer to the apply says already that it is ready."""
        resource = self._resource(ref)
        outcome = next((o for o in self.result.outcomes if o.ref.key == ref.key), None)
        if outcome is None or outcome.live is None or resource is None or outcome.action not in _APPLIED:
            return None
        if _readiness.verdict(outcome.live).state == _readiness.READY:
            return None
        return Target(ref, resource)

    def _not_ready(self) -> list[Target]:
        return [target for outcome in self.result.outcomes if (target := self._unready(outcome.ref)) is not None]

    def _wait_all(self) -> None:
        self._waiter.ready(self._not_ready())
