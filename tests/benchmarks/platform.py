# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`site.yml` again on the finished local platform."""

from __future__ import annotations

import statistics
import sys
from pathlib import Path

from tests.benchmarks._harness import Harness
from tests.benchmarks._rows import Row, at_most, quantity

TITLE = "Platform: site.yml again"
LIMIT = 15  # seconds


def rows(harness: Harness) -> list[Row]:
    """All rows of this benchmark."""
    playbook = str(Path(sys.executable).parent / "ansible-playbook")
    argv = [playbook, "playbooks/site.yml", "-i", "inventories/local"]
    done = harness.timed(argv)  # not counted: it may have to finish earlier work
    harness.say(f"before the rounds: {done.seconds:.1f} s, changed={done.changed}")
    seconds, changed = [], []
    for number in range(harness.runs):
        done = harness.timed(argv)
        seconds.append(done.seconds)
        changed.append(done.changed)
        harness.say(f"round {number + 1} of {harness.runs}: {done.seconds:.1f} s, changed={done.changed}")
    most = max(changed)
    tasks = sum(line.startswith("TASK [") for line in done.text.splitlines())
    return [
        at_most(
            "site.yml again on the finished local platform",
            {"site.yml": seconds},
            limit=LIMIT,
            unit="s",
            also=most == 0,
            target=f"{LIMIT} s at most, changed=0",
            measured=f"{quantity(statistics.median(seconds), 's')}, changed={most}",
            reason=(
                f"a run changed {most} objects on a converged platform"
                if most
                else f"{tasks} tasks were shown, {quantity(statistics.median(seconds) / max(1, tasks) * 1000, 'ms')} for each"
            ),
        )
    ]


if __name__ == "__main__":
    from tests.benchmarks.__main__ import alone

    alone("platform")
