# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a client sends, what becomes of it, and which rule explains it."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.engine import Engine
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.model import MeshConfig, Mode, Sent
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.verdict import Call, Verdict, verdict

from tests.unit.plugins.module_utils._mtls.mtls_objects import (
    ROOT,
    calls,
    destination_rule,
    mesh,
    obj,
    peer_authentication,
    pick,
    pod,
    port_tls,
    service,
    tls,
)

PA, DR = peer_authentication, destination_rule
WEB = {"app": "web"}
HOST = "web.a.svc.cluster.local"


def in_mesh(
    *more: Any, config: dict[str, Any] | None = None, server: dict[str, Any] | None = None, **fields: Any
) -> list[Call]:
    """Service a/web (80 -> 8080) and clients a/near, b/far, c/third and istio-system/gate (a gateway)."""
    web = pod("a", "web", **(server or {}))
    clients = [pod("a", "near"), pod("b", "far"), pod("c", "third"), pod(ROOT, "gate", role="router")]
    return calls([web, *clients, service("a", "web", [web]), *more], config, **fields)


def summary(call: Call) -> tuple[str, str, str, str]:
    return call.client_mode, call.server_mode, call.verdict, call.rule or ""


@pytest.mark.parametrize(
    ("sends", "accepts", "expected"),
    [
        ("mtls", "STRICT", "strict"),
        ("mtls", "PERMISSIVE", "encrypted_not_enforced"),
        ("mtls", "DISABLE", "broken"),
        ("mtls", "NOT_ENFORCED", "broken"),
        ("plaintext", "STRICT", "broken"),
        ("plaintext", "PERMISSIVE", "plaintext_allowed"),
        ("plaintext", "DISABLE", "plaintext"),
        ("plaintext", "NOT_ENFORCED", "plaintext"),
        ("tls", "STRICT", "broken"),
        ("tls", "PERMISSIVE", "not_enforced"),
        ("blocked", "STRICT", "broken"),
        ("unknown", "STRICT", "unknown"),
        ("mtls", "UNKNOWN", "unknown"),
        ("unknown", "UNKNOWN", "unknown"),
    ],
)
def test_the_table_of_verdicts(sends: str, accepts: str, expected: str) -> None:
    assert verdict(Sent(sends.upper() if sends == "unknown" else sends), Mode(accepts)) == expected


@pytest.mark.parametrize("accepts", Mode)
@pytest.mark.parametrize("sends", Sent)
def test_the_table_has_every_pair_and_strict_needs_both_sides(sends: Sent, accepts: Mode) -> None:
    found = verdict(sends, accepts)
    assert (found is Verdict.STRICT) == (sends is Sent.MTLS and accepts is Mode.STRICT)
    if sends is Sent.UNKNOWN or (accepts is Mode.UNKNOWN and sends is not Sent.BLOCKED):
        assert found is Verdict.UNKNOWN


@pytest.mark.parametrize(
    ("mode", "star", "plain"),
    [
        ("STRICT", "strict", "broken"),
        ("PERMISSIVE", "encrypted_not_enforced", "plaintext_allowed"),
        ("DISABLE", "plaintext", "plaintext"),
    ],
)
def test_auto_mtls_follows_the_namespaces_mode(mode: str, star: str, plain: str) -> None:
    found = in_mesh(PA("a", mode=mode))
    assert {call.client: call.verdict for call in found} == {"*": star, "plaintext": plain}, (
        "no workload has a DestinationRule of its own"
    )


@pytest.mark.parametrize("parent", ["a", ROOT])
def test_namespace_disable_and_workload_strict_resets_every_call(parent: str) -> None:
    found = in_mesh(PA(parent, "up", "DISABLE"), PA("a", "wl", selector=WEB))
    assert summary(pick(found, "a/web")) == ("plaintext", "STRICT", "broken", "namespace_disable")


def test_workload_disable_is_honoured_for_each_endpoint() -> None:
    found = in_mesh(PA("a"), PA("a", "wl", "DISABLE", selector=WEB))
    assert summary(pick(found, "a/web"))[:3] == ("plaintext", "DISABLE", "plaintext")


