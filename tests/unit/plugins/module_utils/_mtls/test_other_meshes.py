# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What other people's meshes have: discoverySelectors, workloads outside of the cluster, ServiceEntries for pods, declared protocols."""

from __future__ import annotations

import re
from typing import Any

import pytest
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.engine import Engine
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parse.mesh_config import mesh_config
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parse.protocol import of_service_port
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parts import (
    Spoken,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.what_if import what_if

from tests.unit.plugins.module_utils._mtls.mtls_objects import (
    calls,
    destination_rule,
    mesh,
    namespace,
    obj,
    peer_authentication,
    pick,
    pod,
    service,
)

WEB = pod("a", "web", ip="10.0.0.1")
STRICT = [WEB, service("a", "web", [WEB], selector={"app": "web"}), peer_authentication("istio-system")]
PLACES = [namespace("a", team="shop"), namespace("istio-system", kind="control-plane")]


def verdicts(objects: list[Any], where: str = "a/web", client: str = "*", **more: Any) -> tuple[str, str]:
    found = calls(objects, **more)
    return str(pick(found, where, client).verdict), str(pick(found, where, "plaintext").verdict)


# discoverySelectors ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("selectors", "expected"),
    [
        (None, ("strict", "broken")),
        ([], ("strict", "broken")),
        ([{}], ("strict", "broken")),  # an empty selector selects everything
        ([{"matchLabels": {"team": "shop"}}], ("encrypted_not_enforced", "plaintext_allowed")),
        ([{"matchLabels": {"team": "shop"}}, {"matchLabels": {"kind": "control-plane"}}], ("strict", "broken")),
        (
            [{"matchExpressions": [{"key": "kind", "operator": "NotIn", "values": ["control-plane"]}]}],
            ("encrypted_not_enforced", "plaintext_allowed"),
        ),
        ([{"matchExpressions": [{"key": "team", "operator": "DoesNotExist"}]}], ("broken", "broken")),
        ([{"matchExpressions": [{"key": "team", "operator": "Exists"}]}], ("encrypted_not_enforced", "plaintext_allowed")),
    ],
)  # fmt: skip
def test_what_istiod_reads(selectors: Any, expected: tuple[str, str]) -> None:
    config = {} if selectors is None else {"discoverySelectors": selectors}
    assert verdicts([*STRICT, *PLACES], config=config) == expected


def test_without_the_namespaces_nobody_knows_which_ones_are_read() -> None:
    config = {"discoverySelectors": [{"matchLabels": {"team": "shop"}}]}
    assert verdicts(STRICT, config=config, missing={"Namespace": "no"}) == ("unknown", "unknown")


def test_rules_of_a_namespace_that_is_not_read_do_not_apply() -> None:
    rule = destination_rule("far", "web.a.svc.cluster.local", "DISABLE", export_to=["*"])
    client = pod("far", "caller")
    whole = [*STRICT, *PLACES, client, rule, namespace("far")]
    assert verdicts(whole, client="far/caller")[0] == "broken"
    config = {
        "discoverySelectors": [{"matchExpressions": [{"key": k, "operator": "Exists"}]} for k in ("team", "kind")]
    }
    assert verdicts(whole, client="far/caller", config=config)[0] == "strict"


JSON_TYPES = (None, True, 7, "text", [], ["text"], [7], {}, {"a": 1})
# What each field takes of JSON_TYPES, besides null.
TAKEN: dict[tuple[str, ...], tuple[Any, ...]] = {
    ("rootNamespace",): ("text",),
    ("enableAutoMtls",): (True,),
    ("trustDomain",): ("text",),
    ("outboundTrafficPolicy",): ({}, {"a": 1}),
    ("outboundTrafficPolicy", "mode"): (),
    ("defaultDestinationRuleExportTo",): ([], ["text"]),
    ("defaultServiceExportTo",): ([], ["text"]),
    ("defaultVirtualServiceExportTo",): ([], ["text"]),
    ("defaultConfig",): ({}, {"a": 1}),
    ("defaultConfig", "interceptionMode"): (),
    ("discoverySelectors",): ([],),
}


@pytest.mark.parametrize("value", JSON_TYPES, ids=str)
@pytest.mark.parametrize("path", TAKEN, ids=".".join)
def test_a_mesh_config_of_any_type_is_read_or_refused_by_name(path: tuple[str, ...], value: Any) -> None:
    document: dict[str, Any] = {path[0]: value if len(path) == 1 else {path[1]: value}}
    if value is None or value in TAKEN[path]:
        assert mesh_config(document).known
        return
    with pytest.raises(ValueError, match="^" + re.escape(".".join(path)) + " is "):
        mesh_config(document)


