# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names and options of a rollout: from the module's parameters to what is recorded, and back. Pure.

The record has no secrets: passwords and headers come from the parameters of each call.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._canary import plan as plans
from ansible_collections.servicemesh.platform.plugins.module_utils._canary import push, route_match
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis import approvals, entries
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.metrics import Subject
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.providers import registry
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.objects import expected_name
from ansible_collections.servicemesh.platform.plugins.module_utils._prometheus import (
    Endpoint,
    endpoint_of,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._prometheus import (
    findings_of as prometheus_findings,
)

Params = Mapping[str, Any]

PLAN = (
    "steps", "interval", "warmup", "max_duration", "progress_deadline", "drain", "pause_at", "on_failure",
    "failures", "inconclusives", "passes", "blind_limit",
)  # fmt: skip
_PROMETHEUS_SECRETS = frozenset({"headers", "password"})
DEFAULT_ANALYSIS: list[dict[str, Any]] = [
    {"metric": "success_rate", "min": 0.99, "min_requests": 10},
    {"metric": "p99", "max": 1000},
]


def findings(params: Params) -> list[str]:
    """Everything that is wrong with the parameters of a start, without a look at the cluster."""
    found = [
        f"{name}: {params.get(name)!r}; expected {expected}"
        for name in ("service", "namespace")
        if (expected := expected_name("Service", str(params.get(name) or "")))
    ]
    if params.get("stable_subset") == params.get("canary_subset"):
        found.append(f"canary_subset: {params.get('canary_subset')!r} is the stable subset; expected another one")
    found += plans.findings({name: params.get(name) for name in PLAN})
    found += entries.findings(_analysis(params), prometheus=prometheus_given(params))
    found += approvals.findings(
        params.get("approvals") or [], params.get("steps") or [], prometheus=prometheus_given(params)
    )
    found += [f"prometheus: {finding}" for finding in prometheus_findings(params.get("prometheus"))]
    found += _push_findings(params.get(push.OPTION))
    found += _range_findings(params)
    found += route_match.findings(params.get("match"))
    deployments = [d for d in params.get("canary_definitions") or [] if (d or {}).get("kind") == "Deployment"]
    if params.get("canary_definitions") and len(deployments) != 1:
        found.append(f"canary_definitions: has {len(deployments)} Deployments; expected one")
    for name in ("canary_definitions", "stable_definitions"):
        if any((entry or {}).get("kind") == "Secret" for entry in params.get(name) or []):
            found.append(f"{name}: has a Secret; expected only other kinds, with their Secrets created before")
    return found


# (option, least, most, what it is)
_RANGES = (
    ("mirror", 0, plans.FULL, "percent"),
    ("port", 0, 65535, "a port of the Service, 0 for all"),
    ("proof_samples", 0, 1000, "proxies"),
    ("proof_timeout", 0, 3600, "seconds"),
    ("lease_duration", 3, 600, "seconds"),
    ("outage_limit", 0, 86400, "seconds"),
)


def _range_findings(params: Params) -> list[str]:
    # Written so that NaN is out of range.
    return [
        f"{name}: {params[name]:g} is out of range; expected {least} to {most} ({what})"
        for name, least, most, what in _RANGES
        if params.get(name) is not None and not least <= float(params[name]) <= most
    ]


def _push_findings(given: Params | None) -> list[str]:
    if given is None:
        return []
    wrong = prometheus_findings(given, required=True, example=push.EXAMPLE)
    return [f"{push.OPTION}: {text}" for text in wrong]


def prometheus_given(params: Params) -> bool:
    """Whether the address of Prometheus is given."""
    where = params.get("prometheus") or {}
    return bool(where.get("url") or where.get("service"))


def asking_prometheus(params: Params) -> list[str]:
    """What of valid parameters asks Prometheus: names of metrics, and approvals by the step that they come before."""
    waits = [
        f"the approval before {approval.before}"
        for approval in approvals.approvals_of(params.get("approvals") or [])
        if approval.metric and registry.PROVIDERS[approval.metric.provider].needs_prometheus
    ]
    return [*entries.asking_prometheus(_analysis(params)), *waits]


def _analysis(params: Params) -> list[Any]:
    given = params.get("analysis")
    return DEFAULT_ANALYSIS if given is None else given


def settings_of(params: Params, virtual_services: Sequence[str], roots: Sequence[str] = ()) -> dict[str, Any]:
    """What is recorded of a run's parameters. `virtual_services`: those to shift, as namespace/name. `roots`: those that delegate to them.

    The start adds `route_records`: what the run records of their routes before it writes any (`route_record`).
    """
    service = str(params["service"])
    kept: dict[str, Any] = {
        "service": service,
        "namespace": params["namespace"],
        "stable_subset": params["stable_subset"],
        "canary_subset": params["canary_subset"],
        "stable_deployment": params.get("stable_deployment") or service,
        "canary_deployment": params.get("canary_deployment") or f"{service}-canary",
        "port": params.get("port") or 0,
        "cluster_domain": params["cluster_domain"],
        "virtual_services": list(virtual_services),
        "roots": list(roots),
        "routes": list(params.get("routes") or []),
        "match": params.get("match"),
        "mirror": params.get("mirror") or 0,
        "analysis": [_bare(entry, registry.SECRETS) for entry in _analysis(params)],
        "approvals": [_bare(entry, registry.SECRETS) for entry in params.get("approvals") or []],
        "prometheus": _bare(params.get("prometheus") or {}, _PROMETHEUS_SECRETS),
        "proof_samples": params["proof_samples"],
        "proof_timeout": params["proof_timeout"],
        "watchdog": _bare(params.get("watchdog") or {}, ()) or None,
        push.OPTION: _bare(params.get(push.OPTION) or {}, _PROMETHEUS_SECRETS) or None,
        "remove": [_ref(entry) for entry in params.get("canary_definitions") or []],
        "defined": bool(params.get("canary_definitions")),
    }
    return json.loads(json.dumps(kept))


def _bare(entry: Params, secrets: Collection[str]) -> dict[str, Any]:
    return {key: value for key, value in entry.items() if value is not None and key not in secrets}


def _ref(entry: Params) -> dict[str, Any]:
    meta = entry["metadata"]
    named = {key: meta[key] for key in ("name", "namespace") if meta.get(key)}
    return {"apiVersion": entry["apiVersion"], "kind": entry["kind"], "metadata": named}


def with_secrets(settings: Params, params: Params) -> dict[str, Any]:
    """Recorded settings with the passwords and headers of this call."""
    result = dict(settings)
    for name in ("prometheus", push.OPTION):
        if where := settings.get(name):
            result[name] = {**where, **_secrets(params.get(name) or {}, _PROMETHEUS_SECRETS)}
    for name in ("analysis", "approvals"):
        fresh = {_key(entry): _secrets(entry, registry.SECRETS) for entry in params.get(name) or []}
        result[name] = [{**entry, **fresh.get(_key(entry), {})} for entry in settings.get(name) or []]
    return result


def _secrets(entry: Params, secrets: Collection[str]) -> dict[str, Any]:
    return {key: entry[key] for key in secrets if entry.get(key)}


def _key(entry: Params) -> tuple[str, ...]:
    """What tells an entry of `analysis` or `approvals` from the others, and is recorded."""
    sources = [json.dumps(entry[name], sort_keys=True) for name in registry.chosen(entry)]
    return str(entry.get("name") or entry.get("before") or ""), *sources


def subjects(settings: Params) -> tuple[Subject, Subject]:
    """(canary, stable) as metrics select them."""
    canary, stable = (
        Subject(settings["service"], settings["namespace"], settings[f"{who}_subset"], settings[f"{who}_deployment"])
        for who in ("canary", "stable")
    )
    return canary, stable


def endpoint(settings: Params) -> Endpoint | None:
    """The address of Prometheus; None when it is not given."""
    return endpoint_of(settings["prometheus"]) if prometheus_given(settings) else None


def push_endpoint(settings: Params) -> Endpoint | None:
    """The address of the Pushgateway; None when nothing is pushed."""
    return endpoint_of(settings[push.OPTION]) if settings.get(push.OPTION) else None
