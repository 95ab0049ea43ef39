# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether what somebody else runs is really there, as the inventory describes it: Istio with its gateway, Prometheus, namespaces. No I/O.

What could not be read is a warning that names it: it may be there or not.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, assert_never

from ansible_collections.servicemesh.platform.plugins.module_utils._preflight.checks import Finding, Severity
from ansible_collections.servicemesh.platform.plugins.module_utils._prometheus import Failure

CHECK = "externals"
# API groups whose objects the roles write.
GROUPS = ("networking.istio.io", "security.istio.io", "telemetry.istio.io")
# Label of the webhooks that inject sidecars (istio manifests/charts/istio-control/istio-discovery, mutatingwebhook.yaml).
INJECTOR = ("app", "sidecar-injector")
_RUN_IT = "or set platform_istio to managed, so that the role istio installs it"

Obj = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Gateway:
    """An ingress gateway as an inventory describes it; `selector`: labels of its pods."""

    namespace: str
    service: str
    service_account: str
    selector: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Mesh:
    """What was read of an Istio that somebody else runs. None: it could not be read.

    `groups`: API groups of the cluster. `injectors`: MutatingWebhookConfigurations. `service`: whether the gateway's Service is there.
    `pods`: those that the gateway's selector selects.
    """

    groups: Collection[str] | None
    injectors: Sequence[Obj] | None
    service: bool | None
    pods: Sequence[Obj] | None


def namespace_findings(namespaces: Iterable[Obj] | None, wanted: Iterable[str]) -> Iterable[Finding]:
    """Namespaces that somebody else makes, that the run writes to, and that do not exist."""
    there = None if namespaces is None else {entry["metadata"]["name"] for entry in namespaces}
    for name in sorted(set(wanted)):
        subject = f"Namespace {name}"
        if there is None:
            yield _unread(subject, "list namespaces")
        elif name not in there:
            yield _missing(
                subject,
                "it does not exist, and belongs to a component that is external, so this run does not create it",
                "Create it, correct its name (platform_istio_namespace, platform_gateway, platform_ingress_namespace, "
                "platform_monitoring_namespace), or let this run make it (cluster_prep_extra_namespaces)",
            )


def mesh_findings(mesh: Mesh, gateway: Gateway, revision: str) -> Iterable[Finding]:
    """What is missing of an external Istio: its kinds, the injection of sidecars for the revision, and the gateway."""
    if mesh.groups is None:
        yield _unread("Istio's API", "get the API groups")
    elif missing := [group for group in GROUPS if group not in mesh.groups]:
        message = f"platform_istio is external, and the cluster does not know {', '.join(missing)}"
        yield _missing("Istio's API", message, f"Install Istio with its CustomResourceDefinitions, {_RUN_IT}")
    yield from _injection(mesh.injectors, revision)
    yield from _gateway(mesh, gateway)


def _injection(configurations: Sequence[Obj] | None, revision: str) -> Iterable[Finding]:
    label = ("istio.io/rev", revision) if revision else ("istio-injection", "enabled")
    subject = f"injection of sidecars by {label[0]}={label[1]}"
    if configurations is None:
        yield _unread(subject, "list mutatingwebhookconfigurations")
        return
    named = [one for one in configurations if (one["metadata"].get("labels") or {}).get(INJECTOR[0]) == INJECTOR[1]]
    if any(
        selects(hook.get("namespaceSelector") or {}, dict([label]))
        for one in named
        for hook in one.get("webhooks") or []
    ):
        return
    there = ", ".join(sorted(one["metadata"]["name"] for one in named)) or "none"
    yield _missing(
        subject,
        f"no sidecar injector selects namespaces with this label; injectors: {there}",
        f"Set platform_istio_revision to the revision or tag of that Istio, install Istio, {_RUN_IT}",
    )


def _gateway(mesh: Mesh, gateway: Gateway) -> Iterable[Finding]:
    subject = f"ingress gateway {gateway.namespace}/{gateway.service}"
    action = "Describe it in platform_gateway (namespace, service, service_account, selector), or install one with Istio's gateway chart"
    if mesh.service is None:
        yield _unread(subject, f"get services in namespace {gateway.namespace}")
    elif not mesh.service:
        yield _missing(subject, "there is no such Service, and requests from outside go to it", action)
    labels = ",".join(f"{key}={text}" for key, text in sorted(gateway.selector.items()))
    if mesh.pods is None:
        yield _unread(subject, f"list pods in namespace {gateway.namespace}")
        return
    if not mesh.pods:
        yield _missing(subject, f"no pod has {labels} in its namespace, so the Gateway would have no workload", action)
    other = {str((pod.get("spec") or {}).get("serviceAccountName") or "default") for pod in mesh.pods}
    if other - {gateway.service_account}:
        names = ", ".join(sorted(other))
        message = (
            f"its pods have the ServiceAccount {names}, and access rules would allow {gateway.service_account} only"
        )
        yield _missing(subject, message, f"{action}; service_account is the one to correct")


def prometheus_findings(where: str, failure: Failure | None, why: str, *, proxied: bool) -> Iterable[Finding]:
    """An external Prometheus that gave no answer. `where`: its address; `proxied`: it is asked through the API server."""
    subject = f"Prometheus at {where}"
    action = "Correct platform_prometheus_address, start it, or set platform_prometheus to managed, so that this collection runs one"
    match failure:
        case None:
            return
        case Failure.REFUSED:
            if proxied:
                yield _unread(subject, "get services/proxy there")
                return
            yield _missing(
                subject,
                f"it refuses the credentials: {why}",
                "Correct headers, username or password in platform_prometheus_address",
            )
        case Failure.UNREACHABLE | Failure.QUERY | Failure.EXECUTION:
            yield _missing(subject, why, action)
        case _:
            assert_never(failure)


def selects(selector: Obj, labels: Mapping[str, str]) -> bool:
    """Whether a LabelSelector selects labels (apimachinery pkg/labels/selector.go, Matches). An unknown operator selects nothing."""
    if any(labels.get(key) != text for key, text in (selector.get("matchLabels") or {}).items()):
        return False
    return all(_meets(entry, labels) for entry in selector.get("matchExpressions") or [])


def _meets(entry: Obj, labels: Mapping[str, str]) -> bool:
    key, values = str(entry.get("key") or ""), entry.get("values") or []
    match entry.get("operator"):
        case "In":
            return key in labels and labels[key] in values
        case "NotIn":
            return key not in labels or labels[key] not in values
        case "Exists":
            return key in labels
        case "DoesNotExist":
            return key not in labels
        case _:
            return False


def _missing(subject: str, message: str, action: str) -> Finding:
    return Finding(CHECK, Severity.ERROR, subject, message, action)


def _unread(subject: str, right: str) -> Finding:
    message = f"whether it is there is unknown, because this identity may not {right}"
    return Finding(
        CHECK, Severity.WARNING, subject, message, f"Grant the right to {right}, or make sure of it yourself"
    )
