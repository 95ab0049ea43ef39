# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The registry of mTLS rules: it has every code, and every code is given by the engine or a check."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.rules import (
    CheckCode,
    RuleCode,
    remedy,
)

from tests.unit.plugins.module_utils._mtls.mtls_objects import (
    ROOT,
    calls,
    destination_rule,
    obj,
    peer_authentication,
    pick,
    pod,
    port_tls,
    service,
)

FOLDER = Path(__file__).parents[5] / "plugins" / "module_utils" / "_mtls"
PA, DR = peer_authentication, destination_rule
WEB = {"app": "web"}
HOST = "web.a.svc.cluster.local"
NO_AUTO = {"enableAutoMtls": False}
AMBIENT = {"sidecar": False, "annotations": {"ambient.istio.io/redirection": "enabled"}}
BOTH = [pod("a", "web", suffix="1"), pod("a", "web", suffix="2", sidecar=False)]
MORE = [pod("a", "web"), pod("a", "more")]
GATE = pod("a", "web", role="router")
OLD = pod("a", "old", sidecar=False)
SPLIT = {"hosts": ["web"], "http": [{"route": [{"destination": {"host": "old"}}]}]}


def note(name: str, value: str) -> dict[str, Any]:
    return {"annotations": {name: value}}


def external() -> Any:
    spec = {"hosts": [HOST], "location": "MESH_EXTERNAL", "ports": [{"number": 80}], "resolution": "DNS"}
    return obj("ServiceEntry", "a", "web", spec)


def udp() -> list[Any]:
    parts = service("a", "web", [pod("a", "web")])
    parts[0]["spec"]["ports"][0]["protocol"] = "UDP"
    return parts


def web(*more: Any, **server: Any) -> list[Any]:
    """Service a/web before one pod, and a client in namespace b."""
    one = pod("a", "web", **server)
    return [one, pod("b", "far"), service("a", "web", [one]), *more]


def entry_for(host: str) -> Any:
    return obj("ServiceEntry", "b", "same", {"hosts": [host], "ports": [{"number": 80}], "resolution": "STATIC"})


# Code -> objects, MeshConfig, the client whose call has it.
GIVEN: dict[RuleCode, tuple[list[Any], dict[str, Any], str]] = {
    RuleCode.AMBIENT_UNSET_NAMESPACE: (
        web(PA(ROOT), PA("a", "ns", "UNSET"), PA("a", "wl", None, selector=WEB, ports={9: "PERMISSIVE"}), **AMBIENT),
        *({}, "plaintext"),
    ),
    RuleCode.AUTO_MTLS_OFF: (web(PA("a")), NO_AUTO, "*"),
    RuleCode.CLIENT_NOT_CAPTURED: (
        [*web(PA("a")), pod("c", "aloof", **note("traffic.sidecar.istio.io/excludeOutboundPorts", "80"))],
        *({}, "c/aloof"),
    ),
    RuleCode.DESTINATION_RULE_DISABLE: (web(PA("a"), DR("a", HOST, "DISABLE")), {}, "*"),
    RuleCode.DESTINATION_RULE_WITHOUT_TLS: (web(DR("b", HOST), DR(ROOT, "*.local", "DISABLE")), {}, "b/far"),
    RuleCode.EXCLUDED_PORT: (web(**note("traffic.sidecar.istio.io/excludeInboundPorts", "8080")), {}, "*"),
    RuleCode.EXTERNAL: ([external()], {}, "*"),
    RuleCode.GATEWAY: ([GATE, service("a", "web", [GATE])], {}, "*"),
    RuleCode.HEADLESS_MIXED: ([*BOTH, service("a", "web", BOTH, headless=True), PA("a")], {}, "*"),
    RuleCode.HOST_NETWORK: (web(host_network=True), {}, "plaintext"),
    RuleCode.ISTIO_MUTUAL_WITHOUT_SIDECAR: (web(DR("a", HOST, "ISTIO_MUTUAL"), sidecar=False), {}, "*"),
    RuleCode.MIXED_BACKENDS: (
        [*MORE, service("a", "web", MORE), PA("a", "wl", selector=WEB)],
        *({}, "plaintext"),
    ),
    RuleCode.NAMESPACE_DISABLE: (web(PA("a", mode="DISABLE"), PA("a", "wl", selector=WEB)), {}, "*"),
    RuleCode.NO_ENDPOINTS: (service("a", "web", []), {}, "*"),
    RuleCode.NO_SIDECAR: (web(sidecar=False), {}, "*"),
    RuleCode.NOT_CAPTURED: (web(**note("sidecar.istio.io/interceptionMode", "NONE")), {}, "plaintext"),
    RuleCode.NOT_VISIBLE: ([*web()[:2], *service("a", "web", [pod("a", "web")], export_to="~"), PA("a")], {}, "*"),
    RuleCode.OLDEST_WINS: (web(PA("a"), PA("a", "young", "DISABLE", age=2)), {}, "*"),
    RuleCode.OWN_PORT: ([GATE, service("a", "web", [GATE], {80: 15021})], {}, "*"),
    RuleCode.PORT_EXCEPTION: (web(PA("a", selector=WEB, ports={8080: "DISABLE"})), {}, "*"),
    RuleCode.PORT_LEVEL_TLS_NOT_INHERITED: (
        web(PA("a"), DR("a", HOST, "DISABLE", ports=[port_tls(80, None)])),
        *({}, "*"),
    ),
    RuleCode.ROOT_NAMESPACE_SELECTOR: (web(PA(ROOT, selector=WEB)), {}, "*"),
    RuleCode.ROUTED_ELSEWHERE: (
        [
            *web(PA("a")),
            pod("a", "old", sidecar=False),
            *service("a", "old", [pod("a", "old", sidecar=False)]),
            obj("VirtualService", "a", "vs", SPLIT),
        ],
        *({}, "*"),
    ),
    RuleCode.SAME_HOST: ([*web(PA("a")), entry_for(HOST)], {}, "*"),
    RuleCode.SERVICE_PORT_IN_PORT_LEVEL_MTLS: (web(PA("a", selector=WEB, ports={80: "DISABLE"})), {}, "*"),
    RuleCode.TLS_MODE_LABEL: (web(PA("a"), labels={"security.istio.io/tlsMode": "disabled"}), {}, "*"),
    RuleCode.TLS_ORIGINATION: (web(PA("a"), DR("a", HOST, "SIMPLE")), {}, "*"),
    RuleCode.UDP: (udp(), {}, "*"),
}


