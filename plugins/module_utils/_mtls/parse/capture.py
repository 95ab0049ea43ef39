# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which traffic of a pod passes its sidecar: what istio-init was told, or what istio-cni reads from the pod. Pure.

Sources: istio tools/istio-iptables/pkg/cmd/root.go (arguments), pkg/capture/run.go (what they do), cni/pkg/plugin/sidecar_redirect.go
(annotations and their defaults), manifests/charts/istio-control/istio-discovery/files/injection-template.yaml (what a pod gets).
"""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._kube import kubectl_yaml
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import KubeError
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parse.metadata import Obj
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.pods import (
    Capture,
    Redirection,
)

# Annotations of a pod: those about its traffic begin with the first.
TRAFFIC = "traffic.sidecar.istio.io/"
MODE = "sidecar.istio.io/interceptionMode"
PROXY_CONFIG = "proxy.istio.io/config"
_PROGRAM = "istio-iptables"
PROXY_ID = "1337"
# Arguments that decide here, by their short and their long form: istio-iptables' name -> ours.
_DECIDES = {
    "m": "mode", "istio-inbound-interception-mode": "mode",
    "b": "include_in", "istio-inbound-ports": "include_in",
    "d": "exclude_in", "istio-local-exclude-ports": "exclude_in",
    "i": "include_ranges", "istio-service-cidr": "include_ranges",
    "x": "exclude_ranges", "istio-service-exclude-cidr": "exclude_ranges",
    "q": "include_out", "istio-outbound-ports": "include_out",
    "o": "exclude_out", "istio-local-outbound-ports-exclude": "exclude_out",
    "u": "uid", "proxy-uid": "uid",
    "g": "gid", "proxy-gid": "gid",
    "c": "interfaces", "istio-exclude-interfaces": "interfaces",
}  # fmt: skip
# Arguments that change where redirected traffic goes, or how the rules are written, and not which traffic it is.
_IRRELEVANT = frozenset({
    "p", "envoy-port", "z", "inbound-capture-port", "e", "inbound-tunnel-port", "t", "istio-inbound-tproxy-mark",
    "r", "istio-inbound-tproxy-route-table", "k", "kube-virt-interfaces", "iptables-probe-port", "probe-timeout", "run-validation",
    "redirect-dns", "drop-invalid", "dual-stack", "capture-all-dns", "reconcile", "force-apply", "native-nftables",
    "force-iptables-binary", "iptables-trace-logging", "log_output_level", "log_as_json", "log_target", "log_stacktrace_level",
    "log_caller",
})  # fmt: skip
_SWITCHES = frozenset({
    "run-validation", "redirect-dns", "drop-invalid", "dual-stack", "capture-all-dns", "reconcile", "force-apply", "native-nftables",
    "iptables-trace-logging", "log_as_json",
})  # fmt: skip
# Annotations that istio-cni reads, and that the injector makes arguments of -> our name.
_ANNOTATED = {
    f"{TRAFFIC}includeOutboundIPRanges": "include_ranges",
    f"{TRAFFIC}excludeOutboundIPRanges": "exclude_ranges",
    f"{TRAFFIC}includeInboundPorts": "include_in",
    f"{TRAFFIC}excludeInboundPorts": "exclude_in",
    f"{TRAFFIC}includeOutboundPorts": "include_out",
    f"{TRAFFIC}excludeOutboundPorts": "exclude_out",
    f"{TRAFFIC}excludeInterfaces": "interfaces",
    MODE: "mode",
}
ANNOTATIONS = (
    *_ANNOTATED,
    f"{TRAFFIC}kubevirtInterfaces",
)  # the last one says whose calls are outbound, and not which pass
# Variables that istio-iptables reads for arguments that were not given, and those that have no argument.
_VARIABLES = frozenset({
    "ISTIO_INBOUND_INTERCEPTION_MODE", "INBOUND_INTERCEPTION_MODE", "ISTIO_INBOUND_PORTS", "ISTIO_LOCAL_EXCLUDE_PORTS",
    "ISTIO_EXCLUDE_INTERFACES", "ISTIO_SERVICE_CIDR", "ISTIO_SERVICE_EXCLUDE_CIDR", "ISTIO_OUTBOUND_PORTS",
    "ISTIO_LOCAL_OUTBOUND_PORTS_EXCLUDE", "PROXY_UID", "PROXY_GID", "SKIP_RULE_APPLY", "CLEANUP_ONLY", "DRY_RUN", "NETWORK_NAMESPACE",
    "CNI_MODE", "ISTIO_OUTBOUND_OWNER_GROUPS", "ISTIO_OUTBOUND_OWNER_GROUPS_EXCLUDE",
})  # fmt: skip


class _UnclearError(Exception):
    """Something of a pod's redirection that is not understood; the argument says what."""


