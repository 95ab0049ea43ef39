# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The service definition: defaults, conversions, and every finding with its key and value."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.servicemesh.platform.plugins.plugin_utils._service import checks as _checks
from ansible_collections.servicemesh.platform.plugins.plugin_utils._service.definition import (
    DefinitionError,
    findings,
    load,
)

MINIMAL = {"name": "user-service", "image": "registry.example.com/shop/user-service:v1.0"}


def definition(**keys: Any) -> dict[str, Any]:
    return {**MINIMAL, **keys}


def test_name_and_image_are_enough() -> None:
    spec = load(MINIMAL)
    assert (spec["namespace"], spec["version"], spec["port"], spec["replicas"]) == ("ecommerce", "v1.0", 8080, 3)
    assert spec["probes"]["liveness"]["path"] == "/health"
    assert spec["probes"]["startup"] == {}


@pytest.mark.parametrize(
    ("image", "version"),
    [
        ("registry.example.com/shop/user-service:v1.0", "v1.0"),
        ("localhost:5000/user-service:2", "2"),
        ("localhost:5000/user-service", "latest"),
        ("user-service@sha256:" + "a" * 64, "latest"),
        ("user-service:v1@sha256:" + "a" * 64, "v1"),
        ("x:" + "a" * 128, "a" * 63),
    ],
)
def test_version_comes_from_the_tag(image: str, version: str) -> None:
    assert load(definition(image=image))["version"] == version


def test_text_from_the_command_line_is_converted() -> None:
    spec = load(definition(replicas="2", topology_spread="no", env={"DEBUG": True, "N": 3}, max_surge="25%"))
    assert (spec["replicas"], spec["topology_spread"], spec["max_surge"]) == (2, False, "25%")
    assert spec["env"] == {"DEBUG": "true", "N": "3"}


def test_an_empty_probe_is_none_and_a_missing_one_the_default() -> None:
    spec = load(definition(probes={"liveness": {}, "startup": {"path": "/up"}}))
    assert spec["probes"]["liveness"] == {}
    assert spec["probes"]["readiness"]["path"] == "/ready"
    assert spec["probes"]["startup"] == {
        "path": "/up", "initial_delay": 0, "period": 5, "timeout": 3, "failure_threshold": 30,
    }  # fmt: skip


def test_a_caller_without_namespace_is_of_the_same() -> None:
    caller = {"service_account": "a", "methods": ["GET"], "paths": ["/x"]}
    assert load(definition(namespace="shop", callers=[caller]))["callers"][0]["namespace"] == "shop"


JWT = {"issuer": "https://issuer", "jwks": "{}"}
CALLER = {"service_account": "order-service", "methods": ["GET"], "paths": ["/x"]}

