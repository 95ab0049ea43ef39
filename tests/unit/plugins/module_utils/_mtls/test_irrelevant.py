# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the table calls irrelevant changes nothing: with random values in such fields of a mesh of all kinds the verdicts are the same."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.engine import Engine
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.fields import keys
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.fields.kinds import TABLES
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.fields.table import Use, words
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.verdict import Verdict
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.plugins.module_utils._mtls.mtls_objects import (
    CONFIG,
    ROOT,
    destination_rule,
    mesh,
    namespace,
    obj,
    peer_authentication,
    pod,
    port_tls,
    service,
    tls,
)
from tests.unit.plugins.module_utils._mtls.test_fields import FIELDS, ISTIO, patterns

PODS = [
    pod("a", "front", ip="10.0.0.1", labels={"v": "1"}),
    pod("a", "cart", ip="10.0.0.2", annotations={"traffic.sidecar.istio.io/excludeInboundPorts": "8080"}),
    pod("b", "shop", ip="10.0.0.3", labels={"v": "1"}),
    pod("b", "shop", ip="10.0.0.4", labels={"v": "2"}, suffix="1"),
    pod("b", "bare", ip="10.0.0.5", sidecar=False),
    pod("b", "gate", role="router"),
]
SERVER = {"port": {"number": 443, "name": "tls", "protocol": "TLS"}, "tls": {"mode": "ISTIO_MUTUAL"}, "hosts": ["*"]}
PORTS = [{"number": 80, "name": "p80", "protocol": "HTTP"}, {"number": 81, "name": "p81", "protocol": "TCP"}]
ENTRY = {"hosts": ["vm.b"], "location": "MESH_INTERNAL", "resolution": "STATIC", "ports": PORTS}
CLASSIC: list[Any] = [
    *(namespace(name, **{"istio-injection": "enabled"}) for name in ("a", "b", ROOT)),
    *PODS,
    service("a", "front", PODS[:1]),
    service("a", "cart", PODS[1:2]),
    service("b", "shop", PODS[2:4], {80: 8080, 81: 9090}),
    service("b", "head", PODS[2:5], headless=True),
    service("b", "bare", PODS[4:5]),
    service("b", "gate", PODS[5:], {443: 8443}),
    peer_authentication(ROOT, mode="PERMISSIVE"),
    peer_authentication("b"),
    peer_authentication("b", "shop", "STRICT", selector={"app": "shop"}, ports={9090: "DISABLE"}),
    destination_rule(
        *("b", "shop", "ISTIO_MUTUAL"),
        ports=[port_tls(81, "DISABLE")],
        subsets=[
            {"name": "v1", "labels": {"v": "1"}, "trafficPolicy": tls(None, portLevelSettings=[port_tls(81, None)])},
            {"name": "v2", "labels": {"v": "2"}, "trafficPolicy": tls("SIMPLE", loadBalancer={"simple": "RANDOM"})},
        ],
    ),
    destination_rule("a", "*.b.svc.cluster.local", "SIMPLE", selector={"app": "front"}, name="front"),
    obj("Sidecar", "a", "cart", {
        "workloadSelector": {"labels": {"app": "cart"}},
        "egress": [{"hosts": ["./*", "b/shop.b.svc.cluster.local"], "port": {"number": 80, "protocol": "HTTP"}}],
        "ingress": [{"port": {"number": 8080, "name": "in", "protocol": "HTTP"}, "tls": {"mode": "SIMPLE"}}],
        "outboundTrafficPolicy": {"mode": "REGISTRY_ONLY"},
    }),
    obj("ServiceEntry", "b", "vm", {**ENTRY, "workloadSelector": {"labels": {"app": "vm"}}}),
    obj("ServiceEntry", "b", "fix", {**ENTRY, "hosts": ["fix.b"], "endpoints": [{"address": "10.0.0.3"}, {"address": "10.9.9.9"}]}),
    obj("WorkloadEntry", "b", "vm", {"address": "10.8.8.8", "labels": {"app": "vm"}, "serviceAccount": "vm"}),
    obj("Gateway", "b", "gate", {"selector": {"app": "gate"}, "servers": [SERVER]}),
    obj("VirtualService", "a", "cart", {
        "hosts": ["cart"],
        "exportTo": ["."],
        "http": [
            {"match": [{"uri": {"prefix": "/x"}, "sourceLabels": {"v": "1"}}], "route": [{"destination": {"host": "front"}, "weight": 1}]},
            {"route": [{"destination": {"host": "cart"}}], "mirror": {"host": "front"}, "mirrorPercentage": {"value": 5}},
        ],
        "tcp": [{"match": [{"port": 81}], "route": [{"destination": {"host": "cart"}}]}],
    }),
    obj("VirtualService", "a", "away", {"hosts": ["bare.b.svc.cluster.local"], "http": [{"redirect": {"uri": "/"}}]}),
    obj("EnvoyFilter", "a", "cart", {
        "workloadSelector": {"labels": {"app": "cart"}},
        "configPatches": [
            {"applyTo": "CLUSTER", "match": {"cluster": {"service": "head.b.svc.cluster.local"}}, "patch": {"operation": "REMOVE"}},
            {"applyTo": "HTTP_FILTER", "match": {"context": "SIDECAR_INBOUND"}, "patch": {"operation": "ADD", "value": {"name": "x"}}},
        ],
    }),
    obj("BackendTLSPolicy", "b", "head", {
        "targetRefs": [{"kind": "Service", "name": "head", "sectionName": "http"}],
        "validation": {"hostname": "head.b", "subjectAltNames": [{"type": "URI", "uri": "spiffe://x"}]},
    }),
    obj("EnvoyFilter", "b", "gate", {
        "targetRefs": [{"kind": "Gateway", "name": "gate"}],
        "configPatches": [{"applyTo": "LISTENER", "match": {"context": "GATEWAY"}, "patch": {"operation": "REMOVE"}}],
    }),
]  # fmt: skip
CASES: list[Any] = [one for entry in CLASSIC for one in (entry if isinstance(entry, list) else [entry])]