def capture(obj: Obj) -> Capture:
    """What a pod with a sidecar captures."""
    spec = obj.get("spec") or {}
    annotations: Mapping[str, Any] = (obj.get("metadata") or {}).get("annotations") or {}
    own = _own_mode(annotations)
    proxys = _mode_of_proxy(spec)
    told = _program(spec)
    try:
        if told is not None and told.get("name") != "istio-validation":
            return _agreed(_capture(Redirection.INIT, _arguments(told), spec, own), proxys)
        if told is not None or MODE in annotations:
            return _agreed(_capture(Redirection.CNI, _annotated(annotations), spec, own), proxys)
    except _UnclearError as unclear:
        return Capture(by=Redirection.NOBODY, mode=own, unclear=str(unclear))
    return Capture(by=Redirection.NOBODY, mode=proxys or own, as_proxy=_as_proxy(spec, PROXY_ID, PROXY_ID))


def _program(spec: Obj) -> Obj | None:
    """The init container that runs istio-iptables: istio-init makes the rules, istio-validation looks whether istio-cni has made them."""
    for container in spec.get("initContainers") or []:
        words = [*(container.get("command") or []), *(container.get("args") or [])]
        if _PROGRAM in words or container.get("name") in ("istio-init", "istio-validation"):
            return container
    return None


def variable(container: Obj, name: str) -> str:
    """The plain value of a container's environment variable, empty without one; of two the last counts."""
    found = [str(entry.get("value") or "") for entry in container.get("env") or [] if entry.get("name") == name]
    return found[-1] if found else ""


def _mode_of_proxy(spec: Obj) -> str:
    """The interceptionMode that the proxy tells istiod, which makes its listeners by it (istio pilot/pkg/networking/core/listener.go)."""
    for container in [*(spec.get("containers") or []), *(spec.get("initContainers") or [])]:
        if container.get("name") == "istio-proxy":
            return variable(container, "ISTIO_META_INTERCEPTION_MODE")
    return ""


def _agreed(found: Capture, proxys: str) -> Capture:
    """A capture whose redirection and proxy were told the same mode."""
    if proxys and found.mode and proxys != found.mode:
        raise _UnclearError(
            f"traffic is redirected with interceptionMode {found.mode}, and the proxy was told {proxys}"
        )
    return found


def _own_mode(annotations: Mapping[str, Any]) -> str:
    """The pod's own interceptionMode, by its annotations; that of `proxy.istio.io/config` comes second."""
    if annotations.get(MODE):
        return str(annotations[MODE])
    text = annotations.get(PROXY_CONFIG)
    try:
        config = proxy_config(text) if isinstance(text, str) and text else None
    except KubeError:
        return ""
    return str(config.get("interceptionMode") or "") if isinstance(config, dict) else ""


@functools.lru_cache(maxsize=256)
def proxy_config(text: str) -> Any:
    """A pod's own ProxyConfig, a dict when it is well-formed; the pods of a mesh have few different ones. Raises KubeError."""
    return kubectl_yaml.value(text)


