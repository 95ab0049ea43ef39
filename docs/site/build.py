# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build the documentation site into build/docs/html (``make docs``), or only check its guides (``--check``, part of ``make lint``).

The guides are the Markdown files of the repository, at the same relative paths, so that their links hold here and there. antsibull-docs
makes the reference of modules, filters and roles from their own documentation; ``make lint`` checks that apart from here.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

SITE = Path(__file__).resolve().parent
ROOT = SITE.parent.parent
OUTPUT = ROOT / "build" / "docs"
PROGRAMS = Path(sys.executable).parent
GUIDES = ("*.md", "execution-environment.yml", "docs/**/*.*", "roles/*/README.md")
COLLECTION = "servicemesh.platform"


def guides(target: Path) -> None:
    """Copies the guides and the configuration of Sphinx."""
    for pattern in GUIDES:
        for path in ROOT.glob(pattern):
            if path.is_relative_to(SITE):
                continue
            destination = target / path.relative_to(ROOT)
            destination.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, destination)
    for name in ("conf.py", "index.md"):
        shutil.copy2(SITE / name, target / name)


def reference(target: Path) -> None:
    """Writes a page for each module, filter and role."""
    target.mkdir(mode=0o755)
    argv = [
        str(PROGRAMS / "antsibull-docs"),
        "collection",
        "--use-current",
        "--squash-hierarchy",
        "--cleanup",
        "everything",
    ]
    environment = {
        **os.environ,
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".collections"),
        "PATH": f"{PROGRAMS}{os.pathsep}{os.environ.get('PATH', '')}",
    }
    subprocess.run([*argv, "--fail-on-error", "--dest-dir", str(target), COLLECTION], env=environment, check=True)


def sphinx(builder: str, source: Path, output: Path) -> int:
    """Exit status of Sphinx; a warning is an error."""
    argv = [
        sys.executable,
        "-m",
        "sphinx",
        "-q",
        "-W",
        "--keep-going",
        "-b",
        builder,
        str(source),
        str(output),
    ]
    return subprocess.run(argv, check=False).returncode


def main() -> int:
    """Exit status of Sphinx."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="only read the guides and resolve their links")
    check = parser.parse_args().check
    with tempfile.TemporaryDirectory(prefix="docs-") as folder:
        source = Path(folder) / "source"
        source.mkdir()
        guides(source)
        if check:
            (source / "reference").mkdir()
            (source / "reference" / "index.md").write_text("# Reference\n", encoding="utf-8")
            return sphinx("dummy", source, Path(folder) / "output")
        reference(source / "reference")
        shutil.rmtree(OUTPUT, ignore_errors=True)
        status = sphinx("html", source, OUTPUT / "html")
    if status == 0:
        print(f"{OUTPUT}/html/index.html")
    return status


if __name__ == "__main__":
    sys.exit(main())
