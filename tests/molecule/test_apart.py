"""Scenarios of roles in namespaces of their own, beside those that work on the platform."""

from __future__ import annotations

import pytest

from tests.molecule.scenarios import APART, check


@pytest.mark.parametrize("name", APART)
def test_scenario(name: str) -> None:
    check(name)
