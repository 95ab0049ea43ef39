# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What calls on the wire show, and whether that is what was computed. Pure: answers of curl in, proofs out."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.model import MTLS, PLAINTEXT
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.verdict import (
    ALLOWED,
    BROKEN,
    NOT_REQUIRED,
    OK_STRICT,
    PLAIN,
    WITHOUT_SIDECAR,
    Call,
)

REFUSED, ACCEPTED, SILENT = "refused", "accepted", "silent"
_NOT_HTTP = frozenset({1, 8})  # curl: something answered, in another protocol
_RESET = frozenset({52, 56})  # curl: empty reply, failure in receiving: the connection was taken and then closed


@dataclass(frozen=True, slots=True)
class Answer:
    """How curl ended: exit code, HTTP status (0 for none), and what else it wrote."""

    code: int | None
    status: int
    text: str = ""


def answer(code: int | None, out: str) -> Answer:
    """From what `curl -w '%{http_code} …'` writes."""
    head, _space, rest = out.lstrip().partition(" ")
    return Answer(code, int(head) if head.isdigit() else 0, rest.strip())


def plain(found: Answer) -> str:
    """What became of a call in plain text, straight to a pod."""
    if found.status:
        return ACCEPTED
    if found.code in _NOT_HTTP:
        return ACCEPTED
    return REFUSED if found.code in _RESET else SILENT


@dataclass(frozen=True, slots=True)
class Peer:
    """The certificate that a server showed: identity and issuer, empty when no handshake came to its end."""

    identity: str = ""
    issuer: str = ""


def peer(found: Answer) -> Peer:
    """The server's identity in what curl tells of the certificates (`%{certs}`)."""
    identity = re.search(r"URI:(spiffe://[^\s,]+)", found.text)
    issuer = re.search(r"^Issuer:(.*)$", found.text, re.MULTILINE)
    return Peer(identity.group(1) if identity else "", issuer.group(1).strip() if issuer else "")


@dataclass(frozen=True, slots=True)
class Meshed:
    """A call through a sidecar: whether it came through, and how many of its connections were TLS (null: not to be told)."""

    ok: bool
    status: int
    connections: int
    handshakes: int


def meshed(found: Answer, before: Mapping[str, int], after: Mapping[str, int]) -> Meshed:
    """From curl's answer and the caller's own counters of the service's clusters."""
    connections = after.get("upstream_cx_total", 0) - before.get("upstream_cx_total", 0)
    handshakes = after.get("handshake", 0) - before.get("handshake", 0)
    return Meshed(found.status not in (0, 502, 503, 504), found.status, connections, handshakes)


def counters(text: str, host: str, port: int) -> dict[str, int]:
    """Sums of Envoy's statistics of a service's clusters, of all subsets: `upstream_cx_total`, `handshake`."""
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
    """What was seen at one pod behind a service port. `identity` is what its certificate should say."""

    service: str
    port: int
    pod: str
    plain: str
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
            "plaintext": self.plain,
            "control": self.control.identity,
            "issuer": self.control.issuer,
            "expected": self.identity,
            "meshed": None if mesh is None else {"ok": mesh.ok, "status": mesh.status, "mtls": sends(mesh)},
            "note": self.note,
        }


def sends(mesh: Meshed) -> bool | None:
    """Whether a meshed call was mutual TLS; null when it opened no connection that could tell."""
    if mesh.connections <= 0:
        return None
    return mesh.handshakes > 0


def proved(call: Call, seen: Sequence[Seen]) -> Call:
    """A call with its proof by calls: `proved`, `violated`, or as it was when the calls tell too little."""
    mine = [entry for entry in seen if (entry.service, entry.port) == (call.service, call.port)]
    if not mine:
        return call
    # A call through a service with several kinds of backends may have gone to another one than the verdict is about.
    alone = len(mine) == 1
    told = [
        _plain_proof(call, entry) if call.client == WITHOUT_SIDECAR else _mesh_proof(call, entry, alone)
        for entry in mine
    ]
    wrong = next((text for good, text in told if good is False), "")
    if wrong:
        return replace(call, proof="violated", evidence=wrong)
    if call.proof != "violated" and all(good for good, _text in told):
        return replace(call, proof="proved", evidence=told[0][1])
    return call


def _plain_proof(call: Call, seen: Seen) -> tuple[bool | None, str]:
    if seen.control.identity and seen.control.identity != seen.identity:
        return False, f"{seen.pod} shows {seen.control.identity}, expected {seen.identity}"
    if call.verdict == BROKEN:
        if seen.plain == ACCEPTED:
            return False, f"plain text to {seen.pod} was answered"
        if seen.plain == REFUSED and seen.control.identity:
            return (
                True,
                f"plain text to {seen.pod} was refused; with a certificate of the mesh the same port answers as {seen.control.identity}",
            )
        return None, "no control: the port did not answer with a certificate either"
    if call.verdict in (ALLOWED, PLAIN):
        if seen.plain == ACCEPTED:
            return True, f"plain text to {seen.pod} was answered"
        return None, f"plain text to {seen.pod} was closed; the server may want another protocol or refuse the caller"
    return None, ""


def _mesh_proof(call: Call, seen: Seen, alone: bool) -> tuple[bool | None, str]:
    mesh = seen.mesh
    if mesh is None:
        return None, ""
    told = sends(mesh)
    if call.verdict == BROKEN:
        if mesh.ok and mesh.connections > 0 and alone:
            return False, f"a meshed call to {seen.service} came through with {mesh.status}"
        return (True, f"a meshed call failed: {mesh.status or 'no answer'}") if not mesh.ok else (None, "")
    computed = {MTLS: True, PLAINTEXT: False}.get(call.client_mode)
    if told is None or computed is None:
        return None, "the meshed call opened no connection that could tell"
    if told != computed and not alone:
        return None, "the call may have gone to another backend"
    if told != computed:
        words = "was mutual TLS" if told else "came to no TLS handshake"
        return False, f"a meshed call to {seen.service} {words}; {call.client_mode} was computed"
    if not told and not mesh.ok:
        return None, f"a meshed call ended with {mesh.status or 'no answer'}"
    if call.verdict == OK_STRICT:
        plain_told, text = _plain_proof(replace(call, verdict=BROKEN), seen)
        return plain_told, f"a meshed call was mutual TLS; {text}" if plain_told else text
    if call.verdict in (NOT_REQUIRED, ALLOWED, PLAIN):
        return True, f"a meshed call was {'mutual TLS' if told else 'in plain text'}"
    return None, ""
