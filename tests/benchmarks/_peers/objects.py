# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The objects that a user writes for each contestant, and what a user has added to a VirtualService. No I/O.

All have the same steps, the same interval between two steps and the same least success rate; one failed check rolls back.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import yaml

Obj = dict[str, Any]
STEPS = (10, 30, 60)  # percent
INTERVAL = 10  # seconds
# Flagger takes no values at all for a failed check: over its interval of 10 s it rolled back good versions, over 20 s none.
FLAGGER_WINDOW = 20  # seconds
LEAST = 95  # percent of the requests
ISTIO = "networking.istio.io/v1"
ARGO = "argoproj.io/v1alpha1"
TIMEOUT = "4s"  # of the routes, set by a user afterwards

_QUERY = """\
sum(rate(istio_requests_total{reporter="destination",destination_service_name="web",destination_version="{{args.version}}",response_code!~"5.*"}[%(window)ds]))
/
sum(rate(istio_requests_total{reporter="destination",destination_service_name="web",destination_version="{{args.version}}"}[%(window)ds]))
"""


def flagger(namespace: str) -> list[Obj]:
    """Flagger's Canary; it makes Services, DestinationRules and the VirtualService itself."""
    metric = {
        "name": "request-success-rate",
        "interval": f"{FLAGGER_WINDOW}s",
        "thresholdRange": {"min": LEAST},
    }
    spec = {
        "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
        "service": {"port": 80, "targetPort": 8080, "timeout": "5s", "retries": {"attempts": 0}},
        "analysis": {"interval": f"{INTERVAL}s", "threshold": 1, "stepWeights": list(STEPS), "metrics": [metric]},
    }
    return [{"apiVersion": "flagger.app/v1beta1", "kind": "Canary", "metadata": _meta(namespace), "spec": spec}]


def argo(namespace: str, routes: Sequence[Obj], app: Obj, prometheus: str) -> list[Obj]:
    """Argo's Rollout in place of the Deployment `app`, its AnalysisTemplate, and the Service and routes that a user writes for it."""
    routes = copy.deepcopy(list(routes))
    for obj in routes:
        if obj["kind"] == "DestinationRule":  # Argo adds the hash of the ReplicaSet to the labels of each
            obj["spec"]["subsets"] = [{"name": name, "labels": {"app": "web"}} for name in ("stable", "canary")]
    rollout = {
        "apiVersion": ARGO,
        "kind": "Rollout",
        "metadata": _meta(namespace),
        "spec": {
            "replicas": 1,
            "revisionHistoryLimit": 2,
            "selector": {"matchLabels": {"app": "web"}},
            "template": argo_template(app),
            "strategy": {"canary": argo_strategy("v1")},
        },
    }
    return [*routes, argo_analysis(namespace, "inline", prometheus), rollout]


def argo_analysis(namespace: str, name: str, prometheus: str) -> Obj:
    """An AnalysisTemplate: one measurement after the interval (`inline`), or one at each interval without an end (`background`)."""
    metric: Obj = {
        "name": "success-rate",
        "initialDelay": f"{INTERVAL}s",
        "failureLimit": 0,
        "successCondition": f"result[0] >= {LEAST / 100:g}",
        "provider": {"prometheus": {"address": prometheus, "query": _QUERY % {"window": INTERVAL}}},
    }
    metric |= {"count": 1} if name == "inline" else {"interval": f"{INTERVAL}s"}
    spec = {"args": [{"name": "version"}], "metrics": [metric]}
    return {"apiVersion": ARGO, "kind": "AnalysisTemplate", "metadata": _meta(namespace, name), "spec": spec}


def argo_template(app: Obj) -> Obj:
    """The pod template of a Deployment, for a Rollout: without the label that tells our two Deployments apart."""
    template: Obj = copy.deepcopy(app["spec"]["template"])
    del template["metadata"]["labels"]["track"]
    return template


