# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which version of a service is live, and what a canary recorded of it."""

from __future__ import annotations

import contextlib
import json
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import ApiError

from tests.support import Cluster, ansible_playbook

NAMESPACE = "ecommerce"
SERVICE = "user-service"
VERSION = "v1.0"  # of every service, in the inventory


def live(cluster: Cluster, service: str = SERVICE) -> str:
    """Version of the stable pods."""
    found = cluster.get(f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/{service}")
    return str(found["spec"]["template"]["metadata"]["labels"]["version"])


def recorded(cluster: Cluster, service: str = SERVICE) -> dict[str, Any]:
    """The ConfigMap's data of a service's canaries; empty when there never was one."""
    found = cluster.raw.get(f"/api/v1/namespaces/{NAMESPACE}/configmaps/canary-{service}")
    return dict((found or {}).get("data") or {})


def state(cluster: Cluster, service: str = SERVICE) -> dict[str, Any]:
    """The recorded state of a service's newest canary."""
    text = recorded(cluster, service).get("state")
    return dict(json.loads(text)) if text else {}


def forget(cluster: Cluster, service: str = SERVICE) -> None:
    """Deletes what is recorded of a service's canaries."""
    for path in (
        f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases/canary-{service}",
        f"/api/v1/namespaces/{NAMESPACE}/configmaps/canary-{service}",
    ):
        with contextlib.suppress(ApiError):
            cluster.raw.request("DELETE", path)


def as_in_inventory(cluster: Cluster, args: tuple[str, ...], service: str = SERVICE) -> None:
    """Makes the inventory's version live, without a record of any canary, whatever somebody did with the service before."""
    if not recorded(cluster, service) and live(cluster, service) == VERSION:
        return
    phase = state(cluster, service).get("phase")
    ended = phase in ("promoted", "rolled_back")
    if phase is not None and not ended:
        back = ansible_playbook("rollback.yml", *args, "-e", f"service={service}")
        assert back.returncode == 0, back.told
    forget(cluster, service)
    if ended and live(cluster, service) == VERSION:  # what an ended canary leaves is what its test looked at
        return
    run = ansible_playbook("site.yml", *args, "--tags", service.replace("-", "_"))
    assert run.returncode == 0, run.told
    assert live(cluster, service) == VERSION
