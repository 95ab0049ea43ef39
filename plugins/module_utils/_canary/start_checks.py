# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that is checked in the cluster before a canary starts. Reads only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._canary import observe as observing
from ansible_collections.servicemesh.platform.plugins.module_utils._canary import (
    preconditions,
    push,
    route_record,
    routes,
    start_routes,
    trial,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._canary import settings as run_settings
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.approvals import approvals_of
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.entries import metrics_of
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.runner import Measurer
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.findings import (
    Finding,
    FindingCode,
    findings_of,
    refusal,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.observe import ISTIO, Observation
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.proof_scope import gateways
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.pushgateway import (
    Pushgateway,
    PushgatewayError,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.rights import reviews
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.route_search import Found, search
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.routes import Aim
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.target import aim_of
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.client import Client
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import ApiError

Obj = dict[str, Any]


def checked_settings(
    client: Client,
    params: Mapping[str, Any],
    now: float,
    *,
    restarting: bool,
    replaced: Mapping[str, Any] | None = None,
    run: str = "trial",
) -> tuple[dict[str, Any], Observation, list[Finding], list[Finding]]:
    """(settings of a new run, what is observed, why it cannot start, what to know when it starts).

    `now`: Unix seconds of the API server's clock. `restarting`: it replaces a run that is under way, whose recorded settings are
    `replaced`. `run`: the ID of the new run. Raises KubeError with all missing rights: without them, nothing else is known.
    """
    aim = aim_of(run_settings.settings_of(params, []))
    found = _searched(client, aim, params.get("virtual_services") or [])
    settings = run_settings.settings_of(
        params, _names(found.shifted if found else []), _names(found.roots if found else [])
    )
    definitions = [*(params.get("canary_definitions") or []), *(params.get("stable_definitions") or [])]
    bound = gateways(found.shifted, found.roots) if found else []
    wanted = reviews(settings, bound, definitions, searched=not params.get("virtual_services"))
    missing, unseen = trial.rights(client, wanted)
    if missing:
        raise refusal(missing)
    if found is None:  # a rule that no access review knows of
        found = search(client, aim, params.get("virtual_services") or [])
        settings = run_settings.settings_of(params, _names(found.shifted), _names(found.roots))
    findings = [*found.findings, *start_routes.roots_findings(found.lost, settings)]
    observation = start_routes.without_former(observing.observe(client, settings, now), replaced)
    findings += _observation_findings(client, observation, params.get("takeover") or [])
    settings["route_records"], refused_routes = start_routes.records(observation, found.roots, settings, replaced, run)
    findings += refused_routes
    if restarting:
        # The run that is replaced set the weight; the new run first sets it to 0.
        findings = [finding for finding in findings if finding.code is not FindingCode.WEIGHT]
    if settings["defined"] and not params.get("stable_definitions"):
        text = "stable_definitions is missing; the promotion of canary_definitions needs the definitions of stable with the new version"
        findings.append(Finding(FindingCode.DEFINITIONS, text))
    if not settings["defined"] and observation.canary is None:
        text = (
            f"Deployment {settings['namespace']}/{settings['canary_deployment']} does not exist; expected the Deployment of the new "
            "version, or the option canary_definitions that creates it"
        )
        findings.append(Finding(FindingCode.DEPLOYMENT_MISSING, text))
    whole = run_settings.with_secrets(settings, params)
    findings += _push_findings(client, whole)
    refused, notes = _measurement_findings(client, whole)
    return settings, observation, findings + refused, unseen + notes


def _searched(client: Client, aim: Aim, named: Sequence[str]) -> Found | None:
    """The VirtualServices of a run; None without the right to read them, which is then told with the others."""
    try:
        return search(client, aim, named)
    except ApiError as error:
        if error.status != 403:
            raise
        return None


def _names(items: Sequence[Obj]) -> list[str]:
    return [route_record.key_of(item) for item in items]


def _push_findings(client: Client, settings: Mapping[str, Any]) -> list[Finding]:
    """Why nothing can be pushed. Later a push that fails is a warning; what never worked is an error of the one who asked for it."""
    where = run_settings.push_endpoint(settings)
    if where is None:
        return []
    try:
        Pushgateway(where, client).look()
    except PushgatewayError as error:
        text = (
            f"{push.OPTION}: the Pushgateway ({where}) cannot be used: {error}. Expected a Prometheus Pushgateway at this address; "
            f"correct it, start the Pushgateway, or omit {push.OPTION}"
        )
        return [Finding(FindingCode.METRICS_PUSH, text)]
    return []


def _measurement_findings(client: Client, settings: Mapping[str, Any]) -> tuple[list[Finding], list[Finding]]:
    """(why metrics and approvals can never be measured, what to know about them)."""
    wanted = metrics_of(settings["analysis"])
    wanted += [entry.metric for entry in approvals_of(settings["approvals"]) if entry.metric is not None]
    trial = Measurer.of(client, settings).tried(wanted)
    notes = findings_of(FindingCode.NO_SAMPLES, trial.no_samples) + findings_of(FindingCode.NOT_TRIED, trial.not_tried)
    return findings_of(FindingCode.MEASUREMENT, trial.findings), notes


def _observation_findings(client: Client, observation: Observation, takeover: Sequence[str]) -> list[Finding]:
    findings: list[Finding] = []
    aim, places = observation.aim, 0
    for item in observation.virtual_services:
        found = routes.find(item, aim)
        places += len(found.places)
        findings += findings_of(FindingCode.ROUTE, found.findings)
        tools = preconditions.other_tools({"kind": "VirtualService", **item}, takeover)
        findings += findings_of(FindingCode.OTHER_TOOL, tools)
        unexpected = sorted({place.canary_weight for place in found.places} - {0})
        if unexpected and not found.findings:
            text = (
                f"{routes.named(item)}: the canary has weight {unexpected[0]} though no run is under way; expected 0. "
                "Set it to 0, or roll back (rollback.yml)"
            )
            findings.append(Finding(FindingCode.WEIGHT, text))
    if not places and not findings:
        findings.append(
            Finding(FindingCode.ROUTE, f"no route leads to both subsets of {aim.host}; expected one that does")
        )
    rules = [*observation.rules, *_rules_elsewhere(client, observation)]
    findings += findings_of(FindingCode.DESTINATION_RULE, preconditions.rule_findings(rules, aim))
    pods = preconditions.pod_findings(observation.service, observation.pods, observation.rules, aim, {aim.stable: 1})
    findings += findings_of(FindingCode.PODS, pods)
    if observation.stable is None:
        text = (
            f"the stable Deployment does not exist in namespace {aim.namespace}; expected it (option stable_deployment)"
        )
        findings.append(Finding(FindingCode.DEPLOYMENT_MISSING, text))
    else:
        stable = {"kind": "Deployment", **observation.stable}
        tools = preconditions.other_tools(stable, [*takeover, "argocd", "flux"])
        findings += findings_of(FindingCode.OTHER_TOOL, tools)
    return findings


def _rules_elsewhere(client: Client, observation: Observation) -> list[Obj]:
    """DestinationRules of other namespaces that may be for the service; none without the right to list them."""
    try:
        client.request("GET", f"{ISTIO}/destinationrules", query={"limit": 1})
    except ApiError as error:
        if error.status == 403:
            return []
        raise
    return [rule for rule in client.list_all(f"{ISTIO}/destinationrules")[0] if rule not in observation.rules]
