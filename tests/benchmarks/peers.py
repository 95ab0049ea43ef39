# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A canary beside Flagger and Argo Rollouts: the same service, steps, interval, requests and troubles, at the same time.

``python -m tests.benchmarks.peers ours flagger bad good`` is a trial of these contestants and scenarios alone; it writes nothing.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from tests.benchmarks._harness import BenchmarkError, Harness, opened
from tests.benchmarks._peers.runs import Cost, Run, Scenario, rows_of
from tests.benchmarks._rows import Row, table

if TYPE_CHECKING:
    from tests.benchmarks._peers.build import Peer
    from tests.benchmarks._peers.contestants import Contestant
    from tests.benchmarks._peers.ground import Ground

TITLE = "Canary beside Flagger 1.36.1 and Argo Rollouts 1.10.2"
ROUNDS = 3
TOOLS = ("ours", "flagger", "argo")


def rows(harness: Harness) -> list[Row]:
    """All rows of this benchmark."""
    return some(harness, TOOLS, list(Scenario))


def some(harness: Harness, tools: Sequence[str], scenarios: Sequence[Scenario]) -> list[Row]:
    """The rows of these contestants and scenarios."""
    harness.client()  # makes the collection known to Python
    from tests.benchmarks._peers.build import built
    from tests.benchmarks._peers.contestants import definitions

    if os.geteuid():
        raise BenchmarkError("the controllers run in the network of the local cluster's node, which needs root")
    peers = built(harness, [tool for tool in tools if tool != "ours"])
    rounds, stop = min(ROUNDS, harness.runs), threading.Event()

    def contest(tool: str) -> tuple[str, dict[Scenario, list[Run]], Cost]:
        try:
            return _contest(harness, tool, peers, list(scenarios), rounds, stop)
        except BaseException:
            stop.set()
            raise

    with (
        definitions(harness, list(peers.values())),
        ThreadPoolExecutor(len(tools)) as pool,
    ):
        running = [pool.submit(contest, tool) for tool in tools]
        try:
            done = [each.result() for each in running]
        except BaseException:
            stop.set()
            raise
    return rows_of({name: runs for name, runs, _cost in done}, {name: cost for name, _runs, cost in done})


def _contest(
    harness: Harness, tool: str, peers: dict[str, Peer], scenarios: list[Scenario], rounds: int, stop: threading.Event
) -> tuple[str, dict[Scenario, list[Run]], Cost]:
    from tests.benchmarks._peers.ground import Ground
    from tests.benchmarks._peers.scenarios import measured

    with harness.namespace() as namespace:
        ground = Ground(harness, namespace, stop)
        ground.prepare()
        one = _made(harness, tool, ground, peers)
        try:
            with one.standing():
                runs, cost = measured(one, scenarios, rounds)
        except Exception:
            with contextlib.suppress(Exception):
                harness.say(f"{one.name}: the end of its log:\n{one.driver.tail()}")
            raise
    return one.name, runs, cost


def _made(harness: Harness, tool: str, ground: Ground, peers: dict[str, Peer]) -> Contestant:
    from tests.benchmarks._peers.contestants import Argo, Flagger, Ours

    match tool:
        case "ours":
            return Ours(harness, ground)
        case "flagger":
            return Flagger(harness, ground, peers[tool])
        case _:
            return Argo(harness, ground, peers[tool])


def chosen(words: Sequence[str]) -> tuple[list[str], list[Scenario]]:
    """Contestants and scenarios that these words name; all of them where none is named."""
    scenarios: dict[Any, Scenario] = {scenario.value: scenario for scenario in Scenario}
    if unknown := [word for word in words if word not in scenarios and word not in TOOLS]:
        raise BenchmarkError(f"unknown: {', '.join(unknown)}; there are {', '.join([*TOOLS, *scenarios])}")
    return (
        [tool for tool in TOOLS if tool in words] or list(TOOLS),
        [scenario for word, scenario in scenarios.items() if word in words] or list(Scenario),
    )


if __name__ == "__main__":
    try:
        named = chosen(sys.argv[1:])
        with opened() as given:
            print(table(some(given, *named)))
    except BenchmarkError as error:
        raise SystemExit(str(error)) from None
