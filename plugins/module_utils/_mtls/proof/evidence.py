# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether what calls on the wire showed agrees with what was computed, for each kind of endpoint of a call. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, assert_never

from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.findings import some
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.model import Sent
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.proof.wire import Meshed, Peer, PlainCall
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.verdict import (
    WITHOUT_SIDECAR,
    Call,
    Proof,
    Verdict,
)

_FROM_ENVOY = (502, 503, 504)  # what a sidecar answers when it got no answer itself
Key = tuple[
    int, int
]  # an endpoint of a service port, by its index in Port.endpoints, and the family of its addresses: 4, 6, or 0 for none


@dataclass(frozen=True, slots=True)
class Part:
    """What was computed for one kind of endpoint of a call.

    `own` is the subset, if its clients' clusters are set up apart from those of the service. `why` is why no call was made there.
    """

    key: Key
    name: str
    verdict: Verdict
    sends: Sent
    own: str = ""
    why: str = ""

    @property
    def title(self) -> str:
        """As evidence names it."""
        return f"{self.name} in subset {self.own}" if self.own else self.name


@dataclass(frozen=True, slots=True)
class Seen:
    """What calls to one kind of endpoint of a service port showed.

    `identity` is the one that its certificate should have. `mesh` are the calls through a sidecar that went there, by Part.own. `note` is
    why calls could not be made, and `missed` why none came there through the sidecar.
    """

    service: str
    port: int
    key: Key
    kind: str
    pod: str
    address: str
    plain: PlainCall
    control: Peer
    identity: str
    mesh: Mapping[str, Sequence[Meshed]] = field(default_factory=dict)
    note: str = ""
    missed: str = ""

    def as_dict(self) -> dict[str, Any]:
        """The row as modules return it."""
        calls = [call for own in self.mesh.values() for call in own]
        told = [call.mtls for call in calls if call.mtls is not None]
        meshed = {
            "ok": all(call.ok for call in calls),
            "status": calls[-1].status if calls else 0,
            "mtls": all(told) if told else None,
            "calls": len(calls),
        }
        return {
            "service": self.service,
            "port": self.port,
            "kind": self.kind,
            "pod": self.pod,
            "address": self.address,
            "plaintext": str(self.plain),
            "control": self.control.identity,
            "issuer": self.control.issuer,
            "expected": self.identity,
            "meshed": meshed if calls else None,
            "note": self.note or self.missed,
        }

    @property
    def at(self) -> str:
        """The pod, or the address of what is no pod, as evidence names it."""
        return self.pod or self.address


def unreached(call: Call, why: str) -> Call:
    """A call that no call on the wire can prove. What others say of it stays."""
    if call.proof is Proof.VIOLATED:
        return call
    text = f"calls: {why}"
    return replace(call, evidence=f"{call.evidence}; {text}" if call.evidence else text)


def proved(call: Call, parts: Sequence[Part], seen: Iterable[Seen], foreign: Sequence[str] = ()) -> Call:
    """A call with its proof by calls on the wire.

    PROVED needs calls to each kind of endpoint that ended as computed for it, whatever the verdict on the call as a whole. VIOLATED needs
    one that did not. Else the evidence says which kinds are proved and which are not, and why. `foreign` are endpoints that the probe's
    sidecar has, and that were not read: they came later, or another cluster or network has them.
    """
    rows = {entry.key: entry for entry in seen}
    reached: list[str] = []
    first = ""
    missing = [
        f"{name}: the probe's sidecar has it, and it is none of the endpoints that were read" for name in foreign
    ]
    for part in parts:
        row = rows.get(part.key)
        good, text = _told(call.client, part, row) if row else (None, part.why or "no call was made")
        if good is False:
            return replace(call, proof=Proof.VIOLATED, evidence=text)
        if good:
            reached.append(part.title)
            first = first or text
        else:
            missing.append(f"{part.title}: {text}")
    if call.proof is Proof.VIOLATED or not parts:
        return call
    if missing:
        done = f"ended as computed at {some(reached)}; " if reached else ""
        return unreached(call, f"{done}not proved at {'; '.join(missing)}")
    more = f"; likewise at {some(reached[1:])}" if len(reached) > 1 else ""
    return replace(call, proof=Proof.PROVED, evidence=first + more)


def _told(client: str, part: Part, seen: Seen) -> tuple[bool | None, str]:
    """Whether calls to one kind of endpoint agree with what was computed for it (None: they show too little), and why."""
    if seen.note:
        return None, seen.note
    if client == WITHOUT_SIDECAR:
        return _plain_proof(part.verdict, seen)
    calls = seen.mesh.get(part.own) or ()
    if not calls:
        return None, seen.missed or "no call through the sidecar went there"
    told = [_mesh_proof(part, seen, call) for call in calls]
    return next(
        (entry for good in (False, True) for entry in told if entry[0] is good),
        told[0],
    )


