# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which pods are asked and called, in what measure, and what the answers make of the calls."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._kube.client import Client as Kube
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import KubeError
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.client import Client
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.engine import Engine
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.findings import ERROR, WARNING, Finding
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.model import Group, Port, Service
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.proof.calls import Probe, Target
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.proof.listener import expected_identity
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.proof.proxies import (
    CALLS,
    CERTS,
    LISTENER,
    ask,
    certificate_rows,
    findings,
    ports_of,
    sample,
    with_listeners,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.proof.wire import Seen, proved
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.result import Judged
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.server import scope_of
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.verdict import ANYBODY, WITHOUT_SIDECAR, Call

_IDENTITY_LABELS = {"app": "mtls-probe"}


@dataclass(frozen=True, slots=True)
class Proofs:
    """Calls with their proofs, and what else was found."""

    calls: list[Call]
    findings: list[Finding]
    certificates: list[dict[str, Any]]
    probe_calls: list[dict[str, Any]]
    stats: dict[str, Any]


def prove(kube: Kube, params: Mapping[str, Any], judged: Judged) -> Proofs:
    """Asks proxies and makes calls, as far as options tell."""
    engine, snapshot = judged.engine, judged.snapshot
    groups, trust_domain = engine.mesh.groups, engine.mesh.config.trust_domain
    start = time.monotonic()
    computed = ports_of(engine, judged.calls)
    chosen = sample(snapshot.pods, groups, set(computed), params["samples"], params["max_pods"])
    answers = []
    if {LISTENER, CERTS} & set(params["probes"]):
        answers = ask(kube, chosen, computed, groups, params["probes"], params["patience"])
    calls = with_listeners(engine, judged.calls, answers)
    found = findings(answers, groups, trust_domain)
    asked = time.monotonic()
    seen: list[Seen] = []
    if CALLS in params["probes"]:
        calls, seen, more = _called(kube, params, judged, calls)
        found += more
    stats = {
        "proxies_asked": len(answers),
        "probe_calls": 3 * len(seen),
        "ask_seconds": round(asked - start, 3),
        "call_seconds": round(time.monotonic() - asked, 3),
    }
    rows = [entry.as_dict() for entry in seen]
    return Proofs(calls, found, certificate_rows(answers, groups, trust_domain), rows, stats)


def _called(
    kube: Kube, params: Mapping[str, Any], judged: Judged, calls: list[Call]
) -> tuple[list[Call], list[Seen], list[Finding]]:
    engine = judged.engine
    targets = _targets(judged, calls, params["max_calls"] // 3)
    if not targets:
        return calls, [], []
    namespace = params["probe_namespace"] or _namespace_of(engine, targets)
    labels = {**_IDENTITY_LABELS, **params["probe_labels"]}
    found: list[Finding] = []
    seen: list[Seen] = []
    try:
        image, pull = _image(kube, judged, params["probe_image"])
        with Probe(kube, namespace, image, pull, params["deadline"], params["probe_labels"]) as probe:
            for target in targets:
                begin = time.monotonic()
                seen.append(probe.see(target, params["paths"].get(target.service, "/")))
                time.sleep(max(0.0, 3 / params["rate"] - (time.monotonic() - begin)))
    except KubeError as error:
        found.append(
            Finding(WARNING, "unproved", f"Probe in namespace {namespace}", str(error), "Nothing was proved by calls.")
        )
    caller = _caller(engine, namespace, labels)
    by_port = {(s.key, p.number): (s, p) for s in engine.mesh.services for p in s.ports}
    judged_calls = []
    for call in calls:
        if call.client == WITHOUT_SIDECAR:
            judged_calls.append(proved(call, seen))
        elif call.client == ANYBODY and (call.service, call.port) in by_port:
            service, port = by_port[(call.service, call.port)]
            own = engine.judge(caller, ANYBODY, service, port)
            if (own.client_mode, own.client_policy, own.verdict) == (
                call.client_mode,
                call.client_policy,
                call.verdict,
            ):
                judged_calls.append(proved(call, seen))
            else:  # the probe's own namespace has a rule: its call speaks for itself only
                judged_calls.append(call)
                found += _refuted(proved(own, seen), namespace)
        else:
            judged_calls.append(call)
    found += [Finding(WARNING, "unproved", f"Service {s.service} port {s.port}", s.note) for s in seen if s.note]
    return judged_calls, seen, found


def _refuted(call: Call, namespace: str) -> list[Finding]:
    if call.proof != "violated":
        return []
    return [
        Finding(
            ERROR,
            "violated",
            f"Service {call.service} port {call.port}",
            f"client in namespace {namespace}: {call.evidence}",
        )
    ]


def _targets(judged: Judged, calls: Sequence[Call], most: int) -> list[Target]:
    """One pod of each group behind each reported service port, `most` in all; gateways speak for themselves.

    Where something is demanded, only that is called: nobody else's services get calls that they did not ask for.
    """
    engine, snapshot, demanded = judged.engine, judged.snapshot, judged.wanted
    wanted = {
        (call.service, call.port)
        for call in calls
        if call.client in (ANYBODY, WITHOUT_SIDECAR)
        and (not demanded.levels or demanded.level(call.service.partition("/")[0]))
    }
    first: dict[int, tuple[str, str]] = {}
    for pod, index in sorted(snapshot.pods.items()):
        if pod in snapshot.addresses:
            first.setdefault(index, pod)
    found = []
    for service in engine.mesh.services:
        for port in service.ports:
            if (
                (service.key, port.number) in wanted
                and service.kind in ("service", "headless")
                and port.protocol == "TCP"
            ):
                found += _targets_of(engine, service, port, first, snapshot.addresses)
    return sorted(found, key=lambda target: (target.service, target.number, target.pod))[:most]


def _targets_of(
    engine: Engine,
    service: Service,
    port: Port,
    first: Mapping[int, tuple[str, str]],
    addresses: Mapping[tuple[str, str], str],
) -> list[Target]:
    found = []
    for point in port.endpoints:
        if point.group is None or point.group not in first:
            continue
        group = engine.mesh.groups[point.group]
        if group.kind not in ("sidecar", "none"):
            continue
        pod = first[point.group]
        trust_domain = engine.mesh.config_of(group).trust_domain
        identity = expected_identity(trust_domain, group.namespace, group.service_account) if group.meshed else ""
        target = Target(service.key, service.host, port.number, "/".join(pod), addresses[pod], point.port, identity)
        found.append(target)
    return found


def _namespace_of(engine: Engine, targets: Sequence[Target]) -> str:
    """Where the probe runs when nobody says: the first namespace among the targets' with sidecars, else any with some."""
    meshed = sorted({group.namespace for group in engine.mesh.groups if group.kind == "sidecar" and group.meshed})
    own = [target.service.partition("/")[0] for target in targets]
    return next((name for name in own if name in meshed), meshed[0] if meshed else own[0])


def _image(kube: Kube, judged: Judged, given: str) -> tuple[str, str]:
    """The probe's image and pull policy: by default those of a running sidecar, which are on the nodes already."""
    if given:
        return given, "IfNotPresent"
    for (namespace, name), index in sorted(judged.snapshot.pods.items()):
        if judged.engine.mesh.groups[index].kind == "sidecar":
            pod = kube.get(f"/api/v1/namespaces/{namespace}/pods/{name}") or {}
            spec = pod.get("spec") or {}
            for container in [*(spec.get("containers") or []), *(spec.get("initContainers") or [])]:
                if container.get("name") == "istio-proxy":
                    return str(container["image"]), str(container.get("imagePullPolicy") or "IfNotPresent")
    raise KubeError(
        "No pod with a sidecar runs, so there is no mesh to call from. Set probe_image, or start a workload."
    )


def _caller(engine: Engine, namespace: str, labels: Mapping[str, str]) -> Client:
    """What the engine takes the probe for."""
    config = engine.mesh.config
    scope = scope_of(engine.scopes, config, Group(namespace, "mtls-probe", labels, "sidecar"))
    return replace(engine.anybody, namespace=namespace, labels=labels, kind="sidecar", config=config, scope=scope)
