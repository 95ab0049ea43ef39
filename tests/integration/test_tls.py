# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""nginx_ingress' self-signed certificate on the real API server: made once, renewed in time, never shown, and nobody else's is touched."""

from __future__ import annotations

import base64
import json
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.test_charts import LOCAL, there
from tests.support import ROOT, Run

pytestmark = [pytest.mark.cluster, pytest.mark.slow]
SECRET = "ecommerce-tls"


def kubectl(*arguments: str) -> str:
    binary = there(str(Path(LOCAL["platform_helm_binary"]).with_name("kubectl")))
    argv = [binary, "--kubeconfig", LOCAL["platform_kubeconfig"], *arguments]
    return subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60).stdout


@pytest.fixture
def namespace() -> Iterator[str]:
    name = f"t-tls-{uuid.uuid4().hex[:8]}"
    kubectl("create", "namespace", name)
    yield name
    kubectl("delete", "namespace", name, "--wait=false")


def secret(namespace: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(kubectl("get", "secret", SECRET, "--namespace", namespace, "--output", "json"))
    return found["data"]


def run(folder: Path, namespace: str, *arguments: str, **settings: Any) -> Run:
    """The role's part for certificates, with everything that Ansible can say about it."""
    role = "servicemesh.platform.nginx_ingress"
    parts = [
        {"ansible.builtin.include_role": {"name": role, "tasks_from": part}} for part in ("preflight", "self_signed")
    ]
    play = {
        "hosts": "clusters",
        "gather_facts": False,
        "module_defaults": {"group/servicemesh.platform.platform": {"kubeconfig": LOCAL["platform_kubeconfig"]}},
        "vars": {"nginx_ingress_gateway_namespace": namespace, "nginx_ingress_tls_secret": SECRET, **settings},
        "tasks": parts,
    }
    playbook = folder / "play.yml"
    playbook.write_text(json.dumps([play]))
    argv = ["ansible-playbook", str(playbook), "-i", "inventories/local", "--diff", "-vvv", *arguments]
    done = subprocess.run(
        argv, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stdout
    return Run(done.returncode, done.stdout)


def changed(run: Run) -> int:
    return run.recap["local"]["changed"]


def test_it_is_made_once_renewed_in_time_and_never_shown(tmp_path: Path, namespace: str) -> None:
    runs = [run(tmp_path, namespace, "--check"), run(tmp_path, namespace)]
    first = secret(namespace)
    runs.append(run(tmp_path, namespace))
    assert [changed(one) for one in runs] == [1, 1, 0]
    assert secret(namespace) == first

    runs.append(run(tmp_path, namespace, nginx_ingress_hosts=["other.example"]))
    second = secret(namespace)
    assert second["tls.crt"] != first["tls.crt"]

    soon = {"nginx_ingress_self_signed_days": 500, "nginx_ingress_self_signed_renew_days": 400}
    runs.append(run(tmp_path, namespace, nginx_ingress_hosts=["other.example"], **soon))
    third = secret(namespace)
    assert third["tls.key"] != second["tls.key"]

    for one in runs:
        assert "PRIVATE KEY" not in one.text
        for data in (first, second, third):
            key = base64.b64decode(data["tls.key"]).decode()
            assert data["tls.key"][:60] not in one.text
            assert key.splitlines()[1] not in one.text


def test_somebody_elses_certificate_stays(tmp_path: Path, namespace: str) -> None:
    (tmp_path / "tls.crt").write_text("theirs")
    (tmp_path / "tls.key").write_text("theirs")
    files = [f"--from-file={tmp_path / name}" for name in ("tls.crt", "tls.key")]
    kubectl("create", "secret", "generic", SECRET, "--type=kubernetes.io/tls", "--namespace", namespace, *files)
    before = secret(namespace)
    assert changed(run(tmp_path, namespace)) == 0
    assert secret(namespace) == before
