# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Workload, traffic and access rules of a service."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.servicemesh.platform.plugins.plugin_utils._service import security as _security
from ansible_collections.servicemesh.platform.plugins.plugin_utils._service import traffic as _traffic
from ansible_collections.servicemesh.platform.plugins.plugin_utils._service import workload as _workload

USER: dict[str, Any] = {
    "name": "user-service",
    "image": "registry.example.com/shop/user-service:v1.0",
    "env": {"SERVICE_NAME": "user-service"},
    "secret_env": [{"name": "DATABASE_URL", "secret": "user-db", "key": "url"}],
    "config": {"LOG_LEVEL": "info"},
    "routes": [
        {"prefix": "/api/users/admin", "methods": ["GET"], "require_jwt": True},
        {
            "prefix": "/api/users",
            "methods": ["GET", "POST"],
            "timeout": "5s",
            "retries": {"per_try_timeout": "2s"},
            "cors": {"allow_origins": ["https://ecommerce.example.com", "*"], "allow_headers": ["*"]},
        },
        {"prefix": "/internal", "ingress": False},
    ],
    "callers": [
        {"service_account": "product-service", "methods": ["GET"], "paths": ["/api/users/*/profile"]},
        {"service_account": "*", "namespace": "other", "methods": ["GET"], "paths": ["/keys"]},
    ],
    "jwt": {"issuer": "https://issuer.example.com", "audiences": ["ecommerce-api"], "jwks_uri": "http://u/jwks"},
}
GATEWAY = "cluster.local/ns/istio-system/sa/istio-ingressgateway"


