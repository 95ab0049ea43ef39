# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A rollout as series of Prometheus: its weight, its phase and since when, and its verdicts. Pure.

The text is Prometheus' exposition format 0.0.4. The namespace is that of the pod that serves it, so a scrape adds it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from ansible_collections.servicemesh.platform.plugins.module_utils._canary.state import State

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
VERDICTS = ("pass", "fail", "inconclusive")


class Verdicts:
    """Counts the verdicts of a run. The record forgets the oldest entries of a long history, and a counter must not go back."""

    def __init__(self) -> None:
        self._run, self._last = "", 0.0
        self._counted: Counter[str] = Counter()

    def of(self, state: State) -> dict[str, int]:
        """{verdict: how many there were}, with 0 for those that were not."""
        if state.run != self._run:
            self._run, self._last, self._counted = state.run, 0.0, Counter()
        for entry in state.history:
            moment = float(entry.get("time") or 0)
            if entry.get("verdict") and moment > self._last:
                self._counted[str(entry["verdict"])] += 1
        self._last = max(
            [self._last, *(float(entry.get("time") or 0) for entry in state.history if entry.get("verdict"))]
        )
        return {name: self._counted[name] for name in VERDICTS}


def page(state: State, verdicts: dict[str, int]) -> str:
    """All series of a rollout."""
    return "".join(f"{line}\n" for line in _lines(state, verdicts))


def _lines(state: State, verdicts: dict[str, int]) -> Iterator[str]:
    who = {"service": state.service, "version": state.version}
    phase = {**who, "phase": state.phase.value}
    yield from _head("weight", "gauge", "Percent of the requests that the canary is to have.")
    yield _sample("weight", who, state.weight)
    yield from _head("phase", "gauge", "1 for the phase that the rollout is in.")
    yield _sample("phase", phase, 1)
    yield from _head(
        "phase_start_time_seconds", "gauge", "Unix time at which this phase, or its stage or window, began."
    )
    yield _sample("phase_start_time_seconds", phase, state.since)
    yield from _head("verdicts_total", "counter", "Verdicts of the analysis.")
    for verdict, count in verdicts.items():
        yield _sample("verdicts_total", {**who, "verdict": verdict}, count)


def _head(name: str, kind: str, text: str) -> Iterator[str]:
    yield f"# HELP servicemesh_canary_{name} {text}"
    yield f"# TYPE servicemesh_canary_{name} {kind}"


def _sample(name: str, labels: dict[str, str], value: float) -> str:
    inner = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
    return f"servicemesh_canary_{name}{{{inner}}} {value!r}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
