# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A result of a canary with every kind of check, as its report gets it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from ansible_collections.servicemesh.platform.plugins.plugin_utils._reports import canary

START = 1_790_000_000.0
STEPS = (5, 20, 50)
ATTACK = "<script>alert(1)</script>"


def _check(name: str, verdict: str, value: float | None, stable: float | None = None, **more: Any) -> dict[str, Any]:
    reason = f"{value} is {'not ' if verdict == 'fail' else ''}as good as {stable}" if stable else f"{value}"
    return {"name": name, "verdict": verdict, "reason": reason, "value": value, "stable": stable, **more}


def _window(number: int, verdict: str) -> dict[str, Any]:
    weight = STEPS[min(number // 2, 2)]
    bad = verdict == "fail"
    rate, p99 = (0.91 if bad else 0.999 - number / 5000), 210 + 15 * math.sin(number)
    query = 'sum(rate(istio_requests_total{destination_workload="user-service-canary", response_code!~"5.."}[60s]))'
    checks = [
        _check("success_rate/destination", verdict, rate, 0.9995, query=query),
        _check("success_rate/source", verdict, rate - 0.002, 0.9993, query=query),
        _check("p99", "pass", p99, 205.0, reporter="destination", query=query),
        _check("basket_value", "pass", 31.5 - number, 32.0, query=f"avg(basket_value) # {ATTACK}"),
        _check("smoke", "inconclusive" if number == 1 else "pass", None, dry_run=True),
    ]
    shown = {
        "canary": {"requests": 40.0 * weight, "success_rate": rate, "p99": p99},
        "stable": {"requests": 40.0 * (100 - weight), "success_rate": 0.9995, "p99": 205.0},
    }
    return {
        "time": START + 75 * (number + 1),
        "event": "window",
        "weight": weight,
        "step": number // 2,
        "verdict": verdict,
        "message": f"success_rate: {rate:.4f}",
        "shown": shown,
        "checks": checks,
    }


def sample(phase: str = "rolled_back") -> dict[str, Any]:
    """A rollout that ends in a phase."""
    last = "fail" if phase in ("rolled_back", "frozen") else "pass"
    windows = [
        _window(number, verdict) for number, verdict in enumerate(("pass", "inconclusive", "pass", "pass", last))
    ]
    end = 50 if phase in ("paused", "frozen") else 0
    promotion = [{"time": START + 450, "event": "promoting", "weight": 100, "message": "all windows passed"}]
    history: list[dict[str, Any]] = [
        {"time": START, "event": "start", "weight": 0, "message": f"by ops: {ATTACK}"},
        {"time": START + 10, "event": "step", "weight": 5, "message": "weight 0 % -> 5 %"},
        *windows,
        *(promotion if phase == "promoted" else []),
        {"time": START + 460, "event": phase, "weight": end, "message": windows[-1]["message"]},
    ]
    return {
        "phase": phase,
        "version": "v1.1",
        "old_version": "v1.0",
        "steps": list(STEPS),
        "interval": 60,
        "weight": end,
        "started": START,
        "run": "20260921-user-service-7f3a",
        "reason": windows[-1]["message"],
        "proof": {"proved": True, "proxies": ["istio-system/istio-ingressgateway-6d4", "ecommerce/order-service-7c9"]},
        "virtual_services": ["ecommerce/user-service", "ecommerce/user-service-ingress"],
        "history": history,
    }


def written(folder: Path, phase: str = "rolled_back") -> Path:
    """The report of a sample."""
    path = folder / f"canary-{phase}.html"
    path.write_text(canary.html(sample(phase), "user-service", "ecommerce"), encoding="utf-8")
    return path
