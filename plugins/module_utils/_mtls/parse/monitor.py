# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Prometheus is told to scrape: ServiceMonitor, PodMonitor, and annotations `prometheus.io/…`. Pure.

Shapes: prometheus-operator pkg/apis/monitoring/v1. Which Prometheus reads them is not looked at.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.model import LabelSelector, Sent
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parse.label_selector import label_selector
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parse.metadata import Obj, identity

_CERTIFICATE = ("cert", "certFile")
_UNUSUAL = re.compile("[^a-zA-Z0-9_]")
_TRUE = frozenset({"1", "t", "T", "TRUE", "true", "True"})


@dataclass(frozen=True, slots=True)
class Scrape:
    """One endpoint of a monitor. `port` is the name of a port: of the Service, or with `of_container` of the container; `number` is the
    container's. Neither stands for every port.
    """

    sends: Sent
    port: str = ""
    number: int = 0
    of_container: bool = False


@dataclass(frozen=True, slots=True)
class Monitor:
    """A ServiceMonitor or a PodMonitor. `namespaces` is None for all."""

    key: str
    selector: LabelSelector
    namespaces: frozenset[str] | None
    scrapes: tuple[Scrape, ...]


def monitor(endpoints: str, obj: Obj) -> Monitor:
    """One monitor, reduced; `endpoints` is the field of its spec with the endpoints."""
    namespace, name, _created = identity(obj)
    spec = obj.get("spec") or {}
    chosen = spec.get("namespaceSelector") or {}
    spaces = None if chosen.get("any") else frozenset(str(one) for one in chosen.get("matchNames") or [namespace])
    scrapes = tuple(_scrape(part, pods=endpoints != "endpoints") for part in spec.get(endpoints) or [])
    return Monitor(f"{namespace}/{name}", label_selector(spec.get("selector") or {}), spaces, scrapes)


def _scrape(part: Obj, *, pods: bool) -> Scrape:
    """`port` goes before `portNumber`, and both before `targetPort` (pkg/prometheus/promcfg.go)."""
    sends = _sent(part)
    if part.get("port"):
        return Scrape(sends, port=str(part["port"]), of_container=pods)
    if part.get("portNumber"):
        return Scrape(sends, number=int(part["portNumber"]))
    target: Any = part.get("targetPort")
    if isinstance(target, str) and target and not target.isdecimal():
        return Scrape(sends, port=target, of_container=True)
    return Scrape(sends, number=int(target or 0))


def _sent(part: Obj) -> Sent:
    """With a certificate of its own a scrape may be one that the mesh takes: the sidecar of Prometheus can write one to a volume."""
    if str(part.get("scheme") or "http").lower() != "https":
        return Sent.PLAINTEXT
    settings = part.get("tlsConfig") or {}
    return Sent.UNKNOWN if any(settings.get(name) for name in _CERTIFICATE) else Sent.TLS


def annotated(annotations: Mapping[str, Any]) -> Scrape | None:
    """What annotations ask for. Characters that no label of Prometheus has count as `_` (istio pkg/kube/inject/webhook.go)."""
    if not annotations or not any("scrape" in name for name in annotations):
        return None
    found = {_UNUSUAL.sub("_", name): str(value) for name, value in annotations.items()}
    if found.get("prometheus_io_scrape") not in _TRUE:
        return None
    port = found.get("prometheus_io_port") or ""
    sends = Sent.TLS if found.get("prometheus_io_scheme", "").lower() == "https" else Sent.PLAINTEXT
    return Scrape(sends, number=int(port) if port.isdecimal() else 0)
