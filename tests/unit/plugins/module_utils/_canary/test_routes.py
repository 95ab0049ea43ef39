# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Weights in VirtualServices: they change, and nothing else does."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from ansible_collections.servicemesh.platform.plugins.module_utils._canary import preconditions, routes
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.routes import ANNOTATION, Aim
from ansible_collections.servicemesh.platform.plugins.plugin_utils._service.traffic import traffic_manifests
from hypothesis import given
from hypothesis import strategies as st

AIM = Aim("user-service", "shop")
HOST = AIM.host
Obj = dict[str, Any]


def virtual_service(http: list[Obj], **meta: Any) -> Obj:
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": "vs", "namespace": "shop", "resourceVersion": "7", **meta},
        "spec": {"hosts": [HOST], "http": http},
    }


def to(subset: str, weight: int | None = None, host: str = HOST, **more: Any) -> Obj:
    entry: Obj = {"destination": {"host": host, "subset": subset} if subset else {"host": host}, **more}
    return entry if weight is None else {**entry, "weight": weight}


def patched(obj: Obj, ops: list[Obj]) -> Obj:
    """RFC 6902, as far as the patches need it; a failing test raises."""
    result = copy.deepcopy(obj)
    for op in ops:
        *way, last = [part.replace("~1", "/").replace("~0", "~") for part in op["path"].split("/")[1:]]
        node: Any = result
        for part in way:
            node = node[int(part)] if isinstance(node, list) else node[part]
        key: Any = int(last) if isinstance(node, list) else last
        if op["op"] == "test":
            assert node[key] == op["value"], op
        elif op["op"] == "remove":
            del node[key]
        elif isinstance(node, list) and op["op"] == "add":
            node.insert(key, copy.deepcopy(op["value"]))
        else:
            assert op["op"] == "add" or key in node, op
            node[key] = copy.deepcopy(op["value"])
    return result


def without_weights(obj: Obj) -> Obj:
    bare = copy.deepcopy(obj)
    bare["metadata"].pop("annotations", None)
    for protocol in routes.PROTOCOLS:
        for route in bare["spec"].get(protocol) or []:
            for entry in route.get("route") or []:
                entry.pop("weight", None)
    return bare


words = st.text("abcdef/~-.", min_size=1, max_size=8)
junk = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(0, 9), words),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(words, inner, max_size=3)),
    max_leaves=6,
)
extras = st.dictionaries(
    st.sampled_from(["match", "timeout", "retries", "rewrite", "headers", "fault", "x"]), junk, max_size=4
)


@st.composite
def shifted_routes(draw: Any) -> Obj:
    weight = draw(st.integers(0, 100))
    entries = [to("stable", 100 - weight, headers=draw(junk)), to("canary", weight)]
    if weight == 0 and draw(st.booleans()):
        entries[1].pop("weight")
    if draw(st.booleans()):
        entries.reverse()
    return {**draw(extras), "name": draw(words), "route": entries}


other_routes = st.builds(
    lambda more, host, subset: {**more, "route": [to(subset, host=host)]},
    extras,
    st.sampled_from(["other.shop.svc.cluster.local", "user-service.elsewhere.svc.cluster.local", "other"]),
    st.sampled_from(["", "stable", "canary"]),
)
stable_only = st.builds(lambda more: {**more, "route": [to("stable")]}, extras)


@given(st.lists(st.one_of(shifted_routes(), other_routes, stable_only), max_size=6), st.integers(0, 100))
def test_everything_but_the_weights_stays(http: list[Obj], weight: int) -> None:
    before = virtual_service(http, labels={"a": "b"})
    found = routes.find(before, AIM)
    assert found.findings == ()
    after = patched(before, routes.patch(before, AIM, weight, annotation=None))
    assert without_weights(after) == without_weights(before)
    assert routes.weights([after], AIM) == ({weight} if found.places else set())
    for place in routes.find(after, AIM).places:
        entries = after["spec"][place.protocol][place.index]["route"]
        assert entries[place.stable].get("weight", 0) + place.canary_weight == 100
    untouched = [i for i in range(len(http)) if i not in {place.index for place in found.places}]
    assert [after["spec"]["http"][i] for i in untouched] == [http[i] for i in untouched]
    assert routes.patch(after, AIM, weight, annotation=None) == []


