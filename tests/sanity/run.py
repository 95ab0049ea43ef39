# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run ``ansible-test sanity`` on a copy of the collection, where PyPI is the only thing that can be reached.

    python tests/sanity/run.py [arguments of ansible-test sanity …]

ansible-test wants to stand in ``…/ansible_collections/<namespace>/<name>`` and fetches pip's bootstrap script from a host of its own. So
the tree is copied, and ansible-test gets a home folder whose cache holds a bootstrap script that does the same with Python's ensurepip.
That folder is kept, because its virtual environments make the next run three times as fast.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent.parent
# No plugins, never imported by Ansible: programs and the contents of images, scenarios, tests, the site. `make lint` looks at them.
EXCLUDED = ("roles/local_cluster/files", "molecule/", "tests/", "docs/site/")
BOOTSTRAP = """\
import subprocess, sys
wanted = [word for word in sys.argv[1:] if not word.startswith("--no-")]
subprocess.run([sys.executable, "-m", "ensurepip", "--default-pip"], check=True, stdout=subprocess.DEVNULL)
subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", *wanted], check=True)
"""


def bootstrap_name(installed: Path) -> str:
    """Name under which ansible-test looks for the script in its cache; the version of pip is part of it."""
    source = (installed / "_internal" / "python_requirements.py").read_text(encoding="utf-8")
    found = re.search(r"default_packages = dict\(\s*pip='([\d.]+)'", source)
    if found is None:
        raise SystemExit(
            "tests/sanity/run.py does not know this ansible-test: get_venv_packages() states pip's version in another way"
        )
    return f"get_pip_{found[1].replace('.', '_')}.py"


def files(root: Path, excluded: tuple[str, ...] = EXCLUDED) -> Iterable[str]:
    """Files of the checkout, new ones included, that ``.gitignore`` does not leave out."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        if not name.startswith((".collections/", *excluded)) and (root / name).is_file():
            yield name


def copy(root: Path, target: Path, excluded: tuple[str, ...] = EXCLUDED) -> None:
    """A copy of the checkout at ``target``."""
    for name in files(root, excluded):
        destination = target / name
        destination.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(root / name, destination, follow_symlinks=False)


def home() -> Path:
    """The home folder for ansible-test, with the bootstrap script in its cache."""
    import ansible_test

    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "servicemesh-platform" / "ansible-test"
    script = folder / ".ansible" / "test" / "cache" / bootstrap_name(Path(ansible_test.__path__[0]))
    script.parent.mkdir(parents=True, exist_ok=True)
    script.write_text(BOOTSTRAP, encoding="utf-8")
    return folder


def main() -> int:
    """Exit status of ansible-test."""
    galaxy = yaml.safe_load((ROOT / "galaxy.yml").read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory(prefix="sanity-") as folder:
        collection = Path(folder) / "ansible_collections" / galaxy["namespace"] / galaxy["name"]
        copy(ROOT, collection)
        programs = Path(sys.executable).parent
        environment = {
            **os.environ,
            "HOME": str(home()),
            "PIP_CACHE_DIR": os.environ.get("PIP_CACHE_DIR") or str(Path.home() / ".cache" / "pip"),
            "PATH": f"{programs}{os.pathsep}{os.environ.get('PATH', '')}",
        }
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        argv = [str(programs / "ansible-test"), "sanity", "--venv", "--python", version, "--color", "no", *sys.argv[1:]]
        return subprocess.run(argv, cwd=collection, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
