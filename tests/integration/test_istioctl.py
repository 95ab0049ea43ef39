# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""istio_method istioctl on the real API server: a control plane of its own revision, scaled to nothing, so that the mesh is left alone."""

from __future__ import annotations

import json
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.test_charts import ISTIOCTL, LOCAL, there
from tests.support import ROOT, Run

pytestmark = [pytest.mark.cluster, pytest.mark.slow]


@pytest.fixture
def revision() -> Iterator[str]:
    name = f"t-{uuid.uuid4().hex[:8]}"
    yield name
    kubectl = there(str(Path(LOCAL["platform_helm_binary"]).with_name("kubectl")))
    argv = [
        kubectl,
        "--kubeconfig",
        LOCAL["platform_kubeconfig"],
        "delete",
        "namespace",
        name,
        "--ignore-not-found",
        "--wait=false",
    ]
    subprocess.run(argv, check=True, timeout=60, capture_output=True)


def changed(folder: Path, revision: str, *arguments: str, **settings: Any) -> int:
    """Runs the role and returns how many tasks changed something."""
    nothing = {"kind": "Deployment", "name": f"istiod-{revision}", "patches": [{"path": "spec.replicas", "value": 0}]}
    variables = {
        "istio_method": "istioctl", "istio_istioctl_binary": there(ISTIOCTL), "istio_namespace": revision, "istio_revision": revision,
        "istio_ingress_gateway_enabled": False, "istio_wait": False, "istio_operator_file": str(folder / "operator.yaml"),
        "istio_operator_spec": {
            "components": {"base": {"enabled": False}, "pilot": {"k8s": {"overlays": [nothing]}}},
            # A webhook without a pod behind it is what every preflight check of the cluster refuses, those of other tests too.
            "values": {"global": {"operatorManageWebhooks": True}},
        },
        **settings,
    }  # fmt: skip
    play = {
        "hosts": "clusters",
        "gather_facts": False,
        "module_defaults": {"group/servicemesh.platform.platform": {"kubeconfig": LOCAL["platform_kubeconfig"]}},
        "vars": variables,
        "roles": ["servicemesh.platform.istio"],
    }
    playbook = folder / "play.yml"
    playbook.write_text(json.dumps([play]))
    argv = ["ansible-playbook", str(playbook), "-i", "inventories/local", *arguments]
    done = subprocess.run(
        argv, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=300
    )
    run = Run(done.returncode, done.stdout)
    assert run.returncode == 0, run.told
    return run.recap["local"]["changed"]


def test_manifests_are_applied_once_and_removed(tmp_path: Path, revision: str) -> None:
    everything = 2  # the file, the objects
    assert changed(tmp_path, revision, "--check") == everything
    assert changed(tmp_path, revision) == everything
    assert "kind: IstioOperator" in (tmp_path / "operator.yaml").read_text()
    assert changed(tmp_path, revision) == 0
    assert changed(tmp_path, revision, "--check") == 0
    assert changed(tmp_path, revision, "--check", istio_size="tuned") == 2  # the file, the objects
    assert changed(tmp_path, revision, istio_state="absent") == 1
    assert changed(tmp_path, revision, istio_state="absent") == 0
