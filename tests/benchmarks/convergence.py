# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""251 objects, whole commands: ours against kubectl and kubernetes.core, first and second run, and the number of requests."""

from __future__ import annotations

import contextlib
import json
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.benchmarks import _sets
from tests.benchmarks._harness import BenchmarkError, Harness
from tests.benchmarks._race import AGAIN, FIRST, KUBECTL, LOOP, OURS, SRC, START, race, why_slow
from tests.benchmarks._rows import Row, at_most, faster, number
from tests.benchmarks._server_count import counted, counting_objects

TITLE = "Convergence: 251 objects"
SERVICES = 50
_PATIENCE = 20  # seconds


def rows(harness: Harness) -> list[Row]:
    """All rows of this benchmark."""
    services = harness.count(SERVICES)
    counts = requests(harness, services)
    times = race(harness, [OURS, KUBECTL, SRC, LOOP, START], services)
    objects = 1 + services * len(_sets.KINDS)
    what = f"{objects} objects, first run"
    made = []
    for opponent, least in ((KUBECTL, 4), (SRC, 2), (LOOP, 60)):
        theirs = times[opponent.name, FIRST]
        made.append(
            faster(
                f"{what}, against {opponent.name}",
                (OURS.name, times[OURS.name, FIRST]),
                (opponent.name, theirs),
                least=least,
                reason=why_slow(times, FIRST, theirs, least),
            )
        )
    theirs = times[KUBECTL.name, AGAIN]
    made.append(
        faster(
            f"{objects} objects, nothing to change, against kubectl diff --server-side",
            (OURS.name, times[OURS.name, AGAIN]),
            ("kubectl diff --server-side", theirs),
            least=1,
            reason=why_slow(times, AGAIN, theirs, 1),
        )
    )
    return made + counts


def requests(harness: Harness, services: int) -> list[Row]:
    """Requests for each object, as counted by the module and by the API server."""
    objects = 1 + services * len(_sets.KINDS)
    made = []
    with harness.services(services) as (_namespace, manifest), _counting_user(harness) as user:
        for what, limit in (("first run", 2.0), ("nothing to change", 1.0)):
            said, seen, result = _counted_run(harness, manifest, user)
            figure = max(said, seen) / objects
            made.append(
                at_most(
                    f"Requests for each of {objects} objects, {what}",
                    {"the module's own count": [float(said)], "the API server's count": [float(seen)]},
                    limit=limit,
                    unit="requests",
                    value=figure,
                    measured=f"{number(figure)} for each",
                    target=f"{limit:g} for each at most",
                    reason=(
                        f"{objects} objects and {max(said, seen)} requests: some of them ask which kinds the server knows and "
                        "read what is there, the others were sent more than once"
                    ),
                )
            )
            phases = ", ".join(f"{name} {seconds} s" for name, seconds in result["seconds"].items())
            harness.say(f"{what}: {said} requests, {seen} by the API server's count; phases: {phases}")
    return made


@contextlib.contextmanager
def _counting_user(harness: Harness) -> Iterator[str]:
    """A user whose requests the API server counts separately."""
    user = f"bench-{uuid.uuid4().hex[:8]}"
    harness.create(*counting_objects(user))
    try:
        deadline = time.monotonic() + _PATIENCE
        while not counted(harness.kubectl("get", "--raw", "/metrics"), user):  # the server needs a moment to load it
            if time.monotonic() > deadline:
                raise BenchmarkError(f"the API server does not count the requests of user {user}")
            harness.kubectl("--as", user, "get", "--raw", "/version")
        yield user
    finally:
        harness.kubectl("delete", "flowschema,clusterrolebinding", user, "--ignore-not-found")


def _counted_run(harness: Harness, manifest: Path, user: str) -> tuple[int, int, dict[str, Any]]:
    note = harness.scratch / "result.json"
    ours = {"src": [str(manifest)], "impersonate_user": user}
    argv = harness.playbook(
        {"name": "Apply", "servicemesh.platform.apply": ours, "register": "benchmark"},
        {
            "name": "Keep the result",
            "ansible.builtin.copy": {"content": "{{ benchmark | to_json }}", "dest": str(note), "mode": "0600"},
        },
    )
    before = counted(harness.kubectl("get", "--raw", "/metrics"), user)
    harness.timed(argv)
    seen = counted(harness.kubectl("get", "--raw", "/metrics"), user) - before
    result = json.loads(note.read_text(encoding="utf-8"))
    return int(result["requests"]), seen, result


if __name__ == "__main__":
    from tests.benchmarks.__main__ import alone

    alone("convergence")
