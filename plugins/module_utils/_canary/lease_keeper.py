# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keep a short lease through a call that takes longer than it, and write nothing without it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from ansible_collections.servicemesh.platform.plugins.module_utils import _parent
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.lease import Lease, LeaseHolder
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.objects import OtherRunError

# Counts the time that a machine slept (clock_gettime(2); CLOCK_MONOTONIC does so on macOS).
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def boot_seconds() -> float:
    """Seconds that never jump, and that pass while this process or its machine is stopped."""
    return time.clock_gettime(_CLOCK)


class LeaseKeeper:
    """The lease during one call.

    A thread renews it every third of its duration over a connection of its own, as the one of the call may be busy. `begin`: time at which
    it was last renewed (`boot_seconds`). `connect` returns the same Lease over another connection.

    Between two calls nobody renews it: the driver sleeps for a third of the duration at most. A thread of the driver would keep the lease
    as well when calls are stuck, and could not do so when modules run on another machine or as another user.
    """

    def __init__(
        self, lease: Lease, holder: LeaseHolder, duration: float, begin: float, connect: Callable[[], Lease]
    ) -> None:
        self._lease, self._holder, self._duration = lease, holder, duration
        self._renewed, self._connect = begin, connect
        self._lost: OtherRunError | None = None
        self._lock = threading.Lock()
        self._closed = threading.Event()
        threading.Thread(target=self._keep, daemon=True, name="lease").start()

    def close(self) -> None:
        """Ends the renewals."""
        self._closed.set()

    def check(self, path: str) -> None:
        """Before each write of the call: the run has the lease for at least another third of its duration. Raises OtherRunError.

        A process that was stopped (SIGSTOP, a frozen cgroup, a machine that slept) goes on in the middle of a call, and looks here first.
        """
        if path == self._lease.path:
            return
        if self._lost is not None:
            raise self._lost
        if boot_seconds() - self._renewed > self._duration * 2 / 3:
            self._renew(self._lease)

    def _renew(self, lease: Lease) -> None:
        with self._lock:
            begin = boot_seconds()
            try:
                lease.renew(self._holder, self._duration)
            except OtherRunError as error:
                self._lost = error
                raise
            self._renewed = begin

    def _keep(self) -> None:
        lease: Lease | None = None
        while not self._closed.wait(self._duration / 3):
            if _parent.why_stop():
                return
            try:
                lease = lease or self._connect()
                if not self._closed.is_set():
                    self._renew(lease)
            except OtherRunError:
                return  # `check` says so
            except Exception:
                self._closed.wait(self._duration / 15)  # whatever it is: the next turn, or `check` says so
