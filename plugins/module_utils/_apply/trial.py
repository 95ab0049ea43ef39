# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tries by dry run what a call is about to write, so that a call that is refused has changed nothing.

A refusal counts when the objects that the call writes before cannot change it. What cannot be tried (a namespace, a kind or a webhook that
comes with the call, a webhook without dry runs) is left to the write itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._apply.live import Live
from ansible_collections.servicemesh.platform.plugins.module_utils._apply.result import Action, Outcome
from ansible_collections.servicemesh.platform.plugins.module_utils._apply.waves import SETTING_WAVES, wave_of
from ansible_collections.servicemesh.platform.plugins.module_utils._apply.writer import Writer
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.client import Client
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.diff import content
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.discovery import resources_of_crd
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import (
    ApiError,
    KubeError,
    StoppedError,
    UnreachableError,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.objects import Ref, ref_of

Obj = Mapping[str, Any]
# What Services share: one may give it up in the same call (kubernetes, pkg/registry/core/service/storage/alloc.go).
_SHARED = re.compile(r"spec\.(ports\[\d+\]\.nodePort|healthCheckNodePort|clusterIPs?)")


class Trial:
    """The trial of one call. `writer`: of dry runs; `live`: the objects that exist.

    `noops`: what the writes would leave as it is, ownership included.
    """

    def __init__(self, client: Client, writer: Writer, pending: Sequence[Obj], live: Live) -> None:
        self._client, self._writer, self._pending = client, writer, pending
        self.noops: list[Outcome] = []
        # What ends the trial: an outage, refused credentials, a run that has ended.
        self._lost: list[KubeError] = []
        self._coming = {
            ref_of(obj).name for obj in pending if obj["kind"] == "Namespace" and not _stays(live.get(ref_of(obj).key))
        }
        self._kinds = {
            (resource.group, resource.kind)
            for obj in pending
            if obj["kind"] == "CustomResourceDefinition"
            for resource in resources_of_crd(obj)
        }

    def refusals(self) -> list[tuple[Obj, KubeError]]:
        """Objects that the server refuses, with the reason. Raises KubeError when the server cannot be asked."""
        found = self._client.each(self._refusal, [obj for obj in self._pending if self._can_try(ref_of(obj))])
        if self._lost:
            raise self._lost[0]
        return [entry for entry in found if entry is not None]

    def _can_try(self, ref: Ref) -> bool:
        return (
            ref.namespace not in self._coming
            and (ref.group, ref.kind) not in self._kinds
            and self._client.catalog.find(ref.api_version, ref.kind) is not None
        )

    def _refusal(self, obj: Obj) -> tuple[Obj, KubeError] | None:
        if self._lost:
            return None
        try:
            outcome = self._writer.apply(obj, wave_of(obj))
            if is_unchanged(outcome):
                self.noops.append(outcome)
        except (UnreachableError, StoppedError) as error:
            self._lost.append(error)
        except ApiError as error:
            if error.by_outage or error.status == 401:
                self._lost.append(error)
            elif is_final(error, obj, self._pending):
                return obj, error
        except KubeError as error:
            return obj, error
        return None


def _stays(live: Obj | None) -> bool:
    return live is not None and not live["metadata"].get("deletionTimestamp")


def is_unchanged(outcome: Outcome) -> bool:
    """Whether a dry run shows that the write would change nothing, where the objects alone did not (a quantity in another notation)."""
    before, after = outcome.before, outcome.live
    if outcome.action != Action.UNCHANGED or outcome.withheld or outcome.note or before is None or after is None:
        return False
    return content(before) == content(after) and _owners(before) == _owners(after)


def _owners(obj: Obj) -> list[Any]:
    return [
        {key: value for key, value in entry.items() if key != "time"}
        for entry in obj["metadata"].get("managedFields") or []
        if not entry.get("subresource")
    ]


def is_final(error: ApiError, obj: Obj, pending: Iterable[Obj]) -> bool:
    """Whether a refused dry run tells that the write will be refused too, after those of `pending` that come before it."""
    if not error.refused or error.status == 409 or error.by_dry_run:
        return False
    others = [other for other in pending if other is not obj]
    if error.by_content:
        fields = [str(cause.get("field") or "") for cause in error.details.get("causes") or []]
        shared = bool(fields) and all(_SHARED.match(field) for field in fields)
        return not (shared and any(other["kind"] == obj["kind"] for other in others))
    if error.status == 404 and error.details.get("kind") == "namespaces":
        return True  # it does not come with this call, else nothing would have been tried in it
    # Rights, quotas, classes and policies may come with the call.
    return not any(wave_of(other) < min(wave_of(obj), SETTING_WAVES) for other in others)
