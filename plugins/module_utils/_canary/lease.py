# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Lease under which a rollout may be changed. Its fencing token increases with every new holder, so that a late writer fails."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._canary.clock import ServerClock
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.objects import (
    QUERY,
    OtherRunError,
    object_meta,
    object_name,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.api import Api
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import ApiError

_EPOCH = 1_700_000_000  # keeps the transitions of a Lease within 32 bits
_MICRO = "%Y-%m-%dT%H:%M:%S.%fZ"


@dataclass(frozen=True, slots=True)
class LeaseHolder:
    """A run that has the Lease: its name and its fencing token."""

    name: str
    fencing_token: int

    def annotation(self, run: str) -> str:
        """Value of the annotation on the VirtualServices that this holder may write."""
        return f"{run}/{self.fencing_token}"


@dataclass(frozen=True, slots=True)
class Seen:
    """A Lease as it is read. `holder` is empty when it was given up. `late`: seconds since it expired, negative until then.

    `late` is None when the Lease does not say when it expires.
    """

    holder: str
    late: float | None


class Lease:
    """The Lease of one service."""

    def __init__(self, client: Api, clock: ServerClock, namespace: str, service: str) -> None:
        self._client, self._clock = client, clock
        self._canary = f"canary of {namespace}/{service}"
        self._meta = object_meta(namespace, service)
        self._collection = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
        self._path = f"{self._collection}/{object_name(service)}"

    def acquire(self, name: str, duration: float) -> LeaseHolder:
        """Takes the Lease for `duration` seconds. Raises OtherRunError, with holder and age, while another run has it."""
        lease = self._clock.get(self._path)
        now = self._clock.now()
        if lease is None:
            # The time in seconds: the tokens of a Lease that was deleted and created again still increase.
            return self._write({"metadata": self._meta}, name, duration, int(now) - _EPOCH, create=True)
        spec = lease.get("spec") or {}
        other, left = str(spec.get("holderIdentity") or ""), _expiry(spec) - now
        if other and other != name and left > 0:
            raise OtherRunError(
                f"A {self._canary} is under way: {other} has held its lease for {_age(spec.get('acquireTime'), now):.0f} s and "
                f"renewed it {_age(spec.get('renewTime'), now):.0f} s ago. Nothing was done. Wait until that run has ended; if it "
                f"was killed, its lease expires in {left:.0f} s and the next run continues from the recorded state"
            )
        return self._write(lease, name, duration, int(spec.get("leaseTransitions") or 0) + 1)

    def renew(self, holder: LeaseHolder, duration: float) -> None:
        """Keeps the Lease for `duration` seconds more.

        Raises OtherRunError when another run has it, and when it has expired: another run may have had it in between.
        """
        lease = self._clock.get(self._path)
        spec = (lease or {}).get("spec") or {}
        if lease is None or not _is_held_by(spec, holder):
            raise OtherRunError(
                f"This run no longer holds the lease of the {self._canary}; its holder is {spec.get('holderIdentity') or 'nobody'}. "
                "This run did not renew it in time. Nothing was done; run again to continue from the recorded state"
            )
        late = self._clock.now() - _expiry(spec)
        if late > 0:
            raise OtherRunError(
                f"This run's lease of the {self._canary} expired {late:.0f} s ago. "
                "Nothing was done; run again to continue from the recorded state"
            )
        self._write(lease, holder.name, duration, holder.fencing_token)

    def give_up(self, holder: LeaseHolder) -> None:
        """Gives the Lease up, if this holder still has it."""
        lease = self._clock.get(self._path)
        spec = (lease or {}).get("spec") or {}
        if lease is None or not _is_held_by(spec, holder):
            return
        lease["spec"] = {**spec, "holderIdentity": "", "leaseDurationSeconds": 1}
        try:
            self._client.request("PUT", self._path, query=QUERY, body=lease)
        except ApiError as error:
            if error.status not in (404, 409):
                raise

    def present(self) -> dict[str, Any] | None:
        """Who has the Lease now, its age and the seconds until it expires; None when nobody has it."""
        spec = (self._clock.get(self._path) or {}).get("spec") or {}
        now = self._clock.now()
        left = _expiry(spec) - now
        if not spec.get("holderIdentity") or left <= 0:
            return None
        return {
            "holder": spec["holderIdentity"],
            "fencing_token": int(spec.get("leaseTransitions") or 0),
            "age": round(_age(spec.get("acquireTime"), now), 1),
            "expires_in": round(left, 1),
        }

    def look(self) -> Seen | None:
        """The Lease as it is now, expired or not; None when it does not exist."""
        lease = self._clock.get(self._path)
        if lease is None:
            return None
        spec = lease.get("spec") or {}
        known = _seconds(spec.get("renewTime")) > 0 and spec.get("leaseDurationSeconds")
        late = self._clock.now() - _expiry(spec) if known else None
        return Seen(str(spec.get("holderIdentity") or ""), late)

    def _write(
        self, lease: Mapping[str, Any], name: str, duration: float, fencing_token: int, *, create: bool = False
    ) -> LeaseHolder:
        now = datetime.fromtimestamp(self._clock.now(), UTC).strftime(_MICRO)
        spec = lease.get("spec") or {}
        acquired = spec.get("acquireTime") if spec.get("leaseTransitions") == fencing_token else now
        body = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": lease["metadata"],
            "spec": {
                "holderIdentity": name,
                "leaseDurationSeconds": max(1, round(duration)),
                "leaseTransitions": fencing_token,
                "acquireTime": acquired or now,
                "renewTime": now,
            },
        }
        method, path = ("POST", self._collection) if create else ("PUT", self._path)
        try:
            # With the resourceVersion in the metadata, one of two runs that read the same Lease wins.
            self._client.request(method, path, query=QUERY, body=body)
        except ApiError as error:
            if error.status != 409:
                raise
            raise OtherRunError(
                f"Another run took the lease of the {self._canary} at the same moment. Nothing was done; wait until that run has ended"
            ) from None
        return LeaseHolder(name, fencing_token)


def _is_held_by(spec: Mapping[str, Any], holder: LeaseHolder) -> bool:
    transitions = int(spec.get("leaseTransitions") or 0)
    return (spec.get("holderIdentity"), transitions) == (holder.name, holder.fencing_token)


def _expiry(spec: Mapping[str, Any]) -> float:
    return _seconds(spec.get("renewTime")) + float(spec.get("leaseDurationSeconds") or 0)


def _age(moment: Any, now: float) -> float:
    """Seconds since a MicroTime; never negative, though the clock is corrected by up to a second between two answers."""
    return max(0.0, now - _seconds(moment))


def _seconds(text: Any) -> float:
    """Unix time of a MicroTime; 0 for None."""
    try:
        return datetime.fromisoformat(str(text).replace("Z", "+00:00")).timestamp()
    except ValueError:
        return 0.0
