# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`site.yml` again on the finished local platform, beside the start of Ansible in the same rounds."""

from __future__ import annotations

import statistics
import sys
from pathlib import Path

from tests.benchmarks._harness import Harness
from tests.benchmarks._rows import Row, at_most, quantity

TITLE = "Platform: site.yml again"
LIMIT = 6  # seconds
STARTS = 12  # times the start of Ansible


def rows(harness: Harness) -> list[Row]:
    """All rows of this benchmark."""
    playbook = str(Path(sys.executable).parent / "ansible-playbook")
    argv = [playbook, "playbooks/site.yml", "-i", "inventories/local"]
    start = harness.playbook({"name": "Say a word", "ansible.builtin.debug": {"msg": "a word"}})
    done = harness.timed(argv)  # not counted: it may have to finish earlier work
    harness.say(f"before the rounds: {done.seconds:.1f} s, changed={done.changed}")
    ways = {"site.yml": argv, "site.yml --check": [*argv, "--check"], "a playbook of one debug task": start}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    changed, tasks = 0, 0
    for number in range(harness.runs):
        for name, way in ways.items():
            done = harness.timed(way)
            seconds[name].append(done.seconds)
            changed = max(changed, done.changed)
            tasks = max(tasks, sum(line.startswith("TASK [") for line in done.text.splitlines()))
        harness.say(
            f"round {number + 1} of {harness.runs}: {', '.join(f'{known[-1]:.2f}' for known in seconds.values())} s"
        )
    begin = statistics.median(seconds["a playbook of one debug task"])
    found = []
    for name in ("site.yml", "site.yml --check"):
        middle = statistics.median(seconds[name])
        each = (middle - begin) / max(1, tasks) * 1000
        found.append(
            at_most(
                f"{name} again on the finished local platform",
                {name: seconds[name], "a playbook of one debug task": seconds["a playbook of one debug task"]},
                limit=LIMIT,
                unit="s",
                also=changed == 0 and middle <= STARTS * begin,
                target=f"{LIMIT} s and {STARTS} times the start of Ansible at most, changed=0",
                measured=f"{quantity(middle, 's')}, {middle / begin:.1f} times, changed={changed}",
                reason=(
                    f"a run changed {changed} objects on a converged platform"
                    if changed
                    else f"{tasks} tasks were shown, {quantity(each, 'ms')} for each beside the start"
                ),
            )
        )
    return found


if __name__ == "__main__":
    from tests.benchmarks.__main__ import alone

    alone("platform")
