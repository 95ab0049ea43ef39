# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What calls on the wire show, and whether it agrees with what was computed. Pure: answers of curl in, proofs out."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, assert_never

from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.model import Sent
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.verdict import (
    WITHOUT_SIDECAR,
    Call,
    Proof,
    Verdict,
)

_NOT_HTTP = frozenset({1, 8})  # curl: something answered, in another protocol
_RESET = frozenset({52, 56})  # curl: empty reply, failure in receiving


class PlainCall(StrEnum):
    """What becomes of a call in plain text, straight to a pod."""

    REFUSED = "refused"  # the connection was accepted and then closed
    ACCEPTED = "accepted"
    SILENT = "silent"  # it tells nothing: no connection, or no answer in time


@dataclass(frozen=True, slots=True)
class Answer:
    """How curl ended: exit code (None when it is not known), HTTP status (0 for none), and the rest of its output."""

    code: int | None
    status: int
    text: str = ""


def answer(code: int | None, out: str) -> Answer:
    """From the output of `curl -w '%{http_code} …'`."""
    head, _space, rest = out.lstrip().partition(" ")
    return Answer(code, int(head) if head.isdigit() else 0, rest.strip())


def plain(found: Answer) -> PlainCall:
    """What became of a call in plain text."""
    if found.status or found.code in _NOT_HTTP:
        return PlainCall.ACCEPTED
    return PlainCall.REFUSED if found.code in _RESET else PlainCall.SILENT


@dataclass(frozen=True, slots=True)
class Peer:
    """The certificate that a server showed: identity and issuer, empty when no handshake was completed."""

    identity: str = ""
    issuer: str = ""


def peer(found: Answer) -> Peer:
    """The server's identity and issuer in curl's output of the certificates (`%{certs}`)."""
    identity = re.search(r"URI:(spiffe://[^\s,]+)", found.text)
    issuer = re.search(r"^Issuer:(.*)$", found.text, re.MULTILINE)
    return Peer(identity.group(1) if identity else "", issuer.group(1).strip() if issuer else "")


@dataclass(frozen=True, slots=True)
class Meshed:
    """A call through a sidecar: whether it was answered, and how many connections and TLS handshakes it made."""

    ok: bool
    status: int
    connections: int
    handshakes: int


def meshed(found: Answer, before: Mapping[str, int], after: Mapping[str, int]) -> Meshed:
    """From curl's answer and the counters of the caller's proxy for the service's clusters."""
    connections = after.get("upstream_cx_total", 0) - before.get("upstream_cx_total", 0)
    handshakes = after.get("handshake", 0) - before.get("handshake", 0)
    return Meshed(found.status not in (0, 502, 503, 504), found.status, connections, handshakes)


def counters(text: str, host: str, port: int) -> dict[str, int]:
    """Envoy's statistics of a service's clusters, summed over subsets: `upstream_cx_total`, `handshake`."""
    found: dict[str, int] = {}
    pattern = re.compile(
        rf"^cluster\.outbound\|{port}\|[^|]*\|{re.escape(host)};?\.(?:ssl\.)?(upstream_cx_total|handshake): (\d+)$",
        re.MULTILINE,
    )
    for name, amount in pattern.findall(text):
        found[name] = found.get(name, 0) + int(amount)
    return found


@dataclass(frozen=True, slots=True)
class Seen:
    """What the calls to one pod behind a service port showed. `identity` is the one that its certificate should have."""

    service: str
    port: int
    pod: str
    plain: PlainCall
    control: Peer
    identity: str
    mesh: Meshed | None = None
    note: str = ""

    def as_dict(self) -> dict[str, Any]:
        """The row as modules return it."""
        mesh = self.mesh
        return {
            "service": self.service,
            "port": self.port,
            "pod": self.pod,
            "plaintext": str(self.plain),
            "control": self.control.identity,
            "issuer": self.control.issuer,
            "expected": self.identity,
            "meshed": None if mesh is None else {"ok": mesh.ok, "status": mesh.status, "mtls": sends(mesh)},
            "note": self.note,
        }


def sends(mesh: Meshed) -> bool | None:
    """Whether a meshed call was mutual TLS, None when it opened no connection."""
    if mesh.connections <= 0:
        return None
    return mesh.handshakes > 0


