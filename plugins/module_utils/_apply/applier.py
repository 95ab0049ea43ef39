# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Applies or deletes a whole set of objects: validate, read, write wave by wave, wait, prune."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._apply.deleter import Deleter
from ansible_collections.servicemesh.platform.plugins.module_utils._apply.live import Live, read_live
from ansible_collections.servicemesh.platform.plugins.module_utils._apply.options import Options
from ansible_collections.servicemesh.platform.plugins.module_utils._apply.prune import Pruner, stub
from ansible_collections.servicemesh.platform.plugins.module_utils._apply.result import (
    Action,
    Outcome,
    Result,
    secret_values,
    unknown_kind,
    worded,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._apply.scope import doubles, placed, scope_finding
from ansible_collections.servicemesh.platform.plugins.module_utils._apply.trial import Trial
from ansible_collections.servicemesh.platform.plugins.module_utils._apply.waves import (
    CRD_WAVE,
    retirement,
    wave_of,
    waves,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._apply.writer import Pending, Writer
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.client import Client
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.diff import scrubbed
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.discovery import (
    Resource,
    is_built_in,
    resources_of_crd,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import (
    ApiError,
    KubeError,
    UnreachableError,
    numbered,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.objects import Ref, is_ours, ref_of
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.readiness import State, has_pods, verdict
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.wait import Target, Waiter

Obj = dict[str, Any]
Place = Callable[[Ref, str], str]
_LATER = "pods that are being deleted may still use it; a call that finds the set ready deletes it"


class ApplyError(KubeError):
    """The call failed; `Applier.result` holds what was done before. `causes`: the errors of single objects, as far as there were any."""

    def __init__(self, message: str, causes: Sequence[KubeError] = ()) -> None:
        self.causes = tuple(causes)
        super().__init__(message)


class Applier:
    """One call of the module. `place` says where an object was written, and in it the field of a path; empty where that is not known."""

    def __init__(self, client: Client, options: Options, place: Place = lambda _ref, _field: "") -> None:
        self._place = place
        self._client, self._options = client, options
        self._live: Live = {}
        self._known: dict[tuple[str, str], Resource] = {}  # kinds of CRDs in the set
        self._secrets: list[str] = []
        self._pruner = Pruner(client, options) if options.prune else None
        deadline, salt = time.monotonic() + options.wait_timeout, os.urandom(16)
        self._waiter = Waiter(client, deadline)
        set_id = self._pruner.set_id if self._pruner else ""
        self._writer = Writer(client, options, self._live, set_id=set_id, deadline=deadline, salt=salt)
        tried = replace(options, check=True, trial=True)
        self._tried = Writer(client, tried, self._live, set_id=set_id, deadline=deadline, salt=salt)
        self._tried.deleted_autoscalers = self._writer.deleted_autoscalers
        self._deleter = Deleter(client, options, self._live, deadline=deadline, salt=salt)
        self.result = Result()

    def run(self, objects: list[Obj], retired: list[Obj]) -> Result:
        """Applies or deletes a set, deletes what is retired, and prunes. `checked` has made both lists.

        Raises KubeError with all findings.
        """
        self._secrets = list(secret_values([*objects, *retired]))
        if self._options.state == "absent":
            objects, retired = [], [*objects, *retired]
        if not objects and not retired and self._pruner is None:
            return self.result
        if self._pruner is not None and not objects and self._options.state == "present":
            self._refuse_empty()
        try:
            self._run(objects, retired)
        except ApplyError as error:
            raise ApplyError(self.scrubbed(str(error)), error.causes) from None
        except ApiError as error:
            raise ApplyError(self.scrubbed(str(error)), [error]) from None
        except KubeError as error:
            raise type(error)(self.scrubbed(str(error))) from None
        return self.result

    @property
    def is_noop(self) -> bool:
        """After a run in check mode: whether nothing would change, and whatever a run would wait for is ready already."""
        wanted = self._options.wait.until_ready
        return all(
            outcome.action is Action.ABSENT
            or (
                outcome.action is Action.UNCHANGED
                and outcome.live is not None
                and (not wanted(outcome.ref.kind) or verdict(outcome.live).state == State.READY)
            )
            for outcome in self.result.outcomes
        )

    def _run(self, objects: list[Obj], retired: list[Obj]) -> None:
        present = self._options.state == "present"
        self._timed("discover", lambda: self._discover(objects, retired))
        objects, retired = self._placed(objects, retired)
        self._timed("read", lambda: self._read(objects, retired))
        leaving = self._leaving()
        if not present:
            retired = [*retired, *leaving]
        first, then, last = retirement(retired) if present else ([], retired, [])
        # Autoscalers are deleted first, because they would reset the number of replicas.
        gone = [self._live.get(ref_of(obj).key) for obj in first]
        self._writer.deleted_autoscalers += [hpa for hpa in gone if hpa is not None and is_ours(hpa)]
        if objects and not self._options.check:
            self._timed("try", lambda: self._try(objects))
        if first:
            self._timed("delete", lambda: self._delete_all(first))
        if objects:
            self._timed("apply", lambda: self._apply_all(objects))
        if then:
            self._timed("delete", lambda: self._delete_all(then))
        if present and not self._options.check:
            self._timed("wait", lambda: self._waiter.ready(self._not_ready(self._options.wait.until_ready)))
        if last:
            self._timed("delete", lambda: self._delete_last(last))
        if self._pruner is not None:
            self._timed("prune", lambda: self._prune(leaving if present else []))

    def _refuse_empty(self) -> None:
        name = self._options.name
        if name not in self._options.prune_allow:
            raise ApplyError(
                f"Pruning of set '{name}' is refused; nothing was sent: the set is empty, so everything that it once applied "
                f"would be deleted. Allow it with prune_allow: ['{name}'], or use state: absent"
            )

    def scrubbed(self, text: str) -> str:
        """Text without values of the set's Secrets."""
        return scrubbed(text, self._secrets)

    def _timed(self, phase: str, work: Callable[[], Any]) -> None:
        start = time.monotonic()
        try:
            work()
        finally:
            self.result.seconds[phase] = round(self.result.seconds.get(phase, 0.0) + time.monotonic() - start, 3)

    # Reading -----------------------------------------------------------------------------------------------------

    def _discover(self, objects: list[Obj], retired: list[Obj]) -> None:
        for obj in objects:
            if obj["kind"] == "CustomResourceDefinition":
                self._known.update({(r.api_version, r.kind): r for r in resources_of_crd(obj)})
        wanted = {(obj["apiVersion"], obj["kind"]) for obj in [*objects, *retired]} - set(self._known)
        asked: list[Callable[[], Any]] = [lambda: self._client.discover(wanted)]
        if self._pruner is not None:
            asked.append(self._pruner.look)
        self._client.each(_called, asked)

    def _read(self, objects: list[Obj], retired: list[Obj]) -> None:
        """Reads the live state of all objects that the call may write or delete, and decides what to prune."""
        if self._pruner is None:
            read_live(self._client, [*objects, *retired], self._live)
            return
        candidates = self._pruner.candidates(objects, retired, self._client.catalog)
        read_live(self._client, [*objects, *retired, *candidates], self._live)
        self._pruner.decide(candidates, self._live, self._client.catalog)

    def _leaving(self) -> list[Obj]:
        """The objects to prune; those that another owner has get their outcome here."""
        if self._pruner is None:
            return []
        leaving = [stub(ref) for ref in self._pruner.plan.delete]
        # The writer takes over a number of replicas that these autoscalers set: without it, the set could not be applied.
        self._writer.deleted_autoscalers += [
            self._live[ref_of(o).key] for o in leaving if o["kind"] == "HorizontalPodAutoscaler"
        ]
        self.result.outcomes += [
            Outcome(ref, wave_of(stub(ref)), Action.KEPT, note=f"left the set, but {reason}")
            for ref, reason in self._pruner.plan.keep
        ]
        return leaving

    # Kinds -------------------------------------------------------------------------------------------------------

    def _resource(self, ref: Ref) -> Resource | None:
        return self._client.catalog.find(ref.api_version, ref.kind) or self._known.get((ref.api_version, ref.kind))

    def _placed(self, objects: list[Obj], retired: list[Obj]) -> tuple[list[Obj], list[Obj]]:
        """The objects in their namespaces. Every kind must be known to the server or be defined by the set, and its scope must fit."""
        findings = []
        lists: tuple[list[Obj], list[Obj]] = ([], [])
        for given, result in zip((objects, retired), lists, strict=True):
            for obj in given:
                resource = self._resource(ref_of(obj))
                result.append(placed(obj, resource, self._options.namespace))
                ref = ref_of(result[-1])
                if resource is not None:
                    findings.append(self._at(ref, scope_finding(ref, resource, self._options.namespace)))
                elif given is objects and not self._may_be_missing(ref):
                    findings.append(self._at(ref, unknown_kind(ref, self._client.catalog)))
        if self._options.namespace:
            found = doubles([*objects, *retired], [*lists[0], *lists[1]])
            findings += [self._at(ref, finding) for ref, finding in found]
        if findings := [finding for finding in findings if finding]:
            raise ApplyError(numbered("The definitions do not fit this cluster; nothing was sent", findings))
        return lists

    def _may_be_missing(self, ref: Ref) -> bool:
        """In check mode, an earlier task may be the one that creates the CRD."""
        return self._options.check and not self._options.trial and not is_built_in(ref.api_version)

    # Trying ------------------------------------------------------------------------------------------------------

    def _try(self, objects: list[Obj]) -> None:
        """Tries what is about to be written, where a refused request would leave something behind. Raises ApplyError with all refusals.

        That is where several objects are written, and where one is taken over. The request for a single object is refused as a whole.
        """
        found = {ref_of(obj).key: self._writer.pending(obj) for obj in objects}
        pending = [obj for obj in objects if found[ref_of(obj).key] != Pending.NOTHING]
        if len(pending) < 2 and Pending.ADOPT not in found.values():
            return
        trial = Trial(self._client, self._tried, pending, self._live)
        refusals = trial.refusals()
        self._writer.leave(trial.noops)
        if refusals:
            errors = sorted(self._told(error, obj) for obj, error in refusals)
            raise ApplyError(
                numbered("The API server refuses it; nothing was changed", errors), [e for _obj, e in refusals]
            )

    def _at(self, ref: Ref, finding: str, field: str = "") -> str:
        """A finding about an object, with the place where that was written."""
        place = self._place(ref, field) if finding else ""
        return f"{place}: {finding}" if place else finding

    def _told(self, error: KubeError, obj: Mapping[str, Any]) -> str:
        """An error about an object, with both; the line is that of the field that the server names."""
        ref = ref_of(obj)
        field = error.field if isinstance(error, ApiError) else ""
        return self._at(ref, f"{ref}: {self._worded(error, obj)}", field)

    def _worded(self, error: KubeError, obj: Mapping[str, Any]) -> str:
        return worded(error, self._secrets, obj, self._live.get(ref_of(obj).key), self._options.field_manager)

    # Applying ----------------------------------------------------------------------------------------------------

    def _apply_all(self, objects: list[Obj]) -> None:
        if self._pruner is not None and not self._options.check:
            home, objects = self._homes(objects)
            if home:
                self._wave(wave_of(home[0]), home, self._writer.apply)
            self._pruner.write_ahead()
        for number, members in waves(objects):
            self._wave(number, members, self._writer.apply)
            if number == CRD_WAVE and not self._options.check:
                crds = [ref_of(obj) for obj in members]
                self._waiter.ready([target for ref in crds if (target := self._unready(ref)) is not None])
                if any(outcome.changed for outcome in self.result.outcomes if outcome.wave == number):
                    self._client.discover((obj["apiVersion"], obj["kind"]) for obj in objects)
                    read_live(self._client, objects, self._live)

    def _homes(self, objects: list[Obj]) -> tuple[list[Obj], list[Obj]]:
        """The Namespace of the inventory, when the set creates it, and the rest: the inventory is written before anything else."""
        key = Ref("v1", "Namespace", "", self._options.inventory_namespace).key
        home = [obj for obj in objects if ref_of(obj).key == key and key not in self._live]
        return home, [obj for obj in objects if obj not in home] if home else objects

    def _wave(
        self, number: int, members: Iterable[Mapping[str, Any]], work: Callable[[Mapping[str, Any], int], Outcome]
    ) -> None:
        """Handles all objects of a wave at once. Except in an outage each is tried, so that one call reports all errors."""
        errors: list[str] = []
        lost: list[str] = []
        causes: list[KubeError] = []

        def attempt(obj: Mapping[str, Any]) -> None:
            if lost:
                return
            start = time.monotonic()
            try:
                outcome = work(obj, number)
                outcome.seconds = time.monotonic() - start
                self.result.outcomes.append(outcome)
            except KubeError as error:
                causes.append(error)
                if isinstance(error, UnreachableError) or (isinstance(error, ApiError) and error.by_outage):
                    lost.append(self._worded(error, obj))
                else:
                    errors.append(self._told(error, obj))

        members, before = list(members), len(self.result.outcomes)
        self._client.each(attempt, members)
        left = len(members) - (len(self.result.outcomes) - before) - len(errors)
        self.result.outcomes.sort(key=lambda outcome: (outcome.wave, outcome.ref.key))
        errors.sort()
        if lost:
            errors.append(f"{lost[0]} ({left} of {len(members)} objects of the wave are not done)")
        if errors:
            later = "; no later wave was started" if len(self.result.outcomes) else ""
            raise ApplyError(numbered(f"Wave {number} failed{later}", errors), causes)

    # Deleting ----------------------------------------------------------------------------------------------------

    def _delete_last(self, objects: list[Obj]) -> None:
        """Deletes what pods refer to last: a pod that is being deleted may start a container again, and so may a rollout that is undone."""
        if self._known_ready():
            self._delete_all(objects)
            return
        for obj in objects:
            ref, there = ref_of(obj), self._live.get(ref_of(obj).key) is not None
            self.result.outcomes.append(
                Outcome(ref, wave_of(obj), Action.KEPT if there else Action.ABSENT, note=_LATER if there else "")
            )

    def _delete_all(self, objects: list[Obj]) -> None:
        for number, members in waves(objects, reverse=True):
            self._wave(number, members, self._deleter.delete)
            if not self._options.check:
                self._waiter.gone(
                    [
                        Target(outcome.ref, resource)
                        for outcome in self.result.outcomes
                        if outcome.wave == number
                        and outcome.action == Action.DELETED
                        and self._options.wait.until_gone(outcome.ref.kind)
                        and outcome.live is not None
                        and (resource := self._resource(outcome.ref)) is not None
                    ]
                )

    def _prune(self, leaving: list[Obj]) -> None:
        """Deletes what left the set, after everything else succeeded, and updates the inventory."""
        pruner = self._pruner
        if pruner is None:
            raise AssertionError("_prune is called for a set that is not pruned")
        first, then, last = retirement(leaving)
        self._delete_all([*first, *then])
        self._delete_last(last)
        pruned = {ref.key for ref in pruner.plan.delete}
        for outcome in self.result.outcomes:
            if outcome.ref.key in pruned and outcome.action == Action.DELETED:
                outcome.note = f"set '{self._options.name}' does not contain it any more"
                self.result.pruned.append(outcome.ref)
        if not self._options.check:
            pruner.finish({o.ref.key for o in self.result.outcomes if o.action in (Action.DELETED, Action.ABSENT)})

    # Waiting -----------------------------------------------------------------------------------------------------

    def _unready(self, ref: Ref) -> Target | None:
        """What to wait for; None when the answer to the apply shows that it is ready."""
        outcome = next((o for o in self.result.outcomes if o.ref.key == ref.key), None)
        return self._target(outcome) if outcome is not None else None

    def _target(self, outcome: Outcome) -> Target | None:
        resource = self._resource(outcome.ref)
        if outcome.live is None or resource is None or not outcome.applied:
            return None
        if verdict(outcome.live).state == State.READY:
            return None
        return Target(outcome.ref, resource)

    def _not_ready(self, wanted: Callable[[str], bool]) -> list[Target]:
        """Objects of the wanted kinds that are not ready."""
        return [
            target
            for outcome in self.result.outcomes
            if wanted(outcome.ref.kind) and (target := self._target(outcome)) is not None
        ]

    def _known_ready(self) -> bool:
        """Whether all pods of the set are those of its definitions, as waited for or as seen in the answers."""
        wait = self._options.wait
        return not [
            outcome
            for outcome in self.result.outcomes
            if outcome.live is not None
            and not wait.until_ready(outcome.ref.kind)
            and has_pods(outcome.live)
            and self._target(outcome) is not None
        ]


def _called(function: Callable[[], Any]) -> Any:
    return function()
