# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the tests find prometheus, promtool and amtool."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

CACHE = Path(os.environ.get("SERVICEMESH_CACHE") or "~/.cache/servicemesh-platform").expanduser()


def find(name: str) -> str:
    """The program that the local cluster's image was built with, else the one of Debian's package prometheus."""
    built = sorted(
        CACHE.glob(f"*manager-*/bin/{name}" if name == "amtool" else f"prometheus-*/bin/{name}"),
        key=lambda path: path.stat().st_mtime,
    )
    found = str(built[-1]) if built else shutil.which(name)
    assert found, f"{name} is not there: playbooks/local_up.yml builds it, and Debian's package prometheus brings it"
    return found
