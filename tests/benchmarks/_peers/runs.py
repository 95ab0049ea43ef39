# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one release of a contestant came to, and the rows of all of them side by side. No I/O."""

from __future__ import annotations

import dataclasses
import enum
import statistics
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tests.benchmarks._peers.objects import STEPS
from tests.benchmarks._rows import Row, number, quantity

OURS = "ours"


class Outcome(enum.StrEnum):
    """How a release ended."""

    PROMOTED = "promoted"
    ROLLED_BACK = "rolled back"
    STOPPED = "stopped"  # its driver ended and the release did not
    OPEN = "not ended"  # when there was no time left to wait


class Scenario(enum.StrEnum):
    """What is done to a release."""

    BAD = "bad"
    GOOD = "good"
    KILL = "kill"
    PROMETHEUS = "prometheus"
    SILENCE = "silence"
    EXTRAS = "extras"


@dataclasses.dataclass(frozen=True, slots=True)
class Run:
    """One release. Times are Unix seconds; `opened` and `closed` are those of the first weight above 0 and of weight 0 after it."""

    outcome: Outcome
    begun: float
    ended: float
    opened: float | None = None
    closed: float | None = None
    struck: float | None = None  # when its driver was killed, or Prometheus went away
    failed: int = 0  # requests
    old_until: float | None = None  # the last answer of the old version
    again: int = 0  # how often its driver was started again
    processor: float | None = None  # seconds that its driver computed
    kept: Mapping[str, bool] = dataclasses.field(default_factory=dict)
    variant: str = ""

    @property
    def weighted(self) -> float | None:
        """Seconds from the first weight to weight 0."""
        return None if self.opened is None or self.closed is None else self.closed - self.opened

    @property
    def whole(self) -> float:
        """Seconds from the release to its end."""
        return self.ended - self.begun

    @property
    def taken_over(self) -> float | None:
        """Seconds from the release to the last answer of the old version."""
        return None if self.old_until is None else self.old_until - self.begun

    @property
    def since_strike(self) -> float | None:
        """Seconds from the strike to the end of the release."""
        return None if self.struck is None else self.ended - self.struck

    @property
    def back_after_strike(self) -> float | None:
        """Seconds from the strike to weight 0."""
        return None if self.struck is None or self.closed is None else self.closed - self.struck


@dataclasses.dataclass(frozen=True, slots=True)
class Cost:
    """What a contestant's own processes take: MB of 10^6 bytes and thousandths of a core; and what a user writes for it."""

    idle_memory: float
    idle_processor: float
    busy_memory: float
    objects: int
    lines: int


def window(samples: Sequence[tuple[float, int]], begun: float) -> tuple[float | None, float | None]:
    """When the weight rose above 0 and when it was 0 again, from `(time, weight)` at each change."""
    opened = next((moment for moment, weight in samples if moment >= begun and weight > 0), None)
    closed = next(
        (moment for moment, weight in samples if opened is not None and moment > opened and weight == 0), None
    )
    return opened, closed


def failures(entries: Sequence[Mapping[str, Any]], begin: float, end: float) -> int:
    """Requests without a 200 between two moments, from the lines of the stream of requests."""
    return sum(
        count
        for entry in entries
        if begin <= entry["time"] <= end
        for what, count in entry.items()
        if what != "time" and not what.endswith(" 200")
    )


def last_old(entries: Sequence[Mapping[str, Any]], version: str) -> float | None:
    """When something else than `version` answered for the last time; None if it never did."""
    seen = [
        float(entry["time"])
        for entry in entries
        if any(what != "time" and what.endswith(" 200") and what.split()[0] != version for what in entry)
    ]
    return max(seen, default=None)


# Rows ----------------------------------------------------------------------------------------------------------------

Figure = Callable[[Run], float | None]
_PEERS_ROLL = (
    "Argo Rollouts makes the canary's ReplicaSet the stable one; here, as with Flagger, the Deployment of the service takes the new "
    "version, which needs new pods"
)


