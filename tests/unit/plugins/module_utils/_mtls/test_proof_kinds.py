# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which kinds of endpoints a proof has to reach, how calls reach them, and whose calls a probe proves."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import KubeError
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.assemble import Located, Snapshot
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.compliance import Level, Wanted
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.engine import Cell, Engine
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.model import Mode, Sent, Service
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.proof.kinds import Atlas, Kinds, Spot, caller
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.proof.reach import Heard, Reach
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.proof.run import same_pod, with_calls
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.proof.wire import (
    Answer,
    Counters,
    Host,
    HostCounters,
    Peer,
    PlainCall,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.result import Judged
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.verdict import Call, Verdict
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.plugins.module_utils._mtls.mtls_objects import (
    destination_rule,
    obj,
    peer_authentication,
    pick,
    pod,
    service,
    snapshot,
)

HOST = "web.a.svc.cluster.local"
IDENTITY = "spiffe://cluster.local/ns/a/sa/default"


def ready(namespace: str, workload: str, *ips: str, up: bool = True, **more: Any) -> dict[str, Any]:
    made = pod(namespace, workload, **more)
    made["metadata"]["uid"] = f"uid of {made['metadata']['name']}"
    conditions = [{"type": "Ready", "status": "True"}] if up else []
    made["status"] = {"podIPs": [{"ip": ip} for ip in ips], "conditions": conditions}
    return made


def entry(name: str, address: str, **spec: Any) -> dict[str, Any]:
    return obj("WorkloadEntry", "a", name, {"address": address, "labels": {"app": "web"}, **spec})


def addresses(*found: str) -> dict[str, Any]:
    """A slice with addresses without pods behind Service web."""
    made = obj("EndpointSlice", "a", "web-2", labels={"kubernetes.io/service-name": "web"})
    return {**made, "ports": [{"name": "p80", "port": 8080}], "endpoints": [{"addresses": list(found)}]}


def behind(*pods: dict[str, Any], **more: Any) -> list[dict[str, Any]]:
    return service("a", "web", list(pods), **{"selector": {"app": "web"}, **more})


WEB, MORE = ready("a", "web", "10.0.0.1"), ready("a", "more", "10.0.0.2")
BARE = ready("a", "bare", "10.0.0.3", sidecar=False)
DUAL = ready("a", "web", "10.0.0.1", "fd00::1")
BOTH = {"clusterIPs": ["10.96.0.1", "fd00:96::1"]}
PROBE = ready("p", "mtls-probe", "10.0.9.9")


def port_of(read: Snapshot, key: str = "a/web") -> tuple[Engine, Kinds]:
    engine = Engine(read.mesh)
    found: Service = next(entry for entry in read.mesh.services if entry.key == key)
    return engine, Atlas(engine, read).kinds(found, found.ports[0])


@pytest.mark.parametrize(
    ("objects", "expected"),
    [
        ([WEB, behind(WEB)], [("10.0.0.1", IDENTITY, "")]),
        ([WEB, MORE, behind(WEB, MORE)], [("10.0.0.1", IDENTITY, ""), ("10.0.0.2", IDENTITY, "")]),
        ([WEB, BARE, behind(WEB, BARE)], [("10.0.0.1", IDENTITY, ""), ("10.0.0.3", "", "")]),
        # one of the pods of a group, and one that is ready
        (
            [ready("a", "web", "10.0.0.8", up=False), ready("a", "web", "10.0.0.9", suffix="1"), behind(WEB)],
            [("10.0.0.9", IDENTITY, "")],
        ),
        ([ready("a", "web", "10.0.0.8", up=False), behind(WEB)], [("", "", "no pod of it is ready")]),
        ([ready("a", "web"), behind(WEB)], [("", "", "it has no address")]),
        # addresses without a pod, each of them
        ([WEB, behind(WEB), entry("vm", "10.9.0.1")], [("10.0.0.1", IDENTITY, ""), ("10.9.0.1", "", "")]),
        ([behind(), entry("vm", "10.9.0.1"), entry("vm2", "10.9.0.2")], [("10.9.0.1", "", ""), ("10.9.0.2", "", "")]),
        ([behind(), entry("vm", "vm.example.com")], [("", "", "vm.example.com is no IP address")]),
        ([behind(), addresses("10.9.0.1", "10.9.0.2")], [("10.9.0.1", "", ""), ("10.9.0.2", "", "")]),
        # an entry with the address of a pod: the pod answers
        ([WEB, behind(), entry("vm", "10.0.0.1")], [("10.0.0.1", IDENTITY, "")]),
        # each family that the service has
        ([DUAL, behind(DUAL)], [("10.0.0.1", IDENTITY, "")]),
        ([DUAL, behind(DUAL, **BOTH)], [("10.0.0.1", IDENTITY, ""), ("fd00::1", IDENTITY, "")]),
        ([DUAL, behind(DUAL, headless=True)], [("10.0.0.1", IDENTITY, ""), ("fd00::1", IDENTITY, "")]),
        ([WEB, behind(WEB, **BOTH)], [("10.0.0.1", IDENTITY, "")]),
        # proxies that are not called
        (
            [ready("a", "web", "10.0.0.1", role="router"), behind(WEB)],
            [("", "", "pods with proxy gateway are not called")],
        ),
        (
            [
                ready("a", "web", "10.0.0.1", sidecar=False, annotations={"ambient.istio.io/redirection": "enabled"}),
                behind(WEB),
            ],
            [("", "", "pods with proxy ambient are not called")],
        ),
    ],
)
def test_the_kinds_of_endpoints_of_a_service_port(objects: list[Any], expected: list[tuple[str, str, str]]) -> None:
    _engine, kinds = port_of(snapshot(objects))
    assert [(spot.address, spot.identity, spot.why) for spot in kinds.spots] == expected
    assert len({spot.name for spot in kinds.spots}) == len(kinds.spots), "evidence can tell them apart"


def test_an_address_of_two_endpoints_is_neither() -> None:
    _engine, kinds = port_of(snapshot([WEB, behind(WEB), entry("vm", "10.0.0.1")]))
    assert kinds.where["10.0.0.1", 8080].point is None


@pytest.mark.parametrize(
    ("subset", "owns"),
    [
        ({"name": "v1", "labels": {"app": "web"}}, {""}),
        ({"name": "v1", "labels": {"app": "web"}, "trafficPolicy": {}}, {"", "v1"}),
        ({"name": "v1", "labels": {"app": "web"}, "trafficPolicy": {"tls": {"mode": "DISABLE"}}}, {"", "v1"}),
        ({"name": "v1", "labels": {"app": "other"}, "trafficPolicy": {}}, {""}),
    ],
)
def test_a_subset_is_a_kind_of_its_own_if_it_is_set_up_apart(subset: dict[str, Any], owns: set[str]) -> None:
    engine, kinds = port_of(snapshot([WEB, behind(WEB), destination_rule("a", HOST, subsets=[subset])]))
    assert {part.own for part in kinds.parts(engine.cells.of(engine.anybody, kinds.service, kinds.port))} == owns


# --- calls


@dataclass
class Truth:
    """What an endpoint really does. `sent` is whether the sidecar's connection to it is mutual TLS, and `works` whether it answers that."""

    plain: PlainCall = PlainCall.REFUSED
    identity: str = IDENTITY
    sent: bool = True
    works: bool = True


@dataclass
class Envoy:
    """A sidecar in place of Envoy, and the endpoints that it and the caller reach. `choose` is its load balancer.

    A real Envoy cannot be made to choose what a test wants, nor endpoints to change in the middle.
    """

    truth: dict[tuple[str, int], Truth]
    choose: Callable[[list[Host]], Host]
    listed: list[Host] = field(default_factory=list)
    fails: bool = False
    counted: dict[Host, HostCounters] = field(default_factory=dict)
    shaken: dict[str, int] = field(default_factory=dict)
    straight: list[tuple[str, int]] = field(default_factory=list)
    through: list[Host] = field(default_factory=list)
    ways: list[tuple[int, str]] = field(default_factory=list)

    def plain(self, spot: Spot) -> PlainCall:
        self.straight.append((spot.address, spot.port))
        return self.truth[spot.address, spot.port].plain

    def control(self, spot: Spot) -> Peer:
        return Peer(self.truth[spot.address, spot.port].identity)

    def meshed(self, _host: str, _number: int, _path: str, only: int, address: str) -> Answer:
        self.ways.append((only, address))
        if self.fails:
            raise KubeError("the probe pod is gone")
        hosts = [entry for entry in self.listed if not address or entry[1] == address]
        if not hosts:
            return Answer(0, 503)
        went = self.choose(hosts)
        self.through.append(went)
        real = self.truth[went[1], went[2]]
        old = self.counted.get(went, HostCounters())
        kept = old.answered > 0 and real.works  # it keeps a connection that works
        new = HostCounters(int(not kept), 0, 1, int(real.works), int(not real.works))
        if real.sent and not real.works:  # the handshake fails
            new = HostCounters(1, 1, 0, 0, 1)
        elif real.sent and not kept:
            self.shaken[went[0]] = self.shaken.get(went[0], 0) + 1
        names = HostCounters.__slots__
        self.counted[went] = HostCounters(*(getattr(old, name) + getattr(new, name) for name in names))
        return Answer(0, 200 if real.works else 503)

    def counters(self, _host: str, _number: int) -> Counters:
        hosts = {entry: self.counted.get(entry, HostCounters()) for entry in self.listed}
        return Counters(hosts, dict(self.shaken))


def in_turn() -> Callable[[list[Host]], Host]:
    turn = itertools.count()
    return lambda hosts: hosts[next(turn) % len(hosts)]


def truth_of(engine: Engine, kinds: Kinds) -> dict[tuple[str, int], Truth]:
    """Endpoints that do what is computed."""
    found = {}
    for cell in engine.cells.of(engine.anybody, kinds.service, kinds.port):
        strict = cell.accepts.mode is Mode.STRICT
        for where, place in kinds.where.items():
            if place.point is not None and kinds.port.endpoints[place.point] is cell.endpoint:
                plain = PlainCall.REFUSED if strict else PlainCall.ACCEPTED
                works = cell.verdict is not Verdict.BROKEN
                found[where] = Truth(plain, IDENTITY if strict else "", cell.sends.mode is Sent.MTLS, works)
    return found


def called(
    read: Snapshot, envoy: Callable[[Envoy], None] = lambda _: None, most: int = 150
) -> tuple[Engine, Kinds, Envoy, Heard]:
    """Calls to port 80 of a/web, whose endpoints do what is computed unless `envoy` changes something."""
    engine, kinds = port_of(read)
    made = Envoy(truth_of(engine, kinds), in_turn())
    made.listed = [("", *where) for where in kinds.where]
    envoy(made)
    reach = Reach(made, most, lambda: None, {})
    cells = engine.cells.of(caller(engine, PROBE), kinds.service, kinds.port)
    (heard,) = reach.all([(kinds, cells)])
    assert reach.made == 2 * len(made.straight) + len(made.ways) <= most
    return engine, kinds, made, heard


def judged_of(read: Snapshot, engine: Engine, **want: Level) -> Judged:
    calls = engine.calls()
    return Judged(read, engine, calls, calls, Wanted(want, []), (), [], {})


def proofs(read: Snapshot, engine: Engine, heard: Heard, probe: dict[str, Any] = PROBE) -> list[Call]:
    judged = judged_of(read, engine)
    return with_calls(judged, judged.calls, [heard], probe)[0]


STRICT = peer_authentication("a")
ALL = [WEB, MORE, BARE, behind(WEB, MORE, BARE), entry("vm", "10.9.0.1"), STRICT]


def only(*taken: str) -> Callable[[Envoy], None]:
    """A load balancer that takes some addresses only."""

    def change(envoy: Envoy) -> None:
        turn = in_turn()
        envoy.choose = lambda hosts: turn([host for host in hosts if host[1] in taken])

    return change


def without(address: str) -> Callable[[Envoy], None]:
    def change(envoy: Envoy) -> None:
        envoy.listed = [host for host in envoy.listed if host[1] != address]

    return change


def foreign(envoy: Envoy) -> None:
    envoy.listed.append(("", "10.77.0.1", 8080))
    envoy.truth["10.77.0.1", 8080] = Truth()


def lies(address: str, **how: Any) -> Callable[[Envoy], None]:
    def change(envoy: Envoy) -> None:
        for name, value in how.items():
            setattr(envoy.truth[address, 8080], name, value)

    return change


@pytest.mark.parametrize("client", ["*", "plaintext"])
@pytest.mark.parametrize(
    ("objects", "change", "most", "star", "plain", "words"),
    [
        ([WEB, behind(WEB), STRICT], None, 3, "proved", "proved", ""),
        (ALL, None, 12, "proved", "proved", ""),
        (
            ALL,
            None,
            11,
            "unproved",
            "proved",
            "max_calls",
        ),  # a caller without a sidecar does not get to the WorkloadEntry
        (ALL, only("10.0.0.1", "10.0.0.2"), 150, "unproved", "proved", "24 calls through the sidecar"),
        (ALL, without("10.9.0.1"), 150, "unproved", "proved", "WorkloadEntry vm: the probe's sidecar has no such"),
        (ALL, lies("10.9.0.1", sent=True), 150, "violated", "proved", "10.9.0.1 was mutual TLS"),
        (ALL, lies("10.0.0.2", plain=PlainCall.ACCEPTED), 150, "violated", "violated", "a/more-0 was answered"),
        ([WEB, behind(WEB), STRICT], foreign, 150, "unproved", "unproved", "10.77.0.1:8080"),
        ([WEB, behind(WEB), STRICT], lies("10.0.0.1", identity="spiffe://x/thief"), 9, "violated", "violated", "thief"),
        ([WEB, MORE, behind(WEB, MORE, headless=True, ports={8080: 8080}), STRICT], None, 6, "proved", "proved", ""),
        ([DUAL, behind(DUAL, **BOTH), STRICT], None, 6, "proved", "proved", "IPv6"),
        (
            [DUAL, behind(DUAL, **BOTH), STRICT],
            lambda envoy: envoy.truth.update({("fd00::1", 8080): Truth(PlainCall.ACCEPTED)}),
            6,
            "violated",
            "violated",
            "",
        ),
        (
            [WEB, behind(WEB), STRICT],
            lambda envoy: setattr(envoy, "fails", True),
            9,
            "unproved",
            "proved",
            "pod is gone",
        ),
    ],
)
def test_each_kind_is_reached_or_named(
    objects: list[Any], change: Any, most: int, star: str, plain: str, words: str, client: str
) -> None:
    read = snapshot(objects)
    engine, kinds, _envoy, heard = called(read, change or (lambda _: None), most)
    found = pick(proofs(read, engine, heard), "a/web", client, kinds.port.number)
    assert found.proof == {"*": star, "plaintext": plain}[client], found.evidence
    assert client == "plaintext" or words in found.evidence, found.evidence


def test_calls_through_the_sidecar_are_repeated_only_until_each_kind_was_reached() -> None:
    _engine, _kinds, envoy, heard = called(snapshot(ALL))
    assert (len(envoy.through), heard.tries) == (4, 4)
    _engine, _kinds, envoy, heard = called(snapshot(ALL), only("10.0.0.1"), 20)
    assert (len(envoy.straight), len(envoy.through)) == (4, 12), "four kinds, and what is left of the 20 calls"


def test_a_headless_service_is_called_at_each_address_and_one_of_two_families_by_each() -> None:
    _engine, _kinds, envoy, _heard = called(
        snapshot([WEB, MORE, behind(WEB, MORE, headless=True, ports={80: 80}), STRICT])
    )
    assert envoy.ways == [(0, "10.0.0.1"), (0, "10.0.0.2")]
    _engine, _kinds, envoy, _heard = called(snapshot([DUAL, behind(DUAL, **BOTH), STRICT]))
    assert sorted(envoy.ways) == [(4, ""), (6, "")]


def test_each_kind_of_all_services_has_its_calls_before_any_is_tried_again() -> None:
    read = snapshot([*ALL, service("a", "other", [WEB]), service("a", "third", [MORE])])
    engine, kinds = port_of(read)
    more = [port_of(read, key)[1] for key in ("a/other", "a/third")]
    envoy = Envoy(truth_of(engine, kinds), lambda hosts: hosts[0], [("", *where) for where in kinds.where])
    reach = Reach(envoy, 18, lambda: None, {})
    client = caller(engine, PROBE)
    heard = reach.all([(one, engine.cells.of(client, one.service, one.port)) for one in (kinds, *more)])
    assert [len(entry.plain) for entry in heard] == [4, 1, 1]
    assert reach.made == 18


def test_a_call_over_a_connection_that_is_there_already_is_what_that_connection_is() -> None:
    """Calls by the second family of addresses find the connection of the first."""
    read = snapshot([DUAL, behind(DUAL, **BOTH), STRICT])
    engine, _kinds, envoy, heard = called(read, without("fd00::1"))
    assert (pick(proofs(read, engine, heard), "a/web").proof, len(envoy.ways)) == ("proved", 2)


def test_a_call_to_another_pod_of_the_kind_counts_only_if_that_pod_stayed() -> None:
    two = [ready("a", "web", "10.0.0.1"), ready("a", "web", "10.0.0.2", suffix="1")]
    read = snapshot([*two, behind(*two), STRICT])
    for changed, proof in ((frozenset(), "proved"), (frozenset({("a", "web-1")}), "unproved")):
        engine, _kinds, _envoy, heard = called(read, only("10.0.0.2"))
        heard.changed = changed
        assert pick(proofs(read, engine, heard), "a/web").proof == proof


@pytest.mark.parametrize("client", ["*", "plaintext"])
def test_a_pod_that_did_not_stay_proves_and_refutes_nothing(client: str) -> None:
    for change in (lambda _: None, lies("10.0.0.1", identity="spiffe://x/another", plain=PlainCall.ACCEPTED)):
        read = snapshot([WEB, behind(WEB), STRICT])
        engine, _kinds, _envoy, heard = called(read, change)
        heard.changed = frozenset({("a", "web-0")})
        found = pick(proofs(read, engine, heard), "a/web", client)
        assert (found.proof, "a/web-0 did not stay" in found.evidence) == ("unproved", True)


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({}, True),
        ({"uid": "another"}, False),
        ({"deletionTimestamp": "2026-01-01T00:00:00Z"}, False),
        ({"podIPs": [{"ip": "10.0.0.2"}]}, False),
        ({"podIPs": []}, False),
    ],
)
def test_which_pod_stayed(change: dict[str, Any], same: bool) -> None:
    now = ready("a", "web", "10.0.0.1")
    now["status"] |= {name: value for name, value in change.items() if name == "podIPs"}
    now["metadata"] |= {name: value for name, value in change.items() if name != "podIPs"}
    assert same_pod(now, Located(0, ("10.0.0.1",), "uid of web-0")) is same


