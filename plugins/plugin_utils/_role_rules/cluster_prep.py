# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules of the role cluster_prep."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.servicemesh.platform.plugins.plugin_utils._service import checks as is_

_NAMESPACES = ("namespace", "istio_namespace", "ingress_namespace", "monitoring_namespace", "config_namespace")


def findings(values: Mapping[str, Any]) -> Iterator[str]:
    """Namespaces without a name, names in entries, the revision, networks."""
    names = {f"cluster_prep_{name}": values[f"cluster_prep_{name}"] for name in _NAMESPACES}
    names.update(
        (f"cluster_prep_extra_namespaces[{index}].name", entry["name"])
        for index, entry in enumerate(values["cluster_prep_extra_namespaces"])
    )
    for variable, name in names.items():
        if expected := is_.label(name):
            yield f"{variable}: {name!r} is not {expected}"
    revision = values["cluster_prep_istio_revision"]
    if revision and is_.label(revision):
        yield (
            f"cluster_prep_istio_revision: {revision!r} is no revision; expected lower-case letters, digits and '-' (1-31-0, not 1.31.0), "
            "or an empty text"
        )
    for variable in ("cluster_prep_pod_cidr", "cluster_prep_service_cidr"):
        if values[variable] and not _is_network(values[variable]):
            yield (
                f"{variable}: {values[variable]!r} is no network; expected one such as 10.244.0.0/16, or nothing: then it is read from the "
                "cluster"
            )


def _is_network(value: str) -> bool:
    try:
        ipaddress.ip_network(value, strict=False)
    except ValueError:
        return False
    return "/" in value
