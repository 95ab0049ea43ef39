# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What to do about one call or workload. Pure.

The registry's remedy fits most calls of a rule, with the object to change in it. This file has the others, and gives no advice that breaks
something or does not help, such as a sidecar for the cluster's DNS, or mode STRICT for a gateway.
"""

from __future__ import annotations

from typing import assert_never

from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.engine import Engine
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.model import (
    Group,
    Mode,
    Proxy,
    Sent,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.pods import (
    Bare,
    Role,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.rules import RuleCode, remedy
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.verdict import (
    WITHOUT_SIDECAR,
    Call,
    Verdict,
)

_API_SERVER = "default/kubernetes"  # kubernetes pkg/controlplane/controller/kubernetesservice/controller.go
_NO_MTLS = frozenset({Mode.NOT_ENFORCED, Mode.DISABLE})  # servers that take no mutual TLS, whatever a client does
_EXCEPT_WORKLOAD = "list the workload as an exception"
_EXCEPT_PORT = "list the service and port as an exception"


def _named(template: str, call: Call) -> str:
    """A remedy of the registry with the objects that decided on a call."""
    return remedy(template, destination_rule=call.client_policy, peer_authentication=call.server_policy)


class Adviser:
    """Advice for the calls and workloads of one mesh."""

    def __init__(self, engine: Engine) -> None:
        self._mesh = engine.mesh
        self._entrances = {  # workloads
            self._mesh.groups[point.group].key
            for service in engine.mesh.services
            if service.entrance
            for port in service.ports
            for point in port.endpoints
            if point.group is not None
        }

    def for_call(self, call: Call) -> str:
        """What to do about a call that is reported or not as demanded, empty for nothing."""
        if call.verdict is Verdict.UNKNOWN:
            return self._unknown(call)
        server_first = call.client_mode is Sent.PLAINTEXT and call.server_mode in _NO_MTLS
        if server_first or call.client == WITHOUT_SIDECAR or call.verdict is Verdict.ENCRYPTED_NOT_ENFORCED:
            rule = call.server_rule or (call.rule if call.rule and call.rule.entry.of_service else None)
        else:
            rule = call.rule
        return self._by_rule(call, rule) if rule else self._by_policy(call)

    def _unknown(self, call: Call) -> str:
        """What is unknown has a finding of its own that says what to read; these have not."""
        if call.client_mode is Sent.MTLS and call.client_policy and call.server_mode is Mode.NOT_ENFORCED:
            return f"Remove ISTIO_MUTUAL from DestinationRule {call.client_policy}, unless the host has a proxy of the mesh."
        if call.rule is RuleCode.GATEWAY:
            return self._gateway(call)
        return _named(call.rule.entry.remedy_if_unknown, call) if call.rule else ""

    def _by_policy(self, call: Call) -> str:
        """No rule explains the call: the mode of the server's policy does, or what the client sends."""
        if call.client_mode is Sent.PLAINTEXT and call.client != WITHOUT_SIDECAR and call.server_mode not in _NO_MTLS:
            return "Let the client send mutual TLS, because mode STRICT refuses what it sends now."
        if call.server_policy:
            return f"Set mode STRICT in PeerAuthentication {call.server_policy}. Option what_if tells whom that breaks."
        where = self._mesh.groups[call.group].namespace if call.group is not None else call.namespace
        return f"Add a PeerAuthentication with mode STRICT to namespace {where}. Option what_if tells whom that breaks."

    def _by_rule(self, call: Call, rule: RuleCode) -> str:
        """That of the registry, but for rules that mean different things at different workloads."""
        match rule:
            case RuleCode.NO_SIDECAR:
                return self._no_sidecar(call)
            case RuleCode.HOST_NETWORK if call.group is not None:
                return self.for_workload(self._mesh.groups[call.group])
            case RuleCode.GATEWAY:
                return self._gateway(call)
            case _:
                broken = call.verdict is Verdict.BROKEN and rule.entry.remedy_if_broken
                return _named(broken or rule.entry.remedy, call)

    def _no_sidecar(self, call: Call) -> str:
        if call.service == _API_SERVER:
            return "It is the API server, which has no sidecar. List the service as an exception."
        if call.group is None:
            return (
                "No pod of this cluster answers there, so labels do not help. Give that host a proxy of the mesh with a WorkloadGroup, or "
                "list the service as an exception."
            )
        return self.for_workload(self._mesh.groups[call.group])

    def _gateway(self, call: Call) -> str:
        if call.server_mode is Mode.DISABLE:
            what = f"Plain text enters here by Gateway {call.server_policy}"
            return f"{what}. Set tls in that server, or {_EXCEPT_PORT}."
        if call.server_policy:
            return f"Gateway {call.server_policy} decides how calls enter here. If that is as wanted, {_EXCEPT_PORT}."
        return f"Delete the port if nothing uses it, or {_EXCEPT_PORT}."

    def for_workload(self, group: Group) -> str:
        """What to do about pods without a sidecar."""
        if group.role is Role.SYSTEM or (
            group.kind is Proxy.NONE and group.namespace == self._mesh.config.root_namespace
        ):
            return f"Leave these pods without a sidecar: they are part of the cluster or of Istio. Where they count, {_EXCEPT_WORKLOAD}."
        if group.host_network:
            return remedy(RuleCode.HOST_NETWORK.entry.remedy)
        if group.role is Role.ENTRANCE or group.key in self._entrances:
            return (
                "Calls from outside of the cluster enter here, and a sidecar with mode STRICT refuses them. Let them enter through an "
                f"ingress gateway before the pods get a sidecar, or {_EXCEPT_WORKLOAD}."
            )
        again = "restart the pods"
        if group.role is Role.JOB:
            again = (
                "create the Job again; it ends only with a native sidecar, an init container with restartPolicy Always"
            )
        return f"{self._injected(group, again)}, or {_EXCEPT_WORKLOAD}."

    @staticmethod
    def _injected(group: Group, again: str) -> str:
        """How pods get a sidecar, by why they have none."""
        match group.why:
            case Bare.REFUSED:
                return f'Set the label sidecar.istio.io/inject of the pod template to "true" and {again}'
            case Bare.OLDER | Bare.REMOVED:
                return again[0].upper() + again[1:]
            case Bare.MISSED:
                return f"Check that the injector's webhook selects namespace {group.namespace}, and {again}"
            case Bare.NOT_ASKED | Bare.NO | Bare.HOST_NETWORK | Bare.IGNORED:
                return f"Label namespace {group.namespace} for injection and {again}"
            case _:
                assert_never(group.why)
