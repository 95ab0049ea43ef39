# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Summaries of workloads and namespaces, and what would break if a namespace or the mesh were STRICT. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.assemble import Snapshot
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.compliance import other_ports
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.engine import Engine
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.model import (
    Endpoint,
    Mesh,
    Mode,
    Policy,
    Proxy,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.verdict import (
    ANYBODY,
    WITHOUT_SIDECAR,
    Call,
    Verdict,
)


def workloads(engine: Engine, namespaces: Collection[str] = ()) -> list[dict[str, Any]]:
    """One entry for each workload and kind of proxy: a workload has two when some of its pods have no sidecar."""
    offered: dict[int, dict[int, str]] = {}
    for service in engine.mesh.services:
        for port in service.ports:
            for point in port.endpoints:
                if point.group is not None:
                    mode = engine.accepts(point, port.number).mode
                    offered.setdefault(point.group, {})[point.port] = str(mode)
    found = []
    for index, group in enumerate(engine.mesh.groups):
        if namespaces and group.namespace not in namespaces:
            continue
        judged = group.meshed and group.kind in (Proxy.SIDECAR, Proxy.AMBIENT)
        config = engine.mesh.config_of(group)
        broad = engine.policies.mode(config, group.namespace, group.labels, 0) if judged else None
        found.append(
            {
                "workload": group.key,
                "namespace": group.namespace,
                "pods": group.count,
                "proxy": str(group.kind if group.meshed else Proxy.NONE),
                "why": str(group.why),
                "revision": group.revision,
                "service_account": group.service_account,
                "mode": str(other_ports(engine, group)[0]) if judged else "",
                "policy": broad.policy if broad else "",
                "ports": {str(port): mode for port, mode in sorted(offered.get(index, {}).items())},
            }
        )
    return sorted(found, key=lambda entry: (entry["workload"], entry["proxy"], str(entry["ports"])))


def namespaces(
    snapshot: Snapshot, engine: Engine, calls: Iterable[Call], only: Collection[str] = ()
) -> list[dict[str, Any]]:
    """One entry for each namespace: its mode, its pods with and without a proxy, and how often each verdict is given."""
    counts: dict[str, Counter[Verdict]] = {}
    open_ports: Counter[str] = Counter()
    for call in calls:
        name = call.namespace
        if call.client == WITHOUT_SIDECAR:
            open_ports[name] += call.verdict is not Verdict.BROKEN
        else:
            counts.setdefault(name, Counter())[call.verdict] += 1
    pods: dict[str, Counter[bool]] = {}
    for group in engine.mesh.groups:
        pods.setdefault(group.namespace, Counter())[group.meshed] += group.count
    config, unread = engine.mesh.config, "PeerAuthentication" in engine.mesh.missing
    found = []
    for name in sorted({*engine.mesh.namespaces, *counts, *pods}):
        if only and name not in only:
            continue
        mesh_policy, own = engine.policies.broad(config, name)
        decides = own if own and own.mode else mesh_policy if mesh_policy and mesh_policy.mode else None
        labels = snapshot.namespace_labels.get(name) or {}
        found.append(
            {
                "namespace": name,
                "mode": str(
                    Mode.UNKNOWN if unread or not config.known else engine.policies.namespace_mode(config, name)
                ),
                "policy": decides.key if decides else "",
                "injection": labels.get("istio-injection")
                or labels.get("istio.io/rev")
                or labels.get("istio.io/dataplane-mode")
                or "",
                "pods": sum(pods.get(name, Counter()).values()),
                "pods_without_proxy": pods.get(name, Counter())[False],
                "ports_open_to_plaintext": open_ports[name],
                "verdicts": {str(verdict): counts.get(name, Counter())[verdict] for verdict in Verdict},
            }
        )
    return found


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
