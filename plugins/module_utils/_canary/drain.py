# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the pods of a version still have requests: read from the counters of their own proxies, through a port forward."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._canary.proxy_check import has_proxy
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.client import Client
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.pods import PodError, admin_json

Obj = Mapping[str, Any]
QUIET = 1.0  # seconds without a new request after which a pod is drained
_PAUSE = 0.25  # seconds between two reads
# The counters of a cluster's hosts are there whatever Istio's proxyStatsMatcher leaves out of /stats.
_CLUSTERS = "/clusters?format=json"


@dataclass(frozen=True, slots=True)
class Load:
    """Requests (of HTTP) and connections (of TCP) that a proxy has led to its own application: how many are open, and were begun."""

    open: int
    begun: int


def load_of(clusters: Obj) -> Load | None:
    """The load of a proxy's answer to /clusters; None when it has no cluster for its own application.

    Istio's clusters for the application of a sidecar are named `inbound|PORT||` (pilot/pkg/model/push_context.go, BuildSubsetKey). Envoy
    leaves numbers that are 0 out.
    """
    own = [entry for entry in clusters.get("cluster_statuses") or () if str(entry.get("name")).startswith("inbound|")]
    if not own:
        return None
    counted = {"rq_active": 0, "rq_total": 0}
    for entry in own:
        for host in entry.get("host_statuses") or ():
            for stat in host.get("stats") or ():
                if stat.get("name") in counted:
                    counted[stat["name"]] += int(stat.get("value") or 0)
    return Load(counted["rq_active"], counted["rq_total"])


class Drain:
    """Looks for open requests in the pods of one version."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def quiet(self, pods: Sequence[Obj], seconds: float) -> bool:
        """Waits at most `seconds` until none of the pods has an open request and none has got one for a second.

        False as well when a pod has no proxy or cannot be read: then nothing is known.
        """
        if not all(has_proxy(pod) for pod in pods):
            return False
        end, since, before = time.monotonic() + seconds, time.monotonic(), list[Load]()
        while True:
            now = time.monotonic()
            loads = self._client.each(self._load, list(pods))
            seen = [load for load in loads if load is not None]
            if len(seen) < len(pods):
                return False
            if seen != before or any(load.open for load in seen):
                since, before = now, seen
            if now - since >= QUIET:
                return True
            if now + _PAUSE > end:
                return False
            time.sleep(_PAUSE)

    def _load(self, pod: Obj) -> Load | None:
        meta = pod["metadata"]
        try:
            return load_of(admin_json(self._client, meta["namespace"], meta["name"], _CLUSTERS))
        except PodError:
            return None
