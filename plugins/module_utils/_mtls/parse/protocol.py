# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Istio takes a port's traffic for. Pure.

Sources: istio pkg/config/kube/conversion.go (ConvertProtocol), pkg/config/protocol/instance.go (Parse), pilot/pkg/networking/networking.go
(ModelProtocolToListenerProtocol).
"""

from __future__ import annotations

from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parts import (
    Spoken,
)

_HTTP = frozenset({"http", "http2", "http_proxy", "grpc", "grpc-web"})
_TCP = frozenset({"tcp", "mongo", "redis", "mysql"})
_TLS = frozenset({"https", "tls"})
_OF_KUBERNETES = {"kubernetes.io/h2c": "http2", "kubernetes.io/ws": "http", "kubernetes.io/wss": "https"}
_NEVER_SNIFFED = frozenset({25, 53, 3306, 27017})


def of_service_port(number: int, name: str, app_protocol: str | None) -> Spoken:
    """Of a port of a Kubernetes Service: by appProtocol, else by the prefix of its name."""
    text = name if app_protocol is None else _OF_KUBERNETES.get(app_protocol, app_protocol)
    if text.lower().startswith("grpc-web"):
        return Spoken.HTTP
    found = spoken(text.partition("-")[0])
    return Spoken.TCP if found is Spoken.EITHER and number in _NEVER_SNIFFED else found


def spoken(protocol: str) -> Spoken:
    """Of a protocol's name, as a ServiceEntry states it. A name that Istio does not know is found out for each connection."""
    if protocol.lower() in _HTTP:
        return Spoken.HTTP
    if protocol.lower() in _TLS:
        return Spoken.TLS
    return Spoken.TCP if protocol.lower() in _TCP else Spoken.EITHER
