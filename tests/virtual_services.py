# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VirtualServices with all fields that the CRD knows (tests/cases/fields/istio.json), for property tests and for Istio's own code."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Sequence
from typing import Any, Protocol, TypeVar

from tests.support import ROOT

Obj = dict[str, Any]
T = TypeVar("T")
NAMESPACE = "shop"
SERVICE = "user-service"
HOST = f"{SERVICE}.{NAMESPACE}.svc.cluster.local"
OTHER = f"drivers.{NAMESPACE}.svc.cluster.local"


class Chooser(Protocol):
    """Where choices come from: Hypothesis, or a seed."""

    def pick(self, choices: Sequence[T]) -> T:
        """One of the choices."""


class Seeded:
    """Choices from a seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311  # tests, no secret

    def pick(self, choices: Sequence[T]) -> T:
        return self._random.choice(choices)


def _tree() -> Obj:
    """The CRD's fields as nested mappings; a leaf is its type."""
    root: Obj = {}
    fields = json.loads((ROOT / "tests/cases/fields/istio.json").read_text(encoding="utf-8"))
    for path, kind in fields["kinds"]["VirtualService"].items():
        parts = path.replace("[]", ".[]").split(".")
        node = root
        for part in parts[:-1]:
            node = node.setdefault(part, {})
        node[parts[-1]] = kind
    return root["spec"]


TREE = _tree()
# Of these keys, one or none: the CRD's oneOf, and what Istio refuses.
_EITHER = (
    ("exact", "prefix", "regex"),
    ("httpStatus", "grpcStatus", "http2Error"),
    ("fixedDelay", "exponentialDelay"),
    ("string", "bytes"),
    ("port", "derivePort"),
    ("uri", "uriRegexRewrite"),
    ("mirror", "mirrors"),
    ("allowOrigin", "allowOrigins"),
)
_VALUES: dict[str, Sequence[Any]] = {
    "regex": ["a.*", "/a.*"],
    "exact": ["/a/b", "/a", "yes"],
    "prefix": ["/a", "/", "y"],
    "uri": ["/z"],
    "prefixRewrite": ["/z"],
    "httpStatus": [503],
    "grpcStatus": ["UNAVAILABLE"],
    "bytes": ["YQ=="],
    "status": [200],
    "percent": [10],
    "mirrorPercent": [7],
    "mirror_percent": [7],
    "value": [0.5, 10],
    "redirectCode": [301, 308],
    "attempts": [0, 2],
    "retryOn": ["5xx", "gateway-error"],
    "gateways": ["mesh", "gw", "other/gw"],
    "port": [80, 81],
    "number": [80],
    "destinationSubnets": ["10.0.0.0/8"],
    "sourceSubnet": ["10.0.0.0/8"],
    "sourceNamespace": ["shop", "b"],
    "sniHosts": [HOST],
    "scheme": ["http"],
    "exportTo": ["*"],
    "hosts": [HOST],
    "host": [OTHER, HOST],
    "subset": ["stable", "canary"],
    "allowMethods": ["GET"],
    "name": ["api", "beta-canary-match", "api-canary-match", "one"],
}
_NAMES: dict[str, Sequence[str]] = {
    "headers": ["x-tester", "X-Tester", "x-a", "@request.auth.claims.sub"],
    "withoutHeaders": ["x-tester", "x-b", ":authority"],
    "queryParams": ["beta", "q"],
}


def _value(draw: Chooser, node: Any, path: tuple[str, ...]) -> Any:
    if isinstance(node, list):
        return draw.pick(node)
    if isinstance(node, str):
        return _leaf(draw, node, path)
    if "[]" in node:
        return [_value(draw, node["[]"], path) for _number in range(draw.pick([1, 1, 2]))]
    if "*" in node:
        names = _NAMES.get(path[-1], ["x-a", "x-b"])
        return {draw.pick(names): _value(draw, node["*"], (*path, "*")) for _number in range(draw.pick([1, 1, 2]))}
    return _mapping(draw, node, path)


def _leaf(draw: Chooser, kind: str, path: tuple[str, ...]) -> Any:
    key = next(part for part in reversed(path) if part != "*")
    if key in _VALUES:
        return draw.pick(_VALUES[key])
    return {"string": "2s", "integer": 2, "number": 0.5, "boolean": draw.pick([True, False])}[kind]