@given(st.lists(shifted_routes(), min_size=1, max_size=4), st.integers(0, 100), st.integers(0, 100))
def test_there_and_back_is_the_same_object(http: list[Obj], there: int, extra_weight: int) -> None:
    before = virtual_service(http)
    for route in before["spec"]["http"]:
        route.pop("match", None)
        for entry in route["route"]:
            entry["weight"] = 100 if entry["destination"]["subset"] == "stable" else 0
    header = {"headers": {"x-tester": {"exact": "yes"}}}
    for route in before["spec"]["http"]:
        route.pop("mirror", None)
    during = patched(before, routes.patch(before, AIM, there, annotation="run/1", extra=header, mirror=10))
    assert all(route["mirror"] == to("canary")["destination"] for route in during["spec"]["http"][len(http) :])
    assert routes.patch(during, AIM, there, annotation="run/1", extra=header, mirror=10) == []
    assert len(during["spec"]["http"]) == 2 * len(http)
    assert during["metadata"]["annotations"] == {ANNOTATION: "run/1"}
    during = patched(during, routes.patch(during, AIM, extra_weight, annotation="run/1", extra=header))
    after = patched(during, routes.patch(during, AIM, 0, annotation=""))
    after["metadata"].pop("annotations")
    assert after == before


def test_an_extra_route_keeps_what_its_route_does() -> None:
    route = {
        "name": "api",
        "match": [{"uri": {"prefix": "/api"}, "headers": {"a": {"exact": "1"}}}, {"uri": {"exact": "/"}}],
        "rewrite": {"uri": "/"},
        "timeout": "3s",
        "route": [to("stable", 100), to("canary", 0)],
    }
    obj = virtual_service([route])
    after = patched(obj, routes.patch(obj, AIM, 5, annotation=None, extra={"headers": {"x-tester": {"exact": "yes"}}}))
    first, second = after["spec"]["http"]
    assert first == {
        "name": "api-canary-match",
        "match": [
            {"uri": {"prefix": "/api"}, "headers": {"a": {"exact": "1"}, "x-tester": {"exact": "yes"}}},
            {"uri": {"exact": "/"}, "headers": {"x-tester": {"exact": "yes"}}},
        ],
        "rewrite": {"uri": "/"},
        "timeout": "3s",
        "route": [to("canary")],
    }
    assert second["route"] == [to("stable", 95), to("canary", 5)]


@pytest.mark.parametrize(
    ("route", "words"),
    [
        ([to("stable", 90), to("canary", 5), to("third", 5)], "third destination (third)"),
        ([to("stable", 90), to("canary", 5), to("x", 5, host="other")], "third destination (other)"),
        ([to("stable", 90), to("stable", 10)], "expected stable and canary"),
        ([to("stable", 50), to("canary", 25), to("canary", 25)], "each once"),
        ([to("canary", 100)], "has subsets canary"),
        ([to("", 100)], "has no subset"),
        ([to("stable", 90), to("", 10)], "has no subset"),
        ([to("stable", 90), to("canary", 5)], "expected a sum of 100"),
        ([to("stable"), to("canary")], "expected a sum of 100"),
    ],
)
def test_a_route_that_is_not_understood_is_refused_by_name(route: list[Obj], words: str) -> None:
    (finding,) = routes.find(virtual_service([{"name": "api", "route": route}]), AIM).findings
    assert words in finding
    assert "VirtualService shop/vs, http route api" in finding


