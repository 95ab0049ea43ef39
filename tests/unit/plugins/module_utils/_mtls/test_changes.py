# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two meshes compared: per workload, whatever `*` stands for in each of them."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.changes import (
    Change,
    Direction,
    compared,
    direction,
    failing,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.engine import Engine
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.model import Mode, Sent
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.rules import RuleCode
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.verdict import Call, Verdict
from hypothesis import given, settings

from tests.unit.plugins.module_utils._mtls.mtls_objects import (
    destination_rule,
    mesh,
    obj,
    peer_authentication,
    pod,
    service,
)
from tests.unit.plugins.module_utils._mtls.test_properties import meshes

S, E, A, P, B, N, U = (
    Verdict.STRICT,
    Verdict.ENCRYPTED_NOT_ENFORCED,
    Verdict.PLAINTEXT_ALLOWED,
    Verdict.PLAINTEXT,
    Verdict.BROKEN,
    Verdict.NOT_ENFORCED,
    Verdict.UNKNOWN,
)
D = Direction


def call(verdict: Verdict | None, rule: RuleCode | None = None, client: str = "*") -> Call | None:
    if verdict is None:
        return None
    return Call(client, "a/web", 80, 8080, Mode.UNKNOWN, Sent.UNKNOWN, verdict, "", rule)


MESHED = [
    (S, S, D.SAME), (S, E, D.WEAKER), (S, A, D.WEAKER), (S, P, D.WEAKER), (S, N, D.WEAKER), (S, B, D.BROKEN), (S, U, D.UNKNOWN),
    (E, S, D.STRONGER), (E, P, D.WEAKER), (E, B, D.BROKEN), (E, U, D.UNKNOWN), (A, E, D.STRONGER), (A, P, D.WEAKER), (A, B, D.BROKEN),
    (P, A, D.STRONGER), (P, S, D.STRONGER), (P, B, D.BROKEN), (N, S, D.STRONGER), (N, P, D.WEAKER),
    (B, S, D.FIXED), (B, E, D.FIXED), (B, A, D.WEAKER), (B, P, D.WEAKER), (B, N, D.WEAKER), (B, U, D.UNKNOWN),
    (U, S, D.STRONGER), (U, B, D.BROKEN), (U, P, D.WEAKER), (U, U, D.SAME),
    (None, S, D.ADDED), (None, P, D.ADDED), (None, B, D.BROKEN), (None, U, D.UNKNOWN), (S, None, D.REMOVED), (None, None, D.SAME),
]  # fmt: skip
PLAIN = [
    (B, A, D.WEAKER), (B, P, D.WEAKER), (B, U, D.UNKNOWN), (A, B, D.STRONGER), (P, B, D.STRONGER), (P, A, D.STRONGER), (A, P, D.WEAKER),
    (U, B, D.STRONGER), (U, P, D.WEAKER), (B, N, D.WEAKER), (N, B, D.STRONGER), (None, B, D.ADDED), (None, P, D.ADDED),
    (B, None, D.REMOVED),
]  # fmt: skip


@pytest.mark.parametrize(("client", "old", "new", "expected"), [
    *(("*", *row) for row in MESHED), *(("a/w", *row) for row in MESHED), *(("plaintext", *row) for row in PLAIN),
])  # fmt: skip
def test_directions(client: str, old: Verdict | None, new: Verdict | None, expected: Direction) -> None:
    assert direction(client, call(old), call(new)) is expected


def test_a_service_without_endpoints_has_no_verdict_to_compare() -> None:
    nobody = call(U, RuleCode.NO_ENDPOINTS)
    assert direction("*", nobody, call(S)) is D.ADDED
    assert direction("*", nobody, call(B)) is D.BROKEN
    assert direction("*", None, nobody) is D.ADDED
    assert direction("*", call(S), nobody) is D.UNKNOWN


