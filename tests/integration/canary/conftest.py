# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One bed for all files of a worker: its stream of requests ends with the last of them, which is what a package's fixture is for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.canary.bed import Bed


@pytest.fixture(scope="package")
def whole(cluster: None) -> Iterator[Bed]:
    with Bed.standing() as bed:
        yield bed


@pytest.fixture
def bed(whole: Bed) -> Bed:
    """The service as at the start, without a rollout."""
    whole.restore()
    return whole
