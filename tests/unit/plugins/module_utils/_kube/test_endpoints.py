# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which pods are endpoints of their Service."""

from __future__ import annotations

from typing import Any, cast

import pytest
from ansible_collections.servicemesh.platform.plugins.module_utils._kube import endpoints
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.api import Api
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import ApiError

PODS = [
    {"status": {"podIP": "10.0.0.1", "podIPs": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}]}},
    {"status": {"podIP": "10.0.0.2"}},
    {"status": {}},
]


class Answers:
    """An API server that lists one EndpointSlice, or refuses with a status."""

    def __init__(self, found: list[dict[str, Any]], status: int = 200) -> None:
        self._found, self._status = found, status

    def list_all(self, path: str, query: dict[str, str]) -> tuple[list[dict[str, Any]], str]:
        assert query == {"labelSelector": "kubernetes.io/service-name=web"}
        if self._status != 200:
            raise ApiError("GET", path, self._status, {"message": "no"})
        return [{"endpoints": self._found}, {"endpoints": None}], "1"


@pytest.mark.parametrize(
    ("found", "number"),
    [
        ([], 0),
        ([{"addresses": ["fd00::1"], "conditions": {"ready": True}}], 1),
        ([{"addresses": ["10.0.0.1"], "conditions": {}}, {"addresses": ["10.0.0.2"]}], 2),
        ([{"addresses": ["10.0.0.1"], "conditions": {"ready": False, "serving": True, "terminating": True}}], 0),
        ([{"addresses": ["10.0.0.9"], "conditions": {"ready": True}}], 0),
    ],
)
def test_a_pod_is_an_endpoint_by_any_of_its_addresses(found: list[dict[str, Any]], number: int) -> None:
    addresses = endpoints.addresses(cast(Api, Answers(found)), "n", "web")
    assert addresses is not None
    assert endpoints.among(addresses, PODS) == number


def test_without_the_right_it_is_not_known_and_an_outage_is_none() -> None:
    assert endpoints.addresses(cast(Api, Answers([], 403)), "n", "web") is None
    with pytest.raises(ApiError):
        endpoints.addresses(cast(Api, Answers([], 500)), "n", "web")
