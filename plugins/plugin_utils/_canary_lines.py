# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: may change at any time without notice; only this collection may import it.
"""The history of a rollout as lines of output while it runs."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping

from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.verdict import Verdict
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.state import Phase

BAR = 20  # characters of a whole bar
# Events of the history that get a line: those with the name of a phase, and others.
_SHOWN = frozenset(
    {
        "start",
        "note",
        "step",
        "window",
        "watch",
        "resume",
        Phase.PAUSED,
        Phase.FROZEN,
        Phase.PROMOTING,
        Phase.PROMOTED,
        Phase.ROLLING_BACK,
        Phase.ROLLED_BACK,
    }
)
BAD = frozenset({Verdict.FAIL, Phase.ROLLING_BACK, Phase.ROLLED_BACK, Phase.FROZEN})


def meter(weight: float, width: int = BAR) -> str:
    """``[#####...............]`` for 25 (percent); a weight above 0 has at least one ``#``."""
    filled = min(width, max(int(weight > 0), round(width * weight / 100)))
    return "[" + "#" * filled + "." * (width - filled) + "]"


def duration(seconds: float) -> str:
    """``75`` (seconds) -> ``1m15s``."""
    minutes, rest = divmod(max(0, round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes:02d}m"
    return f"{minutes}m{rest:02d}s" if minutes else f"{rest}s"


def heading(result: Mapping[str, t.Any], service: str) -> str:
    """First line of output."""
    steps = " ".join(str(step) for step in result.get("steps") or [])
    versions = f"{result.get('old_version') or 'stable'} -> {result.get('version') or 'canary'}"
    return f"canary of {service}: {versions}, steps {steps} %, windows of {duration(result.get('interval') or 0)}"


def seconds_left(result: Mapping[str, t.Any], step: int) -> float:
    """Seconds from the window of `step` (from 0) until the promotion, when all windows pass."""
    steps = result.get("steps") or []
    return max(0, len(steps) - 1 - step) * float(result.get("interval") or 0)


def version(numbers: Mapping[str, float] | None) -> str:
    """``1203 req 99.92 % p99 231 ms``; a value that was not measured is a dash."""
    numbers = numbers or {}
    requests = f"{numbers['requests']:.0f} req" if "requests" in numbers else "- req"
    rate = f"{100 * numbers['success_rate']:.2f} %" if "success_rate" in numbers else "- %"
    p99 = f"p99 {numbers['p99']:.0f} ms" if "p99" in numbers else "p99 -"
    return f"{requests} {rate} {p99}"


def line(note: Mapping[str, t.Any], result: Mapping[str, t.Any]) -> str:
    """One line for an entry of the history; empty for entries that are not shown while it runs."""
    event, weight = str(note.get("event")), note.get("weight") or 0
    head = f"{weight:3d}% {meter(weight)}"
    if event == "window":
        shown = note.get("shown") or {}
        step = int(note.get("step") or 0)
        left = seconds_left(result, step)
        numbers = f"new {version(shown.get('canary'))} | old {version(shown.get('stable'))}"
        text = (
            f"{head} {str(note.get('verdict')).upper():12} {numbers} | step {step + 1}/{len(result.get('steps') or [])}"
        )
        text += f", {duration(left)} left" if note.get("verdict") == Verdict.PASS else f": {note.get('message')}"
        return text
    if event not in _SHOWN:
        return ""
    return f"{head} {event.replace('_', ' ')}: {note.get('message')}"


def is_bad(note: Mapping[str, t.Any]) -> bool:
    """Whether the line gets the colour of errors."""
    return note.get("verdict") in BAD or note.get("event") in BAD


def summary(result: Mapping[str, t.Any], service: str) -> str:
    """How the rollout ended, in one or two sentences."""
    phase, reason, weight = result.get("phase"), result.get("reason") or "", result.get("weight")
    next_step = "Continue with promote.yml, or roll back with rollback.yml."
    if phase == Phase.PROMOTED:
        return f"{service} {result.get('version')} is live."
    if phase == Phase.ROLLED_BACK:
        old = result.get("old_version") or "the old version"
        return (
            f"The canary of {service} was rolled back to {old}: {reason}. Rollback {_proof(result.get('proof') or {})}."
        )
    if phase == Phase.PAUSED:
        return f"The canary of {service} is paused at {weight} %: {reason}. {next_step}"
    if phase == Phase.FROZEN:
        return f"The canary of {service} is frozen at {weight} %: {reason}. {next_step}"
    return f"The canary of {service} is at {weight} % ({phase})."


def _proof(proof: Mapping[str, t.Any]) -> str:
    if proof.get("proved"):
        return "proved: the weight is 0 in the sampled proxies and requests to the new version have ended"
    why = "; ".join(proof.get("missing") or []) or proof.get("errors") or proof.get("why") or "nothing was measured"
    return f"not proved: {why}"