def test_port_disable_is_honoured_for_each_endpoint() -> None:
    found = in_mesh(PA("a"), PA("a", "wl", "STRICT", selector=WEB, ports={8080: "DISABLE"}))
    assert summary(pick(found, "a/web")) == ("plaintext", "DISABLE", "plaintext", "port_exception")


def test_an_endpoint_without_sidecar_gets_plain_text() -> None:
    found = in_mesh(PA(ROOT), server={"sidecar": False})
    assert summary(pick(found, "a/web")) == ("plaintext", "NOT_ENFORCED", "plaintext", "no_sidecar")


def test_without_auto_mtls_everything_is_plain_text() -> None:
    found = in_mesh(PA("a"), config={"enableAutoMtls": False})
    assert summary(pick(found, "a/web")) == ("plaintext", "STRICT", "broken", "auto_mtls_off")
    found = in_mesh(PA("a"), DR(ROOT, "*.local", "ISTIO_MUTUAL"), config={"enableAutoMtls": False})
    assert pick(found, "a/web").verdict == "strict"


@pytest.mark.parametrize(
    ("label", "sidecar", "expected"),
    [
        ("istio", False, ("mtls", "NOT_ENFORCED", "broken", "tls_mode_label")),
        ("disabled", True, ("plaintext", "STRICT", "broken", "tls_mode_label")),
    ],
)
def test_the_tls_mode_label_is_a_claim(label: str, sidecar: bool, expected: tuple[str, ...]) -> None:
    found = in_mesh(PA("a"), server={"sidecar": sidecar, "labels": {"security.istio.io/tlsMode": label}})
    assert summary(pick(found, "a/web")) == expected


def test_a_port_kept_from_the_sidecar_breaks_mutual_tls() -> None:
    found = in_mesh(PA("a"), server={"annotations": {"traffic.sidecar.istio.io/excludeInboundPorts": "8080"}})
    assert summary(pick(found, "a/web")) == ("mtls", "NOT_ENFORCED", "broken", "excluded_port")


# --- which DestinationRule


def test_a_rule_of_the_clients_namespace_comes_first() -> None:
    found = in_mesh(PA("a"), DR("b", HOST, "DISABLE"), DR("a", HOST, "ISTIO_MUTUAL"))
    far = pick(found, "a/web", "b/far")
    assert summary(far) == ("plaintext", "STRICT", "broken", "destination_rule_disable")
    assert far.client_policy == "b/rule"
    assert {entry.object for entry in far.overridden} == {"a/rule"}
    assert {call.client for call in found if call.client not in ("*", "plaintext")} == {"b/far"}
    assert pick(found, "a/web", "c/third").client_policy == "a/rule"


@pytest.mark.parametrize("turned", [False, True])
def test_each_client_is_told_where_its_own_rule_was_found(turned: bool) -> None:
    near, far = pod("b", "near"), pod("a", "far")
    rules = [DR("istio-system", "web.b.svc.cluster.local"), DR("b", "web", export_to=["a", "b"])]
    found = calls([*([far, near] if turned else [near, far]), *service("b", "web", [near]), *rules])
    why = {name: [lost.why for lost in pick(found, "b/web", name).overridden] for name in ("b/near", "a/far")}
    assert [("client's" in text, "service's" in text) for (text,) in why.values()] == [(True, False), (False, True)]


def test_then_the_services_namespace_then_root() -> None:
    assert pick(in_mesh(DR("a", HOST, "DISABLE"), DR(ROOT, HOST, "ISTIO_MUTUAL")), "a/web").client_mode == "plaintext"
    assert pick(in_mesh(DR(ROOT, HOST, "DISABLE")), "a/web").client_mode == "plaintext"
    assert pick(in_mesh(DR("c", HOST, "DISABLE")), "a/web").client_mode == "mtls", (
        "a DestinationRule of another namespace does not apply"
    )


def test_a_rule_without_tls_hides_one_with_tls() -> None:
    found = in_mesh(PA("a"), DR("b", HOST), DR(ROOT, "*.local", "ISTIO_MUTUAL"), config={"enableAutoMtls": False})
    assert summary(pick(found, "a/web", "b/far"))[:3] == ("plaintext", "STRICT", "broken")
    found = in_mesh(PA("a"), DR("b", HOST, policy=False), DR(ROOT, "*.local", "DISABLE"))
    own = pick(found, "a/web", "b/far")
    assert summary(own) == ("mtls", "STRICT", "strict", "destination_rule_without_tls")
    assert pick(found, "a/web").verdict == "broken"