@pytest.mark.parametrize(
    ("policy", "clusters", "proof"),
    [
        ({}, ("",), "proved"),  # a subset without a trafficPolicy is set up as the service
        ({}, ("v1",), "proved"),
        ({"trafficPolicy": {}}, ("",), "unproved"),
        ({"trafficPolicy": {}}, ("v1",), "unproved"),
        ({"trafficPolicy": {}}, ("", "v1"), "proved"),
        ({"trafficPolicy": {}}, ("", "v2"), "unproved"),
        ({}, ("v2",), "unproved"),  # a subset that came later
    ],
)
def test_a_subset_with_a_traffic_policy_needs_a_call(
    policy: dict[str, Any], clusters: tuple[str, ...], proof: str
) -> None:
    subset = {"name": "v1", "labels": {"app": "web"}, **policy}
    read = snapshot([WEB, behind(WEB), STRICT, destination_rule("a", HOST, subsets=[subset])])

    def change(envoy: Envoy) -> None:
        envoy.listed = [(name, *host[1:]) for name in clusters for host in envoy.listed]

    engine, _kinds, _envoy, heard = called(read, change)
    found = pick(proofs(read, engine, heard), "a/web")
    assert found.proof == proof, found.evidence
    assert proof == "proved" or "not proved at" in found.evidence, found.evidence


