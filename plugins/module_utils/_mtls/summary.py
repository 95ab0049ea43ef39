# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Summaries of workloads and namespaces. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.assemble import Snapshot
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.compliance import other_ports
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.engine import Engine
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.model import Mode, Proxy
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.verdict import (
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
                    mode = engine.cells.accepts(point, port.number).mode
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
        unclear = unread or config.unclear or engine.policies.doubt(config, name, None)
        mesh_policy, own = engine.policies.broad(config, name)
        decides = own if own and own.mode else mesh_policy if mesh_policy and mesh_policy.mode else None
        labels = snapshot.namespace_labels.get(name) or {}
        found.append(
            {
                "namespace": name,
                "mode": str(Mode.UNKNOWN if unclear else engine.policies.namespace_mode(config, name)),
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
