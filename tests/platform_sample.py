# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Results of platform_info and traffic_info, as the page of a platform gets them: one that is well, and ways in which it is not."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._mesh.traffic import STEP, WINDOW, Part
from ansible_collections.servicemesh.platform.plugins.plugin_utils._reports import platform
from ansible_collections.servicemesh.platform.plugins.plugin_utils._reports.platform_seen import Limits

NOW = 1_790_000_000.0
ATTACK = "<script>alert(1)</script>"
LIMITS = Limits(1000.0, 0.05)
SERVICES = ("order", "payment", "product", "recommendation", "review", "user")
REPORTS = [
    ("Mutual TLS, 2026-09-21 14:00 UTC", "mtls-local.html"),
    ("Canary of user-service", "../canary-user-service.html"),
]
# Caller, service, requests a second.
CALLS = (
    *(
        ("istio-system/istio-ingressgateway", f"ecommerce/{name}-service", 1.0 + 2 * n)
        for n, name in enumerate(SERVICES)
    ),
    ("ecommerce/order-service", "ecommerce/user-service", 1.0),
    ("ecommerce/user-service", "ecommerce/user-service", 0.1),
    ("ecommerce/order-service", "ecommerce/product-service", 1.0),
    ("ecommerce/order-service", "ecommerce/payment-service", 0.9),
    ("ecommerce/product-service", "ecommerce/user-service", 4.2),
    ("ecommerce/recommendation-service", "ecommerce/product-service", 2.1),
    ("ecommerce/recommendation-service", "ecommerce/review-service", 2.1),
)
STORES = (
    *((f"ecommerce/{name}-service", f"ecommerce/{name}-db") for name in SERVICES),
    ("ecommerce/product-service", "ecommerce/redis"),
)


def workload(
    name: str, namespace: str = "ecommerce", version: str = "v1.0", healthy: bool = True, proxy: bool = True
) -> dict[str, Any]:
    return {
        "name": name,
        "namespace": namespace,
        "kind": "Deployment",
        "version": version,
        "ready": int(healthy),
        "desired": 1,
        "replicas": f"{int(healthy)}/1",
        "healthy": healthy,
        "health": "healthy" if healthy else f"pod {name}-x: CrashLoopBackOff: {ATTACK}",
        "deleted": False,
        "proxies": [f"{name}-6d4f-x2x9k"] if proxy else [],
        "path": "",
        "url": "",
    }


def cluster() -> dict[str, Any]:
    """A platform that is up."""
    rows = [
        *(workload(f"{name}-service") for name in SERVICES),
        *(workload(name, version="17") for name in (*(f"{name}-db" for name in SERVICES), "redis")),
        workload("ingress-nginx-controller", "ingress-nginx", "v1.11.0", proxy=False),
        workload("istio-ingressgateway", "istio-system", "1.31.0"),
        workload("istiod", "istio-system", "1.31.0", proxy=False),
        workload("prometheus", "monitoring", "v3.13.0", proxy=False),
    ]
    return {
        "services": sorted(rows, key=lambda row: (row["namespace"], row["name"])),
        "canaries": [],
        "unread": [],
        "missing_namespaces": [],
        "empty_namespaces": [],
        "url": "http://198.18.0.2:30080",
        "domain": "ecommerce.example.com",
        "summary": f"All {len(rows)} workloads are healthy.",
    }