# --- whose calls the probe proves


SIDECAR = obj("Sidecar", "p", "default", {"egress": [{"hosts": ["*/*"]}]})
FAR = ready("b", "far", "10.0.0.5")


@pytest.mark.parametrize(
    ("more", "star", "words"),
    [
        ([], "proved", ""),
        # objects of the probe's own namespace make it another client than `*`
        ([destination_rule("p", HOST, "ISTIO_MUTUAL")], "unproved", "DestinationRule is p/rule"),
        ([destination_rule("p", HOST, "DISABLE")], "unproved", "DestinationRule is p/rule"),
        ([SIDECAR], "unproved", "Sidecar p/default"),
        (
            [obj("Sidecar", "p", "x", SIDECAR["spec"] | {"workloadSelector": {"labels": {"app": "other"}}})],
            "proved",
            "",
        ),
        # those of the service's and the root namespace hold for `*` as well
        ([destination_rule("a", HOST, "ISTIO_MUTUAL")], "proved", ""),
        ([obj("Sidecar", "istio-system", "default", SIDECAR["spec"])], "proved", ""),
        # a client with a call of its own is not the probe
        ([FAR, destination_rule("b", HOST, "DISABLE")], "proved", ""),
    ],
)
def test_the_probe_speaks_for_everybody_only_where_it_is_like_everybody(more: list[Any], star: str, words: str) -> None:
    read = snapshot([WEB, behind(WEB), STRICT, *more])
    engine, _kinds, _envoy, heard = called(read)
    calls = proofs(read, engine, heard)
    found = pick(calls, "a/web")
    assert (found.proof, words in found.evidence) == (star, True), found.evidence
    assert pick(calls, "a/web", "plaintext").proof == "proved"
    own = [call for call in calls if call.client not in ("*", "plaintext")]
    assert {call.proof for call in own} <= {"unproved"}
    assert bool(own) == (FAR in more)
    assert all("the probe is not b/far" in call.evidence for call in own)