def by_kind(manifests: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    assert len({m["kind"] for m in manifests}) == len(manifests)
    return {manifest["kind"]: manifest for manifest in manifests}


def workload(**keys: Any) -> dict[str, dict[str, Any]]:
    return by_kind(_workload.service_manifests({**USER, **keys}))


def pod(**keys: Any) -> dict[str, Any]:
    return workload(**keys)["Deployment"]["spec"]["template"]


def test_the_objects_of_a_service() -> None:
    assert list(workload()) == ["ServiceAccount", "ConfigMap", "Service", "Deployment", "PodDisruptionBudget"]


def test_the_account_brings_no_token() -> None:
    assert workload()["ServiceAccount"]["automountServiceAccountToken"] is False
    assert pod()["spec"]["automountServiceAccountToken"] is False


def test_the_service_takes_both_tracks() -> None:
    spec = workload()["Service"]["spec"]
    assert spec["selector"] == {"app": "user-service"}
    assert spec["ports"] == [{"name": "http", "port": 80, "targetPort": 8080, "protocol": "TCP", "appProtocol": "http"}]


def test_a_rolling_update_takes_no_pod_away() -> None:
    spec = workload()["Deployment"]["spec"]
    assert spec["strategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    assert spec["selector"]["matchLabels"] == {"app": "user-service", "track": "stable"}
    assert spec["replicas"] == 3
    percent = workload(max_surge="25%")["Deployment"]["spec"]["strategy"]["rollingUpdate"]
    assert percent == {"maxSurge": "25%", "maxUnavailable": 0}


def test_the_container_is_restricted() -> None:
    spec = pod()["spec"]
    (container,) = spec["containers"]
    assert container["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 1000,
        "runAsGroup": 1000,
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert container["volumeMounts"] == [{"name": "writable-0", "mountPath": "/tmp"}]
    assert [v["name"] for v in spec["volumes"]] == ["writable-0"]


def test_probes_and_drain() -> None:
    template = pod(
        probes={"readiness": {}, "startup": {"path": "/up"}}, termination={"pre_stop": 7, "grace_period": 30}
    )
    (container,) = template["spec"]["containers"]
    assert container["livenessProbe"]["timeoutSeconds"] == 5
    assert "readinessProbe" not in container
    assert container["startupProbe"]["httpGet"] == {"path": "/up", "port": "http", "scheme": "HTTP"}
    assert container["lifecycle"] == {"preStop": {"sleep": {"seconds": 7}}}
    assert template["spec"]["terminationGracePeriodSeconds"] == 30
    assert "lifecycle" not in pod(termination={"pre_stop": 0})["spec"]["containers"][0]


def test_environment_from_everywhere() -> None:
    (container,) = pod()["spec"]["containers"]
    assert container["env"] == [
        {"name": "SERVICE_NAME", "value": "user-service"},
        {"name": "DATABASE_URL", "valueFrom": {"secretKeyRef": {"name": "user-db", "key": "url"}}},
    ]
    assert container["envFrom"] == [{"configMapRef": {"name": "user-service-config"}}]
    assert workload()["ConfigMap"]["data"] == {"LOG_LEVEL": "info"}


def test_a_change_of_config_rolls_the_pods() -> None:
    one, same, other = (pod(config=config)["metadata"]["annotations"] for config in (
        {"A": "1", "B": "2"}, {"B": "2", "A": 1}, {"A": "2", "B": "2"},
    ))  # fmt: skip
    assert one[_workload.CONFIG_CHECKSUM] == same[_workload.CONFIG_CHECKSUM] != other[_workload.CONFIG_CHECKSUM]
    assert _workload.CONFIG_CHECKSUM not in pod(config={})["metadata"]["annotations"]


def checksum(versions: dict[str, str] | None) -> str | None:
    manifests = by_kind(_workload.service_manifests(USER, versions))
    return manifests["Deployment"]["spec"]["template"]["metadata"]["annotations"].get(_workload.SECRET_CHECKSUM)


def test_a_written_secret_rolls_the_pods_and_a_foreign_one_does_not() -> None:
    assert checksum(None) is None
    assert checksum({"user-db": "1"}) == checksum({"user-db": "1", "order-db": "9"})
    assert len({checksum({"user-db": "1"}), checksum({"user-db": "2"}), checksum({})}) == 3


def test_prometheus_annotations_by_choice() -> None:
    assert pod()["metadata"]["annotations"]["prometheus.io/port"] == "8080"
    assert "prometheus.io/scrape" not in pod(metrics={"enabled": False})["metadata"]["annotations"]
    assert pod(pod_annotations={"a": "b"})["metadata"]["annotations"]["a"] == "b"


def test_the_autoscaler_owns_the_number_of_pods() -> None:
    found = workload(autoscaling={"enabled": True, "min": 2, "max": 4, "cpu": 70})
    assert "replicas" not in found["Deployment"]["spec"]
    spec = found["HorizontalPodAutoscaler"]["spec"]
    assert (spec["minReplicas"], spec["maxReplicas"]) == (2, 4)
    assert spec["metrics"][0]["containerResource"]["container"] == "user-service"


def test_the_spread_is_over_nodes_and_zones() -> None:
    constraints = pod()["spec"]["topologySpreadConstraints"]
    assert [c["topologyKey"] for c in constraints] == ["kubernetes.io/hostname", "topology.kubernetes.io/zone"]
    for constraint in constraints:
        assert constraint["whenUnsatisfiable"] == "ScheduleAnyway"
        assert constraint["labelSelector"]["matchLabels"] == {"app": "user-service", "track": "stable"}
    assert "topologySpreadConstraints" not in pod(topology_spread=False)["spec"]


def test_a_canary_brings_only_its_own() -> None:
    found = workload(track="canary", autoscaling={"enabled": True})
    assert set(found) == {"ConfigMap", "Deployment", "PodDisruptionBudget", "HorizontalPodAutoscaler"}
    deployment = found["Deployment"]
    assert deployment["metadata"]["name"] == "user-service-canary"
    assert deployment["spec"]["template"]["spec"]["serviceAccountName"] == "user-service"
    assert found["ConfigMap"]["metadata"]["name"] == "user-service-canary-config"


def test_options_of_the_container() -> None:
    spec = pod(command=["/app"], args=["-v"], image_pull_secrets=["registry"], writable_paths=[])["spec"]
    assert spec["imagePullSecrets"] == [{"name": "registry"}]
    assert (spec["containers"][0]["command"], spec["containers"][0]["args"]) == (["/app"], ["-v"])
    assert "volumes" not in spec


def test_generated_secrets_are_created_only() -> None:
    entries = [{"name": "s", "key": "a", "length": 20}, {"name": "s", "key": "b"}, {"name": "t", "key": "a"}]
    made = _workload.secret_manifests({**USER, "generated_secrets": entries}, lambda length: "x" * length)
    assert [secret["metadata"]["name"] for secret in made] == ["s", "t"]
    assert made[0]["stringData"] == {"a": "x" * 20, "b": "x" * 48}
    assert all(secret["metadata"]["annotations"] == {_workload.CREATE_ONLY: "true"} for secret in made)
    assert _workload.secret_manifests(USER, str) == []


@pytest.mark.parametrize(
    ("keys", "traffic", "security", "kinds"),
    [
        ({}, True, True, {"HorizontalPodAutoscaler"}),
        ({"autoscaling": {"enabled": True}}, True, True, set()),
        ({"jwt": {}, "routes": []}, True, True, {"HorizontalPodAutoscaler", "RequestAuthentication", "VirtualService"}),
        ({"disruption_budget": {"enabled": False}}, True, True, {"HorizontalPodAutoscaler", "PodDisruptionBudget"}),
        ({"config": {}}, True, True, {"HorizontalPodAutoscaler", "ConfigMap"}),
        ({}, False, True, {"HorizontalPodAutoscaler", "VirtualService", "DestinationRule"}),
        ({}, True, False, {"HorizontalPodAutoscaler", "AuthorizationPolicy", "RequestAuthentication"}),
    ],
)
def test_what_is_no_longer_asked_for(keys: dict[str, Any], traffic: bool, security: bool, kinds: set[str]) -> None:
    retired = _workload.retired_manifests({**USER, **keys}, traffic, security)
    assert {m["kind"] for m in retired if m["metadata"]["name"] != "user-service-closed-paths"} == kinds


@pytest.mark.parametrize(
    ("keys", "security", "gone"), [({}, True, False), ({}, False, True), ({"routes": []}, True, True)]
)
def test_the_policy_of_closed_paths_goes_with_them(keys: dict[str, Any], security: bool, gone: bool) -> None:
    retired = _workload.retired_manifests({**USER, **keys}, security=security)
    assert ("user-service-closed-paths" in {m["metadata"]["name"] for m in retired}) is gone


def test_the_retired_config_map_is_that_of_the_track() -> None:
    for track, name in (("stable", "user-service-config"), ("canary", "user-service-canary-config")):
        retired = _workload.retired_manifests({**USER, "config": {}, "track": track})
        assert [m["metadata"]["name"] for m in retired if m["kind"] == "ConfigMap"] == [name]


def test_nothing_is_both_rendered_and_retired() -> None:
    for keys in (
        {},
        {"autoscaling": {"enabled": True}},
        {"disruption_budget": {"enabled": False}},
        {"config": {}},
        {"jwt": {}, "routes": []},
    ):
        definition = {**USER, **keys}
        rendered = [
            *_workload.service_manifests(definition),
            *_traffic.traffic_manifests(definition),
            *_security.security_manifests(definition),
        ]
        retired = _workload.retired_manifests(definition)
        assert not {named(m) for m in rendered} & {named(m) for m in retired}


def named(manifest: dict[str, Any]) -> tuple[str, str]:
    return manifest["kind"], manifest["metadata"]["name"]


def rules(cluster_domain: str = "cluster.local", **keys: Any) -> dict[tuple[str, str], dict[str, Any]]:
    found = _traffic.traffic_manifests({**USER, **keys}, cluster_domain=cluster_domain)
    assert len({named(m) for m in found}) == len(found)
    return {named(m): m for m in found}


def virtual_service(**keys: Any) -> dict[str, Any]:
    return rules(**keys)["VirtualService", "user-service"]["spec"]


def outside(**keys: Any) -> dict[str, Any]:
    return rules(**keys)["VirtualService", "user-service-ingress"]


def routes(**keys: Any) -> dict[str, dict[str, Any]]:
    return {route["name"]: route for route in virtual_service(**keys)["http"]}


def test_the_destination_rule() -> None:
    rule = rules(cluster_domain="example.org")["DestinationRule", "user-service"]
    spec = rule["spec"]
    assert spec["host"] == "user-service.ecommerce.svc.example.org"
    assert spec["subsets"] == [
        {"name": "stable", "labels": {"track": "stable"}},
        {"name": "canary", "labels": {"track": "canary"}},
    ]
    assert "tls" not in spec["trafficPolicy"], "a mode here would override PeerAuthentication"
    assert spec["trafficPolicy"]["loadBalancer"] == {"simple": "LEAST_REQUEST"}
    assert spec["trafficPolicy"]["outlierDetection"]["maxEjectionPercent"] == 50
    # At rest no pod is in the canary's subset, which is as it should be.
    assert rule["metadata"]["annotations"] == {"galley.istio.io/analyze-suppress": "IST0173"}


def test_callers_in_the_mesh_and_those_outside_have_a_virtual_service_each() -> None:
    mesh, delegate = virtual_service(), outside()
    assert (mesh["hosts"], mesh["gateways"]) == (["user-service.ecommerce.svc.cluster.local"], ["mesh"])
    assert [route["name"] for route in mesh["http"]] == ["api-users-admin", "api-users", "internal", "mesh"]
    assert set(delegate["spec"]) == {"http"}, "Istio refuses hosts and gateways in a delegate"
    names = [route["name"] for route in delegate["spec"]["http"] if "route" in route]
    assert names == ["api-users-admin", "api-users"]
    assert delegate["metadata"]["labels"]["servicemesh.platform/ingress"] == "delegate"
    assert delegate["metadata"]["annotations"] == {
        "servicemesh.platform/ingress-host": "ecommerce.example.com",
        "servicemesh.platform/ingress-gateway": "istio-system/ecommerce-gateway",
    }


def test_both_have_the_same_route_for_a_prefix() -> None:
    forwarding = [route for route in outside()["spec"]["http"] if "route" in route]
    assert virtual_service()["http"][:2] == forwarding
    assert routes()["api-users"]["match"] == [
        {"uri": {"exact": "/api/users"}},
        {"uri": {"prefix": "/api/users/"}},
    ]
    assert "match" not in virtual_service()["http"][-1], "what no route takes reaches the service all the same"


def test_a_service_without_routes_for_callers_outside() -> None:
    keys: dict[str, Any] = {"routes": [{"prefix": "/internal", "ingress": False}]}
    assert [kind for kind, _name in rules(**keys)] == ["DestinationRule", "VirtualService"]
    retired = {named(m) for m in _workload.retired_manifests({**USER, **keys})}
    assert ("VirtualService", "user-service-ingress") in retired
    assert ("VirtualService", "user-service-ingress") not in {named(m) for m in _workload.retired_manifests(USER)}
    assert {named(m) for m in _workload.retired_manifests(USER, traffic=False)} >= {
        ("VirtualService", "user-service"),
        ("VirtualService", "user-service-ingress"),
        ("DestinationRule", "user-service"),
    }


def test_a_route_for_everything() -> None:
    route = routes(routes=[{"prefix": "/"}])["root"]
    assert [match["uri"] for match in route["match"]] == [{"prefix": "/"}]


def test_every_route_sends_everything_to_stable() -> None:
    for route in [*virtual_service()["http"], *outside()["spec"]["http"]]:
        if "directResponse" in route:
            assert "route" not in route, route["name"]
            continue
        assert [(d["destination"]["subset"], d["weight"]) for d in route["route"]] == [("stable", 100), ("canary", 0)]
        assert {d["destination"]["host"] for d in route["route"]} == {"user-service.ecommerce.svc.cluster.local"}


def test_timeout_retries_and_cors() -> None:
    route = routes()["api-users"]
    assert route["timeout"] == "5s"
    assert route["retries"] == {"attempts": 3, "perTryTimeout": "2s", "retryOn": "connect-failure,refused-stream"}
    assert route["corsPolicy"] == {
        "allowOrigins": [{"exact": "https://ecommerce.example.com"}, {"regex": ".*"}],
        "allowMethods": ["GET"],
        "allowHeaders": ["*"],
        "maxAge": "24h",
    }
    plain = routes(routes=[{"prefix": "/a", "retries": {"attempts": 0}}])["a"]
    assert plain["retries"] == {"attempts": 0}
    assert not {"timeout", "corsPolicy"} & set(plain)


def security(definition: dict[str, Any], *context: str) -> dict[str, dict[str, Any]]:
    """By kind, without the policy of closed paths (test_closed.py)."""
    manifests = _security.security_manifests(definition, *context)
    return by_kind([m for m in manifests if m["spec"].get("action") != "DENY"])


def policy(**keys: Any) -> dict[str, Any]:
    return security({**USER, **keys})["AuthorizationPolicy"]["spec"]


def test_the_gateway_may_call_the_routes_of_the_ingress() -> None:
    admin, users, *_callers = policy()["rules"]
    assert admin["from"] == [
        {"source": {"principals": [GATEWAY], "requestPrincipals": ["https://issuer.example.com/*"]}}
    ]
    assert users["from"] == [{"source": {"principals": [GATEWAY]}}]
    assert users["to"] == [
        {
            "operation": {
                "methods": ["GET", "POST", "HEAD"],
                "paths": ["/api/users", "/api/users/*"],
                # Rules add up: the open prefix must not allow requests that the narrower route refuses.
                "notPaths": ["/api/users/admin", "/api/users/admin/*"],
            }
        }
    ]
    assert len(policy()["rules"]) == 4, "a route without ingress gets no rule for the gateway"


def test_callers_get_their_paths() -> None:
    product, other = policy()["rules"][2:]
    assert product == {
        "from": [{"source": {"principals": ["cluster.local/ns/ecommerce/sa/product-service"]}}],
        "to": [{"operation": {"methods": ["GET", "HEAD"], "paths": ["/api/users/{*}/profile"]}}],
    }
    assert other["from"] == [{"source": {"principals": ["cluster.local/ns/other/sa/*"]}}]


def test_a_service_without_callers() -> None:
    assert policy(routes=[], callers=[]) == {"selector": {"matchLabels": {"app": "user-service"}}, "action": "ALLOW"}


def test_identities_follow_trust_domain_and_gateway() -> None:
    rules = security(USER, "example.org", "ingress", "gw")["AuthorizationPolicy"]["spec"]["rules"]
    assert rules[1]["from"][0]["source"]["principals"] == ["example.org/ns/ingress/sa/gw"]
    assert rules[2]["from"][0]["source"]["principals"] == ["example.org/ns/ecommerce/sa/product-service"]


def test_request_authentication() -> None:
    found = security(USER)
    assert found["RequestAuthentication"]["spec"] == {
        "selector": {"matchLabels": {"app": "user-service"}},
        "jwtRules": [
            {
                "issuer": "https://issuer.example.com",
                "audiences": ["ecommerce-api"],
                "jwksUri": "http://u/jwks",
                "forwardOriginalToken": True,
            }
        ],
    }
    inline = security({**USER, "jwt": {"issuer": "i", "jwks": "{}"}})
    assert inline["RequestAuthentication"]["spec"]["jwtRules"] == [
        {"issuer": "i", "jwks": "{}", "forwardOriginalToken": True}
    ]
    assert "RequestAuthentication" not in security({**USER, "jwt": {}, "routes": []})


def test_paths_of_the_ingress() -> None:
    assert _security.ingress_paths([USER], ["/api/users", "/x/"]) == [
        "/api/users", "/api/users/*", "/x", "/x/*", "/api/users/admin", "/api/users/admin/*",
    ]  # fmt: skip
    assert _security.ingress_paths([], ["/"]) == ["/*"]
