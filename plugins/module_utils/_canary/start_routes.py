# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a new run records of its routes, and why it cannot copy, mirror or prove them. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._canary import route_copies, route_record
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.findings import (
    Finding,
    FindingCode,
    findings_of,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.observe import Observation
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.route_patch import restored
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.routes import Aim, find, named
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.target import aim_of

Obj = dict[str, Any]


def without_former(observation: Observation, replaced: Mapping[str, Any] | None) -> Observation:
    """What is observed, with the routes as they were before the run that is replaced (its recorded settings)."""
    if not replaced:
        return observation
    aim = aim_of(replaced)
    items = [
        restored(item, aim, route_record.record_for(replaced, item))
        if route_record.key_of(item) in replaced["virtual_services"]
        else item
        for item in observation.virtual_services
    ]
    return dataclasses.replace(observation, virtual_services=items)


def records(
    observation: Observation,
    roots: Sequence[Obj],
    settings: Mapping[str, Any],
    replaced: Mapping[str, Any] | None,
    run: str,
) -> tuple[dict[str, Obj], list[Finding]]:
    """(what a run records of each VirtualService, why it cannot start).

    `observation`: of `without_former`. `roots`: those that delegate to its VirtualServices. `replaced`: the recorded settings of the run
    that this one replaces. `run`: its ID.
    """
    aim, extra, mirror = observation.aim, settings.get("match"), float(settings.get("mirror") or 0)
    findings = findings_of(FindingCode.ROUTE, _not_taken_over(settings, aim, replaced))
    stored: dict[str, Obj] = {}
    copied = 0
    for item in observation.virtual_services:
        copies, refused = route_copies.copies_of(item, aim, extra, run) if extra else ({}, [])
        if not refused:
            refused = route_copies.root_findings(item, aim, roots, copies, extra, mirror)
        copied += len(copies) + len(refused)
        findings += findings_of(FindingCode.ROUTE, refused)
        if mirror:
            findings += findings_of(FindingCode.MIRROR, mirrors_elsewhere(item, aim))
        former = route_record.record_for(replaced or {}, item)
        stored[route_record.key_of(item)] = route_record.recorded(item, aim, copies, mirror, former).as_dict()
    if extra and not copied and observation.virtual_services:
        text = "match: no route to shift takes HTTP requests that match; expected one that does. Correct the option match, or omit it"
        findings.append(Finding(FindingCode.ROUTE, text))
    return stored, findings


def mirrors_elsewhere(virtual_service: Obj, aim: Aim) -> list[str]:
    """Routes that say something about mirrors already. A user's mirror stays, and Istio takes no second one beside `mirror`."""
    return [
        f"{named(virtual_service)}, {place}: has {', '.join(there)} already; expected no mirror. Remove it, omit the option mirror, "
        "or exclude this route with the option routes"
        for place in find(virtual_service, aim).places
        if place.protocol == "http" and (there := route_record.mirror_of(virtual_service["spec"]["http"][place.index]))
    ]


def _not_taken_over(settings: Mapping[str, Any], aim: Aim, replaced: Mapping[str, Any] | None) -> list[str]:
    """Why a run cannot take back what the one that it replaces has written: it shifts other routes."""
    if not replaced:
        return []
    lost = sorted(set(replaced["virtual_services"]) - set(settings["virtual_services"]))
    if not lost and aim_of(replaced) == aim:
        return []
    what = f"VirtualService {', '.join(lost)}" if lost else "other routes, subsets or another port"
    return [
        f"on_new_version: the run under way shifts {what}, which this run would not; expected the same routes. "
        "Roll the run under way back first (rollback.yml)"
    ]


def roots_findings(lost: Sequence[Mapping[str, Any]], settings: Mapping[str, Any]) -> list[Finding]:
    """Why a run cannot start with delegates of which it is not known who delegates to them: copies, mirrors and proofs depend on that."""
    needs = [f"{name}: {why}" for name, why in _NEEDS if settings.get(name)]
    return findings_of(
        FindingCode.ROUTE,
        [
            f"{named(item)}: has no hosts, so others delegate to it, and the right to list VirtualServices of all namespaces is missing "
            f"({'; '.join(needs)}). Grant the right, name the VirtualService that delegates to it in virtual_services as well, or omit "
            f"{' and '.join(name for name, _why in _NEEDS if settings.get(name))}"
            for item in lost
            if needs
        ],
    )


_NEEDS = (
    ("match", "what a copy of a route does below it is unknown"),
    ("mirror", "what a mirror does below it is unknown"),
    ("proof_samples", "which Gateways have its routes is unknown"),
)
