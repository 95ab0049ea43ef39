# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose traffic a run shifts, from its recorded settings. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._canary.routes import Aim


def aim_of(settings: Mapping[str, Any]) -> Aim:
    """Whose traffic is shifted."""
    return Aim(
        settings["service"],
        settings["namespace"],
        settings["stable_subset"],
        settings["canary_subset"],
        int(settings["port"] or 0),
        settings["cluster_domain"],
        tuple(settings["routes"]),
    )
