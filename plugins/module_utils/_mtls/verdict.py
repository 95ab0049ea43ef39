# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verdict on a call: what the client sends against what the server accepts. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.model import Lost, Mode, Sent
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.rules import RuleCode

# Clients of a call that are no workload: every meshed workload, and every caller without a sidecar.
ANYBODY, WITHOUT_SIDECAR = "*", "plaintext"


class Verdict(StrEnum):
    """What becomes of a call."""

    STRICT = "strict"
    ENCRYPTED_NOT_ENFORCED = "encrypted_not_enforced"
    PLAINTEXT_ALLOWED = "plaintext_allowed"
    PLAINTEXT = "plaintext"
    BROKEN = "broken"
    NOT_ENFORCED = "not_enforced"
    UNKNOWN = "unknown"


class Proof(StrEnum):
    """What a verdict rests on besides the computation."""

    PROVED = "proved"
    CLAIMED = "claimed"
    UNPROVED = "unproved"
    VIOLATED = "violated"


# Which of several backends' verdicts is that of the call. For a caller without a sidecar it is best that all of them refuse.
_WORST: Mapping[Verdict, int] = {
    Verdict.BROKEN: 6,
    Verdict.PLAINTEXT: 5,
    Verdict.PLAINTEXT_ALLOWED: 4,
    Verdict.UNKNOWN: 3,
    Verdict.NOT_ENFORCED: 2,
    Verdict.ENCRYPTED_NOT_ENFORCED: 1,
    Verdict.STRICT: 0,
}
_WORST_PLAIN: Mapping[Verdict, int] = {
    Verdict.PLAINTEXT: 6,
    Verdict.PLAINTEXT_ALLOWED: 5,
    Verdict.UNKNOWN: 4,
    Verdict.NOT_ENFORCED: 3,
    Verdict.ENCRYPTED_NOT_ENFORCED: 2,
    Verdict.STRICT: 1,
    Verdict.BROKEN: 0,
}

# Each of `Sent` with each of `Mode`: a table, because this is asked for every endpoint of every client. A test holds that none is missing.
_TABLE: Mapping[Sent, Mapping[Mode, Verdict]] = {
    Sent.MTLS: {
        Mode.STRICT: Verdict.STRICT,
        Mode.PERMISSIVE: Verdict.ENCRYPTED_NOT_ENFORCED,
        Mode.DISABLE: Verdict.BROKEN,
        Mode.NOT_ENFORCED: Verdict.BROKEN,
        Mode.UNKNOWN: Verdict.UNKNOWN,
    },
    Sent.PLAINTEXT: {
        Mode.STRICT: Verdict.BROKEN,
        Mode.PERMISSIVE: Verdict.PLAINTEXT_ALLOWED,
        Mode.DISABLE: Verdict.PLAINTEXT,
        Mode.NOT_ENFORCED: Verdict.PLAINTEXT,
        Mode.UNKNOWN: Verdict.UNKNOWN,
    },
    # A STRICT server refuses TLS with other certificates than the mesh's; all others hand it to the application, unless the port is
    # declared as HTTP (Engine decides that).
    Sent.TLS: {
        Mode.STRICT: Verdict.BROKEN,
        Mode.PERMISSIVE: Verdict.NOT_ENFORCED,
        Mode.DISABLE: Verdict.NOT_ENFORCED,
        Mode.NOT_ENFORCED: Verdict.NOT_ENFORCED,
        Mode.UNKNOWN: Verdict.UNKNOWN,
    },
    Sent.BLOCKED: dict.fromkeys(Mode, Verdict.BROKEN),
    Sent.UNKNOWN: dict.fromkeys(Mode, Verdict.UNKNOWN),
}

_CONSEQUENCES: Mapping[tuple[Sent, Mode], str] = {
    (Sent.MTLS, Mode.DISABLE): "the server does not accept TLS on this port",
    (Sent.MTLS, Mode.NOT_ENFORCED): "nothing there terminates the mesh's TLS",
    (Sent.PLAINTEXT, Mode.STRICT): "plain text is refused: the connection is reset",
    (Sent.TLS, Mode.STRICT): "a certificate of the mesh is missing",
    (Sent.TLS, Mode.PERMISSIVE): "the port is declared as HTTP, which takes no other TLS than the mesh's",
    (Sent.TLS, Mode.DISABLE): "the port is declared as HTTP, which takes no TLS",
}


def verdict(sends: Sent, accepts: Mode) -> Verdict:
    """The verdict on one endpoint. What is unknown on either side stays unknown."""
    return _TABLE[sends][accepts]


def outside_of_mesh(sends: Sent) -> Verdict:
    """The verdict on a host outside of the mesh, of which nobody knows what it accepts."""
    if sends in (Sent.MTLS, Sent.UNKNOWN):
        return Verdict.UNKNOWN
    return Verdict.BROKEN if sends is Sent.BLOCKED else Verdict.NOT_ENFORCED


def consequence(sends: Sent, accepts: Mode) -> str:
    """Why a verdict is `broken`, in words."""
    return _CONSEQUENCES.get((sends, accepts), "")


def badness(found: Verdict, client: str) -> int:
    """Sorts the verdicts of the backends of one call, the worst highest."""
    return (_WORST_PLAIN if client == WITHOUT_SIDECAR else _WORST)[found]


@dataclass(frozen=True, slots=True)
class Call:
    """One client, service and port, and what becomes of the calls between them. `port` is the service's.

    `rule` explains the call, and `server_rule` what the deciding endpoint accepts. Its pods are `group` (index into Mesh.groups), None when
    no pod of this cluster answers there.
    """

    client: str
    service: str
    port: int
    target_port: int
    server_mode: Mode
    client_mode: Sent
    verdict: Verdict
    reason: str
    rule: RuleCode | None = None
    server_policy: str = ""
    client_policy: str = ""
    backends: tuple[str, ...] = ()
    subset: str = ""
    overridden: tuple[Lost, ...] = ()
    proof: Proof = Proof.UNPROVED
    evidence: str = ""
    server_rule: RuleCode | None = None
    group: int | None = None

    @property
    def id(self) -> tuple[str, str, int]:
        """Client, service and port."""
        return self.client, self.service, self.port

    @property
    def namespace(self) -> str:
        """Namespace of the service."""
        return self.service.partition("/")[0]

    @property
    def object(self) -> str:
        """The service port, as findings name it."""
        return f"Service {self.service} port {self.port}"

    def as_dict(self) -> dict[str, Any]:
        """The call as modules return it: plain strings, because Ansible takes no subclasses of str."""
        return {
            "client": self.client,
            "service": self.service,
            "port": self.port,
            "target_port": self.target_port,
            "server_mode": str(self.server_mode),
            "client_mode": str(self.client_mode),
            "verdict": str(self.verdict),
            "proof": str(self.proof),
            "evidence": self.evidence,
            "reason": self.reason,
            "rule": str(self.rule or ""),
            "server_policy": self.server_policy,
            "client_policy": self.client_policy,
            "backends": list(self.backends),
            "subset": self.subset,
            "overridden": [{"object": entry.object, "why": entry.why} for entry in self.overridden],
        }
