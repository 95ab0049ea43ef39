# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known of a service's canary: its record, its lease, and what is live. Reads only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._canary.clock import ServerClock
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.lease import Lease
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.record import Record
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.result import exposition, state_of
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.client import Client


def read(client: Client, namespace: str, service: str, deployment: str = "") -> dict[str, Any]:
    """The state of a service's canary as module ``canary_info`` returns it, without a decision.

    ``deployment``: that of the present version, the service's name by default.
    """
    clock = ServerClock(client)
    record = Record(client, clock, namespace, service)
    state = record.read()
    live = client.get(f"/apis/apps/v1/namespaces/{namespace}/deployments/{deployment or service}")
    return {
        **state_of(state),
        "active": state is not None and state.active,
        "release": record.data("release") if state is not None and state.active else None,
        "virtual_services": state.settings["virtual_services"] if state is not None and state.active else [],
        "record": record.data("record"),
        "runs": record.data("runs") or [],
        "lease": Lease(client, clock, namespace, service).present(),
        "live": _live(live, service),
        "metrics": exposition(state),
    }


def _live(deployment: Mapping[str, Any] | None, service: str) -> dict[str, str] | None:
    if deployment is None:
        return None
    template = deployment["spec"]["template"]
    containers = template["spec"].get("containers") or [{}]
    own = next((entry for entry in containers if entry.get("name") == service), containers[0])
    labels = (template.get("metadata") or {}).get("labels") or {}
    return {"image": str(own.get("image") or ""), "version": str(labels.get("version") or "")}
