# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Time from the change of a condition until `ready` returns."""

from __future__ import annotations

import random
import threading
import time
from typing import Any

from tests.benchmarks._harness import BenchmarkError, Harness
from tests.benchmarks._rows import Row, at_most, percentile, quantity

TITLE = "Readiness"
SAMPLES = 60
LIMIT = 0.5  # seconds
_HEAD_START = (0.5, 1.5)  # seconds that the wait runs before the condition changes
_TIMEOUT = 30  # seconds


def rows(harness: Harness) -> list[Row]:
    """All rows of this benchmark."""
    figures = []
    with harness.namespace() as namespace, harness.kind() as group:
        client = harness.client()
        for index in range(SAMPLES):
            figures.append(_sample(client, group, namespace, f"thing-{index}", str(harness.kubeconfig)))
            if (index + 1) % 20 == 0:
                harness.say(f"{index + 1} of {SAMPLES} samples")
    found = percentile(figures, 0.95)
    return [
        at_most(
            "Readiness seen after the condition turned",
            {"ready": figures},
            limit=LIMIT,
            unit="s",
            value=found,
            measured=f"{quantity(found, 's')} p95 of {SAMPLES}",
            target=f"{LIMIT:g} s at most, p95",
            reason="the machine was too busy: events of the watch wait only for a processor",
        )
    ]


def _sample(client: Any, group: str, namespace: str, name: str, kubeconfig: str) -> float:
    """Seconds from just before the request that changes the condition until the module's work returns."""
    from ansible_collections.servicemesh.platform.plugins.module_utils._module import Invocation
    from ansible_collections.servicemesh.platform.plugins.modules import ready
    from ansible_collections.servicemesh.platform.plugins.plugin_utils._in_process import InProcess

    path = f"/apis/{group}/v1/namespaces/{namespace}/things"
    meta = {"name": name, "namespace": namespace}
    thing = {"apiVersion": f"{group}/v1", "kind": "Thing", "metadata": meta}
    client.request("POST", path, body={**thing, "spec": {}})
    _turn(client, f"{path}/{name}", "False")
    params: dict[str, Any] = {argument: spec.get("default") for argument, spec in ready.ARGUMENTS.items()}
    wanted = {"api_version": f"{group}/v1", "kind": "Thing", "name": name, "namespace": namespace}
    params.update(kubeconfig=kubeconfig, objects=[wanted], wait_timeout=_TIMEOUT)
    invocation: Invocation = InProcess(params, check_mode=False, diff=False)
    seen: list[float] = []

    def wait() -> None:
        ready.work(invocation)
        seen.append(time.monotonic())

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    time.sleep(random.uniform(*_HEAD_START))  # noqa: S311  # no secret
    if seen or not thread.is_alive():
        raise BenchmarkError(f"{name}: the wait ended before the condition turned")
    turned = time.monotonic()
    _turn(client, f"{path}/{name}", "True")
    thread.join(_TIMEOUT)
    if not seen:
        raise BenchmarkError(f"{name}: the wait did not end though the condition turned")
    return seen[0] - turned


def _turn(client: Any, path: str, status: str) -> None:
    conditions = [{"type": "Ready", "status": status, "reason": "Benchmark", "message": ""}]
    client.request(
        "PATCH",
        f"{path}/status",
        body={"status": {"conditions": conditions}},
        content_type="application/merge-patch+json",
    )


if __name__ == "__main__":
    from tests.benchmarks.__main__ import alone

    alone("readiness")