@pytest.mark.parametrize(
    "selectors",
    [[{"matchExpressions": [{"key": "team", "operator": "Like"}]}], [{"matchFields": {}}], "all", [["team"]]],
)
def test_discovery_selectors_that_istiod_does_not_take(selectors: Any) -> None:
    with pytest.raises(ValueError, match="discoverySelectors is"):
        mesh_config({"discoverySelectors": selectors})


# Workloads outside of the cluster --------------------------------------------------------------------------------------


def entry(name: str, address: str, **spec: Any) -> dict[str, Any]:
    return obj("WorkloadEntry", "a", name, {"address": address, "labels": {"app": "web"}, **spec})


def test_a_service_selects_workload_entries_too() -> None:
    """For istiod: a caller without a sidecar gets to what the EndpointSlices have, and not to the entry."""
    assert verdicts([*STRICT, entry("vm", "192.0.2.1")]) == ("plaintext", "broken")
    assert verdicts([*STRICT, entry("vm", "192.0.2.1", serviceAccount="vm")]) == ("unknown", "broken")
    other = entry("vm", "192.0.2.1")
    other["spec"]["labels"] = {"app": "other"}
    assert verdicts([*STRICT, other]) == ("strict", "broken")
    off = {"PILOT_ENABLE_K8S_SELECT_WORKLOAD_ENTRIES": "false"}
    assert verdicts([*STRICT, entry("vm", "192.0.2.1")], environment=off) == ("strict", "broken")


def test_a_headless_service_does_not() -> None:
    headless = service("a", "web", [WEB], headless=True, selector={"app": "web"})
    assert verdicts([WEB, headless, peer_authentication("a"), entry("vm", "192.0.2.1")]) == ("strict", "broken")


@pytest.mark.parametrize(("ports", "expected"), [({"app": 9000}, "plaintext"), ({}, "strict")])
def test_a_named_target_port_is_looked_up_in_the_entry(ports: dict[str, int], expected: str) -> None:
    named = service("a", "web", [WEB], selector={"app": "web"})
    named[0]["spec"]["ports"][0]["targetPort"] = "app"
    assert verdicts([WEB, named, peer_authentication("a"), entry("vm", "192.0.2.1", ports=ports)])[0] == expected


def test_entries_that_could_not_be_read_leave_it_open() -> None:
    assert verdicts(STRICT, missing={"WorkloadEntry": "no"}) == ("unknown", "broken")
    plain = [WEB, service("a", "web", [WEB]), peer_authentication("a")]  # without a selector it chooses none
    assert verdicts(plain, missing={"WorkloadEntry": "no"}) == ("strict", "broken")


def test_an_address_may_be_a_pods() -> None:
    """Clients take it for a workload without a sidecar, and the pod accepts what its policies say."""
    assert verdicts([*STRICT, entry("vm", "10.0.0.1")]) == ("broken", "broken")
    assert verdicts([*STRICT, entry("vm", "10.0.0.1", serviceAccount="vm")]) == ("strict", "broken")


# ServiceEntries --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "port", "expected"),
    [
        ("10.0.0.1", 8080, "broken"),
        ("web.a.svc.cluster.local", 80, "broken"),
        ("web.a.svc.cluster.local", 81, "unknown"),
        ("example.com", 80, "plaintext"),
    ],
)
def test_a_service_entry_names_what_is_in_the_mesh(address: str, port: int, expected: str) -> None:
    spec = {
        "hosts": ["web.global"],
        "location": "MESH_INTERNAL",
        "resolution": "STATIC" if address[0].isdigit() else "DNS",
        "ports": [{"number": port, "name": "http", "protocol": "HTTP"}],
        "endpoints": [{"address": address}],
    }
    found = calls([*STRICT, obj("ServiceEntry", "a", "global", spec)])
    assert pick(found, "a/web.global", port=port).verdict == expected


