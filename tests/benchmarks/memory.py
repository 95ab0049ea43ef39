# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Memory of a playbook that applies 5,000 objects."""

from __future__ import annotations

from tests.benchmarks import _sets
from tests.benchmarks._harness import BenchmarkError, Harness
from tests.benchmarks._race import OURS
from tests.benchmarks._rows import Row, at_most, quantity

TITLE = "Memory: 5,000 objects"
SERVICES = 1000
LIMIT = 300  # MB


def rows(harness: Harness) -> list[Row]:
    """All rows of this benchmark."""
    services = harness.count(SERVICES)
    objects = 1 + services * len(_sets.KINDS)
    first, again, start = [], [], []
    for number in range(harness.runs):
        with harness.services(services) as (namespace, manifest):
            done, peak = harness.peak(OURS.first(harness, manifest))
            if not done.changed:
                raise BenchmarkError(f"nothing was applied:\n{done.text[-2000:]}")
            harness.check_there(namespace, services)
            first.append(peak)
            seconds = done.seconds
            done, peak = harness.peak(OURS.first(harness, manifest))
            if done.changed:
                raise BenchmarkError(f"the second run changed something:\n{done.text[-2000:]}")
            again.append(peak)
            start.append(harness.peak(harness.playbook({"name": "Say", "ansible.builtin.debug": {"msg": "a word"}}))[1])
            harness.say(
                f"round {number + 1} of {harness.runs}: {first[-1]:.0f} MB in {seconds:.1f} s, "
                f"then {again[-1]:.0f} MB in {done.seconds:.1f} s"
            )
    most = max(*first, *again)
    return [
        at_most(
            f"Memory of the largest process at {objects} objects",
            {"first run": first, "nothing to change": again, "a playbook of one debug task": start},
            limit=LIMIT,
            unit="MB",
            value=most,
            measured=f"{quantity(most, 'MB')}, the most of all runs",
            reason=(
                f"Ansible's own process has {quantity(max(start), 'MB')}; the set as objects, what is there, and the result "
                f"of {objects} entries take the rest"
            ),
        )
    ]


if __name__ == "__main__":
    from tests.benchmarks.__main__ import alone

    alone("memory")
