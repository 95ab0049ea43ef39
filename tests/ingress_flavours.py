# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The flavours of the role nginx_ingress, and what each makes of its variables."""

from __future__ import annotations

from typing import Any

from tests.role_values import main_files, value

FLAVOURS = sorted(path.stem for path in main_files("nginx_ingress", "vars") if path.stem != "main")


def chart(flavour: str, **overrides: Any) -> dict[str, Any]:
    """Values of the flavour's chart."""
    found: dict[str, Any] = value("nginx_ingress", "__nginx_ingress_values", nginx_ingress_flavour=flavour, **overrides)
    return found


def objects(flavour: str, **overrides: Any) -> dict[str, dict[str, Any]]:
    """Kind -> object beside the controller: the Ingress, and what belongs to it."""
    parts = (
        value("nginx_ingress", f"__nginx_ingress_{part}", nginx_ingress_flavour=flavour, **overrides)
        for part in ("certificates", "objects")
    )
    return {one["kind"]: one for found in parts for one in found}


def annotations(flavour: str, **overrides: Any) -> dict[str, str]:
    """Annotations of the Ingress."""
    found: dict[str, str] = objects(flavour, **overrides)["Ingress"]["metadata"]["annotations"]
    return found
