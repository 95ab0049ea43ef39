# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A canary under a steady stream of requests: what a bad version costs, how soon it is gone, and what a step costs by itself."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.benchmarks._harness import BenchmarkError, Harness
from tests.benchmarks._rows import Row, at_most

TITLE = "Canary"
WINDOW = 6.0  # seconds
SLACK = 3.0  # seconds that a rollback may take after the window
WRITES = 20
ISTIOD = "/api/v1/namespaces/istio-system/services/istiod:15014/proxy/metrics"


def rows(harness: Harness) -> list[Row]:
    """All rows of this benchmark."""
    harness.client()  # makes the collection known to Python
    from tests.integration.canary.bed import RATE, failed

    back, bad, bounds, costs = [], [], [], []
    with _bed(harness) as bed:
        for number in range(harness.runs):
            harness.say(f"canary {number + 1} of {harness.runs}")
            begin = time.time()
            analysis = [{"metric": "success_rate", "min": 0.95, "min_requests": 20}]
            options = bed.options(new={"ERROR_RATE": 0.5}, interval=WINDOW, analysis=analysis, version=f"v{number}-bad")
            seconds: list[float] = []
            result = bed.drive(until=lambda found, kept=seconds: kept.append(found["seconds"]), **options)
            if result["phase"] != "rolled_back":
                raise BenchmarkError(
                    f"a bad version ended {result['phase']}: {result.get('reason') or result.get('msg')}"
                )
            when = {f"{note['event']} {note['message']}": note["time"] for note in result["all_notes"]}
            opened = next(moment for what, moment in when.items() if what.startswith("proved"))
            back.append(when["stage rolling_back: watch"] - opened)
            time.sleep(1.5)
            bad.append(float(failed(bed.answers(begin))))
            bounds.append(0.5 * 0.5 * RATE * (back[-1] + SLACK))
            costs += [cost for _note, cost in _steps(bed, number)]
        pushes = _pushes(bed)
    return [
        at_most(
            f"from the first bad sample to weight 0 in the proxies, windows of {WINDOW:g} s",
            {"ours": back},
            limit=WINDOW + SLACK,
            unit="s",
        ),
        at_most(
            "failed requests, against the share of the bad version in that time",
            {"failed": bad, "half of half of the requests": bounds},
            limit=max(bounds) * 1.3,
            unit="requests",
        ),
        at_most("a step by itself: verdict, next weight, proof, record", {"ours": costs}, limit=1, unit="s"),
        at_most(
            f"pushes to proxies by {WRITES} writes of state, lease and annotation", {"ours": pushes}, limit=0, unit=""
        ),
    ]


@contextmanager
def _bed(harness: Harness) -> Iterator[Any]:
    client = harness.client()
    from ansible_collections.servicemesh.platform.plugins.module_utils._apply.applier import Applier
    from ansible_collections.servicemesh.platform.plugins.module_utils._apply.options import Options
    from ansible_collections.servicemesh.platform.plugins.module_utils._apply.result import checked

    from tests.integration.canary.bed import Bed

    with harness.namespace() as name:
        client.request(
            "PATCH",
            f"/api/v1/namespaces/{name}",
            body={"metadata": {"labels": {"istio-injection": "enabled"}}},
            content_type="application/merge-patch+json",
        )
        bed = Bed(client)
        bed.namespace, bed.host = name, f"web.{name}.svc.cluster.local"
        objects = [*bed.routes(), bed.app("stable", "v1"), *bed.tools()]
        Applier(client, Options(name="bed", wait_timeout=180)).run(checked(objects), [])
        time.sleep(10)
        yield bed


def _steps(bed: Any, number: int) -> Iterator[tuple[str, float]]:
    """Seconds of the calls that judge a window and go on with the next weight, in a good canary that is then taken back."""
    options = bed.options(
        version=f"v{number}-good",
        steps=[10, 20, 30, 40],
        interval=3,
        analysis=[{"metric": "success_rate", "min": 0.5}],
        pause_at=40,
    )
    seen: list[dict[str, Any]] = []
    bed.drive(until=seen.append, **options)
    for result in seen:
        events = [note["event"] for note in result.get("notes") or []]
        if "window" in events and "step" in events:
            yield "step", result["seconds"]
    bed.call("rollback", service="web", namespace=bed.namespace)
    end = time.monotonic() + 120
    while not bed.call("step", service="web", namespace=bed.namespace)["done"]:
        if time.monotonic() > end:
            raise BenchmarkError("a rollback does not end")
        time.sleep(1)
    while bed.deployment("web-canary") is not None:
        time.sleep(1)


def _pushes(bed: Any) -> list[float]:
    """Pushes of istiod while state, lease and annotation are written, less those of as long a time without."""
    from ansible_collections.servicemesh.platform.plugins.module_utils._canary import route_patch
    from ansible_collections.servicemesh.platform.plugins.module_utils._canary.clock import ServerClock
    from ansible_collections.servicemesh.platform.plugins.module_utils._canary.lease import Lease
    from ansible_collections.servicemesh.platform.plugins.module_utils._canary.record import Record

    def counted() -> float:
        lines = bed.client.read(ISTIOD, seconds=30, most=50_000_000).decode().splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith("pilot_xds_pushes{"))

    def waited(work: Any) -> float:
        before, end = counted(), time.monotonic() + 20
        work()
        time.sleep(max(0.0, end - time.monotonic()))
        return counted() - before

    def write() -> None:
        clock = ServerClock(bed.client)
        lease = Lease(bed.client, clock, bed.namespace, "web")
        record = Record(bed.client, clock, bed.namespace, "web")
        state = record.read()
        if state is None:
            raise BenchmarkError("there is no record to write")
        path = f"/apis/networking.istio.io/v1/namespaces/{bed.namespace}/virtualservices/web"
        for number in range(WRITES):
            holder = lease.acquire(f"bench-{number}", 1)
            record.write(state.noted(clock.now(), "bench", str(number)))
            ops = route_patch.annotated(bed.virtual_service(), holder.annotation(state.run))
            bed.client.request("PATCH", path, body=ops, content_type="application/json-patch+json")
            lease.give_up(holder)

    idle = waited(lambda: None)
    return [max(0.0, waited(write) - idle)]
