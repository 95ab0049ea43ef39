# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is done to a contestant's releases, and what they came to."""

from __future__ import annotations

import dataclasses
import time
import typing as t
from collections.abc import Callable

from tests.benchmarks._harness import BenchmarkError
from tests.benchmarks._peers import objects
from tests.benchmarks._peers.contestants import Argo, Contestant
from tests.benchmarks._peers.process import computed, memory
from tests.benchmarks._peers.runs import Cost, Outcome, Run, Scenario, failures, last_old, window

_LIMIT = 180  # seconds that a release may take
_SHORT = 150  # seconds, where a release may never end
_AFTER = 3  # seconds after the end in which requests may still fail
_INTO = 2.0  # seconds after a weight was seen
_IDLE = 20.0  # seconds over which idle processes are measured
_STARTS = 8  # at most, after a driver was killed
_BAD = 0.3  # share of the bad version's requests that fail
_ONCE = (Scenario.EXTRAS,)  # these end the same each time


def released(
    one: Contestant,
    version: str,
    *,
    during: Callable[[], float | None] | None = None,
    limit: float = _LIMIT,
    variant: str = "",
    sleeps: bool = False,
    **env: t.Any,
) -> Run:
    """One release. `during` strikes it in its course, and returns when, or None if it ended before."""
    ground = one.ground
    ground.must(lambda: ground.weight() == 0, "weight 0 before a release")
    app = one.app(version, sleeps=sleeps, **env)
    begun = time.time()
    one.release(app)
    before, starts = _processor(one), one.driver.starts
    struck = during() if during else None

    def over() -> Outcome | None:
        outcome = one.outcome()
        if outcome is Outcome.STOPPED and struck is not None and one.driver.starts < starts + _STARTS:
            ground.nap(5)
            one.again()
            return None
        return outcome

    outcome = ground.until(over, limit) or Outcome.OPEN
    ended = time.time()
    ground.nap(_AFTER)
    entries = ground.entries(begun)
    opened, closed = window(ground.samples, begun)
    run = Run(
        outcome=outcome,
        begun=begun,
        ended=ended,
        opened=opened,
        closed=closed,
        struck=struck,
        failed=failures(entries, begun, ended + _AFTER),
        old_until=last_old(entries, version),
        again=one.driver.starts - starts,
        processor=_processor(one) - before,
        variant=variant,
    )
    ground.harness.say(f"{one.name}: {version} {variant} {outcome}, {run.whole:.1f} s, {run.failed} failed requests")
    if outcome is Outcome.OPEN:
        ground.harness.say(f"{one.name}: the end of its log:\n{one.driver.tail()}")
    return run


def _processor(one: Contestant) -> float:
    """Seconds that the driver's processes have computed; a playbook's count when it has ended."""
    return one.driver.processor + computed(one.pids())


def _at(one: Contestant, weight: int) -> bool:
    """Whether the release comes to a weight; waits until it is well in that step."""
    one.ground.until(lambda: one.ground.weight() == weight or one.outcome() is not None, _LIMIT)
    if one.ground.weight() != weight:
        return False
    one.ground.nap(_INTO)
    return True


def bad(one: Contestant, number: int) -> Run:
    """A version that fails a part of its requests."""
    return released(one, f"v{number}-bad", ERROR_RATE=_BAD)


def good(one: Contestant, number: int) -> Run:
    """A version that fails no request."""
    return released(one, f"v{number}-good")


def kill(one: Contestant, number: int) -> Run:
    """The driver is killed in the second step and started again at once."""

    def strike() -> float | None:
        if not _at(one, objects.STEPS[1]):
            return None
        one.driver.kill()
        moment = time.time()
        one.again()
        return moment

    return released(one, f"v{number}-kill", during=strike)


def prometheus(one: Contestant, number: int) -> Run:
    """Prometheus ends in the second step."""
    ground = one.ground

    def strike() -> float | None:
        if not _at(one, objects.STEPS[1]):
            return None
        ground.scale("prometheus", 0)
        return time.time()

    try:
        return released(one, f"v{number}-blind", during=strike, limit=_SHORT)
    finally:
        ground.scale("prometheus", 1)
        ground.heard()
        ground.nap(objects.FLAGGER_WINDOW)


def silence(one: Contestant, number: int) -> Run:
    """Nobody calls the service."""
    return released(one, f"v{number}-silent", limit=_SHORT)


def silence_in_the_background(one: Argo, number: int) -> Run:
    """Nobody calls the service, and the analysis runs beside the steps."""
    one.background = True
    try:
        return released(one, f"v{number}-unheard", limit=_SHORT, variant="analysis in the background")
    finally:
        one.background = False


def extras(one: Contestant, number: int) -> Run:
    """A user has added to the VirtualService, and uses the handler `sleep`."""
    ground = one.ground
    live = ground.virtual_service()
    if live is None:
        raise BenchmarkError(f"{one.name}: there is no VirtualService")
    changed = objects.with_extras(live, f"prometheus.{ground.namespace}.svc.cluster.local")
    path = f"/apis/{objects.ISTIO}/namespaces/{ground.namespace}/virtualservices/web"
    ground.patch(path, {"spec": {"http": changed["spec"]["http"]}})
    run = released(one, f"v{number}-extras", sleeps=True, limit=_SHORT)
    after = ground.virtual_service() or live
    return dataclasses.replace(run, kept=objects.kept(after, one.production()))


_SCENARIOS: dict[Scenario, Callable[[Contestant, int], Run]] = {
    Scenario.BAD: bad,
    Scenario.GOOD: good,
    Scenario.KILL: kill,
    Scenario.PROMETHEUS: prometheus,
    Scenario.SILENCE: silence,
    Scenario.EXTRAS: extras,
}


def measured(one: Contestant, scenarios: list[Scenario], rounds: int) -> tuple[dict[Scenario, list[Run]], Cost]:
    """All releases of one contestant, and what it costs; the stream of requests runs but for the scenario without it."""
    ground, runs, number = one.ground, {}, 0
    ground.call()
    idle_memory, idle_processor = _idle(one)
    with ground.watched(one.pids):
        ground.until(lambda: ground.samples, 10)
        for scenario in scenarios:
            quiet = scenario is Scenario.SILENCE
            if quiet:
                ground.scale("load", 0)
                ground.nap(objects.FLAGGER_WINDOW + 5)  # until no query sees a request
            found = []
            for _round in range(1 if scenario in _ONCE else rounds):
                number += 1
                found.append(_SCENARIOS[scenario](one, number))
            if quiet and isinstance(one, Argo):
                number += 1
                found.append(silence_in_the_background(one, number))
            if quiet:
                ground.scale("load", 1)
                ground.heard()
            runs[scenario] = found
    written = one.written()
    cost = Cost(
        idle_memory=idle_memory,
        idle_processor=idle_processor,
        busy_memory=ground.busy_memory,
        objects=len(written),
        lines=objects.lines(written),
    )
    return runs, cost


def _idle(one: Contestant) -> tuple[float, float]:
    """MB, and thousandths of a core, while nothing is released."""
    one.ground.nap(5)
    before, begin = computed(one.pids()), time.monotonic()
    one.ground.nap(_IDLE)
    used = computed(one.pids()) - before
    return memory(one.pids()), used / (time.monotonic() - begin) * 1000
