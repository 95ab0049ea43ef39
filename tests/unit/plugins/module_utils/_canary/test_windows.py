# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The built-in queries on series that a Prometheus can have, evaluated by promtool."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis import metrics

from tests.rules import tools

SUBJECT = metrics.Subject("web", "shop", "canary", "web-canary")
LABELS = {
    "destination_service_name": "web",
    "destination_service_namespace": "shop",
    "destination_workload": "web-canary",
    "reporter": "destination",
    "response_code": "200",
}


# A sample each second, ten requests a second. The window is 5 s and ends at 20 s, where the counter is 200.
@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ("0+10x30", 50),
        ("0+10x14 stale 160+10x14", 60),  # the scrape at the start of the window failed: from the one before it
        ("0+10x19 stale 210+10x9", 40),  # the one at its end failed: up to the one before it
        ("_x16 10+10x14", 50),  # the counter appears inside the window
        ("0+10x17 0+10x12", 20),  # its process started again inside the window, and counts from 0
        ("0+10x10 200x20", 0),  # no request since
    ],
)
def test_requests_of_a_window(values: str, expected: int, tmp_path: Path) -> None:
    expression = metrics.promql(metrics.REQUESTS, SUBJECT, 5)
    series = ",".join(f'{name}="{value}"' for name, value in LABELS.items())
    tests = {
        "evaluation_interval": "1s",
        "tests": [
            {
                "interval": "1s",
                "input_series": [{"series": f"istio_requests_total{{{series}}}", "values": values}],
                "promql_expr_test": [
                    {"expr": expression, "eval_time": "20s", "exp_samples": [{"labels": "{}", "value": expected}]}
                ],
            }
        ],
    }
    path = tmp_path / "tests.yml"
    path.write_text(yaml.safe_dump(tests))
    done = subprocess.run(
        [tools.find("promtool"), "test", "rules", str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