@pytest.mark.parametrize(
    ("now", "later", "fail_on", "expected"),
    [
        (E, None, ["weaker"], True),
        (E, None, ["broken"], False),
        (B, None, ["broken"], True),
        (S, E, ["weaker"], True),
        (S, B, ["weaker"], False),
        (U, None, ["broken"], True),
        (U, None, ["weaker"], True),
        (U, None, ["unknown"], True),
        (E, None, ["unknown"], False),
        (U, None, [], False),
    ],
)
def test_which_changes_a_check_refuses(now: Verdict, later: Verdict | None, fail_on: list[str], expected: bool) -> None:
    change = Change("*", "a/web", 80, call(S), call(now), call(later), later is not None)
    assert bool(list(failing([change], fail_on))) is expected


def lines(before: list[Any], after: list[Any], restarted: list[Any] | None = None) -> dict[tuple[str, str, int], str]:
    engines = [Engine(mesh(objects)) if objects is not None else None for objects in (before, after, restarted)]
    found = compared(*engines).changes  # type: ignore[arg-type]
    return {
        (change.client, change.service, change.port): " > ".join(
            str(c.verdict) if c else "-" for c in (change.before, change.after)
        )
        for change in found
    }


WEB, ONE, TWO = pod("a", "web"), pod("b", "one"), pod("c", "two")
PODS = [WEB, ONE, TWO, *service("a", "web", [WEB])]
OFF = destination_rule("b", "web.a.svc.cluster.local", "DISABLE")
STRICT = peer_authentication("a")


def test_a_workload_that_gets_a_rule_of_its_own_is_compared_with_what_it_had_with_all_others() -> None:
    assert lines([*PODS, STRICT], [*PODS, STRICT, OFF]) == {("b/one", "a/web", 80): "strict > broken"}
    assert lines([*PODS, STRICT, OFF], [*PODS, STRICT]) == {("b/one", "a/web", 80): "broken > strict"}


def test_a_workload_for_which_nothing_changes_is_named_beside_the_entry_of_all() -> None:
    bare = [ONE, TWO, pod("a", "bare", sidecar=False), *service("a", "web", [pod("a", "bare", sidecar=False)])]
    mutual = destination_rule("a", "web", "ISTIO_MUTUAL", name="all")
    changes = compared(Engine(mesh([*bare, OFF])), Engine(mesh([*bare, OFF, mutual]))).changes
    assert [(change.client, change.now, change.same_for) for change in changes] == [("*", D.BROKEN, ("b/one",))]


def test_a_workload_that_loses_its_sidecar_goes_on_calling() -> None:
    bare = [WEB, pod("b", "one", sidecar=False), TWO, *PODS[3:], STRICT]
    assert lines([*PODS, STRICT], bare) == {("b/one", "a/web", 80): "strict > broken"}
    assert lines(bare, [*PODS, STRICT]) == {("b/one", "a/web", 80): "broken > strict"}


def test_a_service_that_is_hidden_from_a_workload_is_called_past_the_sidecar() -> None:
    hiding = obj("Sidecar", "b", "default", {"egress": [{"hosts": ["./*"]}]})
    assert lines([*PODS, STRICT], [*PODS, STRICT, hiding]) == {("b/one", "a/web", 80): "strict > broken"}
    assert lines([*PODS, hiding], [*PODS, STRICT, hiding])[("b/one", "a/web", 80)] == "plaintext_allowed > broken"


def test_calls_that_come_and_go() -> None:
    more = service("a", "more", [WEB])
    expected = {("*", "a/more", 80): "- > strict", ("plaintext", "a/more", 80): "- > broken"}
    assert lines([*PODS, STRICT], [*PODS, STRICT, *more]) == expected
    assert set(lines([*PODS, STRICT, *more], [*PODS, STRICT])) == set(expected)
    new = [pod("b", "new"), pod("d", "new")]
    assert lines([*PODS, STRICT], [*PODS, STRICT, *new]) == {}, "its calls end as those of all others"
    assert lines([*PODS, STRICT, OFF], [*PODS, STRICT, OFF, *new]) == {("b/new", "a/web", 80): "- > broken"}


