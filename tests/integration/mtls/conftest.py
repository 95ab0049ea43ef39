# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One bed for all files of a worker: it only stands there between its tests, and each test brings the policies that it needs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.mtls.bed import Bed


@pytest.fixture(scope="session")
def bed(cluster: None) -> Iterator[Bed]:
    with Bed.standing() as made:
        yield made
