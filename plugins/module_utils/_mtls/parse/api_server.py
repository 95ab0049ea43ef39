# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whom the API server calls: webhooks of admission and conversion, and aggregated APIs. Pure.

Shapes: k8s.io/api admissionregistration/v1 (WebhookClientConfig), apiextensions/v1 (WebhookConversion), kube-aggregator apiregistration/v1
(APIServiceSpec). All of them are TLS with certificates that are not the mesh's, and to port 443 of the Service unless another is named.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parse.metadata import Obj, identity

_PORT = 443


@dataclass(frozen=True, slots=True)
class Target:
    """A Service (`namespace/name`) or the host of a URL, a port, and the object that names it."""

    caller: str
    service: str
    host: str
    port: int


def webhooks(kind: str, obj: Obj) -> tuple[Target, ...]:
    """Targets of a ValidatingWebhookConfiguration or a MutatingWebhookConfiguration."""
    where = f"{kind} {identity(obj)[1]}"
    found = (_target(f"{where}, webhook {part['name']}", part["clientConfig"]) for part in obj.get("webhooks") or [])
    return tuple(target for target in found if target)


def conversion(obj: Obj) -> tuple[Target, ...]:
    """The target of a CustomResourceDefinition's conversion webhook."""
    spec = (obj.get("spec") or {}).get("conversion") or {}
    if spec.get("strategy") != "Webhook":
        return ()
    target = _target(f"CustomResourceDefinition {identity(obj)[1]}", (spec.get("webhook") or {})["clientConfig"])
    return (target,) if target else ()


def api_service(obj: Obj) -> tuple[Target, ...]:
    """The target of an APIService. One without a service is answered by the API server itself."""
    service = (obj.get("spec") or {}).get("service")
    if not service:
        return ()
    target = _target(f"APIService {identity(obj)[1]}", {"service": service})
    return (target,) if target else ()


def _target(caller: str, config: Obj) -> Target | None:
    service = config.get("service")
    if service:
        key = f"{service['namespace']}/{service['name']}"
        return Target(caller, key, "", int(service.get("port") or _PORT))
    url = urlsplit(str(config.get("url") or ""))
    return Target(caller, "", url.hostname, url.port or _PORT) if url.hostname else None
