# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A weight is proved in the proxies of each Gateway and in the sidecars; those of one do not stand for the others."""

from __future__ import annotations

import random
from typing import Any, cast

import pytest
from ansible_collections.servicemesh.platform.plugins.module_utils._canary import proof_scope, proxy_check
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.proof_scope import Scope
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.routes import Aim
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.client import Client
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import ApiError
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.pods import PodError
from ansible_collections.servicemesh.platform.plugins.plugin_utils._service.ingress import roots as roots_for
from ansible_collections.servicemesh.platform.plugins.plugin_utils._service.traffic import traffic_manifests
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.plugins.module_utils._canary.test_parts import NEW, STABLE, dump, route

Obj = dict[str, Any]
AIM = Aim("user-service", "shop")
GATEWAY = "istio-system/ecommerce-gateway"


def split(name: str, weight: int = 0, **more: Any) -> Obj:
    entries = [
        {"destination": {"host": AIM.host, "subset": subset}, "weight": share}
        for subset, share in (("stable", 100 - weight), ("canary", weight))
    ]
    return {"name": name, "route": entries, **more}


def virtual_service(name: str, *http: Obj, namespace: str = "shop", **spec: Any) -> Obj:
    return {"metadata": {"name": name, "namespace": namespace}, "spec": {"http": list(http), **spec}}


# Scopes --------------------------------------------------------------------------------------------------------------


def names_of(items: list[Obj], roots: list[Obj]) -> dict[str, set[str]]:
    return {scope.gateway: set(scope.names) for scope in proof_scope.scopes(items, roots, AIM)}


PLATFORM = traffic_manifests(
    {"name": "user-service", "namespace": "shop", "image": "x/y:1", "routes": [{"prefix": "/api/users"}]}
)
ROOTS = roots_for(PLATFORM)[0]


def test_the_platforms_routes_are_at_the_gateway_and_in_the_mesh() -> None:
    assert names_of(PLATFORM[1:], ROOTS) == {GATEWAY: {"api-users"}, "mesh": {"api-users", "mesh"}}
    assert proof_scope.gateways(PLATFORM[1:], ROOTS) == [GATEWAY]


def test_one_object_for_both_as_the_platform_had_it() -> None:
    match = [{"gateways": ["x/gw"], "uri": {"exact": "/a"}}, {"gateways": ["mesh"], "uri": {"exact": "/a"}}]
    item = virtual_service(
        "v",
        split("a", match=match),
        split("rest", match=[{"gateways": ["mesh"]}]),
        hosts=["x"],
        gateways=["x/gw", "mesh"],
    )
    assert names_of([item], []) == {"x/gw": {"a"}, "mesh": {"a", "rest"}}


@pytest.mark.parametrize(
    ("root_route", "leaf", "expected"),
    [
        ({}, split("api"), {"api"}),
        ({"name": "front"}, split("api"), {"front-api"}),
        ({"name": "front"}, split(""), {"front"}),
        ({"name": "front", "match": [{"name": "m", "uri": {"prefix": "/a"}}]}, split("api"), {"front-api.m"}),
        (
            {"match": [{"name": "m", "uri": {"prefix": "/a"}}]},
            split("api", match=[{"name": "n", "uri": {"exact": "/a/b"}}]),
            {"api.m-n"},
        ),
        # Istio drops a route whose match its root does not cover.
        ({"match": [{"uri": {"prefix": "/a"}}]}, split("api", match=[{"uri": {"prefix": "/b"}}]), set()),
    ],
)  # fmt: skip
def test_a_delegates_route_has_the_name_that_istio_gives_it(root_route: Obj, leaf: Obj, expected: set[str]) -> None:
    root = virtual_service(
        "root",
        {"delegate": {"name": "v", "namespace": "shop"}, **root_route},
        namespace="front",
        hosts=["x"],
        gateways=["gw"],
    )
    assert names_of([virtual_service("v", leaf)], [root]) == ({"front/gw": expected} if expected else {})


def test_a_delegate_may_be_below_several_roots() -> None:
    leaf = virtual_service("v", split("api"))
    one = virtual_service("one", {"delegate": {"name": "v"}}, hosts=["x"], gateways=["a/gw", "b/gw"])
    two = virtual_service("two", {"name": "two", "delegate": {"name": "v"}}, hosts=["y"])
    assert names_of([leaf], [one, two]) == {"a/gw": {"api"}, "b/gw": {"api"}, "mesh": {"two-api"}}
    assert proof_scope.without_root([leaf], [one]) == []
    assert proof_scope.without_root([leaf], []) == [leaf]


