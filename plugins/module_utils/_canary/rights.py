# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rights that a canary needs: one table for the review at a start, the documented ClusterRole and the documentation. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, assert_never

from ansible_collections.servicemesh.platform.plugins.module_utils._canary.objects import object_name
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.push import OPTION
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.settings import prometheus_given

ROLE = "servicemesh-canary"


class Where(StrEnum):
    """Namespaces in which a right is needed."""

    SERVICE = "the service's namespace"
    ROUTES = "each namespace with VirtualServices of the service, or with some that delegate to them"
    GATEWAYS = "each namespace with a Gateway of these VirtualServices"
    PROMETHEUS = "the namespace of Prometheus"
    PUSHGATEWAY = "the namespace of the Pushgateway"
    CLUSTER = "all namespaces"


class Named(StrEnum):
    """Objects that a right is about; a role may be restricted to their names."""

    ANY = "any"
    SERVICE = "service"
    STABLE = "stable"
    CANARY = "canary"
    RECORD = "record"
    ROUTE = "route"
    ROOT = "root"
    GATEWAY = "gateway"
    PROMETHEUS = "prometheus"
    PUSHGATEWAY = "pushgateway"


class When(StrEnum):
    """Runs that need a right."""

    ALWAYS = "always"
    SEARCHED = "without the option virtual_services"
    DEFINED = "with canary_definitions"
    CONFIGURED = "with a ConfigMap in the definitions"
    METRICS = "with metrics of Prometheus"
    PROXIED = "with prometheus.service"
    PUSHED = "with metrics_push.service"
    JOBS = "with a job in analysis or approvals"
    WATCHDOG = "with watchdog"
    ACCOUNT = "with watchdog, without watchdog.service_account"
    PROVED = "with proof_samples above 0"
    GATEWAYS = "with proof_samples above 0, and a Gateway"


@dataclass(frozen=True, slots=True)
class Right:
    """One row of the table. `resource` with its subresource. `needed` False: a run starts without it, and says what it does not see."""

    verb: str
    group: str
    resource: str
    why: str
    where: Where = Where.SERVICE
    named: Named = Named.ANY
    when: When = When.ALWAYS
    needed: bool = True


