# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an Envoy runs, summarised, and how that differs from what istiod would send it now. Pure.

Envoy's `/config_dump` and istiod's `/debug/config_dump?proxyID=` have the same shape (envoy/admin/v3/config_dump.proto). istiod writes
field names in camelCase, Envoy as in the proto files; both leave out fields that are not set. `istioctl proxy-status POD` compares
clusters, listeners and routes too (istio istioctl/pkg/writer/compare).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

CONFIG_DUMP = "/config_dump"
CLUSTERS = "/clusters?format=json"
KINDS = ("clusters", "listeners", "routes")  # what is compared
_MOST_FIELDS = 3  # fields that are named of one resource
_DEPTH = 40
_CAPITAL = re.compile(r"(?<=[a-z0-9])([A-Z])")


@dataclass(frozen=True, slots=True)
class Dump:
    """The dynamic resources of a dump by name, with field names as in the proto files.

    `refused`: why Envoy refused a newer version of a resource, by its name. `warming`: names of those that are not in use yet.
    """

    clusters: Mapping[str, Any] = field(default_factory=dict)
    listeners: Mapping[str, Any] = field(default_factory=dict)
    routes: Mapping[str, Any] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    extensions: tuple[str, ...] = ()
    refused: Mapping[str, str] = field(default_factory=dict)
    warming: tuple[str, ...] = ()

    def of(self, kind: str) -> Mapping[str, Any]:
        """Resources of one of `KINDS`."""
        return {"clusters": self.clusters, "listeners": self.listeners, "routes": self.routes}[kind]


def snake(value: Any, depth: int = _DEPTH) -> Any:
    """A value with all keys in snake_case. Keys of free maps change too, the same way on both sides.

    Raises ValueError when it is too deep.
    """
    if depth < 0:
        raise ValueError("it is nested too deeply")
    if isinstance(value, Mapping):
        return {
            _CAPITAL.sub(lambda m: f"_{m[1].lower()}", str(key)): snake(entry, depth - 1)
            for key, entry in value.items()
        }
    if isinstance(value, list):
        return [snake(entry, depth - 1) for entry in value]
    return value


def dump_of(answer: Any) -> Dump:
    """A dump of Envoy or istiod. Raises ValueError for an answer of another shape."""
    configs = answer.get("configs") if isinstance(answer, Mapping) else None
    if not isinstance(configs, Sequence) or isinstance(configs, str):
        raise ValueError(f"it has no list of configs: {str(answer)[:80]}")
    found = {str(entry.get("@type", "")).rpartition(".")[2]: snake(entry) for entry in configs}
    clusters, listeners = found.get("ClustersConfigDump", {}), found.get("ListenersConfigDump", {})
    routes, secrets = found.get("RoutesConfigDump", {}), found.get("SecretsConfigDump", {})
    active = [entry for entry in listeners.get("dynamic_listeners") or [] if entry.get("active_state")]
    warming = [entry.get("name") for entry in listeners.get("dynamic_listeners") or [] if entry.get("warming_state")]
    warming += [(entry.get("cluster") or {}).get("name") for entry in clusters.get("dynamic_warming_clusters") or []]
    refused = {
        str(entry.get("name")): str(entry["error_state"].get("details") or "")
        for entry in listeners.get("dynamic_listeners") or []
        if entry.get("error_state")
    }
    extensions = found.get("EcdsConfigDump", {}).get("ecds_filters") or []
    return Dump(
        _named(entry.get("cluster") for entry in clusters.get("dynamic_active_clusters") or []),
        _named(entry["active_state"].get("listener") for entry in active),
        _named(entry.get("route_config") for entry in routes.get("dynamic_route_configs") or []),
        tuple(sorted(str(entry.get("name")) for entry in secrets.get("dynamic_active_secrets") or [])),
        tuple(sorted(str((entry.get("ecds_filter") or {}).get("name")) for entry in extensions)),
        refused,
        tuple(sorted(str(name) for name in warming if name)),
    )


def _named(resources: Iterator[Any]) -> dict[str, Any]:
    """Resources by name, without `@type`, which tells the version of the API only."""
    return {
        str(entry.get("name") or ""): {key: value for key, value in entry.items() if key != "@type"}
        for entry in resources
        if isinstance(entry, Mapping)
    }


