# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which release of a service is to be live: the inventory's, a promoted one, or one that a canary has yet to bring. Pure.

Three things are held against each other: what the inventory says, what it said when a canary was promoted, and what runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Release = Mapping[str, Any]  # image, version

APPLY, CANARY, WATCH = "apply", "canary", "watch"


@dataclass(frozen=True, slots=True)
class Decision:
    """What a role does. `apply`: everything with this release; `canary`: shift to it; `watch`: leave the workload to the run under way.

    `settle`: the record of a promotion has had its day. `warning` is for the user, empty when there is nothing to tell.
    """

    action: str
    image: str
    version: str
    settle: bool = False
    warning: str = ""

    def as_dict(self) -> dict[str, Any]:
        """For a module's result."""
        return {
            "action": self.action,
            "image": self.image,
            "version": self.version,
            "settle": self.settle,
            "warning": self.warning,
        }


def decide(
    inventory: Release,
    info: Mapping[str, Any],
    *,
    rollout: str,
    asked: Release | None = None,
    variable: str = "the version",
) -> Decision:
    """What becomes of a service.

    `info`: what `canary_info` reads (live, record, active, phase, release, weight). `asked`: a release of the command line, which is
    brought by a canary. `variable`: what a warning tells to change.
    """
    live, record = info.get("live"), info.get("record")
    wish = asked or inventory
    if not live:
        return _with(APPLY, wish)
    if info.get("active"):
        return _under_way(inventory, info, rollout, asked)
    if asked is not None:
        return _with(APPLY if asked["image"] == live["image"] else CANARY, asked)
    overruled = record is not None and not _same(record.get("inventory") or {}, inventory)
    if live["image"] == inventory["image"]:
        return _with(APPLY, inventory, settle=overruled)
    if record is not None and not overruled and record["image"] == live["image"]:
        return _with(
            APPLY,
            record,
            warning=(
                f"{record['version']} is live by a promotion, though the inventory still says {inventory['version']}; it stays. "
                f"Set {variable}: {record['version']} in the inventory, or another version to have that one"
            ),
        )
    if rollout == "canary":
        return _with(CANARY, inventory)
    return _with(APPLY, inventory, settle=record is not None)


def _under_way(inventory: Release, info: Mapping[str, Any], rollout: str, asked: Release | None) -> Decision:
    """While a rollout is under way its run alone writes the workload. A run that was killed is taken up by whoever wants the same."""
    release = info.get("release") or {}
    wish = asked or inventory
    wanted = asked is not None or rollout == "canary"
    moving = info.get("phase") not in ("holding", "frozen")
    if asked is not None or (wanted and moving and release.get("image") == wish["image"]):
        return _with(CANARY, wish)
    name = release.get("version") or "another version"
    return _with(
        WATCH,
        inventory,
        warning=(
            f"a canary to {name} is under way ({info.get('phase')}, {info.get('weight')} %); the pods are left to it. "
            "Go on with promote.yml, or back with rollback.yml"
        ),
    )


def _same(one: Release, other: Release) -> bool:
    return (one.get("image"), one.get("version")) == (other.get("image"), other.get("version"))


def _with(action: str, release: Release, *, settle: bool = False, warning: str = "") -> Decision:
    return Decision(action, str(release["image"]), str(release["version"]), settle, warning)
