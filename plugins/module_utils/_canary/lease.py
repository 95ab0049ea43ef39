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
    LeaseHeldError,
    OtherRunError,
    object_meta,
    object_name,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.api import Api
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import ApiError

_EPOCH = 1_700_000_000  # keeps the transitions of a Lease within 32 bits
_TRIES = 4
_MICRO = "%Y-%m-%dT%H:%M:%S.%fZ"


@dataclass(frozen=True, slots=True)
class LeaseHolder:
    """A run that has the Lease: its name and its fencing token. `after`: who had it before and did not give it up."""

    name: str
    fencing_token: int
    after: str = ""

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

    @property
    def path(self) -> str:
        """Of the Lease on the API server."""
        return self._path

    def acquire(self, name: str, duration: float) -> LeaseHolder:
        """Takes the Lease for `duration` seconds. Raises LeaseHeldError, with holder and age, while another run has it."""
        lease = self._clock.get(self._path)
        now = self._clock.now()
        if lease is None:
            # The time in seconds: the tokens of a Lease that was deleted and created again still increase.
            return self._write({"metadata": self._meta}, name, duration, int(now) - _EPOCH, create=True)
        spec = lease.get("spec") or {}
        other, left = str(spec.get("holderIdentity") or ""), _expiry(spec) - now
        if other and other != name and left > 0:
            raise LeaseHeldError(
                f"A {self._canary} is under way: {other} has held its lease for {_age(spec.get('acquireTime'), now):.0f} s and "
                f"renewed it {_age(spec.get('renewTime'), now):.0f} s ago. Nothing was done. Wait until that run has ended; if it "
                f"was killed, its lease expires in {left:.0f} s and the next run continues from the recorded state",
                _present(spec, now),
            )
        after = other if other != name else ""
        return self._write(lease, name, duration, int(spec.get("leaseTransitions") or 0) + 1, after=after)

    def tried(self, name: str, duration: float) -> LeaseHolder:
        """Writes the Lease as `acquire` does, whoever has it: with a client that only tries. Returns the holder that a run would be."""
        lease = self._clock.get(self._path)
        if lease is None:
            token = int(self._clock.now()) - _EPOCH
            return self._write({"metadata": self._meta}, name, duration, token, create=True)
        token = int((lease.get("spec") or {}).get("leaseTransitions") or 0) + 1
        return self._write(lease, name, duration, token)

    def renew(self, holder: LeaseHolder, duration: float) -> None:
        """Keeps the Lease for `duration` seconds more. Raises OtherRunError when another run has it, or has had it.

        A Lease that has expired is kept as well, as after an outage of the API server: as long as it has this holder's fencing token,
        nobody has had it in between, and the API server lets one of two runs write that do it now.
        """
        spec: Mapping[str, Any] = {}
        for _attempt in range(_TRIES):
            lease = self._clock.get(self._path)
            spec = (lease or {}).get("spec") or {}
            if lease is None or not _is_held_by(spec, holder):
                break
            try:
                self._put(lease, holder.name, duration, holder.fencing_token)
            except ApiError as error:
                if error.status not in (404, 409):
                    raise
                continue  # another call of this run renewed it at the same moment, or another run took it
            return
        raise OtherRunError(
            f"This run no longer holds the lease of the {self._canary}; its holder is {spec.get('holderIdentity') or 'nobody'}. "
            "This run did not renew it in time. Nothing more was done; run again to continue from the recorded state"
        )

    def give_up(self, holder: LeaseHolder) -> None:
        """Gives the Lease up, if this holder still has it."""
        for _attempt in range(_TRIES):
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
                continue  # it was renewed at the same moment
            return

    def present(self) -> dict[str, Any] | None:
        """Who has the Lease now, its age and the seconds until it expires; None when nobody has it."""
        spec = (self._clock.get(self._path) or {}).get("spec") or {}
        now = self._clock.now()
        if not spec.get("holderIdentity") or _expiry(spec) <= now:
            return None
        return _present(spec, now)

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
        self,
        lease: Mapping[str, Any],
        name: str,
        duration: float,
        fencing_token: int,
        *,
        create: bool = False,
        after: str = "",
    ) -> LeaseHolder:
        try:
            self._put(lease, name, duration, fencing_token, create=create)
        except ApiError as error:
            if error.status != 409:
                raise
            # When the answer to the first try was lost, the second try conflicts with the first one.
            there = (self._clock.get(self._path) or {}).get("spec") or {}
            if _is_held_by(there, LeaseHolder(name, fencing_token)):
                return LeaseHolder(name, fencing_token, after)
            raise OtherRunError(
                f"Another run took the lease of the {self._canary} at the same moment. Nothing was done; wait until that run has ended"
            ) from None
        return LeaseHolder(name, fencing_token, after)

    def _put(
        self, lease: Mapping[str, Any], name: str, duration: float, fencing_token: int, *, create: bool = False
    ) -> None:
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
        # With the resourceVersion in the metadata, one of two runs that read the same Lease wins.
        self._client.request(method, path, query=QUERY, body=body)


def _is_held_by(spec: Mapping[str, Any], holder: LeaseHolder) -> bool:
    transitions = int(spec.get("leaseTransitions") or 0)
    return (spec.get("holderIdentity"), transitions) == (holder.name, holder.fencing_token)


def _present(spec: Mapping[str, Any], now: float) -> dict[str, Any]:
    return {
        "holder": spec["holderIdentity"],
        "fencing_token": int(spec.get("leaseTransitions") or 0),
        "age": round(_age(spec.get("acquireTime"), now), 1),
        "renewed": str(spec.get("renewTime") or ""),
        "expires_in": round(_expiry(spec) - now, 1),
    }


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