def test_ports_of_one_number_and_two_protocols_are_two_calls() -> None:
    ports = [
        {"port": 80, "name": "p80", "targetPort": 8080, "protocol": "TCP"},
        {"port": 80, "name": "u", "protocol": "UDP"},
    ]
    both = [WEB, ONE, *service("a", "web", [WEB], ports=None)]
    both[2] = {**both[2], "spec": {**both[2]["spec"], "ports": ports}}
    assert lines([*both, STRICT], both) == {
        ("*", "a/web", 80): "strict > encrypted_not_enforced",
        ("plaintext", "a/web", 80): "broken > plaintext_allowed",
    }


def test_a_restart_is_told_where_it_differs() -> None:
    bare = [pod("a", "web", sidecar=False), *PODS[1:]]
    found = compared(
        Engine(mesh([*PODS, STRICT])), Engine(mesh([*PODS, STRICT])), Engine(mesh([*bare, STRICT]))
    ).changes
    told = [change.as_dict() for change in found]
    assert [(one["client"], one["direction"], one["after_restart"]["direction"]) for one in told] == [
        ("*", "same", "weaker"),
        ("plaintext", "same", "weaker"),
    ]


def test_the_worst_is_first() -> None:
    pairs = {
        "a/s": (A, E),
        "a/b": (S, B),
        "a/w": (S, P),
        "a/r": (S, None),
        "a/u": (S, U),
        "a/n": (None, S),
        "a/f": (B, S),
    }
    changes = [Change("*", name, 80, call(old), call(new)) for name, (old, new) in pairs.items()]
    changes.append(Change("*", "a/z", 80, call(S), call(S), call(B), restarts=True))
    found = sorted(changes, key=lambda change: change.order)
    assert [change.service for change in found] == ["a/b", "a/z", "a/w", "a/u", "a/n", "a/r", "a/s", "a/f"]


@settings(max_examples=80, deadline=None)
@given(objects=meshes(), others=meshes())
def test_swapping_the_sides_swaps_the_changes(objects: list[Any], others: list[Any]) -> None:
    one, two = Engine(mesh(objects)), Engine(mesh(others))
    there, back = compared(one, two), compared(two, one)
    assert {(c.client, c.service, c.port) for c in there.changes} == {
        (c.client, c.service, c.port) for c in back.changes
    }
    assert there.compared == back.compared
    assert not compared(one, Engine(mesh(objects))).changes


@settings(max_examples=80, deadline=None)
@given(objects=meshes(), others=meshes())
def test_every_workload_of_both_meshes_is_accounted_for(objects: list[Any], others: list[Any]) -> None:
    """Each meshed workload's verdicts are those of its own entry, or of `*`, or equal on both sides; asked of each engine by name."""
    before, after = Engine(mesh(objects)), Engine(mesh([*objects, *_policies(others)]))
    found = {(c.client, c.service): c for c in compared(before, after).changes if c.port == 80}
    names = sorted({name for _client, own in before.classes.values() for name in own})
    for name in names:
        old, new = ({c.service: c for c in engine.calls([name]) if c.port == 80} for engine in (before, after))
        stars = [{c.service: c for c in engine.calls(["*"]) if c.port == 80} for engine in (before, after)]
        for place in stars[0]:
            pair = tuple(own.get(place, star[place]).verdict for own, star in zip((old, new), stars, strict=True))
            mixed = any(group.key == name and not group.meshed for group in before.mesh.groups)
            entry = found.get((name, place))
            if entry is None:
                star = found.get(("*", place))
                entry = star if star and name not in star.same_for else None
            if not mixed:
                told = (
                    (entry.before.verdict, entry.after.verdict)
                    if entry and entry.before and entry.after
                    else (pair[0], pair[0])
                )
                assert told == pair, (name, place)


def _policies(objects: list[Any]) -> list[Any]:
    """Policies and DestinationRules of another mesh, under other names."""
    kinds = ("PeerAuthentication", "DestinationRule")
    return [
        {**one, "metadata": {**one["metadata"], "name": one["metadata"]["name"] + "-x"}}
        for one in objects
        if one["kind"] in kinds
    ]
