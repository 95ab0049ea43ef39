# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Callers that are no meshed workloads: who they are, and what they call where an object names it. Pure.

What they get is not judged here (`what_if` does that). Who calls from a pod without a sidecar, and whom, is in no object: such callers are
only possible ones.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.model import (
    Endpoint,
    Group,
    Mesh,
    Missing,
    MissingCause,
    Port,
    Proxy,
    Sent,
    Service,
    ServiceKind,
    in_mesh,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parse.api_server import (
    Target,
    api_service,
    conversion,
    webhooks,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parse.ingress import (
    Ingress,
    IngressClass,
    ingress,
    ingress_class,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parse.metadata import Obj, identity
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parse.monitor import (
    Monitor,
    Scrape,
    annotated,
    monitor,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parse.pod_calls import (
    CallingPod,
    InitContainer,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parse.template import Template, template
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.pods import (
    INJECT,
    NEVER_INJECTED,
    Capture,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.source import CALLER_KINDS

_TEMPLATES = ("Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob")
_CONTROLLERS = frozenset({"Deployment", "StatefulSet", "DaemonSet"})
_ISTIO_INGRESS = frozenset({"istio", "istio.io/ingress-controller"})
_DATAPLANE = "istio.io/dataplane-mode"
_FROM_OUTSIDE = frozenset({"NodePort", "LoadBalancer"})

Point = tuple[Endpoint, int]  # an endpoint, and the service's port (or the container's, of no service) that leads there


class CallerKind(StrEnum):
    """What a caller is."""

    WEBHOOK = "webhook"
    CONVERSION = "conversion_webhook"
    AGGREGATED_API = "aggregated_api"
    SCRAPE = "scrape"
    INGRESS = "ingress"
    OUTSIDE = "outside"
    INIT_CONTAINER = "init_container"
    WORKLOAD = "workload"
    JOB = "job"
    CRON_JOB = "cron_job"


@dataclass(frozen=True, slots=True)
class NamedCall:
    """A call of which an object names the target: `target` is a service or a workload (`namespace/name`), `points` what is behind it."""

    kind: CallerKind
    caller: str
    target: str
    port: int
    sends: Sent
    reason: str
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class PossibleCaller:
    """A caller of which nobody knows whom it calls."""

    kind: CallerKind
    caller: str
    reason: str


@dataclass(frozen=True, slots=True)
class Callers:
    """All of them. `waiting` are workloads that get a sidecar and do not run, each as a group without pods.

    `looked_at` and `not_looked_at` are the kinds of objects, the latter with the reason.
    """

    named: tuple[NamedCall, ...] = ()
    possible: tuple[PossibleCaller, ...] = ()
    waiting: tuple[Group, ...] = ()
    looked_at: tuple[str, ...] = ()
    not_looked_at: tuple[str, ...] = tuple(f"{kind.name}: they were not read" for kind in CALLER_KINDS)


CALLERS: dict[str, Callable[[Obj], Any]] = {
    **{
        kind: functools.partial(webhooks, kind)
        for kind in ("ValidatingWebhookConfiguration", "MutatingWebhookConfiguration")
    },
    "CustomResourceDefinition": conversion,
    "APIService": api_service,
    "Ingress": ingress,
    "IngressClass": ingress_class,
    **{kind: functools.partial(template, kind) for kind in _TEMPLATES},
    "ServiceMonitor": functools.partial(monitor, "endpoints"),
    "PodMonitor": functools.partial(monitor, "podMetricsEndpoints"),
    **{kind.name: lambda obj: "/".join(identity(obj)[:2]) for kind in CALLER_KINDS if not kind.understood},
}


def callers_of(
    found: Mapping[str, list[Any]],
    missing: Mapping[str, Missing],
    mesh: Mesh,
    by_name: Mapping[tuple[str, str], int],
    namespace_labels: Mapping[str, Mapping[str, str]],
) -> Callers:
    """The callers that reduced objects name; `found` has all kinds of `CALLERS`, and `by_name` the group of each pod."""
    places = _Places(mesh, found, by_name)
    named = [
        *_of_api_server(found, places),
        *_of_ingresses(found, places),
        *_from_outside(places),
        *_scrapes(found, places),
    ]
    labels = None if mesh.unread("Namespace") else namespace_labels
    templates = [one for kind in _TEMPLATES for one in found[kind] if not one.ended]
    running = {group.key for group in mesh.groups}
    idle = [one for one in templates if one.kind == "CronJob" or one.key not in running]
    judged = [(one, *_proxy_of(one, labels)) for one in idle]
    possible = [*_early(places), *(entry for each in judged for entry in _possible(*each))]
    looked_at, not_looked_at = _looked_at(found, missing)
    return Callers(
        tuple(named),
        tuple(sorted(set(possible), key=lambda entry: (entry.kind, entry.caller, entry.reason))),
        tuple(
            _waiting(one, proxy, mesh, namespace_labels)
            for one, proxy, _why in judged
            if proxy not in (None, Proxy.NONE)
        ),
        tuple(looked_at),
        tuple(not_looked_at),
    )


def _looked_at(found: Mapping[str, list[Any]], missing: Mapping[str, Missing]) -> tuple[list[str], list[str]]:
    seen, not_seen = [], []
    for kind in CALLER_KINDS:
        why = missing.get(kind.name)
        if why is not None and why.cause is not MissingCause.NOT_INSTALLED:
            not_seen.append(f"{kind.name}: {why.text}")
        elif not kind.understood and found[kind.name]:
            not_seen.append(
                f"{kind.name}: {len(found[kind.name])}, such as {min(found[kind.name])}, which are not understood here"
            )
        else:
            seen.append(f"{kind.name}: {'the API server has no such kind' if why else len(found[kind.name])}")
    return seen, not_seen


class _Places:
    """Looks up services, their ports, and pods."""

    def __init__(self, mesh: Mesh, found: Mapping[str, list[Any]], by_name: Mapping[tuple[str, str], int]) -> None:
        self.mesh = mesh
        self.services = {one.key: one for one in mesh.services if one.kind is not ServiceKind.ENTRY}
        self.objects: list[Obj] = found["Service"]
        self.pods: list[tuple[int, CallingPod]] = [
            (by_name[entry.group.namespace, entry.name], entry) for entry in found["Pod"]
        ]
        self._by_host = {service.host: service for service in mesh.services}
        self._named: dict[int, set[tuple[str, int]]] = {}
        for index, entry in self.pods:
            self._named.setdefault(index, set()).update(entry.calls.ports)

    def ports(self, service: Service) -> tuple[Port, ...]:
        """Ports of a service, or of the one that an alias stands for."""
        target = self._by_host.get(service.target, service) if service.kind is ServiceKind.ALIAS else service
        return target.ports or service.ports

    def by_host(self, host: str) -> Service | None:
        """The service of a URL's host: its full name, the beginning of one (`name.namespace.svc`), or its address."""
        whole = (
            s
            for s in self.services.values()
            if s.host == host or (s.host.startswith(f"{host}.") and host.endswith(".svc"))
        )
        return next(whole, None) or next((s for s in self.services.values() if host in s.addresses), None)

    def of_container(self, index: int, scrape: Scrape) -> set[int]:
        """Container ports of a group that a scrape means."""
        if scrape.number:
            return {scrape.number}
        return {number for name, number in self._named.get(index, ()) if scrape.port in ("", name)}


def _of_api_server(found: Mapping[str, list[Any]], places: _Places) -> Iterator[NamedCall]:
    kinds = {
        "ValidatingWebhookConfiguration": CallerKind.WEBHOOK,
        "MutatingWebhookConfiguration": CallerKind.WEBHOOK,
        "CustomResourceDefinition": CallerKind.CONVERSION,
        "APIService": CallerKind.AGGREGATED_API,
    }
    why = "the API server sends TLS that is not the mesh's"
    for name, kind in kinds.items():
        for target in (one for targets in found[name] for one in targets):
            yield from _to_service(kind, target, places, why)


def _to_service(kind: CallerKind, target: Target, places: _Places, why: str) -> Iterator[NamedCall]:
    service = places.services.get(target.service) if target.service else places.by_host(target.host)
    for port in places.ports(service) if service else ():
        if port.number == target.port and service:
            yield NamedCall(kind, target.caller, service.key, port.number, Sent.TLS, why, _points(port))


def _points(port: Port) -> tuple[Point, ...]:
    return tuple((endpoint, port.number) for endpoint in port.endpoints)


def _of_ingresses(found: Mapping[str, list[Any]], places: _Places) -> Iterator[NamedCall]:
    classes: list[IngressClass] = found["IngressClass"]
    controllers: list[Template] = [one for kind in _CONTROLLERS for one in found[kind] if one.classes]
    for entry in found["Ingress"]:
        sends, why = _controller(entry, classes, controllers, places.mesh)
        if sends is Sent.MTLS:
            continue
        for name, wanted in entry.backends:
            service = places.services.get(f"{entry.namespace}/{name}")
            for port in places.ports(service) if service else ():
                if service and wanted in (port.number, port.name):
                    caller = f"Ingress {entry.namespace}/{entry.name}"
                    yield NamedCall(CallerKind.INGRESS, caller, service.key, port.number, sends, why, _points(port))


def _controller(
    entry: Ingress, classes: Iterable[IngressClass], controllers: Iterable[Template], mesh: Mesh
) -> tuple[Sent, str]:
    """What the controller of an Ingress sends. No object says which pods are a controller's; their arguments may name the class."""
    meant = [one for one in classes if (one.name == entry.class_name if entry.class_name else one.default)]
    names = {entry.class_name, *(name for one in meant for name in (one.name, one.controller))} - {""}
    if names & _ISTIO_INGRESS:
        return Sent.MTLS, "Istio's own ingress gateway"
    told = f"class {entry.class_name}" if entry.class_name else "the default class"
    keys = {one.key for one in controllers if one.classes & names}
    groups = [group for group in mesh.groups if group.key in keys]
    bare = sorted({group.key for group in groups if not group.meshed})
    if bare:
        return Sent.PLAINTEXT, f"controller {', '.join(bare)} of {told} has no sidecar"
    if groups:
        return (
            Sent.UNKNOWN,
            f"the controller of {told} has a sidecar; calls to addresses of pods pass through it unchanged",
        )
    return Sent.UNKNOWN, f"no pod tells that it is the controller of {told}, so whether it has a sidecar is not known"


def _from_outside(places: _Places) -> Iterator[NamedCall]:
    for obj in places.objects:
        spec = obj.get("spec") or {}
        way = str(spec.get("type") or "")
        if way not in _FROM_OUTSIDE and not spec.get("externalIPs"):
            continue
        namespace, name, _created = identity(obj)
        why = f"clients outside of the cluster have no sidecar ({way if way in _FROM_OUTSIDE else 'externalIPs'})"
        service = places.services.get(f"{namespace}/{name}")
        for port in service.ports if service else ():
            caller = f"Service {namespace}/{name}"
            yield NamedCall(
                CallerKind.OUTSIDE, caller, f"{namespace}/{name}", port.number, Sent.PLAINTEXT, why, _points(port)
            )
    ports = {(index, *pair) for index, entry in places.pods for pair in entry.calls.host_ports}
    for index, outer, inner in sorted(ports):
        why = f"clients outside of the pod network have no sidecar (hostPort {outer})"
        yield _to_pods(CallerKind.OUTSIDE, "hostPort", index, inner, Sent.PLAINTEXT, why, places)


def _to_pods(kind: CallerKind, caller: str, index: int, port: int, sends: Sent, why: str, places: _Places) -> NamedCall:
    point = (Endpoint(port, index), port)
    return NamedCall(kind, caller, places.mesh.groups[index].key, port, sends, why, (point,))


def _scrapes(found: Mapping[str, list[Any]], places: _Places) -> Iterator[NamedCall]:
    """What is scraped by address: a sidecar of Prometheus does not know the pods' addresses and passes such calls through unchanged."""
    wanted: set[tuple[str, int, int, Sent]] = set()
    for index, entry in places.pods:
        scrape = entry.calls.scrape
        if scrape is not None:
            ports = places.of_container(index, scrape)
            wanted |= {("annotation prometheus.io/scrape of the pods", index, port, scrape.sends) for port in ports}
    for one in found["PodMonitor"]:
        for index, entry in places.pods:
            if _selects(one, entry.group.namespace, entry.calls.labels):
                for scrape in one.scrapes:
                    ports = places.of_container(index, scrape)
                    wanted |= {(f"PodMonitor {one.key}", index, port, scrape.sends) for port in ports}
    for obj in places.objects:
        wanted |= set(_of_service(obj, found["ServiceMonitor"], places))
    by_address = {
        (point.pods, point.port)
        for service in places.mesh.services
        if service.kind is ServiceKind.HEADLESS
        for port in service.ports
        for point in port.endpoints
    }
    for caller, index, number, sends in sorted(wanted):
        if (index, number) in by_address:
            why = "a headless service offers the port: a Prometheus with a sidecar would send mutual TLS"
            yield _to_pods(CallerKind.SCRAPE, caller, index, number, Sent.UNKNOWN, why, places)
            continue
        why = "a scrape has no certificate of the mesh"
        if sends is Sent.UNKNOWN:
            why = "the scrape has a certificate; whether it is one of the mesh is not known"
        yield _to_pods(CallerKind.SCRAPE, caller, index, number, sends, why, places)


def _of_service(obj: Obj, monitors: Collection[Monitor], places: _Places) -> Iterator[tuple[str, int, int, Sent]]:
    """Scrapes of what is behind a Service, by its annotations and by ServiceMonitors."""
    meta = obj["metadata"]
    key = f"{meta['namespace']}/{meta['name']}"
    asked: list[tuple[str, Scrape]] = []
    scrape = annotated(meta.get("annotations") or {})
    if scrape is not None:
        asked.append((f"annotation prometheus.io/scrape of Service {key}", scrape))
    for one in monitors:
        if _selects(one, meta["namespace"], meta.get("labels") or {}):
            asked += [(f"ServiceMonitor {one.key}", entry) for entry in one.scrapes]
    service = places.services.get(key)
    for caller, entry in asked if service else ():
        for port in service.ports if service else ():
            for point in port.endpoints:
                if point.pods is None or (entry.port and not entry.of_container and entry.port != port.name):
                    continue
                numbers = {point.port}
                if entry.number or entry.of_container:
                    numbers = places.of_container(point.pods, entry)
                for number in numbers:
                    yield caller, point.pods, number, entry.sends


def _selects(one: Monitor, namespace: str, labels: Mapping[str, str]) -> bool:
    return (one.namespaces is None or namespace in one.namespaces) and one.selector.matches(labels)


def _early(places: _Places) -> Iterator[PossibleCaller]:
    """Init containers whose calls leave in plain text."""
    for index, entry in places.pods:
        if not entry.calls.inits:
            continue
        group = places.mesh.groups[index]
        for container in entry.calls.inits if group.meshed and group.kind is Proxy.SIDECAR else ():
            why = _why_early(group, container)
            if why:
                yield PossibleCaller(CallerKind.INIT_CONTAINER, f"{group.key}, init container {container.name}", why)


def _why_early(group: Group, container: InitContainer) -> str:
    """Why calls of an init container do not pass the sidecar; empty when they do, or fail anyway because the sidecar is not up."""
    if group.capture.none:
        return "interceptionMode NONE: its calls do not pass the sidecar"
    if container.before_rules:
        return "it runs before istio-init, so its calls are not redirected"
    if container.as_proxy:
        return "it runs as the proxy's user or group, whose traffic is left alone"
    if group.capture.unclear:
        return f"whether its calls pass the sidecar is not known: {group.capture.unclear}"
    return ""


def _proxy_of(one: Template, labels: Mapping[str, Mapping[str, str]] | None) -> tuple[Proxy | None, str]:
    """The proxy that the pods of a template get, None when that is not known, and why.

    Rules: istio pkg/kube/inject/inject.go (injectRequired), and the selectors of Istio's webhooks (mutatingwebhook.yaml).
    """
    if one.host_network:
        return Proxy.NONE, "hostNetwork"
    if one.own_proxy:
        return Proxy.SIDECAR, ""
    if one.namespace in NEVER_INJECTED:
        return Proxy.NONE, f"nothing is injected in namespace {one.namespace}"
    if labels is None:
        return None, "the labels of its namespace could not be read"
    own = labels.get(one.namespace) or {}
    sidecar = _sidecar(one, own)
    if sidecar:
        return Proxy.SIDECAR, ""
    if one.labels.get(_DATAPLANE, own.get(_DATAPLANE)) == "ambient":
        return Proxy.AMBIENT, ""
    return (
        Proxy.NONE,
        "sidecar.istio.io/inject is false" if one.inject == "false" else "its namespace asks for no injection",
    )


def _sidecar(one: Template, own: Mapping[str, str]) -> bool:
    if one.inject == "false":
        return False
    wish = own.get("istio-injection")
    if wish is not None:
        return wish == "enabled"
    return bool(own.get("istio.io/rev") or one.labels.get(INJECT) == "true" or one.labels.get("istio.io/rev"))


_KINDS = {"Job": CallerKind.JOB, "CronJob": CallerKind.CRON_JOB}


def _possible(one: Template, proxy: Proxy | None, why: str) -> Iterator[PossibleCaller]:
    kind, name = _KINDS.get(one.kind, CallerKind.WORKLOAD), f"{one.kind} {one.key}"
    state = "it has no pods now" + (", and is suspended" if one.suspended else "")
    if proxy is None:
        yield PossibleCaller(kind, name, f"{state}; whether they will have a sidecar is not known: {why}")
    elif proxy is Proxy.NONE:
        yield PossibleCaller(kind, name, f"{state}; they will have no sidecar: {why}")
    elif proxy is Proxy.SIDECAR:
        for entry in one.bypasses:
            yield PossibleCaller(kind, name, f"{state}; {entry}")


def _waiting(
    one: Template, proxy: Proxy | None, mesh: Mesh, namespace_labels: Mapping[str, Mapping[str, str]]
) -> Group:
    """A workload that does not run, with the sidecar that it gets: its calls are judged like those of a running one."""
    own = namespace_labels.get(one.namespace) or {}
    revision = str(one.labels.get("istio.io/rev") or own.get("istio.io/rev") or "")
    capture = in_mesh(Capture(), mesh.configs.get(revision, mesh.config))
    kind = proxy or Proxy.NONE
    return Group(one.namespace, one.name, one.labels, kind, revision, "istio", capture=capture, count=0)
