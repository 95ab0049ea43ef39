# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Weights in VirtualServices: they change, and nothing else does."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from ansible_collections.servicemesh.platform.plugins.module_utils._canary import (
    preconditions,
    route_copies,
    route_patch,
    routes,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.proof_scope import Scope, scopes
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.route_record import (
    MIRROR_KEYS,
    RouteRecord,
    elsewhere,
    recorded,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.routes import Aim
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.start_routes import mirrors_elsewhere
from ansible_collections.servicemesh.platform.plugins.plugin_utils._service.ingress import roots
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


def record_of(obj: Obj, extra: Obj | None = None, mirror: float = 0, run: str = "r1") -> RouteRecord:
    """What a run records at its start."""
    copies, refused = route_copies.copies_of(obj, AIM, extra, run) if extra else ({}, [])
    assert refused == []
    return recorded(obj, AIM, copies, mirror)


def shifted(obj: Obj, weight: int, record: RouteRecord, annotation: str | None = None) -> Obj:
    return patched(obj, route_patch.patch(obj, AIM, weight, record, annotation=annotation))


TESTER: Obj = {"headers": {"x-tester": {"exact": "yes"}}}
SPLIT = [to("stable", 100), to("canary", 0)]


def test_an_extra_route_keeps_what_its_route_does() -> None:
    route = {
        "name": "api",
        "match": [{"uri": {"prefix": "/api"}, "headers": {"a": {"exact": "1"}}}, {"uri": {"exact": "/"}}],
        "rewrite": {"uri": "/"},
        "timeout": "3s",
        "route": SPLIT,
    }
    obj = virtual_service([route])
    first, second = shifted(obj, 5, record_of(obj, TESTER))["spec"]["http"]
    assert first == {
        "name": "api-canary-match-r1",
        "match": [
            {"uri": {"prefix": "/api"}, "headers": {"a": {"exact": "1"}, "x-tester": {"exact": "yes"}}},
            {"uri": {"exact": "/"}, "headers": {"x-tester": {"exact": "yes"}}},
        ],
        "rewrite": {"uri": "/"},
        "timeout": "3s",
        "route": [to("canary")],
    }
    assert second["route"] == [to("stable", 95), to("canary", 5)]


def test_a_copy_stands_directly_before_its_route_and_takes_nothing_from_others() -> None:
    drivers = {"name": "drivers", "match": [{"uri": {"prefix": "/drivers"}}], "route": [to("", host="drivers")]}
    obj = virtual_service([drivers, {"name": "rest", "route": SPLIT}])
    during = shifted(obj, 20, record_of(obj, TESTER))
    assert [route["name"] for route in during["spec"]["http"]] == ["drivers", "rest-canary-match-r1", "rest"]


def test_a_users_route_mirror_and_bare_weight_stay_whatever_their_names() -> None:
    http = [
        {"name": "beta-canary-match", "match": [{"uri": {"exact": "/beta"}}], "route": [to("", host="beta")]},
        {"name": "api", "mirror": to("canary")["destination"], "route": [to("stable", 100), to("canary")]},
    ]
    obj = virtual_service(copy.deepcopy(http))
    record = record_of(obj, TESTER)
    during = shifted(obj, 20, record, "run/1")
    assert [route["name"] for route in during["spec"]["http"]] == ["beta-canary-match", "api-canary-match-r1", "api"]
    assert all(route["mirror"] == http[1]["mirror"] for route in during["spec"]["http"][1:])
    after = patched(during, route_patch.patch(during, AIM, 0, record, annotation=""))
    assert after == obj  # no `weight: 0`, and no annotations


def test_a_name_that_is_taken_is_not_used() -> None:
    http = [{"name": "api", "route": SPLIT}, {"name": "api-canary-match-r1", "route": [to("stable")]}]
    obj = virtual_service(http)
    record = record_of(obj, TESTER)
    assert record.copies == {"api-canary-match-r1-2"}
    assert shifted(shifted(obj, 5, record), 0, record) == obj


EDITED = [
    ("timeout", lambda http: http[0].update(timeout="9s"), "was changed or moved"),
    ("moved", lambda http: http.append(http.pop(0)), "was changed or moved"),
    ("between", lambda http: http.insert(1, {"name": "new", "route": [to("stable")]}), "was changed or moved"),
    ("source", lambda http: http[1].update(timeout="9s"), "was changed or removed since the start"),
    ("source gone", lambda http: http.pop(1), "was changed or removed since the start"),
    (
        "added",
        lambda http: http.append({"name": "new", "route": [to("stable", 95), to("canary", 5)]}),
        "was added or changed",
    ),
]


@pytest.mark.parametrize(("edit", "words"), [entry[1:] for entry in EDITED], ids=[entry[0] for entry in EDITED])
def test_what_somebody_else_changed_is_told_and_weight_0_still_ends_it(edit: Any, words: str) -> None:
    obj = virtual_service([{"name": "api", "route": SPLIT}])
    record = record_of(obj, TESTER)
    during = shifted(obj, 5, record)
    edit(during["spec"]["http"])
    assert words in "; ".join(route_patch.changed(during, AIM, record))
    after = shifted(during, 0, record)
    assert not [route for route in after["spec"]["http"] if routes.leads_to_canary(route, AIM, "shop")]
    assert route_patch.left_behind(after, AIM, record) == []


def test_a_copy_that_somebody_else_leads_elsewhere_is_left_and_told() -> None:
    obj = virtual_service([{"name": "api", "route": SPLIT}])
    record = record_of(obj, TESTER)
    during = shifted(obj, 5, record)
    during["spec"]["http"][0]["route"] = [to("stable")]
    after = shifted(during, 0, record)
    assert after["spec"]["http"][0]["name"] == "api-canary-match-r1"
    assert "it stays" in route_patch.left_behind(after, AIM, record)[0]


def test_a_route_to_the_canary_that_somebody_else_added_is_told() -> None:
    beta = {"name": "beta", "match": [{"uri": {"exact": "/beta"}}], "route": [to("canary")]}
    obj = virtual_service([{"name": "api", "route": SPLIT}, beta])
    aim = Aim("user-service", "shop", routes=("api",))
    record = recorded(obj, aim, {}, 0)
    assert elsewhere(obj, aim, record) == []  # it was there at the start
    obj["spec"]["http"].append({**beta, "name": "second"})
    assert elsewhere(obj, aim, record) == ["http route second"]


def test_a_mirror_that_somebody_else_set_is_told_and_stays() -> None:
    obj = virtual_service([{"name": "api", "route": SPLIT}])
    record = record_of(obj, mirror=10)
    during = shifted(obj, 5, record)
    assert during["spec"]["http"][0]["mirrorPercentage"] == {"value": 10}
    assert shifted(during, 0, record) == obj
    during["spec"]["http"][0]["mirror"] = {"host": "shadow"}
    assert "has another mirror" in route_patch.changed(during, AIM, record)[0]
    assert shifted(during, 0, record)["spec"]["http"][0]["mirror"] == {"host": "shadow"}


@pytest.mark.parametrize("key", MIRROR_KEYS)
def test_the_option_mirror_is_refused_on_a_route_that_has_one(key: str) -> None:
    obj = virtual_service([{"name": "api", key: {"host": "shadow"}, "route": SPLIT}])
    assert f"http route api: has {key} already" in mirrors_elsewhere(obj, AIM)[0]


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


def test_a_route_that_delegates_has_no_weights_of_its_own() -> None:
    obj = virtual_service([{"name": "api", "delegate": {"name": "real"}}, {"name": "rest", "route": SPLIT}])
    found = routes.find(obj, AIM)
    assert [place.name for place in found.places] == ["rest"]
    assert found.findings == found.left == ()


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
    after = shifted(obj, 30, record_of(obj))
    assert routes.weights([after], AIM) == {30}
    assert len(routes.find(after, AIM).places) == 2


def test_every_route_of_the_platforms_services_is_found() -> None:
    definition = {
        "name": "user-service",
        "namespace": "shop",
        "image": "example/user:v1",
        "routes": [{"prefix": "/api/users"}, {"prefix": "/internal", "ingress": False}],
    }
    rule, *items = traffic_manifests(definition)
    names = []
    for obj in items:
        obj["metadata"]["resourceVersion"] = "1"
        found = routes.find(obj, AIM)
        names.append([place.name for place in found.places])
        assert found.findings == found.left == ()
        assert routes.concerns(obj, AIM)
    assert names == [["api-users", "internal", "mesh"], ["api-users"]]
    assert preconditions.rule_findings([rule], AIM) == []


def test_named_routes_alone() -> None:
    http = [{"name": name, "route": [to("stable", 100), to("canary", 0)]} for name in ("a", "b")]
    found = routes.find(virtual_service(http), Aim("user-service", "shop", routes=("b",)))
    assert [place.name for place in found.places] == ["b"]
    assert found.left == ("http route a",)


@given(st.lists(st.sampled_from(["servicemesh-canary", "servicemesh-platform", "kubectl"]), max_size=6))
def test_only_the_own_entries_leave_managed_fields(managers: list[str]) -> None:
    obj = virtual_service([], managedFields=[{"manager": name, "n": i} for i, name in enumerate(managers)])
    ops = route_patch.disown(obj, "servicemesh-canary")
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


def test_an_object_of_ours_is_nobody_elses() -> None:
    ours = virtual_service([], managedFields=[{"manager": "servicemesh-platform", "fieldsV1": {"f:spec": {}}}])
    assert preconditions.other_tools(ours) == []


KUSTOMIZE, HELM = "kustomize.toolkit.fluxcd.io", "helm.toolkit.fluxcd.io"


def by_flux(group: str, manager: str, key: str, value: str, *, kind: str = "annotations", source: bool = True) -> Obj:
    """An object of Flux with a label or annotation, from its source or set in the cluster."""
    meta: Obj = {"labels": {f"{group}/name": "shop", f"{group}/namespace": "flux-system"}}
    meta[kind] = {**meta.get(kind, {}), key: value}
    fields = {"f:spec": {}, "f:metadata": {f"f:{kind}": {f"f:{key}": {}}}} if source else {"f:spec": {}}
    return virtual_service([], **meta, managedFields=[{"manager": manager, "fieldsV1": fields}])


@pytest.mark.parametrize("source", [True, False])
@pytest.mark.parametrize("kind", ["labels", "annotations"])
@pytest.mark.parametrize(
    ("group", "manager", "key", "value", "left_alone"),
    [
        (KUSTOMIZE, "kustomize-controller", f"{KUSTOMIZE}/reconcile", "disabled", "always"),
        (KUSTOMIZE, "kustomize-controller", f"{KUSTOMIZE}/reconcile", "Disabled", "always"),
        (KUSTOMIZE, "kustomize-controller", f"{KUSTOMIZE}/reconcile", "enabled", "never"),
        (KUSTOMIZE, "kustomize-controller", f"{KUSTOMIZE}/ssa", "Ignore", "always"),
        (KUSTOMIZE, "kustomize-controller", f"{KUSTOMIZE}/ssa", "Merge", "never"),
        (KUSTOMIZE, "kustomize-controller", f"{KUSTOMIZE}/ssa", "IfNotPresent", "source"),
        (KUSTOMIZE, "kustomize-controller", f"{KUSTOMIZE}/prune", "disabled", "never"),
        (KUSTOMIZE, "kustomize-controller", f"{HELM}/driftDetection", "disabled", "never"),
        (HELM, "helm-controller", f"{HELM}/driftDetection", "disabled", "source"),
        (HELM, "helm-controller", f"{KUSTOMIZE}/reconcile", "disabled", "never"),
    ],
)
def test_what_flux_leaves_alone_is_not_managed_by_flux(
    group: str, manager: str, key: str, value: str, left_alone: str, kind: str, source: bool
) -> None:
    found = preconditions.other_tools(by_flux(group, manager, key, value, kind=kind, source=source))
    assert (found == []) == (left_alone == "always" or (left_alone == "source" and source)), found


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("sync-options", "Prune=false"),
        ("compare-options", "IgnoreExtraneous"),
        ("skip-reconcile", "true"),
        ("ignore-resource-updates", "true"),
    ],
)
def test_no_annotation_of_an_object_keeps_argo_cd_from_syncing_it(key: str, value: str) -> None:
    assert preconditions.other_tools(virtual_service([], annotations={f"argocd.argoproj.io/{key}": value}))


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


