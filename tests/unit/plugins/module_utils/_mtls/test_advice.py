# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Advice: it names what to change, and following it helps and breaks nothing."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.compliance import Level, Wanted, violations
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.engine import Engine
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.findings import of_calls
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.rules import RuleCode

from tests.unit.plugins.module_utils._mtls.mtls_objects import (
    ROOT,
    Obj,
    destination_rule,
    mesh,
    namespace,
    obj,
    peer_authentication,
    pod,
    port_tls,
    service,
)
from tests.unit.plugins.module_utils._mtls.test_rules import GIVEN

PA, DR = peer_authentication, destination_rule
HOST = "web.a.svc.cluster.local"
WEB = {"app": "web"}
SIDECAR = ("inject", "sidecar", "restart the pods", "Restart the pods", "WorkloadGroup")


def advice(objects: list[Any], name: str = "Service a/web port 80", level: str = "strict", **fields: Any) -> set[str]:
    """What findings and violations say to do about an object."""
    judged = Engine(mesh(objects, **fields))
    calls = judged.calls()
    found = [*of_calls(judged, calls), *violations(judged, calls, Wanted({"*": Level(level)}))]
    assert any(entry.object == name for entry in found), [entry.object for entry in found]
    return {entry.change for entry in found if entry.object == name}


def with_spec(made: Obj, **spec: Any) -> Obj:
    return {**made, "spec": {**made["spec"], **spec}}


def bare(space: str, name: str, **more: Any) -> Obj:
    return pod(space, name, sidecar=False, **more)


def job(made: Obj) -> Obj:
    owner = {"kind": "Job", "name": made["metadata"]["labels"]["app"], "controller": True}
    return {**made, "metadata": {**made["metadata"], "ownerReferences": [owner]}}


def host_port(made: Obj) -> Obj:
    return with_spec(made, containers=[{"name": "app", "ports": [{"containerPort": 8080, "hostPort": 80}]}])


CRITICAL = {"priorityClassName": "system-cluster-critical"}
# What never gets a sidecar: the pod, and the namespace labels if they matter.
SYSTEM: dict[str, Obj] = {
    "istiod": bare(ROOT, "istiod", labels={"app": "istiod"}),
    "istiod elsewhere": bare("control", "istiod-canary", labels={"app": "istiod"}),
    "what else is in Istio's namespace": bare(ROOT, "kiali"),
    "DNS": bare("kube-system", "coredns"),
    "DNS of a cluster that has it elsewhere": with_spec(bare("cluster-dns", "dns"), **CRITICAL),
    "a node's CNI": with_spec(bare("cni", "node", host_network=True), priorityClassName="system-node-critical"),
    "an API server as a pod": bare("kube-system", "kube-apiserver", host_network=True),
    "ztunnel": with_spec(bare(ROOT, "ztunnel"), priorityClassName="system-node-critical"),
}


@pytest.mark.parametrize("case", SYSTEM)
def test_no_sidecar_for_the_cluster_and_for_istio(case: str) -> None:
    made = SYSTEM[case]
    space, name = made["metadata"]["namespace"], made["metadata"]["labels"]["app"]
    objects = [made, pod("a", "web"), service(space, "it", [made]), namespace(space)]
    owner = made["metadata"]["ownerReferences"][0]["name"]
    found = advice(objects, f"Service {space}/it port 80") | advice(objects, f"Workload {space}/{owner}")
    (only,) = found
    assert only.startswith("Leave these pods without a sidecar")
    assert name


def test_no_sidecar_for_the_api_server() -> None:
    made = service("default", "kubernetes", [], {443: 6443})
    made[1]["endpoints"] = [{"addresses": ["192.0.2.10"]}]
    found = advice([*made, pod("a", "web")], "Service default/kubernetes port 443")
    assert found == {"It is the API server, which has no sidecar. List the service as an exception."}


REFUSED = {"sidecar.istio.io/inject": "false"}
WANTED = {"sidecar.istio.io/inject": "true"}
INJECTED = namespace("a", **{"istio-injection": "enabled"})
EXTERNAL_ENTRY = obj(
    "ServiceEntry",
    "a",
    "db",
    {
        "hosts": ["db.example.com"],
        "location": "MESH_INTERNAL",
        "resolution": "STATIC",
        "ports": [{"number": 80, "name": "tcp", "protocol": "TCP"}],
        "endpoints": [{"address": "192.0.2.7"}],
    },
)


