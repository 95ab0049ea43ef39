# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The option `match`: what it may contain, and the match of requests that a route takes and that the option takes as well. Pure.

Rules: istio pilot/pkg/networking/core/route/route.go (TranslateRouteMatch, sourceMatchHTTP), pilot/pkg/model/config.go
(resolveGatewayName), pkg/config/validation/virtualservice.go (validateHTTPRouteMatchRequest).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Obj = Mapping[str, Any]

_KINDS = ("exact", "prefix", "regex")
_STRINGS = ("uri", "scheme", "method", "authority")
_MAPPINGS = ("headers", "withoutHeaders", "queryParams")
# Fields of a match that say nothing about requests: they name the route in the proxies and in their statistics.
NAMES = ("name", "statPrefix")


class InexpressibleError(ValueError):
    """There is no match of a VirtualService for the requests that match both. Its text says which field is why."""


class _NothingError(Exception):
    """No request matches both."""


# The option -----------------------------------------------------------------------------------------------------------------


def findings(extra: Any) -> list[str]:
    """Everything that is wrong with the option, without a look at the routes."""
    if extra is None:
        return []
    if not isinstance(extra, Mapping):
        return [f"match: {extra!r} is not a match; expected for example {{headers: {{x-tester: {{exact: 'yes'}}}}}}"]
    found = [
        f"match: {key!r} is no condition; expected some of {', '.join(sorted(_CHECKS))}"
        for key in extra.keys() - _CHECKS.keys()
    ]
    for key in sorted(extra.keys() & _CHECKS.keys()):
        found += [f"match.{text}" for text in _CHECKS[key](key, extra[key])]
    if "ignoreUriCase" in extra and not extra.get("uri"):
        found.append("match.ignoreUriCase: has no uri to apply to; expected match.uri as well")
    if not found and not any(extra[key] for key in extra.keys() - {"ignoreUriCase"}):
        found.append("match: has no condition, so that all requests would go to the new version; expected at least one")
    return found


def _string_findings(where: str, value: Any, *, present: bool = False) -> list[str]:
    """`present`: the value may be empty, which matches whatever there is."""
    if present and (value is None or value == {}):
        return []
    kinds = list(value) if isinstance(value, Mapping) else []
    text = value[kinds[0]] if len(kinds) == 1 and kinds[0] in _KINDS else None
    if not isinstance(text, str) or not text:
        return [
            f"{where}: {value!r} is not understood; expected one of exact, prefix and regex with a text, such as {{exact: 'yes'}}"
        ]
    return []


def _mapping_findings(where: str, value: Any) -> list[str]:
    if not isinstance(value, Mapping) or not value:
        return [f"{where}: {value!r}; expected names with a match each, such as {{x-tester: {{exact: 'yes'}}}}"]
    return [text for name, entry in value.items() for text in _string_findings(f"{where}.{name}", entry, present=True)]


def _label_findings(where: str, value: Any) -> list[str]:
    if isinstance(value, Mapping) and value and all(isinstance(text, str) for text in value.values()):
        return []
    return [f"{where}: {value!r}; expected labels of the callers' pods, such as {{app: tester}}"]


def _list_findings(where: str, value: Any) -> list[str]:
    if isinstance(value, list) and value and all(isinstance(text, str) and text for text in value):
        return []
    return [f"{where}: {value!r}; expected a list of names, such as [mesh]"]


def _text_findings(where: str, value: Any) -> list[str]:
    return [] if isinstance(value, str) and value else [f"{where}: {value!r}; expected a name"]


def _port_findings(where: str, value: Any) -> list[str]:
    number = isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 65535
    return [] if number else [f"{where}: {value!r}; expected a port from 1 to 65535"]


def _bool_findings(where: str, value: Any) -> list[str]:
    return [] if isinstance(value, bool) else [f"{where}: {value!r}; expected true or false"]


_CHECKS: dict[str, Callable[[str, Any], list[str]]] = {
    **dict.fromkeys(_STRINGS, _string_findings),
    **dict.fromkeys(_MAPPINGS, _mapping_findings),
    "sourceLabels": _label_findings,
    "sourceNamespace": _text_findings,
    "gateways": _list_findings,
    "port": _port_findings,
    "ignoreUriCase": _bool_findings,
}
CONDITIONS = tuple(_CHECKS)


# Both ---------------------------------------------------------------------------------------------------------------------


def both(match: Obj, extra: Obj, namespace: str, *, rewritten: bool = False) -> dict[str, Any] | None:
    """The match of the requests that `match` takes and `extra` takes as well; None when there are none.

    `namespace`: of the VirtualService, in which gateways without a namespace are. `rewritten`: the route replaces what the URI matches
    (`rewrite.uri`), so that with another URI it would do something else. Raises InexpressibleError.
    """
    unknown = sorted(match.keys() - _CHECKS.keys() - set(NAMES))
    if unknown:
        raise InexpressibleError(f"its match has {unknown[0]}, which this version of the collection does not know")
    result = dict(match)
    try:
        _uri(result, match, extra, rewritten)
        for key in ("scheme", "method", "authority"):
            if key in extra:
                result[key] = _narrowed(key, match.get(key), extra[key])
        for key in ("headers", "queryParams"):
            if key in extra:
                result[key] = _each_narrowed(key, match.get(key) or {}, extra[key])
        if "withoutHeaders" in extra:
            result["withoutHeaders"] = _without(match.get("withoutHeaders") or {}, extra["withoutHeaders"])
        if "port" in extra:
            result["port"] = _same("port", match.get("port"), extra["port"])
        _source(result, match, extra, namespace)
    except _NothingError:
        return None
    return result


