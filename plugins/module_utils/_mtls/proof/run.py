# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Chooses the pods that are asked and called, within the limits of the options, and puts their proofs on the calls."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._kube.client import Client as Kube
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import KubeError
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.assemble import Located, Snapshot
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.client import Client
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.engine import Engine
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.findings import About, Finding, finding, some
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.model import Port, Proxy, Service, ServiceKind
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parse.pod import PROXY_CONTAINER
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parse.pod import pod as reduced
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.proof.calls import ProbePod
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.proof.evidence import Seen, proved, unreached
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.proof.kinds import (
    Atlas,
    Kinds,
    PodKey,
    caller,
    differs,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.proof.proxies import (
    Probe,
    ask,
    certificate_rows,
    findings,
    ports_of,
    sample,
    with_listeners,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.proof.reach import EACH, Heard, Reach
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.result import Judged
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.rules import CheckCode
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.verdict import (
    ANYBODY,
    WITHOUT_SIDECAR,
    Call,
    Proof,
)

_CALLED = (ServiceKind.SERVICE, ServiceKind.HEADLESS)


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
    called = _Called(calls)
    if Probe.CALLS in params["probes"]:
        called = _called(kube, params, judged, calls)
    stats = {
        "proxies_asked": len(answers),
        "probe_calls": called.made,
        "ask_seconds": round(asked - start, 3),
        "call_seconds": round(time.monotonic() - asked, 3),
    }
    rows = [entry.as_dict() for entry in called.rows]
    certificates = certificate_rows(answers, groups, trust_domain)
    return Proofs(called.calls, [*found, *called.findings], certificates, rows, stats)


@dataclass(frozen=True, slots=True)
class _Called:
    """Calls with what calls on the wire prove, what these showed, findings, and how many were made."""

    calls: list[Call]
    rows: list[Seen] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    made: int = 0


def _called(kube: Kube, params: Mapping[str, Any], judged: Judged, calls: list[Call]) -> _Called:
    """Starts the probe and makes the calls."""
    wanted = _wanted(judged, calls)
    if params["max_calls"] < EACH:
        return _Called(_with_reasons(judged, calls, {}, "max_calls"))
    if not any(spot.address for kinds in wanted for spot in kinds.spots):
        return _Called(_with_reasons(judged, calls, {}, "no call can be made"))
    engine = judged.engine
    namespace = params["probe_namespace"] or _namespace_of(engine, wanted)
    heard: list[Heard] = []
    found: list[Finding] = []
    reach: Reach | None = None
    pod: Mapping[str, Any] = {}
    try:
        image, pull = _image(kube, judged, params["probe_image"])
        with ProbePod(kube, namespace, image, pull, params["deadline"], params["probe_labels"]) as probe:
            pod = probe.found
            client = caller(engine, pod)
            reach = Reach(probe, params["max_calls"], Pace(params["rate"]), params["paths"])
            called = reach.all([(kinds, engine.cells.of(client, kinds.service, kinds.port)) for kinds in wanted])
            heard = _checked(kube, judged.snapshot, called)
    except KubeError as error:
        where = f"Probe in namespace {namespace}"
        found.append(finding(CheckCode.UNPROVED, where, f"{error} Calls that were not made prove nothing."))
    made = reach.made if reach else 0
    if not heard:
        return _Called(_with_reasons(judged, calls, {}, "the probe could not call"), [], found, made)
    calls, more = with_calls(judged, calls, heard, pod)
    rows = [row for entry in heard for row in entry.rows()]
    return _Called(calls, rows, [*found, *more, *_of_limits(heard)], made)


class Pace:
    """Waits until the next call may be made, when it is called after each one. `rate` is in calls per second."""

    def __init__(self, rate: float) -> None:
        self._each, self._last = 1 / rate, time.monotonic()

    def __call__(self) -> None:
        time.sleep(max(0.0, self._last + self._each - time.monotonic()))
        self._last = time.monotonic()


def with_calls(
    judged: Judged, calls: Sequence[Call], heard: Sequence[Heard], pod: Mapping[str, Any]
) -> tuple[list[Call], list[Finding]]:
    """Calls with what calls on the wire prove, and findings where the probe's own call contradicts what was computed for it.

    `pod` is the probe as it ran. It speaks for the callers of `*` only where its own calls are theirs.
    """
    engine = judged.engine
    by_port = {entry.kinds.id: entry for entry in heard}
    client = caller(engine, pod)
    proofs: dict[tuple[str, str, int], Call] = {}
    found: list[Finding] = []
    for call in calls:
        entry = by_port.get((call.service, call.port))
        if entry is None:
            continue
        service, port = entry.kinds.service, entry.kinds.port
        if call.client == WITHOUT_SIDECAR:
            parts = entry.kinds.parts(engine.cells.plain(service, port), entry.over)
            proofs[call.id] = proved(call, parts, entry.rows(), entry.foreign)
        elif call.client == ANYBODY:
            parts = entry.kinds.parts(engine.cells.of(client, service, port), entry.over)
            other = _unlike(engine, client, pod, service, port)
            if not other:
                proofs[call.id] = proved(call, parts, entry.rows(), entry.foreign)
            else:
                proofs[call.id] = unreached(call, f"{other}, so its calls prove nothing about those of others")
                own = proved(engine.judge(client, ANYBODY, service, port), parts, entry.rows())
                found += _refuted(own, client.namespace)
    return _with_reasons(judged, calls, proofs, ""), found


def _unlike(engine: Engine, client: Client, pod: Mapping[str, Any], service: Service, port: Port) -> str:
    """Why the probe's calls are not those of `*`, empty when they are."""
    if engine.cells.elsewhere(
        client, service, port
    ):  # the probe counts what goes to the service that it calls, which is not all of it
        return "a VirtualService sends the call, or copies of it, elsewhere"
    revision = reduced(pod).group.revision
    if revision not in ("", engine.mesh.config.revision, *engine.mesh.configs):
        return f"the probe belongs to revision {revision}, whose MeshConfig was not read"
    return differs(engine, client, service, port)


def _with_reasons(
    judged: Judged, calls: Sequence[Call], proofs: Mapping[tuple[str, str, int], Call], why: str
) -> list[Call]:
    """Calls with their proofs, and why the others have none by calls."""
    kinds = {service.key: service.kind for service in judged.engine.mesh.services}
    return [
        proofs.get(call.id) or unreached(call, _reason(judged, call, kinds.get(call.service), why)) for call in calls
    ]


def _reason(judged: Judged, call: Call, kind: ServiceKind | None, why: str) -> str:
    """Why a call was not proved by calls at all. `why` holds where nothing else does."""
    if call.client not in (ANYBODY, WITHOUT_SIDECAR):
        return f"the probe is not {call.client}"
    if not _demands(judged, call):
        return f"nothing is demanded of namespace {call.namespace}"
    if kind not in _CALLED:
        return "only Kubernetes Services with pods or addresses are called"
    return why or "the port takes no TCP, or has no endpoints"


def _refuted(call: Call, namespace: str) -> list[Finding]:
    if call.proof is not Proof.VIOLATED:
        return []
    message = f"client in namespace {namespace}: {call.evidence}"
    concerns = frozenset({call.namespace})
    return [finding(CheckCode.VIOLATED, call.object, message, about=About.CALL, concerns=concerns)]


def _of_limits(heard: Sequence[Heard]) -> list[Finding]:
    """Findings of calls that could not be made, and of kinds of endpoints that none reached."""
    found: list[Finding] = []
    for entry in heard:
        service, number = entry.kinds.id
        where = f"Service {service} port {number}"
        notes = [row.note for row in entry.rows() if row.note]
        notes += [entry.stopped] if entry.stopped else []
        found += [finding(CheckCode.UNPROVED, where, note, about=About.CALL) for note in dict.fromkeys(notes)]
    over = [
        f"{spot.name} of {entry.kinds.service.key}"
        for entry in heard
        for spot in entry.kinds.spots
        if spot.key in entry.over
    ]
    if over:
        message = f"max_calls left no call for {len(over)} kinds of endpoints: {some(over)}"
        found.append(finding(CheckCode.UNPROVED, "Calls", message, change="Raise max_calls."))
    return found


def _checked(kube: Kube, snapshot: Snapshot, heard: list[Heard]) -> list[Heard]:
    """Marks pods that are not the ones any more that were read, or that end: another pod may have answered at their addresses."""

    def stays(pod: PodKey) -> bool:
        namespace, name = pod
        query = {"fieldSelector": f"metadata.name={name}"}
        found = kube.get(f"/api/v1/namespaces/{namespace}/pods", query=query) or {}
        return any(same_pod(entry, snapshot.located[pod]) for entry in found.get("items") or [])

    pods = sorted({pod for entry in heard for pod in entry.pods})
    changed = frozenset(pod for pod, stayed in zip(pods, kube.each(stays, pods), strict=True) if not stayed)
    for entry in heard:
        entry.changed = changed
    return heard


def same_pod(obj: Mapping[str, Any], known: Located) -> bool:
    """Whether a pod is the one that was read, still has its addresses, and does not end."""
    now = reduced(obj)
    return now.uid == known.uid and now.ips == known.addresses and not obj["metadata"].get("deletionTimestamp")


def _demands(judged: Judged, call: Call) -> bool:
    """Where something is demanded, only services of those namespaces are called."""
    return not judged.wanted.levels or bool(judged.wanted.level(call.namespace))


def _wanted(judged: Judged, calls: Sequence[Call]) -> list[Kinds]:
    """The service ports that are called, with their kinds of endpoints."""
    wanted = {
        (call.service, call.port)
        for call in calls
        if call.client in (ANYBODY, WITHOUT_SIDECAR) and _demands(judged, call)
    }
    atlas = Atlas(judged.engine, judged.snapshot)
    found = [
        atlas.kinds(service, port)
        for service in judged.engine.mesh.services
        for port in service.ports
        if (service.key, port.number) in wanted and service.kind in _CALLED and port.protocol == "TCP"
    ]
    return sorted((kinds for kinds in found if kinds.spots), key=lambda kinds: kinds.id)


def _namespace_of(engine: Engine, wanted: Sequence[Kinds]) -> str:
    """Where the probe runs by default: the first namespace of a called service that has sidecars, else the first of all that has."""
    meshed = sorted({group.namespace for group in engine.mesh.groups if group.kind is Proxy.SIDECAR and group.meshed})
    own = [kinds.service.namespace for kinds in wanted]
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