@pytest.mark.parametrize(
    ("probe", "words"),
    [
        ({"revision": "canary"}, "revision canary"),
        ({"annotations": {"traffic.sidecar.istio.io/excludeOutboundPorts": "80"}}, "computed to be otherwise"),
    ],
)
def test_a_probe_that_is_made_another_client_proves_nothing_about_everybody(probe: dict[str, Any], words: str) -> None:
    read = snapshot([WEB, behind(WEB), STRICT])
    engine, _kinds, _envoy, heard = called(read)
    found = pick(proofs(read, engine, heard, ready("p", "mtls-probe", "10.0.9.9", **probe)), "a/web")
    assert (found.proof, words in found.evidence) == ("unproved", True), found.evidence


def test_calls_that_are_not_made_have_a_reason() -> None:
    other = service("b", "far", [FAR])
    entry_host = {"hosts": ["x.example"], "ports": [{"number": 80, "name": "http", "protocol": "HTTP"}]}
    external = obj("ServiceEntry", "a", "out", entry_host)
    read = snapshot([WEB, behind(WEB), STRICT, FAR, other, external, service("a", "none", [])])
    engine, _kinds, _envoy, heard = called(read)
    judged = judged_of(read, engine, a=Level.STRICT)
    calls, _found = with_calls(judged, judged.calls, [heard], PROBE)
    assert "nothing is demanded of namespace b" in pick(calls, "b/far").evidence
    assert "only Kubernetes Services" in pick(calls, "a/x.example").evidence
    assert "has no endpoints" in pick(calls, "a/none").evidence
    assert {call.proof for call in calls if call.service != "a/web"} == {"unproved"}