@pytest.mark.parametrize(
    ("export_to", "star", "far", "near"),
    [
        (None, "plaintext", "plaintext", "plaintext"),
        (["*"], "plaintext", "plaintext", "plaintext"),
        (["."], "mtls", "mtls", "plaintext"),
        (["b"], "mtls", "plaintext", "mtls"),
        (["a"], "mtls", "mtls", "plaintext"),
        (["b", "a"], "mtls", "plaintext", "plaintext"),
        (["~"], "mtls", "mtls", "mtls"),
    ],
)
def test_export_to(export_to: list[str] | None, star: str, far: str, near: str) -> None:
    found = in_mesh(DR("a", HOST, "DISABLE", export_to=export_to))
    modes = [pick(found, "a/web", client).client_mode for client in ("*", "b/far", "a/near")]
    assert modes == [star, far, near]


def test_the_meshs_default_export() -> None:
    found = in_mesh(DR("a", HOST, "DISABLE"), config={"defaultDestinationRuleExportTo": ["."]})
    assert [pick(found, "a/web", c).client_mode for c in ("*", "a/near")] == ["mtls", "plaintext"]


def test_clients_in_root_look_at_private_rules_of_root_first_only() -> None:
    public = in_mesh(DR(ROOT, HOST, "DISABLE"), DR("a", HOST, "ISTIO_MUTUAL"))
    assert pick(public, "a/web", f"{ROOT}/gate").client_mode == "mtls", (
        "the service's namespace goes before public root rules"
    )
    private = in_mesh(DR(ROOT, HOST, "DISABLE", export_to=["."]), DR("a", HOST, "ISTIO_MUTUAL"))
    assert pick(private, "a/web", f"{ROOT}/gate").client_mode == "plaintext"
    assert pick(private, "a/web").client_mode == "mtls"


@pytest.mark.parametrize("host", ["web", HOST, "*.a.svc.cluster.local", "*.local", "*"])
def test_hosts_match(host: str) -> None:
    assert pick(in_mesh(DR("a", host, "DISABLE")), "a/web").client_mode == "plaintext"


@pytest.mark.parametrize(
    "host", ["web.a", "other", "*.b.svc.cluster.local", "*web.a.svc.cluster", "web.b.svc.cluster.local"]
)
def test_hosts_do_not_match(host: str) -> None:
    assert pick(in_mesh(DR("a", host, "DISABLE")), "a/web").client_mode == "mtls"


def test_exact_goes_before_wildcard_and_the_longest_wildcard_first() -> None:
    wide, wider = DR("a", "*.a.svc.cluster.local", "DISABLE", name="w"), DR("a", "*.local", "SIMPLE", name="ww")
    assert pick(in_mesh(wide, wider), "a/web").client_mode == "plaintext"
    assert pick(in_mesh(wide, wider, DR("a", HOST, "ISTIO_MUTUAL", age=9)), "a/web").client_mode == "mtls"


def test_a_rule_for_some_workloads() -> None:
    found = in_mesh(PA("a"), DR("b", HOST, "DISABLE", selector={"app": "far"}))
    assert pick(found, "a/web", "b/far").verdict == "broken"
    found = in_mesh(PA("a"), DR("b", HOST, "DISABLE", selector={"app": "other"}))
    assert [call.client for call in found] == ["*", "plaintext"]
    plain = DR("b", HOST, "ISTIO_MUTUAL", name="all", age=1)
    found = in_mesh(PA("a"), plain, DR("b", HOST, "DISABLE", selector={"app": "far"}, age=2))
    assert pick(found, "a/web", "b/far").client_policy == "b/rule"


def test_rules_of_one_host_are_merged_the_older_policy_stays() -> None:
    old, young = DR("a", HOST, "DISABLE", name="old"), DR("a", HOST, "ISTIO_MUTUAL", name="young", age=2)
    call = pick(in_mesh(young, old), "a/web")
    assert (call.client_mode, call.client_policy) == ("plaintext", "a/old and a/young")
    assert [entry.object for entry in call.overridden] == ["a/young"]
    bare = DR("a", HOST, name="old", policy=False)
    assert pick(in_mesh(PA("a"), young, bare), "a/web").client_mode == "mtls", (
        "without a policy it takes the younger one's"
    )


