# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine's verdicts on random meshes are those that follow from what Istio's own code sends."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import yaml

from tests.judge.compare import Tally, compare, smallest
from tests.judge.istio import Istio, RejectedError
from tests.judge.meshes import random_mesh

MESHES = 400  # make test-long compares 20,000 others


@pytest.fixture(scope="module")
def istio() -> Iterator[Istio]:
    with Istio() as asked:
        yield asked


def test_the_engine_agrees_with_istio(istio: Istio) -> None:
    tally, rejected = Tally(), 0
    for seed in range(MESHES):
        made = random_mesh(seed)
        try:
            found = compare(made, istio, tally)
        except RejectedError:
            rejected += 1
            continue
        if found:
            least = smallest(made, istio, found[0])
            pytest.fail(f"seed {seed}: {found[0]}\n{yaml.safe_dump_all([least.config, *least.objects])}")
    assert rejected < MESHES / 20, "Istio refuses too many of the meshes"
    assert tally.calls > 5 * MESHES
    assert (
        min(tally.verdicts[verdict] for verdict in ("strict", "broken", "plaintext", "plaintext_allowed")) > MESHES / 10
    )
