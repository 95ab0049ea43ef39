# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the definitions that a run was started with, as the roles do: the part of the writes that only a driver has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._apply.applier import Applier
from ansible_collections.servicemesh.platform.plugins.module_utils._apply.options import Options, Wait
from ansible_collections.servicemesh.platform.plugins.module_utils._apply.result import checked
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.cluster_writer import ClusterWriter
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.client import Client

Obj = dict[str, Any]


class DefinitionsWriter(ClusterWriter):
    """All writes of one run."""

    def __init__(self, client: Client, settings: Mapping[str, Any], annotation: str, *, trial: bool = False) -> None:
        super().__init__(client, settings, annotation, trial=trial)
        self._whole_client = client

    def apply(self, definitions: Sequence[Obj]) -> list[str]:
        """Applies definitions as the roles do, without waiting. Returns notes on single objects: fields that were taken over.

        Unlike a role, a release takes over what single commands of kubectl set. Raises ApplyError.
        """
        options = Options(
            name=self._settings["service"],
            wait=Wait(False),
            over_commands=True,
            check=self._trial,
            trial=self._trial,
        )
        outcomes = Applier(self._whole_client, options).run(checked(list(definitions)), []).outcomes
        return [f"{outcome.ref}: {outcome.note}" for outcome in outcomes if outcome.note]

    def remove(self, canary: Obj | None) -> None:
        """Removes the canary's pods: deletes the objects of canary_definitions, or scales somebody else's Deployment to 0."""
        if self._settings["defined"]:
            applier = Applier(
                self._whole_client, Options(name=self._settings["service"], state="absent", wait=Wait(False))
            )
            applier.run(checked(self._settings["remove"]), [])
        elif canary is not None and canary["spec"].get("replicas", 1):
            self.scale(canary["metadata"]["name"], 0)