# --- ports and subsets


def test_port_level_settings_replace_the_whole_block() -> None:
    found = in_mesh(PA("a"), DR("a", HOST, "DISABLE", ports=[port_tls(80, "ISTIO_MUTUAL")]))
    assert pick(found, "a/web").verdict == "strict"
    found = in_mesh(PA("a"), DR("a", HOST, "DISABLE", ports=[port_tls(8080, "ISTIO_MUTUAL")]))
    assert pick(found, "a/web").verdict == "broken", "the key is the service's port"
    found = in_mesh(
        PA("a"), DR("a", HOST, "ISTIO_MUTUAL", ports=[port_tls(80, None)]), config={"enableAutoMtls": False}
    )
    assert pick(found, "a/web").verdict == "broken", "tls is not inherited"


def test_what_is_not_inherited_for_the_cluster_still_marks_the_endpoints() -> None:
    found = in_mesh(PA("a"), DR("a", HOST, "DISABLE", ports=[port_tls(80, None)]))
    assert summary(pick(found, "a/web")) == ("plaintext", "STRICT", "broken", "port_level_tls_not_inherited")
    mutual = DR("a", HOST, "ISTIO_MUTUAL", ports=[port_tls(80, None)])
    assert pick(in_mesh(mutual, server={"sidecar": False}), "a/web").verdict == "plaintext", "no mark is added"
    own = in_mesh(mutual, PA("a"), PA("a", "wl", "DISABLE", selector=WEB))
    assert pick(own, "a/web").verdict == "broken", "the mark stays, whatever the endpoint's own mode"


def test_a_subsets_tls_counts_for_its_pods_only() -> None:
    subset = {"name": "v1", "labels": {"v": "1"}, "trafficPolicy": tls("DISABLE")}
    rule = DR("a", HOST, "ISTIO_MUTUAL", subsets=[subset])
    call = pick(in_mesh(PA("a"), rule, server={"labels": {"v": "1"}}), "a/web")
    assert (call.verdict, call.subset) == ("broken", "v1")
    assert pick(in_mesh(PA("a"), rule, server={"labels": {"v": "2"}}), "a/web").verdict == "strict"


def test_a_subset_without_tls_has_that_of_the_rule() -> None:
    subset = {"name": "v1", "labels": {}, "trafficPolicy": {"loadBalancer": {"simple": "RANDOM"}}}
    assert pick(in_mesh(PA("a"), DR("a", HOST, "ISTIO_MUTUAL", subsets=[subset])), "a/web").verdict == "strict"
    ported = {"name": "v1", "labels": {}, "trafficPolicy": {"portLevelSettings": [port_tls(80, None)]}}
    off = {"enableAutoMtls": False}
    call = pick(in_mesh(PA("a"), DR("a", HOST, "ISTIO_MUTUAL", subsets=[ported]), config=off), "a/web")
    assert (call.verdict, call.subset) == ("broken", "v1")


def test_endpoints_are_marked_by_the_rules_port_when_a_subset_drops_tls() -> None:
    ported = {"name": "v1", "labels": {}, "trafficPolicy": {"portLevelSettings": [port_tls(80, None)]}}
    rule = DR("a", HOST, "DISABLE", ports=[port_tls(80, "ISTIO_MUTUAL")], subsets=[ported])
    assert pick(in_mesh(PA("a"), rule), "a/web").verdict == "strict"


@pytest.mark.parametrize("mode", ["SIMPLE", "MUTUAL"])
def test_tls_of_a_rules_own_is_not_the_meshs(mode: str) -> None:
    assert summary(pick(in_mesh(PA("a"), DR("a", HOST, mode)), "a/web")) == (
        "tls",
        "STRICT",
        "broken",
        "tls_origination",
    )
    assert pick(in_mesh(DR("a", HOST, mode)), "a/web").verdict == "not_enforced"


