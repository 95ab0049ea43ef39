# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which release of a service is to be live: the inventory's, a promoted one, or one that a canary still has to promote. Pure.

Three things are compared: what the inventory states, what it stated when a canary was promoted, and what is live.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._canary.state import WAITING

Release = Mapping[str, Any]  # image, version

APPLY, CANARY, WATCH = "apply", "canary", "watch"


@dataclass(frozen=True, slots=True)
class Decision:
    """What a role does. `apply`: everything with this release; `canary`: shift to it; `watch`: leave the workload to the run under way.

    `forget_promotion`: the record of a promotion is no longer needed. `warning` is for the user, or empty.
    """

    action: str
    image: str
    version: str
    forget_promotion: bool = False
    warning: str = ""

    def as_dict(self) -> dict[str, Any]:
        """For a module's result."""
        return {
            "action": self.action,
            "image": self.image,
            "version": self.version,
            "forget_promotion": self.forget_promotion,
            "warning": self.warning,
        }


def decide(
    inventory: Release,
    info: Mapping[str, Any],
    *,
    rollout: str,
    requested: Release | None = None,
    variable: str = "the version",
) -> Decision:
    """What a role does with a service.

    `info`: the result of `canary_info` (live, record, active, phase, release, weight). `requested`: a release from the command line,
    which a canary promotes. `variable`: the variable that a warning names.
    """
    live, record = info.get("live"), info.get("record")
    release = requested or inventory
    if not live:
        return _with(APPLY, release)
    if info.get("active"):
        return _under_way(inventory, info, rollout, requested)
    if requested is not None:
        return _with(APPLY if requested["image"] == live["image"] else CANARY, requested)
    overruled = record is not None and not _same(record.get("inventory") or {}, inventory)
    if live["image"] == inventory["image"]:
        return _with(APPLY, inventory, forget_promotion=overruled)
    if record is not None and not overruled and record["image"] == live["image"]:
        return _with(
            APPLY,
            record,
            warning=(
                f"{record['version']} is live by a promotion, but the inventory still states {inventory['version']}; it stays live. "
                f"Set {variable}: {record['version']} in the inventory, or another version to change to it"
            ),
        )
    if rollout == "canary":
        return _with(CANARY, inventory)
    return _with(APPLY, inventory, forget_promotion=record is not None)


def _under_way(inventory: Release, info: Mapping[str, Any], rollout: str, requested: Release | None) -> Decision:
    """While a rollout is under way, only its run writes the workload. A killed run is continued by a role that states the same release."""
    running = info.get("release") or {}
    release = requested or inventory
    wanted = requested is not None or rollout == "canary"
    moving = info.get("phase") not in WAITING
    if requested is not None or (wanted and moving and running.get("image") == release["image"]):
        return _with(CANARY, release)
    name = running.get("version") or "another version"
    return _with(
        WATCH,
        inventory,
        warning=(
            f"a canary to {name} is under way ({info.get('phase')}, {info.get('weight')} %); its pods are not changed. "
            "Continue with promote.yml, or roll back with rollback.yml"
        ),
    )


def _same(one: Release, other: Release) -> bool:
    return (one.get("image"), one.get("version")) == (other.get("image"), other.get("version"))


def _with(action: str, release: Release, *, forget_promotion: bool = False, warning: str = "") -> Decision:
    return Decision(action, str(release["image"]), str(release["version"]), forget_promotion, warning)
