# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an overlay changes, as mtls_info returns it, and whether a check lets it pass. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.assemble import Snapshot
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.changes import (
    Comparison,
    Direction,
    compared,
    failing,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.engine import Engine
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.findings import Finding, finding
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.model import MissingCause
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.overlay.entries import Entry, Presence
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.overlay.state import Effect, Overlaid
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.read import read
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.rules import CheckCode

OVERLAY_OPTIONS: dict[str, dict[str, Any]] = {
    "overlay": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "state": {"type": "str", "choices": [str(one) for one in Presence], "default": str(Presence.PRESENT)},
            "resource": {"type": "dict", "required": True},
        },
    },
    "overlay_src": {"type": "list", "elements": "path", "default": []},
    "fail_on": {
        "type": "list",
        "elements": "str",
        "choices": [str(one) for one in (Direction.WEAKER, Direction.BROKEN, Direction.UNKNOWN)],
        "default": [],
    },
}
_TOLD = 5  # changes that a message names before it counts the rest


@dataclass(frozen=True, slots=True)
class Preview:
    """What an overlay changes. `inconclusive` says what else could change a call and is not known."""

    comparison: Comparison
    objects: tuple[dict[str, str], ...]
    findings: tuple[Finding, ...]
    inconclusive: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """The keys of the result."""
        return {
            "changes": [change.as_dict() for change in self.comparison.changes],
            "overlay": {
                "objects": list(self.objects),
                "compared": self.comparison.compared,
                "unknown": self.comparison.unknown,
                "inconclusive": list(self.inconclusive),
            },
            "msg": self.message,
        }

    @property
    def message(self) -> str:
        """What was compared, and what differs."""
        changes = self.comparison.changes
        words = f"{self.comparison.compared} calls compared, {len(changes)} entries differ"
        words += f": {_some([change.told for change in changes])}" if changes else ""
        if self.comparison.unknown:
            words += f"; {self.comparison.unknown} calls are unknown before and after"
        if self.inconclusive:
            words += f"; not known: {_some(self.inconclusive)}"
        return words

    def failure(self, fail_on: Collection[str]) -> str:
        """Why a check fails, empty when it passes. What is not known lets no check pass."""
        if not fail_on:
            return ""
        reasons = []
        refused = list(failing(self.comparison.changes, fail_on))
        if refused:
            told = _some(
                [f"{change.told} ({min(change.now, change.later, key=list(Direction).index)})" for change in refused]
            )
            reasons.append(f"{len(refused)} entries of changes are not accepted: {told}")
        if self.inconclusive:
            reasons.append(f"the overlay's effect is not known: {_some(self.inconclusive)}")
        if Direction.UNKNOWN in fail_on and self.comparison.unknown:
            reasons.append(f"{self.comparison.unknown} calls are unknown before and after")
        return f"fail_on {', '.join(fail_on)}: {'; '.join(reasons)}." if reasons else ""


def preview(
    state: Overlaid, entries: Sequence[Entry], after: tuple[Snapshot, Engine], istio_namespace: str, domain: str
) -> Preview:
    """Compares the state with itself under the overlay. `after` is what was read and judged of `state.after`."""
    before = read(state.before, istio_namespace, domain)
    restarted = read(state.restarted, istio_namespace, domain) if state.restarted else None
    engines = Engine(before.mesh), after[1], Engine(restarted.mesh) if restarted else None
    objects, findings, unclear = [], [], []
    for entry in entries:
        effect = state.effects[entry.key]
        why = entry.why or ("what it is now could not be read" if effect is Effect.UNKNOWN else "")
        objects.append({"object": entry.told, "state": str(entry.presence), "effect": str(effect), "why": why})
        if effect is Effect.NOTHING:
            findings.append(finding(CheckCode.OVERLAY_NO_EFFECT, entry.told, f"it changes no verdict: {why}"))
        elif effect is Effect.UNKNOWN:
            findings.append(finding(CheckCode.OVERLAY_UNKNOWN, entry.told, f"what it changes is not known: {why}"))
            unclear.append(f"{entry.told}: {why}")
    unclear += state.unclear
    unclear += _unread([before, after[0], *([restarted] if restarted else [])])
    return Preview(compared(*engines), tuple(objects), tuple(findings), tuple(dict.fromkeys(unclear)))


def _unread(snapshots: Iterable[Snapshot]) -> list[str]:
    """What could not be read of the state, and which every call may depend on."""
    found = []
    for snapshot in snapshots:
        missing = [one for one in snapshot.mesh.missing.values() if one.cause is not MissingCause.NOT_INSTALLED]
        if not snapshot.mesh.config.known:
            missing += snapshot.missing_configs
        found += [f"{one.object}: {one.text}" for one in missing]
    return found


def _some(texts: Sequence[str]) -> str:
    more = f"; and {len(texts) - _TOLD} more" if len(texts) > _TOLD else ""
    return "; ".join(texts[:_TOLD]) + more