def endpoints_of(answer: Any) -> dict[str, dict[str, int]]:
    """Cluster -> number of its endpoints, and of those that Envoy takes for unhealthy. Raises ValueError for another shape.

    A host is unhealthy by EDS, an active check, or as an outlier (envoy/admin/v3/clusters.proto, HostHealthStatus).
    """
    statuses = answer.get("cluster_statuses") if isinstance(answer, Mapping) else None
    if not isinstance(statuses, Sequence) or isinstance(statuses, str):
        raise ValueError(f"it has no list of clusters: {str(answer)[:80]}")
    found = {}
    for cluster in statuses:
        hosts = cluster.get("host_statuses") or []
        bad = sum(_unhealthy(host.get("health_status") or {}) for host in hosts)
        found[str(cluster.get("name"))] = {"endpoints": len(hosts), "unhealthy": bad}
    return found


def _unhealthy(status: Mapping[str, Any]) -> bool:
    flags = ("failed_active_health_check", "failed_outlier_check", "failed_active_degraded_check")
    return any(status.get(flag) for flag in flags) or status.get("eds_health_status") == "UNHEALTHY"


@dataclass(frozen=True, slots=True)
class Difference:
    """One resource that differs: `envoy` (only Envoy has it), `istiod` (only istiod would send it) or `fields` that are not the same."""

    kind: str
    name: str
    only: str = ""
    fields: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """The difference as modules return it."""
        return {"kind": self.kind, "name": self.name, "only": self.only, "fields": list(self.fields)}

    def __str__(self) -> str:
        if self.only:
            return f"{self.kind[:-1]} {self.name} is only in {self.only}"
        return f"{self.kind[:-1]} {self.name} differs in {', '.join(self.fields)}"


def differences(envoy: Dump, istiod: Dump) -> list[Difference]:
    """What Envoy runs, against what istiod would send now."""
    found = []
    for kind in KINDS:
        have, want = envoy.of(kind), istiod.of(kind)
        found += [Difference(kind, name, "Envoy") for name in sorted(have.keys() - want.keys())]
        found += [Difference(kind, name, "istiod") for name in sorted(want.keys() - have.keys())]
        for name in sorted(have.keys() & want.keys()):
            paths: list[str] = []
            for path in _paths(have[name], want[name], ""):
                if len(paths) == _MOST_FIELDS:
                    paths.append("…")
                    break
                paths.append(path)
            if paths:
                found.append(Difference(kind, name, "", tuple(paths)))
    return found


def _paths(one: Any, other: Any, path: str) -> Iterator[str]:
    """Where two values differ. Numbers are compared by value: 64-bit ones are texts in JSON."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        left, right = _by_key(one), _by_key(other)
        for key in sorted({*left, *right}):
            name = (left.get(key) or right[key])[0]
            yield from _paths(
                left.get(key, ("", None))[1], right.get(key, ("", None))[1], f"{path}.{name}" if path else name
            )
    elif isinstance(one, list) and isinstance(other, list):
        if len(one) != len(other):
            yield f"{path} ({len(one)} in Envoy, {len(other)} in istiod)"
            return
        for number, (have, want) in enumerate(zip(one, other, strict=True)):
            yield from _paths(have, want, f"{path}[{number}]")
    elif not _same(one, other):
        yield path or "the whole"


def _by_key(value: Mapping[str, Any]) -> dict[str, tuple[str, Any]]:
    """Keys without what is lost in camelCase (`consecutive_5xx` is `consecutive5xx`) -> the key and its value."""
    return {key.replace("_", "").lower(): (key, entry) for key, entry in value.items()}


def _same(one: Any, other: Any) -> bool:
    if one == other or (not one and not other):  # an empty message and one that is not there
        return True
    try:
        return not isinstance(one, bool) and not isinstance(other, bool) and float(one) == float(other)
    except (TypeError, ValueError):
        return False


def summary(dump: Dump, endpoints: Mapping[str, Mapping[str, int]]) -> dict[str, Any]:
    """What an Envoy runs, in numbers and names."""
    hosts = {
        str(name): sorted(
            {str(domain) for host in route.get("virtual_hosts") or [] for domain in (host.get("domains") or [])[:1]}
        )
        for name, route in dump.routes.items()
    }
    return {
        "clusters": len(dump.clusters),
        "clusters_without_endpoints": sorted(
            name
            for name, entry in dump.clusters.items()
            if entry.get("type") == "EDS" and not endpoints.get(name, {}).get("endpoints")
        ),
        "endpoints": sum(entry["endpoints"] for entry in endpoints.values()),
        "unhealthy_endpoints": {name: e["unhealthy"] for name, e in sorted(endpoints.items()) if e["unhealthy"]},
        "listeners": sorted(dump.listeners),
        "routes": hosts,
        "secrets": list(dump.secrets),
        "extensions": list(dump.extensions),
        "warming": list(dump.warming),
        "refused": dict(dump.refused),
    }
