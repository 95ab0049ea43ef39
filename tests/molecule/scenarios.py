# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a role's Molecule scenario on the local cluster: ``molecule test``, and nothing is destroyed at the end."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.support import ROOT

MOLECULE = str(Path(sys.executable).parent / "molecule")
SCENARIOS = sorted(path.parent.name for path in (ROOT / "molecule").glob("*/molecule.yml"))
# These bring namespaces of their own. All others work on the platform: some change it for a while, the rest look at it.
APART = ("cluster_prep", "datastore", "microservice", "observability")
CHANGING = ("istio",)


def check(name: str) -> None:
    """Fails when the scenario does."""
    done = subprocess.run(
        [MOLECULE, "test", "--scenario-name", name, "--destroy", "never"],
        cwd=ROOT,
        env={**os.environ, "MOLECULE_GLOB": "molecule/*/molecule.yml"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stdout
