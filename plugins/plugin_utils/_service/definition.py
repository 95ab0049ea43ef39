# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: may change at any time without notice; only this collection may import it.
"""A service definition (docs/service-definition.md) read by its keys (`keys.py`), and the checks between keys."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from ansible_collections.servicemesh.platform.plugins.plugin_utils._service import checks as is_
from ansible_collections.servicemesh.platform.plugins.plugin_utils._service.keys import DEFINITION
from ansible_collections.servicemesh.platform.plugins.plugin_utils._service.schema import read, show


class DefinitionError(ValueError):
    """An invalid definition; ``findings`` contains one line for each finding."""

    def __init__(self, name: str, findings: list[str]) -> None:
        self.findings = findings
        super().__init__(f"the definition of {name} has {len(findings)} finding(s): " + "; ".join(findings))


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
