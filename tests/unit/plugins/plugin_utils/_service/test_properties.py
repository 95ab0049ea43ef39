# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Properties of the objects of every valid service definition."""

from __future__ import annotations

import json
import re
from typing import Any

from ansible_collections.servicemesh.platform.plugins.plugin_utils._service import checks as _checks
from ansible_collections.servicemesh.platform.plugins.plugin_utils._service import security as _security
from ansible_collections.servicemesh.platform.plugins.plugin_utils._service import traffic as _traffic
from ansible_collections.servicemesh.platform.plugins.plugin_utils._service import workload as _workload
from ansible_collections.servicemesh.platform.plugins.plugin_utils._service.definition import covers, findings, methods
from hypothesis import given, settings
from hypothesis import strategies as st

LABEL = st.from_regex(r"[a-z]([-a-z0-9]{0,20}[a-z0-9])?", fullmatch=True)
SEGMENT = st.from_regex(r"[a-z][a-z0-9_-]{0,8}", fullmatch=True)
PATH = st.lists(SEGMENT, min_size=1, max_size=4).map(lambda parts: "/" + "/".join(parts))
PATTERN = st.lists(st.one_of(SEGMENT, st.just("*")), min_size=1, max_size=5).map(lambda parts: "/" + "/".join(parts))
METHODS = st.lists(st.sampled_from(_checks.METHODS), min_size=1, max_size=4, unique=True)
ENV = st.dictionaries(
    st.from_regex(r"[A-Z_][A-Z0-9_]{0,10}", fullmatch=True),
    st.one_of(st.text(max_size=20), st.integers(), st.booleans()),
    max_size=3,
)
JWT = {"issuer": "https://issuer.example.com", "jwks": "{}"}


