# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fields of the MeshConfig (istio.io/api mesh/v1alpha1), with defaultConfig, and the variables of istiod (pilot/pkg/features). Pure."""

from __future__ import annotations

from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.fields.table import (
    Table,
    below,
    decides,
    irrelevant,
    unsupported,
)

_LOGS = "logs, traces and metrics change no TLS"
_LIMITS = "limits, timeouts and the version of HTTP change no TLS"
_CERTIFICATES = (
    "it says which certificates are shown and accepted; a wrong one ends a call, and none becomes plain text by it"
)
_WHICH = "it chooses among the endpoints; the worst of all of them counts"
_PROXY = "how the proxy itself runs; which traffic it takes, and which TLS it uses, is the same"

OUTBOUND = ("ALLOW_ANY", "REGISTRY_ONLY")
NOT_COMPUTED = ("ALLOW_ANY_DYNAMIC_DNS",)  # further modes that istiod takes
INTERCEPTION = ("REDIRECT", "TPROXY", "NONE")
# Files that the proxy shows in place of the mesh's certificates (pilot/pkg/security/authn/utils/utils.go).
_OWN_FILES = tuple(
    f"proxyMetadata.ISTIO_META_TLS_{side}_{name}"
    for side in ("CLIENT", "SERVER")
    for name in ("CERT_CHAIN", "KEY", "ROOT_CERT")
)

PROXY_CONFIG = (
    decides("parse/mesh_config.py", "defaultConfig.interceptionMode", values=INTERCEPTION),
    unsupported("the proxy has certificates of its own in place of the mesh's", *below("defaultConfig", *_OWN_FILES)),
    unsupported(
        "the proxy does not run what istiod sends",
        *below("defaultConfig", "customConfigFile", "proxyBootstrapTemplatePath"),
    ),
    irrelevant(
        _LOGS,
        *below(
            "defaultConfig",
            *("envoyAccessLogService.**", "envoyMetricsService.**", "envoyMetricsServiceAddress", "extraStatTags[]"),
            *("fileFlushInterval", "fileFlushMinSizeKb", "proxyStatsMatcher.**", "statNameLength", "statsCompression"),
            *("statsdUdpAddress", "tracing.**", "tracingServiceName", "zipkinAddress"),
        ),
    ),
    irrelevant(
        _PROXY,
        *below(
            "defaultConfig",
            *(
                "availabilityZone",
                "binaryPath",
                "concurrency",
                "configPath",
                "drainDuration",
                "holdApplicationUntilProxyStarts",
            ),
            *("image.**", "meshId", "privateKeyProvider.**", "proxyAdminPort", "proxyMetadata.*", "readinessProbe.**"),
            *("runtimeValues.*", "serviceCluster", "statusPort", "terminationDrainDuration"),
        ),
    ),
    irrelevant(
        "where the proxy finds istiod",
        *below("defaultConfig", "controlPlaneAuthPolicy", "discoveryAddress", "discoveryRefreshDelay"),
    ),
    irrelevant(_CERTIFICATES, *below("defaultConfig", "caCertificatesPem[]", "sds.**")),
    irrelevant(_LIMITS, "defaultConfig.connectionSettings.**"),
    irrelevant("headers of HTTP change no TLS", *below("defaultConfig", "gatewayTopology.**", "proxyHeaders.**")),
)

MESH_CONFIG = Table(
    *PROXY_CONFIG,
    decides(
        "parse/mesh_config.py",
        *(
            "rootNamespace",
            "enableAutoMtls",
            "trustDomain",
            "defaultDestinationRuleExportTo[]",
            "defaultServiceExportTo[]",
        ),
        *below("discoverySelectors[]", "matchLabels.*", "matchExpressions[].key", "matchExpressions[].values[]"),
        *below("discoverySelectors[]", "matchExpressions[].operator"),
    ),
    decides("client.py", "outboundTrafficPolicy.mode", values=OUTBOUND),
    unsupported("proxies give calls to unknown hosts TLS", "outboundTrafficPolicy.tls.**"),
    unsupported("istiod has objects that are not in the cluster", "configSources[].**"),
    unsupported("it hides hosts of ServiceEntries", "serviceEntryVisibility.**"),
    decides("routes.py", "defaultVirtualServiceExportTo[]"),
    irrelevant("services of other clusters are not judged", "serviceSettings[].**", "serviceScopeConfigs[].**"),
    irrelevant("where the sidecar hands a call on, inside of the pod", "inboundTrafficPolicy.mode"),
    irrelevant(
        "which port of the pod takes redirected calls", "proxyInboundListenPort", "proxyListenPort", "proxyHttpPort"
    ),
    irrelevant(
        _CERTIFICATES,
        *("ca.**", "caCertificates[].**", "certificates[].**", "meshMTLS.**", "tlsDefaults.**", "trustDomainAliases[]"),
        "verifyCertificateAtClient",
    ),
    irrelevant(
        _LOGS,
        *("accessLogEncoding", "accessLogFile", "accessLogFormat", "defaultProviders.**", "disableEnvoyListenerLog"),
        *(
            "enableEnvoyAccessLogService",
            "enablePrometheusMerge",
            "enableTracing",
            "inboundClusterStatName",
            "outboundClusterStatName",
        ),
    ),
    irrelevant("providers that other objects name; none of them sets TLS between workloads", "extensionProviders[].**"),
    irrelevant(
        "Ingress objects are not read; a gateway's port without a server of a Gateway is unknown",
        *("ingressClass", "ingressControllerMode", "ingressSelector", "ingressService"),
    ),
    irrelevant(
        _LIMITS,
        *(
            "connectTimeout",
            "defaultHttpRetryPolicy.**",
            "defaultTrafficPolicy.**",
            "dnsRefreshRate",
            "h2UpgradePolicy",
        ),
        *("hboneIdleTimeout", "protocolDetectionTimeout", "tcpKeepalive.**"),
    ),
    irrelevant(_WHICH, "localityLbSetting.**", "zoneAwareLbSetting.**"),
    irrelevant("paths of HTTP change no TLS", "pathNormalization.normalization"),
)
