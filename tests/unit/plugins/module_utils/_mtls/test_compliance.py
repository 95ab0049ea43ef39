# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can fail a demand: nothing that concerns only namespaces of which nothing is demanded."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.compliance import (
    Excepted,
    Level,
    Wanted,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.engine import Engine
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.findings import Finding, finding
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.given import Given
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.result import OPTIONS, judge, result
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.rules import CheckCode
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.verdict import Call, Proof

from tests.unit.plugins.module_utils._mtls.mtls_objects import (
    ROOT,
    Obj,
    destination_rule,
    mesh,
    namespace,
    obj,
    peer_authentication,
    pod,
    service,
)

PA, DR = peer_authentication, destination_rule
WEB = pod("a", "web", ip="10.1.0.1")
HOST = "web.a.svc.cluster.local"
CONFIG = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"namespace": ROOT, "name": "istio"},
    "data": {"mesh": f"rootNamespace: {ROOT}"},
}
GROUPS = {
    "PeerAuthentication": "security.istio.io/v1",
    "EndpointSlice": "discovery.k8s.io/v1",
    **dict.fromkeys(
        ("DestinationRule", "Sidecar", "ServiceEntry", "WorkloadEntry", "Gateway"), "networking.istio.io/v1"
    ),
}


def told(
    *more: Any,
    want: dict[str, str] | None = None,
    reports: tuple[Finding, ...] = (),
    seen: Callable[[Call], Call] = lambda call: call,
    **params: Any,
) -> dict[str, Any]:
    """The module's result on a/web and `more`; `seen` puts proofs on calls."""
    parts: list[Any] = [WEB, service("a", "web", [WEB]), namespace("a"), namespace("b"), CONFIG, *more]
    objects: list[Obj] = [one for part in parts for one in (part if isinstance(part, list) else [part])]
    source = Given([{"apiVersion": GROUPS.get(one["kind"], "v1"), **one} for one in objects], complete=True)
    chosen = {name: spec.get("default") for name, spec in OPTIONS.items()}
    chosen |= {"want": {"a": "strict"} if want is None else want, **params}
    judged = judge(source, None, chosen)
    calls = [seen(call) for call in judged.calls]
    everything = [seen(call) for call in judged.all_calls]
    judged = dataclasses.replace(judged, calls=calls, all_calls=everything)
    return result(source, chosen, judged, calls, list(reports))


def far(**notes: str) -> Obj:
    return pod("b", "far", annotations={f"traffic.sidecar.istio.io/{name}": value for name, value in notes.items()})


def sidecar(namespace: str, *hosts: str) -> Obj:
    return obj("Sidecar", namespace, "only", {"egress": [{"hosts": list(hosts)}]})


def unclear(namespace: str) -> Obj:
    """A pod with a sidecar and no sign of who redirects its traffic."""
    made = pod(namespace, "odd")
    made["spec"]["initContainers"] = []
    return made


BARE = pod("b", "bare", sidecar=False)
LOOSE = pod("b", "loose")

# What concerns namespace b only, of which nothing is demanded.
FOREIGN: dict[str, list[Any]] = {
    "a service in plain text": [BARE, service("b", "bare", [BARE])],
    "a service that is not enforced": [LOOSE, service("b", "loose", [LOOSE]), PA("b", mode="DISABLE")],
    "a call that its own DestinationRule breaks": [far(), DR("b", HOST, "DISABLE")],
    "TLS that is not the mesh's": [far(), DR("b", HOST, "SIMPLE")],
    "a call past its sidecar": [far(excludeOutboundPorts="80")],
    "a Sidecar object that hides the service": [far(), sidecar("b", "./*")],
    "a workload of which nobody knows what it sends": [unclear("b")],
    "a workload of which nobody knows what it accepts": [unclear("b"), service("b", "odd", [unclear("b")])],
    "a revision without a MeshConfig": [pod("b", "canary", revision="canary")],
    "a call between others": [
        far(),
        LOOSE,
        service("b", "loose", [LOOSE]),
        DR("b", "loose.b.svc.cluster.local", "DISABLE"),
    ],
    "an alias": [
        far(),
        obj("Service", "b", "alias", {"type": "ExternalName", "externalName": HOST, "ports": [{"port": 80}]}),
    ],
}


@pytest.mark.parametrize(
    "filters", [{}, {"namespaces": ["a"]}, {"services": ["a/web"]}, {"clients": ["b/far", "b/odd", "*"]}]
)
@pytest.mark.parametrize("level", Level)
@pytest.mark.parametrize("case", FOREIGN)
def test_a_foreign_namespace_fails_nothing(case: str, level: Level, filters: dict[str, list[str]]) -> None:
    found = told(PA("a"), *FOREIGN[case], want={"a": str(level)}, **filters)
    assert (found["compliant"], found["violations"]) == (True, [])
    assert [row for row in found["calls"] if row["deviation"]] == []


