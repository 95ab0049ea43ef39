# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection as users get it, and what Galaxy says of it: ``python -m tests.artifact`` (part of ``make lint``).

The archive is built of the files of the checkout, so that nothing that only lies on this machine gets into it. galaxy-importer is the
program that Galaxy itself runs on an upload; its own runs of ansible-lint, ansible-test and ansible-doc are off, because ``make lint`` and
``make sanity`` do the same. antsibull-docs makes the pages of all modules, filters and roles, and refuses what it cannot show.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.sanity.run import ROOT, copy

PROGRAMS = Path(sys.executable).parent
NAME = ("servicemesh", "platform")
IMPORTER = {
    "RUN_ANSIBLE_DOC": "false",
    "RUN_ANSIBLE_LINT": "false",
    "RUN_ANSIBLE_TEST": "false",
    "RUN_FLAKE8": "false",
    "CHECK_REQUIRED_TAGS": "true",
}
FINDING = re.compile(r"^(?:WARNING|ERROR|CRITICAL): .*$", re.MULTILINE)


def run(argv: list[str], cwd: Path, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """A program of this virtualenv, with standard error in its output."""
    return subprocess.run(
        [str(PROGRAMS / argv[0]), *argv[1:]],
        cwd=cwd,
        env={**os.environ, "PATH": f"{PROGRAMS}{os.pathsep}{os.environ.get('PATH', '')}", **(environment or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def checked(done: subprocess.CompletedProcess[str]) -> str:
    """The output of a program that has to succeed."""
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, done.args))} ended with {done.returncode}:\n{done.stdout}")
    return done.stdout


def build(source: Path, folder: Path) -> Path:
    """The archive of the collection at ``source``, in ``folder``."""
    checked(run(["ansible-galaxy", "collection", "build", "--output-path", str(folder)], source))
    (archive,) = folder.glob("*.tar.gz")
    return archive


def install(archive: Path, folder: Path) -> Path:
    """The collection, installed below ``folder`` without its dependencies; those come with the virtualenv."""
    environment = {"ANSIBLE_COLLECTIONS_PATH": str(folder)}
    argv = ["ansible-galaxy", "collection", "install", str(archive), "-p", str(folder), "--no-deps", "--offline"]
    checked(run(argv, folder, environment))
    return folder / "ansible_collections" / NAME[0] / NAME[1]


def imported(archive: Path) -> list[str]:
    """What Galaxy would refuse or warn of."""
    environment = {f"GALAXY_IMPORTER_{key}": value for key, value in IMPORTER.items()}
    # It writes its result into the current folder.
    done = run(["python", "-m", "galaxy_importer.main", archive.name], archive.parent, environment)
    found = FINDING.findall(done.stdout)
    if done.returncode != 0 and not found:
        return [f"galaxy-importer: {done.stdout}"]
    return [f"galaxy-importer: {line}" for line in found]


def documented(collection: Path) -> list[str]:
    """What antsibull-docs cannot show."""
    environment = {"ANSIBLE_COLLECTIONS_PATH": str(collection.parent.parent.parent)}
    done = run(["antsibull-docs", "lint-collection-docs", "--plugin-docs", str(collection)], ROOT, environment)
    return [] if done.returncode == 0 else [f"antsibull-docs: {done.stdout}"]


def main() -> int:
    """1 with findings, else 0."""
    with tempfile.TemporaryDirectory(prefix="artifact-") as name:
        folder = Path(name)
        collection = folder / "ansible_collections" / NAME[0] / NAME[1]
        copy(ROOT, collection, excluded=())
        (folder / "archive").mkdir()
        found = [*imported(build(collection, folder / "archive")), *documented(collection)]
    for line in found:
        print(line)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
