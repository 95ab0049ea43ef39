# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Scenarios of roles that change something of the platform for a while, beside others that do."""

from __future__ import annotations

import pytest

from tests.molecule.scenarios import CHANGING, check

pytestmark = pytest.mark.changes


@pytest.mark.parametrize("name", CHANGING)
def test_scenario(name: str) -> None:
    check(name)
