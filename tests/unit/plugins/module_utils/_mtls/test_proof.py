# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is read out of Envoy's and curl's answers, and what proof it makes."""

from __future__ import annotations

from dataclasses import replace
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
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.proof.evidence import Part, Seen, proved
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
    Counters,
    HostCounters,
    Meshed,
    Peer,
    PlainCall,
    answer,
    counters,
    hits,
    peer,
    plain,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.verdict import Call, Proof, Verdict

from tests.unit.plugins.module_utils._mtls.mtls_objects import mesh, obj, peer_authentication, pick, pod, service

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
    assert set(snapshot.pods) == ({("a", "web-0")} if up else set())
    assert snapshot.located["a", "web-0"].addresses == ("10.0.0.1",), "its address is known all the same"
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


ENTRY = obj("WorkloadEntry", "a", "vm", {"address": "10.9.9.9", "labels": {"app": "web"}})
OF_A_POD = obj("WorkloadEntry", "a", "vm", {"address": "10.0.0.7", "serviceAccount": "x", "labels": {"app": "web"}})


@pytest.mark.parametrize(
    ("more", "asked_too", "proof"),
    [
        ([], [], "claimed"),
        ([pod("a", "more")], [], "unproved"),
        ([pod("a", "more")], [1], "claimed"),
        ([pod("a", "more", sidecar=False)], [], "unproved"),
        ([ENTRY], [], "unproved"),
        ([OF_A_POD, pod("b", "far", ip="10.0.0.7")], [], "unproved"),
        ([OF_A_POD, pod("b", "far", ip="10.0.0.7"), peer_authentication("b")], [1], "claimed"),
    ],
)
def test_one_kind_of_endpoint_that_was_not_asked_is_not_claimed(
    more: list[Any], asked_too: list[int], proof: str
) -> None:
    pods = [
        pod("a", "web"),
        *(entry for entry in more if entry["kind"] == "Pod" and entry["metadata"]["namespace"] == "a"),
    ]
    others = [entry for entry in more if entry not in pods]
    web = service("a", "web", pods, selector={"app": "web"})
    engine = Engine(mesh([*pods, *others, web, peer_authentication("a")]))
    answers = [Asked(f"pod {index}", index, {8080: Mode.STRICT}) for index in (0, *asked_too)]
    assert pick(with_listeners(engine, engine.calls(), answers), "a/web").proof == proof


def test_nothing_can_agree_with_an_unknown_verdict() -> None:
    web = pod("a", "web")
    engine = Engine(
        mesh([web, service("a", "web", [web]), peer_authentication("a")], missing={"DestinationRule": "no right"})
    )
    call = pick(with_listeners(engine, engine.calls(), [Asked("a/web-0", 0, {8080: Mode.STRICT})]), "a/web")
    assert (call.verdict, call.proof) == ("unknown", "unproved")


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


WEB_HOST = "web.a.svc.cluster.local"


def status(cluster: str, *hosts: tuple[dict[str, Any], dict[str, str]]) -> dict[str, Any]:
    """A cluster as Envoy 1.38 prints it: a counter that is zero has no value."""
    made = [
        {
            "address": where,
            "stats": [{"name": name, **({"value": value} if value else {})} for name, value in stats.items()],
        }
        for where, stats in hosts
    ]
    return {"name": cluster, "host_statuses": made}


def socket(address: str, port: int) -> dict[str, Any]:
    return {"socket_address": {"address": address, "port_value": port}}