def test_two_rules_with_a_subset_each_are_one_as_istio_merges_them() -> None:
    rules = [rule(name=f"dr-{entry['name']}", subsets=[entry]) for entry in SUBSETS]
    assert preconditions.rule_findings(rules, AIM) == []
    assert preconditions.subset_labels(rules, AIM, "canary") == {"track": "canary"}


def older(obj: Obj, day: int) -> Obj:
    return {**obj, "metadata": {**obj["metadata"], "creationTimestamp": f"2026-01-0{day}T00:00:00Z"}}


def test_the_first_of_two_subsets_and_the_first_policy_stay() -> None:
    wrong = [{"name": "canary", "labels": {"track": "stable"}}]
    rules = [older(rule(name="b", subsets=wrong), 2), older(rule(name="c", subsets=SUBSETS), 1)]
    assert preconditions.subset_labels(rules, AIM, "canary") == {"track": "canary"}
    assert preconditions.subset_labels([rules[0], older(rules[1], 3)], AIM, "canary") == {"track": "stable"}
    modes = [older(rule(name="b", mode="SIMPLE", subsets=SUBSETS), 2), older(rule(name="c", mode="DISABLE"), 1)]
    assert "has TLS mode DISABLE" in str(
        preconditions.rule_findings([*modes, rule("*.local", "ISTIO_MUTUAL", "wide")], AIM)
    )