def irrelevant(kind: str) -> dict[str, Any]:
    """Irrelevant fields of a kind, with their types."""
    uses = {row.path: row.use for row in TABLES[kind].rows}
    found = {}
    for path, what in FIELDS[kind].items():
        use = next(uses[pattern] for pattern in patterns(path) if pattern in uses)
        if use is Use.IRRELEVANT and not path.startswith("metadata.") and path not in ("kind", "apiVersion"):
            found[path] = what
    return found


IRRELEVANT = {kind: irrelevant(kind) for kind in TABLES}
KEYS = {
    kind: [key for key in ISTIO["keys"] if (row := keys.row_of(kind, key)) and row.use is Use.IRRELEVANT]
    for kind in TABLES
}


def open_at(kind: str, path: str) -> int:
    """How many parts of a path have to be there already: those that a field which is not irrelevant is in as well."""
    parts = words(path)
    for length in range(1, len(parts)):
        prefix = ".".join(parts[:length]).replace(".[]", "[]")
        others = [
            other
            for other in FIELDS[kind]
            if other.startswith((f"{prefix}.", f"{prefix}[")) and other not in IRRELEVANT[kind]
        ]
        if not others:
            return length - 1
    return len(parts) - 1


OPEN = {(kind, path): open_at(kind, path) for kind, paths in IRRELEVANT.items() for path in paths}


def places(node: Any, parts: list[str]) -> Iterator[Any]:
    """The nodes at a path that are there."""
    if not parts:
        yield node
    elif parts[0] == "[]":
        for entry in node if isinstance(node, list) else []:
            yield from places(entry, parts[1:])
    elif isinstance(node, dict):
        for name in list(node) if parts[0] == "*" else [parts[0]]:
            if name in node:
                yield from places(node[name], parts[1:])


def value_of(parts: list[str], leaf: Any) -> Any:
    """A value for the rest of a path."""
    if not parts:
        return leaf
    inner = value_of(parts[1:], leaf)
    return [inner] if parts[0] == "[]" else {"any" if parts[0] == "*" else parts[0]: inner}


