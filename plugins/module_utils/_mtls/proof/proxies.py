# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks a sample of proxies for the inbound listener that they run and the certificate that they have. Reads only."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._kube.client import Client
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.pods import PodError, admin_json
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.engine import Engine
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.findings import ERROR, WARNING, Finding
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.model import NOT_ENFORCED, UNKNOWN, Group
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.proof.listener import (
    CERTIFICATES,
    LISTENERS,
    Certificate,
    certificate,
    expected_identity,
    inbound_chains,
    mode_of_port,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.verdict import Call

LISTENER, CERTS, CALLS = "listener", "certificates", "calls"
_PAUSE = 0.5  # seconds between two looks at a listener that does not say yet what was computed


@dataclass(frozen=True, slots=True)
class Asked:
    """What one proxy said. `modes` by container port; `error` is why it could not be asked."""

    pod: str
    group: int
    modes: Mapping[int, str]
    certificate: Certificate | None = None
    error: str = ""
    right: str = ""


def sample(
    pods: Mapping[tuple[str, str], int], groups: Sequence[Group], wanted: set[int], size: int, most: int
) -> list[tuple[str, str, int]]:
    """(namespace, pod, group) of up to `size` pods a group with a proxy, `most` in all, in a fixed order."""
    taken: dict[int, int] = {}
    found = []
    for (namespace, name), index in sorted(pods.items()):
        if index in wanted and groups[index].kind in ("sidecar", "gateway") and taken.get(index, 0) < size:
            taken[index] = taken.get(index, 0) + 1
            found.append((taken[index], namespace, name, index))
    # One of each group before a second of any.
    return [(namespace, name, index) for _rank, namespace, name, index in sorted(found)[:most]]


def ports_of(engine: Engine, calls: Sequence[Call]) -> dict[int, dict[int, str]]:
    """Group -> container port -> computed mode, for the services of some calls."""
    keys = {(call.service, call.port) for call in calls}
    found: dict[int, dict[int, str]] = {}
    for service in engine.mesh.services:
        for port in service.ports:
            for point in port.endpoints if (service.key, port.number) in keys else ():
                if point.group is not None:
                    found.setdefault(point.group, {})[point.port] = engine.accepts(point, port.number).mode
    return found


def ask(
    client: Client,
    chosen: Sequence[tuple[str, str, int]],
    computed: Mapping[int, Mapping[int, str]],
    groups: Sequence[Group],
    probes: Sequence[str],
    patience: float,
) -> list[Asked]:
    """Answers of proxies. One that does not run yet what was computed is asked again for `patience` seconds: istiod may be pushing."""

    def one(entry: tuple[str, str, int]) -> Asked:
        namespace, name, index = entry
        modes: dict[int, str] = {}
        try:
            if LISTENER in probes and groups[index].kind == "sidecar":
                modes = _modes(client, namespace, name, computed.get(index, {}), patience)
            found = None
            if CERTS in probes:
                answer = admin_json(client, namespace, name, CERTIFICATES)
                found = certificate(answer, datetime.now(timezone.utc))  # noqa: UP017
        except PodError as error:
            return Asked(f"{namespace}/{name}", index, modes, None, str(error), error.right)
        return Asked(f"{namespace}/{name}", index, modes, found)

    return client.each(one, chosen)


def _modes(client: Client, namespace: str, name: str, computed: Mapping[int, str], patience: float) -> dict[int, str]:
    end = time.monotonic() + patience
    while True:
        chains = inbound_chains(admin_json(client, namespace, name, LISTENERS))
        modes = {port: mode_of_port(chains, port) for port in computed}
        wrong = any(modes[port] != mode for port, mode in computed.items() if mode not in (NOT_ENFORCED, UNKNOWN))
        if not wrong or time.monotonic() > end:
            return modes
        time.sleep(_PAUSE)


def with_listeners(engine: Engine, calls: Sequence[Call], answers: Sequence[Asked]) -> list[Call]:
    """Calls with what the listeners say: `claimed` when every backend's runs what was computed, `violated` when one does not."""
    by_group: dict[int, list[Asked]] = {}
    for answer in answers:
        if answer.modes:
            by_group.setdefault(answer.group, []).append(answer)
    behind = {(s.key, p.number): p.endpoints for s in engine.mesh.services for p in s.ports}
    judged = []
    for call in calls:
        said: list[tuple[str, int, str, str]] = []
        silent = False
        for point in behind.get((call.service, call.port), ()):
            mode = engine.accepts(point, call.port).mode
            heard = by_group.get(point.group, []) if point.group is not None else []
            silent = silent or not heard or mode in (NOT_ENFORCED, UNKNOWN)
            said += [
                (a.pod, point.port, mode, a.modes.get(point.port, UNKNOWN))
                for a in heard
                if mode not in (NOT_ENFORCED, UNKNOWN)
            ]
        wrong = [entry for entry in said if entry[2] != entry[3]]
        if wrong:
            pod, port, mode, runs = wrong[0]
            judged.append(
                replace(
                    call,
                    proof="violated",
                    evidence=f"listener: {mode} was computed, Envoy of {pod} runs {runs} on port {port}",
                )
            )
        elif said and not silent and call.proof == "unproved":
            what = f"listener: Envoy runs {said[0][3]} on port {said[0][1]} ({', '.join(sorted({e[0] for e in said})[:3])})"
            judged.append(replace(call, proof="claimed", evidence=what))
        else:
            judged.append(call)
    return judged


def findings(answers: Sequence[Asked], groups: Sequence[Group], trust_domain: str) -> list[Finding]:
    """What the certificates show: another identity than expected, one that runs out, several roots; and who could not be asked."""
    found: list[Finding] = []
    silent = [answer for answer in answers if answer.error]
    for right in sorted({answer.right for answer in silent}):
        same = [answer for answer in silent if answer.right == right]
        change = f"Grant the right to {right}." if right else "Nothing is concluded from what could not be asked."
        what = f"{len(same)} of {len(answers)} proxies could not be asked: {same[0].error}"
        found.append(Finding(WARNING, "unproved", "Proxies", what, change))
    roots: dict[tuple[str, ...], str] = {}
    for answer in answers:
        if answer.certificate is None:
            continue
        group, have = groups[answer.group], answer.certificate
        expected = expected_identity(trust_domain, group.namespace, group.service_account)
        if have.identity != expected:
            what = f"its certificate says {have.identity}, expected {expected}"
            found.append(
                Finding(
                    ERROR, "certificate_identity", f"Pod {answer.pod}", what, "Restart the pod; check the trust domain."
                )
            )
        if have.seconds_left < 0.1 * have.lifetime:
            # istio-agent renews at half of the lifetime (SECRET_GRACE_PERIOD_RATIO), so this renewal has failed.
            what = f"its certificate runs out in {have.seconds_left / 60:.0f} minutes and was not renewed"
            found.append(
                Finding(
                    ERROR,
                    "certificate_expiry",
                    f"Pod {answer.pod}",
                    what,
                    "Look into istiod's log and the pod's proxy.",
                )
            )
        roots.setdefault(have.roots, answer.pod)
    if len(roots) > 1:
        what = "; ".join(f"{pod} trusts {', '.join(serials) or 'nothing'}" for serials, pod in sorted(roots.items()))
        found.append(
            Finding(
                WARNING,
                "certificate_root",
                "Mesh",
                f"not all proxies trust the same roots: {what}",
                "Finish the root's rotation.",
            )
        )
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