# --- a property


POLICIES = st.sampled_from(["STRICT", "PERMISSIVE", "DISABLE"])
TRUTHS = st.builds(Truth, st.sampled_from(PlainCall), st.sampled_from([IDENTITY, ""]), st.booleans(), st.booleans())


@st.composite
def meshes(draw: st.DrawFn) -> Snapshot:
    """Service a/web with several kinds of endpoints."""
    ips = iter(range(1, 250))
    pods = []
    for number in range(draw(st.integers(0, 2))):
        sidecar, twice, up = draw(st.booleans()), draw(st.booleans()), draw(st.integers(0, 4)) > 0
        for suffix in ["0", "1"][: 1 + twice]:
            where = f"10.0.0.{next(ips)}"
            made = ready("a", f"w{number}", where, sidecar=sidecar, suffix=suffix, labels={"track": str(number)}, up=up)
            pods.append(made)
    entries = [entry("vm", "10.9.0.1")] if draw(st.booleans()) else []
    objects: list[Any] = [*pods, *entries, behind(*pods), peer_authentication("a", mode=draw(POLICIES))]
    if draw(st.booleans()):
        objects.append(peer_authentication("a", "own", draw(POLICIES), selector={"track": "0"}))
    if draw(st.booleans()):
        policies: list[dict[str, Any]] = [{}, {"trafficPolicy": {}}, {"trafficPolicy": {"tls": {"mode": "DISABLE"}}}]
        subset = {"name": "v1", "labels": {"track": draw(st.sampled_from("01"))}, **draw(st.sampled_from(policies))}
        objects.append(destination_rule("a", HOST, draw(st.sampled_from([None, "ISTIO_MUTUAL"])), subsets=[subset]))
    return snapshot(objects)