def _mapping(draw: Chooser, node: Obj, path: tuple[str, ...]) -> Obj:
    whole = any(len(group) > 1 and set(group) == set(node) for group in _EITHER)
    keys = list(node) if path[-1] in ("destination", "uriRegexRewrite", "abort", "delay", "delegate") else []
    keys = keys or [key for key in node if draw.pick([True, False, False, False])] or [draw.pick(list(node))]
    if whole:
        keys = [draw.pick(list(node))]
    for group in _EITHER:
        if len(there := [key for key in keys if key in group]) > 1:
            kept = draw.pick(there)
            keys = [key for key in keys if key not in group or key == kept]
    found = {key: _value(draw, node[key], (*path, key)) for key in keys}
    if "host" in node:
        found["host"] = draw.pick(_VALUES["host"])
    if "destination" in node and "destination" not in found:
        found["destination"] = _value(draw, node["destination"], (*path, "destination"))
    return found


def _split(draw: Chooser, node: Obj, path: tuple[str, ...]) -> list[Obj]:
    """Stable and canary, with weights 100 and 0, and maybe other settings."""
    port = draw.pick([{}, {"port": {"number": 80}}])
    host = draw.pick([HOST, HOST, SERVICE])
    canary = draw.pick([{"weight": 0}, {}])
    entries = []
    for subset, weight in (("stable", {"weight": 100}), ("canary", canary)):
        more = (
            {"headers": _value(draw, node["headers"], (*path, "headers"))}
            if "headers" in node and draw.pick([0, 0, 1])
            else {}
        )
        entries.append({"destination": {"host": host, "subset": subset, **port}, **weight, **more})
    return entries if draw.pick([True, True, False]) else entries[::-1]


def _http(draw: Chooser) -> Obj:
    node = TREE["http"]["[]"]
    kind = draw.pick(["split", "split", "split", "stable", "other", "redirect", "directResponse"])
    kept = [key for key in node if key not in ("route", "redirect", "directResponse", "delegate")]
    if kind in ("redirect", "directResponse"):
        kept = [key for key in kept if key not in ("fault", "rewrite")]
    found = _mapping(draw, {key: node[key] for key in kept}, ("http", "[]"))
    if kind == "split":
        found["route"] = _split(draw, node["route"]["[]"], ("http", "route"))
    elif kind == "stable":
        found["route"] = [{"destination": {"host": HOST, "subset": "stable"}}]
    elif kind == "other":
        found["route"] = [{"destination": {"host": OTHER}}]
    else:
        found[kind] = _value(draw, node[kind], ("http", kind))
        if kind == "directResponse":
            found[kind]["status"] = 200
    for match in found.get("match") or []:
        if "ignoreUriCase" in match and not match["ignoreUriCase"] and draw.pick([True, False]):
            del match["ignoreUriCase"]
    return found


def _connection(draw: Chooser, protocol: str) -> Obj:
    node = TREE[protocol]["[]"]
    found: Obj = {"route": _split(draw, node["route"]["[]"], (protocol, "route"))}
    if protocol == "tls" or draw.pick([True, False]):
        found["match"] = _value(draw, node["match"], (protocol, "match"))
        for match in found["match"] if protocol == "tls" else []:
            match["sniHosts"] = [HOST]
    return found


def virtual_service(draw: Chooser, *, unknown: bool = False) -> Obj:
    """A VirtualService whose routes a canary may shift. `unknown`: also with fields that the CRD does not know."""
    spec: Obj = {"hosts": [HOST], "gateways": draw.pick([["mesh"], ["mesh", "gw"]])}
    spec["http"] = [_http(draw) for _number in range(draw.pick([1, 2, 3, 4]))]
    if draw.pick([True, False, False]):  # a copy of a route, which has its content
        spec["http"].append(copy.deepcopy(draw.pick(spec["http"])))
    for protocol in ("tls", "tcp"):
        if draw.pick([True, False, False]):
            spec[protocol] = [_connection(draw, protocol)]
    for part in ([spec, *spec["http"]]) if unknown else []:
        if draw.pick([True, False]):
            part["x-unknown"] = draw.pick([None, 1, ["a"], {"weight": 3}])
    notes = draw.pick([{}, {"annotations": {}}, {"annotations": {"a/b~c": "d"}}, {"labels": {"a": "b"}}])
    meta = {"name": "vs", "namespace": NAMESPACE, "resourceVersion": "1", **copy.deepcopy(notes)}
    return {"apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": meta, "spec": spec}


MATCHES: tuple[Obj, ...] = (
    {"headers": {"x-tester": {"exact": "yes"}}},
    {"headers": {"cookie": {"regex": "(^|.*; )beta=1(;.*|$)"}}, "method": {"exact": "GET"}},
    {"withoutHeaders": {"x-b": {"exact": "yes"}}, "queryParams": {"beta": {}}},
    {"uri": {"prefix": "/a"}, "gateways": ["mesh"]},
    {"sourceLabels": {"x-a": "2s"}, "port": 80},
)
