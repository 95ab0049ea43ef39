# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long certificates are valid: those that proxies have, from Envoy's `/certs`, and those of Ingresses. Pure.

Envoy lists each certificate chain with the roots that it trusts (envoy api envoy/admin/v3/certs.proto): that of the workload has a SPIFFE
identity, a gateway's others are what it serves.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._mesh.diagnose.codes import DiagnosisCode, Section
from ansible_collections.servicemesh.platform.plugins.module_utils._mesh.diagnose.findings import (
    Finding,
    finding,
    not_read,
)

_DAY = 86400.0


class Use(StrEnum):
    """What a certificate is for."""

    WORKLOAD = "workload"
    SERVING = "serving"
    ROOT = "root"


@dataclass(frozen=True, slots=True)
class Certificate:
    """One certificate. `begin` and `end` in Unix seconds; None when they cannot be read."""

    use: Use
    name: str
    where: str
    serial: str
    begin: float | None
    end: float | None

    def as_dict(self, now: float) -> dict[str, Any]:
        """The certificate as modules return it."""
        return {
            "use": str(self.use),
            "name": self.name,
            "where": self.where,
            "serial": self.serial,
            "expires": None
            if self.end is None
            else datetime.fromtimestamp(self.end, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "days_left": None if self.end is None else round((self.end - now) / _DAY, 1),
        }


def of_proxy(where: str, answer: Any) -> list[Certificate]:
    """The certificates in a proxy's answer to `/certs`. Raises ValueError for one of another shape."""
    entries = answer.get("certificates") if isinstance(answer, Mapping) else None
    if not isinstance(entries, Sequence) or isinstance(entries, str):
        raise ValueError(f"its answer to /certs has no list of certificates: {str(answer)[:80]}")
    found = []
    for entry in entries:
        for leaf in (entry.get("cert_chain") or [])[:1]:
            names = [str(value) for name in leaf.get("subject_alt_names") or [] for value in name.values()]
            identity = next((name for name in names if name.startswith("spiffe://")), "")
            name = identity or ", ".join(names[:3]) or str(leaf.get("path") or "")
            found.append(_made(Use.WORKLOAD if identity else Use.SERVING, name, where, leaf))
        found += [_made(Use.ROOT, "root of the mesh", where, root) for root in entry.get("ca_cert") or []]
    return found


def of_secret(where: str, text: str) -> Certificate:
    """The first certificate in `tls.crt` of a Secret, base64 of PEM. Raises ValueError for what is none."""
    try:
        from cryptography import x509  # ansible-core needs it, too
    except ImportError:
        raise ValueError("it cannot be read without the Python package cryptography") from None
    try:
        found = x509.load_pem_x509_certificate(base64.b64decode(text))
    except ValueError as error:
        raise ValueError(f"its tls.crt is no certificate in PEM: {error}") from None
    try:
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(
            x509.DNSName
        )
    except x509.ExtensionNotFound:
        names = [found.subject.rfc4514_string()]
    begin, end = found.not_valid_before_utc.timestamp(), found.not_valid_after_utc.timestamp()
    return Certificate(Use.SERVING, ", ".join(names[:3]), where, f"{found.serial_number:x}", begin, end)


def _made(use: Use, name: str, where: str, entry: Mapping[str, Any]) -> Certificate:
    serial = str(entry.get("serial_number") or "")
    return Certificate(use, name, where, serial, _time(entry.get("valid_from")), _time(entry.get("expiration_time")))


def _time(text: Any) -> float | None:
    try:
        return datetime.fromisoformat(str(text)).timestamp()
    except ValueError:
        return None


def once(certificates: Iterable[Certificate]) -> list[Certificate]:
    """Each certificate once, those that end first in front: all proxies have the same roots."""
    kept: dict[tuple[Use, str, str], Certificate] = {}
    for entry in certificates:
        kept.setdefault((entry.use, entry.serial, "" if entry.use is Use.ROOT else entry.where), entry)
    return sorted(kept.values(), key=lambda c: (c.end if c.end is not None else 0.0, c.where, c.name))


def certificates_findings(certificates: Iterable[Certificate], now: float, days: float) -> list[Finding]:
    """What is wrong with certificates. `days`: how long before its end a root or serving certificate is told.

    One whose lifetime is short is told in its last third, which is when cert-manager, too, renews by default.
    """
    found = []
    for entry in certificates:
        subject = f"Certificate {entry.name} ({entry.where})"
        if entry.begin is None or entry.end is None:
            found.append(not_read(Section.CERTIFICATES, subject, "its times cannot be read"))
            continue
        left, lifetime = entry.end - now, entry.end - entry.begin
        told = f"it expires in {left / _DAY:.1f} days" if left > 2 * _DAY else f"it expires in {left / 3600:.1f} hours"
        if left <= 0:
            found.append(finding(DiagnosisCode.CERTIFICATE_EXPIRED, subject, f"it expired {-left / _DAY:.1f} days ago"))
        elif entry.use is Use.WORKLOAD:
            if left < 0.1 * lifetime:
                found.append(finding(DiagnosisCode.CERTIFICATE_NOT_RENEWED, subject, f"{told} and was not renewed"))
        elif left < min(days * _DAY, lifetime / 3):
            found.append(finding(DiagnosisCode.CERTIFICATE_EXPIRES, subject, told))
    return found
