# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""1,001 objects with 10 ms between this machine and the API server."""

from __future__ import annotations

from tests.benchmarks import _sets
from tests.benchmarks._delay import delayed
from tests.benchmarks._harness import Harness
from tests.benchmarks._race import FIRST, KUBECTL, OURS, SRC, START, Contestant, race, why_slow
from tests.benchmarks._rows import Row, faster, number

TITLE = "Distance: 1,000 objects, 10 ms away"
SERVICES = 200
MILLISECONDS = 10


def rows(harness: Harness) -> list[Row]:
    """All rows of this benchmark."""
    services = harness.count(SERVICES)
    objects = 1 + services * len(_sets.KINDS)
    contestants = [*(Contestant(each.name, each.first, None, each.playbook) for each in (OURS, KUBECTL, SRC)), START]
    with delayed(harness, MILLISECONDS) as distance:
        harness.say(f"answers come {distance.added:.1f} ms later, {distance.how}")
        times = race(harness, contestants, services, {"KUBECONFIG": str(distance.kubeconfig)})
    return [
        faster(
            f"{objects} objects, {number(distance.added)} ms added {distance.how}, against {opponent.name}",
            (OURS.name, times[OURS.name, FIRST]),
            (opponent.name, times[opponent.name, FIRST]),
            least=least,
            reason=why_slow(times, FIRST, times[opponent.name, FIRST], least),
        )
        for opponent, least in ((KUBECTL, 5), (SRC, 10))
    ]


if __name__ == "__main__":
    from tests.benchmarks.__main__ import alone

    alone("distance")
