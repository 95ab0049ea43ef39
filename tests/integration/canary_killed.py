"""A canary's run in a process of its own that is killed right after one of its writes: canary_killed.py OPTIONS.json NUMBER kill|stop.

Writes are requests that change something; Leases and Events are left out. NUMBER counts from 1.
`stop` stops the process (SIGSTOP) right before that write instead: what it then sends was computed before it slept.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
sys.path[:0] = [str(ROOT / ".collections"), str(ROOT)]

from ansible.plugins.loader import init_plugin_loader

init_plugin_loader([str(ROOT / ".collections")])

from ansible_collections.servicemesh.platform.plugins.module_utils._kube.client import Client

from tests.integration.canary_bed import Bed


def main() -> None:
    options, number, how = json.loads(Path(sys.argv[1]).read_text()), int(sys.argv[2]), sys.argv[3]
    original, seen = Client._send, 0

    def send(self: Client, method: str, path: str, *rest: Any) -> Any:
        nonlocal seen
        counts = method != "GET" and "/leases" not in path and "/events" not in path
        seen += counts
        if counts and seen == number and how == "stop":
            os.kill(os.getpid(), signal.SIGSTOP)
        answer = original(self, method, path, *rest)
        if counts and seen == number and how == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        return answer

    Client._send = send  # type: ignore[method-assign]
    bed = Bed(Client({}))
    bed.namespace = options["namespace"]
    begin = time.monotonic()
    result = bed.drive(**options)
    kept = {key: result.get(key) for key in ("phase", "weight", "reason", "failed", "msg", "proof")}
    print(json.dumps({**kept, "writes": seen, "seconds": round(time.monotonic() - begin, 1)}))


if __name__ == "__main__":
    main()
