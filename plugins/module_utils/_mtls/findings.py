# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong and what to change, and whether a mesh is as it is wanted. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.assemble import Snapshot
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.engine import Engine
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.model import STRICT, Group
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.verdict import (
    ALLOWED,
    BROKEN,
    NOT_KNOWN,
    NOT_REQUIRED,
    OK_STRICT,
    PLAIN,
    WITHOUT_SIDECAR,
    Call,
)

ERROR, WARNING, INFO = "error", "warning", "info"
_ORDER = {ERROR: 0, WARNING: 1, INFO: 2}
LEVELS = ("strict", "permissive")

# What to change, by rule.
_CHANGE: Mapping[str, str] = {
    "auto_mtls_off": "Set enableAutoMtls in the MeshConfig, or give the DestinationRule tls mode ISTIO_MUTUAL.",
    "client_not_captured": "Take the service's port or address out of the client's traffic.sidecar.istio.io annotations.",
    "destination_rule_disable": "Take tls out of the DestinationRule, or set its mode to ISTIO_MUTUAL.",
    "destination_rule_without_tls": "Repeat tls in the DestinationRule that is found first.",
    "excluded_port": "Take the port out of traffic.sidecar.istio.io/excludeInboundPorts, or put it into includeInboundPorts.",
    "headless_mixed": "Give every pod behind the headless service a sidecar, or a DestinationRule with ISTIO_MUTUAL.",
    "host_network": "Run the pods without hostNetwork, or list the service as an exception.",
    "istio_mutual_without_sidecar": "Give the pods a sidecar, or take ISTIO_MUTUAL out of the DestinationRule.",
    "mixed_backends": "Make the service's backends alike: same sidecar, same PeerAuthentication.",
    "namespace_disable": "Give the namespace or the mesh a mode other than DISABLE, or a DestinationRule with ISTIO_MUTUAL.",
    "no_endpoints": "Start the workload, or delete the service.",
    "no_sidecar": "Label the namespace for injection and restart the pods, or list the service as an exception.",
    "not_captured": "Use interceptionMode REDIRECT or TPROXY.",
    "not_visible": "Add the service to the egress hosts of the client's Sidecar object, or export it.",
    "oldest_wins": "Delete one of the two policies; the older one counts.",
    "port_exception": "Take the port out of portLevelMtls, or list it as an exception.",
    "port_level_tls_not_inherited": "Repeat tls in portLevelSettings of the DestinationRule.",
    "root_namespace_selector": "Move the policy into the workload's namespace.",
    "service_port_in_port_level_mtls": "Name the container's port in portLevelMtls, not the service's.",
    "tls_mode_label": "Take the label security.istio.io/tlsMode away; the injector sets it.",
    "tls_origination": "Use ISTIO_MUTUAL for services of the mesh.",
}
_POLICY_RULES = ("oldest_wins", "root_namespace_selector", "service_port_in_port_level_mtls")


@dataclass(frozen=True, slots=True)
class Finding:
    """Something to know. `object` is what it is about, `change` what to do, empty for nothing."""

    severity: str
    code: str
    object: str
    message: str
    change: str = ""

    def as_dict(self) -> dict[str, str]:
        """The finding as modules return it."""
        return {
            "severity": self.severity,
            "code": self.code,
            "object": self.object,
            "message": self.message,
            "change": self.change,
        }


@dataclass(frozen=True, slots=True)
class Excepted:
    """An accepted deviation: a service (`ns/name`) or workload (`ns/name`), `port` 0 for all, `client` empty for all."""

    service: str = ""
    workload: str = ""
    port: int = 0
    client: str = ""
    reason: str = ""

    def covers(self, call: Call) -> bool:
        """Whether a call is meant."""
        named = self.service == call.service or (bool(self.workload) and self.workload in call.backends)
        return named and self.port in (0, call.port) and self.client in ("", call.client)


def _severity(call: Call) -> str:
    if call.verdict == BROKEN:
        return ERROR
    if call.rule in ("gateway", "no_endpoints", "no_sidecar", "host_network") and call.verdict in (PLAIN, NOT_KNOWN):
        return INFO
    return WARNING


def of_calls(calls: Iterable[Call]) -> list[Finding]:
    """Findings of calls between workloads; one for each service, port and cause, with the clients that it concerns."""
    grouped: dict[tuple[str, str, int, str, str], list[Call]] = {}
    for call in calls:
        if call.client == WITHOUT_SIDECAR or (call.rule == "external" and call.verdict != BROKEN):
            continue
        if call.verdict in (BROKEN, PLAIN, ALLOWED, NOT_KNOWN) or call.rule in _POLICY_RULES:
            grouped.setdefault((call.verdict, call.service, call.port, call.rule, call.client_policy), []).append(call)
    found = []
    for (verdict, service, port, rule, _by), same in grouped.items():
        names = [call.client for call in same]
        who = "every meshed caller" if names[0] == "*" else ", ".join(names[:5])
        who += f" and {len(names) - 5} more" if len(names) > 5 else ""
        message = f"{verdict} for {who}: {same[0].reason}"
        if same[0].overridden and rule in _POLICY_RULES:
            message += "; " + "; ".join(f"{lost.object}: {lost.why}" for lost in same[0].overridden)
        change = _CHANGE.get(rule, "")
        if not change and verdict in (ALLOWED, PLAIN):
            change = "Set mode STRICT, or list the service as an exception."
        found.append(Finding(_severity(same[0]), rule or verdict, f"Service {service} port {port}", message, change))
    return found