def test_istio_mutual_is_forced_on_endpoints_without_sidecar() -> None:
    found = in_mesh(DR("a", HOST, "ISTIO_MUTUAL"), server={"sidecar": False})
    assert summary(pick(found, "a/web")) == ("mtls", "NOT_ENFORCED", "broken", "istio_mutual_without_sidecar")


def test_tls_without_a_mode_is_disable() -> None:
    rule = DR("a", HOST)
    rule["spec"]["trafficPolicy"]["tls"] = {}
    assert pick(in_mesh(rule), "a/web").client_mode == "plaintext"


# --- headless, ExternalName, ServiceEntry


def headless(*pods: Any, policies: list[Any], **fields: Any) -> list[Call]:
    return calls(
        [*pods, pod(ROOT, "gate", role="router"), service("a", "web", list(pods), headless=True), *policies], **fields
    )


def test_a_headless_service_is_mutual_only_when_all_have_sidecars() -> None:
    one, two = pod("a", "web", suffix="1"), pod("a", "web", suffix="2", sidecar=False)
    assert summary(pick(headless(one, policies=[PA("a")]), "a/web"))[:3] == ("mtls", "STRICT", "strict")
    mixed = headless(one, two, policies=[PA("a")])
    assert summary(pick(mixed, "a/web")) == ("plaintext", "STRICT", "broken", "headless_mixed")


def test_a_headless_service_does_not_honour_disable_of_an_endpoint() -> None:
    one = pod("a", "web")
    found = headless(one, policies=[PA("a"), PA("a", "wl", "DISABLE", selector=WEB)])
    assert summary(pick(found, "a/web"))[:3] == ("mtls", "DISABLE", "broken")
    assert pick(found, "a/web", f"{ROOT}/gate").client_mode == "plaintext", "a gateway gets its endpoints by EDS"
    switched = headless(
        one,
        policies=[PA("a", "wl", "DISABLE", selector=WEB)],
        environment={"PILOT_ENABLE_EDS_FOR_HEADLESS_SERVICES": "true"},
    )
    assert pick(switched, "a/web").client_mode == "plaintext"


def test_a_passthrough_load_balancer_is_like_headless() -> None:
    one, two = pod("a", "web", suffix="1"), pod("a", "web", suffix="2", sidecar=False)
    rule = DR("a", HOST, loadBalancer={"simple": "PASSTHROUGH"})
    found = calls([one, two, service("a", "web", [one, two]), PA("a"), rule])
    assert summary(pick(found, "a/web")) == ("plaintext", "STRICT", "broken", "headless_mixed")


def alias(target: str) -> Any:
    return obj("Service", "b", "old", {"type": "ExternalName", "externalName": target, "ports": []})


def test_an_external_name_is_its_target() -> None:
    call = pick(in_mesh(PA("a"), alias(HOST)), "b/old")
    assert (call.verdict, call.port) == ("strict", 80)
    assert call.reason.startswith("alias of a/web")
    ported = alias("api.example.com")
    ported["spec"]["ports"] = [{"port": 443}]
    assert summary(pick(in_mesh(PA("a"), ported), "b/old", port=443))[2:] == ("not_enforced", "external")


def entry(location: str = "MESH_EXTERNAL", **spec: Any) -> Any:
    body = {"hosts": ["api.example.com"], "location": location, "ports": [{"number": 80, "name": "http"}], **spec}
    return obj("ServiceEntry", "a", "api", body)


def test_a_host_outside_of_the_mesh_is_not_enforced() -> None:
    found = in_mesh(PA(ROOT), entry(resolution="DNS"))
    for client in ("*", "plaintext"):
        call = pick(found, "a/api.example.com", client)
        assert (call.client_mode, call.verdict) == ("plaintext", "not_enforced")
    mutual = in_mesh(entry(resolution="DNS"), DR("a", "api.example.com", "ISTIO_MUTUAL"))
    assert pick(mutual, "a/api.example.com").verdict == "unknown"


def test_pods_behind_a_service_entry() -> None:
    inside = entry("MESH_INTERNAL", resolution="STATIC", workloadSelector={"labels": WEB})
    inside["spec"]["ports"][0]["targetPort"] = 8080
    call = pick(in_mesh(PA("a"), inside), "a/api.example.com")
    assert (call.verdict, call.backends, call.target_port) == ("strict", ("a/web",), 8080)


