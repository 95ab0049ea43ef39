# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Istio, the ingress and Prometheus: who runs each, where Prometheus is, and who of a run needs what. No I/O.

Each is `managed` (a role of this collection runs it), `external` (somebody else does, and who uses it finds it there) or `absent`.

PRIVATE: may change at any time.
"""

from __future__ import annotations

import typing as t
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from ansible_collections.servicemesh.platform.plugins.module_utils._prometheus import findings_of


class Mode(StrEnum):
    """Who runs a component."""

    MANAGED = "managed"
    EXTERNAL = "external"
    ABSENT = "absent"


class Form(StrEnum):
    """How a managed Prometheus runs: by this collection's own objects, or by the Prometheus Operator."""

    STANDALONE = "standalone"
    OPERATOR = "operator"


# The Service of each form, both with port 9090: this collection's own, and the one that the operator keeps for the pods of all Prometheus
# objects of a namespace (prometheus-operator, pkg/prometheus/server/statefulset.go, governingServiceName).
_SERVICES = {Form.STANDALONE: "prometheus", Form.OPERATOR: "prometheus-operated"}
_PORT = 9090

ISTIO, INGRESS, PROMETHEUS = "platform_istio", "platform_ingress", "platform_prometheus"
ADDRESS = "platform_prometheus_address"
# What the roles make of these variables: the role's own variable, which may be set instead.
_SETTINGS = {
    ISTIO: "istio_mode",
    INGRESS: "nginx_ingress_mode",
    PROMETHEUS: "observability_mode",
    ADDRESS: "observability_address",
}
_NAMESPACE = ("observability_namespace", "platform_monitoring_namespace", "monitoring")
_FORM = ("observability_prometheus", "", Form.STANDALONE.value)

# Value of a variable of the host; None when it is not defined.
Value = Callable[[str], t.Any]


@dataclass(frozen=True, slots=True)
class Components:
    """The three as an inventory has them. `given`: the address of Prometheus that it names; empty for none."""

    istio: Mode = Mode.MANAGED
    ingress: Mode = Mode.MANAGED
    prometheus: Mode = Mode.MANAGED
    form: Form = Form.STANDALONE
    namespace: str = "monitoring"
    given: Mapping[str, t.Any] = field(default_factory=dict)

    def some_absent(self) -> bool:
        """Whether one of them is absent, so that nothing may use it."""
        return Mode.ABSENT in (self.istio, self.ingress, self.prometheus)

    def address(self) -> dict[str, t.Any]:
        """Where Prometheus is, as the option `prometheus` of the modules takes it; empty when there is none."""
        match self.prometheus:
            case Mode.ABSENT:
                return {}
            case Mode.EXTERNAL:
                return dict(self.given)
            case Mode.MANAGED:
                return dict(self.given) or {"service": f"{self.namespace}/{_SERVICES[self.form]}:{_PORT}"}
            case _:
                t.assert_never(self.prometheus)


def components_of(value: Value) -> Components:
    """The components of a host. Raises ValueError for a value that is none of those that are allowed."""
    modes = {
        name: Mode(_first(value, role, name, Mode.MANAGED.value)) for name, role in _SETTINGS.items() if name != ADDRESS
    }
    given = _first(value, _SETTINGS[ADDRESS], ADDRESS, {})
    if not isinstance(given, Mapping):
        raise ValueError(f"{ADDRESS} is not a dict")
    return Components(
        istio=modes[ISTIO],
        ingress=modes[INGRESS],
        prometheus=modes[PROMETHEUS],
        form=Form(_first(value, *_FORM)),
        namespace=str(_first(value, *_NAMESPACE)),
        given={key: item for key, item in given.items() if item is not None},
    )


def _first(value: Value, role: str, platform: str, default: t.Any) -> t.Any:
    """The role's variable, else the platform's, else the default: what the role's own default says, for hosts of plays without the role."""
    for name in (role, platform):
        if name and (found := value(name)) is not None:
            return found
    return default


