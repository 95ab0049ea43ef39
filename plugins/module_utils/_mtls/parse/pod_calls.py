# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What only `what_if` asks of a pod: who calls from it before its proxy is up, who scrapes it, and which ports the node has. Pure.

Order of init containers: istio pkg/kube/inject/webhook.go (reorderPod). istio-init makes the rules when it runs, istio-cni before the first
container; what is redirected before the proxy is up fails, with STRICT and without.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.model import Labels
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parse.capture import (
    MODE,
    PROXY_CONFIG,
    PROXY_ID,
    TRAFFIC,
    runs_as,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parse.metadata import Obj
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parse.monitor import Scrape, annotated
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parse.pod import PROXY_CONTAINER, Pod, pod

_INIT = "istio-init"
_OWN = frozenset({_INIT, "istio-validation", "enable-core-dump", PROXY_CONTAINER})
_USER_FLAGS = ("-u", "--proxy-uid")
_BYPASS = (
    f"{TRAFFIC}includeOutboundIPRanges",
    f"{TRAFFIC}excludeOutboundIPRanges",
    f"{TRAFFIC}excludeOutboundPorts",
    f"{TRAFFIC}excludeInterfaces",
    MODE,
    PROXY_CONFIG,
)


@dataclass(frozen=True, slots=True)
class InitContainer:
    """An init container of an application. `before_rules`: istio-init has not run yet; `proxied`: a native sidecar has started."""

    name: str
    before_rules: bool
    proxied: bool
    as_proxy: bool


@dataclass(frozen=True, slots=True)
class PodCalls:
    """A pod with its labels, all of them; `ports` are (name, number) of its containers, `host_ports` (port, number) of its node."""

    labels: Labels = field(default_factory=dict)
    ports: frozenset[tuple[str, int]] = frozenset()
    host_ports: frozenset[tuple[int, int]] = frozenset()
    scrape: Scrape | None = None
    inits: tuple[InitContainer, ...] = ()


@dataclass(frozen=True, slots=True)
class CallingPod(Pod):
    """A pod with what `what_if` asks."""

    calls: PodCalls = PodCalls()


def calling_pod(obj: Obj) -> CallingPod:
    """One pod, reduced."""
    made = pod(obj)
    return CallingPod(**{part.name: getattr(made, part.name) for part in fields(made)}, calls=pod_calls(obj))


def pod_calls(obj: Obj) -> PodCalls:
    """The facts of a pod or of a pod template."""
    meta, spec = obj.get("metadata") or {}, obj.get("spec") or {}
    ports = [
        port
        for container in spec.get("containers") or []
        if container.get("name") != PROXY_CONTAINER
        for port in container.get("ports") or []
        if str(port.get("protocol") or "TCP") == "TCP"
    ]
    return PodCalls(
        meta.get("labels") or {},
        frozenset((str(port.get("name") or ""), int(port["containerPort"])) for port in ports),
        frozenset((int(port["hostPort"]), int(port["containerPort"])) for port in ports if port.get("hostPort")),
        annotated(meta.get("annotations") or {}),
        tuple(_inits(spec)),
    )


def _inits(spec: Obj) -> Iterator[InitContainer]:
    containers = spec.get("initContainers") or []
    names = [str(container.get("name") or "") for container in containers]
    rules, proxy = _index(names, _INIT), _index(names, PROXY_CONTAINER)
    user = _proxy_user(containers[rules]) if rules is not None else PROXY_ID
    for number, container in enumerate(containers):
        if names[number] not in _OWN:
            before, after = rules is not None and number < rules, proxy is not None and number > proxy
            yield InitContainer(names[number], before, after, runs_as(spec, container, user, user))


def _index(names: list[str], name: str) -> int | None:
    return names.index(name) if name in names else None


def _proxy_user(container: Obj) -> str:
    """The user whose traffic istio-init leaves alone."""
    words = [str(word) for word in [*(container.get("command") or []), *(container.get("args") or [])]]
    for word, following in itertools.zip_longest(words, words[1:], fillvalue=""):
        name, _equals, value = word.partition("=")
        if name in _USER_FLAGS:
            return value or following
    return PROXY_ID


def bypasses(annotations: Mapping[str, Any], spec: Obj) -> list[str]:
    """Why calls of a pod that does not run yet may not pass the sidecar that it gets."""
    found = [f"annotation {name} may let its calls bypass the sidecar" for name in _BYPASS if annotations.get(name)]
    words = "runs as the proxy's user or group, whose traffic is left alone"
    found += [
        f"container {part.get('name')} {words}"
        for part in spec.get("containers") or []
        if part.get("name") != PROXY_CONTAINER and runs_as(spec, part, PROXY_ID, PROXY_ID)
    ]
    inits = [entry.name for entry in _inits(spec) if not entry.proxied]
    return found + [f"init container {name} may run before the sidecar" for name in inits]
