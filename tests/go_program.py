# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds a Go program of the tests once for each state of its sources, with the modules and compiled packages that `make up` keeps."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import yaml

from tests.rules.tools import CACHE
from tests.support import ROOT

# Where `make up` keeps modules and compiled packages.
CACHES = {"GOMODCACHE": str(CACHE / "go" / "mod"), "GOCACHE": str(CACHE / "go" / "build")}
_VARIABLES = ROOT / "roles" / "local_cluster" / "vars" / "main.yml"


def built(name: str, sources: Sequence[Path], package: str = ".") -> Path:
    """The program `name` of a package, built if it is not there. `sources`: go.mod, go.sum and what else is in its folder."""
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:12]
    folder = CACHE / f"{name}-{digest}"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # workers of one run, and runs on one machine, build it once
        if not folder.exists():
            with tempfile.TemporaryDirectory(prefix=f"{name}-{digest}.", dir=CACHE) as partial:
                _build(name, sources, package, Path(partial))
                shutil.move(partial, folder)  # it has its name only when it is whole
                Path(partial).mkdir()  # for the context manager to remove
    return folder / name


def _build(name: str, sources: Sequence[Path], package: str, folder: Path) -> None:
    for path in sources:
        shutil.copy(path, folder)
    environment = {
        **CACHES,
        "CGO_ENABLED": "0",
        "GOFLAGS": "-mod=readonly -trimpath",
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
    }
    command = [go(), "build", "-ldflags", "-s -w", "-o", name, package]
    done = subprocess.run(
        command, check=False, cwd=folder, env={**os.environ, **environment}, capture_output=True, text=True
    )
    assert done.returncode == 0, f"building {name} failed: {done.stderr}"


def go() -> str:
    """The Go of the machine if it is new enough, else the one that `make up` has fetched."""
    least = yaml.safe_load(_VARIABLES.read_text(encoding="utf-8"))["__local_cluster_go_minimum"]
    for found in (shutil.which("go"), *(str(path) for path in CACHE.glob("go-*/go/bin/go"))):
        if found and _version(found) >= tuple(map(int, least.split("."))):
            return found
    raise AssertionError(f"Go {least} or newer is needed to build programs of the tests: make up fetches one")


def _version(go: str) -> tuple[int, ...]:
    done = subprocess.run([go, "env", "GOVERSION"], capture_output=True, text=True, check=True)
    return tuple(map(int, re.findall(r"\d+", done.stdout)))
