# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: may change at any time without notice; only this collection may import it.
"""A service definition and what was read of the cluster -> everything that the role ``microservice`` applies, each object rendered once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.servicemesh.platform.plugins.plugin_utils._service import ingress, release
from ansible_collections.servicemesh.platform.plugins.plugin_utils._service.security import security_manifests
from ansible_collections.servicemesh.platform.plugins.plugin_utils._service.traffic import traffic_manifests
from ansible_collections.servicemesh.platform.plugins.plugin_utils._service.workload import (
    retired_manifests,
    service_manifests,
)

Manifest = dict[str, Any]
Definition = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Where a service runs, and which objects it has. ``gateway`` is namespace/name of the Gateway that serves ``host``."""

    host: str = "ecommerce.example.com"
    gateway: str = "istio-system/ecommerce-gateway"
    cluster_domain: str = "cluster.local"
    trust_domain: str = "cluster.local"
    gateway_namespace: str = "istio-system"
    gateway_service_account: str = "istio-ingressgateway"
    traffic: bool = True
    security: bool = True


@dataclass(frozen=True, slots=True)
class Seen:
    """What was read of the cluster.

    ``canary``: as module ``canary_info`` returns it, empty when it was not read. ``ended``: phase in which a canary of this run ended, or
    empty. ``secrets``: name -> version; None for no checksums. ``ingress``: the VirtualServices for callers outside of all services.
    """

    canary: Mapping[str, Any]
    ingress: Sequence[Mapping[str, Any]] = ()
    secrets: Mapping[str, Any] | None = None
    ended: str = ""


def plan(definition: Definition, seen: Seen, where: Surroundings, *, present: bool = True) -> dict[str, Any]:
    """Objects of a service with its release: ``definitions`` and ``retired`` of ``apply``.

    ``roots``: of these, the routes of the host, which all services share; for a removal those without this service.
    """
    rules = traffic_manifests(definition, where.host, where.gateway, where.cluster_domain)
    destination = [rule for rule in rules if rule["kind"] == "DestinationRule"]
    waits = _routes_wait(definition, rules, seen)
    traffic = [rule for rule in rules if not (waits and rule["kind"] == "VirtualService")] if where.traffic else []
    own = [] if waits else rules if where.traffic else destination
    roots, gone = ingress.roots(own, seen.ingress, removal=not present)
    security = security_manifests(
        definition, where.trust_domain, where.gateway_namespace, where.gateway_service_account
    ) if where.security else []  # fmt: skip
    definitions = [*service_manifests(definition, seen.secrets), *traffic]
    definitions += [*(roots if present else []), *security]
    definitions += release.canary_leftovers(definition) if not present else []
    return {
        "definitions": definitions,
        "retired": [*gone, *retired_manifests(definition, traffic=where.traffic, security=where.security)],
        "roots": {"definitions": roots, "retired": gone},
    }


def without_pods(definitions: Sequence[Manifest]) -> list[Manifest]:
    """The objects that must exist before a canary, which writes the pods, starts."""
    return [item for item in definitions if item["kind"] not in release.WORKLOAD]


def _routes_wait(definition: Definition, rules: Sequence[Manifest], seen: Seen) -> bool:
    """Whether a canary shifts routes that this definition would divide.

    It began when a service had one VirtualService for callers inside and outside, and shifts that one until it ends. A second one would get
    no weight of this run.
    """
    if not seen.canary.get("active") or seen.ended in ("promoted", "rolled_back"):
        return False
    shifted = seen.canary.get("virtual_services") or []
    names = {rule["metadata"]["name"] for rule in rules} - {definition["name"]}
    return any(f"{definition['namespace']}/{name}" not in shifted for name in names)