def test_envoys_counters_by_endpoint_and_subset() -> None:
    stats = (
        f"cluster.outbound|80||{WEB_HOST};.ssl.handshake: 1\n"
        f"cluster.outbound|80|v1|{WEB_HOST};.ssl.handshake: 2\n"
        f"cluster.outbound|80|v1|{WEB_HOST}.ssl.handshake: 4\n"
        f"cluster.outbound|81||{WEB_HOST};.ssl.handshake: 9\n"
        "cluster.outbound|80||webxa.svc.cluster.local;.ssl.handshake: 9\n"
    )
    used = {
        "cx_total": "2",
        "cx_connect_fail": "1",
        "rq_total": "3",
        "rq_success": "2",
        "rq_error": "1",
        "cx_active": "7",
    }
    tunnel = {"envoy_internal_address": {"server_listener_name": "connect_originate", "endpoint_id": "10.0.0.3:8080"}}
    found = {
        "cluster_statuses": [
            status(f"outbound|80||{WEB_HOST}", (socket("10.0.0.1", 8080), used), (tunnel, {"cx_total": ""})),
            status(f"outbound|80|v1|{WEB_HOST}", (socket("10.0.0.1", 8080), {}), (socket("10.0.0.1", 8080), used)),
            status(f"outbound|81||{WEB_HOST}", (socket("10.0.0.2", 8080), used)),
            status("outbound|80||webxa.svc.cluster.local", (socket("10.0.0.2", 8080), used)),
            status(f"outbound|80||{WEB_HOST}.example", (socket("10.0.0.2", 8080), used)),
            {"name": f"outbound|80|v2|{WEB_HOST}"},
        ]
    }
    told = counters(stats, found, WEB_HOST, 80)
    counted = HostCounters(2, 1, 3, 2, 1)
    assert told.handshakes == {"": 1, "v1": 6}
    assert told.hosts == {
        ("", "10.0.0.1", 8080): counted,
        ("", "10.0.0.3", 8080): HostCounters(),
        ("v1", "10.0.0.1", 8080): counted,
    }
    assert counters("", {}, WEB_HOST, 80) == Counters()


A, B, SUB = ("", "10.0.0.1", 8080), ("", "10.0.0.2", 8080), ("v1", "10.0.0.1", 8080)
OPENED, REUSED, CLOSED = HostCounters(1, 0, 1, 1), HostCounters(0, 0, 1, 1), HostCounters(1, 0, 1, 0, 1)
NO_HANDSHAKE, WAITING = HostCounters(1, 1, 0, 0, 1), HostCounters(1, 0, 0, 0)


@pytest.mark.parametrize(
    ("status_code", "made", "shaken", "expected"),
    [
        (200, {A: OPENED}, {"": 1}, {A: Meshed(True, 200, True)}),
        (200, {A: OPENED, B: HostCounters()}, {}, {A: Meshed(True, 200, False)}),
        (200, {A: REUSED}, {}, {A: Meshed(True, 200, None, reused=True)}),
        (503, {A: CLOSED}, {}, {A: Meshed(False, 503, False)}),
        (503, {A: NO_HANDSHAKE}, {}, {A: Meshed(False, 503, None, failed=True)}),
        (0, {A: WAITING}, {}, {A: Meshed(False, 0, None)}),  # a handshake that has not ended is no plain text
        (0, {A: HostCounters(1, 0, 1)}, {}, {A: Meshed(False, 0, False)}),  # TCP: nothing is counted as answered
        # Envoy tried again at another endpoint
        (
            200,
            {A: NO_HANDSHAKE, B: OPENED},
            {"": 1},
            {A: Meshed(False, 200, None, failed=True), B: Meshed(True, 200, True)},
        ),
        (
            200,
            {A: NO_HANDSHAKE, B: OPENED},
            {},
            {A: Meshed(False, 200, None, failed=True), B: Meshed(True, 200, False)},
        ),
        (
            200,
            {A: CLOSED, B: OPENED},
            {"": 1},
            {A: Meshed(False, 200, None), B: Meshed(True, 200, None)},
        ),  # whose was it?
        (200, {B: OPENED, SUB: OPENED}, {"v1": 1}, {B: Meshed(True, 200, False), SUB: Meshed(True, 200, True)}),
        (200, {A: HostCounters(-1, 0, -3)}, {}, {}),  # Envoy got the endpoint a second time and counts from zero
        (200, {}, {}, {}),
    ],
)
def test_where_a_call_went_and_what_it_was(status_code: int, made: Any, shaken: Any, expected: Any) -> None:
    base = HostCounters(5, 5, 5, 5, 5)
    before = Counters(dict.fromkeys(made, base), {"": 3})
    after = Counters(
        {
            host: HostCounters(*(getattr(base, n) + getattr(seen, n) for n in HostCounters.__slots__))
            for host, seen in made.items()
        },
        {"": 3 + shaken.get("", 0), **{name: amount for name, amount in shaken.items() if name}},
    )
    assert dict(hits(Answer(0, status_code), before, after)) == expected


