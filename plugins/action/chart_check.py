# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the module ``chart_check`` in the process of its task, with the version of kubernetes.core, which only the controller knows."""

from __future__ import annotations

import importlib.util
import json
import typing as t
from pathlib import Path

from ansible_collections.servicemesh.platform.plugins.modules import chart_check
from ansible_collections.servicemesh.platform.plugins.plugin_utils._in_process import InProcessAction


def core_version() -> str:
    """Version of the collection kubernetes.core; empty when it is not installed or does not tell."""
    try:
        spec = importlib.util.find_spec("ansible_collections.kubernetes.core")
        (place, *_others) = (spec and spec.submodule_search_locations) or [""]
        manifest = json.loads((Path(place) / "MANIFEST.json").read_text(encoding="utf-8"))
        return str(manifest["collection_info"]["version"])
    except (ImportError, OSError, ValueError, LookupError, TypeError):
        return ""


class ActionModule(InProcessAction):
    """Action plugin of ``servicemesh.platform.chart_check``; the module of that name documents it."""

    MODULE = chart_check

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        """The module's result."""
        self._task.args = {"kubernetes_core": core_version(), **self._task.args}
        return super().run(tmp, task_vars)