@pytest.mark.parametrize(
    ("one", "more", "expected"),
    [
        (bare("a", "web"), [namespace("a")], "Label namespace a for injection and restart the pods"),
        (bare("a", "web"), [INJECTED], "Restart the pods"),
        (
            bare("a", "web", labels=REFUSED),
            [INJECTED],
            'Set the label sidecar.istio.io/inject of the pod template to "true"',
        ),
        (bare("a", "web", labels=WANTED), [namespace("a")], "Check that the injector's webhook selects namespace a"),
        (bare("a", "web", annotations={"sidecar.istio.io/status": "{}"}), [INJECTED], "Restart the pods"),
        (job(bare("a", "web")), [namespace("a")], "create the Job again; it ends only with a native sidecar"),
        (job(bare("a", "web", labels=REFUSED)), [INJECTED], 'to "true" and create the Job again'),
        (host_port(bare("a", "web")), [namespace("a")], "Calls from outside of the cluster enter here"),
        (bare("a", "web", host_network=True), [namespace("a")], "Run the pods without hostNetwork"),
    ],
)
def test_how_an_application_gets_a_sidecar(one: Obj, more: list[Any], expected: str) -> None:
    objects = [one, service("a", "web", [one]), *more, pod("b", "far")]
    for found in (advice(objects), advice(objects, "Workload a/web")):
        (only,) = found
        assert expected in only
        assert "exception" in only


@pytest.mark.parametrize("kind", [{"type": "LoadBalancer"}, {"type": "NodePort"}, {"externalIPs": ["192.0.2.1"]}])
def test_where_calls_enter_from_outside_a_sidecar_comes_after_a_gateway(kind: dict[str, Any]) -> None:
    one = bare("a", "nginx")
    objects = [one, service("a", "nginx", [one], **kind), service("a", "metrics", [one]), pod("b", "far")]
    for name in ("Service a/nginx port 80", "Service a/metrics port 80", "Workload a/nginx"):
        (only,) = advice(objects, name)
        assert only.startswith("Calls from outside of the cluster enter here")


def test_an_address_without_a_pod_gets_no_label() -> None:
    entry = obj("WorkloadEntry", "a", "vm", {"address": "192.0.2.8", "labels": WEB})
    for objects, name in (
        ([EXTERNAL_ENTRY, pod("b", "far")], "Service a/db.example.com port 80"),
        ([entry, service("a", "web", [], selector=WEB), pod("b", "far")], "Service a/web port 80"),
    ):
        (only,) = advice(objects, name)
        assert "labels do not help" in only
        assert "restart" not in only


def web(*more: Any, **server: Any) -> list[Any]:
    one = pod("a", "web", **server)
    return [one, pod("b", "far"), service("a", "web", [one]), *more]


GATE = pod(ROOT, "gate", role="router")
GATEWAY = obj(
    "Gateway",
    ROOT,
    "front",
    {"selector": {"app": "gate"}, "servers": [{"port": {"number": 80, "protocol": "HTTP"}, "hosts": ["*"]}]},
)
INGRESS = [GATE, GATEWAY, service(ROOT, "gate", [GATE], {80: 80, 15021: 15021}), pod("b", "far")]
SUBSETS = [
    {
        "name": "v1",
        "labels": {},
        "trafficPolicy": {"tls": {"mode": "DISABLE"}, "portLevelSettings": [port_tls(80, None)]},
    }
]


@pytest.mark.parametrize(
    ("objects", "name", "expected"),
    [
        # The DestinationRule that is the cause is named, whether the server refuses the call or lets it in.
        (
            web(PA("a"), DR("b", HOST, "DISABLE", name="no-tls")),
            "a/web port 80",
            "Remove tls from DestinationRule b/no-tls, or",
        ),
        (web(DR("b", HOST, "DISABLE", name="no-tls")), "a/web port 80", "Remove tls from DestinationRule b/no-tls, or"),
        (web(PA("a"), DR("a", HOST, "SIMPLE")), "a/web port 80", "Remove tls from DestinationRule a/rule, or"),
        (
            web(DR("a", HOST, "DISABLE", ports=[port_tls(80, None)])),
            "a/web port 80",
            "in portLevelSettings of DestinationRule a/rule.",
        ),
        (web(DR("a", HOST, None, subsets=SUBSETS)), "a/web port 80", "in portLevelSettings of DestinationRule a/rule."),
        (
            web(DR("a", HOST, "ISTIO_MUTUAL"), sidecar=False),
            "a/web port 80",
            "Remove ISTIO_MUTUAL from DestinationRule a/rule",
        ),
        (
            [*INGRESS, DR(ROOT, f"gate.{ROOT}.svc.cluster.local", "ISTIO_MUTUAL")],
            f"{ROOT}/gate port 80",
            f"Remove ISTIO_MUTUAL from DestinationRule {ROOT}/rule",
        ),
        (
            [EXTERNAL_ENTRY, pod("b", "far"), DR("a", "db.example.com", "ISTIO_MUTUAL")],
            "a/db.example.com port 80",
            "Remove ISTIO_MUTUAL from DestinationRule a/rule",
        ),
        # A policy is named, too.
        (web(PA("a", mode="PERMISSIVE")), "a/web port 80", "Set mode STRICT in PeerAuthentication a/default."),
        (web(PA("a", mode="DISABLE")), "a/web port 80", "Set mode STRICT in PeerAuthentication a/default."),
        (web(), "a/web port 80", "Add a PeerAuthentication with mode STRICT to namespace a."),
        (
            web(PA("a", "x", selector=WEB, ports={8080: "DISABLE"})),
            "a/web port 80",
            "Remove the port from portLevelMtls of PeerAuthentication a/x",
        ),
        (web(PA("a", mode="DISABLE"), PA("a", "x", selector=WEB)), "a/web port 80", "a mode other than DISABLE"),
        (
            web(PA("a", mode="DISABLE"), PA("a", "x", "PERMISSIVE", selector=WEB)),
            "a/web port 80",
            "a mode other than DISABLE",
        ),
        # What a gateway and Istio's own ports are.
        (INGRESS, f"{ROOT}/gate port 80", f"Plain text enters here by Gateway {ROOT}/front."),
        (INGRESS, f"{ROOT}/gate port 15021", "Nothing encrypts this port. List the service and port as an exception."),
    ],
)
def test_the_cause_is_named(objects: list[Any], name: str, expected: str) -> None:
    found = advice(objects, f"Service {name}")
    assert [text for text in found if expected in text], found


