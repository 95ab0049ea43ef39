# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Follows collections of the API: one LIST, then WATCH, so that a change is seen when it happens."""

from __future__ import annotations

import contextlib
import queue
import socket
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._kube.client import Client, go_on
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import (
    ApiError,
    KubeError,
    StoppedError,
    UnreachableError,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.http import events_of
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.retry import RETRIED

# The server sends a bookmark about once a minute; a longer silence means that the connection is dead.
_IDLE_TIMEOUT = 90.0  # seconds
_LOOK = 1.0  # seconds between two looks whether the work has to end
_PAUSE = 0.5  # seconds before a broken watch starts again


@dataclass(frozen=True, slots=True)
class Topic:
    """What is followed: a collection's path, narrowed by a field selector."""

    path: str
    field_selector: str = ""


@dataclass(slots=True)
class Change:
    """News of a topic. `objects` None: the topic cannot be followed, `error` says why."""

    topic: Topic
    objects: dict[str, dict[str, Any]] | None
    error: KubeError | None = None
    server_date: str = ""


@dataclass(slots=True)
class _Follower:
    """One thread that follows one topic."""

    client: Client
    topic: Topic
    news: queue.SimpleQueue[Change]
    stopped: threading.Event = field(default_factory=threading.Event)
    answer: Any = None
    version: str = ""  # resourceVersion to continue from; empty: start with a LIST

    def run(self) -> None:
        """Runs until stopped; an error that does not pass by itself ends it with a last Change."""
        objects: dict[str, dict[str, Any]] = {}
        while not self.stopped.is_set():
            try:
                if not self.version:
                    headers: dict[str, str] = {}
                    items, self.version = self.client.list_all(self.topic.path, self._query(), headers_to=headers)
                    objects = {_key(item): item for item in items}
                    self.news.put(Change(self.topic, dict(objects), server_date=headers.get("Date", "")))
                begun = time.monotonic()
                self._watch(objects)
                if time.monotonic() - begun < _PAUSE:  # a server or proxy that ends every watch at once
                    self.stopped.wait(_PAUSE)
            except ApiError as error:
                if error.status == 410:
                    self.version = ""
                elif error.status in RETRIED:
                    self.stopped.wait(_PAUSE)
                else:
                    self.news.put(Change(self.topic, None, error))
                    return
            except (StoppedError, UnreachableError) as error:
                self.news.put(Change(self.topic, None, error))
                return
            except Exception:  # a cut stream raises many kinds of errors; continue where it stopped
                if not self.stopped.is_set():
                    self.stopped.wait(_PAUSE)

    def _query(self) -> dict[str, Any]:
        return {"fieldSelector": self.topic.field_selector} if self.topic.field_selector else {}

    def _watch(self, objects: dict[str, dict[str, Any]]) -> None:
        """Follows from `version`, which each event advances, until the server ends the stream."""
        query = {
            **self._query(),
            "watch": "true",
            "resourceVersion": self.version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": 300,
        }
        self.answer = answer = self.client.stream(self.topic.path, query, _IDLE_TIMEOUT)
        try:
            for event in events_of(answer):
                if self.stopped.is_set():
                    return
                kind, obj = event.get("type"), event.get("object") or {}
                if kind == "ERROR":
                    if obj.get("code") in (410, 500):
                        self.version = ""
                    return
                self.version = str(obj["metadata"].get("resourceVersion") or self.version)
                if kind == "BOOKMARK":
                    continue
                if kind == "DELETED":
                    objects.pop(_key(obj), None)
                else:
                    objects[_key(obj)] = obj
                self.news.put(Change(self.topic, dict(objects)))
        finally:
            answer.close()


class Watcher:
    """Follows any number of topics and hands their news to one reader."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._news: queue.SimpleQueue[Change] = queue.SimpleQueue()
        self._followers: dict[Topic, _Follower] = {}

    def follow(self, topic: Topic) -> None:
        """Starts to follow a topic, unless it is followed already."""
        if topic not in self._followers:
            follower = _Follower(self._client, topic, self._news)
            self._followers[topic] = follower
            threading.Thread(target=follower.run, daemon=True, name=topic.path).start()

    def news(self, timeout: float) -> list[Change]:
        """All changes that arrived; waits up to `timeout` seconds for the first one. Raises StoppedError when the work has to end."""
        end = time.monotonic() + timeout
        changes: list[Change] = []
        while not changes:
            go_on()
            left = end - time.monotonic()
            with contextlib.suppress(queue.Empty):
                changes.append(self._news.get(timeout=max(0.0, min(left, _LOOK))))
                while True:
                    changes.append(self._news.get_nowait())
            if left <= 0:
                break
        return changes

    def stop(self) -> None:
        """Ends all threads by closing their connections, without waiting for them."""
        for follower in self._followers.values():
            follower.stopped.set()
            connection = getattr(follower.answer, "connection", None)
            sock = getattr(connection, "sock", None)
            if sock is not None:
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> Watcher:
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()


def _key(obj: Mapping[str, Any]) -> str:
    meta = obj["metadata"]
    return f"{meta.get('namespace') or ''}/{meta['name']}"
