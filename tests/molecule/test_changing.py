"""Scenarios of roles that change something of the platform for a while, beside others that do."""

from __future__ import annotations

import pytest

from tests.molecule.scenarios import CHANGING, check

pytestmark = pytest.mark.changes


@pytest.mark.parametrize("name", CHANGING)
def test_scenario(name: str) -> None:
    check(name)