INVALID: list[tuple[dict[str, Any], str]] = [
    ({"image": None}, "image: missing"),
    ({"image": "Not An Image"}, "image: 'Not An Image' is not an image reference"),
    ({"image": ""}, "v1.0; give one, or platform_image_registry (playbooks/images.yml builds the reference services)"),
    ({"name": "User_Service"}, "name: 'User_Service' is not an RFC 1123 label"),
    ({"name": "1st"}, "name: '1st' is not an RFC 1123 label that starts with a letter"),
    ({"name": "a" * 64}, f"name: '{'a' * 64}' is not an RFC 1123 label"),
    ({"namespace": "shop."}, "namespace: 'shop.' is not an RFC 1123 label"),
    ({"version": "v 1"}, "version: 'v 1' is not a label value"),
    ({"port": 0}, "port: 0 is not a port from 1 to 65535"),
    ({"service_port": 65536}, "service_port: 65536 is not a port from 1 to 65535"),
    ({"port": "http"}, "port: 'http' is not a whole number"),
    ({"port": True}, "port: True is not a whole number"),
    ({"replicas": -1}, "replicas: -1 is not a number from 0 to 10000"),
    ({"replica": 3}, "replica: unknown key; did you mean replicas?"),
    ({"xyzzy": 3}, "xyzzy: unknown key; known keys: args, autoscaling,"),
    ({"env": ["A=1"]}, "env: ['A=1'] is not a dictionary"),
    ({"env": {"A B": "1"}}, "env: {'A B': '1'} is not a set of environment variables: 'A B' cannot be a name"),
    ({"env": {"A": {"b": 1}}}, "env.A: a dict is not a string, a number or a boolean"),
    ({"secret_env": [{"name": "A", "secret": "S_", "key": "k"}]}, "secret_env[0].secret: 'S_' is not an RFC 1123 subdomain"),
    ({"secret_env": [{"name": "A", "secret": "s"}]}, "secret_env[0].key: missing"),
    (
        {"env": {"A": "1"}, "secret_env": [{"name": "A", "secret": "s", "key": "k"}]},
        "env/secret_env: 'A' is given 2 times",
    ),
    ({"generated_secrets": [{"name": "s", "key": "k", "length": 8}]}, "generated_secrets[0].length: 8 is not a number from 16"),
    ({"generated_secrets": [{"name": "s", "key": "k"}] * 2}, "generated_secrets: key 'k' of 's' is given 2 times"),
    ({"track": "blue"}, "track: 'blue' is not one of stable, canary"),
    ({"rollout": "big-bang"}, "rollout: 'big-bang' is not one of rolling, canary"),
    ({"run_as": {"user": 0}}, "run_as.user: 0 is not a user that is not root, from 1"),
    ({"resources": {"limits": {"cpu": "lots"}}}, "resources.limits.cpu: 'lots' is not a quantity"),
    (
        {"resources": {"requests": {"memory": "1Gi"}}},
        "resources.requests.memory: '1Gi' is not at most the limit '512Mi'",
    ),
    ({"probes": {"liveness": {"path": "health"}}}, "probes.liveness.path: 'health' is not a path"),
    ({"probes": {"livenes": {}}}, "probes.livenes: unknown key; did you mean liveness?"),
    ({"probes": {"readiness": {"timeout": 0}}}, "probes.readiness.timeout: 0 is not a number from 1"),
    ({"termination": {"pre_stop": 60}}, "termination.pre_stop: 60 is not below termination.grace_period, which is 45"),
    ({"max_surge": 0}, "max_surge: 0 is not possible while max_unavailable is 0"),
    ({"max_surge": "120%"}, "max_surge: '120%' is not a number of pods or a percentage"),
    ({"disruption_budget": {"max_unavailable": 0}}, "disruption_budget.max_unavailable: 0 is not at least 1"),
    ({"autoscaling": {"enabled": True, "min": 5, "max": 2}}, "autoscaling.min: 5 is not at most autoscaling.max, which is 2"),
    ({"autoscaling": {"cpu": 0}}, "autoscaling.cpu: 0 is not a percentage from 1"),
    ({"pod_annotations": {"a b": "c"}}, "'a b' cannot be a key"),
    ({"writable_paths": ["tmp"]}, "writable_paths[0]: 'tmp' is not an absolute path"),
    ({"traffic": {"load_balancer": "PASSTHROUGH"}}, "traffic.load_balancer: 'PASSTHROUGH' is not one of"),
    ({"traffic": {"interval": "30"}}, "traffic.interval: '30' is not a duration"),
    ({"traffic": {"interval": 30}}, "traffic.interval: 30 is not a duration"),
    ({"traffic": {"max_ejection_percent": 101}}, "traffic.max_ejection_percent: 101 is not a percentage from 0 to 100"),
    ({"routes": [{"methods": ["GET"]}]}, "routes[0].prefix: missing"),
    ({"routes": [{"prefix": "api"}]}, "routes[0].prefix: 'api' is not a path prefix"),
    ({"routes": [{"prefix": "/api/*"}]}, "routes[0].prefix: '/api/*' is not a path prefix"),
    ({"routes": [{"prefix": "/a/../b"}]}, "routes[0].prefix: '/a/../b' is not a path prefix"),
    ({"routes": [{"prefix": "/a", "methods": ["FETCH"]}]}, "routes[0].methods[0]: 'FETCH' is not one of GET, HEAD"),
    ({"routes": [{"prefix": "/a", "methods": []}]}, "routes[0].methods: [] is not set"),
    ({"routes": [{"prefix": "/a", "timeout": "0s"}]}, "routes[0].timeout: '0s' is not a duration"),
    ({"routes": [{"prefix": "/a", "retries": {"attempts": -1}}]}, "routes[0].retries.attempts: -1 is not a number from 0"),
    ({"routes": [{"prefix": "/a", "retries": {"retry_on": "always"}}]}, "routes[0].retries.retry_on: 'always' is not"),
    (
        {"routes": [{"prefix": "/a", "timeout": "2s", "retries": {"per_try_timeout": "3s"}}]},
        "routes[0].retries.per_try_timeout: '3s' is not at most the timeout '2s'",
    ),
    ({"routes": [{"prefix": "/a"}, {"prefix": "/a/b"}]}, "routes[1].prefix: '/a/b' is never reached"),
    ({"routes": [{"prefix": "/a"}, {"prefix": "/a/"}]}, "routes[1].prefix: '/a' is never reached"),
    ({"routes": [{"prefix": "/a", "require_jwt": True}]}, "routes[0].require_jwt: True is not possible without jwt"),
    ({"routes": [{"prefix": "/a", "cors": {"max_age": "1h"}}]}, "routes[0].cors.allow_origins: missing"),
    ({"routes": [{"prefix": "/a", "cors": {"allow_origins": ["x.com"]}}]}, "routes[0].cors.allow_origins[0]: 'x.com' is not an origin"),
    (
        {"routes": [{"prefix": "/a", "cors": {"allow_origins": ["*"], "allow_credentials": True}}]},
        "routes[0].cors.allow_origins: '*' is not allowed while allow_credentials is true",
    ),
    ({"callers": [{**CALLER, "paths": []}]}, "callers[0].paths: [] is not set"),
    ({"callers": [{"service_account": "a", "paths": ["/x"]}]}, "callers[0].methods: missing"),
    ({"callers": [{**CALLER, "paths": ["/a/b*/c"]}]}, "callers[0].paths[0]: '/a/b*/c' is not a path such as"),
    ({"callers": [{**CALLER, "paths": ["/a/{id}"]}]}, "callers[0].paths[0]: '/a/{id}' is not a path such as"),
    ({"callers": [{**CALLER, "paths": ["*"]}]}, "callers[0].paths[0]: '*' is not a path such as"),
    ({"callers": [{**CALLER, "service_account": "order_*"}]}, "callers[0].service_account: 'order_*' is not an RFC 1123"),
    ({"jwt": {"issuer": "x"}}, "jwt: neither jwks nor jwks_uri is set; set exactly one of them"),
    ({"jwt": {"issuer": "x", "jwks": "{}", "jwks_uri": "http://x"}}, "jwt: both jwks and jwks_uri are set; set exactly one"),
    ({"jwt": {"jwks": "{}"}}, "jwt.issuer: missing"),
    ({"jwt": {"issuer": "x", "jwks_uri": "file:///etc"}}, "jwt.jwks_uri: 'file:///etc' is not an address"),
]  # fmt: skip


