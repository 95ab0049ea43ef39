# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds tests/judge/program once for each state of its sources, with the module files of the local cluster's Istio.

Its packages are mostly those of istiod, so that the caches of `make up` serve here too: a minute after `make up`, six without its caches.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import yaml

from tests.rules.tools import CACHE
from tests.support import ROOT

# Where `make up` keeps modules and compiled packages.
CACHES = {"GOMODCACHE": str(CACHE / "go" / "mod"), "GOCACHE": str(CACHE / "go" / "build")}
_ROLE = ROOT / "roles" / "local_cluster"
_SOURCES = (
    ROOT / "tests" / "judge" / "program" / "main.go",
    _ROLE / "files" / "binaries" / "istio" / "go.mod",
    _ROLE / "files" / "binaries" / "istio" / "go.sum",
)


def program() -> Path:
    """The program, built if it is not there."""
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in _SOURCES)).hexdigest()[:12]
    folder = CACHE / f"judge-{digest}"
    if not folder.exists():
        with tempfile.TemporaryDirectory(prefix=f"judge-{digest}.", dir=CACHE) as partial:
            _build(Path(partial))
            shutil.move(partial, folder)  # it has its name only when it is whole
            Path(partial).mkdir()  # for the context manager to remove
    return folder / "judge"


def _build(folder: Path) -> None:
    for path in _SOURCES:
        shutil.copy(path, folder)
    environment = {
        **CACHES,
        "CGO_ENABLED": "0",
        "GOFLAGS": "-mod=readonly -trimpath",
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
    }
    command = [go(), "build", "-ldflags", "-s -w", "-o", "judge", "."]
    done = subprocess.run(
        command, check=False, cwd=folder, env={**os.environ, **environment}, capture_output=True, text=True
    )
    assert done.returncode == 0, f"building the judge failed: {done.stderr}"


def go() -> str:
    """The Go of the machine if it is new enough, else the one that `make up` has fetched."""
    least = yaml.safe_load((_ROLE / "vars" / "main.yml").read_text(encoding="utf-8"))["__local_cluster_go_minimum"]
    for found in (shutil.which("go"), *(str(path) for path in CACHE.glob("go-*/go/bin/go"))):
        if found and _version(found) >= tuple(map(int, least.split("."))):
            return found
    raise AssertionError(f"Go {least} or newer is needed to build the judge: make up fetches one")


def _version(go: str) -> tuple[int, ...]:
    done = subprocess.run([go, "env", "GOVERSION"], capture_output=True, text=True, check=True)
    return tuple(map(int, re.findall(r"\d+", done.stdout)))
