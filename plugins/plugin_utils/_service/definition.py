# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: may change at any time without notice; only this collection may import it.
"""The service definition (docs/service-definition.md): its keys, its defaults and its checks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from ansible_collections.servicemesh.platform.plugins.plugin_utils._service import checks as is_
from ansible_collections.servicemesh.platform.plugins.plugin_utils._service.schema import Field, read, show


class DefinitionError(ValueError):
    """An invalid definition; ``findings`` contains one line for each finding."""

    def __init__(self, name: str, findings: list[str]) -> None:
        self.findings = findings
        super().__init__(f"the definition of {name} has {len(findings)} finding(s): " + "; ".join(findings))


def _probe(path: str, delay: int, period: int, timeout: int, failures: int) -> Field:
    fields = {
        "path": Field("str", path, check=is_.path),
        "initial_delay": Field("int", delay, check=is_.between(0, 3600)),
        "period": Field("int", period, check=is_.between(1, 3600)),
        "timeout": Field("int", timeout, check=is_.between(1, 3600)),
        "failure_threshold": Field("int", failures, check=is_.between(1, 1000)),
    }
    return Field("object", fields=fields, optional=True)


def _resources(cpu: str, memory: str) -> Field:
    fields = {
        "cpu": Field("str", cpu, check=is_.positive_quantity),
        "memory": Field("str", memory, check=is_.positive_quantity),
    }
    return Field("object", fields=fields)


_RETRIES = Field(
    "object",
    optional=True,
    fields={
        "attempts": Field("int", 3, check=is_.between(0, 100)),
        "per_try_timeout": Field("str", check=is_.duration),
        "retry_on": Field("str", "connect-failure,refused-stream", check=is_.retry_on),
    },
)

_CORS = Field(
    "object",
    optional=True,
    fields={
        "allow_origins": Field("list", required=True, item=Field("str", check=is_.origin), check=is_.nonempty),
        "allow_methods": Field("list", ["GET"], item=Field("str", check=is_.method)),
        "allow_headers": Field("list", item=Field("str", check=is_.header)),
        "expose_headers": Field("list", item=Field("str", check=is_.header)),
        "allow_credentials": Field("bool", False),
        "max_age": Field("str", "24h", check=is_.duration),
    },
)

_ROUTE = Field(
    "object",
    fields={
        "prefix": Field("str", required=True, check=is_.prefix),
        "ingress": Field("bool", True),
        "methods": Field("list", ["GET"], item=Field("str", check=is_.method), check=is_.nonempty),
        "require_jwt": Field("bool", False),
        "timeout": Field("str", check=is_.duration),
        "retries": _RETRIES,
        "cors": _CORS,
    },
)

_CALLER = Field(
    "object",
    fields={
        "service_account": Field("str", required=True, check=is_.service_account),
        "namespace": Field("str", check=is_.label),
        "methods": Field("list", required=True, item=Field("str", check=is_.method), check=is_.nonempty),
        "paths": Field("list", required=True, item=Field("str", check=is_.pattern), check=is_.nonempty),
    },
)

_TRAFFIC = Field(
    "object",
    fields={
        # PASSTHROUGH is not offered: Istio infers no mutual TLS for it (pilot/pkg/networking/core/cluster_tls.go).
        "load_balancer": Field("str", "LEAST_REQUEST", check=is_.one_of("LEAST_REQUEST", "ROUND_ROBIN", "RANDOM")),
        "max_connections": Field("int", 100, check=is_.between(1, 2**31 - 1)),
        "http1_max_pending_requests": Field("int", 1000, check=is_.between(1, 2**31 - 1)),
        "max_requests_per_connection": Field("int", 10, check=is_.between(0, 2**31 - 1)),
        "consecutive_5xx_errors": Field("int", 5, check=is_.between(0, 2**31 - 1)),
        "interval": Field("str", "30s", check=is_.duration),
        "base_ejection_time": Field("str", "30s", check=is_.duration),
        "max_ejection_percent": Field("int", 50, check=is_.between(0, 100, "a percentage")),
    },
)

DEFINITION = Field(
    "object",
    fields={
        "name": Field("str", required=True, check=is_.service_name),
        "namespace": Field("str", "ecommerce", check=is_.label),
        "version": Field("str", "", check=is_.label_value),
        "image": Field("str", required=True, check=is_.image),
        "image_pull_policy": Field("str", "IfNotPresent", check=is_.one_of("Always", "IfNotPresent", "Never")),
        "image_pull_secrets": Field("list", item=Field("str", check=is_.subdomain)),
        "command": Field("list", item=Field("str")),
        "args": Field("list", item=Field("str")),
        "track": Field("str", "stable", check=is_.one_of("stable", "canary")),
        "replicas": Field("int", 3, check=is_.between(0, 10000)),
        "port": Field("int", 8080, check=is_.port),
        "service_port": Field("int", 80, check=is_.port),
        "env": Field("map", check=is_.env_names),
        "secret_env": Field(
            "list",
            item=Field(
                "object",
                fields={
                    "name": Field("str", required=True, check=is_.env_name),
                    "secret": Field("str", required=True, check=is_.subdomain),
                    "key": Field("str", required=True, check=is_.secret_key),
                },
            ),
        ),
        "generated_secrets": Field(
            "list",
            item=Field(
                "object",
                fields={
                    "name": Field("str", required=True, check=is_.subdomain),
                    "key": Field("str", required=True, check=is_.secret_key),
                    "length": Field("int", 48, check=is_.between(16, 1024)),
                },
            ),
        ),
        "config": Field("map", check=is_.env_names),
        "writable_paths": Field("list", ["/tmp"], item=Field("str", check=is_.absolute)),  # noqa: S108
        "run_as": Field(
            "object",
            fields={
                "user": Field("int", 1000, check=is_.between(1, 2**31 - 1, "a user that is not root,")),
                "group": Field("int", 1000, check=is_.between(1, 2**31 - 1, "a group that is not root,")),
            },
        ),
        "resources": Field(
            "object", fields={"requests": _resources("50m", "128Mi"), "limits": _resources("500m", "512Mi")}
        ),
        "probes": Field(
            "object",
            fields={
                "liveness": _probe("/health", 30, 10, 5, 3),
                "readiness": _probe("/ready", 5, 5, 3, 3),
                "startup": _probe("/health", 0, 5, 3, 30),
            },
        ),
        "termination": Field(
            "object",
            fields={
                "grace_period": Field("int", 45, check=is_.between(1, 3600)),
                "pre_stop": Field("int", 10, check=is_.between(0, 3600)),
            },
        ),
        "max_surge": Field("str", 1, check=is_.count_or_percent),
        "max_unavailable": Field("str", 0, check=is_.count_or_percent),
        "topology_spread": Field("bool", True),
        "disruption_budget": Field(
            "object",
            fields={
                "enabled": Field("bool", True),
                "max_unavailable": Field("str", 1, check=is_.count_or_percent),
            },
        ),
        "autoscaling": Field(
            "object",
            fields={
                "enabled": Field("bool", False),
                "min": Field("int", 3, check=is_.between(1, 10000)),
                "max": Field("int", 10, check=is_.between(1, 10000)),
                "cpu": Field("int", 80, check=is_.between(1, 1000, "a percentage")),
            },
        ),
        "metrics": Field(
            "object",
            fields={"enabled": Field("bool", True), "path": Field("str", "/metrics", check=is_.path)},
        ),
        "pod_annotations": Field("map", check=is_.annotation_keys),
        "routes": Field("list", item=_ROUTE),
        "traffic": _TRAFFIC,
        "callers": Field("list", item=_CALLER),
        "jwt": Field(
            "object",
            optional=True,
            fields={
                "issuer": Field("str", required=True, check=is_.nonempty),
                "audiences": Field("list", item=Field("str", check=is_.nonempty)),
                "jwks": Field("str", ""),
                "jwks_uri": Field("str", "", check=is_.uri),
                "forward_token": Field("bool", True),
            },
        ),
        "rollout": Field("str", "rolling", check=is_.one_of("rolling", "canary")),
    },
)

# For these probes, absent and empty differ: an absent one takes the defaults, an empty one means "no such probe".
_DEFAULT_PROBES = ("liveness", "readiness")


def findings(definition: Any) -> list[str]:
    """Return every finding about a definition, one line each with key, value and what was expected.

    For a list of definitions each line begins with the service's name; a name that occurs twice is a finding too.
    """
    if not isinstance(definition, list):
        return _load(definition)[1]
    result = []
    seen: set[tuple[str, str]] = set()
    for index, entry in enumerate(definition):
        loaded, found = _load(entry)
        name = loaded.get("name") or f"[{index}]"
        result += [f"{name}: {finding}" for finding in found]
        key = (str(loaded.get("namespace")), str(name))
        if key in seen:
            result.append(f"{name}: is defined twice in namespace {key[0]}")
        seen.add(key)
    return result


def load(definition: Any) -> dict[str, Any]:
    """Return the definition converted and with all defaults; raise DefinitionError when it is invalid."""
    result, found = _load(definition)
    if found:
        name = definition.get("name") if isinstance(definition, dict) else None
        raise DefinitionError(str(name or "a service without a name"), found)
    return result


def _load(definition: Any) -> tuple[dict[str, Any], list[str]]:
    found: list[str] = []
    if not isinstance(definition, dict):
        return {}, [f"{show(definition)} is not a service definition (a dictionary with at least name and image)"]
    result = read(definition, DEFINITION, "", found)
    _fill_probes(definition, result)
    if found:
        # The checks below would only report what follows from a part that could not be read.
        return result, found
    result["version"] = result["version"] or is_.image_tag(result["image"])[:63].rstrip("-_.") or "latest"
    for caller in result["callers"]:
        caller["namespace"] = caller["namespace"] or result["namespace"]
    for route in result["routes"]:
        route["prefix"] = route["prefix"].rstrip("/") or "/"
    for check in (_check_workload, _check_environment, _check_routes, _check_jwt):
        found += check(result)
    return result, found


def _fill_probes(definition: dict[str, Any], result: dict[str, Any]) -> None:
    given = definition.get("probes") or {}
    if not isinstance(given, dict):
        return
    for name in _DEFAULT_PROBES:
        if given.get(name) is None:
            spec = DEFINITION.fields["probes"].fields[name]
            result["probes"][name] = {key: child.default for key, child in spec.fields.items()}


def _check_workload(result: dict[str, Any]) -> list[str]:
    found = []
    zero = ("0", "0%")
    if result["max_surge"] in zero and result["max_unavailable"] in zero:
        found.append("max_surge: 0 is not possible while max_unavailable is 0; no pod could be replaced")
    if result["disruption_budget"]["enabled"] and result["disruption_budget"]["max_unavailable"] in zero:
        found.append(
            "disruption_budget.max_unavailable: 0 is not at least 1 pod; a node with a pod of this service could not be drained"
        )
    scaling = result["autoscaling"]
    if scaling["enabled"] and scaling["min"] > scaling["max"]:
        found.append(f"autoscaling.min: {scaling['min']} is not at most autoscaling.max, which is {scaling['max']}")
    for resource in ("cpu", "memory"):
        request, limit = (result["resources"][side][resource] for side in ("requests", "limits"))
        low, high = is_.quantity(request), is_.quantity(limit)
        if low is not None and high is not None and low > high:
            found.append(f"resources.requests.{resource}: {show(request)} is not at most the limit {show(limit)}")
    stop = result["termination"]
    if stop["pre_stop"] >= stop["grace_period"]:
        found.append(
            f"termination.pre_stop: {stop['pre_stop']} is not below termination.grace_period, "
            f"which is {stop['grace_period']}"
        )
    return found


def _check_environment(result: dict[str, Any]) -> list[str]:
    names = [*result["env"], *(entry["name"] for entry in result["secret_env"])]
    found = [
        f"env/secret_env: {show(name)} is given {count} times; an environment variable has one source"
        for name, count in Counter(names).items()
        if count > 1
    ]
    keys = Counter((entry["name"], entry["key"]) for entry in result["generated_secrets"])
    found += [
        f"generated_secrets: key {show(key)} of {show(name)} is given {count} times"
        for (name, key), count in keys.items()
        if count > 1
    ]
    return found


def _check_routes(result: dict[str, Any]) -> list[str]:
    found = []
    routes = result["routes"]
    for index, route in enumerate(routes):
        for earlier in routes[:index]:
            if covers(earlier["prefix"], route["prefix"]):
                found.append(
                    f"routes[{index}].prefix: {show(route['prefix'])} is never reached, because the earlier route "
                    f"{show(earlier['prefix'])} takes its requests; put the longer prefix first"
                )
                break
        retries, timeout = route["retries"], route["timeout"]
        if retries and retries["per_try_timeout"] and timeout:
            each, whole = is_.seconds(retries["per_try_timeout"]), is_.seconds(timeout)
            if each is not None and whole is not None and each > whole:
                found.append(
                    f"routes[{index}].retries.per_try_timeout: {show(retries['per_try_timeout'])} is not at most "
                    f"the timeout {show(timeout)}"
                )
        cors = route["cors"]
        if cors and cors["allow_credentials"] and "*" in cors["allow_origins"]:
            found.append(f"routes[{index}].cors.allow_origins: '*' is not allowed while allow_credentials is true")
        if route["require_jwt"] and not result["jwt"]:
            found.append(f"routes[{index}].require_jwt: True is not possible without jwt (issuer, jwks or jwks_uri)")
    return found


def _check_jwt(result: dict[str, Any]) -> list[str]:
    jwt = result["jwt"]
    if jwt and bool(jwt["jwks"]) == bool(jwt["jwks_uri"]):
        given = "both jwks and jwks_uri are set" if jwt["jwks"] else "neither jwks nor jwks_uri is set"
        return [f"jwt: {given}; set exactly one of them"]
    return []


def methods(given: Sequence[str]) -> list[str]:
    """The methods that a list of a definition allows: HEAD is GET without the body (RFC 9110, 9.3.2), so GET allows both."""
    return [*given, "HEAD"] if "GET" in given and "HEAD" not in given else list(given)


def covers(outer: str, inner: str) -> bool:
    """Tell whether path prefix ``outer`` matches every path of ``inner``; a prefix ends at a segment."""
    return outer in ("/", inner) or inner.startswith(outer + "/")
