# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is read out of Envoy's and curl's answers, and what proof it makes."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.assemble import assembled, reducers
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.engine import Engine
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.model import (
    Group,
    MeshConfig,
    Mode,
    Proxy,
    Sent,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parse.pod import pod as reduced
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.proof.calls import job
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.proof.listener import (
    Certificate,
    certificate,
    inbound_chains,
    mode_of_port,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.proof.proxies import (
    Asked,
    findings,
    sample,
    with_listeners,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.proof.wire import (
    Answer,
    Meshed,
    Peer,
    PlainCall,
    Seen,
    answer,
    counters,
    meshed,
    peer,
    plain,
    proved,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.verdict import Call, Proof, Verdict

from tests.unit.plugins.module_utils._mtls.mtls_objects import mesh, peer_authentication, pick, pod, service

NOW = datetime(2026, 1, 2, tzinfo=timezone.utc)  # noqa: UP017


def chain(
    name: str, port: int | None = None, *, tls: bool = True, required: bool = True, domain: str = "td"
) -> dict[str, Any]:
    made: dict[str, Any] = {"name": name, "filter_chain_match": {} if port is None else {"destination_port": port}}
    if tls:
        names = {"match_subject_alt_names": [{"prefix": f"spiffe://{domain}/"}]}
        made["transport_socket"] = {
            "typed_config": {
                "require_client_certificate": required,
                "common_tls_context": {"combined_validation_context": {"default_validation_context": names}},
            }
        }
    return made


@pytest.mark.parametrize(
    ("chains", "mode"),
    [
        ([chain("a", 8080)], "STRICT"),
        ([chain("a", 8080), chain("b", 8080)], "STRICT"),
        ([chain("a", 8080), chain("b", 8080, tls=False)], "PERMISSIVE"),
        ([chain("a", 8080, tls=False)], "DISABLE"),
        ([chain("a", 8080, required=False)], "DISABLE"),
        ([chain("a", 9090, tls=False), chain("all")], "STRICT"),
        ([chain("a", 8080, tls=False), chain("all")], "DISABLE"),
        ([chain("a", 9090)], "UNKNOWN"),
        ([], "UNKNOWN"),
    ],
)
def test_the_mode_that_a_listener_comes_to(chains: list[Any], mode: str) -> None:
    assert mode_of_port(chains, 8080) == mode


def test_the_inbound_listener_without_its_blackhole() -> None:
    def listener(name: str, *chains: Any) -> dict[str, Any]:
        return {"name": name, "active_state": {"listener": {"name": name, "filter_chains": list(chains)}}}

    found = inbound_chains(
        {
            "configs": [
                listener("other", chain("x")),
                listener("virtualInbound", chain("virtualInbound-blackhole"), chain("y")),
            ]
        }
    )
    assert [entry["name"] for entry in found] == ["y"]
    assert inbound_chains({}) == inbound_chains({"configs": [{"name": "virtualInbound"}]}) == []


def test_the_workload_certificate_among_others() -> None:
    other = {"cert_chain": [{"subject_alt_names": [{"dns": "x"}]}], "ca_cert": []}
    mine = {
        "cert_chain": [
            {
                "subject_alt_names": [{"uri": "spiffe://td/ns/a/sa/web"}],
                "serial_number": "1",
                "valid_from": "2026-01-01T00:00:00Z",
                "expiration_time": "2026-01-02T06:00:00Z",
            }
        ],
        "ca_cert": [{"serial_number": "b"}, {"serial_number": "a"}],
    }
    found = certificate({"certificates": [other, mine]}, NOW)
    assert found == Certificate("spiffe://td/ns/a/sa/web", "1", ("a", "b"), 6 * 3600.0, 30 * 3600.0)
    assert certificate({"certificates": [other]}, NOW) is None
    mine["cert_chain"][0]["expiration_time"] = "soon"
    broken = certificate({"certificates": [mine]}, NOW)
    assert broken is not None
    assert broken.seconds_left < 0


def asked(identity: str, left: float = 80_000.0, roots: tuple[str, ...] = ("r",), pod_name: str = "a/web-0") -> Asked:
    return Asked(pod_name, 0, {}, Certificate(identity, "1", roots, left, 86_400.0))


WEB = [Group("a", "web", kind=Proxy.SIDECAR, service_account="web")]
RIGHT = "spiffe://td/ns/a/sa/web"


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ([asked(RIGHT)], []),
        ([asked("spiffe://td/ns/a/sa/other")], [("error", "certificate_identity")]),
        ([asked("spiffe://elsewhere/ns/a/sa/web")], [("error", "certificate_identity")]),
        ([asked(RIGHT, 600.0)], [("error", "certificate_expiry")]),
        ([asked(RIGHT), asked(RIGHT, roots=("r", "s"), pod_name="a/web-1")], [("warning", "certificate_root")]),
        (
            [Asked("a/web-0", 0, {}, None, "pod a/web-0 cannot be asked", "create pods/portforward")],
            [("warning", "unproved")],
        ),
    ],
)
def test_findings_of_certificates(answers: list[Asked], expected: list[tuple[str, str]]) -> None:
    assert [(f.severity, f.code) for f in findings(answers, WEB, "td")] == expected


READY = {"type": "Ready", "status": "True"}


@pytest.mark.parametrize("native", [True, False])
@pytest.mark.parametrize(
    ("proxy", "app", "going", "up"),
    [
        (True, True, False, True),
        (True, False, False, True),  # what the app does says nothing of its proxy
        (False, False, False, False),  # it starts, and has no listener yet
        (True, True, True, False),  # it ends, and has none any more
        (None, True, False, False),  # nothing runs yet
    ],
)
def test_a_proxy_is_asked_while_it_is_ready_and_stays(
    native: bool, proxy: bool | None, app: bool, going: bool, up: bool
) -> None:
    entry = pod("a", "web", native=native)
    statuses = [] if proxy is None else [{"name": "istio-proxy", "ready": proxy}]
    kind, other = ("initContainerStatuses", "containerStatuses") if native else ("containerStatuses", "x")
    entry["status"] = {kind: statuses, other: [{"name": "app", "ready": app}], "podIP": "10.0.0.1"}
    if going:
        entry["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    found = {kind: [] for kind in reducers("cluster.local")} | {"Pod": [reduced(entry)]}
    snapshot = assembled(found, {}, MeshConfig(), {}, "cluster.local")
    assert set(snapshot.pods) == set(snapshot.addresses) == ({("a", "web-0")} if up else set())
    assert [group.count for group in snapshot.mesh.groups] == [1], "it is judged all the same"


@pytest.mark.parametrize(("conditions", "up"), [([READY], True), ([{**READY, "status": "False"}], False), ([], False)])
def test_a_pod_without_a_proxy_is_called_when_it_is_ready(conditions: list[dict[str, str]], up: bool) -> None:
    entry = pod("a", "web", sidecar=False)
    entry["status"] = {"conditions": conditions, "containerStatuses": [{"name": "app", "ready": True}]}
    assert reduced(entry).up is up


def test_a_sample_takes_one_of_each_first() -> None:
    groups = [Group("a", "x", kind=Proxy.SIDECAR), Group("a", "y", kind=Proxy.SIDECAR), Group("a", "z")]
    pods = {("a", f"{name}{number}"): index for index, name in enumerate("xyz") for number in range(3)}
    assert [name for _space, name, _group in sample(pods, groups, {0, 1, 2}, 2, 3)] == ["x0", "y0", "x1"]
    assert sample(pods, groups, {1}, 1, 9) == [("a", "y0", 1)]


@pytest.mark.parametrize(
    ("runs", "proof"),
    [
        ("STRICT", "claimed"),
        ("PERMISSIVE", "violated"),
        ("DISABLE", "violated"),
        ("UNKNOWN", "violated"),
        (None, "unproved"),
    ],
)
def test_a_listener_agrees_or_not(runs: str | None, proof: str) -> None:
    web = pod("a", "web")
    engine = Engine(mesh([web, service("a", "web", [web]), peer_authentication("a")]))
    answers = [Asked("a/web-0", 0, {8080: Mode(runs)} if runs else {})]
    assert {call.proof for call in with_listeners(engine, engine.calls(), answers)} == {proof}


def test_one_backend_that_was_not_asked_leaves_it_unproved() -> None:
    pods = [pod("a", "web"), pod("a", "more")]
    engine = Engine(mesh([*pods, service("a", "web", pods), peer_authentication("a")]))
    call = pick(with_listeners(engine, engine.calls(), [Asked("a/web-0", 0, {8080: Mode.STRICT})]), "a/web")
    assert call.proof == "unproved"


# --- curl


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (Answer(0, 200), "accepted"),
        (Answer(22, 403), "accepted"),
        (Answer(56, 0), "refused"),
        (Answer(52, 0), "refused"),
        (Answer(1, 0), "accepted"),
        (Answer(7, 0), "silent"),
        (Answer(28, 0), "silent"),
        (Answer(None, 0), "silent"),
    ],
)
def test_a_dead_port_is_no_refusal(found: Answer, expected: str) -> None:
    assert plain(found) == expected


def test_curls_words() -> None:
    assert answer(56, "000 Recv failure: Connection reset by peer") == Answer(
        56, 0, "Recv failure: Connection reset by peer"
    )
    assert answer(None, "") == Answer(None, 0, "")
    text = "403 Subject:\nIssuer:O = cluster.local\nX509v3 Subject Alternative Name:URI:spiffe://td/ns/a/sa/web\n"
    assert peer(answer(0, text)) == Peer("spiffe://td/ns/a/sa/web", "O = cluster.local")
    assert peer(answer(35, "000 ")) == Peer()


def test_counters_are_summed_over_subsets() -> None:
    text = (
        "cluster.outbound|80||web.a.svc.cluster.local;.ssl.handshake: 1\n"
        "cluster.outbound|80|v1|web.a.svc.cluster.local;.ssl.handshake: 2\n"
        "cluster.outbound|80|v1|web.a.svc.cluster.local.upstream_cx_total: 4\n"
        "cluster.outbound|81||web.a.svc.cluster.local;.ssl.handshake: 9\n"
        "cluster.outbound|80||webxa.svc.cluster.local;.ssl.handshake: 9\n"
    )
    assert counters(text, "web.a.svc.cluster.local", 80) == {"handshake": 3, "upstream_cx_total": 4}
    before, after = {"handshake": 1, "upstream_cx_total": 1}, {"handshake": 3, "upstream_cx_total": 4}
    assert meshed(Answer(0, 200), before, after) == Meshed(True, 200, 3, 2)
    assert not meshed(Answer(0, 503), {}, {}).ok


def call(client: str, verdict: str, sends: str = "mtls", proof: str = "unproved") -> Call:
    modes = (Mode.STRICT, Sent(sends), Verdict(verdict))
    return Call(client, "a/web", 80, 8080, *modes, "", proof=Proof(proof))


def seen(said: str = "refused", control: str = RIGHT, mesh_call: Meshed | None = None, port: int = 80) -> Seen:
    return Seen("a/web", port, "a/web-0", PlainCall(said), Peer(control), RIGHT, mesh_call)


MUTUAL, PLAIN, DEAD, NO_TLS = (
    Meshed(True, 200, 1, 1),
    Meshed(True, 200, 1, 0),
    Meshed(False, 503, 1, 0),
    Meshed(True, 404, 0, 0),
)


@pytest.mark.parametrize(
    ("judged", "probed", "proof"),
    [
        # a caller without a sidecar
        (call("plaintext", "broken", "plaintext"), [seen()], "proved"),
        (call("plaintext", "broken", "plaintext"), [seen(control="")], "unproved"),
        (call("plaintext", "broken", "plaintext"), [seen("silent")], "unproved"),
        (call("plaintext", "broken", "plaintext"), [seen("accepted")], "violated"),
        (call("plaintext", "broken", "plaintext"), [seen(control="spiffe://td/ns/b/sa/thief")], "violated"),
        (call("plaintext", "broken", "plaintext"), [seen(), seen("accepted")], "violated"),
        (call("plaintext", "plaintext_allowed", "plaintext"), [seen("accepted")], "proved"),
        (call("plaintext", "plaintext_allowed", "plaintext"), [seen("refused")], "unproved"),
        (call("plaintext", "broken", "plaintext"), [seen(port=81)], "unproved"),
        # a meshed one
        (call("*", "strict"), [seen(mesh_call=MUTUAL)], "proved"),
        (call("*", "strict"), [seen(mesh_call=PLAIN)], "violated"),
        (call("*", "strict"), [seen("accepted", mesh_call=MUTUAL)], "violated"),
        (call("*", "strict"), [seen(control="", mesh_call=MUTUAL)], "unproved"),
        (call("*", "strict"), [seen(mesh_call=NO_TLS)], "unproved"),
        (call("*", "strict"), [seen()], "unproved"),
        (call("*", "encrypted_not_enforced"), [seen("accepted", mesh_call=MUTUAL)], "proved"),
        (call("*", "plaintext", "plaintext"), [seen("accepted", mesh_call=PLAIN)], "proved"),
        (call("*", "plaintext", "plaintext"), [seen("accepted", mesh_call=MUTUAL)], "violated"),
        (call("*", "broken", "plaintext"), [seen(mesh_call=DEAD)], "proved"),
        (call("*", "broken", "plaintext"), [seen(mesh_call=PLAIN)], "violated"),
        # with several kinds of backends a call may have gone to another one
        (call("*", "broken", "plaintext"), [seen(mesh_call=PLAIN), seen(mesh_call=PLAIN)], "unproved"),
        (call("*", "strict"), [seen(mesh_call=MUTUAL), seen(mesh_call=MUTUAL)], "proved"),
        # what a listener refuted stays refuted
        (call("*", "strict", proof="violated"), [seen(mesh_call=MUTUAL)], "violated"),
    ],
)
def test_what_calls_prove(judged: Call, probed: list[Seen], proof: str) -> None:
    assert proved(judged, probed).proof == proof


def test_the_probe_ends_by_itself_and_needs_no_rights() -> None:
    made = job("p", "a", "image", "Never", 30, {"team": "x"})
    assert (
        made["spec"]["activeDeadlineSeconds"],
        made["spec"]["ttlSecondsAfterFinished"],
        made["spec"]["backoffLimit"],
    ) == (30, 0, 0)
    template = made["spec"]["template"]
    assert template["metadata"]["labels"]["team"] == "x"
    assert template["spec"]["automountServiceAccountToken"] is False
    (container,) = template["spec"]["containers"]
    assert container["command"] == ["sleep", "30"]
    assert container["securityContext"]["runAsNonRoot"]
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
