# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The state of a rollout: what is recorded in the cluster before each step, and its JSON. Pure.

Phases:

    resetting -> preparing -> shifting -> analysing -> shifting ... -> promoting -> promoted
                                          |      \\-> paused -> shifting, promoting
                                          \\-> rolling_back -> rolled_back
    frozen: nothing changes until a person calls resume, promote or rollback.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._canary import plan as plans
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.plan import Plan


class Phase(StrEnum):
    """Where a rollout is."""

    RESETTING = "resetting"
    PREPARING = "preparing"
    SHIFTING = "shifting"
    ANALYSING = "analysing"
    PAUSED = "paused"
    PROMOTING = "promoting"
    ROLLING_BACK = "rolling_back"
    FROZEN = "frozen"
    PROMOTED = "promoted"
    ROLLED_BACK = "rolled_back"


FINAL = frozenset({Phase.PROMOTED, Phase.ROLLED_BACK})
WAITING = frozenset({Phase.PAUSED, Phase.FROZEN})  # for a person


class Stage(StrEnum):
    """Stages of a promotion (cover, switch, update, return) and of a rollback (restore, capacity, watch), and the end of both."""

    COVER = "cover"
    SWITCH = "switch"
    UPDATE = "update"
    RETURN = "return"
    RESTORE = "restore"
    CAPACITY = "capacity"
    WATCH = "watch"
    DRAIN = "drain"
    REMOVE = "remove"
    FINISH = "finish"


class PauseCause(StrEnum):
    """Why a rollout is paused."""

    PLANNED = "planned"
    BY_HAND = "by_hand"
    INTERRUPTED = "interrupted"


HISTORY_LIMIT = 300  # entries
RUNS_LIMIT = 20
SIZE_LIMIT = 700_000  # characters; a ConfigMap holds 1 MiB


@dataclass(frozen=True, slots=True)
class State:
    """One rollout. Times are Unix seconds of the API server's clock, weights are percent of the requests.

    `weight` is the canary's planned weight, `before` the one before it. Any other weight in a route was set by somebody else.
    `since`: start of the present phase, stage or window. `proved`: time at which the proxies had the weight, 0 before that.
    `baseline`: number of stable's pods at the start, which carry all requests. `template`: digest of the canary's pod template.
    `touched`: stable has begun to take the new version. `applied`: what the stage writes to stable is written.
    `blind_since`: time of the last usable sample of this step, or the beginning of its weight; 0 while no sample is due.
    `opened`: the window has begun, because a scrape after the proof is in.
    `verdicts`: how many windows had each verdict, which the history, that forgets its oldest entries, cannot tell.
    `exposed`: the canary may have had requests.
    `approved`: the approvals before the present step are given. `restore`: what stable had (`template`, `configs`), for a rollback.
    `pause_cause`: why the phase is PAUSED, None in other phases. `settings`: names and options of the run, without secrets, and what it
    recorded of its routes (`route_records`).
    """

    run: str
    service: str
    namespace: str
    plan: Plan
    wanted: str = ""
    version: str = ""
    old_version: str = ""
    phase: Phase = Phase.RESETTING
    stage: Stage | None = None
    index: int = -1
    before: int = 0
    weight: int = 0
    started: float = 0.0
    since: float = 0.0
    proved: float = 0.0
    deadline: float = 0.0
    baseline: int = 0
    template: str = ""
    touched: bool = False
    applied: bool = False
    passes: int = 0
    failures: int = 0
    inconclusives: int = 0
    blind_since: float = 0.0
    opened: bool = False
    verdicts: Mapping[str, int] = field(default_factory=dict)
    exposed: bool = True
    approved: bool = False
    reason: str = ""
    pause_cause: PauseCause | None = None
    proof: Mapping[str, Any] = field(default_factory=dict)
    restore: Mapping[str, Any] | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    history: tuple[Mapping[str, Any], ...] = ()

    @property
    def active(self) -> bool:
        """Whether the rollout has not ended; it may wait for a person."""
        return self.phase not in FINAL

    def replace(self, **changes: Any) -> State:
        """Copy with other values."""
        return dataclasses.replace(self, **changes)

    def entered(self, phase: Phase, now: float, **changes: Any) -> State:
        """Copy in another phase that starts now."""
        return self.replace(**{"phase": phase, "since": now, "pause_cause": None, **changes})

    def noted(self, now: float, event: str, message: str, **more: Any) -> State:
        """Copy with one more entry in its history. A `verdict` in it is counted."""
        entry = {"time": round(now, 1), "event": event, "message": message, "weight": self.weight, **more}
        verdict = str(more.get("verdict") or "")
        counted = {**self.verdicts, verdict: self.verdicts.get(verdict, 0) + 1} if verdict else self.verdicts
        return self.replace(history=(*self.history, entry)[-HISTORY_LIMIT:], verdicts=counted)


def added_entries(before: State, after: State) -> tuple[Mapping[str, Any], ...]:
    """What the history of `after`, which was made of `before`, has more. Its oldest entries may be gone by then (HISTORY_LIMIT)."""
    last = before.history[-1] if before.history else None
    for index in range(len(after.history), 0, -1):
        if after.history[index - 1] is last:
            return after.history[index:]
    return after.history


def to_json(state: State) -> str:
    """For the ConfigMap, whose size is limited: the oldest entries of a long history are left out."""
    values = {item.name: getattr(state, item.name) for item in dataclasses.fields(state)}
    values |= {"stage": state.stage or "", "pause_cause": state.pause_cause or ""}
    history = list(state.history)
    while True:
        text = json.dumps({**values, "plan": state.plan.as_dict(), "history": history}, sort_keys=True)
        if len(text) <= SIZE_LIMIT or not history:
            return text
        history = history[max(1, len(history) // 4) :]


def from_json(text: str) -> State:
    """What `to_json` wrote. Raises ValueError for other text."""
    try:
        values = json.loads(text)
        known = {item.name for item in dataclasses.fields(State)}
        kept = {key: value for key, value in values.items() if key in known}
        kept["plan"], kept["history"] = plans.plan_of(kept["plan"]), tuple(kept.get("history") or ())
        kept["phase"] = Phase(kept["phase"])
        kept["stage"] = Stage(kept["stage"]) if kept.get("stage") else None
        kept["pause_cause"] = PauseCause(kept["pause_cause"]) if kept.get("pause_cause") else None
        return State(**kept)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"it is not the state of a rollout: {error}") from None


def digest(content: Any) -> str:
    """Short name of a pod template or of definitions: the same content has the same name."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()[:16]
