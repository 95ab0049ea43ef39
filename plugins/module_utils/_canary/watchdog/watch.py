# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The watchdog's process: look at the lease every few seconds, and take over when its holder died."""

from __future__ import annotations

import signal
import sys
import time
import types
from collections.abc import Mapping
from pathlib import Path

from ansible_collections.servicemesh.platform.plugins.module_utils._canary import series
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.objects import OtherRunError
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.watchdog.duty import Duty, duty
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.watchdog.pod_client import PodClient
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.watchdog.serve import PORT, Page, serve
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.watchdog.takeover import Takeover
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import KubeError

POLL = 2.0  # seconds between two looks
_AGAIN = 5.0  # seconds after a try that was refused
READY = Path("/tmp/watchdog/ready")  # noqa: S108  # a volume of its own pod; the startup probe looks for it
MOVED = 143  # exit code: not a success, after which the Job would make no other pod
_ENVIRONMENT = ("WATCHDOG_NAMESPACE", "WATCHDOG_SERVICE", "WATCHDOG_RUN", "WATCHDOG_POD")


def say(text: str) -> None:
    """A line of the log."""
    now = time.strftime("%H:%M:%SZ", time.gmtime())
    sys.stdout.write(f"{now} {text}\n")
    sys.stdout.flush()


def run(environ: Mapping[str, str]) -> int:
    """Watches until the rollout has ended. Returns the exit code."""
    namespace, service, run_id, pod = (environ[name] for name in _ENVIRONMENT)
    signal.signal(signal.SIGTERM, _stopped)
    takeover = Takeover(PodClient(environ), run_id, (f"watchdog/{pod}", namespace, service), say)
    say(f"watches run {run_id} of the canary of {namespace}/{service}")
    page = Page()
    if serve(page) is None:
        say(f"port {PORT} cannot be listened at, so there are no metrics of this canary")
    said = ""
    while True:
        try:
            state, lease = takeover.record.read(), takeover.lease.look()
            if state is not None and state.run == run_id:
                page.text = series.page(state, namespaced=False)
            decision = duty(state, lease, run_id, f"watchdog/{pod}")
            READY.touch()
            if decision.why != said:
                said = decision.why
                say(f"{decision.duty}: {said}")
            if decision.duty is Duty.END:
                return 0
            if decision.duty is Duty.TAKE_OVER:
                if takeover.attempt(decision.why):
                    return 0
                time.sleep(_AGAIN)
                continue
        except OtherRunError as error:
            say(str(error))
        except KubeError as error:
            say(f"{type(error).__name__}: {error}; tried again")
        time.sleep(POLL)


def _stopped(_number: int, _frame: types.FrameType | None) -> None:
    """SIGTERM: the pod is moved or deleted."""
    raise SystemExit(MOVED)
