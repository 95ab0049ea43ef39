# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: may change at any time without notice; only this collection may import it.
"""Closed paths inside open ones, and the HTTP routes of the gateway that refuse other spellings of them.

``spec`` is a loaded definition, ``route`` one of its routes.
"""

from __future__ import annotations

from typing import Any

from ansible_collections.servicemesh.platform.plugins.plugin_utils._service import paths
from ansible_collections.servicemesh.platform.plugins.plugin_utils._service.definition import covers, methods

Manifest = dict[str, Any]

_ANSWER = {
    "status": 400,
    "body": {
        "string": "This path can be read as another one. Send it without encoded separators, parameters and dot segments.\n"
    },
}


def policy_name(service: str) -> str:
    """Name of the AuthorizationPolicy of a service's closed paths."""
    return f"{service}-closed-paths"


def narrower(spec: Manifest, route: Manifest) -> list[Manifest]:
    """The routes below a route."""
    return [other for other in spec["routes"] if other is not route and covers(route["prefix"], other["prefix"])]


def closed_below(spec: Manifest, route: Manifest) -> list[Manifest]:
    """The routes below a route that refuse callers outside what this one allows."""
    return [other for other in narrower(spec, route) if route["ingress"] and _refuses_more(other, route)]


def closed(spec: Manifest) -> list[Manifest]:
    """All such routes of a service, in the order of its definition."""
    found = [other["prefix"] for route in spec["routes"] for other in closed_below(spec, route)]
    return [route for route in spec["routes"] if route["prefix"] in found]


def _refuses_more(inner: Manifest, outer: Manifest) -> bool:
    token = inner["require_jwt"] and not outer["require_jwt"]
    return bool(not inner["ingress"] or token or set(methods(outer["methods"])) - set(methods(inner["methods"])))


def first() -> Manifest:
    """The HTTP route that comes before all others of a host: hidden dot segments lead out of every prefix.

    ``/api/users/..%2F..%2Fmetrics`` is below ``/api/users`` for Envoy, and ``/metrics`` for a server that decodes before it resolves.
    """
    return {
        "name": "hidden-dot-segments",
        "match": [{"headers": {":path": {"regex": paths.HIDDEN_DOTS}}}],
        "directResponse": _ANSWER,
    }


def before(spec: Manifest, route: Manifest, name: str) -> list[Manifest]:
    """The HTTP routes that come directly before that of a route for callers outside, ``name``: one, if there are closed paths below.

    It refuses what may be read as one of these: Envoy compares text. Requests that Envoy itself takes for the closed path have been
    answered by its own route, which comes earlier. The conditions are on the header ``:path``, so that a delegate may have them: a root's
    prefix and a delegate's regular expression of ``uri`` conflict (istio pilot/pkg/model/virtualservice.go, stringMatchConflict).
    """
    inner = closed_below(spec, route)
    if not inner:
        return []
    uri = {"prefix": "/" if route["prefix"] == "/" else f"{route['prefix']}/"}
    matches: list[Manifest] = [{"uri": uri, "headers": {":path": {"regex": paths.AMBIGUOUS}}}]
    matches += [
        {
            "uri": uri,
            "headers": {":path": {"regex": paths.in_any_case(other["prefix"])}},
            "withoutHeaders": {":path": {"prefix": other["prefix"]}},
        }
        for other in inner
    ]
    return [{"name": f"{name}-other-spellings", "match": matches, "directResponse": _ANSWER}]
