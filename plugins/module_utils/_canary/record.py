# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a rollout's state lives: a Lease with a fencing number, a ConfigMap that is written ahead, Events.

Times are those of the API server (its `Date` header), so that controllers whose clocks differ agree on who holds what until when.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._canary import state as states
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.state import State
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.client import Client
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import ApiError, KubeError
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.objects import (
    CANARY_MANAGER,
    FIELD_MANAGER,
    MANAGED_BY_LABEL,
    PART_OF_LABEL,
)

_QUERY = {"fieldManager": CANARY_MANAGER}
_EPOCH = 1_700_000_000  # keeps a Lease's number of transitions within 32 bits
_MICRO = "%Y-%m-%dT%H:%M:%S.%fZ"


class HeldError(KubeError):
    """Another run holds the service, or took it over."""


@dataclass(frozen=True, slots=True)
class Hold:
    """A Lease that this run has: its holder's name and its fencing number, which rises with every new holder."""

    holder: str
    fence: int

    def mark(self, run: str) -> str:
        """What a VirtualService says about who may write it."""
        return f"{run}/{self.fence}"


def object_name(service: str) -> str:
    """Name of the Lease and of the ConfigMap of a service."""
    return f"canary-{service}"


class Store:
    """State of one service's rollout."""

    def __init__(self, client: Client, namespace: str, service: str) -> None:
        self._client, self.namespace, self.service = client, namespace, service
        self._offset = 0.0
        self._object: dict[str, Any] | None = None
        name = object_name(service)
        self._lease = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
        self._lease_path = f"{self._lease}/{name}"
        self._config = f"/api/v1/namespaces/{namespace}/configmaps"
        self._config_path = f"{self._config}/{name}"
        self._meta = {
            "name": name,
            "namespace": namespace,
            "labels": {MANAGED_BY_LABEL: FIELD_MANAGER, PART_OF_LABEL: service, "app": service},
        }

    def now(self) -> float:
        """The API server's time, as far as its last answer told."""
        return time.time() + self._offset

    def _get(self, path: str) -> dict[str, Any] | None:
        headers: dict[str, str] = {}
        found = self._client.get(path, headers_to=headers)
        date = next((value for key, value in headers.items() if key.lower() == "date"), "")
        if date:
            # The header has whole seconds: on average half of one has passed since.
            self._offset = parsedate_to_datetime(date).timestamp() + 0.5 - time.time()
            if abs(self._offset) < 1.0:
                self._offset = 0.0
        return found

    # Lease -------------------------------------------------------------------------------------------------------

    def acquire(self, holder: str, duration: float) -> Hold:
        """The Lease, if nobody holds it. Raises HeldError, which names the holder and its age."""
        lease = self._get(self._lease_path)
        if lease is None:
            # Seconds, so that the numbers go on rising when somebody deleted the Lease.
            first = int(self.now()) - _EPOCH
            return self._write_lease({"metadata": self._meta, "spec": {}}, holder, duration, first, create=True)
        spec = lease.get("spec") or {}
        other = str(spec.get("holderIdentity") or "")
        left = self._expiry(spec) - self.now()
        if other and other != holder and left > 0:
            since = self.now() - _seconds(spec.get("acquireTime"))
            raise HeldError(
                f"A canary of {self.namespace}/{self.service} is under way: {other} holds it for {since:.0f} s, and renewed it "
                f"{self.now() - _seconds(spec.get('renewTime')):.0f} s ago. Nothing was done. Wait for it; if it is dead, "
                f"its hold runs out in {left:.0f} s and the next run goes on where it was"
            )
        return self._write_lease(lease, holder, duration, int(spec.get("leaseTransitions") or 0) + 1)

    def renew(self, hold: Hold, duration: float) -> None:
        """Keeps the Lease. Raises HeldError when another run took it, or when it ran out: then anything may have happened since."""
        lease = self._get(self._lease_path)
        spec = (lease or {}).get("spec") or {}
        mine = spec.get("holderIdentity") == hold.holder and int(spec.get("leaseTransitions") or 0) == hold.fence
        if lease is None or not mine:
            other = spec.get("holderIdentity") or "nobody"
            raise HeldError(
                f"This run no longer holds the canary of {self.namespace}/{self.service}: {other} does. It was away for longer than "
                "its lease lasts. Nothing was done; run again to go on from the recorded state"
            )
        if self._expiry(spec) < self.now():
            raise HeldError(
                f"This run's hold of the canary of {self.namespace}/{self.service} ran out {self.now() - self._expiry(spec):.0f} s ago. "
                "Nothing was done; run again to go on from the recorded state"
            )
        self._write_lease(lease, hold.holder, duration, hold.fence)

    def release(self, hold: Hold) -> None:
        """Gives the Lease up, if this run still has it."""
        lease = self._get(self._lease_path)
        spec = (lease or {}).get("spec") or {}
        if lease is not None and (spec.get("holderIdentity"), spec.get("leaseTransitions")) == (
            hold.holder,
            hold.fence,
        ):
            lease["spec"] = {**spec, "holderIdentity": "", "leaseDurationSeconds": 1}
            try:
                self._client.request("PUT", self._lease_path, query=_QUERY, body=lease)
            except ApiError as error:
                if error.status not in (404, 409):
                    raise

    def holder(self) -> dict[str, Any] | None:
        """Who holds the service now, with the seconds since and until; null for nobody."""
        spec = (self._get(self._lease_path) or {}).get("spec") or {}
        left = self._expiry(spec) - self.now()
        if not spec.get("holderIdentity") or left <= 0:
            return None
        return {
            "holder": spec["holderIdentity"],
            "fence": int(spec.get("leaseTransitions") or 0),
            "age": round(self.now() - _seconds(spec.get("acquireTime")), 1),
            "expires_in": round(left, 1),
        }

    def _expiry(self, spec: Mapping[str, Any]) -> float:
        return _seconds(spec.get("renewTime")) + float(spec.get("leaseDurationSeconds") or 0)

    def _write_lease(
        self, lease: dict[str, Any], holder: str, duration: float, fence: int, *, create: bool = False
    ) -> Hold:
        now = datetime.fromtimestamp(self.now(), UTC).strftime(_MICRO)
        spec = lease.get("spec") or {}
        taken = spec.get("acquireTime") if spec.get("leaseTransitions") == fence else now
        body = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": lease["metadata"],
            "spec": {
                "holderIdentity": holder,
                "leaseDurationSeconds": max(1, round(duration)),
                "leaseTransitions": fence,
                "acquireTime": taken or now,
                "renewTime": now,
            },
        }
        try:
            # The resourceVersion in it lets one of two win that read the same.
            self._client.request(
                "POST" if create else "PUT", self._lease if create else self._lease_path, query=_QUERY, body=body
            )
        except ApiError as error:
            if error.status != 409:
                raise
            raise HeldError(
                f"Another run took the canary of {self.namespace}/{self.service} in this very moment. Nothing was done; wait for it"
            ) from None
        return Hold(holder, fence)

    # State -------------------------------------------------------------------------------------------------------

    def read(self) -> State | None:
        """The recorded state, or null when there never was a rollout."""
        self._object = self._get(self._config_path)
        text = ((self._object or {}).get("data") or {}).get("state")
        if not text:
            return None
        try:
            return states.from_json(text)
        except ValueError as error:
            raise KubeError(
                f"ConfigMap {self.namespace}/{object_name(self.service)} cannot be read: {error}. "
                "Set the weights by hand and delete it, then begin anew"
            ) from None

    def data(self, key: str) -> Any:
        """Another value of the ConfigMap (`record`, `runs`) as `read` found it; null when there is none."""
        text = ((self._object or {}).get("data") or {}).get(key)
        try:
            return json.loads(text) if text else None
        except ValueError:
            return None

    def write(self, state: State, **more: Any) -> None:
        """Records the state, and other values with it; null removes one. Raises HeldError when somebody else wrote since `read`."""
        data = dict((self._object or {}).get("data") or {})
        data["state"] = states.to_json(state)
        self._put(data, more)

    def write_data(self, **more: Any) -> None:
        """Records other values alone."""
        self._put(dict((self._object or {}).get("data") or {}), more)

    def _put(self, data: dict[str, str], more: Mapping[str, Any]) -> None:
        for key, value in more.items():
            if value is None:
                data.pop(key, None)
            else:
                data[key] = json.dumps(value, sort_keys=True)
        meta = self._object["metadata"] if self._object else self._meta
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data}
        method, path = ("PUT", self._config_path) if self._object else ("POST", self._config)
        try:
            self._object = self._client.request(method, path, query=_QUERY, body=body)[1]
        except ApiError as error:
            if error.status not in (404, 409):
                raise
            # An answer that was lost on its way makes the second try a conflict with ourselves.
            there = self._get(self._config_path)
            if there is None or there.get("data") != data:
                raise HeldError(
                    f"Somebody else wrote the record of the canary of {self.namespace}/{self.service} ({object_name(self.service)}). "
                    "Nothing more was done; run again to go on from what it says"
                ) from None
            self._object = there

    def event(self, reason: str, message: str, subject: Mapping[str, Any] | None, *, warning: bool = False) -> None:
        """An Event about the stable Deployment, for `kubectl describe`. An Event that cannot be written stops nothing."""
        moment = datetime.fromtimestamp(self.now(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        about = {"apiVersion": "apps/v1", "kind": "Deployment", "namespace": self.namespace}
        meta = (subject or {}).get("metadata") or {}
        about |= {key: meta[key] for key in ("name", "uid") if key in meta}
        body = {
            "metadata": {"name": f"{object_name(self.service)}.{uuid.uuid4().hex[:16]}", "namespace": self.namespace},
            "involvedObject": about,
            "reason": reason,
            "message": message[:1000],
            "type": "Warning" if warning else "Normal",
            "source": {"component": CANARY_MANAGER},
            "firstTimestamp": moment,
            "lastTimestamp": moment,
            "count": 1,
        }
        try:
            self._client.request("POST", f"/api/v1/namespaces/{self.namespace}/events", body=body, budget=2.0)
        except KubeError:
            return


def _seconds(text: Any) -> float:
    """Unix time of a MicroTime; 0 for none."""
    try:
        return datetime.fromisoformat(str(text).replace("Z", "+00:00")).timestamp()
    except ValueError:
        return 0.0
