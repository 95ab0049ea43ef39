# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pod: its proxy, what its sidecar captures, its addresses and whether its proxy can be asked. Pure."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._kube.readiness import condition
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.model import (
    Group,
    Proxy,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parse.capture import capture, variable
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parse.metadata import Obj
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.pods import (
    INJECT,
    NEVER_INJECTED,
    Bare,
    Capture,
    Role,
)

PROXY_CONTAINER = "istio-proxy"
_AGENT_PORT = 15020
_STATUS = "sidecar.istio.io/status"
_REDIRECTION = "ambient.istio.io/redirection"
_BYPASS = "ambient.istio.io/bypass-inbound-capture"
_TRUE = frozenset({"1", "t", "T", "TRUE", "true", "True"})  # as Go's strconv.ParseBool
# Pods that clusters and Istio's charts mark as their own: by priority class (DNS, CNI, ztunnel), and istiod, which has none.
_PRIORITIES = frozenset({"system-cluster-critical", "system-node-critical"})
_ISTIOD = ("app", "istiod")


@dataclass(frozen=True, slots=True)
class Pod:
    """The parts of a pod that are kept. `group` holds its facts as a group of one; `up` is whether its proxy can be asked."""

    name: str
    group: Group
    ips: tuple[str, ...]
    up: bool
    uid: str = ""


def pod(obj: Obj) -> Pod:
    """One pod, reduced."""
    meta, spec, status = obj["metadata"], obj.get("spec") or {}, obj.get("status") or {}
    labels, annotations = meta.get("labels") or {}, meta.get("annotations") or {}
    host_network = bool(spec.get("hostNetwork"))
    proxy = _proxy(spec)
    redirection = annotations.get(_REDIRECTION)
    ambient = redirection == "enabled"
    if proxy is Proxy.NONE and redirection in ("enabled", "pending"):
        proxy = Proxy.AMBIENT
    bare = proxy is Proxy.NONE
    group = Group(
        str(meta.get("namespace") or ""),
        _owner(obj),
        labels,
        proxy,
        "" if bare else _revision(labels, annotations),
        str(labels.get("security.istio.io/tlsMode") or "disabled"),
        ambient or labels.get("networking.istio.io/tunnel") == "http",
        host_network,
        _capture(obj, proxy, annotations),
        _why(meta, host_network) if bare else Bare.NO,
        str(spec.get("serviceAccountName") or "default"),
        _probes(spec) if proxy is Proxy.SIDECAR else frozenset(),
        role=_role(meta, spec) if bare else Role.APPLICATION,
    )
    ips = tuple(str(entry.get("ip")) for entry in status.get("podIPs") or [] if entry.get("ip"))
    ips = ips or ((status["podIP"],) if status.get("podIP") else ())
    up = not meta.get("deletionTimestamp") and _is_ready(obj)
    return Pod(str(meta.get("name") or ""), group, ips, up, str(meta.get("uid") or ""))


def _revision(labels: Mapping[str, str], annotations: Mapping[str, str]) -> str:
    """The revision that serves a pod: the injector writes it down. The label may be a revision tag, which istiod's webhook resolved.

    Sources: istio injection-template.yaml (annotation istio.io/rev), pkg/kube/inject/webhook.go (its status). Ambient pods have none: their
    node's ztunnel does.
    """
    if annotations.get("istio.io/rev"):
        return str(annotations["istio.io/rev"])
    if _STATUS not in annotations:
        return "" if _REDIRECTION in annotations else str(labels.get("istio.io/rev") or "")
    return _revision_of_status(annotations[_STATUS]) or str(labels.get("istio.io/rev") or "")


@functools.lru_cache(maxsize=256)
def _revision_of_status(text: str) -> str:
    try:
        status = json.loads(text)
    except ValueError:
        return ""
    return str(status.get("revision") or "") if isinstance(status, dict) else ""


def _capture(obj: Obj, proxy: Proxy, annotations: Mapping[str, str]) -> Capture:
    """What the pod's proxy gets of its traffic.

    Of an ambient pod (istio cni/pkg/nodeagent/net.go): ztunnel always gets the tunnel's port, and nothing else with bypass-inbound-capture.
    """
    redirection = annotations.get(_REDIRECTION)
    if proxy is Proxy.SIDECAR:
        why = "it has a sidecar and ambient redirection; which of them gets the traffic is not known"
        return Capture(unclear=why) if redirection in ("enabled", "pending") else capture(obj)
    if proxy is not Proxy.AMBIENT:
        return Capture()
    if redirection == "pending":
        return Capture(unclear="its redirection to ztunnel is pending, so it is not known what passes it")
    return Capture(include_in=frozenset()) if annotations.get(_BYPASS) in _TRUE else Capture()


def _owner(pod: Obj) -> str:
    """Name of the workload: the Deployment of a ReplicaSet, else the controller, else the pod itself."""
    meta = pod["metadata"]
    for owner in meta.get("ownerReferences") or []:
        if owner.get("controller"):
            name = str(owner.get("name") or "")
            hashed = (meta.get("labels") or {}).get("pod-template-hash")
            if owner.get("kind") == "ReplicaSet" and hashed:
                return name.removesuffix(f"-{hashed}")
            return name
    return str(meta.get("name") or "")


def _proxy(spec: Obj) -> Proxy:
    """The pod's own proxy by its container's arguments. A native sidecar is an init container.

    A gRPC application with GRPC_XDS_BOOTSTRAP gets its configuration itself; the agent beside it runs no Envoy (istio grpc-agent.yaml).
    """
    if any(
        entry.get("name") == "GRPC_XDS_BOOTSTRAP" for c in spec.get("containers") or [] for entry in c.get("env") or []
    ):
        return Proxy.PROXYLESS
    native = [c for c in spec.get("initContainers") or [] if c.get("restartPolicy") == "Always"]
    for container in [*(spec.get("containers") or []), *native]:
        if container.get("name") == PROXY_CONTAINER:
            args = list(container.get("args") or [])
            if variable(container, "DISABLE_ENVOY") in _TRUE:
                return Proxy.PROXYLESS
            role = args[1] if len(args) > 1 and args[0] == "proxy" else ""
            return {"router": Proxy.GATEWAY, "waypoint": Proxy.WAYPOINT}.get(role, Proxy.SIDECAR)
    return Proxy.NONE


def _probes(spec: Obj) -> frozenset[tuple[int, str]]:
    """What the kubelet asks the pod's applications by HTTP or gRPC, as (container port, name).

    Probes that the injector has rewritten go to port 15020 (istio pkg/kube/inject/app_probe.go). A TCP probe only connects, which the
    sidecar accepts, and a request with a host of its own does not go to the pod.
    """
    found: set[tuple[int, str]] = set()
    for container in [*(spec.get("containers") or []), *(spec.get("initContainers") or [])]:
        hooks = container.get("lifecycle") or {}
        asked = {name: container.get(name) or {} for name in ("startupProbe", "livenessProbe", "readinessProbe")}
        asked |= {f"lifecycle.{name}": hooks.get(name) or {} for name in ("postStart", "preStop")}
        for name, probe in asked.items():
            request = probe.get("grpc") or probe.get("httpGet") or {}
            port = _number(container, request.get("port"))
            if container.get("name") != PROXY_CONTAINER and port and not request.get("host") and port != _AGENT_PORT:
                found.add((port, name))
    return frozenset(found)


def _number(container: Obj, port: Any) -> int:
    """A port's number; a name is one of the container's own ports. 0 for none."""
    if isinstance(port, int):
        return port
    return next((int(entry["containerPort"]) for entry in container.get("ports") or [] if entry.get("name") == port), 0)


def _is_ready(obj: Obj) -> bool:
    """Whether the proxy has its configuration, which its readiness probe tells; of a pod without one, whether the pod is ready.

    A proxy that starts has no listener yet, and one that ends has none any more. Neither proves anything about the mesh.
    """
    status = obj.get("status") or {}
    for entry in [*(status.get("containerStatuses") or []), *(status.get("initContainerStatuses") or [])]:
        if entry.get("name") == PROXY_CONTAINER:
            return bool(entry.get("ready"))
    return condition(obj, "Ready").get("status") == "True"


def _why(meta: Mapping[str, Any], host_network: bool) -> Bare:
    """Why a pod has no sidecar, as far as the pod tells (istio pkg/kube/inject/inject.go, injectRequired)."""
    labels, annotations = meta.get("labels") or {}, meta.get("annotations") or {}
    if host_network:
        return Bare.HOST_NETWORK
    if meta.get("namespace") in NEVER_INJECTED:
        return Bare.IGNORED
    wish = labels.get(INJECT) or annotations.get(INJECT)
    if wish == "false":
        return Bare.REFUSED
    if _STATUS in annotations:
        return Bare.REMOVED
    return Bare.MISSED if wish == "true" else Bare.NO


def _role(meta: Mapping[str, Any], spec: Obj) -> Role:
    """What a pod without a sidecar is for."""
    name, value = _ISTIOD
    system = meta.get("namespace") in NEVER_INJECTED or spec.get("priorityClassName") in _PRIORITIES
    if system or (meta.get("labels") or {}).get(name) == value:
        return Role.SYSTEM
    if any(port.get("hostPort") for part in spec.get("containers") or [] for port in part.get("ports") or []):
        return Role.ENTRANCE
    owners = meta.get("ownerReferences") or []
    return Role.JOB if any(o.get("controller") and o.get("kind") == "Job" for o in owners) else Role.APPLICATION
