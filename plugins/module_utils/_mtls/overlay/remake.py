# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pods that do not exist yet: what a pod template, or a pod that restarts, becomes in the injector's hands. Pure.

Source: istio manifests/charts/istio-control/istio-discovery/files/injection-template.yaml.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.model import (
    Proxy,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.overlay.injection import Decision
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parse.capture import (
    MODE,
    PROXY_CONFIG,
    TRAFFIC,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parse.metadata import Obj
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parse.pod import PROXY_CONTAINER, Pod
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.pods import (
    Bare,
    Capture,
    Redirection,
)

_TEMPLATES = "inject.istio.io/templates"
_STATUS = "sidecar.istio.io/status"
_STATUS_PORT = "status.sidecar.istio.io/port"
_TLS_MODE = "security.istio.io/tlsMode"
_TUNNEL = "networking.istio.io/tunnel"
_REVISION = "istio.io/rev"
_AMBIENT = "ambient.istio.io/redirection"
_REWRITE = "sidecar.istio.io/rewriteAppHTTPProbers"
_INIT = frozenset({"istio-init", "istio-validation"})
# Annotations that stand for an argument of istio-init.
_FLAGS = {
    MODE: "-m",
    f"{TRAFFIC}includeOutboundIPRanges": "-i",
    f"{TRAFFIC}excludeOutboundIPRanges": "-x",
    f"{TRAFFIC}includeInboundPorts": "-b",
    f"{TRAFFIC}excludeInboundPorts": "-d",
    f"{TRAFFIC}includeOutboundPorts": "-q",
    f"{TRAFFIC}excludeOutboundPorts": "-o",
    f"{TRAFFIC}excludeInterfaces": "-c",
}
_PROBES = ("startupProbe", "livenessProbe", "readinessProbe", "lifecycle")

Reduce = Callable[[Obj], Any]


def traffic(annotations: Mapping[str, Any]) -> dict[str, str]:
    """The annotations of a pod that decide which traffic passes its sidecar."""
    return {
        str(name): str(value)
        for name, value in annotations.items()
        if name in (MODE, PROXY_CONFIG, _STATUS_PORT) or str(name).startswith(TRAFFIC)
    }


@dataclass(frozen=True, slots=True)
class Example:
    """What the injector gave a pod: the init containers, the annotations for istio-cni, and whether the pod takes Istio's tunnel."""

    init: tuple[Obj, ...] = ()
    annotations: Mapping[str, str] = field(default_factory=dict)
    hbone: bool = False


class Examples:
    """What the injectors of a mesh give a pod without wishes of its own, by revision, as seen at the pods that there are."""

    def __init__(self) -> None:
        self._found: dict[str, dict[str, Example]] = {}
        self.ambient = False  # whether any pod is in ambient mode
        self.replaced = (
            False  # whether the injector itself is changed, so that what it gave says nothing of what it will give
        )

    def see(self, raw: Obj, pod: Pod) -> None:
        """Learns from a pod of the cluster."""
        self.ambient = self.ambient or pod.group.kind is Proxy.AMBIENT
        own = pod.group.capture
        if pod.group.kind is not Proxy.SIDECAR or own.unclear:
            return
        annotations = traffic((raw.get("metadata") or {}).get("annotations") or {})
        if own.by is Redirection.INIT and annotations:
            return  # its own wishes are among the arguments
        given = tuple(part for part in (raw.get("spec") or {}).get("initContainers") or [] if part.get("name") in _INIT)
        if own.by is Redirection.CNI:
            given = tuple({"name": part["name"]} for part in given)
        found = Example(given, annotations, pod.group.hbone)
        compared = [[part.get("name"), part.get("args"), part.get("command")] for part in given]
        key = json.dumps([compared, annotations, found.hbone], sort_keys=True, default=str)
        self._found.setdefault(pod.group.revision, {}).setdefault(key, found)

    def of(self, revision: str) -> Example | str:
        """The example of a revision, or why there is none."""
        found = list(self._found.get(revision, {}).values())
        if self.replaced:
            return "the injector is changed, so which traffic will pass its sidecar is not known"
        if not found:
            return f"no pod of revision {revision} shows which traffic passes a new sidecar"
        if len(found) > 1:
            return f"pods of revision {revision} differ in which traffic passes their sidecars, so that of a new one is not known"
        return found[0]


def without_sidecar(raw: Obj) -> Obj:
    """A pod as it was before it was injected, as far as that can be told."""
    spec, meta = dict(raw.get("spec") or {}), dict(raw.get("metadata") or {})
    for name in ("containers", "initContainers"):
        spec[name] = [part for part in spec.get(name) or [] if part.get("name") not in {PROXY_CONTAINER, *_INIT}]
    removed = {_TLS_MODE, _TUNNEL, _STATUS, _REVISION, _AMBIENT}
    meta["annotations"] = {key: value for key, value in (meta.get("annotations") or {}).items() if key not in removed}
    meta["labels"] = {
        key: value for key, value in (meta.get("labels") or {}).items() if key not in removed - {_REVISION}
    }
    return {**raw, "metadata": meta, "spec": spec}


def made(raw: Obj, decision: Decision, examples: Examples, reduce: Reduce, was: Capture | None = None) -> Any:
    """The reduced pod that becomes of an uninjected one, or what `reduce` says of one that it cannot understand.

    `was` is what a pod of the same workload captures, when nothing that decides on it is changed.
    """
    meta, spec = raw.get("metadata") or {}, raw.get("spec") or {}
    annotations = meta.get("annotations") or {}
    if _STATUS in annotations and any(part.get("name") == PROXY_CONTAINER for part in spec.get("containers") or []):
        return reduce(raw)  # it was injected by hand
    if decision.injected is None:
        return unknown(reduce(raw), decision.why, decision.revision)
    if not decision.injected:
        if annotations.get(_TEMPLATES):
            why = f"it asks for template {annotations[_TEMPLATES]}, and {decision.why}"
            return unknown(reduce(raw), why, "")
        return _not_asked(reduce(without_sidecar(raw)))
    match str(annotations.get(_TEMPLATES) or "sidecar"):
        case "gateway":
            return reduce(_gateway(raw, decision.revision))
        case "sidecar":
            return _sidecar(raw, decision.revision, examples, reduce, was)
        case other:
            return unknown(reduce(raw), f"what injection template {other} makes of it is not known", decision.revision)


def unknown(pod: Any, why: str, revision: str = "") -> Any:
    """A pod of which nobody knows whether it has a sidecar, or what passes it."""
    if not isinstance(pod, Pod):
        return pod
    unclear = Capture(by=Redirection.NOBODY, mode="REDIRECT", unclear=why)
    group = replace(pod.group, kind=Proxy.SIDECAR, tls_label="istio", capture=unclear, revision=revision, why=Bare.NO)
    return replace(pod, group=group)


def _not_asked(pod: Any) -> Any:
    """A pod without a sidecar that does not tell itself why: no injector takes it."""
    if not isinstance(pod, Pod) or pod.group.kind is not Proxy.NONE or pod.group.why:
        return pod
    return replace(pod, group=replace(pod.group, why=Bare.NOT_ASKED))


def _gateway(raw: Obj, revision: str) -> Obj:
    spec = dict(raw.get("spec") or {})
    others = [part for part in spec.get("containers") or [] if part.get("name") != PROXY_CONTAINER]
    spec["containers"] = [*others, {"name": PROXY_CONTAINER, "args": ["proxy", "router"]}]
    return _told({**raw, "spec": spec}, revision, {"istio.io/rev": revision}, {})


def _told(raw: Obj, revision: str, labels: Mapping[str, str], annotations: Mapping[str, str]) -> Obj:
    """The pod with the labels and annotations of the injector. Its own labels go first."""
    meta = dict(raw.get("metadata") or {})
    meta["labels"] = {**labels, **(meta.get("labels") or {})}
    meta["annotations"] = {**annotations, **(meta.get("annotations") or {}), _REVISION: revision, _STATUS: "{}"}
    return {**raw, "metadata": meta}


def _sidecar(raw: Obj, revision: str, examples: Examples, reduce: Reduce, was: Capture | None) -> Any:
    example = examples.of(revision)
    given = Example() if isinstance(example, str) else example
    annotations = (raw.get("metadata") or {}).get("annotations") or {}
    wishes = traffic(annotations)
    spec = dict(raw.get("spec") or {})
    rewritten = str(annotations.get(_REWRITE, "true")) != "false"
    applications = [part for part in spec.get("containers") or [] if part.get("name") != PROXY_CONTAINER]
    if rewritten:
        applications = [{key: value for key, value in part.items() if key not in _PROBES} for part in applications]
    spec["containers"] = [*applications, {"name": PROXY_CONTAINER, "args": ["proxy", "sidecar"]}]
    none = wishes.get(MODE) == "NONE"
    init = () if none else tuple(_with(part, wishes) for part in given.init)
    spec["initContainers"] = [
        *init,
        *(part for part in spec.get("initContainers") or [] if part.get("name") not in _INIT),
    ]
    labels = {_TLS_MODE: "istio", **({_TUNNEL: "http"} if given.hbone else {})}
    whole = _told({**raw, "spec": spec}, revision, labels, given.annotations)
    pod = reduce(whole)
    if not isinstance(pod, Pod):
        return pod
    if was is not None:
        return replace(pod, group=replace(pod.group, capture=replace(was, as_proxy=pod.group.capture.as_proxy)))
    if isinstance(example, str) and not none:
        return unknown(pod, example, revision)
    if PROXY_CONFIG in wishes and MODE not in wishes:
        return unknown(pod, f"which traffic passes its sidecar with its own {PROXY_CONFIG} is not known", revision)
    return pod


def _with(container: Obj, wishes: Mapping[str, str]) -> Obj:
    """istio-init with the arguments that a pod's annotations ask for."""
    args = [str(word) for word in container.get("args") or []]
    for name, flag in _FLAGS.items():
        if name not in wishes:
            continue
        value = wishes[name]
        if flag == "-d":  # Istio's own ports are excluded in any case
            value = ",".join(["15090", "15021", "15020", *filter(None, [value])])
        if flag in args[:-1]:
            args[args.index(flag) + 1] = value
        else:
            args += [flag, value]
    return {**container, "args": args} if args else container