@pytest.mark.parametrize(("keys", "expected"), INVALID, ids=[text[:60] for _keys, text in INVALID])
def test_a_finding_names_key_and_value(keys: dict[str, Any], expected: str) -> None:
    found = findings(definition(**keys))
    assert len(found) == 1, found
    assert expected in found[0]


def test_all_findings_come_at_once() -> None:
    invalid = {"name": "A", "port": 0, "replica": 1, "routes": [{"prefix": "x", "timeout": "1"}]}
    with pytest.raises(DefinitionError) as error:
        load(invalid)
    assert len(error.value.findings) == 6
    assert "the definition of A has 6 finding(s)" in str(error.value)
    for key in ("name:", "port:", "replica:", "routes[0].prefix:", "routes[0].timeout:", "image: missing"):
        assert key in str(error.value)


@pytest.mark.parametrize("value", [None, "user-service", ["user-service"], 3])
def test_what_is_no_dictionary_is_said(value: Any) -> None:
    assert "service definition" in str(findings([value]))


def test_a_list_of_definitions_names_each_and_finds_doubles() -> None:
    found = findings([definition(port=0), MINIMAL, MINIMAL])
    assert found[0].startswith("user-service: port: 0")
    assert found[-1] == "user-service: is defined twice in namespace ecommerce"


