# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A rollout as series of Prometheus, and the address at which its watchdog serves them."""

from __future__ import annotations

import subprocess
import urllib.error
import urllib.request
from typing import Any

import pytest
from ansible_collections.servicemesh.platform.plugins.module_utils._canary import plan as plans
from ansible_collections.servicemesh.platform.plugins.module_utils._canary import series
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.verdict import Verdict
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.state import (
    HISTORY_LIMIT,
    Phase,
    State,
    from_json,
    to_json,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.watchdog import manifests
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.watchdog.serve import Page, serve

from tests.rules import tools

STATE = State(
    "1f0c9a7be2d4", "web", "shop", plans.Plan((50,)), phase=Phase.PAUSED, weight=50, since=1000.5, version='v1.1"\\'
)


def noted(state: State, now: float, verdict: str) -> State:
    return state.noted(now, "window", "", verdict=verdict)


def test_the_page_says_weight_phase_and_verdicts_and_is_prometheus_format() -> None:
    state = noted(noted(noted(STATE, 1.0, "pass"), 2.0, "inconclusive"), 3.0, "pass").noted(4.0, "note", "no verdict")
    who = 'service="web",version="v1.1\\"\\\\"'
    samples = [
        f"servicemesh_canary_weight{{{who}}} 50",
        f'servicemesh_canary_phase{{{who},phase="paused"}} 1',
        f'servicemesh_canary_phase_start_time_seconds{{{who},phase="paused"}} 1000.5',
        f'servicemesh_canary_verdicts_total{{{who},verdict="pass"}} 2',
        f'servicemesh_canary_verdicts_total{{{who},verdict="fail"}} 0',
        f'servicemesh_canary_verdicts_total{{{who},verdict="inconclusive"}} 1',
    ]
    page = series.page(state, namespaced=False)
    assert [line for line in page.splitlines() if not line.startswith("#")] == samples
    assert series.page(state, namespaced=True) == page.replace("{service=", '{namespace="shop",service=')
    command = [tools.find("promtool"), "check", "metrics"]
    done = subprocess.run(command, input=page, check=False, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_verdicts_are_all_known() -> None:
    assert set(series.VERDICTS) == {verdict.value for verdict in Verdict}


def test_verdicts_are_recorded_and_never_counted_back() -> None:
    state = noted(STATE, 1.0, "fail")
    for moment in range(HISTORY_LIMIT + 50):
        state = from_json(to_json(noted(state, float(moment), "pass")))
    assert len(state.history) == HISTORY_LIMIT, "the oldest entries, with the failure, are gone"
    assert state.verdicts == {"pass": HISTORY_LIMIT + 50, "fail": 1}


@pytest.fixture
def served() -> Any:
    page = Page()
    server = serve(page, 0)
    assert server is not None
    yield page, f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_it_serves_one_page_and_nothing_else(served: tuple[Page, str]) -> None:
    page, address = served
    page.text = "a 1\n"
    with urllib.request.urlopen(f"{address}/metrics", timeout=5) as answer:
        assert answer.read() == b"a 1\n"
        assert answer.headers["Content-Type"] == series.CONTENT_TYPE
    for path, method, status in (("/", "GET", 404), ("/metrics", "POST", 501)):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(urllib.request.Request(f"{address}{path}", method=method), timeout=5)
        assert refused.value.code == status
        refused.value.close()
    page.text = ""
    with pytest.raises(urllib.error.HTTPError) as empty:
        urllib.request.urlopen(f"{address}/metrics", timeout=5)
    assert empty.value.code == 503, "a scrape before the rollout was read is no scrape"
    empty.value.close()


def test_prometheus_finds_the_pod_by_the_usual_annotations() -> None:
    state = STATE.replace(
        settings={
            "virtual_services": ["shop/web"],
            "stable_deployment": "web",
            "canary_deployment": "web-canary",
            "watchdog": {"image": "registry.example.com/python:3.12"},
        }
    )
    template = manifests.job(state)["spec"]["template"]
    (port,) = template["spec"]["containers"][0]["ports"]
    assert template["metadata"]["annotations"] == {
        "prometheus.io/scrape": "true",
        "prometheus.io/port": str(port["containerPort"]),
        "prometheus.io/path": "/metrics",
    }
