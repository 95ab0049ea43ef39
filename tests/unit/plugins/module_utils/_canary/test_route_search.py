# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which VirtualServices a canary shifts, where some delegate to others."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, cast

import pytest
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.findings import FindingCode
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.route_search import ISTIO, search
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.routes import Aim
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.start_routes import roots_findings
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.client import Client
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import ApiError

from tests.unit.plugins.module_utils._canary.test_proof import AIM, split, virtual_service

Obj = dict[str, Any]
MESH = virtual_service("user-service", split("api"), hosts=[AIM.host])
LEAF = virtual_service("leaf", split("api"))
FAR = virtual_service("far", split("api"), namespace="team")
OTHER = virtual_service("other", split("api"))
OTHER["spec"]["http"][0]["route"] = [{"destination": {"host": "other", "subset": "stable"}}]


def root(name: str, *delegates: str, namespace: str = "shop") -> Obj:
    targets = [dict(zip(("namespace", "name"), target.split("/"), strict=True)) for target in delegates]
    return virtual_service(
        name, *({"delegate": target} for target in targets), namespace=namespace, hosts=["x"], gateways=["gw"]
    )


class Cluster:
    """VirtualServices; `refused`: paths that must not be read (`*` for the list of all)."""

    def __init__(self, items: Sequence[Obj], refused: Collection[str] = ()) -> None:
        self.items = {f"{i['metadata']['namespace']}/{i['metadata']['name']}": i for i in items}
        self.refused = refused

    def get(self, path: str) -> Obj | None:
        namespace, name = path.split("/")[-3], path.split("/")[-1]
        if f"{namespace}/{name}" in self.refused:
            raise ApiError("GET", path, 403, {})
        return self.items.get(f"{namespace}/{name}")

    def list_all(self, path: str) -> tuple[list[Obj], str]:
        if path == f"{ISTIO}/virtualservices":
            if "*" in self.refused:
                raise ApiError("GET", path, 403, {})
            return list(self.items.values()), ""
        namespace = path.split("/")[-2]
        return [item for name, item in self.items.items() if name.startswith(f"{namespace}/")], ""

    def each(self, work: Any, items: Any) -> list[Any]:
        return [work(item) for item in items]


def found(
    items: Sequence[Obj], named: Sequence[str] = (), refused: Collection[str] = ()
) -> tuple[set[str], set[str], list[FindingCode], list[str]]:
    result = search(cast(Client, Cluster(items, refused)), AIM, named)
    names = [{item["metadata"]["name"] for item in group} for group in (result.shifted, result.roots)]
    return *names, [finding.code for finding in result.findings], [item["metadata"]["name"] for item in result.lost]  # type: ignore[return-value]


EVERYTHING = [MESH, LEAF, OTHER, root("front", "shop/leaf", "shop/other"), root("back", "shop/other")]


@pytest.mark.parametrize(
    "named", [(), ("front", "user-service"), ("front", "leaf", "user-service"), ("leaf", "user-service")]
)
def test_a_delegate_is_shifted_with_the_others_however_it_is_named(named: tuple[str, ...]) -> None:
    assert found(EVERYTHING, named) == ({"user-service", "leaf"}, {"front"}, [], [])


def test_a_root_with_routes_of_its_own_is_shifted_too() -> None:
    both = root("front", "shop/leaf")
    both["spec"]["http"].append(split("own"))
    for named in ((), ("front",)):
        assert found([both, LEAF], named) == ({"front", "leaf"}, {"front"}, [], [])


def test_a_named_one_that_leads_nowhere_is_told() -> None:
    shifted, _roots, codes, _lost = found(EVERYTHING, ["back"])
    assert (shifted, codes) == (set(), [FindingCode.ROUTE])
    assert found(EVERYTHING, ["front", "gone"])[2] == [FindingCode.VIRTUAL_SERVICE_MISSING]


def test_a_delegate_that_nobody_delegates_to_is_shifted_too() -> None:
    """It may get a root at any time."""
    assert found([MESH, LEAF]) == ({"user-service", "leaf"}, set(), [], [])


def test_without_the_right_to_list_all_namespaces_delegates_are_followed() -> None:
    items = [MESH, FAR, root("front", "team/far")]
    assert found(items, refused=["*"]) == ({"user-service", "far"}, {"front"}, [], [])
    # The start tells that routes in other namespaces are not seen.
    assert found(items, refused=["*", "team/far"]) == ({"user-service"}, set(), [], [])
    with pytest.raises(ApiError, match="403"):
        found(items, ["front"], refused=["team/far"])


@pytest.mark.parametrize("named", [(), ("leaf", "user-service")])
def test_a_delegate_whose_root_is_elsewhere_needs_the_right_or_its_name(named: tuple[str, ...]) -> None:
    items = [MESH, LEAF, root("front", "shop/leaf", namespace="gateways")]
    assert found(items, named) == ({"user-service", "leaf"}, {"front"}, [], [])
    assert found(items, named, ["*"]) == ({"user-service", "leaf"}, set(), [], ["leaf"])
    assert found(items, ["gateways/front", "user-service"], ["*"]) == ({"user-service", "leaf"}, {"front"}, [], [])


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"proof_samples": 3}, "proof_samples: which Gateways have its routes is unknown"),
        ({"proof_samples": 0, "match": {"port": 80}}, "match: what a copy of a route does below it is unknown"),
        ({"proof_samples": 0, "mirror": 5}, "or omit mirror"),
        ({"proof_samples": 0, "match": None, "mirror": 0}, ""),
    ],
)
def test_what_is_not_known_of_a_delegate_stops_only_what_needs_it(settings: Obj, words: str) -> None:
    text = "; ".join(finding.text for finding in roots_findings([LEAF], settings))
    assert words in text
    assert bool(text) == bool(words)


def test_another_service_has_none() -> None:
    assert search(cast(Client, Cluster(EVERYTHING)), Aim("third", "shop"), ()).findings[0].code is (
        FindingCode.VIRTUAL_SERVICE_MISSING
    )
