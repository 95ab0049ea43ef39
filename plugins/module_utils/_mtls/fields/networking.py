# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fields of networking.istio.io. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.fields.table import (
    Row,
    Table,
    below,
    decides,
    irrelevant,
    unsupported,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.model import TlsMode

_CERTIFICATES = (
    "caCertificates",
    "caCrl",
    "clientCertificate",
    "privateKey",
    "insecureSkipVerify",
    "sni",
    "subjectAltNames[]",
)
# A traffic policy stands at four places of a DestinationRule.
_PLACES = (
    "spec.trafficPolicy",
    "spec.trafficPolicy.portLevelSettings[]",
    "spec.subsets[].trafficPolicy",
    "spec.subsets[].trafficPolicy.portLevelSettings[]",
)
_BALANCERS = ("UNSPECIFIED", "LEAST_CONN", "RANDOM", "PASSTHROUGH", "ROUND_ROBIN", "LEAST_REQUEST")
_SERVER_MODES = ("PASSTHROUGH", "SIMPLE", "MUTUAL", "AUTO_PASSTHROUGH", "ISTIO_MUTUAL", "OPTIONAL_MUTUAL")
_WHICH = "it chooses among the endpoints; the worst of all of them counts"
_LIMITS = "limits, timeouts and the version of HTTP change no TLS"
_IDENTITY = (
    "it says which certificates are shown and accepted; a wrong one ends a call, and none becomes plain text by it"
)


def _policies() -> Iterator[Row]:
    """The traffic policies of a DestinationRule."""
    for place in _PLACES:
        modes = [mode.value for mode in TlsMode if mode is not TlsMode.UNKNOWN]
        yield from decides("destination_rules.py", f"{place}.tls.mode", values=modes)
        yield from decides("destination_rules.py", f"{place}.loadBalancer.simple", values=_BALANCERS)
        yield from irrelevant(_IDENTITY, *below(place, *(f"tls.{name}" for name in _CERTIFICATES)))
        why = "a sidecar ignores tls with it, unless the DestinationRule has a workloadSelector"
        yield from unsupported(why, f"{place}.tls.credentialName")
        yield from irrelevant(_WHICH, *below(place, *_BALANCING, "outlierDetection.**"))
        yield from irrelevant(_LIMITS, f"{place}.connectionPool.**")
        if not place.endswith("[]"):
            yield from irrelevant("retries change no TLS", f"{place}.retryBudget.**")
            yield from unsupported("calls go through another proxy, by HTTP CONNECT", f"{place}.tunnel.**")
            yield from unsupported("calls begin with a header of the PROXY protocol", f"{place}.proxyProtocol.**")
        else:
            yield from decides("destination_rules.py", f"{place}.port.number")


_BALANCING = tuple(
    f"loadBalancer.{name}"
    for name in (
        "consistentHash.**",
        "localityLbSetting.**",
        "zoneAwareLbSetting.**",
        "warmup.**",
        "warmupDurationSecs",
    )
)

DESTINATION_RULE = Table(
    decides("destination_rules.py", "spec.host", "spec.exportTo[]", "spec.workloadSelector.matchLabels.*"),
    decides("engine.py", "spec.subsets[].name", "spec.subsets[].labels.*"),
    _policies(),
)

SIDECAR = Table(
    decides("sidecars.py", "spec.workloadSelector.labels.*"),
    decides("client.py", "spec.egress[].hosts[]", "spec.egress[].port.number"),
    decides("client.py", "spec.outboundTrafficPolicy.mode", values=["REGISTRY_ONLY", "ALLOW_ANY"]),
    decides("server.py", "spec.ingress[].port.number", "spec.ingress[].tls.**"),
    unsupported(
        "the listener is reached at its own address only",
        *("spec.egress[].bind", "spec.ingress[].bind"),
    ),
    unsupported(
        "whether redirected traffic reaches the listener",
        *("spec.egress[].captureMode", "spec.ingress[].captureMode"),
        unless=["DEFAULT"],
    ),
    unsupported("calls to unknown hosts go to a proxy", "spec.outboundTrafficPolicy.egressProxy.**"),
    unsupported(
        "a listener for HTTP_PROXY takes calls to all ports",
        "spec.egress[].port.protocol",
        unless=("HTTP", "HTTPS", "HTTP2", "GRPC", "GRPC-WEB", "TCP", "TLS", "MONGO", "MYSQL", "REDIS"),
    ),
    irrelevant("a name, or not used by istiod", "spec.egress[].port.name", "spec.egress[].port.targetPort"),
    irrelevant("a name, or not used by istiod", "spec.ingress[].port.name", "spec.ingress[].port.targetPort"),
    irrelevant("mutual TLS is the same for every protocol", "spec.ingress[].port.protocol"),
    irrelevant("where the sidecar hands a call on, inside of the pod", "spec.ingress[].defaultEndpoint"),
    irrelevant(_LIMITS, "spec.ingress[].connectionPool.**", "spec.inboundConnectionPool.**"),
)

_ENTRY = ("locality", "weight")

SERVICE_ENTRY = Table(
    decides(
        "parse/service_entry.py", "spec.hosts[]", "spec.ports[].name", "spec.ports[].number", "spec.ports[].targetPort"
    ),
    decides("parse/protocol.py", "spec.ports[].protocol"),
    decides("client.py", "spec.addresses[]", "spec.exportTo[]"),
    decides("parse/service_entry.py", "spec.location", values=["MESH_EXTERNAL", "MESH_INTERNAL"]),
    decides("parse/service_entry.py", "spec.resolution", values=["NONE", "STATIC", "DNS", "DNS_ROUND_ROBIN"]),
    decides("parse/service_entry.py", "spec.workloadSelector.labels.*"),
    decides(
        "parse/workload_entry.py",
        *below("spec.endpoints[]", "address", "labels.*", "ports.*", "serviceAccount", "network"),
    ),
    irrelevant(_WHICH, *below("spec.endpoints[]", *_ENTRY)),
    irrelevant(_IDENTITY, "spec.subjectAltNames[]"),
)

WORKLOAD_ENTRY = Table(
    decides("parse/workload_entry.py", "spec.address", "spec.labels.*", "spec.ports.*", "spec.serviceAccount"),
    decides("assemble.py", "spec.network"),
    irrelevant(_WHICH, *below("spec", *_ENTRY)),
)

_SERVER = "spec.servers[]"
_OF_TLS = (
    *(
        "caCertCredentialName",
        "caCertificates",
        "caCrl",
        "cipherSuites[]",
        "credentialName",
        "credentialNames[]",
        "httpsRedirect",
    ),
    *(
        "insecureSkipVerify",
        "maxProtocolVersion",
        "minProtocolVersion",
        "privateKey",
        "serverCertificate",
        "subjectAltNames[]",
    ),
    *("tlsCertificates[].**", "verifyCertificateHash[]", "verifyCertificateSpki[]"),
)

GATEWAY = Table(
    decides("server.py", "spec.selector.*", f"{_SERVER}.port.number"),
    decides("parse/gateway.py", f"{_SERVER}.port.protocol"),
    decides("server.py", f"{_SERVER}.tls.mode", values=_SERVER_MODES),
    irrelevant(_IDENTITY, *below(f"{_SERVER}.tls", *_OF_TLS)),
    irrelevant(
        "the weakest server of a port counts, whatever its hosts and its address",
        f"{_SERVER}.hosts[]",
        f"{_SERVER}.bind",
    ),
    irrelevant(
        "a name, or not used by istiod", *below(_SERVER, "name", "defaultEndpoint", "port.name", "port.targetPort")
    ),
)