def call(client: str, verdict: str, sends: str = "mtls", proof: str = "unproved") -> Call:
    modes = (Mode.STRICT, Sent(sends), Verdict(verdict))
    return Call(client, "a/web", 80, 8080, *modes, "", proof=Proof(proof))


def part(verdict: str, sends: str = "mtls", index: int = 0, own: str = "", why: str = "") -> Part:
    return Part((index, 4), f"kind {index}", Verdict(verdict), Sent(sends), own, why)


def seen(
    said: str = "refused", control: str = RIGHT, *calls: Meshed, index: int = 0, own: str = "", note: str = ""
) -> Seen:
    where = ("a/web", 80, (index, 4), f"kind {index}", f"a/web-{index}", "10.0.0.1")
    return Seen(*where, PlainCall(said), Peer(control), RIGHT, {own: calls} if calls else {}, note)


MUTUAL, PLAIN, RESET = Meshed(True, 200, True), Meshed(True, 200, False), Meshed(False, 503, False)
REFUSED_TLS, UNCOUNTED = Meshed(False, 503, None, failed=True), Meshed(True, 404, None)
PLAINTEXT_STRICT = ("plaintext", "broken", "plaintext")


@pytest.mark.parametrize(
    ("client", "verdict", "sends", "row", "proof"),
    [
        # a caller without a sidecar
        (*PLAINTEXT_STRICT, seen(), "proved"),
        (*PLAINTEXT_STRICT, seen(control=""), "unproved"),
        (*PLAINTEXT_STRICT, seen("silent"), "unproved"),
        (*PLAINTEXT_STRICT, seen("accepted"), "violated"),
        (*PLAINTEXT_STRICT, seen(control="spiffe://td/ns/b/sa/thief"), "violated"),
        (*PLAINTEXT_STRICT, seen("accepted", note="the pod did not stay"), "unproved"),
        ("plaintext", "plaintext_allowed", "plaintext", seen("accepted"), "proved"),
        ("plaintext", "plaintext_allowed", "plaintext", seen("refused"), "unproved"),
        ("plaintext", "plaintext_allowed", "plaintext", seen("silent"), "unproved"),
        ("plaintext", "unknown", "plaintext", seen("accepted"), "unproved"),
        # a meshed one
        ("*", "strict", "mtls", seen("refused", RIGHT, MUTUAL), "proved"),
        ("*", "strict", "mtls", seen("refused", RIGHT, UNCOUNTED, MUTUAL), "proved"),
        ("*", "strict", "mtls", seen("refused", RIGHT, MUTUAL, PLAIN), "violated"),
        ("*", "strict", "mtls", seen("refused", RIGHT, PLAIN), "violated"),
        ("*", "strict", "mtls", seen("accepted", RIGHT, MUTUAL), "violated"),
        ("*", "strict", "mtls", seen("refused", "", MUTUAL), "unproved"),
        ("*", "strict", "mtls", seen("refused", RIGHT, UNCOUNTED), "unproved"),
        ("*", "strict", "mtls", seen("refused", RIGHT), "unproved"),
        ("*", "encrypted_not_enforced", "mtls", seen("accepted", "", MUTUAL), "proved"),
        ("*", "plaintext", "plaintext", seen("accepted", "", PLAIN), "proved"),
        ("*", "plaintext", "plaintext", seen("accepted", "", RESET), "unproved"),
        ("*", "plaintext", "plaintext", seen("accepted", "", MUTUAL), "violated"),
        ("*", "unknown", "UNKNOWN", seen("accepted", RIGHT, MUTUAL), "unproved"),
        ("*", "not_enforced", "tls", seen("accepted", RIGHT, MUTUAL), "unproved"),
        # what is broken fails for the computed reason, or it is not proved
        ("*", "broken", "plaintext", seen("refused", RIGHT, RESET), "proved"),
        ("*", "broken", "plaintext", seen("refused", "", RESET), "unproved"),
        ("*", "broken", "plaintext", seen("accepted", RIGHT, RESET), "violated"),
        ("*", "broken", "plaintext", seen("refused", RIGHT, PLAIN), "violated"),
        ("*", "broken", "plaintext", seen("refused", RIGHT, Meshed(False, 503, True)), "violated"),
        ("*", "broken", "plaintext", seen("refused", RIGHT, Meshed(False, 503, None)), "unproved"),
        ("*", "broken", "mtls", seen("accepted", "", REFUSED_TLS), "proved"),
        ("*", "broken", "mtls", seen("accepted", "", RESET), "unproved"),  # an application that closes
        ("*", "broken", "mtls", seen("accepted", "", Meshed(False, 503, True)), "violated"),
        ("*", "broken", "tls", seen("refused", RIGHT, REFUSED_TLS), "proved"),
        ("*", "broken", "tls", seen("refused", RIGHT, Meshed(False, 0, None)), "unproved"),
        ("*", "broken", "blocked", seen("refused", RIGHT, RESET), "unproved"),
    ],
)
def test_what_calls_to_one_kind_of_endpoint_prove(client: str, verdict: str, sends: str, row: Seen, proof: str) -> None:
    found = proved(call(client, verdict, sends), [part(verdict, sends)], [row])
    assert found.proof == proof
    assert found.evidence


