"""Scenarios of roles on the platform that leave it as it is, beside others that look at it."""

from __future__ import annotations

import pytest

from tests.molecule.scenarios import APART, CHANGING, SCENARIOS, check


@pytest.mark.parametrize("name", [name for name in SCENARIOS if name not in APART + CHANGING])
def test_scenario(name: str) -> None:
    check(name)
