# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What mtls_info and mtls_probe share: their options, reading and judging a mesh, and the result."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._kube.client import Client
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import KubeError
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls import summary as _mtls_summary
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.assemble import Snapshot
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.engine import Engine
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.findings import (
    ERROR,
    INFO,
    LEVELS,
    WARNING,
    Excepted,
    Finding,
    Wanted,
    deviation,
    of_calls,
    of_reading,
    ordered,
    violations,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.proof import metrics as _mtls_metrics
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.read import read
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.verdict import Call
from ansible_collections.servicemesh.platform.plugins.module_utils._prometheus import (
    Endpoint,
    Prometheus,
    PrometheusError,
)

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
        "required_one_of": [("service", "workload")],
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
    "prometheus": {
        "type": "dict",
        "mutually_exclusive": [("url", "service")],
        "required_one_of": [("url", "service")],
        "options": {
            "url": {"type": "str", "default": None},
            "service": {"type": "str", "default": None},
            "window": {"type": "int", "default": 3600},
            "headers": {"type": "dict", "default": {}, "no_log": True},
            "username": {"type": "str", "default": ""},
            "password": {"type": "str", "default": "", "no_log": True},
            "validate_certs": {"type": "bool", "default": True},
            "ca_cert": {"type": "path"},
        },
    },
}


@dataclass(frozen=True, slots=True)
class Judged:
    """A mesh with its verdicts. `calls` are what is reported, `all_calls` the same without narrowing."""

    snapshot: Snapshot
    engine: Engine
    calls: list[Call]
    all_calls: list[Call]
    wanted: Wanted
    findings: tuple[Finding, ...]
    callers: list[dict[str, Any]]
    seconds: Mapping[str, float]


def wanted_of(params: Mapping[str, Any]) -> Wanted:
    """Options `want` and `exceptions`. Raises KubeError for a level that is none."""
    for namespace, level in params["want"].items():
        if level not in LEVELS:
            raise KubeError(f"want: '{level}' for namespace '{namespace}'. Expected one of: {', '.join(LEVELS)}.")
    return Wanted(params["want"], [Excepted(**entry) for entry in params["exceptions"]])


def judge(client: Client, params: Mapping[str, Any]) -> Judged:
    """Reads the mesh, judges it, and asks Prometheus if told to."""
    wanted, begin = wanted_of(params), time.monotonic()
    snapshot = read(client, params["istio_namespace"], params["cluster_domain"])
    start = time.monotonic()
    engine = Engine(snapshot.mesh)
    everything = engine.calls()
    narrowed = any(params[name] for name in ("clients", "services", "namespaces"))
    calls = engine.calls(params["clients"], params["services"], params["namespaces"]) if narrowed else everything
    judged = time.monotonic()
    more: list[Finding] = []
    callers: list[dict[str, Any]] = []
    if params["prometheus"]:
        try:
            seen = _mtls_metrics.traffic(_series(client, params["prometheus"]))
        except PrometheusError as error:
            more.append(Finding(WARNING, "metrics", "Prometheus", str(error), "Nothing is concluded from metrics."))
        else:
            calls, everything = _mtls_metrics.with_evidence(calls, seen), _mtls_metrics.with_evidence(everything, seen)
            callers = _mtls_metrics.rows(seen)
            if not seen:
                text = "no series of connection_security_policy: metrics prove nothing here"
                more.append(Finding(INFO, "metrics", "Prometheus", text))
    end = time.monotonic()
    seconds = {
        "judge_seconds": round(judged - start, 3),
        "metrics_seconds": round(end - judged, 3),
        "seconds": round(end - begin, 3),
    }
    return Judged(snapshot, engine, calls, everything, wanted, tuple(more), callers, seconds)


def _series(client: Client, options: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What Prometheus has on both metrics."""
    endpoint = Endpoint(
        options["url"] or "",
        options["service"] or "",
        options["headers"],
        options["username"],
        options["password"],
        options["validate_certs"],
        options["ca_cert"] or "",
    )
    prometheus = Prometheus(endpoint, client)
    return [
        series
        for query in _mtls_metrics.queries(options["window"])
        for series in prometheus.query(query, budget=5.0).series
    ]


def _row(call: Call, wanted: Wanted) -> dict[str, Any]:
    why, excepted = deviation(call, wanted)
    return {**call.as_dict(), "deviation": why, "excepted": excepted}


def result(
    client: Client, params: Mapping[str, Any], judged: Judged, calls: list[Call], more: list[Finding]
) -> dict[str, Any]:
    """The result of a module: `calls` with their proofs, and findings besides those of the verdicts."""
    snapshot, engine, wanted = judged.snapshot, judged.engine, judged.wanted
    proofs = {call.id: call for call in calls}
    everything = [proofs.get(call.id, call) for call in judged.all_calls]
    wrong = violations(engine, everything, wanted)
    refuted = [
        Finding(
            ERROR, "violated", f"Service {call.service} port {call.port}", f"client {call.client}: {call.evidence}", ""
        )
        for call in everything
        if call.proof == "violated"
    ]
    unread = of_reading(snapshot, engine)
    findings = ordered([*unread, *judged.findings, *more, *refuted, *wrong, *of_calls(calls)])
    compliant = None
    if wanted.levels:
        demanded = [
            call for call in everything if call.proof == "violated" and wanted.level(call.service.partition("/")[0])
        ]
        incomplete = any(finding.severity == ERROR for finding in unread)
        compliant = not wrong and not demanded and not incomplete and not any(f.severity == ERROR for f in more)
    asked = params["what_if"]
    what_if = None
    if asked and (asked["namespaces"] or asked["mesh"]):
        what_if = _mtls_summary.what_if(engine, judged.all_calls, asked["namespaces"], asked["mesh"])
    return {
        "changed": False,
        "calls": [_row(call, wanted) for call in calls],
        "workloads": _mtls_summary.workloads(engine, params["namespaces"]),
        "namespaces": _mtls_summary.namespaces(snapshot, engine, judged.all_calls, params["namespaces"]),
        "findings": [finding.as_dict() for finding in findings],
        "compliant": compliant,
        "violations": [finding.as_dict() for finding in ordered([*wrong, *refuted])],
        "what_if": what_if,
        "callers": judged.callers,
        "mesh": {
            "root_namespace": snapshot.mesh.config.root_namespace,
            "trust_domain": snapshot.mesh.config.trust_domain,
            "auto_mtls": snapshot.mesh.config.auto_mtls,
            "outbound": snapshot.mesh.config.outbound,
            "known": snapshot.mesh.config.known,
            "revisions": sorted({"default", *snapshot.mesh.configs}),
        },
        "stats": {**snapshot.stats, **judged.seconds, "calls": len(calls), "requests": client.requests},
    }
