# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ansible-builder takes the definition of the execution environment, and Helm gets into it by its checksum only."""

from __future__ import annotations

import hashlib
import io
import os
import re
import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.artifact import checked, run
from tests.contract.tree import ROOT, load

DEFINITION = ROOT / "execution-environment.yml"
HELM = "#!/bin/sh\necho v3.19.0\n"


def lines(name: str) -> set[str]:
    """The requirements of a file, without comments."""
    text = (ROOT / name).read_text(encoding="utf-8")
    return {line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")}


@pytest.fixture(scope="module")
def containerfile(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What ansible-builder makes of the definition."""
    context = tmp_path_factory.mktemp("context")
    argv = ["ansible-builder", "create", "--file", str(DEFINITION), "--context", str(context)]
    checked(run([*argv, "--output-filename", "Containerfile"], context))
    return (context / "Containerfile").read_text(encoding="utf-8")


def download(containerfile: str, folder: Path, arguments: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Runs the step that installs Helm, into ``folder`` and with other arguments of the build."""
    (step,) = re.findall(r"^RUN (set -e;.*?[^\\])\n(?!\s)", containerfile, re.MULTILINE | re.DOTALL)
    (folder / "bin").mkdir()
    step = step.replace("\\\n", "\n").replace("/usr/local/bin", f"{folder}/bin").replace("/tmp/helm", f"{folder}/helm")
    defaults = dict(re.findall(r"^ARG (HELM_\w+)=(.*)$", containerfile, re.MULTILINE))
    environment = {**os.environ, **defaults, **arguments, "PATH": f"{folder}/bin:{os.environ['PATH']}"}
    return subprocess.run(
        ["sh", "-c", step], cwd=folder, env=environment, capture_output=True, text=True, timeout=30, check=False
    )


def archive(folder: Path) -> str:
    """Writes archives that look like those of Helm, as a mirror has them, and returns their SHA-256."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for arch in ("amd64", "arm64"):
            member = tarfile.TarInfo(f"linux-{arch}/helm")
            member.size, member.mode = len(HELM), 0o755
            tar.addfile(member, io.BytesIO(HELM.encode()))
    for arch in ("amd64", "arm64"):
        (folder / f"helm-v3.19.0-linux-{arch}.tar.gz").write_bytes(buffer.getvalue())
    return hashlib.sha256(buffer.getvalue()).hexdigest()


def test_helm_is_installed_with_the_right_checksum(containerfile: str, tmp_path: Path) -> None:
    digest = archive(tmp_path)
    sums = {"HELM_SHA256_x86_64": digest, "HELM_SHA256_aarch64": digest}
    done = download(containerfile, tmp_path, {"HELM_URL": f"file://{tmp_path}", **sums})
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "bin" / "helm").read_text(encoding="utf-8") == HELM
    assert not (tmp_path / "helm.tar.gz").exists()


def test_helm_is_not_installed_with_another_checksum(containerfile: str, tmp_path: Path) -> None:
    archive(tmp_path)
    done = download(containerfile, tmp_path, {"HELM_URL": f"file://{tmp_path}"})
    assert done.returncode != 0
    assert list((tmp_path / "bin").iterdir()) == []


def test_the_checksums_are_whole(containerfile: str) -> None:
    sums = re.findall(r"^ARG HELM_SHA256_(\w+)=([0-9a-f]{64})$", containerfile, re.MULTILINE)
    assert [arch for arch, _sum in sums] == ["x86_64", "aarch64"]


def test_the_definition_has_the_collection_and_the_ranges_of_the_requirements() -> None:
    dependencies = load(DEFINITION)["dependencies"]
    galaxy = load(ROOT / "galaxy.yml")
    assert dependencies["galaxy"]["collections"] == [{"name": f"{galaxy['namespace']}.{galaxy['name']}"}]
    assert dependencies["ansible_core"]["package_pip"] in lines("requirements.txt")
    assert dependencies["ansible_runner"]["package_pip"] in lines("test-requirements.txt")


def test_the_collection_names_the_python_packages_that_it_needs() -> None:
    dependencies = load(ROOT / "meta" / "execution-environment.yml")["dependencies"]
    assert dependencies == {"python": "meta/ee-requirements.txt"}
    needed = lines("meta/ee-requirements.txt")
    assert needed
    assert needed <= lines("requirements.txt")