CHOICES: dict[str, list[Any]] = {
    "boolean": [True, False],
    "integer": [8080, 1, 0],
    "number": [0.5],
    "duration": ["1s"],
    "int-or-string": [80, "x"],
    "object": [{}],
}
WORDS = ["x", "8080", "STRICT", "*", "10.0.0.3", "false"]


def choices(kind: str, path: str) -> list[Any]:
    what = IRRELEVANT[kind][path]
    return what if isinstance(what, list) else CHOICES.get(what, WORDS)


def put(kind: str, document: dict[str, Any], path: str, value: Any) -> None:
    """Sets a field wherever the part that it is in is there; what is there stays."""
    parts, known = words(path), OPEN[kind, path]
    for place in places(document, parts[:known]):
        if isinstance(place, dict) and parts[known] not in ("[]", "*"):
            merge(place, {parts[known]: value_of(parts[known + 1 :], value)})


def merge(into: dict[str, Any], more: dict[str, Any]) -> None:
    for name, value in more.items():
        if isinstance(value, dict) and isinstance(into.get(name), dict):
            merge(into[name], value)
        else:
            into.setdefault(name, value)


def fill(draw: st.DrawFn, kind: str, document: dict[str, Any]) -> None:
    """Sets some irrelevant fields of a document; what is there stays."""
    if not IRRELEVANT[kind]:
        return
    for path in draw(st.lists(st.sampled_from(sorted(IRRELEVANT[kind])), max_size=4)):
        put(kind, document, path, draw(st.sampled_from(choices(kind, path))))


@st.composite
def meshes(draw: st.DrawFn) -> tuple[list[Any], dict[str, Any]]:
    """The mesh with further fields, annotations and labels, and a MeshConfig with further fields."""
    objects = copy.deepcopy(CASES)
    for index in draw(st.sets(st.integers(0, len(objects) - 1), min_size=1, max_size=8)):
        entry = objects[index]
        fill(draw, entry["kind"], entry)
        for field in ("annotations", "labels"):
            for key in draw(st.lists(st.sampled_from(KEYS[entry["kind"]]), max_size=3)):
                entry["metadata"].setdefault(field, {}).setdefault(key, draw(st.sampled_from(WORDS)))
    config: dict[str, Any] = {**copy.deepcopy(CONFIG), "defaultConfig": {}, "outboundTrafficPolicy": {}}
    fill(draw, "MeshConfig", config)
    return objects, config


def verdicts(objects: list[Any], config: dict[str, Any]) -> list[tuple[Any, ...]]:
    engine = Engine(mesh(objects, config))
    names = ["*", "plaintext", *{name for _client, names in engine.classes.values() for name in names}]
    return [(*call.id, call.verdict, call.reason, call.rule) for call in engine.calls(clients=names)]


BEFORE = verdicts(CASES, CONFIG)


@pytest.mark.parametrize("number", range(len(WORDS)))
def test_all_irrelevant_fields_at_once_change_nothing(number: int) -> None:
    objects = copy.deepcopy(CASES)
    config: dict[str, Any] = {**copy.deepcopy(CONFIG), "defaultConfig": {}, "outboundTrafficPolicy": {}}
    for kind, document in [*((entry["kind"], entry) for entry in objects), ("MeshConfig", config)]:
        for path in IRRELEVANT[kind]:
            values = choices(kind, path)
            put(kind, document, path, values[number % len(values)])
        if kind != "MeshConfig":
            for key in KEYS[kind]:
                document["metadata"].setdefault("annotations", {}).setdefault(key, WORDS[number])
    assert verdicts(objects, config) == BEFORE


def test_the_mesh_has_all_verdicts() -> None:
    """Else a change could not show."""
    assert {entry[3] for entry in BEFORE} == set(Verdict)


@given(meshes())
def test_irrelevant_fields_change_nothing(made: tuple[list[Any], dict[str, Any]]) -> None:
    assert verdicts(*made) == BEFORE