@pytest.mark.parametrize(
    ("second", "words"),
    [
        (rule(name="b", subsets=SUBSETS[1:], exportTo=["."]), "has no subset"),
        (rule(name="b", subsets=SUBSETS[1:], workloadSelector={"matchLabels": {"app": "x"}}), "has no subset stable"),
        (rule(name="b", namespace="callers", subsets=SUBSETS[:1]), "DestinationRule callers/b has no subset canary"),
        (
            rule(name="b", namespace="callers", subsets=[SUBSETS[0], {"name": "canary", "labels": {"x": "y"}}]),
            "subset canary has other labels",
        ),
    ],
)
def test_a_rule_that_some_callers_get_is_told(second: Obj, words: str) -> None:
    first = rule(name="a", subsets=SUBSETS[:1] if words == "has no subset" else SUBSETS)
    assert words in "; ".join(preconditions.rule_findings([first, second], AIM))


def test_routes_that_refuse_other_spellings_stay_before_those_that_they_guard() -> None:
    """Of a delegate below the root of its host; the refusals have no destinations, so no weights, copies and mirrors."""
    paths = [{"prefix": "/api/users/admin", "methods": ["GET"]}, {"prefix": "/api/users", "methods": ["GET", "POST"]}]
    definition = {"name": "user-service", "namespace": "shop", "image": "x/y:1", "routes": paths}
    rules = traffic_manifests(definition)
    delegate = rules[2]
    delegate["metadata"]["resourceVersion"] = "7"
    above, _gone = roots(rules)
    admin, refusal, users = delegate["spec"]["http"]
    assert (routes.find(delegate, AIM).left, routes.find(delegate, AIM).findings) == ((), ())
    assert [place.index for place in routes.find(delegate, AIM).places] == [0, 2]
    copies, _refused = route_copies.copies_of(delegate, AIM, TESTER, "r1")
    assert route_copies.root_findings(delegate, AIM, above, copies, TESTER, 10) == []
    record = record_of(delegate, TESTER, 10)
    during = shifted(delegate, 30, record, "run/1")
    found = during["spec"]["http"]
    names = [route["name"] for route in found]
    own = f"{admin['name']}-canary-match-r1", f"{users['name']}-canary-match-r1"
    assert names == [own[0], admin["name"], refusal["name"], own[1], users["name"]]
    assert found[2] == refusal
    assert scopes([during], above, AIM, record.copies) == [
        Scope("istio-system/ecommerce-gateway", frozenset({admin["name"], users["name"]}))
    ]
    assert patched(during, route_patch.patch(during, AIM, 0, record, annotation="")) == delegate