@pytest.mark.parametrize("case", ["a call that its own DestinationRule breaks", "a call past its sidecar"])
def test_the_same_of_a_demanded_namespace_fails(case: str) -> None:
    found = told(PA("a"), *FOREIGN[case], want={"a": "strict", "b": "permissive"})
    assert not found["compliant"]
    assert all("client b/far" in entry["message"] for entry in found["violations"])


@pytest.mark.parametrize(
    ("objects", "named"),
    [
        ([far(), DR("b", HOST, "DISABLE", name="no-tls")], "DestinationRule b/no-tls"),
        ([far(excludeOutboundPorts="80")], "the client's excludeOutboundPorts has port 80"),
        ([unclear("b")], "neither istio-init nor a mark of istio-cni"),
    ],
)
@pytest.mark.parametrize("filters", [{}, {"namespaces": ["a"]}, {"clients": ["*"]}])
def test_a_foreign_workload_whose_plain_text_is_accepted_fails_by_name(
    objects: list[Any], named: str, filters: dict[str, list[str]]
) -> None:
    found = told(PA("a", mode="PERMISSIVE"), *objects, want={"a": "permissive"}, **filters)
    assert found["compliant"] is False
    (only,) = found["violations"]
    assert only["object"] == "Service a/web port 80"
    assert f"client b/{'odd' if 'odd' in str(objects[0]['metadata']) else 'far'}" in only["message"]
    assert named in only["message"]


def test_one_endpoint_that_accepts_plain_text_is_enough() -> None:
    other = pod("a", "other")
    both = [WEB, other, service("a", "both", [WEB, other])]
    mixed = [PA("a"), PA("a", "open", "PERMISSIVE", selector={"app": "other"}), *both, far()]
    rule = DR("b", "both.a.svc.cluster.local", "DISABLE")
    assert told(*mixed, want={"a": "permissive"})["compliant"] is True
    found = told(*mixed, rule, want={"a": "permissive"})
    assert {(entry["object"], "client b/far" in entry["message"]) for entry in found["violations"]} == {
        ("Service a/both port 80", True)
    }


def test_a_port_that_was_seen_to_accept_plain_text_refuses_nobody() -> None:
    def seen(call: Call) -> Call:
        violated = call.client == "plaintext" and call.service == "a/web"
        return dataclasses.replace(call, proof=Proof.VIOLATED, evidence="answered") if violated else call

    found = told(PA("a"), far(), DR("b", HOST, "DISABLE"), seen=seen)
    assert [(entry["code"], "b/far" in entry["message"]) for entry in found["violations"]] == [
        ("not_compliant", True),
        ("violated", False),
    ]


@pytest.mark.parametrize(
    ("report", "fails"),
    [
        (finding(CheckCode.CERTIFICATE_EXPIRY, "Pod b/far-0", "…", concerns=frozenset({"b"})), False),
        (finding(CheckCode.CERTIFICATE_EXPIRY, "Pod a/web-0", "…", concerns=frozenset({"a"})), True),
        (finding(CheckCode.INCOMPLETE, "Sidecar", "…"), True),
        (finding(CheckCode.UNPROVED, "Proxies", "…"), False),
    ],
)
def test_only_errors_that_concern_a_demanded_namespace_count(report: Finding, fails: bool) -> None:
    found = told(PA("a"), reports=(report,))
    assert found["compliant"] is not fails
    assert [entry["object"] for entry in found["violations"]] == ([report.object] if fails else [])
    assert report.object in {entry["object"] for entry in found["findings"]}


def test_a_contradiction_counts_where_something_is_demanded() -> None:
    def seen(call: Call) -> Call:
        return dataclasses.replace(call, proof=Proof.VIOLATED) if call.service == "b/loose" else call

    more = [PA("a"), PA("b"), LOOSE, service("b", "loose", [LOOSE])]
    assert told(*more, seen=seen)["compliant"] is True
    assert told(*more, seen=seen, want={"b": "permissive"})["compliant"] is False
    assert told(*more, seen=seen, want={})["compliant"] is None


def test_a_revision_without_a_mesh_config_counts_where_it_serves() -> None:
    canary = pod("a", "canary", revision="canary")
    found = told(PA("a"), canary)
    assert [entry["code"] for entry in found["violations"] if entry["about"] == "mesh"] == ["mesh_config"]


def test_an_exception_still_says_why() -> None:
    found = told(exceptions=[dataclasses.asdict(Excepted(service="a/web", reason="until June"))])
    rows = [row for row in found["calls"] if row["service"] == "a/web" and row["deviation"]]
    assert {row["excepted"] for row in rows} == {"until June"}
    assert {row["demanded"] for row in found["calls"]} == {"strict"}


def test_a_wanted_without_levels_concerns_nothing() -> None:
    assert not Wanted({}).concerned(None)
    assert Wanted({"*": Level.STRICT}).concerned(frozenset({"b"}))
    assert Engine(mesh([WEB])).calls() == []