@pytest.mark.parametrize("code", RuleCode)
def test_the_engine_gives_every_rule(code: RuleCode) -> None:
    objects, config, client = GIVEN[code]
    name = f"a/{HOST}" if code is RuleCode.EXTERNAL else "a/web"
    assert pick(calls(objects, config), name, client).rule is code


def test_every_code_is_in_the_registry_under_its_own_name_once() -> None:
    codes = [*RuleCode, *CheckCode]
    assert [str(code) for code in codes] == [code.name.lower() for code in codes]
    assert len({str(code) for code in codes}) == len(codes) == len(RuleCode.__members__) + len(CheckCode.__members__)


def test_every_code_is_given_somewhere() -> None:
    sources = {path: path.read_text() for path in sorted(FOLDER.rglob("*.py")) if path.name != "rules.py"}
    given = {name for text in sources.values() for name in re.findall(r"\b(?:RuleCode|CheckCode)\.([A-Z_]+)", text)}
    assert given == {code.name for code in (*RuleCode, *CheckCode)}


REMEDIES = ("remedy", "remedy_if_broken", "remedy_if_unknown")


@pytest.mark.parametrize("code", [*RuleCode, *CheckCode])
def test_an_entry_says_what_it_means_and_where_it_is_from(code: RuleCode | CheckCode) -> None:
    rule = code.entry
    assert re.fullmatch(r"[A-Za-z].*[.)]", rule.text)
    assert re.fullmatch(
        r"(pilot|pkg|security|tools)/[a-z0-9_/-]+\.go" + ("|" if isinstance(code, CheckCode) else ""), rule.source
    )
    for template in (getattr(rule, name) for name in REMEDIES):
        named = remedy(template, destination_rule="a/one", peer_authentication="b/two")
        assert template == "" or (named.endswith(".") and "{" not in named)
        assert ("DestinationRule a/one" in named) == ("destination_rule}" in template)
        assert ("PeerAuthentication b/two" in named) == ("{peer_authentication}" in template)
        assert "a/one" not in remedy(template)


def test_nobody_keeps_a_list_of_rules_beside_the_registry() -> None:
    """What several rules have in common is a field of their entries."""
    for path in sorted(FOLDER.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, (ast.Set, ast.List, ast.Tuple, ast.Dict, ast.MatchOr)):
                parts = [ast.unparse(part) for part in ast.iter_child_nodes(node)]
                codes = [part for part in parts if part.startswith("RuleCode.")]
                assert len(codes) < 2, f"{path.name}: {codes}"
