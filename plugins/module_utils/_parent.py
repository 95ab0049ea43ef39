# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the process that started this one still runs. Work for a run that was cancelled or killed has to end by itself.

ansible-core's workers have a session of their own (ansible/executor/process/worker.py, `_detach`), so what ends the process group of
ansible-playbook (ansible-runner cancels a job like that) does not reach them, and nothing reaches what they started.

One process has one watch, and its forks have none. Without `watch`, nothing is watched: a script that uses the client may outlive the shell
that started it.
"""

from __future__ import annotations

import contextlib
import math
import os
import select
import time
from collections.abc import Iterator
from dataclasses import dataclass

ENDED = "the run of Ansible that started this work has ended"


@dataclass(slots=True)
class _Watch:
    """`process` is watched: its `parent` (process id, 0: none), and its `output` (descriptor that the starting process reads, -1: none).

    `asked`: why it has to end, empty: nobody asked. `cleaning_until`: monotonic seconds.
    """

    process: int = 0
    parent: int = 0
    output: int = -1
    asked: str = ""
    cleaning_until: float = -math.inf


_watch = _Watch()


def watch(parent: int, output: int = -1) -> None:
    """From now on, the work of this process ends with `parent`, or when nobody reads `output` any more.

    A module in a process of its own has a shell as its parent, which lives on without the worker that started it, as `sudo` and `sshd` may;
    but all of them hand the worker the module's standard output.
    """
    _watch.process, _watch.parent, _watch.output = os.getpid(), parent, output


def ended() -> bool:
    """Whether the process that started this one has ended."""
    if _watch.process != os.getpid():
        return False
    if _watch.parent and os.getppid() != _watch.parent:
        return True
    if _watch.output < 0:
        return False
    look = select.poll()
    look.register(
        _watch.output, 0
    )  # errors and hang-ups are always reported: the other end of the pipe, socket or terminal is closed
    return any(found & (select.POLLERR | select.POLLHUP) for _output, found in look.poll(0))


def stop(why: str) -> None:
    """Asks the work of this process to end at its next request."""
    _watch.asked = why


def why_stop() -> str:
    """Why the work of this process has to end; empty while it may go on."""
    if time.monotonic() < _watch.cleaning_until:
        return ""
    return _watch.asked or (ENDED if ended() else "")


@contextlib.contextmanager
def cleaning_up(seconds: float) -> Iterator[None]:
    """In here, for at most this time, work may go on though it was asked to stop: it leaves things as the next run expects them."""
    before, _watch.cleaning_until = _watch.cleaning_until, time.monotonic() + seconds
    try:
        yield
    finally:
        _watch.cleaning_until = before
