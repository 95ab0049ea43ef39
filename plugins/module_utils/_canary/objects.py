# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ConfigMap and the Lease of a rollout: their common name and labels, and the error that a second run gets."""

from __future__ import annotations

from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import KubeError
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.objects import (
    CANARY_MANAGER,
    FIELD_MANAGER,
    MANAGED_BY_LABEL,
    PART_OF_LABEL,
)

QUERY = {"fieldManager": CANARY_MANAGER}


class OtherRunError(KubeError):
    """Another run has the lease, or took the service over from this run."""


class LeaseHeldError(OtherRunError):
    """Another run has the lease now. `present`: who, as `Lease.present` returns it."""

    def __init__(self, message: str, present: dict[str, Any]) -> None:
        super().__init__(message)
        self.present = present


def object_name(service: str) -> str:
    """Name of the Lease and of the ConfigMap of a service."""
    return f"canary-{service}"


def object_meta(namespace: str, service: str) -> dict[str, Any]:
    """Metadata of a new Lease or ConfigMap."""
    return {
        "name": object_name(service),
        "namespace": namespace,
        "labels": {MANAGED_BY_LABEL: FIELD_MANAGER, PART_OF_LABEL: service, "app": service},
    }
