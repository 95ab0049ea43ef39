# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The newest canary of each service, from the records of several. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._canary import state as states
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.objects import object_name
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.state import State
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.objects import PART_OF_LABEL


def canaries(
    config_maps: Iterable[Mapping[str, Any]], weights: Mapping[str, int]
) -> tuple[list[dict[str, Any]], list[str]]:
    """The newest canary of each service, and which records cannot be read.

    `weights`: what the routes send to canaries now, by `namespace/service`. A service whose routes send something there without a canary
    under way is among them, with the phase `unknown`: nobody judges it.
    """
    found: dict[str, dict[str, Any]] = {}
    unread = []
    for item in config_maps:
        meta = item["metadata"]
        service = str((meta.get("labels") or {}).get(PART_OF_LABEL) or "")
        text = (item.get("data") or {}).get("state")
        if not service or meta.get("name") != object_name(service) or not text:
            continue
        name = f"{meta['namespace']}/{service}"
        try:
            found[name] = _entry(name, states.from_json(text), weights.get(name))
        except ValueError as error:
            unread.append(f"the canary of {name} (ConfigMap {meta['name']}): {error}")
    for name, weight in weights.items():
        if weight and not found.get(name, {}).get("active"):
            found[name] = {**_NOTHING, "service": name, "weight": weight, "active": True}
    return [found[name] for name in sorted(found)], unread


_NOTHING: Mapping[str, Any] = {
    "version": "",
    "old_version": "",
    "phase": "unknown",
    "steps": [],
    "reason": "routes send requests to the canary subset, and no canary is under way",
    "started": 0.0,
    "since": 0.0,
}


def _entry(name: str, state: State, weight: int | None) -> dict[str, Any]:
    return {
        "service": name,
        "version": state.version,
        "old_version": state.old_version,
        "phase": state.phase.value,
        "active": state.active,
        "weight": weight,
        "steps": list(state.plan.steps),
        "reason": state.reason,
        "started": state.started,
        "since": state.since,
    }
