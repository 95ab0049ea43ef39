# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compares the engine with Istio's own code on many random meshes: python -m tests.judge [meshes] [seed]."""

from __future__ import annotations

import sys
import time
from collections import Counter

from tests import conftest  # noqa: F401  # the collection can be imported from here on
from tests.judge.compare import Difference, Tally, compare
from tests.judge.istio import Istio, RejectedError
from tests.judge.meshes import random_mesh


def main(meshes: int, start: int) -> int:
    tally, differences, begun = Tally(), list[Difference](), time.monotonic()
    rejected: Counter[str] = Counter()
    with Istio() as istio:
        for number in range(start, start + meshes):
            try:
                found = compare(random_mesh(number), istio, tally)
            except RejectedError as refused:
                rejected[str(refused)[:160]] += 1
                continue
            for entry in found[:1]:
                print(f"seed {number}: {entry}", flush=True)
            differences.extend(found)
        seconds = time.monotonic() - begun
        print(f"{istio.asked} meshes, {tally.calls} calls in {seconds:.0f} s, {len(differences)} differences")
    for verdict, count in tally.verdicts.most_common():
        print(f"  {verdict:24} {count:8} {count / tally.calls:7.2%}")
    print("unknown, and what Istio's code says:")
    for why, count in tally.unknown.most_common(30):
        print(f"  {count:8} {why}")
    for why, count in rejected.most_common(10):
        print(f"rejected {count}: {why}")
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main(*(int(word) for word in [*sys.argv[1:], *("1000", "1")[len(sys.argv) - 1 :]])))