def _uri(result: dict[str, Any], match: Obj, extra: Obj, rewritten: bool) -> None:
    if not extra.get("uri"):
        return
    mine = match.get("uri") or {}
    cases = [bool(entry.get("ignoreUriCase")) for entry in (match, extra)]
    if not mine:
        result["uri"] = extra["uri"]
        result.pop("ignoreUriCase", None)
        if cases[1]:
            result["ignoreUriCase"] = True
    elif mine != extra["uri"] or cases[0] != cases[1]:
        if any(cases):
            raise InexpressibleError("uri is in both matches, and one of them has ignoreUriCase")
        result["uri"] = _narrowed("uri", mine, extra["uri"])
    if rewritten and result.get("uri") != match.get("uri"):
        raise InexpressibleError(
            "uri is in the option match, and the route rewrites the part of the URI that it matches (rewrite.uri)"
        )


def _narrowed(where: str, one: Obj | None, other: Obj | None) -> dict[str, Any]:
    """A text that matches both. One without a kind matches whatever is there."""
    if not one or not other or one == other:
        return dict(one or other or {})
    (first, mine), (second, yours) = (next(iter(entry.items())) for entry in (one, other))
    if len(one) > 1 or len(other) > 1 or {first, second} - {"exact", "prefix"}:
        raise InexpressibleError(f"{where} is in both matches with different conditions: {dict(one)} and {dict(other)}")
    for kind, text, wide_kind, wide in ((first, mine, second, yours), (second, yours, first, mine)):
        if wide_kind == "prefix" and text.startswith(wide):
            return {kind: text}
    raise _NothingError


def _named(where: str, entries: Obj, name: str) -> str:
    """The name under which a header is there already. Envoy ignores the case of a header's name."""
    if where == "queryParams":
        return name
    there = [other for other in entries if other.lower() == name.lower()]
    if len(there) > 1:
        raise InexpressibleError(f"{where}.{name} is there more than once, as {' and '.join(sorted(there))}")
    return there[0] if there else name


def _each_narrowed(where: str, mine: Obj, extra: Obj) -> dict[str, Any]:
    result = dict(mine)
    for given, wanted in extra.items():
        name = _named(where, result, given)
        # A claim of a token may be a list of which one value matches each condition.
        if name.startswith("@") and name in result and (result[name], name) != (wanted, given):
            raise InexpressibleError(f"{where}.{given} is in both matches with different conditions")
        result[name] = _narrowed(f"{where}.{given}", result.get(name), wanted)
    return result


def _without(mine: Obj, extra: Obj) -> dict[str, Any]:
    result = dict(mine)
    for given, wanted in extra.items():
        name = _named("withoutHeaders", result, given)
        if name in result and (result[name] or {}) != (wanted or {}):
            raise InexpressibleError(f"withoutHeaders.{given} is in both matches with different conditions")
        result[name] = wanted
    return result


def _same(_where: str, one: Any, other: Any) -> Any:
    """A value that has to be equal; an empty one is any."""
    if one and other and one != other:
        raise _NothingError
    return one or other


def _source(result: dict[str, Any], match: Obj, extra: Obj, namespace: str) -> None:
    """Where requests come from. Istio does not read sourceLabels and sourceNamespace of a match that has gateways."""
    gateways = [entry.get("gateways") or [] for entry in (match, extra)]
    labelled = [bool(entry.get("sourceLabels") or entry.get("sourceNamespace")) for entry in (match, extra)]
    if all(gateways):
        wanted = {gateway(name, namespace) for name in gateways[1]}
        result["gateways"] = [name for name in gateways[0] if gateway(name, namespace) in wanted]
        if not result["gateways"]:
            raise _NothingError
        return
    if (gateways[0] and labelled[1]) or (gateways[1] and labelled[0]):
        raise InexpressibleError(
            "one of the matches has gateways, the other sourceLabels or sourceNamespace, which Istio ignores where there are gateways"
        )
    if gateways[1]:
        result["gateways"] = gateways[1]
    if extra.get("sourceNamespace"):
        result["sourceNamespace"] = _same("sourceNamespace", match.get("sourceNamespace"), extra["sourceNamespace"])
    labels = match.get("sourceLabels") or {}
    for name, text in (extra.get("sourceLabels") or {}).items():
        labels = {**labels, name: _same(name, labels.get(name), text)}
    if labels:
        result["sourceLabels"] = labels


def gateway(name: str, namespace: str) -> str:
    """namespace/name of a gateway in a VirtualService of `namespace` (pilot/pkg/model/config.go, resolveGatewayName)."""
    if name == "mesh":
        return name
    if "/" not in name:
        first, _dot, rest = name.partition(".")
        return f"{rest.partition('.')[0]}/{first}" if rest else f"{namespace}/{name}"
    place, _slash, short = name.partition("/")
    return f"{namespace}/{short}" if place == "." else name