def ended_as_computed(cell: Cell, spots: list[Spot], kinds: Kinds, envoy: Envoy, client: str) -> bool:
    """Whether some call that was made reached an endpoint of a cell and ended as the cell says, by what endpoints really do."""
    point = next(n for n, point in enumerate(kinds.port.endpoints) if point is cell.endpoint)
    straight = [
        envoy.truth[where]
        for where in envoy.straight
        if where in {(s.address, s.port) for s in spots if s.key[0] == point}
    ]
    refused = any(real.plain is PlainCall.REFUSED and real.identity == IDENTITY for real in straight)
    if client == "plaintext":
        return refused if cell.verdict is Verdict.BROKEN else any(real.plain is PlainCall.ACCEPTED for real in straight)
    mine = [host for host in envoy.through if kinds.where.get(host[1:]) and kinds.where[host[1:]].point == point]
    there = [envoy.truth[host[1:]] for host in mine if not cell.own or host[0] == cell.own]
    mutual = cell.sends.mode is Sent.MTLS
    if cell.verdict is Verdict.BROKEN:
        return any(real.sent is mutual and not real.works for real in there) and (mutual or refused)
    reached = any(real.sent is mutual and real.works for real in there)
    return reached and (refused or cell.verdict is not Verdict.STRICT)