def test_a_delegate_is_refused_by_name() -> None:
    obj = virtual_service([{"name": "api", "delegate": {"name": "real", "namespace": "other"}}])
    assert "delegates to other/real" in routes.find(obj, AIM).findings[0]


def test_ports_that_differ_are_refused() -> None:
    entries = [to("stable", 100), to("canary", 0)]
    entries[0]["destination"]["port"] = {"number": 80}
    entries[1]["destination"]["port"] = {"number": 81}
    assert "expected one port" in routes.find(virtual_service([{"route": entries}]), AIM).findings[0]


@pytest.mark.parametrize(
    ("host", "namespace", "means"),
    [
        (HOST, "anywhere", True),
        (HOST.upper(), "anywhere", True),
        ("user-service", "shop", True),
        ("user-service", "other", False),
        ("user-service.shop", "shop", False),
        ("xuser-service.shop.svc.cluster.local", "shop", False),
    ],
)
def test_hosts_are_matched_as_istio_does(host: str, namespace: str, means: bool) -> None:
    assert AIM.means(host, namespace) == means


def test_routes_of_tcp_and_tls_shift_too() -> None:
    obj = virtual_service([])
    obj["spec"]["tcp"] = [{"route": [to("stable", 100), to("canary", 0)]}]
    obj["spec"]["tls"] = [{"match": [{"sniHosts": ["x"]}], "route": [to("stable", 100), to("canary")]}]
    after = patched(obj, routes.patch(obj, AIM, 30, annotation=None))
    assert routes.weights([after], AIM) == {30}
    assert len(routes.find(after, AIM).places) == 2


def test_every_route_of_the_platforms_services_is_found() -> None:
    definition = {
        "name": "user-service",
        "namespace": "shop",
        "image": "example/user:v1",
        "routes": [{"prefix": "/api/users"}, {"prefix": "/internal", "ingress": False}],
    }
    rule, obj = traffic_manifests(definition)
    obj["metadata"]["resourceVersion"] = "1"
    found = routes.find(obj, AIM)
    assert [place.name for place in found.places] == ["api-users", "internal", "mesh"]
    assert found.findings == found.left == ()
    assert preconditions.rule_findings([rule], AIM) == []


def test_a_mirror_of_somebody_elses_is_told_and_never_taken_away() -> None:
    route = {"name": "api", "mirror": {"host": "shadow"}, "route": [to("stable", 100), to("canary", 0)]}
    obj = virtual_service([route])
    assert "has a mirror already" in routes.mirrors_elsewhere(obj, AIM)[0]
    after = patched(obj, routes.patch(obj, AIM, 5, annotation=None))
    assert after["spec"]["http"][0]["mirror"] == {"host": "shadow"}


def test_named_routes_alone() -> None:
    http = [{"name": name, "route": [to("stable", 100), to("canary", 0)]} for name in ("a", "b")]
    found = routes.find(virtual_service(http), Aim("user-service", "shop", routes=("b",)))
    assert [place.name for place in found.places] == ["b"]
    assert found.left == ("http route a",)


@given(st.lists(st.sampled_from(["servicemesh-canary", "servicemesh-platform", "kubectl"]), max_size=6))
def test_only_the_own_entries_leave_managed_fields(managers: list[str]) -> None:
    obj = virtual_service([], managedFields=[{"manager": name, "n": i} for i, name in enumerate(managers)])
    ops = routes.disown(obj, "servicemesh-canary")
    after = patched(obj, ops)
    left = [entry["manager"] for entry in after["metadata"]["managedFields"]]
    assert left == [name for name in managers if name != "servicemesh-canary"]
    assert bool(ops) == ("servicemesh-canary" in managers)


# Guards --------------------------------------------------------------------------------------------------------------------


def rule(host: str = HOST, mode: str = "", name: str = "dr", namespace: str = "shop", **more: Any) -> Obj:
    spec: Obj = {"host": host, **more}
    if mode:
        spec["trafficPolicy"] = {"tls": {"mode": mode}}
    return {"metadata": {"name": name, "namespace": namespace}, "spec": spec}


