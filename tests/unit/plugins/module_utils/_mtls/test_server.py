# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a server accepts: each rule of PeerAuthentication, and everything that keeps a policy from counting."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.engine import Engine
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.model import Mesh, MeshConfig
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.verdict import Call

from tests.unit.plugins.module_utils._mtls.mtls_objects import (
    ROOT,
    calls,
    mesh,
    obj,
    peer_authentication,
    pick,
    pod,
    service,
)

PA = peer_authentication
WEB = {"app": "web"}


def judged(*policies: Any, config: dict[str, Any] | None = None, target: int = 8080, **changes: Any) -> Call:
    """The call of a caller without sidecar to workload a/web, whose labels are app=web, tier=front."""
    web = pod("a", "web", labels={"tier": "front"}, **changes)
    return pick(calls([web, service("a", "web", [web], {80: target}), *policies], config), "a/web", "plaintext")


@pytest.mark.parametrize(
    ("policies", "mode", "policy"),
    [
        ([], "PERMISSIVE", ""),
        ([PA(ROOT)], "STRICT", f"{ROOT}/default"),
        ([PA("a")], "STRICT", "a/default"),
        ([PA("a", selector=WEB)], "STRICT", "a/default"),
        ([PA("b"), PA("b", "c", selector=WEB)], "PERMISSIVE", ""),
        ([PA("a", selector={"app": "other"})], "PERMISSIVE", ""),
        ([PA("a", selector={"app": "web", "tier": "back"})], "PERMISSIVE", ""),
        ([PA("a", selector={"app": "web", "tier": "front"})], "STRICT", "a/default"),
        ([PA("a", selector={})], "STRICT", "a/default"),  # selector: {} chooses all
        ([PA(ROOT, "DISABLE".lower(), "DISABLE"), PA("a")], "STRICT", "a/default"),
        ([PA(ROOT), PA("a", "ns", "PERMISSIVE"), PA("a", "wl", "DISABLE", selector=WEB)], "DISABLE", "a/wl"),
        ([PA(ROOT), PA("a", "ns", "DISABLE"), PA("a", "wl", None, selector=WEB)], "DISABLE", "a/ns"),
    ],
)
def test_the_narrowest_policy_that_sets_a_mode_decides(policies: list[Any], mode: str, policy: str) -> None:
    call = judged(*policies)
    assert (call.server_mode, call.server_policy) == (mode, policy)


@pytest.mark.parametrize("unset", [None, "UNSET"])
@pytest.mark.parametrize(("parent", "mode"), [(ROOT, "STRICT"), ("a", "DISABLE")])
def test_unset_inherits(unset: str | None, parent: str, mode: str) -> None:
    call = judged(PA(parent, "up", mode), PA("a", "wl", unset, selector=WEB))
    assert (call.server_mode, call.server_policy) == (mode, f"{parent}/up")
    assert "UNSET" in {entry.object: entry.why for entry in call.overridden}["a/wl"]


def test_an_unset_mesh_is_permissive() -> None:
    assert judged(PA(ROOT, mode="UNSET")).server_mode == "PERMISSIVE"


def test_the_oldest_wins_and_the_younger_is_dropped_whole() -> None:
    old = PA("a", "z-old", "PERMISSIVE", selector=WEB, age=1)
    young = PA("a", "a-young", "STRICT", selector=WEB, ports={8080: "STRICT"}, age=2)
    call = judged(young, old)
    assert (call.server_mode, call.server_policy, call.rule) == ("PERMISSIVE", "a/z-old", "oldest_wins")
    assert [entry.object for entry in call.overridden] == ["a/a-young"]


@pytest.mark.parametrize("scope", [ROOT, "a"])
def test_the_oldest_wins_in_mesh_and_namespace_too(scope: str) -> None:
    assert judged(PA(scope, "b", "STRICT", age=1), PA(scope, "a", "DISABLE", age=2)).server_mode == "STRICT"


def test_of_the_same_second_the_first_name_wins() -> None:
    assert judged(PA("a", "b", "DISABLE"), PA("a", "a", "STRICT")).server_policy == "a/a"


