# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Try everything that a run will write, before the first change: rights by access review, writes by server dry run, proxies by a proof.

The code that writes is the code that is tried, with a client whose writes are dry runs.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from ansible_collections.servicemesh.platform.plugins.module_utils._canary import plan as plans
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.context import Context
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.definitions_writer import DefinitionsWriter
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.findings import (
    Finding,
    FindingCode,
    findings_of,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.lease import Lease, LeaseHolder
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.objects import OtherRunError
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.observe import Observation
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.proxy_check import Prover
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.record import Record
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.refusal import (
    in_words,
    is_outage,
    is_refused,
    only_dry_run,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.rights import Review
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.state import State
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.watchdog import job as watchdog
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.client import Client
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.dry_run import DryRunClient
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import ApiError, KubeError

REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
_LATEST = LeaseHolder("trial", 2**31 - 1)  # as if it came after every other holder

Notes: TypeAlias = "Sequence[str] | None"
Tried = tuple[list[Finding], list[Finding]]  # why a canary cannot start, and what to know when it starts


# Rights ----------------------------------------------------------------------------------------------------------------


def rights(client: Client, wanted: Sequence[Review]) -> Tried:
    """Whether this identity has the rights of a run. What the API server does not say is unknown, and no reason to stop."""

    def ask(review: Review) -> bool | None:
        try:
            status = client.request("POST", REVIEWS, body=review.body())[1].get("status") or {}
        except ApiError as error:
            if error.refused:
                return None
            raise
        if status.get("allowed") is True:
            return True
        # An authorizer that failed may be the one that allows it.
        return None if status.get("evaluationError") or "allowed" not in status else False

    answers = list(zip(wanted, client.each(ask, wanted), strict=True))
    missing = [
        f"no right to {review} ({review.right.why})"
        for review, have in answers
        if have is False and review.right.needed
    ]
    if missing:
        missing[-1] += (
            ". Grant what is missing; the ClusterRole in docs/canary-clusterrole.yml has all rights but those to a Pushgateway "
            "(docs/canary.md, Rights)"
        )
    notes = findings_of(
        FindingCode.RIGHT_UNKNOWN,
        [
            f"no right to {review}: {review.right.why}"
            for review, have in answers
            if have is False and not review.right.needed
        ],
    )
    if unknown := [str(review) for review, have in answers if have is None]:
        few = ", ".join(unknown[:3]) + (f" and {len(unknown) - 3} more" if len(unknown) > 3 else "")
        notes += findings_of(
            FindingCode.RIGHT_UNKNOWN, [f"the API server does not say whether this identity has the rights: {few}"]
        )
    return findings_of(FindingCode.RIGHT, missing), notes


# Writes ----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Task:
    """One write of the run. `needed` False: the run goes on without it."""

    what: str
    run: Callable[[], Notes]
    needed: bool = True


class Trial:
    """The writes of one run, as dry runs."""

    def __init__(self, context: Context, state: State, observation: Observation) -> None:
        self._context, self._state, self._observation = context, state, observation
        self._client = DryRunClient(context.client)
        self._namespace, self._service = state.namespace, state.service
        self._stable = f"Deployment {self._namespace}/{state.settings['stable_deployment']}"
        self._canary = f"Deployment {self._namespace}/{state.settings['canary_deployment']}"

    def run(self, *, restarting: bool) -> Tried:
        """(why the run cannot start, what to know).

        `restarting`: a run that is replaced has a weight now. The new run first takes it back; what follows cannot be tried before,
        and the proxies need not have the weight yet.
        """
        lease = Lease(self._client, self._context.clock, self._namespace, self._service)
        holders: list[LeaseHolder] = []
        duration = float(self._context.params["lease_duration"])
        result = [self._attempt(_Task("the Lease", lambda: holders.append(lease.tried("trial", duration))))]
        holder = holders[0] if holders else _LATEST
        writer = DefinitionsWriter(self._client, self._state.settings, holder.annotation(self._state.run), trial=True)
        tasks = [*self._records(), *self._weights(writer, restarting), *self._workloads(writer)]
        calls: list[Callable[[], Tried]] = [functools.partial(self._attempt, task) for task in tasks]
        if (
            not restarting
            and int(self._state.settings["proof_samples"]) > 0
            and len(self._observation.observed.weights) == 1
        ):
            calls.append(self._prove)
        result += self._context.client.each(_called, calls)
        findings = [finding for found, _notes in result for finding in found]
        notes = [note for _found, noted in result for note in noted]
        return findings, [*notes, *findings_of(FindingCode.NOT_TRIED, [self._left()])]

    def _attempt(self, task: _Task) -> Tried:
        try:
            notes = task.run() or ()
        except OtherRunError:  # it wrote its record while this run tried: only dry runs have been sent
            raise OtherRunError(
                f"Another run started on {self._namespace}/{self._service} at the same moment. Nothing was done; "
                "wait until that run has ended"
            ) from None
        except KubeError as error:
            if only_dry_run(error):
                text = f"{task.what} could not be tried: an admission webhook does not support dry runs ({error})"
                return [], [Finding(FindingCode.NOT_TRIED, text)]
            if not task.needed:
                return [], [Finding(FindingCode.NOT_TRIED, f"{task.what} cannot be written: {error}")]
            if is_outage(error):
                raise KubeError(
                    f"Nothing was changed: {task.what} could not be tried ({in_words(error)}). The API server, or a webhook that it calls, "
                    "does not work now; run again when it does"
                ) from None
            if not is_refused(error):
                raise
            return [Finding(FindingCode.WRITE, f"the API server refuses {task.what}: {error}")], []
        return [], findings_of(FindingCode.TAKEN_OVER, [f"{task.what}: {note}" for note in notes])

    def _records(self) -> list[_Task]:
        record = Record(self._client, self._context.clock, self._namespace, self._service)

        def write() -> None:
            earlier = record.read()
            record.write(self._state, runs=self._context.runs(earlier), release=self._context.params.get("release"))

        def event() -> None:
            record.write_event("CanaryTrial", "a dry run", self._observation.stable)

        return [_Task("the record", write), _Task("an Event", event, needed=False)]

    def _weights(self, writer: DefinitionsWriter, restarting: bool) -> list[_Task]:
        """All weights of the plan, each from the routes as they are now."""
        items, aim = self._observation.virtual_services, self._observation.aim
        weights = dict.fromkeys([0] if restarting else [0, *self._state.plan.steps, plans.FULL])
        return [
            _Task(f"weight {weight} %", functools.partial(writer.set_weight, items, aim, weight)) for weight in weights
        ]

    def _workloads(self, writer: DefinitionsWriter) -> list[_Task]:
        params, state, seen = self._context.params, self._state, self._observation
        tasks: list[_Task] = []
        definitions = list(params.get("canary_definitions") or [])
        if definitions and not _ending(seen.canary):
            tasks.append(_Task("the canary", functools.partial(writer.apply, definitions)))
        if seen.canary is not None and not _ending(seen.canary):
            scale = functools.partial(writer.scale, state.settings["canary_deployment"], max(1, state.baseline))
            tasks.append(_Task(f"the scale of {self._canary}", scale))
            tasks.append(_Task("the end of the canary", functools.partial(writer.remove, seen.canary)))
        if seen.stable is None:
            return tasks
        if definitions:
            stable = functools.partial(writer.apply, list(params.get("stable_definitions") or []))
            tasks.append(_Task("the promotion", stable))
        elif seen.canary is not None:
            tasks.append(_Task("the promotion", functools.partial(writer.copy_template, seen.stable, seen.canary)))
        if state.restore:
            tasks.append(_Task("a rollback of stable", functools.partial(writer.restore, seen.stable, state.restore)))
        if state.settings.get("watchdog"):
            tasks.append(_Task("the watchdog", functools.partial(watchdog.tried, self._client, state)))
        scale = functools.partial(writer.scale, state.settings["stable_deployment"], max(1, state.baseline))
        tasks.append(_Task(f"the scale of {self._stable}", scale))
        return tasks

    def _prove(self) -> Tried:
        """A proof of the weight that the routes have now: whether the proxies can be read, and answer."""
        settings, (weight,) = self._state.settings, self._observation.observed.weights
        prover = Prover(self._context.client, int(settings["proof_samples"]), float(settings["proof_timeout"]))
        proof = prover.prove(self._observation.virtual_services, self._observation.aim, weight, (), settings["roots"])
        if proof.proved:
            return [], []
        why = "; ".join(proof.missing) or proof.why
        text = f"the proxies do not show the present weight of {weight} %, so that no weight could be proved: {why}"
        return [Finding(FindingCode.PROOF, text)], []

    def _left(self) -> str:
        """What cannot be tried, by name."""
        left = []
        if self._observation.canary is None or _ending(self._observation.canary):
            left.append(f"scale and end of {self._canary}, which does not exist yet")
        left.append("pods (quotas, their admission, images)")
        return f"not tried: {'; '.join(left)}"


def _ending(obj: Mapping[str, Any] | None) -> bool:
    return obj is not None and bool(obj["metadata"].get("deletionTimestamp"))


def _called(function: Callable[[], Tried]) -> Tried:
    return function()
