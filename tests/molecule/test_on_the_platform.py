# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Scenarios of roles on the platform that leave it as it is, beside others that look at it."""

from __future__ import annotations

import pytest

from tests.molecule.scenarios import APART, CHANGING, SCENARIOS, check


@pytest.mark.parametrize("name", [name for name in SCENARIOS if name not in APART + CHANGING])
def test_scenario(name: str) -> None:
    check(name)
