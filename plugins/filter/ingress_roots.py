# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Traffic rules -> the VirtualServices of the hosts that clients outside use, which delegate to those of the services."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ansible_collections.servicemesh.platform.plugins.plugin_utils._service.ingress import roots


def ingress_roots(
    manifests: Sequence[dict[str, Any]], present: Sequence[dict[str, Any]] = (), removal: bool = False
) -> dict[str, list[dict[str, Any]]]:
    """Return the roots of all delegates, and references of roots without any."""
    wanted, gone = roots(manifests, present, removal=removal)
    return {"definitions": wanted, "retired": gone}


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name to function."""
        return {"ingress_roots": ingress_roots}
