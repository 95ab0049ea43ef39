# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role helm_release on the real API server: recovery from a killed run, early failure, removal of its own releases only."""

from __future__ import annotations

import base64
import gzip
import json
import subprocess
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.integration.test_charts import LOCAL, there
from tests.support import ROOT, Run

# All of them; Helm 4 has no --all.
STATES = [f"--{state}" for state in ("deployed", "failed", "pending", "superseded", "uninstalled", "uninstalling")]
pytestmark = [pytest.mark.cluster, pytest.mark.slow]

CHART = {
    "Chart.yaml": {"apiVersion": "v2", "name": "small", "version": "1.0.0", "appVersion": "1"},
    "values.yaml": {"text": "first", "image": LOCAL["platform_upstream_registry"] + "/pause:1"},
}
TEMPLATES = """
apiVersion: v1
kind: ConfigMap
metadata: {name: small}
data: {text: {{ .Values.text | quote }}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: small}
spec:
  selector: {matchLabels: {app: small}}
  template:
    metadata: {labels: {app: small}}
    spec:
      terminationGracePeriodSeconds: 0
      containers: [{name: small, image: {{ .Values.image | quote }}, imagePullPolicy: IfNotPresent}]
"""


class Release:
    """One release of a small chart in a namespace of its own."""

    def __init__(self, folder: Path) -> None:
        self.namespace = f"t-helm-{uuid.uuid4().hex[:8]}"
        self.folder = folder
        self.chart = folder / "small"
        (self.chart / "templates").mkdir(parents=True)
        for name, content in CHART.items():
            (self.chart / name).write_text(yaml.safe_dump(content))
        (self.chart / "templates" / "all.yaml").write_text(TEMPLATES)
        (self.chart / ".helmignore").write_text("*.bak\n")

    def run(self, *arguments: str, **settings: Any) -> Run:
        """Runs the role; ``settings`` are variables without their prefix."""
        ours = {"servicemesh.platform/managed-by": "tests"}
        known = {
            "name": "small", "namespace": self.namespace, "chart": str(self.chart), "binary": there(LOCAL["platform_helm_binary"]),
            "wait_timeout": 60, "interrupted_wait": 1, "ready": [{"kind": "Deployment", "name": "small", "namespace": self.namespace}],
            **settings,
        }  # fmt: skip
        known["values"] = ours | known.get("values", {})
        play = {
            "hosts": "clusters",
            "gather_facts": False,
            "module_defaults": {"group/servicemesh.platform.platform": {"kubeconfig": LOCAL["platform_kubeconfig"]}},
            "vars": {f"helm_release_{key}": value for key, value in known.items()},
            "roles": ["servicemesh.platform.helm_release"],
        }
        playbook = self.folder / "play.yml"
        playbook.write_text(json.dumps([play]))
        done = subprocess.run(
            ["ansible-playbook", str(playbook), "-i", "inventories/local", *arguments],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=300,
        )  # fmt: skip
        return Run(done.returncode, done.stdout)

    def changed(self, run: Run) -> int:
        assert run.returncode == 0, run.told
        return run.recap["local"]["changed"]

    def kubectl(self, *arguments: str, text: str | None = None) -> str:
        argv = [
            there(str(Path(LOCAL["platform_helm_binary"]).with_name("kubectl"))),
            "--kubeconfig",
            LOCAL["platform_kubeconfig"],
        ]
        return subprocess.run(
            [*argv, "--namespace", self.namespace, *arguments],
            input=text,
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        ).stdout

    def helm(self, *arguments: str) -> Any:
        argv = [
            there(LOCAL["platform_helm_binary"]),
            "--kubeconfig",
            LOCAL["platform_kubeconfig"],
            "--namespace",
            self.namespace,
        ]
        return subprocess.run([*argv, *arguments], capture_output=True, text=True, check=True, timeout=60).stdout

    def interrupt(self) -> None:
        """Leaves the newest record as a helm that was killed in the middle of an upgrade leaves it."""
        record = json.loads(self.kubectl("get", "secrets", "-l", "owner=helm", "-o", "json"))["items"][-1]
        revision = int(record["metadata"]["labels"]["version"]) + 1
        record["metadata"] = {
            "name": f"sh.helm.release.v1.small.v{revision}",
            "namespace": self.namespace,
            "labels": {**record["metadata"]["labels"], "version": str(revision), "status": "pending-upgrade"},
        }
        record["data"]["release"] = self._pending(record["data"]["release"], revision)
        self.kubectl("create", "-f", "-", text=json.dumps(record))

    @staticmethod
    def _pending(release: str, revision: int) -> str:
        """The release as Helm stores it (JSON, gzip, base64 twice), with the status of an unfinished upgrade."""
        content = json.loads(gzip.decompress(base64.b64decode(base64.b64decode(release))))
        content["version"] = revision
        content["info"]["status"] = "pending-upgrade"
        packed = base64.b64encode(gzip.compress(json.dumps(content).encode()))
        return base64.b64encode(packed).decode()


