# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The answers of a running Envoy: which inbound filter chains require a client certificate, and which certificate it has. Pure.

istiod builds the chains in istio pilot/pkg/networking/core/listener_inbound.go (getFilterChainMatchOptions): STRICT has only
chains with a required client certificate, DISABLE none with TLS, PERMISSIVE both.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.model import Mode

INBOUND = "virtualInbound"
LISTENERS = "/config_dump?resource=dynamic_listeners&name_regex=%5EvirtualInbound%24"
CERTIFICATES = "/certs"
_BLACKHOLE = "virtualInbound-blackhole"
Obj = Mapping[str, Any]


def inbound_chains(dump: Obj) -> list[Obj]:
    """Filter chains of the inbound listener in a config dump; none when Envoy has no such listener."""
    for entry in dump.get("configs") or []:
        listener = ((entry.get("active_state") or {}).get("listener")) or {}
        if listener.get("name") == INBOUND:
            return [chain for chain in listener.get("filter_chains") or [] if chain.get("name") != _BLACKHOLE]
    return []


def mode_of_port(chains: Iterable[Obj], port: int) -> Mode:
    """Mode that the chains make for a container port. Chains of the port itself go before those for all ports."""
    own = [chain for chain in chains if (chain.get("filter_chain_match") or {}).get("destination_port") == port]
    general = [chain for chain in chains if "destination_port" not in (chain.get("filter_chain_match") or {})]
    meant = own or general
    if not meant:
        return Mode.UNKNOWN
    required = [_requires_certificate(chain) for chain in meant]
    if all(required):
        return Mode.STRICT
    return Mode.PERMISSIVE if any(required) else Mode.DISABLE


def _requires_certificate(chain: Obj) -> bool:
    config = (chain.get("transport_socket") or {}).get("typed_config") or {}
    return bool(config.get("require_client_certificate"))


@dataclass(frozen=True, slots=True)
class Certificate:
    """The workload certificate that an Envoy has: SPIFFE identity, serial numbers of it and its roots, seconds left."""

    identity: str
    serial: str
    roots: tuple[str, ...]
    seconds_left: float
    lifetime: float


def certificate(answer: Obj, now: datetime) -> Certificate | None:
    """The certificate among `/certs` that carries a SPIFFE identity, None when there is none."""
    for entry in answer.get("certificates") or []:
        for leaf in (entry.get("cert_chain") or [])[:1]:
            names = [str(name.get("uri")) for name in leaf.get("subject_alt_names") or [] if name.get("uri")]
            identity = next((name for name in names if name.startswith("spiffe://")), "")
            if identity:
                begin, end = _time(leaf.get("valid_from")), _time(leaf.get("expiration_time"))
                roots = tuple(sorted({str(root.get("serial_number")) for root in entry.get("ca_cert") or []}))
                left, life = (end - now).total_seconds(), (end - begin).total_seconds()
                return Certificate(identity, str(leaf.get("serial_number") or ""), roots, left, life)
    return None


def _time(text: Any) -> datetime:
    try:
        return datetime.strptime(str(text), "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)  # noqa: UP017
    except ValueError:
        return datetime.fromtimestamp(0, timezone.utc)  # noqa: UP017  # a time that cannot be read counts as expired


def expected_identity(trust_domain: str, namespace: str, service_account: str) -> str:
    """SPIFFE identity of a workload (istio pkg/spiffe/spiffe.go)."""
    return f"spiffe://{trust_domain}/ns/{namespace}/sa/{service_account}"
