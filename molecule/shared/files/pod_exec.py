# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run commands in pods, side by side: KUBECONFIG COMMANDS.

COMMANDS is a JSON list of {namespace, pod, container, command: [word, ...]}. `selector` in place of `pod` takes a pod with these labels
that runs. With `until`, a text, the command is run again until that is its output, for 30 s: a proxy knows a new endpoint or policy a
moment after pods are ready. Those without `until` come after them. Prints what each command returned, in the same order, as a JSON list
of {rc, stdout, stderr}.

kubernetes.core.k8s_exec needs a process for each command, whose imports alone take 3 s.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / ".collections"))

from ansible_collections.servicemesh.platform.plugins.module_utils._kube import pods
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.client import Client

PATIENCE = 30.0  # seconds


def pod_of(client: Client, item: dict[str, Any]) -> str:
    """Name of the pod, or of the first that has the labels, runs and is not being deleted."""
    if "pod" in item:
        return item["pod"]
    found = client.list_all(f"/api/v1/namespaces/{item['namespace']}/pods", {"labelSelector": item["selector"]})[0]
    for pod in found:
        if pod["status"].get("phase") == "Running" and "deletionTimestamp" not in pod["metadata"]:
            return pod["metadata"]["name"]
    sys.exit(f"Namespace {item['namespace']}: none of {len(found)} pods with {item['selector']} runs.")


def answered(client: Client, item: dict[str, Any]) -> dict[str, Any]:
    """What a command returned, the last time when it was run again."""
    end = time.monotonic() + PATIENCE
    while True:
        done = pods.execute(client, item["namespace"], pod_of(client, item), item["container"], item["command"])
        if done.code is None:
            sys.exit(f"The API server did not say how {item['command']} ended: {done.out} {done.error}")
        if "until" not in item or done.out.strip() == item["until"] or time.monotonic() > end:
            return {"rc": done.code, "stdout": done.out, "stderr": done.error}
        time.sleep(0.5)


def main(kubeconfig: str, commands: str) -> None:
    """Run all commands and print their answers."""
    client = Client({"kubeconfig": kubeconfig or None})
    items = json.loads(commands)
    found: dict[int, dict[str, Any]] = {}
    for awaited in (True, False):
        numbers = [number for number, item in enumerate(items) if ("until" in item) is awaited]
        found.update(zip(numbers, client.each(lambda number: answered(client, items[number]), numbers), strict=True))
    json.dump([found[number] for number in range(len(items))], sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