def of_reading(snapshot: Snapshot, engine: Engine) -> list[Finding]:
    """Findings of what could not be read, of namespaces that are going, and of services that Sidecar objects hide."""
    found = [
        Finding(ERROR, "incomplete", kind, f"{why}; what hangs on it is unknown", _grant(why))
        for kind, why in sorted(snapshot.mesh.missing.items())
    ]
    for where, why in snapshot.notes:
        found.append(
            Finding(
                ERROR, "mesh_config", where, f"{why}; root namespace and auto mTLS are unknown", _grant(why) or _NAMED
            )
        )
    going = "it is being deleted; what is left of it was judged"
    found += [Finding(INFO, "terminating", f"Namespace {name}", going) for name in snapshot.terminating]
    for scope, services in sorted(engine.hidden.items()):
        some = ", ".join(sorted(services)[:5]) + (f" and {len(services) - 5} more" if len(services) > 5 else "")
        what = f"its workloads do not see {some}; calls there pass through as they are, or are refused (REGISTRY_ONLY)"
        found.append(Finding(INFO, "not_visible", f"Sidecar {scope}", what))
    return found


_NAMED = "Name Istio's namespace (istio_namespace)."


def _grant(why: str) -> str:
    return f"Grant the {why.partition('verb ')[2].removesuffix(' is missing')}." if "no permission" in why else ""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is demanded: namespace to level (`strict`, `permissive`), `*` for all others, and what is excepted."""

    levels: Mapping[str, str]
    exceptions: Sequence[Excepted] = ()

    def level(self, namespace: str) -> str:
        """The level that a namespace has to have, or nothing."""
        return self.levels.get(namespace, self.levels.get("*", ""))

    def excepted(self, call: Call) -> str:
        """Why a call is excepted, or nothing."""
        return next((entry.reason or "listed" for entry in self.exceptions if entry.covers(call)), "")


def deviation(call: Call, wanted: Wanted) -> tuple[str, str]:
    """Why a call is not as wanted, and why that is accepted; both empty when it is as wanted or nothing is."""
    level = wanted.level(call.service.partition("/")[0])
    why = _deviation(call, level) if level else ""
    return why, wanted.excepted(call) if why else ""


def _deviation(call: Call, level: str) -> str:
    if call.rule in ("no_endpoints", "external"):
        return ""
    if call.client == WITHOUT_SIDECAR:
        refused = call.server_mode == STRICT and call.verdict == BROKEN
        return "" if level == "permissive" or refused else "a caller without a sidecar is not refused"
    good = (OK_STRICT,) if level == "strict" else (OK_STRICT, NOT_REQUIRED)
    return "" if call.verdict in good else f"the verdict is {call.verdict}"


def violations(engine: Engine, calls: Iterable[Call], wanted: Wanted) -> list[Finding]:
    """What is not as wanted: calls by their verdict, and workloads that would take plain text on a port of no service."""
    found = []
    for call in calls:
        why, excepted = deviation(call, wanted)
        if why and not excepted:
            level = wanted.level(call.service.partition("/")[0])
            what = f"{level} is wanted and {why} (client {call.client}): {call.reason}"
            found.append(
                Finding(
                    ERROR, "not_compliant", f"Service {call.service} port {call.port}", what, _CHANGE.get(call.rule, "")
                )
            )
    listed = {entry.workload for entry in wanted.exceptions if not entry.port}
    for group in engine.mesh.groups:
        if (
            wanted.level(group.namespace) == "strict"
            and group.key not in listed
            and group.kind not in ("gateway", "waypoint")
        ):
            found += _of_workload(engine, group, wanted)
    return list(dict.fromkeys(found))


def _of_workload(engine: Engine, group: Group, wanted: Wanted) -> list[Finding]:
    name = f"Workload {group.key}"
    if not group.meshed:
        why = f"strict is wanted and its pods have no sidecar: {group.why or 'hostNetwork'}"
        return [Finding(ERROR, "not_compliant", name, why, _CHANGE["no_sidecar"])]
    found = []
    for port, mode in sorted(other_ports(engine, group).items()):
        excepted = any(e.workload == group.key and e.port == port for e in wanted.exceptions)
        if mode != STRICT and not excepted:
            where = f"container port {port}" if port else "ports of no service"
            what = f"strict is wanted and {where} accept {mode}"
            found.append(
                Finding(ERROR, "not_compliant", name, what, "Set mode STRICT, or list the workload as an exception.")
            )
    return found


def other_ports(engine: Engine, group: Group) -> dict[int, str]:
    """Modes of a workload's ports that its policy names, and under 0 of all that no service offers."""
    config = engine.mesh.config_of(group)
    if "PeerAuthentication" in engine.mesh.missing:
        return {0: "UNKNOWN"}
    own = engine.policies.candidates(config, group.namespace, group.labels).workload
    judge = engine.policies.ambient_mode if group.kind == "ambient" else engine.policies.mode
    ports = {0, *(own.ports if own else ())}
    return {port: judge(config, group.namespace, group.labels, port).mode for port in ports}


def ordered(findings: Iterable[Finding]) -> list[Finding]:
    """The worst first, then by object."""
    return sorted(findings, key=lambda f: (_ORDER[f.severity], f.object, f.code, f.message))
