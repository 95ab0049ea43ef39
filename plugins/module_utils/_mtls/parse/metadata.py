# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What all readers of Kubernetes objects need: the identity of an object, and the full name of a host. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Obj = Mapping[str, Any]


def identity(obj: Obj) -> tuple[str, str, str]:
    """Namespace, name and creation time, each empty when it is not there."""
    meta = obj.get("metadata") or {}
    return str(meta.get("namespace") or ""), str(meta.get("name") or ""), str(meta.get("creationTimestamp") or "")


def full_host(host: str, namespace: str, domain: str) -> str:
    """The full name of a host (istio pilot/pkg/model/config.go, ResolveShortnameToFQDN)."""
    return host if "." in host or ":" in host or host in ("", "*") else f"{host}.{namespace}.svc.{domain}"