# Declared protocols ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "name", "app_protocol", "expected"),
    [
        (80, "http", None, Spoken.HTTP),
        (80, "HTTP2-web", None, Spoken.HTTP),
        (80, "grpc-web-x", None, Spoken.HTTP),
        (80, "grpc", None, Spoken.HTTP),
        (443, "https-x", None, Spoken.TLS),
        (443, "tls", None, Spoken.TLS),
        (6379, "redis", None, Spoken.TCP),
        (80, "web", None, Spoken.EITHER),
        (80, "", None, Spoken.EITHER),
        (3306, "db", None, Spoken.TCP),
        (80, "tcp-web", "http", Spoken.HTTP),
        (80, "http-web", "kubernetes.io/wss", Spoken.TLS),
        (80, "tcp", "kubernetes.io/h2c", Spoken.HTTP),
        (80, "http", "example.com/own", Spoken.EITHER),
    ],
)
def test_what_a_port_speaks(number: int, name: str, app_protocol: str | None, expected: Spoken) -> None:
    assert of_service_port(number, name, app_protocol) is expected


@pytest.mark.parametrize(
    ("name", "mode", "expected"),
    [
        ("http", "PERMISSIVE", "broken"),
        ("tcp", "PERMISSIVE", "not_enforced"),
        ("any", "PERMISSIVE", "not_enforced"),
        ("http", "DISABLE", "broken"),
        ("tcp", "DISABLE", "not_enforced"),
        ("http", "STRICT", "broken"),
    ],
)
def test_tls_that_is_not_the_meshs(name: str, mode: str, expected: str) -> None:
    made = service("a", "web", [WEB])
    made[0]["spec"]["ports"][0]["name"] = made[1]["ports"][0]["name"] = name
    rule = destination_rule("a", "web.a.svc.cluster.local", "SIMPLE")
    assert verdicts([WEB, made, peer_authentication("a", mode=mode), rule])[0] == expected


def test_services_that_disagree_leave_it_open() -> None:
    one, two = service("a", "web", [WEB]), service("a", "also", [WEB])
    for made, name in ((one, "http"), (two, "tcp")):
        made[0]["spec"]["ports"][0]["name"] = made[1]["ports"][0]["name"] = name
    rule = destination_rule("a", "web.a.svc.cluster.local", "SIMPLE")
    assert verdicts([WEB, one, two, rule])[0] == "unknown"


# What STRICT would break ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("probe", "found"),
    [
        ({"readinessProbe": {"httpGet": {"path": "/", "port": 8080}}}, [(8080, "readinessProbe")]),
        ({"livenessProbe": {"httpGet": {"path": "/", "port": "web", "scheme": "HTTPS"}}}, [(8080, "livenessProbe")]),
        ({"startupProbe": {"grpc": {"port": 9000}}}, [(9000, "startupProbe")]),
        ({"lifecycle": {"preStop": {"httpGet": {"port": 8080}}}}, [(8080, "lifecycle.preStop")]),
        ({"readinessProbe": {"tcpSocket": {"port": 8080}}}, []),
        ({"readinessProbe": {"exec": {"command": ["true"]}}}, []),
        ({"readinessProbe": {"httpGet": {"path": "/app-health/app/readyz", "port": 15020}}}, []),
        ({"readinessProbe": {"httpGet": {"host": "example.com", "port": 80}}}, []),
    ],
)
@pytest.mark.parametrize("injected", [True, False])
def test_the_kubelets_requests(probe: dict[str, Any], found: list[tuple[int, str]], injected: bool) -> None:
    web = pod("a", "web", sidecar=injected)
    web["spec"]["containers"][0] |= {"ports": [{"name": "web", "containerPort": 8080}], **probe}
    judged = Engine(mesh([web, service("a", "web", [web])]))
    told = what_if(judged, judged.calls(), ["a"], False)["probes"]
    assert [(row["port"], row["probe"]) for row in told] == (found if injected else [])
    strict = Engine(mesh([web, service("a", "web", [web]), peer_authentication("a")]))
    assert what_if(strict, strict.calls(), ["a"], False)["probes"] == [], "they fail already"


def test_callers_from_whom_the_service_is_hidden() -> None:
    scope = obj("Sidecar", "b", "default", {"egress": [{"hosts": ["./*"]}]})
    whole = [WEB, service("a", "web", [WEB]), pod("b", "far"), pod("b", "also"), scope]
    judged = Engine(mesh(whole))
    (found,) = what_if(judged, judged.calls(), ["a"], False)["breaks"]
    assert (found["client"], found["service"], found["rule"]) == ("b/also", "a/web", "not_visible")
    assert "(as 1 more workloads)" in found["reason"]
    closed = Engine(mesh(whole, {"outboundTrafficPolicy": {"mode": "REGISTRY_ONLY"}}))
    assert what_if(closed, closed.calls(), ["a"], False)["breaks"] == [], "refused already"