def test_connections_are_read_where_their_routes_are() -> None:
    item = virtual_service("v", hosts=["x"], gateways=["shop/gw", "mesh"])
    match = [{"port": 90, "gateways": ["mesh"]}]
    item["spec"]["tcp"] = [{**split(""), "match": match}]
    assert proof_scope.scopes([item], [], AIM) == [Scope("mesh", frozenset(), True)]


def pod(name: str, *, ready: bool = True, proxy: str = "istio-proxy", namespace: str = "shop") -> Obj:
    conditions = [{"type": "Ready", "status": "True" if ready else "False"}]
    return {
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"containers": [{"name": proxy}]},
        "status": {"conditions": conditions, "phase": "Running"},
    }


@given(st.integers(1, 6), st.lists(st.integers(0, 4), min_size=1, max_size=3), st.integers())
def test_the_sample_has_a_proxy_of_each_pool(number: int, sizes: list[int], seed: int) -> None:
    pools = [[pod(f"{index}-{n}") for n in range(size)] for index, size in enumerate(sizes)]
    found = [one["metadata"]["name"] for one in proof_scope.sampled(pools, number, random.Random(seed))]  # noqa: S311  # no secret
    assert len(found) == len(set(found)) == min(sum(sizes), max(number, sum(size > 0 for size in sizes)))
    assert {name.partition("-")[0] for name in found} == {str(index) for index, size in enumerate(sizes) if size}


# Proofs --------------------------------------------------------------------------------------------------------------


class Cluster:
    """Pods and what their proxies have; a proxy without an entry cannot be read."""

    def __init__(self, gateways: list[Obj], sidecars: list[Obj], shown: dict[str, Obj], **objects: Obj) -> None:
        self.gateways, self.sidecars, self.shown = gateways, sidecars, shown
        self.objects, self.reads = objects, list[str]()
        self.selector: Obj = {"istio": "ingressgateway"}

    def get(self, path: str) -> Obj | None:
        if "/gateways/" in path:
            return {"spec": {"selector": self.selector}}
        return next((root for root in ROOTS if path.endswith(f"/{root['metadata']['name']}")), None)

    def list_all(self, path: str, _query: Any = None) -> tuple[list[Obj], str]:
        if path.endswith("istio.io/v1/virtualservices"):
            return ROOTS, ""
        return (self.gateways if path == "/api/v1/pods" else self.sidecars), ""

    def each(self, work: Any, items: Any) -> list[Any]:
        return [work(item) for item in items]

    def read(self, _client: Any, _namespace: str, name: str, _path: str) -> Obj:
        self.reads.append(name)
        if name not in self.shown:
            raise PodError(f"{name} does not answer")
        return self.shown[name]


def has(weight: int, *names: str) -> Obj:
    return dump(
        *(
            route(name, (STABLE.replace("shop", "shop"), 100 - weight), (NEW, weight))
            for name in names or ("api-users",)
        )
    )


def proved(
    monkeypatch: pytest.MonkeyPatch, cluster: Cluster, *, weight: int = 20, samples: int = 3, roots: Any = "recorded"
) -> proxy_check.Proof:
    monkeypatch.setattr(proxy_check, "admin_json", cluster.read)
    monkeypatch.setattr(proxy_check, "_PAUSE", 0.0)
    prover = proxy_check.Prover(cast(Client, cluster), samples, 0.05)
    names = [f"shop/{root['metadata']['name']}" for root in ROOTS] if roots == "recorded" else roots
    return prover.prove(PLATFORM[1:], AIM, weight, (), names)


G, S = pod("g", namespace="istio-system"), pod("s")
OTHER: Obj = dump(route("other", ("outbound|80||other", 100)))


def test_both_have_it(monkeypatch: pytest.MonkeyPatch) -> None:
    proof = proved(monkeypatch, Cluster([G], [S], {"g": has(20), "s": has(20, "api-users", "mesh")}))
    assert proof.proved
    assert proof.proxies == ("istio-system/g", "shop/s")
    assert proof.as_dict()["places"] == {GATEWAY: 1, "mesh": 1}