def routes() -> st.SearchStrategy[list[dict[str, Any]]]:
    route = st.fixed_dictionaries(
        {"prefix": PATH, "methods": METHODS},
        optional={
            "ingress": st.booleans(),
            "require_jwt": st.booleans(),
            "timeout": st.sampled_from(["10s", "1m30s", "2500ms"]),
            "retries": st.sampled_from([{}, {"attempts": 0}, {"attempts": 2, "per_try_timeout": "1s"}]),
            "cors": st.sampled_from([{}, {"allow_origins": ["https://a.example"]}, {"allow_origins": ["*"]}]),
        },
    )

    def ordered(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
        unique = {entry["prefix"]: entry for entry in found}
        return sorted(unique.values(), key=lambda entry: -len(entry["prefix"]))

    return st.lists(route, max_size=5).map(ordered)


CALLERS = st.lists(
    st.fixed_dictionaries(
        {
            "service_account": st.one_of(LABEL, st.just("*")),
            "methods": METHODS,
            "paths": st.lists(PATTERN, min_size=1, max_size=3),
        },
        optional={"namespace": LABEL},
    ),
    max_size=3,
)
DEFINITIONS = st.fixed_dictionaries(
    {
        "name": LABEL,
        "image": st.sampled_from(["localhost/ecommerce/user-service:v1.0", "a/b@sha256:" + "0" * 64]),
        "jwt": st.just(JWT),
    },
    optional={
        "namespace": LABEL,
        "version": st.from_regex(r"[a-z0-9]([-a-z0-9_.]{0,20}[a-z0-9])?", fullmatch=True),
        "track": st.sampled_from(["stable", "canary"]),
        "replicas": st.integers(0, 100),
        "port": st.integers(1, 65535),
        "service_port": st.integers(1, 65535),
        "env": ENV,
        "config": ENV,
        "autoscaling": st.fixed_dictionaries(
            {"enabled": st.booleans(), "min": st.integers(1, 5), "max": st.integers(5, 9)}
        ),
        "disruption_budget": st.fixed_dictionaries({"enabled": st.booleans()}),
        "routes": routes(),
        "callers": CALLERS,
    },
)


def render(definition: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        *_workload.service_manifests(definition, {"x": "1"}),
        *_traffic.traffic_manifests(definition),
        *_security.security_manifests(definition),
    ]


def selectors(node: Any) -> list[dict[str, str]]:
    found: list[dict[str, str]] = []
    if isinstance(node, dict):
        for key, value in node.items():
            if key in ("selector", "labelSelector"):
                found.append(value.get("matchLabels", value))
            else:
                found += selectors(value)
    elif isinstance(node, list):
        for item in node:
            found += selectors(item)
    return found


@given(DEFINITIONS)
@settings(deadline=None)
def test_every_object_has_an_identity(definition: dict[str, Any]) -> None:
    assert findings(definition) == []
    manifests = render(definition)
    keys = {(m["apiVersion"], m["kind"], m["metadata"]["name"]) for m in manifests}
    assert len(keys) == len(manifests)
    for manifest in manifests:
        assert _checks.subdomain(manifest["metadata"]["name"]) is None
        assert manifest["metadata"]["namespace"] == definition.get("namespace", "ecommerce")
        assert manifest["metadata"]["labels"]["app"] == definition["name"]
        for key, value in manifest["metadata"]["labels"].items():
            assert _checks.label_value(value) is None, key
    json.dumps(manifests)


@given(DEFINITIONS)
@settings(deadline=None)
def test_selectors_select_the_pods_and_never_by_version(definition: dict[str, Any]) -> None:
    manifests = render(definition)
    pods = next(m for m in manifests if m["kind"] == "Deployment")["spec"]["template"]["metadata"]["labels"]
    found = selectors(manifests)
    assert found
    for selector in found:
        assert "version" not in selector
        assert selector.items() <= pods.items()
    for workload in (m for m in manifests if m["kind"] in ("Deployment", "PodDisruptionBudget")):
        assert workload["spec"]["selector"]["matchLabels"] == {"app": definition["name"], "track": pods["track"]}


@given(DEFINITIONS)
@settings(deadline=None)
def test_weights_and_subsets_are_by_track(definition: dict[str, Any]) -> None:
    rule, *services = _traffic.traffic_manifests(definition)
    subsets = {subset["name"]: subset["labels"] for subset in rule["spec"]["subsets"]}
    assert subsets == {"stable": {"track": "stable"}, "canary": {"track": "canary"}}
    for route in [route for service in services for route in service["spec"]["http"]]:
        if "directResponse" in route:
            assert "route" not in route
            continue
        assert sum(destination["weight"] for destination in route["route"]) == 100
        assert {destination["destination"]["subset"] for destination in route["route"]} <= set(subsets)
    mesh, *delegates = (service["spec"] for service in services)
    assert mesh["gateways"] == ["mesh"]
    assert all(not host.endswith(".example.com") for host in mesh["hosts"]), (
        "a sidecar uses one VirtualService of a host"
    )
    assert [route["name"] for route in mesh["http"] if "match" not in route] == ["mesh"]
    assert all("route" in route for route in mesh["http"]), "callers in the mesh are not refused by routes"
    for delegate in delegates:
        assert set(delegate) == {"http"}
        assert all(route["match"] for route in delegate["http"]), "it would take the requests of every other service"


@given(DEFINITIONS)
@settings(deadline=None)
def test_no_rule_allows_without_an_identity(definition: dict[str, Any]) -> None:
    spec = _security.security_manifests(definition)[0]["spec"]
    assert spec["action"] == "ALLOW"
    for rule in spec.get("rules", []):
        assert rule["from"]
        for source in rule["from"]:
            (name,) = source["source"]["principals"]
            assert re.fullmatch(r"cluster\.local/ns/[a-z0-9-]+/sa/(\*|[a-z0-9.-]+)", name)
        for operation in rule["to"]:
            assert operation["operation"]["methods"]
            assert operation["operation"]["paths"]
            for path in operation["operation"]["paths"]:
                plain = path.replace("{**}", "").replace("{*}", "")
                assert "{" not in plain
                assert "*" not in plain[:-1], "Istio treats a * in the middle as the character"


def allowed(rules: list[dict[str, Any]], path: str, method: str, token: bool) -> bool:
    """Whether Envoy allows the gateway's call; for paths with wildcards at the end only."""

    def matches(pattern: str) -> bool:
        return path.startswith(pattern[:-1]) if pattern.endswith("*") else path == pattern

    for rule in rules:
        source, operation = rule["from"][0]["source"], rule["to"][0]["operation"]
        if not source["principals"][0].endswith("/sa/istio-ingressgateway") or (
            "requestPrincipals" in source and not token
        ):
            continue
        if method not in operation["methods"] or not any(map(matches, operation["paths"])):
            continue
        if not any(map(matches, operation.get("notPaths", []))):
            return True
    return False


@given(DEFINITIONS, PATH, st.sampled_from(_checks.METHODS), st.booleans())
@settings(deadline=None)
def test_the_gateway_may_call_what_the_narrowest_route_says(
    definition: dict[str, Any], path: str, method: str, token: bool
) -> None:
    rules = _security.security_manifests({**definition, "callers": []})[0]["spec"].get("rules", [])
    candidates = [path, *(route["prefix"] for route in definition.get("routes", []))]
    candidates += [f"{prefix}/x" for prefix in candidates]
    for candidate in candidates:
        serving = [r for r in definition.get("routes", []) if covers(r["prefix"], candidate)]
        route = max(serving, key=lambda r: len(r["prefix"]), default=None)
        expected = (
            route is not None
            and route.get("ingress", True)
            and method in methods(route["methods"])
            and (token or not route.get("require_jwt", False))
        )
        assert allowed(rules, candidate, method, token) == expected, candidate


JUNK = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=8)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)),
    max_leaves=6,
)


@given(DEFINITIONS, st.data())
@settings(deadline=None)
def test_nonsense_gives_findings_and_never_a_traceback(definition: dict[str, Any], data: st.DataObject) -> None:
    from ansible_collections.servicemesh.platform.plugins.plugin_utils._service.keys import DEFINITION

    key = data.draw(st.sampled_from(sorted(DEFINITION.fields)))
    broken = {**definition, key: data.draw(JUNK)}
    found = findings(broken)
    assert all(isinstance(line, str) and line for line in found)
    if not found:
        render(broken)
