# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``make matrix``: the collection with other versions of Ansible, Python and Helm than those of ``make test``. Writes README's table.

``python -m tests.matrix`` runs all rows, ``python -m tests.matrix 2.21-3.13 helm4/site`` these and parts of them; the results of the others
stay.
``python -m tests.matrix table`` runs nothing and writes the table again. The local cluster has to run: start it with ``make up``.
Each pair has a virtualenv of its own below ``build/matrix``. What cannot be run here, for want of a Python for example, is told as not run.
"""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, assert_never

from tests.judge import build as go
from tests.matrix import _table
from tests.matrix._table import ROOT

FOLDER = ROOT / "build" / "matrix"
HELM_4 = Path(__file__).parent / "helm4"
LOCAL = Path("/var/lib/servicemesh-platform/local")
MARK = "helm.sh/helm/v4 "


class Part(StrEnum):
    """What is run; the value names it in README's table."""

    UNITS = "unit and contract tests"
    CONNECTIONS = "unit tests of connections"
    SANITY = "sanity"
    SITE = "site.yml --check"
    HELM = "chart tests"


@dataclasses.dataclass(frozen=True)
class Pair:
    """Versions that run together. `helm`: the major version."""

    core: str
    python: str
    parts: tuple[Part, ...]
    helm: int = 3

    @property
    def name(self) -> str:
        return "helm4" if self.helm == 4 else f"{self.core}-{self.python}"


NEWEST = ("2.21", "3.13")
PAIRS = (
    Pair(*NEWEST, (Part.UNITS, Part.SANITY, Part.SITE)),
    Pair(*NEWEST, (Part.HELM, Part.SITE), helm=4),
    Pair("2.20", "3.12", (Part.CONNECTIONS, Part.SITE)),
    Pair("2.21", "3.14", (Part.CONNECTIONS,)),
)


class NotHereError(Exception):
    """A row that cannot be run on this machine; the argument says why."""


def python_of(version: str) -> str:
    """A Python of this version: in PATH, or one of pyenv. Raises NotHereError."""
    if found := shutil.which(f"python{version}"):
        program = "import sys; print(*sys.version_info[:2], sep='.')"
        done = subprocess.run([found, "-c", program], capture_output=True, text=True, check=False)
        if done.returncode == 0 and done.stdout.strip() == version:
            return found
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    for path in sorted(root.glob(f"versions/{version}.*/bin/python3"), reverse=True):
        return str(path)
    raise NotHereError(f"no Python {version} on this machine")


def virtualenv(pair: Pair) -> Path:
    """The folder with the programs of a pair, made or as it is when the requirements are the same."""
    wanted = [ROOT / "requirements.txt", ROOT / "test-requirements.txt"]
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in wanted)).hexdigest()
    folder = FOLDER / f"{pair.core}-{pair.python}"
    mark = folder / ".made"
    if not mark.exists() or mark.read_text(encoding="utf-8") != digest:
        print(f"== virtualenv {folder.name}", flush=True)
        subprocess.run([python_of(pair.python), "-m", "venv", "--clear", str(folder)], check=True)
        pip = [str(folder / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "-r", str(wanted[1]), f"ansible-core=={pair.core}.*"], check=True)
        mark.write_text(digest, encoding="utf-8")
    return folder / "bin"


