# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The registry of mTLS rules: what each code means, how bad it is, what to do about it, and which file of Istio it is read from.

A code is one member here, with its entry, and nothing else in the collection explains it: findings, advice, reports and docs/mtls.md
(`make generate`) take it from here. docs/architecture.md says how to add one.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Self


class Severity(StrEnum):
    """How bad a finding is, the worst first."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Rule:
    """One entry.

    `severity` is that of a finding about it; a broken call is always an error. Remedies are empty where there is none. They may name what
    decided on a call: `{destination_rule}`, `{a_destination_rule}` (where there may be none yet), `{peer_authentication}`.
    `remedy_if_broken` and `remedy_if_unknown` are for calls with that verdict; what is unknown has a finding of its own that says what to
    read, so most rules have no remedy for it. `source` is a file of istio/istio, empty for what Istio has no part in.

    `mistake`: a mistake in a policy, reported whatever the verdict. `of_service`: a rule of neither side of a call alone.
    `undemandable`: nothing can be demanded of such a call, and nobody is there to become STRICT. `only_in_the_way`: it explains a call only
    while its server would take mutual TLS. `fails_alone`: it fails a JUnit report although nothing is demanded.
    """

    code: str
    text: str
    severity: Severity
    remedy: str = ""
    remedy_if_broken: str = ""
    remedy_if_unknown: str = ""
    source: str = ""
    mistake: bool = False
    of_service: bool = False
    undemandable: bool = False
    only_in_the_way: bool = False
    fails_alone: bool = False


def remedy(template: str, destination_rule: str = "", peer_authentication: str = "") -> str:
    """A remedy of an entry with the objects (`namespace/name`) in it; without them it speaks of any."""
    named = f"DestinationRule {destination_rule}"
    policy = f"PeerAuthentication {peer_authentication}" if peer_authentication else "the PeerAuthentication"
    return template.format(
        destination_rule=named if destination_rule else "the DestinationRule",
        a_destination_rule=named if destination_rule else "a DestinationRule",
        peer_authentication=policy,
    )


class Code(StrEnum):
    """A code and its entry: a string, as results have it."""

    entry: Rule

    def __new__(cls, entry: Rule) -> Self:
        member = str.__new__(cls, entry.code)
        member._value_ = entry.code
        member.entry = entry
        return member


_INJECT = "pkg/kube/inject/inject.go"
_IPTABLES = "tools/istio-iptables/pkg/capture/run.go"
_CLUSTER_TLS = "pilot/pkg/networking/core/cluster_tls.go"
_PUSH_CONTEXT = "pilot/pkg/model/push_context.go"
_AUTHENTICATION = "pilot/pkg/model/authentication.go"
_POLICY_APPLIER = "pilot/pkg/security/authn/policy_applier.go"
_INBOUND = "pilot/pkg/networking/core/listener_inbound.go"
_ENDPOINTS = "pilot/pkg/xds/endpoints/endpoint_builder.go"
_SECRETS = "security/pkg/nodeagent/cache/secretcache.go"

_START = "Start the workload, or delete the service."
_DECLARE = "Declare the host once, or export the other object to other namespaces only."
_REDIRECTS = "Check what redirects the traffic of these pods to their sidecars: istio-init or istio-cni."


class RuleCode(Code):
    """Rules that explain a call: `rule` in results, `code` in findings."""

    AMBIENT_UNSET_NAMESPACE = Rule(
        "ambient_unset_namespace",
        "An UNSET namespace policy under a STRICT mesh drops a workload's converted port exceptions.",
        Severity.WARNING,
        remedy="Set mode STRICT in the namespace's PeerAuthentication.",
        source="pilot/pkg/serviceregistry/ambient/policies.go",
    )
    AUTO_MTLS_OFF = Rule(
        "auto_mtls_off",
        "enableAutoMtls is false: clients send plain text unless a DestinationRule sets TLS.",
        Severity.WARNING,
        remedy="Set enableAutoMtls in the MeshConfig, or set tls mode ISTIO_MUTUAL in {a_destination_rule}.",
        source=_CLUSTER_TLS,
    )
    CLIENT_NOT_CAPTURED = Rule(
        "client_not_captured",
        "The call leaves the client's pod without passing its sidecar.",
        Severity.WARNING,
        remedy=(
            "Remove the service's port or address from the client's traffic.sidecar.istio.io "
            "annotations, or from Istio's Helm values. Do not run its application as the proxy's user or "
            "group."
        ),
        remedy_if_unknown=_REDIRECTS,
        source=_IPTABLES,
    )
    DESTINATION_RULE_DISABLE = Rule(
        "destination_rule_disable",
        "A DestinationRule turns TLS off for its clients.",
        Severity.WARNING,
        remedy="Remove tls from {destination_rule}, or set its mode to ISTIO_MUTUAL.",
        source=_CLUSTER_TLS,
        only_in_the_way=True,
    )
    DESTINATION_RULE_WITHOUT_TLS = Rule(
        "destination_rule_without_tls",
        "A DestinationRule without tls hides one with tls of a further level. Nothing is inherited (istio#7590).",
        Severity.WARNING,
        remedy="Set tls mode ISTIO_MUTUAL in {destination_rule}, which is found first.",
        source=_PUSH_CONTEXT,
    )
    EXCLUDED_PORT = Rule(
        "excluded_port",
        "The port is excluded from what passes the sidecar. No policy applies there.",
        Severity.WARNING,
        remedy=(
            "Remove the port from traffic.sidecar.istio.io/excludeInboundPorts or Istio's Helm values, "
            "or add it to includeInboundPorts."
        ),
        source=_IPTABLES,
    )
    EXTERNAL = Rule(
        "external",
        "The host is outside of the mesh.",
        Severity.WARNING,
        source=_CLUSTER_TLS,
        of_service=True,
        undemandable=True,
    )
    GATEWAY = Rule(
        "gateway",
        "Gateways do not read PeerAuthentication. The servers of the Gateway object decide.",
        Severity.INFO,
        remedy="Set tls in the server of the Gateway, or list the service and port as an exception.",
        source="pilot/pkg/networking/core/gateway.go",
    )
    HEADLESS_MIXED = Rule(
        "headless_mixed",
        "A headless service with one endpoint without a sidecar gets plain text at all endpoints (istio#27376).",
        Severity.WARNING,
        remedy="Give every endpoint of the headless service a sidecar, or take those without one out of it.",
        source=_PUSH_CONTEXT,
    )
    HOST_NETWORK = Rule(
        "host_network",
        "Pods with hostNetwork have no sidecar.",
        Severity.INFO,
        remedy="Run the pods without hostNetwork, or list the service as an exception.",
        source=_INJECT,
    )
    ISTIO_MUTUAL_WITHOUT_SIDECAR = Rule(
        "istio_mutual_without_sidecar",
        "ISTIO_MUTUAL in a DestinationRule applies to endpoints without a sidecar too, and calls to them fail.",
        Severity.WARNING,
        remedy="Remove ISTIO_MUTUAL from {destination_rule}, or limit it to endpoints with a sidecar.",
        source=_CLUSTER_TLS,
    )
    MIXED_BACKENDS = Rule(
        "mixed_backends",
        "The backends of the service accept different things.",
        Severity.WARNING,
        remedy="Give all backends of the service the same: a sidecar, and one PeerAuthentication.",
        source="pilot/pkg/xds/endpoints/mtls_checker.go",
        of_service=True,
    )
    NAMESPACE_DISABLE = Rule(
        "namespace_disable",
        "Clients read namespace and mesh policies only: DISABLE there makes them send plain text to a STRICT workload (istio#56084).",
        Severity.WARNING,
        remedy=(
            "Give the namespace or the mesh a mode other than DISABLE, or set tls mode ISTIO_MUTUAL in "
            "{a_destination_rule}."
        ),
        source=_PUSH_CONTEXT,
        only_in_the_way=True,
    )
    NO_ENDPOINTS = Rule(
        "no_endpoints",
        "The service has no endpoints.",
        Severity.INFO,
        remedy=_START,
        remedy_if_unknown=_START,
        source=_ENDPOINTS,
        undemandable=True,
    )
    NO_SIDECAR = Rule(
        "no_sidecar",
        "The pods have no sidecar.",
        Severity.INFO,
        remedy=(
            "Label the namespace for injection and restart the pods, or list the service as an "
            "exception. Leave pods of the cluster and of Istio without a sidecar."
        ),
        source=_INJECT,
    )
    NOT_CAPTURED = Rule(
        "not_captured",
        "Inbound traffic does not pass the sidecar (interceptionMode NONE), or it is not known whether it does.",
        Severity.WARNING,
        remedy="Use interceptionMode REDIRECT or TPROXY.",
        remedy_if_unknown=_REDIRECTS,
        source=_INBOUND,
    )
    NOT_VISIBLE = Rule(
        "not_visible",
        "The client's proxy does not know the service.",
        Severity.WARNING,
        remedy=(
            "Add the service to the egress hosts of the client's Sidecar object, or export it, or let "
            "discoverySelectors select its namespace."
        ),
        source="pilot/pkg/model/sidecar.go",
    )
    OLDEST_WINS = Rule(
        "oldest_wins",
        "Of two policies of the same scope the older one applies. The younger one is ignored as a whole.",
        Severity.WARNING,
        remedy="Delete one of the two policies. The older one applies.",
        source=_AUTHENTICATION,
        mistake=True,
    )
    OWN_PORT = Rule(
        "own_port",
        "Ports 15020, 15021 and 15090 are Istio's own: health and metrics of the proxy, in plain text. No policy applies there.",
        Severity.INFO,
        remedy="Nothing encrypts this port. List the service and port as an exception.",
        remedy_if_broken=(
            "Nothing encrypts this port. For callers with a sidecar, add a DestinationRule that sets tls "
            "mode DISABLE for it."
        ),
        source=_IPTABLES,
    )
    PORT_EXCEPTION = Rule(
        "port_exception",
        "portLevelMtls makes an exception for this port.",
        Severity.WARNING,
        remedy=(
            "Remove the port from portLevelMtls of {peer_authentication}, or list the service and port as an exception."
        ),
        source=_POLICY_APPLIER,
    )
    PORT_LEVEL_TLS_NOT_INHERITED = Rule(
        "port_level_tls_not_inherited",
        "portLevelSettings of a DestinationRule replace the whole block, tls too (istio#12144).",
        Severity.WARNING,
        remedy="Set tls mode ISTIO_MUTUAL in portLevelSettings of {destination_rule}.",
        source="pilot/pkg/networking/util/util.go",
    )
    ROOT_NAMESPACE_SELECTOR = Rule(
        "root_namespace_selector",
        "A PeerAuthentication with a selector in the root namespace is ignored.",
        Severity.WARNING,
        remedy="Move the policy into the workload's namespace.",
        source=_AUTHENTICATION,
        mistake=True,
    )
    ROUTED_ELSEWHERE = Rule(
        "routed_elsewhere",
        "A VirtualService sends the call, or a copy of it, to another service or port.",
        Severity.WARNING,
        remedy=("Change the destinations and mirrors of the VirtualService, or make what they name accept mutual TLS."),
        source="pilot/pkg/networking/core/route/route.go",
    )
    SAME_HOST = Rule(
        "same_host",
        "A Service and a ServiceEntry, or two ServiceEntries, declare the same host. istiod merges them in part.",
        Severity.WARNING,
        remedy=_DECLARE,
        remedy_if_unknown=_DECLARE,
        source="pilot/pkg/model/sidecar.go",
    )
    SERVICE_PORT_IN_PORT_LEVEL_MTLS = Rule(
        "service_port_in_port_level_mtls",
        "portLevelMtls names the service's port. Its keys are container ports (istio#49098).",
        Severity.WARNING,
        remedy="Name the container's port in portLevelMtls, not the service's.",
        source=_POLICY_APPLIER,
        mistake=True,
    )
    TLS_MODE_LABEL = Rule(
        "tls_mode_label",
        "The label security.istio.io/tlsMode does not match what the pod has.",
        Severity.WARNING,
        remedy="Remove the label security.istio.io/tlsMode. The injector sets it.",
        source=_ENDPOINTS,
        only_in_the_way=True,
    )
    TLS_ORIGINATION = Rule(
        "tls_origination",
        "A DestinationRule sets up TLS with certificates of its own.",
        Severity.WARNING,
        remedy=(
            "Remove tls from {destination_rule}, or set its mode to ISTIO_MUTUAL, if the server is one of the mesh."
        ),
        source=_CLUSTER_TLS,
    )
    UDP = Rule(
        "udp",
        "UDP and SCTP do not pass the mesh.",
        Severity.WARNING,
        remedy="List the service and port as an exception.",
        source=_IPTABLES,
        of_service=True,
    )


class CheckCode(Code):
    """Findings of reading, comparing and proving: they are not about one call, or compare a call with what was seen or demanded."""

    CERTIFICATE_EXPIRY = Rule(
        "certificate_expiry",
        "A certificate expires soon and was not renewed.",
        Severity.ERROR,
        remedy="Check the logs of istiod and of the pod's proxy.",
        source=_SECRETS,
        fails_alone=True,
    )
    CERTIFICATE_IDENTITY = Rule(
        "certificate_identity",
        "A proxy has a certificate of another identity than its pod's.",
        Severity.ERROR,
        remedy="Restart the pod, and check the trust domain.",
        source="pkg/spiffe/spiffe.go",
        fails_alone=True,
    )
    CERTIFICATE_ROOT = Rule(
        "certificate_root",
        "Not all proxies trust the same roots.",
        Severity.WARNING,
        remedy="Complete the rotation of the root certificate.",
        source=_SECRETS,
    )
    EXCEPTION_UNUSED = Rule(
        "exception_unused",
        "An exception matches no call and no workload of the mesh.",
        Severity.WARNING,
        remedy="Correct its names, or remove it.",
    )
    INCOMPLETE = Rule(
        "incomplete",
        "A kind could not be read, and whatever depends on it is unknown.",
        Severity.ERROR,
        fails_alone=True,
    )
    MESH_CONFIG = Rule(
        "mesh_config",
        "The MeshConfig could not be read, so the root namespace and auto mTLS are unknown.",
        Severity.ERROR,
        remedy="Set istio_namespace to the namespace of istiod.",
        source="pkg/config/mesh/mesh.go",
        fails_alone=True,
    )
    METRICS = Rule(
        "metrics",
        "Prometheus gave nothing to compare with the verdicts.",
        Severity.WARNING,
    )
    NOT_COMPLIANT = Rule(
        "not_compliant",
        "A call or a workload does not meet the demanded level.",
        Severity.ERROR,
    )
    OVERLAY_NO_EFFECT = Rule(
        "overlay_no_effect",
        "An object of the overlay is of a kind that does not decide on mutual TLS.",
        Severity.INFO,
    )
    OVERLAY_UNKNOWN = Rule(
        "overlay_unknown",
        "What an object of the overlay changes is not known, so the comparison is inconclusive.",
        Severity.ERROR,
        remedy="Judge the object on its own, and leave it out of the overlay.",
    )
    TERMINATING = Rule(
        "terminating",
        "The namespace is being deleted.",
        Severity.INFO,
    )
    UNPROVED = Rule(
        "unproved",
        "A proof was asked for and could not be made.",
        Severity.WARNING,
    )
    VIOLATED = Rule(
        "violated",
        "What was seen contradicts the verdict.",
        Severity.ERROR,
    )