def test_a_workload_entry_claims_a_sidecar_that_cannot_be_read() -> None:
    inside = entry("MESH_INTERNAL", resolution="STATIC", workloadSelector={"labels": {"vm": "1"}})
    machine = obj("WorkloadEntry", "a", "vm", {"address": "192.0.2.1", "labels": {"vm": "1"}, "serviceAccount": "vm"})
    call = pick(in_mesh(PA("a"), inside, machine), "a/api.example.com")
    assert (call.client_mode, call.server_mode, call.verdict) == ("mtls", "UNKNOWN", "unknown")
    machine["spec"].pop("serviceAccount")
    assert pick(in_mesh(PA("a"), inside, machine), "a/api.example.com").verdict == "plaintext"


# --- what a client's proxy knows


def scope(namespace: str, *hosts: str, **spec: Any) -> Any:
    return obj("Sidecar", namespace, "default", {"egress": [{"hosts": list(hosts)}], **spec})


@pytest.mark.parametrize(
    ("hosts", "seen"),
    [
        (["*/*"], True),
        (["./*"], False),
        (["./*", "a/*"], True),
        ([f"a/{HOST}"], True),
        (["a/other.a.svc.cluster.local"], False),
        (["*/*.a.svc.cluster.local"], True),
        (["~/*"], False),
        (["*/*", "~a/*"], False),
    ],
)
def test_a_sidecar_object_hides_services(hosts: list[str], seen: bool) -> None:
    web, far = pod("a", "web"), pod("b", "far")
    engine = Engine(mesh([web, far, service("a", "web", [web]), PA("a"), scope("b", *hosts)]))
    assert {call.client for call in engine.calls()} == {"*", "plaintext"}
    assert engine.hidden == ({} if seen else {"b/default": {"a/web"}})
    named = engine.calls(clients=["b/far"])
    assert [summary(call)[2:] for call in named] == ([] if seen else [("broken", "not_visible")])


def test_registry_only_blocks_what_is_hidden() -> None:
    web, far = pod("a", "web"), pod("b", "far")
    hidden = scope("b", "./*", outboundTrafficPolicy={"mode": "REGISTRY_ONLY"})
    (call,) = Engine(mesh([web, far, service("a", "web", [web]), hidden])).calls(clients=["b/far"])
    assert (call.client_mode, call.verdict) == ("blocked", "broken")


def test_a_sidecar_object_for_some_workloads_goes_before_the_namespaces() -> None:
    some = obj(
        "Sidecar", "b", "some", {"egress": [{"hosts": ["*/*"]}], "workloadSelector": {"labels": {"app": "far"}}}, age=9
    )
    web, far, other = pod("a", "web"), pod("b", "far"), pod("b", "other")
    engine = Engine(mesh([web, far, other, service("a", "web", [web]), scope("b", "./*"), some]))
    assert [call.client for call in engine.calls(clients=["b/far", "b/other"])] == ["b/other"]


@pytest.mark.parametrize("export_to", [".", "a", "a,c"])
def test_a_service_that_is_not_exported_is_judged_for_those_who_see_it(export_to: str) -> None:
    web, near, far = pod("a", "web"), pod("a", "near"), pod("b", "far")
    engine = Engine(mesh([web, near, far, service("a", "web", [web], export_to=export_to), PA("a")]))
    assert [(call.client, call.verdict) for call in engine.calls()] == [("*", "strict"), ("plaintext", "broken")]
    assert engine.hidden == {}, "exportTo says so itself"
    (hidden,) = engine.calls(clients=["b/far"])
    assert summary(hidden)[2:] == ("broken", "not_visible")


def test_a_service_that_no_workload_sees() -> None:
    web = pod("a", "web")
    found = calls([web, service("a", "web", [web], export_to="~"), PA("a")])
    assert summary(pick(found, "a/web"))[2:] == ("broken", "not_visible")


def test_the_roots_sidecar_object_means_each_clients_own_namespace() -> None:
    web, near, far = pod("a", "web"), pod("a", "near"), pod("b", "far")
    engine = Engine(mesh([web, near, far, service("a", "web", [web]), PA("a"), scope(ROOT, "./*", f"{ROOT}/*")]))
    assert [(call.client, call.verdict) for call in engine.calls()] == [("*", "strict"), ("plaintext", "broken")]
    assert [call.client for call in engine.calls(clients=["a/near", "b/far"])] == ["b/far"]


