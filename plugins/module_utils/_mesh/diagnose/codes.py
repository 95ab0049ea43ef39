# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The registry of what a diagnosis finds: what each code means, how bad it is, what to do about it, and where the rule is from.

A code is one member here, with its entry, and nothing else in the collection explains it: findings, reports and docs/diagnose.md
(`make generate`) take it from here. Findings of `istioctl analyze` have Istio's own codes (IST0101, …).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.rules import Severity


class Section(StrEnum):
    """The parts of a diagnosis, in the order of the report. Each is asked for by its name."""

    PROXIES = "proxies"
    CONFIG = "config"
    PODS = "pods"
    CERTIFICATES = "certificates"
    EVENTS = "events"
    CALLS = "calls"
    ISTIOCTL = "istioctl"


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry. `source` is a file of istio/istio, envoyproxy/envoy or kubernetes/kubernetes; `like` is the code of Istio's analyzer
    or of Kiali's validation that finds the same, empty where there is none.
    """

    code: str
    section: Section
    text: str
    severity: Severity
    remedy: str
    source: str = ""
    like: str = ""


class DiagnosisCode(StrEnum):
    """A code and its entry: a string, as results have it."""

    entry: Entry

    def __new__(cls, entry: Entry) -> Self:
        member = str.__new__(cls, entry.code)
        member._value_ = entry.code
        member.entry = entry
        return member

    # What was not read: its section is that of the finding.
    NOT_READ = Entry(
        "not_read",
        Section.PROXIES,
        "Something that was asked for could not be read or not be understood, and whatever depends on it is unknown.",
        Severity.ERROR,
        "Grant the right or fix what is named, or leave its section out.",
    )

    # proxies
    PROXY_REJECTED = Entry(
        "proxy_rejected",
        Section.PROXIES,
        "Envoy refused a configuration that istiod sent (NACK), and goes on with its last good one.",
        Severity.ERROR,
        "Read the message, and correct the object that it is made of, often an EnvoyFilter, a Gateway or a DestinationRule.",
        "pkg/xds/server.go",
        "proxy-status: ERROR",
    )
    PROXY_STALE = Entry(
        "proxy_stale",
        Section.PROXIES,
        "A proxy has not acknowledged what istiod sent last, so it may run an older configuration.",
        Severity.ERROR,
        "Look at the processor time and the log of the proxy; restart the pod if its proxy does not answer.",
        "pilot/pkg/xds/statusgen.go",
        "proxy-status: STALE",
    )
    PROXY_NOT_SENT = Entry(
        "proxy_not_sent",
        Section.PROXIES,
        "istiod has not sent a proxy its clusters or listeners.",
        Severity.ERROR,
        "Look at the log of istiod for the proxy's name.",
        "pilot/pkg/xds/statusgen.go",
        "proxy-status: NOT SENT",
    )
    PROXY_NOT_CONNECTED = Entry(
        "proxy_not_connected",
        Section.PROXIES,
        "A running pod has a proxy that is connected to no istiod: it gets no changes, and its certificate ends.",
        Severity.ERROR,
        "Look at the log of its container istio-proxy for the connection to istiod.",
        "pilot/pkg/xds/debug.go",
    )
    PROXY_NEWER = Entry(
        "proxy_newer",
        Section.PROXIES,
        "A proxy is of a newer minor version than its istiod.",
        Severity.WARNING,
        "Upgrade istiod before the proxies.",
    )
    PROXY_OLD = Entry(
        "proxy_old",
        Section.PROXIES,
        "A proxy is of an older minor version than its istiod.",
        Severity.WARNING,
        "Restart its workload, so that the injector gives it the current proxy.",
        like="IST0158",
    )
    NO_ISTIOD = Entry(
        "no_istiod",
        Section.PROXIES,
        "No pod of istiod runs in the namespace of Istio.",
        Severity.ERROR,
        "Start istiod, or set istio_namespace to its namespace.",
    )
    CONFIG_DIFFERS = Entry(
        "config_differs",
        Section.PROXIES,
        "What Envoy runs differs from what istiod would send now.",
        Severity.ERROR,
        "Look at the state of the proxy; what is synced and differs for longer is to be reported to Istio.",
        "istioctl/pkg/writer/compare",
        "proxy-status POD",
    )

    # config
    GATEWAY_MISSING = Entry(
        "gateway_missing",
        Section.CONFIG,
        "A VirtualService names a Gateway that does not exist.",
        Severity.ERROR,
        "Correct the name (namespace/name; without a namespace it is that of the VirtualService), or create the Gateway.",
        "pkg/config/analysis/analyzers/virtualservice/gateways.go",
        "IST0101, KIA1102",
    )
    HOST_MISSING = Entry(
        "host_missing",
        Section.CONFIG,
        "A route leads to a host that is no Service and no ServiceEntry.",
        Severity.ERROR,
        "Correct the host, or create the Service or ServiceEntry.",
        "pkg/config/analysis/analyzers/virtualservice/destinationhosts.go",
        "IST0101, KIA1101",
    )
    PORT_MISSING = Entry(
        "port_missing",
        Section.CONFIG,
        "A route leads to a port that its Service does not have.",
        Severity.ERROR,
        "Name a port of the Service in the route's destination.",
        "pkg/config/analysis/analyzers/virtualservice/destinationhosts.go",
    )
    SUBSET_MISSING = Entry(
        "subset_missing",
        Section.CONFIG,
        "A route leads to a subset that no DestinationRule of its host defines.",
        Severity.ERROR,
        "Define the subset in the DestinationRule of the host, or correct its name.",
        "pkg/config/analysis/analyzers/virtualservice/destinationrules.go",
        "IST0101, KIA1107",
    )
    DELEGATE_MISSING = Entry(
        "delegate_missing",
        Section.CONFIG,
        "A VirtualService delegates to one that does not exist.",
        Severity.ERROR,
        "Correct the delegate's name and namespace, or create it.",
        "pilot/pkg/model/virtualservice.go",
    )
    SAME_HOST = Entry(
        "same_host",
        Section.CONFIG,
        "Several VirtualServices of the mesh are for the same host: only one of them applies.",
        Severity.ERROR,
        "Make one VirtualService of them, or export each to other namespaces.",
        "pkg/config/analysis/analyzers/virtualservice/conflictingmeshgatewayhosts.go",
        "IST0109, KIA1106",
    )
    RULE_HOST_MISSING = Entry(
        "rule_host_missing",
        Section.CONFIG,
        "A DestinationRule is for a host that is no Service and no ServiceEntry.",
        Severity.WARNING,
        "Correct the host, or delete the DestinationRule.",
        "pkg/config/analysis/analyzers/destinationrule/subset.go",
        "IST0174, KIA0202",
    )
    SUBSET_WITHOUT_PODS = Entry(
        "subset_without_pods",
        Section.CONFIG,
        "Routes send calls to a subset that has no pod: they fail with 503.",
        Severity.ERROR,
        "Start pods with the subset's labels, or give its routes weight 0.",
        "pkg/config/analysis/analyzers/destinationrule/subset.go",
        "IST0173, KIA0203",
    )
    SUBSET_IDLE = Entry(
        "subset_idle",
        Section.CONFIG,
        "A subset has no pod, and no route sends calls there: as between two canaries.",
        Severity.INFO,
        "",
        "pkg/config/analysis/analyzers/destinationrule/subset.go",
        "IST0173, KIA0203",
    )
    GATEWAY_WITHOUT_PODS = Entry(
        "gateway_without_pods",
        Section.CONFIG,
        "The selector of a Gateway matches no pod: nobody listens for it.",
        Severity.ERROR,
        "Correct the selector, or start the gateway.",
        "pkg/config/analysis/analyzers/gateway/gateway.go",
        "IST0101, KIA0302",
    )
    POLICY_WITHOUT_PODS = Entry(
        "policy_without_pods",
        Section.CONFIG,
        "The selector of a policy matches no pod, so the policy changes nothing.",
        Severity.WARNING,
        "Correct the labels of the selector, or delete the policy.",
        "pkg/config/analysis/analyzers/authz/authorizationpolicies.go",
        "IST0127, KIA0004",
    )
    PRINCIPAL_MISSING = Entry(
        "principal_missing",
        Section.CONFIG,
        "An AuthorizationPolicy names a ServiceAccount that does not exist, so nobody has this identity.",
        Severity.WARNING,
        "Correct the namespace or the name of the ServiceAccount, or remove it from the policy.",
        "pilot/pkg/security/authz/model/generator.go",
        "KIA0106",
    )
    SERVICE_WITHOUT_ENDPOINTS = Entry(
        "service_without_endpoints",
        Section.CONFIG,
        "A Service with a selector has no ready endpoint: calls fail with 503.",
        Severity.WARNING,
        "Look at the pods of the Service, or correct its selector.",
        "pilot/pkg/serviceregistry/kube/controller/endpointslice.go",
    )

    # pods
    POD_PENDING = Entry(
        "pod_pending",
        Section.PODS,
        "A pod does not start.",
        Severity.ERROR,
        "Do what the reason says: free or add resources, correct the image, the volume or the Secret.",
        "pkg/kubelet/kuberuntime",
    )
    CRASH_LOOP = Entry(
        "crash_loop",
        Section.PODS,
        "A container ends again and again.",
        Severity.ERROR,
        "Read the log of its last run: kubectl logs --previous.",
        "pkg/kubelet/kuberuntime",
    )
    OOM_KILLED = Entry(
        "oom_killed",
        Section.PODS,
        "A container was ended for lack of memory within the window.",
        Severity.ERROR,
        "Raise its memory limit, or make it use less.",
        "pkg/kubelet/kuberuntime",
    )
    RESTARTED = Entry(
        "restarted",
        Section.PODS,
        "A container was restarted within the window.",
        Severity.WARNING,
        "Read the log of its last run: kubectl logs --previous.",
    )
    POD_FAILED = Entry(
        "pod_failed",
        Section.PODS,
        "A pod has failed and is not replaced in its place, for example because it was evicted.",
        Severity.WARNING,
        "Read its status, then delete it.",
    )
    NOT_READY = Entry(
        "not_ready",
        Section.PODS,
        "A pod runs and is not ready: Services send it no calls.",
        Severity.WARNING,
        "Look at its readiness probe and its log.",
    )
    PROXY_MISSING = Entry(
        "proxy_missing",
        Section.PODS,
        "A pod has no proxy, though its namespace is labelled for injection.",
        Severity.WARNING,
        'Restart the workload, or exclude it with the label sidecar.istio.io/inject: "false".',
        "pkg/config/analysis/analyzers/injection/injection.go",
        "IST0103",
    )

    # certificates
    CERTIFICATE_EXPIRED = Entry(
        "certificate_expired",
        Section.CERTIFICATES,
        "A certificate has expired.",
        Severity.ERROR,
        "Renew it. That of a workload is renewed by its proxy: look at the logs of the proxy and of istiod.",
    )
    CERTIFICATE_NOT_RENEWED = Entry(
        "certificate_not_renewed",
        Section.CERTIFICATES,
        "The certificate of a workload has less than a tenth of its lifetime left; its proxy renews at half.",
        Severity.ERROR,
        "Look at the logs of the pod's proxy and of istiod.",
        "security/pkg/nodeagent/cache/secretcache.go",
    )
    CERTIFICATE_EXPIRES = Entry(
        "certificate_expires",
        Section.CERTIFICATES,
        "A root or serving certificate expires within the given days.",
        Severity.WARNING,
        "Renew it, the root of the mesh by a rotation.",
    )

    SECRET_MISSING = Entry(
        "secret_missing",
        Section.CERTIFICATES,
        "An Ingress names a Secret for TLS that does not exist: its controller serves a certificate of its own.",
        Severity.ERROR,
        "Create the Secret, or correct its name in the Ingress.",
    )

    # events
    WARNING_EVENTS = Entry(
        "warning_events",
        Section.EVENTS,
        "Kubernetes reported warnings within the window.",
        Severity.INFO,
        "",
    )

    # calls
    CALLS_FAIL = Entry(
        "calls_fail",
        Section.CALLS,
        "More than the given share of the calls from one workload to one service failed within the window.",
        Severity.WARNING,
        "Look at the log of the callee, and at the response flags in the access log of the caller's proxy.",
    )
    NO_CALLS = Entry(
        "no_calls",
        Section.CALLS,
        "Prometheus has no call of the mesh within the window, so nothing is known of failing calls.",
        Severity.INFO,
        "Make calls, or check that Prometheus reads the metrics of the proxies.",
    )
