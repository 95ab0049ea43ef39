# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What mtls_info and mtls_probe share: their options, reading and judging a mesh, and the result."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._kube.client import Client
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import KubeError
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.assemble import Snapshot
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.compliance import (
    Excepted,
    Level,
    ServicePort,
    Wanted,
    deviation,
    refusing,
    unused,
    violations,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.engine import Engine
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.findings import (
    About,
    Finding,
    finding,
    of_calls,
    of_reading,
    ordered,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.headline import headline
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.proof import metrics
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.read import read
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.rules import CheckCode, Severity
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.source import Source
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.summary import namespaces, workloads
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.verdict import Call, Proof
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.what_if import what_if
from ansible_collections.servicemesh.platform.plugins.module_utils._prometheus import (
    OPTIONS as PROMETHEUS,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._prometheus import (
    Prometheus,
    PrometheusError,
    given_endpoint,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._text import cleaned

_STRINGS: dict[str, Any] = {"type": "list", "elements": "str", "default": []}
OPTIONS: dict[str, dict[str, Any]] = {
    "namespaces": _STRINGS,
    "clients": _STRINGS,
    "services": _STRINGS,
    "want": {"type": "dict", "default": {}},
    "exceptions": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "required_one_of": [("service", "workload", "client")],
        "options": {
            "service": {"type": "str", "default": ""},
            "workload": {"type": "str", "default": ""},
            "port": {"type": "int", "default": 0},
            "client": {"type": "str", "default": ""},
            "reason": {"type": "str", "default": ""},
        },
    },
    "what_if": {
        "type": "dict",
        "options": {"namespaces": _STRINGS, "mesh": {"type": "bool", "default": False}},
    },
    "istio_namespace": {"type": "str", "default": "istio-system"},
    "cluster_domain": {"type": "str", "default": "cluster.local"},
    "prometheus": {"type": "dict", "options": {"window": {"type": "int", "default": 3600}, **PROMETHEUS}},
}


@dataclass(frozen=True, slots=True)
class Judged:
    """A mesh with its verdicts. `calls` are those that are reported, `all_calls` those of the whole mesh."""

    snapshot: Snapshot
    engine: Engine
    calls: list[Call]
    all_calls: list[Call]
    wanted: Wanted
    findings: tuple[Finding, ...]
    callers: list[dict[str, Any]]
    seconds: Mapping[str, float]


def wanted_of(params: Mapping[str, Any]) -> Wanted:
    """Options `want` and `exceptions`. Raises KubeError for a level that does not exist."""
    levels = {}
    for namespace, level in params["want"].items():
        if level not in list(Level):
            raise KubeError(f"want: '{level}' for namespace '{namespace}'. Expected one of: {', '.join(Level)}.")
        levels[namespace] = Level(level)
    return Wanted(levels, [Excepted(**entry) for entry in params["exceptions"]])


def judge(source: Source, client: Client | None, params: Mapping[str, Any]) -> Judged:
    """Reads the mesh and judges it. `client` is the cluster's; with it, verdicts are compared with what Prometheus has seen, if asked."""
    wanted, begin = wanted_of(params), time.monotonic()
    endpoint = given_endpoint(params["prometheus"])
    asked = params["what_if"] or {}
    wants_callers = bool(asked.get("namespaces") or asked.get("mesh"))
    snapshot = read(source, params["istio_namespace"], params["cluster_domain"], callers=wants_callers)
    _check_namespaces(snapshot, asked.get("namespaces") or [])
    start = time.monotonic()
    engine = Engine(snapshot.mesh)
    everything = engine.calls()
    narrowed = any(params[name] for name in ("clients", "services", "namespaces"))
    calls = engine.calls(params["clients"], params["services"], params["namespaces"]) if narrowed else everything
    judged = time.monotonic()
    more: list[Finding] = []
    callers: list[dict[str, Any]] = []
    if endpoint and client is not None:
        try:
            traffic = metrics.traffic(_series(Prometheus(endpoint, client), params["prometheus"]["window"]))
        except PrometheusError as error:
            message = f"{error} No verdict is compared with metrics."
            change = "Check option prometheus, and that Prometheus answers."
            more.append(finding(CheckCode.METRICS, "Prometheus", message, change=change))
        else:
            mesh = snapshot.mesh
            calls = metrics.with_evidence(mesh, calls, traffic, everything)
            everything = metrics.with_evidence(mesh, everything, traffic, everything)
            callers = metrics.rows(traffic)
            if not traffic:
                message = "there is no series with connection_security_policy, so metrics prove nothing"
                more.append(Finding(Severity.INFO, CheckCode.METRICS, "Prometheus", message))
    end = time.monotonic()
    seconds = {
        "judge_seconds": round(judged - start, 3),
        "metrics_seconds": round(end - judged, 3),
        "seconds": round(end - begin, 3),
    }
    return Judged(snapshot, engine, calls, everything, wanted, tuple(more), callers, seconds)


def _check_namespaces(snapshot: Snapshot, names: list[str]) -> None:
    """Raises KubeError for a namespace of `what_if` that does not exist: a misspelt one would break nothing."""
    unknown = sorted(set(names) - set(snapshot.mesh.namespaces))
    if unknown and "Namespace" not in snapshot.mesh.missing:
        raise KubeError(f"what_if.namespaces: {', '.join(unknown)} does not exist. Expected namespaces of the cluster.")


def _series(prometheus: Prometheus, window: int) -> list[dict[str, Any]]:
    """The series of both metrics in the last `window` seconds."""
    return [series for query in metrics.queries(window) for series in prometheus.query(query, budget=5.0).series]


def _row(call: Call, wanted: Wanted, refuses: Collection[ServicePort]) -> dict[str, Any]:
    why, excepted = deviation(call, wanted, refuses)
    demanded = str(wanted.level(call.namespace) or "")
    return {**call.as_dict(), "demanded": demanded, "deviation": why, "excepted": excepted}


def result(
    source: Source, params: Mapping[str, Any], judged: Judged, calls: list[Call], more: list[Finding]
) -> dict[str, Any]:
    """The result of a module: `calls` with their proofs. `more` are findings besides those of the verdicts."""
    snapshot, engine, wanted = judged.snapshot, judged.engine, judged.wanted
    proofs = {call.id: call for call in calls}
    everything = [proofs.get(call.id, call) for call in judged.all_calls]
    not_compliant = violations(engine, everything, wanted)
    contradictions = [
        finding(
            CheckCode.VIOLATED,
            call.object,
            f"client {call.client}: {call.evidence}",
            about=About.CALL,
            concerns=frozenset({call.namespace}),
        )
        for call in everything
        if call.proof is Proof.VIOLATED
    ]
    unread = of_reading(snapshot, engine)
    reports = [*contradictions, *unread, *more]
    counted = [e for e in reports if e.severity is Severity.ERROR and wanted.concerned(e.concerns)]
    against = ordered([*not_compliant, *counted])
    refuses = refusing(everything)
    idle = unused(engine, everything, wanted)
    findings = ordered(
        [*unread, *idle, *judged.findings, *more, *contradictions, *not_compliant, *of_calls(engine, calls)]
    )
    asked, told = params["what_if"], None
    if asked and (asked["namespaces"] or asked["mesh"]):
        told = what_if(engine, judged.all_calls, asked["namespaces"], asked["mesh"], snapshot.callers)
    config = snapshot.mesh.config
    places = {*snapshot.mesh.namespaces, *(group.namespace for group in engine.mesh.groups)}
    shown: dict[str, Any] = {
        "changed": False,
        "calls": [_row(call, wanted, refuses) for call in calls],
        "workloads": workloads(engine, params["namespaces"]),
        "namespaces": namespaces(snapshot, engine, judged.all_calls, params["namespaces"]),
        "findings": [entry.as_dict() for entry in findings],
        "compliant": not against if wanted.levels else None,
        "summary": headline(wanted, everything, against, places, told),
        "violations": [entry.as_dict() for entry in against],
        "what_if": told,
        "callers": judged.callers,
        "mesh": {
            "root_namespace": config.root_namespace,
            "trust_domain": config.trust_domain,
            "auto_mtls": config.auto_mtls,
            "outbound": config.outbound,
            "known": config.known,
            "revisions": sorted({"default", *snapshot.mesh.configs}),
        },
        "stats": {**snapshot.stats, **judged.seconds, "calls": len(calls), "requests": source.requests},
    }
    # Reasons and findings quote annotations, objects in files and answers of servers.
    found: dict[str, Any] = cleaned(shown)
    return found
