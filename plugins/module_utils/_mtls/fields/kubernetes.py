# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fields of the kinds of Kubernetes that are read. Pure.

They are not looked for in each object: Kubernetes drops fields that it does not know. The table says which of them the engine reads.
"""

from __future__ import annotations

from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.fields.table import (
    Row,
    Table,
    below,
    decides,
    irrelevant,
)

_NODE = "where and with which resources pods run changes no TLS"
_INSIDE = "what containers are and do; which of their traffic passes the sidecar is told by other fields"
_STATE = "what Kubernetes reports about the object"
_WHICH = "it chooses among the endpoints; the worst of all of them counts"
_OUTSIDE = "how calls from outside of the cluster come in; inside of it they are the same"


def _metadata(where: str, *read: str) -> list[Row]:
    """Rows of metadata; labels and annotations have a table of their own."""
    names: tuple[str, ...] = (
        "annotations.*",
        "creationTimestamp",
        "deletionGracePeriodSeconds",
        "deletionTimestamp",
        "finalizers[]",
        "generateName",
    )
    names += (
        "generation",
        "labels.*",
        "managedFields[].**",
        "name",
        "namespace",
        "ownerReferences[].**",
        "resourceVersion",
    )
    names += ("selfLink", "uid")
    reads = ("annotations.*", "labels.*", "name", *read)
    return [
        *decides(where, *below("metadata", *reads)),
        *irrelevant(
            "what Kubernetes keeps about the object", *below("metadata", *(n for n in names if n not in reads))
        ),
        *irrelevant("what the object is", "apiVersion", "kind"),
    ]


def _container(path: str) -> list[Row]:
    """Rows of a container that runs beside the sidecar, or before it."""
    probes = ("startupProbe", "livenessProbe", "readinessProbe")
    hooks = tuple(f"lifecycle.{hook}" for hook in ("postStart", "preStop"))
    handlers = (*(f"{name}.httpGet" for name in (*probes, *hooks)), *(f"{name}.grpc" for name in probes))
    others = tuple(f"{name}.{how}.**" for name in (*probes, *hooks) for how in ("exec", "tcpSocket"))
    times: tuple[str, ...] = (
        "failureThreshold",
        "initialDelaySeconds",
        "periodSeconds",
        "successThreshold",
        "timeoutSeconds",
    )
    times += ("terminationGracePeriodSeconds",)
    named: tuple[str, ...] = (
        "imagePullPolicy",
        "resizePolicy[].**",
        "resources.**",
        "restartPolicyRules[].**",
        "stdin",
        "stdinOnce",
        "tty",
    )
    named += (
        "terminationMessagePath",
        "terminationMessagePolicy",
        "volumeDevices[].**",
        "volumeMounts[].**",
        "workingDir",
        "image",
    )
    return [
        *decides("parse/pod.py", *below(path, "name", "args[]", "restartPolicy")),
        *decides("parse/capture.py", *below(path, "command[]", "env[].**", "envFrom[].**")),
        *decides("parse/capture.py", *below(path, "securityContext.runAsUser", "securityContext.runAsGroup")),
        *decides("parse/pod.py", *below(path, "ports[].name", "ports[].containerPort")),
        *decides("parse/pod.py", *(f"{path}.{handler}.**" for handler in handlers)),
        *irrelevant(
            "the kubelet asks no port by it, or only whether it is open",
            *below(path, *others, *(f"{h}.sleep.**" for h in hooks)),
        ),
        *irrelevant("when the kubelet asks", *(f"{path}.{probe}.{time}" for probe in probes for time in times)),
        *irrelevant("how a container is ended", f"{path}.lifecycle.stopSignal"),
        *irrelevant(_INSIDE, *below(path, *named, *(f"ports[].{name}" for name in ("hostIP", "hostPort", "protocol")))),
        *irrelevant(_INSIDE, *below(f"{path}.securityContext", *_SECURITY)),
    ]


_SECURITY = (
    *(
        "allowPrivilegeEscalation",
        "appArmorProfile.**",
        "capabilities.**",
        "privileged",
        "procMount",
        "readOnlyRootFilesystem",
    ),
    *("runAsNonRoot", "seLinuxOptions.**", "seccompProfile.**", "windowsOptions.**"),
)
_POD = (
    *(
        "activeDeadlineSeconds",
        "affinity.**",
        "automountServiceAccountToken",
        "dnsConfig.**",
        "dnsPolicy",
        "enableServiceLinks",
    ),
    *("evictionResponders[].**", "hostAliases[].**", "hostIPC", "hostPID", "hostUsers", "hostname", "hostnameOverride"),
    *("imagePullSecrets[].**", "nodeName", "nodeSelector.*", "os.**", "overhead.*", "preemptionPolicy", "priority"),
    *(
        "priorityClassName",
        "readinessGates[].**",
        "resourceClaims[].**",
        "resources.**",
        "restartPolicy",
        "runtimeClassName",
    ),
    *(
        "schedulerName",
        "schedulingGates[].**",
        "schedulingGroup.**",
        "setHostnameAsFQDN",
        "shareProcessNamespace",
        "subdomain",
    ),
    *(
        "terminationGracePeriodSeconds",
        "tolerations[].**",
        "topologySpreadConstraints[].**",
        "volumes[].**",
        "serviceAccount",
    ),
)
_STATUS = (
    *(
        "allocatedResources.*",
        "ephemeralContainerStatuses[].**",
        "extendedResourceClaimStatus.**",
        "hostIP",
        "hostIPs[].**",
    ),
    *(
        "message",
        "nodeAllocatableResourceClaimStatuses[].**",
        "nominatedNodeName",
        "observedGeneration",
        "qosClass",
        "reason",
    ),
    *("resize", "resourceClaimStatuses[].**", "resources.**", "startTime", "volumeHealth[].**"),
)

POD = Table(
    _metadata("parse/pod.py", "namespace", "ownerReferences[].**", "deletionTimestamp"),
    _container("spec.containers[]"),
    _container("spec.initContainers[]"),
    decides("parse/pod.py", "spec.hostNetwork", "spec.serviceAccountName"),
    decides("parse/capture.py", "spec.securityContext.runAsUser", "spec.securityContext.runAsGroup"),
    decides("source.py", "status.phase"),
    decides("parse/pod.py", "status.podIP", "status.podIPs[].ip", "status.conditions[].**"),
    decides("parse/pod.py", "status.containerStatuses[].**", "status.initContainerStatuses[].**"),
    irrelevant("a person's shell beside the containers", "spec.ephemeralContainers[].**"),
    irrelevant(
        _INSIDE,
        *below(
            "spec.securityContext",
            "appArmorProfile.**",
            "fsGroup",
            "fsGroupChangePolicy",
            "runAsNonRoot",
            "seLinuxChangePolicy",
        ),
        *below(
            "spec.securityContext",
            "seLinuxOptions.**",
            "seccompProfile.**",
            "supplementalGroups[]",
            "supplementalGroupsPolicy",
        ),
        *below("spec.securityContext", "sysctls[].**", "windowsOptions.**"),
    ),
    irrelevant(_NODE, *below("spec", *_POD)),
    irrelevant(_STATE, *below("status", *_STATUS)),
)

SERVICE = Table(
    _metadata("parse/service.py", "namespace"),
    decides("parse/service.py", *below("spec", "type", "externalName", "clusterIP", "clusterIPs[]", "selector.*")),
    decides("parse/service.py", *below("spec.ports[]", "name", "port", "protocol", "targetPort")),
    decides("parse/protocol.py", "spec.ports[].appProtocol"),
    irrelevant(
        _WHICH,
        *below(
            "spec", "internalTrafficPolicy", "publishNotReadyAddresses", "sessionAffinity", "sessionAffinityConfig.**"
        ),
        "spec.trafficDistribution",
    ),
    irrelevant(
        _OUTSIDE,
        *below(
            "spec", "allocateLoadBalancerNodePorts", "externalIPs[]", "externalTrafficPolicy", "healthCheckNodePort"
        ),
        *below("spec", "loadBalancerClass", "loadBalancerIP", "loadBalancerSourceRanges[]", "ports[].nodePort"),
    ),
    irrelevant("a service has the endpoints that it has, of either family", "spec.ipFamilies[]", "spec.ipFamilyPolicy"),
    irrelevant(_STATE, "status.**"),
)

ENDPOINT_SLICE = Table(
    _metadata("parse/endpoint_slice.py", "namespace"),
    decides("parse/endpoint_slice.py", "addressType", "endpoints[].addresses[]", "ports[].name", "ports[].port"),
    decides("parse/endpoint_slice.py", *below("endpoints[].conditions", "ready", "terminating")),
    decides("parse/endpoint_slice.py", *below("endpoints[].targetRef", "kind", "name", "namespace")),
    irrelevant("the Service says the port's protocol", "ports[].appProtocol", "ports[].protocol"),
    irrelevant(
        _WHICH,
        *below("endpoints[]", "conditions.serving", "deprecatedTopology.*", "hints.**", "hostname", "nodeName", "zone"),
    ),
    irrelevant(
        "more about the same pod", *below("endpoints[].targetRef", "apiVersion", "fieldPath", "resourceVersion", "uid")
    ),
)

NAMESPACE = Table(
    _metadata("groups.py"),
    decides("assemble.py", "status.phase"),
    irrelevant(_STATE, "spec.finalizers[]", "status.conditions[].**"),
)
