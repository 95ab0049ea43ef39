# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The namespace of one contestant: the service of the canary tests, a stream of requests to it, and a Prometheus."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar
from urllib.parse import urlencode

from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import KubeError

from tests.benchmarks._harness import BenchmarkError, Harness
from tests.benchmarks._peers import objects
from tests.benchmarks._peers.process import memory
from tests.integration.canary.bed import IMAGE, LOAD, SIDECAR, Bed, apply
from tests.integration.metrics import deployment, prometheus, query

Obj = dict[str, Any]
T = TypeVar("T")
RATE = 20  # requests a second
_LIFE = 3600  # seconds after which the stream of requests ends by itself
_LOOK = 0.2  # seconds between two looks at weight and outcome
_MERGE = "application/merge-patch+json"


class Ground:
    """What a contestant works on. `stop` ends every wait, when another thread has failed."""

    def __init__(self, harness: Harness, namespace: str, stop: threading.Event) -> None:
        self.harness, self.namespace, self.stop = harness, namespace, stop
        self.client = harness.client()
        self.bed = Bed(self.client)
        self.bed.namespace, self.bed.host = namespace, f"web.{namespace}.svc.cluster.local"
        self.samples: list[tuple[float, int]] = []  # (Unix seconds, weight) at each change
        self.busy_memory = 0.0

    def prepare(self) -> None:
        """Sidecars for the namespace, and its Prometheus."""
        path = f"/api/v1/namespaces/{self.namespace}"
        self.patch(path, {"metadata": {"labels": {"istio-injection": "enabled"}}})
        apply(self.bed, prometheus(self.namespace))

    # Time ------------------------------------------------------------------------------------------------------------

    def nap(self, seconds: float) -> None:
        """Sleep, unless everything ends."""
        if self.stop.wait(seconds):
            raise BenchmarkError("another contestant failed")

    def until(self, condition: Callable[[], T], seconds: float) -> T | None:
        """What the condition came to within so many seconds; None if to nothing."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if found := condition():
                return found
            self.nap(_LOOK)
        return None

    def must(self, condition: Callable[[], Any], what: str, seconds: float = 120) -> None:
        """Wait for something without which there is nothing to measure."""
        if not self.until(condition, seconds):
            raise BenchmarkError(f"{self.namespace}: {what} does not come within {seconds:g} s")

    # Requests --------------------------------------------------------------------------------------------------------

    def call(self) -> None:
        """Start the stream of requests, and wait until the service answers."""
        script = [{"name": name, "value": str(value)} for name, value in (("RATE", RATE), ("LIFE", _LIFE))]
        load = {"name": "load", "image": IMAGE, "command": ["python3", "-c", LOAD], "env": script}
        apply(self.bed, [deployment(self.namespace, "load", load, {}, annotations=SIDECAR)])
        self.heard()

    def heard(self) -> None:
        """Wait until requests are answered and Prometheus has them."""
        self.must(lambda: any(" 200" in what for entry in self.entries(time.time() - 3) for what in entry), "an answer")
        self.must(self._scraped, "Prometheus' first look")

    def _scraped(self) -> bool:
        with contextlib.suppress(KubeError):
            return bool(query(self.client, self.namespace, "istio_requests_total"))
        return False

    def entries(self, since: float) -> list[Obj]:
        """What the stream of requests got, one entry a second, with its `time`."""
        pods = self.client.list_all(f"/api/v1/namespaces/{self.namespace}/pods", {"labelSelector": "app=load"})[0]
        found: list[Obj] = []
        for pod in pods:
            words = urlencode({"container": "load", "sinceSeconds": max(1, int(time.time() - since) + 2)})
            path = f"/api/v1/namespaces/{self.namespace}/pods/{pod['metadata']['name']}/log"
            with contextlib.suppress(KubeError):  # a pod that has just begun, or just ended
                answer = self.client.read(f"{path}?{words}", seconds=30, most=50_000_000)
                found += [json.loads(line) for line in answer.decode().splitlines() if line.startswith("{")]
        return [entry for entry in found if entry["time"] >= since]

    def scale(self, name: str, replicas: int) -> None:
        """Give a Deployment so many pods, and wait until the others have gone."""
        self.patch(f"/apis/apps/v1/namespaces/{self.namespace}/deployments/{name}", {"spec": {"replicas": replicas}})
        path, words = f"/api/v1/namespaces/{self.namespace}/pods", {"labelSelector": f"app={name}"}
        if not replicas:
            self.must(lambda: not self.client.list_all(path, words)[0], f"the end of {name}")

    def prometheus_url(self) -> str:
        """Where the node's network has Prometheus."""
        service = self.bed.get(f"/api/v1/namespaces/{self.namespace}/services/prometheus")
        return f"http://{service['spec']['clusterIP']}:9090"

    # Objects ---------------------------------------------------------------------------------------------------------

    def patch(self, path: str, body: Obj) -> None:
        """A JSON merge patch."""
        self.client.request("PATCH", path, body=body, content_type=_MERGE)

    def get(self, path: str) -> Obj | None:
        """An object of this namespace: `GROUP/VERSION/namespaces/{}/...`."""
        return self.client.get(path.format(self.namespace))

    def virtual_service(self) -> Obj | None:
        """The routes to the service."""
        return self.get(f"/apis/{objects.ISTIO}/namespaces/{{}}/virtualservices/web")

    def weight(self) -> int:
        """The new version's last weight that was seen."""
        return self.samples[-1][1] if self.samples else 0

    @contextlib.contextmanager
    def watched(self, pids: Callable[[], list[int]]) -> Iterator[None]:
        """Look at the weight, and at the memory of these processes, until the end."""
        over = threading.Event()
        path = f"/apis/{objects.ISTIO}/namespaces/{self.namespace}/virtualservices/web"

        def look() -> None:
            count = 0
            while not over.wait(_LOOK):
                with contextlib.suppress(KubeError):
                    weight = objects.weight(self.client.get(path))
                    if not self.samples or self.samples[-1][1] != weight:
                        self.samples.append((time.time(), weight))
                count += 1
                if count % 5 == 0:
                    self.busy_memory = max(self.busy_memory, memory(pids()))

        thread = threading.Thread(target=look, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join(10)
