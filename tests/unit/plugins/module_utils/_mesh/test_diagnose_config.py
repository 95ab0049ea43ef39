# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Unit tests of _mesh/diagnose/config: objects that name what does not exist, each with the smallest mesh that has it."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.servicemesh.platform.plugins.module_utils._mesh.diagnose.config import (
    CHECKS,
    Config,
    config_findings,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._mesh.diagnose.pods import reduced

HOST = "web.shop.svc.cluster.local"


def obj(name: str, namespace: str = "shop", **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": namespace}, "spec": spec}


def pod(name: str = "web-1", namespace: str = "shop", **labels: str) -> Any:
    return reduced(
        {
            "metadata": {"name": name, "namespace": namespace, "labels": {"app": "web", **labels}},
            "spec": {"containers": []},
        }
    )


def route(host: str = "web", weight: int | None = None, **destination: Any) -> dict[str, Any]:
    return {"destination": {"host": host, **destination}, **({} if weight is None else {"weight": weight})}


def subset(name: str, track: str) -> dict[str, Any]:
    return {"name": name, "labels": {"track": track}}


def mesh(pods: Any = None, **objects: list[dict[str, Any]]) -> Config:
    """A mesh without a finding, with some kinds replaced."""
    slices = [
        {
            "metadata": {"name": "x", "namespace": "shop", "labels": {"kubernetes.io/service-name": "web"}},
            "endpoints": [{"conditions": {}}],
        }
    ]
    good = {
        "Service": [obj("web", selector={"app": "web"}, ports=[{"port": 80}])],
        "EndpointSlice": slices,
        "VirtualService": [
            obj("web", hosts=["web"], gateways=["door", "mesh"],
                http=[{"route": [route(subset="v1", weight=100), route(subset="v2", weight=0)]}]),
        ],
        "DestinationRule": [obj("web", host="web", subsets=[subset("v1", "stable"), subset("v2", "canary")])],
        "Gateway": [obj("door", selector={"app": "web"})],
    }  # fmt: skip
    return Config({**good, **objects}, [pod(track="stable")] if pods is None else pods)


def codes(config: Config) -> list[str]:
    return [str(entry.code) for entry in config_findings(config)]


def vs(*routes: dict[str, Any], **more: Any) -> list[dict[str, Any]]:
    return [obj("web", **{"hosts": ["web"], "http": [{"route": list(routes)}], **more})]


def allowed(*principals: str, **source: Any) -> list[dict[str, Any]]:
    return [obj("allow", rules=[{"from": [{"source": {"principals": list(principals), **source}}]}])]


FOUND = {
    "gateway_missing": mesh(VirtualService=vs(route(), gateways=["other/door"])),
    "host_missing": mesh(VirtualService=vs(route("wbe"))),
    "port_missing": mesh(VirtualService=vs(route(port={"number": 8080}))),
    "subset_missing": mesh(VirtualService=vs(route(subset="v3"))),
    "delegate_missing": mesh(VirtualService=vs(http=[{"delegate": {"name": "x", "namespace": "shop"}}])),
    "rule_host_missing": mesh(DestinationRule=[obj("web", host="wbe")], VirtualService=[]),
    "subset_without_pods": mesh(VirtualService=vs(route(subset="v2"))),
    "gateway_without_pods": mesh(Gateway=[obj("door", selector={"istio": "none"})]),
    "policy_without_pods": mesh(PeerAuthentication=[obj("p", selector={"matchLabels": {"app": "wbe"}})]),
    "service_without_endpoints": mesh(EndpointSlice=[]),
    "principal_missing": mesh(AuthorizationPolicy=allowed("cluster.local/ns/shop/sa/wbe")),
}


@pytest.mark.parametrize("code", FOUND)
def test_each_finding(code: str) -> None:
    assert [found for found in codes(FOUND[code]) if found != "subset_idle"] == [code]


def test_a_canary_that_waits_is_only_told() -> None:
    (finding,) = config_findings(mesh())
    assert (finding.code, finding.severity) == ("subset_idle", "info")
    assert finding.object == "DestinationRule shop/web"


def test_mirrors_get_calls() -> None:
    mirrored = [
        obj(
            "web",
            hosts=["web"],
            http=[{"route": [route()], "mirrors": [{"destination": {"host": "web", "subset": "v2"}}]}],
        )
    ]
    assert codes(mesh(VirtualService=mirrored)) == ["subset_without_pods"]


@pytest.mark.parametrize(("exported", "found"), [(["*"], 2), (["."], 0), (["shop"], 2)])
def test_two_for_a_host_of_the_mesh(exported: list[str], found: int) -> None:
    other = obj("other", "cart", hosts=[HOST], exportTo=exported, http=[{"route": [route(HOST)]}])
    one = obj("web", hosts=["web"], exportTo=["."], http=[{"route": [route()]}])
    assert codes(mesh(VirtualService=[one, other])).count("same_host") == found


def test_hosts_of_service_entries_and_other_clusters_exist() -> None:
    entries = [obj("out", hosts=["*.example.com", "api.example.org"], ports=[{"number": 443}])]
    hosts = ("a.example.com", "api.example.org", "web.shop.svc.clusterset.local", HOST)
    routes = vs(*(route(host, weight=1) for host in hosts))
    assert codes(mesh(VirtualService=routes, ServiceEntry=entries, DestinationRule=[])) == []


def test_a_pod_that_ended_is_no_pod() -> None:
    ended = reduced(
        {
            "metadata": {"name": "x", "namespace": "shop", "labels": {"app": "web", "track": "stable"}},
            "spec": {},
            "status": {"phase": "Failed"},
        }
    )
    assert "subset_without_pods" in codes(mesh([ended]))


def test_only_identities_of_this_mesh_have_to_exist() -> None:
    accounts = [obj("web")]
    others = ("*", "cluster.local/ns/shop/sa/*", "other.example/ns/shop/sa/none", "cluster.local/ns/shop/sa/web")
    assert "principal_missing" not in codes(mesh(ServiceAccount=accounts, AuthorizationPolicy=allowed(*others)))
    named = allowed(serviceAccounts=["web", "shop/web", "cart/none", "none"])
    (found,) = [
        f
        for f in config_findings(mesh(ServiceAccount=accounts, AuthorizationPolicy=named))
        if f.code == "principal_missing"
    ]
    assert found.message == "there is no ServiceAccount cart/none, shop/none"


def test_policies_of_the_root_namespace_are_for_all() -> None:
    policy = [obj("p", "istio-system", selector={"matchLabels": {"app": "web"}})]
    assert "policy_without_pods" not in codes(mesh(PeerAuthentication=policy))
    unknown = mesh(PeerAuthentication=[obj("p", "istio-system", selector={"matchLabels": {"app": "no"}})])
    assert "policy_without_pods" in codes(unknown)
    assert "policy_without_pods" not in codes(Config(unknown.objects, unknown.pods, root=None))


def test_an_object_of_another_shape_makes_its_checks_unknown() -> None:
    """The other checks go on."""
    odd = mesh(VirtualService=[obj("web", http=[5])], Gateway=[obj("door", selector={"istio": "none"})])
    found = config_findings(odd)
    assert {str(entry.code) for entry in found} >= {"not_read", "gateway_without_pods"}
    assert any("VirtualService" in entry.object for entry in found if not entry.known)


@pytest.mark.parametrize("kind", sorted({kind for _check, needs in CHECKS for kind in needs}))
def test_from_a_kind_that_was_not_read_nothing_follows(kind: str) -> None:
    """Without a kind, a mesh has no finding that the whole mesh does not have."""
    whole = mesh(VirtualService=vs(route("api.example.com", subset="v1"), gateways=["mesh"]),
                 ServiceEntry=[obj("out", hosts=["api.example.com"])],
                 DestinationRule=[obj("api", host="api.example.com", subsets=[{"name": "v1"}]), *mesh().objects["DestinationRule"]],
                 PeerAuthentication=[obj("p", selector={"matchLabels": {"app": "web"}})])  # fmt: skip
    left = {name: items for name, items in whole.objects.items() if name != kind}
    pods = [] if kind == "Pod" else whole.pods
    assert set(codes(Config(left, pods, frozenset({kind})))) <= set(codes(whole))