def argo_strategy(version: str, *, background: bool = False) -> Obj:
    """The steps to a version. With an analysis in the background each step pauses for the interval instead."""
    analysis = {
        "templates": [{"templateName": "background" if background else "inline"}],
        "args": [{"name": "version", "value": version}],
    }
    between: Obj = {"pause": {"duration": f"{INTERVAL}s"}} if background else {"analysis": analysis}
    strategy: Obj = {
        "trafficRouting": {
            "istio": {
                "virtualService": {"name": "web", "routes": ["work", "mesh"]},
                "destinationRule": {"name": "web", "stableSubsetName": "stable", "canarySubsetName": "canary"},
            }
        },
        "steps": [step for weight in STEPS for step in ({"setWeight": weight}, copy.deepcopy(between))],
    }
    # A merge patch has to remove it.
    strategy["analysis"] = analysis if background else None
    return strategy


def ours(namespace: str, app: Obj, version: str) -> Obj:
    """The task that releases a version: the canary's Deployment is the service's own with another name and another `track`."""
    other = {
        "metadata": {"name": "web-canary"},
        "spec": {
            "selector": {"matchLabels": {"track": "canary"}},
            "template": {"metadata": {"labels": {"track": "canary"}}},
        },
    }
    return {
        "name": "Release the new version",
        "vars": {"app": app, "canary": other},
        "servicemesh.platform.canary": {
            "service": "web",
            "namespace": namespace,
            "version": version,
            "stable_definitions": ["{{ app }}"],
            "canary_definitions": ["{{ app | combine(canary, recursive=true) }}"],
            "steps": list(STEPS),
            "interval": INTERVAL,
            "prometheus": {"service": f"{namespace}/prometheus:9090"},
            "analysis": [{"metric": "success_rate", "min": LEAST / 100, "min_requests": 10}],
        },
    }


def weight(virtual_service: Obj | None) -> int:
    """The new version's weight in percent: the highest of all routes."""
    if virtual_service is None:
        return 0
    return max(
        (
            int(target.get("weight", 0))
            for route in virtual_service["spec"].get("http", [])
            for target in route.get("route", [])
            if _is_canary(target["destination"])
        ),
        default=0,
    )


def _is_canary(destination: Obj) -> bool:
    return destination.get("subset") == "canary" or str(destination["host"]).partition(".")[0] == "web-canary"


# What a user adds ----------------------------------------------------------------------------------------------------


def with_extras(virtual_service: Obj, elsewhere: str) -> Obj:
    """The VirtualService with a route by header, a mirror and a timeout of its user; `elsewhere` is a host."""
    added = copy.deepcopy(virtual_service)
    place = {"host": elsewhere, "port": {"number": 9090}}
    for route in added["spec"]["http"]:
        route |= {"timeout": TIMEOUT, "mirror": place, "mirrorPercentage": {"value": 1}}
    match = [{"headers": {"x-tester": {"exact": "yes"}}}]
    added["spec"]["http"].insert(0, {"name": "testers", "match": match, "route": [{"destination": place}]})
    return added


def with_sleep(app: Obj) -> Obj:
    """The Deployment with the `sleep` that Kubernetes has for `preStop`."""
    slept = copy.deepcopy(app)
    slept["spec"]["template"]["spec"]["containers"][0]["lifecycle"] = {"preStop": {"sleep": {"seconds": 2}}}
    return slept


def kept(virtual_service: Obj, template: Obj) -> dict[str, bool]:
    """Which of a user's additions are still there, in the VirtualService and in the pod template of what runs in production."""
    routes = virtual_service["spec"].get("http", [])
    weighted = [
        route for route in routes if any(_is_canary(target["destination"]) for target in route.get("route", []))
    ]
    hook = (template["spec"]["containers"][0].get("lifecycle") or {}).get("preStop") or {}
    return {
        "route by header": any(
            "x-tester" in match.get("headers", {}) for route in routes for match in route.get("match", [])
        ),
        "mirror": bool(weighted) and all("mirror" in route for route in weighted),
        "timeout": bool(weighted) and all(route.get("timeout") == TIMEOUT for route in weighted),
        "preStop.sleep": "sleep" in hook,
    }


def lines(objects: Sequence[Obj]) -> int:
    """How many lines of YAML these objects are."""
    return len(yaml.safe_dump_all(objects, sort_keys=False).splitlines())


def _meta(namespace: str, name: str = "web") -> Obj:
    return {"name": name, "namespace": namespace}
