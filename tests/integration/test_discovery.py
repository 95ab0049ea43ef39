# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which kinds the server knows, by the two forms of discovery of the real API server."""

from __future__ import annotations

import pytest
from ansible_collections.servicemesh.platform.plugins.module_utils._kube import client as kube_client
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.client import Client


def test_a_server_without_aggregated_discovery_tells_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """An old one, or a proxy that leaves the form asked for out: each version has to be asked of its own."""
    aggregated, by_version = Client({}), Client({})
    expected = aggregated.discover()
    monkeypatch.setattr(kube_client, "ACCEPT", "application/json")
    found = by_version.discover()
    assert aggregated.requests == 2
    assert by_version.requests > 2
    assert expected.find("networking.istio.io/v1", "VirtualService") is not None
    assert vars(found) == vars(expected)
