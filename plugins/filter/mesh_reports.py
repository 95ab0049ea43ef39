# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Result of mesh_info -> reports."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any


def mesh_reports(result: Mapping[str, Any], name: str) -> dict[str, str]:
    """The reports of a result, by the names of their files."""
    # Here for the reason that stands in mtls_reports.py: other tasks load this file too.
    from ansible_collections.servicemesh.platform.plugins.module_utils._text import cleaned
    from ansible_collections.servicemesh.platform.plugins.plugin_utils._reports import mesh

    report = cleaned(result)
    return {
        f"{name}.json": json.dumps(report, indent=1, sort_keys=True) + "\n",
        f"{name}.html": mesh.html(report),
    }


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name to function."""
        return {"mesh_reports": mesh_reports}
