# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: may change at any time without notice; only this collection may import it.
"""Service definition -> AuthorizationPolicy and RequestAuthentication."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ansible_collections.servicemesh.platform.plugins.plugin_utils._service import closed
from ansible_collections.servicemesh.platform.plugins.plugin_utils._service.checks import template
from ansible_collections.servicemesh.platform.plugins.plugin_utils._service.definition import load, methods
from ansible_collections.servicemesh.platform.plugins.plugin_utils._service.paths import below, spellings
from ansible_collections.servicemesh.platform.plugins.plugin_utils._service.workload import Manifest, labels

API_VERSION = "security.istio.io/v1"


def security_manifests(
    definition: Any,
    trust_domain: str = "cluster.local",
    gateway_namespace: str = "istio-system",
    gateway_service_account: str = "istio-ingressgateway",
) -> list[Manifest]:
    """Return the access rules of a service: its AuthorizationPolicies and, with ``jwt``, its RequestAuthentication.

    A second AuthorizationPolicy refuses the gateway what is closed inside of open paths.

    Every rule names an identity. The ports of the sidecar itself (15020 metrics, 15021 health, 15090 Envoy's metrics) are
    not intercepted (manifests/charts/istio-control/istio-discovery/files/injection-template.yaml) and the kubelet's
    probes go to 15020, so neither Prometheus nor a probe needs a rule.
    """
    spec = load(definition)
    gateway = principal(trust_domain, gateway_namespace, gateway_service_account)
    rules = [_ingress_rule(spec, route, gateway) for route in spec["routes"] if route["ingress"]]
    rules += [_caller_rule(caller, trust_domain) for caller in spec["callers"]]
    policy: Manifest = {"selector": _selector(spec), "action": "ALLOW"}
    if rules:
        # An ALLOW policy without rules matches nothing: right for a service without routes and callers.
        policy["rules"] = rules
    result = [_manifest("AuthorizationPolicy", spec, policy)]
    refused = [rule for route in closed.closed(spec) for rule in _closed_rules(spec, route, gateway)]
    if refused:
        content: Manifest = {"selector": _selector(spec), "action": "DENY", "rules": refused}
        result.append(_manifest("AuthorizationPolicy", spec, content, closed.policy_name(spec["name"])))
    if spec["jwt"]:
        result.append(_manifest("RequestAuthentication", spec, _request_authentication(spec)))
    return result


def principal(trust_domain: str, namespace: str, service_account: str) -> str:
    """Identity of a workload in the form of an AuthorizationPolicy (SPIFFE without the scheme)."""
    return f"{trust_domain}/ns/{namespace}/sa/{service_account}"


def ingress_paths(definitions: Sequence[Any], prefixes: Sequence[str] = ()) -> list[str]:
    """Return the paths that the ingress gateway serves: those of ``prefixes`` and of the routes with ``ingress``."""
    routes = [route for definition in definitions for route in load(definition)["routes"] if route["ingress"]]
    wanted = [*(prefix.rstrip("/") or "/" for prefix in prefixes), *(route["prefix"] for route in routes)]
    return [path for prefix in dict.fromkeys(wanted) for path in below(prefix)]


def _manifest(kind: str, spec: Manifest, content: Manifest, name: str = "") -> Manifest:
    metadata = {"name": name or spec["name"], "namespace": spec["namespace"], "labels": labels(spec)}
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": content}


def _selector(spec: Manifest) -> Manifest:
    # Both tracks: the same identities call the canary.
    return {"matchLabels": {"app": spec["name"]}}


def _ingress_rule(spec: Manifest, route: Manifest, gateway: str) -> Manifest:
    source: Manifest = {"principals": [gateway]}
    if route["require_jwt"]:
        # Istio splits this at the last '/' into issuer and subject (pilot/pkg/security/authz/model/generator.go).
        source["requestPrincipals"] = [f"{spec['jwt']['issuer']}/*"]
    operation: Manifest = {"methods": methods(route["methods"]), "paths": below(route["prefix"])}
    # ALLOW rules add up: without this, an open /api/users would open a closed route /api/users/admin too.
    narrower = [path for other in closed.narrower(spec, route) for path in below(other["prefix"])]
    if narrower:
        operation["notPaths"] = narrower
    return {"from": [{"source": source}], "to": [{"operation": operation}]}


def _closed_rules(spec: Manifest, route: Manifest, gateway: str) -> list[Manifest]:
    """What the gateway may not do at a closed path, whatever other policies allow and whatever follows its name."""
    # A DENY rule without a port refuses all of TCP (pkg/config/validation/validation.go, "will deny all traffic to TCP ports").
    paths: Manifest = {"ports": [str(spec["port"])], "paths": spellings(route["prefix"])}
    # Routes below decide themselves, in the spelling that they have.
    inner = [path for other in closed.narrower(spec, route) for path in below(other["prefix"])]
    if inner:
        paths["notPaths"] = inner
    source: Manifest = {"principals": [gateway]}
    if not route["ingress"]:
        return [{"from": [{"source": source}], "to": [{"operation": paths}]}]
    rules: list[Manifest] = [
        {"from": [{"source": source}], "to": [{"operation": {**paths, "notMethods": methods(route["methods"])}}]}
    ]
    if route["require_jwt"]:
        without = {**source, "notRequestPrincipals": [f"{spec['jwt']['issuer']}/*"]}
        rules.append({"from": [{"source": without}], "to": [{"operation": paths}]})
    return rules


def _caller_rule(caller: Manifest, trust_domain: str) -> Manifest:
    source = {"principals": [principal(trust_domain, caller["namespace"], caller["service_account"])]}
    operation = {"methods": methods(caller["methods"]), "paths": [template(path) for path in caller["paths"]]}
    return {"from": [{"source": source}], "to": [{"operation": operation}]}


def _request_authentication(spec: Manifest) -> Manifest:
    jwt = spec["jwt"]
    rule: Manifest = {"issuer": jwt["issuer"], "forwardOriginalToken": jwt["forward_token"]}
    if jwt["audiences"]:
        rule["audiences"] = jwt["audiences"]
    if jwt["jwks"]:
        rule["jwks"] = jwt["jwks"]
    else:
        rule["jwksUri"] = jwt["jwks_uri"]
    return {"selector": _selector(spec), "jwtRules": [rule]}
