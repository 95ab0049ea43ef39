# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The registry of mTLS rules: what each code means, how bad it is, what to do about it, and which file of Istio it is read from.

A `RuleCode` explains a call (`rule` in results, `code` in findings). A `CheckCode` is the code of a finding that is not about one call, or
that compares a call with what was seen or demanded. Nothing else in the collection explains a code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How bad a finding is."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


class RuleCode(StrEnum):
    """Rules that explain a call."""

    AMBIENT_UNSET_NAMESPACE = "ambient_unset_namespace"
    AUTO_MTLS_OFF = "auto_mtls_off"
    CLIENT_NOT_CAPTURED = "client_not_captured"
    DESTINATION_RULE_DISABLE = "destination_rule_disable"
    DESTINATION_RULE_WITHOUT_TLS = "destination_rule_without_tls"
    EXCLUDED_PORT = "excluded_port"
    EXTERNAL = "external"
    GATEWAY = "gateway"
    HEADLESS_MIXED = "headless_mixed"
    HOST_NETWORK = "host_network"
    ISTIO_MUTUAL_WITHOUT_SIDECAR = "istio_mutual_without_sidecar"
    MIXED_BACKENDS = "mixed_backends"
    NAMESPACE_DISABLE = "namespace_disable"
    NO_ENDPOINTS = "no_endpoints"
    NO_SIDECAR = "no_sidecar"
    NOT_CAPTURED = "not_captured"
    NOT_VISIBLE = "not_visible"
    OLDEST_WINS = "oldest_wins"
    OWN_PORT = "own_port"
    PORT_EXCEPTION = "port_exception"
    PORT_LEVEL_TLS_NOT_INHERITED = "port_level_tls_not_inherited"
    ROUTED_ELSEWHERE = "routed_elsewhere"
    ROOT_NAMESPACE_SELECTOR = "root_namespace_selector"
    SAME_HOST = "same_host"
    SERVICE_PORT_IN_PORT_LEVEL_MTLS = "service_port_in_port_level_mtls"
    TLS_MODE_LABEL = "tls_mode_label"
    TLS_ORIGINATION = "tls_origination"
    UDP = "udp"


class CheckCode(StrEnum):
    """Findings of reading, comparing and proving."""

    CERTIFICATE_EXPIRY = "certificate_expiry"
    CERTIFICATE_IDENTITY = "certificate_identity"
    CERTIFICATE_ROOT = "certificate_root"
    EXCEPTION_UNUSED = "exception_unused"
    INCOMPLETE = "incomplete"
    MESH_CONFIG = "mesh_config"
    METRICS = "metrics"
    NOT_COMPLIANT = "not_compliant"
    OVERLAY_NO_EFFECT = "overlay_no_effect"
    OVERLAY_UNKNOWN = "overlay_unknown"
    TERMINATING = "terminating"
    UNPROVED = "unproved"
    VIOLATED = "violated"


@dataclass(frozen=True, slots=True)
class Rule:
    """One entry. `severity` is that of a finding about it; a broken call is always an error. `remedy` is empty where there is none.

    `source` is a file of istio/istio, empty for what Istio has no part in.
    """

    code: RuleCode | CheckCode
    text: str
    severity: Severity
    remedy: str
    source: str


_INJECT = "pkg/kube/inject/inject.go"
_IPTABLES = "tools/istio-iptables/pkg/capture/run.go"
_CLUSTER_TLS = "pilot/pkg/networking/core/cluster_tls.go"
_PUSH_CONTEXT = "pilot/pkg/model/push_context.go"
_AUTHENTICATION = "pilot/pkg/model/authentication.go"
_POLICY_APPLIER = "pilot/pkg/security/authn/policy_applier.go"
_INBOUND = "pilot/pkg/networking/core/listener_inbound.go"
_ENDPOINTS = "pilot/pkg/xds/endpoints/endpoint_builder.go"
_SECRETS = "security/pkg/nodeagent/cache/secretcache.go"