@pytest.fixture
def release(tmp_path: Path) -> Iterator[Release]:
    one = Release(tmp_path)
    yield one
    one.kubectl("delete", "namespace", one.namespace, "--ignore-not-found", "--wait=false")


def test_installs_changes_and_removes_what_it_made(release: Release) -> None:
    assert release.changed(release.run("--check")) == 1
    assert release.changed(release.run()) == 1
    assert release.changed(release.run()) == 0
    assert release.changed(release.run("--check")) == 0
    assert release.changed(release.run(values={"text": "second"})) == 1
    assert release.kubectl("get", "configmap", "small", "-o", "jsonpath={.data.text}") == "second"
    # The chart's content changes and its version does not; what Helm leaves out may.
    template = release.chart / "templates" / "all.yaml"
    template.write_text(TEMPLATES.replace("data: {text:", "data: {more: here, text:"))
    assert release.changed(release.run("--check", values={"text": "second"})) == 1
    assert release.changed(release.run(values={"text": "second"})) == 1
    assert release.kubectl("get", "configmap", "small", "-o", "jsonpath={.data}") == '{"more":"here","text":"second"}'
    (release.chart / "notes.bak").write_text("changed")
    assert release.changed(release.run(values={"text": "second"})) == 0
    assert release.changed(release.run("--check", state="absent")) == 1
    assert release.changed(release.run(state="absent")) == 1
    assert json.loads(release.helm("list", *STATES, "--output", "json")) == []
    assert release.changed(release.run(state="absent")) == 0


def test_an_interrupted_upgrade_is_taken_back(release: Release) -> None:
    assert release.changed(release.run()) == 1
    release.interrupt()
    with pytest.raises(subprocess.CalledProcessError) as refused:  # what everybody else gets
        release.helm("upgrade", "small", str(release.chart))
    assert "another operation" in refused.value.stderr
    assert release.changed(release.run(values={"text": "second"})) == 2
    assert release.kubectl("get", "configmap", "small", "-o", "jsonpath={.data.text}") == "second"
    assert release.changed(release.run(values={"text": "second"})) == 0


def test_an_image_that_cannot_be_had_fails_early_with_the_pods_reason(release: Release) -> None:
    started = time.monotonic()
    run = release.run(values={"image": "localhost/not-there:1"}, wait_timeout=240)
    assert time.monotonic() - started < 120
    assert run.returncode != 0
    assert "localhost/not-there:1" in run.text
    assert "ImagePull" in run.text
    # The way out is to set it right, nothing else.
    assert release.changed(release.run()) == 1


def test_a_release_of_somebody_else_is_not_removed(release: Release) -> None:
    release.kubectl("create", "namespace", release.namespace)
    release.helm("install", "small", str(release.chart))
    run = release.run(state="absent")
    assert release.changed(run) == 0
    assert "stays, because this collection did not install it" in " ".join(run.text.split())
    assert [one["name"] for one in json.loads(release.helm("list", "--output", "json"))] == ["small"]


def test_a_helm_that_is_not_there_is_named(release: Release) -> None:
    run = release.run(binary="/nowhere/helm", state="present")
    assert run.returncode != 0
    assert "/nowhere/helm" in run.text
