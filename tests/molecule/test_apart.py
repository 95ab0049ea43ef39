# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Scenarios of roles in namespaces of their own, beside those that work on the platform."""

from __future__ import annotations

import pytest

from tests.molecule.scenarios import APART, check


@pytest.mark.parametrize("name", APART)
def test_scenario(name: str) -> None:
    check(name)