@pytest.mark.parametrize(
    "annotations",
    [
        {"traffic.sidecar.istio.io/excludeOutboundPorts": "80"},
        {"traffic.sidecar.istio.io/excludeOutboundIPRanges": "10.96.0.0/16"},
        {"traffic.sidecar.istio.io/includeOutboundIPRanges": "10.0.0.0/16"},
        {"traffic.sidecar.istio.io/includeOutboundIPRanges": ""},
    ],
)
def test_a_call_that_does_not_pass_the_clients_sidecar(annotations: dict[str, str]) -> None:
    web, far = pod("a", "web"), pod("b", "far", annotations=annotations)
    found = calls([web, far, service("a", "web", [web]), PA("a")])
    assert summary(pick(found, "a/web", "b/far")) == ("plaintext", "STRICT", "broken", "client_not_captured")


def test_ambient_clients_and_servers() -> None:
    ambient = {"sidecar": False, "annotations": {"ambient.istio.io/redirection": "enabled"}}
    both = [pod("a", "web", **ambient), pod("b", "far", **ambient), pod("c", "third")]
    objects = [*both, service("a", "web", both[:1]), service("c", "third", both[2:]), PA(ROOT)]
    found = calls(objects, environment={"PILOT_ENABLE_AMBIENT": "true"})
    assert pick(found, "a/web", "b/far").verdict == "strict"
    assert pick(found, "a/web", "c/third").verdict == "strict"
    assert pick(found, "c/third", "b/far").verdict == "broken", "ztunnel sends plain text to a sidecar without HBONE"
    both = pod("c", "both", labels={"networking.istio.io/tunnel": "http"})
    rule = DR("c", "both.c.svc.cluster.local", "DISABLE")
    tunnel = calls([*objects, both, service("c", "both", [both]), rule], environment={"PILOT_ENABLE_AMBIENT": "true"})
    assert pick(tunnel, "c/both", "c/third").client_mode == "plaintext", "a sidecar that accepts both gets no tunnel"
    unread = calls(objects, mesh_config=MeshConfig())
    assert pick(unread, "a/web", "c/third").verdict == "unknown"


# --- what is not known


@pytest.mark.parametrize("kind", ["DestinationRule", "PeerAuthentication", "EndpointSlice", "Pod"])
def test_what_could_not_be_read_is_never_strict(kind: str) -> None:
    objects: list[Any] = [PA("a")]
    web = pod("a", "web")
    shown, hidden = ([], []) if kind == "Pod" else ([web], [])
    parts = service("a", "web", [web])
    found = calls(
        [*shown, *hidden, *(p for p in parts if p["kind"] != kind), *objects], missing={kind: "no permission"}
    )
    call = pick(found, "a/web")
    assert call.verdict == "unknown"
    assert "no permission" in call.reason or "unknown" in call.reason


def test_a_service_without_endpoints_is_unknown() -> None:
    found = calls([service("a", "web", []), PA(ROOT)])
    assert {summary(call)[1:] for call in found} == {("UNKNOWN", "unknown", "no_endpoints")}


def test_udp_does_not_pass_the_mesh() -> None:
    web = pod("a", "dns")
    parts = service("a", "dns", [web], {53: 53})
    parts[0]["spec"]["ports"][0]["protocol"] = "UDP"
    assert {summary(call)[2:] for call in calls([web, parts, PA(ROOT)])} == {("not_enforced", "udp")}


def test_narrowing_changes_no_verdict() -> None:
    web, far = pod("a", "web"), pod("b", "far")
    engine = Engine(
        mesh([web, far, service("a", "web", [web]), service("b", "far", [far]), PA("a"), DR("b", HOST, "DISABLE")])
    )
    everything = engine.calls()
    assert engine.calls(services=["a/web"]) == [call for call in everything if call.service == "a/web"]
    assert engine.calls(namespaces=["b"]) == [call for call in everything if call.service.startswith("b/")]
    assert engine.calls(clients=["b/far"]) == [call for call in everything if call.client == "b/far"] != []
