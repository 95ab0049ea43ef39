# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks a sample of proxies for the inbound listener that they run and the certificate that they have. It only reads."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from enum import StrEnum
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._kube.client import Client
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.pods import PodError, admin_json
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.engine import Engine
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.findings import Finding, finding
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.model import Group, Mode, Proxy
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.proof.listener import (
    CERTIFICATES,
    LISTENERS,
    Certificate,
    certificate,
    expected_identity,
    inbound_chains,
    mode_of_port,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.rules import CheckCode
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.verdict import Call, Proof, Verdict

_NOT_LISTENED = frozenset({Mode.NOT_ENFORCED, Mode.UNKNOWN})  # modes that a listener cannot confirm
_PAUSE = 0.5  # seconds before a listener that does not run the computed modes yet is read again


class Probe(StrEnum):
    """What a proof is made with."""

    LISTENER = "listener"
    CERTIFICATES = "certificates"
    CALLS = "calls"


@dataclass(frozen=True, slots=True)
class Asked:
    """The answer of one proxy. `modes` are by container port. `error` is why it could not be asked, `right` the right that is missing."""

    pod: str
    group: int
    modes: Mapping[int, Mode]
    certificate: Certificate | None = None
    error: str = ""
    right: str = ""


def sample(
    pods: Mapping[tuple[str, str], int], groups: Sequence[Group], wanted: set[int], size: int, most: int
) -> list[tuple[str, str, int]]:
    """(namespace, pod, group) of up to `size` pods of each group with a proxy, `most` in all, in a fixed order."""
    taken: dict[int, int] = {}
    found = []
    for (namespace, name), index in sorted(pods.items()):
        if index in wanted and groups[index].kind in (Proxy.SIDECAR, Proxy.GATEWAY) and taken.get(index, 0) < size:
            taken[index] = taken.get(index, 0) + 1
            found.append((taken[index], namespace, name, index))
    # One of each group before a second of any.
    return [(namespace, name, index) for _rank, namespace, name, index in sorted(found)[:most]]


def ports_of(engine: Engine, calls: Sequence[Call]) -> dict[int, dict[int, Mode]]:
    """Group -> container port -> computed mode, for the services of some calls."""
    keys = {(call.service, call.port) for call in calls}
    found: dict[int, dict[int, Mode]] = {}
    for service in engine.mesh.services:
        for port in service.ports:
            for point in port.endpoints if (service.key, port.number) in keys else ():
                if point.pods is not None:
                    found.setdefault(point.pods, {})[point.port] = engine.cells.accepts(point, port.number).mode
    return found


def ask(
    client: Client,
    chosen: Sequence[tuple[str, str, int]],
    computed: Mapping[int, Mapping[int, Mode]],
    groups: Sequence[Group],
    probes: Sequence[str],
    patience: float,
) -> list[Asked]:
    """Answers of proxies. One that does not run the computed modes yet is asked again for `patience` seconds: istiod may be pushing."""

    def one(entry: tuple[str, str, int]) -> Asked:
        namespace, name, index = entry
        modes: dict[int, Mode] = {}
        try:
            if Probe.LISTENER in probes and groups[index].kind is Proxy.SIDECAR:
                modes = _modes(client, namespace, name, computed.get(index, {}), patience)
            found = None
            if Probe.CERTIFICATES in probes:
                answer = admin_json(client, namespace, name, CERTIFICATES)
                found = certificate(answer, datetime.now(timezone.utc))  # noqa: UP017
        except PodError as error:
            return Asked(f"{namespace}/{name}", index, modes, None, str(error), error.right)
        return Asked(f"{namespace}/{name}", index, modes, found)

    return client.each(one, chosen)


def _modes(client: Client, namespace: str, name: str, computed: Mapping[int, Mode], patience: float) -> dict[int, Mode]:
    end = time.monotonic() + patience
    while True:
        chains = inbound_chains(admin_json(client, namespace, name, LISTENERS))
        modes = {port: mode_of_port(chains, port) for port in computed}
        wrong = any(modes[port] is not mode for port, mode in computed.items() if mode not in _NOT_LISTENED)
        if not wrong or time.monotonic() > end:
            return modes
        time.sleep(_PAUSE)


@dataclass(frozen=True, slots=True)
class _Heard:
    """What one proxy runs on a container port, beside the mode that was computed."""

    pod: str
    port: int
    computed: Mode
    runs: Mode


def with_listeners(engine: Engine, calls: Sequence[Call], answers: Sequence[Asked]) -> list[Call]:
    """Calls with their proof: CLAIMED when a listener of each kind of endpoint runs the computed mode, VIOLATED when one does not.

    An unknown verdict stays unproved: there is nothing that a listener could agree with.
    """
    by_group: dict[int, list[Asked]] = {}
    for answer in answers:
        if answer.modes:
            by_group.setdefault(answer.group, []).append(answer)
    behind = {(s.key, p.number): p.endpoints for s in engine.mesh.services for p in s.ports}
    judged = []
    for call in calls:
        heard: list[_Heard] = []
        silent = False
        for point in behind.get((call.service, call.port), ()):
            mode = engine.cells.accepts(point, call.port).mode
            proxies = by_group.get(point.pods, []) if point.pods is not None else []
            silent = silent or not proxies or mode in _NOT_LISTENED
            if mode not in _NOT_LISTENED:
                heard += [_Heard(a.pod, point.port, mode, a.modes.get(point.port, Mode.UNKNOWN)) for a in proxies]
        judged.append(_judged(call, heard, silent))
    return judged


def _judged(call: Call, heard: Sequence[_Heard], silent: bool) -> Call:
    """A call by what was heard of its backends; `silent` is whether one of them was not heard."""
    wrong = next((entry for entry in heard if entry.computed != entry.runs), None)
    if wrong:
        evidence = f"{wrong.computed} was computed, Envoy of {wrong.pod} runs {wrong.runs} on port {wrong.port}"
        return replace(call, proof=Proof.VIOLATED, evidence=f"listener: {evidence}")
    if heard and not silent and call.proof is Proof.UNPROVED and call.verdict is not Verdict.UNKNOWN:
        pods = ", ".join(sorted({entry.pod for entry in heard})[:3])
        evidence = f"listener: Envoy runs {heard[0].runs} on port {heard[0].port} ({pods})"
        return replace(call, proof=Proof.CLAIMED, evidence=evidence)
    return call


def findings(answers: Sequence[Asked], groups: Sequence[Group], trust_domain: str) -> list[Finding]:
    """Proxies that could not be asked, and certificates with another identity than expected, that expire, or with other roots."""
    found: list[Finding] = []
    silent = [answer for answer in answers if answer.error]
    for right in sorted({answer.right for answer in silent}):
        same = [answer for answer in silent if answer.right == right]
        change = (
            f"Grant the right to {right}." if right else "Check that these pods run and that their proxies are ready."
        )
        message = f"{len(same)} of {len(answers)} proxies could not be asked: {same[0].error}"
        found.append(finding(CheckCode.UNPROVED, "Proxies", message, change=change))
    roots: dict[tuple[str, ...], str] = {}
    for answer in answers:
        if answer.certificate is not None:
            found += _of_certificate(answer.pod, answer.certificate, groups[answer.group], trust_domain)
            roots.setdefault(answer.certificate.roots, answer.pod)
    if len(roots) > 1:
        what = "; ".join(f"{pod} trusts {', '.join(serials) or 'nothing'}" for serials, pod in sorted(roots.items()))
        found.append(finding(CheckCode.CERTIFICATE_ROOT, "Mesh", f"not all proxies trust the same roots: {what}"))
    return found


def _of_certificate(pod: str, have: Certificate, group: Group, trust_domain: str) -> list[Finding]:
    found = []
    own = frozenset({group.namespace})
    expected = expected_identity(trust_domain, group.namespace, group.service_account)
    if have.identity != expected:
        message = f"its certificate has identity {have.identity}, expected {expected}"
        found.append(finding(CheckCode.CERTIFICATE_IDENTITY, f"Pod {pod}", message, concerns=own))
    if have.seconds_left < 0.1 * have.lifetime:
        # istio-agent renews at half of the lifetime (SECRET_GRACE_PERIOD_RATIO), so this renewal has failed.
        message = f"its certificate expires in {have.seconds_left / 60:.0f} minutes and was not renewed"
        found.append(finding(CheckCode.CERTIFICATE_EXPIRY, f"Pod {pod}", message, concerns=own))
    return found


def certificate_rows(answers: Sequence[Asked], groups: Sequence[Group], trust_domain: str) -> list[dict[str, Any]]:
    """Certificates as modules return them."""
    rows = []
    for answer in answers:
        if answer.certificate is not None:
            group, have = groups[answer.group], answer.certificate
            rows.append(
                {
                    "workload": group.key,
                    "pod": answer.pod,
                    "identity": have.identity,
                    "expected": expected_identity(trust_domain, group.namespace, group.service_account),
                    "hours_left": round(have.seconds_left / 3600, 1),
                    "days_left": int(have.seconds_left // 86400),
                    "serial": have.serial,
                    "roots": list(have.roots),
                }
            )
    return sorted(rows, key=lambda row: row["pod"])
