# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Findings, demands, what-if, summaries, and what metrics say."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls import summary as _mtls_summary
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls import what_if as _mtls_what_if
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.assemble import Snapshot
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.compliance import (
    Excepted,
    Level,
    Wanted,
    unused,
    violations,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.engine import Engine
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.findings import (
    Finding,
    of_calls,
    of_reading,
    ordered,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.model import Missing, MissingCause
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.proof import metrics as _mtls_metrics

from tests.unit.plugins.module_utils._mtls.mtls_objects import (
    ROOT,
    destination_rule,
    mesh,
    namespace,
    obj,
    peer_authentication,
    pick,
    pod,
    service,
)

PA, DR = peer_authentication, destination_rule
WEB = {"app": "web"}
HOST = "web.a.svc.cluster.local"


def engine(*more: Any, server: dict[str, Any] | None = None, **fields: Any) -> Engine:
    web = pod("a", "web", **(server or {}))
    return Engine(
        mesh([web, pod("b", "far"), service("a", "web", [web]), namespace("a"), namespace("b"), *more], **fields)
    )


def codes(found: list[Finding]) -> list[tuple[str, str]]:
    return [(finding.severity, finding.code) for finding in ordered(found)]


@pytest.mark.parametrize(
    ("policies", "expected"),
    [
        ([PA("a")], []),
        ([], []),
        ([PA("a", mode="DISABLE"), PA("a", "wl", selector=WEB)], [("error", "namespace_disable")]),
        ([PA("a"), DR("a", HOST, "DISABLE")], [("error", "destination_rule_disable")]),
        ([PA("a", mode="DISABLE")], [("warning", "plaintext")]),
        ([PA("a"), PA("a", "young", "DISABLE", age=2)], [("warning", "oldest_wins")]),
        ([PA("a"), PA(ROOT, "x", selector=WEB)], [("warning", "root_namespace_selector")]),
        ([PA("a", selector=WEB, ports={80: "DISABLE"})], [("warning", "service_port_in_port_level_mtls")]),
        ([PA("a", selector=WEB, ports={8080: "DISABLE"})], [("warning", "port_exception")]),
    ],
)
def test_findings_of_verdicts(policies: list[Any], expected: list[tuple[str, str]]) -> None:
    judged = engine(*policies)
    found = of_calls(judged, judged.calls())
    assert codes(found) == expected
    assert all(finding.change for finding in found)
    assert all(finding.object == "Service a/web port 80" for finding in found)


def test_clients_of_one_cause_are_one_finding() -> None:
    more = [pod("b", f"far{number}") for number in range(7)]
    judged = engine(*more, PA("a"), DR("b", HOST, "DISABLE"))
    (found,) = of_calls(judged, judged.calls())
    assert "b/far, b/far0, b/far1, b/far2, b/far3 and 3 more" in found.message


def strict(*more: Any, exceptions: tuple[Excepted, ...] = (), level: str = "strict", **fields: Any) -> list[Finding]:
    judged = engine(*more, **fields)
    return violations(judged, judged.calls(), Wanted({"a": Level(level)}, exceptions))


def test_strict_is_demanded_of_services_and_workloads() -> None:
    assert strict(PA("a")) == []
    found = strict()
    assert {finding.object for finding in found} == {"Service a/web port 80", "Workload a/web"}
    assert strict(level="permissive") == [], "meshed calls are encrypted"
    assert strict(PA("a", mode="DISABLE"), level="permissive") != []
    assert {finding.object for finding in strict(PA("a"), server={"sidecar": False})} == {
        "Service a/web port 80",
        "Workload a/web",
    }


def test_a_port_of_no_service_is_a_hole_too() -> None:
    (found,) = strict(PA("a"), PA("a", "wl", selector=WEB, ports={9999: "PERMISSIVE"}))
    assert found.object == "Workload a/web"
    assert "container port 9999 accepts PERMISSIVE" in found.message
    listed = (Excepted(workload="a/web", port=9999),)
    assert strict(PA("a"), PA("a", "wl", selector=WEB, ports={9999: "PERMISSIVE"}), exceptions=listed) == []


def test_exceptions() -> None:
    hole = PA("a", "wl", selector=WEB, ports={8080: "DISABLE"})
    assert strict(PA("a"), hole) != []
    both = (Excepted(service="a/web", port=80), Excepted(workload="a/web", port=8080))
    assert strict(PA("a"), hole, exceptions=both) == []
    assert strict(exceptions=(Excepted(workload="a/web"),)) == []
    loose = (PA("a", mode="PERMISSIVE"), DR("b", HOST, "DISABLE"))
    assert strict(*loose, level="permissive") != []
    assert strict(*loose, level="permissive", exceptions=(Excepted(service="a/web", client="b/far"),)) == []
    assert strict(PA("a"), hole, exceptions=(Excepted(service="a/other"),)) != []


def test_a_client_alone_is_excepted_for_all_services() -> None:
    loose = (PA("a", mode="PERMISSIVE"), DR("b", HOST, "DISABLE"))
    assert strict(*loose, level="permissive") != []
    assert strict(*loose, level="permissive", exceptions=(Excepted(client="b/far"),)) == []
    assert strict(*loose, level="permissive", exceptions=(Excepted(client="b/other"),)) != []


@pytest.mark.parametrize(
    ("exception", "used"),
    [
        (Excepted(service="a/web"), True),
        (Excepted(service="a/web", port=81), False),
        (Excepted(service="a/wbe"), False),
        (Excepted(workload="a/web", port=9999), True),  # a port of no service is the workload's
        (Excepted(workload="a/wbe"), False),
        (Excepted(client="*"), True),
        (Excepted(client="b/nobody"), False),
    ],
)
def test_an_exception_that_matches_nothing_is_told(exception: Excepted, used: bool) -> None:
    judged = engine(PA("a"))
    found = unused(judged, judged.calls(), Wanted({"a": Level.STRICT}, [exception]))
    assert [entry.code for entry in found] == ([] if used else ["exception_unused"])
    assert all(exception.told in entry.object for entry in found)


def test_nothing_is_demanded_of_what_is_not_there_or_outside() -> None:
    empty = service("a", "empty", [])
    outside = obj(
        "ServiceEntry", "a", "api", {"hosts": ["api.example.com"], "ports": [{"number": 443}], "resolution": "DNS"}
    )
    assert strict(PA("a"), empty, outside) == []


def test_a_star_stands_for_all_other_namespaces() -> None:
    both = Wanted({"*": Level.STRICT, "b": Level.PERMISSIVE})
    assert both.level("a") is Level.STRICT
    assert both.level("b") is Level.PERMISSIVE
    assert Wanted({"b": Level.STRICT}).level("a") is None


def test_what_could_not_be_read_is_an_error_with_what_to_grant() -> None:
    right = "verb list on peerauthentications.security.istio.io in all namespaces"
    why = f"no permission: {right} is missing"
    missing = Missing("PeerAuthentication", MissingCause.NO_PERMISSION, why, right)
    judged = engine(missing={"PeerAuthentication": why})
    made = dataclasses.replace(judged.mesh, missing={"PeerAuthentication": missing})
    config = Missing("ConfigMap istio-system/istio", MissingCause.NOT_INSTALLED, "it does not exist")
    snapshot = Snapshot(made, {}, ("gone",), (config,), {}, {})
    found = ordered(of_reading(snapshot, judged))
    assert codes(found) == [("error", "mesh_config"), ("error", "incomplete"), ("info", "terminating")]
    assert found[0].change == "Set istio_namespace to the namespace of istiod."
    assert found[1].change == "Grant the verb list on peerauthentications.security.istio.io in all namespaces."
    assert strict(PA("a"), missing={"PeerAuthentication": why}) != [], "unknown is never good"


# --- what if


def test_what_if_tells_who_breaks() -> None:
    judged = engine(pod("c", "bare", sidecar=False), DR("b", HOST, "DISABLE"), PA("a", mode="PERMISSIVE"))
    told = _mtls_what_if.what_if(judged, judged.calls(), ["a"], False)
    assert [(entry["client"], entry["service"], entry["was"]) for entry in told["breaks"]] == [
        ("b/far", "a/web", "plaintext_allowed")
    ]
    assert told["refuses"] == [{"service": "a/web", "port": 80, "was": "plaintext_allowed"}]
    assert told["callers"] == ["c/bare"]


def test_what_if_the_mesh_were_strict() -> None:
    judged = engine(PA("a", "wl", "DISABLE", selector=WEB))
    assert _mtls_what_if.what_if(judged, judged.calls(), [], True)["refuses"] == [], "the workload's own policy stays"
    judged = engine(server={"sidecar": False})
    told = _mtls_what_if.what_if(judged, judged.calls(), [], True)
    assert (told["breaks"], told["refuses"]) == ([], []), "without a sidecar nothing is refused"


def test_what_if_changes_the_policy_that_counts() -> None:
    old, young = PA("a", "old", "DISABLE", age=1), PA("a", "young", "PERMISSIVE", age=2)
    changed = _mtls_what_if.made_strict(engine(young, old).mesh, ["a"], False)
    assert {p.name: p.mode for p in changed.policies} == {"old": "STRICT", "young": "PERMISSIVE"}


# --- summaries


def test_workloads_and_namespaces() -> None:
    bare = pod("a", "web", suffix="1", sidecar=False)
    judged = engine(bare, PA("a"))
    rows = {(row["workload"], row["proxy"]): row for row in _mtls_summary.workloads(judged, ["a"])}
    assert rows[("a/web", "sidecar")]["ports"] == {"8080": "STRICT"}
    assert (rows[("a/web", "sidecar")]["mode"], rows[("a/web", "sidecar")]["policy"]) == ("STRICT", "a/default")
    assert rows[("a/web", "none")]["why"] == "its namespace asks for no injection"
    snapshot = Snapshot(judged.mesh, {"a": {"istio-injection": "enabled"}}, (), (), {}, {})
    (row,) = _mtls_summary.namespaces(snapshot, judged, judged.calls(), ["a"])
    assert (row["mode"], row["pods"], row["pods_without_proxy"], row["injection"]) == ("STRICT", 2, 1, "enabled")
    assert row["verdicts"]["strict"] == 1
    assert row["ports_open_to_plaintext"] == 0


# --- metrics


def series(policy: str, amount: Any, caller: str = "b/far", to: str = "web", principal: str = "") -> dict[str, Any]:
    space, name = caller.split("/")
    labels = {
        "source_principal": principal or "unknown",
        "source_workload_namespace": space,
        "source_workload": name,
        "destination_service_namespace": "a",
        "destination_service_name": "web",
        "destination_workload_namespace": "a",
        "destination_workload": to,
        "connection_security_policy": policy,
    }
    return {"metric": labels, "value": [1.0, amount]}


FAR = "spiffe://cluster.local/ns/b/sa/default"  # the destination may know a caller by its principal alone
UNREAD = "spiffe://cluster.local/ns/elsewhere/sa/default"  # no workload of the mesh that was read has it


@pytest.mark.parametrize(
    ("policies", "found", "client", "proof"),
    [
        ([PA("a")], [], "*", "unproved"),
        ([PA("a")], [series("mutual_tls", "12")], "*", "claimed"),
        ([PA("a")], [series("mutual_tls", "12"), series("none", "1")], "*", "violated"),
        ([PA("a")], [series("mutual_tls", "NaN"), series("none", "+Inf")], "*", "unproved"),
        ([PA("a")], [series("unknown", "5")], "*", "unproved"),
        ([PA("a")], [series("none", "3", "unknown/unknown")], "plaintext", "violated"),
        ([PA("a")], [series("none", "3", "unknown/unknown")], "*", "unproved"),
        ([PA("a")], [series("mutual_tls", "3", "unknown/unknown", principal=FAR)], "*", "claimed"),
        ([PA("a")], [series("mutual_tls", "3", "unknown/unknown", principal=UNREAD)], "*", "unproved"),
        (
            [PA("a"), DR("b", HOST, "DISABLE")],
            [series("mutual_tls", "3", "unknown/unknown", principal=FAR)],
            "b/far",
            "violated",
        ),
        (
            [PA("a"), DR("b", HOST, "DISABLE")],
            [series("mutual_tls", "3", "unknown/unknown", principal=FAR)],
            "*",
            "unproved",
        ),
        ([], [series("none", "3", "unknown/unknown")], "plaintext", "unproved"),
        ([], [series("mutual_tls", "3")], "*", "claimed"),
        ([PA("a", mode="DISABLE")], [series("none", "3")], "*", "claimed"),
        ([PA("a"), DR("b", HOST, "DISABLE")], [series("mutual_tls", "3")], "b/far", "violated"),
        ([DR("b", HOST, "DISABLE")], [series("none", "3")], "b/far", "claimed"),
        (
            [PA("a"), DR("b", HOST, "DISABLE")],
            [series("none", "3")],
            "*",
            "unproved",
        ),  # a client with a call of its own
    ],
)
def test_metrics_agree_or_not(policies: list[Any], found: list[Any], client: str, proof: str) -> None:
    made = engine(*policies)
    calls = made.calls()
    judged = _mtls_metrics.with_evidence(made.mesh, calls, _mtls_metrics.traffic(found), calls)
    call = pick(judged, "a/web", client)
    assert call.proof == proof
    assert bool(call.evidence) == (proof != "unproved" or (client == "plaintext" and bool(found)))


ONE, MORE, BARE = pod("a", "web"), pod("a", "more"), pod("a", "bare", sidecar=False)
ENTRY = obj("WorkloadEntry", "a", "vm", {"address": "10.9.9.9", "labels": {"app": "web"}})


@pytest.mark.parametrize(
    ("objects", "heard", "proof"),
    [
        ([ONE, service("a", "web", [ONE])], ["web"], "claimed"),
        ([ONE, MORE, service("a", "web", [ONE, MORE])], ["web"], "unproved"),
        ([ONE, MORE, service("a", "web", [ONE, MORE])], ["web", "more"], "claimed"),
        ([ONE, service("a", "web", [ONE], {80: 8080, 90: 9090})], ["web"], "unproved"),  # the metric has no port
        ([ONE, BARE, service("a", "web", [ONE, BARE])], ["web"], "unproved"),
        ([ONE, ENTRY, service("a", "web", [ONE], selector={"app": "web"})], ["web"], "unproved"),
        ([ONE, service("a", "web", [ONE])], ["web", "none"], "violated"),
        ([ONE, service("a", "web", [ONE], {80: 8080, 90: 9090})], ["web", "none"], "violated"),  # both ports are STRICT
        (
            [
                ONE,
                service("a", "web", [ONE], {80: 8080, 90: 9090}),
                PA("a", "x", selector=WEB, ports={9090: "PERMISSIVE"}),
            ],
            ["web", "none"],
            "violated",  # meshed callers send mutual TLS to both
        ),
        (
            [
                ONE,
                service("a", "web", [ONE], {80: 8080, 90: 9090}),
                PA("a", "x", selector=WEB, ports={9090: "DISABLE"}),
            ],
            ["web", "none"],
            "unproved",  # it may have come to the other port
        ),
        # two kinds of pods of one workload, which the metric does not tell apart
        (
            [
                ONE,
                pod("a", "web", labels={"track": "canary"}, suffix="1"),
                destination_rule("a", HOST, subsets=[{"name": "canary", "labels": {"track": "canary"}}]),
                service("a", "web", [ONE, pod("a", "web", suffix="1")]),
            ],
            ["web"],
            "unproved",
        ),
    ],
)
def test_metrics_of_some_kinds_of_endpoints_are_no_claim(objects: list[Any], heard: list[str], proof: str) -> None:
    made = Engine(mesh([*objects, peer_authentication("a")]))
    found = _mtls_metrics.traffic(
        [
            series("none" if name == "none" else "mutual_tls", "3", to="web" if name == "none" else name)
            for name in heard
        ]
    )
    call = pick(_mtls_metrics.with_evidence(made.mesh, made.calls(), found, made.calls()), "a/web")
    assert call.proof == proof, call
    assert "calls with mutual TLS" in call.evidence


def test_callers_with_plain_text_come_first() -> None:
    rows = _mtls_metrics.rows(
        _mtls_metrics.traffic([series("mutual_tls", "3", "b/x"), series("none", "1"), series("mutual_tls", "1")])
    )
    assert [(row["caller"], row["share"]) for row in rows] == [("b/far", 0.5), ("b/x", 0.0)]


def test_only_the_destinations_report_is_asked_for() -> None:
    for query in _mtls_metrics.queries(60):
        assert 'reporter="destination"' in query
        assert "[60s]" in query
