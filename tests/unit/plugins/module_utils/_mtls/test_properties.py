# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Properties of the mTLS engine on random meshes."""

from __future__ import annotations

import random
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.verdict import Call
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.unit.plugins.module_utils._mtls.mtls_objects import (
    ROOT,
    calls,
    destination_rule,
    obj,
    peer_authentication,
    pick,
    pod,
    port_tls,
    service,
    tls,
)
from tests.unit.plugins.module_utils._mtls.mtls_oracle import OUTCOME, Oracle, worst

SPACES = [ROOT, "a", "b"]
MODES = st.sampled_from([None, "UNSET", "STRICT", "PERMISSIVE", "DISABLE"])
PORTS = {80: 8080, 81: 9090}
LABELS = st.fixed_dictionaries({}, optional={"v": st.sampled_from(["1", "2"]), "app": st.sampled_from(["w0", "w1"])})
TLS_MODES = st.sampled_from([None, "DISABLE", "ISTIO_MUTUAL", "SIMPLE"])
HOSTS = st.sampled_from(["s0", "s1", "s1.b.svc.cluster.local", "*.a.svc.cluster.local", "*.local", "*"])
EXPORTS = st.sampled_from([None, None, None, ["*"], ["*"], ["."], ["a"], ["b"], ["a", "b"], [".", "b"], ["~"]])


@st.composite
def pods(draw: st.DrawFn) -> list[Any]:
    made = []
    for number in range(draw(st.sampled_from([2, 3, 4, 5]))):
        labels = draw(LABELS)
        if draw(st.integers(0, 5)) == 0:
            labels["security.istio.io/tlsMode"] = draw(st.sampled_from(["istio", "disabled"]))
        notes = {"traffic.sidecar.istio.io/excludeInboundPorts": "8080"} if draw(st.integers(0, 5)) == 0 else {}
        made.append(
            pod(
                draw(st.sampled_from(SPACES)),
                f"w{number}",
                labels=labels,
                sidecar=draw(st.integers(0, 3)) > 0,
                annotations=notes,
            )
        )
    return made


@st.composite
def policies(draw: st.DrawFn) -> list[Any]:
    return [
        peer_authentication(
            draw(st.sampled_from(SPACES)),
            f"p{number}",
            draw(MODES),
            selector=draw(st.one_of(st.none(), LABELS)),
            ports=draw(st.dictionaries(st.sampled_from([80, 8080, 9090]), MODES.filter(bool), max_size=2)),
            age=draw(st.integers(1, 3)),
        )
        for number in range(draw(st.integers(0, 5)))
    ]


def port_blocks(draw: st.DrawFn) -> list[Any]:
    chosen = draw(st.sets(st.sampled_from([80, 80, 81, 8080]), max_size=2))
    return [port_tls(port, draw(st.one_of(st.none(), TLS_MODES))) for port in sorted(chosen)]


@st.composite
def destination_rules(draw: st.DrawFn) -> list[Any]:
    made = []
    for number in range(draw(st.sampled_from([0, 1, 2, 3, 4, 5, 6]))):
        subsets = []
        for name in sorted(draw(st.sets(st.sampled_from(["v1", "v2"]), max_size=2))):
            subset = {"name": name, "labels": draw(LABELS)}
            if draw(st.booleans()):
                subset["trafficPolicy"] = tls(draw(TLS_MODES), portLevelSettings=port_blocks(draw))
            subsets.append(subset)
        made.append(
            destination_rule(
                draw(st.sampled_from(SPACES)),
                draw(HOSTS),
                draw(TLS_MODES),
                name=f"r{number}",
                export_to=draw(EXPORTS),
                selector=draw(st.one_of(st.none(), st.none(), LABELS)),
                ports=port_blocks(draw),
                subsets=subsets,
                policy=draw(st.integers(0, 2)) > 0,
                age=draw(st.integers(1, 3)),
            )
        )
    return made


@st.composite
def meshes(draw: st.DrawFn) -> list[Any]:
    """Objects of a small mesh: pods, two services, policies and DestinationRules."""
    workloads = draw(pods())
    made = [*workloads, *draw(policies()), *draw(destination_rules())]
    for name, namespace in (("s0", "a"), ("s1", "b")):
        behind = [entry for entry in workloads if draw(st.booleans())] or workloads[:1]
        made += service(namespace, name, behind, PORTS, headless=draw(st.integers(0, 3)) == 0)
    return made