def test_an_older_unset_policy_hides_a_younger_one() -> None:
    call = judged(PA("a", "old", "UNSET", age=1), PA("a", "young", "STRICT", age=2))
    assert call.server_mode == "PERMISSIVE"


def test_a_selector_in_the_root_namespace_is_ignored() -> None:
    call = judged(PA(ROOT, "wide", "STRICT", selector=WEB), PA("a", "ns", "PERMISSIVE"))
    assert (call.server_mode, call.rule) == ("PERMISSIVE", "root_namespace_selector")
    assert call.overridden[0].object == f"{ROOT}/wide"


def test_a_selector_in_the_root_namespace_is_ignored_there_too() -> None:
    web = pod(ROOT, "web")
    found = calls([web, service(ROOT, "web", [web]), PA(ROOT, "wl", selector=WEB)])
    assert pick(found, f"{ROOT}/web").server_mode == "PERMISSIVE"


def test_the_root_namespace_comes_from_the_mesh_config() -> None:
    assert judged(PA(ROOT), config={"rootNamespace": "mesh-root"}).server_mode == "PERMISSIVE"
    assert judged(PA("mesh-root"), config={"rootNamespace": "mesh-root"}).server_mode == "STRICT"


def test_ports_count_the_containers_port() -> None:
    call = judged(PA("a", "wl", "STRICT", selector=WEB, ports={8080: "DISABLE"}))
    assert (call.server_mode, call.rule) == ("DISABLE", "port_exception")
    call = judged(PA("a", "wl", "STRICT", selector=WEB, ports={80: "DISABLE"}))
    assert (call.server_mode, call.rule) == ("STRICT", "service_port_in_port_level_mtls")


def test_an_unset_port_has_the_workloads_mode() -> None:
    policy = PA("a", "wl", None, selector=WEB, ports={8080: "UNSET"})
    assert judged(PA("a", "ns", "STRICT"), policy).server_mode == "STRICT"


def test_ports_of_a_policy_without_selector_are_ignored() -> None:
    assert judged(PA("a", "ns", "STRICT", ports={8080: "DISABLE"})).server_mode == "STRICT"


def test_ports_of_a_younger_policy_are_not_merged() -> None:
    older, younger = (
        PA("a", "a", "STRICT", selector=WEB),
        PA("a", "b", "STRICT", selector=WEB, ports={8080: "DISABLE"}, age=2),
    )
    assert judged(older, younger).server_mode == "STRICT"


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"sidecar": False}, "no_sidecar"),
        ({"host_network": True}, "host_network"),
        ({"annotations": {"traffic.sidecar.istio.io/excludeInboundPorts": "15020,8080"}}, "excluded_port"),
        ({"annotations": {"traffic.sidecar.istio.io/includeInboundPorts": ""}}, "excluded_port"),
        ({"annotations": {"traffic.sidecar.istio.io/includeInboundPorts": "9090"}}, "excluded_port"),
        ({"annotations": {"sidecar.istio.io/interceptionMode": "NONE"}}, "not_captured"),
        (
            {"sidecar": False, "annotations": {"sidecar.istio.io/status": '{"containers":["istio-proxy"]}'}},
            "no_sidecar",
        ),
        ({"target": 15020}, "own_port"),
    ],
)
def test_without_a_proxy_before_the_port_nothing_is_enforced(changes: dict[str, Any], rule: str) -> None:
    call = judged(PA(ROOT), PA("a", "wl", selector=WEB), **changes)
    assert (call.server_mode, call.rule, call.verdict) == ("NOT_ENFORCED", rule, "plaintext")


@pytest.mark.parametrize(
    "changes",
    [
        {"native": True},
        {"annotations": {"traffic.sidecar.istio.io/includeInboundPorts": "*"}},
        {"annotations": {"traffic.sidecar.istio.io/includeInboundPorts": "8080,1"}},
        {"annotations": {"traffic.sidecar.istio.io/excludeInboundPorts": "15020,80"}},
        {"annotations": {"sidecar.istio.io/interceptionMode": "TPROXY"}},
    ],
)
def test_a_captured_port_is_enforced(changes: dict[str, Any]) -> None:
    assert judged(PA(ROOT), **changes).server_mode == "STRICT"


