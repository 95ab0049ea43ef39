#!/usr/bin/env python3
"""Make the root file system that all local images stand on: OUTPUT FOLDER, into OUTPUT/rootfs.tar.

FOLDER holds packages.txt, dpkg.cfg (what not to unpack) and createcluster.conf (no database cluster for Debian's postgresql).

Packages come from wherever this machine's apt gets Debian from, so mirrors and proxies need no setting of their own.
"""

from __future__ import annotations

import os
import pathlib
import re
import subprocess
import sys


def debian_sources() -> str:
    """One-line sources of this machine's Debian suites (main), as apt resolves them from all its files."""
    fields = "$(SITE) $(RELEASE) $(COMPONENT) $(REPO_URI) $(ORIGIN)"
    listed = subprocess.run(
        ["apt-get", "indextargets", "--format", fields, "Created-By: Packages"],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout
    lines = []
    for line in sorted(set(listed.splitlines())):
        words = line.split()
        if len(words) >= 5 and words[2] == "main" and words[4].startswith("Debian"):
            lines.append(f"deb {words[3]} {words[1]} main")
    if not lines:
        raise SystemExit(
            "apt knows no Debian suite on this machine; run apt-get update and look into /etc/apt/sources.list.d"
        )
    return "\n".join(sorted(set(lines))) + "\n"


def packages(path: pathlib.Path) -> list[str]:
    """Package names of the list; what follows '#' says why."""
    names = [re.sub(r"#.*", "", line).strip() for line in path.read_text().splitlines()]
    return [name for name in names if name]


def main(output: pathlib.Path, folder: pathlib.Path) -> None:
    argv = [
        "mmdebstrap",
        "--variant=minbase",
        "--mode=root",
        f"--include={','.join(packages(folder / 'packages.txt'))}",
    ]
    argv += [f"--dpkgopt={folder.resolve() / 'dpkg.cfg'}", "--aptopt=Apt::Install-Recommends false"]
    argv += ['--essential-hook=mkdir -p "$1/etc/postgresql-common"']
    argv += [f"--essential-hook=copy-in {folder.resolve() / 'createcluster.conf'} /etc/postgresql-common"]
    argv += ['--customize-hook=rm -rf "$1"/var/lib/apt/lists/* "$1"/var/cache/apt/* "$1"/var/log/*.log']
    argv += ["bookworm", str(output / "rootfs.tar"), "-"]
    subprocess.run(
        argv, check=True, input=debian_sources(), text=True, env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    )


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