def agree(objects: list[Any], auto: bool) -> int:
    """Compares engine and oracle for each client, service and port; returns how many were compared."""
    found = calls(objects, {"enableAutoMtls": auto})
    oracle = Oracle(objects, ROOT, auto)
    compared = 0
    for client in [entry for entry in oracle.pods if oracle.has_proxy(entry)]:
        name = f"{client['metadata']['namespace']}/{client['metadata']['ownerReferences'][0]['name']}"
        for target in oracle.services:
            key = f"{target['metadata']['namespace']}/{target['metadata']['name']}"
            for port in PORTS:
                pairs = oracle.calls(client, target, port)
                call = pick(found, key, name, port)
                assert call.verdict == worst(pairs), (name, call, pairs)
                assert (call.client_mode, call.server_mode) in [p for p in pairs if OUTCOME[p] == call.verdict], (
                    call,
                    pairs,
                )
                compared += 1
    for target in oracle.services:
        key = f"{target['metadata']['namespace']}/{target['metadata']['name']}"
        for port in PORTS:
            accepted = {
                accepts for _sent, accepts in oracle.calls({"metadata": {"namespace": "", "labels": {}}}, target, port)
            }
            refused = accepted == {"STRICT"}
            assert (pick(found, key, "plaintext", port).verdict == "broken") == refused
    return compared


@settings(max_examples=300, deadline=None)  # tests/judge asks Istio itself, on meshes with more in them
@given(objects=meshes(), auto=st.integers(0, 4).map(bool))
def test_the_engine_equals_the_oracle(objects: list[Any], auto: bool) -> None:
    agree(objects, auto)


def test_the_oracle_is_asked_at_all() -> None:
    web = pod("a", "w0")
    assert agree([web, *service("a", "s0", [web], PORTS), *service("b", "s1", [web], PORTS)], True) == 4


def rows(found: list[Call]) -> list[dict[str, Any]]:
    return [call.as_dict() for call in found]


TWO = [pod("a", "w0"), pod("a", "w1")]


@settings(max_examples=150, deadline=None)
@given(objects=meshes(), seed=st.integers(0, 2**32))
@example(
    objects=[*TWO, *service("a", "s0", TWO, PORTS), *service("b", "s1", TWO, PORTS)],
    seed=1,
)
def test_the_order_of_what_is_read_changes_nothing(objects: list[Any], seed: int) -> None:
    shuffled = list(objects)
    random.Random(seed).shuffle(shuffled)  # noqa: S311  # order, no secret
    for entry in shuffled:
        if entry["kind"] == "EndpointSlice":
            random.Random(seed).shuffle(entry["endpoints"])  # noqa: S311
    assert rows(calls(shuffled)) == rows(calls(objects))


@settings(max_examples=150, deadline=None)
@given(objects=meshes(), policy=policies(), rule=destination_rules())
def test_what_does_not_concern_a_mesh_changes_nothing(objects: list[Any], policy: list[Any], rule: list[Any]) -> None:
    """Policies of a namespace without pods, or for labels that no pod has; DestinationRules for hosts that do not exist."""
    unrelated: list[Any] = []
    for entry in policy:
        elsewhere = {
            **entry,
            "metadata": {**entry["metadata"], "namespace": "elsewhere", "name": entry["metadata"]["name"] + "-u"},
        }
        no_pod = {**entry["spec"], "selector": {"matchLabels": {"unused": "label"}}}
        unrelated += [
            elsewhere,
            {**entry, "metadata": {**entry["metadata"], "name": entry["metadata"]["name"] + "-v"}, "spec": no_pod},
        ]
    for entry in rule:
        unrelated.append(
            {
                **entry,
                "metadata": {**entry["metadata"], "name": entry["metadata"]["name"] + "-u"},
                "spec": {**entry["spec"], "host": "not-there.example.com"},
            }
        )
    assert rows(calls([*objects, *unrelated])) == rows(calls(objects))


@settings(max_examples=100, deadline=None)
@given(objects=meshes())
def test_a_strict_verdict_needs_a_strict_server_and_a_mutual_client(objects: list[Any]) -> None:
    for call in calls(objects):
        if call.verdict == "strict":
            assert (call.server_mode, call.client_mode) == ("STRICT", "mtls")
        if call.client == "plaintext" and call.verdict == "broken":
            assert call.server_mode == "STRICT"


@settings(max_examples=100, deadline=None)
@given(objects=meshes(), kind=st.sampled_from(["PeerAuthentication", "DestinationRule"]))
def test_what_could_not_be_read_never_makes_a_verdict_strict(objects: list[Any], kind: str) -> None:
    rest = [entry for entry in objects if entry["kind"] != kind]
    assert "strict" not in {call.verdict for call in calls(rest, missing={kind: "no permission"})}


def test_sidecar_objects_do_not_disturb_the_verdicts_of_others() -> None:
    web = pod("a", "w0")
    objects = [web, pod("b", "w1"), *service("a", "s0", [web], PORTS), peer_authentication("a")]
    scope = obj("Sidecar", "b", "default", {"egress": [{"hosts": ["*/*"]}]})
    assert rows(calls([*objects, scope])) == rows(calls(objects))
