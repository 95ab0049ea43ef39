# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kinds of the Kubernetes Gateway API that reach into the mesh: BackendTLSPolicy, and routes whose parent is a service. Pure.

Sources: istio pilot/pkg/config/kube/gateway/backend_policies.go (a BackendTLSPolicy becomes a DestinationRule with tls SIMPLE, older than
all others), pilot/pkg/config/kube/gateway/conversion.go (a route for a service becomes a VirtualService of the mesh).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.model import (
    DestinationRule,
    Service,
    ServiceKind,
    TlsMode,
    Traffic,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parse.metadata import Obj, identity
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parts import BackendTls, MeshRoute, Reference

_NOT_FOR_ISTIO = "istio.io/ignore-policy-attachment"
_SERVICES = frozenset({"Service", "ServiceEntry", "Hostname"})


def backend_tls(obj: Obj) -> BackendTls | None:
    """A BackendTLSPolicy, None for one that istiod is told to ignore."""
    namespace, name, _created = identity(obj)
    notes = (obj.get("metadata") or {}).get("annotations") or {}
    if str(notes.get(_NOT_FOR_ISTIO) or "").lower() == "true":
        return None
    refs = (obj.get("spec") or {}).get("targetRefs") or []
    return BackendTls(
        namespace,
        name,
        tuple(
            Reference(str(ref["kind"]), namespace, str(ref["name"]), section=str(ref.get("sectionName") or ""))
            for ref in refs
        ),
    )


def mesh_route(obj: Obj) -> MeshRoute | None:
    """A route whose parents are services, None for one of gateways only."""
    namespace, name, _created = identity(obj)
    parents = tuple(
        Reference(str(ref["kind"]), str(ref.get("namespace") or namespace), str(ref["name"]), int(ref.get("port") or 0))
        for ref in (obj.get("spec") or {}).get("parentRefs") or []
        if ref.get("kind") in _SERVICES
    )
    return MeshRoute(f"{obj.get('kind') or 'route'} {namespace}/{name}", namespace, parents) if parents else None


def names(ref: Reference, service: Service) -> bool:
    """Whether a reference means a service, or a host of a ServiceEntry."""
    if ref.kind == "Hostname":
        return ref.name == service.host
    entry = service.kind is ServiceKind.ENTRY
    known_as = service.target if entry else service.name
    return (ref.kind == "ServiceEntry") == entry and (ref.namespace, ref.name) == (service.namespace, known_as)


def as_destination_rules(policies: Iterable[BackendTls], services: Iterable[Service]) -> Iterator[DestinationRule]:
    """The DestinationRules that istiod makes of BackendTLSPolicies. A section is a port's name; one that is not there sets nothing.

    A policy of which it is not understood what it is for makes one without TLS for each service of its namespace.
    """
    policies = list(policies)
    unclear = {entry.namespace: entry for entry in policies if entry.doubt and entry.doubt.wide}
    wanted = [(policy, ref) for policy in policies for ref in policy.targets if ref.kind != "Hostname"]
    for service in services if wanted or unclear else ():
        mine = [(policy, ref) for policy, ref in wanted if names(ref, service)]
        whole = any(not ref.section for _policy, ref in mine)
        ports = {
            port.number: Traffic(TlsMode.SIMPLE)
            for port in service.ports
            for _policy, ref in mine
            if ref.section and port.name == ref.section
        }
        doubted = next((policy for policy, _ref in mine if policy.doubt), unclear.get(service.namespace))
        if whole or ports or doubted:
            name = f"{(doubted or mine[0][0]).name} (BackendTLSPolicy)"
            traffic = Traffic(TlsMode.SIMPLE if whole else None, False, ports)
            yield DestinationRule(
                service.namespace, name, service.host, traffic=traffic, doubt=doubted.doubt if doubted else None
            )