# Who needs what -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Run:
    """What a run does. All names are those of what is to be there afterwards; what is removed needs nothing.

    `roles`: roles without the services' own. `meshed`: services with traffic or access rules. `routed`: services with routes for callers
    outside. `shifted`: services that a canary releases. `canary_metrics`: for each of them, metrics and approvals that ask the platform's
    Prometheus. `mtls_metrics`: whether verify_mtls compares its verdicts with metrics. `gateway_open`: whether the gateway's own Service
    can be reached from outside.
    """

    roles: frozenset[str] = frozenset()
    meshed: tuple[str, ...] = ()
    routed: tuple[str, ...] = ()
    shifted: tuple[str, ...] = ()
    canary_metrics: Mapping[str, Sequence[str]] = field(default_factory=dict)
    mtls_metrics: bool = False
    gateway_open: bool = False


def findings(components: Components, run: Run) -> Iterator[str]:
    """What does not fit together: an address without a Prometheus, one without an address, and whatever uses what is absent."""
    yield from _address_findings(components)
    for mode, name, users, remedy in (
        (components.istio, ISTIO, _istio_users(components, run), _ISTIO_REMEDY),
        (components.ingress, INGRESS, _ingress_users(components, run), _INGRESS_REMEDY),
        (components.prometheus, PROMETHEUS, _prometheus_users(run), _PROMETHEUS_REMEDY),
    ):
        used = list(users)
        if mode is Mode.ABSENT and used:
            yield f"{name}: is absent, and this run uses it: {'; '.join(used)}. {remedy}"


_ISTIO_REMEDY = f"Set {ISTIO} to managed, or to external where somebody else runs it, or leave these out"
_INGRESS_REMEDY = (
    f"Set {INGRESS} to managed or external, let callers in at the gateway itself (istio_ingress_gateway_service_type: LoadBalancer), or "
    "remove the routes of these services"
)
_PROMETHEUS_REMEDY = (
    f"Set {PROMETHEUS} to managed, or to external with {ADDRESS}; or judge canaries by other metrics (platform_canary.analysis) or another "
    "Prometheus (platform_canary.prometheus), and leave the metrics out of the report (verify_mtls_metrics: false)"
)


def _address_findings(components: Components) -> Iterator[str]:
    given = components.given
    match components.prometheus:
        case Mode.ABSENT:
            if given:
                yield f"{ADDRESS}: is given, and {PROMETHEUS} is absent; expected {PROMETHEUS}: external, or no address"
            return
        case Mode.EXTERNAL:
            if not given:
                expected = "{service: monitoring/prometheus:9090} or {url: https://prometheus.example.com}"
                yield f"{ADDRESS}: is not given, and {PROMETHEUS} is external; expected for example {expected}"
                return
        case Mode.MANAGED:
            pass
        case _:
            t.assert_never(components.prometheus)
    if given:
        yield from (f"{ADDRESS}: {finding}" for finding in findings_of(given, required=True))


_MESH_ROLES = {
    "mesh_security": "role mesh_security (mutual TLS and access rules)",
    "mesh_traffic": "role mesh_traffic (the Gateway)",
    "observability": "role observability (the mesh's Telemetry)",
    "verify_mtls": "role verify_mtls (the verdicts on mutual TLS)",
}


def _istio_users(components: Components, run: Run) -> Iterator[str]:
    yield from (text for role, text in _MESH_ROLES.items() if role in run.roles)
    if "nginx_ingress" in run.roles and components.ingress is not Mode.ABSENT:
        yield "role nginx_ingress (its Ingress leads to Istio's gateway)"
    if run.meshed:
        yield f"{_services(run.meshed)} (routes and access rules)"
    if run.shifted:
        yield f"the canary of {', '.join(run.shifted)} (weights of routes)"


def _ingress_users(components: Components, run: Run) -> Iterator[str]:
    # Whether an external Istio's gateway can be reached is not in the inventory.
    if run.routed and components.istio is Mode.MANAGED and not run.gateway_open:
        yield f"{_services(run.routed)} (routes for callers outside, who cannot reach the gateway's ClusterIP)"


def _prometheus_users(run: Run) -> Iterator[str]:
    yield from (f"the canary of {name} ({', '.join(asking)})" for name, asking in run.canary_metrics.items() if asking)
    if run.mtls_metrics:
        yield "role verify_mtls (verify_mtls_metrics compares its verdicts with the traffic)"


def _services(names: tuple[str, ...]) -> str:
    return f"service{'s' if len(names) > 1 else ''} {', '.join(names)}"