def helm_4() -> Path:
    """Helm 4 in a folder with the local cluster's other programs, built from its Go module if it is not there."""
    sources = [HELM_4 / "go.mod", HELM_4 / "go.sum"]
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:12]
    folder = go.CACHE / f"helm4-{digest}"
    if not (folder / "bin" / "helm").exists():
        print("== Helm 4", flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        version = next(line.split()[1] for line in _lines(HELM_4 / "go.mod") if line.strip().startswith(MARK))
        flags = f"-s -w -X helm.sh/helm/v4/internal/version.version={version}"
        argv = [sys.executable, "roles/local_cluster/files/build_go.py", str(HELM_4), str(folder), "--ldflags", flags]
        subprocess.run(argv, cwd=ROOT, env={**os.environ, "GO": go.go(), **go.CACHES}, check=True)
    for name in ("kubectl", "istioctl"):
        (folder / "bin" / name).unlink(missing_ok=True)
        (folder / "bin" / name).symlink_to(LOCAL / "bin" / name)
    return folder / "bin" / "helm"


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


def command(part: Part, programs: Path, helm: Path) -> list[str]:
    """What runs a part."""
    pytest = [str(programs / "pytest"), "-q", "-p", "no:cacheprovider"]
    match part:
        case Part.UNITS:
            return [*pytest, "tests/unit", "tests/contract"]
        case Part.CONNECTIONS:
            utils = "tests/unit/plugins/module_utils"
            return [
                *pytest,
                f"{utils}/test_tls.py",
                f"{utils}/test_http.py",
                f"{utils}/_kube",
                "tests/unit/plugins/plugin_utils",
            ]
        case Part.SANITY:
            return [str(programs / "python"), "tests/sanity/run.py"]
        case Part.SITE:
            site = [str(programs / "ansible-playbook"), "playbooks/site.yml", "-i", "inventories/local", "--check"]
            return [*site, "-e", f"platform_helm_binary={helm}"]
        case Part.HELM:
            return [*pytest, "tests/integration/test_helm_release.py", "tests/integration/test_charts.py"]
        case _:
            assert_never(part)


def said(part: Part, output: str) -> str:
    """The result of a part that ended well, for the table."""
    if part is Part.SITE:
        return ", ".join(sorted(set(re.findall(r"changed=\d+", output.rpartition("PLAY RECAP")[2]))))
    if part is Part.SANITY:
        return "passed"
    return re.sub(r" in [\d.]+s.*", "", output.strip().splitlines()[-1].strip("= "))


def run(pair: Pair, say: Callable[[str], None]) -> dict[str, Any]:
    """The row of a pair. A part that fails is told as failed, and the next one runs."""
    row: dict[str, Any] = {
        "core": pair.core,
        "python": pair.python,
        "kubernetes_core": "",
        "helm": str(pair.helm),
        "parts": {},
    }
    row["when"] = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d")
    try:
        programs = virtualenv(pair)
        helm = helm_4() if pair.helm == 4 else LOCAL / "bin" / "helm"
    except NotHereError as error:
        return {**row, "why": str(error)}
    row |= versions(programs, helm)
    for part in pair.parts:
        say(f"== {pair.name}: {part.value}")
        environment = {
            **os.environ,
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
            "KUBECONFIG": str(LOCAL / "kubeconfig"),
            "MATRIX_HELM": str(helm),
        }
        argv, pipe = command(part, programs, helm), subprocess.PIPE
        done = subprocess.run(
            argv, cwd=ROOT, env=environment, stdout=pipe, stderr=subprocess.STDOUT, text=True, check=False
        )
        if done.returncode:
            say(done.stdout)
        row["parts"][part.value] = (
            said(part, done.stdout) if done.returncode == 0 else f"**failed** ({done.returncode})"
        )
        say(f"== {pair.name}: {part.value}: {row['parts'][part.value]}")
    return row


def versions(programs: Path, helm: Path) -> dict[str, str]:
    """The exact versions of a row."""
    program = (
        "import importlib.metadata, json, pathlib, platform, ansible_collections.kubernetes.core as core; "
        "manifest = json.loads((pathlib.Path(list(core.__path__)[0]) / 'MANIFEST.json').read_text()); "
        "print(importlib.metadata.version('ansible-core'), platform.python_version(), manifest['collection_info']['version'])"
    )
    done = subprocess.run([str(programs / "python"), "-c", program], capture_output=True, text=True, check=True)
    core, python, collection = done.stdout.split()
    found = subprocess.run([helm, "version", "--template", "{{.Version}}"], capture_output=True, text=True, check=True)
    return {
        "core": core,
        "python": python,
        "kubernetes_core": collection,
        "helm": found.stdout.strip().removeprefix("v"),
    }


def chosen(words: Sequence[str]) -> list[Pair]:
    """The pairs, or parts of them, that the command line names; all without words. Raises SystemExit for an unknown name."""
    names = {pair.name: pair for pair in PAIRS}
    found = []
    for word in words or names:
        name, _slash, part = word.partition("/")
        pair = names.get(name)
        parts = [known for known in pair.parts if part in ("", known.name.lower())] if pair else []
        if pair is None or not parts:
            known = [f"{each.name}/{known.name.lower()}" for each in PAIRS for known in each.parts]
            raise SystemExit(f"unknown: {word}; there are {', '.join([*names, *known])} and table")
        found.append(dataclasses.replace(pair, parts=tuple(parts)))
    return found


def completed(results: Mapping[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """A row for each pair, in their order; what did not run is told as not run."""
    found = {}
    for pair in PAIRS:
        row = results.get(pair.name) or {
            "core": pair.core, "python": pair.python, "kubernetes_core": "", "helm": str(pair.helm), "parts": {}, "when": "",
            "why": "not run yet",
        }  # fmt: skip
        ran = row["parts"]
        parts = {part.value: ran.get(part.value, "not run") for part in pair.parts} if ran else {}
        found[pair.name] = {**row, "parts": parts}
    return found


def main() -> int:
    """Exit status: 1 when a part failed."""
    results = _table.stored()
    for pair in [] if sys.argv[1:] == ["table"] else chosen(sys.argv[1:]):
        row = run(pair, lambda text: print(text, flush=True))
        before = results.get(pair.name, {}).get("parts", {})
        results[pair.name] = {**row, "parts": {**before, **row["parts"]}}
    results = completed(results)
    _table.RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    readme = _table.written(_table.README.read_text(encoding="utf-8"), results)
    _table.README.write_text(readme, encoding="utf-8")
    print(_table.table(results))
    return int(any("failed" in text for row in results.values() for text in row["parts"].values()))


if __name__ == "__main__":
    sys.exit(main())