def _plain_proof(verdict: Verdict, seen: Seen) -> tuple[bool | None, str]:
    """The same for a caller without a sidecar."""
    if seen.control.identity and seen.control.identity != seen.identity:
        return (
            False,
            f"{seen.at} shows {seen.control.identity}, expected {seen.identity or 'no certificate of the mesh'}",
        )
    match verdict:
        case Verdict.BROKEN:
            return _refusal_proof(seen)
        case Verdict.PLAINTEXT_ALLOWED | Verdict.PLAINTEXT:
            if seen.plain is PlainCall.ACCEPTED:
                return True, f"plain text to {seen.at} was answered"
            if seen.plain is PlainCall.SILENT:
                return None, f"plain text to {seen.at} got no answer"
            return (
                None,
                f"plain text to {seen.at} was closed; the server may speak another protocol or refuse the caller",
            )
        case Verdict.STRICT | Verdict.ENCRYPTED_NOT_ENFORCED | Verdict.NOT_ENFORCED | Verdict.UNKNOWN:
            return None, f"{verdict} cannot be proved by calls"
        case _:
            assert_never(verdict)


def _refusal_proof(seen: Seen) -> tuple[bool | None, str]:
    """Whether plain text was refused by a port that answers a certificate of the mesh.

    A port that is not STRICT shows its certificate only to clients that announce Istio's own protocols, which curl does not (istio
    pilot/pkg/networking/core/filterchain_options.go). So an application that closes what it does not understand is not taken for a refusal.
    """
    if seen.plain is PlainCall.ACCEPTED:
        return False, f"plain text to {seen.at} was answered"
    if seen.plain is PlainCall.REFUSED and seen.control.identity:
        control = f"with a certificate of the mesh the same port answers as {seen.control.identity}"
        return True, f"plain text to {seen.at} was refused; {control}"
    return None, "no control: the port did not answer with a certificate either"


def _mesh_proof(part: Part, seen: Seen, mesh: Meshed) -> tuple[bool | None, str]:
    """The same for a meshed caller, by one call that went there."""
    if part.verdict is Verdict.BROKEN:
        return _failure_proof(part, seen, mesh)
    computed = {Sent.MTLS: True, Sent.PLAINTEXT: False}.get(part.sends)
    if mesh.mtls is None or computed is None:
        return None, "the call through the sidecar opened no connection that could be counted"
    if mesh.mtls is not computed:
        words = "was mutual TLS" if mesh.mtls else "made no TLS handshake"
        return False, f"a meshed call to {seen.at} {words}; {part.sends} was computed"
    if not mesh.mtls and not mesh.ok:
        return None, f"a meshed call ended with {mesh.status or 'no answer'}"
    match part.verdict:
        case Verdict.STRICT:
            refused, text = _plain_proof(Verdict.BROKEN, seen)
            return refused, f"a meshed call was mutual TLS; {text}" if refused else text
        case Verdict.ENCRYPTED_NOT_ENFORCED | Verdict.PLAINTEXT_ALLOWED | Verdict.PLAINTEXT:
            return True, f"a meshed call was {'mutual TLS' if mesh.mtls else 'in plain text'}"
        case Verdict.NOT_ENFORCED | Verdict.UNKNOWN:
            return None, f"{part.verdict} cannot be proved by calls"
        case _:
            assert_never(part.verdict)


def _failure_proof(part: Part, seen: Seen, mesh: Meshed) -> tuple[bool | None, str]:
    """Whether a meshed call failed for the reason that was computed. That it failed is not enough: the application may have closed it."""
    failed = f"a meshed call to {seen.at} failed: {mesh.status or 'no answer'}"
    if mesh.ok:
        return False, f"a meshed call to {seen.at} was answered with {mesh.status}"
    match part.sends:
        case Sent.MTLS:
            if mesh.mtls:
                return (
                    False,
                    f"a meshed call to {seen.at} was mutual TLS; it was computed that nothing there accepts it",
                )
            return (True, failed) if mesh.failed else (None, f"{failed}, and not for want of a TLS handshake")
        case Sent.PLAINTEXT:
            if mesh.mtls:
                return False, f"a meshed call to {seen.at} was mutual TLS; {part.sends} was computed"
            refused, text = _plain_proof(Verdict.BROKEN, seen)
            return (refused, f"{failed}; {text}" if refused else text) if mesh.mtls is False else (None, failed)
        case Sent.TLS:
            refused, text = _plain_proof(Verdict.BROKEN, seen)
            closed = mesh.failed or mesh.status in _FROM_ENVOY
            return (refused, f"{failed}; {text}" if refused else text) if closed else (None, failed)
        case Sent.BLOCKED | Sent.UNKNOWN:
            return None, f"{part.sends} cannot be proved by calls"
        case _:
            assert_never(part.sends)
