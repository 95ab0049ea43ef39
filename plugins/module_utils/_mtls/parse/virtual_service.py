# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VirtualService. Pure.

Sources: istio pilot/pkg/model/virtualservice.go (ResolveVirtualServiceShortnames), pilot/pkg/networking/core/route/route.go (which
destinations and mirrors get calls, and which match takes all of them), pilot/pkg/networking/core/tls.go (TCP and TLS routes).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parse.metadata import (
    Obj,
    full_host,
    identity,
    texts,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parts import (
    Match,
    Route,
    Target,
    VirtualService,
)

MESH_GATEWAY = "mesh"
_OF_THE_CLIENT = frozenset(
    {"name", "statPrefix", "port", "gateways", "sourceLabels", "sourceNamespace", "ignoreUriCase"}
)
_EVERY_PATH = frozenset({("prefix", "/"), ("regex", ".*")})


def virtual_service(obj: Obj, domain: str) -> VirtualService:
    """A VirtualService."""
    namespace, name, created = identity(obj)
    spec = obj.get("spec") or {}

    def target(node: Obj) -> Target:
        return Target(
            full_host(str(node["host"]), namespace, domain).lower(),
            int((node.get("port") or {}).get("number") or 0),
            str(node.get("subset") or ""),
        )

    gateways = spec.get("gateways") or [MESH_GATEWAY]
    return VirtualService(
        namespace,
        name,
        created,
        tuple(full_host(str(host), namespace, domain).lower() for host in spec.get("hosts") or []),
        MESH_GATEWAY in gateways,
        tuple(spec.get("exportTo") or ()),
        tuple(_http(part, namespace, target) for part in spec.get("http") or []),
        tuple(_connections(part, target) for part in spec.get("tcp") or []),
        tuple(_connections(part, target) for part in spec.get("tls") or []),
    )


def _http(part: Obj, namespace: str, target: Any) -> Route:
    """A redirect or a direct response has no targets, and a delegate has its own."""
    answered = part.get("redirect") is not None or part.get("directResponse") is not None
    delegate = part.get("delegate")
    copied = part.get("mirror") and _copies(
        part.get("mirrorPercentage"), part.get("mirrorPercent", part.get("mirror_percent"))
    )
    return Route(
        tuple(_http_match(match) for match in part.get("match") or []),
        () if answered else _weighted(part, target),
        (target(part["mirror"]),) if copied and not answered else (),
        tuple(
            target(entry["destination"])
            for entry in part.get("mirrors") or []
            if entry.get("destination") and _copies(entry.get("percentage"), None) and not answered
        ),
        f"{delegate.get('namespace') or namespace}/{delegate['name']}" if delegate else "",
        _named(part, target),
    )


def _weighted(part: Obj, target: Any) -> tuple[Target, ...]:
    """Destinations that get calls: a single one whatever its weight, of several those with a weight."""
    entries = part.get("route") or []
    return tuple(target(entry["destination"]) for entry in entries if len(entries) == 1 or entry.get("weight"))


def _copies(percentage: Any, percent: Any) -> bool:
    """Whether anything is mirrored: everything, unless a share of zero is stated."""
    if percentage is not None:
        return bool(percentage.get("value"))
    return percent is None or bool(percent)


def _http_match(part: Obj) -> Match:
    """With `gateways`, the labels and the namespace of the client are not looked at (route.go, sourceMatchHTTP)."""
    gateways = tuple(part.get("gateways") or ())
    conditions: dict[str, tuple[str, str]] = {}
    always = True
    for field, node in part.items():
        if field in _OF_THE_CLIENT:
            continue
        if field in ("headers", "withoutHeaders", "queryParams"):
            conditions |= {f"{field}.{key}": _text_match(value) for key, value in (node or {}).items()}
            always = always and not node
        else:
            conditions[field] = _text_match(node)
            always = always and field == "uri" and conditions[field] in _EVERY_PATH
    return Match(
        int(part.get("port") or 0),
        "" if gateways else str(part.get("sourceNamespace") or ""),
        {} if gateways else texts(part.get("sourceLabels")),
        gateways,
        conditions,
        always,
    )


def _text_match(node: Any) -> tuple[str, str]:
    """A StringMatch as (kind, value). Of an empty one, which only asks for presence, the kind is empty."""
    if isinstance(node, Mapping):
        return next(((str(kind), str(value)) for kind, value in node.items()), ("", ""))
    return "", str(node)


def _connections(part: Obj, target: Any) -> Route:
    """A route of `tcp` or `tls`. A match that names no destination subnets takes all connections, as far as its server names go."""
    matches = tuple(_l4_match(match) for match in part.get("match") or [])
    return Route(matches, _weighted(part, target), named=_named(part, target))


def _named(part: Obj, target: Any) -> tuple[str, ...]:
    """The hosts of all destinations and mirrors, whatever their share is."""
    entries = [*(part.get("route") or []), *(part.get("mirrors") or []), {"destination": part.get("mirror")}]
    return tuple(dict.fromkeys(target(entry["destination"]).host for entry in entries if entry.get("destination")))


def _l4_match(part: Obj) -> Match:
    subnets, names = part.get("destinationSubnets") or [], part.get("sniHosts") or []
    return Match(
        int(part.get("port") or 0),
        str(part.get("sourceNamespace") or ""),
        texts(part.get("sourceLabels")),
        tuple(part.get("gateways") or ()),
        {"runtime": (",".join(names), ",".join(subnets))},
        not subnets,
    )
