# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Logins by exec plugins, one for all tasks of a run: in memory that ansible-playbook shares with its workers, and nowhere else.

Each task's worker is a fork of ansible-playbook, and ends with its task. What it learns stays in an anonymous mapping that was made before
the first fork (mmap(2), MAP_SHARED). Only one process at a time runs a plugin; the others wait and find its credential. Locks are the
kernel's record locks of a file without a name and content (fcntl(2)): they end with the process that holds them, however it ends.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import json
import mmap
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils import _parent
from ansible_collections.servicemesh.platform.plugins.module_utils._kube import exec_plugin
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import StoppedError
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.exec_plugin import Credential, Plugin

_SIZE = 1 << 20  # bytes; pages that are never written take no memory
_HEAD = 8  # bytes: how many follow
_WHOLE = 0  # the byte of the lock file that guards the mapping; each login has another one
_SPREAD = 1 << 30
_LOOK = 0.02  # seconds between two tries to get a lock


class Memory:
    """Credentials by key, shared with all processes that are forked from this one. Safe to use from several threads."""

    def __init__(self) -> None:
        self._map = mmap.mmap(-1, _SIZE)
        # A bare descriptor, which lives as long as the process: Python would complain of a file that nobody has closed.
        if sys.platform == "linux":
            self._locks = os.memfd_create("logins")
        else:
            with tempfile.TemporaryFile() as file:
                self._locks = os.dup(file.fileno())
        self._threads = threading.RLock()  # record locks do not tell the threads of a process apart

    @contextlib.contextmanager
    def lock(self, place: int) -> Iterator[None]:
        """One thread of one process has it. Raises StoppedError when the work of this process has to end before it gets it."""
        with self._threads:
            while True:
                try:
                    fcntl.lockf(self._locks, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place)
                    break
                except BlockingIOError:
                    if why := _parent.why_stop():
                        raise StoppedError(why) from None
                    time.sleep(_LOOK)
            try:
                yield
            finally:
                fcntl.lockf(self._locks, fcntl.LOCK_UN, 1, place)

    def get(self, key: str) -> Credential | None:
        """The credential that was put last."""
        with self.lock(_WHOLE):
            found = self._read().get(key)
        return Credential(**found) if found else None

    def put(self, key: str, credential: Credential) -> None:
        """Keeps a credential. What has no room is forgotten, so that each task logs in itself."""
        with self.lock(_WHOLE):
            kept = {**self._read(), key: dataclasses.asdict(credential)}
            data = json.dumps(kept).encode()
            if len(data) > _SIZE - _HEAD:
                return
            self._map[:_HEAD] = bytes(_HEAD)  # a process that is killed in between leaves nothing, not half of it
            self._map[_HEAD : _HEAD + len(data)] = data
            self._map[:_HEAD] = len(data).to_bytes(_HEAD, "big")

    def _read(self) -> dict[str, dict[str, Any]]:
        size = int.from_bytes(self._map[:_HEAD], "big")
        found: dict[str, dict[str, Any]] = json.loads(self._map[_HEAD : _HEAD + size]) if size else {}
        return found


# Made with this module, which the action plugins import: Ansible loads those in the parent of all workers.
_memory = Memory()


def credential(plugin: Plugin, server: str, refused: Credential | None = None, memory: Memory = _memory) -> Credential:
    """The credential for a server: the kept one, or a new one when there is none, it has expired, or it is the `refused` one.

    Raises KubeError when the login fails.
    """
    key = plugin.key(server)
    if (kept := _usable(memory.get(key), refused)) is not None:
        return kept
    with memory.lock(1 + int(key[:12], 16) % _SPREAD):
        if (kept := _usable(memory.get(key), refused)) is not None:  # another worker has logged in meanwhile
            return kept
        found = exec_plugin.run(plugin)
        memory.put(key, found)
        return found


def _usable(kept: Credential | None, refused: Credential | None) -> Credential | None:
    return None if kept is None or kept == refused or kept.expired() else kept