def test_a_sidecar_object_opens_a_listener_without_interception() -> None:
    ingress = obj("Sidecar", "a", "web", {"ingress": [{"port": {"number": 8080}, "defaultEndpoint": "127.0.0.1:8080"}]})
    none = {"sidecar.istio.io/interceptionMode": "NONE"}
    assert judged(PA(ROOT), ingress, annotations=none).server_mode == "STRICT"


def test_tls_of_a_sidecar_objects_listener_counts_only_where_disabled_and_switched_on() -> None:
    ingress = obj("Sidecar", "a", "web", {"ingress": [{"port": {"number": 8080}, "tls": {"mode": "SIMPLE"}}]})
    assert judged(PA(ROOT), ingress).server_mode == "STRICT"
    assert judged(PA(ROOT, mode="DISABLE"), ingress).server_mode == "DISABLE"
    web = pod("a", "web")
    found = calls(
        [web, service("a", "web", [web]), PA(ROOT, mode="DISABLE"), ingress],
        environment={"ENABLE_TLS_ON_SIDECAR_INGRESS": "true"},
    )
    assert pick(found, "a/web").server_mode == "UNKNOWN"


def gateway(*servers: dict[str, Any], selector: dict[str, str] | None = None) -> list[Any]:
    gate = pod(ROOT, "gate", role="router")
    made = obj("Gateway", "a", "ingress", {"selector": selector or {"app": "gate"}, "servers": list(servers)})
    return [gate, service(ROOT, "gate", [gate]), made, PA(ROOT)]


@pytest.mark.parametrize(
    ("tls", "mode"),
    [
        (None, "DISABLE"),
        ({"mode": "ISTIO_MUTUAL"}, "STRICT"),
        ({"mode": "SIMPLE"}, "UNKNOWN"),
        ({"mode": "MUTUAL"}, "UNKNOWN"),
        ({}, "UNKNOWN"),
    ],
)
@pytest.mark.parametrize("port", [80, 8080])
def test_a_gateway_is_judged_by_its_own_servers(tls: dict[str, Any] | None, mode: str, port: int) -> None:
    server = {"port": {"number": port}, "hosts": ["*"], **({} if tls is None else {"tls": tls})}
    call = pick(calls(gateway(server)), f"{ROOT}/gate")
    assert (call.server_mode, call.rule) == (mode, "gateway")


def test_the_weakest_of_a_gateways_servers_counts() -> None:
    safe = {"port": {"number": 80}, "tls": {"mode": "ISTIO_MUTUAL"}}
    assert pick(calls(gateway(safe, {"port": {"number": 80}})), f"{ROOT}/gate").server_mode == "DISABLE"


def test_a_gateway_without_a_server_on_the_port_is_unknown() -> None:
    assert pick(calls(gateway({"port": {"number": 443}})), f"{ROOT}/gate").server_mode == "UNKNOWN"
    assert (
        pick(calls(gateway({"port": {"number": 80}}, selector={"app": "x"})), f"{ROOT}/gate").server_mode == "UNKNOWN"
    )


AMBIENT = {"ambient.istio.io/redirection": "enabled"}


