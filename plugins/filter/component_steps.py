# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Turn the components of the local cluster into steps of the module build."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

DEFAULT_LDFLAGS = "-s -w"


def component_steps(components: list[dict[str, Any]], files: str, environment: dict[str, str]) -> list[dict[str, Any]]:
    """Components (``name``, ``title``, optional ``ldflags``, ``tags``, ``assets``, ``missing``) -> steps.

    ``files`` is the folder of build_go.py.
    """
    return [
        {
            "name": component["name"],
            "title": component["title"],
            # Relative paths: the cache key of a step must not depend on the location of the checkout.
            "argv": [
                "python3",
                "build_go.py",
                f"binaries/{component['name']}",
                "{output}",
                f"--ldflags={component.get('ldflags', DEFAULT_LDFLAGS)}",
                *([f"--tags={component['tags']}"] if component.get("tags") else []),
                *(f"--asset={asset}" for asset in component.get("assets", [])),
                *(f"--missing={missing}" for missing in component.get("missing", [])),
            ],
            "chdir": files,
            "environment": dict(environment),
            "inputs": [f"{files}/binaries/{component['name']}", f"{files}/build_go.py"],
        }
        for component in components
    ]


class FilterModule:
    """Filters of the role local_cluster."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"component_steps": component_steps}