_ENTRIES = (
    Rule(
        RuleCode.AMBIENT_UNSET_NAMESPACE,
        "An UNSET namespace policy under a STRICT mesh drops a workload's converted port exceptions.",
        Severity.WARNING,
        "Set mode STRICT in the namespace's PeerAuthentication.",
        "pilot/pkg/serviceregistry/ambient/policies.go",
    ),
    Rule(
        RuleCode.AUTO_MTLS_OFF,
        "enableAutoMtls is false: clients send plain text unless a DestinationRule sets TLS.",
        Severity.WARNING,
        "Set enableAutoMtls in the MeshConfig, or give the DestinationRule tls mode ISTIO_MUTUAL.",
        _CLUSTER_TLS,
    ),
    Rule(
        RuleCode.CLIENT_NOT_CAPTURED,
        "The call leaves the client's pod without passing its sidecar.",
        Severity.WARNING,
        "Remove the service's port or address from the client's traffic.sidecar.istio.io annotations, or from Istio's Helm values. "
        "Do not run its application as the proxy's user or group.",
        _IPTABLES,
    ),
    Rule(
        RuleCode.DESTINATION_RULE_DISABLE,
        "A DestinationRule turns TLS off for its clients.",
        Severity.WARNING,
        "Remove tls from the DestinationRule, or set its mode to ISTIO_MUTUAL.",
        _CLUSTER_TLS,
    ),
    Rule(
        RuleCode.DESTINATION_RULE_WITHOUT_TLS,
        "A DestinationRule without tls hides one with tls of a further level. Nothing is inherited (istio#7590).",
        Severity.WARNING,
        "Set tls in the DestinationRule that is found first.",
        _PUSH_CONTEXT,
    ),
    Rule(
        RuleCode.EXCLUDED_PORT,
        "The port is excluded from what passes the sidecar. No policy applies there.",
        Severity.WARNING,
        "Remove the port from traffic.sidecar.istio.io/excludeInboundPorts or Istio's Helm values, or add it to includeInboundPorts.",
        _IPTABLES,
    ),
    Rule(RuleCode.EXTERNAL, "The host is outside of the mesh.", Severity.WARNING, "", _CLUSTER_TLS),
    Rule(
        RuleCode.GATEWAY,
        "Gateways do not read PeerAuthentication. The servers of the Gateway object decide.",
        Severity.INFO,
        "Set tls in the server of the Gateway, or list the service and port as an exception.",
        "pilot/pkg/networking/core/gateway.go",
    ),
    Rule(
        RuleCode.HEADLESS_MIXED,
        "A headless service with one endpoint without a sidecar gets plain text at all endpoints (istio#27376).",
        Severity.WARNING,
        "Give every endpoint of the headless service a sidecar, or take those without one out of it.",
        _PUSH_CONTEXT,
    ),
    Rule(
        RuleCode.HOST_NETWORK,
        "Pods with hostNetwork have no sidecar.",
        Severity.INFO,
        "Run the pods without hostNetwork, or list the service as an exception.",
        _INJECT,
    ),
    Rule(
        RuleCode.ISTIO_MUTUAL_WITHOUT_SIDECAR,
        "ISTIO_MUTUAL in a DestinationRule applies to endpoints without a sidecar too, and calls to them fail.",
        Severity.WARNING,
        "Remove ISTIO_MUTUAL from the DestinationRule, or limit it to endpoints with a sidecar.",
        _CLUSTER_TLS,
    ),
    Rule(
        RuleCode.MIXED_BACKENDS,
        "The backends of the service accept different things.",
        Severity.WARNING,
        "Give all backends of the service the same: a sidecar, and one PeerAuthentication.",
        "pilot/pkg/xds/endpoints/mtls_checker.go",
    ),
    Rule(
        RuleCode.NAMESPACE_DISABLE,
        "Clients read namespace and mesh policies only: DISABLE there makes them send plain text to a STRICT workload (istio#56084).",
        Severity.WARNING,
        "Give the namespace or the mesh a mode other than DISABLE, or add a DestinationRule with ISTIO_MUTUAL.",
        _PUSH_CONTEXT,
    ),
    Rule(
        RuleCode.NO_ENDPOINTS,
        "The service has no endpoints.",
        Severity.INFO,
        "Start the workload, or delete the service.",
        _ENDPOINTS,
    ),
    Rule(
        RuleCode.NO_SIDECAR,
        "The pods have no sidecar.",
        Severity.INFO,
        "Label the namespace for injection and restart the pods, or list the service as an exception. Leave pods of the cluster and of "
        "Istio without a sidecar.",
        _INJECT,
    ),
    Rule(
        RuleCode.NOT_CAPTURED,
        "Inbound traffic does not pass the sidecar (interceptionMode NONE), or it is not known whether it does.",
        Severity.WARNING,
        "Use interceptionMode REDIRECT or TPROXY.",
        _INBOUND,
    ),
    Rule(
        RuleCode.NOT_VISIBLE,
        "The client's proxy does not know the service.",
        Severity.WARNING,
        "Add the service to the egress hosts of the client's Sidecar object, or export it, or let discoverySelectors select its namespace.",
        "pilot/pkg/model/sidecar.go",
    ),
    Rule(
        RuleCode.OLDEST_WINS,
        "Of two policies of the same scope the older one applies. The younger one is ignored as a whole.",
        Severity.WARNING,
        "Delete one of the two policies. The older one applies.",
        _AUTHENTICATION,
    ),
    Rule(
        RuleCode.OWN_PORT,
        "Ports 15020, 15021 and 15090 are Istio's own: health and metrics of the proxy, in plain text. No policy applies there.",
        Severity.INFO,
        "Nothing encrypts this port. List the service and port as an exception.",
        _IPTABLES,
    ),
    Rule(
        RuleCode.PORT_EXCEPTION,
        "portLevelMtls makes an exception for this port.",
        Severity.WARNING,
        "Remove the port from portLevelMtls, or list it as an exception.",
        _POLICY_APPLIER,
    ),
    Rule(
        RuleCode.PORT_LEVEL_TLS_NOT_INHERITED,
        "portLevelSettings of a DestinationRule replace the whole block, tls too (istio#12144).",
        Severity.WARNING,
        "Set tls in portLevelSettings of the DestinationRule.",
        "pilot/pkg/networking/util/util.go",
    ),
    Rule(
        RuleCode.ROOT_NAMESPACE_SELECTOR,
        "A PeerAuthentication with a selector in the root namespace is ignored.",
        Severity.WARNING,
        "Move the policy into the workload's namespace.",
        _AUTHENTICATION,
    ),
    Rule(
        RuleCode.ROUTED_ELSEWHERE,
        "A VirtualService sends the call, or a copy of it, to another service or port.",
        Severity.WARNING,
        "Change the destinations and mirrors of the VirtualService, or make what they name accept mutual TLS.",
        "pilot/pkg/networking/core/route/route.go",
    ),
    Rule(
        RuleCode.SAME_HOST,
        "A Service and a ServiceEntry, or two ServiceEntries, declare the same host. istiod merges them in part.",
        Severity.WARNING,
        "Declare the host once, or export the other object to other namespaces only.",
        "pilot/pkg/model/sidecar.go",
    ),
    Rule(
        RuleCode.SERVICE_PORT_IN_PORT_LEVEL_MTLS,
        "portLevelMtls names the service's port. Its keys are container ports (istio#49098).",
        Severity.WARNING,
        "Name the container's port in portLevelMtls, not the service's.",
        _POLICY_APPLIER,
    ),
    Rule(
        RuleCode.TLS_MODE_LABEL,
        "The label security.istio.io/tlsMode does not match what the pod has.",
        Severity.WARNING,
        "Remove the label security.istio.io/tlsMode. The injector sets it.",
        _ENDPOINTS,
    ),
    Rule(
        RuleCode.TLS_ORIGINATION,
        "A DestinationRule sets up TLS with certificates of its own.",
        Severity.WARNING,
        "Use ISTIO_MUTUAL for services of the mesh.",
        _CLUSTER_TLS,
    ),
    Rule(
        RuleCode.UDP,
        "UDP and SCTP do not pass the mesh.",
        Severity.WARNING,
        "List the service and port as an exception.",
        _IPTABLES,
    ),
    Rule(
        CheckCode.CERTIFICATE_EXPIRY,
        "A certificate expires soon and was not renewed.",
        Severity.ERROR,
        "Check the logs of istiod and of the pod's proxy.",
        _SECRETS,
    ),
    Rule(
        CheckCode.CERTIFICATE_IDENTITY,
        "A proxy has a certificate of another identity than its pod's.",
        Severity.ERROR,
        "Restart the pod, and check the trust domain.",
        "pkg/spiffe/spiffe.go",
    ),
    Rule(
        CheckCode.CERTIFICATE_ROOT,
        "Not all proxies trust the same roots.",
        Severity.WARNING,
        "Complete the rotation of the root certificate.",
        _SECRETS,
    ),
    Rule(
        CheckCode.EXCEPTION_UNUSED,
        "An exception matches no call and no workload of the mesh.",
        Severity.WARNING,
        "Correct its names, or remove it.",
        "",
    ),
    Rule(
        CheckCode.INCOMPLETE, "A kind could not be read, and whatever depends on it is unknown.", Severity.ERROR, "", ""
    ),
    Rule(
        CheckCode.MESH_CONFIG,
        "The MeshConfig could not be read, so the root namespace and auto mTLS are unknown.",
        Severity.ERROR,
        "Set istio_namespace to the namespace of istiod.",
        "pkg/config/mesh/mesh.go",
    ),
    Rule(CheckCode.METRICS, "Prometheus gave nothing to compare with the verdicts.", Severity.WARNING, "", ""),
    Rule(CheckCode.NOT_COMPLIANT, "A call or a workload does not meet the demanded level.", Severity.ERROR, "", ""),
    Rule(
        CheckCode.OVERLAY_NO_EFFECT,
        "An object of the overlay is of a kind that does not decide on mutual TLS.",
        Severity.INFO,
        "",
        "",
    ),
    Rule(
        CheckCode.OVERLAY_UNKNOWN,
        "What an object of the overlay changes is not known, so the comparison is inconclusive.",
        Severity.ERROR,
        "Judge the object on its own, and leave it out of the overlay.",
        "",
    ),
    Rule(CheckCode.TERMINATING, "The namespace is being deleted.", Severity.INFO, "", ""),
    Rule(CheckCode.UNPROVED, "A proof was asked for and could not be made.", Severity.WARNING, "", ""),
    Rule(CheckCode.VIOLATED, "What was seen contradicts the verdict.", Severity.ERROR, "", ""),
)
RULES: Mapping[RuleCode | CheckCode, Rule] = {rule.code: rule for rule in _ENTRIES}