def test_udp_and_mixed_backends_get_the_advice_of_their_rule() -> None:
    for code in (RuleCode.UDP, RuleCode.MIXED_BACKENDS):
        assert code.entry.remedy in advice([*GIVEN[code][0], pod("b", "far")])


@pytest.mark.parametrize("port", [15020, 15021, 15090])
@pytest.mark.parametrize("role", ["sidecar", "router"])
def test_istios_own_ports_are_told_as_what_they_are(port: int, role: str) -> None:
    one = pod("a", "web", role=role)
    for found in (
        advice([one, service("a", "web", [one], {80: port}), pod("b", "far"), PA("a")]),
        advice([one, service("a", "web", [one], {80: port}), pod("b", "far")], level="permissive"),
    ):
        assert all("Nothing encrypts this port." in text for text in found), found


def test_an_open_ingress_gets_no_policy_and_no_label() -> None:
    for name in (f"Service {ROOT}/gate port 80", f"Service {ROOT}/gate port 15021"):
        for text in advice(INGRESS, name):
            assert "PeerAuthentication" not in text
            assert "excludeInboundPorts" not in text
            assert not any(word in text for word in SIDECAR)


@pytest.mark.parametrize(
    ("objects", "config"),
    [
        (web(DR("b", HOST, "DISABLE"), sidecar=False), {}),
        (web(sidecar=False), {"enableAutoMtls": False}),
        (web(PA("a", mode="DISABLE"), DR("b", HOST, "DISABLE")), {}),
        (web(PA("a", mode="DISABLE")), {"enableAutoMtls": False}),
    ],
)
def test_where_the_server_takes_no_mutual_tls_the_client_has_nothing_to_change(objects: list[Any], config: Obj) -> None:
    for text in advice(objects, config=config):
        assert "DestinationRule" not in text
        assert "enableAutoMtls" not in text
        assert text


@pytest.mark.parametrize("code", RuleCode)
def test_every_rule_has_advice_in_every_verdict_that_is_reported(code: RuleCode) -> None:
    objects, config, _client = GIVEN[code]
    judged = Engine(mesh(objects, config))
    calls = judged.calls()
    for entry in [*of_calls(judged, calls), *violations(judged, calls, Wanted({"*": Level.STRICT}))]:
        # What is not known is told by a finding of its own, with what to grant.
        assert entry.change or "the verdict is unknown" in entry.message or entry.message.startswith("unknown"), entry
        assert "None" not in entry.change
        assert "DestinationRule ," not in entry.change
        assert "DestinationRule ." not in entry.change


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([PA("a"), DR("b", HOST, "DISABLE")], [PA("a"), DR("b", HOST, None)]),
        ([PA("a"), DR("a", HOST, "SIMPLE")], [PA("a"), DR("a", HOST, "ISTIO_MUTUAL")]),
        (
            [DR("a", HOST, "DISABLE", ports=[port_tls(80, None)])],
            [PA("a"), DR("a", HOST, "DISABLE", ports=[port_tls(80, "ISTIO_MUTUAL")])],
        ),
        ([PA("a", mode="PERMISSIVE")], [PA("a")]),
        (
            [PA("a"), PA("a", "x", None, selector=WEB, ports={8080: "DISABLE"})],
            [PA("a"), PA("a", "x", None, selector=WEB)],
        ),
    ],
)
def test_what_follows_the_advice_is_strict(before: list[Any], after: list[Any]) -> None:
    assert advice(web(*before))
    judged = Engine(mesh(web(*after)))
    assert violations(judged, judged.calls(), Wanted({"a": Level.STRICT})) == []


def test_a_rule_that_hides_no_mutual_tls_is_no_remedy() -> None:
    assert "DISABLE" not in RuleCode.DESTINATION_RULE_WITHOUT_TLS.entry.remedy
    assert "DestinationRule with ISTIO_MUTUAL" not in RuleCode.HEADLESS_MIXED.entry.remedy
