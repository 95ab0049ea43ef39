# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What would break if a namespace or the mesh were STRICT. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.engine import Engine
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.model import Endpoint, Mesh, Mode, Policy
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.verdict import (
    ANYBODY,
    WITHOUT_SIDECAR,
    Call,
    Verdict,
)


def made_strict(mesh: Mesh, names: Collection[str], whole_mesh: bool) -> Mesh:
    """The mesh with mode STRICT in the policies of namespaces, or of the mesh. A policy that is not there is added."""
    places = [*names, *([mesh.config.root_namespace] if whole_mesh else [])]
    policies = sorted(mesh.policies, key=lambda entry: entry.age)
    for place in dict.fromkeys(places):
        index = next((n for n, p in enumerate(policies) if p.namespace == place and not p.selector), None)
        if index is None:
            policies.append(Policy(place, "what-if", mode=Mode.STRICT))
        else:
            policies[index] = replace(policies[index], mode=Mode.STRICT)
    return replace(mesh, policies=tuple(policies))


def what_if(engine: Engine, calls: Iterable[Call], names: Collection[str], whole_mesh: bool) -> dict[str, Any]:
    """What would break if namespaces or the mesh were STRICT.

    `breaks` are calls of meshed callers, those to services that are hidden from them included; `refuses` are service ports that would start
    to refuse callers without a sidecar, and `callers` the workloads that have none. `probes` are requests of the kubelet that would fail.
    """
    strict = Engine(made_strict(engine.mesh, names, whole_mesh))
    before = {call.id: call for call in engine.hidden_calls()} | {call.id: call for call in calls}
    later = {call.id: call for call in strict.hidden_calls()} | {call.id: call for call in strict.calls()}

    def of(found: dict[tuple[str, str, int], Call], key: tuple[str, str, int]) -> Call | None:
        return found.get(key) or found.get((ANYBODY, *key[1:]))

    breaks: list[dict[str, Any]] = []
    refuses: list[dict[str, Any]] = []
    for key in sorted({*before, *later}):
        old, new = of(before, key), of(later, key)
        if old is None or new is None or new.verdict is not Verdict.BROKEN or old.verdict is Verdict.BROKEN:
            continue
        entry = {**replace(new, client=key[0]).as_dict(), "was": str(old.verdict)}
        (refuses if key[0] == WITHOUT_SIDECAR else breaks).append(entry)
    callers = sorted({group.key for group in engine.mesh.groups if not group.meshed})
    return {
        "namespaces": sorted(names),
        "mesh": whole_mesh,
        "breaks": breaks,
        "refuses": [{"service": entry["service"], "port": entry["port"], "was": entry["was"]} for entry in refuses],
        "callers": callers,
        "probes": _refused_probes(engine, strict),
    }


def _refused_probes(engine: Engine, strict: Engine) -> list[dict[str, Any]]:
    """Requests of the kubelet, which has no sidecar, that a port would start to refuse."""
    found = []
    for index, group in enumerate(engine.mesh.groups):
        for port, probe in sorted(group.probes):
            old, new = (one.accepts(Endpoint(port, index), port).mode for one in (engine, strict))
            if new is Mode.STRICT and old is not Mode.STRICT:
                found.append({"workload": group.key, "port": port, "probe": probe, "was": str(old)})
    return sorted(found, key=lambda entry: (entry["workload"], entry["port"], entry["probe"]))
