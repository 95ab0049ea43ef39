# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run of a canary in a process of its own, which is killed or stopped at a write.

``killed.py OPTIONS NUMBER stop`` stops (SIGSTOP) right before its write NUMBER: what it then sends was computed before it slept.
``killed.py serve`` forks for each line of JSON on standard input (options, number). The fork is killed (SIGKILL) right after that
write, as if the machine had gone; one line returns its exit code and output. Python's start is then paid for once and not a hundred times.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]
sys.path[:0] = [str(ROOT / ".collections"), str(ROOT)]

from ansible.plugins.loader import init_plugin_loader

init_plugin_loader([str(ROOT / ".collections")])

from ansible_collections.servicemesh.platform.plugins.module_utils._kube.client import Client

from tests.integration.canary.bed import Bed


def run(path: str, number: int, how: str) -> None:
    """Drives the canary whose options are in a file, until its end or its write `number`."""
    options = json.loads(Path(path).read_text())
    original, seen = Client._send, 0

    def send(self: Client, method: str, path: str, *rest: Any, **more: Any) -> Any:
        nonlocal seen
        # What a start tries and asks changes nothing.
        tried = "selfsubjectaccessreviews" in path or "dryRun" in f"{path} {rest} {more}"
        counts = method != "GET" and not tried and "/leases" not in path and "/events" not in path
        seen += counts
        if counts and seen == number and how == "stop":
            os.kill(os.getpid(), signal.SIGSTOP)
        answer = original(self, method, path, *rest, **more)
        if counts and seen == number and how == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        return answer

    Client._send = send  # type: ignore[method-assign]
    bed = Bed(Client({}))
    bed.namespace = options["namespace"]
    begin = time.monotonic()
    result = bed.drive(**options)
    kept = {key: result.get(key) for key in ("phase", "weight", "reason", "failed", "msg", "proof")}
    print(json.dumps({**kept, "writes": seen, "seconds": round(time.monotonic() - begin, 1)}), flush=True)


def serve() -> None:
    """A fork for each line of standard input. This process itself has no connection and no thread."""
    for line in sys.stdin:
        order = json.loads(line)
        with tempfile.TemporaryFile() as output:
            child = os.fork()
            if child == 0:
                code = 1
                try:
                    os.dup2(output.fileno(), 1)
                    os.dup2(output.fileno(), 2)
                    run(order["options"], order["number"], "kill")
                    code = 0
                except BaseException:
                    traceback.print_exc()
                finally:
                    sys.stderr.flush()
                    os._exit(code)
            code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            output.seek(0)
            print(json.dumps({"code": code, "output": output.read().decode(errors="replace")}), flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve()
    else:
        run(sys.argv[1], int(sys.argv[2]), sys.argv[3])
