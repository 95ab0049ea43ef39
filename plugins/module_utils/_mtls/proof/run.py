# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Chooses the pods that are asked and called, within the limits of the options, and puts their proofs on the calls."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._kube.client import Client as Kube
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import KubeError
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.client import Client
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.engine import Engine
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.findings import (
    About,
    Finding,
    finding,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.model import (
    Group,
    Port,
    Proxy,
    Service,
    ServiceKind,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parse.pod import PROXY_CONTAINER
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.proof.calls import ProbePod, Target
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.proof.listener import expected_identity
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.proof.proxies import (
    Probe,
    ask,
    certificate_rows,
    findings,
    ports_of,
    sample,
    with_listeners,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.proof.wire import Seen, proved
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.result import Judged
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.rules import CheckCode
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.sidecars import scope_of
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.verdict import (
    ANYBODY,
    WITHOUT_SIDECAR,
    Call,
    Proof,
)

_CALLS_EACH = 3  # calls on the wire to one pod: plain text, with a certificate, and meshed
_IDENTITY_LABELS = {"app": "mtls-probe"}


@dataclass(frozen=True, slots=True)
class Proofs:
    """Calls with their proofs, and everything else that was found. `probe_calls` are the rows of the calls on the wire."""

    calls: list[Call]
    findings: list[Finding]
    certificates: list[dict[str, Any]]
    probe_calls: list[dict[str, Any]]
    stats: dict[str, Any]


def prove(kube: Kube, params: Mapping[str, Any], judged: Judged) -> Proofs:
    """Asks proxies and makes calls on the wire, as option `probes` says."""
    engine, snapshot = judged.engine, judged.snapshot
    groups, trust_domain = engine.mesh.groups, engine.mesh.config.trust_domain
    start = time.monotonic()
    computed = ports_of(engine, judged.calls)
    chosen = sample(snapshot.pods, groups, set(computed), params["samples"], params["max_pods"])
    answers = []
    if {Probe.LISTENER, Probe.CERTIFICATES} & set(params["probes"]):
        answers = ask(kube, chosen, computed, groups, params["probes"], params["patience"])
    calls = with_listeners(engine, judged.calls, answers)
    found = findings(answers, groups, trust_domain)
    asked = time.monotonic()
    seen: list[Seen] = []
    if Probe.CALLS in params["probes"]:
        calls, seen, more = _called(kube, params, judged, calls)
        found += more
    stats = {
        "proxies_asked": len(answers),
        "probe_calls": _CALLS_EACH * len(seen),
        "ask_seconds": round(asked - start, 3),
        "call_seconds": round(time.monotonic() - asked, 3),
    }
    rows = [entry.as_dict() for entry in seen]
    return Proofs(calls, found, certificate_rows(answers, groups, trust_domain), rows, stats)


def _called(
    kube: Kube, params: Mapping[str, Any], judged: Judged, calls: list[Call]
) -> tuple[list[Call], list[Seen], list[Finding]]:
    """Calls with what calls on the wire prove, what these showed, and findings."""
    targets = _targets(judged, calls, params["max_calls"] // _CALLS_EACH)
    if not targets:
        return calls, [], []
    namespace = params["probe_namespace"] or _namespace_of(judged.engine, targets)
    seen: list[Seen] = []
    found: list[Finding] = []
    try:
        image, pull = _image(kube, judged, params["probe_image"])
        with ProbePod(kube, namespace, image, pull, params["deadline"], params["probe_labels"]) as probe:
            for target in targets:
                begin = time.monotonic()
                seen.append(probe.see(target, params["paths"].get(target.service, "/")))
                time.sleep(max(0.0, _CALLS_EACH / params["rate"] - (time.monotonic() - begin)))
    except KubeError as error:
        where = f"Probe in namespace {namespace}"
        found.append(finding(CheckCode.UNPROVED, where, f"{error} Calls that were not made prove nothing."))
    labels = {**_IDENTITY_LABELS, **params["probe_labels"]}
    proofs, refuted = _proved(judged.engine, _caller(judged.engine, namespace, labels), calls, seen)
    found += refuted
    for entry in seen:
        if entry.note:
            where = f"Service {entry.service} port {entry.port}"
            found.append(finding(CheckCode.UNPROVED, where, entry.note, about=About.CALL))
    return proofs, seen, found


def _proved(
    engine: Engine, caller: Client, calls: Sequence[Call], seen: Sequence[Seen]
) -> tuple[list[Call], list[Finding]]:
    """Calls with the proofs of `seen`, and findings where the probe's own call contradicts the verdict on it."""
    by_port = {(s.key, p.number): (s, p) for s in engine.mesh.services for p in s.ports}
    proofs: list[Call] = []
    found: list[Finding] = []
    for call in calls:
        if call.client == WITHOUT_SIDECAR:
            proofs.append(proved(call, seen))
        elif call.client == ANYBODY and (call.service, call.port) in by_port:
            own = engine.judge(caller, ANYBODY, *by_port[(call.service, call.port)])
            decided = (call.client_mode, call.client_policy, call.verdict)
            if (own.client_mode, own.client_policy, own.verdict) == decided:
                proofs.append(proved(call, seen))
            else:  # the probe's namespace has a DestinationRule of its own, so its call proves nothing about others
                proofs.append(call)
                found += _refuted(proved(own, seen), caller.namespace)
        else:
            proofs.append(call)
    return proofs, found


def _refuted(call: Call, namespace: str) -> list[Finding]:
    if call.proof is not Proof.VIOLATED:
        return []
    message = f"client in namespace {namespace}: {call.evidence}"
    concerns = frozenset({call.namespace})
    return [finding(CheckCode.VIOLATED, call.object, message, about=About.CALL, concerns=concerns)]


def _targets(judged: Judged, calls: Sequence[Call], most: int) -> list[Target]:
    """One pod of each group behind each reported service port, `most` in all, without gateways.

    Where something is demanded, only services of those namespaces are called: services that are not demanded get no calls.
    """
    engine, snapshot, demanded = judged.engine, judged.snapshot, judged.wanted
    wanted = {
        (call.service, call.port)
        for call in calls
        if call.client in (ANYBODY, WITHOUT_SIDECAR) and (not demanded.levels or demanded.level(call.namespace))
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
                and service.kind in (ServiceKind.SERVICE, ServiceKind.HEADLESS)
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
        if group.kind not in (Proxy.SIDECAR, Proxy.NONE):
            continue
        pod = first[point.group]
        trust_domain = engine.mesh.config_of(group).trust_domain
        identity = expected_identity(trust_domain, group.namespace, group.service_account) if group.meshed else ""
        target = Target(service.key, service.host, port.number, "/".join(pod), addresses[pod], point.port, identity)
        found.append(target)
    return found


def _namespace_of(engine: Engine, targets: Sequence[Target]) -> str:
    """Where the probe runs by default: the first namespace of a target that has sidecars, else the first of all that has."""
    meshed = sorted({group.namespace for group in engine.mesh.groups if group.kind is Proxy.SIDECAR and group.meshed})
    own = [target.service.partition("/")[0] for target in targets]
    return next((name for name in own if name in meshed), meshed[0] if meshed else own[0])


def _image(kube: Kube, judged: Judged, given: str) -> tuple[str, str]:
    """The probe's image and pull policy: by default those of a running sidecar, which are on the nodes already."""
    if given:
        return given, "IfNotPresent"
    for (namespace, name), index in sorted(judged.snapshot.pods.items()):
        if judged.engine.mesh.groups[index].kind is Proxy.SIDECAR:
            pod = kube.get(f"/api/v1/namespaces/{namespace}/pods/{name}") or {}
            spec = pod.get("spec") or {}
            for container in [*(spec.get("containers") or []), *(spec.get("initContainers") or [])]:
                if container.get("name") == PROXY_CONTAINER:
                    return str(container["image"]), str(container.get("imagePullPolicy") or "IfNotPresent")
    raise KubeError(
        "No pod with a sidecar is running, so the probe has no image. Set probe_image, or start a workload of the mesh."
    )


def _caller(engine: Engine, namespace: str, labels: Mapping[str, str]) -> Client:
    """The probe as a client of the engine."""
    config = engine.mesh.config
    scope = scope_of(engine.scopes, config, Group(namespace, "mtls-probe", labels, Proxy.SIDECAR))
    return replace(engine.anybody, namespace=namespace, labels=labels, kind=Proxy.SIDECAR, config=config, scope=scope)
