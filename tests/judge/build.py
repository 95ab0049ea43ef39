# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds tests/judge/program once for each state of its sources, with the module files of the local cluster's Istio.

Its packages are mostly those of istiod, so that the caches of `make up` serve here too: a minute after `make up`, six without its caches.
"""

from __future__ import annotations

from pathlib import Path

from tests.go_program import built
from tests.support import ROOT

_ISTIO = ROOT / "roles" / "local_cluster" / "files" / "binaries" / "istio"
_SOURCES = (ROOT / "tests" / "judge" / "program" / "main.go", _ISTIO / "go.mod", _ISTIO / "go.sum")


def program() -> Path:
    """The program, built if it is not there."""
    return built("judge", _SOURCES)
