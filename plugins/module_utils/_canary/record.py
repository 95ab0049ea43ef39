# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The record of a rollout: a ConfigMap that is written before each step, and Events."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._canary import state as states
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.clock import ServerClock
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.objects import (
    QUERY,
    OtherRunError,
    object_meta,
    object_name,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.state import State
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.api import Api
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import ApiError, KubeError
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.objects import CANARY_MANAGER


class Record:
    """The record of one service's rollouts."""

    def __init__(self, client: Api, clock: ServerClock, namespace: str, service: str) -> None:
        self._client, self._clock = client, clock
        self._namespace, self._service = namespace, service
        self._name = object_name(service)
        self._object: dict[str, Any] | None = None  # as last read or written
        self.written = False  # whether a state was written
        self._collection = f"/api/v1/namespaces/{namespace}/configmaps"
        self._path = f"{self._collection}/{self._name}"

    def read(self) -> State | None:
        """The recorded state; None when there was no rollout yet."""
        self._object = self._clock.get(self._path)
        text = ((self._object or {}).get("data") or {}).get("state")
        if not text:
            return None
        try:
            return states.from_json(text)
        except ValueError as error:
            raise KubeError(
                f"ConfigMap {self._namespace}/{self._name} cannot be read: {error}. "
                "Set the weights by hand and delete the ConfigMap, then start again"
            ) from None

    def data(self, key: str) -> Any:
        """Another value of the ConfigMap (`record`, `release`, `runs`) as `read` found it; None when there is none."""
        text = ((self._object or {}).get("data") or {}).get(key)
        try:
            return json.loads(text) if text else None
        except ValueError:
            return None

    def write(self, state: State, **more: Any) -> None:
        """Writes the state, and other values with it; None removes a value. Raises OtherRunError when somebody else wrote since `read`."""
        data = dict((self._object or {}).get("data") or {})
        data["state"] = states.to_json(state)
        self._put(data, more)
        self.written = True

    def write_data(self, **more: Any) -> None:
        """Writes other values alone."""
        self._put(dict((self._object or {}).get("data") or {}), more)

    def _put(self, data: dict[str, str], more: Mapping[str, Any]) -> None:
        for key, value in more.items():
            if value is None:
                data.pop(key, None)
            else:
                data[key] = json.dumps(value, sort_keys=True)
        meta = self._object["metadata"] if self._object else object_meta(self._namespace, self._service)
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data}
        method, path = ("PUT", self._path) if self._object else ("POST", self._collection)
        try:
            self._object = self._client.request(method, path, query=QUERY, body=body)[1]
        except ApiError as error:
            if error.status not in (404, 409):
                raise
            # When the answer to the first try was lost, the second try conflicts with the first one.
            there = self._clock.get(self._path)
            if there is None or there.get("data") != data:
                raise OtherRunError(
                    f"Somebody else wrote the record of the canary of {self._namespace}/{self._service} (ConfigMap {self._name}). "
                    "Nothing more was done; run again to continue from the recorded state"
                ) from None
            self._object = there

    def event(self, reason: str, message: str, subject: Mapping[str, Any] | None, *, warning: bool = False) -> None:
        """An Event about the stable Deployment, for `kubectl describe`. A failure to write it is ignored."""
        try:
            self.write_event(reason, message, subject, warning=warning)
        except KubeError:
            return

    def write_event(
        self, reason: str, message: str, subject: Mapping[str, Any] | None, *, warning: bool = False
    ) -> None:
        """The same; raises KubeError when it cannot be written."""
        moment = datetime.fromtimestamp(self._clock.now(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        about = {"apiVersion": "apps/v1", "kind": "Deployment", "namespace": self._namespace}
        meta = (subject or {}).get("metadata") or {}
        about |= {key: meta[key] for key in ("name", "uid") if key in meta}
        body = {
            "metadata": {"name": f"{self._name}.{uuid.uuid4().hex[:16]}", "namespace": self._namespace},
            "involvedObject": about,
            "reason": reason,
            "message": message[:1000],
            "type": "Warning" if warning else "Normal",
            "source": {"component": CANARY_MANAGER},
            "firstTimestamp": moment,
            "lastTimestamp": moment,
            "count": 1,
        }
        self._client.request("POST", f"/api/v1/namespaces/{self._namespace}/events", body=body, budget=2.0)
