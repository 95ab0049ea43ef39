# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""demo.yml without its canaries, which tests of their own have: what it would do, and its load."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.support import ROOT, Cluster, ansible_playbook

JOB = "/apis/batch/v1/namespaces/ecommerce/jobs/canary-demo"
DEMO = {"service": "user-service", "good": "v1.1", "bad": "v2.0-bad", "rate": 20, "image": "", "confirm": ""}
# The Job of playbooks/vars/demo.yml for a few seconds, until it has ended.
PLAY = [
    {
        "hosts": "clusters",
        "gather_facts": False,
        "module_defaults": {"group/servicemesh.platform.platform": {"kubeconfig": "{{ platform_kubeconfig }}"}},
        "vars_files": [str(ROOT / "playbooks" / "vars" / "demo.yml")],
        "tasks": [
            {"servicemesh.platform.platform_info": {}, "register": "__status"},
            {"servicemesh.platform.canary_info": {"service": "user-service"}, "register": "demo_before"},
            {
                "servicemesh.platform.apply": {
                    "name": "canary-demo",
                    "definitions": ["{{ demo_job }}"],
                    "wait_timeout": 90,
                }
            },
        ],
    }
]


@pytest.fixture
def args(kubeconfig: str) -> tuple[str, ...]:
    return ("-i", str(ROOT / "inventories" / "local"), "-e", f"platform_kubeconfig={kubeconfig}")


def test_a_check_run_tells_what_would_be_done_and_does_nothing(args: tuple[str, ...], cluster: Cluster) -> None:
    run = ansible_playbook("demo.yml", *args, "--check")
    assert run.returncode == 0, run.told
    assert "canary of user-service to v1.1 in steps of 25, 50 %: expected to be promoted" in run.text
    assert "canary of user-service to v2.0-bad: expected to be rolled back" in run.text
    assert "inventories/local -e service=user-service -e version=v1.1" in run.text
    assert cluster.raw.get(JOB) is None


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"bad": "v1.1"}, "good v1.1 and bad v1.1 have to differ from each other and from the present v1.0"),
        (
            {"rate": 1000, "platform_prometheus": "absent"},
            "platform_prometheus is absent, and canaries are judged by its metrics; rate is 1000, expected 5 to 200 requests a second",
        ),
    ],
)
def test_what_cannot_be_shown_is_refused(
    args: tuple[str, ...], cluster: Cluster, given: dict[str, Any], words: str
) -> None:
    run = ansible_playbook("demo.yml", *args, "--check", "-e", json.dumps(given))
    assert run.returncode == 2, run.told
    assert words in " ".join(run.text.split())
    assert cluster.raw.get(JOB) is None


def test_the_load_goes_to_the_gateway_and_ends(args: tuple[str, ...], cluster: Cluster, tmp_path: Path) -> None:
    play = tmp_path / "play.yml"
    play.write_text(json.dumps(PLAY))
    (tmp_path / "files").symlink_to(ROOT / "playbooks" / "files")
    values = {"demo_given": {"arguments": DEMO}, "demo_seconds": 5}
    try:
        run = ansible_playbook(os.path.relpath(play, ROOT / "playbooks"), *args, "-e", json.dumps(values))
        assert run.returncode == 0, run.told
        job = cluster.get(JOB)
        assert job["spec"]["activeDeadlineSeconds"] == 65
        assert job["status"]["succeeded"] == 1
        (pod,) = cluster.core.list_namespaced_pod("ecommerce", label_selector="app=canary-demo").items
        assert [container.name for container in pod.spec.containers] == ["load"], "it has no sidecar"
        seen = json.loads(
            cluster.core.read_namespaced_pod_log(pod.metadata.name, "ecommerce").splitlines()[-1].replace("'", '"')
        )
    finally:
        if cluster.raw.get(JOB) is not None:
            cluster.raw.request("DELETE", JOB, body={"propagationPolicy": "Foreground"})
    assert seen["/api/users 200"] >= 40, seen
    answered = {key for key in seen if key.endswith(" 200")}
    assert answered >= {"/api/users 200", "/api/products 200", "/api/reviews 200"}, seen
    # What needs a token was tried once, and left out.
    assert all(seen[key] == 1 for key in set(seen) - answered), seen