def _workload(number: int, name: str) -> dict[str, Any]:
    times = [NOW - WINDOW + STEP * step for step in range(WINDOW // STEP + 1)]
    begin = NOW - 1500 if name == "user" else NOW - WINDOW
    here = [time for time in times if time >= begin]
    return {
        "workload": f"ecommerce/{name}-service",
        "version": "v1.0",
        "rate": [[time, 3 + 2 * number + math.sin(time / 200 + number)] for time in here],
        "errors": [[time, 0.002 if name == "order" else 0.0] for time in here],
        "p95": [[time, 30 + 9 * number + 8 * math.sin(time / 150 + number)] for time in here],
    }


def call(source: str, destination: str, requests: float | None, **more: Any) -> dict[str, Any]:
    return {
        "source": source,
        "destination": destination,
        "protocol": "tcp" if requests is None else "http",
        "requests": requests,
        "failed": None if requests is None else 0.0,
        "mutual_tls": 5.0 if requests is None else requests,
        "plaintext": 0.0,
        "security": "mutual_tls",
        "security_by": "destination",
        "reporters": ["destination", "source"],
        **more,
    }


def traffic() -> dict[str, Any]:
    """Traffic that is fast, answered and mutual TLS."""
    pods = [(row["namespace"], pod) for row in cluster()["services"] for pod in row["proxies"]]
    return {
        "address": "service monitoring/prometheus:9090 through the API server",
        "time": NOW,
        "window": WINDOW,
        "step": STEP,
        "workloads": [_workload(number, name) for number, name in enumerate(SERVICES)],
        "calls": [
            *(call(source, destination, WINDOW * rate) for source, destination, rate in CALLS),
            *(call(source, destination, None) for source, destination in STORES),
        ],
        "scrapes": [{"namespace": namespace, "pod": pod, "up": True} for namespace, pod in pods],
        "alerts": [],
        "alert_rules": 20,
        "budgets": [
            {
                "service": "ecommerce/user-service",
                "sli": "availability",
                "objective": 0.999,
                "left": 0.82,
                "requested": True,
            },
            {"service": "ecommerce/user-service", "sli": "latency", "objective": 0.99, "left": 0.97, "requested": True},
            {
                "service": "ecommerce/order-service",
                "sli": "availability",
                "objective": 0.999,
                "left": None,
                "requested": False,
            },
        ],
        "unknown": [],
    }


def canary(**more: Any) -> dict[str, Any]:
    return {
        "service": "ecommerce/user-service",
        "version": "v1.1",
        "old_version": "v1.0",
        "phase": "analysing",
        "active": True,
        "weight": 25,
        "steps": [25, 50],
        "reason": "",
        "started": NOW - 120,
        "since": NOW - 40,
        **more,
    }


def alert(name: str = "HighErrorRate", **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "state": "firing",
        "severity": "critical",
        "subject": "ecommerce/payment-service",
        "summary": "Service payment-service fails",
        "description": f"31 % of the requests end with a 5xx. {ATTACK}",
        "runbook": "https://git.example.com/runbooks/HighErrorRate.md",
        "since": "2026-09-21T13:50:00Z",
        "own": True,
        **more,
    }


def going_out() -> tuple[dict[str, Any], dict[str, Any]]:
    """All well, and a canary is under way."""
    where = cluster()
    where["services"].insert(-3, workload("user-service-canary", version="v1.1"))
    where["canaries"] = [
        canary(),
        canary(service="ecommerce/review-service", phase="promoted", active=False, weight=0, since=NOW - 86400),
    ]
    seen = traffic()
    seen["workloads"].append({**_workload(2, "user"), "workload": "ecommerce/user-service-canary", "version": "v1.1"})
    seen["scrapes"].append({"namespace": "ecommerce", "pod": "user-service-canary-6d4f-x2x9k", "up": True})
    return where, seen


def broken() -> tuple[dict[str, Any], dict[str, Any]]:
    """A workload is down, a service fails, another is slow, calls are in plain text or not reported, an alert fires, a budget is spent."""
    where, seen = cluster(), traffic()
    where["services"] = [
        workload(row["name"], healthy=False) if row["name"] == "payment-service" else row for row in where["services"]
    ]
    by_name = {entry["workload"].partition("/")[2]: entry for entry in seen["workloads"]}
    payment, product = by_name["payment-service"], by_name["product-service"]
    payment["errors"] = [[time, 0.31 if time > NOW - 600 else 0.0] for time, _value in payment["errors"]]
    product["p95"] = [[time, 1800.0 if time > NOW - 400 else 60.0] for time, _value in product["p95"]]
    seen["calls"] += [
        call(
            "unknown",
            "ecommerce/review-service",
            12.0,
            mutual_tls=0.0,
            plaintext=12.0,
            security="none",
            reporters=["destination"],
        ),
        call(
            "ecommerce/review-service",
            "ecommerce/legacy",
            40.0,
            mutual_tls=0.0,
            security="unknown",
            reporters=["source"],
        ),
    ]
    seen["alerts"] = [
        alert(),
        alert("PlaintextRefused", severity="info", subject="ecommerce/user-service"),
        alert("ServiceDegraded", state="pending", severity="warning"),
        alert("Watchdog", own=False, severity="none"),
    ]
    seen["budgets"][0]["left"] = -0.4
    return where, seen


def without_prometheus() -> tuple[dict[str, Any], dict[str, Any]]:
    """Up, and nothing else is known."""
    why = "Prometheus (service monitoring/prometheus:9090 through the API server): no endpoints available for service prometheus"
    nothing: dict[str, Any] = {key: [] for key in ("workloads", "calls", "scrapes", "alerts", "budgets")}
    return cluster(), {
        **traffic(),
        **nothing,
        "alert_rules": 0,
        "unknown": [{"part": part.value, "why": why} for part in Part],
    }


LONG = "m" * 63  # the widest legal name of a Service, a workload or a namespace
MANY = 20


def many() -> tuple[dict[str, Any], dict[str, Any]]:
    """Twenty services of which each calls some others, with the longest names and versions; some have no requests."""
    names = [
        LONG,
        "a-name-of-sixty-three-letters-which-is-the-most-that-there-may-be",
        *(f"service-{n}" for n in range(2, MANY)),
    ]
    where, seen = cluster(), traffic()
    where["services"] = [
        workload(name, LONG if number == 1 else "ecommerce", "v1.2.3-rc.1+build.5", healthy=number != 1)
        for number, name in enumerate(names)
    ]
    full = [f"{row['namespace']}/{row['name']}" for row in where["services"]]
    seen["workloads"] = [
        {**_workload(n % 6, "order"), "workload": name, "version": "v1.2.3-rc.1+build.5"}
        for n, name in enumerate(full[:15])
    ]
    seen["calls"] = [
        *(call("istio-system/istio-ingressgateway", name, 100.0) for name in full[:8]),
        *(call(full[n], full[(3 * n + 5) % MANY], 10.0 + n) for n in range(MANY)),
        *(
            call(full[n], full[MANY - 1], 10.0 + n, security="none", mutual_tls=0.0, plaintext=9.0)
            for n in range(0, 12, 2)
        ),
        call(full[1], full[1], 3.0),
        *(call(name, "ecommerce/redis", None) for name in full[:12]),
    ]
    seen["scrapes"] = [
        {"namespace": row["namespace"], "pod": row["proxies"][0], "up": True} for row in where["services"]
    ]
    seen["budgets"] = [{**seen["budgets"][0], "service": name} for name in full]
    return where, seen


CASES = {
    "well": lambda: (cluster(), traffic()),
    "going-out": going_out,
    "broken": broken,
    "without-prometheus": without_prometheus,
    "many": many,
}


def written(folder: Path, case: str) -> Path:
    """The page of a case."""
    path = folder / f"platform-{case}.html"
    path.write_text(platform.html("local", *CASES[case](), LIMITS, REPORTS)[0], encoding="utf-8")
    return path
