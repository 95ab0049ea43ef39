# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Versions of Secrets, by their metadata alone: no value leaves the API server, and the right to get these Secrets is enough."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

from ansible_collections.servicemesh.platform.plugins.module_utils._kube.client import Client

_METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=1,application/json"


def read(client: Client, namespace: str, names: Iterable[str]) -> dict[str, str]:
    """Name -> ``resourceVersion`` of each Secret that exists."""
    folder = f"/api/v1/namespaces/{quote(namespace, safe='')}/secrets"
    wanted = sorted(set(names))

    def one(name: str) -> dict[str, Any] | None:
        return client.get(f"{folder}/{quote(name, safe='')}", accept=_METADATA)

    found = client.each(one, wanted)
    return {name: str(obj["metadata"]["resourceVersion"]) for name, obj in zip(wanted, found, strict=True) if obj}