def beside(
    what: str,
    figures: Mapping[str, Sequence[float]],
    unit: str,
    *,
    notes: Mapping[str, str] | None = None,
    also: bool = True,
    target: str = "no more than the better of the others",
    limit: float | None = None,
    reason: str = "",
) -> Row:
    """All contestants in one row, ours first: the median of ours must not exceed that of the better other, or `limit`.

    `notes` (contestant -> text) are added to their figures; `also` is a second condition, for ours.
    """
    middles = {name: statistics.median(found) for name, found in figures.items() if found}
    others = [middle for name, middle in middles.items() if name != OURS]
    least = limit if limit is not None else min(others, default=float("inf"))
    mine = middles.get(OURS)
    reached = mine is not None and mine <= least and also
    cells = {
        name: ", ".join(
            text
            for text in (quantity(middles[name], unit) if name in middles else "none", (notes or {}).get(name, ""))
            if text
        )
        for name in figures
    }
    return Row(
        what=what,
        target=target,
        measured="; ".join(f"{name} {text}" for name, text in cells.items()),
        ratio=None,
        raw={name: list(found) for name, found in figures.items() if found},
        reached=reached,
        reason="" if reached else reason or "no reason known yet",
        unit=unit,
        value=mine if mine is not None else 0.0,
        limit=least if others or limit is not None else 0.0,
        cells=cells,
    )


def outcomes(runs: Sequence[Run]) -> str:
    """``rolled back 2 of 3, promoted 1 of 3``."""
    counted = Counter(run.outcome.value for run in runs)
    return ", ".join(f"{name} {count} of {len(runs)}" for name, count in counted.most_common())


def _row(
    what: str, runs: Mapping[str, Sequence[Run]], figure: Figure, unit: str, expected: Outcome, reason: str = ""
) -> Row:
    """A row of those releases that ended as expected; the others are named."""
    figures = {
        name: [value for run in found if run.outcome is expected and (value := figure(run)) is not None]
        for name, found in runs.items()
    }
    notes = {
        name: outcomes(found) if any(run.outcome is not expected for run in found) else ""
        for name, found in runs.items()
    }
    as_expected = all(run.outcome is expected for run in runs.get(OURS, []))
    return beside(what, figures, unit, notes=notes, also=as_expected, reason=reason)


def _bad(runs: Mapping[str, Sequence[Run]]) -> list[Row]:
    chance = "which requests of the first window fail is chance"
    proof = "a window begins when the proxies are proved to have the weight, and is not cut short"
    back = Outcome.ROLLED_BACK
    return [
        _row("bad version: failed requests", runs, lambda run: run.failed, "requests", back, chance),
        _row("bad version: first weight to weight 0", runs, lambda run: run.weighted, "s", back, proof),
    ]


def _good(runs: Mapping[str, Sequence[Run]]) -> list[Row]:
    done = Outcome.PROMOTED
    busy = "a run is a process of Ansible, which starts, asks the cluster more often and ends"
    found = [
        _row("good version: release to its end", runs, lambda run: run.whole, "s", done, _PEERS_ROLL),
        _row(
            "good version: release to the last answer of the old one",
            runs,
            lambda run: run.taken_over,
            "s",
            done,
            _PEERS_ROLL,
        ),
        _row("good version: failed requests", runs, lambda run: run.failed, "requests", done),
    ]
    if any(run.processor is not None for each in runs.values() for run in each):
        found.append(
            _row("good version: processor time of the driver", runs, lambda run: run.processor, "s", done, busy)
        )
    return found


def _kill(runs: Mapping[str, Sequence[Run]]) -> list[Row]:
    notes = {name: _kill_note(found) for name, found in runs.items()}
    figures = {
        name: [
            seconds for run in found if run.outcome is Outcome.PROMOTED and (seconds := run.since_strike) is not None
        ]
        for name, found in runs.items()
    }
    ended = all(run.outcome is Outcome.PROMOTED and not run.failed for run in runs.get(OURS, []))
    what = f"driver killed at {STEPS[1]} % and started again: kill to the end"
    reason = f"a new run waits for the lease of the killed one, and begins the window of its step again; {_PEERS_ROLL}"
    return [beside(what, figures, "s", notes=notes, also=ended, reason=reason)]