def test_values_of_the_environment_are_not_shown() -> None:
    assert "hunter2" not in str(findings(definition(env={"PASSWORD": ["hunter2"]})))


def test_the_definition_given_is_not_changed() -> None:
    given = definition(routes=[{"prefix": "/a/"}], callers=[dict(CALLER)], env={"A": 1})
    before = repr(given)
    load(given)
    assert repr(given) == before


@pytest.mark.parametrize(
    ("pattern", "template"),
    [
        ("/api/users", "/api/users"),
        ("/api/users*", "/api/users*"),
        ("/api/users/*", "/api/users/*"),
        ("/api/users/*/profile", "/api/users/{*}/profile"),
        ("/api/*/orders/*", "/api/{*}/orders/{**}"),
        ("/*/x", "/{*}/x"),
    ],
)
def test_wildcards_become_what_istio_knows(pattern: str, template: str) -> None:
    assert _checks.pattern(pattern) is None
    assert _checks.template(pattern) == template


@pytest.mark.parametrize(
    ("pattern", "meant"),
    [
        ("/**", "/*"),
        ("/api/users/**", "/api/users/*"),
        ("/api/users/*/**", "/api/users/*/*"),
        ("/api/users/{id}/profile", "/api/users/*/profile"),
        ("/api/users/{*}/profile", "/api/users/*/profile"),
        ("/api/users/{**}", "/api/users/*"),
        ("/api/users/:id/profile", "/api/users/*/profile"),
        ("/api/users/<int:id>", "/api/users/*"),
        ("/api/users/[0-9]+", "/api/users/*"),
        ("/api/users/(.+)/profile", "/api/users/*/profile"),
        ("/api/users/.*", "/api/users/*"),
        ("^/api/users/.+$", "/api/users/*"),
        # No pattern of Istio has these meanings, or the text has none.
        ("/api/**/profile", ""),
        ("/api/*/us*", ""),
        ("/api/us*rs/profile", ""),
        ("/api/*x", ""),
        ("*", ""),
        ("*/profile", ""),
        ("", ""),
    ],
)
def test_patterns_that_istio_would_take_literally_are_refused_with_the_right_form(pattern: str, meant: str) -> None:
    expected = _checks.pattern(pattern)
    assert expected is not None
    assert expected.partition("; write ")[2] == meant
    assert not meant or _checks.pattern(meant) is None


@pytest.mark.parametrize(
    ("path", "good"),
    [
        ("/caf%C3%A9", True),
        ("/a%20b", True),
        ("/a.b/c-d_e~f", True),
        ("/caf%c3%a9", False),  # Envoy leaves the case of a code, and compares it
        ("/%61dmin", False),  # Envoy decodes it first
        ("/a%2Fb", False),
        ("/a;b", False),
        ("/a//b", False),
        ("/a%zz", False),
        ("/a%", False),
        ("/./a", False),
        ("/..%2Fa", False),
    ],
)
def test_paths_are_written_as_envoy_compares_them(path: str, good: bool) -> None:
    for check in (_checks.prefix, _checks.pattern):
        expected = check(path)
        assert (expected is None) is good
        assert good or "percent codes in upper case" in str(expected)


@pytest.mark.parametrize(("text", "seconds"), [("1m30s", 90), ("500ms", "0.5"), ("1h", 3600), ("1.5s", "1.5")])
def test_durations(text: str, seconds: Any) -> None:
    assert str(_checks.seconds(text).normalize()) == str(_checks.Decimal(str(seconds)).normalize())


@pytest.mark.parametrize("text", ["", "10", "s", "1d", "-1s", "1 s", "0.0001ms"])
def test_no_durations(text: str) -> None:
    assert _checks.duration(text)
