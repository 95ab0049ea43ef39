# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Charts as files, and the `helm` command."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._helm.chart_release import (
    Chart,
    chart_by_reference,
    is_fetched,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._helm.content import Files, Ignored
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import KubeError

# Seconds for one run of `helm`, which may ask a registry.
_FETCH_TIMEOUT = 120.0
_CORE_FOR_HELM_4 = (6, 4)


def local_chart(path: str) -> Chart:
    """Identity of the chart in a folder or an archive. Raises ValueError with what is wrong."""
    import yaml

    where = Path(os.path.expanduser(path))
    file = where if where.suffix == ".tgz" else where / "Chart.yaml"
    try:
        text = _from_archive(where) if where.suffix == ".tgz" else file.read_bytes()
        found: Any = yaml.safe_load(text)
    except FileNotFoundError:
        raise ValueError(f"there is no Helm chart ({file} does not exist)") from None
    except (OSError, tarfile.TarError) as error:
        raise ValueError(f"{file} cannot be read: {error}") from None
    except yaml.YAMLError as error:
        raise ValueError(f"{file} is not YAML: {error}") from None
    if not isinstance(found, dict) or not found.get("name") or not found.get("version"):
        raise ValueError(f"{file} is not a chart: expected a name and a version")
    app_version = found.get("appVersion")
    return Chart(str(found["name"]), str(found["version"]), None if app_version is None else str(app_version))


def _from_archive(path: Path) -> bytes:
    with tarfile.open(path, "r:gz") as archive:
        for member in archive:
            if member.name.count("/") == 1 and member.name.endswith("/Chart.yaml"):
                file = archive.extractfile(member)
                if file is not None:
                    return file.read()
    raise OSError("it contains no Chart.yaml")


def local_files(reference: str) -> Files | None:
    """The files of a chart in a folder or an archive, without those that Helm leaves out.

    None for a chart that is fetched, or does not exist. Raises ValueError with what is wrong.
    """
    where = Path(os.path.expanduser(reference))
    if not reference or is_fetched(reference) or not where.exists():
        return None
    try:
        return _in_archive(where) if where.suffix == ".tgz" else dict(_in_folder(where))
    except (OSError, tarfile.TarError) as error:
        raise ValueError(f"{where} cannot be read: {error}") from None


def _in_archive(path: Path) -> Files:
    """Without the folder that everything is in (helm.sh/helm pkg/chart/loader/archive/archive.go)."""
    found = {}
    with tarfile.open(path, "r:gz") as archive:
        for member in archive:
            if member.isfile() and (file := archive.extractfile(member)) is not None:
                found[member.name.partition("/")[2]] = file.read()
    return found


def _in_folder(top: Path) -> Iterator[tuple[str, bytes]]:
    """Links are followed (helm.sh/helm internal/sympath/walk.go)."""
    rules = top / ".helmignore"
    try:
        ignored = Ignored(rules.read_text(encoding="utf-8-sig") if rules.is_file() else "")
    except ValueError as error:
        raise ValueError(f"{top} cannot be read: {error}") from None
    for folder, below, names in os.walk(top, followlinks=True):
        prefix = "" if (relative := os.path.relpath(folder, top)) == "." else f"{relative}/"
        below[:] = [name for name in below if not ignored(prefix + name, folder=True)]
        for name in names:
            if not ignored(prefix + name):
                yield prefix + name, Path(folder, name).read_bytes()


def chart_of(reference: str, version: str) -> Chart | None:
    """Identity of a chart; None when only fetching it would tell it, or when it does not exist."""
    if is_fetched(reference):
        return chart_by_reference(reference, version)
    try:
        return local_chart(reference)
    except ValueError:
        return None


def helm_version(binary: str) -> str:
    """Version of the `helm` command. Raises KubeError when it cannot be run."""
    path = shutil.which(binary)
    if path is None:
        raise KubeError(f"there is no command '{binary}'")
    done = _run(path, "version", "--template", "{{.Version}}")
    if done.returncode:
        raise KubeError((done.stderr or done.stdout).strip()[-500:])
    return done.stdout.strip()


def version_finding(version: str, core: str) -> str:
    """What is wrong with a version of `helm`, and of the collection kubernetes.core that runs it; empty when nothing is.

    kubernetes.core 6.4.0 is the first that knows Helm 4 (its CHANGELOG.rst); older ones fail in the middle of a run, as they cannot read
    what Helm 4 prints.
    """
    found = re.match(r"v?(\d+)\.", version)
    if found is None or int(found[1]) not in (3, 4):
        return (
            f"whose version is '{version}'. Expected Helm 3 or 4: install one of them, or set the variable to its path."
        )
    if int(found[1]) == 3:
        return ""
    parts = re.match(r"(\d+)\.(\d+)", core)
    if parts is not None and (int(parts[1]), int(parts[2])) >= _CORE_FOR_HELM_4:
        return ""
    which = f"is {core}" if core else "has a version that cannot be read"
    return (
        f"whose version is {version}, but the collection kubernetes.core {which}. Helm 4 needs kubernetes.core 6.4 or newer: "
        "`ansible-galaxy collection install 'kubernetes.core:>=6.4.0,<7.0.0'`, or set the variable to the path of Helm 3."
    )


def finding_of_fetched(binary: str, reference: str, version: str) -> str:
    """Why `helm` cannot fetch a chart; empty when it can."""
    archive = reference.startswith("oci:") or reference.endswith(".tgz")
    folder, _slash, name = reference.rpartition("/")
    where = [reference] if archive else [name, "--repo", folder]
    done = _run(binary, "show", "chart", *where, *(["--version", version] if version else []))
    return "" if done.returncode == 0 else (done.stderr or done.stdout).strip()[-500:]


def _run(*argv: str) -> subprocess.CompletedProcess[str]:
    try:
        # run_command is a method of AnsibleModule; this works without one too.  pylint: disable-next=ansible-bad-function
        return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=_FETCH_TIMEOUT)
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(argv, 124, "", f"no answer within {_FETCH_TIMEOUT:.0f} s")
    except OSError as error:
        return subprocess.CompletedProcess(argv, 126, "", str(error))