@given(meshes(), st.data(), st.integers(0, 60), st.booleans())
def test_proved_means_that_a_call_to_each_cell_ended_as_computed(
    read: Snapshot, data: st.DataObject, most: int, honest: bool
) -> None:
    engine, kinds = port_of(read)
    truth = truth_of(engine, kinds)
    for place in kinds.where:
        if place not in truth or not (honest or data.draw(st.booleans())):
            truth[place] = data.draw(TRUTHS)
    subsets = data.draw(st.sampled_from([("",), ("v1",), ("", "v1")]))
    listed = [(subset, *where) for where in kinds.where for subset in subsets if data.draw(st.integers(0, 9)) > 0]
    envoy = Envoy(truth, lambda hosts: data.draw(st.sampled_from(hosts)), listed)
    reach = Reach(envoy, most, lambda: None, {})
    (heard,) = reach.all([(kinds, engine.cells.of(caller(engine, PROBE), kinds.service, kinds.port))])
    assert reach.made <= most
    cells = {
        "*": engine.cells.of(engine.anybody, kinds.service, kinds.port),
        "plaintext": engine.cells.plain(kinds.service, kinds.port),
    }
    for call in proofs(read, engine, heard):
        if call.proof == "proved":
            told = [
                ended_as_computed(cell, list(kinds.spots), kinds, envoy, call.client) for cell in cells[call.client]
            ]
            assert told, call
            assert all(told), call
        else:
            assert call.evidence or not cells[call.client]
