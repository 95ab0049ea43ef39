# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: may change at any time without notice; only this collection may import it.
"""The worker process that runs a task: it ends with ansible-playbook, however that ends.

A worker has a session of its own (ansible/executor/process/worker.py, `_detach`): what ends the process group of ansible-playbook, as a
terminal and ansible-runner do, does not reach it. ansible-playbook itself tells its workers only of SIGTERM and SIGINT
(ansible/executor/task_queue_manager.py, `_signal_handler`).
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import multiprocessing
import os
import queue
import signal
import sys
import threading
import time
import types
import typing as t

from ansible_collections.servicemesh.platform.plugins.module_utils import _parent

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_LOOK = 1.0  # seconds between two looks at the parent, where the kernel does not tell
_NAP = 0.2  # seconds between two looks for a signal
_SEND = 10.0  # seconds that the last result may take: after a signal, nobody may read it any more


def end_with_parent() -> None:
    """This worker gets SIGTERM when ansible-playbook ends, and ends its children as well.

    Does nothing in a process that is not a worker. The kernel's signal comes when the thread ends that started the worker (prctl(2)); a
    strategy starts workers in the main thread (ansible/plugins/strategy/__init__.py, `_queue_task`).
    """
    parent = multiprocessing.parent_process()
    if parent is None or parent.pid is None:
        return
    _parent.watch(parent.pid)
    if os.getpgrp() == os.getpid():
        signal.signal(signal.SIGTERM, _end)
    if not _told_by_kernel():
        threading.Thread(target=_look_at_parent, daemon=True, name="parent").start()
    elif _parent.ended():  # before the kernel was asked
        os.kill(os.getpid(), signal.SIGTERM)


def _end(number: int, _frame: types.FrameType | None) -> None:
    """Ends the process group of this worker, as ansible-core's own handler does, and hears no second signal before it has.

    ansible-playbook tells its workers of a SIGTERM and ends, of which the kernel tells them: ansible-core's handler has none for the second
    one (ansible/executor/process/worker.py, `_term`), which ended the worker in between and left its children alive.
    """
    signal.signal(number, signal.SIG_IGN)
    with contextlib.suppress(OSError):
        os.killpg(0, number)
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


def _told_by_kernel() -> bool:
    if sys.platform != "linux":
        return False
    with contextlib.suppress(OSError, AttributeError):
        return int(ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGTERM), 0, 0, 0)) == 0
    return False


def _look_at_parent() -> None:
    while not _parent.ended():
        time.sleep(_LOOK)
    os.kill(os.getpid(), signal.SIGTERM)


class Stop:
    """Why the work of a task has to end: a signal, or the end of ansible-playbook. Handlers hold within the context.

    `apart`: modules run in processes of their own; the one that runs now is ended.
    """

    def __init__(self, *, apart: bool = False) -> None:
        self.reason = ""
        self._apart = apart
        self._before: dict[int, t.Any] = {}

    def __enter__(self) -> Stop:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            handler = signal.getsignal(number)
            if number != signal.SIGHUP or handler is not signal.SIG_IGN:  # nohup
                self._before[number] = signal.signal(number, self._hear)
        return self

    def __exit__(self, *_error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if not self.reason:
            return
        if _parent.ended():
            # The result goes into a pipe that nobody reads, and whose other end this process has itself: it would hang and not fail.
            os._exit(1)
        last = threading.Timer(_SEND, os._exit, (1,))
        last.daemon = True
        last.start()

    def _hear(self, number: int, _frame: types.FrameType | None) -> None:
        if self.reason:
            return
        self._set(_parent.ENDED if _parent.ended() else f"it got {signal.Signals(number).name}")
        if self._apart and os.getpgrp() == os.getpid():
            os.killpg(0, signal.SIGTERM)

    def _set(self, reason: str) -> None:
        self.reason = reason
        _parent.stop(reason)

    def heard(self) -> bool:
        """Whether the work has to end."""
        if not self.reason and _parent.ended():
            self._set(_parent.ENDED)
        return bool(self.reason)

    def sleep(self, seconds: float) -> None:
        """Sleeps, but not after the work has to end."""
        end = time.monotonic() + seconds
        while not self.heard() and (left := end - time.monotonic()) > 0:
            time.sleep(min(_NAP, left))


class Printer:
    """Shows lines in a thread, so that nothing waits for whoever shows them.

    A line goes to ansible-playbook through a pipe under a lock that all workers share. When ansible-playbook does not read (its own output
    is stopped, or it has ended), or a worker was killed while it wrote, writing never returns.
    """

    def __init__(self) -> None:
        self._lines: queue.Queue[t.Callable[[], None]] = queue.Queue()
        self._thread: threading.Thread | None = None

    def say(self, show: t.Callable[..., None], text: str, **options: t.Any) -> None:
        """Shows a line soon, by `show`."""
        self._lines.put(functools.partial(show, text, **options))
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, daemon=True, name="printer")
            self._thread.start()

    def flush(self, seconds: float) -> None:
        """Waits until all lines are shown, but not longer than this."""
        with self._lines.all_tasks_done:
            self._lines.all_tasks_done.wait_for(lambda: not self._lines.unfinished_tasks, seconds)

    def _run(self) -> None:
        while True:
            show = self._lines.get()
            with contextlib.suppress(Exception):  # a line that cannot be shown ends nothing
                show()
            self._lines.task_done()
