# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes on the cluster: what an overlay says of them before they are made, and what is computed and heard after."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.integration.mtls.bed import Bed, calls_of, service, steady
from tests.integration.mtls.test_mtls_wire import foreseen, same

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("cluster")]

Obj = dict[str, Any]
MOVED = "moved"  # a Service of these tests alone

# name: policies before, (state, object) of the change, the service called, its verdicts before and after
CHANGES: dict[str, tuple[Callable[[Bed], list[Obj]], Callable[[Bed], tuple[str, Obj]], str, str, str]] = {
    "a policy is replaced": (
        lambda b: [b.peer()], lambda b: ("present", b.peer(mode="PERMISSIVE")), "web", "strict", "encrypted_not_enforced",
    ),
    "a policy goes": (
        lambda b: [b.peer()], lambda b: ("absent", b.peer()), "web", "strict", "encrypted_not_enforced",
    ),
    "a policy comes, and is the youngest": (
        lambda b: [b.peer("older")], lambda b: ("present", b.peer("younger", "DISABLE")), "web", "strict", "strict",
    ),
    "a DestinationRule comes": (
        lambda b: [b.peer()], lambda b: ("present", b.destination_rule("web", "DISABLE")), "web", "strict", "broken",
    ),
    "a VirtualService comes": (
        lambda b: [b.peer()], lambda b: ("present", b.route("web", to="bare")), "web", "strict", "plaintext",
    ),
    "a WorkloadEntry comes behind a Service": (
        lambda b: [b.peer()], lambda b: ("present", b.entry("web", b.ip("bare"))), "web", "strict", "plaintext",
    ),
    "a Service selects other pods": (
        lambda b: [b.peer()], lambda b: ("present", moved(b, "bare")), MOVED, "strict", "plaintext",
    ),
}  # fmt: skip


def moved(bed: Bed, app: str) -> Obj:
    """The Service of these tests, with the pods of `app` behind it."""
    return service(bed.namespace, MOVED, {"app": app}, {80: 8080})


@pytest.fixture
def movable(bed: Bed) -> Iterator[Bed]:
    """The bed with a Service that may be changed."""
    bed.change("present", moved(bed, "web"))
    try:
        yield bed
    finally:
        bed.policies()
        bed.change("absent", moved(bed, "web"))


def verdicts(calls: dict[tuple[str, str, int], Obj]) -> dict[tuple[str, str, int], str]:
    return {key: call["verdict"] for key, call in calls.items()}


def of(found: dict[tuple[str, str, int], str], client: str, name: str, port: int) -> str:
    """The verdict on a client's call; a client without an entry of its own is one of `*`."""
    return found.get((client, name, port)) or found[("*", name, port)]


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_does_what_was_said_before_it_was_made(movable: Bed, change: str) -> None:
    bed = movable
    before, change_of, name, then, now = CHANGES[change]
    state, resource = change_of(bed)
    call = ("*", name, 80)
    bed.policies(*before(bed))
    computed = steady(lambda: verdicts(bed.calls()), lambda found: found[call] == then, still=0)
    told = bed.judged(overlay=[{"state": state, "resource": resource}])
    foretold = verdicts(calls_of(told))
    assert (computed[call], foretold[call]) == (then, now)
    differ = {key for key in computed.keys() | foretold.keys() if of(computed, *key) != of(foretold, *key)}
    listed = {(row["client"], row["service"].partition("/")[2], row["port"]) for row in told["changes"]}
    assert differ <= listed
    assert bool(listed) == bool(differ)
    bed.change(state, resource)
    assert steady(lambda: verdicts(bed.calls()), lambda found: found == foretold, still=0) == foretold
    url = f"http://{bed.host(name)}:80/"
    wanted = foreseen(calls_of(told)[call])  # of several endpoints the worst: it is called some time
    heard = steady(lambda: bed.call("meshed", url), lambda have: same(have, wanted), still=0)
    assert same(heard, wanted), heard
