# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The routes that proxies get before, during and after a canary differ in nothing but what was meant, by Istio's own code."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.servicemesh.platform.plugins.module_utils._canary import route_copies, route_patch, routes
from ansible_collections.servicemesh.platform.plugins.module_utils._canary import route_record as records
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.routes import Aim
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.start_routes import mirrors_elsewhere

from tests.judge.istio import Istio, RejectedError
from tests.judge.routes import sent, shares, without_what_is_meant
from tests.unit.plugins.module_utils._canary.test_routes import patched
from tests.virtual_services import MATCHES, Seeded, virtual_service

Obj = dict[str, Any]
SEEDS = 120
AIM = Aim("user-service", "shop")


@pytest.fixture(scope="module")
def istio() -> Iterator[Istio]:
    with Istio() as asked:
        yield asked


def run(seed: int, istio: Istio) -> str:
    """One VirtualService through a run; what became of it."""
    draw = Seeded(seed)
    before = virtual_service(draw)
    extra, mirror = draw.pick([None, *MATCHES]), draw.pick([0.0, 10.0])
    copies, refused = route_copies.copies_of(before, AIM, extra, "r1") if extra else ({}, [])
    if routes.find(before, AIM).findings or refused or (mirror and mirrors_elsewhere(before, AIM)):
        return "refused"
    record = records.recorded(before, AIM, copies, mirror)
    during = patched(before, route_patch.patch(before, AIM, 30, record, annotation="run/1"))
    after = patched(during, route_patch.patch(during, AIM, 0, record, annotation=""))
    assert after == before
    try:
        first = sent(istio, before)
    except RejectedError:
        return "rejected"
    second = sent(istio, during)  # what Istio takes before, it takes during
    mirrored = bool(record.mirrors)
    during_bare = without_what_is_meant(second, record.copies, mirrored)
    before_bare = without_what_is_meant(first, (), mirrored)
    assert during_bare.keys() == before_bare.keys()
    for key, found in second.items():
        # A proxy whose requests all match (sourceLabels) needs nothing after the copy, and gets nothing.
        last = bool(found) and any(name in str(found[-1].get("name")) for name in record.copies)
        wanted = before_bare[key][: len(during_bare[key])] if last else before_bare[key]
        assert during_bare[key] == wanted, (seed, key)
        check_copies(found, record)
    return "copied" if copies else "shifted" if record.places else "nothing to shift"


def check_copies(found: list[Obj], record: records.RouteRecord) -> None:
    """A copy leads to the canary alone, and does else what the route after it does."""
    copies = [place.copy for place in record.places if place.copy]
    sources = {str(place.copy["name"]): place.name for place in record.places if place.copy}
    for index, route in enumerate(found):
        name = next((str(copy["name"]) for copy in copies if copy["name"] in str(route.get("name"))), "")
        if not name:
            continue
        assert [cluster.split("|")[2] for cluster in shares(route)] == ["canary"]
        rest = [entry for entry in found[index + 1 :] if name not in str(entry.get("name"))]
        if not rest:
            continue
        assert str(rest[0].get("name") or "").startswith(sources[name])
        assert route.get("typedPerFilterConfig") == rest[0].get("typedPerFilterConfig")
        mine, theirs = copy.deepcopy(route["route"]), copy.deepcopy(rest[0]["route"])
        for part in ("timeout", "retryPolicy", "prefixRewrite", "regexRewrite", "maxStreamDuration"):
            assert mine.get(part) == theirs.get(part), part


def test_proxies_get_what_was_meant(istio: Istio) -> None:
    counted = Counter(run(seed, istio) for seed in range(SEEDS))
    assert counted["rejected"] < SEEDS / 3, counted
    assert min(counted["copied"], counted["shifted"]) > SEEDS / 10, counted
