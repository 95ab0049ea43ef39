# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever a VirtualService has, and however a run goes and ends: nothing but weights and what the run recorded changes."""

from __future__ import annotations

import copy
import json
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._canary import route_copies, route_patch, routes
from ansible_collections.servicemesh.platform.plugins.module_utils._canary import route_record as records
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.routes import ANNOTATION, Aim
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.start_routes import mirrors_elsewhere
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.plugins.module_utils._canary.test_routes import patched
from tests.virtual_services import HOST, MATCHES, Seeded, virtual_service

Obj = dict[str, Any]
AIM = Aim("user-service", "shop")


def bare(obj: Obj, record: records.RouteRecord) -> Obj:
    """An object without what may differ: our annotation, the weights of the service, the recorded copies and mirrors."""
    found = copy.deepcopy(obj)
    found["metadata"].pop("resourceVersion")
    notes = found["metadata"].get("annotations")
    if notes is not None:
        notes.pop(ANNOTATION, None)
        if not notes:
            found["metadata"].pop("annotations")
    copies = [place.copy for place in record.places if place.copy]
    found["spec"]["http"] = [route for route in found["spec"]["http"] if route not in copies]
    for protocol in routes.PROTOCOLS:
        for route in found["spec"].get(protocol) or []:
            for entry in route.get("route") or []:
                if entry["destination"]["host"] in (HOST, "user-service") and len(route["route"]) == 2:
                    entry.pop("weight", None)
            if any(records.mirror_of(route) == place.mirror for place in record.places):
                for key in ("mirror", "mirrorPercentage"):
                    route.pop(key, None)
    return found


def written(obj: Obj, ops: list[Obj]) -> Obj:
    """The object after a patch, as the API server has it."""
    if not ops:
        return obj
    after = patched(obj, ops)
    after["metadata"]["resourceVersion"] = str(int(obj["metadata"]["resourceVersion"]) + 1)
    return after


def recorded(obj: Obj, extra: Obj | None, mirror: float, replaced: records.RouteRecord = records.EMPTY) -> Any:
    """What a run records, None when it is refused."""
    copies, refused = (
        route_copies.copies_of(obj, AIM, extra, "run1" if replaced == records.EMPTY else "run2") if extra else ({}, [])
    )
    if refused or (mirror and mirrors_elsewhere(obj, AIM)):
        return None
    record = records.recorded(obj, AIM, copies, mirror, replaced)
    return records.record_of(json.loads(json.dumps(record.as_dict())))


@settings(max_examples=500, deadline=None)
@given(st.integers(0, 2**32), st.lists(st.sampled_from([0, 0, 5, 50, 100]), min_size=1, max_size=5))
def test_only_weights_and_what_was_recorded_change(seed: int, weights: list[int]) -> None:
    draw = Seeded(seed)
    before = virtual_service(draw, unknown=True)
    record = recorded(before, draw.pick([None, *MATCHES]), draw.pick([0.0, 10.0]))
    if routes.find(before, AIM).findings or record is None:
        return
    live = before
    for weight in weights:
        assert route_patch.changed(live, AIM, record) == []
        live = written(live, route_patch.patch(live, AIM, weight, record, annotation=f"run/{draw.pick([1, 2])}"))
        assert bare(live, record) == bare(before, record)
        assert routes.weights([live], AIM) == ({weight} if record.places else set())
        there = [route for route in live["spec"]["http"] if route.get("name") in record.copies]
        wanted = [place.copy for place in record.places if place.copy] if weight else []
        assert there == wanted
        for pair in records.pairs(live, AIM, record):
            if weight and pair.original and pair.original.copy:
                assert live["spec"]["http"][pair.place.index - 1] == pair.original.copy
        assert route_patch.patch(live, AIM, weight, record, annotation=None) == []
        assert records.elsewhere(live, AIM, record) == []
        if draw.pick([True, False, False, False]):  # killed, and started again with another version
            live, record = replaced(draw, live, record)
    live = written(live, route_patch.patch(live, AIM, 0, record, annotation=None))
    live = written(live, route_patch.annotated(live, "", record))
    live["metadata"]["resourceVersion"] = before["metadata"]["resourceVersion"]
    assert live == before


def replaced(draw: Seeded, live: Obj, record: records.RouteRecord) -> tuple[Obj, records.RouteRecord]:
    """A run that replaces another one: it records what the routes were before that, and its first write is weight 0."""
    restored = route_patch.restored(live, AIM, record)
    fresh = recorded(restored, draw.pick([None, *MATCHES]), draw.pick([0.0, 20.0]), record)
    if fresh is None:
        return live, record
    after = written(live, route_patch.patch(live, AIM, 0, fresh, annotation="run2/3"))
    assert bare(after, fresh) == bare(restored, fresh)
    return after, fresh