SUBSETS = [{"name": track, "labels": {"track": track}} for track in ("stable", "canary")]


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ([], "none in namespace shop has host"),
        ([rule(subsets=SUBSETS[:1])], "has no subset canary"),
        ([rule(subsets=[{**SUBSETS[0], "name": name} for name in ("stable", "canary")])], "have the same labels"),
        (
            [rule(subsets=SUBSETS), rule("*.local", "ISTIO_MUTUAL", "wide", "istio-system")],
            "expected its mode ISTIO_MUTUAL",
        ),
        ([rule(subsets=SUBSETS, mode="SIMPLE"), rule("*.local", "ISTIO_MUTUAL", "wide")], "has TLS mode SIMPLE"),
    ],
)
def test_a_rule_that_does_not_do_is_told(rules: list[Obj], words: str) -> None:
    assert words in "; ".join(preconditions.rule_findings(rules, AIM))


def test_a_rule_that_keeps_the_wider_ones_tls_is_fine() -> None:
    rules = [rule(subsets=SUBSETS, mode="ISTIO_MUTUAL"), rule("*.local", "ISTIO_MUTUAL", "wide")]
    assert preconditions.rule_findings(rules, AIM) == []
    assert preconditions.rule_findings([rule(subsets=SUBSETS), rule("*.other", "ISTIO_MUTUAL", "wide")], AIM) == []


@pytest.mark.parametrize(
    ("meta", "tool"),
    [
        ({"managedFields": [{"manager": "flagger", "fieldsV1": {"f:spec": {}}}]}, "flagger"),
        ({"ownerReferences": [{"kind": "Canary"}]}, "flagger"),
        ({"annotations": {"argocd.argoproj.io/tracking-id": "x"}}, "argocd"),
        ({"labels": {"kustomize.toolkit.fluxcd.io/name": "x"}}, "flux"),
        ({"managedFields": [{"manager": "rollouts-controller", "fieldsV1": {"f:spec": {}}}]}, "argo-rollouts"),
    ],
)
def test_another_tools_object_is_refused_unless_accepted(meta: Obj, tool: str) -> None:
    obj = virtual_service([], **meta)
    (finding,) = preconditions.other_tools(obj)
    assert tool in finding
    assert preconditions.other_tools(obj, [tool]) == []


def test_an_object_of_ours_or_one_that_flux_leaves_alone_is_nobody_elses() -> None:
    ours = virtual_service([], managedFields=[{"manager": "servicemesh-platform", "fieldsV1": {"f:spec": {}}}])
    assert preconditions.other_tools(ours) == []
    left = virtual_service([], annotations={"kustomize.toolkit.fluxcd.io/reconcile": "disabled"})
    assert preconditions.other_tools(left) == []


def test_pods_that_are_missing_or_in_both_subsets_are_told() -> None:
    def pod(name: str, ready: bool = True, **labels: str) -> Obj:
        state = "True" if ready else "False"
        return {
            "metadata": {"name": name, "labels": {"app": "user-service", **labels}},
            "status": {"conditions": [{"type": "Ready", "status": state}]},
        }

    service = {"spec": {"selector": {"app": "user-service"}}}
    rules = [rule(subsets=SUBSETS)]
    pods = [pod("a", track="stable"), pod("b", track="canary"), pod("c", False, track="canary")]
    assert preconditions.pod_findings(service, pods, rules, AIM, {"stable": 1, "canary": 1}) == []
    assert "canary selects 1 ready pods; expected at least 2" in str(
        preconditions.pod_findings(service, pods, rules, AIM, {"stable": 1, "canary": 2})
    )
    both = [rule(subsets=[SUBSETS[0], {"name": "canary", "labels": {"app": "user-service"}}])]
    assert "is in both subsets" in str(preconditions.pod_findings(service, pods, both, AIM, {}))