TWO = [part("strict"), part("strict", index=1)]
MIXED = [part("strict"), part("plaintext", "plaintext", 1)]
GOOD, BARE = seen("refused", RIGHT, MUTUAL), seen("accepted", "", PLAIN, index=1)


@pytest.mark.parametrize(
    ("parts", "rows", "foreign", "proof", "words"),
    [
        (TWO, [GOOD, seen("refused", RIGHT, MUTUAL, index=1)], [], "proved", "likewise at kind 1"),
        (TWO, [GOOD], [], "unproved", "ended as computed at kind 0; not proved at kind 1: no call was made"),
        (
            TWO,
            [GOOD, seen("refused", RIGHT, index=1)],
            [],
            "unproved",
            "not proved at kind 1: no call through the sidecar",
        ),
        ([part("strict"), part("strict", index=1, why="max_calls")], [GOOD], [], "unproved", "kind 1: max_calls"),
        (TWO, [GOOD, seen("accepted", RIGHT, MUTUAL, index=1)], [], "violated", "plain text to a/web-1 was answered"),
        (MIXED, [GOOD, BARE], [], "proved", "likewise at kind 1"),
        (MIXED, [GOOD], [], "unproved", "kind 1"),
        (MIXED, [BARE], [], "unproved", "kind 0"),
        (MIXED, [seen("accepted", RIGHT, MUTUAL), BARE], [], "violated", "plain text to a/web-0 was answered"),
        (TWO, [GOOD, seen("refused", RIGHT, MUTUAL, index=1)], ["10.9.9.9:80"], "unproved", "10.9.9.9:80"),
        # a subset that is set up apart needs a call of its own
        ([part("strict"), part("strict", own="v1")], [GOOD], [], "unproved", "kind 0 in subset v1"),
        ([part("strict", own="v1")], [seen("refused", RIGHT, MUTUAL, own="v1")], [], "proved", "mutual TLS"),
        ([], [GOOD], [], "unproved", ""),
    ],
)
def test_each_kind_of_endpoint_needs_a_call(
    parts: list[Part], rows: list[Seen], foreign: list[str], proof: str, words: str
) -> None:
    found = proved(call("*", "strict"), parts, rows, foreign)
    assert (found.proof, words in found.evidence) == (proof, True), found.evidence


def test_what_listeners_say_stays_beside_what_calls_do_not_prove() -> None:
    claimed = replace(call("*", "strict"), proof=Proof.CLAIMED, evidence="listener: Envoy runs STRICT")
    found = proved(claimed, TWO, [GOOD])
    assert found.proof == "claimed"
    assert found.evidence.startswith("listener: Envoy runs STRICT; calls: ended as computed at kind 0; ")
    refuted = replace(claimed, proof=Proof.VIOLATED)
    assert proved(refuted, TWO[:1], [GOOD]) == proved(refuted, TWO, [GOOD]) == refuted


def test_the_row_of_a_kind_has_the_worst_of_its_calls() -> None:
    assert seen("refused", RIGHT, MUTUAL, UNCOUNTED).as_dict()["meshed"] == {
        "ok": True,
        "status": 404,
        "mtls": True,
        "calls": 2,
    }
    assert seen("refused", RIGHT, MUTUAL, PLAIN).as_dict()["meshed"]["mtls"] is False
    assert seen("refused", RIGHT, UNCOUNTED).as_dict()["meshed"]["mtls"] is None
    assert seen().as_dict()["meshed"] is None


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