_ISTIO, _LEASES, _RBAC = "networking.istio.io", "coordination.k8s.io", "rbac.authorization.k8s.io"
TABLE = (
    Right("get", "", "services", "its selector", named=Named.SERVICE),
    Right("list", "", "pods", "which pods are ready"),
    Right("list", "discovery.k8s.io", "endpointslices", "which ready pods get requests"),
    Right("get", "apps", "deployments", "pods and pod template of stable", named=Named.STABLE),
    Right("get", "apps", "deployments", "pods and pod template of the canary", named=Named.CANARY),
    Right("patch", "apps", "deployments", "the promotion gives stable the new version", named=Named.STABLE),
    Right("get", "apps", "deployments/scale", "as many pods as the requests need", named=Named.STABLE),
    Right("patch", "apps", "deployments/scale", "as many pods as the requests need", named=Named.STABLE),
    Right("get", "apps", "deployments/scale", "as many pods as the weight needs", named=Named.CANARY),
    Right("patch", "apps", "deployments/scale", "as many pods as the weight needs", named=Named.CANARY),
    Right("create", "apps", "deployments", "the canary", when=When.DEFINED),
    Right("patch", "apps", "deployments", "the canary", named=Named.CANARY, when=When.DEFINED),
    Right("delete", "apps", "deployments", "the end of the canary", named=Named.CANARY, when=When.DEFINED),
    Right("list", "apps", "replicasets", "pods of a version in the metrics", when=When.METRICS),
    Right("list", _ISTIO, "virtualservices", "routes with both subsets", when=When.SEARCHED),
    Right("get", _ISTIO, "virtualservices", "weights", Where.ROUTES, Named.ROUTE),
    Right("patch", _ISTIO, "virtualservices", "weights", Where.ROUTES, Named.ROUTE),
    Right("get", _ISTIO, "virtualservices", "which Gateways have the routes", Where.ROUTES, Named.ROOT, When.PROVED),
    Right("list", _ISTIO, "destinationrules", "subsets"),
    Right("get", "", "configmaps", "the record", named=Named.RECORD),
    Right("create", "", "configmaps", "the record"),
    Right("update", "", "configmaps", "the record", named=Named.RECORD),
    Right("patch", "", "configmaps", "ConfigMaps of the definitions", when=When.CONFIGURED),
    Right("delete", "", "configmaps", "ConfigMaps of the canary", when=When.CONFIGURED),
    Right("get", _LEASES, "leases", "the lock", named=Named.RECORD),
    Right("create", _LEASES, "leases", "the lock"),
    Right("update", _LEASES, "leases", "the lock", named=Named.RECORD),
    # A port forward over WebSockets is a GET; Kubernetes 1.35 asks for create as well, as before for SPDY.
    Right("get", "", "pods/portforward", "the proof of a weight in the proxies", when=When.PROVED),
    Right("create", "", "pods/portforward", "the proof of a weight in the proxies", when=When.PROVED),
    Right("get", _ISTIO, "gateways", "which proxies are gateways", Where.GATEWAYS, Named.GATEWAY, When.GATEWAYS),
    Right("list", "", "pods", "the gateways' proxies", Where.CLUSTER, when=When.GATEWAYS),
    Right("get", "", "services/proxy", "queries", Where.PROMETHEUS, Named.PROMETHEUS, When.PROXIED),
    # The verb is that of the request's method: GET, PUT, DELETE (apiserver, pkg/endpoints/request/requestinfo.go).
    *(
        Right(verb, "", "services/proxy", "pushed metrics", Where.PUSHGATEWAY, Named.PUSHGATEWAY, When.PUSHED)
        for verb in ("get", "update", "delete")
    ),
    Right("get", "batch", "jobs", "measurements by Jobs", when=When.JOBS),
    Right("create", "batch", "jobs", "measurements by Jobs", when=When.JOBS),
    *(Right(verb, "batch", "jobs", "the watchdog", when=When.WATCHDOG) for verb in ("get", "create", "patch", "delete")),
    *(Right(verb, "", "configmaps", "the watchdog's code", when=When.WATCHDOG) for verb in ("get", "create", "delete")),
    *(
        Right(verb, group, resource, "the watchdog's own rights", when=When.ACCOUNT)
        for group, resource in (("", "serviceaccounts"), (_RBAC, "roles"), (_RBAC, "rolebindings"))
        for verb in ("get", "create", "delete")
    ),
    Right("create", "", "events", "Events on stable are not written", needed=False),
    Right(
        "list", _ISTIO, "virtualservices", "routes in other namespaces are not seen", Where.CLUSTER,
        when=When.SEARCHED, needed=False,
    ),
    Right(
        "list", _ISTIO, "destinationrules", "rules with a wildcard host in other namespaces are not seen", Where.CLUSTER,
        needed=False,
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Review:
    """One question to the API server: whether this identity may do this. An empty `namespace` is all of them, an empty `name` any."""

    right: Right
    namespace: str
    name: str = ""

    def body(self) -> dict[str, Any]:
        """The SelfSubjectAccessReview."""
        resource, _slash, subresource = self.right.resource.partition("/")
        asked = {"verb": self.right.verb, "group": self.right.group, "resource": resource, "subresource": subresource}
        asked |= {"namespace": self.namespace, "name": self.name}
        return {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": {key: value for key, value in asked.items() if value}},
        }

    def __str__(self) -> str:
        kind = f"{self.right.resource}{'.' if self.right.group else ''}{self.right.group}"
        what = f"{self.right.verb} {kind}{f' {self.name}' if self.name else ''}"
        return f"{what} in {f'namespace {self.namespace}' if self.namespace else 'all namespaces'}"


def reviews(
    settings: Mapping[str, Any], gateways: Sequence[str], definitions: Iterable[Any], *, searched: bool
) -> list[Review]:
    """What a run of these settings needs. `gateways`: `namespace/name` of its VirtualServices' Gateways.

    `definitions`: all objects that it applies. `searched`: its VirtualServices are not named by the user. Without VirtualServices (they
    could not be read), those of the service's namespace are meant.
    """
    kinds = {(entry or {}).get("kind") for entry in definitions}
    found: dict[Review, None] = {}
    for right in TABLE:
        if (right.when is When.SEARCHED and not searched) or not _applies(right.when, settings, gateways, kinds):
            continue
        for namespace, name in _objects(right, settings, gateways):
            found[Review(right, namespace, name)] = None
    return list(found)


def _applies(when: When, settings: Mapping[str, Any], gateways: Sequence[str], kinds: set[Any]) -> bool:
    match when:
        case When.ALWAYS | When.SEARCHED:
            return True
        case When.DEFINED:
            return bool(settings["defined"])
        case When.CONFIGURED:
            return "ConfigMap" in kinds
        case When.METRICS:
            return prometheus_given(settings)
        case When.PROXIED:
            return _proxied(settings.get("prometheus"))
        case When.PUSHED:
            return _proxied(settings.get(OPTION))
        case When.JOBS:
            return any(entry.get("job") for entry in [*settings["analysis"], *settings["approvals"]])
        case When.WATCHDOG:
            return bool(settings.get("watchdog"))
        case When.ACCOUNT:
            return bool(settings.get("watchdog")) and not settings["watchdog"].get("service_account")
        case When.PROVED:
            return int(settings["proof_samples"]) > 0
        case When.GATEWAYS:
            return int(settings["proof_samples"]) > 0 and bool(gateways)
        case _:
            assert_never(when)


def _proxied(where: Mapping[str, Any] | None) -> bool:
    return where is not None and bool(where.get("service")) and not where.get("url")


def _objects(right: Right, settings: Mapping[str, Any], gateways: Sequence[str]) -> list[tuple[str, str]]:
    """(namespace, name) of the objects that a right is about."""
    namespace = str(settings["namespace"])
    match right.named:
        case Named.ANY:
            return [("" if right.where is Where.CLUSTER else namespace, "")]
        case Named.SERVICE:
            return [(namespace, str(settings["service"]))]
        case Named.STABLE:
            return [(namespace, str(settings["stable_deployment"]))]
        case Named.CANARY:
            return [(namespace, str(settings["canary_deployment"]))]
        case Named.RECORD:
            return [(namespace, object_name(str(settings["service"])))]
        case Named.ROUTE:
            return [_split(name) for name in settings["virtual_services"]] or [(namespace, "")]
        case Named.ROOT:
            return [_split(name) for name in settings.get("roots") or []]
        case Named.GATEWAY:
            return [_split(name) for name in gateways]
        case Named.PROMETHEUS:
            return [_proxy_of(str(settings["prometheus"]["service"]))]
        case Named.PUSHGATEWAY:
            return [_proxy_of(str(settings[OPTION]["service"]))]
        case _:
            assert_never(right.named)


def _proxy_of(service: str) -> tuple[str, str]:
    namespace, _slash, name = service.removeprefix("https:").partition("/")
    return namespace, f"https:{name}" if service.startswith("https:") else name


def _split(name: str) -> tuple[str, str]:
    namespace, _slash, short = name.partition("/")
    return namespace, short


def cluster_role() -> dict[str, Any]:
    """The ClusterRole with all rights of the table, one rule for each resource.

    Those to a Pushgateway are not among them: with these verbs, a role without names could change what any Service behind the proxy has.
    """
    verbs: dict[tuple[str, str], list[str]] = {}
    for right in (right for right in TABLE if right.where is not Where.PUSHGATEWAY):
        known = verbs.setdefault((right.group, right.resource), [])
        if right.verb not in known:
            known.append(right.verb)
    rules = [
        {"apiGroups": [group], "resources": [resource], "verbs": sorted(found)}
        for (group, resource), found in sorted(verbs.items())
    ]
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": ROLE},
        "rules": rules,
    }