def _arguments(container: Obj) -> dict[str, str]:
    """What istio-init was told, by our names."""
    found: dict[str, str] = {}
    words = [str(word) for word in [*(container.get("command") or []), *(container.get("args") or [])]]
    for name, value in _flags(iter(words[words.index(_PROGRAM) + 1 :] if _PROGRAM in words else words)):
        if name in _DECIDES:
            found[_DECIDES[name]] = value
        elif name not in _IRRELEVANT:
            raise _UnclearError(f"istio-init has argument {name}, which is not known here")
    for entry in container.get("env") or []:
        if entry.get("name") in _VARIABLES:
            raise _UnclearError(f"istio-init has variable {entry['name']}, which is not read here")
    if container.get("envFrom"):
        raise _UnclearError("istio-init has envFrom, which is not read here")
    return found


def _flags(words: Iterator[str]) -> Iterator[tuple[str, str]]:
    """(name, value) of `-b *`, `-b=*`, `--istio-inbound-ports *` and `--run-validation`."""
    for word in words:
        if not word.startswith("-"):
            raise _UnclearError(f"istio-init has argument {word}, which is not known here")
        name, equals, value = word.lstrip("-").partition("=")
        if not equals and name not in _SWITCHES:
            value = next(words, "")
        yield name, value


def _annotated(annotations: Mapping[str, Any]) -> dict[str, str]:
    """What istio-cni reads from the pod, by our names, with its defaults."""
    told = {
        "mode": "REDIRECT",
        "include_ranges": "*",
        "include_in": "*",
        "exclude_in": "15020",
        "exclude_out": "15020",
    }
    return told | {ours: str(annotations[name]) for name, ours in _ANNOTATED.items() if name in annotations}


def _capture(by: Redirection, told: Mapping[str, str], spec: Obj, own: str) -> Capture:
    """The rules that follow from what was told. istio-iptables' own default is to redirect nothing (pkg/config, DefaultConfig)."""
    if told.get("interfaces", "").strip():
        raise _UnclearError(
            f"network interfaces are excluded ({told['interfaces']}); which traffic uses them is not known"
        )
    mode = told.get("mode", "").strip() or own
    if mode not in ("", "REDIRECT", "TPROXY", "NONE"):
        raise _UnclearError(f"interceptionMode {mode} is not known here")
    included = told.get("include_in", "").strip()
    uid = told.get("uid", "").strip() or PROXY_ID
    return Capture(
        by=by,
        mode=mode,
        include_in=None if included == "*" else _ports(included),
        exclude_in=_ports(told.get("exclude_in", "")),
        include_out=_ports(told.get("include_out", "")),
        exclude_out=_ports(told.get("exclude_out", "")),
        include_out_ranges=_ranges(told.get("include_ranges", "")),
        exclude_out_ranges=_ranges(told.get("exclude_ranges", "")),
        as_proxy=_as_proxy(spec, uid, told.get("gid", "").strip() or uid),
    )


def _ports(text: str) -> frozenset[int]:
    words = [part.strip() for part in text.split(",")]
    for word in words:
        if word and not word.isdecimal():
            raise _UnclearError(f"'{word}' in a list of ports is no port")
    return frozenset(int(word) for word in words if word)


def _ranges(text: str) -> tuple[str, ...]:
    words = tuple(part.strip() for part in text.split(",") if part.strip())
    for word in words if words != ("*",) else ():
        try:
            ipaddress.ip_network(word, strict=False)
        except ValueError:
            raise _UnclearError(f"'{word}' in a list of IP ranges is no range") from None
    return words


def _as_proxy(spec: Obj, uid: str, gid: str) -> str:
    """Name of a container, other than the proxy, that runs with the proxy's user or group; istio-iptables leaves its traffic alone."""
    found = (container for container in _applications(spec) if runs_as(spec, container, uid, gid))
    return next((str(container.get("name") or "") for container in found), "")


def runs_as(spec: Obj, container: Obj, uid: str, gid: str) -> bool:
    """Whether a container of a pod runs with a user or a group."""
    context = {**(spec.get("securityContext") or {}), **(container.get("securityContext") or {})}
    return str(context.get("runAsUser", "")) == uid or str(context.get("runAsGroup", "")) == gid


def _applications(spec: Obj) -> Iterable[Obj]:
    return [container for container in spec.get("containers") or [] if container.get("name") != "istio-proxy"]