def proved(call: Call, seen: Sequence[Seen]) -> Call:
    """A call with its proof by calls on the wire: PROVED, VIOLATED, or unchanged when they show too little."""
    mine = [entry for entry in seen if (entry.service, entry.port) == (call.service, call.port)]
    if not mine:
        return call
    # A call to a service with several kinds of backends may have gone to another one than the verdict is about.
    alone = len(mine) == 1
    told = [
        _plain_proof(call.verdict, entry) if call.client == WITHOUT_SIDECAR else _mesh_proof(call, entry, alone)
        for entry in mine
    ]
    wrong = next((text for good, text in told if good is False), "")
    if wrong:
        return replace(call, proof=Proof.VIOLATED, evidence=wrong)
    if call.proof is not Proof.VIOLATED and all(good for good, _text in told):
        return replace(call, proof=Proof.PROVED, evidence=told[0][1])
    return call


def _plain_proof(verdict: Verdict, seen: Seen) -> tuple[bool | None, str]:
    """Whether calls in plain text agree with the verdict on a caller without a sidecar (None: they show too little), and why."""
    if seen.control.identity and seen.control.identity != seen.identity:
        return False, f"{seen.pod} shows {seen.control.identity}, expected {seen.identity}"
    match verdict:
        case Verdict.BROKEN:
            return _refusal_proof(seen)
        case Verdict.PLAINTEXT_ALLOWED | Verdict.PLAINTEXT:
            if seen.plain is PlainCall.ACCEPTED:
                return True, f"plain text to {seen.pod} was answered"
            return (
                None,
                f"plain text to {seen.pod} was closed; the server may speak another protocol or refuse the caller",
            )
        case Verdict.STRICT | Verdict.ENCRYPTED_NOT_ENFORCED | Verdict.NOT_ENFORCED | Verdict.UNKNOWN:
            return None, ""
        case _:
            assert_never(verdict)


def _refusal_proof(seen: Seen) -> tuple[bool | None, str]:
    """Whether plain text was refused by a port that answers a certificate of the mesh."""
    if seen.plain is PlainCall.ACCEPTED:
        return False, f"plain text to {seen.pod} was answered"
    if seen.plain is PlainCall.REFUSED and seen.control.identity:
        control = f"with a certificate of the mesh the same port answers as {seen.control.identity}"
        return True, f"plain text to {seen.pod} was refused; {control}"
    return None, "no control: the port did not answer with a certificate either"


def _mesh_proof(call: Call, seen: Seen, alone: bool) -> tuple[bool | None, str]:
    """The same for the verdict on a meshed caller. `alone` is whether the service has one kind of backends."""
    mesh = seen.mesh
    if mesh is None:
        return None, ""
    if call.verdict is Verdict.BROKEN:
        if mesh.ok and mesh.connections > 0 and alone:
            return False, f"a meshed call to {seen.service} was answered with {mesh.status}"
        return (True, f"a meshed call failed: {mesh.status or 'no answer'}") if not mesh.ok else (None, "")
    told, computed = sends(mesh), {Sent.MTLS: True, Sent.PLAINTEXT: False}.get(call.client_mode)
    if told is None or computed is None:
        return None, "the meshed call opened no connection that could be counted"
    if told != computed and not alone:
        return None, "the call may have gone to another backend"
    if told != computed:
        words = "was mutual TLS" if told else "made no TLS handshake"
        return False, f"a meshed call to {seen.service} {words}; {call.client_mode} was computed"
    if not told and not mesh.ok:
        return None, f"a meshed call ended with {mesh.status or 'no answer'}"
    match call.verdict:
        case Verdict.STRICT:
            refused, text = _plain_proof(Verdict.BROKEN, seen)
            return refused, f"a meshed call was mutual TLS; {text}" if refused else text
        case Verdict.ENCRYPTED_NOT_ENFORCED | Verdict.PLAINTEXT_ALLOWED | Verdict.PLAINTEXT:
            return True, f"a meshed call was {'mutual TLS' if told else 'in plain text'}"
        case Verdict.NOT_ENFORCED | Verdict.UNKNOWN:
            return None, ""
        case _:
            assert_never(call.verdict)
