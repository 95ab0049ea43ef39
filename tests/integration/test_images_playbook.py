# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""images.yml with buildah, on a base that is not Docker Hub's, pushed to a registry that runs here; what was pushed serves requests."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tarfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.rules.tools import CACHE
from tests.support import ansible_playbook

SERVICES = ("user", "product", "order", "payment", "review", "recommendation")
MANIFESTS = "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json"
# What is in the root file system for other images than this one: two thirds of it.
NOT_NEEDED = re.compile(
    r"\./(usr/(share|include|bin/(?!python3|dash|sh$|env$)|sbin/(?!ldconfig)|lib/postgresql"
    r"|lib/[a-z0-9_]+-linux-gnu/(perl|gconv|nginx|xtables|libicu|libperl|libapt))|var/)"
)
# buildah makes its standard input non-blocking. That would be the worker's, which ansible-playbook refuses from then on.
QUIET: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL}
pytestmark = pytest.mark.slow


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def get(url: str, accept: str = "application/json") -> Any:
    with urllib.request.urlopen(urllib.request.Request(url, headers={"Accept": accept}), timeout=10) as answer:
        return json.load(answer)


def answer_of(url: str, seconds: float) -> Any:
    """The answer of something that is starting."""
    until = time.monotonic() + seconds
    while True:
        try:
            return get(url)
        except (OSError, urllib.error.URLError):
            if time.monotonic() > until:
                raise
            time.sleep(0.1)


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """host:port of Debian's docker-registry. Its package is unpacked and not installed, because it would start a service."""
    folder, port = tmp_path_factory.mktemp("registry"), free_port()
    program = shutil.which("docker-registry") or str(folder / "usr" / "bin" / "docker-registry")
    if not Path(program).is_file():
        subprocess.run(["apt-get", "download", "-qq", "docker-registry"], cwd=folder, check=True, timeout=300)
        (package,) = folder.glob("*.deb")
        subprocess.run(["dpkg", "-x", str(package), str(folder)], check=True, timeout=60)
    config = {
        "version": 0.1,
        "storage": {"filesystem": {"rootdirectory": str(folder / "data")}},
        "http": {"addr": f"127.0.0.1:{port}"},
    }
    (folder / "config.yml").write_text(json.dumps(config), encoding="utf-8")
    with (
        open(folder / "log", "wb") as log,
        subprocess.Popen([program, "serve", str(folder / "config.yml")], stdout=log, stderr=log) as process,
    ):
        try:
            answer_of(f"http://127.0.0.1:{port}/v2/", 30)
            yield f"127.0.0.1:{port}"
        finally:
            process.terminate()


@pytest.fixture(scope="module")
def buildah(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Environment for buildah with a storage of its own, where localhost/base:1 is: the root file system of the local cluster's images."""
    folder = tmp_path_factory.mktemp("buildah")
    storage = f'[storage]\ndriver = "overlay"\ngraphroot = "{folder}/storage"\nrunroot = "{folder}/run"\n'
    (folder / "storage.conf").write_text(storage, encoding="utf-8")
    environment = {"CONTAINERS_STORAGE_CONF": str(folder / "storage.conf"), "BUILDAH_ISOLATION": "chroot"}
    built = sorted(CACHE.glob("rootfs-*/rootfs.tar"), key=lambda path: path.stat().st_mtime)
    assert built, "the local cluster's root file system is not there: playbooks/local_up.yml builds it"
    context = folder / "base"
    context.mkdir()
    (context / "Containerfile").write_text("FROM scratch\nADD rootfs.tar /\n", encoding="utf-8")
    with tarfile.open(built[-1]) as whole, tarfile.open(context / "rootfs.tar", "w") as part:
        for member in whole:
            if not NOT_NEEDED.match(member.name):
                part.addfile(member, whole.extractfile(member) if member.isreg() else None)
    command = ["buildah", "build", "--layers=false", "--tag=localhost/base:1", str(context)]
    subprocess.run(command, env={**os.environ, **environment}, check=True, timeout=300, **QUIET)
    return environment


def test_the_six_services_are_built_and_pushed_and_run(registry: str, buildah: dict[str, str]) -> None:
    place = f"{registry}/shop"
    given = {
        "platform_image_registry": place,
        "base_image": "localhost/base:1",
        "build_tool": "buildah",
        "push_arguments": ["--tls-verify=false", "--disable-compression"],
    }
    run = ansible_playbook("images.yml", "-i", "inventories/dev", "-e", json.dumps(given), environment=buildah)
    assert run.returncode == 0, run.told

    for name in SERVICES:
        manifest = get(f"http://{registry}/v2/shop/{name}-service/manifests/v1.0", MANIFESTS)
        config = get(f"http://{registry}/v2/shop/{name}-service/blobs/{manifest['config']['digest']}")["config"]
        assert config["User"] == "1000:1000"
        assert config["Entrypoint"] == ["python3", "-m", "app"]
        assert {"SERVICE_VERSION=v1.0", "PORT=8080", "ERROR_RATE=0"} <= set(config["Env"])

    # As a cluster would: pulled from the registry, and started.
    environment, port = {**os.environ, **buildah}, free_port()
    image = f"{place}/review-service:v1.0"
    pull = ["buildah", "from", "--pull-always", "--tls-verify=false", "--quiet", image]
    container = subprocess.run(
        pull, stdin=subprocess.DEVNULL, env=environment, check=True, capture_output=True, text=True, timeout=120
    ).stdout.strip()
    command = [
        "buildah",
        "run",
        "--env=SERVICE_NAME=review-service",
        f"--env=PORT={port}",
        container,
        "--",
        "python3",
        "-m",
        "app",
    ]
    with subprocess.Popen(
        command, env=environment, start_new_session=True, stderr=subprocess.DEVNULL, **QUIET
    ) as process:
        try:
            expected = {"status": "ok", "service": "review-service", "version": "v1.0"}
            assert answer_of(f"http://127.0.0.1:{port}/health", 30) == expected
        finally:
            os.killpg(process.pid, signal.SIGTERM)  # buildah and what it started