def _kill_note(runs: Sequence[Run]) -> str:
    again = max((run.again for run in runs), default=0)
    failed = statistics.median([run.failed for run in runs]) if runs else 0
    often = f", started again {again} times" if again > 1 else ""
    return f"{outcomes(runs)}, {number(failed)} failed requests{often}"


def _prometheus(runs: Mapping[str, Sequence[Run]]) -> list[Row]:
    what = f"Prometheus gone at {STEPS[1]} %: to weight 0"
    reason = (
        "a window without an answer is inconclusive, and three in a row, or three intervals without evidence, roll back"
    )
    return [_row(what, runs, lambda run: run.back_after_strike, "s", Outcome.ROLLED_BACK, reason)]


def _silence(runs: Mapping[str, Sequence[Run]]) -> list[Row]:
    figures, notes = {}, {}
    for name, found in runs.items():
        plain = [run for run in found if not run.variant]
        figures[name] = [100.0 * (run.outcome is Outcome.PROMOTED) for run in plain]
        seconds = [run.weighted for run in plain if run.weighted is not None and run.outcome is Outcome.ROLLED_BACK]
        parts = [outcomes(plain)]
        if seconds:
            parts.append(f"weight 0 after {quantity(statistics.median(seconds), 's')}")
        parts += [
            f"with {variant}: {outcomes([run for run in found if run.variant == variant])}"
            for variant in sorted({run.variant for run in found} - {""})
        ]
        notes[name] = ", ".join(parts)
    what = "no traffic: releases that were promoted without a request"
    none = not any(figures.get(OURS, []))  # whatever the median is
    return [beside(what, figures, "%", notes=notes, also=none, limit=0, target="none")]


def _extras(runs: Mapping[str, Sequence[Run]]) -> list[Row]:
    figures = {
        name: [float(sum(not there for there in run.kept.values())) for run in found] for name, found in runs.items()
    }
    notes = {}
    for name, found in runs.items():
        lost = sorted({what for run in found for what, there in run.kept.items() if not there})
        notes[name] = f"{outcomes(found)}" + (f", lost: {', '.join(lost)}" if lost else "")
    what = "of a user's route by header, mirror, timeout and preStop.sleep: lost by a good version's release"
    return [beside(what, figures, "", notes=notes, limit=0, target="none")]


def _cost(costs: Mapping[str, Cost]) -> list[Row]:
    def figures(name: str) -> dict[str, list[float]]:
        return {tool: [float(getattr(cost, name))] for tool, cost in costs.items()}

    ansible = "a run is a process of Ansible with a second one for its task; they end with the release"
    notes = {tool: f"{cost.objects} objects or tasks" for tool, cost in costs.items()}
    written = (
        "Flagger makes Services and routes itself, and owns them. Here they are the user's; the role microservice makes them of a "
        "service's definition, but what is counted is what the module alone needs"
    )
    return [
        beside("cost: memory while nothing is released", figures("idle_memory"), "MB"),
        beside("cost: thousandths of a core while nothing is released", figures("idle_processor"), ""),
        beside("cost: most memory of the driver", figures("busy_memory"), "MB", reason=ansible),
        beside("cost: lines of YAML to write", figures("lines"), "", notes=notes, reason=written),
    ]


_ROWS: Mapping[Scenario, Callable[[Mapping[str, Sequence[Run]]], list[Row]]] = {
    Scenario.BAD: _bad,
    Scenario.GOOD: _good,
    Scenario.KILL: _kill,
    Scenario.PROMETHEUS: _prometheus,
    Scenario.SILENCE: _silence,
    Scenario.EXTRAS: _extras,
}


def rows_of(runs: Mapping[str, Mapping[Scenario, Sequence[Run]]], costs: Mapping[str, Cost]) -> list[Row]:
    """All rows: `runs` is contestant -> scenario -> its releases, ours first."""
    made: list[Row] = []
    for scenario, make in _ROWS.items():
        found = {name: each[scenario] for name, each in runs.items() if each.get(scenario)}
        if found:
            made += make(found)
    return [*made, *(_cost(costs) if costs else [])]
