# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A request from outside through the gateway and a sidecar, by the routes and rules that Istio's own code sends them.

Routes and rules are Envoy's API as JSON (config/route/v3, config/rbac/v3). A part that is not known here is an error and never a match.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from tests.path_readings import normalised

Obj = dict[str, Any]

GATEWAY = "spiffe://cluster.local/ns/istio-system/sa/istio-ingressgateway"


@dataclass(frozen=True)
class Request:
    """A request as a proxy sees it. `target`: path and query; `claims`: of a valid token."""

    host: str
    target: str
    method: str
    principal: str = ""
    claims: tuple[tuple[str, str], ...] = ()

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    def header(self, name: str) -> str:
        return {":path": self.target, ":authority": self.host, ":method": self.method}[name]


def outcome(gateway: Obj, sidecar: Obj, request: Request) -> int:
    """Status of a request; 200 when it reaches the service. `gateway`, `sidecar`: what the proxies get."""
    (chain,) = [
        chain
        for listener in gateway["listeners"]
        for chain in listener["chains"]
        if chain.get("http") and chain.get("route")
    ]
    seen = _seen(chain, request)
    if seen is None:
        return 400
    if not _allowed(chain, seen):
        return 403
    route = _route(gateway["routes"][chain["route"]], seen)
    if route is None or "directResponse" in route:
        return 404 if route is None else int(route["directResponse"]["status"])
    assert "route" in route, route
    inbound = next(listener for listener in sidecar["listeners"] if listener["name"] == "virtualInbound")
    (chain,) = [
        one for one in inbound["chains"] if one.get("http") and one["socket"] == "mesh" and one.get("port") == 8080
    ]
    seen = _seen(chain, Request(request.host, seen.target, request.method, GATEWAY, request.claims))
    return 200 if seen is not None and _allowed(chain, seen) else 403


def _seen(chain: Obj, request: Request) -> Request | None:
    paths = chain["paths"]
    assert paths["normalize"]
    decode = {"KEEP_UNCHANGED": False, "UNESCAPE_AND_FORWARD": True}[paths["escaped"]]
    path = normalised(request.target, paths["merge"], decode)
    if path is None:
        return None
    _path, mark, query = request.target.partition("?")
    return Request(request.host, f"{path}{mark}{query}", request.method, request.principal, request.claims)


# --- Routes


def _route(hosts: list[Obj], request: Request) -> Obj | None:
    name = re.sub(r":\d+$", "", request.host.lower())  # ignore_port_in_host_matching
    for domains in ([name], ["*" + name[name.index(".") :]] if "." in name else [], ["*"]):
        for host in hosts:
            if set(domains) & set(host["domains"]):
                return next((route for route in host.get("routes") or [] if takes(route["match"], request)), None)
    return None


def takes(match: Obj, request: Request) -> bool:
    """Whether a route with this match takes a request."""
    rest = dict(match)
    path = request.path if rest.pop("caseSensitive", True) else request.path.lower()
    found = True
    if "prefix" in rest:
        found = path.startswith(rest.pop("prefix"))
    elif "path" in rest:
        found = path == rest.pop("path")
    elif "safeRegex" in rest:
        found = bool(re.fullmatch(rest.pop("safeRegex")["regex"], path))
    headers = rest.pop("headers", [])
    assert not rest, rest
    return found and all(_header(entry, request) for entry in headers)


def _header(given: Obj, request: Request) -> bool:
    rest = dict(given)
    value = request.header(rest.pop("name"))
    inverted = rest.pop("invertMatch", False)
    rest.pop("treatMissingHeaderAsEmpty", None)  # these headers are never missing
    found = bool(value) if rest.pop("presentMatch", False) else _text(rest.pop("stringMatch"), value)
    assert not rest, rest
    return bool(found != inverted)


def _text(given: Obj, value: str) -> bool:
    rest = dict(given)
    if rest.pop("ignoreCase", False):
        value = value.lower()
        rest = {key: text.lower() for key, text in rest.items()}
    ((kind, wanted),) = rest.items()
    if kind == "safeRegex":
        return bool(re.fullmatch(wanted["regex"], value))
    return {
        "exact": value == wanted,
        "prefix": value.startswith(wanted),
        "suffix": value.endswith(wanted),
        "contains": wanted in value,
    }[kind]


# --- Rules


def _allowed(chain: Obj, request: Request) -> bool:
    for rules in chain.get("access") or []:
        found = any(
            any(_permits(one, request) for one in policy["permissions"])
            and any(_is(one, request) for one in policy["principals"])
            for policy in (rules.get("policies") or {}).values()
        )
        if found != {"ALLOW": True, "DENY": False}[rules.get("action", "ALLOW")]:
            return False
    return True


def _permits(given: Obj, request: Request) -> bool:
    ((kind, part),) = given.items()
    match kind:
        case "any":
            return bool(part)
        case "andRules":
            return all(_permits(one, request) for one in part["rules"])
        case "orRules":
            return any(_permits(one, request) for one in part["rules"])
        case "notRule":
            return not _permits(part, request)
        case "header":
            return _header(part, request)
        case "urlPath":
            return _text(part["path"], request.path)
        case "destinationPort":
            return bool(part == 8080)
        case "uriTemplate":
            return bool(re.fullmatch(_template(part["typedConfig"]["pathTemplate"]), request.path))
        case _:
            raise AssertionError(given)


def _template(text: str) -> str:
    parts = {"*": "[^/]+", "**": ".*"}
    return "/".join(parts.get(part, re.escape(part)) for part in text.split("/"))


def _is(given: Obj, request: Request) -> bool:
    ((kind, part),) = given.items()
    match kind:
        case "any":
            return bool(part)
        case "andIds":
            return all(_is(one, request) for one in part["ids"])
        case "orIds":
            return any(_is(one, request) for one in part["ids"])
        case "notId":
            return not _is(part, request)
        case "authenticated":
            return bool(request.principal) and _text(part["principalName"], request.principal)
        case "filterState":
            assert part["key"] == "io.istio.peer_principal", part
            return bool(request.principal) and _text(part["stringMatch"], request.principal)
        case "metadata":
            assert part["filter"] == "envoy.filters.http.jwt_authn", part
            payload, claim = (entry["key"] for entry in part["path"])
            assert payload == "payload", part
            value = dict(request.claims).get(claim)
            return value is not None and _text(part["value"]["stringMatch"], value)
        case _:
            raise AssertionError(given)
