# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a canary does while its control plane restarts or is away."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.integration import istiod
from tests.integration.canary.bed import Bed

# All tests share istiod.
pytestmark = [pytest.mark.cluster, pytest.mark.alone, pytest.mark.usefixtures("cluster")]
Obj = dict[str, Any]


def test_without_istiod_a_canary_waits_and_no_request_fails(bed: Bed) -> None:
    """No route can be written without istiod, whose webhook the API server calls. It goes in a step and comes back after a failed write."""
    begin, outages = time.time(), list[str]()

    def look(result: Obj) -> bool:
        if result["phase"] == "analysing" and result["weight"] == 50 and not outages:
            istiod.scale(bed.client, 0)
        if result.get("outage") and not outages:
            istiod.scale(bed.client, 1)
            outages.append(result["outage"])
        return False

    try:
        result = bed.drive(look, **bed.options(steps=[50, 60]))
    finally:
        istiod.scale(bed.client, 1)
        istiod.wait_until_ready()
    assert (result["phase"], bed.version()) == ("promoted", "v2"), (result, outages)
    (outage,) = outages
    assert "/virtualservices/web: 500" in outage
    answers = bed.answers(begin)
    assert set(answers) == {"v1 200", "v2 200"}, answers
