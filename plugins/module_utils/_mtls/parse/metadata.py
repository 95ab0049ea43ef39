# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What all readers of Kubernetes objects need: the identity of an object, and the full name of a host. Pure."""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Mapping
from typing import Any

Obj = Mapping[str, Any]


def identity(obj: Obj) -> tuple[str, str, str]:
    """Namespace, name and creation time, each empty when it is not there."""
    meta = obj.get("metadata") or {}
    created = meta.get("creationTimestamp") or ""
    if isinstance(created, datetime.datetime):  # YAML's own form of a time, which Kubernetes quotes and others do not
        created = created.astimezone(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return str(meta.get("namespace") or ""), str(meta.get("name") or ""), str(created)


def revision_of(obj: Obj) -> str:
    """The revision that an object is for, by its label istio.io/rev; empty for all."""
    return str(((obj.get("metadata") or {}).get("labels") or {}).get("istio.io/rev") or "")


def texts(node: Any) -> dict[str, str]:
    """Labels, or the labels of a selector. Raises TypeError for anything else than a mapping of texts."""
    if node is None:
        return {}
    if not isinstance(node, Mapping) or not all(isinstance(part, str) for pair in node.items() for part in pair):
        raise TypeError(node)
    return dict(node)


def full_host(host: str, namespace: str, domain: str) -> str:
    """The full name of a host (istio pilot/pkg/model/config.go, ResolveShortnameToFQDN)."""
    return host if "." in host or ":" in host or host in ("", "*") else f"{host}.{namespace}.svc.{domain}"


def family(address: str) -> int:
    """4 or 6, 0 for what is no IP address."""
    try:
        return ipaddress.ip_address(address).version
    except ValueError:
        return 0