@pytest.mark.parametrize(
    ("policies", "mode"),
    [
        ([], "PERMISSIVE"),
        ([PA(ROOT)], "STRICT"),
        ([PA(ROOT, mode="DISABLE")], "PERMISSIVE"),
        ([PA(ROOT), PA("a", "ns", "PERMISSIVE")], "PERMISSIVE"),
        ([PA(ROOT), PA("a", "ns", "UNSET")], "STRICT"),
        ([PA("a", "ns"), PA("a", "wl", "DISABLE", selector=WEB)], "PERMISSIVE"),
        ([PA("a", "wl", "STRICT", selector=WEB, ports={8080: "PERMISSIVE"})], "PERMISSIVE"),
        ([PA("a", "wl", "STRICT", selector=WEB, ports={8080: "DISABLE"})], "PERMISSIVE"),
        ([PA("a", "wl", "PERMISSIVE", selector=WEB, ports={8080: "STRICT"})], "STRICT"),
        ([PA("a", "wl", None, selector=WEB, ports={8080: "STRICT"})], "STRICT"),
        ([PA("a", "ns"), PA("a", "wl", None, selector=WEB, ports={8080: "PERMISSIVE"})], "PERMISSIVE"),
        ([PA("a", "ns"), PA("a", "wl", None, selector=WEB, ports={8080: "DISABLE"})], "STRICT"),
        ([PA("a", "ns"), PA("a", "wl", None, selector=WEB, ports={9090: "PERMISSIVE"})], "STRICT"),
        (
            [PA(ROOT), PA("a", "ns", "UNSET"), PA("a", "wl", None, selector=WEB, ports={8080: "PERMISSIVE"})],
            "PERMISSIVE",
        ),
        ([PA(ROOT), PA("a", "ns", "UNSET"), PA("a", "wl", None, selector=WEB, ports={9: "PERMISSIVE"})], "PERMISSIVE"),
        ([PA(ROOT, selector={})], "PERMISSIVE"),
    ],
)
def test_ambient_workloads_follow_ztunnels_rules(policies: list[Any], mode: str) -> None:
    assert judged(*policies, sidecar=False, annotations=AMBIENT).server_mode == mode


@pytest.mark.parametrize(
    ("policies", "mode"),
    [([], "UNKNOWN"), ([PA(ROOT)], "UNKNOWN"), ([PA("a")], "STRICT"), ([PA("a", "wl", selector=WEB)], "STRICT")],
)
@pytest.mark.parametrize("annotations", [{}, AMBIENT])
def test_without_a_mesh_config_only_what_does_not_hang_on_it_is_known(
    policies: list[Any], mode: str, annotations: dict[str, str]
) -> None:
    web = pod("a", "web", sidecar=not annotations, annotations=annotations)
    found = calls([web, service("a", "web", [web]), *policies], mesh_config=MeshConfig(known=False))
    assert pick(found, "a/web", "plaintext").server_mode == mode


def test_policies_that_may_not_be_read_leave_the_mode_unknown() -> None:
    web, bare = pod("a", "web"), pod("a", "bare", sidecar=False)
    objects = [web, bare, service("a", "web", [web]), service("a", "bare", [bare])]
    found = calls(objects, missing={"PeerAuthentication": "no permission: verb list"})
    for client in ("*", "plaintext"):
        call = pick(found, "a/web", client)
        assert (call.server_mode, call.verdict) == ("UNKNOWN", "unknown")
        assert "no permission" in call.reason
    assert pick(found, "a/bare", "plaintext").server_mode == "NOT_ENFORCED", (
        "what has no proxy enforces nothing, whatever a policy says"
    )


def test_each_revision_has_its_own_root_namespace() -> None:
    web = pod("a", "web", revision="canary")
    objects = [web, service("a", "web", [web]), PA("other-root")]
    assert pick(calls(objects), "a/web").server_mode == "PERMISSIVE"
    configs = {"canary": MeshConfig(revision="canary", root_namespace="other-root")}
    assert pick(calls(objects, configs=configs), "a/web").server_mode == "STRICT"


def test_pods_of_one_workload_are_one_group_unless_they_differ_in_what_counts() -> None:
    pods = [pod("a", "web", suffix=str(n), labels={"statefulset.kubernetes.io/pod-name": f"web-{n}"}) for n in range(4)]
    found: Mesh = mesh([*pods, pod("a", "web", suffix="x", sidecar=False), service("a", "web", pods)])
    assert sorted((group.count, group.kind) for group in found.groups) == [(1, "none"), (4, "sidecar")]
    found = mesh([*pods, PA("a", "one", selector={"statefulset.kubernetes.io/pod-name": "web-2"})])
    assert sorted(group.count for group in found.groups) == [1, 3], "a label that a policy selects by is kept"


def test_one_weak_backend_makes_the_service_weak() -> None:
    pods = [pod("a", "web", suffix="1"), pod("a", "web", suffix="2", sidecar=False)]
    call = pick(Engine(mesh([*pods, service("a", "web", pods), PA("a")])).calls(), "a/web", "plaintext")
    assert (call.server_mode, call.verdict) == ("NOT_ENFORCED", "plaintext")
