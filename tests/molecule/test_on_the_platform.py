"""Scenarios of roles that work on the platform, one after the other. A file is one worker's."""

from __future__ import annotations

import pytest

from tests.molecule.scenarios import APART, SCENARIOS, check


@pytest.mark.parametrize("name", [name for name in SCENARIOS if name not in APART])
def test_scenario(name: str) -> None:
    check(name)