def test_a_run_that_recorded_no_roots_finds_them(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster([G], [S], {"g": has(20), "s": has(20, "api-users", "mesh")})
    assert proved(monkeypatch, cluster, roots=None).places == {GATEWAY: 1, "mesh": 1}


@pytest.mark.parametrize("samples", [1, 2, 5])
@pytest.mark.parametrize(
    ("shown", "words"),
    [
        ({"g": has(0), "s": has(20)}, "istio-system/g has [0]"),
        ({"g": has(20), "s": has(0)}, "shop/s has [0]"),
        ({"g": OTHER, "s": has(20)}, f"the proxies of Gateway {GATEWAY} have no route to the service"),
        ({"s": has(20)}, f"no proxy of Gateway {GATEWAY} could be read"),
        ({"g": has(20)}, "no sidecar could be read"),
    ],
)
def test_one_place_does_not_stand_for_the_other(
    monkeypatch: pytest.MonkeyPatch, shown: dict[str, Obj], words: str, samples: int
) -> None:
    proof = proved(monkeypatch, Cluster([G], [S], shown), samples=samples)
    assert not proof.proved
    assert words in "; ".join([*proof.missing, proof.why])


def test_a_gateway_that_comes_later_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """istiod pushes to each proxy on its own."""
    cluster = Cluster([G], [S], {"g": has(0), "s": has(20)})
    real = cluster.read

    def read(client: Any, namespace: str, name: str, path: str) -> Obj:
        found = real(client, namespace, name, path)
        if cluster.reads.count("g") == 2:
            cluster.shown["g"] = has(20)
        return found

    cluster.read = read  # type: ignore[method-assign]
    assert proved(monkeypatch, cluster).proved
    assert cluster.reads == ["g", "s", "g", "g"], "what has the weight is not read again"


def test_sidecars_that_do_not_call_the_service_are_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    others = {f"o{n}": OTHER for n in range(6)}
    sidecars = [*(pod(name) for name in others), S]
    cluster = Cluster([G], sidecars, {"g": has(20), "s": has(20), **others})
    assert proved(monkeypatch, cluster, samples=2).places == {GATEWAY: 1, "mesh": 1}
    alone = Cluster([G], [pod(name) for name in others], {"g": has(20), **others})
    proof = proved(monkeypatch, alone, samples=2)
    assert (proof.proved, proof.places) == (True, {GATEWAY: 1, "mesh": 0}), "nobody in the mesh calls it"
    assert set(others) <= set(alone.reads)


def test_a_pod_that_ends_meanwhile_is_replaced_by_another(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster([G, pod("h", namespace="istio-system")], [S], {"h": has(20), "s": has(20)})
    for _attempt in range(8):
        assert proved(monkeypatch, cluster, samples=1).proved


@pytest.mark.parametrize(
    ("gateways", "selector", "words"),
    [
        ([pod("g", ready=False)], {"istio": "x"}, f"no proxy of Gateway {GATEWAY} is ready"),
        ([G], {}, f"Gateway {GATEWAY} has no selector"),
        ([], {"istio": "x"}, ""),  # nobody is served
    ],
)
def test_a_gateway_whose_proxies_are_not_known(
    monkeypatch: pytest.MonkeyPatch, gateways: list[Obj], selector: Obj, words: str
) -> None:
    cluster = Cluster(gateways, [S], {"g": has(20), "s": has(20)})
    cluster.selector = selector
    proof = proved(monkeypatch, cluster)
    assert proof.proved == (not words)
    assert words in proof.why


def test_nothing_is_proved_without_a_root_or_a_right(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proxy_check, "admin_json", lambda *_args: pytest.fail("there is nothing to read"))
    cluster = Cluster([G], [S], {})
    prover = proxy_check.Prover(cast(Client, cluster), 3, 0.05)
    lost = prover.prove(PLATFORM[2:], AIM, 20, (), ["shop/gone"])
    assert (lost.proved, lost.why) == (
        False,
        "no proxy has the routes: no VirtualService delegates to VirtualService shop/user-service-ingress",
    )

    def refused(path: str) -> Obj | None:
        raise ApiError("GET", path, 403, {"message": "forbidden"})

    cluster.get = refused  # type: ignore[method-assign]
    assert "A weight cannot be proved without this right" in prover.prove(PLATFORM[1:], AIM, 20, (), ["shop/x"]).why
